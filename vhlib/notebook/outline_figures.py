"""Figures about outlines on small grids: distances to a mask, energies along a shift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Bool, Float
from matplotlib.figure import Figure

from vhlib.notebook.palette import BLUE, STYLE, VERMILLION, line

LEVELS = 9


def distance_figure(
    mask: Bool[np.ndarray, "H W"],
    distance: Float[np.ndarray, "H W"],
    outlines: Mapping[str, Float[np.ndarray, "n 2"]],
) -> Figure:
    """Distances to a mask as height lines, the mask tinted; outlines of candidates over it.

    outlines: name -> points (x, y) in pixels.
    """
    height, width = mask.shape
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(8, 4.8), layout="constrained")
        extent = (0, width, height, 0)
        axes.imshow(np.where(mask, 0.75, 1.0), cmap="gray", vmin=0, vmax=1, extent=extent)
        x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
        lines = axes.contour(x, y, distance, LEVELS, colors="0.45", linewidths=0.8)
        axes.clabel(lines, fontsize=9, fmt="%g")
        for number, (name, points) in enumerate(outlines.items()):
            kind = line(number)
            closed = np.concatenate([points, points[:1]])
            axes.plot(*closed.T, **kind, linewidth=3, label=name)
        axes.set(aspect="equal", xlim=(0, width), ylim=(height, 0), xlabel="pixels")
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def shift_figure(
    shifts: Sequence[float] | Float[np.ndarray, " n"],
    energies: Mapping[str, Float[np.ndarray, " n"]],
    xlabel: str = "shift in pixels",
) -> Figure:
    """Energies against a shift, a curve for each way of measuring."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(8, 3.8), layout="constrained")
        for number, (name, energy) in enumerate(energies.items()):
            kind = line(number)
            axes.plot(shifts, energy, **kind, linewidth=2.5, label=name)
        if min(shifts) < 0 < max(shifts):
            axes.axvline(0.0, color="black", linewidth=1)
        axes.locator_params(axis="x", nbins=6)
        axes.set(xlabel=xlabel, ylabel="energy")
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def masks_figure(pairs: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Two masks over each other in each panel: the first filled, the second as an outline."""
    with plt.rc_context(STYLE):
        figure, row = plt.subplots(
            1, len(pairs), figsize=(3.0 * len(pairs), 4.4), squeeze=False, layout="constrained"
        )
        for axes, (name, (filled, outlined)) in zip(row[0], pairs.items(), strict=True):
            shade = np.ones((*filled.shape, 3))
            shade[filled > 0.5] = plt.matplotlib.colors.to_rgb(BLUE)
            axes.imshow(0.35 * shade + 0.65)
            axes.contour(outlined, [0.5], colors=VERMILLION, linewidths=2)
            axes.set_title(name, fontsize=12)
            axes.axis("off")
    return figure
