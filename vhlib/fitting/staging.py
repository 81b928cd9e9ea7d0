"""Running a schedule: candidates of each body through its stages, the best of them at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from vhlib.fitting.posed_body import PosedBody
from vhlib.fitting.schedules import Stage
from vhlib.fitting.solvers import Problem, levenberg_marquardt
from vhlib.fitting.starts import View
from vhlib.fitting.terms import Term
from vhlib.geometry import PerspectiveCamera


@dataclass(frozen=True, eq=False)
class StageRecord:
    """What one stage did: the energy after each step (steps + 1, N), and each body's steps (N,)."""

    name: str
    energy: Tensor
    iterations: Tensor


@dataclass(frozen=True, eq=False)
class Staged:
    """Where a schedule ended.

    vector (N, n): the best candidate of each body. problem: the last stage's, for N bodies.
    history: one record a stage, of those candidates.
    """

    vector: Tensor
    problem: Problem
    history: Sequence[StageRecord]


def run_stages(
    terms: Sequence[Term],
    schedule: Sequence[Stage],
    candidates: Float[Tensor, "S N n"],
    view: View,
) -> Staged:
    """Minimise the terms stage by stage, starting from S candidates for each of N bodies.

    Terms of one name share a weight.

    Raises:
        ValueError: the schedule is empty, or frees or weighs what there isn't.
    """
    check_schedule(schedule, terms, PosedBody(view.regressor, candidates[0]).slices)
    check_residuals(terms, PosedBody(view.regressor, candidates[0, :1]))
    history: list[StageRecord] = []
    for position, stage in enumerate(schedule):
        for prepare in stage.prepare:
            candidates = prepare(candidates, view)
        problem = stage_problem(terms, stage, view)
        if stage.remeasure:
            terms = _remeasured(terms, problem, candidates)
            problem = stage_problem(terms, stage, view)
        candidates, record = _run_stage(problem, stage, candidates)
        history = [*_descended(history, len(candidates)), record]
        if stage.best_by or position == len(schedule) - 1:
            best = _best(problem, stage.best_by, candidates)
            candidates, history = _choose(candidates, best), _chosen_records(history, best)
    history = [StageRecord(r.name, r.energy[:, 0], r.iterations[0]) for r in history]
    return Staged(candidates[0], problem, history)


def as_freed(
    camera: PerspectiveCamera, schedule: Sequence[Stage], focal_factor: Tensor
) -> PerspectiveCamera:
    """The camera that was found: as given, its lens times the factor if a stage frees that."""
    if not any("focal_length" in stage.free for stage in schedule):
        return camera
    return replace(camera, focal_length=camera.focal_length.to(focal_factor) * focal_factor)


def joined(own: Sequence[Term], extra: Sequence[Term]) -> list[Term]:
    """All terms; an extra one takes the place of those of its name."""
    replaced = {term.name for term in extra}
    return [*(term for term in own if term.name not in replaced), *extra]


def stage_problem(terms: Sequence[Term], stage: Stage, view: View) -> Problem:
    """The energy that the stage minimises, for N bodies."""
    weighted = [
        (_staged(term, stage), stage.weights[term.name])
        for term in terms
        if term.name in stage.weights
    ]
    return Problem(view.regressor, weighted)


def check_schedule(
    schedule: Sequence[Stage], terms: Sequence[Term], slices: dict[str, slice]
) -> None:
    """Raises ValueError, one line, if the stages can't be run with these terms and unknowns."""
    if not schedule:
        raise ValueError("the schedule is empty, expected at least one Stage")
    names = list(dict.fromkeys(term.name for term in terms))
    for stage in schedule:
        blocks = [block for block in stage.free if block not in slices]
        if blocks:
            raise ValueError(
                f"stage {stage.name!r} frees {', '.join(blocks)}, the unknowns are "
                f"{', '.join(slices)}"
            )
        if not stage.free:
            raise ValueError(
                f"stage {stage.name!r} frees nothing: name some of {', '.join(slices)}"
            )
        unknown = [name for name in stage.weights if name not in (*names, *stage.optional)]
        if unknown:
            raise ValueError(
                f"stage {stage.name!r} weighs {', '.join(unknown)}, the terms are "
                f"{', '.join(names)}"
            )
        if not set(stage.weights) & set(names):
            raise ValueError(
                f"stage {stage.name!r} weighs no term that there is: name some of "
                f"{', '.join(names)}"
            )


def check_residuals(terms: Sequence[Term], first: PosedBody) -> None:
    """Raises ValueError, one line, if a term gives anything but a row for the first body."""
    for term in terms if len(first.vector) else ():
        residuals = term.select(torch.tensor([0])).residuals(first)
        if residuals.ndim != 2 or len(residuals) != 1 or residuals.dtype != first.vector.dtype:
            raise ValueError(
                f"the term {term.name!r} gave residuals {tuple(residuals.shape)} of "
                f"{residuals.dtype} for one body, expected (1, m) of {first.vector.dtype}: a row "
                "for each body; a term that holds something for each person chooses it in "
                "select(index)"
            )


def _staged(term: Term, stage: Stage) -> Term:
    """The term as the stage wants it."""
    if stage.keypoints is not None:
        term = term.with_keypoints(stage.keypoints)
    return term.with_robust(stage.robust)


def _run_stage(
    problem: Problem, stage: Stage, candidates: Float[Tensor, "S N n"]
) -> tuple[Float[Tensor, "S N n"], StageRecord]:
    """All candidates of all bodies in one batch; the record keeps the axis of candidates."""
    slices = PosedBody(problem.regressor, candidates[0]).slices
    free = torch.cat([torch.arange(s.start, s.stop) for s in map(slices.get, stage.free)])
    shape = candidates.shape[:2]
    solution = levenberg_marquardt(
        _repeated(problem, shape), candidates.flatten(0, 1), free, stage.iterations, stage.tolerance
    )
    energy = solution.energy_history.unflatten(1, shape)
    record = StageRecord(stage.name, energy, solution.iterations.view(shape))
    return solution.vector.view(candidates.shape), record


def _repeated(problem: Problem, shape: torch.Size) -> Problem:
    """The problem of N bodies for S candidates of each."""
    candidates, bodies = shape
    return problem if candidates == 1 else problem.select(torch.arange(bodies).repeat(candidates))


def _best(problem: Problem, by: Sequence[str], candidates: Tensor) -> Tensor:
    """(N,) which candidate has the least energy, in the terms named or in all."""
    shape = candidates.shape[:2]
    if shape[0] == 1:
        return torch.zeros(shape[1], dtype=torch.long)
    energies = _repeated(problem, shape).energy_terms(candidates.flatten(0, 1))
    energy = sum(energies[name] for name in by or energies)
    return energy.view(shape).argmin(0)


def _remeasured(terms: Sequence[Term], problem: Problem, candidates: Tensor) -> list[Term]:
    """The terms with people's sizes as their best candidates have them."""
    best = _choose(candidates, _best(problem, (), candidates))[0]
    body = PosedBody(problem.regressor, best)
    return [term.remeasured(body) for term in terms]


def _choose(candidates: Float[Tensor, "S N n"], best: Tensor) -> Float[Tensor, "1 N n"]:
    """One candidate for each body."""
    return candidates[best, torch.arange(candidates.shape[1])][None]


def _chosen_records(history: Sequence[StageRecord], best: Tensor) -> list[StageRecord]:
    """The chosen candidates' part of the records."""
    bodies = torch.arange(len(best))
    return [
        StageRecord(r.name, r.energy[:, best, bodies][:, None], r.iterations[best, bodies][None])
        for r in history
    ]


def _descended(history: Sequence[StageRecord], count: int) -> list[StageRecord]:
    """The records for ``count`` candidates; a new candidate has its forebear's."""
    records = []
    for r in history:
        times = count // len(r.iterations)
        records.append(
            StageRecord(r.name, r.energy.repeat(1, times, 1), r.iterations.repeat(times, 1))
        )
    return records
