"""Outlines with gradients: how far does the mesh reach into each pixel?

Which triangle a pixel sees has no gradient, but the place of the outline has. Where it passes
between neighbouring pixel centres, one on the mesh and one off it, the pixel that it cuts is
covered in part: by as much more or less as the outline lies beyond or before the pixels' common
border. Steep edges are measured along rows of pixels, the others along columns, so each line of
pixels gains as much as the outline moves.
Source: the antialiasing of Laine et al., Modular Primitives for High-Performance Differentiable
Rendering, 2020; here all edges are asked, not those of seen triangles only.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv2d

from vhlib.geometry.backends import Backend
from vhlib.geometry.cameras import PerspectiveCamera
from vhlib.geometry.outlines import MeshEdges, Outline, ends_of_edges, find_outline, x_on_row
from vhlib.geometry.rasterizer import rasterize_screen, to_screen


def antialiased_silhouette(
    vertices: Float[Tensor, "*#batch V 3"],
    edges: MeshEdges,
    camera: PerspectiveCamera,
    backend: Backend | None = None,
) -> Float[Tensor, "*#batch H W"]:
    """Share of each pixel that the mesh covers, 0 to 1, with gradients for vertices and camera.

    The gradient reaches one pixel from the outline; `blurred` carries it further. ``edges``: those
    of the mesh, from `mesh_edges`. ``backend`` and errors as in `rasterize`.
    """
    screen = to_screen(vertices, camera)
    flat = screen.reshape(screen.shape[:-2].numel(), *screen.shape[-2:])
    fragments = rasterize_screen(flat, edges.faces, camera.image_size, backend=backend)
    mask = fragments.triangle_ids >= 0
    outline = find_outline(flat, edges, mask, backend)
    coverage = (mask + _covered_in_part(flat, edges, outline, mask.shape)).clamp(0, 1)
    return coverage.view(*screen.shape[:-2], *mask.shape[1:]).to(vertices.dtype)


def blurred(
    pictures: Float[Tensor, "*batch H W"], sigma: float | int
) -> Float[Tensor, "*batch H W"]:
    """Pictures under a Gaussian of ``sigma`` pixels, cut off at three sigma; black around them.

    An outline and its goal, both blurred, attract each other from as far as their blurs meet.
    """
    radius = math.ceil(3 * sigma)
    offsets = torch.arange(-radius, radius + 1, dtype=pictures.dtype, device=pictures.device)
    weights = torch.softmax(-0.5 * (offsets / sigma) ** 2, dim=0)
    height, width = pictures.shape[-2:]
    single = pictures.reshape(pictures.shape[:-2].numel(), 1, height, width)
    rows = conv2d(single, weights.view(1, 1, 1, -1), padding="same")
    return conv2d(rows, weights.view(1, 1, -1, 1), padding="same").view(pictures.shape)


def soft_iou(
    pred: Float[Tensor, "*batch H W"], gt: Float[Tensor, "*batch H W"]
) -> Float[Tensor, "*batch"]:
    """Intersection over union of coverages, ``sum(min(a, b)) / sum(max(a, b))``; 1 only if equal.

    Of masks it is `metrics.iou`. Two empty pictures agree fully.
    """
    overlap = torch.minimum(pred, gt).sum(dim=(-2, -1))
    union = torch.maximum(pred, gt).sum(dim=(-2, -1))
    empty = union == 0
    return torch.where(empty, 1.0, overlap / torch.where(empty, 1.0, union))


def _covered_in_part(
    screen: Tensor, edges: MeshEdges, outline: Outline, shape: torch.Size
) -> Tensor:
    """What the outline adds to the mask, or takes from it, (B, H, W)."""
    picture, edge, transposed, row, column, outward = outline
    x, y = ends_of_edges(screen, edges, picture, edge)
    x, y = torch.where(transposed > 0, y, x), torch.where(transposed > 0, x, y)
    beyond = x_on_row(x, y, row) - (column + 1)  # the pixels' border
    column = column + (beyond > 0)
    row, column = torch.where(transposed > 0, column, row), torch.where(transposed > 0, row, column)
    pixel = (picture * shape[1] + row) * shape[2] + column
    return screen.new_zeros(shape.numel()).index_add(0, pixel, outward * beyond).view(shape)
