"""Where does a mesh end in its picture? The places where its outline passes between two pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vhlib.geometry.backends import Backend, numba_kernels_for
from vhlib.geometry.rasterizer import NEAR
from vhlib.geometry.rasterizer_torch import (
    corner_ids,
    edge_functions,
    enumerate_runs,
    pick,
    take,
)


@dataclass(frozen=True, eq=False)
class MeshEdges:
    """A mesh's faces, and its edges with the two faces beside each.

    An edge that doesn't have two faces names one of them twice.
    """

    faces: Int[Tensor, "F 3"]
    vertices: Int[Tensor, "E 2"]
    sides: Int[Tensor, "E 2"]


def mesh_edges(faces: Int[Tensor, "F 3"]) -> MeshEdges:
    """Every undirected edge once, in lexicographic order, with the faces beside it."""
    faces = faces.long()
    ends = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).sort(dim=-1).values
    stride = int(faces.max()) + 1 if len(faces) else 1
    key, edge, count = (ends[:, 0] * stride + ends[:, 1]).unique(
        return_inverse=True, return_counts=True
    )
    face = torch.arange(len(faces), device=faces.device).repeat(3)
    first, last = (
        torch.zeros_like(key).scatter_reduce(0, edge, face, end, include_self=False)
        for end in ("amin", "amax")
    )
    sides = torch.stack([first, torch.where(count == 2, last, first)], dim=-1)
    return MeshEdges(faces, torch.stack([key // stride, key % stride], dim=-1), sides)


class Outline(NamedTuple):
    """Neighbouring pixels, one on the mesh and one off it, and the edge that ends the mesh there.

    Neighbours in a row stand beside an edge that is steep, neighbours in a column beside one that
    isn't. For those in a column the picture is transposed: rows are columns, right is down.
    """

    picture: Int[Tensor, " N"]
    edge: Int[Tensor, " N"]
    transposed: Int[Tensor, " N"]  # 1 for neighbours in a column
    row: Int[Tensor, " N"]
    column: Int[Tensor, " N"]  # of the left pixel
    outward: Int[Tensor, " N"]  # 1 if the right pixel is off the mesh, -1 if the left one is


@torch.no_grad()
def find_outline(
    screen: Float[Tensor, "B V 3"],
    edges: MeshEdges,
    mask: Bool[Tensor, "B H W"],
    backend: Backend | None = None,
) -> Outline:
    """The outline of ``mask``, the pixels that the mesh covers; ``screen`` is from `to_screen`.

    Of the edges that pass between the two pixel centres the outermost ends the mesh. ``backend``
    as in `rasterize`; the order of the places is the backend's.
    """
    kernels = numba_kernels_for(backend, screen.device)
    if kernels is None:
        return _find_outline(screen, edges, mask)
    mesh = tuple(field.contiguous().numpy() for field in vars(edges).values())
    places = [
        torch.from_numpy(kernels.find_outline(mesh, NEAR, points, covered, covered.T.copy()))
        for points, covered in zip(screen.contiguous().numpy(), mask.numpy(), strict=True)
    ]
    picture = torch.repeat_interleave(torch.tensor([len(found) for found in places]).long())
    return Outline(picture, *torch.cat([*places, torch.zeros(0, 5, dtype=torch.int64)]).T)


def _find_outline(screen: Tensor, edges: MeshEdges, mask: Tensor) -> Outline:
    picture, edge = _contour_edges(screen, edges)
    x, y = ends_of_edges(screen, edges, picture, edge)
    steep = (y[1] - y[0]).abs() >= (x[1] - x[0]).abs()
    in_rows = _neighbours_in_rows(x, y, picture, mask)
    in_columns = _neighbours_in_rows(y, x, picture, mask.mT)
    places = []
    for transposed, (item, *place) in enumerate([in_rows, in_columns]):
        kept = (steep[item] != bool(transposed)).nonzero().squeeze(-1)
        item, *place = pick((item, *place), kept)
        places.append((picture[item], edge[item], torch.full_like(item, transposed), *place))
    return Outline(*map(torch.cat, zip(*places, strict=True)))


def _contour_edges(screen: Tensor, edges: MeshEdges) -> tuple[Tensor, Tensor]:
    """Picture and id of the edges where front meets back, or where what is drawn ends."""
    num_pictures, num_vertices, _ = screen.shape
    corners = corner_ids(edges.faces, num_vertices, num_pictures)
    x, y, z = (take(axis, corners) for axis in screen.flatten(0, 1).T.contiguous())
    area, _, _ = edge_functions(x, y, x[0], y[0])
    drawn = area.isfinite() & (z.amin(0) > NEAR)
    facing = (
        torch.where(drawn, area, 0.0).sign().to(torch.int8).view(num_pictures, len(edges.faces))
    )
    first, last = (facing.index_select(1, side) for side in edges.sides.T)
    rim = edges.sides[:, 0] == edges.sides[:, 1]
    return ((first != last) | (rim & (first != 0))).nonzero(as_tuple=True)


def _neighbours_in_rows(x: Tensor, y: Tensor, picture: Tensor, mask: Tensor) -> list[Tensor]:
    """Item, row, column and outward, as in `Outline`, of the edges with ends x and y, (2, N)."""
    _, height, width = mask.shape
    item, row = _rows_cut(y, height)
    crossing = x_on_row(torch.stack(pick(x, item)), torch.stack(pick(y, item)), row)
    column = (crossing - 0.5).floor()
    between = ((column >= 0) & (column < width - 1)).nonzero().squeeze(-1)
    item, row, column, crossing = pick((item, row, column.long(), crossing), between)
    left = (picture[item] * height + row) * width + column
    covered = mask.flatten().int()
    outward = covered[left] - covered[left + 1]
    outline = outward.nonzero().squeeze(-1)
    outermost = outline[_farthest((outward * crossing)[outline], left[outline], len(covered))]
    return pick((item, row, column, outward.long()), outermost)


def _rows_cut(y: Tensor, height: int) -> tuple[Tensor, Tensor]:
    """Each edge with each row whose line of pixel centres it cuts, its lower end not counted.

    So an outline that passes a line right at a vertex is cut once.
    """
    low, high = y.aminmax(dim=0)
    first = (low - 0.5).ceil().clamp_min(0)
    last = ((high - 0.5).ceil() - 1).clamp_max(height - 1)
    edge, place = enumerate_runs((last - first + 1).clamp_min(0).long())
    return edge, first.long()[edge] + place


def x_on_row(x: Tensor, y: Tensor, row: Tensor) -> Tensor:
    """Where edges with ends x and y, (2, N), cross the line through a row's pixel centres."""
    (x0, x1), (y0, y1) = x, y
    return x0 + (row + 0.5 - y0) / (y1 - y0) * (x1 - x0)


def ends_of_edges(
    screen: Tensor, edges: MeshEdges, picture: Tensor, edge: Tensor
) -> tuple[Tensor, Tensor]:
    """Pixel x and y of the ends of edges, each (2, N)."""
    index = torch.stack(pick(edges.vertices.T, edge)) + screen.shape[1] * picture
    points = screen.flatten(0, 1).index_select(0, index.flatten())
    return points[:, 0].view(index.shape), points[:, 1].view(index.shape)


def _farthest(distance: Tensor, group: Tensor, num_groups: int) -> Tensor:
    """The item of greatest distance in each group, the last of equals."""
    order = distance.argsort(stable=True)
    place = torch.arange(len(order), device=order.device)
    last = place.new_full((num_groups,), -1).scatter_reduce(0, group[order], place, "amax")
    return order[last[last >= 0]]
