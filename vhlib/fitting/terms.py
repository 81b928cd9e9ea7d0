"""What a term of the energy is, and the local model of it that solvers step by.

A term's energy is ``E = sum_i rho(r_i^2)`` for each body; a stage multiplies it by its weight
squared, so that weights read as in the papers, where they multiply residuals.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from vhlib.fitting.posed_body import PosedBody
from vhlib.fitting.robust import RobustKernel


class Quadratic(NamedTuple):
    """A local model of an energy: value (N,), gradient (N, n), Gauss-Newton Hessian (N, n, n)."""

    energy: Tensor
    gradient: Tensor
    hessian: Tensor


class Term:
    """A sum of squared residuals, or of a robust function of them.

    A term of your own needs a ``name`` and ``residuals(body)``; its derivatives are taken
    automatically until you write ``jacobian``. One that is no sum of squares writes
    ``energy(body)`` instead, always positive: it counts as the square of its root.

        class Ground(Term):
            name = "ground"

            def residuals(self, body):
                return body.points[:, FEET, 1] - 0.9
    """

    name: ClassVar[str]

    def residuals(self, body: PosedBody) -> Float[Tensor, "N m"]:
        """What the term wants to be zero."""
        if type(self).energy is Term.energy:
            raise NotImplementedError(f"{type(self).__name__} has neither residuals nor energy")
        return self.energy(body)[:, None].sqrt()

    def jacobian(self, body: PosedBody) -> Float[Tensor, "N m n"]:
        """Derivatives of the residuals by the unknowns; automatic unless overridden.

        Bodies don't know of each other, so one backward pass a residual serves the whole batch.
        """
        with torch.enable_grad():
            vector = body.vector.detach().requires_grad_()
            residuals = self.residuals(PosedBody(body.regressor, vector))
            rows = [
                torch.autograd.grad(column.sum(), vector, retain_graph=True, allow_unused=True)[0]
                for column in residuals.unbind(-1)
            ]
        zero = torch.zeros_like(body.vector)
        return torch.stack([zero if row is None else row for row in rows], 1)

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

    def with_robust(self, robust: RobustKernel) -> Term:
        """The term under a stage's robust function; itself if it is a plain sum of squares."""
        return self
