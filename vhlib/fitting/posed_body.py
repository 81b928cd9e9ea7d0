"""The unknowns of a fit as one vector, and the keypoints of the bodies that it describes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from vhlib.body import BodyParameters
from vhlib.body.point_regressor import PointJacobian, PointRegressor
from vhlib.fitting.rigid_points import RigidPoints
from vhlib.geometry.exponential_map import ExponentialMap, exponential_map
from vhlib.geometry.rotations import matrix_to_axis_angle, skew


def unknown_slices(num_joints: int, num_betas: int) -> dict[str, slice]:
    """Where each block of unknowns stands in the vector.

    Axis-angle, axis-angle, betas, metres; last the natural logarithm of a factor on the cameras'
    focal lengths, zero unless a stage frees it.
    """
    sizes = {
        "global_orient": 3,
        "body_pose": 3 * (num_joints - 1),
        "betas": num_betas,
        "transl": 3,
        "focal_length": 1,
    }
    slices, start = {}, 0
    for name, size in sizes.items():
        slices[name] = slice(start, start + size)
        start += size
    return slices


def pack(parameters: BodyParameters) -> Float[Tensor, "N n"]:
    """Body parameters with one batch axis as the solver's vector; rotations become axis-angle.

    The focal length is left as the camera has it.
    """
    body_pose = matrix_to_axis_angle(parameters.body_pose).flatten(-2)
    global_orient = matrix_to_axis_angle(parameters.global_orient)
    log_focal = torch.zeros_like(parameters.transl[..., :1])
    return torch.cat([global_orient, body_pose, parameters.betas, parameters.transl, log_focal], -1)


@dataclass(frozen=True, eq=False)
class PosedBody:
    """N candidate bodies, described by a vector of unknowns (see ``unknown_slices``).

    Everything is computed when it is first asked for, and once.
    """

    regressor: PointRegressor | RigidPoints
    vector: Float[Tensor, "N n"]

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Where each block of unknowns stands in the vector."""
        num_joints, _, num_betas = self.regressor.joint_shapedirs.shape
        return unknown_slices(num_joints, num_betas)

    @property
    def body_pose(self) -> Float[Tensor, "N P"]:
        """Axis-angle of every joint but the root."""
        return self.vector[:, self.slices["body_pose"]]

    @property
    def betas(self) -> Float[Tensor, "N S"]:
        """Shape coefficients."""
        return self.vector[:, self.slices["betas"]]

    @property
    def transl(self) -> Float[Tensor, "N 3"]:
        """Translation, metres."""
        return self.vector[:, self.slices["transl"]]

    @property
    def focal_factor(self) -> Float[Tensor, "N 1"]:
        """What the focal lengths of the cameras are multiplied by."""
        return self.vector[:, self.slices["focal_length"]].exp()

    @property
    def axis_angle(self) -> Float[Tensor, "N J 3"]:
        """Axis-angle of all joints, the root first."""
        end = self.slices["body_pose"].stop
        return self.vector[:, :end].unflatten(-1, (-1, 3))

    @property
    def rotations(self) -> Float[Tensor, "N J 3 3"]:
        """Rotation matrices of all joints."""
        return self._exponential.rotation

    @cached_property
    def points(self) -> Float[Tensor, "N K 3"]:
        """Keypoints, metres, in the frame that ``transl`` is given in."""
        if "_linearized" in vars(self):
            points = self._linearized.points
        else:
            points = self.regressor.points(self.betas, self.rotations)
        return points + self.transl[:, None]

    @cached_property
    def points_jacobian(self) -> Float[Tensor, "N K 3 n"]:
        """Derivatives of ``points`` by the vector, analytic."""
        motion = self._linearized
        identity = torch.eye(3, dtype=self.vector.dtype, device=self.vector.device)
        by_transl = identity.expand(*motion.points.shape, 3)
        by_focal = by_transl.new_zeros(*by_transl.shape[:-1], 1)
        return torch.cat([motion.d_rotation.flatten(-2), motion.d_betas, by_transl, by_focal], -1)

    def pixel_motion(
        self,
        points: Float[Tensor, "N P 3"],
        motion: Float[Tensor, "N P 3 n"],
        focal_length: Float[Tensor, "N _ 2"],
    ) -> Float[Tensor, "N P 2 n"]:
        """How the pixels of points move by the unknowns: ``d u = f (dX - X/Z dZ) / Z``, so v.

        By the logarithm of the focal length a pixel moves as far as it lies from the principal
        point. ``points`` and ``motion``, their derivatives, stand in the camera's axes;
        ``focal_length`` is the bodies' own.
        """
        depth = points[..., 2:]
        factor = focal_length / depth
        across, along = motion.split([2, 1], -2)
        slope = (points[..., :2] / depth)[..., None]
        pixels = torch.addcmul(across, slope, along, value=-1).mul_(factor[..., None])
        pixels[..., self.slices["focal_length"]] = (factor * points[..., :2])[..., None]
        return pixels

    @cached_property
    def rotations_jacobian(self) -> Float[Tensor, "N J 3 3 3"]:
        """Derivatives of each rotation by its own axis-angle, the last axis: ``[J_l dw]x R``."""
        turns = skew(self._exponential.left_jacobian.mT)  # one for each component of w
        return (turns @ self.rotations[:, :, None]).movedim(-3, -1)

    @cached_property
    def _exponential(self) -> ExponentialMap:
        return exponential_map(self.axis_angle)

    @cached_property
    def _linearized(self) -> PointJacobian:
        turns = self._exponential.left_jacobian  # d turn = J_l d axis_angle
        return self.regressor.linearize(self.betas, self.rotations, turns)

    def parameters(self) -> BodyParameters:
        """The same bodies as SMPL's parameters, rotations as matrices."""
        return BodyParameters(self.betas, self.rotations[:, 1:], self.rotations[:, 0], self.transl)


@dataclass(frozen=True, eq=False)
class IndependentParts(PosedBody):
    """The same bodies; to autograd their points and rotations are leaves beside the vector.

    How those follow from the vector is known, so that no backward pass need go through the body.
    """

    known: PosedBody

    @cached_property
    def points(self) -> Float[Tensor, "N K 3"]:
        """Those of ``known``, as if they were unknowns themselves."""
        # First the Jacobian, which gives the points too: it will be asked for anyway.
        _ = self.known.points_jacobian
        return self.known.points.detach().requires_grad_()

    @cached_property
    def rotations(self) -> Float[Tensor, "N J 3 3"]:
        """Likewise."""
        return self.known.rotations.detach().requires_grad_()

    @property
    def leaves(self) -> dict[str, Tensor]:
        """The vector, and the parts that somebody has asked for."""
        used = [name for name in ("points", "rotations") if name in vars(self)]
        return {name: getattr(self, name) for name in ("vector", *used)}

    def total(
        self,
        vector: Float[Tensor, "N m n"],
        points: Float[Tensor, "N m K 3"] | None = None,
        rotations: Float[Tensor, "N m J 3 3"] | None = None,
    ) -> Float[Tensor, "N m n"]:
        """Derivatives by the vector from those by each leaf: the chain rule."""
        if points is not None:
            vector = vector + points.flatten(2) @ self.known.points_jacobian.flatten(1, 2)
        if rotations is not None:
            own = torch.einsum("nmjab,njabw->nmjw", rotations, self.known.rotations_jacobian)
            own = own.flatten(2)
            vector = vector + pad(own, (0, vector.shape[-1] - own.shape[-1]))
        return vector
