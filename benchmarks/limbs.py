"""What several benchmarks ask of bodies: their limb joints, and which of these bend wrongly."""

from __future__ import annotations

import torch
from torch import Tensor

from vhlib.body import SMPL, BodyParameters
from vhlib.body.skeletons import SMPL_24
from vhlib.data.four_cameras import LIMB_JOINTS
from vhlib.fitting.energies import signed_bends
from vhlib.geometry import matrix_to_axis_angle

LIMBS = SMPL_24.indices(*LIMB_JOINTS)
HIPS = [LIMB_JOINTS.index("left_hip"), LIMB_JOINTS.index("right_hip")]
HYPEREXTENSION = 5.0  # degrees


def limb_joints(smpl: SMPL, parameters: BodyParameters) -> Tensor:
    """The twelve joints of bodies, (*batch, 12, 3), in their frame."""
    return smpl.keypoints("smpl_24", **vars(parameters))[..., LIMBS, :]


def all_rotations(parameters: BodyParameters) -> Tensor:
    """Of the root and the other joints, (*batch, 24, 3, 3)."""
    return torch.cat([parameters.global_orient[..., None, :, :], parameters.body_pose], -3)


def hyperextended(parameters: BodyParameters) -> Tensor:
    """Which bodies have a knee or an elbow over HYPEREXTENSION the wrong way, (*batch,) bool."""
    bends = torch.rad2deg(signed_bends(matrix_to_axis_angle(all_rotations(parameters))))
    return (bends > HYPEREXTENSION).any(-1)
