"""An answer drawn beside the expected one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vhlib.course.bank import Case
from vhlib.notebook.figures import show
from vhlib.notebook.palette import BLUE, GREY, STYLE, VERMILLION

WIDTH_IN, HEIGHT_IN = 7.0, 3.4
# An oblique look at three axes: x to the right, y up, z towards the reader.
OBLIQUE = np.array([[1.0, 0.0, -0.45], [0.0, 1.0, -0.35]])


def show_beside(kind: str, case: Case, answer: Any, expected: Any) -> None:
    """Draw the first array of an answer; nothing where its shape or its numbers don't allow it."""
    answer, expected = (x[0] if isinstance(x, tuple) and x else x for x in (answer, expected))
    expected = np.asarray(expected, np.float64)
    if not isinstance(answer, np.ndarray | np.generic) or answer.dtype.kind not in "fiub":
        return
    answer = np.asarray(answer, np.float64)
    drawable = answer.shape == expected.shape and expected.size and np.isfinite(answer).all()
    if drawable:
        figure, words = DRAWINGS[kind](answer, expected, case)
        show(figure, alt=f"{case.name}: {words}")


def draw_points(answer: np.ndarray, expected: np.ndarray, case: Case) -> tuple[Figure, str]:
    """Points ``(..., N, 2)`` as on a picture, or ``(..., N, 3)`` from the front and the side."""
    answer, expected = _first(answer, 2), _first(expected, 2)
    views = {"": (0, 1)} if answer.shape[-1] == 2 else {"front": (0, 1), "side": (2, 1)}
    figure, panels = _panels(len(views))
    for axes, (title, view) in zip(panels, views.items(), strict=True):
        pairs = np.stack([expected[:, view], answer[:, view]], axis=1)
        for pair in pairs:
            axes.plot(*pair.T, color=GREY, linewidth=1, zorder=0)
        axes.plot(*pairs[:, 0].T, "o", color=BLUE, fillstyle="none", ms=9, label="expected")
        axes.plot(*pairs[:, 1].T, "x", color=VERMILLION, label="yours")
        axes.set(title=title, aspect="equal", xlabel="xyz"[view[0]], ylabel="xyz"[view[1]])
        if answer.shape[-1] == 2:
            axes.invert_yaxis()
    panels[0].legend(frameon=False)
    worst = np.linalg.norm(answer - expected, axis=-1).max()
    return figure, f"expected points as circles, yours as crosses, at most {worst:.3g} apart"


def draw_body(answer: np.ndarray, expected: np.ndarray, case: Case) -> tuple[Figure, str]:
    """Vertices ``(..., V, 3)`` coloured by how far each is from where it belongs."""
    answer, expected = _first(answer, 2), _first(expected, 2)
    error = np.linalg.norm(answer - expected, axis=-1)
    figure, panels = _panels(2)
    for axes, (title, view) in zip(panels, {"front": (0, 1), "side": (2, 1)}.items(), strict=True):
        axes.plot(*expected[:, view].T, ".", color=GREY, ms=2, zorder=0)
        dots = axes.scatter(*answer[:, view].T, c=error, s=6, cmap="viridis")
        axes.set(title=title, aspect="equal")
        axes.set_axis_off()
    figure.colorbar(dots, ax=list(panels), label="error per vertex, m")
    return figure, f"each vertex coloured by its error, {error.max():.3g} m at most"


def draw_curve(answer: np.ndarray, expected: np.ndarray, case: Case) -> tuple[Figure, str]:
    """Values ``(..., N)`` over the first input of that length, or over their index."""
    answer, expected = _first(answer, 1), _first(expected, 1)
    given = [x for x in case.inputs if isinstance(x, np.ndarray) and x.shape == answer.shape]
    along = given[0] if given else np.arange(len(answer))
    order = np.argsort(along, kind="stable")
    figure, (axes,) = _panels(1)
    axes.plot(along[order], expected[order], color=BLUE, linewidth=3, label="expected")
    axes.plot(along[order], answer[order], "--", color=VERMILLION, label="yours")
    axes.set(xlabel="first argument" if given else "index", ylabel="value")
    axes.legend(frameon=False)
    worst = np.abs(answer - expected).max()
    return figure, f"the expected curve, and yours dashed, at most {worst:.3g} apart"


def draw_image(answer: np.ndarray, expected: np.ndarray, case: Case) -> tuple[Figure, str]:
    """Images ``(..., H, W)``: expected, yours, and the difference."""
    answer, expected = _first(answer, 2), _first(expected, 2)
    figure, panels = _panels(3)
    limits = {"vmin": expected.min(), "vmax": expected.max()}
    panels[0].imshow(expected, cmap="cividis", **limits)
    shown = panels[1].imshow(answer, cmap="cividis", **limits)
    figure.colorbar(shown, ax=list(panels[:2]), shrink=0.7)
    worst = np.abs(answer - expected).max()
    span = worst or 1.0  # a colour bar needs a range
    gap = panels[2].imshow(answer - expected, cmap="PuOr", vmin=-span, vmax=span)
    figure.colorbar(gap, ax=panels[2], shrink=0.7)
    for axes, title in zip(panels, ("expected", "yours", "yours - expected"), strict=True):
        axes.set_title(title)
        axes.set_axis_off()
    return figure, f"the expected picture, yours, and their difference, {worst:.3g} at most"


def draw_frames(answer: np.ndarray, expected: np.ndarray, case: Case) -> tuple[Figure, str]:
    """Matrices ``(..., 3, 3)`` as what they make of the three axes, their columns."""
    answer, expected = _first(answer, 2), _first(expected, 2)
    figure, (axes,) = _panels(1)
    for matrix, color, style, label, reach in (
        (expected, BLUE, "-", "expected", 1.1),
        (answer, VERMILLION, "--", "yours", 1.25),
    ):
        for number, tip in enumerate((OBLIQUE @ matrix).T):
            name = label if number == 0 else None
            axes.plot([0, tip[0]], [0, tip[1]], style, color=color, linewidth=2.5, label=name)
            axes.text(
                *reach * tip, "xyz"[number], color=color, fontsize=13, ha="center", va="center"
            )
    axes.set_aspect("equal")
    axes.margins(0.15)
    axes.set_axis_off()
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure, "the turned axes x, y and z; expected ones solid, yours dashed"


DRAWINGS: dict[str, Callable[[np.ndarray, np.ndarray, Case], tuple[Figure, str]]] = {
    "points": draw_points,
    "body": draw_body,
    "curve": draw_curve,
    "image": draw_image,
    "frames": draw_frames,
}


def _first(array: np.ndarray, axes: int) -> np.ndarray:
    """The first item of a batch, with its last ``axes`` axes."""
    return array.reshape(-1, *array.shape[array.ndim - axes :])[0]


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    """A figure of ``count`` panels side by side."""
    import matplotlib.pyplot as plt

    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            1, count, figsize=(WIDTH_IN, HEIGHT_IN), squeeze=False, layout="constrained"
        )
    return figure, list(panels[0])
