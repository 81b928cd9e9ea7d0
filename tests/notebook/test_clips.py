"""The stand-in for the real clip: the same methods, an exact truth, and no doubt what it is."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch

from vhlib.body import SMPL
from vhlib.body.skeletons import OPENPOSE_25B
from vhlib.data.downloads import DataUnavailable
from vhlib.data.four_cameras import LIMB_JOINTS, FourCameraClip
from vhlib.fitting import fit_smplify
from vhlib.metrics import mpjpe
from vhlib.notebook import clips
from vhlib.notebook.clips import DETECTOR_NOISE, StandInClip, load_clip, stand_in_clip

LIMBS = OPENPOSE_25B.indices(*LIMB_JOINTS)
HIPS = [LIMB_JOINTS.index("left_hip"), LIMB_JOINTS.index("right_hip")]


@pytest.fixture(scope="module")
def clip() -> StandInClip:
    return stand_in_clip()


def test_without_data_one_line_says_why_and_the_stand_in_comes(monkeypatch, capsys):
    def unavailable():
        raise DataUnavailable("no network; run `vh assets fetch`")

    monkeypatch.setattr(clips.four_cameras, "load", unavailable)

    assert isinstance(load_clip(), StandInClip)

    printed = capsys.readouterr()
    assert printed.out.count("\n") == 1
    assert "synthetic stand-in" in printed.out
    assert "vh assets fetch" in printed.out
    assert printed.err == ""


def test_it_can_be_called_like_the_real_clip():
    for name in ("keypoints", "frame", "frames", "truth", "__len__"):
        ours = inspect.signature(getattr(StandInClip, name)).parameters
        theirs = inspect.signature(getattr(FourCameraClip, name)).parameters
        assert list(ours) == [p for p in theirs if p != "refined"]


@pytest.mark.parametrize("camera", range(4))
def test_keypoints_are_the_truth_in_the_picture_with_noise(clip, camera):
    drawn = clip.cameras[camera].project(clip.truth())
    noise = clip.keypoints(camera).xy[:, LIMBS] - drawn

    assert noise.std() == pytest.approx(DETECTOR_NOISE, rel=0.1)
    width, height = clip.cameras[camera].image_size
    assert ((drawn > 0) & (drawn < torch.tensor([width, height]))).all()


def test_a_frame_shows_the_body_where_the_keypoints_are(clip):
    picture = clip.frame(1, 49)

    x, y = clip.keypoints(1, [49])[0].xy[LIMBS].mean(0).long().tolist()
    assert picture.shape == (1920, 1080, 3)
    assert np.abs(picture[y, x].astype(int) - clips.WALL).max() > 30
    parts = picture.reshape(8, 240, 4, 270, 3)
    assert (parts == clips.LABEL_COLOR).all(-1).any((1, 3)).all()  # the label is everywhere
    assert np.array_equal(next(clip.frames(1, [49])), picture)


def test_a_fit_finds_the_body(clip):
    errors = []
    for camera in range(4):
        keypoints = clip.keypoints(camera, [49])
        fit = fit_smplify(SMPL.load(), clip.cameras[camera], keypoints)
        points = clip.smpl.keypoints("openpose_25b", **vars(fit.body_parameters))
        truth = clip.cameras[camera].world_to_camera(clip.truth()[[49]])
        errors.append(mpjpe(points[:, LIMBS], truth, root=HIPS))
        off = (fit.projected_keypoints - keypoints.xy)[:, LIMBS].norm(dim=-1).mean()
        assert off < 4 * DETECTOR_NOISE
    assert torch.stack(errors).mean() < 0.15
