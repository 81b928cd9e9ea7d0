import numpy as np
import pytest
import torch
import trimesh

from vhlib.body.pseudo_scans import (
    JOINT_RANGES,
    Skin,
    delta_mush,
    dual_quaternion_skinning,
    pseudo_scans,
    sample_poses,
    scan_poses,
)
from vhlib.body.skeletons import SMPL_24, SMPL_PARENTS
from vhlib.body.skinning import linear_blend_skinning
from vhlib.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle

REFLECT = torch.diag(torch.tensor([-1.0, 1, 1])).double()


@pytest.fixture(scope="module")
def tube() -> tuple[Skin, torch.Tensor]:
    """A closed tube along y, 1 m long; its upper half follows the second of two joints."""
    mesh = trimesh.creation.cylinder(radius=0.1, height=1.0, sections=16)
    mesh = mesh.subdivide_to_size(0.05)
    rest = torch.from_numpy(np.array(mesh.vertices))[:, [1, 2, 0]].contiguous()
    upper = ((rest[:, 1] + 0.1) / 0.2).clamp(0, 1)
    weights = torch.stack([1 - upper, upper], 1)
    return Skin(torch.from_numpy(np.array(mesh.faces)).long(), weights, (-1, 0)), rest


def bent(axis_angle: list[float]) -> torch.Tensor:
    """Transforms of two joints at the origin, the second turned."""
    rotations = axis_angle_to_matrix(torch.tensor([[[0.0, 0, 0], axis_angle]]).double())
    return torch.cat([rotations, torch.zeros(1, 2, 3, 1).double()], -1)


def middle_radius(points: torch.Tensor, rest: torch.Tensor) -> float:
    ring = rest[:, 1].abs() < 0.01
    return float(points[..., ring, :][..., [0, 2]].norm(dim=-1).max())


def test_poses_are_rotations_with_the_root_at_rest():
    poses = sample_poses(20, np.random.default_rng(0))
    assert torch.allclose(poses @ poses.mT, torch.eye(3).double().expand_as(poses), atol=1e-9)
    assert torch.equal(poses[:, 0], torch.eye(3).double().expand(20, 3, 3))
    knee = matrix_to_axis_angle(poses[:, SMPL_24.index("left_knee")])[:, 0]
    assert np.radians(100) < knee.max() <= np.radians(150)


def test_left_and_right_have_mirrored_ranges():
    poses = sample_poses(4000, np.random.default_rng(0))
    left, right = (poses[:, SMPL_24.index(f"{side}_shoulder")] for side in ("left", "right"))
    mirrored = matrix_to_axis_angle(REFLECT @ right @ REFLECT)
    assert torch.allclose(matrix_to_axis_angle(left).mean(0), mirrored.mean(0), atol=0.05)
    assert matrix_to_axis_angle(left).mean(0).abs().max() > 0.1


def test_every_joint_but_the_root_has_a_range():
    ranged = {name.removeprefix("left_") for name in JOINT_RANGES}
    joints = {name.removeprefix("left_").removeprefix("right_") for name in SMPL_24.names}
    assert joints - ranged == {"pelvis"}


def test_dual_quaternions_move_rigid_parts_as_matrices_do(tube):
    skin, rest = tube
    transforms = bent([0.9, 0.2, -0.3])
    transforms[:, :, 2, 3] = 0.4
    linear = linear_blend_skinning(rest[None], skin.lbs_weights, transforms)
    curved = dual_quaternion_skinning(rest, skin, transforms)
    rigid = skin.lbs_weights.max(1).values == 1
    assert rigid.any()
    assert torch.allclose(curved[:, rigid], linear[:, rigid])


def test_a_half_turn_pinches_the_linear_tube_only(tube):
    skin, rest = tube
    transforms = bent([0.0, 3.1, 0.0])
    linear = linear_blend_skinning(rest[None], skin.lbs_weights, transforms)
    curved = dual_quaternion_skinning(rest, skin, transforms)
    assert middle_radius(linear, rest) < 0.01
    assert middle_radius(curved, rest) == pytest.approx(0.1, abs=1e-6)


def test_delta_mush_keeps_the_rest_shape_and_follows_a_rigid_motion(tube):
    skin, rest = tube
    turn = axis_angle_to_matrix(torch.tensor([0.3, -0.8, 0.5]).double())
    moved = torch.stack([rest, rest @ turn.T + 0.2])
    assert torch.allclose(delta_mush(skin, rest, moved), moved, atol=1e-9)


def test_a_body_at_rest_is_scanned_as_it_is(tube):
    skin, rest = tube
    assert torch.allclose(pseudo_scans(skin, rest, bent([0.0, 0, 0]))[0], rest, atol=1e-9)


def test_softness_is_between_the_bones_only(tube):
    skin, rest = tube
    assert skin.softness[rest[:, 1].abs() < 0.05].min() > 0.9
    assert skin.softness[rest[:, 1].abs() > 0.4].max() == 0


def test_scans_of_unbent_bodies_need_no_offsets(tube, monkeypatch):
    tube_skin, rest = tube
    parents = tuple(-1 if p is None else SMPL_24.index(p) for p in SMPL_PARENTS.values())
    weights = torch.zeros(len(rest), 24).double()
    weights[:, [0, 3]] = tube_skin.lbs_weights
    skin = Skin(tube_skin.faces, weights, parents)
    regressor = torch.full((24, len(rest)), 1 / len(rest)).double()
    still = torch.eye(3).double().expand(2, 24, 3, 3)
    monkeypatch.setattr("vhlib.body.pseudo_scans.sample_poses", lambda n, generator: still)
    scans = scan_poses(skin, regressor, torch.stack([rest, 2 * rest]), np.random.default_rng(0), 2)
    assert scans.features.shape == (4, 207)
    assert scans.offsets.abs().max() < 1e-9
