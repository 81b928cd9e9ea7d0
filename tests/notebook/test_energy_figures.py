"""What the figures of a minimisation show, read back from their own artists."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from vhlib.fitting.solvers import Evaluations, Solution, StopReason
from vhlib.fitting.sparsity import JacobianPattern
from vhlib.notebook.energy_figures import (
    ARRIVED,
    race_figure,
    sparsity_figure,
    spread,
    terms_figure,
)


def run(energies: list[float], seconds_each: float, stopped_after: int | None = None) -> Solution:
    """One body's way down."""
    steps = len(energies) - 1
    history = torch.tensor(energies)[:, None]
    times = torch.full((steps,), seconds_each, dtype=torch.float64)
    iterations = torch.tensor([steps if stopped_after is None else stopped_after])
    return Solution(
        vector=torch.zeros(1, 3),
        energy=history.amin(0),
        energy_history=history,
        energy_terms={"only": history},
        iterations=iterations,
        stopped=(StopReason.CONVERGED,),
        evaluations=Evaluations.only(energy=iterations),
        seconds=times,
        cpu_seconds=times,
    )


def curves(figure: plt.Figure) -> dict[str, np.ndarray]:
    """Name -> points."""
    return {line.get_label(): line.get_xydata() for line in figure.axes[0].lines}


def test_a_race_is_run_from_the_start_to_the_lowest_of_all():
    slow, fast = run([1010.0, 500.0, 510.0, 110.0], 0.1), run([1010.0, 10.0], 0.002)

    drawn = curves(race_figure({"slow": slow, "fast": fast}))

    floor = ARRIVED * 1000
    np.testing.assert_allclose(drawn["slow"][:, 1], [1000, 490, 490, 100])
    np.testing.assert_allclose(drawn["fast"][:, 1], [1000, floor])
    np.testing.assert_allclose(drawn["slow"][1:, 0], [100, 200, 300], rtol=1e-6)
    np.testing.assert_allclose(drawn["fast"][1:, 0], [2])
    assert drawn["fast"][0, 0] == drawn["slow"][0, 0] == 1, "the start, left of the first step"


def test_a_curve_ends_where_its_body_stopped():
    long = run([100.0, 50.0, 20.0, 20.0, 20.0], 0.1, stopped_after=2)

    assert len(curves(race_figure({"long": long}))["long"]) == 3


def test_a_race_that_nobody_left_can_be_drawn():
    drawn = curves(race_figure({"stuck": run([5.0, 5.0], 0.1), "too": run([5.0], 0.1)}))
    alone = curves(race_figure({"stuck": run([5.0], 0.1)}))

    assert np.isfinite(np.concatenate([*drawn.values(), *alone.values()])).all()


def test_every_runner_is_named_and_looks_different():
    runs = {f"method {i}": run([100.0, 10.0], 0.1 * (i + 1)) for i in range(7)}

    axes = race_figure(runs).axes[0]

    names = [text for text in axes.texts if text.get_text() in runs]
    assert len(names) == 7
    heights = sorted(text.get_position()[1] for text in names)
    assert min(np.diff(heights)) > 0.05, "none over another"
    looks = {(line.get_color(), line.get_linestyle(), line.get_marker()) for line in axes.lines}
    assert len(looks) == 7


@pytest.mark.parametrize(
    ("heights", "expected"),
    [
        ([0.1, 0.5, 0.9], [0.1, 0.5, 0.9]),
        ([0.5, 0.5], [0.45, 0.55]),
        ([0.55, 0.5], [0.575, 0.475]),
        ([0.5, 0.52, 0.62], [0.4467, 0.5467, 0.6467]),
        ([0.3], [0.3]),
    ],
)
def test_names_part_as_little_as_they_must(heights, expected):
    assert spread(heights, 0.1) == pytest.approx(expected, abs=1e-3)


def test_parted_names_keep_order_distance_and_middle():
    heights = np.random.default_rng(0).random(9)

    places = np.array(spread(heights.tolist(), 0.12))

    assert (np.argsort(places) == np.argsort(heights)).all()
    assert np.diff(np.sort(places)).min() > 0.12 - 1e-9
    assert places.mean() == pytest.approx(heights.mean())


def test_terms_stand_beside_each_other_and_missing_ones_are_off():
    cases = {
        "all": {"reprojection": 47.4, "pose_prior": 924.0},
        "without prior": {"reprojection": 5.0},
    }

    figure = terms_figure(cases)

    left, right = figure.axes
    assert [left.get_title(), right.get_title()] == ["reprojection", "pose prior"]
    assert [bar.get_width() for bar in left.patches] == [47.4, 5.0]
    assert [text.get_text() for text in left.texts] == [" 47", " 5"]
    assert [text.get_text() for text in right.texts] == [" 924", " off"]
    assert [label.get_text() for label in left.get_yticklabels()] == list(cases)


def test_the_pattern_is_drawn_with_its_blocks_named():
    felt = torch.zeros(12, 6, dtype=torch.bool)
    felt[:10, :3] = True
    felt[10:, 3:] = True
    terms = {"reprojection": slice(0, 10), "shape_prior": slice(10, 12)}
    columns = {"left_knee": slice(0, 3), "betas": slice(3, 6)}
    pattern = JacobianPattern(felt, tuple(map(str, range(12))), terms, columns)

    axes = sparsity_figure(pattern).axes[0]

    np.testing.assert_array_equal(axes.images[0].get_array(), felt)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["left knee", "betas"]
    assert axes.get_xticks().tolist() == [1.5, 4.5]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == [
        "reprojection\n10 residuals",
        "shape prior",
    ]
    assert axes.get_title() == "50 % of the Jacobian's entries aren't zero"
