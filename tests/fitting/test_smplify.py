"""The staged fit: bodies it must find, words it must say, batches it must take."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import jaxtyping
import pytest
import torch

from tests.fitting.conftest import Views, make_views
from vhlib.body import SMPL, Keypoints
from vhlib.body.skeletons import SKELETONS
from vhlib.fitting import (
    ANCHORED_START,
    COLD_START,
    SMPLIFY_2016,
    SPIN,
    WARM_START,
    Stage,
    Term,
    fit_smplify,
)
from vhlib.geometry import PerspectiveCamera, geodesic_distance
from vhlib.metrics import pa_mpjpe


def joints(views: Views, parameters) -> torch.Tensor:
    return views.smpl.keypoints("smpl_24", **vars(parameters))


def pixel_error(fit, keypoints: Keypoints) -> torch.Tensor:
    return (fit.projected_keypoints - keypoints.xy).norm(dim=-1).mean(-1)


def test_cold_start_finds_likely_bodies(views):
    fit = fit_smplify(views.smpl, views.camera, views.keypoints)
    height = views.keypoints.height()
    assert (pixel_error(fit, views.keypoints) < 0.02 * height).all()
    error = pa_mpjpe(joints(views, fit.body_parameters), joints(views, views.truth))
    assert (error < 0.06).all()
    distance = fit.body_parameters.transl - views.truth.transl
    assert (distance.norm(dim=-1) < 0.5).all()


def test_a_person_seen_from_behind_is_found_from_behind(small_body):
    views = make_views(small_body, count=3, seed=7, yaw=torch.pi)
    fit = fit_smplify(views.smpl, views.camera, views.keypoints)
    turn = geodesic_distance(fit.body_parameters.global_orient, views.truth.global_orient)
    assert (turn < 0.6).all()


def test_warm_start_from_the_truth_stays_near_it(views):
    fit = fit_smplify(views.smpl, views.camera, views.keypoints, init=views.truth)
    assert len(fit.history) == len(WARM_START)
    error = pa_mpjpe(joints(views, fit.body_parameters), joints(views, views.truth))
    assert (error < 0.05).all()
    assert (pixel_error(fit, views.keypoints) < 0.02 * views.keypoints.height()).all()


def test_answers_describe_the_fitted_body(views):
    fit = fit_smplify(views.smpl, views.camera, views.keypoints)
    points = views.smpl.keypoints("openpose_25", **vars(fit.body_parameters))
    torch.testing.assert_close(
        views.camera.project(points), fit.projected_keypoints, rtol=0, atol=0.01
    )
    torch.testing.assert_close(sum(fit.energy_terms.values()), fit.energy)
    assert set(fit.energy_terms) == {"reprojection", "pose_prior", "bending", "shape_prior"}
    assert [record.name for record in fit.history] == [stage.name for stage in COLD_START]
    for record in fit.history:
        assert record.energy.shape[1:] == (4,)
        assert (record.energy.diff(dim=0) <= 0).all()
    torch.testing.assert_close(fit.history[-1].energy[-1], fit.energy)


@pytest.mark.parametrize("batch", [(), (1,), (2, 2)])
def test_batches_of_any_shape(views, batch):
    count = max(1, torch.Size(batch).numel())
    keypoints = Keypoints(
        views.keypoints.xy[:count].reshape(*batch, 25, 2),
        views.keypoints.confidence[:count].reshape(*batch, 25),
        "openpose_25",
    )
    fit = fit_smplify(views.smpl, views.camera, keypoints)
    assert fit.energy.shape == batch
    assert fit.body_parameters.body_pose.shape == (*batch, 23, 3, 3)
    assert fit.projected_keypoints.shape == (*batch, 25, 2)
    whole = fit_smplify(views.smpl, views.camera, views.keypoints[:count])
    torch.testing.assert_close(fit.energy.flatten(), whole.energy, rtol=2e-3, atol=0)


def test_each_image_may_have_its_own_camera(views):
    shift = torch.tensor([[0.0, 0.0], [50.0, -20.0], [10.0, 10.0], [0.0, 5.0]])
    camera = replace(views.camera, principal_point=views.camera.principal_point + shift)
    moved = Keypoints(views.keypoints.xy + shift[:, None], torch.ones(4, 25), "openpose_25")
    fit = fit_smplify(views.smpl, camera, moved)
    same = fit_smplify(views.smpl, views.camera, views.keypoints)
    torch.testing.assert_close(fit.energy, same.energy, rtol=1e-2, atol=0)


def test_the_camera_s_place_in_the_world_is_ignored(views):
    T = torch.eye(4)
    T[:3, 3] = torch.tensor([1.0, 2.0, 3.0])
    away = replace(views.camera, T_camera_world=T)
    fit, same = (fit_smplify(views.smpl, c, views.keypoints) for c in (away, views.camera))
    assert torch.equal(fit.energy, same.energy)


def test_the_same_call_gives_the_same_bits_and_leaves_its_arguments_alone(views):
    xy, confidence = views.keypoints.xy.clone(), views.keypoints.confidence.clone()
    init = {name: value.clone() for name, value in vars(views.truth).items()}
    first, second = (
        fit_smplify(views.smpl, views.camera, views.keypoints, init=views.truth) for _ in range(2)
    )
    assert torch.equal(first.energy, second.energy)
    assert torch.equal(first.body_parameters.body_pose, second.body_parameters.body_pose)
    assert torch.equal(views.keypoints.xy, xy)
    assert torch.equal(views.keypoints.confidence, confidence)
    assert all(torch.equal(value, init[name]) for name, value in vars(views.truth).items())


@pytest.mark.parametrize("skeleton", sorted(SKELETONS))
def test_every_skeleton_can_be_fitted(views, skeleton):
    xy = views.camera.project(views.smpl.keypoints(skeleton, **vars(views.truth)))
    keypoints = Keypoints(xy, torch.ones(xy.shape[:2]), skeleton)
    fit = fit_smplify(views.smpl, views.camera, keypoints)
    assert (pixel_error(fit, keypoints) < 0.03 * keypoints.height()).all()


def test_double_precision(small_body, views):
    from tests.random_body import random_model
    from vhlib.body import SMPL

    smpl = SMPL(random_model(num_vertices=800, seed=5)).double()
    fit = fit_smplify(smpl, views.camera, views.keypoints)
    assert fit.energy.dtype == torch.float64
    single = fit_smplify(small_body, views.camera, views.keypoints)
    torch.testing.assert_close(fit.energy.float(), single.energy, rtol=2e-2, atol=0)


class Ground(Term):
    """A term of one's own: no keypoint below a floor (y is down)."""

    name: ClassVar[str] = "ground"

    def __init__(self, floor: float):
        self.floor = floor

    def residuals(self, body) -> torch.Tensor:
        return 10 * (body.points[..., 1] - self.floor).clamp(min=0)


def test_a_term_of_one_s_own_takes_part(views):
    lowest = views.smpl.keypoints("openpose_25", **vars(views.truth))[:1, :, 1].max()
    with_ground = [
        replace(stage, weights={**stage.weights, "ground": 10.0}) for stage in WARM_START
    ]
    one = views.keypoints[:1]
    init = views.truth[:1]
    plain = fit_smplify(views.smpl, views.camera, one, init=init)
    raised = fit_smplify(
        views.smpl,
        views.camera,
        one,
        schedule=with_ground,
        init=init,
        extra_terms=[Ground(float(lowest) - 0.2)],
    )

    def bottom(fit):
        return views.smpl.keypoints("openpose_25", **vars(fit.body_parameters))[..., 1].max()

    assert bottom(raised) < bottom(plain) - 0.05
    assert "ground" in raised.energy_terms


class TestRefusals:
    def test_nobody_is_seen(self, views):
        empty = Keypoints(views.keypoints.xy, torch.zeros(4, 25), "openpose_25")
        with pytest.raises(ValueError, match="keypoints of sample 0, 1, 2, 3 hold fewer than two"):
            fit_smplify(views.smpl, views.camera, empty)
        with pytest.raises(ValueError, match="the keypoints hold fewer than two different places"):
            fit_smplify(views.smpl, views.camera, empty[0])

    def test_all_points_in_one_place(self, views):
        heap = Keypoints(torch.full((25, 2), 300.0), torch.ones(25), "openpose_25")
        with pytest.raises(ValueError, match="fewer than two different places"):
            fit_smplify(views.smpl, views.camera, heap)

    def test_shapes_that_do_not_fit(self, views):
        with pytest.raises(ValueError, match=r"init.betas has shape \(3, 10\).*expected \(4, 10\)"):
            fit_smplify(views.smpl, views.camera, views.keypoints, init=views.truth[:3])
        fewer = replace(views.truth, betas=views.truth.betas[:, :4])
        with pytest.raises(ValueError, match=r"init.betas has shape \(4, 4\)"):
            fit_smplify(views.smpl, views.camera, views.keypoints, init=fewer)
        three = PerspectiveCamera(torch.full((3, 2), 900.0), (400.0, 500.0), (800, 1000))
        with pytest.raises(ValueError, match=r"camera has shape \(3, 2\).*expected \(4, 2\)"):
            fit_smplify(views.smpl, three, views.keypoints)

    def test_an_empty_schedule(self, views):
        with pytest.raises(ValueError, match="schedule is empty"):
            fit_smplify(views.smpl, views.camera, views.keypoints, schedule=[])

    def test_a_schedule_that_weighs_an_unknown_term(self, views):
        stage = Stage("s", ("transl",), {"reprojektion": 1.0}, 3)
        with pytest.raises(
            ValueError, match=r"'s' weighs reprojektion, the terms are reprojection"
        ):
            fit_smplify(views.smpl, views.camera, views.keypoints, schedule=[stage])

    def test_a_stage_that_frees_an_unknown_block(self, views):
        stage = Stage("s", ("pose",), {"reprojection": 1.0}, 3)
        with pytest.raises(ValueError, match=r"'s' frees pose, the unknowns are global_orient"):
            fit_smplify(views.smpl, views.camera, views.keypoints, schedule=[stage])

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            (lambda r: r[:, 0], r"residuals \(1,\) .*expected \(1, m\)"),
            (lambda r: r[..., None], r"residuals \(1, 3, 1\)"),
            (
                lambda r: r.double(),
                ".* of torch.float64 for one body, expected .* of torch.float32",
            ),
        ],
    )
    def test_a_term_whose_residuals_are_of_another_shape(self, views, wrong, message):
        class Odd(Term):
            name = "odd"

            def residuals(self, body):
                return wrong(body.transl)

        stage = Stage("s", ("transl",), {"odd": 1.0}, 3)
        with pytest.raises(ValueError, match=f"term 'odd' gave {message}"):
            fit_smplify(
                views.smpl, views.camera, views.keypoints, schedule=[stage], extra_terms=[Odd()]
            )

    def test_a_term_that_holds_something_for_each_person_but_cannot_select(self, views):
        class Near(Term):
            name = "near"

            def residuals(self, body):
                return body.transl - views.truth.transl

        stages = [replace(stage, weights={**stage.weights, "near": 1.0}) for stage in COLD_START]
        with pytest.raises(ValueError, match=r"term 'near' .*select\(index\)"):
            fit_smplify(
                views.smpl, views.camera, views.keypoints, schedule=stages, extra_terms=[Near()]
            )

    @pytest.mark.parametrize(
        ("options", "message"),
        [({"free": ("transl", "transl")}, "twice"), ({"iterations": -1}, "iterations")],
    )
    def test_stages_that_make_no_sense(self, options, message):
        with pytest.raises(ValueError, match=message):
            replace(COLD_START[-1], **options)


def test_terms_and_stages_may_come_from_generators(views, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as outside of tests
    stages = [replace(stage, weights={**stage.weights, "ground": 1.0}) for stage in COLD_START]
    fits = [
        fit_smplify(views.smpl, views.camera, views.keypoints, None, schedule, None, terms)
        for schedule, terms in (
            (stages, [Ground(0.0)]),
            ((stage for stage in stages), (term for term in [Ground(0.0)])),
        )
    ]
    torch.testing.assert_close(fits[0].energy, fits[1].energy)


def test_schedules_are_lists_that_can_be_added_to(views):
    more = COLD_START + WARM_START
    fit = fit_smplify(views.smpl, views.camera, views.keypoints, schedule=more)
    assert [record.name for record in fit.history] == [stage.name for stage in more]


def test_hidden_limbs_and_wild_points_do_no_harm(views):
    """Robustness: no NaN, and the seen points are still met."""
    confidence = torch.ones(4, 25)
    confidence[:, [3, 4, 10, 11]] = 0
    xy = views.keypoints.xy.clone()
    xy[:, 7] += 1500.0
    fit = fit_smplify(views.smpl, views.camera, Keypoints(xy, confidence, "openpose_25"))
    assert torch.isfinite(fit.energy).all()
    seen = [2, 5, 9, 12, 13]
    error = (fit.projected_keypoints - views.keypoints.xy)[:, seen].norm(dim=-1).mean(-1)
    assert (error < 0.02 * views.keypoints.height()).all()


def test_one_crop_camera_fits_like_the_frame(views):
    """A camera in other pixels is only another unit."""
    doubled = PerspectiveCamera((2400.0, 2400.0), (800.0, 1000.0), (1600, 2000))
    large = Keypoints(2 * views.keypoints.xy, views.keypoints.confidence, "openpose_25")
    fit = fit_smplify(views.smpl, doubled, large)
    same = fit_smplify(views.smpl, views.camera, views.keypoints)
    torch.testing.assert_close(fit.energy, same.energy, rtol=1e-2, atol=0)


@pytest.mark.parametrize("init", ["cold", "warm"])
def test_a_fifth_of_the_keypoints_may_be_wrong(init):
    """As far off as the person is large, each way; the rest still find the body."""
    views = make_views(SMPL.load(), count=8, seed=3)
    g = torch.Generator().manual_seed(4)
    xy = views.keypoints.xy
    wrong = torch.rand(8, 25, generator=g) < 0.2
    off = views.keypoints.height()[:, None, None] * torch.randn(8, 25, 2, generator=g)
    seen = Keypoints(torch.where(wrong[..., None], xy + off, xy), torch.ones(8, 25), "openpose_25")
    start = views.truth if init == "warm" else None
    fit = fit_smplify(views.smpl, views.camera, seen, init=start)
    distance = (fit.projected_keypoints - xy).norm(dim=-1)
    right = torch.where(wrong, torch.nan, distance).nanmedian(-1).values
    assert (right < 0.02 * views.keypoints.height()).float().mean() >= 0.75
    error = pa_mpjpe(joints(views, fit.body_parameters), joints(views, views.truth))
    assert error.median() < 0.06


def test_answers_carry_no_gradients(views):
    focal_length = torch.tensor([1200.0, 1200.0], requires_grad=True)
    camera = replace(views.camera, focal_length=focal_length)
    xy = views.keypoints.xy.clone().requires_grad_()
    fit = fit_smplify(views.smpl, camera, Keypoints(xy, views.keypoints.confidence, "openpose_25"))
    assert not fit.energy.requires_grad
    assert not fit.projected_keypoints.requires_grad


def test_nobody_to_fit_is_an_empty_answer(views):
    fit = fit_smplify(views.smpl, views.camera, views.keypoints[:0])
    assert fit.energy.shape == (0,)
    assert fit.projected_keypoints.shape == (0, 25, 2)


class Constant(Term):
    """An energy of ``value`` for everybody, under any name."""

    def __init__(self, name: str, value: float):
        self.name, self.value = name, value

    def residuals(self, body) -> torch.Tensor:
        return body.vector[:, :1] * 0 + self.value**0.5


def test_a_term_of_one_s_own_takes_the_place_of_one_of_the_same_name(views):
    mine = Constant("bending", 2.0)
    fit = fit_smplify(
        views.smpl, views.camera, views.keypoints, init=views.truth, extra_terms=[mine]
    )
    expected = torch.full((4,), 2.0 * WARM_START[0].weights["bending"] ** 2)
    torch.testing.assert_close(fit.energy_terms["bending"], expected)


def test_terms_of_one_name_are_summed(views):
    schedule = [replace(s, weights={**s.weights, "mine": 3.0}) for s in WARM_START]
    fit = fit_smplify(
        views.smpl,
        views.camera,
        views.keypoints,
        schedule=schedule,
        init=views.truth,
        extra_terms=[Constant("mine", 1.0), Constant("mine", 4.0)],
    )
    torch.testing.assert_close(fit.energy_terms["mine"], torch.full((4,), 45.0))


def test_an_anchored_fit_stays_nearer_to_its_init(views):
    moved = replace(views.truth, betas=views.truth.betas + 1.0)
    free, held = (
        fit_smplify(views.smpl, views.camera, views.keypoints, schedule=schedule, init=moved)
        for schedule in (WARM_START, ANCHORED_START)
    )
    far, near = ((fit.body_parameters.betas - moved.betas).norm() for fit in (free, held))
    assert near < far
    assert "anchor" in held.energy_terms


POOR = {
    "one limb": lambda c: c.index_fill(
        1, torch.tensor([i for i in range(25) if i not in (2, 3, 4)]), 0
    ),
    "two points": lambda c: c.index_fill(
        1, torch.tensor([i for i in range(25) if i not in (0, 11)]), 0
    ),
    "hardly seen": lambda c: 0.16 * c,
}


@pytest.mark.parametrize("schedule", [COLD_START, SMPLIFY_2016, SPIN], ids=["cold", "2016", "SPIN"])
@pytest.mark.parametrize("seen", POOR)
def test_poor_evidence_gives_finite_bodies(views, seen, schedule):
    confidence = POOR[seen](views.keypoints.confidence)
    keypoints = replace(views.keypoints, confidence=confidence)
    fit = fit_smplify(views.smpl, views.camera, keypoints, schedule=schedule)
    assert torch.isfinite(fit.energy).all()
    for value in vars(fit.body_parameters).values():
        assert torch.isfinite(value).all()


def test_points_almost_in_one_place_give_a_finite_body(views):
    """A heap of points a hundredth of a pixel wide: a person as far away as may be."""
    heap = 300 + 0.01 * (views.keypoints.xy - 300) / 500
    keypoints = replace(views.keypoints, xy=heap)
    fit = fit_smplify(views.smpl, views.camera, keypoints)
    assert torch.isfinite(fit.energy).all()
    assert torch.isfinite(fit.projected_keypoints).all()
