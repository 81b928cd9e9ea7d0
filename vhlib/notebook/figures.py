"""Showing figures in a notebook: small, legible, and described in words for who can't see them."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO

import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib.figure import Figure

DOTS_PER_INCH = 100
JPEG_QUALITY = 85


def show(figure: Figure, alt: str) -> None:
    """Display ``figure`` as a PNG with the alternative text ``alt``, and close it."""
    display_picture(figure, alt, kind="png", options={})


def show_photo(figure: Figure, alt: str) -> None:
    """The same as a JPEG: a tenth of the size where the figure holds a photograph."""
    display_picture(figure, alt, kind="jpeg", options={"quality": JPEG_QUALITY})


def display_picture(figure: Figure, alt: str, kind: str, options: dict[str, int]) -> None:
    """Encode ``figure`` as image/``kind`` and display it.

    Raises:
        ValueError: ``alt`` says nothing.
    """
    require_words(alt)
    mime = f"image/{kind}"
    picture = b64encode(encoded(figure, kind, options)).decode()
    display({mime: picture, "text/plain": alt}, metadata={mime: {"alt": alt}}, raw=True)


def require_words(alt: str) -> None:
    """Raises ValueError if the alternative text ``alt`` says nothing."""
    if not alt.strip():
        raise ValueError("a figure needs an alternative text: say what it shows in a sentence")


def encoded(figure: Figure, kind: str, options: dict[str, int]) -> bytes:
    """``figure`` as a file of the type image/``kind``; the figure is closed."""
    picture = BytesIO()
    figure.savefig(picture, format=kind, dpi=DOTS_PER_INCH, bbox_inches="tight", pil_kwargs=options)
    plt.close(figure)
    return picture.getvalue()
