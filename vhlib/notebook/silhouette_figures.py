"""The figures of outlines: where the body reaches beyond the person, and where it falls short."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import torch
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vhlib.metrics import iou
from vhlib.notebook.mesh_pictures import Picture
from vhlib.notebook.palette import BLUE, STYLE, VERMILLION

# Room about both outlines, as a share of the longer side of the box that holds them.
MARGIN = 0.06

Mask = Bool[np.ndarray, "H W"] | Float[np.ndarray, "H W"]
"""Which pixels are covered, or how much of each."""


def silhouette_figure(photo: Picture, person: Mask, body: Mask, title: str = "") -> Figure:
    """The person's outline and the body's over the photo, and their intersection over union.

    Both outlines are drawn where the masks pass one half: the person's in blue, dashed, the body's
    in vermillion. What only one of them covers is tinted in its colour.
    """
    left, top, right, bottom = _window(person, body)
    height = 6.0
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            figsize=(height * (right - left) / (bottom - top) + 0.5, height + 1.0),
            layout="constrained",
        )
        axes.imshow(photo, extent=(0, photo.shape[1], photo.shape[0], 0))
        _tint(axes, (body > 0.5) & (person <= 0.5), VERMILLION)
        _tint(axes, (person > 0.5) & (body <= 0.5), BLUE)
        _outline(axes, body, VERMILLION, "-")
        _outline(axes, person, BLUE, "--")
        axes.set(xlim=(left, right), ylim=(bottom, top))
        axes.axis("off")
        overlap = float(iou(torch.from_numpy(body > 0.5), torch.from_numpy(person > 0.5)))
        axes.set_title(f"{title}\nIoU {overlap:.3f}".strip())
        lines = [
            Line2D([], [], color=VERMILLION, linewidth=2, label="body"),
            Line2D([], [], color=BLUE, linewidth=2, linestyle="--", label="person"),
        ]
        figure.legend(handles=lines, loc="outside lower center", ncols=2, frameon=False)
    return figure


def _window(person: Mask, body: Mask) -> tuple[float, float, float, float]:
    """The box of both masks and a margin; the whole picture where both are empty."""
    height, width = person.shape
    rows, columns = np.nonzero((person > 0.5) | (body > 0.5))
    if not len(rows):
        return 0.0, 0.0, float(width), float(height)
    left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    pad = MARGIN * max(right - left, bottom - top)
    return (
        float(max(left - pad, 0)),
        float(max(top - pad, 0)),
        float(min(right + pad, width)),
        float(min(bottom + pad, height)),
    )


def _outline(axes: Axes, mask: Mask, color: str, dash: str) -> None:
    """The level one half, white beneath the colour; a border of zeros closes it at the edge."""
    closed = np.pad(np.asarray(mask, dtype=float), 1)
    x, y = (np.arange(size + 2) - 0.5 for size in mask.shape[::-1])
    if closed.max() > 0.5:
        axes.contour(x, y, closed, [0.5], colors="white", linewidths=3.5)
        axes.contour(x, y, closed, [0.5], colors=color, linewidths=2, linestyles=dash)


def _tint(axes: Axes, region: Bool[np.ndarray, "H W"], color: str) -> None:
    """A veil of the colour over a region."""
    veil = np.zeros((*region.shape, 4))
    veil[region] = to_rgba(color, 0.5)
    axes.imshow(veil, extent=(0, region.shape[1], region.shape[0], 0))
