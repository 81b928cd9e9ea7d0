"""Pinhole and weak-perspective cameras, and square crops of a frame.

Camera axes are OpenCV's: x right, y down, z forward. Pixels are continuous, the image's top left
corner is (0, 0), so pixel centres lie at +0.5. Every field may carry batch axes, which broadcast
against those of the points.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

Numbers = Tensor | np.ndarray | Sequence | float | int
"""What a field accepts; it is stored as a tensor (an image size as a tuple of two ints)."""


@dataclass(frozen=True, eq=False)
class PerspectiveCamera:
    """Pinhole camera: ``u = f_x X / Z + c_x``, ``v = f_y Y / Z + c_y`` in its own axes.

    focal_length: pixels; one number, ``(f_x, f_y)`` or a tensor (*batch, 2).
    principal_point: pixels; ``(c_x, c_y)`` or a tensor (*batch, 2).
    image_size: ``(width, height)`` in whole pixels.
    T_camera_world: (*batch, 4, 4), maps world points to camera points; identity when left out.

    Numbers become float32 tensors and tensors keep their type; answers have the type and device of
    the points that are asked about. Raises ValueError for wrong shapes, for values that are not
    finite, and for focal lengths that are not positive.
    """

    focal_length: Numbers
    principal_point: Numbers
    image_size: Numbers
    T_camera_world: Numbers | None = None

    def __post_init__(self):
        focal_length = _float_tensor("focal_length", self.focal_length)
        if focal_length.ndim == 0:
            focal_length = focal_length.expand(2)
        T_camera_world = self.T_camera_world
        if T_camera_world is None:
            T_camera_world = torch.eye(4, dtype=focal_length.dtype, device=focal_length.device)
        fields = {
            "focal_length": _of_shape("focal_length", focal_length, (2,)),
            "principal_point": _float_field("principal_point", self.principal_point, (2,)),
            "image_size": _whole_size("image_size", self.image_size),
            "T_camera_world": _float_field("T_camera_world", T_camera_world, (4, 4)),
        }
        _require_positive("focal_length", focal_length)
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def world_to_camera(self, points: Float[Tensor, "*#batch V 3"]) -> Float[Tensor, "*#batch V 3"]:
        """World points in the camera's axes: ``R x + t``."""
        T = self.T_camera_world.to(points)
        return points @ T[..., :3, :3].mT + T[..., None, :3, 3]

    def camera_to_world(self, points: Float[Tensor, "*#batch V 3"]) -> Float[Tensor, "*#batch V 3"]:
        """Camera points in the world's axes: ``R^T (x - t)``."""
        T = self.T_camera_world.to(points)
        return (points - T[..., None, :3, 3]) @ T[..., :3, :3]

    def select(self, index: object) -> PerspectiveCamera:
        """Some of a batch of cameras, by any index; fields without batch axes are shared by all."""
        axes = {"focal_length": 1, "principal_point": 1, "T_camera_world": 2}
        fields = {name: getattr(self, name) for name in axes}
        batched = {name: f[index] for name, f in fields.items() if f.ndim > axes[name]}
        return replace(self, **batched)

    def in_own_frame(self) -> PerspectiveCamera:
        """The same lens with its own axes as the world's: the frame that a fit's body lives in."""
        return replace(self, T_camera_world=None)

    @property
    def position(self) -> Float[Tensor, "*#batch 3"]:
        """The camera's centre in world coordinates."""
        return self.camera_to_world(self.T_camera_world.new_zeros(1, 3)).squeeze(-2)

    def project(self, points: Float[Tensor, "*#batch V xyz"]) -> Float[Tensor, "*#batch V 2"]:
        """World points (*batch, V, 3) to pixels (*batch, V, 2); those behind the camera too.

        Raises ValueError for points of another shape, such as a single one without the axis V.
        """
        _require_points(points)
        return self.to_pixels(self.world_to_camera(points))

    def to_pixels(self, points: Float[Tensor, "*#batch V 3"]) -> Float[Tensor, "*#batch V 2"]:
        """Pixels of points that are in the camera's axes already."""
        x_y, z = points.split([2, 1], dim=-1)
        focal_length, principal_point = (
            self.focal_length.to(points),
            self.principal_point.to(points),
        )
        return focal_length[..., None, :] * x_y / z + principal_point[..., None, :]

    def unproject(
        self, pixels: Float[Tensor, "*#batch V 2"], depth: Float[Tensor, "*#batch V"]
    ) -> Float[Tensor, "*#batch V 3"]:
        """World points that project to ``pixels`` and have camera z equal to ``depth``."""
        focal_length, principal_point = (
            self.focal_length.to(pixels),
            self.principal_point.to(pixels),
        )
        rays = (pixels - principal_point[..., None, :]) / focal_length[..., None, :]
        z = depth[..., None]
        x_y, z = torch.broadcast_tensors(rays * z, z.expand(*z.shape[:-1], 2))
        return self.camera_to_world(torch.cat([x_y, z[..., :1]], dim=-1))

    @property
    def intrinsics(self) -> Float[Tensor, "*#batch 3 3"]:
        """The matrix K with ``[f_x, 0, c_x], [0, f_y, c_y], [0, 0, 1]``."""
        f, c = torch.broadcast_tensors(self.focal_length, self.principal_point)
        zero, one = torch.zeros_like(f[..., 0]), torch.ones_like(f[..., 0])
        rows = [f[..., 0], zero, c[..., 0], zero, f[..., 1], c[..., 1], zero, zero, one]
        return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))

    def cropped(self, crop: Crop) -> PerspectiveCamera:
        """The camera whose pixels are the crop's: same place and axes, other intrinsics."""
        scale = (crop.resolution / crop.size)[..., None]
        return replace(
            self,
            focal_length=self.focal_length * scale.to(self.focal_length),
            principal_point=crop.frame_to_crop(self.principal_point[..., None, :]).squeeze(-2),
            image_size=(crop.resolution, crop.resolution),
        )

    def resized(self, image_size: Numbers) -> PerspectiveCamera:
        """The camera of the same picture resampled to ``(width, height)``."""
        image_size = _whole_size("image_size", image_size)
        scale = torch.tensor(image_size) / torch.tensor(self.image_size)
        return replace(
            self,
            focal_length=self.focal_length * scale.to(self.focal_length),
            principal_point=self.principal_point * scale.to(self.principal_point),
            image_size=image_size,
        )

    def to(self, *device_or_dtype: torch.device | torch.dtype | str) -> PerspectiveCamera:
        """The same camera with its tensors on another device or of another float type."""
        return replace(
            self,
            focal_length=self.focal_length.to(*device_or_dtype),
            principal_point=self.principal_point.to(*device_or_dtype),
            T_camera_world=self.T_camera_world.to(*device_or_dtype),
        )


@dataclass(frozen=True, eq=False)
class WeakPerspectiveCamera:
    """HMR's camera: ``scale * (X_xy + translation)``, in crop coordinates from -1 to 1.

    scale: (*batch,), half crops per metre. translation: (*batch, 2), metres, since it is scaled
    together with the body. Source: Kanazawa et al., End-to-End Recovery of Human Shape and Pose,
    2018, section 3.1, whose equation shifts after scaling while its code shifts before; for the
    printed form see `from_offset` and `offset`.
    """

    scale: Numbers
    translation: Numbers

    def __post_init__(self):
        scale = _float_field("scale", self.scale, ())
        _require_positive("scale", scale)
        object.__setattr__(self, "scale", scale)
        object.__setattr__(self, "translation", _float_field("translation", self.translation, (2,)))

    @classmethod
    def from_offset(
        cls, scale: Float[Tensor, "*#batch"], offset: Float[Tensor, "*#batch 2"]
    ) -> WeakPerspectiveCamera:
        """From the other convention, ``scale * X_xy + offset``."""
        return cls(scale, offset / torch.as_tensor(scale)[..., None])

    @property
    def offset(self) -> Float[Tensor, "*#batch 2"]:
        """The shift of the other convention, ``scale * X_xy + offset``."""
        return self.scale[..., None] * self.translation

    def project(self, points: Float[Tensor, "*#batch V 3"]) -> Float[Tensor, "*#batch V 2"]:
        """Points (*batch, V, 3) to crop coordinates (*batch, V, 2), -1 to 1 over the crop.

        Raises ValueError for points of another shape, such as a single one without the axis V.
        """
        _require_points(points)
        scale, translation = self.scale.to(points), self.translation.to(points)
        return scale[..., None, None] * (points[..., :2] + translation[..., None, :])


@dataclass(frozen=True, eq=False)
class Crop:
    """A square cut out of a frame, resampled to ``resolution`` x ``resolution`` pixels.

    center: (*batch, 2) and size: (*batch,), the square's middle and side in frame pixels.
    """

    center: Numbers
    size: Numbers
    resolution: int

    def __post_init__(self):
        size = _float_field("size", self.size, ())
        _require_positive("size", size)
        resolution, _ = _whole_size("resolution", (self.resolution, self.resolution))
        object.__setattr__(self, "center", _float_field("center", self.center, (2,)))
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "resolution", resolution)

    def frame_to_crop(self, pixels: Float[Tensor, "*#batch V 2"]) -> Float[Tensor, "*#batch V 2"]:
        """Frame pixels to the crop's pixels, 0 to ``resolution``."""
        center, size = self.center.to(pixels)[..., None, :], self.size.to(pixels)[..., None, None]
        return (pixels - center) * (self.resolution / size) + self.resolution / 2

    def crop_to_frame(self, pixels: Float[Tensor, "*#batch V 2"]) -> Float[Tensor, "*#batch V 2"]:
        """The crop's pixels to frame pixels."""
        center, size = self.center.to(pixels)[..., None, :], self.size.to(pixels)[..., None, None]
        return (pixels - self.resolution / 2) * (size / self.resolution) + center

    def normalized_to_crop(
        self, coordinates: Float[Tensor, "*#batch V 2"]
    ) -> Float[Tensor, "*#batch V 2"]:
        """Crop coordinates from -1 to 1 to the crop's pixels."""
        return (coordinates + 1) * (self.resolution / 2)

    def crop_to_normalized(
        self, pixels: Float[Tensor, "*#batch V 2"]
    ) -> Float[Tensor, "*#batch V 2"]:
        """The crop's pixels to crop coordinates from -1 to 1."""
        return pixels / (self.resolution / 2) - 1


def _require_points(points: Tensor) -> None:
    if points.ndim < 2 or points.shape[-1] != 3:
        hint = "; give points[None]" if points.shape == (3,) else ""
        raise ValueError(f"points must be (*batch, V, 3), found {tuple(points.shape)}{hint}")


def _float_tensor(name: str, value: object) -> Tensor:
    """A number, sequence, array or tensor as a finite float tensor; floating types are kept."""
    try:
        tensor = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{name} must be numbers or a tensor, found {value!r}") from None
    if not tensor.is_floating_point():
        tensor = tensor.to(torch.get_default_dtype())
    if not bool(tensor.isfinite().all()):
        raise ValueError(f"{name} must be finite, found {tensor.tolist()}")
    return tensor


def _of_shape(name: str, tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    if tensor.shape[tensor.ndim - len(shape) :] != shape:
        expected = ", ".join(["*batch", *map(str, shape)])
        raise ValueError(f"{name} must have shape ({expected}), found {tuple(tensor.shape)}")
    return tensor


def _float_field(name: str, value: object, shape: tuple[int, ...]) -> Tensor:
    return _of_shape(name, _float_tensor(name, value), shape)


def _require_positive(name: str, tensor: Tensor) -> None:
    if not bool((tensor > 0).all()):
        raise ValueError(f"{name} must be positive, found {tensor.tolist()}")


def _whole_size(name: str, value: Numbers) -> tuple[int, int]:
    """A (width, height) pair as positive Python ints."""
    sides = None
    with suppress(TypeError, ValueError, RuntimeError):  # what is no number at all
        sides = torch.as_tensor(value).tolist()
    if not (
        isinstance(sides, list)
        and len(sides) == 2
        and all(isinstance(s, int | float) and s > 0 and s % 1 == 0 for s in sides)
    ):
        found = repr(value) if sides is None else sides
        raise ValueError(f"{name} must be whole and positive (width, height), found {found}")
    return int(sides[0]), int(sides[1])
