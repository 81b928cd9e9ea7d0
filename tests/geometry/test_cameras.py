import math

import numpy as np
import pytest
import torch
from jaxtyping import config
from torch.autograd import gradcheck

from vhlib.geometry import Crop, PerspectiveCamera, WeakPerspectiveCamera, axis_angle_to_matrix

BATCHES = [(), (1,), (0,), (4,), (2, 3)]


def random(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def random_pose(*batch, seed=0):
    T = torch.eye(4, dtype=torch.float64).repeat(*batch, 1, 1)
    T[..., :3, :3] = axis_angle_to_matrix(random(*batch, 3, seed=seed))
    T[..., :3, 3] = random(*batch, 3, seed=seed + 1)
    return T


def points_before(camera, *batch, count=5, seed=0):
    """World points that the camera sees."""
    in_camera = random(*batch, count, 3, seed=seed) + torch.tensor([0.0, 0.0, 6.0])
    return camera.camera_to_world(in_camera)


def camera64(T_camera_world=None):
    focal_length = torch.tensor([900.0, 1100.0], dtype=torch.float64)
    principal_point = torch.tensor([300.0, 250.0], dtype=torch.float64)
    return PerspectiveCamera(focal_length, principal_point, (640, 480), T_camera_world)


def test_projection_by_hand():
    camera = PerspectiveCamera((500, 600), (320, 240), (640, 480))
    pixels = camera.project(torch.tensor([[0.0, 0.0, 2.0], [1.0, -1.0, 4.0]]))
    torch.testing.assert_close(pixels, torch.tensor([[320.0, 240.0], [445.0, 90.0]]))


def test_fields_become_float_tensors_and_keep_float64():
    camera = PerspectiveCamera(500, (320, 240), (640, 480))
    assert camera.focal_length.tolist() == [500.0, 500.0]
    assert camera.focal_length.dtype == torch.float32
    assert torch.equal(camera.T_camera_world, torch.eye(4))
    exact = PerspectiveCamera(
        torch.tensor(500.0, dtype=torch.float64), (320, 240), np.array([64, 48])
    )
    assert exact.focal_length.dtype == exact.T_camera_world.dtype == torch.float64
    assert exact.image_size == (64, 48)
    assert exact.to(torch.float32).focal_length.dtype == torch.float32


def test_answers_have_the_type_of_the_points():
    points = points_before(camera64())
    assert camera64().project(points).dtype == torch.float64
    assert camera64().project(points.float()).dtype == torch.float32


@pytest.mark.parametrize("batch", BATCHES)
def test_intrinsics_and_pose_agree_with_matrix_arithmetic(batch):
    camera = camera64(random_pose(*batch))
    points = points_before(camera, *batch)
    homogeneous = torch.cat([points, torch.ones_like(points[..., :1])], dim=-1)
    in_camera = (homogeneous @ camera.T_camera_world.mT)[..., :3]
    on_image = in_camera @ camera.intrinsics.mT
    torch.testing.assert_close(camera.world_to_camera(points), in_camera)
    torch.testing.assert_close(camera.project(points), on_image[..., :2] / on_image[..., 2:])


@pytest.mark.parametrize("index", [2, [2, 0, 2], slice(1, 3), torch.tensor([3, 1])])
def test_selected_cameras_are_those_of_the_batch(index):
    """The pose has a batch axis and is indexed; the lens is shared by all."""
    camera = camera64(random_pose(4))
    points = points_before(camera, 4)
    chosen = camera.select(index)
    torch.testing.assert_close(chosen.project(points[index]), camera.project(points)[index])
    assert torch.equal(chosen.focal_length, camera.focal_length)
    assert torch.equal(camera64().select(index).T_camera_world, camera64().T_camera_world)


@pytest.mark.parametrize("batch", BATCHES)
def test_unproject_inverts_project(batch):
    camera = camera64(random_pose(*batch))
    points = points_before(camera, *batch)
    depth = camera.world_to_camera(points)[..., 2]
    torch.testing.assert_close(camera.unproject(camera.project(points), depth), points)


def test_every_field_broadcasts_against_the_points():
    points = points_before(camera64(), 2, 3)
    one_by_one = torch.stack([camera64().project(p) for p in points.flatten(0, 1)])
    torch.testing.assert_close(camera64().project(points).flatten(0, 1), one_by_one)
    focal_lengths = torch.tensor([[500.0, 500.0], [700.0, 700.0]], dtype=torch.float64)
    camera = PerspectiveCamera(focal_lengths[:, None], (320, 240), (640, 480))
    each = [PerspectiveCamera(f, (320, 240), (640, 480)) for f in focal_lengths]
    expected = torch.stack([c.project(p) for c, p in zip(each, points, strict=True)])
    torch.testing.assert_close(camera.project(points), expected)
    several_cameras = camera64(random_pose(4)).project(points[0, 0])
    assert several_cameras.shape == (4, 5, 2)


def test_position_is_where_the_camera_stands():
    camera = camera64(random_pose(3))
    at_origin = camera.world_to_camera(camera.position[:, None])
    torch.testing.assert_close(at_origin, torch.zeros_like(at_origin))


def test_project_has_the_right_gradient_in_every_field():
    pose = random_pose()
    points = points_before(camera64(pose)).requires_grad_()
    focal_length = torch.tensor([900.0, 1100.0], dtype=torch.float64, requires_grad=True)
    principal_point = torch.tensor([300.0, 250.0], dtype=torch.float64, requires_grad=True)

    def project(points, focal_length, principal_point, pose):
        return PerspectiveCamera(focal_length, principal_point, (640, 480), pose).project(points)

    inputs = (points, focal_length, principal_point, pose.requires_grad_())
    assert gradcheck(project, inputs, atol=1e-4)


def test_projecting_does_not_write_into_its_inputs():
    camera, points = camera64(random_pose()), random(5, 3)
    copy, pose = points.clone(), camera.T_camera_world.clone()
    camera.project(points)
    assert torch.equal(points, copy)
    assert torch.equal(camera.T_camera_world, pose)


@pytest.mark.parametrize("batch", BATCHES)
def test_a_cropped_camera_sees_the_crops_pixels(batch):
    camera = camera64(random_pose(*batch))
    crop = Crop(300 + 50 * random(*batch, 2), 200 * random(*batch).exp(), 224)
    points = points_before(camera, *batch)
    expected = crop.frame_to_crop(camera.project(points))
    cropped = camera.cropped(crop)
    assert cropped.image_size == (224, 224)
    torch.testing.assert_close(cropped.project(points), expected)
    torch.testing.assert_close(crop.crop_to_frame(expected), camera.project(points))


def test_crop_by_hand():
    crop = Crop(center=(100.0, 60.0), size=40.0, resolution=80)
    corners = torch.tensor([[80.0, 40.0], [120.0, 80.0], [100.0, 60.0]])
    expected = torch.tensor([[0.0, 0.0], [80.0, 80.0], [40.0, 40.0]])
    torch.testing.assert_close(crop.frame_to_crop(corners), expected)
    normalized = torch.tensor([[-1.0, -1.0], [1.0, 1.0], [0.0, 0.0]])
    torch.testing.assert_close(crop.crop_to_normalized(expected), normalized)
    torch.testing.assert_close(crop.normalized_to_crop(normalized), expected)


def test_a_resized_camera_scales_its_pixels():
    camera, points = camera64(), points_before(camera64())
    scale = torch.tensor([0.5, 2.0], dtype=torch.float64)
    torch.testing.assert_close(
        camera.resized((320, 960)).project(points), camera.project(points) * scale
    )


@pytest.mark.parametrize("batch", BATCHES)
def test_the_two_weak_perspective_conventions_agree(batch):
    scale, offset, points = random(*batch).exp(), random(*batch, 2), random(*batch, 6, 3)
    camera = WeakPerspectiveCamera.from_offset(scale, offset)
    expected = scale[..., None, None] * points[..., :2] + offset[..., None, :]
    torch.testing.assert_close(camera.project(points), expected)
    torch.testing.assert_close(camera.offset, offset)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"focal_length": (1.0, 2.0, 3.0)}, r"focal_length must have shape \(\*batch, 2\)"),
        ({"focal_length": -5.0}, "focal_length must be positive"),
        ({"focal_length": 0.0}, "focal_length must be positive"),
        ({"focal_length": math.nan}, "focal_length must be finite"),
        ({"focal_length": math.inf}, "focal_length must be finite"),
        ({"focal_length": "wide"}, "focal_length must be numbers or a tensor"),
        ({"principal_point": 7.0}, r"principal_point must have shape \(\*batch, 2\)"),
        ({"T_camera_world": torch.eye(3)}, r"T_camera_world must have shape \(\*batch, 4, 4\)"),
        ({"image_size": (640, 0)}, "image_size must be whole and positive"),
        ({"image_size": (640, 480.5)}, "image_size must be whole and positive"),
        ({"image_size": 640}, "image_size must be whole and positive"),
        ({"image_size": ((640, 480), (640, 480))}, "image_size must be whole and positive"),
        ({"image_size": (640, math.nan)}, "image_size must be whole and positive"),
    ],
)
def test_wrong_fields_are_refused_in_one_line(change, message):
    fields = {"focal_length": 500.0, "principal_point": (320, 240), "image_size": (640, 480)}
    with pytest.raises(ValueError, match=message) as error:
        PerspectiveCamera(**(fields | change))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("image_size", [None, (640, None), "640x480", ("640", "480"), ((1, 2), 3)])
def test_an_image_size_that_is_no_number_is_refused(image_size, monkeypatch):
    monkeypatch.setattr(config, "jaxtyping_disable", True)  # outside of tests nobody checks types
    with pytest.raises(ValueError, match=r"image_size must be whole and positive \(width"):
        PerspectiveCamera(500.0, (320, 240), image_size)


@pytest.mark.parametrize("camera", [camera64(), WeakPerspectiveCamera(1.0, (0.0, 0.0))])
def test_a_single_point_needs_its_axis(camera, monkeypatch):
    monkeypatch.setattr(config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=r"V, 3\), found \(3,\); give points\[None\]"):
        camera.project(random(3))


def test_wrong_points_scales_and_sizes_are_refused():
    with pytest.raises(ValueError, match=r"points must be \(\*batch, V, 3\), found \(5, 2\)"):
        camera64().project(random(5, 2))
    with pytest.raises(ValueError, match="scale must be positive"):
        WeakPerspectiveCamera(-1.0, (0.0, 0.0))
    with pytest.raises(ValueError, match="size must be positive"):
        Crop((5.0, 5.0), 0.0, 224)
