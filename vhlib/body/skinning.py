"""The SMPL function as pure functions, in the order of the paper.

    T(betas, pose) = v_template + B_S(betas) + B_P(pose)                        (Loper 2015, eq. 6)
    M(betas, pose) = W(T(betas, pose), J(betas), pose, lbs_weights)             (eq. 5)

Symbols are the field's: V vertices, J joints, S shape components; leading batch axes everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor


def blend_shapes(
    coefficients: Float[Tensor, "*batch C"], directions: Float[Tensor, "V 3 C"]
) -> Float[Tensor, "*batch V 3"]:
    """Offsets in metres, a weighted sum of directions: B_S (eq. 8) and B_P (eq. 9) alike."""
    offsets = coefficients @ directions.flatten(0, 1).T
    return offsets.unflatten(-1, directions.shape[:2])


def regress_joints(
    J_regressor: Float[Tensor, "J V"], vertices: Float[Tensor, "*batch V 3"]
) -> Float[Tensor, "*batch J 3"]:
    """Joints of an *unposed* body: a fixed weighted mean of its vertices (eq. 10)."""
    return J_regressor @ vertices


def pose_features(body_pose: Float[Tensor, "*batch K 3 3"]) -> Float[Tensor, "*batch 9*K"]:
    """R_j - I of each joint but the root, row by row: zero at rest, blind to the root (eq. 9)."""
    identity = torch.eye(3, dtype=body_pose.dtype, device=body_pose.device)
    return (body_pose - identity).flatten(-3)


@dataclass(frozen=True)
class KinematicTree:
    """Joints grouped by depth, so that a batch of bodies is posed level by level.

    Args:
        parents: the parent of each joint, -1 for the root, which is joint 0; parents come first.
    """

    parents: tuple[int, ...]

    @cached_property
    def levels(self) -> tuple[tuple[int, ...], ...]:
        """Joints at depth 0 (the root), 1, 2, ..."""
        depth = [0]
        for parent in self.parents[1:]:
            depth.append(depth[parent] + 1)
        return tuple(
            tuple(joint for joint, d in enumerate(depth) if d == level)
            for level in range(max(depth) + 1)
        )

    @cached_property
    def parent_slots(self) -> tuple[tuple[int, ...], ...]:
        """For each level but the root's: where each joint's parent stands in the level above."""
        return tuple(
            tuple(above.index(self.parents[joint]) for joint in level)
            for above, level in zip(self.levels, self.levels[1:], strict=False)
        )

    @cached_property
    def order(self) -> tuple[int, ...] | None:
        """Puts joints that are listed level by level back in order; None if they are already."""
        listed = [joint for level in self.levels for joint in level]
        order = tuple(listed.index(joint) for joint in range(len(listed)))
        return None if order == tuple(range(len(order))) else order

    @cached_property
    def ancestors(self) -> Tensor:
        """(J, J) bool: ``ancestors[k, j]`` tells that joint j is k or lies above it."""
        table = torch.eye(len(self.parents), dtype=torch.bool)
        for joint, parent in enumerate(self.parents[1:], start=1):
            table[joint] |= table[parent]
        return table


def forward_kinematics(
    rotations: Float[Tensor, "*batch J 3 3"],
    joints: Float[Tensor, "*batch J 3"],
    tree: KinematicTree,
) -> tuple[Float[Tensor, "*batch J 3 3"], Float[Tensor, "*batch J 3"]]:
    """World rotation and position of each joint: the chain of eq. 4, one level at a time.

    Args:
        rotations: of each joint relative to its parent; the root's is the global orientation.
        joints: at rest, metres.
    """
    parents = torch.tensor((0, *tree.parents[1:]), device=joints.device)
    bones = torch.cat([joints[..., :1, :], (joints - joints[..., parents, :])[..., 1:, :]], -2)
    local = torch.cat([rotations, bones[..., None]], -1)
    world = local[..., list(tree.levels[0]), :, :]
    done = [world]
    for level, slots in zip(tree.levels[1:], tree.parent_slots, strict=True):
        above = world[..., list(slots), :, :]
        turned = above[..., :3] @ local[..., list(level), :, :]
        world = torch.cat([turned[..., :3], turned[..., 3:] + above[..., 3:]], -1)
        done.append(world)
    world = torch.cat(done, -3)
    if tree.order is not None:
        world = world[..., list(tree.order), :, :]
    return world[..., :3], world[..., 3]


def bone_transforms(
    world_rotations: Float[Tensor, "*batch J 3 3"],
    posed_joints: Float[Tensor, "*batch J 3"],
    joints: Float[Tensor, "*batch J 3"],
) -> Float[Tensor, "*batch J 3 4"]:
    """What each bone does to a point at rest: turn it about the joint, move it along (eq. 3)."""
    shift = posed_joints - (world_rotations @ joints[..., None])[..., 0]
    return torch.cat([world_rotations, shift[..., None]], -1)


def linear_blend_skinning(
    vertices: Float[Tensor, "*batch V 3"],
    lbs_weights: Float[Tensor, "V J"],
    transforms: Float[Tensor, "*batch J 3 4"],
) -> Float[Tensor, "*batch V 3"]:
    """Each vertex moves by the weighted mean of its bones' transforms (eq. 2)."""
    blended = (lbs_weights @ transforms.flatten(-2)).unflatten(-1, (3, 4))
    return (blended[..., :3] @ vertices[..., None])[..., 0] + blended[..., 3]
