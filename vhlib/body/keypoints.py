"""2D keypoints with confidences, and OpenPose's JSON files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vhlib.body.skeleton import Skeleton
from vhlib.body.skeletons import SKELETONS, get_skeleton, registered_name
from vhlib.files import write_atomically
from vhlib.geometry.cameras import Numbers

MIN_CONFIDENCE = 0.15
"""Below this a detector's position says little."""

# Heat-map peaks overshoot a little: OpenPose writes confidences up to about 1.1.
MAX_CONFIDENCE_OVERSHOOT = 1.2


@dataclass(frozen=True, eq=False)
class Keypoints:
    """Detected points of one skeleton in an image.

    Args:
        xy: (*batch, K, 2) pixels, pixel centres at +0.5; where the confidence is zero they may be
            anything, even NaN, and are stored as zero.
        confidence: (*batch, K) in [0, 1]; zero means "not seen". Up to 1.2 counts as 1.
        skeleton: one of ``vhlib.body.skeletons``, which fixes K and the order: its name, or the
            Skeleton itself, of which the name is stored.

    Tensors, arrays and lists are taken, whole numbers too; they are copied, never written to.

    Raises:
        ValueError: wrong shapes, an unknown skeleton or one's own, confidences that are negative,
            NaN or beyond 1, or a seen point that isn't finite.
    """

    xy: Numbers
    confidence: Numbers
    skeleton: str | Skeleton

    def __post_init__(self) -> None:
        xy = _float_tensor("xy", self.xy)
        confidence = _float_tensor("confidence", self.confidence)
        object.__setattr__(self, "skeleton", registered_name(self.skeleton))
        expected = len(get_skeleton(self.skeleton))
        if xy.shape[-2:] != (expected, 2) or confidence.shape != xy.shape[:-1]:
            raise ValueError(
                f"{self.skeleton} keypoints need xy (*batch, {expected}, 2) and confidence "
                f"(*batch, {expected}), got {tuple(xy.shape)} and {tuple(confidence.shape)}"
            )
        confidence = _checked_confidence(confidence)
        seen = confidence > 0
        if not torch.isfinite(xy[seen]).all():
            raise ValueError("a point with confidence above zero has NaN or infinite coordinates")
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
            raise TypeError("keypoints of a single person have no batch axis to index")
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


def _float_tensor(name: str, values: object) -> Tensor:
    """Numbers of any kind as floats; floating types are kept."""
    try:
        # A copy, since torch takes no reversed arrays and warns about read-only ones.
        array = np.array(values) if isinstance(values, np.ndarray) else values
        tensor = torch.as_tensor(array)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name} must be numbers in a regular grid ({error})") from None
    return tensor if tensor.is_floating_point() else tensor.to(torch.get_default_dtype())


def _checked_confidence(confidence: Tensor) -> Tensor:
    if not torch.isfinite(confidence).all():
        raise ValueError("a confidence is NaN or infinite; use 0 for a missing point")
    if confidence.numel() and confidence.min() < 0:
        raise ValueError(f"confidences must lie in [0, 1], the smallest is {confidence.min():g}")
    if confidence.numel() and confidence.max() > MAX_CONFIDENCE_OVERSHOOT:
        raise ValueError(f"confidences must lie in [0, 1], the largest is {confidence.max():g}")
    return confidence.clamp(max=1.0)


def read_openpose_json(path: str | Path, skeleton: str = "openpose_25") -> Keypoints:
    """Everybody in an OpenPose JSON file, in its order, as keypoints with one axis of people.

    The file doesn't say which skeleton it holds: BODY_25 and BODY_25B both have 75 numbers.

    Raises:
        ValueError: the file isn't OpenPose JSON, a person has another number of points, or their
            values aren't those of ``Keypoints``.
        OSError: it can't be read.
    """
    path = Path(path)
    size = len(get_skeleton(skeleton))
    content = path.read_bytes()
    try:
        rows = [_openpose_row(person, skeleton) for person in _openpose_people(content)]
        values = torch.tensor(rows, dtype=torch.float64).reshape(len(rows), size, 3).float()
        return Keypoints(values[..., :2], values[..., 2], skeleton)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _openpose_people(content: bytes) -> list:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not a JSON file ({error})") from None
    people = document.get("people") if isinstance(document, dict) else None
    if not isinstance(people, list):
        raise ValueError(
            'not an OpenPose file, expected {"people": [{"pose_keypoints_2d": [...]}]}'
        )
    return people


def _openpose_row(person: object, skeleton: str) -> list[float]:
    """The flat list x, y, confidence, ... of one person; before 1.2 its key had no ``_2d``."""
    person = person if isinstance(person, dict) else {}
    values = person.get("pose_keypoints_2d", person.get("pose_keypoints"))
    if not isinstance(values, list):
        raise ValueError("a person has no list pose_keypoints_2d, as OpenPose would write")
    expected = 3 * len(get_skeleton(skeleton))
    if len(values) != expected:
        raise ValueError(
            f"{skeleton} has {expected // 3} points, so a person needs {expected} numbers, found "
            f"{len(values)}; {_skeletons_with(len(values) / 3)}"
        )
    if not all(type(value) in (int, float) for value in values):
        raise ValueError("a person's pose_keypoints_2d holds something that isn't a number")
    try:
        return [float(value) for value in values]
    except OverflowError:
        raise ValueError("a person's pose_keypoints_2d holds a number that is too large") from None


def _skeletons_with(size: float) -> str:
    names = [name for name, skeleton in SKELETONS.items() if len(skeleton) == size]
    return f"is it {' or '.join(names)}?" if names else "no known skeleton has that many"


def write_openpose_json(keypoints: Keypoints, path: str | Path) -> None:
    """Write people as OpenPose does; keypoints with no batch axis or with one, else ValueError."""
    if keypoints.confidence.ndim > 2:
        shape = tuple(keypoints.confidence.shape[:-1])
        raise ValueError(
            f"a file holds one image's people, found keypoints with batch axes {shape}"
        )
    flat = torch.cat([keypoints.xy, keypoints.confidence[..., None]], -1).flatten(-2)
    people = [
        {"person_id": [-1], "pose_keypoints_2d": row} for row in torch.atleast_2d(flat).tolist()
    ]
    with write_atomically(path) as file:
        file.write(json.dumps({"version": 1.3, "people": people}).encode())


def select_person(keypoints: Keypoints, person: int | None = None) -> int:
    """Which of several people to fit: ``person`` if given, else the largest confident one.

    People are counted from 0 in the order of the keypoints. Large and confident is the box's longer
    side times the mean confidence of all points.

    Raises:
        ValueError: nobody there, no such person, or nobody of whom a point is seen.
    """
    count = len(keypoints)
    if count == 0:
        raise ValueError("nobody was detected, the list of people is empty")
    if person is not None and not 0 <= person < count:
        known = "only person 0" if count == 1 else f"persons 0 to {count - 1}"
        raise ValueError(f"there is no person {person}, the keypoints hold {known}")
    chosen = keypoints if person is None else keypoints[person : person + 1]
    if chosen.confidence.max() == 0:
        raise ValueError("no keypoint is seen, every confidence is zero")
    score = keypoints.height() * keypoints.confidence.mean(-1)
    return int(score.argmax()) if person is None else person
