"""Robust functions: how much a residual that is far off still counts.

Each is a function rho of the *squared* residual, and gives its slope too: iteratively reweighted
least squares multiplies a residual's square by that slope [Triggs et al., Bundle adjustment: a
modern synthesis, 2000, section 3.3]. All agree with plain squares near zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

RobustKernel = Callable[[Tensor], tuple[Tensor, Tensor]]
"""rho and its slope by the squared residual."""


@dataclass(frozen=True)
class Squares:
    """``rho(r^2) = r^2``: an outlier pulls in proportion to its distance."""

    def __call__(self, squared: Float[Tensor, "*batch"]) -> tuple[Tensor, Tensor]:
        """Value and slope."""
        return squared, torch.ones_like(squared)


@dataclass(frozen=True)
class Huber:
    """``r^2`` up to ``|r| = delta``, then ``2 delta |r| - delta^2`` [Huber 1964].

    Convex: an outlier pulls with constant strength, however far it is.
    """

    delta: float

    def __call__(self, squared: Float[Tensor, "*batch"]) -> tuple[Tensor, Tensor]:
        """Value and slope."""
        # Inside, the root is never used; clamping keeps its derivative finite at zero.
        distance = squared.clamp(min=self.delta**2).sqrt()
        inside = squared <= self.delta**2
        value = torch.where(inside, squared, 2 * self.delta * distance - self.delta**2)
        return value, self.delta / distance


@dataclass(frozen=True)
class GemanMcClure:
    """``s^2 r^2 / (s^2 + r^2)`` [Geman and McClure 1987], as SMPLify's and SPIN's code has it.

    Saturates at ``s^2``, and is half of that at ``|r| = s``; its pull peaks at ``s / sqrt 3`` and
    far outliers stop pulling.
    """

    sigma: float

    def __call__(self, squared: Float[Tensor, "*batch"]) -> tuple[Tensor, Tensor]:
        """Value and slope."""
        share = self.sigma**2 / (self.sigma**2 + squared)
        return squared * share, share.square()


SMPLIFY_KERNEL = GemanMcClure(100.0)
"""The original's, in pixels."""
