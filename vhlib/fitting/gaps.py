"""Frames and views in which nobody is seen: they keep their place but say nothing."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vhlib.body.keypoints import MIN_CONFIDENCE, Keypoints
from vhlib.fitting.observations import SizedKeypoints, enough_seen, trusted_keypoints


def somebody_seen(keypoints: Keypoints, rest: Float[Tensor, "K 3"]) -> Bool[Tensor, "*batch"]:
    """Where enough is left of a person when points that can't be trusted are taken away."""
    return enough_seen(trusted_keypoints(keypoints, rest))


def nearest_seen(seen: Bool[Tensor, " T"]) -> Int[Tensor, " T"]:
    """For each frame the nearest one in which somebody is seen, the earlier of two.

    Raises ValueError if there is none, unless there are no frames at all.
    """
    if not len(seen):
        return torch.arange(0, device=seen.device)
    if not seen.any():
        raise ValueError(
            f"nobody is seen in any of the {len(seen)} frames: none holds two different places "
            f"with a confidence above {MIN_CONFIDENCE}"
        )
    frames = seen.nonzero()[:, 0]
    distance = (torch.arange(len(seen), device=seen.device)[:, None] - frames).abs()
    return frames[distance.argmin(-1)]


def silenced(keypoints: SizedKeypoints, seen: Bool[Tensor, " T"]) -> SizedKeypoints:
    """The same people, of the same size, with confidence zero where nobody is seen."""
    return replace(keypoints, confidence=torch.where(seen[:, None], keypoints.confidence, 0.0))


def usable_with_gaps(keypoints: Keypoints, rest: Float[Tensor, "K 3"]) -> SizedKeypoints:
    """``usable_keypoints`` of (T, K) where frames may be empty: those have confidence 0 only.

    Raises ValueError if all are.
    """
    trusted = trusted_keypoints(keypoints, rest)
    seen = enough_seen(trusted)
    return silenced(trusted[nearest_seen(seen)], seen)
