"""What every solver returns: where it ended, what it cost, and why it stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import torch
from jaxtyping import Float, Int
from torch import Tensor


class StopReason(Enum):
    """Why a body's minimisation ended."""

    CONVERGED = "an iteration lowered its energy by less than the tolerance, or saw no more to do"
    ITERATION_LIMIT = "it used all its iterations"
    NO_DESCENT = "not even the shortest step lowered its energy"
    NOT_FINITE = "its energy or gradient became infinite or NaN; the best before that was kept"


@dataclass(frozen=True, eq=False)
class Evaluations:
    """How often the energy was evaluated for each body, (N,) each.

    energy: alone; gradient: with its gradient; jacobian: with the Jacobian of its residuals. No
    evaluation is counted twice.
    """

    energy: Int[Tensor, " N"]
    gradient: Int[Tensor, " N"]
    jacobian: Int[Tensor, " N"]

    @classmethod
    def only(cls, **counts: Int[Tensor, " N"]) -> Evaluations:
        """Of one or two kinds, none of the others."""
        none = torch.zeros_like(next(iter(counts.values())))
        return cls(**{"energy": none, "gradient": none, "jacobian": none} | counts)


@dataclass(frozen=True, eq=False)
class Solution:
    """Where a solver ended, and how it got there.

    vector (N, n) where each body's energy was least, energy (N,) that least. energy_history
    (iterations + 1, N) and energy_terms, name -> (iterations + 1, N): at the start and after each
    iteration, constant for a body that has stopped. iterations (N,) until each body stopped,
    stopped: N reasons. seconds and cpu_seconds (iterations,) of the whole batch; a solver that
    takes one body after the other adds up their n-th iterations.
    """

    vector: Float[Tensor, "N n"]
    energy: Float[Tensor, " N"]
    energy_history: Float[Tensor, "I N"]
    energy_terms: Mapping[str, Float[Tensor, "I N"]]
    iterations: Int[Tensor, " N"]
    stopped: tuple[StopReason, ...]
    evaluations: Evaluations
    seconds: Float[Tensor, " I2"]
    cpu_seconds: Float[Tensor, " I2"]

    @classmethod
    def of_bodies(cls, bodies: Sequence[Solution]) -> Solution:
        """One solution of bodies that were solved one after the other, at least one."""
        length = max(len(body.energy_history) for body in bodies)
        names = bodies[0].energy_terms

        def histories(each: Sequence[Tensor]) -> Tensor:
            return torch.cat([_stretched(history, length) for history in each], 1)

        return cls(
            vector=torch.cat([body.vector for body in bodies]),
            energy=torch.cat([body.energy for body in bodies]),
            energy_history=histories([body.energy_history for body in bodies]),
            energy_terms={
                name: histories([body.energy_terms[name] for body in bodies]) for name in names
            },
            iterations=torch.cat([body.iterations for body in bodies]),
            stopped=tuple(reason for body in bodies for reason in body.stopped),
            evaluations=Evaluations(
                *(
                    torch.cat([getattr(body.evaluations, kind) for body in bodies])
                    for kind in ("energy", "gradient", "jacobian")
                )
            ),
            seconds=_summed([body.seconds for body in bodies], length - 1),
            cpu_seconds=_summed([body.cpu_seconds for body in bodies], length - 1),
        )


def _stretched(history: Tensor, length: int) -> Tensor:
    """The last row repeated until there are ``length``."""
    return torch.cat([history, history[-1:].expand(length - len(history), -1)])


def _summed(rows: Sequence[Tensor], length: int) -> Tensor:
    total = rows[0].new_zeros(length)
    for row in rows:
        total[: len(row)] += row
    return total
