"""Rotations: roma's conversions behind the field's names, and what least squares needs beyond.

Inside the library a rotation is a matrix ``(*batch, 3, 3)`` that acts on column vectors; the other
forms live at the edges. Layouts, stated once:

- *axis-angle*: ``angle * axis``, radians;
- *6D*: the first two columns of the matrix, stacked ``[column 1, column 2]`` (Zhou et al. 2019);
- *interleaved 6D*: the same two columns read as a 3x2 matrix row by row, so that column 1 is
  elements 0, 2, 4 (the layout of SPIN, VIBE, PyMAF, CLIFF, EFT, MotionBERT and VPoser);
- *quaternion*: ``xyzw``, the real part last, as in roma and scipy.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import roma
import torch
from jaxtyping import Float
from torch import Tensor


def axis_angle_to_matrix(axis_angle: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """``R = cos a I + sin a / a [w]x + (1 - cos a) / a^2 w w^T`` with ``a = |w|`` (Rodrigues).

    Value and gradient are exact at zero.
    """
    angle = axis_angle.norm(dim=-1)[..., None, None]  # its gradient at zero is zero
    identity = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    sine = torch.sinc(angle / math.pi)
    versine = torch.sinc(angle / (2 * math.pi)).square() / 2
    outer = axis_angle[..., :, None] * axis_angle[..., None, :]
    return angle.cos() * identity + sine * skew(axis_angle) + versine * outer


def matrix_to_axis_angle(matrix: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3"]:
    """The shortest ``angle * axis`` of a rotation, with an angle in [0, pi]."""
    return roma.rotmat_to_rotvec(matrix)


def rotation_6d_to_matrix(rotation_6d: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch 3 3"]:
    """Gram-Schmidt on ``[column 1, column 2]``; the third column is their cross product.

    The two columns must be independent: parallel ones have no rotation and give NaN. Source: Zhou
    et al., On the Continuity of Rotation Representations in Neural Networks, 2019, section 4.
    """
    columns = rotation_6d.unflatten(-1, (2, 3)).mT
    return roma.special_gramschmidt(columns)


def matrix_to_rotation_6d(matrix: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 6"]:
    """The first two columns of a rotation, stacked ``[column 1, column 2]``."""
    return matrix[..., :2].mT.flatten(-2)


def interleaved_6d_to_rotation_6d(
    interleaved: Float[Tensor, "*batch 6"],
) -> Float[Tensor, "*batch 6"]:
    """From the SPIN family's 3x2 layout to ours; both are six numbers of the same two columns."""
    return interleaved.unflatten(-1, (3, 2)).mT.flatten(-2)


def rotation_6d_to_interleaved_6d(
    rotation_6d: Float[Tensor, "*batch 6"],
) -> Float[Tensor, "*batch 6"]:
    """From our layout to the SPIN family's; the inverse of `interleaved_6d_to_rotation_6d`."""
    return rotation_6d.unflatten(-1, (2, 3)).mT.flatten(-2)


def quaternion_to_matrix(quaternion: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation matrix of an ``xyzw`` quaternion of any positive length."""
    return roma.unitquat_to_rotmat(quaternion / quaternion.norm(dim=-1, keepdim=True))


def matrix_to_quaternion(matrix: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 4"]:
    """Unit quaternion ``xyzw`` of a rotation; its sign is free, since q and -q rotate alike."""
    return roma.rotmat_to_unitquat(matrix)


def geodesic_distance(
    first: Float[Tensor, "*#batch 3 3"], second: Float[Tensor, "*#batch 3 3"]
) -> Float[Tensor, "*#batch"]:
    """Angle in [0, pi] of the rotation between two rotations; the gradient at zero is zero."""
    return matrix_to_axis_angle(first.mT @ second).norm(dim=-1)


def project_to_rotation(matrix: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The rotation nearest to any 3x3 matrix in Frobenius norm.

    With ``matrix = U S V^T`` it is ``U diag(1, 1, det(U V^T)) V^T``, so never a reflection.
    """
    return roma.special_procrustes(matrix)


def skew(vector: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The matrix ``[v]x`` with ``[v]x u = v x u``."""
    return (vector @ _GENERATORS.to(vector)).unflatten(-1, (3, 3))


# Rows [e_i]x of which every [v]x is a sum, flattened: [e_i]x u = e_i x u.
_GENERATORS = torch.tensor(
    [[0, 0, 0, 0, 0, -1, 0, 1, 0], [0, 0, 1, 0, 0, 0, -1, 0, 0], [0, -1, 0, 1, 0, 0, 0, 0, 0]],
    dtype=torch.float32,
)


def rotation_between(
    start: Float[Tensor, "*#batch 3"], end: Float[Tensor, "*#batch 3"]
) -> Float[Tensor, "*#batch 3 3"]:
    """The smallest rotation that turns ``start`` into the direction of ``end``.

    With unit a, b and v = a x b: ``I + [v]x + [v]x^2 / (1 + a.b)``; opposite directions have no
    smallest one and give NaN.
    """
    a, b = (torch.nn.functional.normalize(vector, dim=-1) for vector in (start, end))
    a, b = torch.broadcast_tensors(a, b)
    cross = skew(torch.linalg.cross(a, b))
    cosine = (a * b).sum(-1)[..., None, None]
    return torch.eye(3).to(cross) + cross + cross @ cross / (1 + cosine)


def left_jacobian(axis_angle: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Jacobian ``J_l`` of the exponential map: ``dR = [J_l(w) dw]x R`` for ``R = exp([w]x)``.

    ``J_l = I + (1 - cos a) / a^2 [w]x + (a - sin a) / a^3 [w]x^2`` with ``a = |w|``; value and
    gradient are exact at zero. Source: Chirikjian, Stochastic Models, Information Theory, and Lie
    Groups, volume 2, 2012, section 10.6.
    """
    angle = axis_angle.norm(dim=-1)[..., None, None]
    cross = skew(axis_angle)
    first = torch.sinc(angle / (2 * math.pi)).square() / 2
    identity = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return identity + first * cross + _sine_remainder(angle.square()) * (cross @ cross)


def _sine_remainder(angle_squared: Tensor) -> Tensor:
    """``(a - sin a) / a^3`` from ``a^2``: by its power series below a = 0.5, where it cancels."""
    small = angle_squared < 0.25
    series_at = torch.where(small, angle_squared, 0.0)
    series = torch.zeros_like(angle_squared)
    for k in reversed(range(7)):
        series = (-1) ** k / math.factorial(2 * k + 3) + series_at * series
    angle = torch.where(small, 1.0, angle_squared).sqrt()
    return torch.where(small, series, (angle - angle.sin()) / angle**3)


def part_of_rotation(
    matrix: Float[Tensor, "*#batch 3 3"], share: Float[Tensor, "*#batch"] | float | int
) -> Float[Tensor, "*#batch 3 3"]:
    """The rotation about the same axis by ``share`` of the angle, ``exp(share log R)``."""
    share = torch.as_tensor(share, dtype=matrix.dtype, device=matrix.device)
    return axis_angle_to_matrix(share[..., None] * matrix_to_axis_angle(matrix))


class Similarity(NamedTuple):
    """The map ``x -> scale * rotation @ x + translation``."""

    scale: Float[Tensor, "*batch"]
    rotation: Float[Tensor, "*batch 3 3"]
    translation: Float[Tensor, "*batch 3"]

    def apply(self, points: Float[Tensor, "*#batch V 3"]) -> Float[Tensor, "... V 3"]:
        """Map points ``(*batch, V, 3)``."""
        rotated = points @ self.rotation.mT
        return self.scale[..., None, None] * rotated + self.translation[..., None, :]


def similarity_procrustes(
    source: Float[Tensor, "*batch V 3"],
    target: Float[Tensor, "*batch V 3"],
    weights: Float[Tensor, "*batch V"] | None = None,
) -> Similarity:
    """The similarity that carries ``source`` onto ``target`` with the least squared distance.

    Minimises ``sum_i w_i |s R x_i + t - y_i|^2`` over rotations (no reflections), s and t. A source
    whose points coincide fixes no scale: it keeps 1. Source: Umeyama, Least-Squares Estimation of
    Transformation Parameters Between Two Point Patterns, 1991, equations 40-42.
    """
    if weights is None:
        weights = torch.ones_like(source[..., 0])
    share = (weights / weights.sum(dim=-1, keepdim=True))[..., None]
    source_mean = (share * source).sum(dim=-2, keepdim=True)
    target_mean = (share * target).sum(dim=-2, keepdim=True)
    x, y = source - source_mean, target - target_mean
    covariance = (share * y).mT @ x
    rotation = project_to_rotation(covariance)
    variance = (share * x.square()).sum(dim=(-2, -1))
    agreement = (rotation * covariance).sum(dim=(-2, -1))
    scale = torch.where(variance > 0, agreement, 1.0) / torch.where(variance > 0, variance, 1.0)
    rotated_mean = (source_mean @ rotation.mT).squeeze(-2)
    return Similarity(scale, rotation, target_mean.squeeze(-2) - scale[..., None] * rotated_mean)
