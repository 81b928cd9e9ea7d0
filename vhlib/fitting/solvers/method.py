"""What ``minimize`` asks of a method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from vhlib.fitting.solvers.problem import Problem
from vhlib.fitting.solvers.solution import Solution


@dataclass(frozen=True)
class Limits:
    """When a solver gives up.

    iterations: at most so many. tolerance: a body is done when an iteration lowers its energy by
    less than this share.
    """

    iterations: int
    tolerance: float


class Method(ABC):
    """An optimiser with its options."""

    @abstractmethod
    def __call__(
        self,
        problem: Problem,
        start: Float[Tensor, "N n"],
        free: Int[Tensor, " m"],
        limits: Limits,
    ) -> Solution:
        """Minimise over the free unknowns; ``start`` is left as it is."""
