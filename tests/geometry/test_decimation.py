from collections import Counter

import numpy as np
import pytest
import trimesh

from vhlib.geometry.decimation import decimate_symmetric


def symmetric_sphere() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A sphere of 258 vertices, radius 5 cm, exactly symmetric, with edges all along x = 0."""
    axes = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
    octahedron = trimesh.convex.convex_hull(axes)
    for _ in range(3):
        octahedron = octahedron.subdivide()
        octahedron.vertices /= np.linalg.norm(octahedron.vertices, axis=1, keepdims=True)
    vertices, faces = np.round(0.05 * octahedron.vertices, 9) + 0.0, np.array(octahedron.faces)
    order = {tuple(vertex): index for index, vertex in enumerate(vertices)}
    mirror = np.array([order[tuple(vertex * [-1, 1, 1] + 0.0)] for vertex in vertices])
    return vertices, faces, mirror


def edge_counts(faces: np.ndarray) -> Counter:
    pairs = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), 1)
    return Counter(map(tuple, pairs.tolist()))


@pytest.fixture(scope="module")
def sphere():
    return symmetric_sphere()


def decimated(sphere, num_vertices: int = 130, **options) -> np.ndarray:
    vertices, faces, mirror = sphere
    halves = decimate_symmetric(vertices, faces, mirror, num_vertices, **options)
    return np.concatenate([half.faces for half in halves])


def test_the_result_is_a_closed_surface_on_a_subset_of_the_vertices(sphere):
    faces = decimated(sphere)
    kept = np.unique(faces)
    assert abs(len(kept) - 130) <= 1
    assert set(edge_counts(faces).values()) == {2}
    assert len(kept) - len(edge_counts(faces)) + len(faces) == 2  # Euler: still a sphere


def test_the_shape_is_kept_and_faces_look_outwards(sphere):
    vertices = sphere[0]
    volume = trimesh.Trimesh(vertices, decimated(sphere), process=False).volume
    whole = trimesh.Trimesh(vertices, sphere[1], process=False).volume
    assert 0.94 * whole < volume <= whole


def test_mirror_image_has_the_same_faces(sphere):
    vertices, _, mirror = sphere
    faces = decimated(sphere)
    reflected = mirror[faces][:, ::-1]
    assert {frozenset(face) for face in faces.tolist()} == {
        frozenset(face) for face in reflected.tolist()
    }
    assert np.allclose(vertices[mirror[faces]], vertices[faces] * [-1, 1, 1])


def test_important_vertices_stay(sphere):
    vertices, _, _ = sphere
    left = np.flatnonzero(vertices[:, 0] > 0.01)
    precious = left[::11]
    importance = np.ones(len(vertices))
    importance[precious] = 1e6
    assert np.isin(precious, decimated(sphere, importance=importance)).all()
    assert not np.isin(precious, decimated(sphere)).all()


def test_creases_stay_edges_of_the_mesh(sphere):
    vertices, faces, _ = sphere
    # A cut around the left half: the border of the cap x > 0.025.
    cap = (vertices[faces, 0] > 0.025).all(1)
    inside, outside = edge_counts(faces[cap]), edge_counts(faces[~cap])
    crease = np.array(sorted(set(inside) & set(outside)))
    result = decimated(sphere, creases=crease)
    on_crease = {v for edge in edge_counts(result) for v in edge} & set(crease.ravel().tolist())
    along = [edge for edge in edge_counts(result) if set(edge) <= on_crease]
    assert 3 <= len(on_crease) < len(np.unique(crease))
    assert min(Counter(v for edge in along for v in edge).values()) >= 2  # one closed ring
    without = decimated(sphere)
    assert len(on_crease) > len(set(np.unique(without)) & set(crease.ravel().tolist())) / 2


def test_a_mirror_that_is_no_reflection_is_refused(sphere):
    vertices, faces, mirror = sphere
    with pytest.raises(ValueError, match="mirror"):
        decimate_symmetric(vertices, faces, np.roll(mirror, 1), 130)


def test_the_same_input_gives_the_same_faces(sphere):
    assert np.array_equal(decimated(sphere), decimated(sphere))
