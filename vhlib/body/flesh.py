"""What flesh does and skinning doesn't: it keeps its volume, and it doesn't pass through itself.

Symbols: P poses, V vertices, J joints.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import normalize

from vhlib.body.skeletons import SMPL_24
from vhlib.body.skin import Skin, dual_quaternion_skinning
from vhlib.body.skinning import linear_blend_skinning
from vhlib.geometry.meshes import signed_volume

# Where a limb folds onto itself or the trunk: the joint, and two pairs of joints that point away
# from it along either side.
FOLDS = tuple(
    tuple(tuple(name.replace("?", side) for name in pair) for pair in sides)
    for side in ("left", "right")
    for sides in (
        (("?_elbow", "?_shoulder"), ("?_elbow", "?_wrist")),
        (("?_knee", "?_hip"), ("?_knee", "?_ankle")),
        (("pelvis", "spine1"), ("?_hip", "?_knee")),
    )
)
# Metres around the joint; cosine of half the angle between the sides from which they may touch, and
# from which they do so fully.
FOLD_REACH, TOUCHING, PRESSED = 0.22, 0.5, 0.65
# A joint's part in a vertex below this is none of its bending.
LEAST_BEND = 0.01
# Dual quaternions lift the shoulder when the arm comes down, and it looks square.
LEAST_LINEAR_SHARE = {"left_shoulder": 0.6, "right_shoulder": 0.6}
# Volumes that differ by less, as a share, are the same.
LEAST_DIFFERENCE = 1e-5


@dataclass(frozen=True, eq=False)
class PosedBones:
    """rotations (P, J, 3, 3) of the joints, their rest places (J, 3), what each bone does."""

    rotations: Float[Tensor, "P J 3 3"]
    joints: Float[Tensor, "J 3"]
    transforms: Float[Tensor, "P J 3 4"]

    @property
    def posed_joints(self) -> Float[Tensor, "P J 3"]:
        """Where the joints are in each pose."""
        turned = (self.transforms[..., :3] @ self.joints[..., None])[..., 0]
        return turned + self.transforms[..., 3]


def linear_shares(
    skin: Skin, rest: Float[Tensor, "V 3"], bones: PosedBones
) -> Float[Tensor, "P V"]:
    """How much of linear blend skinning, the rest being dual quaternions, keeps the volume.

    Each joint is turned alone. With V_1 and V_0 the volumes by linear and by dual-quaternion
    skinning and V that at rest, the share s that keeps it solves s V_1 + (1 - s) V_0 = V, as far as
    0 <= s <= 1 and ``LEAST_LINEAR_SHARE`` allow. A vertex takes the mean over the joints that bend
    it, by how much they are turned: 1 - cos of the angle.
    """
    shares = torch.stack(
        [_linear_share(skin, rest, bones, joint) for joint in range(len(skin.parents))], -1
    )
    traces = bones.rotations.diagonal(dim1=-2, dim2=-1).sum(-1)
    turned = ((3 - traces) / 2).clamp_min(0)
    weighted, total = (turned * shares) @ skin.bends.T, turned @ skin.bends.T
    return weighted / torch.where(total > 0, total, 1)


def _linear_share(
    skin: Skin, rest: Float[Tensor, "V 3"], bones: PosedBones, joint: int
) -> Float[Tensor, " P"]:
    bent = skin.bends[:, joint] > LEAST_BEND
    faces = skin.faces[bent[skin.faces].any(1)]
    if not len(faces):
        return rest.new_zeros(len(bones.rotations))
    used, faces = faces.unique(return_inverse=True)
    # Single precision is twice as fast and plenty for a share. About the joint, what follows one
    # side alone keeps the volume of its cone.
    rotations = bones.rotations[:, joint].float()
    alone = Skin(faces, _two_sides(skin.beyond[used, joint]).float(), (-1, 0))
    arm = (rest[used] - bones.joints[joint]).float()
    turns = torch.stack([torch.eye(3).to(rotations).expand_as(rotations), rotations], 1)
    transforms = torch.cat([turns, turns.new_zeros(*turns.shape[:-1], 1)], -1)
    linear = linear_blend_skinning(arm.expand(len(turns), -1, -1), alone.lbs_weights, transforms)
    curved = dual_quaternion_skinning(arm, alone, transforms)
    kept, V_1, V_0 = (signed_volume(mesh, faces) for mesh in (arm, linear, curved))
    surplus, difference = V_0 - kept, V_0 - V_1
    differs = difference > LEAST_DIFFERENCE * kept.abs()
    shares = torch.where(differs, surplus / torch.where(differs, difference, 1), 0.0)
    return shares.clamp(LEAST_LINEAR_SHARE.get(SMPL_24.names[joint], 0), 1).to(rest)


def _two_sides(beyond: Float[Tensor, " V"]) -> Float[Tensor, "V 2"]:
    return torch.stack([1 - beyond, beyond], -1)


def part_folds(
    skin: Skin, rest: Float[Tensor, "V 3"], bones: PosedBones, posed: Float[Tensor, "P V 3"]
) -> Float[Tensor, "P V 3"]:
    """Push the two sides of each fold back to the plane halfway between them."""
    places = bones.posed_joints
    for (start, end), (joint, child) in FOLDS:
        a, b, pivot, tip = (places[:, SMPL_24.index(name)] for name in (start, end, joint, child))
        near = _fold_side(skin, rest, bones, joint)
        moved = _parted(
            posed[:, near.nonzero()[:, 0]] - pivot[:, None],
            _follows(skin, joint)[near],
            normalize(b - a, dim=-1),
            normalize(tip - pivot, dim=-1),
        )
        posed = posed.index_copy(1, near.nonzero()[:, 0], moved + pivot[:, None])
    return posed


def _follows(skin: Skin, joint: str) -> Bool[Tensor, " V"]:
    return skin.beyond[:, SMPL_24.index(joint)] > 0.5


def _fold_side(
    skin: Skin, rest: Float[Tensor, "V 3"], bones: PosedBones, joint: str
) -> Bool[Tensor, " V"]:
    """The skin that may touch at a fold: near the joint, on its side of the body."""
    centre = bones.joints[SMPL_24.index(joint)]
    return ((rest - centre).norm(dim=-1) < FOLD_REACH) & (rest[:, 0] * centre[0] >= 0)


def _parted(
    points: Float[Tensor, "P K 3"],
    follows: Bool[Tensor, " K"],
    up: Float[Tensor, "P 3"],
    down: Float[Tensor, "P 3"],
) -> Float[Tensor, "P K 3"]:
    """Points about the joint, those that follow ``down`` and the others each on their own side."""
    inwards, across = up + down, normalize(down - up, dim=-1)
    pressure = ((inwards.norm(dim=-1) / 2 - TOUCHING) / (PRESSED - TOUCHING)).clamp(0, 1)
    side = torch.where(follows, 1.0, -1.0).to(points)
    depth = -(points @ across[..., None])[..., 0] * side
    inside = (points @ inwards[..., None])[..., 0] > 0
    push = torch.where(inside, depth.clamp_min(0), 0.0) * pressure[:, None] * side
    return points + push[..., None] * across[:, None]
