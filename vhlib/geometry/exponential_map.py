"""Rotations of axis-angle vectors together with how they turn: what Gauss-Newton steps need."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from vhlib.geometry.rotations import skew

# Below this angle the closed form of (a - sin a) / a^3 cancels; the series has ended by 1e-16.
_SMALL_ANGLE = 0.5
_SERIES = torch.tensor(  # after its first term, 1 / 6
    [(-1) ** k / math.factorial(2 * k + 3) for k in range(1, 7)], dtype=torch.float64
)


class ExponentialMap(NamedTuple):
    """``R = exp([w]x)`` and its left Jacobian, ``dR = [J_l dw]x R``, (*batch, 3, 3) each."""

    rotation: Tensor
    left_jacobian: Tensor


def exponential_map(axis_angle: Float[Tensor, "*batch 3"]) -> ExponentialMap:
    """``axis_angle_to_matrix`` and ``left_jacobian`` at once, for little more than one of them.

    With ``a = |w|``, ``s = sin a / a``, ``b = (1 - cos a) / a^2`` and ``c = (a - sin a) / a^3``,

        R = cos a I + s [w]x + b w w^T,    J_l = s I + b [w]x + c w w^T.

    Values and gradients are exact at zero. Source: Chirikjian, Stochastic Models, Information
    Theory, and Lie Groups, volume 2, 2012, section 10.6, with ``[w]x^2 = w w^T - a^2 I``.
    """
    angle = axis_angle.norm(dim=-1)  # its gradient at zero is zero, as that of the root isn't
    s = torch.sinc(angle / math.pi)
    b = torch.sinc(angle / (2 * math.pi)).square() / 2
    factors = torch.stack([torch.cos(angle), s, s, b, b, _sine_remainder(angle.square(), s)], -1)
    # (3, *batch, 2, 1, 1): the factors of I, [w]x and w w^T in R and in J_l.
    straight, cross, outer = factors.unflatten(-1, (3, 2))[..., None, None].movedim(-4, 0)
    w_cross = skew(axis_angle)[..., None, :, :]
    w_outer = (axis_angle[..., :, None] * axis_angle[..., None, :])[..., None, :, :]
    both = straight * torch.eye(3).to(w_cross) + cross * w_cross + outer * w_outer
    return ExponentialMap(*both.unbind(-3))


def _sine_remainder(squared: Tensor, s: Tensor) -> Tensor:
    """``(a - sin a) / a^3`` from ``a^2`` and ``s``, by its power series where that cancels."""
    small = squared < _SMALL_ANGLE**2
    near = torch.where(small, squared, 0.0)[..., None].expand(*squared.shape, len(_SERIES))
    series = 1 / 6 + near.cumprod(-1) @ _SERIES.to(squared)
    return torch.where(small, series, (1 - s) / torch.where(small, 1.0, squared))
