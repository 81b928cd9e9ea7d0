import numpy as np
import torch

from tests.skinned_tube import elbow_turned, skinned_arm
from vhlib.body.pseudo_scans import (
    JOINT_RANGES,
    pose_bones,
    pseudo_scans,
    sample_poses,
    scan_poses,
)
from vhlib.body.skeletons import SMPL_24
from vhlib.body.skinning import linear_blend_skinning
from vhlib.geometry.meshes import signed_volume
from vhlib.geometry.rotations import matrix_to_axis_angle

REFLECT = torch.diag(torch.tensor([-1.0, 1, 1])).double()


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


def test_a_body_at_rest_is_scanned_as_it_is():
    skin, rest, joints = skinned_arm()
    bones = pose_bones(skin, joints, elbow_turned([[0.0, 0, 0]]))
    assert torch.allclose(pseudo_scans(skin, rest, bones)[0], rest, atol=1e-9)


def test_a_scanned_arm_keeps_more_of_its_volume_than_skinning_does():
    skin, rest, joints = skinned_arm()
    bones = pose_bones(skin, joints, elbow_turned([[0.0, -1.5, 0], [1.4, 0, 0]]))
    still = rest.expand(2, -1, -1)
    skinned = linear_blend_skinning(still, skin.lbs_weights, bones.transforms)
    volume, lost, kept = (
        signed_volume(mesh, skin.faces)
        for mesh in (still, skinned, pseudo_scans(skin, rest, bones))
    )
    assert ((kept - volume).abs() < 0.5 * (lost - volume).abs()).all()


def test_scans_of_unbent_bodies_need_no_offsets(monkeypatch):
    skin, rest, _ = skinned_arm()
    regressor = torch.full((24, len(rest)), 1 / len(rest)).double()
    still = torch.eye(3).double().expand(2, 24, 3, 3)
    monkeypatch.setattr("vhlib.body.pseudo_scans.sample_poses", lambda n, generator: still)
    scans = scan_poses(skin, regressor, torch.stack([rest, 2 * rest]), np.random.default_rng(0), 2)
    assert scans.features.shape == (4, 207)
    assert scans.offsets.abs().max() < 1e-9
