"""Other skeletons' motion on SMPL's 24 joints: DeepMimic's humanoid and two BVH rigs.

SMPL rests in a T-pose with y up and z forward. A source joint is carried over by its *world*
rotation, corrected by the turn between the two rest poses, so bones point the same way.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vhlib.body.skeletons import SMPL_PARENTS
from vhlib.data.bvh import BvhClip
from vhlib.data.mocap import MotionSequence
from vhlib.geometry.rotations import (
    axis_angle_to_matrix,
    part_of_rotation,
    quaternion_to_matrix,
    rotation_between,
)

# Bones of a person of average build in the T-pose, metres; only directions and leg length matter.
_REST_BONES: Mapping[str, tuple[float, float, float]] = {
    "left_knee": (0.03, -0.38, 0.0),
    "left_ankle": (-0.015, -0.40, -0.03),
    "left_foot": (0.03, -0.06, 0.12),
    "left_elbow": (0.26, -0.01, -0.02),
    "left_wrist": (0.25, 0.01, 0.0),
}
_LEG_LENGTH = math.hypot(*_REST_BONES["left_knee"]) + math.hypot(*_REST_BONES["left_ankle"])

# One DeepMimic frame: name and count of its numbers (Peng et al., DeepMimic, 2018, code release).
_DEEPMIMIC_FIELDS = {"duration": 1, "root_position": 3, "root": 4, "chest": 4, "neck": 4} | {
    f"{side}_{joint}": size
    for side in ("right", "left")
    for joint, size in (("hip", 4), ("knee", 1), ("ankle", 4), ("shoulder", 4), ("elbow", 1))
}
_DEEPMIMIC_SIZE = sum(_DEEPMIMIC_FIELDS.values())
# DeepMimic's x forward, y up, z right are SMPL's z, y, -x.
_DEEPMIMIC_AXES = torch.tensor([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]], dtype=torch.float64)


def _both_sides(joints: Mapping[str, str]) -> dict[str, str]:
    """``{"hip": "{}UpLeg"}`` -> ``{"left_hip": "LeftUpLeg", "right_hip": "RightUpLeg"}``."""
    return {
        f"{side}_{joint}": source.format(side.capitalize())
        for side in ("left", "right")
        for joint, source in joints.items()
    }


CMU_JOINTS: Mapping[str, str] = {
    **{"pelvis": "Hips", "spine1": "LowerBack", "spine2": "Spine", "spine3": "Spine1"},
    **{"neck": "Neck", "head": "Head"},
    **_both_sides({"hip": "{}UpLeg", "knee": "{}Leg", "ankle": "{}Foot", "foot": "{}ToeBase"}),
    **_both_sides({"collar": "{}Shoulder", "shoulder": "{}Arm"}),
    **_both_sides({"elbow": "{}ForeArm", "wrist": "{}Hand"}),
}
"""SMPL joint -> joint of the CMU database's BVH conversion."""

BIPED_JOINTS: Mapping[str, str] = {
    **{"pelvis": "Hips", "spine1": "Ab", "spine2": "Ab", "spine3": "Chest"},
    **{"neck": "Neck", "head": "Head"},
    **_both_sides({"hip": "{}Hip", "knee": "{}Knee", "ankle": "{}Ankle", "foot": "{}Toes"}),
    **_both_sides({"collar": "{}Collar", "shoulder": "{}Shoulder"}),
    **_both_sides({"elbow": "{}Elbow", "wrist": "{}Wrist"}),
}
"""SMPL joint -> joint of rigs that name joints after the body, such as the boxing clip's."""

# A bone that runs from the first joint to the second fixes how the first one's rest pose differs.
_AIMED_BONES = {
    f"{side}_{joint}": f"{side}_{child}"
    for side in ("left", "right")
    for joint, child in (
        *(("hip", "knee"), ("knee", "ankle"), ("ankle", "foot")),
        *(("shoulder", "elbow"), ("elbow", "wrist")),
    )
}


def read_deepmimic(path: str | Path) -> MotionSequence:
    """A DeepMimic motion text, retargeted; y up, facing +z at identity.

    Raises:
        ValueError: the file isn't DeepMimic JSON, or its frames last differently long.
        OSError: it can't be read.
    """
    path = Path(path)
    frames = _read_frames(path)
    if frames.ndim != 2 or frames.shape[1] != _DEEPMIMIC_SIZE or len(frames) < 2:
        raise ValueError(
            f"{path}: DeepMimic frames are {frames.shape}, expected (T, {_DEEPMIMIC_SIZE}), T > 1"
        )
    ends = list(accumulate(_DEEPMIMIC_FIELDS.values(), initial=0))
    values = torch.from_numpy(frames)
    fields = {
        n: values[:, a:b] for n, (a, b) in zip(_DEEPMIMIC_FIELDS, pairwise(ends), strict=True)
    }
    duration = float(fields["duration"][:-1].median())
    if duration <= 0:
        raise ValueError(f"{path}: a DeepMimic frame lasts {duration:g} s")
    world = _deepmimic_world_rotations(fields)
    translation = fields["root_position"] @ _DEEPMIMIC_AXES.mT
    return _as_motion(world, translation, 1 / duration, path.stem)


def _read_frames(path: Path) -> np.ndarray:
    try:
        return np.array(json.loads(path.read_text())["Frames"], dtype=np.float64)
    # Unreadable JSON, text and ragged rows are all ValueErrors.
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            f'{path}: not a DeepMimic motion, expected {{"Frames": [[...]]}}'
        ) from None


def _deepmimic_world_rotations(fields: Mapping[str, Tensor]) -> dict[str, Tensor]:
    turn = {name: _deepmimic_turn(value) for name, value in fields.items() if "root_" not in name}
    chest = turn["root"] @ turn["chest"]
    world = {"pelvis": turn["root"], "spine3": chest}
    # One chest joint stands for three vertebrae, one neck joint for neck and head.
    for joint, share in (("spine1", 1 / 3), ("spine2", 2 / 3)):
        world[joint] = turn["root"] @ part_of_rotation(turn["chest"], share)
    world["neck"], world["head"] = chest @ part_of_rotation(turn["neck"], 0.5), chest @ turn["neck"]
    for side, outward in (("left", 1.0), ("right", -1.0)):
        hip = world[f"{side}_hip"] = turn["root"] @ turn[f"{side}_hip"]
        knee = world[f"{side}_knee"] = hip @ turn[f"{side}_knee"]
        world[f"{side}_ankle"] = knee @ turn[f"{side}_ankle"]
        # DeepMimic's arms rest hanging, SMPL's stretched out sideways.
        hanging = rotation_between(chest.new_tensor([outward, 0, 0]), chest.new_tensor([0, -1, 0]))
        upper = chest @ turn[f"{side}_shoulder"]
        world[f"{side}_shoulder"] = upper @ hanging
        world[f"{side}_elbow"] = upper @ turn[f"{side}_elbow"] @ hanging
    return world


def _deepmimic_turn(value: Tensor) -> Tensor:
    """Quaternions (T, 4), real part first, or hinge angles (T, 1) about z, in SMPL's axes."""
    if value.shape[-1] == 1:
        matrix = axis_angle_to_matrix(torch.nn.functional.pad(value, (2, 0)))
    else:
        matrix = quaternion_to_matrix(value.roll(-1, -1))
    return _DEEPMIMIC_AXES @ matrix @ _DEEPMIMIC_AXES.mT


def retarget_bvh(clip: BvhClip, name: str = "motion") -> MotionSequence:
    """A BVH clip on SMPL's joints, scaled to a leg of average length.

    Raises:
        ValueError: the rig's joints are called neither as in CMU_JOINTS nor as in BIPED_JOINTS.
    """
    sources = _matching_joints(clip, name)
    world = {}
    for joint, source in sources.items():
        if source in clip.world_rotations:
            world[joint] = clip.world_rotations[source] @ _rest_correction(clip, sources, joint)
    leg = sum(
        clip.rest_vector(sources[f"left_{a}"], sources[f"left_{b}"]).norm()
        for a, b in (("hip", "knee"), ("knee", "ankle"))
    )
    return _as_motion(world, clip.root_position * (_LEG_LENGTH / leg), 1 / clip.frame_time, name)


def _matching_joints(clip: BvhClip, name: str) -> Mapping[str, str]:
    for sources in (CMU_JOINTS, BIPED_JOINTS):
        if clip.joints.keys() >= set(sources.values()):
            return sources
    raise ValueError(
        f"{name}: this BVH rig's joint names aren't known; it has {', '.join(clip.joints)}"
    )


def _rest_correction(clip: BvhClip, sources: Mapping[str, str], joint: str) -> Tensor:
    """Turns SMPL's rest bone into the rig's, so that both point alike when the rig is at rest."""
    child = _AIMED_BONES.get(joint)
    if child is None:
        return torch.eye(3, dtype=torch.float64)
    x, y, z = _REST_BONES[child.replace("right", "left")]
    rest = clip.values.new_tensor([-x if child.startswith("right") else x, y, z])
    return rotation_between(rest, clip.rest_vector(sources[joint], sources[child]))


def _as_motion(
    world: Mapping[str, Tensor], translation: Tensor, fps: float, name: str
) -> MotionSequence:
    """World rotations as local ones; a joint that the source lacks keeps its parent's rotation."""
    world = dict(world)
    local = []
    for joint, parent in SMPL_PARENTS.items():
        if parent is None:
            local.append(world[joint])
            continue
        world.setdefault(joint, world[parent])
        local.append(world[parent].mT @ world[joint])
    return MotionSequence(torch.stack(local, 1).float(), translation.float(), fps, name)
