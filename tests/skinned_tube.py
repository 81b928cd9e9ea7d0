"""A tube of two bones, whose skinning can be worked out by hand."""

from __future__ import annotations

import numpy as np
import torch
import trimesh

from vhlib.body.skeletons import SMPL_24, SMPL_PARENTS
from vhlib.body.skin import Skin
from vhlib.geometry.rotations import axis_angle_to_matrix


def skinned_tube() -> tuple[Skin, torch.Tensor]:
    """A closed tube along y, 1 m long; its upper half follows the second of two joints."""
    mesh = trimesh.creation.cylinder(radius=0.1, height=1.0, sections=16)
    mesh = mesh.subdivide_to_size(0.05)
    rest = torch.from_numpy(np.array(mesh.vertices))[:, [1, 2, 0]].contiguous()
    upper = ((rest[:, 1] + 0.1) / 0.2).clamp(0, 1)
    weights = torch.stack([1 - upper, upper], 1)
    return Skin(torch.from_numpy(np.array(mesh.faces)).long(), weights, (-1, 0)), rest


def bent(axis_angle: list[float]) -> torch.Tensor:
    """Transforms of two joints at the origin, the second turned."""
    rotations = axis_angle_to_matrix(torch.tensor([[[0.0, 0, 0], axis_angle]]).double())
    return torch.cat([rotations, torch.zeros(1, 2, 3, 1).double()], -1)


def skinned_arm() -> tuple[Skin, torch.Tensor, torch.Tensor]:
    """The tube along +x as a left arm on SMPL's tree, elbow in its middle; rest, (24, 3) joints."""
    tube, rest = skinned_tube()
    weights = torch.zeros(len(rest), 24).double()
    weights[:, SMPL_24.indices("left_shoulder", "left_elbow")] = tube.lbs_weights
    joints = torch.zeros(24, 3).double()
    for name, x in {"left_shoulder": 0.1, "left_elbow": 0.6, "left_wrist": 1.1}.items():
        joints[SMPL_24.index(name), 0] = x
    joints[SMPL_24.index("spine1"), 1] = 0.2
    joints[SMPL_24.indices("left_knee", "right_knee"), 1] = -0.4
    parents = tuple(-1 if p is None else SMPL_24.index(p) for p in SMPL_PARENTS.values())
    # A quarter turn about z brings y to x.
    along_x = torch.stack([rest[:, 1] + 0.6, -rest[:, 0], rest[:, 2]], 1)
    return Skin(tube.faces, weights, parents), along_x, joints


def elbow_turned(axis_angles: list[list[float]]) -> torch.Tensor:
    """(P, 24, 3, 3) rotations that turn the left elbow only."""
    rotations = torch.eye(3).double().repeat(len(axis_angles), 24, 1, 1)
    rotations[:, SMPL_24.index("left_elbow")] = axis_angle_to_matrix(
        torch.tensor(axis_angles).double()
    )
    return rotations
