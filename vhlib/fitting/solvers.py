"""Minimising a batch of small nonlinear least-squares problems at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vhlib.body.point_regressor import PointRegressor
from vhlib.fitting.posed_body import PosedBody
from vhlib.fitting.terms import Quadratic, Term


@dataclass(frozen=True, eq=False)
class Problem:
    """``E(x) = sum_t weight_t^2 E_t(x)`` for N bodies, each with its own unknowns x."""

    regressor: PointRegressor
    terms: Sequence[tuple[Term, float]]

    def energy_terms(self, vector: Float[Tensor, "N n"]) -> dict[str, Float[Tensor, " N"]]:
        """The weighted energy of each term by name."""
        body = PosedBody(self.regressor, vector)
        return {term.name: weight**2 * term.energy(body) for term, weight in self.terms}

    def energy(self, vector: Float[Tensor, "N n"]) -> Float[Tensor, " N"]:
        """The sum of all terms."""
        return sum(self.energy_terms(vector).values())

    def quadratic(self, vector: Float[Tensor, "N n"]) -> Quadratic:
        """The sum of all terms' local models."""
        body = PosedBody(self.regressor, vector)
        parts = [(weight**2, term.quadratic(body)) for term, weight in self.terms]
        return Quadratic(*(sum(w * part[i] for w, part in parts) for i in range(3)))

    def select(self, index) -> Problem:
        """The same problem for some of the bodies."""
        terms = [(term.select(index), weight) for term, weight in self.terms]
        return Problem(self.regressor, terms)


@dataclass(frozen=True, eq=False)
class Solution:
    """Where a solver ended.

    vector (N, n); energy (N,); energy_history (iterations + 1, N), constant for a body that has
    stopped; iterations (N,) until each body stopped.
    """

    vector: Tensor
    energy: Tensor
    energy_history: Tensor
    iterations: Tensor


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


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread while the block runs.

    A step is hundreds of products of tiny matrices, too small to share: on an idle machine more
    threads gain little, and on a busy one they wait for each other, fifty times slower in a test.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@torch.no_grad()
@one_thread()
def levenberg_marquardt(
    problem: Problem,
    start: Float[Tensor, "N n"],
    free: Tensor,
    iterations: int,
    tolerance: float = 1e-4,
    damping: Damping = Damping(),
) -> Solution:
    """Solve ``(H + lambda diag H) d = -g`` with a damping of its own for each body.

    A step is taken where it lowers the energy; lambda then shrinks by how well the quadratic model
    foretold the drop, and grows elsewhere [Marquardt 1963; Nielsen 1999]. A body stops when a step
    lowers its energy by less than ``tolerance`` relative, or when lambda reaches its largest value;
    stopped bodies leave the batch.

    Args:
        start: unknowns to begin with; left as it is.
        free: (m,) positions of the unknowns to solve for; the others stay.
    """
    active = torch.arange(len(start), device=start.device)
    state = _State(start, problem.quadratic(start), start.new_full((len(start),), damping.start))
    result, best = start.clone(), state.model.energy.clone()
    history, used = [best.clone()], torch.zeros_like(active)
    for _ in range(iterations):
        if not len(active):
            break
        state, done = _step(problem, state, free, tolerance, damping)
        result[active], best[active] = state.vector, state.model.energy
        used[active] += 1
        history.append(best.clone())
        if done.any():
            keep = (~done).nonzero()[:, 0]
            active, state, problem = active[keep], state.select(keep), problem.select(keep)
    return Solution(result, best, torch.stack(history), used)


@dataclass(frozen=True, eq=False)
class _State:
    vector: Tensor
    model: Quadratic
    damping: Tensor

    def select(self, index: Tensor) -> _State:
        model = Quadratic(*(part[index] for part in self.model))
        return _State(self.vector[index], model, self.damping[index])


def _step(
    problem: Problem, state: _State, free: Tensor, tolerance: float, damping: Damping
) -> tuple[_State, Tensor]:
    """One damped step for each body, kept where it helps; and which bodies are done."""
    energy, gradient, hessian = state.model
    gradient, hessian = gradient[:, free], hessian[:, free[:, None], free]
    diagonal = hessian.diagonal(dim1=-2, dim2=-1)
    # An unknown that no term feels would leave the system singular.
    diagonal = diagonal.clamp(min=damping.floor * diagonal.amax(-1, keepdim=True))
    damped = hessian + torch.diag_embed(state.damping[:, None] * diagonal)
    factor, failed = torch.linalg.cholesky_ex(damped)
    delta = -torch.cholesky_solve(gradient[..., None], factor)[..., 0]
    vector = state.vector.clone()
    vector[:, free] += delta
    model = problem.quadratic(vector)

    better = (model.energy < energy) & (failed == 0) & torch.isfinite(model.energy)
    drop = energy - model.energy
    # What the damped quadratic promised: half of d^T (lambda D d - g).
    promised = (delta * (state.damping[:, None] * diagonal * delta - gradient)).sum(-1) / 2
    gain = drop / promised
    shrink = (1 - (2 * gain - 1) ** 3).clamp(damping.shrink, 1.0)
    factor = torch.where(better, shrink, damping.growth)
    lam = (state.damping * factor).clamp(damping.smallest, damping.largest)
    done = (better & (drop < tolerance * energy)) | (lam >= damping.largest)

    def choose(new: Tensor, old: Tensor) -> Tensor:
        return torch.where(better.view(-1, *(1,) * (new.ndim - 1)), new, old)

    model = Quadratic(*(choose(new, old) for new, old in zip(model, state.model, strict=True)))
    return _State(choose(vector, state.vector), model, lam), done
