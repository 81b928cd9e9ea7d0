"""Seven optimisers: exact on quadratics, honest about what they did, the same for one and many."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import jaxtyping
import numpy as np
import pytest
import torch

from tests.fitting.conftest import make_views
from tests.random_body import random_model
from vhlib.body import SMPL, Keypoints
from vhlib.fitting import load_pose_prior
from vhlib.fitting.energies import Bending, PosePrior, Reprojection, ShapePrior
from vhlib.fitting.posed_body import PosedBody, pack
from vhlib.fitting.solvers import (
    CMAES,
    METHODS,
    Adam,
    Damping,
    Dogleg,
    GaussNewton,
    LevenbergMarquardt,
    Problem,
    StopReason,
    levenberg_marquardt,
    minimize,
)
from vhlib.fitting.solvers.least_squares import _newton_step
from vhlib.fitting.terms import Term

EVERYTHING = torch.arange(85)
ALL_METHODS = tuple(METHODS)
BY_STEPS = ("gauss_newton", "levenberg_marquardt", "dogleg")
# Enough for a handful of unknowns.
ENOUGH = {"powell": 20, "cma_es": 400, "adam": 3000, "lbfgs": 100}


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


class Wall(Term):
    """A pull towards x = 2, which lies behind a wall at x = 1 where all is NaN."""

    name: ClassVar[str] = "wall"

    def residuals(self, body: PosedBody) -> torch.Tensor:
        x = body.vector[:, :1]
        return torch.where(x < 1, x - 2, torch.nan)

    def jacobian(self, body: PosedBody) -> torch.Tensor:
        return torch.eye(85)[:1].expand(len(body.vector), 1, 85)


class Here(Term):
    """As a lesson would write one that is no sum of squares: a person stands at a place."""

    name: ClassVar[str] = "here"

    def energy(self, body: PosedBody) -> torch.Tensor:
        return (body.transl - 1.0).square().sum(-1)


@pytest.fixture(scope="module")
def regressor(small_body):
    return small_body.keypoint_regressor("openpose_25")


@pytest.fixture
def bowl(regressor):
    target = torch.randn(3, 85, generator=torch.Generator().manual_seed(0))
    return Problem(regressor, [(Towards(target), 2.0)]), target


def body_problem(views) -> Problem:
    prior = load_pose_prior().to(views.smpl.v_template)
    terms = [Reprojection(views.camera, views.keypoints), PosePrior(prior), Bending(), ShapePrior()]
    return Problem(views.smpl.keypoint_regressor("openpose_25"), [(term, 1.0) for term in terms])


def near(views, seed: int) -> torch.Tensor:
    truth = pack(views.truth)
    return truth + 0.1 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def six(small_body) -> tuple[Problem, torch.Tensor]:
    """Six bodies in double precision, and starts near them."""
    views = make_views(small_body, count=6, seed=2)
    smpl = SMPL(random_model(num_vertices=800, seed=5)).double()
    keypoints = Keypoints(views.keypoints.xy.double(), views.keypoints.confidence, "openpose_25")
    return body_problem(replace(views, smpl=smpl, keypoints=keypoints)), near(views, 3).double()


@pytest.mark.parametrize("method", ALL_METHODS)
def test_only_free_unknowns_move_and_they_reach_the_bottom(bowl, method):
    problem, target = bowl
    free = torch.tensor([4, 80])
    start = target.clone()
    start[:, free] = 0
    solution = minimize(problem, start, free, method, ENOUGH.get(method, 30), 1e-9)
    torch.testing.assert_close(solution.vector[:, free], target[:, free], rtol=0, atol=1e-3)
    fixed = torch.ones(85, dtype=torch.bool)
    fixed[free] = False
    assert torch.equal(solution.vector[:, fixed], target[:, fixed])
    assert not start[:, free].any()


@pytest.mark.parametrize("method", ALL_METHODS)
def test_a_solution_tells_what_happened(six, method):
    problem, start = six
    free = problem.positions("transl")
    before = start.clone()
    solution = minimize(problem, start, free, method, 2, 0.0)
    count = len(solution.energy_history)
    torch.testing.assert_close(solution.energy, problem.energy(solution.vector), rtol=1e-12, atol=0)
    torch.testing.assert_close(solution.energy_history[0], problem.energy(start))
    torch.testing.assert_close(sum(solution.energy_terms.values()), solution.energy_history)
    assert set(solution.energy_terms) == {"reprojection", "pose_prior", "bending", "shape_prior"}
    assert torch.equal(solution.energy, solution.energy_history.amin(0))
    assert solution.energy_history.shape == (count, 6)
    assert solution.seconds.shape == solution.cpu_seconds.shape == (count - 1,)
    assert (solution.seconds > 0).all()
    assert count == 3
    assert solution.iterations.tolist() == [2] * 6
    assert solution.stopped == (StopReason.ITERATION_LIMIT,) * 6
    assert not solution.vector.requires_grad
    assert torch.equal(start, before)


@pytest.mark.parametrize("method", ALL_METHODS)
def test_a_batch_is_solved_like_its_members(six, method):
    """Bodies that stop leave the batch early; none may disturb another."""
    problem, start = six
    free = problem.positions("transl") if method == "powell" else EVERYTHING
    iterations = {"powell": 1, "lbfgs": 8}.get(method, 15)
    together = minimize(problem, start, free, method, iterations, 1e-2)
    if method in BY_STEPS:
        assert len(set(together.iterations.tolist())) > 1
    for i in range(6):
        one = slice(i, i + 1)
        alone = minimize(problem.select(one), start[one], free, method, iterations, 1e-2)
        torch.testing.assert_close(together.vector[i], alone.vector[0], rtol=0, atol=1e-9)
        torch.testing.assert_close(together.energy[i], alone.energy[0], rtol=1e-9, atol=0)
        assert together.iterations[i] == alone.iterations[0]
        assert together.stopped[i] == alone.stopped[0]
        for kind in ("energy", "gradient", "jacobian"):
            counts = (getattr(s.evaluations, kind) for s in (together, alone))
            assert next(counts)[i] == next(counts)[0]


@pytest.mark.parametrize("method", ALL_METHODS)
def test_the_same_again_and_no_random_state_touched(six, method):
    problem, start = six[0].select(slice(2)), six[1][:2]
    free = problem.positions("transl")
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = (minimize(problem, start, free, method, 2).vector for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch_state, torch.get_rng_state())
    assert np.array_equal(numpy_state, np.random.get_state()[1])  # noqa: NPY002


def test_another_seed_is_another_evolution(six):
    problem, start = six
    first, second = (minimize(problem, start, None, CMAES(seed=s), 3).vector for s in (0, 1))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("method", ALL_METHODS)
def test_an_empty_batch(six, method):
    problem, start = six
    solution = minimize(problem.select(slice(0)), start[:0], None, method, 5)
    assert solution.vector.shape == (0, start.shape[1])
    assert solution.energy.shape == (0,)
    assert solution.energy_history.shape[1] == 0
    assert solution.stopped == ()


@pytest.mark.parametrize("method", ALL_METHODS)
def test_no_iterations(six, method):
    problem, start = six
    solution = minimize(problem, start, None, method, 0)
    assert torch.equal(solution.vector, start)
    assert torch.equal(solution.energy_history, problem.energy(start)[None])
    assert solution.seconds.shape == (0,)
    assert solution.stopped == (StopReason.ITERATION_LIMIT,) * 6


@pytest.mark.parametrize("method", ALL_METHODS)
def test_steps_that_are_not_finite_are_refused(regressor, method):
    """Where the energy is NaN beyond a wall, every solver stays on this side of it."""
    problem = Problem(regressor, [(Wall(), 1.0)])
    solution = minimize(problem, torch.zeros(1, 85), torch.tensor([0]), method, 200)
    assert torch.isfinite(solution.energy_history).all()
    assert 0.5 < solution.vector[0, 0] < 1


def test_adam_says_that_it_left_the_finite(regressor):
    problem = Problem(regressor, [(Wall(), 1.0)])
    solution = minimize(problem, torch.zeros(1, 85), torch.tensor([0]), Adam(step=0.1), 200)
    assert solution.stopped == (StopReason.NOT_FINITE,)


@pytest.mark.parametrize(
    ("method", "what"),
    [(method, "energy") for method in ALL_METHODS]
    + [(method, "gradient") for method in (*BY_STEPS, "lbfgs", "adam")],
)
def test_a_start_that_is_not_finite_is_named(six, method, what):
    class Broken(Term):
        name: ClassVar[str] = "broken"

        def __init__(self, body: torch.Tensor):
            self.body = body

        def energy(self, body: PosedBody) -> torch.Tensor:
            nothing = 0 * body.vector[:, 0]
            if what == "energy":
                return torch.log(nothing + torch.where(self.body == 3, -1.0, 1.0))
            return torch.sqrt(nothing + torch.where(self.body == 3, 0.0, 1.0))

        def select(self, index) -> Broken:
            return Broken(self.body[index])

    problem, start = six
    problem = Problem(problem.regressor, [*problem.terms, (Broken(torch.arange(6)), 1.0)])
    with pytest.raises(ValueError, match=f"{what} of the term 'broken' .* sample 3"):
        minimize(problem, start, None, method, 2)


def test_an_unknown_method_or_block_is_named(bowl):
    problem, target = bowl
    with pytest.raises(ValueError, match=r"no method 'newton': expected one of gauss_newton, "):
        minimize(problem, target, method="newton")
    with pytest.raises(ValueError, match=r"no unknowns pose: expected some of global_orient, "):
        problem.positions("betas", "pose")


def test_something_must_be_free(bowl):
    problem, target = bowl
    with pytest.raises(ValueError, match="nothing is free"):
        minimize(problem, target, torch.arange(0))


def test_one_undamped_step_solves_a_quadratic(bowl):
    problem, target = bowl
    undamped = LevenbergMarquardt(Damping(start=0.0, smallest=0.0))
    for method in (undamped, GaussNewton(), Dogleg(radius=100.0)):
        solution = minimize(problem, torch.zeros(3, 85), None, method, 1)
        torch.testing.assert_close(solution.vector, target, rtol=0, atol=1e-5)


def test_weights_are_squared_in_the_energy(bowl):
    problem, target = bowl
    once = Problem(problem.regressor, [(Towards(target), 1.0)])
    start = torch.zeros(3, 85)
    torch.testing.assert_close(problem.energy(start), 4 * once.energy(start))


def test_terms_of_one_name_all_count(bowl):
    """Such as the views of several cameras."""
    problem, target = bowl
    twice = Problem(problem.regressor, [(Towards(target), 1.0), (Towards(-target), 1.0)])
    start = torch.ones(3, 85)
    named = twice.energy_terms(start)
    assert list(named) == ["towards"]
    torch.testing.assert_close(named["towards"], twice.energy(start))
    assert (twice.energy(start) > problem.energy(start) / 4).all()


@pytest.mark.parametrize("method", BY_STEPS)
def test_energy_never_rises_and_the_keypoints_are_reached(views, method):
    solution = minimize(body_problem(views), near(views, 1), None, method, 60, 1e-6)
    history = solution.energy_history
    assert (history.diff(dim=0) <= 0).all()
    assert torch.equal(history[-1], solution.energy)
    assert (solution.energy < 0.1 * history[0]).all()


@pytest.mark.parametrize("method", [*BY_STEPS, "lbfgs"])
def test_a_solved_body_stays_where_it_is(bowl, method):
    problem, target = bowl
    solution = minimize(problem, target, None, method, 50)
    assert torch.equal(solution.vector, target)
    assert solution.stopped == (StopReason.CONVERGED,) * 3
    assert solution.iterations.max() <= 1


@pytest.mark.parametrize("method", BY_STEPS)
def test_a_wrong_jacobian_is_no_descent(regressor, method):
    class Uphill(Towards):
        def jacobian(self, body: PosedBody) -> torch.Tensor:
            return -super().jacobian(body)

    problem = Problem(regressor, [(Uphill(torch.ones(2, 85)), 1.0)])
    solution = minimize(problem, torch.zeros(2, 85), None, method, 100)
    assert solution.stopped == (StopReason.NO_DESCENT,) * 2
    assert not solution.vector.any()


def test_a_free_focal_length_must_be_asked_for(views):
    """Left out, the unknowns are the body's."""
    problem = body_problem(views)
    start = near(views, 1)
    moved = (minimize(problem, start, None, iterations=2).vector != start).any(0)
    assert moved[problem.positions("betas", "transl", "global_orient")].all()
    assert not moved[problem.positions("focal_length")].any()


@pytest.mark.parametrize("method", ALL_METHODS)
def test_an_energy_that_is_no_sum_of_squares(regressor, method):
    """Written as an energy it is minimised all the same, and its minimum of zero is a rest."""
    problem = Problem(regressor, [(Here(), 3.0)])
    free = problem.positions("transl")
    start = torch.zeros(2, 86)
    start[1, free] = 1.0
    solution = minimize(problem, start, free, method, ENOUGH.get(method, 60), 1e-9)
    torch.testing.assert_close(solution.vector[:, free], torch.ones(2, 3), rtol=0, atol=2e-3)
    assert torch.equal(solution.vector[1], start[1])
    assert solution.energy[1] == 0


def test_an_unknown_that_nothing_feels_stays(regressor):
    """Its row of the Hessian is zero; the others are solved all the same."""
    problem = Problem(regressor, [(Here(), 1.0)])
    for method in BY_STEPS:
        solution = minimize(problem, torch.zeros(2, 85), EVERYTHING, method, 30, 1e-9)
        torch.testing.assert_close(solution.vector[:, 82:], torch.ones(2, 3), rtol=0, atol=1e-3)
        assert not solution.vector[:, :82].any()


def test_adam_is_torch_s(six):
    problem, start = six
    ours = minimize(problem, start, EVERYTHING, Adam(step=0.02, patience=100), 40, 0.0)
    free = start[:, EVERYTHING].clone().requires_grad_()
    optimizer = torch.optim.Adam([free], lr=0.02)
    energies = [problem.energy(start)]
    for _ in range(40):
        vector = torch.cat([free, start[:, 85:]], -1)
        optimizer.zero_grad()
        problem.energy(vector).sum().backward()
        optimizer.step()
        energies.append(problem.energy(torch.cat([free.detach(), start[:, 85:]], -1)))
    torch.testing.assert_close(ours.energy_history, torch.stack(energies), rtol=1e-9, atol=0)


def test_adam_is_done_when_it_has_not_come_lower_for_long(six):
    problem, start = six
    solution = minimize(problem, start, EVERYTHING, Adam(patience=5), 400, 1e-2)
    for body, reason in enumerate(solution.stopped):
        count = int(solution.iterations[body])
        assert reason is StopReason.CONVERGED
        assert (solution.energy_history[count:, body] == solution.energy_history[-1, body]).all()
        low = solution.energy_history[: count - 4, body].amin()
        assert solution.energy[body] >= 0.98 * low


def test_the_dogleg_stays_within_its_radius_and_is_on_the_path(six):
    problem, start = six
    model = problem.quadratic(start)
    model = model._replace(gradient=model.gradient[:, :85], hessian=model.hessian[:, :85, :85])
    newton = _newton_step(model)
    previous = torch.zeros(6)
    for radius in (1e-4, 0.01, 0.1, 0.5, 1.0, 5.0, 1e4):
        step = Dogleg().propose(model, torch.full((6,), radius, dtype=torch.float64))
        length = step.delta.norm(dim=-1)
        expected = newton.norm(dim=-1).clamp(max=radius)
        torch.testing.assert_close(length, expected)
        assert (step.promised > previous).all() or torch.equal(step.delta, newton)
        curved = (step.delta[:, None] @ model.hessian @ step.delta[..., None])[:, 0, 0]
        promised = -(step.delta * model.gradient).sum(-1) - curved / 2
        torch.testing.assert_close(step.promised, promised)
        previous = step.promised


def test_evaluations_are_counted(regressor):
    """As often as the term was really asked, for the body alone."""

    class Counted(Term):
        name: ClassVar[str] = "counted"
        asked: ClassVar[int] = 0

        def residuals(self, body: PosedBody) -> torch.Tensor:
            Counted.asked += 1
            return body.vector[:, :3].exp() - 2

        def jacobian(self, body: PosedBody) -> torch.Tensor:
            return torch.eye(85)[:3] * body.vector.exp()[:, None]

    problem = Problem(regressor, [(Counted(), 1.0)])
    for method in ALL_METHODS:
        Counted.asked = 0
        solution = minimize(problem, torch.zeros(1, 85), torch.arange(3), method, 4)
        counts = solution.evaluations
        total = int(counts.energy + counts.gradient + counts.jacobian)
        if method == "cma_es":  # a generation of seven is asked at once
            assert (Counted.asked, total) == (1 + 4, 1 + 4 * 7)
        else:  # Powell's history may ask once more an iteration
            extra = 4 if method == "powell" else 0
            assert total <= Counted.asked <= total + extra, method


def test_the_number_of_threads_is_as_it_was(bowl):
    problem, _ = bowl
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        levenberg_marquardt(problem, torch.zeros(3, 85), EVERYTHING, 2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


class TestWhatMinimizeRefuses:
    @pytest.mark.parametrize(
        ("start", "message"),
        [
            (torch.zeros(86), r"start is \(86,\)"),
            (torch.zeros(2, 80), r"start is \(2, 80\) .*expected \(N, 86\)"),
            (torch.zeros(2, 86).double(), "of torch.float64, expected"),
        ],
    )
    def test_a_start_that_does_not_fit(self, regressor, monkeypatch, start, message):
        monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as outside of tests
        with pytest.raises(ValueError, match=message):
            minimize(Problem(regressor, [(Here(), 1.0)]), start)

    @pytest.mark.parametrize("free", [torch.tensor([-1]), torch.tensor([90]), torch.tensor([0.5])])
    def test_positions_that_there_are_not(self, regressor, free):
        with pytest.raises(ValueError, match="positions from 0 to 85"):
            minimize(Problem(regressor, [(Here(), 1.0)]), torch.zeros(2, 86), free)

    def test_a_problem_without_terms(self, regressor):
        with pytest.raises(ValueError, match="no terms"):
            minimize(Problem(regressor, []), torch.zeros(2, 86))


@pytest.mark.parametrize("method", ALL_METHODS)
def test_a_mask_names_what_is_free(regressor, method):
    problem = Problem(regressor, [(Here(), 1.0)])
    positions = problem.positions("transl")
    mask = torch.zeros(86, dtype=torch.bool)
    mask[positions] = True
    a, b = (minimize(problem, torch.zeros(2, 86), free, method, 5) for free in (mask, positions))
    assert torch.equal(a.vector, b.vector)
