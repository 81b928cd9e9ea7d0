"""Points of bodies whose pose and shape stay: a body of one joint, which turns and moves."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from vhlib.body.point_regressor import PointJacobian
from vhlib.geometry.rotations import skew


@dataclass(frozen=True, eq=False)
class RigidPoints:
    """K points of N bodies that only turn about their root: ``x = R q + p``.

    Takes the place of a ``PointRegressor`` in a ``PosedBody`` whose vector holds global
    orientation, translation and focal length alone, ``unknown_slices(1, 0)``.

    Args:
        offsets: q, from the root joint in its own axes, metres.
        root: p, the root joint before translation, metres.
    """

    offsets: Float[Tensor, "N K 3"]
    root: Float[Tensor, "N 3"]

    @property
    def joint_shapedirs(self) -> Float[Tensor, "J 3 S"]:
        """Of the one joint by no betas: empty."""
        return self.offsets.new_zeros(1, 3, 0)

    def points(
        self, betas: Float[Tensor, "N S"], rotations: Float[Tensor, "N J 3 3"]
    ) -> Float[Tensor, "N K 3"]:
        """Points before translation."""
        return self.offsets @ rotations[:, 0].mT + self.root[:, None]

    def linearize(
        self,
        betas: Float[Tensor, "N S"],
        rotations: Float[Tensor, "N J 3 3"],
        turns: Float[Tensor, "N J 3 3"],
    ) -> PointJacobian:
        """Points with their Jacobian: a turn a moves x by ``a x (x - p) = [p - x]x a``."""
        points = self.points(betas, rotations)
        d_rotation = skew(self.root[:, None] - points) @ turns
        return PointJacobian(points, d_rotation[..., None, :], points.new_zeros(*points.shape, 0))

    def select(self, index) -> RigidPoints:
        """Those of some of the bodies."""
        return RigidPoints(self.offsets[index], self.root[index])
