"""Which triangle does each pixel see? A z-buffer in plain torch, for any device.

Every pixel centre inside a projected triangle is a candidate; the nearest one wins. Positions are
float64 and inside tests are exact edge functions, so neighbouring triangles leave no crack. Depths
are compared as float32 of 1 / z; at equal depth the lower triangle id wins.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vhlib.geometry.cameras import PerspectiveCamera

NEAR = 1e-3
"""Metres; a face with a corner nearer to the camera plane than this, or behind it, is dropped."""

CHUNK = 1 << 17
"""Faces, or candidates, that are worked on at a time; bounds the memory."""

_EMPTY = torch.iinfo(torch.int64).max


class Fragments(NamedTuple):
    """What each pixel sees.

    triangle_ids: -1 where empty. barycentrics: perspective-correct, zero where empty. depth: the
    camera's z in metres, infinite where empty.
    """

    triangle_ids: Int[Tensor, "*batch H W"]
    barycentrics: Float[Tensor, "*batch H W 3"]
    depth: Float[Tensor, "*batch H W"]


@torch.no_grad()
def rasterize(
    vertices: Float[Tensor, "*#batch V 3"], faces: Int[Tensor, "F 3"], camera: PerspectiveCamera
) -> Fragments:
    """Triangle id, barycentric coordinates and depth at every pixel centre of the camera's image.

    ``vertices`` are world points. The answer carries no gradient: `surface_at` recomputes
    barycentrics and depth of known triangles with gradients.
    """
    screen = to_screen(vertices, camera)
    flat = screen.reshape(screen.shape[:-2].numel(), *screen.shape[-2:])
    batch_size = max(1, CHUNK // max(1, len(faces)))
    ids = [_rasterize_torch(part, faces, camera.image_size) for part in flat.split(batch_size)]
    width, height = camera.image_size
    triangle_ids = torch.cat(ids).view(*screen.shape[:-2], height, width)
    return surface_at(vertices, faces, camera, triangle_ids)


def surface_at(
    vertices: Float[Tensor, "*#batch V 3"],
    faces: Int[Tensor, "F 3"],
    camera: PerspectiveCamera,
    triangle_ids: Int[Tensor, "*#batch H W"],
) -> Fragments:
    """`Fragments` of known triangle ids, with gradients for the vertices and the camera.

    With the edge functions ``e_k`` of a pixel centre in its triangle, the barycentrics are
    ``(e_k / z_k) / sum(e / z)`` and the depth is ``sum(e) / sum(e / z)``.
    """
    screen = to_screen(vertices, camera)
    covered = (triangle_ids >= 0).nonzero(as_tuple=True)
    *sample, row, column = covered
    corners = screen[(*(axis[:, None] for axis in sample), faces[triangle_ids[covered]])]
    x, y, z = corners.unbind(-1)
    edges = torch.stack(_edge_functions(x.T, y.T, column + 0.5, row + 0.5), dim=-1)
    total = (edges / z).sum(dim=-1)
    blank = vertices.new_zeros(*triangle_ids.shape, 3)
    barycentrics = blank.index_put(covered, (edges / z / total[:, None]).to(blank.dtype))
    infinite = vertices.new_full(triangle_ids.shape, torch.inf)
    depth = infinite.index_put(covered, (edges.sum(dim=-1) / total).to(blank.dtype))
    return Fragments(triangle_ids, barycentrics, depth)


def to_screen(
    vertices: Float[Tensor, "*#batch V 3"], camera: PerspectiveCamera
) -> Float[Tensor, "*#batch V 3"]:
    """World points as (pixel x, pixel y, camera z) in float64."""
    vertices = vertices.double()
    pixels, z = camera.project(vertices), camera.world_to_camera(vertices)[..., 2:]
    return torch.cat([pixels, z.expand(*pixels.shape[:-1], 1)], dim=-1)


def _edge_functions(x: Tensor, y: Tensor, px: Tensor, py: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Twice the signed areas that the point (px, py) makes with each side of its triangle.

    Exchanging a side's ends flips the sign exactly, so a point between two triangles is in one.
    """
    (x0, x1, x2), (y0, y1, y2) = x - px, y - py
    return x1 * y2 - x2 * y1, x2 * y0 - x0 * y2, x0 * y1 - x1 * y0


class _Boxes(NamedTuple):
    """The faces whose bounding box holds a pixel centre, F' of them, wound to positive area."""

    sample: Tensor  # (F',) position in the batch
    triangle: Tensor  # (F',)
    x: Tensor  # (3, F') corners in pixels
    y: Tensor
    inverse_z: Tensor
    left: Tensor  # (F',) first column and row of the box, and how many of each
    top: Tensor
    columns: Tensor
    rows: Tensor


def _rasterize_torch(
    screen: Float[Tensor, "B V 3"], faces: Int[Tensor, "F 3"], image_size: tuple[int, int]
) -> Int[Tensor, "B H W"]:
    """Nearest triangle at each pixel centre, -1 where there is none."""
    width, height = image_size
    nearest = torch.full((len(screen) * height * width,), _EMPTY, device=screen.device)
    for boxes in _in_chunks(_boxes(screen, faces, image_size)):
        pixel, key = _candidates(boxes, image_size)
        nearest.scatter_reduce_(0, pixel, key, "amin")
    triangle_ids = torch.where(nearest == _EMPTY, -1, nearest & 0xFFFFFFFF)
    return triangle_ids.view(len(screen), height, width)


def _boxes(screen: Tensor, faces: Tensor, image_size: tuple[int, int]) -> _Boxes:
    x, y, z = screen[:, faces].flatten(0, 1).unbind(-1)  # each (B F, 3)
    area, _, _ = _edge_functions(x.T, y.T, x[:, 0], y[:, 0])
    left, columns = _pixel_centres_between(x.amin(-1), x.amax(-1), image_size[0])
    top, rows = _pixel_centres_between(y.amin(-1), y.amax(-1), image_size[1])
    drawn = (columns > 0) & (rows > 0) & (area != 0) & (z.amin(-1) > NEAR)
    drawn = drawn.nonzero().squeeze(-1)
    winding = drawn.new_tensor([[0, 2, 1], [0, 1, 2]])[(area[drawn] > 0).long()]
    x, y, z = (axis[drawn].gather(-1, winding).T for axis in (x, y, z))
    box = (axis[drawn].long() for axis in (left, top, columns, rows))
    return _Boxes(drawn // len(faces), drawn % len(faces), x, y, 1 / z, *box)


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


def _candidates(boxes: _Boxes, image_size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Pixels whose centre lies in a triangle, with sort keys: nearer first, then lower ids."""
    count = boxes.columns * boxes.rows
    face = torch.repeat_interleave(count)
    offset = torch.arange(len(face), device=face.device) - (count.cumsum(0) - count)[face]
    down = offset // boxes.columns[face]
    column = boxes.left[face] + offset - down * boxes.columns[face]
    row = boxes.top[face] + down
    e0, e1, e2 = _edge_functions(boxes.x[:, face], boxes.y[:, face], column + 0.5, row + 0.5)
    area = e0 + e1 + e2
    inside = (torch.minimum(torch.minimum(e0, e1), e2) >= 0) & (area > 0)
    inside = inside.nonzero().squeeze(-1)
    face, e0, e1, e2 = face[inside], e0[inside], e1[inside], e2[inside]
    z0, z1, z2 = boxes.inverse_z[:, face]
    inverse_depth = (e0 * z0 + e1 * z1 + e2 * z2) / area[inside]
    # The bits of positive floats sort like the floats themselves.
    nearness = inverse_depth.float().view(torch.int32).long()
    key = ((0x7FFFFFFF - nearness) << 32) | boxes.triangle[face]
    width, height = image_size
    return (boxes.sample[face] * height + row[inside]) * width + column[inside], key
