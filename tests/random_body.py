"""Random bodies of any size, by default with SMPL's sizes and sparsity, and the same in smplx."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import smplx
import torch
from scipy.spatial import cKDTree
from smplx.utils import Struct

from vhlib.body.model_files import BodyModelData
from vhlib.body.skeletons import SMPL_24, SMPL_LANDMARK_VERTICES, SMPL_PARENTS

# The left half of a body 1.7 m tall in T-pose: x to its left, y up, z forward, metres.
JOINTS = {
    "pelvis": (0, -0.22, 0.03),
    "left_hip": (0.07, -0.31, 0.02),
    "spine1": (0, -0.11, 0),
    "left_knee": (0.10, -0.69, 0.01),
    "spine2": (0, 0.03, 0.01),
    "left_ankle": (0.09, -1.09, -0.03),
    "spine3": (0, 0.08, 0.03),
    "left_foot": (0.12, -1.15, 0.09),
    "neck": (0, 0.29, -0.01),
    "left_collar": (0.08, 0.20, 0),
    "head": (0, 0.36, 0.04),
    "left_shoulder": (0.17, 0.22, -0.02),
    "left_elbow": (0.43, 0.21, -0.05),
    "left_wrist": (0.68, 0.22, -0.05),
    "left_hand": (0.77, 0.21, -0.06),
}
LANDMARKS = {
    "nose": (0, 0.42, 0.15),
    "head_top": (0, 0.55, 0.03),
    "left_eye": (0.03, 0.45, 0.13),
    "left_ear": (0.075, 0.43, 0.04),
    "left_big_toe": (0.13, -1.17, 0.18),
    "left_small_toe": (0.17, -1.17, 0.14),
    "left_heel": (0.09, -1.15, -0.07),
    "left_thumb": (0.80, 0.19, 0),
    "left_index": (0.88, 0.22, -0.03),
    "left_middle": (0.89, 0.22, -0.05),
    "left_ring": (0.88, 0.22, -0.07),
    "left_pinky": (0.86, 0.21, -0.09),
}
SMPLX_LANDMARKS = {
    "nose": "nose",
    **{f"{s[0]}{part}": f"{s}_{part}" for s in ("left", "right") for part in ("eye", "ear")},
    **{
        f"{s[0].upper()}{part.title().replace('_', '')}": f"{s}_{part}"
        for s in ("left", "right")
        for part in ("big_toe", "small_toe", "heel")
    },
    **{
        f"{s[0]}{finger}": f"{s}_{finger}"
        for s in ("left", "right")
        for finger in ("thumb", "index", "middle", "ring", "pinky")
    },
}


def random_model(
    num_vertices: int = 6890, num_joints: int = 24, num_shapes: int = 10, seed: int = 0
) -> BodyModelData:
    """A random body of plausible size; with 24 joints it has SMPL's tree, else a random one.

    Like SMPL's, its vertices have at most four skinning weights, its joints are means of ten
    vertices, and its correctives fade away from the joint that bends. Faces join neighbours.
    """
    rng = np.random.default_rng(seed)
    parents, rest = _skeleton(num_joints, rng)
    landmarks = _landmark_vertices(num_vertices)
    vertices = _vertices_around_bones(num_vertices, parents, rest, rng)
    vertices[list(landmarks.values())] = [_mirrored(LANDMARKS, name) for name in landmarks]
    distances = np.linalg.norm(vertices[:, None] - rest, axis=-1)
    return BodyModelData(
        v_template=vertices,
        faces=_triangles_of_neighbours(vertices),
        lbs_weights=_nearest_weights(distances, 4),
        shapedirs=_waves(vertices, num_shapes, rng),
        posedirs=_correctives(distances[:, 1:], rng),
        J_regressor=_nearest_weights(distances.T, 10),
        parents=parents,
        landmarks=landmarks,
        provenance=f"random, seed {seed}",
    )


def as_smplx(model: BodyModelData, dtype: torch.dtype = torch.float32) -> smplx.SMPL:
    """The same body as smplx 0.1.28 computes it; at most 10 betas, and 24 joints only.

    Its joints are the 24 joints, then 21 landmarks in the order of ``SMPLX_45``; a landmark that
    the model lacks is vertex 0.
    """
    file = Struct(
        v_template=model.v_template,
        f=model.faces,
        weights=model.lbs_weights,
        shapedirs=model.shapedirs,
        posedirs=model.posedirs,
        J_regressor=model.J_regressor,
        kintree_table=np.stack([model.parents, np.arange(model.num_joints)]),
    )
    vertex_ids = {theirs: model.landmarks.get(ours, 0) for theirs, ours in SMPLX_LANDMARKS.items()}
    with contextlib.redirect_stdout(io.StringIO()):  # it prints a warning about 10 betas
        return smplx.SMPL(
            model_path="",
            data_struct=file,
            vertex_ids=vertex_ids,
            num_betas=min(10, model.num_shape_components),
            dtype=dtype,
        )


def _mirrored(places: dict[str, tuple[float, ...]], name: str) -> np.ndarray:
    place = np.array(places[name.replace("right", "left")])
    return place * (-1, 1, 1) if name.startswith("right") else place


def _skeleton(num_joints: int, rng: np.random.Generator) -> tuple[tuple[int, ...], np.ndarray]:
    if num_joints == len(SMPL_24):
        parents = [-1, *(SMPL_24.index(p) for p in SMPL_PARENTS.values() if p is not None)]
        return tuple(parents), np.array([_mirrored(JOINTS, name) for name in SMPL_PARENTS])
    parents = (-1, *(int(rng.integers(joint)) for joint in range(1, num_joints)))
    return parents, rng.uniform(-0.8, 0.8, (num_joints, 3))


def _landmark_vertices(num_vertices: int) -> dict[str, int]:
    """SMPL's ids where they exist; on a smaller mesh the first vertices."""
    if num_vertices > max(SMPL_LANDMARK_VERTICES.values()):
        return dict(SMPL_LANDMARK_VERTICES)
    return {name: i for i, name in enumerate(list(SMPL_LANDMARK_VERTICES)[:num_vertices])}


def _vertices_around_bones(
    count: int, parents: tuple[int, ...], joints: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Points within some centimetres of the bones."""
    child = rng.integers(len(parents), size=count)
    parent = np.maximum(np.array(parents)[child], 0)
    along = rng.uniform(size=(count, 1))
    return joints[parent] * (1 - along) + joints[child] * along + rng.normal(0, 0.04, (count, 3))


def _triangles_of_neighbours(vertices: np.ndarray) -> np.ndarray:
    """2 V - 4 small triangles, as many as a closed surface has; they don't form one."""
    neighbours = cKDTree(vertices).query(vertices, k=5)[1]
    triangles = np.concatenate([neighbours[:, [0, 1, 2]], neighbours[:, [0, 3, 4]]])
    return triangles[: 2 * len(vertices) - 4].astype(np.int64)


def _nearest_weights(distances: np.ndarray, count: int) -> np.ndarray:
    """Rows that sum to one, with weights on the ``count`` nearest columns."""
    count = min(count, distances.shape[1])
    nearest = np.argpartition(distances, count - 1, axis=1)[:, :count]
    near = np.take_along_axis(distances, nearest, 1)
    weights = np.exp((near.min(1, keepdims=True) - near) / 0.05)
    rows = np.zeros_like(distances)
    np.put_along_axis(rows, nearest, weights / weights.sum(1, keepdims=True), 1)
    return rows


def _waves(vertices: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth displacements: overall size first, then waves of about a centimetre."""
    if count == 0:
        return np.zeros((len(vertices), 3, 0))
    phases = vertices @ rng.normal(0, 2, (count - 1, 3, 3)) + rng.uniform(0, 6, (count - 1, 1, 3))
    return np.stack([0.04 * vertices, *(0.01 * np.sin(phases))], axis=-1)


def _correctives(distances: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    reach = 0.01 * np.exp(-distances / 0.15) + 0.0003
    noise = rng.normal(size=(len(distances), 3, distances.shape[1], 9))
    return (noise * reach[:, None, :, None]).reshape(len(distances), 3, -1)
