"""Which vertices does the camera see? Exact: every vertex against every triangle before it.

Looking a vertex up in the z-buffer errs near outlines and creases, since a pixel keeps one depth
only. Here each triangle is asked which vertices lie behind it; the vertices are sorted into square
cells of the picture, so that it asks only those near its bounding box.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vhlib.geometry.backends import Backend, numba_kernels_for
from vhlib.geometry.cameras import PerspectiveCamera
from vhlib.geometry.rasterizer import NEAR, require_existing_vertices, to_screen
from vhlib.geometry.rasterizer_torch import (
    Triangles,
    chunk_sizes,
    edge_functions,
    enumerate_runs,
    pick,
    take,
    wound,
)

TOUCHING = 1e-4
"""Metres; a surface no farther than this before a vertex doesn't hide it."""


@torch.no_grad()
def vertex_visibility(
    vertices: Float[Tensor, "*#batch V 3"],
    faces: Int[Tensor, "F 3"],
    camera: PerspectiveCamera,
    backend: Backend | None = None,
) -> Bool[Tensor, "*#batch V"]:
    """Which vertices lie in the picture with no triangle between them and the camera.

    Surfaces within `TOUCHING` of a vertex, such as its own triangles, don't hide it, nor do
    triangles that `rasterize` drops. ``backend`` and errors as in `rasterize`.
    """
    require_existing_vertices(faces, vertices.shape[-2])
    kernels = numba_kernels_for(backend, vertices.device)
    screen = to_screen(vertices, camera)
    flat = screen.reshape(screen.shape[:-2].numel(), *screen.shape[-2:])
    visible = torch.zeros(flat.shape[:-1], dtype=torch.bool, device=screen.device)
    for points, seen in zip(flat, visible, strict=True):
        cells = _sorted_into_cells(points, camera.image_size)
        if kernels is None:
            hidden = _hidden(points, faces, cells)
        else:
            hidden = _hidden_numba(kernels, points, faces, cells)
        seen[cells.vertex] = ~hidden
    return visible.view(screen.shape[:-1])


class Cells(NamedTuple):
    """The M vertices in the picture, sorted into a grid of square cells that just holds them.

    The point (x, y) lies in column ``(x - left) // size`` and row ``(y - top) // size`` of cells,
    which are counted row by row.
    """

    vertex: Int[Tensor, " M"]  # ids
    x: Float[Tensor, " M"]  # pixels
    y: Float[Tensor, " M"]
    limit: Float[Tensor, " M"]  # a surface whose 1 / z is above it hides the vertex
    starts: Int[Tensor, " cells+1"]  # where each cell's vertices begin
    left: float  # of the grid, pixels
    top: float
    size: float  # of a cell, pixels
    side: int  # of the grid, cells


def _sorted_into_cells(screen: Tensor, image_size: tuple[int, int]) -> Cells:
    x, y, z = screen.T.contiguous()
    width, height = image_size
    within = (x >= 0) & (x < width) & (y >= 0) & (y < height) & (z > NEAR)
    vertex = within.nonzero().squeeze(-1)
    x, y, z = pick((x, y, z), vertex)
    left, right, top, bottom = _extent(x) + _extent(y)
    side = math.isqrt(4 * len(vertex)) + 1  # so a cell holds few, though bodies are narrow
    size = max(right - left, bottom - top, 1.0) / side
    cell = _cell(y, top, size, side) * side + _cell(x, left, size, side)
    order = cell.argsort()
    counts = torch.bincount(cell, minlength=side * side)
    starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    vertex, x, y, limit = pick((vertex, x, y, 1 / (z - TOUCHING)), order)
    return Cells(vertex, x, y, limit, starts, left, top, size, side)


def _extent(axis: Tensor) -> tuple[float, float]:
    return (axis.amin().item(), axis.amax().item()) if len(axis) else (0.0, 0.0)


def _cell(axis: Tensor, low: float, size: float, side: int) -> Tensor:
    """Column of a pixel x, or row of a pixel y; those beyond the grid count to its rim."""
    return ((axis - low) / size).floor().clamp(0, side - 1).long()


def _hidden(screen: Tensor, faces: Tensor, cells: Cells) -> Tensor:
    """Which of the vertices in the picture lie behind a triangle, (M,) bool."""
    x, y, z = (take(axis, faces.T) for axis in screen.T.contiguous())
    triangles, drawable = wound([*x], [*y], [*z], NEAR)
    drawable = drawable.nonzero().squeeze(-1)
    triangles = Triangles(*(torch.stack(pick(axis, drawable)) for axis in triangles))
    left, right = (_cell(x, cells.left, cells.size, cells.side) for x in triangles.x.aminmax(dim=0))
    top, bottom = (_cell(y, cells.top, cells.size, cells.side) for y in triangles.y.aminmax(dim=0))
    triangle, row = enumerate_runs(bottom - top + 1)
    row = (row + top[triangle]) * cells.side
    first = cells.starts[row + left[triangle]]
    counts = cells.starts[row + right[triangle] + 1] - first
    hidden = torch.zeros_like(cells.vertex, dtype=torch.bool)
    sizes = chunk_sizes(counts)
    for chunk in zip(*(items.split(sizes) for items in (triangle, first, counts)), strict=True):
        face, vertex = _meetings(*chunk)
        hidden[vertex[_hides(triangles, cells, face, vertex)]] = True
    return hidden


def _meetings(triangle: Tensor, first: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Each triangle with each of its run of vertices, which begins at ``first``."""
    run, place = enumerate_runs(counts)
    return triangle[run], first[run] + place


def _hides(triangles: Triangles, cells: Cells, triangle: Tensor, vertex: Tensor) -> Tensor:
    """Whether each triangle covers its vertex and is before it."""
    x, y, limit = pick((cells.x, cells.y, cells.limit), vertex)
    e0, e1, e2 = edge_functions(pick(triangles.x, triangle), pick(triangles.y, triangle), x, y)
    area = e0 + e1 + e2
    w0, w1, w2 = pick(triangles.inverse_z, triangle)
    before = (e0 * w0 + e1 * w1 + e2 * w2) / area > limit
    inside = (e0 >= 0) & (e1 >= 0) & (e2 >= 0) & (area > 0)
    return before & inside


def _hidden_numba(kernels: ModuleType, screen: Tensor, faces: Tensor, cells: Cells) -> Tensor:
    hidden = torch.zeros_like(cells.vertex, dtype=torch.bool)
    arrays = Cells(*(f.numpy() if isinstance(f, Tensor) else f for f in cells))
    faces = faces.long().contiguous().numpy()
    kernels.hide_vertices(faces, NEAR, screen.contiguous().numpy(), arrays, hidden.numpy())
    return hidden
