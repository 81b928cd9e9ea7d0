"""What a caller gives, with one batch axis and in the body model's type."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from vhlib.body import SMPL, BodyParameters, Keypoints
from vhlib.geometry import PerspectiveCamera


def flat_camera(camera: PerspectiveCamera, batch: torch.Size) -> PerspectiveCamera:
    """The camera at the origin; fields with batch axes are flattened like the keypoints."""

    def flat(field: Tensor) -> Tensor:
        return field if field.ndim == 1 else _expanded("camera", field, (*batch, 2)).flatten(0, -2)

    return replace(
        camera.in_own_frame(),
        focal_length=flat(camera.focal_length),
        principal_point=flat(camera.principal_point),
    )


def flat_keypoints(keypoints: Keypoints, smpl: SMPL) -> Keypoints:
    """The keypoints with one batch axis, in the model's type."""
    xy, confidence = keypoints.xy.to(smpl.v_template), keypoints.confidence.to(smpl.v_template)
    return Keypoints(
        xy.reshape(-1, *xy.shape[-2:]),
        confidence.reshape(-1, confidence.shape[-1]),
        keypoints.skeleton,
    )


def flat_parameters(parameters: BodyParameters, batch: torch.Size, smpl: SMPL) -> BodyParameters:
    """Initial bodies with one batch axis, broadcast to that of the keypoints.

    Raises ValueError naming the field whose shape doesn't fit.
    """
    shapes = {
        "betas": (smpl.num_betas,),
        "body_pose": (len(smpl.parents) - 1, 3, 3),
        "global_orient": (3, 3),
        "transl": (3,),
    }
    flat = {}
    for name, shape in shapes.items():
        value = getattr(parameters, name).to(smpl.v_template)
        flat[name] = _expanded(f"init.{name}", value, (*batch, *shape)).reshape(-1, *shape)
    return BodyParameters(**flat)


def _expanded(name: str, value: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Broadcast to ``shape``, or a ValueError that names the argument."""
    try:
        return value.expand(shape)
    except RuntimeError:
        raise ValueError(
            f"{name} has shape {tuple(value.shape)}, which doesn't fit the keypoints and the body: "
            f"expected {shape}"
        ) from None
