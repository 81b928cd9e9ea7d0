"""Square, turned regions of a picture: what a network with a fixed input size is shown."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

_BILINEAR = Image.Resampling.BILINEAR


@dataclass(frozen=True)
class Region:
    """A square of a picture.

    Args:
        centre: x, y in pixels of the picture, pixel centres at +0.5.
        side: length in pixels.
        angle: radians, clockwise as seen (y points down); zero is upright.
    """

    centre: tuple[float, float]
    side: float
    angle: float = 0.0

    @property
    def rotation(self) -> Float[np.ndarray, "2 2"]:
        """Directions of the region in the picture's axes: its own x and y as columns."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return np.array([[cos, -sin], [sin, cos]])

    def to_picture(self, points: Float[np.ndarray, "*batch 2"]) -> Float[np.ndarray, "*batch 2"]:
        """Points in [0, 1] x [0, 1] of the region as pixels of the picture."""
        return (points - 0.5) @ (self.side * self.rotation).T + np.array(self.centre)

    def from_picture(self, points: Float[np.ndarray, "*batch 2"]) -> Float[np.ndarray, "*batch 2"]:
        """The inverse of `to_picture`."""
        return (points - np.array(self.centre)) @ self.rotation / self.side + 0.5

    def bounds(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Whole pixels (left, top, right, bottom) of the picture that hold its part of the region.

        Empty (left >= right or top >= bottom) where the two don't meet.
        """
        corners = self.to_picture(np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float))
        left, top = (math.floor(value) for value in corners.min(0))
        right, bottom = (math.ceil(value) for value in corners.max(0))
        return max(left, 0), max(top, 0), min(right, width), min(bottom, height)


def whole(picture: Image.Image) -> Region:
    """The smallest upright square around a picture."""
    width, height = picture.size
    return Region((width / 2, height / 2), float(max(width, height)))


def sample(picture: Image.Image, region: Region, size: int) -> UInt8[np.ndarray, "size size 3"]:
    """The region as a picture of ``size`` x ``size`` pixels, black beyond the frame.

    Bilinear; where pixels have to be merged, blocks are averaged first, so that fine texture
    doesn't turn into noise and only the region's own pixels are touched.
    """
    left, top, right, bottom = region.bounds(*picture.size)
    if left >= right or top >= bottom:
        return np.zeros((size, size, 3), dtype=np.uint8)
    block = max(int(region.side / size), 1)
    near = picture.reduce(block, box=(left, top, right, bottom))
    step = region.side / size * region.rotation
    corner = region.to_picture(np.zeros(2)) - (left, top)
    matrix = np.column_stack([step, corner]) / block
    return np.array(near.transform((size, size), Image.Transform.AFFINE, matrix.ravel(), _BILINEAR))


def spread(
    crop: Float[np.ndarray, "size size"], region: Region, width: int, height: int
) -> Float[np.ndarray, "H W"]:
    """The inverse of `sample`: values of a region laid into a picture, zero beyond the region."""
    out = np.zeros((height, width), dtype=np.float32)
    left, top, right, bottom = region.bounds(width, height)
    if left >= right or top >= bottom:
        return out
    step = len(crop) / region.side * region.rotation.T
    corner = len(crop) / 2 - step @ (np.array(region.centre) - (left, top))
    matrix = np.column_stack([step, corner]).ravel()
    values = Image.fromarray(crop.astype(np.float32))
    part = values.transform((right - left, bottom - top), Image.Transform.AFFINE, matrix, _BILINEAR)
    out[top:bottom, left:right] = part
    return out
