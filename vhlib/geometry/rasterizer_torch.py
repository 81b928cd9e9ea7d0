"""The z-buffer in plain torch, for any device: all candidates at once, the nearest by `amin`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

CHUNK = 1 << 17
"""Faces, or candidates, that are worked on at a time; bounds the memory."""

_EMPTY = torch.iinfo(torch.int64).max


def nearest_triangles(
    screen: Float[Tensor, "B V 3"], faces: Int[Tensor, "F 3"], near: float, size: tuple[int, int]
) -> Int[Tensor, "B H W"]:
    """Nearest triangle at each pixel centre of pictures of ``size`` (width, height), -1 for none.

    screen: pixel x, pixel y and camera z of each vertex, float64. Faces with a corner nearer than
    ``near`` are left out.
    """
    pictures = max(1, CHUNK // max(1, len(faces)))
    return torch.cat([_nearest(part, faces, near, size) for part in screen.split(pictures)])


def _nearest(screen: Tensor, faces: Tensor, near: float, size: tuple[int, int]) -> Tensor:
    width, height = size
    nearest = torch.full((len(screen) * height * width,), _EMPTY, device=screen.device)
    for boxes in _in_chunks(_boxes(screen, faces, near, size)):
        pixel, key = _candidates(boxes, size)
        nearest.scatter_reduce_(0, pixel, key, "amin")
    triangle_ids = torch.where(nearest == _EMPTY, -1, nearest & 0xFFFFFFFF)
    return triangle_ids.view(len(screen), height, width)


def edge_functions(x: Tensor, y: Tensor, px: Tensor, py: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Twice the signed areas that the point (px, py) makes with each side of its triangle.

    Exchanging a side's ends flips the sign exactly, so a point between two triangles is in one.
    """
    (x0, x1, x2), (y0, y1, y2) = x - px, y - py
    return x1 * y2 - x2 * y1, x2 * y0 - x0 * y2, x0 * y1 - x1 * y0


class Corners(NamedTuple):
    """Triangles on the screen, wound to positive area; each field (3, F')."""

    x: Tensor
    y: Tensor
    inverse_z: Tensor


def drawable(
    x: Float[Tensor, "F 3"], y: Float[Tensor, "F 3"], z: Float[Tensor, "F 3"], near: float
) -> Tensor:
    """Which triangles have an area, are finite, and lie wholly beyond ``near``; (F,) bool."""
    area, _, _ = edge_functions(x.T, y.T, x[:, 0], y[:, 0])
    return (area != 0) & area.isfinite() & (z.amin(-1) > near)


def wound(x: Tensor, y: Tensor, z: Tensor) -> Corners:
    """Corners of drawable triangles, (F, 3) each, in the order that makes their area positive."""
    area, _, _ = edge_functions(x.T, y.T, x[:, 0], y[:, 0])
    order = torch.tensor([[0, 2, 1], [0, 1, 2]], device=x.device)[(area > 0).long()]
    x, y, z = (axis.gather(-1, order).T for axis in (x, y, z))
    return Corners(x, y, 1 / z)


def enumerate_runs(counts: Int[Tensor, " N"]) -> tuple[Int[Tensor, " M"], Int[Tensor, " M"]]:
    """Runs of the given lengths, one after another: whose each item is, and its place in the run.

    >>> enumerate_runs(torch.tensor([2, 0, 3]))
    (tensor([0, 0, 2, 2, 2]), tensor([0, 1, 0, 1, 2]))
    """
    owner = torch.repeat_interleave(counts)
    place = torch.arange(len(owner), device=counts.device) - (counts.cumsum(0) - counts)[owner]
    return owner, place


class _Boxes(NamedTuple):
    """The faces whose bounding box holds a pixel centre, F' of them."""

    sample: Tensor  # (F',) position in the batch
    triangle: Tensor  # (F',)
    x: Tensor  # (3, F') corners in pixels
    y: Tensor
    inverse_z: Tensor
    left: Tensor  # (F',) first column and row of the box, and how many of each
    top: Tensor
    columns: Tensor
    rows: Tensor


def _boxes(screen: Tensor, faces: Tensor, near: float, size: tuple[int, int]) -> _Boxes:
    x, y, z = screen[:, faces].flatten(0, 1).unbind(-1)  # each (B F, 3)
    left, columns = _pixel_centres_between(x.amin(-1), x.amax(-1), size[0])
    top, rows = _pixel_centres_between(y.amin(-1), y.amax(-1), size[1])
    drawn = ((columns > 0) & (rows > 0) & drawable(x, y, z, near)).nonzero().squeeze(-1)
    corners = wound(x[drawn], y[drawn], z[drawn])
    box = (axis[drawn].long() for axis in (left, top, columns, rows))
    return _Boxes(drawn // len(faces), drawn % len(faces), *corners, *box)


def _pixel_centres_between(low: Tensor, high: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """First pixel whose centre lies in [low, high], within the picture, and how many there are."""
    first = (low - 0.5).ceil().clamp_min(0)
    last = (high - 0.5).floor().clamp_max(size - 1)
    return first, last - first + 1


def _in_chunks(boxes: _Boxes) -> Iterator[_Boxes]:
    """Consecutive faces that have about `CHUNK` candidates together."""
    chunk = ((boxes.columns * boxes.rows).cumsum(0) - 1) // CHUNK
    sizes = torch.unique_consecutive(chunk, return_counts=True)[1].tolist()
    yield from map(_Boxes._make, zip(*(field.split(sizes, dim=-1) for field in boxes), strict=True))


def _candidates(boxes: _Boxes, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Pixels whose centre lies in a triangle, with sort keys: nearer first, then lower ids."""
    face, offset = enumerate_runs(boxes.columns * boxes.rows)
    down = offset // boxes.columns[face]
    column = boxes.left[face] + offset - down * boxes.columns[face]
    row = boxes.top[face] + down
    e0, e1, e2 = edge_functions(boxes.x[:, face], boxes.y[:, face], column + 0.5, row + 0.5)
    area = e0 + e1 + e2
    inside = (torch.minimum(torch.minimum(e0, e1), e2) >= 0) & (area > 0)
    inside = inside.nonzero().squeeze(-1)
    face, e0, e1, e2 = face[inside], e0[inside], e1[inside], e2[inside]
    z0, z1, z2 = boxes.inverse_z[:, face]
    inverse_depth = (e0 * z0 + e1 * z1 + e2 * z2) / area[inside]
    # The bits of positive floats sort like the floats themselves.
    nearness = inverse_depth.float().view(torch.int32).long()
    key = ((0x7FFFFFFF - nearness) << 32) | boxes.triangle[face]
    width, height = size
    return (boxes.sample[face] * height + row[inside]) * width + column[inside], key
