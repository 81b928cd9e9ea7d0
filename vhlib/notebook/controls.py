"""Controls that redraw a figure, and leave a picture behind where no kernel runs."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from html import escape, unescape
from pathlib import Path
from tempfile import TemporaryDirectory

from IPython.display import display
from ipywidgets import HTML, DOMWidget, FileUpload, HBox, Image, ValueWidget, VBox
from matplotlib.figure import Figure

from vhlib.notebook.figures import JPEG_QUALITY, encoded, require_words

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def explore(draw: Callable[..., Figure], alt: str, **controls: ValueWidget) -> None:
    """Show ``draw(**values)`` under its ``controls``, and again whenever one of them moves.

    Each keyword is a widget whose value ``draw`` takes under the same name. A page without a kernel
    shows the first picture, described by ``alt``; raises ValueError if that says nothing.
    """
    require_words(alt)
    picture = Image(format="jpeg", layout={"align_self": "flex-start", "max_width": "100%"})

    def redraw(_change: object = None) -> None:
        figure = draw(**{name: control.value for name, control in controls.items()})
        picture.value = encoded(figure, "jpeg", {"quality": JPEG_QUALITY})

    for control in controls.values():
        control.observe(redraw, names="value")
    redraw()
    display_widget(VBox([HBox(list(controls.values())), picture]), bytes(picture.value), alt)


def upload_photo(draw: Callable[[Path], Figure], alt: str, example: Path) -> None:
    """Show ``draw(example)`` under a button that takes a photo, and ``draw(photo)`` after that.

    What ``draw`` refuses, with a ValueError or OSError, is said in its words instead. The photo
    goes to the machine on which the kernel runs and is deleted when it is drawn. A page without a
    kernel shows the example's picture, described by ``alt``.
    """
    require_words(alt)
    button = FileUpload(accept="image/*", multiple=False, description="Your photo")
    words = HTML()
    picture = Image(format="jpeg", layout={"align_self": "flex-start", "max_width": "100%"})

    def redraw(path: Path) -> None:
        try:
            figure = draw(path)
        except (ValueError, OSError) as error:
            words.value = escape(str(error))
        else:
            words.value = ""
            picture.value = encoded(figure, "jpeg", {"quality": JPEG_QUALITY})

    def uploaded(_change: object) -> None:
        for name, content in uploaded_files(button.value):
            with TemporaryDirectory() as folder:
                path = Path(folder) / Path(name).name
                path.write_bytes(content)
                redraw(path)

    button.observe(uploaded, names="value")
    redraw(example)
    if words.value:
        print(unescape(words.value))
    display_widget(VBox([button, words, picture]), bytes(picture.value), alt)


def uploaded_files(value: dict | tuple) -> list[tuple[str, bytes]]:
    """Names and contents: ipywidgets 7 keeps a dict by name, 8 a tuple of dicts."""
    if isinstance(value, dict):
        return [(name, bytes(file["content"])) for name, file in value.items()]
    return [(file["name"], bytes(file["content"])) for file in value]


def display_widget(widget: DOMWidget, still: bytes, alt: str) -> None:
    """The live widget, and the picture that stays where no kernel runs."""
    view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    content = {WIDGET_VIEW: view, "text/plain": alt}
    if still:
        content["image/jpeg"] = b64encode(still).decode()
    display(content, metadata={"image/jpeg": {"alt": alt}}, raw=True)
