"""Train the shipped mixture pose prior from the motions that registry packages carry.

There are few of them: about two minutes of motion, most of it walking, climbing, boxing and
tumbling. That is enough to show what such a prior does, not to cover how people move; shrinkage and
poses composed of several people's limbs make up for a part of it.

benchmarks/pose_priors.py compares recipes on held-out clips. There, components that share half of
their covariance at a shrinkage of 0.005 are better by 2 mm on synthetic views, by 4 to 6 where the
prior weighs 5 instead of 3.5. On single frames of the real clip they are worse by 10 mm of MPJPE
and 7 of PA-MPJPE, so what ships stays as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from sklearn.mixture import GaussianMixture

from vhlib.body.skeletons import SMPL_24
from vhlib.data.mocap import MotionSequence, mirrored, split_by_clip
from vhlib.data.motion_library import load_registry_motions
from vhlib.files import write_atomically
from vhlib.fitting.priors.gmm import GaussianMixturePrior
from vhlib.geometry.rotations import matrix_to_axis_angle
from vhlib.training.prior_scores import ClipScores, RandomPoses, mean_scores, score_clip

HELD_OUT_CLIPS = ("humanoid3d_kick", "humanoid3d_jump", "humanoid3d_dance_b", "01_03")
"""Left out while the recipe is scored; the mixture that ships is then fitted on every clip."""

SOURCES = (
    "DeepMimic clips of pybullet 3.2.7 (zlib); CMU Graphics Lab Motion Capture Database "
    "(mocap.cs.cmu.edu, NSF EIA-0196217) and a boxing clip of Debian's assimp-testmodels 5.2.5"
)

_ARM = ("collar", "shoulder", "elbow", "wrist", "hand")
_LEG = ("hip", "knee", "ankle", "foot")
_LIMBS = (
    tuple(f"left_{joint}" for joint in _ARM),
    tuple(f"right_{joint}" for joint in _ARM),
    tuple(f"{side}_{joint}" for side in ("left", "right") for joint in _LEG),
)


@dataclass(frozen=True)
class PosePriorRecipe:
    """What the mixture is fitted with.

    shrinkage: added to every variance, radians squared, so that no joint is ever certain. Most
    clips leave wrists, feet and collars straight, so held-out clips would have it smaller than
    people who do move them: theirs isn't chosen by score.
    pooling: the share of each component's covariance that is the covariance of all poses: from a
    few clips each component alone learns its clips rather than how people move.
    frames_per_clip: at most so many, so that long clips don't outvote short ones; those of fewer
    than ``repeated_to`` frames are repeated.
    limb_mixed: how many poses are composed of the spine, arms and legs of four recorded ones.
    """

    components: int = 8
    shrinkage: float = 2e-2
    pooling: float = 0.0
    frames_per_clip: int = 300
    repeated_to: int = 100
    limb_mixed: int = 5000
    seed: int = 0


@dataclass(frozen=True)
class PosePriorScores:
    """On clips that the fit never saw, of which each counts alike.

    log_likelihood: nats a frame; single_gaussian: the same for one component.
    clips: how well the energy tells their poses from made-up ones.
    """

    log_likelihood: float
    single_gaussian: float
    clips: ClipScores


def train_pose_prior(
    out: str | Path,
    components: int = PosePriorRecipe.components,
    motions: Mapping[str, MotionSequence] | None = None,
) -> PosePriorScores:
    """Score the recipe on held-out clips, fit it on all, write the npz, print what came out.

    The same machine writes the same bytes again. ``motions`` default to the registry's.

    Raises:
        DataUnavailable: the motions are neither cached nor downloadable.
        OSError: ``out`` can't be written.
    """
    recipe = PosePriorRecipe(components=components)
    motions = load_registry_motions() if motions is None else motions
    held_out = [name for name in HELD_OUT_CLIPS if name in motions]
    train, held_out = split_by_clip(motions, held_out)
    scores = score_recipe(recipe, train, held_out)
    mixture = fit_mixture(recipe, motions)
    provenance = (
        f"vhlib train pose-prior: {recipe}. Sources: {SOURCES}. "
        f"Scored on held-out clips {', '.join(held_out)}: {scores}; then fitted on all clips."
    )
    write_mixture(mixture, provenance, out)
    print(f"{len(motions)} clips, held out {', '.join(held_out)}")
    print(
        f"held-out log-likelihood {scores.log_likelihood:.1f} nats a frame "
        f"(one Gaussian: {scores.single_gaussian:.1f})"
    )
    print(
        f"AUC against uniform poses {scores.clips.uniform:.3f}, shuffled numbers "
        f"{scores.clips.shuffled:.3f}, hyperextended joints {scores.clips.hyperextended:.3f}"
    )
    return scores


def fit_mixture(recipe: PosePriorRecipe, motions: Mapping[str, MotionSequence]) -> GaussianMixture:
    """Expectation maximisation on recorded, mirrored and limb-mixed poses, then pooling."""
    poses = training_poses(recipe, motions).numpy()
    mixture = GaussianMixture(
        recipe.components, reg_covar=recipe.shrinkage, max_iter=100, random_state=recipe.seed
    )
    mixture.fit(poses)
    whole = np.cov(poses.T) + recipe.shrinkage * np.eye(poses.shape[1])
    mixture.covariances_ = (1 - recipe.pooling) * mixture.covariances_ + recipe.pooling * whole
    # What sklearn computes densities with; L^-T for Sigma = L L^T.
    factors = np.linalg.cholesky(mixture.covariances_)
    mixture.precisions_cholesky_ = np.linalg.inv(factors).swapaxes(-1, -2)
    return mixture


def training_poses(
    recipe: PosePriorRecipe, motions: Mapping[str, MotionSequence]
) -> Float[torch.Tensor, "n 69"]:
    """Recorded, mirrored and limb-mixed poses as axis-angle of the joints besides the root."""
    generator = torch.Generator().manual_seed(recipe.seed)
    recorded = torch.cat(recorded_by_clip(recipe, motions, generator))
    return torch.cat([recorded, mix_limbs(recorded, recipe.limb_mixed, generator)])


def recorded_by_clip(
    recipe: PosePriorRecipe, motions: Mapping[str, MotionSequence], generator: torch.Generator
) -> list[torch.Tensor]:
    """About equally many poses of every clip, as many mirrored: (n, 69) float64 each."""
    clips = []
    for motion in motions.values():
        frames = torch.randperm(len(motion), generator=generator)[: recipe.frames_per_clip]
        frames = frames.repeat(max(1, recipe.repeated_to // len(motion)))
        versions = [_axis_angle(version)[frames] for version in (motion, mirrored(motion))]
        clips.append(torch.cat(versions))
    return clips


def mix_limbs(
    poses: Float[torch.Tensor, "n 69"], count: int, generator: torch.Generator
) -> Float[torch.Tensor, "m 69"]:
    """Poses with the spine of one, each arm of another, and both legs of a fourth."""
    joints = poses.unflatten(-1, (-1, 3))

    def draw() -> torch.Tensor:
        return joints[torch.randint(len(joints), (count,), generator=generator)]

    mixed = draw()
    for limb in _LIMBS:
        # The root isn't part of a body pose, so joint j stands at j - 1.
        places = [index - 1 for index in SMPL_24.indices(*limb)]
        mixed[:, places] = draw()[:, places]
    return mixed.flatten(1)


def score_recipe(
    recipe: PosePriorRecipe,
    train: Mapping[str, MotionSequence],
    held_out: Mapping[str, MotionSequence],
) -> PosePriorScores:
    """Fit on ``train`` and measure on ``held_out``."""
    mixture = fit_mixture(recipe, train)
    single = fit_mixture(replace(recipe, components=1), train)
    prior = GaussianMixturePrior(mixture.means_, mixture.covariances_, mixture.weights_)
    generator = torch.Generator().manual_seed(recipe.seed)
    seen = recorded_by_clip(recipe, train, generator)
    unseen = recorded_by_clip(recipe, held_out, generator)
    random_poses = RandomPoses.of_clips(poses.float() for poses in seen)
    scores = [
        score_clip(prior.energy_axis_angle, poses.float(), random_poses, generator)
        for poses in unseen
    ]
    return PosePriorScores(
        log_likelihood=round(float(np.mean([mixture.score(poses.numpy()) for poses in unseen])), 2),
        single_gaussian=round(float(np.mean([single.score(poses.numpy()) for poses in unseen])), 2),
        clips=mean_scores(scores),
    )


def write_mixture(mixture: GaussianMixture, provenance: str, path: str | Path) -> None:
    """Write the layout of ``gmm_08.pkl`` as an npz in float32, heaviest component first."""
    order = np.argsort(-mixture.weights_)
    arrays = {
        "means": mixture.means_[order].astype(np.float32),
        "covars": mixture.covariances_[order].astype(np.float32),
        "weights": mixture.weights_[order].astype(np.float32),
    }
    # Rounding may cost a covariance its positive definiteness: building the prior checks it.
    GaussianMixturePrior(*arrays.values())
    with write_atomically(path) as file:
        np.savez(file, **arrays, provenance=np.array(provenance))


def _axis_angle(motion: MotionSequence) -> torch.Tensor:
    return matrix_to_axis_angle(motion.body_pose.double()).flatten(1)
