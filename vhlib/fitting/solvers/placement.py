"""Where only its place is free, a body is a rigid set of points: seven unknowns instead of 86."""

from __future__ import annotations

from dataclasses import dataclass, replace

from jaxtyping import Float, Int
from torch import Tensor

from vhlib.fitting.posed_body import PosedBody
from vhlib.fitting.rigid_points import RigidPoints
from vhlib.fitting.solvers.problem import Problem
from vhlib.fitting.solvers.solution import Solution

PLACEMENT = ("global_orient", "transl", "focal_length")


@dataclass(frozen=True, eq=False)
class Placement:
    """The same minimisation with only the unknowns of PLACEMENT in the vector.

    whole: the start with all unknowns (N, n); columns: which of those stand in ``start``.
    """

    problem: Problem
    start: Float[Tensor, "N m"]
    free: Int[Tensor, " k"]
    whole: Float[Tensor, "N n"]
    columns: Int[Tensor, " m"]

    @classmethod
    def of(cls, problem: Problem, start: Tensor, free: Tensor) -> Placement | None:
        """None if other unknowns are free, or if a term looks at more than points and place."""
        columns = problem.positions(*PLACEMENT)
        columns = columns[columns < start.shape[1]].to(free.device)
        place = free[:, None] == columns
        if not place.any(1).all() or any(term.looks_at_pose for term, _ in problem.terms):
            return None
        rigid = Problem(_as_they_stand(PosedBody(problem.regressor, start)), problem.terms)
        return cls(rigid, start[:, columns], place.nonzero()[:, 1], start, columns)

    def complete(self, solution: Solution) -> Solution:
        """The solution with all unknowns."""
        vector = self.whole.clone()
        vector[:, self.columns] = solution.vector
        return replace(solution, vector=vector)


def _as_they_stand(body: PosedBody) -> RigidPoints:
    """The body's points by their place in the root's axes."""
    regressor, betas = body.regressor, body.betas
    root = regressor.joint_template[0] + betas @ regressor.joint_shapedirs[0].T
    points = body.points - (body.transl + root)[:, None]
    return RigidPoints(points @ body.rotations[:, 0], root)
