"""Choose the weights of the fit on synthetic views, so that no scored real frame chooses them.

    python benchmarks/choose_weights.py

Poses come from clips that the prior here hasn't seen; bodies, cameras and the detector's faults are
drawn: joint definitions a few centimetres off, noise of one per cent of the person's height, some
points lost and some far away. Prints MPJPE / PA-MPJPE (mm) and the reprojection error of each
combination of pose and bending weight.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vhlib.body import SMPL, BodyParameters, Keypoints
from vhlib.body.skeletons import OPENPOSE_25B
from vhlib.data.four_cameras import LIMB_JOINTS
from vhlib.data.mocap import split_by_clip
from vhlib.data.motion_library import load_registry_motions
from vhlib.fitting import COLD_START, fit_smplify
from vhlib.fitting.priors import GaussianMixturePrior
from vhlib.geometry import PerspectiveCamera, axis_angle_to_matrix
from vhlib.metrics import mpjpe, pa_mpjpe
from vhlib.training.pose_prior import HELD_OUT_CLIPS, PosePriorRecipe, fit_mixture

LIMBS = OPENPOSE_25B.indices(*LIMB_JOINTS)
HIPS = [LIMB_JOINTS.index("left_hip"), LIMB_JOINTS.index("right_hip")]
CAMERA = PerspectiveCamera((1680.0, 1680.0), (540.0, 960.0), (1080, 1920))
POSE_WEIGHTS = (2.2, 3.3, 3.5, 3.7, 4.0, 4.8)
BENDING_WEIGHTS = (3.0, 6.0, 10.0)


@dataclass(frozen=True)
class Faults:
    """What a detector does to a point: metres, shares of the person's height, probabilities."""

    definition: float = 0.02
    noise: float = 0.01
    lost: float = 0.03
    astray: float = 0.02


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


def detect(points: Tensor, faults: Faults, generator: torch.Generator) -> Keypoints:
    """The keypoints that a detector with ``faults`` would give for these 3D points."""

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    xy = CAMERA.project(points + faults.definition * normal(*points.shape))
    height = (xy.amax(-2) - xy.amin(-2)).amax(-1)[:, None, None]
    astray = torch.rand(xy.shape[:2], generator=generator)[..., None] < faults.astray
    spread = torch.where(astray, 0.15, faults.noise)
    seen = torch.rand(xy.shape[:2], generator=generator) >= faults.lost
    return Keypoints(xy + spread * height * normal(*xy.shape), 0.8 * seen, "openpose_25b")


def main() -> None:
    generator = torch.Generator().manual_seed(0)
    train, held_out = split_by_clip(load_registry_motions(), HELD_OUT_CLIPS)
    mixture = fit_mixture(PosePriorRecipe(), train)
    prior = GaussianMixturePrior(mixture.means_, mixture.covariances_, mixture.weights_)
    poses = torch.cat([motion.rotations[:, 1:] for motion in held_out.values()]).float()
    poses = poses[torch.randperm(len(poses), generator=generator)[:200]]
    smpl = SMPL.load()
    views = random_views(poses, generator)
    points = smpl.keypoints("openpose_25b", **vars(views))
    keypoints = detect(points, Faults(), generator)
    height = keypoints.height()
    print(f"{len(poses)} views of {', '.join(held_out)}")
    print("pose  bending   MPJPE  PA-MPJPE  reprojection")
    for pose_weight in POSE_WEIGHTS:
        for bending_weight in BENDING_WEIGHTS:
            weights = {"pose_prior": pose_weight, "bending": bending_weight}
            schedule = [
                replace(s, weights={**s.weights, **weights}) if "pose_prior" in s.weights else s
                for s in COLD_START
            ]
            fit = fit_smplify(smpl, CAMERA, keypoints, prior, schedule)
            found = smpl.keypoints("openpose_25b", **vars(fit.body_parameters))[:, LIMBS]
            error = mpjpe(found, points[:, LIMBS], root=HIPS).mean() * 1000
            aligned = pa_mpjpe(found, points[:, LIMBS]).mean() * 1000
            pixels = (fit.projected_keypoints - keypoints.xy)[:, LIMBS].norm(dim=-1)
            seen = keypoints.confidence[:, LIMBS] > 0
            share = ((pixels * seen).sum(-1) / seen.sum(-1) / height).mean()
            print(
                f"{pose_weight:4}  {bending_weight:7}  {error:6.1f}  {aligned:8.1f}  {share:11.2%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
