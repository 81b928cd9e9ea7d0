"""Which of a detector's keypoints a fit may trust."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vhlib.body.keypoints import MIN_CONFIDENCE, Keypoints
from vhlib.body.skeletons import get_skeleton
from vhlib.fitting.posed_body import PosedBody
from vhlib.fitting.starts import PLAUSIBLE_DEPTH
from vhlib.geometry import PerspectiveCamera

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
# No keypoint of a person lies farther than this from the median one, in metres of a person at rest.
REACH = 1.8
# Points nearer than this to the middle of a body say little about its size, metres.
MIDDLE = 0.1


@dataclass(frozen=True, eq=False)
class SizedKeypoints(Keypoints):
    """Keypoints of people whose size is known, whichever of their points are left.

    Args:
        size: (*batch,) pixels, what ``height`` answers.
    """

    size: Float[Tensor, "*batch"]

    def height(self, threshold: float = 0.1) -> Float[Tensor, "*batch"]:
        """The size."""
        return self.size

    def __getitem__(self, index) -> SizedKeypoints:
        """Index the batch axes, as ``Keypoints`` does."""
        return _sized(super().__getitem__(index), self.size[index])


def _sized(keypoints: Keypoints, size: Tensor) -> SizedKeypoints:
    return SizedKeypoints(keypoints.xy, keypoints.confidence, keypoints.skeleton, size)


def trusted_keypoints(keypoints: Keypoints, rest: Float[Tensor, "K 3"]) -> SizedKeypoints:
    """The same keypoints without those that are hardly seen, ambiguous or astray: confidence 0.

    One point far outside would not pull by itself, but it would spoil the person's size and place.

    Args:
        keypoints: (*batch, K).
        rest: the keypoints of a body at rest, which say how far apart they can be.
    """
    ambiguous = get_skeleton(keypoints.skeleton).indices(
        *AMBIGUOUS_POINTS.get(keypoints.skeleton, ())
    )
    trusted = keypoints.confidence > MIN_CONFIDENCE
    trusted[..., ambiguous] = False
    trusted = trusted & ~_astray(keypoints.xy, trusted, rest)
    left = replace(keypoints, confidence=torch.where(trusted, keypoints.confidence, 0.0))
    return _sized(left, left.height(0.0))


def enough_seen(trusted: SizedKeypoints) -> Bool[Tensor, "*batch"]:
    """Of whom at least two different places are left."""
    return ((trusted.confidence > 0).sum(-1) >= 2) & (trusted.height() > 0)


def usable_keypoints(keypoints: Keypoints, rest: Float[Tensor, "K 3"]) -> SizedKeypoints:
    """``trusted_keypoints`` of N people, (N, K).

    Raises ValueError naming the people of whom fewer than two different places remain.
    """
    trusted = trusted_keypoints(keypoints, rest)
    missing = (~enough_seen(trusted)).nonzero()[:, 0].tolist()
    if missing:
        whom = f" of sample {', '.join(map(str, missing[:5]))}" if len(keypoints) > 1 else ""
        raise ValueError(
            f"no body can be fitted: the keypoints{whom} hold fewer than two different places with "
            f"a confidence above {MIN_CONFIDENCE}"
        )
    return trusted


def only(keypoints: Keypoints, names: Sequence[str]) -> SizedKeypoints:
    """The same keypoints and size of the person, those of other names with confidence 0.

    Names that the skeleton doesn't have are passed over. A person of whom fewer than two of them
    are seen keeps all: other points say more than none.
    """
    skeleton = get_skeleton(keypoints.skeleton)
    named = torch.tensor([name in names for name in skeleton.names])
    chosen = torch.where(named, keypoints.confidence, 0.0)
    enough = ((chosen > 0).sum(-1) >= 2)[..., None]
    confidence = torch.where(enough, chosen, keypoints.confidence)
    return _sized(replace(keypoints, confidence=confidence), keypoints.height())


def sized_by(keypoints: Keypoints, camera: PerspectiveCamera, body: PosedBody) -> SizedKeypoints:
    """The same keypoints of people who are no larger than an upright body as far away: ``f H / z``.

    The box of the keypoints is a person's size unless one of them is wrong; a body's distance, to
    which all of them contribute, tells when it must be.
    """
    depth = camera.world_to_camera(body.points)[..., 2].mean(-1).clamp(*PLAUSIBLE_DEPTH)
    rest = body.regressor.points(
        body.betas.new_zeros(1, body.betas.shape[-1]),
        torch.eye(3).to(body.vector).expand(1, *body.rotations.shape[1:]),
    )
    height = (rest.amax(-2) - rest.amin(-2))[0, 1]
    focal_length = (camera.focal_length.to(depth) * body.focal_factor).mean(-1)
    return _sized(keypoints, torch.minimum(keypoints.height(), focal_length * height / depth))


def _astray(
    xy: Float[Tensor, "*batch K 2"], seen: Tensor, rest: Float[Tensor, "K 3"]
) -> Bool[Tensor, "*batch K"]:
    """Which points lie out of REACH, at the scale that half of the seen points exceed."""
    distance = _from_median(xy, seen)
    at_rest = _from_median(rest.expand(*xy.shape[:-1], 3), seen).clamp(min=MIDDLE)
    pixels_per_metre = _nanmedian(distance / at_rest, -1)
    return distance > REACH * pixels_per_metre


def _from_median(points: Float[Tensor, "*batch K xyz"], seen: Tensor) -> Float[Tensor, "*batch K"]:
    """Distances of the seen points from their median place; NaN for the others."""
    points = torch.where(seen[..., None], points, torch.nan)
    return (points - _nanmedian(points, -2)).norm(dim=-1)


def _nanmedian(values: Tensor, dim: int) -> Tensor:
    """The mean of the two in the middle, as torch's own doesn't take it; also of an empty batch."""
    return (values.nanmedian(dim, True).values - (-values).nanmedian(dim, True).values) / 2
