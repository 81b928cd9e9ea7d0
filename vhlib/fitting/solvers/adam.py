"""Adam, the optimiser of SPIN's and of most learned methods' fits."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vhlib.fitting.solvers.method import Limits, Method
from vhlib.fitting.solvers.problem import Problem
from vhlib.fitting.solvers.progress import Progress
from vhlib.fitting.solvers.solution import Evaluations, Solution, StopReason


@dataclass(frozen=True)
class Adam(Method):
    """Descent by the gradient's running mean over the root of its running square.

    ``m <- b1 m + (1 - b1) g``, ``v <- b2 v + (1 - b2) g^2``, then ``x <- x - step m' / (sqrt v' +
    epsilon)`` with both freed of their bias towards zero [Kingma and Ba 2015, algorithm 1].

    Energies may rise on the way, so a body has converged when ``patience`` iterations have not
    lowered its least energy by more than the tolerance.

    Args:
        step: how far an unknown moves in an iteration, about; in its own unit.
        betas: the memory of the two means.
        epsilon: the paper's.
        patience: in iterations.
    """

    step: float = 1e-2
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    patience: int = 20

    def __call__(
        self,
        problem: Problem,
        start: Float[Tensor, "N n"],
        free: Int[Tensor, " m"],
        limits: Limits,
    ) -> Solution:
        """Minimise over the free unknowns; ``start`` is left as it is."""
        energies, gradient = problem.slope(start)
        problem.require_finite(start, energies, gradient[:, free])
        progress = Progress(problem, start, energies)
        best = _Best.at_start(start, energies.sum(0))
        moments = _Moments.none(gradient[:, free])
        moving = torch.ones(len(start), dtype=torch.bool, device=start.device)
        evaluations = torch.ones_like(progress.iterations)
        for _ in range(limits.iterations):
            if not moving.any():
                break
            moments = moments.after(gradient[:, free], self.betas)
            vector = progress.vector.clone()
            vector[:, free] -= self._change(moments)
            energies, gradient = problem.slope(torch.where(moving[:, None], vector, start))
            evaluations += moving
            finite = (energies.sum(0) + gradient.sum(-1)).isfinite()
            progress.stop((moving & ~finite).nonzero()[:, 0], StopReason.NOT_FINITE)
            moving = moving & finite
            progress.add(moving, vector[moving], energies[:, moving])
            best = best.after(progress.vector, progress.energies.sum(0), limits.tolerance)
            tired = moving & (best.age >= self.patience)
            progress.stop(tired.nonzero()[:, 0], StopReason.CONVERGED)
            moving = moving & ~tired
        return progress.solution(best.vector, Evaluations.only(gradient=evaluations))

    def _change(self, moments: _Moments) -> Float[Tensor, "N m"]:
        """The step, from means freed of their bias."""
        first, second = self.betas
        mean = moments.mean / (1 - first**moments.count)
        square = moments.square / (1 - second**moments.count)
        return self.step * mean / (square.sqrt() + self.epsilon)


@dataclass(frozen=True, eq=False)
class _Moments:
    """Running means of the gradient and of its square after ``count`` of them."""

    mean: Float[Tensor, "N m"]
    square: Float[Tensor, "N m"]
    count: int

    @classmethod
    def none(cls, gradient: Tensor) -> _Moments:
        return cls(torch.zeros_like(gradient), torch.zeros_like(gradient), 0)

    def after(self, gradient: Tensor, betas: tuple[float, float]) -> _Moments:
        first, second = betas
        return _Moments(
            first * self.mean + (1 - first) * gradient,
            second * self.square + (1 - second) * gradient.square(),
            self.count + 1,
        )


@dataclass(frozen=True, eq=False)
class _Best:
    """Where each body's energy was least; ``age``: iterations since it fell by the tolerance.

    ``mark`` is the energy that it fell to then.
    """

    vector: Float[Tensor, "N n"]
    energy: Float[Tensor, " N"]
    mark: Float[Tensor, " N"]
    age: Int[Tensor, " N"]

    @classmethod
    def at_start(cls, vector: Tensor, energy: Tensor) -> _Best:
        return cls(vector, energy, energy, torch.zeros_like(energy, dtype=torch.long))

    def after(self, vector: Tensor, energy: Tensor, tolerance: float) -> _Best:
        better = energy < self.energy
        fell = self.mark - energy > tolerance * self.mark.abs()
        return _Best(
            torch.where(better[:, None], vector, self.vector),
            torch.where(better, energy, self.energy),
            torch.where(fell, energy, self.mark),
            torch.where(fell, 0, self.age + 1),
        )
