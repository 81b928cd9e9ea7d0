"""Where the outlines of a batch of meshes run in their pictures, and what is nearest on them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from vhlib.geometry.cameras import PerspectiveCamera
from vhlib.geometry.outlines import MeshEdges, Outline, ends_of_edges, find_outline
from vhlib.geometry.rasterizer import rasterize_screen, to_screen


@dataclass(frozen=True, eq=False)
class OnEdges:
    """P points of each of N meshes, on some of their edges.

    ends: (N, P, 2) the two vertices of each point's edge. share: (N, P) how far it lies from the
    first to the second.
    """

    ends: Int[Tensor, "N P 2"]
    share: Float[Tensor, "N P"]

    def interpolate(self, values: Float[Tensor, "N K *size"]) -> Float[Tensor, "N P *size"]:
        """What the vertices have, at the points between them."""
        mesh = torch.arange(len(values), device=values.device)[:, None]
        start, end = (values[mesh, self.ends[..., i]] for i in (0, 1))
        return start.lerp(end, self.share.view(*self.share.shape, *(1,) * (values.ndim - 2)))


@dataclass(frozen=True, eq=False)
class Contour:
    """Points of N outlines, C of each or fewer.

    Args:
        vertices: (N, K) those at the ends of the outline's edges.
        places: the points; their ``ends`` count in ``vertices``.
        screen: (N, K, 2) pixels of the vertices.
        outward: (N, C, 2) along the row or column of pixels in which the mesh ends there.
        exists: (N, C); the others fill up the batch.
    """

    vertices: Int[Tensor, "N K"]
    places: OnEdges
    screen: Float[Tensor, "N K 2"]
    outward: Float[Tensor, "N C 2"]
    exists: Bool[Tensor, "N C"]

    def nearest(self, points: Float[Tensor, "N M 2"]) -> Nearest:
        """The outline's nearest point to each of some pixels: on the edge of the nearest place."""
        xy = self.places.interpolate(self.screen)
        xy = torch.where(self.exists[..., None], xy, torch.inf)
        # By a product of matrices, torch's other way, infinity would become NaN.
        distance = torch.cdist(points, xy, compute_mode="donot_use_mm_for_euclid_dist")
        place = distance.argmin(-1)
        mesh = torch.arange(len(place), device=place.device)[:, None]
        ends = self.places.ends[mesh, place]
        start, end = (self.screen[mesh, ends[..., i]] for i in (0, 1))
        along = end - start
        length = along.square().sum(-1)
        share = ((points - start) * along).sum(-1) / torch.where(length > 0, length, 1.0)
        on_edges = OnEdges(ends, share.clamp(0, 1))
        offset = points - on_edges.interpolate(self.screen)
        outside = (offset * self.outward[mesh, place]).sum(-1) > 0
        return Nearest(on_edges, offset, outside & self.exists.any(-1, keepdim=True))


@dataclass(frozen=True, eq=False)
class Nearest:
    """What is nearest to M pixels on each of N outlines.

    places: there. offset: (N, M, 2) from there to the pixel. outside: (N, M) whether the pixel is
    off the mesh; none is if there is no outline.
    """

    places: OnEdges
    offset: Float[Tensor, "N M 2"]
    outside: Bool[Tensor, "N M"]


@torch.no_grad()
def find_contour(
    vertices: Float[Tensor, "N V 3"], edges: MeshEdges, camera: PerspectiveCamera, every: int = 1
) -> Contour:
    """Where each mesh ends between two neighbours, in every so many rows and columns of pixels.

    Positions have the type of the vertices. A batch that shows nothing has room for one place.
    """
    screen = to_screen(vertices, camera)
    drawn = rasterize_screen(screen, edges.faces, camera.image_size).triangle_ids >= 0
    found = find_outline(screen, edges, drawn)
    kept = (found.row % every == 0).nonzero()[:, 0]
    kept = kept[found.picture[kept].argsort(stable=True)]
    picture, edge, transposed, row, _, sign = Outline(*(field[kept] for field in found))
    x, y = ends_of_edges(screen, edges, picture, edge)
    start, end = torch.where(transposed > 0, x, y)
    share = (row + 0.5 - start) / (end - start)
    outward = sign[:, None] * torch.stack([1 - transposed, transposed], -1)

    count, num_vertices, _ = screen.shape
    used = edges.vertices[edge] + num_vertices * picture[:, None]
    used, ends = used.unique(return_inverse=True)
    owner, vertex = used // num_vertices, used % num_vertices
    ends = ends - torch.searchsorted(owner, picture)[:, None]  # counted from each mesh's first
    own = [_by_mesh(field, owner, count) for field in (vertex, screen[owner, vertex, :2])]
    fields = ends, share.to(vertices), outward.to(vertices), picture >= 0
    ends, share, outward, exists = (_by_mesh(field, picture, count) for field in fields)
    return Contour(own[0], OnEdges(ends, share), own[1].to(vertices), outward, exists)


def _by_mesh(values: Tensor, owner: Int[Tensor, " P"], count: int) -> Tensor:
    """(P, ...), in rising order of their mesh, as (count, most, ...), filled up with zeros."""
    groups = values.split(torch.bincount(owner, minlength=count).tolist())
    return pad_sequence([*groups, values.new_zeros(1, *values.shape[1:])], batch_first=True)[:-1]
