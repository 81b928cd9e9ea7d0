"""Chosen vertices of posed bodies, other ones for each body, and their exact derivatives.

`PointRegressor` has the same points for all bodies, compiled once. Where the points are found anew
at each step, such as those on the outline of a body in its picture, nothing can be compiled; here
the vertices come with the bodies, and the cost is that of the chosen ones.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vhlib.body.point_regressor import PointJacobian, PointRegressor, RestModel
from vhlib.body.skinning import (
    blend_shapes,
    bone_transforms,
    forward_kinematics,
    pose_features,
)
from vhlib.geometry.rotations import skew


class VertexRegressor(PointRegressor):
    """Vertices ``ids`` (N, K) of N bodies.

    With the transforms M_b of the bones (eq. 3 of Loper 2015) and the vertex at rest t, a vertex is
    ``x = sum_b w_b M_b t``. A small turn ``a`` of joint j carries the bones below it along:
    ``d x = a x sum_{b below j} w_b (M_b t - p_j)``. Betas and pose correctives move t, and betas
    the joints too.
    """

    def __init__(self, model: RestModel, ids: Int[Tensor, "N K"]):
        self.tree = model.tree
        self.joint_template, self.joint_shapedirs = model.J_template, model.J_shapedirs
        self.ancestors = model.tree.ancestors.to(model.v_template)
        self.rest_template = model.v_template[ids]
        self.rest_shapedirs = model.shapedirs[ids]
        self.rest_posedirs = model.posedirs[ids]
        self.weights = model.lbs_weights[ids]

    def points(
        self, betas: Float[Tensor, "N S"], rotations: Float[Tensor, "N J 3 3"]
    ) -> Float[Tensor, "N K 3"]:
        """The vertices before translation; ``rotations`` include the global orientation."""
        _, _, transforms = self._pose(betas, rotations)
        carried = _carried(transforms, self._at_rest(betas, rotations))
        return (self.weights[..., None, :] @ carried)[..., 0, :]

    def linearize(
        self,
        betas: Float[Tensor, "N S"],
        rotations: Float[Tensor, "N J 3 3"],
        turns: Float[Tensor, "N J 3 3"] | None = None,
    ) -> PointJacobian:
        """The vertices with their analytic Jacobian.

        ``turns``: how each joint turns, in its parent's frame, with its three unknowns, which are
        the columns; the identity unless given.
        """
        world, posed, transforms = self._pose(betas, rotations)
        carried = self.weights[..., None] * _carried(transforms, self._at_rest(betas, rotations))
        identity = torch.eye(3).to(world).expand(len(world), 1, 3, 3)
        above = torch.cat([identity, world[:, list(self.tree.parents[1:])]], 1)
        turns = identity.expand_as(above) if turns is None else turns
        d_rotation = self._d_turn_of(carried, above @ turns, posed)
        blended = (self.weights @ world.flatten(2)).unflatten(-1, (3, 3))
        d_rotation[..., 1:, :] += self._d_correctives_of(blended, rotations[:, 1:], turns[:, 1:])
        d_offset = self._d_posed(above) - world @ self.joint_shapedirs
        d_betas = (self.weights @ d_offset.flatten(2)).unflatten(-1, (3, -1))
        return PointJacobian(carried.sum(2), d_rotation, d_betas + blended @ self.rest_shapedirs)

    def _pose(self, betas: Tensor, rotations: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """World rotations, posed joints and transforms (N, J, 3, 4) of the bones."""
        joints = self.joint_template + blend_shapes(betas, self.joint_shapedirs)
        world, posed = forward_kinematics(rotations, joints, self.tree)
        return world, posed, bone_transforms(world, posed, joints)

    def _at_rest(self, betas: Tensor, rotations: Tensor) -> Tensor:
        """(N, K, 3): T(betas, pose) of eq. 6."""
        features = pose_features(rotations[:, 1:])
        by_shape = (self.rest_shapedirs @ betas[:, None, :, None])[..., 0]
        return (
            self.rest_template
            + by_shape
            + (self.rest_posedirs @ features[:, None, :, None])[..., 0]
        )

    def _d_turn_of(self, carried: Tensor, axes: Tensor, posed: Tensor) -> Tensor:
        """(N, K, 3, J, 3), without the correctives; the axes of the turns are columns."""
        below = self.weights @ self.ancestors  # (N, K, j): the weight of the bones below j
        arm = self.ancestors.T @ carried - below[..., None] * posed[:, None]
        turned = torch.linalg.cross(axes.mT[:, None], arm[:, :, :, None], dim=-1)
        return turned.permute(0, 1, 4, 2, 3)

    def _d_correctives_of(self, blended: Tensor, rotations: Tensor, turns: Tensor) -> Tensor:
        """(N, K, 3, J-1, 3): by the pose blend shapes."""
        d_feature = (skew(turns.mT) @ rotations[:, :, None]).flatten(-2)  # (N, J-1, m, 9)
        directions = (blended @ self.rest_posedirs).unflatten(-1, (-1, 9))
        return torch.einsum("nkcjf,njmf->nkcjm", directions, d_feature)

    def _d_posed(self, above: Tensor) -> Tensor:
        """(N, J, 3, S): bones grow with the shape and push the joints below along."""
        bones = self.joint_shapedirs - self.joint_shapedirs[[0, *self.tree.parents[1:]]]
        bones = torch.cat([self.joint_shapedirs[:1], bones[1:]])
        grown = (self.ancestors @ (above @ bones).flatten(2)).unflatten(-1, (3, -1))
        return grown


def _carried(transforms: Float[Tensor, "N J 3 4"], rest: Float[Tensor, "N K 3"]) -> Tensor:
    """(N, K, J, 3): where each bone would carry each vertex by itself."""
    turned = torch.einsum("njab,nkb->nkja", transforms[..., :3], rest)
    return turned + transforms[:, None, :, :, 3]
