"""An answer drawn beside the expected one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vhlib.course.bank import Case
from vhlib.course.comparison import compare
from vhlib.notebook.figures import show
from vhlib.notebook.palette import BLUE, GREY, STYLE, VERMILLION

WIDTH_IN, HEIGHT_IN = 7.0, 3.4
# An oblique look at three axes: x to the right, y up, z towards the reader.
OBLIQUE = np.array([[1.0, 0.0, -0.45], [0.0, 1.0, -0.35]])
# Which axis goes to the right, which one up, and which one comes towards the reader.
FRONT, SIDE = ((0, 1), np.array([0, 0, 1])), ((2, 1), np.array([-1, 0, 0]))
FEW = 24
"""A curve of so many numbers, or fewer, shows each of them."""


@dataclass(frozen=True)
class Item:
    """What a drawing shows: of a batch, the answer that is farthest off.

    Attributes:
        answer, expected: of the same shape.
        case: the call.
        whole: the shape with the batch.
        place: where it lies in the batch; empty without one.
    """

    answer: np.ndarray
    expected: np.ndarray
    case: Case
    whole: tuple[int, ...]
    place: tuple[int, ...]

    @property
    def worst(self) -> float:
        """The largest error of one number."""
        return float(np.abs(self.answer - self.expected).max())

    @property
    def distances(self) -> np.ndarray:
        """From each point to where it belongs."""
        return np.linalg.norm(self.answer - self.expected, axis=-1)


def show_beside(kind: str, case: Case, answer: Any, expected: Any) -> bool:
    """Draw an answer; False, and nothing, where its shape or its numbers don't allow it.

    Of a tuple that is the first part that isn't right, of a batch the item with the largest error.
    """
    part, wanted = shown_part(case, answer, expected)
    drawing = drawing_of(kind, wanted, expected)
    if drawing is None or not drawing.allows(part, wanted):
        return False
    item = worst_item(drawing.axes, case, part, wanted)
    figure, words = drawing.draw(item)
    if item.expected.size < np.size(wanted):
        figure.suptitle(f"item {list(item.place)} of the batch", fontsize=13)
    show(figure, alt=f"{case.name}: {words}")
    return True


def shown_part(case: Case, answer: Any, expected: Any) -> tuple[Any, Any]:
    """Of a tuple the first part that isn't right, or the first, and what is expected there."""
    if not isinstance(expected, tuple):
        return answer, expected
    if not isinstance(answer, tuple) or len(answer) != len(expected):
        return None, None
    pairs = list(zip(answer, expected, strict=True))
    return next((pair for pair in pairs if not compare(*pair, case).passed), pairs[0])


def drawing_of(kind: str, wanted: Any, expected: Any) -> Drawing | None:
    """How to draw the part ``wanted`` of ``expected``, if there is a way.

    The kind is for the first part: in another, axes of another number have another meaning. Rigid
    motions ``(..., 4, 4)`` beside points, bodies or rotations are drawn as frames.
    """
    if kind in ("points", "body", "frames") and np.shape(wanted)[-2:] == (4, 4):
        return DRAWINGS["frames"]
    first = expected[0] if isinstance(expected, tuple) else expected
    return DRAWINGS[kind] if np.ndim(wanted) == np.ndim(first) else None


def worst_item(axes: int, case: Case, answer: Any, expected: Any) -> Item:
    """The item with the largest error; ``axes`` of its axes are no batch's."""
    answer, expected = (np.asarray(value, np.float64) for value in (answer, expected))
    whole = expected.shape
    batch = whole[: max(len(whole) - axes, 0)]
    error = np.abs(answer - expected).reshape(*batch, -1).max(-1)
    place = tuple(int(i) for i in np.unravel_index(int(error.argmax()), batch))
    shape = (1,) * (axes - len(whole)) + whole[len(batch) :]
    return Item(answer[place].reshape(shape), expected[place].reshape(shape), case, whole, place)


def draw_points(item: Item) -> tuple[Figure, str]:
    """Points ``(N, 2)``, or ``(N, 3)`` from the front and the side."""
    views = {"": (0, 1)} if item.answer.shape[-1] == 2 else {"front": FRONT[0], "side": SIDE[0]}
    figure, panels = _panels(len(views))
    for axes, (title, view) in zip(panels, views.items(), strict=True):
        _join(axes, item, view)
        look = {"fillstyle": "none", "ms": 9, "label": "expected"}
        axes.plot(*item.expected[:, view].T, "o", color=BLUE, **look)
        axes.plot(*item.answer[:, view].T, "x", color=VERMILLION, label="yours")
        axes.set(title=title, xlabel="xyz"[view[0]], ylabel="xyz"[view[1]])
        axes.set_aspect("equal", adjustable="datalim")  # no panel is narrower than its markers
        axes.margins(0.12)
        axes.locator_params(nbins=5)
    _legend_below(figure, panels[0])
    words = "expected points as circles, yours as crosses"
    return figure, f"{words}, at most {item.distances.max():.3g} apart"


def draw_pixels(item: Item) -> tuple[Figure, str]:
    """Points ``(N, 2)`` of a picture, whose y points down."""
    figure, words = draw_points(item)
    (axes,) = figure.axes
    axes.invert_yaxis()
    axes.set(xlabel="x, px", ylabel="y, px")
    return figure, f"{words} (px)"


def draw_body(item: Item) -> tuple[Figure, str]:
    """Vertices ``(V, 3)`` coloured by how far each is from where it belongs, in metres."""
    error = item.distances
    norm = Normalize(0.0, error.max() or 1.0)  # a colour bar needs a range
    size = float(np.clip(5000 / len(error), 3, 70))
    figure, panels = _panels(2)
    for axes, title, (view, near) in zip(panels, ("front", "side"), (FRONT, SIDE), strict=True):
        _join(axes, item, view)
        axes.scatter(*item.expected[:, view].T, size, facecolors="none", edgecolors=GREY, zorder=1)
        order = np.argsort(item.answer @ near, kind="stable")  # the nearest is drawn last
        places = item.answer[order][:, view].T
        look = {"cmap": "viridis", "norm": norm, "edgecolors": "white", "linewidths": 0.5}
        dots = axes.scatter(*places, size, c=error[order], zorder=2, **look)
        axes.set_title(title)
        axes.set_aspect("equal", adjustable="datalim")
        axes.margins(0.12)
        axes.set_axis_off()
    figure.colorbar(dots, ax=panels, label="error per vertex, m")
    return figure, f"each vertex coloured by its error, {error.max():.3g} m at most"


def draw_curve(item: Item) -> tuple[Figure, str]:
    """Values ``(N,)`` over the first argument of their shape, or over their index."""
    along, label = _abscissa(item)
    order = np.argsort(along, kind="stable")
    few = len(order) <= FEW
    figure, panels = _panels(1)
    (axes,) = panels
    for values, style, marker, look in (
        (item.expected, "-", "o", {"color": BLUE, "lw": 1.5 if few else 3, "label": "expected"}),
        (item.answer, "--", "x", {"color": VERMILLION, "lw": 1.5, "label": "yours"}),
    ):
        points = {"marker": marker, "fillstyle": "none", "ms": 9} if few else {}
        axes.plot(along[order], values[order], style, **points, **look)
    axes.set(xlabel=label, ylabel="value")
    if label == "index":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _legend_below(figure, axes)
    return figure, f"the expected curve, and yours dashed, at most {item.worst:.3g} apart"


def draw_image(item: Item) -> tuple[Figure, str]:
    """An image ``(H, W)``: expected, yours, and the difference."""
    expected, answer = item.expected, item.answer
    figure, panels = _panels(3)
    limits = {"vmin": expected.min(), "vmax": expected.max()}
    panels[0].imshow(expected, cmap="cividis", **limits)
    shown = panels[1].imshow(answer, cmap="cividis", **limits)
    figure.colorbar(shown, ax=panels[:2], shrink=0.7)
    span = item.worst or 1.0  # a colour bar needs a range
    gap = panels[2].imshow(answer - expected, cmap="PuOr", vmin=-span, vmax=span)
    figure.colorbar(gap, ax=panels[2], shrink=0.7)
    for axes, title in zip(panels, ("expected", "yours", "yours - expected"), strict=True):
        axes.set_title(title)
        axes.set_axis_off()
    return figure, f"the expected picture, yours, and their difference, {item.worst:.3g} at most"


def draw_frames(item: Item) -> tuple[Figure, str]:
    """A matrix ``(3, 3)`` as what it makes of the three axes, its columns; ``(4, 4)`` in place."""
    figure, (axes,) = _panels(1)
    for matrix, color, style, label, points in (
        (item.expected, BLUE, "-", "expected", 10),
        (item.answer, VERMILLION, "--", "yours", 24),
    ):
        foot = OBLIQUE @ (matrix[:3, 3] if len(matrix) == 4 else np.zeros(3))
        for number, arm in enumerate((OBLIQUE @ matrix[:3, :3]).T):
            name = label if number == 0 else None
            line = np.stack([foot, foot + arm])
            axes.plot(*line.T, style, color=color, linewidth=2.5, label=name)
            away = points * arm / (np.linalg.norm(arm) or 1.0)
            look = {"color": color, "fontsize": 13, "ha": "center", "va": "center"}
            place = {"xytext": away, "textcoords": "offset points"}
            axes.annotate("xyz"[number], foot + arm, **place, **look)
    axes.set_aspect("equal")
    axes.margins(0.15)
    axes.set_axis_off()
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure, "the turned axes x, y and z; expected ones solid, yours dashed"


@dataclass(frozen=True)
class Drawing:
    """A way to draw.

    Attributes:
        draw: makes the figure, and says in words what it shows.
        axes: how many axes an item has; those before them are a batch.
        lasts: what the last axes must be, each way that will do.
    """

    draw: Callable[[Item], tuple[Figure, str]]
    axes: int
    lasts: tuple[tuple[int, ...], ...] = ((),)

    def allows(self, answer: Any, expected: Any) -> bool:
        """Whether both are finite numbers of one shape, which can be drawn so."""
        if not isinstance(answer, np.ndarray | np.generic | float | int):
            return False
        answer, expected = np.asarray(answer), np.asarray(expected)
        if answer.dtype.kind not in "fiub" or answer.shape != expected.shape or not answer.size:
            return False
        fits = any(answer.shape[answer.ndim - len(last) :] == last for last in self.lasts)
        return fits and bool(np.isfinite(answer).all() and np.isfinite(expected).all())


DRAWINGS = {
    "points": Drawing(draw_points, 2, ((2,), (3,))),
    "pixels": Drawing(draw_pixels, 2, ((2,),)),
    "body": Drawing(draw_body, 2, ((3,),)),
    "curve": Drawing(draw_curve, 1),
    "image": Drawing(draw_image, 2),
    "frames": Drawing(draw_frames, 2, ((3, 3), (4, 4))),
}


def _abscissa(item: Item) -> tuple[np.ndarray, str]:
    """What a curve is drawn over, and its name."""
    for number, value in enumerate(item.case.inputs, start=1):
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
            continue
        if value.shape == item.whole:
            return value[item.place].reshape(item.expected.shape), f"argument {number}"
        if value.shape == item.expected.shape:
            return value, f"argument {number}"
    return np.arange(len(item.expected)), "index"


def _join(axes: Axes, item: Item, view: tuple[int, int]) -> None:
    """Lines from where points belong to where they are."""
    pairs = np.stack([item.expected[:, view], item.answer[:, view]], axis=1)
    axes.add_collection(LineCollection(list(pairs), colors=GREY, linewidths=1, zorder=0))


def _legend_below(figure: Figure, axes: Axes) -> None:
    """The legend of ``axes`` under the figure, where it covers nothing."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    """A figure of ``count`` panels side by side."""
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            1, count, figsize=(WIDTH_IN, HEIGHT_IN), squeeze=False, layout="constrained"
        )
    return figure, list(panels[0])
