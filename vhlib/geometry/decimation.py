"""Fewer triangles by half-edge collapses: the vertices kept are a subset of those given.

Quadric error metrics (Garland and Heckbert, Surface Simplification Using Quadric Error Metrics,
1997) say what a collapse costs: each vertex carries the sum of the squared distances to the planes
of its faces, p^T Q p. A *half-edge* collapse moves u onto its neighbour v instead of to a new
place, so anything stored per vertex (blend shapes, skinning weights) survives by indexing.
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

# What a triangle may become: cosine of its turn, height over width, longest edge in metres. Where
# vertices are more important than IMPORTANT, edges stay shorter.
MIN_NORMAL_COSINE, MIN_ASPECT = 0.3, 0.12
MAX_EDGE, MAX_IMPORTANT_EDGE, IMPORTANT = 0.042, 0.028, 2.0


@dataclass(frozen=True)
class Decimation:
    """``faces`` (F, 3) of the *original* vertex ids; ``sources`` (F,) the faces they came from."""

    faces: Int[np.ndarray, "F 3"]
    sources: Int[np.ndarray, " F"]


def decimate_symmetric(
    vertices: Float[np.ndarray, "V 3"],
    faces: Int[np.ndarray, "F 3"],
    mirror: Int[np.ndarray, " V"],
    num_vertices: int,
    importance: Float[np.ndarray, " V"] | None = None,
    creases: Int[np.ndarray, "E 2"] | None = None,
) -> tuple[Decimation, Decimation]:
    """Reduce a mirror-symmetric mesh to about ``num_vertices``, keeping the symmetry exact.

    Only the left half (x > 0) is reduced; the vertices of the seam, their own mirror images, slide
    along it. Returns the left half and its mirror image, which together are the mesh; the
    ``sources`` of both are left faces.

    Args:
        vertices: metres, symmetric under x -> -x.
        faces: of the whole mesh.
        mirror: the vertex opposite to each.
        num_vertices: wanted for both halves together.
        importance: multiplies the cost of removing a vertex; 1 by default.
        creases: edges that stay where they are, such as the cuts of a texture map; vertices on
            them only slide along them.

    Raises:
        ValueError: ``mirror`` isn't an involution.
    """
    if not np.array_equal(mirror[mirror], np.arange(len(vertices))):
        raise ValueError("mirror must name each vertex's opposite: mirror[mirror] = 0, 1, 2, ...")
    seam = mirror == np.arange(len(vertices))
    on_left = (vertices[:, 0] > 0) | seam
    left = np.flatnonzero(on_left[faces].all(1) & ~seam[faces].all(1))
    importance = np.ones(len(vertices)) if importance is None else importance
    creases = np.empty((0, 2), dtype=np.int64) if creases is None else creases
    mesh = _CollapsingMesh(vertices, faces[left], seam, importance, creases)
    mesh.collapse_until(num_vertices)
    alive = sorted(set().union(*mesh.faces_of.values()))
    kept = Decimation(np.array([mesh.faces[f] for f in alive]), left[alive])
    return kept, Decimation(mirror[kept.faces][:, ::-1], kept.sources)


class _CollapsingMesh:
    """The mesh while it shrinks: ``faces_of`` holds the live faces of each live vertex."""

    def __init__(
        self,
        vertices: Float[np.ndarray, "V 3"],
        faces: Int[np.ndarray, "F 3"],
        seam: Bool[np.ndarray, " V"],
        importance: Float[np.ndarray, " V"],
        creases: Int[np.ndarray, "E 2"],
    ):
        self.vertices, self.importance = vertices, importance
        self.faces = [tuple(face) for face in faces.tolist()]
        self.faces_of: dict[int, set[int]] = {}
        for index, face in enumerate(self.faces):
            for vertex in face:
                self.faces_of.setdefault(vertex, set()).add(index)
        self.creases_of: dict[int, set[int]] = {v: set() for v in self.faces_of}
        for a, b in creases.tolist():
            if a in self.faces_of and b in self.faces_of:
                self.creases_of[a].add(b)
                self.creases_of[b].add(a)
        self.seam = {v for v in self.faces_of if seam[v]}
        self.border, self.fixed = self._borders()
        self.quadrics = self._quadrics()
        self.versions = dict.fromkeys(self.faces_of, 0)
        self.queue: list[tuple[float, int, int, int]] = []

    def collapse_until(self, num_vertices: int) -> None:
        """Collapse the cheapest half-edges until both halves together have so many vertices.

        The seam belongs to both. Ends earlier when no sound collapse is left.
        """
        for vertex in self.faces_of:
            self._enqueue(vertex)
        while self.queue and 2 * len(self.faces_of) - len(self.seam) > num_vertices:
            _, version, u, v = heapq.heappop(self.queue)
            current = u in self.faces_of and v in self.faces_of and self.versions[u] == version
            if current and self._is_sound(u, v):
                self._collapse(u, v)

    def _borders(self) -> tuple[set[int], set[int]]:
        """Vertices on any border, and those that must stay: on a border that isn't the seam."""
        count = Counter(edge for face in self.faces for edge in _edges(face))
        border = [edge for edge, n in count.items() if n == 1]
        degree = Counter(v for edge in border for v in edge)
        fixed = {v for edge in border if not set(edge) <= self.seam for v in edge}
        return set(degree), fixed | {v for v, n in degree.items() if n != 2}

    def _quadrics(self) -> dict[int, np.ndarray]:
        quadrics = {v: np.zeros((4, 4)) for v in self.faces_of}
        for face in self.faces:
            normal = self._normal(face)
            double_area = np.linalg.norm(normal)
            if double_area > 0:
                unit = normal / double_area
                plane = np.append(unit, -unit @ self.vertices[face[0]])
                for vertex in face:
                    weight = self.importance[vertex] * double_area / 2
                    quadrics[vertex] += weight * np.outer(plane, plane)
        return quadrics

    def _normal(self, face: tuple[int, int, int]) -> np.ndarray:
        a, b, c = self.vertices[list(face)]
        return _cross(b - a, c - a)

    def _neighbours(self, vertex: int) -> set[int]:
        return {v for f in self.faces_of[vertex] for v in self.faces[f]} - {vertex}

    def _enqueue(self, u: int) -> None:
        """Put the cheapest way to remove ``u`` into the queue."""
        if u in self.fixed:
            return
        allowed = [v for v in self._neighbours(u) if self._may_slide(u, v)]
        if allowed:
            cost, v = min((self._cost(u, v), v) for v in allowed)
            heapq.heappush(self.queue, (cost, self.versions[u], u, v))

    def _may_slide(self, u: int, v: int) -> bool:
        """Borders only move along the seam, so that the halves still meet; creases likewise."""
        if u in self.border and not (
            v in self.seam and len(self.faces_of[u] & self.faces_of[v]) == 1
        ):
            return False
        # Where a crease ends or forks, its vertex stays.
        crease = self.creases_of[u]
        return not crease or (len(crease) == 2 and v in crease)

    def _cost(self, u: int, v: int) -> float:
        """Squared distance to the planes of both, plus a little for the length of the move."""
        point = np.append(self.vertices[v], 1.0)
        step = self.vertices[u] - self.vertices[v]
        plane_error = point @ (self.quadrics[u] + self.quadrics[v]) @ point
        # Square metres, small against a real loss of shape: on flat skin it evens out the mesh.
        return float(plane_error + 2e-6 * self.importance[u] * (step @ step))

    def _is_sound(self, u: int, v: int) -> bool:
        """The link condition keeps the surface a manifold; no face may fold, thin or stretch."""
        shared = self.faces_of[u] & self.faces_of[v]
        opposite = {w for f in shared for w in self.faces[f]} - {u, v}
        if not shared or self._neighbours(u) & self._neighbours(v) != opposite:
            return False
        important = self.importance[u] > IMPORTANT
        longest = MAX_IMPORTANT_EDGE if important else MAX_EDGE
        return all(
            self._stays_good(self.faces[f], _replaced(self.faces[f], u, v), longest)
            for f in self.faces_of[u] - shared
        )

    def _stays_good(self, before: tuple, after: tuple, longest: float) -> bool:
        old, new = self._normal(before), self._normal(after)
        area_old, area_new = np.sqrt(old @ old), np.sqrt(new @ new)
        a, b, c = self.vertices[list(after)]
        edge = np.sqrt(max(e @ e for e in (b - a, c - b, a - c)))
        return bool(
            old @ new >= MIN_NORMAL_COSINE * area_old * area_new
            and area_new >= MIN_ASPECT * edge**2
            and edge <= longest
        )

    def _collapse(self, u: int, v: int) -> None:
        for face in self.faces_of[u] & self.faces_of[v]:
            for vertex in self.faces[face]:
                self.faces_of[vertex].discard(face)
        for face in self.faces_of.pop(u):
            self.faces[face] = _replaced(self.faces[face], u, v)
            self.faces_of[v].add(face)
        self._move_creases(u, v)
        self.seam.discard(u)
        self.quadrics[v] = self.quadrics[v] + self.quadrics[u]
        for vertex in sorted(self._neighbours(v) | {v}):
            self.versions[vertex] += 1
            self._enqueue(vertex)

    def _move_creases(self, u: int, v: int) -> None:
        for w in self.creases_of.pop(u):
            self.creases_of[w].discard(u)
            if w != v:
                self.creases_of[w].add(v)
                self.creases_of[v].add(w)


def _edges(face: tuple[int, int, int]) -> list[tuple[int, int]]:
    a, b, c = face
    return [(min(e), max(e)) for e in ((a, b), (b, c), (c, a))]


def _replaced(face: tuple[int, int, int], u: int, v: int) -> tuple[int, int, int]:
    a, b, c = (v if w == u else w for w in face)
    return a, b, c


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    # numpy.cross takes 30 times as long on single vectors.
    return np.array(
        [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
    )
