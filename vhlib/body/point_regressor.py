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

from vhlib.body.skeleton_sources import source_weights
from vhlib.body.skeletons import Skeleton
from vhlib.body.skinning import KinematicTree, chain, pose_features
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
    delta in the frame of the parent, or by the unknowns that turn it as ``linearize`` was told.
    ``d_betas`` (N, K, 3, S). A translation moves all alike.
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

    Inside, joints and pairs stand in one list of J + P *places*, each on a bone: a joint is a pair
    with the offset zero.

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
        like = model.v_template
        self.tree, self.bone = model.tree, pairs.bone
        self.joint_template, self.joint_shapedirs = model.J_template, model.J_shapedirs
        self.ancestors = model.tree.ancestors.to(like)
        self.posedirs = pairs.offset_posedirs.to(like)
        self.weights = torch.cat([joint_weights, carried_weights[:, pairs.point]], 1).to(like)
        self._rest, self._rest_directions = self._compile_rest(pairs)
        self._compile_motion(pairs)

    @classmethod
    def of_skeletons(
        cls, model: RestModel, skeletons: Sequence[Skeleton], landmarks: Mapping[str, int]
    ) -> PointRegressor:
        """The points of named skeletons, one skeleton after the other.

        Raises:
            ValueError: one needs landmarks that the model file doesn't name.
        """
        joint_weights, landmark_weights, vertices = source_weights(skeletons, landmarks)
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
        return self.weights @ self._pose(betas, rotations)[1]

    def linearize(
        self,
        betas: Float[Tensor, "N S"],
        rotations: Float[Tensor, "N J 3 3"],
        turns: Float[Tensor, "N J 3 3"] | None = None,
    ) -> PointJacobian:
        """Points with their analytic Jacobian.

        Args:
            betas: shape coefficients.
            rotations: of all joints, the global orientation first.
            turns: how each joint turns, in its parent's frame, with its three unknowns, which are
                the columns; ``left_jacobian`` if they are axis-angle. The identity unless given.
        """
        world, places = self._pose(betas, rotations)
        above = self._parent_rotations(world)
        if turns is None:
            turns = torch.eye(3, dtype=world.dtype, device=world.device).expand_as(above)
        d_rotation = self._d_turn(above @ turns, places)
        if self.bone.numel():
            d_rotation[..., 1:, :] += self._d_correctives(rotations, world, turns)
        return PointJacobian(self.weights @ places, d_rotation, self._d_betas(above, world))

    def _compile_rest(self, pairs: BonePairs) -> tuple[Tensor, Tensor]:
        """Bones and the pairs' offsets with their shares, as one linear function.

        Constant (3 J + 4 P,) and directions (S + 9 (J - 1), 3 J + 4 P): a single product gives all
        that has to be known at rest.
        """
        like = self.joint_template
        bones, bone_shapedirs = (
            _per_bone(values, self.tree) for values in (self.joint_template, self.joint_shapedirs)
        )
        offsets = torch.cat([pairs.offset.to(like), pairs.share.to(like)[:, None]], 1)
        by_shape, by_pose = (
            torch.nn.functional.pad(directions.to(like), (0, 0, 0, 1)).flatten(0, 1)
            for directions in (pairs.offset_shapedirs, pairs.offset_posedirs)
        )
        bones_by_shape = bone_shapedirs.flatten(0, 1)
        bones_by_pose = bones_by_shape.new_zeros(len(bones_by_shape), by_pose.shape[1])
        directions = torch.cat(
            [torch.cat([bones_by_shape, bones_by_pose], 1), torch.cat([by_shape, by_pose], 1)]
        )
        return torch.cat([bones.flatten(), offsets.flatten()]), directions.T.contiguous()

    def _compile_motion(self, pairs: BonePairs) -> None:
        """What the Jacobian needs of the weights.

        A place hangs on joint j if its bone is j or lies below it. ``_below`` (K, J) is the share
        of each point that hangs on each joint; ``_arms`` (J + P, K J) takes places to what hangs on
        a joint as seen from the joint, times the weight.
        """
        bones = torch.cat([torch.arange(len(self.ancestors)).to(self.bone), self.bone])
        hanging = self.weights.T[:, :, None] * self.ancestors[bones][:, None]  # (J + P, K, J)
        share = torch.cat([torch.ones_like(self.ancestors[0]), pairs.share.to(self.weights)])
        self._below = torch.einsum("skj,s->kj", hanging, share)
        arms = hanging.clone()
        arms[: len(self.ancestors)] -= torch.diag_embed(self._below).movedim(1, 0)
        self._arms = arms.flatten(1)
        # How bones, and the offsets of pairs, grow with the betas (J + P, 3, S); a longer bone
        # pushes along what hangs on it.
        bone_shapedirs = _per_bone(self.joint_shapedirs, self.tree)
        self._growth = torch.cat([bone_shapedirs, pairs.offset_shapedirs.to(self.weights)])
        self._pushed = torch.cat([self._below, self.weights[:, len(self.ancestors) :]], 1)

    def _pose(self, betas: Tensor, rotations: Tensor) -> tuple[Tensor, Tensor]:
        """World rotations of the joints (N, J, 3, 3), and the places (N, J + P, 3)."""
        coefficients = torch.cat([betas, pose_features(rotations[:, 1:])], -1)
        at_rest = torch.addmm(self._rest, coefficients, self._rest_directions)
        joints, pairs = rotations.shape[1], len(self.bone)
        bones, offsets = at_rest.split([3 * joints, 4 * pairs], -1)
        world = chain(rotations, bones.unflatten(-1, (joints, 3)), self.tree)
        offsets = offsets.unflatten(-1, (pairs, 4, 1))
        carried = (world.index_select(1, self.bone) @ offsets)[..., :3, 0]
        return world[..., :3, :3], torch.cat([world[..., :3, 3], carried], 1)

    def _parent_rotations(self, world: Tensor) -> Tensor:
        """World rotation of each joint's parent frame; the root's is the world itself."""
        identity = torch.eye(3, dtype=world.dtype, device=world.device)
        above = world.index_select(1, self.tree.indices(world.device).parents)
        return torch.cat([identity.expand(len(world), 1, 3, 3), above], 1)

    def _d_turn(self, axes: Tensor, places: Tensor) -> Tensor:
        """Turning joint j carries what hangs on it round p_j: d x = a x (x_below - p_j)."""
        num_joints = axes.shape[1]
        arms = (places.mT @ self._arms).unflatten(-1, (-1, num_joints))[..., None]
        x, y, z = arms.expand(*arms.shape[:-1], 3).flatten(-2).unbind(1)  # (N, K, 3 J)
        a, b, c = axes.transpose(1, 2).flatten(2)[:, :, None].unbind(1)  # (N, 1, 3 J)
        turned = torch.stack([b * z - c * y, c * x - a * z, a * y - b * x], 2)
        return turned.unflatten(-1, (num_joints, 3))

    def _d_correctives(self, rotations: Tensor, world: Tensor, turns: Tensor) -> Tensor:
        """The pose blend shapes' part: (N, K, 3, J-1, 3)."""
        # d R = [turn]x R for the turn of each unknown m: (N, J-1, m, 9).
        d_feature = (skew(turns[:, 1:].mT) @ rotations[:, 1:, None]).flatten(-2)
        count, joints, pairs = *d_feature.shape[:2], len(self.bone)
        # Joint by joint one product for all bodies: (J-1, 3P, 9) by (J-1, 9, N m).
        directions = self.posedirs.flatten(0, 1).unflatten(-1, (joints, 9)).transpose(0, 1)
        moved = torch.bmm(directions, d_feature.permute(1, 3, 0, 2).flatten(2))
        moved = moved.view(joints, pairs, 3, count, 3).permute(3, 1, 2, 0, 4)
        moved = world.index_select(1, self.bone) @ moved.reshape(count, pairs, 3, 3 * joints)
        combined = self.weights[:, len(self.ancestors) :] @ moved.flatten(2)
        return combined.unflatten(-1, (3, joints, 3))

    def _d_betas(self, above: Tensor, world: Tensor) -> Tensor:
        """Bones grow with the shape and push everything below along: (N, K, 3, S)."""
        frames = torch.cat([above, world.index_select(1, self.bone)], 1)
        # Place by place one product for all bodies: (J + P, 3 N, 3) by (J + P, 3, S).
        d_places = torch.bmm(frames.transpose(0, 1).flatten(1, 2), self._growth)
        d_points = self._pushed @ d_places.flatten(1)
        shape = len(d_points), len(world), 3, self._growth.shape[-1]
        return d_points.view(shape).transpose(0, 1)


def _per_bone(of_joints: Tensor, tree: KinematicTree) -> Tensor:
    """Of each joint (J, ...) less that of its parent."""
    parents = tree.indices(of_joints.device).parents
    return torch.cat([of_joints[:1], of_joints[1:] - of_joints[parents]])


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
