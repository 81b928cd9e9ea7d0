"""Figures of rotations draw what they are given, and bodies turn as they are told."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from vhlib.body.skeletons import SMPL_24
from vhlib.geometry import axis_angle_to_matrix
from vhlib.notebook.palette import BLUE, GREEN, VERMILLION
from vhlib.notebook.rotation_figures import (
    Curves,
    blends_figure,
    curves_figure,
    gimbal_figure,
    on_paper,
    pictures_and_curves_figure,
    rest_with,
    turn_figure,
    turned_picture,
)

HALF_TURN = axis_angle_to_matrix(torch.tensor([math.pi, 0.0, 0.0]))
WHITE = np.full((30, 20, 3), 255, np.uint8)


def arrow_tips(axes) -> dict[str, np.ndarray]:
    """Where arrows end, by colour."""
    arrows = [text for text in axes.texts if text.arrow_patch]
    return {to_hex(text.arrow_patch.get_edgecolor()).upper(): np.array(text.xy) for text in arrows}


def test_curves_are_drawn_as_given_and_differ_without_colour():
    curves = Curves([1.0, 2.0], {"a": [3.0, 4.0], "b": [5.0, 6.0]}, ("x", "y"), at=1.5, log=True)
    axes = curves_figure(curves).axes[0]
    assert [list(drawn.get_ydata()) for drawn in axes.lines[:2]] == [[3.0, 4.0], [5.0, 6.0]]
    assert axes.lines[0].get_linestyle() != axes.lines[1].get_linestyle()
    assert list(axes.lines[2].get_xdata()) == [1.5, 1.5]
    assert [axes.get_xscale(), axes.get_xlabel(), axes.get_ylabel()] == ["log", "x", "y"]
    assert len(axes.get_legend().get_texts()) == 2


def test_pictures_stand_before_the_curves():
    curves = Curves([0.0, 1.0], {"a": [0.0, 1.0]}, ("x", "y"))
    first, second, last = pictures_and_curves_figure({"p": WHITE, "q": WHITE}, curves).axes
    assert [first.get_title(), second.get_title()] == ["p", "q"]
    np.testing.assert_array_equal(first.images[0].get_array(), WHITE)
    assert len(last.lines) == 1
    assert last.get_legend() is None


def test_arrows_end_where_the_turn_sends_the_axes():
    omega = torch.tensor([0.3, -1.2, 0.5])
    panels = turn_figure(omega).axes
    for axes, share in zip(panels, (0.0, 0.5, 1.0), strict=True):
        tips, R = arrow_tips(axes), axis_angle_to_matrix(share * omega)
        for color, column, path in zip(
            (VERMILLION, GREEN, BLUE), R.mT, axes.lines[:3], strict=True
        ):
            np.testing.assert_allclose(tips[color], on_paper(column), atol=1e-6)
            np.testing.assert_allclose(path.get_xydata()[-1], tips[color], atol=1e-6)
        np.testing.assert_allclose(tips["#000000"], on_paper(omega / omega.norm()))


def test_on_paper_x_points_right_and_y_up():
    x, y, _ = (on_paper(axis) for axis in torch.eye(3))
    assert x[0] > 0.5
    assert abs(y[0]) < 1e-6
    assert y[1] > 0.5


def test_gimbal_figure_has_an_arrow_for_each_angle():
    locked = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    curve = Curves([0.0, 1.0], {"smallest": [1.0, 0.0]}, ("degrees", "smallest"), at=1.0)
    _, arrows, span = gimbal_figure(WHITE, locked, curve).axes
    tips = arrow_tips(arrows)
    np.testing.assert_allclose(tips[VERMILLION], tips[BLUE])
    assert list(span.lines[0].get_ydata()) == [1.0, 0.0]


def test_rest_with_turns_only_the_named_joints():
    body = rest_with(left_elbow=HALF_TURN, pelvis=HALF_TURN)
    elbow = SMPL_24.index("left_elbow") - 1
    torch.testing.assert_close(body.body_pose[elbow], HALF_TURN)
    torch.testing.assert_close(body.global_orient, HALF_TURN)
    others = [joint for joint in range(23) if joint != elbow]
    torch.testing.assert_close(body.body_pose[others], torch.eye(3).expand(22, 3, 3))
    with pytest.raises(ValueError, match="no point 'left_tail'"):
        rest_with(left_tail=HALF_TURN)


def test_turned_picture_shows_the_root_s_turn_and_ignores_the_place(smpl):
    upright, upside_down = rest_with(), rest_with(pelvis=HALF_TURN)
    up, down = (turned_picture(smpl, body) for body in (upright, upside_down))
    widest = [(picture < 250).any(-1).sum(1).argmax() for picture in (up, down)]
    assert widest[0] < up.shape[0] / 2 < widest[1]  # the arms
    far = turned_picture(smpl, type(upright)(**{**vars(upright), "transl": torch.ones(3)}))
    assert (np.abs(far.astype(int) - up) > 8).mean() < 1e-3


def test_zoom_shows_the_body_larger(smpl):
    once, twice = (
        (turned_picture(smpl, rest_with(), zoom=zoom) < 250).any(-1).sum() for zoom in (0.4, 0.8)
    )
    assert twice == pytest.approx(4 * once, rel=0.1)


def test_a_body_that_is_not_finite_is_refused(smpl):
    with pytest.raises(ValueError, match="aren't finite"):
        turned_picture(smpl, rest_with(left_knee=torch.full((3, 3), math.nan)))


def test_blends_figure_draws_how_far_each_blend_has_turned(smpl):
    quarter = axis_angle_to_matrix(torch.tensor([0.0, math.pi / 2, 0.0]))
    blends = {
        "stays": lambda first, _second, _share: first,
        "even": lambda first, _second, share: (
            first @ axis_angle_to_matrix(torch.tensor([0.0, share * math.pi / 2, 0.0]))
        ),
    }
    *pictures, curves = blends_figure(smpl, blends, (torch.eye(3), quarter), 50).axes

    assert [axes.get_title() for axes in pictures] == ["stays", "even"]
    np.testing.assert_allclose(curves.lines[0].get_ydata(), np.zeros(41), atol=1e-3)
    np.testing.assert_allclose(curves.lines[1].get_ydata(), np.linspace(0, 90, 41), atol=0.1)
    assert list(curves.lines[2].get_xdata()) == [50, 50]
