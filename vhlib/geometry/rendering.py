"""Pictures of meshes: shaded, composited over a photo, or coloured by their normals."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn.functional import normalize

from vhlib.geometry.cameras import Numbers, PerspectiveCamera
from vhlib.geometry.meshes import interpolate, vertex_normals
from vhlib.geometry.rasterizer import rasterize

CLAY = (0.62, 0.71, 0.83)
"""The default colour, sRGB."""

# Directions to the lights in camera axes (x right, y down, z forward) and their strengths.
_KEY_LIGHT, _KEY_STRENGTH = (-0.75, -0.8, -0.8), 0.85
_FILL_LIGHT, _FILL_STRENGTH = (1.0, -0.1, -0.5), 0.2
_SKY_STRENGTH, _GROUND_STRENGTH = 0.2, 0.08
_SHEEN, _SHEEN_STRENGTH, _SHEEN_SHARPNESS = (-0.45, -0.5, -1.3), 0.07, 16
_GAMMA = 2.2


@torch.no_grad()
def render_shaded(
    vertices: Float[Tensor, "*#batch V 3"],
    faces: Int[Tensor, "F 3"],
    camera: PerspectiveCamera,
    color: Numbers = CLAY,
    supersampling: int = 1,
) -> Float[Tensor, "*#batch H W 4"]:
    """RGBA in [0, 1] of the mesh with smooth normals under two lights; alpha isn't multiplied in.

    color: sRGB in [0, 1], one for the mesh (3,) or one per vertex (..., V, 3). With
    ``supersampling`` n every pixel averages n x n of them, which smooths the outline.
    """
    width, height = camera.image_size
    fine = camera.resized((supersampling * width, supersampling * height))
    fragments = rasterize(vertices, faces, fine)
    normals = _camera_normals(vertices, faces, camera)
    colors = torch.as_tensor(color).to(vertices).expand(*normals.shape[:-1], 3)
    surface = torch.cat([normals, colors], dim=-1)
    surface = interpolate(surface, faces, fragments.triangle_ids, fragments.barycentrics)
    normals, colors = surface.split(3, dim=-1)
    rgb = _lit(normalize(normals, dim=-1), colors)
    alpha = (fragments.triangle_ids >= 0)[..., None].to(rgb)
    return _averaged(rgb, alpha, supersampling)


@torch.no_grad()
def render_normals(
    vertices: Float[Tensor, "*#batch V 3"], faces: Int[Tensor, "F 3"], camera: PerspectiveCamera
) -> Float[Tensor, "*#batch H W 3"]:
    """Unit normals in camera axes at each pixel, zero where there is no surface."""
    fragments = rasterize(vertices, faces, camera)
    normals = _camera_normals(vertices, faces, camera)
    normals = interpolate(normals, faces, fragments.triangle_ids, fragments.barycentrics)
    return normalize(normals, dim=-1)


def overlay(
    image: UInt8[Tensor, "*#batch H W 3"] | Float[Tensor, "*#batch H W 3"],
    rgba: Float[Tensor, "*#batch height width 4"],
    opacity: float | int = 1.0,
) -> UInt8[Tensor, "*#batch H W 3"] | Float[Tensor, "*#batch H W 3"]:
    """Lay a rendered picture over a photo of the same size; the answer has the photo's type.

    Raises ValueError if the sizes differ.
    """
    if image.shape[-3:-1] != rgba.shape[-3:-1]:
        sizes = [f"{shape[-2]}x{shape[-3]}" for shape in (image.shape, rgba.shape)]
        raise ValueError(
            f"the photo is {sizes[0]} pixels, but the picture to lay over is {sizes[1]}"
        )
    photo = image / 255 if image.dtype == torch.uint8 else image
    rgb, alpha = rgba.to(photo).split([3, 1], dim=-1)
    mixed = torch.lerp(photo, rgb, opacity * alpha)
    return (mixed * 255).round().to(torch.uint8) if image.dtype == torch.uint8 else mixed


def _camera_normals(vertices: Tensor, faces: Tensor, camera: PerspectiveCamera) -> Tensor:
    return vertex_normals(camera.world_to_camera(vertices), faces)


def _lit(normals: Tensor, colors: Tensor) -> Tensor:
    """Key and fill light, a sky that fades to the ground and a soft sheen, added linearly."""

    def diffuse(direction: tuple[float, float, float]) -> Tensor:
        return (normals @ normalize(normals.new_tensor(direction), dim=0)).clamp_min(0)[..., None]

    upwards = 0.5 - 0.5 * normals[..., 1:2]
    light = _GROUND_STRENGTH + (_SKY_STRENGTH - _GROUND_STRENGTH) * upwards
    light = light + _KEY_STRENGTH * diffuse(_KEY_LIGHT) + _FILL_STRENGTH * diffuse(_FILL_LIGHT)
    sheen = _SHEEN_STRENGTH * diffuse(_SHEEN) ** _SHEEN_SHARPNESS
    return (colors**_GAMMA * light + sheen).clamp(0, 1) ** (1 / _GAMMA)


def _averaged(rgb: Tensor, alpha: Tensor, block: int) -> Tensor:
    """RGBA of each block of pixels; colours count only where they are covered."""
    blocks = torch.cat([rgb * alpha, alpha], dim=-1)
    blocks = blocks.unflatten(-2, (-1, block)).unflatten(-4, (-1, block)).mean(dim=(-4, -2))
    rgb, alpha = blocks.split([3, 1], dim=-1)
    return torch.cat([rgb / torch.where(alpha > 0, alpha, 1.0), alpha], dim=-1)
