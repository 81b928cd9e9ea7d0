"""Which points lie inside a closed mesh."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vhlib.geometry.rotations import axis_angle_to_matrix

# The ray's direction, oblique to all that people model along axes: a ray that meets an edge or a
# corner exactly would be counted for several faces or for none.
_OBLIQUE = torch.tensor([0.7, -0.4, 0.3], dtype=torch.float64)
# So many pairs of a point and a face are compared at once.
_AT_ONCE = 2**22


@torch.no_grad()
def winding_numbers(
    points: Float[Tensor, "P 3"], vertices: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"]
) -> Int[Tensor, " P"]:
    """How often a closed mesh winds around each point: 0 outside, 1 inside, 2 inside it twice.

    A ray from the point leaves the mesh so many times more often than it enters it. In float64,
    whatever the arguments'. Of a mesh with holes the answer depends on the ray.
    """
    turn = axis_angle_to_matrix(_OBLIQUE.to(points.device))
    points, triangles = points.double() @ turn.T, (vertices.double() @ turn.T)[faces]
    size = max(1, _AT_ONCE // max(1, len(faces)))
    counts = [_crossings(some, triangles) for some in points.split(size)]
    return torch.cat(counts) if counts else torch.zeros(0, dtype=torch.long)


def _crossings(
    points: Float[Tensor, "P 3"], triangles: Float[Tensor, "F corner 3"]
) -> Int[Tensor, " P"]:
    """Faces that a ray along z leaves through, less those it enters through."""
    low, high = triangles.amin(1), triangles.amax(1)
    here = points[:, None]
    near = (here[..., :2] >= low[:, :2]).all(-1) & (here[..., :2] <= high[:, :2]).all(-1)
    point, face = (near & (here[..., 2] <= high[:, 2])).nonzero(as_tuple=True)
    a, b, c = (triangles[face] - points[point, None]).unbind(1)
    # Twice the areas of the three triangles that the ray makes with the sides, seen along it.
    areas = torch.stack([_area(b, c), _area(c, a), _area(a, b)], -1)
    within = (areas > 0).all(-1) | (areas < 0).all(-1)
    heights = torch.stack([a[:, 2], b[:, 2], c[:, 2]], -1)
    total = areas.sum(-1)
    ahead = (areas * heights).sum(-1) * total > 0
    counted = (within & ahead) * total.sign().long()
    return torch.zeros(len(points), dtype=torch.long).to(point).index_add(0, point, counted)


def _area(a: Float[Tensor, "n 3"], b: Float[Tensor, "n 3"]) -> Float[Tensor, " n"]:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
