"""Colours and dashes that are told apart with any kind of colour vision, and on grey paper."""

from __future__ import annotations

# Okabe and Ito 2008.
BLUE, SKY, GREEN = "#0072B2", "#56B4E9", "#009E73"
VERMILLION, ORANGE, GREY = "#D55E00", "#E69F00", "#8C8C8C"
PURPLE = "#CC79A7"

STYLE = {"font.size": 13, "axes.spines.top": False, "axes.spines.right": False}

_LOOKS = (
    (VERMILLION, "-", "o"),
    (BLUE, "-", "s"),
    (GREEN, "--", "^"),
    (ORANGE, "-.", "D"),
    (PURPLE, "--", "v"),
    (SKY, ":", "P"),
    ("black", ":", "X"),
    (GREY, "-", "*"),
)

_DASHES = ("-", "--", "-.", ":")


def look(number: int) -> dict[str, str]:
    """Colour, dash and marker of the ``number``-th curve of a figure, for ``axes.plot``.

    Eight differ; after that they begin again.
    """
    color, dash, marker = _LOOKS[number % len(_LOOKS)]
    return {"color": color, "linestyle": dash, "marker": marker}


def line(number: int) -> dict[str, str]:
    """Colour and dash of a curve without markers; the first four differ in both."""
    return {"color": look(number)["color"], "linestyle": _DASHES[number % len(_DASHES)]}
