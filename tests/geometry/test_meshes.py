import math

import numpy as np
import pytest
import torch
import trimesh
from torch.autograd import gradcheck

from vhlib.geometry.meshes import (
    area_vectors,
    face_areas,
    face_normals,
    interpolate,
    signed_volume,
    vertex_normals,
)

BATCHES = [(), (1,), (0,), (2, 3)]


def random(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def sphere(subdivisions=2):
    mesh = trimesh.creation.icosphere(subdivisions=subdivisions)
    return torch.tensor(mesh.vertices), torch.tensor(mesh.faces)


def tetrahedron():
    vertices = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]], dtype=torch.float64)
    return vertices, torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])


def test_tetrahedron_by_hand():
    vertices, faces = tetrahedron()
    areas = torch.tensor([1.0, 1.5, 3.0, 3.5], dtype=torch.float64)
    torch.testing.assert_close(face_areas(vertices, faces), areas)
    assert signed_volume(vertices, faces).item() == pytest.approx(1.0)
    assert signed_volume(vertices, faces.flip(-1)).item() == pytest.approx(-1.0)
    normals = torch.tensor([[0, 0, -1], [0, -1, 0], [-1, 0, 0], [6 / 7, 3 / 7, 2 / 7]]).double()
    torch.testing.assert_close(face_normals(vertices, faces), normals, atol=1e-6, rtol=0)


@pytest.mark.parametrize("batch", BATCHES)
def test_areas_normals_and_volume_agree_with_trimesh(batch):
    template, faces = sphere()
    vertices = template + 0.1 * random(*batch, *template.shape)
    areas, normals = face_areas(vertices, faces), face_normals(vertices, faces)
    volumes = signed_volume(vertices, faces)
    assert volumes.shape == batch
    for index in np.ndindex(batch):
        mesh = trimesh.Trimesh(vertices[index], faces, process=False)
        torch.testing.assert_close(areas[index], torch.tensor(mesh.area_faces))
        torch.testing.assert_close(normals[index], torch.tensor(mesh.face_normals))
        assert volumes[index].item() == pytest.approx(mesh.volume)


def test_a_closed_mesh_has_no_net_area_and_its_volume_ignores_place():
    vertices, faces = sphere()
    torch.testing.assert_close(area_vectors(vertices, faces).sum(0), torch.zeros(3).double())
    moved = signed_volume(vertices + torch.tensor([3.0, -2.0, 5.0]), faces)
    torch.testing.assert_close(moved, signed_volume(vertices, faces))


def test_sphere_converges_to_its_formulas():
    vertices, faces = sphere(subdivisions=5)
    assert signed_volume(vertices, faces).item() == pytest.approx(4 / 3 * math.pi, rel=2e-3)
    torch.testing.assert_close(vertex_normals(vertices, faces), vertices, atol=5e-3, rtol=0)


def test_vertex_normals_are_weighted_by_area():
    """Of two faces that meet at a right angle, one three times as large."""
    vertices = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 3]], dtype=torch.float64)
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    expected = torch.tensor([3.0, 0.0, 1.0], dtype=torch.float64) / math.sqrt(10)
    torch.testing.assert_close(vertex_normals(vertices, faces)[0], expected)


def test_vertex_without_a_face_has_no_normal():
    vertices, faces = tetrahedron()
    with_stray = torch.cat([vertices, vertices.new_ones(1, 3)])
    assert (vertex_normals(with_stray, faces)[-1] == 0).all()


def test_gradients():
    vertices, faces = tetrahedron()
    vertices.requires_grad_()
    for function in (face_areas, face_normals, vertex_normals, signed_volume):
        assert gradcheck(lambda v, function=function: function(v, faces), vertices)


@pytest.mark.parametrize("batch", BATCHES)
def test_interpolate_mixes_the_three_corners(batch):
    _, faces = sphere()
    attributes = random(*batch, int(faces.max()) + 1, 5)
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(-1, len(faces), (*batch, 4, 7), generator=generator)
    barycentrics = random(*batch, 4, 7, 3).softmax(dim=-1) * (ids >= 0)[..., None]
    found = interpolate(attributes, faces, ids, barycentrics)
    assert found.shape == (*batch, 4, 7, 5)
    for index in (ids >= 0).nonzero():
        sample, (row, column) = tuple(index[: len(batch)]), index[-2:]
        corners = attributes[sample][faces[ids[tuple(index)]]]
        expected = barycentrics[tuple(index)] @ corners
        torch.testing.assert_close(found[(*sample, row, column)], expected)
    assert (found[ids < 0] == 0).all()


def test_interpolate_shares_unbatched_attributes_and_refuses_other_batches():
    _, faces = tetrahedron()
    ids, barycentrics = torch.zeros(2, 3).long(), torch.ones(2, 3, 3).double() / 3
    shared = interpolate(random(4, 1), faces, ids, barycentrics)
    assert shared.shape == (2, 3, 1)
    with pytest.raises(ValueError, match=r"must begin with the batch axes \(5,\)"):
        interpolate(random(5, 4, 1), faces, ids, barycentrics)


def test_interpolating_without_faces_is_empty():
    faces = torch.zeros(0, 3, dtype=torch.long)
    found = interpolate(random(4, 2), faces, torch.full((3,), -1), torch.zeros(3, 3).double())
    assert torch.equal(found, torch.zeros(3, 2, dtype=torch.float64))


def test_interpolate_gradcheck():
    _, faces = tetrahedron()
    ids = torch.tensor([[0, -1, 3], [2, 2, 1]])
    inputs = (random(2, 4, 2).requires_grad_(), random(2, 3, 3).requires_grad_())
    assert gradcheck(lambda a, b: interpolate(a, faces, ids, b), inputs)
