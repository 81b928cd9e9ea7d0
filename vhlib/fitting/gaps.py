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


def usable_with_gaps(keypoints: Keypoints, rest: Float[Tensor, "K 3"]) -> SizedKeypoints:
    """``usable_keypoints`` of (T, K), where frames may be empty: those have confidence 0 only.

    Raises ValueError if all are, or as ``usable_keypoints`` does.
    """
    seen = somebody_seen(keypoints)
    usable = usable_keypoints(keypoints[nearest_seen(seen)], rest)
    return replace(usable, confidence=torch.where(seen[:, None], usable.confidence, 0.0))
