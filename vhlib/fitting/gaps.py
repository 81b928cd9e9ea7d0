"""Frames and views in which nobody is seen: they keep their place but say nothing."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vhlib.body.keypoints import MIN_CONFIDENCE, Keypoints
from vhlib.fitting.observations import SizedKeypoints, usable_keypoints


def somebody_seen(keypoints: Keypoints) -> Bool[Tensor, "*batch"]:
    """Where at least two points of a person have a confidence worth the name."""
    return (keypoints.confidence > MIN_CONFIDENCE).sum(-1) >= 2


def nearest_seen(seen: Bool[Tensor, " T"]) -> Int[Tensor, " T"]:
    """For each frame the nearest one in which somebody is seen, the earlier of two.

    Raises ValueError if there is none.
    """
    if not seen.any():
        raise ValueError(
            f"nobody is seen in any of the {len(seen)} frames: no two keypoints of one frame have "
            f"a confidence above {MIN_CONFIDENCE}"
        )
    frames = seen.nonzero()[:, 0]
    distance = (torch.arange(len(seen), device=seen.device)[:, None] - frames).abs()
    return frames[distance.argmin(-1)]


def silenced(keypoints: SizedKeypoints, seen: Bool[Tensor, " T"]) -> SizedKeypoints:
    """The same people, of the same size, with confidence zero where nobody is seen."""
    return replace(keypoints, confidence=torch.where(seen[:, None], keypoints.confidence, 0.0))


def usable_with_gaps(keypoints: Keypoints, rest: Float[Tensor, "K 3"]) -> SizedKeypoints:
    """``usable_keypoints`` of (T, K) where frames may be empty: those have confidence 0 only.

    Raises ValueError if all are, or as ``usable_keypoints`` does.
    """
    seen = somebody_seen(keypoints)
    return silenced(usable_keypoints(keypoints[nearest_seen(seen)], rest), seen)
