"""Left and right exchanged by a keypoint detector: found by consistency, and undone.

BlazePose settles front or back mostly by the face. Where the face can't be read (blurred, in the
dark, turned away) it takes a front for a back and exchanges left and right of the whole body, or
mixes both readings into one. Two independent witnesses help: the rest of the body, which a single
picture shows (`settle`), and the frames before and after (`undo_swaps`, `matched_to`).

In the worst camera of the real clip, from which the thresholds below come, 25 of 100 frames are
exchanged at first look and none after `settle`; in the other three cameras none before or after
(``benchmarks/detector.py``). How many is fragile: with a bystander's face in view it was 33, and 2.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from vhlib.body.keypoints import Keypoints
from vhlib.body.skeletons import BLAZEPOSE_33, get_skeleton
from vhlib.data.blazepose import Landmarks

# Metres. The network draws everybody about the same: shoulders 0.30-0.36 m apart, hips 0.2 seen
# from the front and 0.1 from behind. Narrower ones mean two readings mixed.
MIN_SHOULDER_WIDTH, MIN_HIP_WIDTH = 0.22, 0.12
# Two looks at one crop differ by 0.01-0.05 of the person's size if they agree on left and right.
_SAME_READING = 0.06
# A preference for the labels as detected, in person's sizes a frame: it decides for the majority of
# a clip, and is so small that a hundred wrong frames in a row don't outweigh two jumps.
_PREFERENCE = 0.002

_FLIP = BLAZEPOSE_33.flip_permutation
_SHOULDERS = BLAZEPOSE_33.indices("left_shoulder", "right_shoulder")
_HIPS = BLAZEPOSE_33.indices("left_hip", "right_hip")
# In BlazePose's order everything before the shoulders belongs to the head.
_HEAD = slice(0, _SHOULDERS[0])


def seen_from_front(landmarks: Landmarks) -> bool:
    """Whether the chest faces the camera, by a torso that is whole: not narrower than people are.

    The chest looks along left x up, with left from the right to the left shoulder and hip.
    """
    world = landmarks.world
    shoulders, hips = (world[left] - world[right] for left, right in (_SHOULDERS, _HIPS))
    up = world[_SHOULDERS].sum(0) - world[_HIPS].sum(0)
    whole = np.linalg.norm(shoulders) > MIN_SHOULDER_WIDTH and np.linalg.norm(hips) > MIN_HIP_WIDTH
    return bool(whole and np.cross(shoulders + hips, up)[2] < 0)


def cover_head(
    crop: UInt8[np.ndarray, "size size 3"], landmarks: Landmarks
) -> UInt8[np.ndarray, "size size 3"]:
    """The crop with its mean colour over the head, so that only the body can tell front from back.

    The disc is 1.5 shoulder widths across, or 3/8 of the torso where the shoulders are in line.
    """
    points = landmarks.points * len(crop)
    shoulders, hips = points[_SHOULDERS], points[_HIPS]
    up = shoulders.mean(0) - hips.mean(0)
    torso = np.linalg.norm(up)
    width = max(np.linalg.norm(shoulders[0] - shoulders[1]), torso / 4)
    # The points of the head lie in the face, below its middle.
    centre = points[_HEAD].mean(0) + 0.1 * width * up / torso
    y, x = np.mgrid[: len(crop), : len(crop)] + 0.5
    covered = np.hypot(x - centre[0], y - centre[1]) < 0.75 * width
    return np.where(covered[..., None], crop.mean((0, 1)).astype(np.uint8), crop)


def settle(first: Landmarks, covered: Landmarks) -> Landmarks:
    """One reading out of two looks: at the whole crop, and at the crop with the head covered.

    A front, once seen, is believed: with the head covered a front may pass for a back, never the
    other way round. So the second look wins only where it alone sees a front and differs; then the
    body's points are its own, and the head's are the first's with left and right put right.
    """
    size = np.ptp(first.points[_HEAD.stop :], axis=0).max()
    distance = np.linalg.norm(first.points - covered.points, axis=1)[_HEAD.stop :].mean()
    if seen_from_front(first) or not seen_from_front(covered) or distance < _SAME_READING * size:
        return first
    opposed = np.dot(_across(first), _across(covered)) < 0
    head = _FLIP[_HEAD] if opposed else np.arange(_HEAD.stop)

    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(first, name)[head], getattr(covered, name)[_HEAD.stop :]])

    values = {name: joined(name) for name in ("points", "visibility", "world")}
    return replace(first, **values)


def _across(landmarks: Landmarks) -> Float[np.ndarray, " 2"]:
    """From the right to the left shoulder in the crop."""
    left, right = landmarks.points[_SHOULDERS]
    return left - right


def exchanged(keypoints: Keypoints, where: Bool[Tensor, "*batch"]) -> Keypoints:
    """The keypoints with left and right exchanged wherever ``where`` is true."""
    flip = torch.as_tensor(get_skeleton(keypoints.skeleton).flip_permutation)
    return Keypoints(
        torch.where(where[..., None, None], keypoints.xy[..., flip, :], keypoints.xy),
        torch.where(where[..., None], keypoints.confidence[..., flip], keypoints.confidence),
        keypoints.skeleton,
    )


def jump(a: Keypoints, b: Keypoints) -> Float[Tensor, "*batch"]:
    """How far the points moved from ``a`` to ``b``: mean by confidence, in sizes of the person.

    Zero where the two have no point in common.
    """
    weights = a.confidence * b.confidence
    distance = (a.xy - b.xy).norm(dim=-1)
    total = weights.sum(-1)
    size = torch.maximum(a.height(), b.height())
    known = (total > 0) & (size > 0)
    scale = torch.where(known, total * size, torch.ones_like(total))
    return torch.where(known, (weights * distance).sum(-1) / scale, torch.zeros_like(total))


def matched_to(previous: Keypoints, keypoints: Keypoints) -> Keypoints:
    """Left and right as in the frame before: whichever labels are nearer to it, for each person."""
    everybody = torch.ones(keypoints.confidence.shape[:-1], dtype=torch.bool)
    other = exchanged(keypoints, everybody)
    return exchanged(keypoints, jump(previous, other) < jump(previous, keypoints))


def undo_swaps(track: Keypoints) -> Keypoints:
    """One person through time, (T, K), with left and right the same person's sides throughout.

    Of all ways to exchange the labels of some frames, the one with the least movement in total
    (Viterbi over two states, as detected or exchanged). Movement can't tell a clip from its
    mirror image: there the majority of the frames decides.
    """
    frames = len(track)
    if frames == 0:
        return track
    other = exchanged(track, torch.ones(frames, dtype=torch.bool))
    keep, change = (jump(track[:-1], next_[1:]).tolist() for next_ in (track, other))
    return exchanged(track, torch.tensor(_least_movement(keep, change)))


def _least_movement(keep: list[float], change: list[float]) -> list[bool]:
    """The best state of each frame: ``keep[t]`` from t to t + 1 in one state, ``change[t]`` not."""
    costs, origins = [0.0, _PREFERENCE], []
    for stay, switch in zip(keep, change, strict=True):
        arriving = [
            [costs[0] + stay, costs[1] + switch],
            [costs[0] + switch, costs[1] + stay],
        ]
        origins.append([options.index(min(options)) for options in arriving])
        costs = [min(arriving[0]), min(arriving[1]) + _PREFERENCE]
    state = costs.index(min(costs))
    states = [state]
    for origin in reversed(origins):
        state = origin[state]
        states.append(state)
    return [bool(state) for state in reversed(states)]
