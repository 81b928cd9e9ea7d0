"""CMA-ES: a cloud of candidates that learns where the energy falls, without derivatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from vhlib.fitting.solvers.method import Limits, Method
from vhlib.fitting.solvers.problem import Problem
from vhlib.fitting.solvers.progress import Progress
from vhlib.fitting.solvers.solution import Evaluations, Solution, StopReason
from vhlib.fitting.solvers.threads import numpy_on_one_thread


@dataclass(frozen=True)
class CMAES(Method):
    """Evolution with an adapted covariance matrix [Hansen and Ostermeier 2001], by ``cma``.

    An iteration is a generation. Every body has a population of its own, begun with the same seed,
    so that its fit doesn't depend on the others; all are evaluated together. The history is that of
    the best candidate so far. A body has converged when the energies of a generation differ by less
    than the tolerance, or when ``cma`` finds no more to do.

    Args:
        seed: of the populations; no global random state is read or written.
        spread: standard deviation of the first candidates, in the unknowns' own units.
        population: candidates a generation; 4 + 3 ln m for m unknowns if left out.
    """

    seed: int = 0
    spread: float = 0.1
    population: int | None = None

    @numpy_on_one_thread()
    def __call__(
        self,
        problem: Problem,
        start: Float[Tensor, "N n"],
        free: Int[Tensor, " m"],
        limits: Limits,
    ) -> Solution:
        """Minimise over the free unknowns; ``start`` is left as it is."""
        energies = problem.energies(start)
        problem.require_finite(start, energies)
        progress = Progress(problem, start, energies)
        colonies = [_Colony(self, row) for row in start[:, free].double().numpy()]
        active = torch.arange(len(start), device=start.device)
        while len(active) and len(progress) < limits.iterations:
            moving = [colonies[body] for body in active.tolist()]
            progress.add(active, *_generation(problem, progress, active, moving, free))
            done = torch.tensor([colony.is_done(limits.tolerance) for colony in moving])
            progress.stop(active[done], StopReason.CONVERGED)
            active = active[~done]
        evaluations = Evaluations.only(energy=1 + colonies[0].size * progress.iterations)
        return progress.solution(progress.vector, evaluations)


class _Colony:
    """One body's population around its start."""

    def __init__(self, options: CMAES, start: Float[np.ndarray, " m"]):
        import cma  # takes 1.6 s to import

        generator = np.random.default_rng(options.seed)
        settings = {
            "seed": np.nan,  # leaves numpy's global state alone
            "randn": lambda *shape: generator.standard_normal(shape),
            "popsize": options.population,
            "maxiter": np.inf,
            "verbose": -10,
            "verb_log": 0,
        }
        self._evolution = cma.CMAEvolutionStrategy(start, options.spread, settings)
        self._energies = [0.0, np.inf]

    @property
    def size(self) -> int:
        return self._evolution.popsize

    def candidates(self) -> Float[np.ndarray, "P m"]:
        """The next generation."""
        self._asked = self._evolution.ask()
        return np.stack(self._asked)

    def select(self, energies: list[float]) -> None:
        """What these candidates are worth."""
        self._evolution.tell(self._asked, energies)
        self._energies = energies

    def is_done(self, tolerance: float) -> bool:
        """Whether the last generation differed by less than this share, or ``cma`` is done."""
        low, high = min(self._energies), max(self._energies)
        return high - low <= tolerance * abs(low) or bool(self._evolution.stop())


def _generation(
    problem: Problem, progress: Progress, active: Tensor, colonies: list[_Colony], free: Tensor
) -> tuple[Float[Tensor, "M n"], Float[Tensor, "T M"]]:
    """Each body's best so far, after every colony has had one more generation."""
    size = colonies[0].size
    bodies = active.repeat_interleave(size)
    vectors = progress.vector[bodies]
    candidates = np.concatenate([colony.candidates() for colony in colonies])
    vectors[:, free] = torch.from_numpy(candidates).to(vectors)
    energies = problem.select(bodies).energies(vectors)
    # Colonies only rank, so that what isn't finite may be any number above the others.
    total = energies.sum(0).double().nan_to_num(nan=1e300, posinf=1e300).unflatten(0, (-1, size))
    for colony, row in zip(colonies, total.tolist(), strict=True):
        colony.select(row)
    least, winner = total.min(1)
    winner = winner + size * torch.arange(len(active), device=active.device)
    better = least < progress.energies[:, active].sum(0)
    return (
        torch.where(better[:, None], vectors[winner], progress.vector[active]),
        torch.where(better, energies[:, winner], progress.energies[:, active]),
    )
