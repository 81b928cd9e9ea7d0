"""Posed bodies to learn pose correctives from, where there are no real scans.

Linear blend skinning loses volume at bent and twisted joints, dual quaternions (Kavan et al. 2008)
bulge instead; a blend of both, relaxed by delta mush (Mancewicz et al. 2014) around the joints, is
close to how skin behaves and stands in for scans of a posed person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.sparse import coo_array, csr_array
from torch import Tensor

from vhlib.body.learning import unpose, vertex_transforms
from vhlib.body.skeletons import SMPL_24, mirrored_name
from vhlib.body.skinning import (
    KinematicTree,
    bone_transforms,
    forward_kinematics,
    linear_blend_skinning,
    pose_features,
)
from vhlib.geometry.rotations import axis_angle_to_matrix, matrix_to_quaternion
from vhlib.geometry.smoothing import neighbour_average, smooth

_SPINE = ((-15, 35), (-15, 15), (-15, 15))
_NECK = ((-25, 30), (-35, 35), (-20, 20))
JOINT_RANGES: Mapping[str, tuple[tuple[float, float], ...]] = {
    "spine1": _SPINE,
    "spine2": _SPINE,
    "spine3": ((-10, 20), (-12, 12), (-10, 10)),
    "neck": _NECK,
    "head": _NECK,
    "left_hip": ((-110, 35), (-35, 35), (-20, 55)),
    "left_knee": ((-5, 140), (-8, 8), (-5, 5)),
    "left_ankle": ((-35, 45), (-15, 15), (-15, 15)),
    "left_foot": ((-40, 30), (-3, 3), (-3, 3)),
    "left_collar": ((-10, 10), (-20, 10), (-10, 25)),
    "left_shoulder": ((-50, 50), (-95, 30), (-85, 65)),
    "left_elbow": ((-60, 60), (-140, 3), (-6, 6)),
    "left_wrist": ((-15, 15), (-25, 25), (-65, 65)),
    "left_hand": ((-5, 5), (-5, 5), (-60, 15)),
}
"""Degrees about x, y and z of the T-pose; the right side mirrors the left (y and z change sign)."""

# Share of linear blend skinning in the target; the rest is dual-quaternion skinning.
LINEAR_SHARE = 0.35
SMOOTHING_STEPS = 14
# A vertex whose largest weight is at least this follows one bone and is left alone.
RIGID_WEIGHT = 0.9


def sample_poses(num_poses: int, generator: np.random.Generator) -> Float[Tensor, "P 24 3 3"]:
    """Random poses within the joint ranges, half of them large; the root stays as it is."""
    rotations = torch.eye(3, dtype=torch.float64).repeat(num_poses, len(SMPL_24), 1, 1)
    for joint, name in enumerate(SMPL_24.names):
        if name != "pelvis":
            rotations[:, joint] = _sample_joint(name, num_poses, generator)
    return rotations


def _sample_joint(name: str, num_poses: int, generator: np.random.Generator) -> Tensor:
    mirrored = name not in JOINT_RANGES
    low, high = np.radians(JOINT_RANGES[mirrored_name(name) if mirrored else name]).T
    angles = generator.uniform(low, high, (num_poses, 3))
    small = generator.random((num_poses, 1)) < 0.45
    angles *= np.where(small, generator.uniform(0, 0.5, (num_poses, 1)), 1)
    angles *= generator.random((num_poses, 1)) >= 0.15
    if mirrored:
        angles *= [1, -1, -1]
    x, y, z = (
        axis_angle_to_matrix(a) for a in torch.diag_embed(torch.from_numpy(angles)).unbind(1)
    )
    # A forearm turns about its own length, then the elbow bends it.
    return y @ z @ x if name.endswith("elbow") else z @ y @ x


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


def pseudo_scans(
    skin: Skin,
    rest: Float[Tensor, "V 3"],
    transforms: Float[Tensor, "P J 3 4"],
) -> Float[Tensor, "P V 3"]:
    """One body, given at rest, in P poses."""
    still = rest.expand(len(transforms), -1, -1)
    linear = linear_blend_skinning(still, skin.lbs_weights, transforms)
    curved = dual_quaternion_skinning(rest, skin, transforms)
    posed = LINEAR_SHARE * linear + (1 - LINEAR_SHARE) * curved
    return torch.lerp(posed, delta_mush(skin, rest, posed), skin.softness[:, None].to(posed))


@dataclass(frozen=True, eq=False)
class PosedScans:
    """What the pose correctives are learned from: P poses of bodies of the shape space.

    features (P, 207); offsets (P, V, 3), unposed scans minus the body at rest, metres; skinning
    (P, V, 3, 4), what linear blend skinning does to each vertex.
    """

    features: Float[Tensor, "P 207"]
    offsets: Float[Tensor, "P V 3"]
    skinning: Float[Tensor, "P V 3 4"]

    @staticmethod
    def joined(parts: Sequence[PosedScans]) -> PosedScans:
        """Several sets as one."""
        columns = zip(*((p.features, p.offsets, p.skinning) for p in parts), strict=True)
        return PosedScans(*(torch.cat(column) for column in columns))


def scan_poses(
    skin: Skin,
    J_regressor: Float[Tensor, "24 V"],
    bodies: Float[Tensor, "B V 3"],
    generator: np.random.Generator,
    poses_per_body: int,
) -> PosedScans:
    """Pseudo-scans of each body in random poses."""
    tree = KinematicTree(skin.parents)
    parts = []
    for rest in bodies:
        rotations = sample_poses(poses_per_body, generator)
        joints = (J_regressor @ rest).expand(poses_per_body, -1, -1)
        world, posed = forward_kinematics(rotations, joints, tree)
        transforms = bone_transforms(world, posed, joints)
        skinning = vertex_transforms(skin.lbs_weights, transforms)
        offsets = unpose(pseudo_scans(skin, rest, transforms), skinning) - rest
        parts.append(PosedScans(pose_features(rotations[:, 1:]), offsets, skinning))
    return PosedScans.joined(parts)


def delta_mush(
    skin: Skin, rest: Float[Tensor, "V 3"], posed: Float[Tensor, "P V 3"]
) -> Float[Tensor, "P V 3"]:
    """Smooth the posed mesh, then put back the details that smoothing takes from the rest mesh."""
    meshes = torch.cat([rest[None], posed])
    columns = meshes.transpose(0, 1).flatten(1).double().numpy()
    columns = smooth(columns, skin.average, SMOOTHING_STEPS)
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
