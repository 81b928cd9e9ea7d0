"""Figures of keypoints: they hold what they are given, and in looks that don't need colour."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vhlib.fitting import GemanMcClure, Huber, Squares
from vhlib.notebook.keypoint_figures import (
    ambiguity_figure,
    kernel_figure,
    location_figure,
    outlier_figure,
)

KERNELS = {"squares": Squares(), "Huber": Huber(5.0), "Geman-McClure": GemanMcClure(15.0)}


def test_kernel_figure_draws_cost_and_pull():
    cost, pull = kernel_figure(KERNELS, 40.0, (400.0, 30.0)).axes
    r, squares = cost.lines[0].get_data()
    np.testing.assert_allclose(squares, np.square(r))
    np.testing.assert_allclose(pull.lines[0].get_ydata(), np.gradient(squares, r), atol=0.2)
    assert len({line.get_linestyle() for line in cost.lines}) == len(KERNELS)


def test_location_figure_marks_the_mean_as_the_least_of_squares():
    points = [-4.0, -1.0, 2.0, 5.0, 60.0]
    axes = location_figure(points, KERNELS).axes[0]
    least = axes.lines[1].get_xdata()[0]
    assert least == pytest.approx(np.mean(points), abs=0.2)


def test_outlier_figure_has_a_panel_for_each_point():
    damage = {"hip": {"squares": [1.0, 2.0], "Huber": [1.0, 1.0]}, "wrist": {"squares": [3.0, 4.0]}}
    hip, wrist = outlier_figure([50, 100], damage).axes
    assert [len(hip.lines), len(wrist.lines)] == [2, 1]
    assert list(wrist.lines[0].get_ydata()) == [3.0, 4.0]


def test_both_wrists_lie_on_the_circle_and_on_the_line_of_sight():
    elbow = torch.tensor([0.3, -0.2, 3.0])
    sight = torch.tensor([0.05, -0.1, 1.0])
    sight = sight / sight.norm()
    middle = sight @ elbow
    half = (middle**2 - elbow @ elbow + 0.5**2).sqrt()
    wrists = torch.stack([(middle - half) * sight, (middle + half) * sight])
    axes = ambiguity_figure(elbow, wrists).axes[0]
    circle = axes.patches[0]
    for line in axes.lines[:2]:
        wrist = line.get_xydata()[1]
        assert wrist[1] == pytest.approx(0.0, abs=1e-3)
        assert np.linalg.norm(wrist - circle.center) == pytest.approx(circle.radius, abs=1e-3)
