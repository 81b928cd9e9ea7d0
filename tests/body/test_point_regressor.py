"""The analytic derivatives of keypoints against automatic and numeric ones."""

from __future__ import annotations

import pytest
import torch

from tests.random_body import random_model
from vhlib.body import SMPL
from vhlib.body.skeletons import SKELETONS
from vhlib.geometry import axis_angle_to_matrix


@pytest.fixture(scope="module")
def smpl():
    return SMPL(random_model(num_vertices=600, seed=1)).double()


def turned(rotations: torch.Tensor, delta: torch.Tensor) -> torch.Tensor:
    """Every joint turned by exp([delta]) in its parent's frame."""
    return axis_angle_to_matrix(delta) @ rotations


@pytest.mark.parametrize("skeleton", sorted(SKELETONS))
def test_jacobian_equals_automatic_differentiation(smpl, skeleton):
    g = torch.Generator().manual_seed(0)
    betas = torch.randn(2, 10, generator=g, dtype=torch.float64)
    rotations = axis_angle_to_matrix(torch.randn(2, 24, 3, generator=g, dtype=torch.float64))
    regressor = smpl.keypoint_regressor(skeleton)
    linear = regressor.linearize(betas, rotations)
    torch.testing.assert_close(linear.points, regressor.points(betas, rotations))
    for sample in range(2):
        one = slice(sample, sample + 1)

        def points(delta, betas, one=one):
            return regressor.points(betas[None], turned(rotations[one], delta))[0]

        d_turn, d_betas = torch.func.jacrev(points, argnums=(0, 1))(
            torch.zeros(24, 3, dtype=torch.float64), betas[sample]
        )
        torch.testing.assert_close(linear.d_rotation[sample], d_turn, rtol=0, atol=1e-12)
        torch.testing.assert_close(linear.d_betas[sample], d_betas, rtol=0, atol=1e-12)


def test_jacobian_equals_finite_differences(smpl):
    """Central differences, so that a fault shared with autograd would show too."""
    regressor = smpl.keypoint_regressor("openpose_25")
    g = torch.Generator().manual_seed(3)
    betas = torch.randn(1, 10, generator=g, dtype=torch.float64)
    rotations = axis_angle_to_matrix(torch.randn(1, 24, 3, generator=g, dtype=torch.float64))
    linear, step = regressor.linearize(betas, rotations), 1e-5
    for joint in (0, 4, 16, 20):
        for axis in range(3):
            delta = torch.zeros(24, 3, dtype=torch.float64)
            delta[joint, axis] = step
            ahead = regressor.points(betas, turned(rotations, delta))
            behind = regressor.points(betas, turned(rotations, -delta))
            numeric = (ahead - behind) / (2 * step)
            torch.testing.assert_close(
                linear.d_rotation[..., joint, axis], numeric, rtol=1e-7, atol=1e-9
            )


def test_forty_pairs_stand_for_the_mesh(smpl):
    regressor = smpl.keypoint_regressor("openpose_25")
    assert regressor.bone.numel() <= 4 * 11
