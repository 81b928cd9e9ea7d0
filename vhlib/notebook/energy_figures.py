"""The figures of a minimisation: who is faster, what each term costs, who feels whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from vhlib.fitting.solvers import Solution
from vhlib.fitting.sparsity import JacobianPattern
from vhlib.notebook.palette import BLUE, STYLE, line, look

# What lies nearer to the lowest energy than this share of the start's height counts as there.
ARRIVED = 1e-4
# Of the axes' height: names beside curves stand no nearer to each other.
LABEL_DISTANCE = 0.062


def race_figure(solutions: Mapping[str, Solution], body: int = 0) -> Figure:
    """How high each method's energy still is above the lowest that any found, against CPU time.

    Both axes are logarithmic. Each curve is the lowest energy so far, its markers are iterations,
    and it bears its name at its end. A curve that touches the floor has arrived. All methods must
    have started in one place.
    """
    energies = {name: _lowest_so_far(run, body) for name, run in solutions.items()}
    lowest = min(energy[-1] for energy in energies.values())
    height = max(energy[0] for energy in energies.values()) - lowest
    floor = ARRIVED * height if height > 0 else 1.0
    seconds = {name: _seconds(run, body) for name, run in solutions.items()}
    first = min((times[1] for times in seconds.values() if len(times) > 1), default=1.0)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
        ends = {}
        for number, name in enumerate(solutions):
            y = np.maximum(energies[name] - lowest, floor)
            x = np.maximum(1000 * seconds[name], 500 * first)  # a logarithm has no zero
            axes.loglog(x, y, **look(number), linewidth=2.5, markevery=0.08, label=name)
            ends[name] = (x[-1], y[-1])
        axes.set_ylim(floor / 1.5, 1.5 * max(height, floor))
        axes.set(xlabel="CPU time in ms", ylabel="energy above the lowest found")
        _name_curves(axes, ends)
    return figure


def _lowest_so_far(run: Solution, body: int) -> Float[np.ndarray, " I"]:
    history = run.energy_history[: int(run.iterations[body]) + 1, body]
    return np.minimum.accumulate(history.double().numpy())


def _seconds(run: Solution, body: int) -> Float[np.ndarray, " I"]:
    used = run.cpu_seconds[: int(run.iterations[body])].double().numpy()
    return np.concatenate([[0.0], np.cumsum(used)])


def _name_curves(axes: Axes, ends: Mapping[str, tuple[float, float]]) -> None:
    """Each curve's name to the right of the axes, a thin line from its end, none over another."""
    bottom, top = np.log(axes.get_ylim())
    heights = [(np.log(y) - bottom) / (top - bottom) for _, y in ends.values()]
    places = spread(heights, LABEL_DISTANCE)
    for number, ((name, end), place) in enumerate(zip(ends.items(), places, strict=True)):
        axes.annotate(
            name,
            xy=end,
            xytext=(1.03, place),
            textcoords="axes fraction",
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "linewidth": 1.2, "shrinkA": 2, **line(number)},
        )


def spread(heights: Sequence[float], distance: float) -> list[float]:
    """The heights, parted until none is nearer than ``distance``; order and mean stay.

    Those that are too near form a group, which stands around its middle.
    """

    def places(group: list[float]) -> list[float]:
        lowest = float(np.mean(group)) - distance * (len(group) - 1) / 2
        return [lowest + distance * rank for rank in range(len(group))]

    order = np.argsort(heights, kind="stable")
    groups: list[list[float]] = []
    for index in order:
        groups.append([float(heights[index])])
        while len(groups) > 1 and places(groups[-1])[0] - places(groups[-2])[-1] < distance:
            groups[-2:] = [groups[-2] + groups[-1]]
    parted = np.empty(len(order))
    parted[order] = [place for group in groups for place in places(group)]
    return parted.tolist()


def terms_figure(cases: Mapping[str, Mapping[str, float]]) -> Figure:
    """What each term costs in each case, a panel for each term; "off" where a case lacks it.

    cases: name -> term -> energy, such as a fit's ``energy_terms``.
    """
    terms = list(dict.fromkeys(term for energies in cases.values() for term in energies))
    with plt.rc_context(STYLE):
        figure, row = plt.subplots(
            1,
            len(terms),
            figsize=(1.6 + 2.1 * len(terms), 1.1 + 0.45 * len(cases)),
            sharey=True,
            squeeze=False,
            layout="constrained",
        )
        for axes, term in zip(row[0], terms, strict=True):
            values = [float(energies.get(term, 0.0)) for energies in cases.values()]
            bars = axes.barh(list(cases), values, color=BLUE, height=0.7)
            labels = [
                f" {value:.0f}" if term in energies else " off"
                for value, energies in zip(values, cases.values(), strict=True)
            ]
            axes.bar_label(bars, labels)
            axes.set_title(term.replace("_", " "), fontsize=13)
            axes.set(xmargin=0.35, xticks=[])
            axes.spines["bottom"].set_visible(False)
        row[0, 0].invert_yaxis()
    return figure


def sparsity_figure(pattern: JacobianPattern) -> Figure:
    """Which residual feels which unknown: residuals downwards by term, unknowns across by joint."""
    rows, columns = pattern.felt.shape
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(11, 2 + 0.05 * rows), layout="constrained")
        axes.imshow(
            pattern.felt.numpy(),
            cmap=ListedColormap(["white", BLUE]),
            aspect="auto",
            interpolation="nearest",
            extent=(0, columns, rows, 0),
            vmin=0,
            vmax=1,
        )
        _label_blocks(axes, pattern)
        axes.set_title(f"{100 * pattern.share:.0f} % of the Jacobian's entries aren't zero", pad=10)
    return figure


def _label_blocks(axes: Axes, pattern: JacobianPattern) -> None:
    """A line around every block, and its name beside it."""
    for block in pattern.columns.values():
        axes.axvline(block.start, color="0.8", linewidth=0.5)
    for block in pattern.terms.values():
        axes.axhline(block.start, color="black", linewidth=1)
    across = [(block.start + block.stop) / 2 for block in pattern.columns.values()]
    down = [(block.start + block.stop) / 2 for block in pattern.terms.values()]
    names = [name.replace("_", " ") for name in pattern.columns]
    axes.set_xticks(across, names, rotation=90, fontsize=9)
    sizes = [block.stop - block.start for block in pattern.terms.values()]
    terms = [
        f"{name.replace('_', ' ')}\n{size} residuals" if size > 8 else name.replace("_", " ")
        for name, size in zip(pattern.terms, sizes, strict=True)
    ]
    axes.set_yticks(down, terms, fontsize=11)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(True)
