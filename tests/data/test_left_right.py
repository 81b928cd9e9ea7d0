from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vhlib.body import Keypoints
from vhlib.body.skeletons import BLAZEPOSE_33
from vhlib.data.blazepose import Landmarks
from vhlib.data.left_right import (
    cover_head,
    exchanged,
    jump,
    matched_to,
    seen_from_front,
    settle,
    undo_swaps,
)

FLIP = BLAZEPOSE_33.flip_permutation
FRAMES = 12


def standing():
    """A person seen from the front: the body's left is at the picture's right. (33, 3) metres."""
    heights = {
        **dict.fromkeys(("shoulder",), -0.5),
        **{"elbow": -0.25, "wrist": 0.0, "pinky": 0.1, "index": 0.1, "thumb": 0.05},
        **{"hip": 0.0, "knee": 0.45, "ankle": 0.85, "heel": 0.9},
    }
    widths = {"shoulder": 0.17, "elbow": 0.25, "wrist": 0.28, "hip": 0.11}
    body = np.zeros((33, 3))
    for i, name in enumerate(BLAZEPOSE_33.names):
        side = 1 if "left" in name.split("_") else -1 if "right" in name.split("_") else 0
        part = name.split("_")[-1]
        head = i < BLAZEPOSE_33.index("left_shoulder")
        body[i] = [side * (0.05 if head else widths.get(part, 0.15)), heights.get(part, 0.9), 0]
        if head:
            body[i, 1:] = [-0.7, -0.1]
    return body


def look(world, visibility=0.9):
    """Landmarks of a body in metres, as an upright crop of two metres shows it."""
    points = world[:, :2] / 2 + 0.5
    mask = np.zeros((256, 256), np.float32)
    return Landmarks(points, np.full(33, visibility), world, mask, 1.0)


def turned_away(world):
    """The same person seen from behind: left and right change places in the picture."""
    return world * [-1, 1, -1]


FRONT = look(standing())
BACK = look(turned_away(standing()))
# The picture of a front with the names of a back: what the network says where faces are blurred.
SWAPPED = look(standing()[FLIP] * [1, 1, -1])


def test_front_back_and_mixed():
    assert seen_from_front(FRONT)
    assert not seen_from_front(BACK)
    assert not seen_from_front(SWAPPED)
    assert not seen_from_front(look(standing() * [0.4, 1, 1]))


def test_a_front_is_believed_whatever_the_second_look_says():
    for second in (FRONT, BACK, SWAPPED):
        assert settle(FRONT, second) is FRONT


def test_a_back_that_stays_a_back_is_kept():
    assert settle(BACK, BACK) is BACK


def test_a_second_look_that_says_the_same_in_the_picture_changes_nothing():
    noisy = look(standing() + 0.01)
    first = replace(BACK, points=FRONT.points)
    assert settle(first, noisy) is first


def test_a_front_taken_for_a_back_is_put_right():
    settled = settle(SWAPPED, FRONT)
    assert np.allclose(settled.points, FRONT.points)
    assert settled.mask is SWAPPED.mask


def test_the_head_comes_from_the_first_look():
    headless = replace(FRONT, points=FRONT.points + np.where(np.arange(33) < 11, 0.2, 0)[:, None])
    assert np.allclose(settle(SWAPPED, headless).points, FRONT.points)


def test_a_mixed_reading_gives_way_to_a_whole_one():
    mixed = look(np.where(np.arange(33)[:, None] < 23, standing(), standing()[FLIP]) * [0.4, 1, 1])
    assert np.allclose(settle(mixed, FRONT).points[11:], FRONT.points[11:])


def test_covering_hides_the_head_and_nothing_of_the_hips():
    rng = np.random.default_rng(0)
    crop = rng.integers(0, 256, (256, 256, 3), dtype=np.uint8)
    before = crop.copy()
    covered = cover_head(crop, FRONT)
    assert np.array_equal(crop, before)
    changed = (covered != crop).any(-1)
    x, y = (FRONT.points[:11] * 256).astype(int).T
    assert changed[y, x].mean() > 0.9
    assert not changed[int(FRONT.points[23, 1] * 256) - 20 :].any()


def track(frames=FRAMES, speed=3.0):
    """A person who walks to the right and swings, (T, 33)."""
    body = torch.tensor(standing()[:, :2], dtype=torch.float32) * 200 + 400
    time = torch.arange(frames, dtype=torch.float32)[:, None, None]
    swing = torch.sin(time / 3 + torch.arange(33)[None, :, None]) * 2
    xy = body + time * torch.tensor([speed, 0.0]) + swing
    return Keypoints(xy, torch.full((frames, 33), 0.9), "blazepose_33")


@given(st.lists(st.booleans(), min_size=FRAMES, max_size=FRAMES))
def test_planted_swaps_are_undone(planted):
    planted = torch.tensor(planted)
    if planted.sum() > FRAMES // 2:
        planted = ~planted
    true = track()
    undone = undo_swaps(exchanged(true, planted))
    if planted.sum() < FRAMES / 2:
        assert torch.equal(undone.xy, true.xy)
    else:  # A tie: either clip or its mirror image, but one of them throughout.
        assert torch.equal(undone.xy, true.xy) or torch.equal(
            undone.xy, exchanged(true, torch.ones(FRAMES, dtype=torch.bool)).xy
        )


def test_the_majority_decides():
    planted = torch.arange(FRAMES) < 8
    mirrored = exchanged(track(), torch.ones(FRAMES, dtype=torch.bool))
    assert torch.equal(undo_swaps(exchanged(track(), planted)).xy, mirrored.xy)


def test_frames_with_nobody_are_bridged():
    true = track()
    planted = torch.zeros(FRAMES, dtype=torch.bool)
    planted[6] = True
    given_ = exchanged(true, planted)
    confidence = given_.confidence.clone()
    confidence[3] = 0
    undone = undo_swaps(Keypoints(given_.xy, confidence, true.skeleton))
    assert torch.equal(undone.xy[4:], true.xy[4:])


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_short_tracks_stay_as_they_are(frames):
    short = track(frames)
    assert torch.equal(undo_swaps(short).xy, short.xy)


def test_the_input_is_not_written_to():
    given_ = exchanged(track(), torch.arange(FRAMES) == 4)
    before = given_.xy.clone()
    undo_swaps(given_)
    assert torch.equal(given_.xy, before)


def test_everybody_is_matched_to_the_frame_before():
    frames = track(4)
    people = exchanged(frames[1:3], torch.tensor([True, False]))
    assert torch.equal(matched_to(frames[0:2], people).xy, frames[1:3].xy)


def test_jumps_are_measured_in_sizes_of_the_person():
    a, b = track(2)[0], track(2)[1]
    assert jump(a, a) == 0
    larger = [Keypoints(3 * k.xy, k.confidence, k.skeleton) for k in (a, b)]
    assert jump(*larger) == pytest.approx(float(jump(a, b)))
    unseen = Keypoints(a.xy, torch.zeros(33), a.skeleton)
    assert jump(unseen, b) == 0
