"""Bodies on white, and the spheres that stand for them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vhlib.body import BodyParameters
from vhlib.body.capsules import fit_capsules
from vhlib.notebook.body_figures import (
    bodies_figure,
    front_camera,
    placed_spheres,
    small_picture,
    spheres_picture,
)
from vhlib.notebook.prior_figures import bump_figure, hinge_figure


def at_rest(count: int, transl: float = 0.0) -> BodyParameters:
    return BodyParameters(
        torch.zeros(count, 10),
        torch.eye(3).expand(count, 23, 3, 3),
        torch.eye(3).expand(count, 3, 3),
        torch.full((count, 3), transl),
    )


def test_each_body_has_a_picture_and_its_title(smpl):
    axes = bodies_figure(smpl, at_rest(3), ["a", "b", "c"], columns=2).axes
    assert [a.get_title() for a in axes] == ["a", "b", "c", ""]
    assert [len(a.images) for a in axes] == [1, 1, 1, 0]


def test_a_body_stands_in_the_middle_wherever_it_was(smpl):
    near, far = (small_picture(smpl, at_rest(1, transl)[0], 0.0) for transl in (0.0, 7.0))
    np.testing.assert_array_equal(near, far)
    columns = np.nonzero((near < 250).any((0, 2)))[0]
    assert abs(columns.mean() - near.shape[1] / 2) < 5


def test_the_camera_sees_up_as_up_and_the_body_s_left_on_the_right():
    head, left = front_camera(0.0).project(torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]))
    middle = torch.tensor(front_camera(0.0).image_size) / 2
    assert head[1] < middle[1]
    assert left[0] > middle[0]


def test_spheres_move_with_the_body_and_lie_within_its_outline(smpl):
    spheres = fit_capsules(smpl).spheres()
    body = at_rest(1)[0]
    centers, radii = placed_spheres(smpl, spheres, body)
    moved, _ = placed_spheres(smpl, spheres, at_rest(1, 0.5)[0])
    torch.testing.assert_close(moved, centers + 0.5)
    assert (radii > 0).all()
    vertices = smpl(**vars(body)).vertices
    assert (centers >= vertices.amin(0)).all()
    assert (centers <= vertices.amax(0)).all()
    picture = spheres_picture(smpl, spheres, body, front_camera())
    assert (picture < 250).any()


def test_curves_pass_through_what_can_be_said_by_hand():
    hinge = hinge_figure({"original": 15.2}).axes[0].lines[0]
    straight = np.interp(0.0, hinge.get_xdata(), hinge.get_ydata())
    assert straight == pytest.approx(15.2**2, rel=1e-3)
    bump = bump_figure().axes[0].lines[0]
    assert bump.get_ydata()[0] == 1.0
    assert np.interp(0.3 * 2**0.5, bump.get_xdata(), bump.get_ydata()) == pytest.approx(
        np.exp(-1), rel=1e-3
    )
