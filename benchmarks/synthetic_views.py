"""Synthetic views whose truth is exact, and what a detector makes of them.

Poses come from clips that the prior here hasn't seen; bodies, cameras and the detector's faults are
drawn. The benchmarks that choose a weight for the fit choose it on these, so that no scored real
frame does. (The prior's recipe is another matter, see vhlib/training/pose_prior.py.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from limbs import HIPS, limb_joints
from torch import Tensor

from vhlib.body import SMPL, BodyParameters, Keypoints
from vhlib.data.mocap import split_by_clip
from vhlib.data.motion_library import load_registry_motions
from vhlib.fitting.priors import GaussianMixturePrior
from vhlib.geometry import PerspectiveCamera, axis_angle_to_matrix
from vhlib.metrics import mpjpe, pa_mpjpe
from vhlib.training.pose_prior import HELD_OUT_CLIPS, PosePriorRecipe, fit_mixture

CAMERA = PerspectiveCamera((1680.0, 1680.0), (540.0, 960.0), (1080, 1920))


@dataclass(frozen=True)
class Faults:
    """What a detector does to a point: metres, shares of the person's height, probabilities.

    astray: to lie 15 per cent of the height off; anywhere: to lie anywhere in the image.
    """

    definition: float = 0.02
    noise: float = 0.01
    lost: float = 0.03
    astray: float = 0.02
    anywhere: float = 0.0


@dataclass(frozen=True, eq=False)
class HeldOut:
    """A pose prior, and poses (N, 23, 3, 3) of clips that it hasn't seen."""

    prior: GaussianMixturePrior
    poses: Tensor
    clips: Sequence[str]


def held_out(count: int, generator: torch.Generator) -> HeldOut:
    """A prior fitted to all clips but HELD_OUT_CLIPS, and ``count`` of their poses."""
    train, others = split_by_clip(load_registry_motions(), HELD_OUT_CLIPS)
    mixture = fit_mixture(PosePriorRecipe(), train)
    prior = GaussianMixturePrior(mixture.means_, mixture.covariances_, mixture.weights_)
    poses = torch.cat([motion.rotations[:, 1:] for motion in others.values()]).float()
    order = torch.randperm(len(poses), generator=generator)
    return HeldOut(prior, poses[order[:count]], list(others))


def uniform(low: float, high: float, count: int, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=generator)


def about(axis: int, angles: Tensor) -> Tensor:
    """Rotations by ``angles`` about one coordinate axis, (N, 3, 3)."""
    return axis_angle_to_matrix(
        torch.nn.functional.one_hot(torch.tensor(axis), 3) * angles[:, None]
    )


def random_views(poses: Tensor, generator: torch.Generator) -> BodyParameters:
    """Bodies of random shape in the given poses, seen upright but rolled, from all sides."""
    count = len(poses)
    upright = about(0, math.pi + uniform(-0.1, 0.3, count, generator))
    roll = about(2, uniform(-0.45, 0.45, count, generator))
    yaw = about(1, uniform(-math.pi, math.pi, count, generator))
    depth = uniform(3.0, 6.0, count, generator)
    aside = depth[:, None] * (torch.rand(count, 2, generator=generator) - 0.5) * 0.15
    return BodyParameters(
        betas=torch.randn(count, 10, generator=generator),
        body_pose=poses,
        global_orient=roll @ upright @ yaw,
        transl=torch.cat([aside, depth[:, None]], -1),
    )


def detect(points: Tensor, skeleton: str, faults: Faults, generator: torch.Generator) -> Keypoints:
    """The keypoints that a detector with ``faults`` would give for 3D points seen by CAMERA."""

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    def chosen(share: float) -> Tensor:
        return torch.rand(points.shape[:2], generator=generator)[..., None] < share

    xy = CAMERA.project(points + faults.definition * normal(*points.shape))
    height = (xy.amax(-2) - xy.amin(-2)).amax(-1)[:, None, None]
    spread = torch.where(chosen(faults.astray), 0.15, faults.noise)
    lost = chosen(faults.lost)[..., 0]
    xy = xy + spread * height * normal(*xy.shape)
    if faults.anywhere:
        elsewhere = torch.rand(xy.shape, generator=generator) * torch.tensor(CAMERA.image_size)
        xy = torch.where(chosen(faults.anywhere), elsewhere, xy)
    return Keypoints(xy, 0.8 * ~lost, skeleton)


def limb_errors(smpl: SMPL, found: BodyParameters, truth: BodyParameters) -> tuple[Tensor, Tensor]:
    """MPJPE (from the hips' middle) and PA-MPJPE of the twelve limb joints, (N,) mm each."""
    joints, true_joints = (limb_joints(smpl, parameters) for parameters in (found, truth))
    error = mpjpe(joints, true_joints, root=HIPS)
    return 1000 * error, 1000 * pa_mpjpe(joints, true_joints)
