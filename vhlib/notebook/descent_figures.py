"""Figures of minimisation in two unknowns: the landscape, paths through it, single steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vhlib.notebook.palette import GREY, STYLE, look

Energy = Callable[[Float[np.ndarray, " 2"]], float]
Box = tuple[float, float, float, float]
"""Least and largest x, least and largest y."""

LEVELS = 14


def landscape_figure(
    energy: Energy, paths: Mapping[str, Sequence[np.ndarray]], box: Box, labels: tuple[str, str]
) -> Figure:
    """Height lines of an energy of two unknowns, and the way of each method, start to end.

    The lines stand closer where it is steep; between two of them the energy grows by one factor.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
        draw_landscape(axes, energy, box)
        for number, (name, path) in enumerate(paths.items()):
            x, y = np.array(path).T
            axes.plot(x, y, **look(number), linewidth=2, label=f"{name}: {len(path) - 1} steps")
        axes.plot(*next(iter(paths.values()))[0], "k*", markersize=17, label="start")
        axes.set(xlabel=labels[0], ylabel=labels[1], xlim=box[:2], ylim=box[2:])
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def draw_landscape(axes: Axes, energy: Energy, box: Box, samples: int = 90) -> None:
    """Height lines, each one factor above the last."""
    x, y = np.linspace(*box[:2], samples), np.linspace(*box[2:], samples)
    heights = np.array([[energy(np.array([a, b])) for a in x] for b in y])
    least = max(float(heights.min()), 1e-4 * float(heights.max()))
    levels = np.geomspace(least, heights.max(), LEVELS)
    axes.contour(x, y, heights, levels=levels, colors=GREY, linewidths=0.8)


def steps_figure(
    energy: Energy,
    start: np.ndarray,
    steps: Mapping[str, np.ndarray],
    box: Box,
    labels: tuple[str, str],
) -> Figure:
    """Single steps from one place over the landscape; a marker where each ends."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(8, 4.6), layout="constrained")
        draw_landscape(axes, energy, box)
        for number, (name, step) in enumerate(steps.items()):
            x, y = np.array([start, start + step]).T
            axes.plot(x, y, **look(number), linewidth=2.5, markevery=[1], label=name)
        axes.plot(*start, "k*", markersize=17)
        axes.set(xlabel=labels[0], ylabel=labels[1], xlim=box[:2], ylim=box[2:])
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
