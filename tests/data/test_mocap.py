import math

import numpy as np
import pytest
import roma
import torch

from vhlib.body.skeletons import SMPL_24
from vhlib.data.mocap import (
    MotionSequence,
    mirrored,
    read_smpl_npz,
    resampled,
    split_by_clip,
    write_smpl_npz,
)
from vhlib.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle


def random_motion(frames=7, fps=30.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    axis_angle = torch.randn(frames, 24, 3, generator=generator) * 0.5
    translation = torch.randn(frames, 3, generator=generator)
    return MotionSequence(axis_angle_to_matrix(axis_angle), translation, fps, "random")


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


@pytest.mark.parametrize("size", [66, 156, 165])
@pytest.mark.parametrize("rate_key", ["mocap_framerate", "mocap_frame_rate"])
def test_amass_gives_its_first_22_joints(tmp_path, size, rate_key):
    poses = np.random.default_rng(0).normal(size=(5, size)) * 0.3
    arrays = {"poses": poses, "trans": np.zeros((5, 3)), rate_key: np.array(120.0)}
    # AMASS also stores a pickled string; it must neither be loaded nor disturb.
    np.savez(tmp_path / "amass.npz", gender=np.array("female", dtype=object), **arrays)
    motion = read_smpl_npz(tmp_path / "amass.npz")
    axis_angle = matrix_to_axis_angle(motion.rotations)
    expected = torch.from_numpy(poses[:, :66]).float().reshape(5, 22, 3)
    torch.testing.assert_close(axis_angle[:, :22], expected)
    assert axis_angle[:, 22:].abs().max() == 0
    assert motion.fps == 120


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
