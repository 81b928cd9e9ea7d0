import json
import math
from itertools import chain

import pytest
import torch

from vhlib.body.skeletons import SMPL_24, SMPL_PARENTS
from vhlib.body.skinning import KinematicTree, forward_kinematics
from vhlib.data.bvh import BvhClip, BvhJoint
from vhlib.data.downloads import cached
from vhlib.data.motion_library import load_registry_motions
from vhlib.data.retargeting import (
    BIPED_JOINTS,
    CMU_JOINTS,
    read_deepmimic,
    retarget_bvh,
)
from vhlib.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle

UP, DOWN, FORWARD = [0.0, 1, 0], [0.0, -1, 0], [0.0, 0, 1]


def deepmimic_frame(**changes):
    """Upright and at rest: identity quaternions (real part first), straight hinges."""
    identity = [1.0, 0, 0, 0]
    frame = {"duration": [1 / 30], "position": [0.0, 0.9, 0]}
    frame |= {"root": identity, "chest": identity, "neck": identity}
    for side in ("right", "left"):
        frame |= {f"{side}_hip": identity, f"{side}_knee": [0.0], f"{side}_ankle": identity}
        frame |= {f"{side}_shoulder": identity, f"{side}_elbow": [0.0]}
    return list(chain.from_iterable((frame | changes).values()))


def write_deepmimic(path, *frames):
    path.write_text(json.dumps({"Loop": "none", "Frames": frames}))
    return path


def world_rotations(motion):
    parents = tuple(-1 if p is None else SMPL_24.index(p) for p in SMPL_PARENTS.values())
    joints = torch.zeros(len(motion), 24, 3)
    return forward_kinematics(motion.rotations, joints, KinematicTree(parents))[0]


def points_along(motion, joint, rest):
    """Where a bone that rests along ``rest`` points in the first frame."""
    return (world_rotations(motion)[0, SMPL_24.index(joint)] @ torch.tensor(rest)).tolist()


def test_deepmimic_at_rest_stands_with_hanging_arms(tmp_path):
    motion = read_deepmimic(write_deepmimic(tmp_path / "rest.txt", *[deepmimic_frame()] * 3))
    assert motion.fps == pytest.approx(30)
    assert motion.translation[0].tolist() == pytest.approx([0, 0.9, 0])
    assert points_along(motion, "pelvis", FORWARD) == pytest.approx(FORWARD)
    assert points_along(motion, "left_elbow", [1.0, 0, 0]) == pytest.approx(DOWN, abs=1e-6)
    assert points_along(motion, "right_shoulder", [-1.0, 0, 0]) == pytest.approx(DOWN, abs=1e-6)
    assert points_along(motion, "right_knee", DOWN) == pytest.approx(DOWN)


def test_deepmimic_hinges_bend_the_natural_way(tmp_path):
    bent = deepmimic_frame(left_knee=[-math.pi / 2], right_elbow=[math.pi / 2])
    motion = read_deepmimic(write_deepmimic(tmp_path / "bent.txt", bent, bent))
    knee = matrix_to_axis_angle(motion.rotations)[0, SMPL_24.index("left_knee")]
    assert knee.tolist() == pytest.approx([math.pi / 2, 0, 0], abs=1e-6)
    backward = [0.0, 0, -1]
    assert points_along(motion, "left_knee", DOWN) == pytest.approx(backward, abs=1e-6)
    assert points_along(motion, "right_elbow", [-1.0, 0, 0]) == pytest.approx(FORWARD, abs=1e-6)


def test_deepmimic_spine_shares_the_chest_turn(tmp_path):
    half = math.pi / 6
    leaning = deepmimic_frame(chest=[math.cos(half), 0, 0, math.sin(half)])
    motion = read_deepmimic(write_deepmimic(tmp_path / "lean.txt", leaning, leaning))
    axis_angle = matrix_to_axis_angle(motion.rotations)[0]
    spine = axis_angle[SMPL_24.indices("spine1", "spine2", "spine3")]
    expected = torch.tensor([[-math.pi / 9, 0, 0]]).expand(3, 3)
    torch.testing.assert_close(spine, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a DeepMimic motion"),
        ("[1, 2]", "not a DeepMimic motion"),
        ('{"Frames": 3}', r"\(\), expected \(T, 44\)"),
        ('{"Frames": [[1, 2], [3]]}', "not a DeepMimic motion"),
        ('{"Frames": [[1, 2], [3, 4]]}', r"\(2, 2\), expected \(T, 44\)"),
        (json.dumps({"Frames": [deepmimic_frame(duration=[0.0])] * 3}), "lasts 0 s"),
    ],
)
def test_malformed_deepmimic_is_named(tmp_path, text, message):
    path = tmp_path / "bad.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_deepmimic(path)
    assert "bad.txt" in str(caught.value)


def bvh_clip(sources, turned=None):
    """A rig in a T-pose, legs of 10 + 10 units; ``turned``: SMPL joint -> degrees about z."""
    offsets = {"hip": (1.0, -1.0, 0.0), "knee": (0.0, -10.0, 0.0), "ankle": (0.0, -10.0, 0.0)}
    offsets |= {"foot": (0.0, -1.0, 3.0), "collar": (1.0, 4.0, 0.0), "shoulder": (2.0, 0.0, 0.0)}
    offsets |= {"elbow": (6.0, 0.0, 0.0), "wrist": (6.0, 0.0, 0.0)}
    joints, columns = {}, []
    for joint, source in sources.items():
        if source in joints:
            continue
        side, _, part = joint.partition("_")
        x, y, z = offsets.get(part, (0.0, 3.0, 0.0))
        parent = None if joint == "pelvis" else SMPL_PARENTS[joint]
        while parent is not None and sources[parent] == source:
            parent = SMPL_PARENTS[parent]
        channels = ("Zrotation", "Yrotation", "Xrotation")
        if parent is None:
            channels = ("Xposition", "Yposition", "Zposition", *channels)
        joints[source] = BvhJoint(
            source,
            None if parent is None else sources[parent],
            (-x if side == "right" else x, y, z) if parent else (0.0, 0.0, 0.0),
            channels,
        )
        angle = (turned or {}).get(joint, 0.0)
        columns += [0.0, 20.0, 0.0] if parent is None else []
        columns += [angle, 0.0, 0.0]
    values = torch.tensor([columns, columns], dtype=torch.float64)
    return BvhClip(joints, values, 1 / 120)


@pytest.mark.parametrize("sources", [CMU_JOINTS, BIPED_JOINTS])
def test_a_bvh_rig_in_a_t_pose_becomes_a_t_pose(sources):
    motion = retarget_bvh(bvh_clip(sources))
    assert motion.fps == pytest.approx(120)
    assert points_along(motion, "pelvis", UP) == pytest.approx(UP)
    arm = torch.tensor([0.25, 0.01, 0.0])
    arm = (arm / arm.norm()).tolist()
    assert points_along(motion, "left_elbow", arm) == pytest.approx([1, 0, 0], abs=1e-6)
    shank = torch.tensor([0.015, -0.40, -0.03])
    shank = (shank / shank.norm()).tolist()
    assert points_along(motion, "right_knee", shank) == pytest.approx(DOWN, abs=1e-6)


def test_bvh_lengths_become_metres_by_the_leg():
    motion = retarget_bvh(bvh_clip(CMU_JOINTS))
    assert motion.translation[0, 1].item() == pytest.approx(0.78, abs=0.01)


def test_a_turned_bvh_joint_turns_ours():
    motion = retarget_bvh(bvh_clip(CMU_JOINTS, {"left_shoulder": -90.0}))
    arm = torch.tensor([0.25, 0.01, 0.0])
    arm = (arm / arm.norm()).tolist()
    assert points_along(motion, "left_elbow", arm) == pytest.approx(DOWN, abs=1e-6)
    assert points_along(motion, "right_elbow", [-arm[0], arm[1], 0]) == pytest.approx(
        [-1, 0, 0], abs=1e-6
    )


def test_an_unknown_rig_is_named():
    joints = {"Bone": BvhJoint("Bone", None, (0.0, 0.0, 0.0), ("Xrotation",))}
    clip = BvhClip(joints, torch.zeros(2, 1, dtype=torch.float64), 0.01)
    with pytest.raises(ValueError, match=r"dance: this BVH rig.*it has Bone"):
        retarget_bvh(clip, "dance")


@pytest.fixture(scope="module")
def motions():
    if cached("pybullet") is None:
        pytest.skip("run `vh assets fetch pybullet`")
    return load_registry_motions(with_bvh=cached("assimp-testmodels") is not None)


@pytest.mark.real_data
class TestRegistryMotions:
    def test_how_many(self, motions):
        assert len(motions) in (20, 23)
        assert all(len(motion) > 20 for motion in motions.values())

    def test_walk_goes_where_it_faces(self, motions):
        walk = motions["humanoid3d_walk"]
        velocity = (walk.translation[-1] - walk.translation[0]) / walk.duration
        facing = walk.global_orient[:, :, 2].mean(0)
        assert velocity.norm().item() == pytest.approx(0.98, abs=0.01)
        assert torch.cosine_similarity(velocity, facing, dim=0) > 0.99

    def test_walk_bends_knees_and_hips_as_people_do(self, motions):
        walk = motions["humanoid3d_walk"]
        flexion = torch.rad2deg(matrix_to_axis_angle(walk.rotations)[..., 0])
        left, right = flexion[:, SMPL_24.indices("left_knee", "right_knee")].T
        assert left.max().item() == pytest.approx(78, abs=1)
        assert right.max().item() == pytest.approx(left.max().item(), abs=0.1)
        assert min(left.min(), right.min()) > -1
        shift = abs(int(left.argmax()) - int(right.argmax())) / len(walk)
        assert shift == pytest.approx(0.5, abs=0.03)
        hips = flexion[:, SMPL_24.indices("left_hip", "right_hip")]
        assert hips.min().item() == pytest.approx(-34, abs=1)
        assert hips.max().item() == pytest.approx(9, abs=1)

    def test_knees_never_bend_far_the_wrong_way(self, motions):
        for motion in motions.values():
            flexion = matrix_to_axis_angle(motion.rotations)[..., 0]
            knees = flexion[:, SMPL_24.indices("left_knee", "right_knee")]
            assert (knees > -0.2).float().mean() > 0.97, motion.name

    def test_rotations_are_rotations(self, motions):
        for motion in motions.values():
            gram = motion.rotations.mT @ motion.rotations
            torch.testing.assert_close(gram, torch.eye(3).expand_as(gram), atol=1e-5, rtol=0)


def test_axis_angle_of_a_quarter_turn():
    # The convention that the tests above rely on.
    quarter = axis_angle_to_matrix(torch.tensor([math.pi / 2, 0, 0]))
    assert (quarter @ torch.tensor(DOWN)).tolist() == pytest.approx([0, 0, -1], abs=1e-6)
