from dataclasses import replace

import pytest
import torch

from vhlib.data import triangulation
from vhlib.data.triangulation import bundle_adjust, triangulate
from vhlib.geometry.cameras import PerspectiveCamera
from vhlib.geometry.rotations import axis_angle_to_matrix, similarity_procrustes


def ring_of_cameras(count=4, distance=4.0):
    """Cameras around the origin at one metre of height, each looking at it; world z up."""
    transforms = []
    for angle in torch.arange(count, dtype=torch.float64) * (2 * torch.pi / count):
        position = torch.stack([distance * angle.cos(), distance * angle.sin(), angle.new_ones(())])
        forward = -position / position.norm()
        right = torch.linalg.cross(forward, forward.new_tensor([0, 0, 1.0]))
        right = right / right.norm()
        rotation = torch.stack([right, torch.linalg.cross(forward, right), forward])
        transform = torch.eye(4, dtype=torch.float64)
        transform[:3, :3], transform[:3, 3] = rotation, -rotation @ position
        transforms.append(transform)
    focal_length = torch.full((count, 2), 1600.0, dtype=torch.float64)
    principal_point = torch.tensor([540.0, 960.0], dtype=torch.float64).expand(count, 2)
    return PerspectiveCamera(focal_length, principal_point, (1080, 1920), torch.stack(transforms))


@pytest.fixture
def scene():
    """Cameras, points of a standing person's size, their pixels, and full confidence."""
    cameras = ring_of_cameras()
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(60, 3, generator=generator, dtype=torch.float64) * 1.6 - 0.8
    xy = cameras.project(points[None])
    return cameras, points, xy, torch.ones(xy.shape[:2], dtype=torch.float64)


def nudged(cameras, degrees=0.7, metres=0.03):
    generator = torch.Generator().manual_seed(1)
    count = len(cameras.T_camera_world)
    random = torch.randn(2, count, 3, generator=generator, dtype=torch.float64)
    motion = torch.eye(4, dtype=torch.float64).repeat(count, 1, 1)
    motion[:, :3, :3] = axis_angle_to_matrix(torch.deg2rad(degrees * random[0]))
    motion[:, :3, 3] = metres * random[1]
    return replace(cameras, T_camera_world=motion @ cameras.T_camera_world)


def reprojection_error(cameras, points, xy):
    return (cameras.project(points[None]) - xy).norm(dim=-1)


def test_exact_pixels_give_exact_points(scene):
    cameras, points, xy, weights = scene
    torch.testing.assert_close(triangulate(cameras, xy, weights), points, atol=1e-9, rtol=0)


def test_a_point_needs_two_views(scene):
    cameras, points, xy, weights = scene
    weights[1:, 0] = 0
    weights[2:, 1] = 0
    found = triangulate(cameras, xy, weights)
    assert found[0].isnan().all()
    torch.testing.assert_close(found[1:], points[1:], atol=1e-9, rtol=0)


def test_pixels_of_unseen_points_do_not_matter(scene):
    cameras, points, xy, weights = scene
    weights[0] = 0
    xy[0] = torch.nan
    torch.testing.assert_close(triangulate(cameras, xy, weights), points, atol=1e-9, rtol=0)


def test_one_wrong_view_hardly_moves_a_point(scene):
    cameras, points, xy, weights = scene
    wrong = xy.clone()
    wrong[0, :, 0] += 200
    robust = (triangulate(cameras, wrong, weights) - points).norm(dim=-1)
    plain = (triangulate(cameras, wrong, weights, rounds=1) - points).norm(dim=-1)
    assert plain.mean() > 0.1
    assert robust.mean() < 0.01


def test_triangulation_minimises_pixels_not_equations(scene):
    cameras, _, xy, weights = scene
    generator = torch.Generator().manual_seed(2)
    noisy = xy + 2 * torch.randn(xy.shape, generator=generator, dtype=torch.float64)
    found = triangulate(cameras, noisy, weights, rounds=30)
    best = triangulation._robust_cost(cameras, found, noisy, weights)
    for axis in range(3):
        for step in (-1e-4, 1e-4):
            moved = found + step * torch.eye(3, dtype=torch.float64)[axis]
            assert triangulation._robust_cost(cameras, moved, noisy, weights) > best


def test_jacobians_agree_with_automatic_ones(scene):
    cameras, points, _, _ = scene
    by_camera, by_point = triangulation._jacobians(cameras, points)

    def project(camera_step, point_step):
        moved = triangulation._moved(cameras, camera_step)
        return moved.project((points + point_step)[None])

    zeros = torch.zeros(4, 6, dtype=torch.float64), torch.zeros_like(points)
    auto_camera, auto_point = torch.autograd.functional.jacobian(project, zeros)
    for c in range(4):
        torch.testing.assert_close(by_camera[c], auto_camera[c, :, :, c])
    n = torch.arange(len(points))
    torch.testing.assert_close(by_point, auto_point[:, n, :, n].movedim(0, 1))


def test_the_schur_step_solves_the_full_damped_equations(scene):
    cameras, points, xy, weights = scene
    cameras, points, xy, weights = nudged(cameras), points[:5], xy[:, :5], weights[:, :5]
    weights[1, 2] = 0
    damping = 0.1
    camera_step, point_step = triangulation._damped_step(cameras, points, xy, weights, damping)

    by_camera, by_point = triangulation._jacobians(cameras, points)
    residual = cameras.project(points[None]) - xy
    scale = (weights * triangulation._robust(residual.norm(dim=-1))).sqrt()[..., None]
    J = torch.zeros(4, 5, 2, 4 * 6 + 5 * 3, dtype=torch.float64)
    for c in range(4):
        for n in range(5):
            J[c, n, :, 6 * c : 6 * c + 6] = by_camera[c, n]
            J[c, n, :, 24 + 3 * n : 27 + 3 * n] = by_point[c, n]
    J, r = (scale[..., None] * J).reshape(-1, 39), (scale * residual).reshape(-1)
    H = J.T @ J
    step = torch.linalg.solve(H + damping * torch.diag(H.diagonal()), -J.T @ r)
    torch.testing.assert_close(camera_step.flatten(), step[:24])
    torch.testing.assert_close(point_step.flatten(), step[24:])


def test_bundle_adjustment_mends_nudged_cameras(scene):
    cameras, points, xy, weights = scene
    start = nudged(cameras)
    assert reprojection_error(start, triangulate(start, xy, weights), xy).median() > 5
    adjusted = bundle_adjust(start, xy, weights)
    assert reprojection_error(adjusted.cameras, adjusted.points, xy).max() < 1e-3
    aligned = similarity_procrustes(adjusted.points, points).apply(adjusted.points)
    torch.testing.assert_close(aligned, points, atol=1e-5, rtol=0)


def test_bundle_adjustment_keeps_the_world_where_the_cameras_stood(scene):
    cameras, _, xy, weights = scene
    start = nudged(cameras)
    centres = bundle_adjust(start, xy, weights).cameras.position
    similarity = similarity_procrustes(centres, start.position)
    torch.testing.assert_close(similarity.scale, torch.ones_like(similarity.scale))
    identity = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(similarity.rotation, identity, atol=1e-9, rtol=0)


def test_bundle_adjustment_ignores_wild_detections(scene):
    cameras, _, xy, weights = scene
    wild = xy.clone()
    wild[0, ::10] += 300
    adjusted = bundle_adjust(nudged(cameras), wild, weights)
    assert reprojection_error(adjusted.cameras, adjusted.points, xy)[1:].median() < 0.1


def test_inputs_are_not_changed(scene):
    cameras, _, xy, weights = scene
    before = xy.clone(), weights.clone(), cameras.T_camera_world.clone()
    bundle_adjust(cameras, xy, weights)
    for now, then in zip((xy, weights, cameras.T_camera_world), before, strict=True):
        assert torch.equal(now, then)
