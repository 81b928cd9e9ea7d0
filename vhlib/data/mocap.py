"""Recorded motion as rotations of SMPL's 24 joints."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vhlib.body.skeletons import SMPL_24
from vhlib.files import read_npz, write_atomically
from vhlib.geometry.rotations import (
    axis_angle_to_matrix,
    matrix_to_axis_angle,
    part_of_rotation,
)

# AMASS carries fingers after the 22 joints that SMPL, SMPL-H and SMPL-X share.
SHARED_JOINTS = 22
# Of AMASS's SMPL+H files, and of its SMPL-X ones.
_RATES = ("mocap_framerate", "mocap_frame_rate")


@dataclass(frozen=True, eq=False)
class MotionSequence:
    """T frames of one person.

    rotations: (T, 24, 3, 3) of each joint relative to its parent, in SMPL's order, the root first.
    translation: (T, 3) of the root, metres. World axes are the source's: clips from the registry
    have y up, AMASS has z up.
    fps: frames per second.

    Raises:
        ValueError: other shapes, no frame, a value that isn't finite, or fps that isn't positive.
    """

    rotations: Float[Tensor, "T 24 3 3"]
    translation: Float[Tensor, "T 3"]
    fps: float
    name: str = "motion"

    def __post_init__(self) -> None:
        shapes = tuple(self.rotations.shape), tuple(self.translation.shape)
        frames = len(self.translation)
        if shapes != ((frames, len(SMPL_24), 3, 3), (frames, 3)) or frames == 0:
            raise ValueError(
                f"{self.name}: a motion has rotations (T, 24, 3, 3) and translation (T, 3), "
                f"found {shapes[0]} and {shapes[1]}"
            )
        if not (self.rotations.isfinite().all() and self.translation.isfinite().all()):
            raise ValueError(f"{self.name}: the motion holds a value that isn't finite")
        if not 0 < self.fps < float("inf"):
            raise ValueError(f"{self.name}: frames per second must be positive, found {self.fps}")

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.translation)

    def __getitem__(self, frames: slice) -> MotionSequence:
        """A part of the motion: ``motion[10:50]``, ``motion[::2]`` (which halves ``fps``)."""
        if not isinstance(frames, slice):
            raise TypeError("index a motion by a slice, such as motion[10:50]")
        _, _, step = frames.indices(len(self))
        if step < 1:
            raise ValueError(f"a motion can't be read in steps of {step} frames")
        return replace(
            self,
            rotations=self.rotations[frames],
            translation=self.translation[frames],
            fps=self.fps / step,
        )

    @property
    def body_pose(self) -> Float[Tensor, "T 23 3 3"]:
        """Rotations of every joint but the root."""
        return self.rotations[:, 1:]

    @property
    def global_orient(self) -> Float[Tensor, "T 3 3"]:
        """Rotation of the root."""
        return self.rotations[:, 0]

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the last."""
        return (len(self) - 1) / self.fps


def mirrored(motion: MotionSequence) -> MotionSequence:
    """The motion seen in a mirror at x = 0: sides exchanged, every rotation ``M R M``.

    With ``M = diag(-1, 1, 1)`` this keeps the x component of an axis-angle and negates y and z.
    """
    mirror = torch.diag(motion.rotations.new_tensor([-1.0, 1.0, 1.0]))
    exchanged = motion.rotations[:, torch.from_numpy(SMPL_24.flip_permutation)]
    return replace(
        motion,
        rotations=mirror @ exchanged @ mirror,
        translation=motion.translation @ mirror,
        name=f"{motion.name}_mirrored",
    )


Z_UP_TO_Y_UP = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
"""From AMASS's world, z up, to that of SMPL at rest, y up: (x, y, z) becomes (x, z, -y)."""


def turned(
    motion: MotionSequence,
    rotation: Float[Tensor, "3 3"],
    rest_root: Float[Tensor, " 3"] | None = None,
) -> MotionSequence:
    """The same motion in a world turned by ``rotation``, such as ``Z_UP_TO_Y_UP``.

    SMPL turns a body about its root joint, which rests at ``J_0`` and not at the origin, so the
    translation isn't just turned: ``R_0' = R R_0`` and ``t' = R (J_0 + t) - J_0``.

    Args:
        rest_root: J_0, metres, ``smpl.keypoints("smpl_24", betas=betas)[0]``; the origin
            if left out, as for clips whose translation is where the root is.
    """
    rotation = rotation.to(motion.rotations)
    offset = motion.translation.new_zeros(3) if rest_root is None else rest_root.to(rotation)
    rotations = motion.rotations.clone()
    rotations[:, 0] = rotation @ motion.global_orient
    translation = (motion.translation + offset) @ rotation.mT - offset
    return replace(motion, rotations=rotations, translation=translation)


def resampled(motion: MotionSequence, fps: float) -> MotionSequence:
    """The motion at another frame rate; the shortest turn between frames, straight translation."""
    if not 0 < fps < float("inf"):
        raise ValueError(f"frames per second must be positive, found {fps}")
    # Rounding can put the last frame a hair beyond the end.
    count = int(motion.duration * fps + 1e-6) + 1
    place = torch.arange(count, dtype=torch.float64) * (motion.fps / fps)
    before = place.floor().long().clamp(max=len(motion) - 1)
    after = (before + 1).clamp(max=len(motion) - 1)
    share = (place - before).to(motion.rotations)
    start, end = motion.rotations[before], motion.rotations[after]
    turn = part_of_rotation(start.mT @ end, share[:, None])
    shift = motion.translation[after] - motion.translation[before]
    return replace(
        motion,
        rotations=start @ turn,
        translation=motion.translation[before] + share[:, None] * shift,
        fps=float(fps),
    )


def split_by_clip(
    motions: Mapping[str, MotionSequence], held_out: Collection[str]
) -> tuple[dict[str, MotionSequence], dict[str, MotionSequence]]:
    """(the others, ``held_out``): neighbouring frames are near copies, so frames never split."""
    unknown = sorted(set(held_out) - set(motions))
    if unknown:
        raise ValueError(f"no clip {', '.join(unknown)}; there are {', '.join(motions)}")
    kept = {name: motion for name, motion in motions.items() if name not in held_out}
    return kept, {name: motions[name] for name in held_out}


def read_smpl_npz(path: str | Path) -> MotionSequence:
    """A motion in AMASS's layout, as published: pose and translation as the file has them.

    ``poses`` are 72 (SMPL), 156 (SMPL+H) or 165 (SMPL-X) numbers a frame, or in two parts,
    ``root_orient`` and ``pose_body``; beside them stand ``trans`` and ``mocap_framerate`` or
    ``mocap_frame_rate``. All give their 22 body joints. SMPL's two hand joints stay straight: each
    moves a whole hand, which none of the thirty finger joints does. SMPL+H shares SMPL's skeleton,
    so its pose is SMPL's; SMPL-X's joints lie elsewhere, and its pose is only like it.

    AMASS has z up: see ``turned``. Nothing in the file is unpickled.

    Raises:
        ValueError: the file isn't such an npz.
        OSError: it can't be read.
    """
    path = Path(path)
    arrays = read_npz(path, ("poses", "root_orient", "pose_body", "trans", *_RATES))
    poses, translation, rate = _checked_arrays(arrays, path)
    joints = len(SMPL_24) if poses.shape[1] == 3 * len(SMPL_24) else SHARED_JOINTS
    axis_angle = np.zeros((len(poses), len(SMPL_24), 3))
    axis_angle[:, :joints] = poses[:, : 3 * joints].reshape(len(poses), joints, 3)
    rotations = axis_angle_to_matrix(torch.from_numpy(axis_angle)).float()
    translation = torch.from_numpy(translation.astype(np.float32))
    return MotionSequence(rotations, translation, rate, path.stem)


def _checked_arrays(
    arrays: Mapping[str, np.ndarray], path: Path
) -> tuple[np.ndarray, np.ndarray, float]:
    """Poses in one piece, translations and frames per second."""
    rate = next((arrays[key] for key in _RATES if key in arrays), None)
    parts = [arrays[key] for key in ("root_orient", "pose_body") if key in arrays]
    has = {"poses": "poses" in arrays or len(parts) == 2, "trans": "trans" in arrays}
    missing = [key for key, there in (has | {_RATES[0]: rate is not None}).items() if not there]
    if missing:
        found = ", ".join(arrays) or "none of AMASS's arrays"
        raise ValueError(f"{path}: no {' and no '.join(missing)}; found {found}")
    for name, array in arrays.items():
        if array.dtype.kind not in "fiu":
            raise ValueError(f"{path}: {name} holds {array.dtype}, expected numbers")
    if "poses" not in arrays:
        _check_parts(*parts, path)
    poses = arrays["poses"] if "poses" in arrays else np.concatenate(parts, 1)
    if poses.ndim != 2 or poses.shape[1] < 3 * SHARED_JOINTS or poses.shape[1] % 3:
        raise ValueError(f"{path}: poses are {poses.shape}, expected (T, 72) or AMASS's (T, 156)")
    if arrays["trans"].shape != (len(poses), 3):
        found = arrays["trans"].shape
        raise ValueError(f"{path}: trans is {found}, expected ({len(poses)}, 3)")
    if rate.size != 1:
        raise ValueError(f"{path}: the frame rate is {rate.shape}, expected one number")
    return poses, arrays["trans"], float(rate.item())


def _check_parts(root_orient: np.ndarray, pose_body: np.ndarray, path: Path) -> None:
    found = root_orient.shape, pose_body.shape
    frames = root_orient.shape[:1]
    if found != ((*frames, 3), (*frames, 3 * SHARED_JOINTS - 3)):
        raise ValueError(
            f"{path}: root_orient is {found[0]} and pose_body {found[1]}, "
            "expected (T, 3) and (T, 63)"
        )


def write_smpl_npz(motion: MotionSequence, path: str | Path) -> None:
    """Write AMASS's keys with SMPL's 72 numbers a frame; `read_smpl_npz` reads it back."""
    poses = matrix_to_axis_angle(motion.rotations).flatten(1)
    with write_atomically(path) as file:
        np.savez(
            file,
            poses=poses.numpy(),
            trans=motion.translation.numpy(),
            mocap_framerate=np.float64(motion.fps),
        )
