"""The z-buffer in plain torch, for any device: all candidates at once, the nearest by `amin`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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


def edge_functions(
    x: Iterable[Tensor], y: Iterable[Tensor], px: Tensor, py: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Twice the signed areas that the point (px, py) makes with each side of its triangle.

    Exchanging a side's ends flips the sign exactly, so a point between two triangles is in one.
    """
    x0, x1, x2 = (corner - px for corner in x)
    y0, y1, y2 = (corner - py for corner in y)
    return x1 * y2 - x2 * y1, x2 * y0 - x0 * y2, x0 * y1 - x1 * y0


class Triangles(NamedTuple):
    """Corners of N triangles on the screen, each field (3, N), wound to positive area."""

    x: Tensor
    y: Tensor
    inverse_z: Tensor


def wound(
    x: list[Tensor], y: list[Tensor], z: list[Tensor], near: float
) -> tuple[Triangles, Tensor]:
    """`Triangles` of three corners in either order, and which of them can be drawn, (N,) bool.

    Those can't that have no area, aren't finite, or have a corner nearer than ``near``.
    """
    area, _, _ = edge_functions(x, y, x[0], y[0])
    positive = area > 0
    x, y, z = (
        torch.stack([a, torch.where(positive, b, c), torch.where(positive, c, b)])
        for a, b, c in (x, y, z)
    )
    drawable = (area != 0) & (area.abs() < torch.inf) & (z.amin(0) > near)
    return Triangles(x, y, 1 / z), drawable


def corner_ids(
    faces: Int[Tensor, "F 3"], num_vertices: int, num_pictures: int
) -> Int[Tensor, "3 BF"]:
    """Where the corners of each picture's faces are among the vertices of all pictures."""
    picture = torch.arange(num_pictures, device=faces.device)[:, None]
    return (faces.T[:, None] + num_vertices * picture).flatten(1)


def take(axis: Tensor, index: Tensor) -> Tensor:
    """``axis[index]`` of a vector, several times faster."""
    return axis.index_select(0, index.flatten()).view(index.shape)


def pick(rows: Iterable[Tensor], index: Tensor) -> list[Tensor]:
    """``row[index]`` of vectors of one length, several times faster."""
    return [row.index_select(0, index) for row in rows]


def enumerate_runs(counts: Int[Tensor, " N"]) -> tuple[Int[Tensor, " M"], Int[Tensor, " M"]]:
    """Runs of the given lengths, one after another: whose each item is, and its place in the run.

    Counts [2, 0, 3] give owners [0, 0, 2, 2, 2] and places [0, 1, 0, 1, 2].
    """
    owner = torch.repeat_interleave(counts)
    first = counts.cumsum(0) - counts
    return owner, torch.arange(len(owner), device=counts.device) - first.index_select(0, owner)


def chunk_sizes(counts: Int[Tensor, " N"]) -> list[int]:
    """Lengths of consecutive parts whose counts sum to about `CHUNK`."""
    if counts.sum() <= CHUNK:
        return [len(counts)]
    chunk = (counts.cumsum(0) - 1) // CHUNK
    return torch.unique_consecutive(chunk, return_counts=True)[1].tolist()


def _nearest(screen: Tensor, faces: Tensor, near: float, size: tuple[int, int]) -> Tensor:
    width, height = size
    nearest = torch.full((len(screen) * height * width,), _EMPTY, device=screen.device)
    for boxes in _in_chunks(_boxes(screen, faces, near, size)):
        pixel, key = _candidates(boxes, size)
        nearest.scatter_reduce_(0, pixel, key, "amin")
    triangle_ids = torch.where(nearest == _EMPTY, -1, nearest & 0xFFFFFFFF)
    return triangle_ids.view(len(screen), height, width)


class _Boxes(NamedTuple):
    """The triangles whose bounding box holds a pixel centre, N of them."""

    triangle: Tensor  # (N,) its id
    first: Tensor  # (N,) its box's first pixel, counted through the whole batch
    columns: Tensor  # (N,) width of the box and its number of pixels
    pixels: Tensor
    left: Tensor  # (N,) position of the first pixel's centre
    top: Tensor
    x: Tensor  # (3, N) as in `Triangles`
    y: Tensor
    inverse_z: Tensor


def _boxes(screen: Tensor, faces: Tensor, near: float, size: tuple[int, int]) -> _Boxes:
    width, height = size
    num_pictures, num_vertices, _ = screen.shape
    corners = corner_ids(faces, num_vertices, num_pictures)
    x, y, z = screen.flatten(0, 1).T.contiguous()
    x, y = take(x, corners), take(y, corners)
    left, columns = _pixel_centres_between(x.amin(0), x.amax(0), width)
    top, rows = _pixel_centres_between(y.amin(0), y.amax(0), height)
    touching = ((columns > 0) & (rows > 0)).nonzero().squeeze(-1)
    left, top, columns, rows = pick((left, top, columns, rows), touching)
    z = [z.index_select(0, corner) for corner in pick(corners, touching)]
    triangles, drawable = wound(pick(x, touching), pick(y, touching), z, near)
    first = (touching // len(faces) * height + top.long()) * width + left.long()
    pixels = (columns * rows).long() * drawable
    where = (first, columns.long(), pixels, left + 0.5, top + 0.5)
    return _Boxes(touching % len(faces), *where, *triangles)


def _pixel_centres_between(low: Tensor, high: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """First pixel whose centre lies in [low, high], within the picture, and how many there are."""
    first = (low - 0.5).ceil_().clamp_min_(0)
    last = (high - 0.5).floor_().clamp_max_(size - 1)
    return first, last - first + 1


def _in_chunks(boxes: _Boxes) -> Iterator[_Boxes]:
    """Consecutive triangles that have about `CHUNK` candidates together."""
    sizes = chunk_sizes(boxes.pixels)
    yield from map(_Boxes._make, zip(*(field.split(sizes, dim=-1) for field in boxes), strict=True))


def _candidates(boxes: _Boxes, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Pixels whose centre lies in a triangle, with sort keys: nearer first, then lower ids."""
    box, place = enumerate_runs(boxes.pixels)
    columns = boxes.columns.index_select(0, box)
    down = place // columns
    right = place - down * columns
    px, py = boxes.left.index_select(0, box) + right, boxes.top.index_select(0, box) + down
    e0, e1, e2 = edge_functions(pick(boxes.x, box), pick(boxes.y, box), px, py)
    area = e0 + e1 + e2
    inside = (torch.minimum(torch.minimum(e0, e1), e2) >= 0) & (area > 0)
    inside = inside.nonzero().squeeze(-1)
    box, e0, e1, e2, area = (items.index_select(0, inside) for items in (box, e0, e1, e2, area))
    z0, z1, z2 = pick(boxes.inverse_z, box)
    inverse_depth = (e0 * z0 + e1 * z1 + e2 * z2) / area
    # The bits of positive floats sort like the floats themselves.
    nearness = inverse_depth.float().view(torch.int32).long()
    key = ((0x7FFFFFFF - nearness) << 32) | boxes.triangle.index_select(0, box)
    offset = (right + down * size[0]).index_select(0, inside)
    return boxes.first.index_select(0, box) + offset, key
