"""Body parts of a mesh: one for each of SMPL's 24 joints, or the six of the segmentation metric.

A part is a number of each face. The background of a part map is left to the caller: with it the six
parts make the seven classes of the metric on LSP (Bogo et al. 2016; SPIN's evaluation).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int

from vhlib.body.skeletons import SMPL_24


@dataclass(frozen=True)
class PartSet:
    """Named parts in order, each with the SMPL joints whose faces belong to it."""

    name: str
    joints: Mapping[str, tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.joints)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names in order."""
        return tuple(self.joints)

    @cached_property
    def part_of_joint(self) -> Int[np.ndarray, " 24"]:
        """The part that each of SMPL's joints belongs to."""
        part = {joint: k for k, joints in enumerate(self.joints.values()) for joint in joints}
        return np.array([part[joint] for joint in SMPL_24.names])

    def of_faces(self, part_labels: Int[np.ndarray, " F"]) -> Int[np.ndarray, " F"]:
        """The part of each face, from the joint ids that a model file stores as part labels.

        Raises:
            ValueError: labels beyond the 24 joints.
        """
        if part_labels.size and not 0 <= part_labels.min() <= part_labels.max() < len(SMPL_24):
            raise ValueError(
                f"part labels run from {part_labels.min()} to {part_labels.max()}, expected ids of "
                f"SMPL's joints, 0 to {len(SMPL_24) - 1}"
            )
        return self.part_of_joint[part_labels]


def _limb(side: str, *joints: str) -> tuple[str, ...]:
    return tuple(f"{side}_{joint}" for joint in joints)


PARTS_24 = PartSet("parts_24", {joint: (joint,) for joint in SMPL_24.names})

# The shoulders' joints move the upper arms, the hips' the thighs; the neck goes with the head.
PARTS_6 = PartSet(
    "parts_6",
    {
        "head": ("head", "neck"),
        "torso": ("pelvis", "spine1", "spine2", "spine3", "left_collar", "right_collar"),
        **{f"{s}_arm": _limb(s, "shoulder", "elbow", "wrist", "hand") for s in ("left", "right")},
        **{f"{s}_leg": _limb(s, "hip", "knee", "ankle", "foot") for s in ("left", "right")},
    },
)
