"""Joint limits: how far each joint was seen to turn, and a term for what lies beyond."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from vhlib.body.skeletons import SMPL_24
from vhlib.fitting.posed_body import PosedBody
from vhlib.fitting.terms import Quadratic, Term


@dataclass(frozen=True, eq=False)
class JointLimits(Term):
    """E_lim: turns beyond the limits, ``sum_i (theta_i - clamp(theta_i, low_i, high_i))^2``.

    Zero inside; outside, a weight of 1 / s stands for a standard deviation of s radians. Each
    component of a joint's axis-angle has limits of its own, which is exact for the hinges, knees
    and elbows, and coarse for hips and shoulders.

    Args:
        low, high: (69,) radians, of the joints besides the root.

    Raises:
        ValueError: other shapes, or a limit that isn't finite or lies above its counterpart.
    """

    low: Float[Tensor, " P"]
    high: Float[Tensor, " P"]
    name: ClassVar[str] = "joint_limits"

    def __post_init__(self) -> None:
        size = (3 * len(SMPL_24) - 3,)
        if self.low.shape != size or self.high.shape != size:
            found = tuple(self.low.shape), tuple(self.high.shape)
            raise ValueError(f"joint limits are {found[0]} and {found[1]}, expected {size} each")
        if not bool((self.low <= self.high).all() and (self.high - self.low).isfinite().all()):
            raise ValueError("joint limits must be finite, the low ones below the high ones")

    def beyond(self, axis_angle: Float[Tensor, "*batch P"]) -> Float[Tensor, "*batch P"]:
        """Radians past a limit, with the sign of the turn; zero inside."""
        return axis_angle - axis_angle.clamp(self.low.to(axis_angle), self.high.to(axis_angle))

    def residuals(self, body: PosedBody) -> Float[Tensor, "N m"]:
        """Radians past a limit."""
        return self.beyond(body.body_pose)

    def jacobian(self, body: PosedBody) -> Float[Tensor, "N m n"]:
        """One at the unknown of each component that is outside."""
        outside = (self.residuals(body) != 0).to(body.vector)
        jacobian = body.vector.new_zeros(*outside.shape, body.vector.shape[-1])
        jacobian[..., body.slices["body_pose"]] = torch.diag_embed(outside)
        return jacobian

    def quadratic(self, body: PosedBody) -> Quadratic:
        """Gauss-Newton, which is exact here: the Hessian is two for each component outside."""
        beyond = self.residuals(body)
        hessian = torch.diag_embed(2 * (beyond != 0).to(beyond))
        return Quadratic(beyond.square().sum(-1), 2 * beyond, hessian, body.slices["body_pose"])


def limits_of(poses: Float[Tensor, "n P"], share: float = 0.005) -> JointLimits:
    """The box that leaves out a ``share`` of the poses at either end of each component.

    A pose counts as its mirror image too, so left and right have each other's limits.

    Args:
        poses: axis-angle, radians.
        share: from 0, the widest box, to less than a half.
    """
    flip = torch.from_numpy(SMPL_24.flip_permutation[1:] - 1)
    signs = poses.new_tensor([1.0, -1.0, -1.0])
    mirrored = (poses.unflatten(-1, (-1, 3))[..., flip, :] * signs).flatten(-2)
    # torch.quantile refuses more than 16 million numbers.
    ordered = torch.cat([poses, mirrored]).sort(0).values
    skipped = int(share * len(ordered))
    return JointLimits(ordered[skipped], ordered[-1 - skipped])
