"""The terms of SMPLify's energy, each a short class that says what it wants to be zero.

To add one, see ``Term``.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from vhlib.body import Keypoints
from vhlib.body.skeletons import SMPL_24, get_skeleton
from vhlib.fitting.observations import only, sized_by
from vhlib.fitting.posed_body import PosedBody
from vhlib.fitting.priors.gmm import GaussianMixturePrior
from vhlib.fitting.robust import SMPLIFY_KERNEL, RobustKernel
from vhlib.fitting.terms import Quadratic, Term
from vhlib.geometry import PerspectiveCamera


@dataclass(frozen=True, eq=False)
class Reprojection(Term):
    """E_J: keypoints of the projected body against the detected ones (SMPLify, eq. 2).

    Residuals are in pixels of a person ``PERSON_HEIGHT`` px tall, so that the robust scale and the
    weights of the other terms mean the same for every image; each is weighted by its confidence
    squared, and the robust function acts on each coordinate.

    Args:
        camera: of the images; the bodies stand in its world.
        keypoints: (N, K) detections.
        robust: Geman-McClure at SMPLify's 100 pixels by default.
    """

    camera: PerspectiveCamera
    keypoints: Keypoints
    robust: RobustKernel = SMPLIFY_KERNEL
    name: ClassVar[str] = "reprojection"
    looks_at_pose: ClassVar[bool] = False
    PERSON_HEIGHT: ClassVar[float] = 200.0

    @cached_property
    def scale(self) -> Float[Tensor, "N 1 1"]:
        """From image pixels to pixels of a person of the standard height."""
        return self.PERSON_HEIGHT / self.keypoints.height()[:, None, None]

    def residuals(self, body: PosedBody) -> Float[Tensor, "N m"]:
        """Scaled pixel offsets, u and v of each keypoint in turn."""
        points = self._in_camera(body.points)
        projected = self._focal_length(body) * points[..., :2] / points[..., 2:]
        return (projected - self._detected).flatten(-2)

    def jacobian(self, body: PosedBody) -> Float[Tensor, "N m n"]:
        """See ``PosedBody.pixel_motion``; along the analytic motion of the keypoints."""
        motion = body.points_jacobian  # before the points, which it gives too
        if self._camera_is_turned:
            rotation = self.camera.T_camera_world[..., :3, :3].to(motion)
            motion = rotation[..., None, :, :] @ motion
        points = self._in_camera(body.points)
        return body.pixel_motion(points, motion, self._focal_length(body)).flatten(1, 2)

    def rho(self, squared: Float[Tensor, "N m"]) -> tuple[Tensor, Tensor]:
        """The robust function of each coordinate, times the confidence squared."""
        value, slope = self.robust(squared)
        return self._weight * value, self._weight * slope

    def with_robust(self, robust: RobustKernel) -> Reprojection:
        """The same under another robust function."""
        return replace(self, robust=robust)

    def with_keypoints(self, names: Collection[str]) -> Reprojection:
        """The same, blind to all other keypoints."""
        return replace(self, keypoints=only(self.keypoints, names))

    def remeasured(self, body: PosedBody) -> Reprojection:
        """The same, people as tall in the image as these bodies are."""
        return replace(self, keypoints=sized_by(self.keypoints, self.camera, body))

    def select(self, index) -> Reprojection:
        """The same for some of the images."""
        return replace(self, camera=self.camera.select(index), keypoints=self.keypoints[index])

    def residual_names(self, count: int) -> list[str]:
        """Such as "nose u", "nose v"."""
        points = get_skeleton(self.keypoints.skeleton).names
        return [f"{point} {axis}" for point in points for axis in "uv"]

    @cached_property
    def _detected(self) -> Float[Tensor, "N K 2"]:
        """Scaled, from the principal point."""
        centre = self.camera.principal_point.to(self.keypoints.xy)[..., None, :]
        return self.scale * (self.keypoints.xy - centre)

    @cached_property
    def _weight(self) -> Float[Tensor, "N m"]:
        return self.keypoints.confidence.square().repeat_interleave(2, -1)

    @cached_property
    def _scaled_focal_length(self) -> Float[Tensor, "N 1 2"]:
        return self.scale * self.camera.focal_length.to(self.keypoints.xy)[..., None, :]

    @cached_property
    def _camera_is_turned(self) -> bool:
        rotation = self.camera.T_camera_world[..., :3, :3]
        return not torch.equal(rotation, torch.eye(3).to(rotation).expand_as(rotation))

    @cached_property
    def _camera_is_elsewhere(self) -> bool:
        return self._camera_is_turned or bool(self.camera.T_camera_world[..., :3, 3].any())

    def _in_camera(self, points: Float[Tensor, "N K 3"]) -> Float[Tensor, "N K 3"]:
        return self.camera.world_to_camera(points) if self._camera_is_elsewhere else points

    def _focal_length(self, body: PosedBody) -> Float[Tensor, "N 1 2"]:
        """In scaled pixels."""
        return self._scaled_focal_length * body.focal_factor[:, None]


@dataclass(frozen=True, eq=False)
class PosePrior(Term):
    """E_theta: how far a pose lies from those of people who were recorded (SMPLify, eq. 4)."""

    prior: GaussianMixturePrior
    name: ClassVar[str] = "pose_prior"

    def residuals(self, body: PosedBody) -> Float[Tensor, "N m"]:
        """Of the component that is active at this pose, see ``GaussianMixturePrior``."""
        return self.prior.residuals(body.body_pose)

    def quadratic(self, body: PosedBody) -> Quadratic:
        """Exact while the active component stays the same: the energy is quadratic there."""
        return Quadratic(*self.prior.quadratic(body.body_pose), body.slices["body_pose"])


BENT_JOINTS = (
    ("left_elbow", 1, 1),
    ("right_elbow", 1, -1),
    ("left_knee", 0, -1),
    ("right_knee", 0, -1),
)
"""The joints that bend one way only: name, axis-angle component, sign of the *unnatural* bend."""


@dataclass(frozen=True, eq=False)
class Bending(Term):
    """E_a: elbows and knees that bend the wrong way (SMPLify, eq. 3): ``sum exp(sign theta)^2``.

    The paper prints neither sign nor square; both are those of the released code. One at a straight
    limb, so it also pulls straight limbs into a slight bend.
    """

    name: ClassVar[str] = "bending"

    def residuals(self, body: PosedBody) -> Float[Tensor, "N m"]:
        """``exp(sign theta)`` of the four joints."""
        return torch.exp(signed_bends(body.axis_angle))

    def jacobian(self, body: PosedBody) -> Float[Tensor, "N m n"]:
        """``sign exp(sign theta)`` at its own unknown."""
        values = self.residuals(body)
        jacobian = values.new_zeros(*values.shape, body.vector.shape[-1])
        jacobian[:, range(len(BENT_JOINTS)), _BENT] = values * _UNNATURAL.to(values)
        return jacobian

    def quadratic(self, body: PosedBody) -> Quadratic:
        """The same as Gauss-Newton's, where the four unknowns stand."""
        squares = self.residuals(body).square()
        gradient = 2 * squares * _UNNATURAL.to(squares)
        return Quadratic(squares.sum(-1), gradient, torch.diag_embed(2 * squares), _BENT)

    def residual_names(self, count: int) -> list[str]:
        """The joints."""
        return [joint for joint, _, _ in BENT_JOINTS]


# Of the axis-angles of all joints in a row.
_BENT = torch.tensor([3 * SMPL_24.index(name) + axis for name, axis, _ in BENT_JOINTS])
_UNNATURAL = torch.tensor([float(sign) for _, _, sign in BENT_JOINTS])


def signed_bends(axis_angle: Float[Tensor, "*batch J 3"]) -> Float[Tensor, "*batch 4"]:
    """Hyperextension of ``BENT_JOINTS`` in radians: positive is the unnatural direction."""
    return axis_angle.flatten(-2)[..., _BENT] * _UNNATURAL.to(axis_angle)


@dataclass(frozen=True, eq=False)
class ShapePrior(Term):
    """E_beta: betas are standard deviations, so their squares are a Gaussian prior."""

    name: ClassVar[str] = "shape_prior"

    def residuals(self, body: PosedBody) -> Float[Tensor, "N m"]:
        """The betas themselves."""
        return body.betas

    def jacobian(self, body: PosedBody) -> Float[Tensor, "N m n"]:
        """One at each beta."""
        n = body.vector.shape[-1]
        rows = torch.eye(n, dtype=body.vector.dtype, device=body.vector.device)
        return rows[body.slices["betas"]].expand(len(body.vector), -1, n)

    def quadratic(self, body: PosedBody) -> Quadratic:
        """Exact: twice the identity, where the betas stand."""
        betas = body.betas
        twice = 2 * torch.eye(betas.shape[-1], dtype=betas.dtype, device=betas.device)
        energy = betas.square().sum(-1)
        return Quadratic(energy, 2 * betas, twice, body.slices["betas"])
