"""How well a pose prior tells poses that people took from poses that nobody takes.

A prior is a function of axis-angle poses (n, 69) here, lower where a pose is likelier. Scores are
areas under the ROC curve (AUC): how often a recorded pose is likelier than a made-up one, 0.5 by
chance. How high one comes depends on how the others are made up, so there are four ways.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Bool, Float
from sklearn.metrics import roc_auc_score
from torch import Tensor

from vhlib.body.skeletons import SMPL_24
from vhlib.fitting.energies import BENT_JOINTS
from vhlib.geometry.rotations import matrix_to_axis_angle, quaternion_to_matrix

Energy = Callable[[Tensor], Tensor]
Poses = Float[Tensor, "n 69"]
# Radians that a joint is bent the wrong way, from and to.
HYPEREXTENSION = (math.radians(20), math.radians(60))
# The range that uniform numbers are drawn from leaves out so many of the recorded at either end.
TAIL = 0.005


@dataclass(frozen=True)
class ClipScores:
    """AUC of one clip against made-up poses, and how many hyperextensions are noticed.

    any_rotation, uniform, shuffled: see ``RandomPoses``. hyperextended: its own poses with one knee
    or elbow bent the wrong way. noticed: the share of these that cost more than the pose they were
    made of.
    """

    any_rotation: float
    uniform: float
    shuffled: float
    hyperextended: float
    noticed: float


@dataclass(frozen=True, eq=False)
class RandomPoses:
    """Makes poses up of what each joint does in recorded clips.

    joints: for each of the 23 joints, its axis-angles (n, 3) in the clips that record it. Some
    sources record no feet, wrists or collars, and joints that a clip doesn't record stay as they
    are in what is made up to be compared with it: a stiff wrist says nothing about a pose.
    """

    joints: Sequence[Tensor]

    @classmethod
    def of_clips(cls, clips: Iterable[Tensor]) -> RandomPoses:
        """From the poses of each clip, (n, 69) axis-angle."""
        pools: list[list[Tensor]] = [[] for _ in SMPL_24.names[1:]]
        for poses in clips:
            for pool, joint, there in zip(
                pools, poses.unflatten(-1, (-1, 3)).unbind(1), recorded_joints(poses), strict=True
            ):
                pool += [joint] if there else []
        return cls([torch.cat(pool) if pool else torch.empty(0, 3) for pool in pools])

    def any_rotation(self, poses: Poses, generator: torch.Generator) -> Poses:
        """Every joint turned anyhow: rotations uniform over SO(3)."""

        def draw(pool: Tensor, count: int) -> Tensor:
            quaternion = torch.randn(count, 4, generator=generator, dtype=pool.dtype)
            return matrix_to_axis_angle(quaternion_to_matrix(quaternion))

        return self._made_up(poses, draw)

    def uniform(self, poses: Poses, generator: torch.Generator) -> Poses:
        """Every number uniform over the range that it was recorded in."""

        def draw(pool: Tensor, count: int) -> Tensor:
            low, high = torch.quantile(pool, pool.new_tensor([TAIL, 1 - TAIL]), 0)
            return low + (high - low) * torch.rand(count, 3, generator=generator, dtype=pool.dtype)

        return self._made_up(poses, draw)

    def shuffled(self, poses: Poses, generator: torch.Generator) -> Poses:
        """Every number that of another recorded pose: only how they go together is wrong.

        The hardest: most recorded poses stand or walk, and so does, nearly, what they are mixed to.
        """

        def draw(pool: Tensor, count: int) -> Tensor:
            return pool.gather(0, torch.randint(len(pool), (count, 3), generator=generator))

        return self._made_up(poses, draw)

    def _made_up(self, poses: Poses, draw: Callable[[Tensor, int], Tensor]) -> Poses:
        made_up = poses.unflatten(-1, (-1, 3)).clone()
        for j, (pool, there) in enumerate(zip(self.joints, recorded_joints(poses), strict=True)):
            if there and len(pool):
                made_up[:, j] = draw(pool, len(poses)).to(poses)
        return made_up.flatten(1)


def recorded_joints(poses: Poses) -> Bool[Tensor, " joints"]:
    """Which of the 23 joints ever turn."""
    # Retargeting leaves rounding errors of float32 where the source says nothing.
    return poses.unflatten(-1, (-1, 3)).abs().amax((0, 2)) > 1e-5


def hyperextended(poses: Poses, generator: torch.Generator) -> Poses:
    """The same poses, each with one knee or elbow, drawn by lot, bent 20 to 60 degrees too far."""
    bent = poses.unflatten(-1, (-1, 3)).clone()
    low, high = HYPEREXTENSION
    angle = low + (high - low) * torch.rand(len(poses), generator=generator, dtype=poses.dtype)
    chosen = torch.randint(len(BENT_JOINTS), (len(poses),), generator=generator)
    for which, (name, axis, sign) in enumerate(BENT_JOINTS):
        rows = (chosen == which).nonzero()[:, 0]
        joint = SMPL_24.index(name) - 1
        bent[rows, joint] = 0
        bent[rows, joint, axis] = sign * angle[rows]
    return bent.flatten(1)


def score_clip(
    energy: Energy, poses: Poses, random_poses: RandomPoses, generator: torch.Generator
) -> ClipScores:
    """Judge one clip against as many poses of each kind as it has."""
    real = energy(poses)
    bent = energy(hyperextended(poses, generator))
    ways = random_poses.any_rotation, random_poses.uniform, random_poses.shuffled
    others = [*(energy(make_up(poses, generator)) for make_up in ways), bent]
    areas = [area_under_curve(real, made_up) for made_up in others]
    return ClipScores(*areas, noticed=float((bent > real).double().mean()))


def mean_scores(scores: Sequence[ClipScores]) -> ClipScores:
    """Each score's mean over clips, to four places."""
    names = [field.name for field in fields(ClipScores)]
    return ClipScores(
        **{n: round(float(np.mean([getattr(s, n) for s in scores])), 4) for n in names}
    )


def area_under_curve(real: Float[Tensor, " n"], made_up: Float[Tensor, " m"]) -> float:
    """How often a real pose has the lower energy."""
    is_made_up = np.repeat([0, 1], [len(real), len(made_up)])
    return float(roc_auc_score(is_made_up, torch.cat([real, made_up]).numpy()))
