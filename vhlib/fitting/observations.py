"""Which of a detector's keypoints a fit may trust."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from vhlib.body.keypoints import MIN_CONFIDENCE, Keypoints
from vhlib.body.skeletons import get_skeleton

# Points that detectors and SMPL define differently by several centimetres.
AMBIGUOUS_POINTS: Mapping[str, tuple[str, ...]] = {
    "openpose_25": ("neck", "mid_hip"),
    "openpose_25b": ("upper_neck", "head_top"),
    "lsp_14": ("neck",),
    "h36m_17": ("spine", "thorax", "jaw"),
    "blazepose_33": (
        *(f"{side}_eye_{corner}" for side in ("left", "right") for corner in ("inner", "outer")),
        *("mouth_left", "mouth_right"),
        *(
            f"{side}_{finger}"
            for side in ("left", "right")
            for finger in ("pinky", "index", "thumb")
        ),
    ),
}
# A limb's end lies at most about 2.5 times as far from a body's middle as its median keypoint.
ASTRAY = 4.0


def usable_keypoints(keypoints: Keypoints) -> Keypoints:
    """The same keypoints without those that are hardly seen, ambiguous or astray: confidence 0.

    ``keypoints`` are those of N people, (N, K). One point far outside would not pull by itself, but
    it would spoil the person's size and place.

    Raises ValueError naming the people of whom fewer than two different places remain.
    """
    ambiguous = get_skeleton(keypoints.skeleton).indices(
        *AMBIGUOUS_POINTS.get(keypoints.skeleton, ())
    )
    trusted = keypoints.confidence > MIN_CONFIDENCE
    trusted[..., ambiguous] = False
    trusted = trusted & ~_astray(keypoints.xy, trusted)
    usable = replace(keypoints, confidence=torch.where(trusted, keypoints.confidence, 0.0))
    missing = ((trusted.sum(-1) < 2) | (usable.height(0.0) == 0)).nonzero()[:, 0].tolist()
    if missing:
        whom = f" of sample {', '.join(map(str, missing[:5]))}" if len(keypoints) > 1 else ""
        raise ValueError(
            f"no body can be fitted: the keypoints{whom} hold fewer than two different places with "
            f"a confidence above {MIN_CONFIDENCE}"
        )
    return usable


def _astray(xy: Float[Tensor, "N K 2"], seen: Tensor) -> Tensor:
    """Which points lie beyond ASTRAY median distances from the median place of the seen ones."""
    centre = torch.where(seen[..., None], xy, torch.nan).nanmedian(-2, keepdim=True).values
    distance = (xy - centre).norm(dim=-1)
    typical = torch.where(seen, distance, torch.nan).nanmedian(-1, keepdim=True).values
    return distance > ASTRAY * typical
