"""Controls that redraw a figure, and leave a picture behind where no kernel runs."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from html import escape, unescape
from pathlib import Path
from tempfile import TemporaryDirectory

from IPython.display import display
from ipywidgets import (
    HTML,
    Checkbox,
    DOMWidget,
    FileUpload,
    HBox,
    Image,
    IntSlider,
    Label,
    Play,
    ValueWidget,
    VBox,
    jslink,
)
from matplotlib.figure import Figure

from vhlib.notebook.figures import JPEG_QUALITY, encoded, require_words

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
PLAY_INTERVAL_MS = 400


def explore(draw: Callable[..., Figure], alt: str, **controls: ValueWidget) -> None:
    """Show ``draw(**values)`` under its ``controls``, and again whenever one of them moves.

    Each keyword is a widget whose value ``draw`` takes under the same name. What ``draw`` refuses
    after a move, with a ValueError or OSError, is said in its words. A page without a kernel shows
    the first picture, described by ``alt``; raises ValueError if that says nothing.
    """
    require_words(alt)
    canvas = _Canvas()

    def picture() -> bytes:
        return _jpeg(draw(**{name: control.value for name, control in controls.items()}))

    canvas.picture.value = picture()
    for control in controls.values():
        control.observe(lambda _change: canvas.show(picture), names="value")
    row = HBox(list(controls.values()), layout={"flex_flow": "row wrap"})
    canvas.display(row, alt)


def switches(*names: str, off: Sequence[str] = ()) -> dict[str, Checkbox]:
    """A checkbox for each name, ticked unless it is in ``off``: controls for ``explore``.

        explore(draw, alt="...", **switches("pose_prior", "bending", "shape_prior"))

    Raises ValueError if ``off`` holds another name.
    """
    strangers = [name for name in off if name not in names]
    if strangers:
        known = ", ".join(names)
        raise ValueError(f"no switch is called {', '.join(strangers)}, the switches are {known}")
    layout = {"width": "auto", "margin": "2px 14px 2px 2px"}
    return {
        name: Checkbox(
            name not in off, description=name.replace("_", " "), indent=False, layout=layout
        )
        for name in names
    }


def step_through(
    draw: Callable[[int], Figure], steps: Sequence[str], alt: str, start: int = 0
) -> None:
    """Show ``draw(step)`` and the step's name under a slider and a button that plays all steps.

    Each step is drawn when it is first asked for, and once.

    Args:
        draw: takes 0 to ``len(steps) - 1``.
        steps: a name for each.
        alt: describes the picture of ``start``, which a page without a kernel shows.
        start: the step to begin with.

    Raises:
        ValueError: ``alt`` says nothing, or there is no step ``start``.
    """
    require_words(alt)
    if not 0 <= start < len(steps):
        raise ValueError(f"there is no step {start}, the {len(steps)} steps count from 0")
    canvas, name, last = _Canvas(), Label(steps[start]), len(steps) - 1
    slider = IntSlider(start, 0, last, description="step")
    play = Play(value=start, min=0, max=last, interval=PLAY_INTERVAL_MS)
    jslink((play, "value"), (slider, "value"))
    picture = cache(lambda step: _jpeg(draw(step)))

    def show(_change: object) -> None:
        name.value = steps[slider.value]
        canvas.show(lambda: picture(slider.value))

    canvas.picture.value = picture(start)
    slider.observe(show, names="value")
    canvas.display(HBox([play, slider, name], layout={"flex_flow": "row wrap"}), alt)


def upload_photo(draw: Callable[[Path], Figure], alt: str, example: Path) -> None:
    """Show ``draw(example)`` under a button that takes a photo, and ``draw(photo)`` after that.

    What ``draw`` refuses, with a ValueError or OSError, is said in its words instead. The photo
    goes to the machine on which the kernel runs and is deleted when it is drawn. A page without a
    kernel shows the example's picture, described by ``alt``.
    """
    require_words(alt)
    button = FileUpload(accept="image/*", multiple=False, description="Your photo")
    canvas = _Canvas()

    def uploaded(_change: object) -> None:
        for name, content in uploaded_files(button.value):
            with TemporaryDirectory() as folder:
                path = Path(folder) / Path(name).name
                path.write_bytes(content)
                canvas.show(lambda path=path: _jpeg(draw(path)))

    button.observe(uploaded, names="value")
    canvas.show(lambda: _jpeg(draw(example)))
    if canvas.words.value:
        print(unescape(canvas.words.value))
    canvas.display(button, alt)


def uploaded_files(value: dict | tuple) -> list[tuple[str, bytes]]:
    """Names and contents: ipywidgets 7 keeps a dict by name, 8 a tuple of dicts."""
    if isinstance(value, dict):
        return [(name, bytes(file["content"])) for name, file in value.items()]
    return [(file["name"], bytes(file["content"])) for file in value]


def display_widget(
    widget: DOMWidget, still: bytes, alt: str, metadata: Mapping[str, object] | None = None
) -> None:
    """The live widget, and the picture that stays where no kernel runs.

    still: a JPEG, or nothing. metadata: of the widget's view, for hosts that ask for more.
    """
    view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    content = {WIDGET_VIEW: view, "text/plain": alt}
    if still:
        content["image/jpeg"] = b64encode(still).decode()
    display(content, metadata={"image/jpeg": {"alt": alt}, **(metadata or {})}, raw=True)


def host_metadata(widget: DOMWidget) -> dict[str, object]:
    """Where Colab finds the code of widgets that aren't core, if this version of anywidget says."""
    bundle = getattr(widget, "_repr_mimebundle_", None)  # not with anywidget 0.9 on ipywidgets 7
    return {} if bundle is None else bundle()[1]


class _Canvas:
    """A picture that is drawn anew, or the words in which that was refused."""

    def __init__(self):
        self.words = HTML(layout={"display": "none"})
        self.picture = Image(
            format="jpeg", layout={"align_self": "flex-start", "max_width": "100%"}
        )

    def show(self, picture: Callable[[], bytes]) -> None:
        """Draw; the last picture stays where that is refused."""
        try:
            self.picture.value = picture()
        except (ValueError, OSError) as error:
            self._say(str(error))
        else:
            self._say("")

    def _say(self, words: str) -> None:
        self.words.value = escape(words)
        self.words.layout.display = None if words else "none"

    def display(self, controls: DOMWidget, alt: str) -> None:
        """On the page, under its controls."""
        widget = VBox([controls, self.words, self.picture])
        display_widget(widget, bytes(self.picture.value), alt)


def _jpeg(figure: Figure) -> bytes:
    return encoded(figure, "jpeg", {"quality": JPEG_QUALITY})
