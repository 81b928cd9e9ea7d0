"""What is written down while a solver runs, from which its solution is made."""

from __future__ import annotations

import time

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vhlib.fitting.solvers.problem import Problem
from vhlib.fitting.solvers.solution import Evaluations, Solution, StopReason


class Progress:
    """Where every body of the batch is, also those that have stopped, and where it was.

    Args:
        vector, energies: at the start, of each body and term.
    """

    def __init__(
        self, problem: Problem, vector: Float[Tensor, "N n"], energies: Float[Tensor, "T N"]
    ):
        self.problem = problem
        self.vector, self.energies = vector.clone(), energies.clone()
        self.iterations = torch.zeros(len(vector), dtype=torch.long, device=vector.device)
        self.stopped = [StopReason.ITERATION_LIMIT] * len(vector)
        self._history, self._times = [energies.clone()], [_now()]

    def __len__(self) -> int:
        """Iterations so far."""
        return len(self._history) - 1

    def add(
        self,
        active: Int[Tensor, " M"] | Bool[Tensor, " N"],
        vector: Float[Tensor, "M n"],
        energies: Float[Tensor, "T M"],
    ) -> None:
        """One more iteration of the bodies that still move."""
        self.vector[active] = vector
        self.energies[:, active] = energies
        self.iterations[active] += 1
        self._history.append(self.energies.clone())
        self._times.append(_now())

    def stop(self, bodies: Int[Tensor, " M"], reason: StopReason) -> None:
        """Why these bodies move no more."""
        for body in bodies.tolist():
            self.stopped[body] = reason

    def solution(self, vector: Float[Tensor, "N n"], evaluations: Evaluations) -> Solution:
        """The solution: ``vector`` is where each body's energy was least."""
        history = torch.stack([energies.sum(0) for energies in self._history])
        seconds, cpu_seconds = torch.tensor(self._times, dtype=torch.float64).diff(dim=0).T
        return Solution(
            vector=vector,
            energy=history.amin(0),
            energy_history=history,
            energy_terms=self.problem.by_name(torch.stack(self._history, 1)),
            iterations=self.iterations,
            stopped=tuple(self.stopped),
            evaluations=evaluations,
            seconds=seconds,
            cpu_seconds=cpu_seconds,
        )


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()
