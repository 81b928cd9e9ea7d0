"""Terms that know a depth, a floor, a focal length or first bodies: values, slopes, and effect."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch

from tests.fitting.conftest import Views, make_views
from tests.random_body import random_model
from vhlib.body import SMPL, BodyParameters
from vhlib.fitting import COLD_START, WARM_START, Fit, fit_smplify
from vhlib.fitting.posed_body import PosedBody, pack
from vhlib.fitting.scene_terms import (
    Anchor,
    DepthPrior,
    FocalPrior,
    Ground,
    Plane,
    Spread,
    sole_points,
)
from vhlib.fitting.terms import Term
from vhlib.geometry import PerspectiveCamera, axis_angle_to_matrix
from vhlib.metrics import pa_mpjpe

FLOOR = Plane(torch.tensor([0.1, -math.sqrt(0.98), 0.1]), 1.4)


@pytest.fixture(scope="module")
def open_body() -> SMPL:
    return SMPL.load()


@pytest.fixture(scope="module")
def double_body() -> SMPL:
    return SMPL(random_model(num_vertices=800, seed=5)).double()


def some_vector(seed: int, count: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.4 * torch.randn(count, 86, generator=generator, dtype=torch.float64)


def bodies(smpl: SMPL, vector: torch.Tensor) -> PosedBody:
    return PosedBody(smpl.keypoint_regressor("openpose_25"), vector)


def make_term(name: str, smpl: SMPL, count: int = 3) -> Term:
    anchor = bodies(smpl, some_vector(7, count)).parameters()
    return {
        "depth": DepthPrior(torch.linspace(2.0, 4.0, count, dtype=torch.float64)),
        "focal_prior": FocalPrior(),
        "anchor": Anchor(anchor, Spread(rotation=0.3, betas=0.7, transl=0.2)),
        "ground": Ground(sole_points(smpl), FLOOR),
    }[name]


TERMS = ("depth", "focal_prior", "anchor", "ground")


@pytest.mark.parametrize("name", TERMS)
def test_jacobians_are_the_slopes_of_the_residuals(double_body, name):
    term, vector = make_term(name, double_body), some_vector(1)
    jacobian = term.jacobian(bodies(double_body, vector))
    step = 1e-6
    columns = []
    for unknown in range(86):
        shift = torch.zeros(86, dtype=torch.float64)
        shift[unknown] = step
        ahead, behind = (
            term.residuals(bodies(double_body, vector + sign * shift)) for sign in (1, -1)
        )
        columns.append((ahead - behind) / (2 * step))
    numeric = torch.stack(columns, -1)
    assert jacobian.shape == numeric.shape
    torch.testing.assert_close(jacobian, numeric, rtol=1e-7, atol=1e-8 * float(numeric.abs().max()))


@pytest.mark.parametrize("name", TERMS)
def test_energies_pass_gradcheck(double_body, name):
    term = make_term(name, double_body, count=1)
    vector = some_vector(2, count=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: term.energy(bodies(double_body, v)), vector)


@pytest.mark.parametrize("name", TERMS)
def test_written_and_automatic_jacobians_agree(double_body, name):
    term, body = make_term(name, double_body), bodies(double_body, some_vector(3))
    automatic = Term.jacobian(term, body)
    torch.testing.assert_close(term.jacobian(body), automatic, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", TERMS)
def test_a_batch_is_its_members(double_body, name):
    term, vector = make_term(name, double_body), some_vector(4)
    together = term.energy(bodies(double_body, vector))
    for i in range(3):
        alone = term.select(slice(i, i + 1)).energy(bodies(double_body, vector[i : i + 1]))
        torch.testing.assert_close(alone, together[i : i + 1])
    shuffled = torch.tensor([2, 0, 0, 1])
    chosen = term.select(shuffled).energy(bodies(double_body, vector[shuffled]))
    torch.testing.assert_close(chosen, together[shuffled])


def test_depth_and_focal_length_by_hand(double_body):
    vector = torch.zeros(2, 86, dtype=torch.float64)
    vector[:, 84] = torch.tensor([3.0, 5.0])
    vector[:, 85] = math.log(2.0)
    body = bodies(double_body, vector)
    depth = DepthPrior(torch.tensor([2.5, 5.0], dtype=torch.float64))
    assert depth.energy(body).tolist() == [0.25, 0.0]
    factor = torch.full((2,), math.log(2), dtype=torch.float64)
    torch.testing.assert_close(FocalPrior().energy(body), factor.square())


@pytest.mark.parametrize("angle", [0.0, 1e-4, 0.5, 3.0, math.pi])
def test_the_anchor_counts_angles_betas_and_metres_over_their_spreads(double_body, angle):
    """``4 sin^2(angle / 2)`` a joint, one when each of the others is a spread off."""
    vector = some_vector(5, 1)
    at = bodies(double_body, vector).parameters()
    turn = axis_angle_to_matrix(torch.tensor([0.6, 0.0, -0.8], dtype=torch.float64) * angle)
    pose = at.body_pose.clone()
    pose[:, 4] = pose[:, 4] @ turn
    moved = BodyParameters(at.betas, pose, at.global_orient, at.transl)
    anchor = Anchor(at, Spread(rotation=0.2, betas=0.5, transl=0.1))
    energy = anchor.energy(bodies(double_body, pack(moved))).item()
    assert energy == pytest.approx(4 * math.sin(angle / 2) ** 2 / 0.04, abs=1e-9)

    shifted = vector.clone()
    shifted[0, 75] += 0.5
    shifted[0, 83] -= 0.1
    assert anchor.energy(bodies(double_body, shifted)).item() == pytest.approx(2.0)


def test_the_anchor_has_a_slope_at_half_a_turn(double_body):
    """Where an angle's own slope would jump, and axis-angles differ by a whole turn."""
    at = bodies(double_body, torch.zeros(1, 86, dtype=torch.float64)).parameters()
    vector = torch.zeros(1, 86, dtype=torch.float64)
    vector[0, 12] = math.pi
    jacobian = Anchor(at).jacobian(bodies(double_body, vector))
    assert torch.isfinite(jacobian).all()
    other = vector.clone()
    other[0, 12] = -math.pi
    torch.testing.assert_close(
        *(Anchor(at).energy(bodies(double_body, v)) for v in (vector, other))
    )


def test_the_ground_is_under_the_lowest_sole(double_body):
    body = bodies(double_body, some_vector(6))
    soles = PosedBody(sole_points(double_body), body.vector).points
    assert soles.shape == (3, 4, 3)
    heights = soles @ FLOOR.normal.double() + FLOOR.offset
    term = Ground(sole_points(double_body), FLOOR)
    torch.testing.assert_close(term.energy(body), heights.amin(-1) ** 2)
    lifted = body.vector.clone()
    lifted[:, 82:85] -= heights.amin(-1, keepdim=True) * FLOOR.normal
    torch.testing.assert_close(
        term.energy(bodies(double_body, lifted)), torch.zeros(3).double(), rtol=0, atol=1e-12
    )


def test_soles_lie_under_the_feet_of_the_open_body(open_body):
    """Four points within a centimetre of the lowest vertex, two on each side."""
    smpl, regressor = open_body, sole_points(open_body)
    soles = regressor.points(torch.zeros(1, 10), torch.eye(3).expand(1, 24, 3, 3))[0]
    assert (soles[:, 1] - smpl.v_template[:, 1].min() < 0.01).all()
    assert (soles[:, 0] > 0).tolist() == [True, True, False, False]


def test_a_plane_of_the_world_keeps_its_heights_in_the_camera_s_frame():
    T = torch.eye(4)
    T[:3, :3] = axis_angle_to_matrix(torch.tensor([0.4, 2.0, -0.3]))
    T[:3, 3] = torch.tensor([0.5, -1.0, 3.0])
    camera = PerspectiveCamera((900.0, 900.0), (400.0, 300.0), (800, 600), T)
    points = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    plane = Plane(torch.tensor([0.0, 0.6, 0.8]), -0.4)
    torch.testing.assert_close(
        plane.seen_by(camera).height(camera.world_to_camera(points)), plane.height(points)
    )


@pytest.fixture(scope="module")
def tall(open_body):
    """People larger than the mean, whom a single view puts too near."""
    views = make_views(open_body, count=6, seed=9)
    betas = torch.zeros(6, 10)
    betas[:, 0] = 2.5
    truth = replace(views.truth, betas=betas)
    xy = views.camera.project(open_body.keypoints("openpose_25", **vars(truth)))
    return replace(views, truth=truth, keypoints=replace(views.keypoints, xy=xy))


class TestEffect:
    """What the terms are for."""

    @staticmethod
    def depth_error(views, term: Term | None = None, weight: float = 0.0) -> torch.Tensor:
        schedule = [
            replace(s, weights={**s.weights, term.name: weight}) if term else s for s in COLD_START
        ]
        terms = [term] if term else []
        fit = fit_smplify(
            views.smpl, views.camera, views.keypoints, schedule=schedule, extra_terms=terms
        )
        return (fit.body_parameters.transl - views.truth.transl)[:, 2].abs()

    def test_a_known_depth_is_kept(self, tall):
        known = DepthPrior(tall.truth.transl[:, 2])
        assert (self.depth_error(tall) > 0.1).any()
        assert (self.depth_error(tall, known, 300.0) < 0.02).all()

    def test_known_ground_settles_the_depth(self, tall):
        """A camera two metres up that looks down by a third of a right angle."""
        tilt = axis_angle_to_matrix(torch.tensor([math.pi / 6, 0.0, 0.0]))
        truth = replace(
            tall.truth,
            global_orient=tilt @ tall.truth.global_orient,
            transl=torch.tensor([0.0, 0.2, 4.0]).expand(6, 3),
        )
        smpl, up = tall.smpl, tilt @ torch.tensor([0.0, -1.0, 0.0])
        floor = Plane(up, 2.0)
        heights = floor.height(PosedBody(sole_points(smpl), pack(truth)).points).amin(-1)
        truth = replace(truth, transl=truth.transl - heights[:, None] * up)
        xy = tall.camera.project(smpl.keypoints("openpose_25", **vars(truth)))
        views = replace(tall, truth=truth, keypoints=replace(tall.keypoints, xy=xy))
        known = self.depth_error(views, Ground(sole_points(smpl), floor), 300.0)
        assert known.mean() < 0.5 * self.depth_error(views).mean()

    def test_an_anchor_keeps_what_the_keypoints_do_not_tell(self, open_body):
        """From nearly right bodies, a fit held back is nearer the truth than one set free."""
        smpl, views = open_body, make_views(open_body, count=16, seed=5)
        g = torch.Generator().manual_seed(6)
        noise = axis_angle_to_matrix(0.1 * torch.randn(16, 23, 3, generator=g))
        init = replace(views.truth, body_pose=views.truth.body_pose @ noise)
        xy = views.keypoints.xy + 5 * torch.randn(16, 25, 2, generator=g)
        noisy = replace(views.keypoints, xy=xy)
        anchored = [replace(s, weights={**s.weights, "anchor": 10.0}) for s in WARM_START]

        def error(parameters) -> float:
            found, truth = (smpl.keypoints("smpl_24", **vars(p)) for p in (parameters, views.truth))
            return float(pa_mpjpe(found, truth).mean())

        free, held = (
            error(fit_smplify(smpl, views.camera, noisy, None, s, init).body_parameters)
            for s in (WARM_START, anchored)
        )
        assert held < error(init)
        assert held < 0.9 * free


FREE_FOCAL = [
    replace(
        stage,
        free=(*stage.free, "focal_length"),
        weights={**stage.weights, "focal_prior": 10.0},
    )
    for stage in COLD_START[1:]
]


@dataclass(frozen=True, eq=False)
class Refocused:
    """A fit by a camera that is said to have half the focal length it has."""

    views: Views
    fit: Fit
    share: torch.Tensor  # of the true focal length


def refocused(smpl: SMPL, depth: float, weight: float) -> Refocused:
    """People as large in the picture at every depth."""
    views = make_views(smpl, count=6, seed=8)
    truth = replace(views.truth, transl=views.truth.transl * torch.tensor([1, 1, depth / 4]))
    lens = 1200.0 * depth / 4
    right = PerspectiveCamera((lens, lens), (400.0, 500.0), (800, 1000))
    xy = right.project(smpl.keypoints("openpose_25", **vars(truth)))
    wrong = replace(right, focal_length=right.focal_length / 2)
    weighed = [replace(s, weights={**s.weights, "focal_prior": weight}) for s in FREE_FOCAL]
    keypoints = replace(views.keypoints, xy=xy)
    fit = fit_smplify(smpl, wrong, keypoints, schedule=[COLD_START[0], *weighed])
    share = (fit.camera.focal_length / right.focal_length)[:, 0]
    return Refocused(replace(views, camera=wrong, truth=truth, keypoints=keypoints), fit, share)


@pytest.fixture(scope="module")
def near(open_body) -> Refocused:
    return refocused(open_body, depth=1.6, weight=3.0)


class TestFocalLength:
    def test_is_found_from_near_by(self, near):
        assert near.share.median() > 0.75

    def test_stays_as_given_from_afar(self, open_body):
        """Nothing in the picture tells it, so the prior decides."""
        far = refocused(open_body, depth=30.0, weight=30.0)
        assert ((far.share - 0.5).abs() < 0.02).all()

    def test_belongs_to_the_answer(self, near):
        fit, views = near.fit, near.views
        assert fit.camera.focal_length.shape == (6, 2)
        assert "focal_prior" in fit.energy_terms
        points = views.smpl.keypoints("openpose_25", **vars(fit.body_parameters))
        torch.testing.assert_close(
            fit.camera.project(points), fit.projected_keypoints, rtol=0, atol=0.05
        )
        one = fit_smplify(views.smpl, views.camera, views.keypoints[0], schedule=FREE_FOCAL[:1])
        assert one.camera.focal_length.shape == (2,)

    def test_is_the_given_one_unless_freed(self, views):
        fit = fit_smplify(views.smpl, views.camera, views.keypoints)
        assert torch.equal(fit.camera.focal_length, views.camera.focal_length)


def test_a_term_in_ten_lines(views):
    """What the guide promises: a name, residuals, a weight."""

    class HandsApart(Term):
        name: ClassVar[str] = "hands_apart"

        def residuals(self, body: PosedBody) -> torch.Tensor:
            left, right = body.points[:, 7], body.points[:, 4]
            return (0.6 - (left - right).norm(dim=-1, keepdim=True)).clamp(min=0)

    schedule = [replace(s, weights={**s.weights, "hands_apart": 100.0}) for s in WARM_START]
    fit = fit_smplify(
        views.smpl, views.camera, views.keypoints, None, schedule, views.truth, [HandsApart()]
    )
    assert "hands_apart" in fit.energy_terms
