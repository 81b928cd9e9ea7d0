"""Which triangle does each pixel see, and where on it? A z-buffer that leaves no crack.

Every pixel centre inside a projected triangle is a candidate; the nearest one wins. Positions are
float64 and inside tests are exact edge functions. Depths are compared as float32 of 1 / z; at equal
depth the lower triangle id wins. Two backends give the same bits: `numba_kernels` is the loop as a
textbook writes it, `rasterizer_torch` handles all candidates at once on any device.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vhlib.geometry.backends import Backend, numba_kernels_for
from vhlib.geometry.cameras import PerspectiveCamera
from vhlib.geometry.rasterizer_torch import edge_functions, nearest_triangles

NEAR = 1e-3
"""Metres; a face with a corner nearer to the camera plane than this, or behind it, is dropped."""


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
    vertices: Float[Tensor, "*#batch V 3"],
    faces: Int[Tensor, "F 3"],
    camera: PerspectiveCamera,
    backend: Backend | None = None,
) -> Fragments:
    """Triangle id, barycentric coordinates and depth at every pixel centre of the camera's image.

    ``vertices`` are world points. The answer carries no gradient: `surface_at` recomputes
    barycentrics and depth of known triangles with gradients. Without a ``backend`` numba runs where
    it is installed and the tensors are on the CPU, else torch.

    Raises:
        ValueError: a face names a vertex that isn't there, or the backend can't serve.
        ImportError: numba asked for, but not usable.
    """
    require_existing_vertices(faces, vertices.shape[-2])
    kernels = numba_kernels_for(backend, vertices.device)
    screen = to_screen(vertices, camera)
    flat = screen.reshape(screen.shape[:-2].numel(), *screen.shape[-2:])
    if kernels is None:
        triangle_ids = nearest_triangles(flat, faces, NEAR, camera.image_size)
        fragments = _surface(flat, faces, triangle_ids)
    else:
        fragments = _rasterize_numba(kernels, flat, faces, camera.image_size)
    triangle_ids, barycentrics, depth = (
        picture.view(*screen.shape[:-2], *picture.shape[1:]) for picture in fragments
    )
    return Fragments(triangle_ids, barycentrics.to(vertices), depth.to(vertices))


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
    _, barycentrics, depth = _surface(to_screen(vertices, camera), faces, triangle_ids)
    return Fragments(triangle_ids, barycentrics.to(vertices), depth.to(vertices))


def to_screen(
    vertices: Float[Tensor, "*#batch V 3"], camera: PerspectiveCamera
) -> Float[Tensor, "*#batch V 3"]:
    """World points as (pixel x, pixel y, camera z) in float64."""
    vertices = vertices.double()
    pixels, z = camera.project(vertices), camera.world_to_camera(vertices)[..., 2:]
    return torch.cat([pixels, z.expand(*pixels.shape[:-1], 1)], dim=-1)


def require_existing_vertices(faces: Int[Tensor, "F 3"], num_vertices: int) -> None:
    """Raise ValueError if a face names a vertex that isn't there."""
    if len(faces) and (int(faces.amin()) < 0 or int(faces.amax()) >= num_vertices):
        wrong = faces[(faces < 0) | (faces >= num_vertices)][0].item()
        raise ValueError(f"faces name vertex {wrong}, but the mesh has {num_vertices} vertices")


def _surface(screen: Tensor, faces: Tensor, triangle_ids: Tensor) -> Fragments:
    """`surface_at` on the screen, in its type."""
    covered = (triangle_ids >= 0).nonzero(as_tuple=True)
    *sample, row, column = covered
    corners = screen[(*(axis[:, None] for axis in sample), faces[triangle_ids[covered]])]
    x, y, z = corners.unbind(-1)
    edges = torch.stack(edge_functions(x.T, y.T, column + 0.5, row + 0.5), dim=-1)
    total = (edges / z).sum(dim=-1)
    blank = screen.new_zeros(*triangle_ids.shape, 3)
    infinite = screen.new_full(triangle_ids.shape, torch.inf)
    barycentrics = blank.index_put(covered, edges / z / total[:, None])
    depth = infinite.index_put(covered, edges.sum(dim=-1) / total)
    return Fragments(triangle_ids, barycentrics, depth)


def _rasterize_numba(
    kernels: ModuleType, screen: Tensor, faces: Tensor, image_size: tuple[int, int]
) -> Fragments:
    """The compiled loop, the batch shared out between as many threads as torch has."""
    width, height = image_size
    picture = (len(screen), height, width)
    triangle_ids = screen.new_empty(picture, dtype=torch.int64)
    fragments = Fragments(triangle_ids, screen.new_empty(*picture, 3), screen.new_empty(picture))
    faces = faces.long().contiguous().numpy()

    def draw(*share: Tensor) -> None:
        kernels.rasterize(faces, NEAR, *(array.numpy() for array in share))

    threads = max(1, min(len(screen), torch.get_num_threads()))
    shares = [array.contiguous().tensor_split(threads) for array in (screen, *fragments)]
    if threads == 1:
        draw(*(share[0] for share in shares))
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(draw, *shares))
    return fragments
