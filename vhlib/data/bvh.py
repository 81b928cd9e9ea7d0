"""BVH files (Biovision hierarchy): a skeleton with offsets, then Euler angles frame by frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vhlib.geometry.rotations import axis_angle_to_matrix

_AXES = {"X": 0, "Y": 1, "Z": 2}
_MOTION_HEADER = ("Frames", "Frame Time")


@dataclass(frozen=True)
class BvhJoint:
    """One joint: its parent's name (None for the root), offset from it, and channels in order."""

    name: str
    parent: str | None
    offset: tuple[float, float, float]
    channels: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class BvhClip:
    """The file's content: joints, parents first; channel values (T, C) in degrees and file units.

    The end of a chain is a joint without channels, called ``<parent>_end``.
    """

    joints: Mapping[str, BvhJoint]
    values: Float[Tensor, "T C"]
    frame_time: float

    @cached_property
    def world_rotations(self) -> dict[str, Tensor]:
        """Rotation (T, 3, 3) of each joint with channels relative to the world."""
        world: dict[str, Tensor] = {}
        for joint in self.joints.values():
            if joint.channels:
                local = self._local_rotation(joint)
                world[joint.name] = local if joint.parent is None else world[joint.parent] @ local
        return world

    @property
    def root_position(self) -> Float[Tensor, "T 3"]:
        """Path of the root in file units."""
        root = next(iter(self.joints.values()))
        columns = [self._column(root, f"{axis}position") for axis in "XYZ"]
        return torch.stack(columns, -1) + self.values.new_tensor(root.offset)

    def rest_vector(self, ancestor: str, joint: str) -> Float[Tensor, " xyz"]:
        """From ``ancestor`` to ``joint`` below it when nothing is turned, in file units."""
        vector = self.values.new_zeros(3)
        while joint != ancestor:
            vector = vector + self.values.new_tensor(self.joints[joint].offset)
            joint = self.joints[joint].parent
        return vector

    def _local_rotation(self, joint: BvhJoint) -> Tensor:
        """Product of the turns in the order in which the file lists them."""
        rotation = torch.eye(3, dtype=self.values.dtype).expand(len(self.values), 3, 3)
        for channel in joint.channels:
            if channel.endswith("rotation"):
                turn = torch.zeros(len(self.values), 3, dtype=self.values.dtype)
                turn[:, _AXES[channel[0]]] = torch.deg2rad(self._column(joint, channel))
                rotation = rotation @ axis_angle_to_matrix(turn)
        return rotation

    def _column(self, joint: BvhJoint, channel: str) -> Tensor:
        if channel not in joint.channels:
            return self.values.new_zeros(len(self.values))
        return self.values[:, self._first_column[joint.name] + joint.channels.index(channel)]

    @cached_property
    def _first_column(self) -> dict[str, int]:
        counts = [len(joint.channels) for joint in self.joints.values()]
        starts = np.cumsum([0, *counts[:-1]]).tolist()
        return dict(zip(self.joints, starts, strict=True))


def read_bvh(path: str | Path) -> BvhClip:
    """Parse a BVH file.

    Raises:
        ValueError: the file isn't BVH; the message says at which part.
        OSError: it can't be read.
    """
    path = Path(path)
    hierarchy, found, motion = path.read_text(errors="replace").partition("MOTION")
    if not hierarchy.lstrip().startswith("HIERARCHY") or not found:
        raise ValueError(f"{path}: not a BVH file, it lacks the word HIERARCHY or MOTION")
    try:
        joints = _parse_hierarchy(hierarchy)
        values, frame_time = _parse_motion(motion)
    except (IndexError, StopIteration):
        raise ValueError(f"{path}: the BVH hierarchy or motion header is cut off") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    channels = sum(len(joint.channels) for joint in joints.values())
    if values.shape[1] != channels:
        raise ValueError(f"{path}: {channels} channels, but {values.shape[1]} numbers in a frame")
    return BvhClip(joints, torch.from_numpy(values), frame_time)


def _parse_hierarchy(text: str) -> dict[str, BvhJoint]:
    words = iter(text.split())
    next(words)
    joints: dict[str, BvhJoint] = {}
    stack: list[str] = []
    for word in words:
        if word == "}":
            stack.pop()
        elif word in ("ROOT", "JOINT", "End"):
            parent = stack[-1] if stack else None
            name = next(words)
            joint = _parse_joint(f"{parent}_end" if word == "End" else name, parent, words)
            if joint.name in joints:
                raise ValueError(f"two joints are called {joint.name!r}")
            joints[joint.name] = joint
            stack.append(joint.name)
        else:
            raise ValueError(f"unexpected word {word!r} in the BVH hierarchy")
    if not joints or stack:
        raise ValueError("the BVH hierarchy isn't closed")
    return joints


def _parse_joint(name: str, parent: str | None, words) -> BvhJoint:
    """What follows a joint's name: an opening brace, the offset and, but for ends, channels."""
    if (next(words), next(words)) != ("{", "OFFSET"):
        raise ValueError(f"joint {name!r} doesn't begin with {{ OFFSET")
    offset = (float(next(words)), float(next(words)), float(next(words)))
    if name == f"{parent}_end":
        return BvhJoint(name, parent, offset, ())
    if next(words) != "CHANNELS":
        raise ValueError(f"joint {name!r} has no CHANNELS")
    channels = tuple(next(words) for _ in range(int(next(words))))
    allowed = {f"{axis}{kind}" for axis in "XYZ" for kind in ("position", "rotation")}
    if not allowed.issuperset(channels):
        raise ValueError(f"joint {name!r} has an unknown channel in {' '.join(channels)}")
    return BvhJoint(name, parent, offset, channels)


def _header(line: str, key: str) -> float:
    name, _, value = line.partition(":")
    if name.strip() != key:
        raise ValueError(f"expected a line {key!r} in the BVH motion, found {line.strip()[:40]!r}")
    return float(value)


def _parse_motion(text: str) -> tuple[np.ndarray, float]:
    lines = [line for line in text.splitlines() if line.strip()]
    count, frame_time = (_header(lines[row], key) for row, key in enumerate(_MOTION_HEADER))
    rows = lines[2:]
    # Some writers count one frame too few; fewer rows than promised mean a cut-off file.
    if len(rows) < count or not rows:
        raise ValueError(f"the BVH header promises {count:g} frames, the file holds {len(rows)}")
    if len({len(row.split()) for row in rows}) != 1:
        raise ValueError("the BVH frames differ in length; the file may be cut off")
    return np.array([row.split() for row in rows], dtype=np.float64), frame_time
