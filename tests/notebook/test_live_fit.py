"""A fit that follows dragged keypoints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import maximum_filter

from vhlib.body import BodyParameters, Keypoints
from vhlib.body.skeletons import OPENPOSE_25B
from vhlib.fitting import fit_smplify
from vhlib.geometry import PerspectiveCamera
from vhlib.notebook.clips import stand_in_clip
from vhlib.notebook.live_fit import LiveFit, body_overlay


@pytest.fixture(scope="module")
def camera() -> PerspectiveCamera:
    return stand_in_clip().cameras[0]


@pytest.fixture(scope="module")
def keypoints() -> Keypoints:
    return stand_in_clip().keypoints(0)[49]


@pytest.fixture(scope="module")
def start(smpl, camera, keypoints) -> BodyParameters:
    return fit_smplify(smpl, camera, keypoints).body_parameters


def with_wrist_moved(keypoints: Keypoints, pixels: float) -> Keypoints:
    xy = keypoints.xy.clone()
    xy[OPENPOSE_25B.index("right_wrist"), 1] += pixels
    return replace(keypoints, xy=xy)


def test_the_fit_follows_a_dragged_wrist(smpl, camera, keypoints, start):
    live, wrist = LiveFit(smpl, camera, start), OPENPOSE_25B.index("right_wrist")
    before = live(keypoints).projected[wrist, 1]

    for pixels in range(10, 90, 10):
        answer = live(with_wrist_moved(keypoints, pixels))

    assert answer.projected[wrist, 1] - before > 40
    torch.testing.assert_close(answer.projected, live.fit.projected_keypoints)


def test_each_fit_starts_where_the_last_one_ended(smpl, camera, keypoints, start):
    live = LiveFit(smpl, camera, start)
    live(keypoints)
    live(with_wrist_moved(keypoints, 30))
    last = live.fit.body_parameters

    answer = live(with_wrist_moved(keypoints, 60))

    expected = fit_smplify(smpl, camera, with_wrist_moved(keypoints, 60), init=last)
    torch.testing.assert_close(answer.projected, expected.projected_keypoints)


def test_the_first_keypoints_always_give_the_first_fit(smpl, camera, keypoints, start):
    live = LiveFit(smpl, camera, start)
    first = live(keypoints)
    live(with_wrist_moved(keypoints, 200))

    torch.testing.assert_close(live(keypoints).projected, first.projected, rtol=0, atol=0)


def test_the_words_name_the_energy(smpl, camera, keypoints, start):
    live = LiveFit(smpl, camera, start)

    first, second = live(keypoints).text.splitlines()

    assert first.startswith("refit in ")
    assert second.startswith(f"energy {float(live.fit.energy):.0f} = reprojection ")


def test_the_options_reach_the_fit(smpl, camera, keypoints, start):
    with pytest.raises(ValueError, match="the schedule is empty"):
        LiveFit(smpl, camera, start, schedule=())(keypoints)


def test_the_overlay_covers_the_body_at_the_asked_size(smpl, camera, start):
    overlay = body_overlay(smpl, camera.in_own_frame(), start, size=200)

    height, width, channels = overlay.picture.shape
    assert (max(height, width), channels) == (200, 4)
    left, top, right, bottom = overlay.box
    assert (right - left) / (bottom - top) == pytest.approx(width / height, rel=0.01)
    # Every visible vertex lies on what is drawn, or in the pixel beside.
    xy = camera.in_own_frame().project(smpl(**vars(start)).vertices)
    inside = (xy >= 0).all(-1) & (xy < torch.tensor(camera.image_size)).all(-1)
    scale = torch.tensor([width / (right - left), height / (bottom - top)])
    column, row = ((xy[inside] - torch.tensor([left, top])) * scale).long().T
    near = maximum_filter(overlay.picture[..., 3], size=3)
    assert (near[row.clamp(0, height - 1), column.clamp(0, width - 1)] > 0).mean() > 0.999


def test_a_body_out_of_sight_leaves_no_overlay(smpl, camera, start):
    behind = replace(start, transl=torch.tensor([0.0, 0.0, -5.0]))

    assert body_overlay(smpl, camera.in_own_frame(), behind, size=200) is None


def test_the_start_is_left_as_it_was(smpl, camera, keypoints, start):
    before = {name: value.clone() for name, value in vars(start).items()}
    LiveFit(smpl, camera, start)(with_wrist_moved(keypoints, 50))

    for name, value in vars(start).items():
        assert np.array_equal(value, before[name])
