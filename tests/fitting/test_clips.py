"""A clip as one problem: its algebra against dense and slow references, and what time is worth."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.fitting.conftest import Views, make_views
from vhlib.body import SMPL, BodyParameters, Keypoints
from vhlib.fitting import Stage, Term, fit_smplify
from vhlib.fitting.clip_problem import (
    SMOOTHNESS,
    Band,
    ClipModel,
    ClipProblem,
    second_difference,
)
from vhlib.fitting.clip_solver import damped_step, minimize_clip, solve_banded
from vhlib.fitting.clips import CLIP_START, clip_problem, fit_clip
from vhlib.fitting.energies import Reprojection, ShapePrior
from vhlib.fitting.observations import usable_keypoints
from vhlib.fitting.posed_body import PosedBody, pack
from vhlib.fitting.starts import View
from vhlib.geometry import axis_angle_to_matrix, matrix_to_axis_angle
from vhlib.metrics import mpjpe

FRAMES, FPS = 12, 30
CLIP_STAGE = CLIP_START[-1]


def swaying(views: Views, frames: int = FRAMES, fps: float = FPS) -> BodyParameters:
    """One person of the views who moves smoothly: every joint swings about its own axis."""
    g = torch.Generator().manual_seed(5)
    axis = 0.12 * torch.randn(23, 3, generator=g)
    phase = torch.rand(23, 1, generator=g)
    time = torch.arange(frames)[:, None, None] / fps
    swing = axis_angle_to_matrix(axis * torch.sin(2 * torch.pi * (0.5 * time + phase)))
    still = views.truth[:1]
    return BodyParameters(
        betas=still.betas.repeat(frames, 1),
        body_pose=still.body_pose @ swing,
        global_orient=still.global_orient.repeat(frames, 1, 1),
        transl=still.transl + torch.tensor([0.3, 0.0, 0.2]) * time[:, 0],
    )


def seen(views: Views, truth: BodyParameters, noise: float = 0.0, seed: int = 0) -> Keypoints:
    """What a detector says that errs by ``noise`` pixels in every frame anew."""
    xy = views.camera.project(views.smpl.keypoints("openpose_25", **vars(truth)))
    g = torch.Generator().manual_seed(seed)
    return Keypoints(
        xy + noise * torch.randn(xy.shape, generator=g), torch.ones(xy.shape[:2]), "openpose_25"
    )


def dense(model: ClipModel) -> tuple[Tensor, Tensor]:
    """The whole clip's Hessian and gradient, the shared unknowns last."""
    frames, unknowns, shared = model.border.shape
    hessian = torch.zeros(frames * unknowns + shared, frames * unknowns + shared).double()
    for k, blocks in enumerate(model.band):
        for t, block in enumerate(blocks):
            here, there = (slice(i * unknowns, (i + 1) * unknowns) for i in (t, t + k))
            hessian[here, there] = block
            hessian[there, here] = block.mT
    hessian[: frames * unknowns, frames * unknowns :] = model.border.flatten(0, 1)
    hessian[frames * unknowns :, : frames * unknowns] = model.border.flatten(0, 1).mT
    hessian[frames * unknowns :, frames * unknowns :] = model.corner
    return hessian, torch.cat([model.by_frame.flatten(), model.by_shared])


def joints(views: Views, parameters: BodyParameters) -> Tensor:
    return views.smpl.keypoints("smpl_24", **vars(parameters))


@pytest.fixture(scope="module")
def motion(views) -> BodyParameters:
    return swaying(views)


@pytest.fixture(scope="module")
def noisy(views, motion) -> Keypoints:
    return seen(views, motion, noise=6.0)


@pytest.fixture(scope="module")
def fitted(views, noisy):
    return fit_clip(views.smpl, views.camera, noisy, FPS)


class TestAlgebra:
    """The banded system against what it stands for."""

    @pytest.fixture
    def problem(self, views) -> tuple[ClipProblem, Tensor]:
        smpl = SMPL.load().double()
        truth = make_views(SMPL.load(), 1, seed=2)
        bodies = swaying(truth, frames=5)
        keypoints = seen(truth, bodies, noise=5.0)
        regressor = smpl.keypoint_regressor("openpose_25")
        usable = usable_keypoints(
            Keypoints(keypoints.xy.double(), keypoints.confidence.double(), keypoints.skeleton),
            smpl.keypoints("openpose_25"),
        )
        view = View(regressor, truth.camera, usable)
        stage = Stage(
            "clip",
            ("global_orient", "body_pose", "betas", "transl"),
            {"reprojection": 1.0, "shape_prior": 2.0, SMOOTHNESS: 0.3},
            10,
        )
        terms = [Reprojection(truth.camera, usable), ShapePrior()]
        g = torch.Generator().manual_seed(1)
        vector = pack(BodyParameters(**{k: v.double() for k, v in vars(bodies).items()}))
        vector = vector + 0.02 * torch.randn(vector.shape, generator=g, dtype=torch.float64)
        problem = clip_problem(terms, stage, view, FPS)
        vector[:, problem.shared] = vector[0, problem.shared]
        return problem, vector

    def test_accelerations_are_those_of_the_points(self, problem):
        problem, vector = problem
        points = PosedBody(problem.frames.regressor, vector).points
        by_hand = torch.zeros(5, dtype=torch.float64)
        for t in range(1, 4):
            acceleration = FPS**2 * (points[t - 1] - 2 * points[t] + points[t + 1])
            by_hand[t] = 0.3**2 * acceleration.square().sum()
        torch.testing.assert_close(problem.energy_terms(vector)[SMOOTHNESS], by_hand)

    def test_a_step_solves_the_damped_system_and_promises_its_drop(self, problem):
        problem, vector = problem
        model, lam, floor = problem.model(vector), 0.3, 1e-6
        frames, shared, promised = damped_step(model, lam, floor)
        step = torch.cat([frames.flatten(), shared])
        hessian, gradient = dense(model)
        each = model.band.diagonal.diagonal(dim1=-2, dim2=-1)
        each = each.clamp(min=floor * each.amax(-1, keepdim=True))  # hands that no term feels
        damping = torch.cat([each.flatten(), model.corner.diagonal()])
        damped = hessian + lam * torch.diag(damping)
        torch.testing.assert_close(step, -torch.linalg.solve(damped, gradient))
        drop = -(gradient @ step + step @ hessian @ step / 2)
        torch.testing.assert_close(promised, float(drop))

    def test_gradient_equals_the_derivative_of_the_energy(self, problem):
        problem, vector = problem
        by_frame, by_shared = (problem.model(vector)[k] for k in (1, 2))
        own = vector[:, problem.free].clone().requires_grad_()
        shared = vector[0, problem.shared].clone().requires_grad_()
        whole = vector.clone()
        whole[:, problem.free] = own
        whole[:, problem.shared] = shared.expand(len(vector), -1)
        with torch.enable_grad():
            energy = sum(e.sum() for e in problem.energy_terms(whole).values())
            expected = torch.autograd.grad(energy, (own, shared))
        torch.testing.assert_close(by_frame, expected[0], rtol=1e-9, atol=1e-7)
        torch.testing.assert_close(by_shared, expected[1], rtol=1e-9, atol=1e-7)

    def test_hessian_of_the_smoothness_is_that_of_the_stacked_residuals(self, problem):
        """Against ``2 J^T J`` of all frames at once, J by automatic differentiation."""
        problem, vector = problem
        only_smooth = replace(problem, frames=replace(problem.frames, terms=[(ShapePrior(), 0.0)]))
        model = only_smooth.model(vector)
        frames, free, shared = len(vector), problem.free, problem.shared

        def residuals(own: Tensor, common: Tensor) -> Tensor:
            whole = vector.clone()
            whole = whole.index_copy(1, free, own)
            whole = whole.index_copy(1, shared, common.expand(frames, -1))
            points = PosedBody(problem.frames.regressor, whole).points
            return (problem.weight * FPS**2 * second_difference(points)).flatten()

        jacobian = torch.autograd.functional.jacobian(
            residuals, (vector[:, free], vector[0, shared])
        )
        jacobian = torch.cat([jacobian[0].flatten(1), jacobian[1]], 1)
        dense = 2 * jacobian.mT @ jacobian
        size = frames * len(free)
        blocks = dense[:size, :size].view(frames, len(free), frames, len(free))
        for k, band in enumerate(model.band):
            for t in range(frames - k):
                torch.testing.assert_close(band[t], blocks[t, :, t + k], rtol=1e-8, atol=1e-6)
        border = dense[:size, size:].view(frames, len(free), -1)
        torch.testing.assert_close(model.border, border, rtol=1e-8, atol=1e-6)
        torch.testing.assert_close(model.corner, dense[size:, size:], rtol=1e-8, atol=1e-6)

    @pytest.mark.parametrize("frames", [1, 2, 3, 7])
    def test_the_banded_solver_equals_the_dense_one(self, frames):
        g = torch.Generator().manual_seed(frames)
        full = torch.randn(3 * frames, 3 * frames, generator=g, dtype=torch.float64)
        dense = (full @ full.mT + 20 * frames * torch.eye(3 * frames)).view(frames, 3, frames, 3)
        for t in range(frames):
            dense[t, :, t + 3 :] = dense[t + 3 :, :, t] = 0
        diagonals = [
            torch.stack([dense[t, :, t + k] for t in range(frames - k)])
            if frames > k
            else torch.zeros(0, 3, 3, dtype=torch.float64)
            for k in range(3)
        ]
        right = torch.randn(frames, 3, 2, generator=g, dtype=torch.float64)
        expected = torch.linalg.solve(dense.reshape(3 * frames, -1), right.flatten(0, 1))
        torch.testing.assert_close(solve_banded(Band(*diagonals), right).flatten(0, 1), expected)

    def test_every_step_lowers_the_energy_of_the_clip(self, problem):
        problem, vector = problem
        start = vector.clone()
        history = minimize_clip(problem, vector, 10).energy_history.sum(-1)
        assert torch.equal(vector, start)
        assert (history.diff() <= 0).all()
        assert history[-1] < history[0] / 2


class TestWhatTimeIsWorth:
    def test_nearer_to_the_truth_than_frames_alone(self, views, motion, noisy, fitted):
        alone = fit_smplify(views.smpl, views.camera, noisy)
        truth = joints(views, motion)
        error, error_alone = (
            mpjpe(joints(views, fit.body_parameters), truth, root=0).mean()
            for fit in (fitted, alone)
        )
        assert error < 0.8 * error_alone

    def test_one_shape(self, fitted):
        betas = fitted.body_parameters.betas
        assert torch.equal(betas, betas[:1].expand_as(betas))

    def test_motion_without_jerks(self, views, noisy, fitted):
        alone = fit_smplify(views.smpl, views.camera, noisy)
        jerk, jerk_alone = (
            second_difference(joints(views, fit.body_parameters)).norm(dim=-1).mean()
            for fit in (fitted, alone)
        )
        assert jerk < jerk_alone / 5

    def test_the_clip_played_backwards_is_the_fit_played_backwards(self, views, noisy, fitted):
        backwards = fit_clip(views.smpl, views.camera, noisy[range(FRAMES - 1, -1, -1)], FPS)
        torch.testing.assert_close(backwards.energy.flip(0), fitted.energy, rtol=2e-2, atol=0)
        distance = (
            joints(views, backwards.body_parameters).flip(0) - joints(views, fitted.body_parameters)
        ).norm(dim=-1)
        assert distance.max() < 0.01

    def test_the_price_of_a_motion_does_not_depend_on_the_frame_rate(self, views):
        """Twice as many frames, each with the same acceleration."""
        prices = []
        for fps in (30, 60):
            bodies = swaying(views, frames=2 * fps, fps=fps)
            keypoints = seen(views, bodies)
            view = View(views.smpl.keypoint_regressor("openpose_25"), views.camera, keypoints)
            weights = {"reprojection": 1.0, SMOOTHNESS: 0.1}
            stage = replace(CLIP_STAGE, weights=weights)
            problem = clip_problem([Reprojection(views.camera, keypoints)], stage, view, fps)
            prices.append(problem.energy_terms(pack(bodies))[SMOOTHNESS][2:-2].mean())
        torch.testing.assert_close(prices[0], prices[1], rtol=0.03, atol=0)


class TestAnswers:
    def test_they_describe_the_fitted_bodies(self, views, noisy, fitted):
        assert fitted.energy.shape == (FRAMES,)
        assert fitted.projected_keypoints.shape == noisy.xy.shape
        points = views.smpl.keypoints("openpose_25", **vars(fitted.body_parameters))
        torch.testing.assert_close(
            views.camera.project(points), fitted.projected_keypoints, rtol=0, atol=0.01
        )
        torch.testing.assert_close(sum(fitted.energy_terms.values()), fitted.energy)
        assert set(fitted.energy_terms) >= {"reprojection", "pose_prior", SMOOTHNESS}
        assert fitted.history[-1].energy.shape[1:] == (FRAMES,)
        torch.testing.assert_close(fitted.history[-1].energy[-1], fitted.energy)
        assert [record.name for record in fitted.history] == [stage.name for stage in CLIP_START]

    def test_same_bits_again_and_arguments_left_alone(self, views, noisy, fitted):
        xy, confidence = noisy.xy.clone(), noisy.confidence.clone()
        again = fit_clip(views.smpl, views.camera, noisy, FPS)
        assert torch.equal(again.energy, fitted.energy)
        assert torch.equal(noisy.xy, xy)
        assert torch.equal(noisy.confidence, confidence)

    @pytest.mark.parametrize("frames", [1, 2, 3])
    def test_short_clips(self, views, noisy, frames):
        fit = fit_clip(views.smpl, views.camera, noisy[:frames], FPS)
        assert fit.energy.shape == (frames,)
        assert fit.energy.isfinite().all()

    def test_from_initial_bodies_only_the_last_stage_is_run(self, views, motion, noisy):
        fit = fit_clip(views.smpl, views.camera, noisy, FPS, init=motion)
        assert [record.name for record in fit.history] == ["clip"]
        truth = joints(views, motion)
        assert mpjpe(joints(views, fit.body_parameters), truth, root=0).mean() < 0.05

    def test_a_focal_length_is_one_for_the_clip(self, views, noisy):
        stage = replace(
            CLIP_STAGE,
            free=(*CLIP_STAGE.free, "focal_length"),
            weights={**CLIP_STAGE.weights, "focal_prior": 10.0},
        )
        schedule = [*CLIP_START[:-1], stage]
        fit = fit_clip(views.smpl, views.camera, noisy, FPS, schedule=schedule)
        focal_length = fit.camera.focal_length
        assert focal_length.shape == (FRAMES, 2)
        assert torch.equal(focal_length, focal_length[:1].expand_as(focal_length))
        assert not torch.allclose(focal_length[0], views.camera.focal_length)

    def test_a_term_of_one_s_own_takes_part(self, views, noisy):
        class Ground(Term):
            name = "ground"

            def residuals(self, body) -> Tensor:
                return (body.points[..., 1] - 0.7).clamp(min=0)

        schedule = [
            *CLIP_START[:-1],
            replace(CLIP_STAGE, weights={**CLIP_STAGE.weights, "ground": 300.0}),
        ]
        free = fit_clip(views.smpl, views.camera, noisy, FPS)
        raised = fit_clip(
            views.smpl, views.camera, noisy, FPS, schedule=schedule, extra_terms=[Ground()]
        )
        lowest, at_first = (
            views.smpl.keypoints("openpose_25", **vars(fit.body_parameters))[..., 1].max()
            for fit in (raised, free)
        )
        assert lowest < at_first - 0.02


class TestGaps:
    @pytest.fixture(scope="class")
    @classmethod
    def clean(cls, views, motion) -> Keypoints:
        return seen(views, motion, noise=1.0)

    def test_a_gap_is_bridged(self, views, motion, clean):
        confidence = clean.confidence.clone()
        confidence[5:8] = 0
        gap = Keypoints(clean.xy, confidence, "openpose_25")
        fit = fit_clip(views.smpl, views.camera, gap, FPS)
        assert fit.energy.isfinite().all()
        whole = fit_clip(views.smpl, views.camera, clean, FPS)
        apart = joints(views, fit.body_parameters) - joints(views, whole.body_parameters)
        assert apart.norm(dim=-1).mean(-1)[5:8].max() < 0.08
        assert fit.energy_terms["reprojection"][5:8].max() == 0

    @pytest.mark.parametrize("missing", [slice(0, 2), slice(10, 12), slice(1, 12)])
    def test_gaps_at_the_ends_are_filled(self, views, clean, missing):
        confidence = clean.confidence.clone()
        confidence[missing] = 0
        fit = fit_clip(views.smpl, views.camera, replace(clean, confidence=confidence), FPS)
        assert fit.energy.isfinite().all()
        assert fit.projected_keypoints.isfinite().all()

    def test_nobody_at_all_is_refused(self, views, clean):
        nobody = replace(clean, confidence=torch.zeros_like(clean.confidence))
        with pytest.raises(ValueError, match="nobody is seen in any of the 12 frames"):
            fit_clip(views.smpl, views.camera, nobody, FPS)


@pytest.fixture(scope="module")
def warm(views, motion, noisy):
    return fit_clip(views.smpl, views.camera, noisy, FPS, init=motion)


class TestWhatACallerMayGive:
    def test_keypoints_and_bodies_in_double_precision(self, views, motion, noisy, warm):
        doubled = Keypoints(noisy.xy.double(), noisy.confidence.double(), noisy.skeleton)
        init = BodyParameters(**{name: value.double() for name, value in vars(motion).items()})
        fit = fit_clip(views.smpl, views.camera, doubled, FPS, init=init)
        torch.testing.assert_close(fit.energy, warm.energy)

    @pytest.mark.parametrize("what", ["all in one place", "necks alone"])
    def test_a_frame_that_cannot_be_used_is_bridged(self, views, noisy, what):
        xy, confidence = noisy.xy.clone(), noisy.confidence.clone()
        if what == "all in one place":
            xy[5] = xy[5, :1]
        else:
            confidence[5] = 0.0
            confidence[5, [1, 8]] = 1.0
        fit = fit_clip(views.smpl, views.camera, Keypoints(xy, confidence, noisy.skeleton), FPS)
        assert fit.energy.isfinite().all()
        moved = fit.projected_keypoints[5] - noisy.xy[5]
        assert moved.norm(dim=-1).median() < 40

    def test_a_lens_that_only_single_frames_were_fitted_by_is_kept(self, views, noisy):
        short = replace(views.camera, focal_length=0.7 * views.camera.focal_length)
        freed = [replace(s, free=(*s.free, "focal_length")) for s in CLIP_START[1:-1]]
        fit = fit_clip(
            views.smpl, short, noisy, FPS, schedule=[*CLIP_START[:1], *freed, CLIP_STAGE]
        )
        factor = fit.camera.focal_length / short.focal_length
        assert (factor > 1.05).all()
        torch.testing.assert_close(factor, factor[:1].expand_as(factor))
        points = views.smpl.keypoints("openpose_25", **vars(fit.body_parameters))
        projected = fit.camera.project(points)
        torch.testing.assert_close(projected, fit.projected_keypoints, rtol=0, atol=0.05)

    @pytest.mark.parametrize("weights", [{}, {"reprojection": 0.0, "shape_prior": 0.0}])
    def test_a_stage_that_frees_the_shape_alone(self, views, motion, noisy, weights):
        stage = replace(CLIP_STAGE, free=("betas",), weights={**CLIP_STAGE.weights, **weights})
        fit = fit_clip(views.smpl, views.camera, noisy, FPS, schedule=[stage], init=motion)
        torch.testing.assert_close(fit.body_parameters.transl, motion.transl)
        assert fit.body_parameters.betas.isfinite().all()


class TestRefusals:
    def test_keypoints_of_several_people(self, views, noisy):
        two = Keypoints(
            noisy.xy.reshape(2, 6, 25, 2), noisy.confidence.reshape(2, 6, 25), "openpose_25"
        )
        with pytest.raises(ValueError, match=r"keypoints are \(T, K\) of one person.*\(2, 6, 25\)"):
            fit_clip(views.smpl, views.camera, two, FPS)

    @pytest.mark.parametrize("fps", [0, -1.0, float("nan"), float("inf")])
    def test_an_impossible_frame_rate(self, views, noisy, fps):
        with pytest.raises(ValueError, match="frames per second must be positive"):
            fit_clip(views.smpl, views.camera, noisy, fps)

    def test_initial_bodies_of_another_length(self, views, motion, noisy):
        with pytest.raises(ValueError, match=r"init.*12"):
            fit_clip(views.smpl, views.camera, noisy, FPS, init=motion[:5])

    def test_no_frames(self, views, noisy):
        with pytest.raises(ValueError, match="no frames"):
            fit_clip(views.smpl, views.camera, noisy[:0], FPS)

    def test_a_start_that_is_not_finite(self, views, motion, noisy):
        broken = replace(motion, transl=torch.full_like(motion.transl, torch.nan))
        with pytest.raises(ValueError, match="isn't finite at the start of sample 0"):
            fit_clip(views.smpl, views.camera, noisy, FPS, init=broken)

    def test_only_the_clips_own_stage_without_bodies_to_start_from(self, views, noisy):
        with pytest.raises(ValueError, match="only the clip's own stage"):
            fit_clip(views.smpl, views.camera, noisy, FPS, schedule=[CLIP_STAGE])

    def test_an_empty_schedule(self, views, noisy):
        with pytest.raises(ValueError, match="schedule is empty"):
            fit_clip(views.smpl, views.camera, noisy, FPS, schedule=[])

    def test_a_stage_that_weighs_an_unknown_term(self, views, noisy):
        stage = replace(CLIP_STAGE, weights={"reprojektion": 1.0})
        with pytest.raises(ValueError, match="weighs reprojektion"):
            fit_clip(views.smpl, views.camera, noisy, FPS, schedule=[*CLIP_START[:-1], stage])


def test_a_turn_is_a_rotation_like_any_other(views, motion):
    """A person facing the camera has an axis-angle near pi, where it jumps to minus pi."""
    turned = replace(
        motion,
        global_orient=motion.global_orient
        @ axis_angle_to_matrix(
            torch.linspace(-0.4, 0.4, FRAMES)[:, None] * torch.tensor([0, 1, 0])
        ),
    )
    angle = matrix_to_axis_angle(turned.global_orient).norm(dim=-1)
    assert (angle > 2.7).all()
    fit = fit_clip(views.smpl, views.camera, seen(views, turned), FPS)
    error = mpjpe(joints(views, fit.body_parameters), joints(views, turned), root=0)
    assert error.max() < 0.1
