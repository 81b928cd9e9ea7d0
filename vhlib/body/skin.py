"""A skinned mesh and the ways to pose it: what pose correctives are learned against.

Linear blend skinning loses volume at bent and twisted joints, dual quaternions (Kavan et al. 2008)
bulge instead; delta mush (Mancewicz et al. 2014) takes the creases that either makes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.sparse import coo_array, csr_array
from torch import Tensor

from vhlib.body.skinning import KinematicTree
from vhlib.geometry.rotations import matrix_to_quaternion
from vhlib.geometry.smoothing import neighbour_average, smooth, smooth_keeping_size

SMOOTHING_STEPS = 8
# A vertex whose largest weight is at least this follows one bone and is left alone.
RIGID_WEIGHT = 0.9


@dataclass(frozen=True, eq=False)
class Skin:
    """A skinned mesh: ``faces`` (F, 3), ``lbs_weights`` (V, J), and the tree of its joints."""

    faces: Int[Tensor, "F 3"]
    lbs_weights: Float[Tensor, "V J"]
    parents: tuple[int, ...]

    @cached_property
    def average(self) -> csr_array:
        """(V, V) matrix that replaces each vertex by the mean of its neighbours."""
        return neighbour_average(self.faces, len(self.lbs_weights))

    @cached_property
    def face_sum(self) -> csr_array:
        """(V, F) matrix that adds up what belongs to the faces around each vertex."""
        corners = self.faces.numpy().ravel()
        around = np.repeat(np.arange(len(self.faces)), 3)
        shape = (len(self.lbs_weights), len(self.faces))
        return coo_array((np.ones(len(corners)), (corners, around)), shape=shape).tocsr()

    @cached_property
    def neighbour(self) -> Int[np.ndarray, " V"]:
        """One fixed neighbour of each vertex."""
        return self.average.indices[self.average.indptr[:-1]]

    @cached_property
    def softness(self) -> Float[Tensor, " V"]:
        """How far each vertex follows delta mush: 0 on rigid parts, 1 between bones."""
        largest = self.lbs_weights.max(1).values.double().numpy()
        soft = 1 - np.clip((largest - RIGID_WEIGHT) / (1 - RIGID_WEIGHT), 0, 1)
        return torch.from_numpy(np.clip(1.6 * smooth(soft[:, None], self.average, 6)[:, 0], 0, 1))

    @cached_property
    def beyond(self) -> Float[Tensor, "V J"]:
        """How far each vertex turns with each joint: its weights of the joint and all below it."""
        return self.lbs_weights @ KinematicTree(self.parents).ancestors.to(self.lbs_weights)

    @cached_property
    def bends(self) -> Float[Tensor, "V J"]:
        """How much each joint bends the skin at each vertex: 1 halfway between its two sides."""
        bends = 4 * self.beyond * (1 - self.beyond)
        return bends * (torch.arange(len(self.parents)) > 0)


def delta_mush(
    skin: Skin, rest: Float[Tensor, "V 3"], posed: Float[Tensor, "P V 3"]
) -> Float[Tensor, "P V 3"]:
    """Smooth the posed mesh, then put back the details that smoothing takes from the rest mesh.

    The smoothing keeps the size: a plain Laplacian one cuts the corner at a bent joint.
    """
    meshes = torch.cat([rest[None], posed])
    columns = meshes.transpose(0, 1).flatten(1).double().numpy()
    columns = smooth_keeping_size(columns, skin.average, SMOOTHING_STEPS)
    smoothed = columns.reshape(len(rest), -1, 3).swapaxes(0, 1)
    frames = _vertex_frames(skin, smoothed)
    details = frames[0].swapaxes(-1, -2) @ (rest.double().numpy() - smoothed[0])[..., None]
    return torch.from_numpy(smoothed[1:] + (frames[1:] @ details)[..., 0]).to(posed)


def _vertex_frames(skin: Skin, meshes: np.ndarray) -> Float[np.ndarray, "P V 3 3"]:
    """An orthonormal frame at each vertex, as columns: along an edge, across it, normal."""
    corners = meshes[:, skin.faces.numpy()]
    areas = np.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0])
    normals = _unit(np.stack([skin.face_sum @ area for area in areas]))
    edges = meshes[:, skin.neighbour] - meshes
    along = _unit(edges - (edges * normals).sum(-1, keepdims=True) * normals)
    return np.stack([along, np.cross(normals, along), normals], -1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def dual_quaternion_skinning(
    rest: Float[Tensor, "V 3"], skin: Skin, transforms: Float[Tensor, "P J 3 4"]
) -> Float[Tensor, "P V 3"]:
    """Blend the bones' dual quaternions instead of their matrices, so that nothing shrinks.

    With the blended real part q = (r, w) and dual part e = (s, u), both divided by |q|, a point
    moves to x + 2 r x (r x x + w x) + 2 (w s - u r + r x s) (Kavan et al. 2008, section 4).
    """
    real = _aligned(matrix_to_quaternion(transforms[..., :3]), skin.parents)
    dual = _half_product(transforms[..., 3], real)
    real, dual = skin.lbs_weights @ real, skin.lbs_weights @ dual
    length = real.norm(dim=-1, keepdim=True)
    (r, w), (s, u) = ((q / length).split((3, 1), dim=-1) for q in (real, dual))
    x = rest.expand_as(r)
    turned = torch.linalg.cross(r, torch.linalg.cross(r, x) + w * x)
    return x + 2 * turned + 2 * (w * s - u * r + torch.linalg.cross(r, s))


def _aligned(quaternions: Float[Tensor, "P J 4"], parents: tuple[int, ...]) -> Tensor:
    """Signs chosen so that each joint's quaternion lies on its parent's side."""
    aligned = [quaternions[:, 0]]
    for joint, parent in enumerate(parents[1:], start=1):
        agree = (quaternions[:, joint] * aligned[parent]).sum(-1, keepdim=True)
        aligned.append(torch.where(agree < 0, -1.0, 1.0) * quaternions[:, joint])
    return torch.stack(aligned, 1)


def _half_product(translation: Tensor, quaternion: Tensor) -> Tensor:
    """The dual part t q / 2, with t a pure quaternion."""
    vector, scalar = quaternion.split((3, 1), dim=-1)
    imaginary = scalar * translation + torch.linalg.cross(translation, vector)
    real = -(translation * vector).sum(-1, keepdim=True)
    return torch.cat([imaginary, real], -1) / 2
