"""Meshes and bodies drawn on white."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from vhlib.body import SMPL, BodyParameters
from vhlib.geometry import PerspectiveCamera
from vhlib.geometry.rendering import CLAY, overlay, render_shaded

Picture = UInt8[np.ndarray, "H W 3"]
Color = tuple[float, ...] | Float[Tensor, "3"] | Float[Tensor, "V 3"]


def mesh_picture(
    vertices: Float[Tensor, "V 3"],
    faces: Int[Tensor, "F 3"],
    camera: PerspectiveCamera,
    color: Color = CLAY,
    opacity: float = 1.0,
) -> Picture:
    """One mesh; ``color`` is one for all of it, or one for each vertex."""
    picture = render_shaded(vertices.float(), faces, camera, color=color, supersampling=2)
    white = torch.full((*picture.shape[:2], 3), 255, dtype=torch.uint8)
    return overlay(white, picture, opacity).numpy()


@torch.no_grad()
def body_picture(
    smpl: SMPL,
    parameters: BodyParameters,
    camera: PerspectiveCamera,
    opacity: float = 1.0,
    color: Color = CLAY,
) -> Picture:
    """One body."""
    vertices = smpl(**vars(parameters)).vertices
    return mesh_picture(vertices, smpl.faces, camera, color, opacity)


def camera_facing(
    target: Float[Tensor, " 3"],
    distance: float,
    focal_length: float,
    size: tuple[int, int],
    yaw: float = 0.0,
) -> PerspectiveCamera:
    """A level camera with ``target`` in the middle of its picture, in a world with y up.

    At ``yaw`` 0 it looks against z, at the front of a body at rest; it goes around the target to
    the body's left by ``yaw`` radians. ``distance`` in metres, ``focal_length`` and ``size`` (width
    first) in pixels.
    """
    cosine, sine = math.cos(yaw), math.sin(yaw)
    T = torch.eye(4)
    T[:3, :3] = torch.tensor([[cosine, 0.0, -sine], [0.0, -1.0, 0.0], [-sine, 0.0, -cosine]])
    T[:3, 3] = -(T[:3, :3] @ target.to(T))
    T[2, 3] += distance
    return PerspectiveCamera(focal_length, (size[0] / 2, size[1] / 2), size, T)
