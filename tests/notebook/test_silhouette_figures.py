"""What the figures of outlines show, read back from their own artists."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.contour import ContourSet

from vhlib.notebook.silhouette_figures import silhouette_figure

PHOTO = np.full((80, 60, 3), 200, dtype=np.uint8)


def square(top: int, left: int, side: int) -> np.ndarray:
    mask = np.zeros((80, 60), dtype=bool)
    mask[top : top + side, left : left + side] = True
    return mask


def outlines(axes: plt.Axes) -> list[np.ndarray]:
    """The corners of each outline in its colour, over the white ones."""
    sets = [child for child in axes.get_children() if isinstance(child, ContourSet)]
    return [np.concatenate([path.vertices for path in s.get_paths()]) for s in sets[1::2]]


def test_outlines_lie_on_the_borders_of_the_pixels():
    axes = silhouette_figure(PHOTO, person=square(20, 10, 20), body=square(25, 15, 20)).axes[0]

    body, person = outlines(axes)
    np.testing.assert_allclose(np.r_[person.min(0), person.max(0)], [10, 20, 30, 40])
    np.testing.assert_allclose(np.r_[body.min(0), body.max(0)], [15, 25, 35, 45])


def test_what_only_one_covers_is_tinted():
    axes = silhouette_figure(PHOTO, person=square(20, 10, 20), body=square(25, 15, 20)).axes[0]

    _, beyond, short = (image.get_array() for image in axes.images)
    assert (beyond[..., 3] > 0).sum() == (short[..., 3] > 0).sum() == 400 - 225
    assert beyond[44, 34, 3] == short[20, 10, 3] == 0.5
    assert beyond[30, 20, 3] == short[30, 20, 3] == 0


def test_the_overlap_is_in_the_title():
    mask = square(20, 10, 20)

    same = silhouette_figure(PHOTO, mask, mask, title="the same").axes[0].get_title()
    apart = silhouette_figure(PHOTO, mask, square(50, 35, 20)).axes[0].get_title()

    assert same == "the same\nIoU 1.000"
    assert apart == "IoU 0.000"


def test_the_part_with_both_is_shown_and_no_more_than_the_photo():
    axes = silhouette_figure(PHOTO, square(20, 10, 20), square(60, 30, 20)).axes[0]

    assert axes.get_xlim() == pytest.approx((10 - 3.6, 50 + 3.6))
    assert axes.get_ylim() == pytest.approx((80, 20 - 3.6))


def test_an_outline_that_leaves_the_photo_is_closed_at_its_edge():
    axes = silhouette_figure(PHOTO, square(0, 0, 30), square(60, 30, 20)).axes[0]

    _, person = outlines(axes)
    np.testing.assert_allclose(np.r_[person.min(0), person.max(0)], [0, 0, 30, 30])


def test_shares_of_pixels_are_outlined_at_one_half():
    ramp = np.clip((np.arange(60) + 0.5 - 20) / 20, 0, 1) * np.ones((80, 1))

    axes = silhouette_figure(PHOTO, ramp, square(20, 10, 20)).axes[0]

    _, person = outlines(axes)
    assert person[:, 0].min() == pytest.approx(30, abs=0.51)


def test_nobody_at_all_is_drawn_too():
    nobody = np.zeros((80, 60), dtype=bool)

    axes = silhouette_figure(PHOTO, nobody, nobody).axes[0]

    assert axes.get_xlim() == (0, 60)
    assert outlines(axes) == []
