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


def hyperextended(parameters: BodyParameters) -> Tensor:
    """Which bodies have a knee or an elbow over HYPEREXTENSION the wrong way, (*batch,) bool."""
    bends = torch.rad2deg(signed_bends(matrix_to_axis_angle(parameters.rotations)))
    return (bends > HYPEREXTENSION).any(-1)
