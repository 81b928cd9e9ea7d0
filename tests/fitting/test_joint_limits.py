"""Joint limits: what lies beyond them by hand, derivatives, limits learned from poses."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.fitting.conftest import make_views
from vhlib.body.skeletons import SMPL_24
from vhlib.fitting import COLD_START, fit_smplify
from vhlib.fitting.posed_body import PosedBody, pack
from vhlib.fitting.priors.joint_limits import JointLimits, limits_of

KNEE, ELBOW = (3 * (SMPL_24.index(name) - 1) for name in ("left_knee", "right_elbow"))


def box(low=-0.5, high=1.0, dtype=torch.float64) -> JointLimits:
    return JointLimits(torch.full((69,), low, dtype=dtype), torch.full((69,), high, dtype=dtype))


@pytest.fixture(scope="module")
def body(small_body) -> PosedBody:
    """Three bodies near a box's limits, in double precision."""
    truth = make_views(small_body, count=3, seed=3).truth
    vector = pack(truth).double()
    generator = torch.Generator().manual_seed(0)
    vector[:, 3:72] = torch.randn(3, 69, generator=generator, dtype=torch.float64)
    return PosedBody(small_body.keypoint_regressor("openpose_25"), vector)


@pytest.mark.parametrize("batch", [(), (4,), (2, 3), (0,)])
def test_only_what_lies_beyond_counts(batch):
    pose = torch.zeros(*batch, 69, dtype=torch.float64)
    pose[..., KNEE], pose[..., ELBOW] = -0.7, 1.3
    beyond = box().beyond(pose)
    expected = torch.zeros_like(pose)
    expected[..., KNEE], expected[..., ELBOW] = -0.2, 0.3
    torch.testing.assert_close(beyond, expected)
    assert torch.equal(box(-2.0, 2.0).beyond(pose), torch.zeros_like(pose))


def test_value_and_derivatives(body):
    """Energy by hand; Jacobian and quadratic model against automatic differentiation."""
    limits = box()
    pose = body.body_pose
    by_hand = sum(
        (torch.relu(part) ** 2).sum(-1) for part in (pose - limits.high, limits.low - pose)
    )
    torch.testing.assert_close(limits.energy(body), by_hand)
    torch.testing.assert_close(limits.jacobian(body), super(JointLimits, limits).jacobian(body))
    quadratic = limits.quadratic(body)

    def energy(pose):
        return limits.beyond(pose).square().sum()

    for i, theta in enumerate(pose):
        assert torch.equal(quadratic.gradient[i], torch.func.grad(energy)(theta))
        hessian = torch.autograd.functional.hessian(energy, theta)
        torch.testing.assert_close(quadratic.hessian[i], hessian)
    torch.testing.assert_close(quadratic.energy, by_hand)
    assert quadratic.unknowns == body.slices["body_pose"]


def test_a_fit_keeps_within_limits(small_body):
    """The knee's limit is wrong for these views on purpose: the fit must give way to it."""
    views = make_views(small_body, count=3, seed=0)
    low, high = torch.full((69,), -3.0), torch.full((69,), 3.0)
    high[KNEE] = -0.2
    schedule = [replace(s, weights={**s.weights, "joint_limits": 1000.0}) for s in COLD_START]
    limited = JointLimits(low, high)
    fits = [
        fit_smplify(
            small_body, views.camera, views.keypoints, extra_terms=[term], schedule=schedule
        )
        for term in (JointLimits(low, -low), limited)
    ]
    knees = [pack(fit.body_parameters)[:, 3 + KNEE] for fit in fits]
    assert (knees[0] > 0).all()
    assert (knees[1] < -0.19).all()


class TestLimitsOf:
    def poses(self, count=1000, seed=0):
        generator = torch.Generator().manual_seed(seed)
        return torch.rand(count, 69, generator=generator, dtype=torch.float64)

    def test_leaves_out_the_share_at_either_end(self):
        """Of uniform draws; y and z of a joint also occur negated, at the other side's joint."""
        limits = limits_of(self.poses(), share=0.1)
        low, high = limits.low.unflatten(0, (23, 3)), limits.high.unflatten(0, (23, 3))
        torch.testing.assert_close(low[:, 0], low.new_full((23,), 0.1), atol=0.03, rtol=0)
        torch.testing.assert_close(high[:, 0], low.new_full((23,), 0.9), atol=0.03, rtol=0)
        torch.testing.assert_close(low[:, 1:], low.new_full((23, 2), -0.8), atol=0.05, rtol=0)
        torch.testing.assert_close(high[:, 1:], low.new_full((23, 2), 0.8), atol=0.05, rtol=0)

    def test_without_a_share_every_pose_lies_within(self):
        poses = self.poses()
        assert limits_of(poses, share=0.0).beyond(poses).abs().max() == 0

    def test_sides_mirror_each_other(self):
        limits = limits_of(self.poses(50))
        corners = torch.stack([limits.low, limits.high]).unflatten(-1, (23, 3))
        flip = torch.from_numpy(SMPL_24.flip_permutation[1:] - 1)
        mirrored = corners[:, flip] * corners.new_tensor([1.0, -1.0, -1.0])
        assert torch.equal(mirrored.sort(0).values, corners)

    def test_rotations_of_a_hinge(self):
        """A knee that bent from 0 to 2 radians may not bend the other way."""
        pose = torch.zeros(100, 23, 3, dtype=torch.float64)
        pose[:, SMPL_24.index("left_knee") - 1, 0] = torch.linspace(0, 2, 100, dtype=torch.float64)
        limits = limits_of(pose.flatten(1), share=0.0)
        assert (limits.low[KNEE], limits.high[KNEE]) == (0, 2)


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (torch.zeros(63), torch.ones(63), r"\(63,\) and \(63,\), expected \(69,\)"),
        (torch.ones(69), torch.zeros(69), "the low ones below the high ones"),
        (torch.zeros(69), torch.full((69,), torch.nan), "must be finite"),
        (torch.full((69,), -torch.inf), torch.zeros(69), "must be finite"),
    ],
)
def test_limits_that_are_none_are_named(low, high, message):
    with pytest.raises(ValueError, match=message):
        JointLimits(low, high)
