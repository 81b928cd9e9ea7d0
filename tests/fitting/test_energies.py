"""SMPLify's own terms: their values by hand, and their limits. See test_every_term.py too."""

from __future__ import annotations

import math

import pytest
import torch

from vhlib.body import Keypoints
from vhlib.body.skeletons import SMPL_24
from vhlib.fitting.energies import (
    BENT_JOINTS,
    Bending,
    Reprojection,
    ShapePrior,
)
from vhlib.fitting.posed_body import PosedBody, pack
from vhlib.fitting.robust import GemanMcClure


def test_geman_mcclure_saturates_and_its_pull_peaks():
    sigma = 100.0
    r = torch.linspace(0, 1000, 100_001, dtype=torch.float64, requires_grad=True)
    value, slope = GemanMcClure(sigma)(r.square())
    (pull,) = torch.autograd.grad(value.sum(), r)
    torch.testing.assert_close(pull, 2 * slope * r)
    assert r[pull.argmax()].item() == pytest.approx(sigma / math.sqrt(3), abs=0.01)
    at_sigma, _ = GemanMcClure(sigma)(torch.tensor(sigma**2))
    assert at_sigma == sigma**2 / 2
    far, far_slope = GemanMcClure(sigma)(torch.tensor(1e12))
    assert far == pytest.approx(sigma**2, rel=1e-6)
    assert far_slope < 1e-12


def test_reprojection_counts_confidence_squared_and_ignores_the_unseen(views):
    regressor = views.smpl.keypoint_regressor("openpose_25")
    body = PosedBody(regressor, pack(views.truth))
    off = views.keypoints.xy + 3.0
    full = Reprojection(views.camera, Keypoints(off, torch.ones(4, 25), "openpose_25"))
    half = Reprojection(views.camera, Keypoints(off, torch.full((4, 25), 0.5), "openpose_25"))
    torch.testing.assert_close(half.energy(body), full.energy(body) / 4)
    confidence = torch.ones(4, 25)
    confidence[:, 4] = 0
    astray = off.clone()
    astray[:, 4] = 1e6
    unseen = Reprojection(views.camera, Keypoints(astray, confidence, "openpose_25"))
    assert (unseen.energy(body) < full.energy(body)).all()


def test_reprojection_is_measured_on_a_person_of_200_pixels(views):
    """Twice the focal length and twice the picture give the same energy."""
    body = PosedBody(views.smpl.keypoint_regressor("openpose_25"), pack(views.truth))
    xy = views.keypoints.xy + torch.randn(4, 25, 2, generator=torch.Generator().manual_seed(0))
    small = Reprojection(views.camera, Keypoints(xy, torch.ones(4, 25), "openpose_25"))
    large = Reprojection(
        views.camera.resized((1600, 2000)), Keypoints(2 * xy, torch.ones(4, 25), "openpose_25")
    )
    torch.testing.assert_close(small.energy(body), large.energy(body), rtol=1e-3, atol=1e-3)


def test_bending_is_one_at_a_straight_limb_and_small_where_it_bends_well(small_body):
    regressor = small_body.keypoint_regressor("openpose_25")
    straight = PosedBody(regressor, torch.zeros(1, 86))
    assert Bending().energy(straight).item() == 4.0
    vector = torch.zeros(1, 86)
    for name, axis, angle in (
        ("left_elbow", 1, -1.0),
        ("right_elbow", 1, 1.0),
        ("left_knee", 0, 1.0),
        ("right_knee", 0, 1.0),
    ):
        vector[:, 3 * SMPL_24.index(name) + axis] = angle
    bent = Bending().energy(PosedBody(regressor, vector))
    assert bent.item() == pytest.approx(4 * math.exp(-2.0), rel=1e-6)
    wrong = Bending().energy(PosedBody(regressor, -vector))
    assert wrong.item() == pytest.approx(4 * math.exp(2.0), rel=1e-6)


def test_bent_joints_are_smplify_s_entries_of_the_pose_vector():
    """55, 58, 12 and 15 of the 72 with signs +, -, -, - (facts of the released code)."""
    entries = [3 * SMPL_24.index(name) + axis for name, axis, _ in BENT_JOINTS]
    assert entries == [55, 58, 12, 15]
    assert [sign for *_, sign in BENT_JOINTS] == [1, -1, -1, -1]


def test_shape_prior_is_the_squared_length_of_betas(small_body):
    regressor = small_body.keypoint_regressor("openpose_25")
    vector = torch.zeros(1, 86)
    vector[:, 72:82] = torch.arange(10.0)
    assert ShapePrior().energy(PosedBody(regressor, vector)).item() == 285.0
