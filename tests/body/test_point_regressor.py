"""The analytic derivatives of keypoints against automatic and numeric ones."""

from __future__ import annotations

import pytest
import torch

from tests.random_body import random_model
from vhlib.body import SMPL
from vhlib.body.skeletons import SKELETONS, SMPL_24, Skeleton
from vhlib.geometry import axis_angle_to_matrix, left_jacobian


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


def test_a_jacobian_by_axis_angle(smpl):
    """With the left Jacobian as turns, the derivatives are those by the axis-angle itself."""
    g = torch.Generator().manual_seed(4)
    betas = torch.randn(2, 10, generator=g, dtype=torch.float64)
    axis_angle = torch.randn(2, 24, 3, generator=g, dtype=torch.float64)
    regressor = smpl.keypoint_regressor("openpose_25")
    linear = regressor.linearize(betas, axis_angle_to_matrix(axis_angle), left_jacobian(axis_angle))
    for sample in range(2):

        def points(axis_angle, sample=sample):
            return regressor.points(betas[sample, None], axis_angle_to_matrix(axis_angle[None]))[0]

        expected = torch.func.jacrev(points)(axis_angle[sample])
        torch.testing.assert_close(linear.d_rotation[sample], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("skeleton", ["smpl_24", "openpose_25"])
def test_no_bodies_have_no_points(smpl, skeleton):
    rotations = torch.zeros(0, 24, 3, 3, dtype=torch.float64)
    betas = torch.zeros(0, 10, dtype=torch.float64)
    linear = smpl.keypoint_regressor(skeleton).linearize(betas, rotations)
    assert linear.d_rotation.shape == (*linear.points.shape, 24, 3)
    assert linear.d_betas.shape == (*linear.points.shape, 10)


def test_points_of_several_skeletons_follow_one_another(smpl):
    g = torch.Generator().manual_seed(5)
    rotations = axis_angle_to_matrix(torch.randn(2, 23, 3, generator=g, dtype=torch.float64))
    together = smpl.keypoints(("smpl_24", "openpose_25"), body_pose=rotations)
    apart = [smpl.keypoints(name, body_pose=rotations) for name in ("smpl_24", "openpose_25")]
    torch.testing.assert_close(together, torch.cat(apart, 1))


def test_another_skeleton_of_the_same_name_is_another_skeleton(smpl):
    first, second = (Skeleton("mine", {"a": {joint: 1.0}}) for joint in ("left_knee", "head"))
    joints = smpl.keypoints("smpl_24")
    for skeleton, joint in ((first, "left_knee"), (second, "head"), (first, "left_knee")):
        found = smpl.keypoints(skeleton)
        torch.testing.assert_close(found[0], joints[SMPL_24.index(joint)])


def test_a_regressor_made_in_inference_mode_still_takes_gradients():
    smpl = SMPL(random_model(num_vertices=600, seed=1))
    with torch.inference_mode():
        smpl.keypoints("openpose_25")
    transl = torch.zeros(3, requires_grad=True)
    betas = torch.zeros(10, requires_grad=True)
    smpl.keypoints("openpose_25", betas=betas, transl=transl).sum().backward()
    assert betas.grad.isfinite().all()
    assert transl.grad.tolist() == [25.0] * 3
