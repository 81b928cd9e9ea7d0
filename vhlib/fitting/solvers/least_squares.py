"""Gauss-Newton, Levenberg-Marquardt and dogleg: one quadratic model, three ways of trusting it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vhlib.fitting.solvers.descent import Step, TrustMethod
from vhlib.fitting.solvers.problem import LocalModel


@dataclass(frozen=True)
class Damping:
    """How Levenberg-Marquardt trusts its quadratic model (Nielsen 1999).

    start, smallest and largest: of lambda. growth: its factor after a step that didn't help.
    shrink: the least factor after one that did. floor: of the diagonal that lambda multiplies, as a
    share of its largest entry.
    """

    start: float = 1e-2
    smallest: float = 1e-7
    largest: float = 1e8
    growth: float = 8.0
    shrink: float = 0.1
    floor: float = 1e-6


@dataclass(frozen=True)
class LevenbergMarquardt(TrustMethod):
    """Solve ``(H + lambda diag H) d = -g``; trust is lambda, less of it the larger it is.

    After a step that helps lambda shrinks by how well the model foretold the drop, else it grows
    [Marquardt 1963; Nielsen 1999].
    """

    damping: Damping = Damping()

    @property
    def first_trust(self) -> float:
        """Lambda at the start."""
        return self.damping.start

    def propose(self, model: LocalModel, trust: Float[Tensor, " N"]) -> Step:
        """The damped step; it promises half of ``d^T (lambda D d - g)``."""
        diagonal = model.hessian.diagonal(dim1=-2, dim2=-1)
        # An unknown that no term feels would leave the system singular.
        diagonal = diagonal.clamp(min=self.damping.floor * diagonal.amax(-1, keepdim=True))
        extra = trust[:, None] * diagonal
        damped = model.hessian.clone()
        damped.diagonal(dim1=-2, dim2=-1).add_(extra)
        factor, _ = torch.linalg.cholesky_ex(damped)
        delta = -torch.cholesky_solve(model.gradient[..., None], factor)[..., 0]
        return Step(delta, (delta * (extra * delta - model.gradient)).sum(-1) / 2)

    def next_trust(
        self, trust: Float[Tensor, " N"], step: Step, gain: Float[Tensor, " N"]
    ) -> Float[Tensor, " N"]:
        """Nielsen's rule."""
        shrink = (1 - (2 * gain - 1) ** 3).clamp(self.damping.shrink, 1.0)
        factor = torch.where(gain.isnan(), self.damping.growth, shrink)
        return (trust * factor).clamp(self.damping.smallest, self.damping.largest)

    def exhausted(self, trust: Float[Tensor, " N"]) -> Bool[Tensor, " N"]:
        """At the largest lambda."""
        return trust >= self.damping.largest


@dataclass(frozen=True)
class GaussNewton(TrustMethod):
    """Solve ``H d = -g`` and go a share of d; trust is that share.

    All of d at first; half as far after a step that didn't help, twice as far after one that did.

    Args:
        smallest: the share at which a body gives up.
    """

    smallest: float = 1e-6

    @property
    def first_trust(self) -> float:
        """The whole step."""
        return 1.0

    def propose(self, model: LocalModel, trust: Float[Tensor, " N"]) -> Step:
        """``t d``, which promises ``(t - t^2 / 2) g^T H^-1 g``."""
        newton = _newton_step(model)
        whole = -(newton * model.gradient).sum(-1)
        return Step(trust[:, None] * newton, (trust - trust.square() / 2) * whole)

    def next_trust(
        self, trust: Float[Tensor, " N"], step: Step, gain: Float[Tensor, " N"]
    ) -> Float[Tensor, " N"]:
        """Halved or doubled, the whole step at most."""
        return torch.where(gain.isnan(), trust / 2, (2 * trust).clamp(max=1.0))

    def exhausted(self, trust: Float[Tensor, " N"]) -> Bool[Tensor, " N"]:
        """Below the smallest share."""
        return trust < self.smallest


@dataclass(frozen=True)
class Dogleg(TrustMethod):
    """The Gauss-Newton step within a radius; trust is the radius [Powell 1970].

    Beyond the radius the step bends from the steepest descent's best point towards Gauss-Newton's,
    and ends where it leaves the ball. SMPLify's solver, by way of Chumpy.

    Args:
        radius: at first, in the unknowns' own units (radians, standard deviations, metres).
        smallest: the radius at which a body gives up.
    """

    radius: float = 1.0
    smallest: float = 1e-7

    @property
    def first_trust(self) -> float:
        """The first radius."""
        return self.radius

    def propose(self, model: LocalModel, trust: Float[Tensor, " N"]) -> Step:
        """Where the path leaves the ball, or its end."""
        radius, newton = trust[:, None], _newton_step(model)
        delta = torch.where(_length(newton) <= radius, newton, _on_sphere(model, newton, radius))
        curved = (model.hessian @ delta[..., None])[..., 0]
        return Step(delta, -(delta * (model.gradient + curved / 2)).sum(-1))

    def next_trust(
        self, trust: Float[Tensor, " N"], step: Step, gain: Float[Tensor, " N"]
    ) -> Float[Tensor, " N"]:
        """Three steps wide where the model was right, half a step where wrong [Madsen 2004]."""
        length = _length(step.delta)[:, 0]
        wide = torch.where(gain > 0.75, torch.maximum(trust, 3 * length), trust)
        return torch.where(gain >= 0.25, wide, length / 2)

    def exhausted(self, trust: Float[Tensor, " N"]) -> Bool[Tensor, " N"]:
        """Below the smallest radius."""
        return trust < self.smallest


def _newton_step(model: LocalModel) -> Float[Tensor, "N m"]:
    """``-H^-1 g``; the shortest of its solutions where H is singular."""
    factor, failed = torch.linalg.cholesky_ex(model.hessian)
    step = -torch.cholesky_solve(model.gradient[..., None], factor)[..., 0]
    for body in failed.nonzero()[:, 0].tolist():
        inverse = torch.linalg.pinv(model.hessian[body], hermitian=True)
        step[body] = -inverse @ model.gradient[body]
    return step


def _on_sphere(
    model: LocalModel, newton: Float[Tensor, "N m"], radius: Float[Tensor, "N 1"]
) -> Float[Tensor, "N m"]:
    """Where the path from zero by the steepest descent's best point to ``newton`` has the length.

    Of no meaning where the path isn't that long.
    """
    gradient = model.gradient
    slope = _length(gradient)
    curvature = (gradient * (model.hessian @ gradient[..., None])[..., 0]).sum(-1, keepdim=True)
    best = slope**3 / curvature  # its distance
    steepest = -gradient * (slope.square() / curvature)
    leg = newton - steepest
    # |steepest + share leg|^2 = radius^2, by the form of the root that cancels nothing.
    b = (steepest * leg).sum(-1, keepdim=True)
    room = radius.square() - best.square()
    share = room / (b + (b.square() + room * leg.square().sum(-1, keepdim=True)).sqrt())
    return torch.where(best < radius, steepest + share * leg, -gradient * (radius / slope))


def _length(rows: Float[Tensor, "N m"]) -> Float[Tensor, "N 1"]:
    return rows.norm(dim=-1, keepdim=True)
