"""Every term: its value by hand, its Jacobian against numeric derivatives, its limits."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

import vhlib
from tests.fitting.conftest import make_views
from tests.random_body import random_model
from vhlib.body import SMPL, Keypoints
from vhlib.body.skeletons import SMPL_24
from vhlib.fitting.energies import (
    BENT_JOINTS,
    Bending,
    PosePrior,
    Reprojection,
    ShapePrior,
)
from vhlib.fitting.posed_body import PosedBody, pack
from vhlib.fitting.priors.gmm import read_mixture
from vhlib.fitting.robust import GemanMcClure
from vhlib.fitting.solvers import Problem
from vhlib.fitting.terms import Term
from vhlib.geometry import PerspectiveCamera, axis_angle_to_matrix

PRIOR_FILE = Path(vhlib.__file__).parent / "assets" / "priors" / "gmm.npz"


@pytest.fixture(scope="module")
def body(small_body) -> PosedBody:
    """Two candidates near, but not at, the truth of two views, in double precision."""
    views = make_views(small_body, count=2, seed=3)
    g = torch.Generator().manual_seed(1)
    vector = pack(views.truth).double()
    vector = vector + 0.05 * torch.randn(vector.shape, generator=g, dtype=torch.float64)
    double = SMPL(random_model(num_vertices=800, seed=5)).double()
    return PosedBody(double.keypoint_regressor("openpose_25"), vector)


@pytest.fixture(scope="module")
def reprojection(small_body) -> Reprojection:
    views = make_views(small_body, count=2, seed=3)
    g = torch.Generator().manual_seed(2)
    # An exterior pose for the camera, so that its rotation is seen by the Jacobian too.
    T = torch.eye(4, dtype=torch.float64)
    T[:3, :3] = axis_angle_to_matrix(torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64))
    T[:3, 3] = torch.tensor([0.1, 0.2, 0.3])
    camera = PerspectiveCamera((1200.0, 1100.0), (400.0, 500.0), (800, 1000), T)
    keypoints = Keypoints(
        views.keypoints.xy.double(),
        torch.rand(2, 25, generator=g, dtype=torch.float64),
        "openpose_25",
    )
    return Reprojection(camera.to(torch.float64), keypoints)


def all_terms(reprojection: Reprojection) -> list[Term]:
    return [
        reprojection,
        PosePrior(read_mixture(PRIOR_FILE, torch.float64)),
        Bending(),
        ShapePrior(),
    ]


def numeric_jacobian(term: Term, body: PosedBody, step: float = 1e-6) -> torch.Tensor:
    columns = []
    for i in range(body.vector.shape[-1]):
        delta = torch.zeros_like(body.vector)
        delta[:, i] = step
        ahead = term.residuals(PosedBody(body.regressor, body.vector + delta))
        behind = term.residuals(PosedBody(body.regressor, body.vector - delta))
        columns.append((ahead - behind) / (2 * step))
    return torch.stack(columns, -1)


@pytest.mark.parametrize("which", range(4))
def test_jacobians_equal_finite_differences(body, reprojection, which):
    term = all_terms(reprojection)[which]
    numeric = numeric_jacobian(term, body)
    error = (term.jacobian(body) - numeric).norm() / numeric.norm()
    assert error < 1e-7


@pytest.mark.parametrize("which", [0, 2, 3])
def test_written_jacobians_equal_the_automatic_ones(body, reprojection, which):
    term = all_terms(reprojection)[which]
    torch.testing.assert_close(term.jacobian(body), Term.jacobian(term, body), rtol=0, atol=1e-9)


@pytest.mark.parametrize("which", range(4))
def test_quadratics_have_the_gradient_of_the_energy(body, reprojection, which):
    term = all_terms(reprojection)[which]
    vector = body.vector.clone().requires_grad_()
    term.energy(PosedBody(body.regressor, vector)).sum().backward()
    quadratic = Problem(body.regressor, [(term, 1.0)]).quadratic(body.vector)
    torch.testing.assert_close(quadratic.energy, term.energy(body))
    error = (quadratic.gradient - vector.grad).norm() / vector.grad.norm()
    assert error < 1e-10


def test_a_wrong_jacobian_is_caught(body, reprojection):
    """The checks above can fail: one per cent off is found."""

    class SlightlyOff(Reprojection):
        def jacobian(self, body):
            return super().jacobian(body) * 0.99

    planted = SlightlyOff(reprojection.camera, reprojection.keypoints)
    numeric = numeric_jacobian(planted, body)
    assert (planted.jacobian(body) - numeric).norm() / numeric.norm() > 1e-3


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
