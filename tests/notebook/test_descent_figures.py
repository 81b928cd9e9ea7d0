"""Landscapes of two unknowns: paths begin and end where they should, steps too."""

from __future__ import annotations

import numpy as np

from vhlib.notebook.descent_figures import landscape_figure, steps_figure

BOX, LABELS = (-1.0, 1.0, -1.0, 1.0), ("x", "y")


def bowl(x: np.ndarray) -> float:
    return float(x @ x)


def test_paths_are_drawn_whole_and_counted():
    path = [np.array([0.5, 0.5]), np.array([0.2, 0.1]), np.array([0.0, 0.0])]
    axes = landscape_figure(bowl, {"downhill": path}, BOX, LABELS).axes[0]
    np.testing.assert_allclose(axes.lines[0].get_xydata(), path)
    assert axes.lines[0].get_label() == "downhill: 2 steps"


def test_a_step_that_leaves_the_picture_is_still_drawn():
    start, steps = np.array([0.5, 0.5]), {"far": np.array([9.0, 9.0]), "near": np.array([0.1, 0])}
    axes = steps_figure(bowl, start, steps, BOX, LABELS).axes[0]
    np.testing.assert_allclose(axes.lines[0].get_xydata()[1], [9.5, 9.5])
    assert axes.get_xlim() == BOX[:2]
