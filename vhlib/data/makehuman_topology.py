"""The mesh of the open bodies: MakeHuman's skin, thinned out once to SMPL's number of vertices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial import cKDTree

from vhlib.body.skeleton import mirrored_name
from vhlib.body.skeletons import LANDMARKS, SMPL_24
from vhlib.data.makehuman import (
    MakeHuman,
    Quads,
    close_mouth,
    mirror_permutation,
    shape_people,
    skin,
)
from vhlib.data.makehuman_people import average_adult
from vhlib.data.makehuman_rig import Rig, smpl_weights, straighten
from vhlib.geometry.decimation import decimate_symmetric
from vhlib.geometry.smoothing import neighbour_average, smooth

NUM_VERTICES = 6770
"""About as many as SMPL's 6,890, and never those, which would be taken for SMPL's own mesh."""

# Smoothing the rig's weights takes away the sharp folds of a game rig, and with it much of the
# candy-wrapper effect, before any corrective is learned.
WEIGHT_SMOOTHING_STEPS = 6

# A vertex whose largest skinning weight is below this bends, so its neighbourhood stays fine.
_BENDING_WEIGHT = 0.88
_IMPORTANCE_OF_BENDING, _IMPORTANCE_OF_HEAD, _IMPORTANCE_OF_TOES = 4.0, 3.0, 0.5
_KEPT = 1e6

_LANDMARKS: Mapping[str, int] = {
    "nose": 5054,
    "head_top": 881,
    "left_eye": 14607,
    "left_ear": 12032,
    "left_big_toe": 11551,
    "left_small_toe": 13280,
    "left_heel": 12815,
    "left_thumb": 9348,
    "left_index": 8598,
    "left_middle": 8787,
    "left_ring": 8982,
    "left_pinky": 9171,
}
"""Vertices of the base mesh, picked by hand; those on the right are their mirror images."""


@dataclass(frozen=True)
class Topology:
    """``vertex_ids`` (V,) of the base mesh that are kept, and what is fixed on them.

    ``mirror`` (V,) names each vertex's opposite; ``uv_faces`` (F, 3) are rows of ``uv`` (T, 2).
    """

    vertex_ids: Int[np.ndarray, " V"]
    faces: Int[np.ndarray, "F 3"]
    mirror: Int[np.ndarray, " V"]
    lbs_weights: Float[np.ndarray, "V 24"]
    landmarks: Mapping[str, int]
    uv: Float[np.ndarray, "T 2"]
    uv_faces: Int[np.ndarray, "F 3"]


def build_topology(makehuman: MakeHuman, rig: Rig, num_vertices: int = NUM_VERTICES) -> Topology:
    """Thin out the skin of an average adult, mirror-symmetric; always the same result."""
    quads = close_mouth(makehuman, skin(makehuman))
    mirror = mirror_permutation(makehuman)
    vertices = _average_adult(makehuman, rig, mirror)
    weights = _smoothed_weights(rig, quads)
    landmarks = _landmark_ids(mirror)
    importance = _importance(weights, list(landmarks.values()))
    triangles, quad_of = _triangles(quads.vertices)
    halves = decimate_symmetric(
        vertices, triangles, mirror, num_vertices, importance, _texture_cuts(quads)
    )
    faces = np.concatenate([half.faces for half in halves])
    centres = vertices[quads.vertices].mean(1)
    left = centres[quad_of[halves[0].sources]]
    sources = cKDTree(centres).query(np.concatenate([left, left * [-1, 1, 1]]))[1]
    uv_corners = _uv_corners(makehuman, quads, faces, sources)
    kept = np.unique(faces)
    new_id = np.full(len(mirror), -1)
    new_id[kept] = np.arange(len(kept))
    used_uv, uv_faces = np.unique(uv_corners, return_inverse=True)
    return Topology(
        kept,
        new_id[faces],
        new_id[mirror[kept]],
        weights[kept],
        {name: int(new_id[vertex]) for name, vertex in landmarks.items()},
        makehuman.uv[used_uv],
        uv_faces.reshape(faces.shape),
    )


def _triangles(
    quads: Int[np.ndarray, "Q 4"],
) -> tuple[Int[np.ndarray, "T 3"], Int[np.ndarray, " T"]]:
    """Two triangles for each quad, or one where it ends twice, and the quad of each."""
    triangles = quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)
    real = np.flatnonzero(triangles[:, 1] != triangles[:, 2])
    return triangles[real], real // 2


def _average_adult(
    makehuman: MakeHuman, rig: Rig, mirror: Int[np.ndarray, " V"]
) -> Float[np.ndarray, "V 3"]:
    """One symmetric adult in the T-pose.

    In double precision and rounded to 0.01 mm, so that no machine's last digits decide which of two
    collapses comes first.
    """
    adult = shape_people(makehuman, average_adult(), np.float64)
    vertices = straighten(rig, adult, np.arange(len(mirror)))[0][0]
    return np.round((vertices + vertices[mirror] * [-1, 1, 1]) / 2, 5)


def _landmark_ids(mirror: Int[np.ndarray, " V"]) -> dict[str, int]:
    right = {mirrored_name(name): int(mirror[vertex]) for name, vertex in _LANDMARKS.items()}
    ids = right | dict(_LANDMARKS)
    return {name: ids[name] for name in LANDMARKS}


def _smoothed_weights(rig: Rig, quads: Quads) -> Float[np.ndarray, "V 24"]:
    """Weights of the 24 joints, smoothed on the skin; the other vertices keep theirs."""
    weights = smpl_weights(rig)
    ids, faces = np.unique(quads.vertices, return_inverse=True)
    triangles, _ = _triangles(faces.reshape(-1, 4))
    average = neighbour_average(torch.from_numpy(triangles), len(ids))
    weights[ids] = smooth(weights[ids], average, WEIGHT_SMOOTHING_STEPS)
    return weights


def _importance(
    weights: Float[np.ndarray, "V 24"], landmarks: list[int]
) -> Float[np.ndarray, " V"]:
    """Where vertices are worth more (bending skin, the face, landmarks) and where less (toes)."""
    bending = 1 - np.clip((weights.max(1) - _BENDING_WEIGHT) / (1 - _BENDING_WEIGHT), 0, 1)
    importance = 1 + _IMPORTANCE_OF_BENDING * bending
    toes = weights[:, SMPL_24.indices("left_foot", "right_foot")].sum(1)
    importance[toes > 0.5] = _IMPORTANCE_OF_TOES
    importance[weights[:, SMPL_24.index("head")] > 0.5] = _IMPORTANCE_OF_HEAD
    importance[landmarks] = _KEPT
    return importance


def _texture_cuts(quads: Quads) -> Int[np.ndarray, "E 2"]:
    """Edges whose two faces lie apart on the texture map."""
    ends = np.stack([quads.vertices, np.roll(quads.vertices, -1, 1)], -1).reshape(-1, 2)
    uv_ends = np.stack([quads.uv, np.roll(quads.uv, -1, 1)], -1).reshape(-1, 2)
    differ = ends[:, 0] != ends[:, 1]
    ends, uv_ends = ends[differ], uv_ends[differ]
    order = ends.argsort(1)
    sides = np.concatenate(
        [np.take_along_axis(ends, order, 1), np.take_along_axis(uv_ends, order, 1)], 1
    )
    edges, count = np.unique(np.unique(sides, axis=0)[:, :2], axis=0, return_counts=True)
    return edges[count > 1]


def _uv_corners(
    makehuman: MakeHuman,
    quads: Quads,
    faces: Int[np.ndarray, "F 3"],
    sources: Int[np.ndarray, " F"],
) -> Int[np.ndarray, "F 3"]:
    """A texture coordinate for each corner of ``faces``, which came from the quads ``sources``.

    A vertex on a seam of the texture map has several; the one nearest to the quad's is taken.
    """
    choices: dict[int, set[int]] = {}
    for vertex, uv in zip(quads.vertices.ravel(), quads.uv.ravel(), strict=True):
        choices.setdefault(int(vertex), set()).add(int(uv))
    centres = makehuman.uv[quads.uv[sources]].mean(1)

    def nearest(vertex: int, centre: np.ndarray) -> int:
        options = sorted(choices[vertex])
        return options[int(np.linalg.norm(makehuman.uv[options] - centre, axis=1).argmin())]

    return np.array(
        [
            [nearest(vertex, centre) for vertex in face]
            for face, centre in zip(faces.tolist(), centres, strict=True)
        ]
    )
