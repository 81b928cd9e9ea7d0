"""What a term of the energy is, and the local model of it that solvers step by.

A term's energy is ``E = sum_i rho(r_i^2)`` for each body; a stage multiplies it by its weight
squared, so that weights read as in the papers, where they multiply residuals.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from vhlib.fitting.posed_body import IndependentParts, PosedBody
from vhlib.fitting.robust import RobustKernel


class Quadratic(NamedTuple):
    """A local model of an energy: value (N,), gradient (N, k), Gauss-Newton Hessian (N, k, k).

    unknowns: the k positions of the vector that the derivatives are by, all of them unless said;
    they are zero by the others.
    """

    energy: Tensor
    gradient: Tensor
    hessian: Tensor
    unknowns: slice | Tensor = slice(None)


class Term:
    """A sum of squared residuals, or of a robust function of them.

    A term of your own needs a ``name`` and ``residuals(body)``; its derivatives are taken
    automatically until you write ``jacobian``. One that is no sum of squares writes
    ``energy(body)`` instead, never negative: it counts as the square of its root. One that holds
    something for each person also needs ``select``.

        class Ground(Term):
            name = "ground"

            def residuals(self, body):
                return body.points[:, FEET, 1] - 0.9
    """

    name: ClassVar[str]
    looks_at_pose: ClassVar[bool] = True
    """False promises that all it asks of a body are points, translation and focal length."""

    def residuals(self, body: PosedBody) -> Float[Tensor, "N m"]:
        """What the term wants to be zero."""
        if not self._is_written_as_energy:
            raise NotImplementedError(f"{type(self).__name__} has neither residuals nor energy")
        energy = self.energy(body)[:, None]
        # The root has no slope at zero, where the energy has its minimum: zero stands for it.
        return torch.where(energy > 0, torch.where(energy > 0, energy, 1.0).sqrt(), energy)

    def jacobian(self, body: PosedBody) -> Float[Tensor, "N m n"]:
        """Derivatives of the residuals by the unknowns; automatic unless overridden."""
        return differentiate(self.residuals, body)[1]

    def rho(self, squared: Float[Tensor, "N m"]) -> tuple[Tensor, Tensor]:
        """The robust function of the squared residuals, and its slope; here the identity."""
        return squared, torch.ones_like(squared)

    def energy(self, body: PosedBody) -> Float[Tensor, " N"]:
        """The term's value for each body."""
        return self.rho(self.residuals(body).square())[0].sum(-1)

    def quadratic(self, body: PosedBody) -> Quadratic:
        """Gauss-Newton, the robust slope w as a weight: g = 2 J^T w r, H = 2 J^T w J.

        Of the root of an energy E that is g = dE, H = dE dE^T / (2 E).
        """
        if self._is_written_as_energy:
            return self._quadratic_of_energy(body)
        jacobian = self.jacobian(body)
        residuals = self.residuals(body)
        value, slope = self.rho(residuals.square())
        weighted = 2 * slope[..., None] * jacobian
        gradient = (weighted.mT @ residuals[..., None])[..., 0]
        return Quadratic(value.sum(-1), gradient, weighted.mT @ jacobian)

    def residual_names(self, count: int) -> list[str]:
        """What to call each of ``count`` residuals in a table or a figure."""
        return [f"{self.name} {i + 1}" for i in range(count)]

    def select(self, index) -> Term:
        """The term of some of the bodies; itself if it holds nothing of its own for each."""
        return self

    def with_robust(self, robust: RobustKernel) -> Term:
        """The term under a stage's robust function; itself if it is a plain sum of squares."""
        return self

    def with_keypoints(self, names: Collection[str]) -> Term:
        """The term looking at these keypoints only; itself if it looks at no detections."""
        return self

    def remeasured(self, body: PosedBody) -> Term:
        """The term with people's sizes in the image as these bodies have them."""
        return self

    @property
    def _is_written_as_energy(self) -> bool:
        cls = type(self)
        return cls.residuals is Term.residuals and cls.energy is not Term.energy

    def _quadratic_of_energy(self, body: PosedBody) -> Quadratic:
        value, gradient = differentiate(lambda body: self.energy(body)[:, None], body)
        # At its minimum an energy of zero is flat: no slope, and no curvature that we know of.
        inverse = torch.where(value > 0, 0.5 / torch.where(value > 0, value, 1.0), 0.0)
        return Quadratic(value[:, 0], gradient[:, 0], gradient.mT @ (inverse[..., None] * gradient))


def differentiate(
    function: Callable[[PosedBody], Tensor], body: PosedBody
) -> tuple[Float[Tensor, "N m"], Float[Tensor, "N m n"]]:
    """Values of a function of bodies, and their derivatives by the unknowns.

    Bodies don't know of each other, so one backward pass a value serves the whole batch. The passes
    end at points and rotations, whose own derivatives are known.
    """
    if body.vector.requires_grad:
        body = PosedBody(body.regressor, body.vector.detach())
    with torch.enable_grad():
        apart = IndependentParts(body.regressor, body.vector.detach().requires_grad_(), body)
        values = function(apart)
        leaves = apart.leaves
        rows = [_gradients(column.sum(), [*leaves.values()]) for column in values.unbind(-1)]
    if not rows:
        return values.detach(), body.vector.new_zeros(*values.shape, body.vector.shape[-1])
    columns = zip(leaves, zip(*rows, strict=True), strict=True)
    by_leaf = {name: torch.stack(column, 1) for name, column in columns}
    return values.detach(), apart.total(**by_leaf)


def _gradients(value: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    """Derivatives by each leaf, zeros where there are none."""
    zeros = [torch.zeros_like(leaf) for leaf in leaves]
    if not value.requires_grad:
        return zeros
    found = torch.autograd.grad(value, leaves, retain_graph=True, allow_unused=True)
    return [zero if grad is None else grad for zero, grad in zip(zeros, found, strict=True)]
