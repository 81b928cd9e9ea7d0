import numpy as np
import pytest
import torch
import trimesh

from vhlib.geometry.smoothing import neighbour_average, smooth, smooth_keeping_size

TETRAHEDRON = torch.tensor([[0, 1, 2], [0, 3, 1], [1, 3, 2], [2, 3, 0]])


def test_each_vertex_goes_halfway_to_the_mean_of_its_neighbours():
    average = neighbour_average(TETRAHEDRON, 4)
    values = np.array([[6.0], [0.0], [0.0], [0.0]])
    assert np.allclose(smooth(values, average, 1), [[3.0], [1.0], [1.0], [1.0]])


def test_constants_stay_and_the_input_is_not_written_to():
    average = neighbour_average(TETRAHEDRON, 4)
    values = np.full((4, 2), 7.0)
    assert np.allclose(smooth(values, average, 5), 7.0)
    assert np.array_equal(values, np.full((4, 2), 7.0))


def test_loose_vertices_are_refused():
    with pytest.raises(ValueError, match="1 vertices belong to no face"):
        neighbour_average(TETRAHEDRON, 5)


def test_a_sphere_keeps_its_size_and_loses_its_noise():
    sphere = trimesh.creation.icosphere(subdivisions=3)
    average = neighbour_average(torch.from_numpy(np.array(sphere.faces)), len(sphere.vertices))
    noise = np.random.default_rng(0).normal(0, 0.02, sphere.vertices.shape)
    kept, shrunk = (
        np.linalg.norm(f(sphere.vertices + noise, average, 20), axis=1)
        for f in (smooth_keeping_size, smooth)
    )
    assert kept.mean() == pytest.approx(1, abs=0.01)
    assert shrunk.mean() < 0.95
    assert kept.std() < 0.5 * np.linalg.norm(sphere.vertices + noise, axis=1).std()
