"""The terms of SMPLify's energy, each a short class that says what it wants to be zero.

A term's energy is ``E = sum_i rho(r_i^2)`` for each body; a stage multiplies it by its weight
squared, so that weights read as in the papers, where they multiply residuals. To add a term, write
a class with a ``name`` and ``residuals(body)``: its derivatives are taken automatically until you
write ``jacobian``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from vhlib.body import Keypoints
from vhlib.body.skeletons import SMPL_24
from vhlib.fitting.posed_body import PosedBody
from vhlib.fitting.priors.gmm import GaussianMixturePrior
from vhlib.geometry import PerspectiveCamera


class Quadratic(NamedTuple):
    """A local model of an energy: value (N,), gradient (N, n), Gauss-Newton Hessian (N, n, n)."""

    energy: Tensor
    gradient: Tensor
    hessian: Tensor


class Term:
    """A sum of squared residuals, or of a robust function of them."""

    name: ClassVar[str]

    def residuals(self, body: PosedBody) -> Float[Tensor, "N m"]:
        """What the term wants to be zero."""
        raise NotImplementedError

    def jacobian(self, body: PosedBody) -> Float[Tensor, "N m n"]:
        """Derivatives of the residuals by the unknowns; automatic unless overridden."""
        rows = []
        for sample, vector in enumerate(body.vector):
            term = self.select(slice(sample, sample + 1))

            def residuals(x: Tensor, term: Term = term) -> Tensor:
                return term.residuals(PosedBody(body.regressor, x[None]))[0]

            rows.append(torch.func.jacrev(residuals)(vector))
        return torch.stack(rows)

    def rho(self, squared: Float[Tensor, "N m"]) -> tuple[Tensor, Tensor]:
        """The robust function of the squared residuals, and its slope; here the identity."""
        return squared, torch.ones_like(squared)

    def energy(self, body: PosedBody) -> Float[Tensor, " N"]:
        """The term's value for each body."""
        return self.rho(self.residuals(body).square())[0].sum(-1)

    def quadratic(self, body: PosedBody) -> Quadratic:
        """Gauss-Newton, the robust slope w as a weight: g = 2 J^T w r, H = 2 J^T w J."""
        jacobian = self.jacobian(body)
        residuals = self.residuals(body)
        value, slope = self.rho(residuals.square())
        weighted = 2 * slope[..., None] * jacobian
        gradient = (weighted.mT @ residuals[..., None])[..., 0]
        return Quadratic(value.sum(-1), gradient, weighted.mT @ jacobian)

    def select(self, index) -> Term:
        """The term of some of the bodies; itself if it holds nothing of its own for each."""
        return self

    def with_robust_sigma(self, sigma: float) -> Term:
        """The term at a stage's robust scale; itself if it is a plain sum of squares."""
        return self


def geman_mcclure(
    squared: Float[Tensor, "*batch"], sigma: float
) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
    """``rho(r^2) = s^2 r^2 / (s^2 + r^2)`` and its slope by r^2 [Geman and McClure 1987].

    Saturates at ``s^2``, and is half of that at ``|r| = s``; far outliers stop pulling.
    """
    share = sigma**2 / (sigma**2 + squared)
    return squared * share, share.square()


@dataclass(frozen=True, eq=False)
class Reprojection(Term):
    """E_J: keypoints of the projected body against the detected ones (SMPLify, eq. 2).

    Residuals are in pixels of a person ``PERSON_HEIGHT`` px tall, so that ``sigma`` and the weights
    of the other terms mean the same for every image; each is weighted by its confidence squared.

    Args:
        camera: of the images; the bodies stand in its world.
        keypoints: (N, K) detections.
        sigma: where the robust function is half saturated; SMPLify's 100 pixels by default.
    """

    camera: PerspectiveCamera
    keypoints: Keypoints
    sigma: float = 100.0
    name: ClassVar[str] = "reprojection"
    PERSON_HEIGHT: ClassVar[float] = 200.0

    @property
    def scale(self) -> Float[Tensor, "N 1 1"]:
        """From image pixels to pixels of a person of the standard height."""
        return self.PERSON_HEIGHT / self.keypoints.height()[:, None, None]

    def residuals(self, body: PosedBody) -> Float[Tensor, "N m"]:
        """Scaled pixel offsets, u and v of each keypoint in turn."""
        offset = self.camera.project(body.points) - self.keypoints.xy
        return (self.scale * offset).flatten(-2)

    def jacobian(self, body: PosedBody) -> Float[Tensor, "N m n"]:
        """``d u = f (dX - X/Z dZ) / Z``, likewise v, along the analytic motion of the keypoints."""
        rotation = self.camera.T_camera_world[..., :3, :3].to(body.vector)
        motion = body.points_jacobian
        if not torch.equal(rotation, torch.eye(3).to(rotation).expand_as(rotation)):
            motion = rotation[..., None, :, :] @ motion
        points = self.camera.world_to_camera(body.points)
        depth = points[..., 2:]
        factor = self.scale * self.camera.focal_length.to(points)[..., None, :] / depth
        slope = (points[..., :2] / depth)[..., None]
        jacobian = factor[..., None] * (motion[..., :2, :] - slope * motion[..., 2:, :])
        return jacobian.flatten(1, 2)

    def rho(self, squared: Float[Tensor, "N m"]) -> tuple[Tensor, Tensor]:
        """Geman-McClure on each coordinate."""
        weight = self.keypoints.confidence.square().repeat_interleave(2, -1)
        value, slope = geman_mcclure(squared, self.sigma)
        return weight * value, weight * slope

    def with_robust_sigma(self, sigma: float) -> Reprojection:
        """The same at another scale of Geman-McClure."""
        return replace(self, sigma=sigma)

    def select(self, index) -> Reprojection:
        """The same for some of the images."""
        return replace(self, camera=self.camera.select(index), keypoints=self.keypoints[index])


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
        value, block_gradient, block_hessian = self.prior.quadratic(body.body_pose)
        n, block = body.vector.shape[-1], body.slices["body_pose"]
        gradient = body.vector.new_zeros(len(value), n)
        hessian = body.vector.new_zeros(len(value), n, n)
        gradient[:, block] = block_gradient
        hessian[:, block, block] = block_hessian
        return Quadratic(value, gradient, hessian)


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
        for row, (name, axis, sign) in enumerate(BENT_JOINTS):
            jacobian[:, row, 3 * SMPL_24.index(name) + axis] = sign * values[:, row]
        return jacobian


def signed_bends(axis_angle: Float[Tensor, "*batch J 3"]) -> Float[Tensor, "*batch 4"]:
    """Hyperextension of ``BENT_JOINTS`` in radians: positive is the unnatural direction."""
    return torch.stack(
        [sign * axis_angle[..., SMPL_24.index(name), axis] for name, axis, sign in BENT_JOINTS], -1
    )


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
