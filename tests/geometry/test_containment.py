from __future__ import annotations

import pytest
import torch
import trimesh

from vhlib.geometry.containment import winding_numbers


def mesh(solid: trimesh.Trimesh) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(solid.vertices), torch.tensor(solid.faces)


def points(count: int, seed: int = 0) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return 3 * torch.rand(count, 3, generator=g, dtype=torch.float64) - 1.5


def by_solid_angles(points: torch.Tensor, vertices: torch.Tensor, faces: torch.Tensor):
    """The same by Van Oosterom and Strackee, The solid angle of a plane triangle, 1983."""
    a, b, c = (vertices[faces] - points[:, None, None]).unbind(-2)
    la, lb, lc = a.norm(dim=-1), b.norm(dim=-1), c.norm(dim=-1)
    volume = (a * torch.linalg.cross(b, c)).sum(-1)
    rest = la * lb * lc + (a * b).sum(-1) * lc + (b * c).sum(-1) * la + (c * a).sum(-1) * lb
    return torch.atan2(volume, rest).sum(-1) / (2 * torch.pi)


def test_a_box_holds_what_is_within_its_sides():
    vertices, faces = mesh(trimesh.creation.box((2.0, 1.0, 0.5)))
    where = points(2000)
    expected = (where.abs() < torch.tensor([1.0, 0.5, 0.25])).all(-1)
    assert torch.equal(winding_numbers(where, vertices, faces), expected.long())


def test_rays_along_edges_and_through_corners_are_no_exception():
    """From points of a grid that the box's corners lie on."""
    vertices, faces = mesh(trimesh.creation.box((2.0, 2.0, 2.0)))
    steps = torch.arange(-2.0, 2.1, 0.5).double()
    grid = torch.cartesian_prod(steps, steps, steps)
    off_the_skin = (grid.abs().amax(-1) - 1).abs() > 1e-9
    grid = grid[off_the_skin]
    assert torch.equal(winding_numbers(grid, vertices, faces), (grid.abs() < 1).all(-1).long())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_agrees_with_the_solid_angles(dtype):
    """Of a ball and a ring that pass through each other: inside both is inside twice."""
    ball = trimesh.creation.icosphere(subdivisions=3)
    ring = trimesh.creation.torus(major_radius=1.0, minor_radius=0.4)
    vertices, faces = mesh(trimesh.util.concatenate([ball, ring]))
    where = points(600).to(dtype)
    numbers = winding_numbers(where, vertices.to(dtype), faces)
    angles = by_solid_angles(where.double(), vertices.to(dtype).double(), faces)
    assert torch.equal(numbers, angles.round().long())
    assert set(numbers.tolist()) == {0, 1, 2}


def test_a_mesh_turned_inside_out_winds_backwards():
    vertices, faces = mesh(trimesh.creation.icosphere())
    centre = torch.zeros(1, 3, dtype=torch.float64)
    assert winding_numbers(centre, vertices, faces).tolist() == [1]
    assert winding_numbers(centre, vertices, faces.flip(-1)).tolist() == [-1]


def test_nothing_to_ask_and_nothing_to_be_inside_of():
    vertices, faces = mesh(trimesh.creation.icosphere())
    assert winding_numbers(torch.zeros(0, 3), vertices, faces).shape == (0,)
    assert winding_numbers(points(5), vertices, faces[:0]).tolist() == [0] * 5
