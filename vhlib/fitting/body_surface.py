"""The mesh of posed bodies and the motion of its vertices, for terms that look at the surface."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vhlib.body import SMPL
from vhlib.body.point_regressor import RestModel
from vhlib.body.vertex_regressor import VertexRegressor
from vhlib.fitting.posed_body import PosedBody
from vhlib.geometry import PerspectiveCamera
from vhlib.geometry.outlines import MeshEdges, mesh_edges


@dataclass(frozen=True, eq=False)
class BodySurface:
    """The mesh of a body model, with what is made of it once."""

    smpl: SMPL

    @cached_property
    def edges(self) -> MeshEdges:
        """Edges and the faces beside them."""
        return mesh_edges(self.smpl.faces)

    @cached_property
    def model(self) -> RestModel:
        """The linear part of the body, each vertex in one piece: its vertices are asked singly."""
        model = self.smpl.rest_model()
        by_vertex = "v_template", "shapedirs", "posedirs", "lbs_weights"
        return replace(model, **{name: getattr(model, name).contiguous() for name in by_vertex})

    def vertices(self, body: PosedBody) -> Float[Tensor, "N V 3"]:
        """All vertices, metres."""
        return self.smpl(**vars(body.parameters())).vertices

    def regressor(self, vertices: Int[Tensor, "N K"]) -> VertexRegressor:
        """Some vertices, other ones for each body, as points with derivatives."""
        return VertexRegressor(self.model, vertices)


def in_view(
    camera: PerspectiveCamera, body: PosedBody, points: Float[Tensor, "N P 3"]
) -> Float[Tensor, "N P 3"]:
    """Points in the camera's axes, drawn apart sideways by the bodies' focal factors.

    The camera as it is sees them there where one with the bodies' focal lengths would.
    """
    points = camera.world_to_camera(points)
    sideways = points[..., :2] * body.focal_factor[:, None]
    return torch.cat([sideways, points[..., 2:]], -1)


def projected_motion(camera: PerspectiveCamera, body: PosedBody) -> Float[Tensor, "N K 2 n"]:
    """How the pixels of the bodies' points move by the unknowns."""
    motion = body.points_jacobian  # before the points, which it gives too
    rotation = camera.T_camera_world[..., :3, :3].to(motion)
    focal_length = (camera.focal_length.to(motion) * body.focal_factor)[:, None]
    points = camera.world_to_camera(body.points)
    return body.pixel_motion(points, rotation[..., None, :, :] @ motion, focal_length)
