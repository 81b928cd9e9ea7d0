"""Several views of one body: more than one view knows, wherever the world's origin lies."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from vhlib.body import SMPL, BodyParameters, Keypoints
from vhlib.body.skeletons import OPENPOSE_25
from vhlib.fitting import Squares, fit_smplify
from vhlib.fitting.energies import Reprojection
from vhlib.fitting.multiview import VIEWS_START, MultiViewReprojection, fit_views, in_world
from vhlib.fitting.posed_body import PosedBody, pack
from vhlib.fitting.starts import LeastSquares
from vhlib.geometry import PerspectiveCamera, axis_angle_to_matrix
from vhlib.metrics import mpjpe


@dataclass(frozen=True, eq=False)
class Room:
    """Bodies in a world, two cameras around them, and what a detector says of each view."""

    smpl: SMPL
    cameras: tuple[PerspectiveCamera, ...]
    truth: BodyParameters
    keypoints: Keypoints


def around(camera: PerspectiveCamera, yaw: float) -> PerspectiveCamera:
    """The camera carried about the point four metres in front of it."""
    T = torch.eye(4)
    T[:3, :3] = axis_angle_to_matrix(torch.tensor([0.0, yaw, 0.0]))
    centre = torch.tensor([0.0, 0.0, 4.0])
    T[:3, 3] = centre - T[:3, :3] @ centre
    return replace(camera, T_camera_world=T)


@pytest.fixture(scope="module")
def room(views) -> Room:
    cameras = tuple(around(views.camera, yaw) for yaw in (0.0, 1.4))
    points = views.smpl.keypoints("openpose_25", **vars(views.truth))
    g = torch.Generator().manual_seed(0)
    xy = torch.stack([camera.project(points) for camera in cameras])
    xy = xy + 3.0 * torch.randn(xy.shape, generator=g)
    return Room(
        views.smpl, cameras, views.truth, Keypoints(xy, torch.ones(xy.shape[:-1]), "openpose_25")
    )


@pytest.fixture(scope="module")
def fitted(room):
    return fit_views(room.smpl, room.cameras, room.keypoints)


def joints(room: Room, parameters: BodyParameters) -> Tensor:
    return room.smpl.keypoints("smpl_24", **vars(parameters))


def test_two_views_are_nearer_to_the_truth_than_one(room, fitted):
    alone = fit_smplify(room.smpl, room.cameras[0], room.keypoints[0])
    truth = joints(room, room.truth)
    error, error_alone = (
        mpjpe(joints(room, fit.body_parameters), truth, root=0).mean() for fit in (fitted, alone)
    )
    assert error < 0.7 * error_alone
    # The world knows where the body stands too.
    assert mpjpe(joints(room, fitted.body_parameters), truth, root=None).mean() < 0.06


def test_answers_are_in_the_world_and_describe_the_body(room, fitted):
    assert fitted.energy.shape == (4,)
    assert fitted.projected_keypoints.shape == (2, 4, 25, 2)
    points = room.smpl.keypoints("openpose_25", **vars(fitted.body_parameters))
    for camera, projected in zip(room.cameras, fitted.projected_keypoints, strict=True):
        torch.testing.assert_close(camera.project(points), projected, rtol=0, atol=0.01)
    torch.testing.assert_close(
        fitted.camera.project(points), fitted.projected_keypoints, rtol=0, atol=0.01
    )
    torch.testing.assert_close(sum(fitted.energy_terms.values()), fitted.energy)


def test_a_moved_world_moves_the_result_and_nothing_else(room, fitted):
    move = torch.eye(4)
    move[:3, :3] = axis_angle_to_matrix(torch.tensor([0.3, -0.8, 0.5]))
    move[:3, 3] = torch.tensor([1.0, -2.0, 0.5])
    moved = [replace(c, T_camera_world=c.T_camera_world @ move.inverse()) for c in room.cameras]
    fit = fit_views(room.smpl, moved, room.keypoints)
    expected = joints(room, fitted.body_parameters) @ move[:3, :3].T + move[:3, 3]
    torch.testing.assert_close(fit.energy, fitted.energy, rtol=1e-2, atol=0)
    assert (joints(room, fit.body_parameters) - expected).norm(dim=-1).max() < 0.02


def test_in_world_undoes_the_camera(views):
    camera = around(views.camera, 0.7)
    carried = in_world(views.smpl, views.truth, camera)
    in_camera = camera.world_to_camera(views.smpl.keypoints("smpl_24", **vars(carried)))
    expected = views.smpl.keypoints("smpl_24", **vars(views.truth))
    torch.testing.assert_close(in_camera, expected, rtol=0, atol=1e-5)


def test_the_term_is_the_sum_of_its_views(room):
    views = [Reprojection(*pair) for pair in zip(room.cameras, room.keypoints, strict=True)]
    term = MultiViewReprojection(tuple(views))
    regressor = room.smpl.keypoint_regressor("openpose_25")
    body = PosedBody(regressor, pack(room.truth))
    parts = [view.quadratic(body) for view in views]
    whole = term.quadratic(body)
    for name in ("energy", "gradient", "hessian"):
        expected = sum(getattr(part, name) for part in parts)
        torch.testing.assert_close(getattr(whole, name), expected, rtol=1e-4, atol=1e-2)
    some = term.select([2, 0]).energy(PosedBody(regressor, pack(room.truth[[2, 0]])))
    torch.testing.assert_close(some, whole.energy[[2, 0]], rtol=1e-4, atol=0)


def test_a_view_that_misses_somebody_is_left_out_for_them(room, fitted):
    confidence = room.keypoints.confidence.clone()
    confidence[1, 2] = 0
    fit = fit_views(room.smpl, room.cameras, replace(room.keypoints, confidence=confidence))
    assert fit.energy.isfinite().all()
    others = [0, 1, 3]
    torch.testing.assert_close(fit.energy[others], fitted.energy[others], rtol=1e-2, atol=0)
    one = fit_views(room.smpl, room.cameras[:1], room.keypoints[:1])
    torch.testing.assert_close(fit.energy[2], one.energy[2], rtol=2e-2, atol=0)


def test_a_camera_that_sees_nobody_changes_nothing(room, fitted):
    cameras = (*room.cameras, around(room.cameras[0], -1.0))
    blind = Keypoints(torch.zeros(1, 4, 25, 2), torch.zeros(1, 4, 25), "openpose_25")
    keypoints = Keypoints(
        torch.cat([room.keypoints.xy, blind.xy]),
        torch.cat([room.keypoints.confidence, blind.confidence]),
        "openpose_25",
    )
    fit = fit_views(room.smpl, cameras, keypoints)
    torch.testing.assert_close(fit.energy, fitted.energy, rtol=1e-3, atol=0)
    assert fit.projected_keypoints.shape == (3, 4, 25, 2)


@pytest.mark.parametrize("batch", [(), (1,), (2, 2)])
def test_batches_of_any_shape(room, fitted, batch):
    count = torch.Size(batch).numel()
    keypoints = Keypoints(
        room.keypoints.xy[:, :count].reshape(2, *batch, 25, 2),
        room.keypoints.confidence[:, :count].reshape(2, *batch, 25),
        "openpose_25",
    )
    fit = fit_views(room.smpl, room.cameras, keypoints)
    assert fit.energy.shape == batch
    assert fit.projected_keypoints.shape == (2, *batch, 25, 2)
    torch.testing.assert_close(fit.energy.flatten(), fitted.energy[:count], rtol=2e-2, atol=0)


def test_from_initial_bodies_in_the_world(room, fitted):
    fit = fit_views(room.smpl, room.cameras, room.keypoints, init=room.truth)
    torch.testing.assert_close(fit.energy, fitted.energy, rtol=5e-2, atol=0)


class TestRefusals:
    def test_another_number_of_views(self, room):
        with pytest.raises(ValueError, match=r"1 cameras need keypoints.*\(2, 4, 25\)"):
            fit_views(room.smpl, room.cameras[:1], room.keypoints)

    def test_somebody_whom_no_camera_sees(self, room):
        confidence = room.keypoints.confidence.clone()
        confidence[:, 3] = 0
        with pytest.raises(ValueError, match="sample 3 has no view with two keypoints"):
            fit_views(room.smpl, room.cameras, replace(room.keypoints, confidence=confidence))


def test_a_stage_may_look_at_some_keypoints_of_all_views(room):
    """The nose of every view is far off, and a stage that doesn't look at it isn't pulled."""
    xy = room.keypoints.xy.clone()
    xy[..., 0, :] += 400.0
    faulty = replace(room.keypoints, xy=xy)
    others = tuple(name for name in OPENPOSE_25.names if name != "nose")
    blind = [replace(stage, keypoints=others, robust=Squares()) for stage in VIEWS_START]
    seeing = [replace(stage, robust=Squares()) for stage in VIEWS_START]

    errors = {}
    for name, stages in (("blind", blind), ("seeing", seeing)):
        fit = fit_views(room.smpl, room.cameras, faulty, schedule=stages)
        found = joints(room, fit.body_parameters)
        errors[name] = mpjpe(found, joints(room, room.truth), root=None).mean()

    assert errors["blind"] < 0.6 * errors["seeing"]


def test_all_views_are_measured_anew(room):
    regressor = room.smpl.keypoint_regressor("openpose_25")
    body = PosedBody(regressor, pack(room.truth))
    too_tall = replace(room.keypoints, xy=room.keypoints.xy.clone())
    too_tall.xy[:, :, 0, 1] -= 3000.0
    term = MultiViewReprojection(
        tuple(Reprojection(c, k) for c, k in zip(room.cameras, too_tall, strict=True))
    )

    for before, after in zip(term.views, term.remeasured(body).views, strict=True):
        assert (after.keypoints.height() < 0.5 * before.keypoints.height()).all()


class TestWhatACallerMayGive:
    def test_bodies_to_start_from_in_double_precision(self, room):
        init = BodyParameters(**{name: value.double() for name, value in vars(room.truth).items()})
        fit = fit_views(room.smpl, room.cameras, room.keypoints, init=init)
        expected = fit_views(room.smpl, room.cameras, room.keypoints, init=room.truth)
        torch.testing.assert_close(fit.energy, expected.energy)

    def test_bodies_of_other_people_are_refused(self, room):
        with pytest.raises(ValueError, match=r"init\.betas has shape \(3, 10\)"):
            fit_views(room.smpl, room.cameras, room.keypoints, init=room.truth[:3])

    def test_nobody(self, room):
        fit = fit_views(room.smpl, room.cameras, room.keypoints[:, :0])
        assert fit.projected_keypoints.shape == (2, 0, 25, 2)

    def test_a_freed_lens_is_in_the_answer(self, room):
        long = [replace(c, focal_length=1.2 * c.focal_length) for c in room.cameras]
        freed = [replace(s, free=(*s.free, "focal_length")) for s in VIEWS_START]
        fit = fit_views(room.smpl, long, room.keypoints, schedule=freed, init=room.truth)
        factor = fit.camera.focal_length / torch.stack([c.focal_length for c in long])[:, None]
        assert (factor - 1 / 1.2).abs().max() < 0.05
        offset = (fit.projected_keypoints - room.keypoints.xy).norm(dim=-1)
        assert offset.mean() < 6.0

    def test_a_stage_that_prepares_a_start_for_one_camera_is_refused(self, room):
        stage = replace(VIEWS_START[-1], prepare=(LeastSquares(),))
        with pytest.raises(ValueError, match="leave prepare out"):
            fit_views(room.smpl, room.cameras, room.keypoints, schedule=[stage], init=room.truth)

    def test_cameras_with_batch_axes_are_refused(self, room):
        lens = room.cameras[0].focal_length.expand(4, 2)
        cameras = [replace(camera, focal_length=lens) for camera in room.cameras]
        with pytest.raises(ValueError, match="single one"):
            fit_views(room.smpl, cameras, room.keypoints)
