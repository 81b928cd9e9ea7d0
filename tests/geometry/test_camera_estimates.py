import math

import pytest
import torch
from torch.autograd import gradcheck

from vhlib.geometry import Crop, PerspectiveCamera, WeakPerspectiveCamera, axis_angle_to_matrix
from vhlib.geometry.camera_estimates import (
    crop_to_frame_translation,
    estimate_translation,
    focal_from_35mm,
    focal_from_diagonal,
    focal_from_sensor,
    frame_translation_to_weak_perspective,
    similar_triangles_depth,
    translation_to_weak_perspective,
    weak_perspective_in_frame,
    weak_perspective_to_translation,
)

BATCHES = [(), (1,), (4,), (2, 3)]
WIDTH, HEIGHT = IMAGE_SIZE = (1920, 1080)
MIDDLE = (WIDTH / 2, HEIGHT / 2)


def random(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def body(*batch, seed=0):
    """Points of the size of a person about the origin."""
    return 0.4 * random(*batch, 14, 3, seed=seed)


def flat_body(*batch):
    return body(*batch) * torch.tensor([1.0, 1.0, 0.0])


def crop_camera(*batch):
    scale = 0.8 + 0.1 * random(*batch, seed=5).tanh()
    return WeakPerspectiveCamera(scale, 0.1 * random(*batch, 2, seed=6))


def box(*batch):
    center = torch.tensor(MIDDLE, dtype=torch.float64) + 200 * random(*batch, 2, seed=7)
    return Crop(center, 400 * (0.3 * random(*batch, seed=8)).exp(), 224)


def frame_camera(focal_length):
    focal_length = torch.tensor(float(focal_length), dtype=torch.float64)
    return PerspectiveCamera(focal_length, MIDDLE, IMAGE_SIZE)


def weak_pixels(camera, crop, points):
    """What the crop camera claims, in frame pixels."""
    return crop.crop_to_frame(crop.normalized_to_crop(camera.project(points)))


def test_focal_lengths():
    assert focal_from_diagonal((300, 400)) == 500.0
    assert focal_from_35mm(math.hypot(36, 24), (300, 400)) == pytest.approx(500.0)
    assert focal_from_35mm(26, (4032, 3024)) == pytest.approx(3028.67, abs=0.01)
    # A full-frame 3:2 picture: the 35-mm focal is the true one, so both rules agree.
    assert focal_from_35mm(50.0, (3600, 2400)) == pytest.approx(focal_from_sensor(50.0, 36.0, 3600))
    assert focal_from_sensor(4.25, 5.64, 4000) == pytest.approx(3014.18, abs=0.01)


def test_spin_depth_of_the_mean_camera():
    mean_camera = WeakPerspectiveCamera(0.9, (0.0, 0.0))
    at_5000 = weak_perspective_to_translation(mean_camera, 5000, 224)
    torch.testing.assert_close(at_5000, torch.tensor([0.0, 0.0, 49.6032]), atol=1e-4, rtol=0)
    at_500 = weak_perspective_to_translation(mean_camera, 500.0, 224)
    assert at_500[2] == pytest.approx(4.96, abs=0.01)


@pytest.mark.parametrize("batch", BATCHES)
def test_weak_perspective_and_translation_are_inverse(batch):
    camera = crop_camera(*batch)
    back = translation_to_weak_perspective(
        weak_perspective_to_translation(camera, 5000.0, 224), 5000.0, 224
    )
    torch.testing.assert_close(back.scale, camera.scale)
    torch.testing.assert_close(back.translation, camera.translation)


@pytest.mark.parametrize("batch", BATCHES)
def test_a_flat_body_has_the_same_pixels_in_every_convention(batch):
    camera, crop, points = crop_camera(*batch), box(*batch), flat_body(*batch)
    expected = weak_pixels(camera, crop, points)

    t = weak_perspective_to_translation(camera, 5000.0, crop.resolution)
    in_crop = PerspectiveCamera(5000.0, (112, 112), (224, 224)).project(points + t[..., None, :])
    torch.testing.assert_close(crop.crop_to_frame(in_crop), expected)

    t = crop_to_frame_translation(camera, crop, frame_camera(1500))
    in_frame = frame_camera(1500).project(points + t[..., None, :])
    torch.testing.assert_close(in_frame, expected)

    scale, shift = weak_perspective_in_frame(camera, crop, IMAGE_SIZE)
    normalized = scale[..., None, :] * (points[..., :2] + shift[..., None, :])
    in_pixels = (normalized + 1) / 2 * torch.tensor(IMAGE_SIZE)
    torch.testing.assert_close(in_pixels, expected)


def test_the_error_of_weak_perspective_falls_as_one_over_f():
    camera, crop, points = crop_camera(), box(), body()
    expected = weak_pixels(camera, crop, points)

    def error(focal_length):
        t = crop_to_frame_translation(camera, crop, frame_camera(focal_length))
        return (frame_camera(focal_length).project(points + t) - expected).norm()

    for focal_length in (1e4, 1e5, 1e6):
        ratio = error(focal_length) / error(10 * focal_length)
        assert ratio == pytest.approx(10.0, rel=0.05)


@pytest.mark.parametrize("batch", BATCHES)
def test_crop_and_frame_translations_are_inverse(batch):
    camera, crop = crop_camera(*batch), box(*batch)
    # Two focal lengths: the crop's scale follows the horizontal one.
    frame = PerspectiveCamera((1500, 1600), (900, 600), IMAGE_SIZE).to(torch.float64)
    translation = crop_to_frame_translation(camera, crop, frame)
    back = frame_translation_to_weak_perspective(translation, crop, frame)
    torch.testing.assert_close(back.scale, camera.scale)
    torch.testing.assert_close(back.translation, camera.translation)


def test_several_boxes_of_one_person_give_one_translation():
    """What the full frame fixes may not depend on the box that somebody drew."""
    translation = torch.tensor([0.3, -0.2, 5.0], dtype=torch.float64)
    crops = box(6)
    cameras = frame_translation_to_weak_perspective(translation, crops, frame_camera(1500))
    assert cameras.scale.std() > 0.05
    found = crop_to_frame_translation(cameras, crops, frame_camera(1500))
    torch.testing.assert_close(found, translation.expand(6, 3))


def posed_camera():
    T = torch.eye(4, dtype=torch.float64)
    T[:3, :3] = axis_angle_to_matrix(torch.tensor([0.3, -1.0, 0.2], dtype=torch.float64))
    T[:3, 3] = torch.tensor([0.1, 0.2, 0.3])
    return PerspectiveCamera((1500.0, 1300.0), MIDDLE, IMAGE_SIZE, T).to(torch.float64)


@pytest.mark.parametrize("batch", BATCHES)
def test_least_squares_translation_recovers_a_planted_one(batch):
    camera, points = posed_camera(), body(*batch)
    in_camera = torch.tensor([0.3, -0.4, 4.0]) + 0.3 * random(*batch, 3, seed=3)
    t = camera.camera_to_world(in_camera[..., None, :])
    pixels = camera.project(points + t)
    confidence = random(*batch, 14, seed=4).sigmoid()
    found = estimate_translation(points, pixels, confidence, camera)
    torch.testing.assert_close(found, t.squeeze(-2))


def test_least_squares_translation_solves_the_weighted_system():
    points, confidence = body(), random(14, seed=4).sigmoid()
    camera = PerspectiveCamera((1500.0, 700.0), MIDDLE, IMAGE_SIZE).to(torch.float64)
    pixels = camera.project(points + torch.tensor([0.3, -0.4, 4.0])) + 20 * random(14, 2, seed=9)
    offset = pixels - camera.principal_point
    rows = torch.cat([torch.diag(camera.focal_length).expand(14, 2, 2), -offset[..., None]], dim=-1)
    right = offset * points[:, 2:] - camera.focal_length * points[:, :2]
    weight = confidence.sqrt()[:, None]
    expected = torch.linalg.lstsq(
        (weight[..., None] * rows).flatten(0, 1), (weight * right).flatten()[:, None]
    ).solution
    found = estimate_translation(points, pixels, confidence, camera)
    torch.testing.assert_close(found, expected.squeeze(-1))


def test_least_squares_translation_ignores_points_without_confidence():
    camera, points, t = frame_camera(1500), body(), torch.tensor([0.3, -0.4, 4.0])
    confidence = torch.ones(14, dtype=torch.float64)
    confidence[3] = 0.0
    pixels = camera.project(points + t)
    pixels[3] = 1e4
    torch.testing.assert_close(estimate_translation(points, pixels, confidence, camera), t.double())
    with pytest.raises(ValueError, match="at least two keypoints"):
        estimate_translation(points, pixels, torch.eye(14, dtype=torch.float64)[0], camera)


def test_least_squares_translation_is_exact_in_float32_and_differentiable():
    camera, points, t = frame_camera(1500), body(), torch.tensor([0.3, -0.4, 4.0])
    pixels, confidence = camera.project(points + t), torch.ones(14)
    found = estimate_translation(points.float(), pixels.float(), confidence, camera)
    torch.testing.assert_close(found, t, atol=1e-4, rtol=0)
    inputs = (points.requires_grad_(), pixels.requires_grad_())
    assert gradcheck(lambda x, u: estimate_translation(x, u, confidence.double(), camera), inputs)


def test_similar_triangles_depth_of_a_person_facing_the_camera():
    points = flat_body(3)
    camera = PerspectiveCamera((1500.0, 1300.0), MIDDLE, IMAGE_SIZE)
    pixels = camera.project(points + torch.tensor([0.3, -0.4, 4.0]))
    edges = torch.tensor([[0, 1], [2, 3]])
    depth = similar_triangles_depth(points, pixels, edges, camera)
    torch.testing.assert_close(depth, torch.full((3,), 4.0, dtype=torch.float64))
    with pytest.raises(ValueError, match="edges of some length"):
        similar_triangles_depth(points, torch.zeros_like(pixels), edges, camera)
