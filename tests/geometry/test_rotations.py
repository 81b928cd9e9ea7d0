import math

import pytest
import torch
from scipy.spatial.transform import Rotation
from torch.autograd import gradcheck

from vhlib.geometry import (
    axis_angle_to_matrix,
    geodesic_distance,
    interleaved_6d_to_rotation_6d,
    left_jacobian,
    matrix_to_axis_angle,
    matrix_to_quaternion,
    matrix_to_rotation_6d,
    part_of_rotation,
    project_to_rotation,
    quaternion_to_matrix,
    rotation_6d_to_interleaved_6d,
    rotation_6d_to_matrix,
    rotation_between,
    similarity_procrustes,
    skew,
)

BATCHES = [(), (1,), (0,), (4,), (2, 3)]
# Every property visits the identity, its neighbourhood, the switch of the series, and nearly pi.
ANGLES = [0.0, 1e-12, 1e-7, 1e-4, 0.499, 0.501, 1.0, 3.0, math.pi - 1e-7]


def random(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def special_axis_angles():
    axes = torch.nn.functional.normalize(random(len(ANGLES), 3), dim=-1)
    return torch.tensor(ANGLES, dtype=torch.float64)[:, None] * axes


def random_rotations(*batch, seed=0):
    return axis_angle_to_matrix(random(*batch, 3, seed=seed))


@pytest.mark.parametrize("batch", BATCHES)
def test_every_form_returns_to_the_same_matrix(batch):
    R = random_rotations(*batch)
    for there, back in [
        (matrix_to_axis_angle, axis_angle_to_matrix),
        (matrix_to_rotation_6d, rotation_6d_to_matrix),
        (matrix_to_quaternion, quaternion_to_matrix),
    ]:
        torch.testing.assert_close(back(there(R)), R)


def test_axis_angle_agrees_with_scipy_at_special_angles():
    axis_angle = special_axis_angles()
    expected = torch.from_numpy(Rotation.from_rotvec(axis_angle.numpy()).as_matrix())
    torch.testing.assert_close(axis_angle_to_matrix(axis_angle), expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(matrix_to_axis_angle(expected), axis_angle, atol=1e-8, rtol=0)


def test_quaternions_are_xyzw_as_in_scipy():
    q = random(5, 4)
    expected = torch.from_numpy(Rotation.from_quat(q.numpy()).as_matrix())
    torch.testing.assert_close(quaternion_to_matrix(q), expected)


def test_6d_is_the_first_two_columns_and_the_interleaved_layout_differs():
    R = random_rotations(4)
    six = matrix_to_rotation_6d(R)
    assert torch.equal(six, torch.cat([R[..., :, 0], R[..., :, 1]], dim=-1))
    interleaved = rotation_6d_to_interleaved_6d(six)
    assert torch.equal(interleaved, R[..., :2].reshape(4, 6))
    assert torch.equal(interleaved_6d_to_rotation_6d(interleaved), six)
    misread = rotation_6d_to_matrix(interleaved)
    torch.testing.assert_close(misread @ misread.mT, torch.eye(3, dtype=R.dtype).expand(4, 3, 3))
    assert (geodesic_distance(misread, R) > 0.1).all()


def test_6d_orthonormalises_any_two_independent_vectors():
    R = rotation_6d_to_matrix(random(7, 6))
    torch.testing.assert_close(R.mT @ R, torch.eye(3, dtype=R.dtype).expand(7, 3, 3))
    torch.testing.assert_close(torch.linalg.det(R), torch.ones(7, dtype=R.dtype))


def test_geodesic_distance_is_the_angle_and_broadcasts():
    angles = torch.tensor(ANGLES, dtype=torch.float64)
    first = random_rotations(3, 1)
    second = first @ axis_angle_to_matrix(special_axis_angles())
    distance = geodesic_distance(first, second)
    torch.testing.assert_close(distance, angles.expand(3, -1), atol=1e-8, rtol=0)


@pytest.mark.parametrize("angle", [*ANGLES, math.pi])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_finite_everywhere(angle, dtype):
    axis_angle = torch.tensor([angle, 0.0, 0.0], dtype=dtype, requires_grad=True)
    R = axis_angle_to_matrix(axis_angle)
    identity = torch.eye(3, dtype=dtype)
    for value in (
        matrix_to_axis_angle(R),
        matrix_to_quaternion(R),
        matrix_to_rotation_6d(R),
        geodesic_distance(identity, R),
        left_jacobian(axis_angle),
        project_to_rotation(2 * R),
    ):
        (gradient,) = torch.autograd.grad(value.sum(), axis_angle, retain_graph=True)
        assert gradient.isfinite().all()


def test_gradcheck_of_the_conversions():
    axis_angle = special_axis_angles().requires_grad_()
    assert gradcheck(axis_angle_to_matrix, axis_angle, eps=1e-5, atol=1e-9)
    assert gradcheck(left_jacobian, axis_angle, eps=1e-5, atol=1e-6)
    assert gradcheck(rotation_6d_to_matrix, random(3, 6).requires_grad_())
    assert gradcheck(project_to_rotation, random(3, 3, 3).requires_grad_(), atol=1e-4)
    tangent = special_axis_angles()[4:8].requires_grad_()
    assert gradcheck(lambda w: matrix_to_axis_angle(axis_angle_to_matrix(w)), tangent)


def test_projection_to_rotation_is_the_nearest_and_never_a_reflection():
    M = random(20, 3, 3)
    R = project_to_rotation(M)
    torch.testing.assert_close(torch.linalg.det(R), torch.ones(20, dtype=M.dtype))
    nearest = (R - M).norm(dim=(-2, -1))
    for seed in range(50):
        nudge = axis_angle_to_matrix(0.1 * random(20, 3, seed=seed))
        assert ((nudge @ R - M).norm(dim=(-2, -1)) >= nearest).all()


@pytest.mark.parametrize("batch", [(), (0,), (4,), (2, 3)])
def test_equal_parts_of_a_rotation_add_up_to_it(batch):
    R = axis_angle_to_matrix(random(*batch, 3))
    third = part_of_rotation(R, 1 / 3)
    torch.testing.assert_close(third @ third @ third, R)
    shares = random(*batch, seed=1).sigmoid()
    angle = geodesic_distance(torch.eye(3, dtype=R.dtype), part_of_rotation(R, shares))
    torch.testing.assert_close(angle, shares * matrix_to_axis_angle(R).norm(dim=-1))


def test_skew_is_the_cross_product():
    v, u = random(5, 3), random(5, 3, seed=1)
    torch.testing.assert_close((skew(v) @ u[..., None])[..., 0], torch.cross(v, u, dim=-1))


def test_left_jacobian_predicts_small_changes():
    axis_angle, step = special_axis_angles(), 1e-6
    J = left_jacobian(axis_angle)
    for k in range(3):
        nudge = torch.zeros(3, dtype=torch.float64)
        nudge[k] = step
        ahead = Rotation.from_rotvec((axis_angle + nudge).numpy())
        behind = Rotation.from_rotvec((axis_angle - nudge).numpy())
        measured = torch.from_numpy((ahead * behind.inv()).as_rotvec()) / (2 * step)
        torch.testing.assert_close(J[..., k], measured, atol=1e-8, rtol=0)


def test_left_jacobian_in_float32_is_as_exact_as_float32_allows():
    angles = torch.logspace(-6, math.log10(3.1), 400, dtype=torch.float64)
    axis_angle = angles[:, None] * torch.nn.functional.normalize(random(400, 3), dim=-1)
    torch.testing.assert_close(
        left_jacobian(axis_angle.float()).double(), left_jacobian(axis_angle), atol=2e-6, rtol=0
    )


@pytest.mark.parametrize("batch", BATCHES)
def test_procrustes_recovers_a_planted_similarity(batch):
    source, R, t = (
        random(*batch, 14, 3),
        random_rotations(*batch, seed=1),
        random(*batch, 3, seed=2),
    )
    scale = random(*batch, seed=3).exp()
    target = scale[..., None, None] * source @ R.mT + t[..., None, :]
    found = similarity_procrustes(source, target)
    torch.testing.assert_close(found.scale, scale)
    torch.testing.assert_close(found.rotation, R)
    torch.testing.assert_close(found.translation, t)
    torch.testing.assert_close(found.apply(source), target)


def test_procrustes_of_a_mirrored_body_is_still_a_rotation():
    source = random(3, 14, 3)
    found = similarity_procrustes(source, source * torch.tensor([-1.0, 1.0, 1.0]))
    torch.testing.assert_close(torch.linalg.det(found.rotation), torch.ones(3, dtype=torch.float64))
    assert (found.scale > 0).all()


def test_procrustes_beats_every_nearby_similarity():
    source, target, weights = random(14, 3), random(14, 3, seed=1), random(14, seed=2).exp()

    def energy(similarity):
        return (weights[:, None] * (similarity.apply(source) - target).square()).sum()

    best = similarity_procrustes(source, target, weights)
    for seed in range(100):
        twist, shift, stretch = random(3, 3, seed=seed)
        nudged = best._replace(
            scale=best.scale * (0.01 * stretch[0]).exp(),
            rotation=axis_angle_to_matrix(0.01 * twist) @ best.rotation,
            translation=best.translation + 0.01 * shift,
        )
        assert energy(nudged) >= energy(best)


def test_a_zero_weight_removes_a_point():
    source, target = random(6, 3), random(6, 3, seed=1)
    weights = torch.tensor([1.0, 1, 1, 1, 1, 0], dtype=torch.float64)
    with_weights = similarity_procrustes(source, target, weights)
    without_point = similarity_procrustes(source[:5], target[:5])
    for a, b in zip(with_weights, without_point, strict=True):
        torch.testing.assert_close(a, b)


def test_coincident_points_keep_scale_one():
    source = torch.ones(5, 3, dtype=torch.float64, requires_grad=True)
    found = similarity_procrustes(source, random(5, 3))
    assert found.scale == 1.0
    (gradient,) = torch.autograd.grad(found.apply(source).sum(), source)
    assert gradient.isfinite().all()


def test_procrustes_gradcheck():
    source, target = random(2, 6, 3).requires_grad_(), random(2, 6, 3, seed=1).requires_grad_()
    assert gradcheck(lambda x, y: similarity_procrustes(x, y).apply(x), (source, target))


def test_rotation_between_is_the_smallest_that_turns_one_direction_into_another():
    g = torch.Generator().manual_seed(0)
    start, end = (torch.randn(5, 3, generator=g, dtype=torch.float64) for _ in range(2))
    rotation = rotation_between(start, end)
    turned = (rotation @ start[..., None])[..., 0]
    torch.testing.assert_close(
        turned / start.norm(dim=-1, keepdim=True), end / end.norm(dim=-1, keepdim=True)
    )
    angle = torch.arccos(torch.cosine_similarity(start, end))
    torch.testing.assert_close(matrix_to_axis_angle(rotation).norm(dim=-1), angle)
    identity = torch.eye(3, dtype=torch.float64).expand(5, 3, 3)
    torch.testing.assert_close(rotation_between(start, 2 * start), identity)
    assert rotation_between(start[0], end).shape == (5, 3, 3)
