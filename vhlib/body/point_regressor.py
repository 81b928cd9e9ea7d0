"""Some points of a posed body without its mesh, and their exact derivatives.

A vertex v of the posed mesh is a blend of its few bones k (eq. 7 of Loper 2015):

    x = sum_k w_k [ G_k (t(betas, pose) - J_k) + p_k ]

with G_k the bone's world rotation, J_k and p_k its joint at rest and posed, and t the vertex at
rest, linear in the blend coefficients. So each (point, bone) *pair* needs one offset

    m = w_k (t(betas, pose) - J_k(betas)),    x = sum_k G_k m + w_k p_k,

and forty pairs stand for a mesh of thousands of vertices. Nothing is approximated. A point that is
fixed to one bone, such as the centre of a sphere inside a limb, is a single pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vhlib.body.skeletons import SMPL_24, Skeleton
from vhlib.body.skinning import KinematicTree, blend_shapes, forward_kinematics, pose_features
from vhlib.geometry.rotations import skew


@dataclass(frozen=True, eq=False)
class RestModel:
    """The linear part of a body model: everything at rest that points depend on.

    Shapes: v_template (V, 3), shapedirs (V, 3, S), posedirs (V, 3, 9 (J-1)), lbs_weights (V, J),
    J_template (J, 3), J_shapedirs (J, 3, S).
    """

    v_template: Tensor
    shapedirs: Tensor
    posedirs: Tensor
    lbs_weights: Tensor
    J_template: Tensor
    J_shapedirs: Tensor
    tree: KinematicTree


@dataclass(frozen=True, eq=False)
class PointJacobian:
    """Points (N, K, 3) before translation, and how they move.

    ``d_rotation`` (N, K, 3, J, 3): by a small turn exp([delta]) in front of joint j's rotation,
    delta in the frame of the parent. ``d_betas`` (N, K, 3, S). A translation moves all alike.
    """

    points: Tensor
    d_rotation: Tensor
    d_betas: Tensor


@dataclass(frozen=True, eq=False)
class BonePairs:
    """Which bones carry each point, and where at rest: P pairs.

    point and bone (P,) indices; share (P,), a point's sum to one; offset (P, 3) from the bone's
    joint at rest, metres times the share, and how it changes: offset_shapedirs (P, 3, S) with
    betas, offset_posedirs (P, 3, 9 (J-1)) with ``pose_features``.
    """

    point: Tensor
    bone: Tensor
    share: Tensor
    offset: Tensor
    offset_shapedirs: Tensor
    offset_posedirs: Tensor


class PointRegressor:
    """K points, each a weighted sum of joints and of points that bones carry.

    Args:
        model: the body.
        joint_weights: (K, J) of the posed joints themselves.
        carried_weights: (K, L) of the L carried points.
        pairs: of the carried points.
    """

    def __init__(
        self,
        model: RestModel,
        joint_weights: Float[Tensor, "K J"],
        carried_weights: Float[Tensor, "K L"],
        pairs: BonePairs,
    ):
        dtype = model.v_template
        self.tree = model.tree
        self.joint_template, self.joint_shapedirs = model.J_template, model.J_shapedirs
        self.bone, self.share = pairs.bone, pairs.share.to(dtype)
        self.pair_template = pairs.offset.to(dtype)
        self.pair_shapedirs = pairs.offset_shapedirs.to(dtype)
        self.pair_posedirs = pairs.offset_posedirs.to(dtype)
        self.joint_weights = joint_weights.to(dtype)
        self.pair_weights = carried_weights.to(dtype)[:, pairs.point]
        self.ancestors = model.tree.ancestors.to(dtype)

    @classmethod
    def of_skeleton(
        cls, model: RestModel, skeleton: Skeleton, landmarks: Mapping[str, int]
    ) -> PointRegressor:
        """The points of a named skeleton.

        Raises:
            ValueError: it needs landmarks that the model file doesn't name.
        """
        joint_weights, landmark_weights, vertices = _sources(skeleton, landmarks)
        return cls(model, joint_weights, landmark_weights, _vertex_pairs(model, vertices))

    @classmethod
    def of_vertices(cls, model: RestModel, vertices: Sequence[int]) -> PointRegressor:
        """Some of the mesh's vertices, in the order given."""
        count, joints = len(vertices), len(model.tree.parents)
        return cls(
            model, torch.zeros(count, joints), torch.eye(count), _vertex_pairs(model, vertices)
        )

    @classmethod
    def of_attached(
        cls,
        model: RestModel,
        bones: Sequence[int],
        offset: Float[Tensor, "K 3"],
        offset_shapedirs: Float[Tensor, "K 3 S"],
    ) -> PointRegressor:
        """Points fixed each to one bone, at ``offset + offset_shapedirs betas`` from its joint."""
        count, joints = len(bones), len(model.tree.parents)
        pairs = BonePairs(
            torch.arange(count),
            torch.tensor(bones),
            torch.ones(count),
            offset,
            offset_shapedirs,
            torch.zeros(count, 3, 9 * (joints - 1)),
        )
        return cls(model, torch.zeros(count, joints), torch.eye(count), pairs)

    def points(
        self, betas: Float[Tensor, "N S"], rotations: Float[Tensor, "N J 3 3"]
    ) -> Float[Tensor, "N K 3"]:
        """Points before translation; ``rotations`` include the global orientation."""
        joints = self._joints(betas)
        world, posed = forward_kinematics(rotations, joints, self.tree)
        return self._combine(posed, self._pairs(betas, rotations, world, posed))

    def linearize(
        self, betas: Float[Tensor, "N S"], rotations: Float[Tensor, "N J 3 3"]
    ) -> PointJacobian:
        """Points with their analytic Jacobian."""
        joints = self._joints(betas)
        world, posed = forward_kinematics(rotations, joints, self.tree)
        pairs = self._pairs(betas, rotations, world, posed)
        above = self._parent_rotations(world)
        d_rotation = self._d_turn(above, posed, pairs)
        if self.bone.numel():
            d_rotation[..., 1:, :] += self._d_correctives(rotations, world)
        return PointJacobian(
            self._combine(posed, pairs), d_rotation, self._d_betas(betas, above, world)
        )

    def _joints(self, betas: Tensor) -> Tensor:
        return self.joint_template + blend_shapes(betas, self.joint_shapedirs)

    def _pairs(self, betas: Tensor, rotations: Tensor, world: Tensor, posed: Tensor) -> Tensor:
        """(N, P, 3): what each pair contributes to its point."""
        offsets = blend_shapes(betas, self.pair_shapedirs)
        offsets = offsets + blend_shapes(pose_features(rotations[:, 1:]), self.pair_posedirs)
        local = self.pair_template + offsets
        return _rotate(world[:, self.bone], local) + self.share[:, None] * posed[:, self.bone]

    def _combine(self, posed: Tensor, pairs: Tensor) -> Tensor:
        return self.joint_weights @ posed + self.pair_weights @ pairs

    def _parent_rotations(self, world: Tensor) -> Tensor:
        """World rotation of each joint's parent frame; the root's is the world itself."""
        identity = torch.eye(3, dtype=world.dtype, device=world.device)
        above = world[:, list(self.tree.parents[1:])]
        return torch.cat([identity.expand(len(world), 1, 3, 3), above], 1)

    def _d_turn(self, above: Tensor, posed: Tensor, pairs: Tensor) -> Tensor:
        """Turning joint j carries everything below it round p_j: d x = a x (x_below - p_j)."""
        by_joint = self.joint_weights[:, :, None] * self.ancestors  # (K, below, j)
        by_pair = self.pair_weights[:, :, None] * self.ancestors[self.bone]
        weight = by_joint.sum(1) + (by_pair * self.share[:, None]).sum(1)
        carried = torch.einsum("ksj,nsc->nkjc", by_joint, posed)
        carried = carried + torch.einsum("kpj,npc->nkjc", by_pair, pairs)
        arm = carried - weight[..., None] * posed[:, None]
        axes = above.transpose(-1, -2)[:, None]  # rows are the parent's axes in the world
        turned = torch.linalg.cross(axes, arm[:, :, :, None], dim=-1)  # (N, K, J, axis, 3)
        return turned.permute(0, 1, 4, 2, 3)

    def _d_correctives(self, rotations: Tensor, world: Tensor) -> Tensor:
        """The pose blend shapes' part: (N, K, 3, J-1, 3)."""
        generators = skew(torch.eye(3, dtype=rotations.dtype, device=rotations.device))
        # d R / d delta_m = [e_m]x R, one (3, 3) block for each joint and axis m.
        d_feature = generators @ rotations[:, 1:, None]
        directions = self.pair_posedirs.flatten(0, 1).unflatten(-1, (-1, 9))  # (3P, J-1, 9)
        moved = torch.einsum("qjf,njmf->nqjm", directions, d_feature.flatten(-2))
        moved = world[:, self.bone] @ moved.unflatten(1, (-1, 3)).flatten(3)
        combined = self.pair_weights @ moved.flatten(2)
        return combined.unflatten(-1, (3, *d_feature.shape[1:3]))

    def _d_betas(self, betas: Tensor, above: Tensor, world: Tensor) -> Tensor:
        """Bones grow with the shape and push everything below along: (N, K, 3, S)."""
        parents = [0, *self.tree.parents[1:]]
        bones = self.joint_shapedirs - self.joint_shapedirs[parents]
        bones = torch.cat([self.joint_shapedirs[:1], bones[1:]])
        d_posed = (self.ancestors @ (above @ bones).flatten(2)).unflatten(-1, (3, -1))
        d_pairs = world[:, self.bone] @ self.pair_shapedirs
        d_pairs = d_pairs + self.share[:, None, None] * d_posed[:, self.bone]
        d_points = self.joint_weights @ d_posed.flatten(2) + self.pair_weights @ d_pairs.flatten(2)
        return d_points.unflatten(-1, (3, betas.shape[-1]))


def _vertex_pairs(model: RestModel, vertices: Sequence[int]) -> BonePairs:
    """The pairs of some vertices, offsets computed in float64."""
    weights = model.lbs_weights[vertices]
    point, bone = weights.nonzero(as_tuple=True)
    vertex = torch.tensor(vertices, dtype=torch.long, device=weights.device)[point]
    share = weights[point, bone]
    scale = share.double()[:, None, None]
    rest = model.v_template.double()[vertex] - model.J_template.double()[bone]
    by_shape = model.shapedirs.double()[vertex] - model.J_shapedirs.double()[bone]
    by_pose = model.posedirs.double()[vertex]
    return BonePairs(point, bone, share, scale[..., 0] * rest, scale * by_shape, scale * by_pose)


def _rotate(rotations: Tensor, points: Tensor) -> Tensor:
    return (rotations @ points[..., None])[..., 0]


def _sources(skeleton: Skeleton, landmarks: Mapping[str, int]) -> tuple[Tensor, Tensor, list[int]]:
    """Weights of each point on joints (K, J) and landmarks (K, L), and the landmarks' vertices."""
    joints = {name: index for index, name in enumerate(SMPL_24.names)}
    needed = {name for source in skeleton.points.values() for name in source if name not in joints}
    missing = sorted(needed - set(landmarks))
    if missing:
        raise ValueError(
            f"{skeleton.name} needs the landmark vertices {', '.join(missing)}, which this model "
            f"doesn't name; its npz may hold them as landmark_names and landmark_vertices"
        )
    names = sorted(needed)
    joint_weights = torch.zeros(len(skeleton), len(joints), dtype=torch.float64)
    landmark_weights = torch.zeros(len(skeleton), len(names), dtype=torch.float64)
    for row, source in enumerate(skeleton.points.values()):
        for name, weight in source.items():
            if name in joints:
                joint_weights[row, joints[name]] = weight
            else:
                landmark_weights[row, names.index(name)] = weight
    return joint_weights, landmark_weights, [landmarks[name] for name in names]
