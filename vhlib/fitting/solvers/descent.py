"""The loop that Gauss-Newton, Levenberg-Marquardt and dogleg share, for a batch of bodies.

Each proposes a step by the local quadratic model, trusts the model by a number of its own for each
body, and moves that number by how well the model foretold the drop.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vhlib.fitting.solvers.method import Limits, Method
from vhlib.fitting.solvers.problem import LocalModel, Problem
from vhlib.fitting.solvers.progress import Progress
from vhlib.fitting.solvers.solution import Evaluations, Solution, StopReason


class Step(NamedTuple):
    """A proposed change of the free unknowns (N, m), and the drop that the model promises (N,)."""

    delta: Tensor
    promised: Tensor


class TrustMethod(Method):
    """How far the quadratic model is believed: what sets the three methods apart.

    A step is taken where it lowers the energy. A body stops when a step lowers its energy by less
    than the tolerance, or when the first step from a place had promised no more and did worse, or
    when its trust is exhausted; stopped bodies leave the batch.
    """

    @property
    @abstractmethod
    def first_trust(self) -> float:
        """What every body begins with."""

    @abstractmethod
    def propose(self, model: LocalModel, trust: Float[Tensor, " N"]) -> Step:
        """The step that the model asks for, as far as it is trusted."""

    @abstractmethod
    def next_trust(
        self, trust: Float[Tensor, " N"], step: Step, gain: Float[Tensor, " N"]
    ) -> Float[Tensor, " N"]:
        """After a drop of ``gain`` times the promised one; NaN where the step was refused."""

    @abstractmethod
    def exhausted(self, trust: Float[Tensor, " N"]) -> Bool[Tensor, " N"]:
        """Where no shorter step is worth trying."""

    def __call__(
        self,
        problem: Problem,
        start: Float[Tensor, "N n"],
        free: Int[Tensor, " m"],
        limits: Limits,
    ) -> Solution:
        """Minimise over the free unknowns; ``start`` is left as it is."""
        free = _slice_if_contiguous(free)
        state = _State(
            torch.arange(len(start), device=start.device),
            start,
            _model_of_free(problem, start, free),
            start.new_full((len(start),), self.first_trust),
            torch.ones(len(start), dtype=torch.bool, device=start.device),
        )
        problem.require_finite(start, state.model.energies, state.model.gradient)
        progress = Progress(problem, start, state.model.energies)
        moving = problem
        for _ in range(limits.iterations):
            state, converged = self._advance(moving, state, free, limits.tolerance)
            exhausted = self.exhausted(state.trust) & ~converged
            progress.add(state.active, state.vector, state.model.energies)
            done = converged | exhausted
            if done.any():
                progress.stop(state.active[converged], StopReason.CONVERGED)
                progress.stop(state.active[exhausted], StopReason.NO_DESCENT)
                if done.all():
                    break
                state = state.select(~done)
                moving = problem.select(state.active)
        evaluations = Evaluations.only(jacobian=progress.iterations + 1)
        return progress.solution(progress.vector, evaluations)

    def _advance(
        self, problem: Problem, state: _State, free: slice | Tensor, tolerance: float
    ) -> tuple[_State, Tensor]:
        """One step of each body, kept where it helps; and which bodies have converged."""
        step = self.propose(state.model, state.trust)
        vector = state.vector.clone()
        vector[:, free] += step.delta
        model = _model_of_free(problem, vector, free)
        energy = state.model.energy
        drop = energy - model.energy
        # Comparisons with NaN are false, so that what isn't finite is refused.
        better = (drop > 0) & (step.promised > 0) & model.gradient.isfinite().all(-1)
        gain = torch.where(better, drop / step.promised, torch.nan)
        # Later steps from a place promise little because they are short.
        hoped = torch.where(state.arrived, step.promised.abs(), torch.inf)
        converged = torch.where(better, drop, hoped) <= tolerance * energy.abs()
        trust = self.next_trust(state.trust, step, gain)
        moved = _State(state.active, vector, model, trust, better)
        return moved.where(better, state), converged


def _model_of_free(problem: Problem, vector: Tensor, free: slice | Tensor) -> LocalModel:
    energies, gradient, hessian = problem.quadratic(vector)
    rows = free if isinstance(free, slice) else free[:, None]
    return LocalModel(energies, gradient[:, free], hessian[:, rows, free])


def _slice_if_contiguous(positions: Int[Tensor, " m"]) -> slice | Tensor:
    """Positions that follow each other as a slice, whose columns need not be copied."""
    first, count = int(positions[0]), len(positions)
    if torch.equal(positions, torch.arange(first, first + count)):
        return slice(first, first + count)
    return positions


@dataclass(frozen=True, eq=False)
class _State:
    """The bodies that still move: which of the batch they are, where, and how far trusted.

    ``arrived`` tells that the last step was taken, so that the next is the first from this place.
    """

    active: Int[Tensor, " M"]
    vector: Float[Tensor, "M n"]
    model: LocalModel
    trust: Float[Tensor, " M"]
    arrived: Bool[Tensor, " M"]

    def where(self, better: Bool[Tensor, " M"], old: _State) -> _State:
        """This place where it is better than the old one; the rest is this one's."""
        if better.all():
            return self
        vector = torch.where(better[:, None], self.vector, old.vector)
        model = LocalModel(
            torch.where(better, self.model.energies, old.model.energies),
            torch.where(better[:, None], self.model.gradient, old.model.gradient),
            torch.where(better[:, None, None], self.model.hessian, old.model.hessian),
        )
        return _State(self.active, vector, model, self.trust, self.arrived)

    def select(self, keep: Bool[Tensor, " M"]) -> _State:
        """Some of the bodies."""
        energies, gradient, hessian = self.model
        model = LocalModel(energies[:, keep], gradient[keep], hessian[keep])
        vector, trust, arrived = self.vector[keep], self.trust[keep], self.arrived[keep]
        return _State(self.active[keep], vector, model, trust, arrived)
