import pytest
import torch

from tests.random_body import random_model
from vhlib.body import SMPL
from vhlib.body.point_regressor import PointRegressor
from vhlib.body.vertex_regressor import VertexRegressor
from vhlib.geometry import axis_angle_to_matrix


@pytest.fixture(scope="module")
def smpl() -> SMPL:
    return SMPL(random_model(num_vertices=300, seed=2)).double()


def bodies(count, seed=0):
    """Betas and rotations of random bodies."""
    g = torch.Generator().manual_seed(seed)
    betas = torch.randn(count, 10, generator=g, dtype=torch.float64)
    axis_angle = 0.7 * torch.randn(count, 24, 3, generator=g, dtype=torch.float64)
    return betas, axis_angle_to_matrix(axis_angle)


def chosen(count, each, seed=1):
    return torch.randint(0, 300, (count, each), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("count", "each"), [(1, 1), (3, 7), (2, 40)])
def test_vertices_are_those_of_the_mesh(smpl, count, each):
    betas, rotations = bodies(count)
    ids = chosen(count, each)
    mesh = smpl(betas, rotations[:, 1:], rotations[:, 0]).vertices
    expected = torch.stack([vertices[own] for vertices, own in zip(mesh, ids, strict=True)])
    regressor = VertexRegressor(smpl.rest_model(), ids)
    torch.testing.assert_close(regressor.points(betas, rotations), expected)
    torch.testing.assert_close(regressor.linearize(betas, rotations).points, expected)


def test_derivatives_are_those_of_a_regressor_for_each_body(smpl):
    betas, rotations = bodies(3)
    ids = chosen(3, 20)
    together = VertexRegressor(smpl.rest_model(), ids).linearize(betas, rotations)
    for body, own in enumerate(ids):
        alone = PointRegressor.of_vertices(smpl.rest_model(), own.tolist())
        expected = alone.linearize(betas[body : body + 1], rotations[body : body + 1])
        for name in ("points", "d_rotation", "d_betas"):
            torch.testing.assert_close(
                getattr(together, name)[body], getattr(expected, name)[0], rtol=0, atol=1e-12
            )


def test_turns_may_be_those_of_other_unknowns(smpl):
    """By the columns of any matrices: the same as turning first and multiplying after."""
    betas, rotations = bodies(2)
    turns = torch.randn(2, 24, 3, 3, generator=torch.Generator().manual_seed(3)).double()
    regressor = VertexRegressor(smpl.rest_model(), chosen(2, 9))
    plain = regressor.linearize(betas, rotations).d_rotation
    expected = torch.einsum("nkcjt,njtm->nkcjm", plain, turns)
    torch.testing.assert_close(
        regressor.linearize(betas, rotations, turns).d_rotation, expected, rtol=0, atol=1e-12
    )


def test_no_vertices_are_no_points(smpl):
    betas, rotations = bodies(2)
    found = VertexRegressor(smpl.rest_model(), chosen(2, 0)).linearize(betas, rotations)
    assert found.points.shape == (2, 0, 3)
    assert found.d_rotation.shape == (2, 0, 3, 24, 3)
