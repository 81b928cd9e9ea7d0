"""Levenberg-Marquardt for a whole clip: a banded system with a border, one damping for all."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vhlib.fitting.clip_problem import Band, ClipModel, ClipProblem
from vhlib.fitting.solvers import Damping, one_thread

DEFAULT_DAMPING = Damping()


@dataclass(frozen=True, eq=False)
class ClipSolution:
    """Where a clip ended: vector (T, n), energy_history (steps + 1, T) of each frame."""

    vector: Tensor
    energy_history: Tensor


@torch.no_grad()
@one_thread()
def minimize_clip(
    problem: ClipProblem,
    start: Float[Tensor, "T n"],
    iterations: int,
    tolerance: float = 1e-4,
    damping: Damping = DEFAULT_DAMPING,
) -> ClipSolution:
    """Minimise the energy of all frames together, as ``levenberg_marquardt`` does that of each.

    The sum over the frames decides whether a step is taken, so that of single frames may rise.

    Args:
        start: bodies to begin with, of one shape; left as it is.

    Raises ValueError naming the term and the frame that isn't finite at the start.
    """
    vector, model, lam = start, problem.model(start), damping.start
    problem.require_finite(start, model)
    history = [model.energy]
    for _ in range(iterations):
        frames, shared, promised = damped_step(model, lam, damping.floor)
        candidate = vector.clone()
        candidate[:, problem.free] += frames.to(vector)
        candidate[:, problem.shared] += shared.to(vector)
        proposed = problem.model(candidate)
        drop = float((model.energy - proposed.energy).sum())
        if drop > 0:
            gain = drop / promised
            lam = max(lam * min(max(1 - (2 * gain - 1) ** 3, damping.shrink), 1), damping.smallest)
            done = drop < tolerance * float(model.energy.sum())
            vector, model = candidate, proposed
        else:
            lam *= damping.growth
            done = lam > damping.largest
        history.append(model.energy)
        if done:
            break
    return ClipSolution(vector, torch.stack(history))


def damped_step(
    model: ClipModel, lam: float, floor: float
) -> tuple[Float[Tensor, "T F"], Float[Tensor, " S"], float]:
    """The steps of the frames and of what they share, and the drop that the model promises."""
    by_frame, by_shared, border = model.by_frame, model.by_shared, model.border
    diagonal, band = _damped(model.band, lam, floor)
    solved = solve_banded(band, torch.cat([-by_frame[..., None], border], -1))
    alone, coupled = solved[..., 0], solved[..., 1:]
    corner_diagonal = _floored(model.corner.diagonal(), floor)
    corner = model.corner + lam * torch.diag(corner_diagonal)
    schur = corner - torch.einsum("tfs,tfr->sr", border, coupled)
    right = -by_shared - torch.einsum("tfs,tf->s", border, alone)
    shared = torch.linalg.solve(schur, right)
    frames = alone - coupled @ shared
    # Half of d^T (lambda D d - g).
    promised = (frames * (lam * diagonal * frames - by_frame)).sum()
    promised = promised + (shared * (lam * corner_diagonal * shared - by_shared)).sum()
    return frames, shared, float(promised) / 2


def _damped(band: Band, lam: float, floor: float) -> tuple[Float[Tensor, "T F"], Band]:
    """The diagonal that is damped, and the band with it added."""
    diagonal = _floored(band.diagonal.diagonal(dim1=-2, dim2=-1), floor)
    return diagonal, band._replace(diagonal=band.diagonal + torch.diag_embed(lam * diagonal))


def _floored(diagonal: Float[Tensor, "*T F"], floor: float) -> Float[Tensor, "*T F"]:
    """At least a share of the largest, since what no term feels would leave the system singular."""
    if not diagonal.numel():
        return diagonal
    largest = diagonal.amax(-1, keepdim=True)
    return diagonal.clamp(min=floor * torch.where(largest > 0, largest, 1.0))


def solve_banded(band: Band, right: Float[Tensor, "T F R"]) -> Float[Tensor, "T F R"]:
    """Solve ``A x = right`` for a positive definite band, by block Cholesky ``A = L L^T``.

    Raises torch.linalg.LinAlgError if the band isn't positive definite.
    """
    lower: list[tuple[Tensor, ...]] = []
    solved: list[Tensor] = []
    for t in range(len(right)):
        block, rest, below = band.diagonal[t], right[t], ()
        if t > 1:
            second = torch.linalg.solve_triangular(lower[t - 2][0], band.second[t - 2], upper=False)
            block, rest = block - second.mT @ second, rest - second.mT @ solved[t - 2]
        if t > 0:
            above = band.first[t - 1]
            if t > 1:
                above = above - lower[t - 1][1] @ second
            first = torch.linalg.solve_triangular(lower[t - 1][0], above, upper=False)
            block, rest = block - first.mT @ first, rest - first.mT @ solved[t - 1]
            below = (first.mT,) if t == 1 else (first.mT, second.mT)
        factor = torch.linalg.cholesky(block)
        lower.append((factor, *below))
        solved.append(torch.linalg.solve_triangular(factor, rest, upper=False))
    return _back_substituted(lower, solved)


def _back_substituted(lower: list[tuple[Tensor, ...]], solved: list[Tensor]) -> Tensor:
    """``L^T x = y``; row t of L is (L_tt, L_t,t-1, L_t,t-2)."""
    result = list(solved)
    for t in reversed(range(len(solved))):
        rest = solved[t]
        for k in (1, 2):
            if t + k < len(solved):
                rest = rest - lower[t + k][k].mT @ result[t + k]
        result[t] = torch.linalg.solve_triangular(lower[t][0].mT, rest, upper=True)
    return torch.stack(result)
