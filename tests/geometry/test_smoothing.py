import numpy as np
import pytest
import torch

from vhlib.geometry.smoothing import neighbour_average, smooth

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
