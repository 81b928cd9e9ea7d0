"""Every optimiser behind one call."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor

from vhlib.fitting.solvers.adam import Adam
from vhlib.fitting.solvers.cma_es import CMAES
from vhlib.fitting.solvers.least_squares import Damping, Dogleg, GaussNewton, LevenbergMarquardt
from vhlib.fitting.solvers.method import Limits, Method
from vhlib.fitting.solvers.one_by_one import LBFGS, Powell
from vhlib.fitting.solvers.placement import Placement
from vhlib.fitting.solvers.problem import Problem
from vhlib.fitting.solvers.progress import Progress
from vhlib.fitting.solvers.solution import Evaluations, Solution
from vhlib.fitting.solvers.threads import one_thread

METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "gauss_newton": GaussNewton(),
        "levenberg_marquardt": LevenbergMarquardt(),
        "dogleg": Dogleg(),
        "lbfgs": LBFGS(),
        "adam": Adam(),
        "powell": Powell(),
        "cma_es": CMAES(),
    }
)
"""Every method as it is when nothing is said about it."""


@torch.no_grad()
@one_thread()
def minimize(
    problem: Problem,
    start: Float[Tensor, "N n"],
    free: Tensor | None = None,
    method: Method | str = "levenberg_marquardt",
    iterations: int = 100,
    tolerance: float = 1e-4,
) -> Solution:
    """Minimise the energy of each body from its start.

    Where only their place is free, bodies are rigid points: the same energy in less time.

        free = problem.positions("body_pose", "betas")
        solution = minimize(problem, start, free, Adam(step=0.02), iterations=200)

    Args:
        start: unknowns to begin with; left as it is.
        free: (m,) positions of the unknowns to solve for, see ``Problem.positions``, or a mask of
            all of them; the others stay. Left out, all of the body's: all but the focal length,
            which is the camera's.
        method: one of ``METHODS`` by name, or one with options of your own; what an iteration is,
            it says itself.
        iterations: at most so many.
        tolerance: a body is done when an iteration lowers its energy by less than this share.

    Raises:
        ValueError: an unknown method, a problem without terms, a start or positions that don't fit
            it, nothing that is free, or an energy or gradient that isn't finite at the start; it
            names the term and the sample.
    """
    method = _named(method) if isinstance(method, str) else method
    free = _positions(problem, start, free)
    if not len(start):
        return _of_nobody(problem, start)
    limits = Limits(iterations, tolerance)
    placement = Placement.of(problem, start, free)
    if placement is None:
        return method(problem, start, free, limits)
    return placement.complete(method(placement.problem, placement.start, placement.free, limits))


def _positions(problem: Problem, start: Tensor, free: Tensor | None) -> Tensor:
    """Positions of what is free, once problem and start are known to fit each other."""
    if not problem.terms:
        raise ValueError("the problem has no terms: there is nothing to minimise")
    full, dtype = problem.size, problem.regressor.joint_shapedirs.dtype
    # The last unknown is the camera's; where no term asks for it a vector may do without.
    if start.ndim != 2 or start.shape[-1] not in (full - 1, full) or start.dtype != dtype:
        raise ValueError(
            f"start is {tuple(start.shape)} of {start.dtype}, expected (N, {full}) of {dtype}"
        )
    size = start.shape[-1]
    if free is None:
        return problem.positions("global_orient", "body_pose", "betas", "transl")
    free = torch.as_tensor(free, device=start.device)
    if free.dtype == torch.bool and free.shape == (size,):
        free = free.nonzero()[:, 0]
    if not free.numel():
        raise ValueError("nothing is free: expected at least one position in the vector")
    if free.ndim != 1 or free.dtype.is_floating_point or free.min() < 0 or free.max() >= size:
        raise ValueError(f"free must be a list of positions from 0 to {size - 1}, found {free}")
    return free


def _named(name: str) -> Method:
    if name not in METHODS:
        raise ValueError(f"no method {name!r}: expected one of {', '.join(METHODS)}")
    return METHODS[name]


def _of_nobody(problem: Problem, start: Tensor) -> Solution:
    """The solution for an empty batch, which no term need know of."""
    nobody = Progress(problem, start, start.new_zeros(len(problem.terms), 0))
    return nobody.solution(start.clone(), Evaluations.only(energy=nobody.iterations))


def levenberg_marquardt(
    problem: Problem,
    start: Float[Tensor, "N n"],
    free: Tensor,
    iterations: int,
    tolerance: float = 1e-4,
    damping: Damping | None = None,
) -> Solution:
    """``minimize`` by Levenberg-Marquardt."""
    method = LevenbergMarquardt(damping or Damping())
    return minimize(problem, start, free, method, iterations, tolerance)
