"""Terms that know something besides the keypoints: a depth, a floor, a focal length, first bodies.

Terms see bodies with one batch axis, N, whatever axes the keypoints have.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from vhlib.body import SMPL, BodyParameters
from vhlib.body.point_regressor import PointRegressor
from vhlib.body.skeletons import SMPL_24
from vhlib.fitting.posed_body import PosedBody
from vhlib.fitting.terms import Term
from vhlib.geometry import PerspectiveCamera
from vhlib.geometry.rotations import left_jacobian, skew


@dataclass(frozen=True, eq=False)
class DepthPrior(Term):
    """E_z: the body's distance along the optical axis against a known or estimated one: ``z - d``.

    Args:
        depth: (N,) metres, of the body's origin.
    """

    depth: Float[Tensor, " N"]
    name: ClassVar[str] = "depth"
    looks_at_pose: ClassVar[bool] = False

    def residuals(self, body: PosedBody) -> Float[Tensor, "N m"]:
        """Metres."""
        return body.transl[:, 2:] - self.depth.to(body.vector)[:, None]

    def jacobian(self, body: PosedBody) -> Float[Tensor, "N m n"]:
        """One at t_z."""
        return _ones_at(body, "transl")[:, 2:]

    def select(self, index) -> DepthPrior:
        """The same for some of the bodies."""
        return DepthPrior(self.depth[index])


@dataclass(frozen=True, eq=False)
class FocalPrior(Term):
    """E_f: a focal length that is only guessed, ``log(f / f_given)``.

    Focal length and depth scaled together leave the picture of a distant person as it is: only the
    perspective of a near one tells them apart. A weight of 1 / s stands for a standard deviation of
    s in log f where the other terms are logarithms of probabilities.
    """

    name: ClassVar[str] = "focal_prior"
    looks_at_pose: ClassVar[bool] = False

    def residuals(self, body: PosedBody) -> Float[Tensor, "N m"]:
        """The unknown itself."""
        return body.vector[:, body.slices["focal_length"]]

    def jacobian(self, body: PosedBody) -> Float[Tensor, "N m n"]:
        """One at the unknown."""
        return _ones_at(body, "focal_length")


@dataclass(frozen=True)
class Spread:
    """Standard deviations: rotation in radians of each joint, betas, transl in metres."""

    rotation: float
    betas: float
    transl: float


NETWORK_SPREAD = Spread(rotation=0.3, betas=1.0, transl=0.3)
"""About how far a network's bodies lie from the truth."""


@dataclass(frozen=True, eq=False)
class Anchor(Term):
    """E_0: stay near given bodies, such as a network's, in rotations, betas and translation.

    ``sum_j |R_j - R_j0|^2 / 2 s_R^2 + |beta - beta_0|^2 / s_beta^2 + |t - t_0|^2 / s_t^2``, where
    ``|R - R_0|^2 / 2 = 4 sin^2(angle / 2)`` is the squared angle while it is small, and smooth at
    half a turn, where the angle isn't. Fitting keypoints alone makes a good network's bodies worse
    [Wehrbein et al. 2025, table 1].

    Args:
        parameters: the N bodies.
        spread: how far they may be off.
    """

    parameters: BodyParameters
    spread: Spread = NETWORK_SPREAD
    name: ClassVar[str] = "anchor"

    def residuals(self, body: PosedBody) -> Float[Tensor, "N m"]:
        """Nine numbers for each joint, then the betas and the translation."""
        at = self.parameters
        anchor = at.rotations.to(body.vector)
        turned = (body.rotations - anchor) / (math.sqrt(2) * self.spread.rotation)
        betas = (body.betas - at.betas.to(body.vector)) / self.spread.betas
        moved = (body.transl - at.transl.to(body.vector)) / self.spread.transl
        return torch.cat([turned.flatten(1), betas, moved], -1)

    def jacobian(self, body: PosedBody) -> Float[Tensor, "N m n"]:
        """``dR = [J_l dw]x R`` in each joint's own block, ones elsewhere, over the spread."""
        # The columns of J_l are the turns by each component of the axis-angle.
        turns = skew(left_jacobian(body.axis_angle).mT) @ body.rotations[..., None, :, :]
        turns = turns.flatten(-2).mT / (math.sqrt(2) * self.spread.rotation)
        by_rotation = torch.stack([torch.block_diag(*blocks) for blocks in turns])
        others = body.vector.shape[-1] - by_rotation.shape[-1]
        return torch.cat(
            [
                torch.nn.functional.pad(by_rotation, (0, others)),
                _ones_at(body, "betas") / self.spread.betas,
                _ones_at(body, "transl") / self.spread.transl,
            ],
            1,
        )

    def select(self, index) -> Anchor:
        """The same for some of the bodies."""
        return replace(self, parameters=self.parameters[index])


@dataclass(frozen=True, eq=False)
class Plane:
    """Points x with ``normal . x + offset = 0``; ``normal`` is a unit vector, offset metres.

    A level camera 1.5 m above the floor sees ``Plane(torch.tensor([0.0, -1.0, 0.0]), 1.5)``: y
    points down in its frame.
    """

    normal: Float[Tensor, " xyz"]
    offset: float

    def height(self, points: Float[Tensor, "*batch xyz"]) -> Float[Tensor, "*batch"]:
        """How far points lie above the plane, metres."""
        return points @ self.normal.to(points) + self.offset

    def seen_by(self, camera: PerspectiveCamera) -> Plane:
        """A plane of the world in the camera's own frame, where ``fit_smplify`` finds bodies."""
        T = camera.T_camera_world.to(self.normal)
        normal = T[:3, :3] @ self.normal
        return Plane(normal, self.offset - float(normal @ T[:3, 3]))


@dataclass(frozen=True, eq=False)
class Ground(Term):
    """E_g: the lowest point of the soles stands on the floor: ``min_i (normal . x_i + offset)``.

    Known ground settles the depth that a single picture leaves open. It is wrong in a jump.

    Args:
        soles: points under the feet, see ``sole_points``.
        floor: in the frame of the bodies.
    """

    soles: PointRegressor
    floor: Plane
    name: ClassVar[str] = "ground"

    def residuals(self, body: PosedBody) -> Float[Tensor, "N m"]:
        """Metres above the floor."""
        return self.floor.height(self._body(body).points).amin(-1, keepdim=True)

    def jacobian(self, body: PosedBody) -> Float[Tensor, "N m n"]:
        """The motion of that point along the normal."""
        soles = self._body(body)
        lowest = self.floor.height(soles.points).argmin(-1)
        motion = soles.points_jacobian[torch.arange(len(lowest)), lowest]
        return self.floor.normal.to(motion)[None, None] @ motion

    def _body(self, body: PosedBody) -> PosedBody:
        return PosedBody(self.soles, body.vector)


def sole_points(smpl: SMPL) -> PointRegressor:
    """The lowest point under the heel and under the ball of each foot of the body at rest."""
    bones = smpl.lbs_weights.argmax(-1)
    vertices = []
    for side in ("left", "right"):
        ankle, foot = SMPL_24.indices(f"{side}_ankle", f"{side}_foot")
        for bone in (ankle, foot):
            of_bone = (bones == bone).nonzero()[:, 0]
            vertices.append(int(of_bone[smpl.v_template[of_bone, 1].argmin()]))
    return PointRegressor.of_vertices(smpl.rest_model(), vertices)


def _ones_at(body: PosedBody, block: str) -> Float[Tensor, "N m n"]:
    """One at each unknown of the block."""
    n = body.vector.shape[-1]
    rows = torch.eye(n, dtype=body.vector.dtype, device=body.vector.device)
    return rows[body.slices[block]].expand(len(body.vector), -1, n)
