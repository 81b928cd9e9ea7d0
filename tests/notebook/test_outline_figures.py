"""Figures about outlines on small grids."""

from __future__ import annotations

import numpy as np

from vhlib.notebook.clips import person_mask, stand_in_clip
from vhlib.notebook.outline_figures import distance_figure, masks_figure, shift_figure


def test_outlines_are_drawn_closed_over_the_distances():
    mask = np.zeros((20, 30), dtype=bool)
    mask[5:10, 5:10] = True
    square = np.array([[1.0, 1.0], [9.0, 1.0], [9.0, 9.0], [1.0, 9.0]])
    axes = distance_figure(mask, np.where(mask, 0.0, 1.0), {"square": square}).axes[0]
    np.testing.assert_allclose(axes.lines[0].get_xydata(), np.concatenate([square, square[:1]]))
    assert axes.get_ylim() == (20.0, 0.0)


def test_zero_is_marked_only_where_it_is_in_sight():
    def lines(low: float, high: float) -> int:
        shifts = np.linspace(low, high, 5)
        return len(shift_figure(shifts, {"sharp": shifts**2}).axes[0].lines)

    assert lines(-1.0, 1.0) == 2
    assert lines(1.0, 2.0) == 1


def test_each_pair_of_masks_has_a_panel():
    mask = np.zeros((20, 30))
    mask[5:10, 5:10] = 1.0
    assert [a.get_title() for a in masks_figure({"a": (mask, mask), "b": (mask, mask)}).axes] == [
        "a",
        "b",
    ]


def test_the_stand_in_s_mask_is_where_its_body_is_drawn():
    clip = stand_in_clip()
    mask = person_mask(clip, 1, 10)
    points = clip.cameras[1].project(clip.truth()[10]).long()
    assert mask.shape == clip.frame(1, 10).shape[:2]
    assert mask[points[:, 1], points[:, 0]].mean() > 0.9
