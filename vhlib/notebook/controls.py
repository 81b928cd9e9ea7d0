"""Sliders that redraw a figure, and leave a picture behind where no kernel runs."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable

from IPython.display import display
from ipywidgets import HBox, Image, ValueWidget, VBox
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
    view = {"version_major": 2, "version_minor": 0}
    view["model_id"] = VBox([HBox(list(controls.values())), picture]).model_id
    still = b64encode(picture.value).decode()
    content = {WIDGET_VIEW: view, "image/jpeg": still, "text/plain": alt}
    display(content, metadata={"image/jpeg": {"alt": alt}}, raw=True)
