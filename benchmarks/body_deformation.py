"""How the skin near a bent joint keeps its volume, and how it folds, with and without correctives.

Only one joint is turned, so everything beyond its skin moves rigidly, and three measures tell what
is wrong near it:

    volume    of the flesh within reach of the joint, as a share of that at rest
    crease    how much sharper than at rest faces meet, mean of the sharpest hundredth, degrees
    crossing  pairs of an edge and a face that pass through each other, beyond those at rest
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vhlib.body.skeletons import SMPL_24
from vhlib.body.skinning import (
    blend_shapes,
    bone_transforms,
    forward_kinematics,
    linear_blend_skinning,
    pose_features,
)
from vhlib.body.smpl import SMPL
from vhlib.geometry.meshes import face_normals, signed_volume
from vhlib.geometry.rotations import axis_angle_to_matrix


@dataclass(frozen=True)
class Bend:
    """One joint turned about an axis by several angles, and the skin to look at.

    axis in the T-pose (x left, y up, z forward); reach in metres from the joint.
    """

    joint: str
    axis: tuple[float, float, float]
    degrees: tuple[float, ...]
    reach: float


BENDS = {
    "elbow bent": Bend("left_elbow", (0, -1, 0), (30, 60, 90, 110, 130), 0.14),
    "elbow twisted": Bend("left_elbow", (1, 0, 0), (-80, -40, 40, 80), 0.14),
    "knee bent": Bend("left_knee", (1, 0, 0), (30, 60, 90, 110, 130), 0.18),
    "shoulder raised": Bend("left_shoulder", (0, 0, 1), (30, 60, 90), 0.20),
    "shoulder lowered": Bend("left_shoulder", (0, 0, -1), (30, 60, 75), 0.20),
    "shoulder forward": Bend("left_shoulder", (0, -1, 0), (45, 90), 0.20),
    "hip flexed": Bend("left_hip", (-1, 0, 0), (30, 60, 90, 110), 0.26),
    "hip spread": Bend("left_hip", (0, 0, 1), (25, 50), 0.26),
    "wrist bent down": Bend("left_wrist", (0, 0, -1), (30, 60), 0.10),
    "wrist bent up": Bend("left_wrist", (0, 0, 1), (30, 60), 0.10),
    "wrist twisted": Bend("left_wrist", (1, 0, 0), (-80, -40, 40, 80), 0.10),
}


@dataclass(frozen=True)
class Deformation:
    """What the module's docstring lists, for one posed skin."""

    volume: float
    crease: float
    crossing: int

    def __str__(self) -> str:
        return f"{100 * self.volume:6.1f} % {self.crease:5.0f} deg {self.crossing:4d}"


def deformations(smpl: SMPL, bend: Bend) -> list[tuple[float, Deformation, Deformation]]:
    """(degrees, linear blend skinning alone, with correctives) for each angle of a bend."""
    skin = _Patch(smpl, bend)
    axis = torch.tensor(bend.axis, dtype=torch.float64)
    found = []
    for degrees in bend.degrees:
        rotations = torch.eye(3, dtype=torch.float64).repeat(len(SMPL_24), 1, 1)
        rotations[SMPL_24.index(bend.joint)] = axis_angle_to_matrix(
            axis * torch.deg2rad(axis.new_tensor(degrees))
        )
        found.append((degrees, *(skin.measure(v) for v in posed_both_ways(smpl, rotations))))
    return found


def posed_both_ways(
    smpl: SMPL, rotations: Float[Tensor, "24 3 3"], betas: Float[Tensor, " S"] | None = None
) -> tuple[Float[Tensor, "V 3"], Float[Tensor, "V 3"]]:
    """The posed mesh by linear blend skinning alone, and with the pose correctives."""
    rest, joints = smpl.v_template, smpl.J_template
    if betas is not None:
        rest = rest + blend_shapes(betas, smpl.shapedirs)
        joints = smpl.J_regressor @ rest
    world, posed = forward_kinematics(rotations, joints, smpl.tree)
    transforms = bone_transforms(world, posed, joints)
    offsets = blend_shapes(pose_features(rotations[1:]), smpl.posedirs)
    linear, corrected = (
        linear_blend_skinning(mesh, smpl.lbs_weights, transforms) for mesh in (rest, rest + offsets)
    )
    return linear, corrected


@dataclass(frozen=True, eq=False)
class _Patch:
    """The faces near a joint. Their joint stays where it is, since nothing above it turns."""

    smpl: SMPL
    bend: Bend

    @cached_property
    def joint(self) -> Float[Tensor, " 3"]:
        return self.smpl.J_template[SMPL_24.index(self.bend.joint)]

    @cached_property
    def faces(self) -> Int[Tensor, "F 3"]:
        near = (self.smpl.v_template - self.joint).norm(dim=-1) < self.bend.reach
        return self.smpl.faces[near[self.smpl.faces].all(-1)]

    @cached_property
    def rest(self) -> tuple[Tensor, Tensor, int]:
        return self._state(self.smpl.v_template)

    def measure(self, vertices: Float[Tensor, "V 3"]) -> Deformation:
        (volume, turn, crossing), (volume_0, turn_0, crossing_0) = self._state(vertices), self.rest
        near = signed_volume(self.smpl.v_template - self.joint, self.faces)
        sharpest = (turn - turn_0).sort(descending=True).values[: len(turn) // 100]
        return Deformation(
            float(1 + (volume - volume_0) / near),
            float(torch.rad2deg(sharpest.mean())),
            crossing - crossing_0,
        )

    def _state(self, vertices: Float[Tensor, "V 3"]) -> tuple[Tensor, Tensor, int]:
        # Of the whole body: what moves rigidly keeps its volume, so the change is the joint's.
        volume = signed_volume(vertices - self.joint, self.smpl.faces)
        return volume, turns(vertices, self.faces), int(crossings(vertices, self.faces).sum())


def turns(vertices: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"]) -> Float[Tensor, " E"]:
    """Angle between the normals of the two faces at each inner edge, radians: 0 is flat."""
    sides = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).sort(-1).values
    face = torch.arange(len(faces)).repeat(3)
    edges, edge = sides.unique(dim=0, return_inverse=True)
    order = edge.argsort(stable=True)
    inner = edge.bincount(minlength=len(edges))[edge[order]] == 2
    pairs = face[order][inner].unflatten(0, (-1, 2))
    a, b = face_normals(vertices, faces)[pairs].unbind(1)
    return torch.atan2(torch.linalg.cross(a, b).norm(dim=-1), (a * b).sum(-1))


def crossings(vertices: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"]) -> Bool[Tensor, "E F"]:
    """Which edges pass through which faces, corners in common left out (Möller and Trumbore)."""
    edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = edges.sort(-1).values.unique(dim=0)
    start, along = vertices[edges[:, 0], None], (vertices[edges[:, 1]] - vertices[edges[:, 0]])
    a, b, c = vertices[faces].unbind(1)
    across = torch.linalg.cross(along[:, None], (c - a)[None])
    determinant = (across * (b - a)).sum(-1)
    from_a = start - a
    u = (from_a * across).sum(-1) / determinant
    q = torch.linalg.cross(from_a, (b - a).expand_as(from_a))
    v = (along[:, None] * q).sum(-1) / determinant
    t = ((c - a) * q).sum(-1) / determinant
    inside = (u >= 0) & (v >= 0) & (u + v <= 1) & (t >= 0) & (t <= 1)
    apart = (edges[:, None, :, None] != faces[None, :, None]).all(-1).all(-1)
    return inside & apart
