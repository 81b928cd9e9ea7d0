"""Minimising the energies of a batch of bodies, by any of seven methods."""

from vhlib.fitting.solvers.adam import Adam
from vhlib.fitting.solvers.cma_es import CMAES
from vhlib.fitting.solvers.least_squares import Damping, Dogleg, GaussNewton, LevenbergMarquardt
from vhlib.fitting.solvers.method import Method
from vhlib.fitting.solvers.minimize import METHODS, levenberg_marquardt, minimize
from vhlib.fitting.solvers.one_by_one import LBFGS, Powell
from vhlib.fitting.solvers.problem import Problem
from vhlib.fitting.solvers.solution import Evaluations, Solution, StopReason
from vhlib.fitting.solvers.threads import one_thread

__all__ = [
    "CMAES",
    "LBFGS",
    "METHODS",
    "Adam",
    "Damping",
    "Dogleg",
    "Evaluations",
    "GaussNewton",
    "LevenbergMarquardt",
    "Method",
    "Powell",
    "Problem",
    "Solution",
    "StopReason",
    "levenberg_marquardt",
    "minimize",
    "one_thread",
]
