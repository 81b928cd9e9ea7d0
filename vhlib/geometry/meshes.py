"""Triangle meshes as ``vertices (*batch, V, 3)`` and ``faces (F, 3)``, one topology per call.

Faces are wound counter-clockwise seen from outside, so normals point outwards.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize


def area_vectors(
    vertices: Float[Tensor, "*batch V 3"], faces: Int[Tensor, "F 3"]
) -> Float[Tensor, "*batch F 3"]:
    """Along each face's normal, as long as its area: ``(b - a) x (c - a) / 2``."""
    a, b, c = (vertices.index_select(-2, corner) for corner in faces.T)
    return torch.linalg.cross(b - a, c - a) / 2


def face_areas(
    vertices: Float[Tensor, "*batch V 3"], faces: Int[Tensor, "F 3"]
) -> Float[Tensor, "*batch F"]:
    """Area of each face, square metres."""
    return area_vectors(vertices, faces).norm(dim=-1)


def face_normals(
    vertices: Float[Tensor, "*batch V 3"], faces: Int[Tensor, "F 3"]
) -> Float[Tensor, "*batch F 3"]:
    """Unit normal of each face; zero for a face without area."""
    return normalize(area_vectors(vertices, faces), dim=-1)


def vertex_normals(
    vertices: Float[Tensor, "*batch V 3"], faces: Int[Tensor, "F 3"]
) -> Float[Tensor, "*batch V 3"]:
    """Unit mean of the normals around each vertex, weighted by area; zero where no face is."""
    vectors, total = area_vectors(vertices, faces), torch.zeros_like(vertices)
    for corner in faces.T:
        total = total.index_add(-2, corner, vectors)
    return normalize(total, dim=-1)


def signed_volume(
    vertices: Float[Tensor, "*batch V 3"], faces: Int[Tensor, "F 3"]
) -> Float[Tensor, "*batch"]:
    """Volume inside a closed mesh, cubic metres; negative if the faces are wound inwards.

    The sum of the tetrahedra between each face and the origin, by the divergence theorem.
    """
    centers = vertices[..., faces, :].mean(dim=-2)
    return (centers * area_vectors(vertices, faces)).sum(dim=(-2, -1)) / 3


def interpolate(
    attributes: Float[Tensor, "*batch V C"],
    faces: Int[Tensor, "F 3"],
    triangle_ids: Int[Tensor, "*points"],
    barycentrics: Float[Tensor, "*points 3"],
) -> Float[Tensor, "*points C"]:
    """Vertex attributes at points given by a triangle and barycentric coordinates there.

    The points' leading axes are the attributes' batch axes, any others follow: pictures are
    (*batch, H, W). Where the triangle id is -1 the answer is zero.
    """
    batch_shape, (num_vertices, num_channels) = attributes.shape[:-2], attributes.shape[-2:]
    if triangle_ids.shape[: len(batch_shape)] != batch_shape:
        raise ValueError(
            f"points of shape {tuple(triangle_ids.shape)} must begin with the batch axes "
            f"{tuple(batch_shape)} of the attributes"
        )
    covered = (triangle_ids >= 0).nonzero(as_tuple=True)
    corners = faces[triangle_ids[covered]]
    if batch_shape:
        sample = torch.arange(batch_shape.numel(), device=faces.device).view(batch_shape)
        corners = corners + num_vertices * sample[covered[: len(batch_shape)]][:, None]
    values = attributes.flatten(0, -2)[corners]
    values = (barycentrics[covered][..., None] * values).sum(dim=-2)
    blank = values.new_zeros(*triangle_ids.shape, num_channels)
    return blank.index_put(covered, values)
