"""Colours that everybody tells apart, and no figure that uses others."""

from __future__ import annotations

import ast
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import is_color_like, to_rgb
from skimage.color import deltaE_ciede2000, rgb2lab

from vhlib.notebook import palette

ROOT = Path(__file__).resolve().parents[2]
DRAWING = sorted([*ROOT.glob("vhlib/notebook/*.py"), *ROOT.glob("notebooks/*.py")])
PALETTE = {
    name: value
    for name, value in vars(palette).items()
    if isinstance(value, str) and value.startswith("#")
}
# The difference (CIEDE2000) below which two colours in one figure are taken for one another: about
# seven times what is just noticed side by side.
DISTINCT = 7.0
# Steady in lightness, so that they read the same to everybody.
EVEN_COLORMAPS = {"viridis", "cividis", "magma", "inferno", "plasma", "gray", "Greys", "Blues"}
# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
VISIONS = {
    "usual": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def seen(color: str, vision: str) -> np.ndarray:
    """The colour (3,) in Lab as that vision sees it."""
    coded = np.array(to_rgb(color))
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    linear = np.clip(VISIONS[vision] @ linear, 0, 1)
    coded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return rgb2lab(coded)


def confused(colors: dict[str, str], vision: str) -> list[tuple[str, str]]:
    """The pairs that are taken for one another."""
    return [
        (one, other)
        for one, other in combinations(colors, 2)
        if deltaE_ciede2000(seen(colors[one], vision), seen(colors[other], vision)) < DISTINCT
    ]


@pytest.mark.parametrize("vision", VISIONS)
def test_the_palette_is_told_apart(vision):
    assert len(PALETTE) >= 7
    assert confused({**PALETTE, "black": "black"}, vision) == []


def test_a_red_and_a_green_are_found():
    pair = {"red": "#d62728", "brownish green": "#7f7f00"}

    assert confused(pair, "usual") == []
    assert confused(pair, "deuteranopia") == [("red", "brownish green")]


def foreign_colors(code: str) -> list[str]:
    """Colours and colour maps that a piece of code names beside the palette's and greys."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.keyword) or not isinstance(node.value, ast.Constant):
            continue
        name, value = node.arg or "", node.value.value
        is_map = name in ("cmap", "colorscale") and str(value).lower() not in {
            one.lower() for one in EVEN_COLORMAPS
        }
        is_color = (name == "c" or "color" in name) and isinstance(value, str)
        if is_map or (is_color and name != "colorscale" and is_foreign(value)):
            found.append(f"{name}={value!r}")
    return found


def is_foreign(color: str) -> bool:
    """Whether this is a colour with a hue."""
    return is_color_like(color) and np.ptp(to_rgb(color)) > 0.05


def test_figures_take_their_colours_from_the_palette():
    found = {path.name: foreign_colors(path.read_text()) for path in DRAWING}

    assert {name: colors for name, colors in found.items() if colors} == {}


@pytest.mark.parametrize(
    "code", ["plot(x, color='red')", "imshow(x, cmap='jet')", "fill(edgecolor='C2')"]
)
def test_a_foreign_colour_is_found(code):
    assert len(foreign_colors(code)) == 1


def test_greys_are_free():
    assert foreign_colors("plot(x, color='0.8', edgecolor='white', c='dimgrey')") == []


@pytest.mark.parametrize("number", range(8))
def test_curves_differ_by_more_than_colour(number):
    others = [palette.look(other) for other in range(8) if other != number]
    look = palette.look(number)

    assert all(look["marker"] != other["marker"] for other in others)
