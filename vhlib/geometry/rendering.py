"""Pictures of meshes: shaded, textured, of parts, normals and depth, and laid over a photo."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn.functional import grid_sample, normalize

from vhlib.geometry.cameras import Numbers, PerspectiveCamera
from vhlib.geometry.meshes import face_normals, interpolate, vertex_normals
from vhlib.geometry.rasterizer import Fragments, rasterize

CLAY = (0.62, 0.71, 0.83)
"""The default colour, sRGB."""

# Directions to the lights in camera axes (x right, y down, z forward) and their strengths.
_KEY_LIGHT, _KEY_STRENGTH = (-0.75, -0.8, -0.8), 0.85
_FILL_LIGHT, _FILL_STRENGTH = (1.0, -0.1, -0.5), 0.2
_SKY_STRENGTH, _GROUND_STRENGTH = 0.2, 0.08
_SHEEN, _SHEEN_STRENGTH, _SHEEN_SHARPNESS = (-0.45, -0.5, -1.3), 0.07, 16
_GAMMA = 2.2


@dataclass(frozen=True, eq=False)
class Texture:
    """A picture to be wrapped around a mesh, and where on it each face's corners lie.

    image: colours in [0, 1]. uv: (0, 0) is the picture's lower left corner, (1, 1) the upper right.
    uv_faces: the corners of each face of the mesh as rows of ``uv``; a seam gives a vertex several.
    """

    image: Float[Tensor, "*#batch height width C"]
    uv: Float[Tensor, "T 2"]
    uv_faces: Int[Tensor, "F 3"]


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
    fragments = rasterize(vertices, faces, _finer(camera, supersampling))
    normals = normal_map(fragments, vertices, faces, camera)
    colors = torch.as_tensor(color).to(vertices)
    if colors.ndim > 1:
        batch = fragments.depth.shape[:-2]
        colors = vertex_map(fragments, colors.expand(*batch, *colors.shape[-2:]), faces)
    return _averaged(_lit(normals, colors), fragments, supersampling)


@torch.no_grad()
def render_textured(
    vertices: Float[Tensor, "*#batch V 3"],
    faces: Int[Tensor, "F 3"],
    camera: PerspectiveCamera,
    texture: Texture,
    supersampling: int = 1,
) -> Float[Tensor, "*#batch H W 4"]:
    """`render_shaded` with the colours of a texture."""
    fragments = rasterize(vertices, faces, _finer(camera, supersampling))
    normals = normal_map(fragments, vertices, faces, camera)
    return _averaged(_lit(normals, texture_map(fragments, texture)), fragments, supersampling)


@torch.no_grad()
def render_normals(
    vertices: Float[Tensor, "*#batch V 3"], faces: Int[Tensor, "F 3"], camera: PerspectiveCamera
) -> Float[Tensor, "*#batch H W 3"]:
    """Unit normals in camera axes at each pixel, zero where there is no surface."""
    return normal_map(rasterize(vertices, faces, camera), vertices, faces, camera)


def vertex_map(
    fragments: Fragments, values: Float[Tensor, "*batch V C"], faces: Int[Tensor, "F 3"]
) -> Float[Tensor, "*pictures H W C"]:
    """What each pixel sees of values that the vertices carry, zero where there is no surface."""
    return interpolate(values, faces, fragments.triangle_ids, fragments.barycentrics)


def normal_map(
    fragments: Fragments,
    vertices: Float[Tensor, "*#batch V 3"],
    faces: Int[Tensor, "F 3"],
    camera: PerspectiveCamera,
    smooth: bool = True,
) -> Float[Tensor, "*#batch H W 3"]:
    """Unit normals in camera axes, zero where there is no surface.

    They change smoothly across each face, or, in a fraction of the time, are the face's own.
    """
    points = camera.world_to_camera(vertices)
    if not smooth:
        return _face_normal_map(fragments, points, faces)
    return normalize(vertex_map(fragments, vertex_normals(points, faces), faces), dim=-1)


def part_map(
    fragments: Fragments, face_labels: Int[Tensor, " F"], background: int = -1
) -> Int[Tensor, "*batch H W"]:
    """The label of the face that each pixel sees."""
    labels = face_labels[fragments.triangle_ids]
    return torch.where(fragments.triangle_ids >= 0, labels, background)


def depth_map(fragments: Fragments) -> Float[Tensor, "*batch H W"]:
    """Depth to look at: 1 at the nearest point of a picture, 0.2 at the farthest, 0 behind."""
    depth = fragments.depth
    covered = depth.isfinite()
    near = depth.amin(dim=(-2, -1), keepdim=True)
    far = depth.where(covered, near).amax(dim=(-2, -1), keepdim=True)
    span = torch.where(far > near, far - near, 1.0)
    return torch.where(covered, 1 - 0.8 * (depth.where(covered, near) - near) / span, 0.0)


def texture_map(fragments: Fragments, texture: Texture) -> Float[Tensor, "*batch H W C"]:
    """The texture's colour at each pixel, between its four nearest texels; zero off the mesh."""
    uv = vertex_map(fragments, texture.uv, texture.uv_faces)
    batch, (height, width) = uv.shape[:-3], uv.shape[-3:-1]
    image = texture.image.movedim(-1, -3)
    image = image.expand(*batch, *image.shape[-3:]).reshape(batch.numel(), *image.shape[-3:])
    grid = (uv * 2 - 1) * uv.new_tensor([1.0, -1.0])
    colors = grid_sample(
        image.to(uv),
        grid.view(batch.numel(), height, width, 2),
        padding_mode="border",
        align_corners=False,
    )
    colors = colors.movedim(-3, -1).view(*batch, height, width, image.shape[-3])
    return colors * (fragments.triangle_ids >= 0)[..., None]


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


def _finer(camera: PerspectiveCamera, supersampling: int) -> PerspectiveCamera:
    width, height = camera.image_size
    return camera.resized((supersampling * width, supersampling * height))


def _face_normal_map(fragments: Fragments, points: Tensor, faces: Tensor) -> Tensor:
    shape = fragments.triangle_ids.shape
    ids = fragments.triangle_ids.flatten()
    pixel = (ids >= 0).nonzero().squeeze(-1)
    picture = pixel // (shape[-2] * shape[-1])
    seen = faces.index_select(0, ids.index_select(0, pixel)) + points.shape[-2] * picture[:, None]
    points = points.expand(*shape[:-2], *points.shape[-2:]).reshape(-1, 3)
    normals = face_normals(points, seen)
    return points.new_zeros(len(ids), 3).index_copy(0, pixel, normals).view(*shape, 3)


def _lit(normals: Tensor, colors: Tensor) -> Tensor:
    """Key and fill light, a sky that fades to the ground and a soft sheen, added linearly."""

    def diffuse(direction: tuple[float, float, float]) -> Tensor:
        return (normals @ normalize(normals.new_tensor(direction), dim=0)).clamp_min(0)[..., None]

    upwards = 0.5 - 0.5 * normals[..., 1:2]
    light = _GROUND_STRENGTH + (_SKY_STRENGTH - _GROUND_STRENGTH) * upwards
    light = light + _KEY_STRENGTH * diffuse(_KEY_LIGHT) + _FILL_STRENGTH * diffuse(_FILL_LIGHT)
    sheen = _SHEEN_STRENGTH * diffuse(_SHEEN) ** _SHEEN_SHARPNESS
    return (colors**_GAMMA * light + sheen).clamp(0, 1) ** (1 / _GAMMA)


def _averaged(rgb: Tensor, fragments: Fragments, block: int) -> Tensor:
    """RGBA of each block of pixels; colours count only where they are covered."""
    alpha = (fragments.triangle_ids >= 0)[..., None].to(rgb)
    blocks = torch.cat([rgb * alpha, alpha], dim=-1)
    blocks = blocks.unflatten(-2, (-1, block)).unflatten(-4, (-1, block)).mean(dim=(-4, -2))
    rgb, alpha = blocks.split([3, 1], dim=-1)
    return torch.cat([rgb / torch.where(alpha > 0, alpha, 1.0), alpha], dim=-1)
