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
from vhlib.geometry.rasterizer_torch import edge_functions, nearest_triangles, pick, take

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
    screen = to_screen(vertices, camera)
    flat = screen.reshape(screen.shape[:-2].numel(), *screen.shape[-2:])
    fragments = rasterize_screen(flat, faces, camera.image_size, vertices.dtype, backend)
    batch = screen.shape[:-2]
    return Fragments._make(picture.view(*batch, *picture.shape[1:]) for picture in fragments)


@torch.no_grad()
def rasterize_screen(
    screen: Float[Tensor, "B V 3"],
    faces: Int[Tensor, "F 3"],
    image_size: tuple[int, int],
    dtype: torch.dtype = torch.float32,
    backend: Backend | None = None,
) -> Fragments:
    """`rasterize` for vertices that are on the screen already, by `to_screen`."""
    require_existing_vertices(faces, screen.shape[1])
    kernels = numba_kernels_for(backend, screen.device)
    if kernels is not None:
        return _rasterize_numba(kernels, screen, faces, image_size, dtype)
    triangle_ids = nearest_triangles(screen, faces, NEAR, image_size)
    return _surface(screen, faces, triangle_ids, dtype)


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
    return _surface(to_screen(vertices, camera), faces, triangle_ids, vertices.dtype)


def to_screen(
    vertices: Float[Tensor, "*#batch V 3"], camera: PerspectiveCamera
) -> Float[Tensor, "*#batch V 3"]:
    """World points as (pixel x, pixel y, camera z) in float64."""
    points = camera.world_to_camera(vertices.double())
    pixels = camera.to_pixels(points)
    return torch.cat([pixels, points[..., 2:].expand(*pixels.shape[:-1], 1)], dim=-1)


def require_existing_vertices(faces: Int[Tensor, "F 3"], num_vertices: int) -> None:
    """Raise ValueError if a face names a vertex that isn't there."""
    lowest, highest = map(int, faces.aminmax()) if len(faces) else (0, -1)
    if lowest < 0 or highest >= num_vertices:
        wrong = lowest if lowest < 0 else highest
        raise ValueError(f"faces name vertex {wrong}, but the mesh has {num_vertices} vertices")


def _surface(screen: Tensor, faces: Tensor, triangle_ids: Tensor, dtype: torch.dtype) -> Fragments:
    """`surface_at` on the screen."""
    height, width = triangle_ids.shape[-2:]
    ids = triangle_ids.flatten()
    pixel = (ids >= 0).nonzero().squeeze(-1)
    picture, place = pixel // (height * width), pixel % (height * width)
    corners = torch.stack(pick(faces.T, ids.index_select(0, pixel))) + screen.shape[-2] * picture
    x, y, z = (take(axis, corners) for axis in screen.flatten(0, -2).T)
    edges = torch.stack(edge_functions(x, y, place % width + 0.5, place // width + 0.5))
    total = (edges / z).sum(dim=0)
    barycentrics = screen.new_zeros(len(ids), 3, dtype=dtype)
    barycentrics = barycentrics.index_copy(0, pixel, (edges / z / total).T.to(dtype))
    depth = screen.new_full(ids.shape, torch.inf, dtype=dtype)
    depth = depth.index_copy(0, pixel, (edges.sum(dim=0) / total).to(dtype))
    shape = triangle_ids.shape
    return Fragments(triangle_ids, barycentrics.view(*shape, 3), depth.view(shape))


def _rasterize_numba(
    kernels: ModuleType,
    screen: Tensor,
    faces: Tensor,
    image_size: tuple[int, int],
    dtype: torch.dtype,
) -> Fragments:
    """The compiled loop, the batch shared out between as many threads as torch has."""
    width, height = image_size
    precision = torch.promote_types(dtype, torch.float32)  # numba knows no half floats
    triangle_ids = torch.empty(len(screen), height, width, dtype=torch.int64)
    barycentrics = torch.empty(*triangle_ids.shape, 3, dtype=precision)
    fragments = Fragments(triangle_ids, barycentrics, torch.empty_like(barycentrics[..., 0]))
    faces = faces.long().contiguous().numpy()

    def draw(*share: Tensor) -> None:
        kernels.rasterize(faces, NEAR, *(array.detach().numpy() for array in share))

    arrays = (screen.contiguous(), *fragments)
    threads = min(len(screen), torch.get_num_threads())
    if threads > 1:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(draw, *(array.tensor_split(threads) for array in arrays)))
    else:
        draw(*arrays)
    return Fragments(triangle_ids, fragments.barycentrics.to(dtype), fragments.depth.to(dtype))
