import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from vhlib.data.bvh import read_bvh

TEXT = """HIERARCHY
ROOT Hips
{
  OFFSET 1.0 2.0 3.0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation
  JOINT Leg
  {
    OFFSET 0.0 -5.0 0.0
    CHANNELS 3 Xrotation Zrotation Yrotation
    End Site
    {
      OFFSET 0.0 -4.0 1.0
    }
  }
  JOINT Arm
  {
    OFFSET 2.0 3.0 0.0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 1.0 0.0 0.0
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.0333333
0 0 0 0 0 0 0 0 0 0 0 0
10 20 30 10 20 30 40 50 60 70 80 90
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "toy.bvh"
    path.write_text(TEXT)
    return path


def test_hierarchy(path):
    clip = read_bvh(path)
    assert list(clip.joints) == ["Hips", "Leg", "Leg_end", "Arm", "Arm_end"]
    assert clip.joints["Arm"].parent == "Hips"
    assert clip.rest_vector("Hips", "Leg_end").tolist() == [0, -9, 1]
    assert clip.frame_time == pytest.approx(1 / 30, abs=1e-6)
    assert clip.root_position.tolist() == [[1, 2, 3], [11, 22, 33]]


def test_rotations_follow_the_order_of_the_channels(path):
    world = read_bvh(path).world_rotations
    root = Rotation.from_euler("ZYX", [10, 20, 30], degrees=True)
    leg = root * Rotation.from_euler("XZY", [40, 50, 60], degrees=True)
    arm = root * Rotation.from_euler("ZXY", [70, 80, 90], degrees=True)
    for name, expected in {"Hips": root, "Leg": leg, "Arm": arm}.items():
        np.testing.assert_allclose(world[name][1].numpy(), expected.as_matrix(), atol=1e-12)
        assert torch.equal(world[name][0], torch.eye(3, dtype=torch.float64))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("HIERARCHY", "HIERARCHIE", "HIERARCHY"),
        ("MOTION", "MOTOIN", "MOTION"),
        ("Frames: 2", "Frames: 3", "promises 3 frames, the file holds 2"),
        ("70 80 90", "70 80", "differ in length"),
        ("90\n", "ninety\n", "ninety"),
        ("Xrotation Zrotation Yrotation", "Xrotation Zrotation Wrotation", "unknown channel"),
        ("CHANNELS 3 Xrotation Zrotation Yrotation", "", "'Leg' has no CHANNELS"),
        ("OFFSET 2.0", "OFSET 2.0", "'Arm' doesn't begin"),
        ("}\nMOTION", "MOTION", "isn't closed"),
        ("}\nMOTION", "}}\nMOTION", "unexpected word"),
        ("JOINT Arm", "JOINT Leg", "two joints are called 'Leg'"),
        ("CHANNELS 6", "CHANNELS 3", "unexpected word"),
        ("Frame Time: 0.0333333\n", "", "expected a line 'Frame Time'"),
    ],
)
def test_malformed_files_are_named(path, old, new, message):
    path.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(ValueError, match=message) as caught:
        read_bvh(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("size", range(0, len(TEXT) - 40, 23))
def test_a_cut_off_file_is_never_read(path, size):
    path.write_text(TEXT[:size])
    with pytest.raises(ValueError, match=r"toy\.bvh"):
        read_bvh(path)
