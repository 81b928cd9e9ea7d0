"""A body of which only the place is free, as rigid points: the same, but not for every term."""

from __future__ import annotations

import pytest
import torch

from tests.fitting.conftest import make_views
from tests.random_body import random_model
from vhlib.body import SMPL, Keypoints
from vhlib.fitting.energies import Reprojection, ShapePrior
from vhlib.fitting.posed_body import PosedBody, pack
from vhlib.fitting.rigid_points import RigidPoints
from vhlib.fitting.solvers import LevenbergMarquardt, Problem, minimize
from vhlib.fitting.solvers.method import Limits
from vhlib.fitting.solvers.placement import PLACEMENT, Placement


@pytest.fixture(scope="module")
def problem(small_body) -> Problem:
    """Three views in double precision, of a camera that stands elsewhere."""
    views = make_views(small_body, count=3, seed=4)
    smpl = SMPL(random_model(num_vertices=800, seed=5)).double()
    keypoints = Keypoints(views.keypoints.xy.double(), views.keypoints.confidence, "openpose_25")
    reprojection = Reprojection(views.camera.to(torch.float64), keypoints)
    return Problem(smpl.keypoint_regressor("openpose_25"), [(reprojection, 1.0)])


@pytest.fixture(scope="module")
def start(small_body) -> torch.Tensor:
    truth = pack(make_views(small_body, count=3, seed=4).truth).double()
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    return truth + 0.1 * noise.double()


@pytest.mark.parametrize("blocks", [PLACEMENT, PLACEMENT[:2], PLACEMENT[1:2]])
def test_the_rigid_problem_is_the_same_problem(problem, start, blocks):
    free = problem.positions(*blocks)
    placement = Placement.of(problem, start, free)
    rigid, whole = placement.problem.quadratic(placement.start), problem.quadratic(start)
    torch.testing.assert_close(rigid.energies, whole.energies, rtol=1e-12, atol=0)
    some = placement.free
    torch.testing.assert_close(rigid.gradient[:, some], whole.gradient[:, free])
    torch.testing.assert_close(
        rigid.hessian[:, some[:, None], some], whole.hessian[:, free[:, None], free]
    )


@pytest.mark.parametrize("method", ["levenberg_marquardt", "lbfgs"])
def test_minimise_takes_it_and_finds_the_same(problem, start, method):
    free = problem.positions("global_orient", "transl")
    rigid = minimize(problem, start, free, method, 10, 1e-3)
    assert torch.equal(rigid.vector[:, 3:82], start[:, 3:82])
    torch.testing.assert_close(problem.energy(rigid.vector), rigid.energy)
    if method == "levenberg_marquardt":
        whole = LevenbergMarquardt()(problem, start, free, Limits(10, 1e-3))
        torch.testing.assert_close(rigid.vector, whole.vector, rtol=0, atol=1e-9)
        assert torch.equal(rigid.iterations, whole.iterations)


def test_a_term_that_looks_at_more_is_minimised_whole(problem, start):
    both = Problem(problem.regressor, [*problem.terms, (ShapePrior(), 1.0)])
    free = problem.positions("transl")
    assert Placement.of(problem, start, free) is not None
    assert Placement.of(both, start, free) is None
    assert Placement.of(problem, start, problem.positions("transl", "betas")) is None
    solution = minimize(both, start, free, iterations=3)
    assert (solution.energy < both.energy(start)).all()


def test_rigid_points_pass_gradcheck(problem, start):
    placement = Placement.of(problem, start, problem.positions("transl"))
    points = placement.problem.regressor
    assert isinstance(points, RigidPoints)
    vector = placement.start.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda v: PosedBody(points, v).points, vector)
    with torch.no_grad():
        body = PosedBody(points, placement.start)
        jacobian = body.points_jacobian
    automatic = torch.autograd.functional.jacobian(
        lambda v: PosedBody(points, v).points.sum(0), placement.start
    ).movedim(2, 0)
    torch.testing.assert_close(jacobian, automatic, rtol=0, atol=1e-12)
