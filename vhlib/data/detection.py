"""People in a photo: 33 keypoints, a box and a mask for each, found on this machine alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor

from vhlib.body.keypoints import Keypoints
from vhlib.body.skeletons import BLAZEPOSE_33
from vhlib.data.blazepose import (
    DETECTOR_SIZE,
    LANDMARK_SIZE,
    MIN_SCORE,
    Candidate,
    DetectorUnavailable,
    Landmarks,
    find_candidates,
    load_networks,
    read_landmarks,
)
from vhlib.data.left_right import cover_head, matched_to, seen_from_front, settle
from vhlib.data.regions import Region, sample, spread

__all__ = ["DetectorUnavailable", "People", "detect_people", "load_networks"]

SKELETON = "blazepose_33"
# The detector finds people reliably from about half of its tile's side up.
_SMALLEST_IN_TILE = 0.5
_FINEST_LEVEL = 2
# Texture seen through many tiles passes for people now and then (a cat's face, a wheel, a rocket):
# tiles are never enlarged, and what they show must convince both networks.
_SURE = 0.7
# One person found by two tiles: hips this near (as a share of the region), sizes within a factor.
_SAME_HIPS, _SAME_SIZE = 0.07, 1.3
_SAME_MASK = 0.6


@dataclass(frozen=True, eq=False)
class People:
    """Everybody found in a picture, the surest first; there may be nobody.

    Args:
        keypoints: (P, 33) of ``blazepose_33``, pixels; the confidence is BlazePose's visibility.
        scores: (P,) in [0, 1], how sure the detector is.
        boxes: (P, 4) left, top, right, bottom of the mask and the seen points, within the picture.
        world: (P, 33, 3) metres, mid-hip at the origin, x right, y down, z away from the camera: a
            rough guess by a network, about 0.1 m off.
        corrected: (P,) whether left and right were put right (``vhlib.data.left_right``).
        image_size: width and height.
    """

    keypoints: Keypoints
    scores: Float[Tensor, " P"]
    boxes: Float[Tensor, "P 4"]
    world: Float[Tensor, "P 33 3"]
    corrected: Bool[Tensor, " P"]
    image_size: tuple[int, int]
    _masks: tuple[tuple[Float[np.ndarray, "256 256"], Region], ...] = field(repr=False)

    def __len__(self) -> int:
        """How many people."""
        return len(self.scores)

    def mask(self, person: int) -> Float[Tensor, "H W"]:
        """The person's share of each pixel, in [0, 1]; laid into the picture when asked for."""
        return torch.from_numpy(spread(*self._masks[person], *self.image_size))


@dataclass(frozen=True, eq=False)
class _Person:
    candidate: Candidate
    landmarks: Landmarks
    corrected: bool

    @property
    def score(self) -> float:
        return self.candidate.score * self.landmarks.score

    @property
    def region(self) -> Region:
        return self.candidate.region


def detect_people(
    image: np.ndarray,
    *,
    min_height: float | None = None,
    max_people: int = 10,
    previous: Keypoints | None = None,
) -> People:
    """Find people in a picture, and the keypoints and mask of each.

    Args:
        image: (H, W, 3) uint8, RGB.
        min_height: the smallest person to look for, as a share of the picture's longer side. By
            default the whole picture is searched, then ever smaller overlapping tiles, until
            somebody is found.
        max_people: the surest ones if there are more.
        previous: everybody in the frame before, (P, 33): left and right are named as there.

    Raises:
        ValueError: the image is something else, or ``min_height`` isn't between 0 and 1.
        DetectorUnavailable: LiteRT isn't installed.
        DataUnavailable: the networks are neither cached nor downloadable now.
    """
    _check(image, min_height)
    load_networks()
    picture = Image.fromarray(np.ascontiguousarray(image))
    people: list[_Person] = []
    for level in range(_levels(min_height)):
        for candidate in _candidates(picture, level, max_people):
            if not any(_same_place(candidate, person.candidate) for person in people):
                people.extend(_person(picture, candidate, _SURE if level else 0.0))
        if people and min_height is None:
            break
    found = _collected(_distinct(people)[:max_people], picture.size)
    return found if previous is None else _named_as(previous, found)


def _check(image: np.ndarray, min_height: float | None) -> None:
    shape, dtype = getattr(image, "shape", type(image).__name__), getattr(image, "dtype", "")
    if not isinstance(image, np.ndarray) or dtype != np.uint8 or image.shape[2:] != (3,):
        raise ValueError(f"expected an image of shape (H, W, 3) in uint8, got {shape} {dtype}")
    if image.size == 0:
        raise ValueError(f"the image is empty: its shape is {shape}")
    if min_height is not None and not 0 < min_height <= 1:
        raise ValueError(f"min_height is a share of the picture between 0 and 1, got {min_height}")


def _levels(min_height: float | None) -> int:
    """How many times to search: with the whole picture, then with tiles of 1/2, 1/4 of its side."""
    if min_height is None:
        return _FINEST_LEVEL + 1
    return 1 + max(0, math.ceil(math.log2(_SMALLEST_IN_TILE / min_height)))


def _tiles(width: int, height: int, level: int) -> Iterator[Region]:
    """Squares that cover the picture, each overlapping its neighbours by half or more."""
    side = max(width, height) / 2**level
    if level and side < DETECTOR_SIZE:
        return

    def centres(length: int) -> Float[np.ndarray, " n"]:
        if length <= side:
            return np.array([length / 2])
        return np.linspace(side / 2, length - side / 2, math.ceil(2 * (length - side) / side) + 1)

    for y in centres(height):
        for x in centres(width):
            yield Region((float(x), float(y)), side)


def _candidates(picture: Image.Image, level: int, max_people: int) -> list[Candidate]:
    """Who may be there, surest first, without those that neighbouring tiles found again."""
    tiles = _tiles(*picture.size, level)
    everybody = [candidate for tile in tiles for candidate in find_candidates(picture, tile)]
    kept: list[Candidate] = []
    for candidate in sorted(everybody, key=lambda c: -c.score):
        if not any(_same_place(candidate, other) for other in kept):
            kept.append(candidate)
    # Some turn out to be nobody; twice as many leave room for that, and bound the time.
    return kept[: 2 * max_people]


def _same_place(a: Candidate, b: Candidate) -> bool:
    small, large = sorted((a.region.side, b.region.side))
    near = math.dist(a.region.centre, b.region.centre) < _SAME_HIPS * small
    return near and large < _SAME_SIZE * small


def _person(picture: Image.Image, candidate: Candidate, min_score: float) -> Iterable[_Person]:
    """The candidate looked at closely: one person or none."""
    region = candidate.region
    crop = sample(picture, region, LANDMARK_SIZE)
    first = read_landmarks(crop, region)
    if first.score < MIN_SCORE or candidate.score * first.score < min_score:
        return []
    settled = first
    if not seen_from_front(first):
        settled = settle(first, read_landmarks(cover_head(crop, first), region))
    return [_Person(candidate, settled, settled is not first)]


def _distinct(people: list[_Person]) -> list[_Person]:
    """Surest first, without those who share their mask with a surer one.

    Shared is what lies in both, of the smaller: so a part of somebody goes, and a ghost over two.
    """
    kept: list[_Person] = []
    for person in sorted(people, key=lambda p: -p.score):
        shared = (max(_inside(person, other), _inside(other, person)) for other in kept)
        if not any(share > _SAME_MASK for share in shared):
            kept.append(person)
    return kept


def _inside(a: _Person, b: _Person) -> float:
    """The share of ``a``'s mask that lies in ``b``'s."""
    theirs = b.landmarks.mask > 0.5
    places = _outline(a)
    cells = np.floor(b.region.from_picture(places) * len(theirs)).astype(int)
    within = ((cells >= 0) & (cells < len(theirs))).all(axis=1)
    x, y = cells[within].T
    return float(theirs[y, x].sum() / max(len(places), 1))


def _outline(person: _Person) -> Float[np.ndarray, "n 2"]:
    """Places in the picture of the mask's pixels."""
    mask = person.landmarks.mask
    y, x = np.nonzero(mask > 0.5)
    return person.region.to_picture((np.stack([x, y], axis=-1) + 0.5) / len(mask))


def _collected(people: list[_Person], size: tuple[int, int]) -> People:
    looks = [person.landmarks for person in people]
    points = [p.region.to_picture(p.landmarks.points) for p in people]

    def stacked(values: list, *shape: int) -> Tensor:
        return torch.tensor(np.array(values, dtype=np.float32).reshape(-1, *shape))

    visibility = stacked([look.visibility for look in looks], 33)
    keypoints = Keypoints(stacked(points, 33, 2), visibility, SKELETON)
    return People(
        keypoints=keypoints,
        scores=stacked([person.score for person in people]).reshape(-1),
        boxes=stacked([_box(p, k, size) for p, k in zip(people, points, strict=True)], 4),
        world=stacked([look.world for look in looks], 33, 3),
        corrected=torch.tensor([person.corrected for person in people], dtype=torch.bool),
        image_size=size,
        _masks=tuple((look.mask, p.region) for look, p in zip(looks, people, strict=True)),
    )


def _box(
    person: _Person, points: Float[np.ndarray, "33 2"], size: tuple[int, int]
) -> Float[np.ndarray, " 4"]:
    """Around the mask and the points that are seen, within the picture."""
    outline = _outline(person)
    seen = points[person.landmarks.visibility > 0.5]
    everything = np.concatenate([outline, seen if len(outline) + len(seen) else points])
    inside = everything.clip(0, size)
    return np.concatenate([inside.min(0), inside.max(0)])


def _named_as(previous: Keypoints, found: People) -> People:
    """Left and right as the nearest person of the frame before has them."""
    if len(previous) == 0 or len(found) == 0:
        return found
    centres = [_centre(keypoints) for keypoints in (found.keypoints, previous)]
    nearest = torch.cdist(*centres).argmin(1)
    keypoints = matched_to(previous[nearest], found.keypoints)
    changed = (keypoints.xy != found.keypoints.xy).flatten(1).any(1)
    flip = torch.as_tensor(BLAZEPOSE_33.flip_permutation)
    world = torch.where(changed[:, None, None], found.world[:, flip], found.world)
    return replace(found, keypoints=keypoints, world=world, corrected=found.corrected ^ changed)


def _centre(people: Keypoints) -> Float[Tensor, "P 2"]:
    """Mean place of each person's points."""
    return people.xy.mean(-2)
