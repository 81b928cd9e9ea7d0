"""The energy of a batch of bodies: what every solver minimises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from vhlib.body.point_regressor import PointRegressor
from vhlib.fitting.posed_body import PosedBody, unknown_slices
from vhlib.fitting.rigid_points import RigidPoints
from vhlib.fitting.terms import Quadratic, Term


class LocalModel(NamedTuple):
    """Each term's weighted energy (T, N), and the sum's gradient (N, n) and Hessian (N, n, n)."""

    energies: Tensor
    gradient: Tensor
    hessian: Tensor

    @property
    def energy(self) -> Float[Tensor, " N"]:
        """The sum of all terms."""
        return self.energies.sum(0)


@dataclass(frozen=True, eq=False)
class Problem:
    """``E(x) = sum_t weight_t^2 E_t(x)`` for N bodies, each with its own unknowns x."""

    regressor: PointRegressor | RigidPoints
    terms: Sequence[tuple[Term, float]]

    @property
    def names(self) -> list[str]:
        """The terms' names, in order; several views of one person may share a name."""
        return [term.name for term, _ in self.terms]

    @property
    def size(self) -> int:
        """How many unknowns a body has."""
        num_joints, _, num_betas = self.regressor.joint_shapedirs.shape
        return unknown_slices(num_joints, num_betas)["focal_length"].stop

    def positions(self, *blocks: str) -> Tensor:
        """Where the unknowns of some blocks stand in the vector, to name what is free.

        Raises ValueError for a block that isn't one of ``unknown_slices``.
        """
        num_joints, _, num_betas = self.regressor.joint_shapedirs.shape
        slices = unknown_slices(num_joints, num_betas)
        unknown = [block for block in blocks if block not in slices]
        if unknown:
            raise ValueError(
                f"no unknowns {', '.join(unknown)}: expected some of {', '.join(slices)}"
            )
        return torch.cat(
            [torch.arange(slices[block].start, slices[block].stop) for block in blocks]
        )

    def energies(self, vector: Float[Tensor, "N n"]) -> Float[Tensor, "T N"]:
        """The weighted energy of each term, in order."""
        body = PosedBody(self.regressor, vector)
        return torch.stack([weight**2 * term.energy(body) for term, weight in self.terms])

    def energy_terms(self, vector: Float[Tensor, "N n"]) -> dict[str, Float[Tensor, " N"]]:
        """The same by name; terms of one name are summed."""
        return self.by_name(self.energies(vector))

    def energy(self, vector: Float[Tensor, "N n"]) -> Float[Tensor, " N"]:
        """The sum of all terms."""
        return self.energies(vector).sum(0)

    def by_name(self, energies: Float[Tensor, "T ..."]) -> dict[str, Tensor]:
        """Rows of terms as a dictionary; terms of one name are summed."""
        named: dict[str, Tensor] = {}
        for name, row in zip(self.names, energies, strict=True):
            named[name] = named[name] + row if name in named else row
        return named

    def slope(self, vector: Float[Tensor, "N n"]) -> tuple[Tensor, Tensor]:
        """``energies`` and the gradient (N, n) of their sum, by one backward pass."""
        with torch.enable_grad():
            leaf = vector.detach().requires_grad_()
            energies = self.energies(leaf)
            if not energies.requires_grad:
                return energies, torch.zeros_like(vector)
            (gradient,) = torch.autograd.grad(energies.sum(), leaf)
        return energies.detach(), gradient

    def quadratic(self, vector: Float[Tensor, "N n"]) -> LocalModel:
        """The sum of all terms' local models."""
        body = PosedBody(self.regressor, vector)
        size = vector.shape[-1]
        gradient = vector.new_zeros(len(vector), size)
        hessian = vector.new_zeros(len(vector), size, size)
        energies = []
        for term, weight in self.terms:
            part = term.quadratic(body)
            energies.append(weight**2 * part.energy)
            _add(gradient, hessian, part, weight**2)
        return LocalModel(torch.stack(energies), gradient, hessian)

    def require_finite(
        self,
        vector: Float[Tensor, "N n"],
        energies: Float[Tensor, "T N"],
        gradient: Float[Tensor, "N m"] | None = None,
    ) -> None:
        """Raise ValueError naming the first term and body whose energy or gradient isn't finite."""
        finite = energies.isfinite().all()
        if gradient is not None:
            finite = finite & gradient.isfinite().all()
        if not finite:
            what, term, body = self._first_flaw(vector, energies)
            raise ValueError(
                f"the {what} of the term {self.names[term]!r} isn't finite at the start of sample "
                f"{body}: start elsewhere, or leave that term or sample out"
            )

    def _first_flaw(self, vector: Tensor, energies: Tensor) -> tuple[str, int, int]:
        flaws = (~energies.isfinite()).nonzero().tolist()
        if flaws:
            return "energy", *flaws[0]
        for index, weighted in enumerate(self.terms):
            _, gradient = Problem(self.regressor, [weighted]).slope(vector)
            bodies = (~gradient.isfinite().all(-1)).nonzero()[:, 0].tolist()
            if bodies:
                return "gradient", index, bodies[0]
        raise AssertionError("the gradient of a sum isn't finite, though that of each term is")

    def select(self, index) -> Problem:
        """The same problem for some of the bodies."""
        regressor = self.regressor
        if isinstance(regressor, RigidPoints):
            regressor = regressor.select(index)
        return Problem(regressor, [(term.select(index), weight) for term, weight in self.terms])


def _add(gradient: Tensor, hessian: Tensor, part: Quadratic, factor: float) -> None:
    """Add a term's model, where its unknowns stand."""
    at = part.unknowns
    if isinstance(at, slice):
        gradient[:, at].add_(part.gradient, alpha=factor)
        hessian[:, at, at].add_(part.hessian, alpha=factor)
    else:
        gradient[:, at] += factor * part.gradient
        hessian[:, at[:, None], at] += factor * part.hessian
