"""Laplacian smoothing of anything stored per vertex of a mesh."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_array, csr_array, diags_array
from torch import Tensor


def neighbour_average(faces: Int[Tensor, "F 3"], num_vertices: int) -> csr_array:
    """(V, V) matrix that replaces each vertex by the mean of those it shares an edge with.

    Raises:
        ValueError: a vertex without faces, which has no neighbours.
    """
    corners = faces.numpy()
    a, b = corners.ravel(), np.roll(corners, 1, axis=1).ravel()
    links = coo_array(
        (np.ones(2 * len(a)), (np.r_[a, b], np.r_[b, a])), shape=(num_vertices, num_vertices)
    ).tocsr()
    links.data[:] = 1
    degree = links.sum(1)
    if not degree.all():
        raise ValueError(f"{(degree == 0).sum()} vertices belong to no face and have no neighbours")
    return (diags_array(1 / degree) @ links).tocsr()


def smooth(
    values: Float[np.ndarray, "V C"], average: csr_array, steps: int
) -> Float[np.ndarray, "V C"]:
    """Each step moves every vertex's values halfway to the mean of its neighbours'."""
    for _ in range(steps):
        values = (values + average @ values) / 2
    return values


# Taubin's two steps: the second undoes what the first takes from the coarse shape.
_FORWARD, _BACKWARD = 0.5, -0.53


def smooth_keeping_size(
    values: Float[np.ndarray, "V C"], average: csr_array, steps: int
) -> Float[np.ndarray, "V C"]:
    """Laplacian smoothing without its shrinking (Taubin, A signal processing approach, 1995)."""
    for _ in range(steps):
        for step in (_FORWARD, _BACKWARD):
            values = values + step * (average @ values - values)
    return values
