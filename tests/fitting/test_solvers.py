"""Levenberg-Marquardt: exact on quadratics, monotone on bodies, the same for one and for many."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import pytest
import torch

from tests.fitting.conftest import make_views
from tests.random_body import random_model
from vhlib.body import SMPL, Keypoints
from vhlib.fitting.energies import Bending, Reprojection, ShapePrior
from vhlib.fitting.posed_body import PosedBody, pack
from vhlib.fitting.solvers import Damping, Problem, levenberg_marquardt
from vhlib.fitting.terms import Term

EVERYTHING = torch.arange(85)


class Towards(Term):
    """A quadratic bowl with a known minimum."""

    name: ClassVar[str] = "towards"

    def __init__(self, target: torch.Tensor):
        self.target = target

    def residuals(self, body: PosedBody) -> torch.Tensor:
        return (body.vector - self.target) * torch.arange(1.0, 86.0)

    def jacobian(self, body: PosedBody) -> torch.Tensor:
        return torch.diag(torch.arange(1.0, 86.0)).expand(len(body.vector), 85, 85)

    def select(self, index) -> Towards:
        return Towards(self.target[index])


@pytest.fixture
def bowl(small_body):
    target = torch.randn(3, 85, generator=torch.Generator().manual_seed(0))
    return Problem(small_body.keypoint_regressor("openpose_25"), [(Towards(target), 2.0)]), target


def test_one_undamped_step_solves_a_quadratic(bowl):
    problem, target = bowl
    undamped = Damping(start=0.0, smallest=0.0)
    solution = levenberg_marquardt(problem, torch.zeros(3, 85), EVERYTHING, 1, damping=undamped)
    torch.testing.assert_close(solution.vector, target, rtol=0, atol=1e-5)


def test_weights_are_squared_in_the_energy(bowl):
    problem, target = bowl
    once = Problem(problem.regressor, [(Towards(target), 1.0)])
    start = torch.zeros(3, 85)
    torch.testing.assert_close(problem.energy(start), 4 * once.energy(start))


def test_only_free_unknowns_move(bowl):
    problem, target = bowl
    free = torch.tensor([4, 80])
    start = target.clone()
    start[:, free] = 0
    solution = levenberg_marquardt(problem, start, free, 30, 1e-9)
    torch.testing.assert_close(solution.vector[:, free], target[:, free], rtol=0, atol=1e-3)
    fixed = torch.ones(85, dtype=torch.bool)
    fixed[free] = False
    assert torch.equal(solution.vector[:, fixed], target[:, fixed])
    assert not start[:, free].any()


def body_problem(views) -> Problem:
    terms = [(Reprojection(views.camera, views.keypoints), 1.0), (Bending(), 1.0)]
    terms.append((ShapePrior(), 1.0))
    return Problem(views.smpl.keypoint_regressor("openpose_25"), terms)


def near(views, seed: int) -> torch.Tensor:
    truth = pack(views.truth)
    return truth + 0.1 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(seed))


def test_energy_never_rises_and_the_keypoints_are_reached(views):
    solution = levenberg_marquardt(body_problem(views), near(views, 1), EVERYTHING, 60, 1e-6)
    history = solution.energy_history
    assert (history.diff(dim=0) <= 0).all()
    assert torch.equal(history[-1], solution.energy)
    assert (solution.energy < 0.1 * history[0]).all()


def test_a_batch_is_solved_like_its_members(small_body):
    """Bodies that stop leave the batch early; none may disturb another."""
    views = make_views(small_body, count=6, seed=2)
    smpl = SMPL(random_model(num_vertices=800, seed=5)).double()
    start = near(views, 3).double()
    keypoints = Keypoints(views.keypoints.xy.double(), views.keypoints.confidence, "openpose_25")
    problem = body_problem(replace(views, smpl=smpl, keypoints=keypoints))
    together = levenberg_marquardt(problem, start, EVERYTHING, 15, 1e-2)
    assert len(set(together.iterations.tolist())) > 1
    for i in range(6):
        alone = levenberg_marquardt(
            problem.select(slice(i, i + 1)), start[i : i + 1], EVERYTHING, 15, 1e-2
        )
        torch.testing.assert_close(together.vector[i], alone.vector[0], rtol=0, atol=1e-9)
        assert together.iterations[i] == alone.iterations[0]


def test_a_solved_body_stays_where_it_is(bowl):
    problem, target = bowl
    solution = levenberg_marquardt(problem, target, EVERYTHING, 50)
    assert torch.equal(solution.vector, target)


def test_nan_steps_are_refused(small_body):
    """Where the energy is NaN beyond a wall, the solver stays on this side of it."""

    class Wall(Term):
        name: ClassVar[str] = "wall"

        def residuals(self, body: PosedBody) -> torch.Tensor:
            x = body.vector[:, :1]
            return torch.where(x < 1, x - 2, torch.nan)

        def jacobian(self, body: PosedBody) -> torch.Tensor:
            return torch.eye(85)[:1].expand(len(body.vector), 1, 85)

    problem = Problem(small_body.keypoint_regressor("openpose_25"), [(Wall(), 1.0)])
    solution = levenberg_marquardt(problem, torch.zeros(1, 85), torch.tensor([0]), 100)
    assert torch.isfinite(solution.energy).all()
    assert 0.5 < solution.vector[0, 0] < 1


def test_an_unknown_that_nothing_feels_stays(small_body):
    """Its row of the Hessian is zero; the others are solved all the same."""

    class OnlyTranslation(Term):
        name: ClassVar[str] = "only_translation"

        def residuals(self, body: PosedBody) -> torch.Tensor:
            return body.transl - 1.0

    regressor = small_body.keypoint_regressor("openpose_25")
    problem = Problem(regressor, [(OnlyTranslation(), 1.0)])
    solution = levenberg_marquardt(problem, torch.zeros(2, 85), EVERYTHING, 30, 1e-9)
    torch.testing.assert_close(solution.vector[:, 82:], torch.ones(2, 3), rtol=0, atol=1e-3)
    assert not solution.vector[:, :82].any()


def test_the_number_of_threads_is_as_it_was(bowl):
    problem, _ = bowl
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        levenberg_marquardt(problem, torch.zeros(3, 85), EVERYTHING, 2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
