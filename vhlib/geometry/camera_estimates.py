"""What a camera nobody calibrated must have been: focal lengths, depths and translations.

Translations are metres in camera axes, from the camera to the body's origin, except where a
docstring says otherwise. A crop network predicts a weak-perspective camera per crop; since its
depth comes from the scale, translations from crops of different sizes are comparable only after
they are moved to the full frame.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vhlib.geometry.cameras import Crop, PerspectiveCamera, WeakPerspectiveCamera

FULL_FRAME_DIAGONAL_MM = math.hypot(36.0, 24.0)  # 43.27 mm, the film that "35 mm" refers to


def focal_from_35mm(focal_mm: float | int, image_size: tuple[int, int]) -> float:
    """Focal length in pixels from EXIF's 35-mm equivalent, by the diagonal as CIPA defines it."""
    return focal_mm / FULL_FRAME_DIAGONAL_MM * focal_from_diagonal(image_size)


def focal_from_diagonal(image_size: tuple[int, int]) -> float:
    """The guess ``sqrt(width^2 + height^2)`` in pixels: 53 degrees across the diagonal."""
    return math.hypot(*image_size)


def focal_from_sensor(
    focal_mm: float | int, sensor_width_mm: float | int, image_width: int
) -> float:
    """Focal length in pixels of a lens in millimetres before a sensor of known width."""
    return focal_mm * image_width / sensor_width_mm


def weak_perspective_to_translation(
    camera: WeakPerspectiveCamera, focal_length: float | int | Tensor, resolution: int
) -> Float[Tensor, "*#batch 3"]:
    """The translation ``(t_x, t_y, 2 f / (resolution s))`` under which a pinhole looks alike.

    At a large depth ``u = f (X + t_x) / t_z``; asking ``u / (resolution / 2) = s (X + t_x)`` gives
    ``t_z``. The focal length, in pixels of the crop, is a convention and not a measurement (SPIN
    uses 5000 at 224 pixels, Kolotouros et al. 2019); each point errs by about ``z / t_z``.
    """
    depth = 2 * focal_length / (resolution * camera.scale)
    return torch.cat([camera.translation, depth[..., None]], dim=-1)


def translation_to_weak_perspective(
    translation: Float[Tensor, "*batch 3"], focal_length: float | int | Tensor, resolution: int
) -> WeakPerspectiveCamera:
    """The inverse of `weak_perspective_to_translation`; needs a positive depth."""
    scale = 2 * focal_length / (resolution * translation[..., 2])
    return WeakPerspectiveCamera(scale, translation[..., :2])


def crop_to_frame_translation(
    camera: WeakPerspectiveCamera, crop: Crop, frame_camera: PerspectiveCamera
) -> Float[Tensor, "*#batch 3"]:
    """The translation for the full frame's camera from a crop's weak-perspective camera.

    ``t_z = 2 f / (b s)`` with the crop's side b, and ``t_x + 2 (c_x - p_x) / (b s)`` with its
    centre c and the frame's principal point p. Source: Li et al., CLIFF, 2022, equation 5.
    """
    focal_length = frame_camera.focal_length
    depth = 2 * focal_length[..., :1] / (crop.size * camera.scale)[..., None]
    shift = (crop.center - frame_camera.principal_point) * depth / focal_length
    x_y, depth = torch.broadcast_tensors(camera.translation + shift, depth)
    return torch.cat([x_y, depth[..., :1]], dim=-1)


def frame_translation_to_weak_perspective(
    translation: Float[Tensor, "*#batch 3"], crop: Crop, frame_camera: PerspectiveCamera
) -> WeakPerspectiveCamera:
    """The inverse of `crop_to_frame_translation`; needs a positive depth."""
    x_y, depth = translation.split([2, 1], dim=-1)
    focal_length = frame_camera.focal_length
    scale = 2 * focal_length[..., 0] / (crop.size * depth.squeeze(-1))
    shift = (crop.center - frame_camera.principal_point) * depth / focal_length
    return WeakPerspectiveCamera(scale, x_y - shift)


def weak_perspective_in_frame(
    camera: WeakPerspectiveCamera, crop: Crop, image_size: tuple[int, int]
) -> tuple[Float[Tensor, "*#batch 2"], Float[Tensor, "*#batch 2"]]:
    """Scale and translation of the same picture over the full frame, each with x and y.

    ``scale * (X_xy + translation)`` then runs from -1 to 1 over the frame's width and height, so a
    frame that is not square has two scales. Source: Kocabas et al., VIBE, 2020, demonstration code.
    """
    size = torch.tensor(image_size).to(crop.center)
    scale = camera.scale[..., None] * crop.size[..., None] / size
    center = 2 * crop.center / size - 1
    return scale, camera.translation + center / scale


def estimate_translation(
    points: Float[Tensor, "*#batch K 3"],
    pixels: Float[Tensor, "*#batch K 2"],
    confidence: Float[Tensor, "*#batch K"],
    camera: PerspectiveCamera,
) -> Float[Tensor, "*#batch 3"]:
    """The world translation t that brings ``camera.project(points + t)`` onto ``pixels``.

    Linear least squares on ``f_x (X + t_x) = (u - c_x) (Z + t_z)`` and the same for y, each row
    weighted by the square root of its confidence. Given ``t_z``, the best ``t_x`` and ``t_y`` are
    weighted means, which leaves one equation for ``t_z``. Source: Kolotouros et al., SPIN, 2019.
    Raises ValueError if some sample has fewer than two points of positive confidence.
    """
    if bool(((confidence > 0).sum(dim=-1) < 2).any()):
        raise ValueError("translation needs at least two keypoints of positive confidence")
    focal_length, principal_point = (
        camera.focal_length.to(points),
        camera.principal_point.to(points),
    )
    rays = (pixels - principal_point[..., None, :]) / focal_length[..., None, :]
    x_y, z = camera.world_to_camera(points).split([2, 1], dim=-1)
    share = (confidence / confidence.sum(dim=-1, keepdim=True))[..., None]

    def mean(values: Tensor) -> Tensor:
        return (share * values).sum(dim=-2, keepdim=True)

    # Each axis: t_xy = rays * (z + t_z) - x_y for all points; subtract the mean over the points.
    offset = rays * z - x_y
    slope, residual = rays - mean(rays), offset - mean(offset)
    weight = share * focal_length[..., None, :].square()
    total = (weight * slope * residual).sum(dim=(-2, -1), keepdim=True)
    t_z = -total / (weight * slope.square()).sum(dim=(-2, -1), keepdim=True)
    t_xy = mean(offset) + mean(rays) * t_z
    in_camera = torch.cat([t_xy, t_z], dim=-1)
    return (in_camera @ camera.T_camera_world.to(points)[..., :3, :3]).squeeze(-2)


def similar_triangles_depth(
    points: Float[Tensor, "*#batch K 3"],
    pixels: Float[Tensor, "*#batch K 2"],
    edges: Int[Tensor, "E 2"],
    camera: PerspectiveCamera,
) -> Float[Tensor, "*#batch"]:
    """Depth ``f * mean 3D length / mean 2D length`` of the edges, each a pair of point indices.

    Take edges that keep their length in the picture, such as shoulder to hip on both sides. Source:
    Bogo et al., Keep It SMPL, 2016, section 3.3. Raises ValueError if they all vanish in a picture.
    """
    rays = pixels / camera.focal_length.to(pixels)[..., None, :]
    lengths_3d, lengths_2d = (
        (values[..., edges[:, 0], :] - values[..., edges[:, 1], :]).norm(dim=-1).mean(dim=-1)
        for values in (points, rays)
    )
    if bool((lengths_2d == 0).any()):
        raise ValueError("depth needs edges of some length in the picture, all of them have none")
    return lengths_3d / lengths_2d
