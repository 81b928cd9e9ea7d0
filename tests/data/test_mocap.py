import math

import numpy as np
import pytest
import roma
import torch

from vhlib.body import SMPL
from vhlib.body.skeletons import SMPL_24
from vhlib.data.mocap import (
    Z_UP_TO_Y_UP,
    MotionSequence,
    mirrored,
    read_smpl_npz,
    resampled,
    split_by_clip,
    turned,
    write_smpl_npz,
)
from vhlib.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle


def random_motion(frames=7, fps=30.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    axis_angle = torch.randn(frames, 24, 3, generator=generator) * 0.5
    translation = torch.randn(frames, 3, generator=generator)
    return MotionSequence(axis_angle_to_matrix(axis_angle), translation, fps, "random")


@pytest.fixture(scope="module")
def smpl():
    return SMPL.load()


def turning_motion(frames, fps, degrees_per_second):
    """The left elbow turns about y at a constant rate, the root moves along x at 1 m/s."""
    seconds = torch.arange(frames) / fps
    axis_angle = torch.zeros(frames, 24, 3)
    axis_angle[:, SMPL_24.index("left_elbow"), 1] = torch.deg2rad(seconds * degrees_per_second)
    translation = torch.stack([seconds, 0 * seconds, 0 * seconds], -1)
    return MotionSequence(axis_angle_to_matrix(axis_angle), translation, fps, "turning")


def test_mirroring_twice_changes_nothing():
    motion = random_motion()
    twice = mirrored(mirrored(motion))
    torch.testing.assert_close(twice.rotations, motion.rotations)
    torch.testing.assert_close(twice.translation, motion.translation)


def test_mirroring_exchanges_sides_and_negates_y_and_z_of_the_axis():
    motion = random_motion()
    before, after = (matrix_to_axis_angle(m.rotations) for m in (motion, mirrored(motion)))
    left, right = SMPL_24.indices("left_knee", "right_knee")
    signs = torch.tensor([1.0, -1, -1])
    torch.testing.assert_close(after[:, left], before[:, right] * signs)
    torch.testing.assert_close(after[:, 0], before[:, 0] * signs)
    moved = motion.translation * torch.tensor([-1.0, 1, 1])
    assert torch.equal(mirrored(motion).translation, moved)


def test_resampling_at_the_same_rate_changes_nothing():
    motion = random_motion()
    torch.testing.assert_close(resampled(motion, 30.0).rotations, motion.rotations)


@pytest.mark.parametrize("fps", [10.0, 24.0, 59.94, 120.0])
def test_a_constant_turn_is_resampled_exactly(fps):
    found = resampled(turning_motion(61, 60.0, 90.0), fps)
    expected = turning_motion(len(found), fps, 90.0)
    assert found.fps == fps
    assert len(found) == math.floor(fps + 1e-6) + 1
    torch.testing.assert_close(found.rotations, expected.rotations, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.translation, expected.translation, atol=1e-5, rtol=0)


def test_between_frames_lies_the_shortest_turn():
    motion = random_motion(2, fps=1.0)
    middle = resampled(motion, 2.0).rotations[1]
    expected = roma.rotmat_slerp(motion.rotations[0], motion.rotations[1], torch.tensor(0.5))
    torch.testing.assert_close(middle, expected)


@pytest.mark.parametrize("fps", [0.0, -30.0, math.nan, math.inf])
def test_a_frame_rate_must_be_positive(fps):
    with pytest.raises(ValueError, match="must be positive"):
        resampled(random_motion(), fps)
    with pytest.raises(ValueError, match="must be positive"):
        random_motion(fps=fps)


def test_slices_keep_time():
    motion = random_motion(9)
    every_second = motion[1::2]
    assert len(every_second) == 4
    assert every_second.fps == 15
    assert torch.equal(every_second.translation, motion.translation[1::2])
    with pytest.raises(ValueError, match="steps of -1"):
        motion[::-1]
    with pytest.raises(TypeError, match="slice"):
        motion[3]


def test_a_motion_needs_frames_and_finite_values():
    with pytest.raises(ValueError, match=r"rotations \(T, 24, 3, 3\)"):
        random_motion()[:0]
    motion = random_motion()
    with pytest.raises(ValueError, match="isn't finite"):
        MotionSequence(motion.rotations, motion.translation * math.nan, 30.0)


def test_split_never_shares_a_clip():
    motions = {name: random_motion(seed=i) for i, name in enumerate("abcd")}
    train, held_out = split_by_clip(motions, ["b", "d"])
    assert (list(train), list(held_out)) == (["a", "c"], ["b", "d"])
    with pytest.raises(ValueError, match="no clip e; there are a, b, c, d"):
        split_by_clip(motions, ["e"])


def test_npz_round_trip(tmp_path):
    motion = random_motion(fps=59.94)
    path = tmp_path / "random.npz"
    write_smpl_npz(motion, path)
    again = read_smpl_npz(path)
    torch.testing.assert_close(again.rotations, motion.rotations)
    assert torch.equal(again.translation, motion.translation)
    assert (again.fps, again.name) == (59.94, "random")


def as_smplh(poses):
    """The file of AMASS's SMPL+H release; its person is text that was pickled."""
    return {
        **{"poses": poses, "trans": np.ones((5, 3)), "mocap_framerate": np.array(120.0)},
        **{"betas": np.zeros(16), "dmpls": np.zeros((5, 8))},
        "gender": np.array("female", dtype=object),
    }


def as_smplx(poses):
    """The file of AMASS's SMPL-X release, in whole and in parts."""
    parts = {"root_orient": poses[:, :3], "pose_body": poses[:, 3:66], "pose_hand": poses[:, 75:]}
    return {
        **{"poses": poses, "trans": np.ones((5, 3)), "mocap_frame_rate": np.array(120)},
        **{"surface_model_type": np.array("smplx"), "mocap_time_length": np.array(5 / 120)},
        **{"gender": np.array(b"male"), "markers_latent_vids": np.array({"ARIEL": 411})},
        **parts,
    }


def in_parts(poses):
    """What some tools that write SMPL-X's layout leave of it."""
    whole = as_smplx(poses)
    return {k: whole[k] for k in ("root_orient", "pose_body", "trans", "mocap_frame_rate")}


@pytest.mark.parametrize(
    ("layout", "size"), [(as_smplh, 66), (as_smplh, 156), (as_smplx, 165), (in_parts, 165)]
)
def test_amass_gives_the_joints_of_the_body(tmp_path, layout, size):
    """In every layout it is published in; nothing pickled beside them disturbs."""
    poses = np.random.default_rng(0).normal(size=(5, size)) * 0.3
    np.savez(tmp_path / "amass.npz", **layout(poses))
    motion = read_smpl_npz(tmp_path / "amass.npz")
    axis_angle = matrix_to_axis_angle(motion.rotations)
    expected = torch.from_numpy(poses[:, :66]).float().reshape(5, 22, 3)
    torch.testing.assert_close(axis_angle[:, :22], expected)
    assert axis_angle[:, 22:].abs().max() == 0
    assert torch.equal(motion.translation, torch.ones(5, 3))
    assert motion.fps == 120


class TestTurned:
    def test_moves_the_body_rigidly(self, smpl):
        """The posed joints of any body turn about the world's origin, whatever its betas."""
        generator = torch.Generator().manual_seed(0)
        motion = random_motion(4)
        betas = torch.randn(smpl.num_betas, generator=generator)
        rotation = axis_angle_to_matrix(torch.randn(3, generator=generator))

        def joints(motion):
            return smpl.keypoints(
                "smpl_24", betas, motion.body_pose, motion.global_orient, motion.translation
            )

        rest_root = smpl.keypoints("smpl_24", betas=betas)[0]
        found = joints(turned(motion, rotation, rest_root))
        torch.testing.assert_close(found, joints(motion) @ rotation.mT, atol=1e-5, rtol=0)

    def test_stands_amass_upright(self):
        """Who stands along z there has the head up y here, and faces +z instead of -y."""
        standing = axis_angle_to_matrix(torch.tensor([math.pi / 2, 0.0, 0.0]))
        rotations = torch.eye(3).repeat(1, 24, 1, 1)
        rotations[:, 0] = standing
        amass = MotionSequence(rotations, torch.tensor([[1.0, 2.0, 0.9]]), 120.0)
        found = turned(amass, Z_UP_TO_Y_UP)
        torch.testing.assert_close(found.global_orient[0], torch.eye(3))
        torch.testing.assert_close(found.translation, torch.tensor([[1.0, 0.9, -2.0]]))

    def test_leaves_the_motion_alone(self):
        motion = random_motion()
        before = motion.rotations.clone()
        assert torch.equal(turned(motion, Z_UP_TO_Y_UP).body_pose, motion.body_pose)
        assert torch.equal(motion.rotations, before)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"trans": np.zeros((2, 3)), "mocap_framerate": 30.0}, "no poses"),
        ({"poses": np.zeros((2, 72)), "trans": np.zeros((2, 3))}, "no mocap_framerate"),
        ({"poses": np.zeros((2, 63)), "trans": np.zeros((2, 3)), "mocap_framerate": 30.0}, "poses"),
        (
            {"poses": np.zeros((2, 72)), "trans": np.zeros((3, 3)), "mocap_framerate": 30.0},
            "trans is",
        ),
        (
            {"poses": np.zeros((2, 72)), "trans": np.zeros((2, 3)), "mocap_framerate": [1, 2]},
            "expected one number",
        ),
        (
            {"gender": np.array("female")},
            "no poses and no trans and no mocap_framerate; found none",
        ),
        (
            {"poses": np.full((2, 72), "a"), "trans": np.zeros((2, 3)), "mocap_framerate": 30.0},
            "poses holds <U1, expected numbers",
        ),
        (
            {"poses": np.zeros((0, 72)), "trans": np.zeros((0, 3)), "mocap_framerate": 30.0},
            "found .0, 24, 3, 3.",
        ),
        (
            {"root_orient": np.zeros((2, 3)), "trans": np.zeros((2, 3)), "mocap_framerate": 30.0},
            "no poses; found root_orient",
        ),
        (
            {
                **{"root_orient": np.zeros((2, 3)), "pose_body": np.zeros((3, 63))},
                **{"trans": np.zeros((2, 3)), "mocap_framerate": 30.0},
            },
            r"pose_body \(3, 63\), expected \(T, 3\) and \(T, 63\)",
        ),
        (
            {"poses": np.array([{}] * 2), "trans": np.zeros((2, 3)), "mocap_framerate": 30.0},
            "not a readable npz",
        ),
    ],
)
def test_malformed_npz_is_named(tmp_path, arrays, message):
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=message) as caught:
        read_smpl_npz(path)
    assert "bad" in str(caught.value)


def test_other_files_are_named(tmp_path):
    path = tmp_path / "notes.npz"
    path.write_text("not an npz")
    with pytest.raises(ValueError, match=r"notes\.npz: not an npz"):
        read_smpl_npz(path)
    with pytest.raises(FileNotFoundError):
        read_smpl_npz(tmp_path / "none.npz")
