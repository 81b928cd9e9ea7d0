"""2D keypoints with confidences, and OpenPose's JSON files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vhlib.body.skeletons import get_skeleton
from vhlib.files import write_atomically

# Heat-map peaks overshoot a little: OpenPose writes confidences up to about 1.1.
MAX_CONFIDENCE_OVERSHOOT = 1.2


@dataclass(frozen=True, eq=False)
class Keypoints:
    """Detected points of one skeleton in an image.

    Args:
        xy: (*batch, K, 2) pixels, pixel centres at +0.5; anything where the confidence is zero.
        confidence: (*batch, K) in [0, 1]; zero means "not seen".
        skeleton: a name of ``vhlib.body.skeletons``, which fixes K and the order.

    Raises:
        ValueError: wrong shapes, an unknown skeleton, confidences that are negative, NaN or
            beyond 1, or a seen point that isn't finite.
    """

    xy: Float[Tensor, "*batch K 2"]
    confidence: Float[Tensor, "*batch K"]
    skeleton: str

    def __post_init__(self) -> None:
        xy, confidence = _float_tensor(self.xy), _float_tensor(self.confidence)
        expected = len(get_skeleton(self.skeleton))
        if xy.shape[-2:] != (expected, 2) or confidence.shape != xy.shape[:-1]:
            raise ValueError(
                f"{self.skeleton} keypoints need xy (*batch, {expected}, 2) and confidence "
                f"(*batch, {expected}), got {tuple(xy.shape)} and {tuple(confidence.shape)}"
            )
        confidence = _checked_confidence(confidence)
        seen = confidence > 0
        if not torch.isfinite(xy[seen]).all():
            raise ValueError("keypoints: a point with confidence above zero has NaN coordinates")
        object.__setattr__(self, "xy", torch.where(seen[..., None], xy, torch.zeros_like(xy)))
        object.__setattr__(self, "confidence", confidence)

    def __len__(self) -> int:
        """Size of the first batch axis."""
        if self.confidence.ndim < 2:
            raise TypeError("keypoints of a single person have no length")
        return len(self.confidence)

    def __getitem__(self, index) -> Keypoints:
        """Index the batch axes, never the points: ``keypoints[3]``, ``keypoints[:10]``."""
        if self.confidence.ndim < 2:
            raise IndexError("keypoints of a single person have no batch axis to index")
        return Keypoints(self.xy[index], self.confidence[index], self.skeleton)

    def box(self, threshold: float = 0.1) -> Float[Tensor, "*batch 4"]:
        """Box of the points seen above ``threshold``: (left, top, right, bottom), NaN if none."""
        seen = (self.confidence > threshold)[..., None]
        infinity = torch.tensor(torch.inf, dtype=self.xy.dtype)
        low = torch.where(seen, self.xy, infinity).amin(-2)
        high = torch.where(seen, self.xy, -infinity).amax(-2)
        box = torch.cat([low, high], -1)
        return torch.where(torch.isfinite(box), box, torch.nan)

    def height(self, threshold: float = 0.1) -> Float[Tensor, "*batch"]:
        """The longer side of ``box``, in pixels: the size of the person; zero if none is seen."""
        left, top, right, bottom = self.box(threshold).unbind(-1)
        return torch.maximum(right - left, bottom - top).nan_to_num(nan=0.0)


def _float_tensor(values) -> Tensor:
    tensor = torch.as_tensor(values)
    return tensor if tensor.is_floating_point() else tensor.to(torch.get_default_dtype())


def _checked_confidence(confidence: Tensor) -> Tensor:
    if not torch.isfinite(confidence).all():
        raise ValueError("keypoints: a confidence is NaN or infinite; use 0 for a missing point")
    if confidence.numel() and confidence.min() < 0:
        raise ValueError(
            f"keypoints: confidences must lie in [0, 1], the smallest is {confidence.min():g}"
        )
    if confidence.numel() and confidence.max() > MAX_CONFIDENCE_OVERSHOOT:
        raise ValueError(
            f"keypoints: confidences must lie in [0, 1], the largest is {confidence.max():g}"
        )
    return confidence.clamp(max=1.0)


def read_openpose_json(path: str | Path, skeleton: str = "openpose_25") -> Keypoints:
    """Everybody in an OpenPose JSON file, as keypoints with one batch axis of people.

    The file doesn't say which skeleton it holds: BODY_25 and BODY_25B both have 75 numbers.

    Raises:
        ValueError: the file isn't OpenPose JSON, or a person has another number of points.
        OSError: it can't be read.
    """
    path = Path(path)
    size = len(get_skeleton(skeleton))
    try:
        people = json.loads(path.read_bytes())["people"]
        rows = [_openpose_row(person, size, path, skeleton) for person in people]
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: not a JSON file ({error})") from None
    except (KeyError, TypeError):
        raise ValueError(
            f'{path}: not an OpenPose file, expected {{"people": [{{"pose_keypoints_2d": [...]}}]}}'
        ) from None
    values = torch.tensor(np.array(rows, dtype=np.float32).reshape(len(rows), size, 3))
    try:
        return Keypoints(values[..., :2], values[..., 2], skeleton)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _openpose_row(person: dict, size: int, path: Path, skeleton: str) -> np.ndarray:
    """The flat list x, y, confidence, ... of one person (key of OpenPose 1.0 or later)."""
    key = "pose_keypoints" if "pose_keypoints" in person else "pose_keypoints_2d"
    values = person[key]
    if len(values) != 3 * size:
        raise ValueError(
            f"{path}: {skeleton} has {size} points, so a person needs {3 * size} numbers, "
            f"found {len(values)}; is it another skeleton?"
        )
    if not all(isinstance(value, int | float) for value in values):
        raise ValueError(f"{path}: {key} holds something that isn't a number")
    return np.array(values, dtype=np.float32)


def write_openpose_json(keypoints: Keypoints, path: str | Path) -> None:
    """Write people as OpenPose does; keypoints with no batch axis or with one."""
    flat = torch.cat([keypoints.xy, keypoints.confidence[..., None]], -1).flatten(-2)
    people = [
        {"person_id": [-1], "pose_keypoints_2d": row} for row in torch.atleast_2d(flat).tolist()
    ]
    with write_atomically(path) as file:
        file.write(json.dumps({"version": 1.3, "people": people}).encode())


def select_person(keypoints: Keypoints, person: int | None = None) -> int:
    """Which of several people to fit: ``person`` if given, else the largest confident one.

    Large and confident is the box's longer side times the mean confidence of all points.

    Raises:
        ValueError: nobody there, no such person, or nobody with a confidence above zero.
    """
    count = len(keypoints)
    if count == 0:
        raise ValueError("the keypoints hold nobody")
    if person is not None:
        if not 0 <= person < count:
            raise ValueError(f"there is no person {person}: the file holds 0 to {count - 1}")
        return person
    score = keypoints.height() * keypoints.confidence.mean(-1)
    if score.max() == 0:
        raise ValueError("no keypoint has a confidence above 0.1")
    return int(score.argmax())
