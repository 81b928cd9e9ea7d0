"""Choose the weights of a clip's fit on synthetic clips, so that no scored real frame chooses them.

    python benchmarks/choose_clip_weights.py | tee benchmarks/results/choose_clip_weights.txt

Motions are held out in two folds from the prior that fits them, at 30 frames a second and at most
50 frames; bodies and cameras are drawn once a clip. The detector's faults are those of real
footage in size and in time: definitions of joints a few centimetres off, the same in all frames
and mirrored on the other side; noise of 0.6 per cent of the height that lasts a tenth of a second,
as do points lost or astray. One weight is varied at a time, about those of ``CLIP_STAGE``, which a
coarse grid over all of them found.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from measure import machine
from synthetic_views import CAMERA, Faults, limb_errors, random_views
from torch import Tensor

from vhlib.body import SMPL, BodyParameters, Keypoints
from vhlib.body.skeletons import OPENPOSE_25B
from vhlib.data.mocap import MotionSequence, resampled, split_by_clip
from vhlib.data.motion_library import load_registry_motions
from vhlib.fitting import GemanMcClure, fit_smplify
from vhlib.fitting.clips import CLIP_STAGE, fit_clip
from vhlib.fitting.priors import GaussianMixturePrior
from vhlib.training.pose_prior import HELD_OUT_CLIPS, PosePriorRecipe, fit_mixture

FPS, FRAMES, LASTING = 30, 50, 0.1
FAULTS = Faults(definition=0.012, noise=0.006, lost=0.02, astray=0.01)
FOLDS = (
    HELD_OUT_CLIPS,
    (
        *(f"humanoid3d_{name}" for name in ("dance_a", "punch", "walk")),
        *("turn_left0", "turn_left1", "turn_right0", "turn_right1", "0walk_forward"),
        "Boxing_Toes",
    ),
)
# Of a longer motion so many parts are taken.
PARTS = 4
VARIED = {
    "pose_prior": (2.0, 2.5, 3.0, 4.0, 5.0),
    "smoothness": (0.0, 0.03, 0.08, 0.15, 0.3),
    "shape_prior": (0.5, 1.0, 1.5, 2.0, 5.0),
    "bending": (2.5, 3.5, 4.5, 6.0),
}
SIGMAS = 8.0, 12.0, 15.0, 25.0, 50.0
"""Of Geman and McClure's function, pixels of a person of 200."""


@dataclass(frozen=True, eq=False)
class Clip:
    """One person through time, what a detector saw, and where each frame alone was found."""

    truth: BodyParameters
    keypoints: Keypoints
    prior: GaussianMixturePrior
    alone: BodyParameters


def pieces(motion: MotionSequence) -> Iterator[MotionSequence]:
    """A short motion's beginning, or parts of a longer one."""
    motion = resampled(motion, FPS)
    last = len(motion) - FRAMES
    starts = torch.linspace(0, last, PARTS).long().tolist() if last > FRAMES else [0]
    for start in starts:
        yield motion[start : start + FRAMES]


def seen_bodies(motion: MotionSequence, generator: torch.Generator) -> BodyParameters:
    """The motion of one random body before CAMERA, as in ``random_views``, walking where it did."""
    view = random_views(motion.body_pose[:1].float(), generator)
    rotation = view.global_orient[0]
    way = (motion.translation - motion.translation.mean(0)).float() @ rotation.T
    # Nobody comes nearer than two metres.
    away = (2.0 - (view.transl[0, 2] + way[:, 2]).min()).clamp(min=0.0)
    return BodyParameters(
        betas=view.betas.repeat(len(motion), 1),
        body_pose=motion.body_pose.float(),
        global_orient=rotation @ motion.global_orient.float(),
        transl=view.transl + way + torch.tensor([0.0, 0.0, 1.0]) * away,
    )


def lasting(*shape: int, generator: torch.Generator) -> Tensor:
    """Normal noise (T, ...) of unit variance that forgets itself within LASTING seconds."""
    keep = math.exp(-1 / (FPS * LASTING))
    fresh = torch.randn(*shape, generator=generator)
    noise = [fresh[0]]
    for new in fresh[1:]:
        noise.append(keep * noise[-1] + math.sqrt(1 - keep**2) * new)
    return torch.stack(noise)


def detect(smpl: SMPL, truth: BodyParameters, generator: torch.Generator) -> Keypoints:
    """What a detector with FAULTS makes of the clip; definitions turn with the body's root."""
    points = smpl.keypoints(OPENPOSE_25B.name, **vars(truth))
    frames, count = points.shape[:2]
    offset = FAULTS.definition * torch.randn(count, 3, generator=generator)
    flipped = torch.from_numpy(OPENPOSE_25B.flip_permutation)
    mirrored = offset[flipped] * torch.tensor([-1.0, 1.0, 1.0])
    offset = torch.where((flipped < torch.arange(count))[:, None], mirrored, offset)
    xy = CAMERA.project(points + offset @ truth.global_orient.mT)
    height = (xy.amax(-2) - xy.amin(-2)).amax(-1)[:, None, None]
    normal = torch.distributions.Normal(0.0, 1.0)

    def event(share: float) -> Tensor:
        rare = normal.icdf(torch.tensor(share))
        return lasting(frames, count, generator=generator) < rare

    spread = torch.where(event(FAULTS.astray)[..., None], 0.15, FAULTS.noise)
    xy = xy + spread * height * lasting(frames, count, 2, generator=generator)
    return Keypoints(xy, 0.8 * ~event(FAULTS.lost), OPENPOSE_25B.name)


def clips(smpl: SMPL, generator: torch.Generator) -> Iterator[Clip]:
    """Both folds, each fitted frame by frame with the prior of the other motions."""
    motions = load_registry_motions()
    for names in FOLDS:
        train, held_out = split_by_clip(motions, names)
        mixture = fit_mixture(PosePriorRecipe(), train)
        prior = GaussianMixturePrior(mixture.means_, mixture.covariances_, mixture.weights_)
        for motion in held_out.values():
            for piece in pieces(motion):
                truth = seen_bodies(piece, generator)
                keypoints = detect(smpl, truth, generator)
                alone = fit_smplify(smpl, CAMERA, keypoints, prior).body_parameters
                yield Clip(truth, keypoints, prior, alone)


def report(label: str, errors: list[tuple[Tensor, Tensor]]) -> None:
    """Mean over clips, each counting alike."""
    error, aligned = (torch.stack([e[i].mean() for e in errors]).mean() for i in (0, 1))
    print(f"{label:20}  {error:6.1f}  {aligned:8.1f}", flush=True)


def main() -> None:
    print(machine())
    smpl = SMPL.load()
    known = list(clips(smpl, torch.Generator().manual_seed(0)))
    print(f"{len(known)} clips\n{'weight':20}   MPJPE  PA-MPJPE")
    report("each frame alone", [limb_errors(smpl, c.alone, c.truth) for c in known])
    stages = {
        f"sigma {sigma:g}": replace(CLIP_STAGE, robust=GemanMcClure(sigma)) for sigma in SIGMAS
    }
    for name, values in VARIED.items():
        for value in values:
            weights = {**CLIP_STAGE.weights, name: value}
            stages[f"{name} {value:g}"] = replace(CLIP_STAGE, weights=weights)
    for label, stage in stages.items():
        fits = [fit_clip(smpl, CAMERA, c.keypoints, FPS, c.prior, [stage], c.alone) for c in known]
        found = zip(fits, known, strict=True)
        report(label, [limb_errors(smpl, fit.body_parameters, c.truth) for fit, c in found])


if __name__ == "__main__":
    main()
