"""Solvers of scipy, which know one body at a time: L-BFGS and Powell's method."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from vhlib.fitting.solvers.method import Limits, Method
from vhlib.fitting.solvers.problem import Problem
from vhlib.fitting.solvers.progress import Progress
from vhlib.fitting.solvers.solution import Evaluations, Solution, StopReason
from vhlib.fitting.solvers.threads import numpy_on_one_thread


class OneByOne(Method):
    """Minimises the bodies of a batch one after the other, with scipy.

    ``reasons`` is what scipy's statuses mean.
    """

    takes_gradients: ClassVar[bool]
    reasons: ClassVar[Mapping[int, StopReason]]

    @abstractmethod
    def minimize(self, objective: Objective, limits: Limits) -> int:
        """Run scipy on ``objective`` and return its status."""

    @numpy_on_one_thread()
    def __call__(
        self,
        problem: Problem,
        start: Float[Tensor, "N n"],
        free: Int[Tensor, " m"],
        limits: Limits,
    ) -> Solution:
        """Minimise over the free unknowns; ``start`` is left as it is."""
        if self.takes_gradients:
            energies, gradient = problem.slope(start)
            problem.require_finite(start, energies, gradient[:, free])
        else:
            energies = problem.energies(start)
            problem.require_finite(start, energies)
        alone = (slice(i, i + 1) for i in range(len(start)))
        objectives = (Objective(problem.select(i), start[i], energies[:, i], free) for i in alone)
        return Solution.of_bodies([self._one(objective, limits) for objective in objectives])

    def _one(self, objective: Objective, limits: Limits) -> Solution:
        objective.asked["gradient" if self.takes_gradients else "energy"] += 1  # for the start
        if limits.iterations:
            status = self.minimize(objective, limits)
            objective.progress.stop(torch.tensor([0]), self.reasons[status])
        return objective.solution()


@dataclass(frozen=True)
class LBFGS(OneByOne):
    """L-BFGS with a line search to the strong Wolfe conditions: scipy's L-BFGS-B without bounds.

    Source: Byrd, Lu, Nocedal and Zhu 1995; SMPLify-X takes this method.

    Args:
        memory: how many steps the curvature is remembered of.
    """

    memory: int = 10
    takes_gradients: ClassVar[bool] = True
    reasons: ClassVar[Mapping[int, StopReason]] = MappingProxyType(
        {0: StopReason.CONVERGED, 1: StopReason.ITERATION_LIMIT, 2: StopReason.NO_DESCENT}
    )

    def minimize(self, objective: Objective, limits: Limits) -> int:
        """Run ``scipy.optimize.minimize``."""
        from scipy.optimize import minimize  # takes 0.7 s to import

        options = {
            "maxiter": limits.iterations,
            "ftol": limits.tolerance,
            "gtol": 0.0,
            "maxcor": self.memory,
        }
        return minimize(
            objective.slope,
            objective.start,
            jac=True,
            method="L-BFGS-B",
            callback=objective.iterated,
            options=options,
        ).status


@dataclass(frozen=True)
class Powell(OneByOne):
    """Powell's method, which needs no derivatives: line searches along a set of directions.

    An iteration searches along as many directions as there are unknowns, so it costs thousands of
    evaluations. Source: Powell 1964, by scipy.
    """

    takes_gradients: ClassVar[bool] = False
    reasons: ClassVar[Mapping[int, StopReason]] = MappingProxyType(
        {0: StopReason.CONVERGED, 2: StopReason.ITERATION_LIMIT}
    )

    def minimize(self, objective: Objective, limits: Limits) -> int:
        """Run ``scipy.optimize.minimize``."""
        from scipy.optimize import minimize  # takes 0.7 s to import

        return minimize(
            objective.energy,
            objective.start,
            method="Powell",
            callback=objective.iterated,
            options={"maxiter": limits.iterations, "ftol": limits.tolerance},
        ).status


class Objective:
    """The problem of one body as scipy wants it: float64 arrays of the free unknowns.

    Where the energy isn't finite it counts as a wall, higher than at the start.
    """

    def __init__(
        self,
        problem: Problem,
        vector: Float[Tensor, "1 n"],
        energies: Float[Tensor, "T 1"],
        free: Int[Tensor, " m"],
    ):
        self._problem, self._vector, self._free = problem, vector, free
        self.start = vector[0, free].double().cpu().numpy()
        self.progress = Progress(problem, vector, energies)
        self._best, self._least = vector, float(energies.sum())
        self._wall = 2 * abs(self._least) + 1
        self._last = self.start, energies
        self.asked = {"energy": 0, "gradient": 0}

    def energy(self, x: Float[np.ndarray, " m"]) -> float:
        """The energy alone."""
        self.asked["energy"] += 1
        energies = self._problem.energies(self._at(x))
        return self._seen(x, energies)

    def slope(self, x: Float[np.ndarray, " m"]) -> tuple[float, Float[np.ndarray, " m"]]:
        """The energy and its gradient."""
        self.asked["gradient"] += 1
        energies, gradient = self._problem.slope(self._at(x))
        gradient = gradient[0, self._free].double().cpu()
        if not gradient.isfinite().all():
            return self._wall, np.zeros_like(x)
        return self._seen(x, energies), gradient.numpy()

    def iterated(self, x: Float[np.ndarray, " m"]) -> None:
        """Write down where one more iteration ended."""
        at, energies = self._last
        if not np.array_equal(x, at):
            energies = self._problem.energies(self._at(x))
        vector, energy = self._at(x), float(energies.sum())
        self.progress.add(torch.tensor([0]), vector, energies)
        if energy < self._least:
            self._best, self._least = vector, energy

    def solution(self) -> Solution:
        """What was written down."""
        counts = {kind: torch.tensor([count]) for kind, count in self.asked.items()}
        return self.progress.solution(self._best, Evaluations.only(**counts))

    def _at(self, x: Float[np.ndarray, " m"]) -> Float[Tensor, "1 n"]:
        vector = self._vector.clone()
        vector[0, self._free] = torch.from_numpy(x).to(vector)
        return vector

    def _seen(self, x: Float[np.ndarray, " m"], energies: Float[Tensor, "T 1"]) -> float:
        self._last = x.copy(), energies
        energy = float(energies.sum())
        return energy if np.isfinite(energy) else self._wall
