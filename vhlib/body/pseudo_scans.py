"""Posed bodies to learn pose correctives from, where there are no real scans.

A blend of linear and dual-quaternion skinning that keeps the volume of the flesh, with folds that
touch instead of passing through each other, relaxed by delta mush around the joints, is close to
how skin behaves and stands in for scans of a posed person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vhlib.body.flesh import PosedBones, linear_shares, part_folds
from vhlib.body.learning import unpose, vertex_transforms
from vhlib.body.skeleton import mirrored_name
from vhlib.body.skeletons import SMPL_24
from vhlib.body.skin import Skin, delta_mush, dual_quaternion_skinning
from vhlib.body.skinning import (
    KinematicTree,
    bone_transforms,
    forward_kinematics,
    linear_blend_skinning,
    pose_features,
)
from vhlib.geometry.rotations import axis_angle_to_matrix

_SPINE = ((-15, 35), (-15, 15), (-15, 15))
_NECK = ((-25, 30), (-35, 35), (-20, 20))
JOINT_RANGES: Mapping[str, tuple[tuple[float, float], ...]] = {
    "spine1": _SPINE,
    "spine2": _SPINE,
    "spine3": ((-10, 20), (-12, 12), (-10, 10)),
    "neck": _NECK,
    "head": _NECK,
    "left_hip": ((-110, 35), (-35, 35), (-20, 55)),
    "left_knee": ((-5, 140), (-8, 8), (-5, 5)),
    "left_ankle": ((-35, 45), (-15, 15), (-15, 15)),
    "left_foot": ((-40, 30), (-3, 3), (-3, 3)),
    "left_collar": ((-10, 10), (-20, 10), (-10, 25)),
    "left_shoulder": ((-50, 50), (-95, 30), (-85, 95)),
    "left_elbow": ((-85, 85), (-140, 3), (-6, 6)),
    "left_wrist": ((-80, 80), (-25, 25), (-65, 65)),
    "left_hand": ((-5, 5), (-5, 5), (-60, 15)),
}
"""Degrees about x, y and z of the T-pose; the right side mirrors the left (y and z change sign)."""


def sample_poses(num_poses: int, generator: np.random.Generator) -> Float[Tensor, "P 24 3 3"]:
    """Random poses within the joint ranges, half of them large; the root stays as it is."""
    rotations = torch.eye(3, dtype=torch.float64).repeat(num_poses, len(SMPL_24), 1, 1)
    for joint, name in enumerate(SMPL_24.names):
        if name != "pelvis":
            rotations[:, joint] = _sample_joint(name, num_poses, generator)
    return rotations


def _sample_joint(name: str, num_poses: int, generator: np.random.Generator) -> Tensor:
    mirrored = name not in JOINT_RANGES
    low, high = np.radians(JOINT_RANGES[mirrored_name(name) if mirrored else name]).T
    angles = generator.uniform(low, high, (num_poses, 3))
    small = generator.random((num_poses, 1)) < 0.45
    angles *= np.where(small, generator.uniform(0, 0.5, (num_poses, 1)), 1)
    angles *= generator.random((num_poses, 1)) >= 0.15
    if mirrored:
        angles *= [1, -1, -1]
    x, y, z = (
        axis_angle_to_matrix(a) for a in torch.diag_embed(torch.from_numpy(angles)).unbind(1)
    )
    # Forearm and hand turn about their own length, then the joint bends them.
    return y @ z @ x if name.endswith(("elbow", "wrist")) else z @ y @ x


def pseudo_scans(
    skin: Skin, rest: Float[Tensor, "V 3"], bones: PosedBones
) -> Float[Tensor, "P V 3"]:
    """One body, given at rest, in P poses."""
    still = rest.expand(len(bones.transforms), -1, -1)
    linear = linear_blend_skinning(still, skin.lbs_weights, bones.transforms)
    curved = dual_quaternion_skinning(rest, skin, bones.transforms)
    posed = torch.lerp(curved, linear, linear_shares(skin, rest, bones)[..., None])
    posed = part_folds(skin, rest, bones, posed)
    return torch.lerp(posed, delta_mush(skin, rest, posed), skin.softness[:, None].to(posed))


@dataclass(frozen=True, eq=False)
class PosedScans:
    """What the pose correctives are learned from: P poses of bodies of the shape space.

    features (P, 207); offsets (P, V, 3), unposed scans minus the body at rest, metres; skinning
    (P, V, 3, 4), what linear blend skinning does to each vertex.
    """

    features: Float[Tensor, "P 207"]
    offsets: Float[Tensor, "P V 3"]
    skinning: Float[Tensor, "P V 3 4"]

    @staticmethod
    def joined(parts: Sequence[PosedScans]) -> PosedScans:
        """Several sets as one."""
        columns = zip(*((p.features, p.offsets, p.skinning) for p in parts), strict=True)
        return PosedScans(*(torch.cat(column) for column in columns))


def scan_poses(
    skin: Skin,
    J_regressor: Float[Tensor, "24 V"],
    bodies: Float[Tensor, "B V 3"],
    generator: np.random.Generator,
    poses_per_body: int,
) -> PosedScans:
    """Pseudo-scans of each body in random poses."""
    parts = []
    for rest in bodies:
        bones = pose_bones(skin, J_regressor @ rest, sample_poses(poses_per_body, generator))
        skinning = vertex_transforms(skin.lbs_weights, bones.transforms)
        offsets = unpose(pseudo_scans(skin, rest, bones), skinning) - rest
        parts.append(PosedScans(pose_features(bones.rotations[:, 1:]), offsets, skinning))
    return PosedScans.joined(parts)


def pose_bones(
    skin: Skin, joints: Float[Tensor, "J 3"], rotations: Float[Tensor, "P J 3 3"]
) -> PosedBones:
    """Forward kinematics of one body in P poses."""
    resting = joints.expand(len(rotations), -1, -1)
    world, posed = forward_kinematics(rotations, resting, KinematicTree(skin.parents))
    return PosedBones(rotations, joints, bone_transforms(world, posed, resting))
