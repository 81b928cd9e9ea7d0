"""The SMPL function as pure functions, in the order of the paper.

    T(betas, pose) = v_template + B_S(betas) + B_P(pose)                        (Loper 2015, eq. 6)
    M(betas, pose) = W(T(betas, pose), J(betas), pose, lbs_weights)             (eq. 5)

Symbols are the field's: V vertices, J joints, S shape components; leading batch axes everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from typing import NamedTuple

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
    def ancestors(self) -> Tensor:
        """(J, J) bool: ``ancestors[k, j]`` tells that joint j is k or lies above it."""
        table = torch.eye(len(self.parents), dtype=torch.bool)
        for joint, parent in enumerate(self.parents[1:], start=1):
            table[joint] |= table[parent]
        return table

    def indices(self, device: torch.device) -> TreeIndices:
        """The same as tensors; made once per device."""
        return _tree_indices(self, device)


class TreeIndices(NamedTuple):
    """A ``KinematicTree`` for ``index_select``; None where everything stands in place already.

    parents: (J - 1,) of all joints but the root. by_level: (J,) joints listed level by level; order
    puts them back. slots: for each level but the root's, where each joint's parent stands in the
    level above.
    """

    parents: Tensor
    by_level: Tensor | None
    order: Tensor | None
    slots: tuple[Tensor | None, ...]


@cache
@torch.inference_mode(False)  # what is kept serves calls with gradients, too
def _tree_indices(tree: KinematicTree, device: torch.device) -> TreeIndices:
    def index(listed: Sequence[int], above: int) -> Tensor | None:
        return None if listed == list(range(above)) else torch.tensor(listed, device=device)

    by_level = [joint for level in tree.levels for joint in level]
    order = [by_level.index(joint) for joint in range(len(by_level))]
    slots = [
        index([above.index(tree.parents[joint]) for joint in level], len(above))
        for above, level in pairwise(tree.levels)
    ]
    parents = torch.tensor(tree.parents[1:], dtype=torch.long, device=device)
    return TreeIndices(
        parents, index(by_level, len(by_level)), index(order, len(order)), tuple(slots)
    )


def _select(transforms: Tensor, index: Tensor | None) -> Tensor:
    return transforms if index is None else transforms.index_select(0, index)


def forward_kinematics(
    rotations: Float[Tensor, "*batch J 3 3"],
    joints: Float[Tensor, "*batch J 3"],
    tree: KinematicTree,
) -> tuple[Float[Tensor, "*batch J 3 3"], Float[Tensor, "*batch J 3"]]:
    """World rotation and position of each joint: the chain of eq. 4.

    Args:
        rotations: of each joint relative to its parent; the root's is the global orientation.
        joints: at rest, metres.
        tree: which joint hangs on which.
    """
    root, others = joints.split([1, joints.shape[-2] - 1], -2)
    parents = tree.indices(joints.device).parents
    world = chain(rotations, torch.cat([root, others - joints.index_select(-2, parents)], -2), tree)
    return world[..., :3, :3], world[..., :3, 3]


def chain(
    rotations: Float[Tensor, "*batch J 3 3"],
    bones: Float[Tensor, "*batch J 3"],
    tree: KinematicTree,
) -> Float[Tensor, "*batch J 4 4"]:
    """World transform of each joint, homogeneous (eq. 4), one level of the tree at a time.

    Args:
        rotations: of each joint relative to its parent.
        bones: from the parent to the joint, in the parent's frame; the root's from the origin.
        tree: which joint hangs on which.
    """
    indices = tree.indices(bones.device)
    below = torch.eye(4, dtype=bones.dtype, device=bones.device)[3:].expand(*bones.shape[:-1], 1, 4)
    local = torch.cat([torch.cat([rotations, bones[..., None]], -1), below], -2)
    # Joints first, listed by level: each level of all bodies is one stretch of memory.
    local = _select(local.movedim(-3, 0), indices.by_level)
    flat = local.reshape(len(local), math.prod(local.shape[1:-2]), 4, 4)
    world, *levels = flat.split([len(level) for level in tree.levels])
    done = [world]
    for level, slots in zip(levels, indices.slots, strict=True):
        above = _select(world, slots).flatten(0, 1)
        world = torch.bmm(above, level.flatten(0, 1)).view_as(level)
        done.append(world)
    return _select(torch.cat(done), indices.order).view_as(local).movedim(0, -3)


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
