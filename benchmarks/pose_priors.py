"""Pose priors judged on clips that they haven't seen: sizes, shrinkage, pooling, joint limits.

    python benchmarks/pose_priors.py | tee benchmarks/results/pose_priors.txt

The 23 clips fall into seven performances that have nothing in common; each recipe is fitted seven
times, to six of them, and judged on the clips of the seventh. Numbers are means over clips, then
over performances.

Judged are the log-likelihood of held-out poses (nats a frame) and how well the energy tells them
from made-up ones, as AUC: against uniform numbers within the recorded range, against shuffled
numbers of recorded poses, against their own poses with a knee or an elbow bent 20 to 60 degrees the
wrong way; "noticed" is the share of those that cost more than the pose they were made of. See
vhlib/training/prior_scores.py. Then the fit: MPJPE / PA-MPJPE (mm) on synthetic views of held-out
poses, at two weights of the prior, beside the standard error of the difference to the first row.

What to know when reading it:

- Shuffled poses are hard to tell, because most recorded poses stand or walk and so does what they
  are shuffled to; a somersault is less likely than that to a prior that never saw one.
- Retargeting keeps a rig's own stance. CMU's and the boxer's spines and ankles are bent by up to
  half a radian where the others' are straight, so all poses of these clips are unlikely while no
  clip of their rig is in the training set. Nothing in 23 clips of three rigs can mend that.
- Twenty of the clips leave wrists and feet straight, all but one the collars. So held-out poses are
  likeliest at a tenth of the shipped shrinkage, which people who move their wrists wouldn't be.
- What ships wasn't chosen by this table: recipes that are better here are worse on the real clip,
  see vhlib/training/pose_prior.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from limbs import hyperextended
from measure import machine, print_table
from synthetic_views import CAMERA, Faults, detect, limb_errors, random_views
from torch import Tensor

from vhlib.body import SMPL, BodyParameters, Keypoints
from vhlib.body.skeletons import OPENPOSE_25B
from vhlib.data.mocap import MotionSequence, split_by_clip
from vhlib.data.motion_library import load_registry_motions
from vhlib.fitting import COLD_START, Fit, Term, fit_smplify
from vhlib.fitting.energies import BENT_JOINTS, signed_bends
from vhlib.fitting.priors import GaussianMixturePrior
from vhlib.fitting.priors.joint_limits import JointLimits, limits_of
from vhlib.fitting.schedules import BODY_WEIGHTS
from vhlib.training.pose_prior import PosePriorRecipe, fit_mixture, recorded_by_clip
from vhlib.training.prior_scores import ClipScores, RandomPoses, mean_scores, score_clip

PERFORMANCES = {
    "walk": (
        *("humanoid3d_walk", "humanoid3d_run", "0walk_forward"),
        *("turn_left0", "turn_left1", "turn_right0", "turn_right1"),
    ),
    "dance": ("humanoid3d_dance_a", "humanoid3d_dance_b"),
    "kick": ("humanoid3d_kick", "humanoid3d_spinkick", "humanoid3d_spin"),
    "floor": (
        *("humanoid3d_getup_facedown", "humanoid3d_getup_faceup"),
        *("humanoid3d_roll", "humanoid3d_crawl"),
    ),
    "jump": ("humanoid3d_jump", "humanoid3d_backflip", "humanoid3d_cartwheel"),
    "box": ("humanoid3d_punch", "Boxing_Toes"),
    "climb": ("01_01", "01_03"),
}
SHIPPED = PosePriorRecipe()
RECIPES = {
    "as shipped": SHIPPED,  # 8 components, shrinkage 0.02, pooling 0, 5000 with limbs mixed
    **{f"{n} components": replace(SHIPPED, components=n) for n in (1, 2, 4, 16)},
    **{f"shrinkage {s}": replace(SHIPPED, shrinkage=s) for s in (0.001, 0.002, 0.005, 0.01, 0.05)},
    **{f"pooling {share}": replace(SHIPPED, pooling=share) for share in (0.25, 0.5, 0.75)},
    "pooling 0.5, shrinkage 0.005": replace(SHIPPED, pooling=0.5, shrinkage=0.005),
    **{f"limbs mixed {n}": replace(SHIPPED, limb_mixed=n) for n in (0, 20000)},
}
SKELETON = OPENPOSE_25B.name
VIEWS_EACH = 40
POSE_WEIGHTS = (3.5, 5.0)
JOINT_LIMITS = (10.0, 20.0, 50.0)
# As the fit weighs them beside the pose prior.
BENDING = BODY_WEIGHTS["bending"] / BODY_WEIGHTS["pose_prior"]
LIMITS = JOINT_LIMITS[1] / BODY_WEIGHTS["pose_prior"]


@dataclass(frozen=True, eq=False)
class Views:
    """Held-out poses of one performance, each seen once."""

    truth: BodyParameters
    keypoints: Keypoints


@dataclass(frozen=True, eq=False)
class Fold:
    """One performance held out, and a prior of the others.

    log_likelihood and poses (n, 69) of its clips by name.
    """

    prior: GaussianMixturePrior
    limits: JointLimits
    random_poses: RandomPoses
    log_likelihood: Mapping[str, float]
    poses: Mapping[str, Tensor]

    def scores(self, energy: Callable[[Tensor], Tensor]) -> dict[str, ClipScores]:
        """Of each clip, the same made-up poses for every energy."""
        generator = torch.Generator().manual_seed(0)
        return {
            name: score_clip(energy, poses, self.random_poses, generator)
            for name, poses in self.poses.items()
        }


def fold(
    recipe: PosePriorRecipe, motions: Mapping[str, MotionSequence], clips: Sequence[str]
) -> Fold:
    """Fit to all but ``clips``."""
    train, held_out = split_by_clip(motions, clips)
    mixture = fit_mixture(recipe, train)
    generator = torch.Generator().manual_seed(recipe.seed)
    seen = [poses.float() for poses in recorded_by_clip(recipe, train, generator)]
    unseen = recorded_by_clip(recipe, held_out, generator)
    return Fold(
        prior=GaussianMixturePrior(mixture.means_, mixture.covariances_, mixture.weights_),
        limits=limits_of(torch.cat(seen)),
        random_poses=RandomPoses.of_clips(seen),
        log_likelihood={n: mixture.score(p.numpy()) for n, p in zip(clips, unseen, strict=True)},
        poses={name: poses.float() for name, poses in zip(clips, unseen, strict=True)},
    )


def views_of(motions: Sequence[MotionSequence], smpl: SMPL, generator: torch.Generator) -> Views:
    """As many poses of each clip, VIEWS_EACH in all."""
    each = -(-VIEWS_EACH // len(motions))
    poses = torch.cat(
        [m.body_pose[torch.randperm(len(m), generator=generator)[:each]] for m in motions]
    )
    truth = random_views(poses[:VIEWS_EACH], generator)
    points = smpl.keypoints(SKELETON, **vars(truth))
    return Views(truth, detect(points, SKELETON, Faults(), generator))


def fitted(
    smpl: SMPL, views: Views, prior: GaussianMixturePrior, extra: Sequence[Term], **weights: float
) -> Fit:
    """A cold start with other weights."""
    schedule = [
        replace(s, weights={**s.weights, **weights}) if "pose_prior" in s.weights else s
        for s in COLD_START
    ]
    return fit_smplify(smpl, CAMERA, views.keypoints, prior, schedule, extra_terms=extra)


def fit_errors(
    smpl: SMPL,
    views: Mapping[str, Views],
    folds: Mapping[str, Fold],
    pose: float,
    limits: float = 0,
) -> tuple[Tensor, Tensor, float]:
    """MPJPE and PA-MPJPE of all views, (N,) mm; the share of hyperextended bodies."""
    errors, bent = [], []
    for name, some in views.items():
        extra, weights = [], {"pose_prior": pose}
        if limits:
            extra, weights = [folds[name].limits], weights | {"joint_limits": limits}
        found = fitted(smpl, some, folds[name].prior, extra, **weights).body_parameters
        errors.append(torch.stack(limb_errors(smpl, found, some.truth)))
        bent.append(hyperextended(found))
    return *torch.cat(errors, 1), float(torch.cat(bent).float().mean())


def by_performance(values: Mapping[str, float]) -> float:
    """Mean over clips, then over performances."""
    return float(np.mean([np.mean([values[c] for c in p]) for p in PERFORMANCES.values()]))


def overall(scores: Mapping[str, ClipScores]) -> ClipScores:
    """Mean over clips, then over performances."""
    return mean_scores([mean_scores([scores[c] for c in p]) for p in PERFORMANCES.values()])


def score_cells(scores: ClipScores) -> list[str]:
    return [
        *(f"{value:.3f}" for value in (scores.uniform, scores.shuffled, scores.hyperextended)),
        f"{scores.noticed:.1%}",
    ]


def error_cells(errors: Sequence[Tensor], first: Sequence[Tensor]) -> list[str]:
    """MPJPE and PA-MPJPE, and the standard errors of the differences to the first row's."""
    means = " / ".join(f"{error.mean():.1f}" for error in errors)
    if errors is first:
        return [means, ""]
    differences = [a - b for a, b in zip(errors, first, strict=True)]
    return [means, "/".join(f"{d.std() / len(d) ** 0.5:.1f}" for d in differences)]


def compare_recipes(
    motions: Mapping[str, MotionSequence], smpl: SMPL, views: Mapping[str, Views]
) -> dict[str, Fold]:
    """The table of recipes; the shipped recipe's folds."""
    rows, first, kept = [], None, {}
    for label, recipe in RECIPES.items():
        folds = {name: fold(recipe, motions, clips) for name, clips in PERFORMANCES.items()}
        likelihood = by_performance(merged(f.log_likelihood for f in folds.values()))
        scores = overall(merged(f.scores(f.prior.energy_axis_angle) for f in folds.values()))
        errors = [fit_errors(smpl, views, folds, weight)[:2] for weight in POSE_WEIGHTS]
        first = first or errors[0]
        cells = [cell for error in errors for cell in error_cells(error, first)]
        rows.append([label, f"{likelihood:.1f}", *score_cells(scores), *cells])
        print(*rows[-1], flush=True)
        kept = folds if recipe == SHIPPED else kept
    weights = [cell for weight in POSE_WEIGHTS for cell in (f"weight {weight}", "+-")]
    header = ("", "nats", "uniform", "shuffled", "hyperextended", "noticed", *weights)
    print_table("\nRecipes, seven performances held out in turn", header, rows)
    return kept


def merged(parts: Iterator[Mapping]) -> dict:
    """One mapping of several."""
    return {key: value for part in parts for key, value in part.items()}


def energies(fold: Fold) -> dict[str, Callable[[Tensor], Tensor]]:
    """The prior alone, with the bending term and with joint limits, as the fit weighs them."""
    prior = fold.prior.energy_axis_angle

    def bending(poses: Tensor) -> Tensor:
        whole = torch.nn.functional.pad(poses, (3, 0)).unflatten(-1, (-1, 3))
        return BENDING**2 * torch.exp(signed_bends(whole)).square().sum(-1)

    def limits(poses: Tensor) -> Tensor:
        return LIMITS**2 * fold.limits.beyond(poses).square().sum(-1)

    return {
        "prior alone": prior,
        "with bending": lambda poses: prior(poses) + bending(poses),
        "with limits": lambda poses: prior(poses) + limits(poses),
        "with both": lambda poses: prior(poses) + bending(poses) + limits(poses),
    }


def judge_terms(folds: Mapping[str, Fold]) -> None:
    """What bending and joint limits add, over all clips; and the prior alone, clip by clip."""
    rows = []
    for label in energies(folds["walk"]):
        scores = merged(f.scores(energies(f)[label]) for f in folds.values())
        rows.append([label, *score_cells(overall(scores))])
    header = ("", "uniform", "shuffled", "hyperextended", "noticed")
    print_table(f"As shipped, with terms for {', '.join(n for n, *_ in BENT_JOINTS)}", header, rows)
    clips = []
    for name, held_out in folds.items():
        for clip, scores in held_out.scores(held_out.prior.energy_axis_angle).items():
            nats = f"{held_out.log_likelihood[clip]:.1f}"
            turned = f"{scores.any_rotation:.3f}"
            clips.append([clip, name, nats, turned, *score_cells(scores)])
    header = ("", "held out", "nats", "any rotation", *header[1:])
    print_table("As shipped, clip by clip", header, clips)


def judge_limits(smpl: SMPL, views: Mapping[str, Views], folds: Mapping[str, Fold]) -> None:
    """Joint limits in the fit."""
    rows, first = [], None
    for weight in (0.0, *JOINT_LIMITS):
        *errors, bent = fit_errors(smpl, views, folds, BODY_WEIGHTS["pose_prior"], weight)
        first = first or errors
        label = f"joint limits {weight:g}" if weight else "none"
        rows.append([label, *error_cells(errors, first), f"{bent:.1%}"])
    header = ("", "MPJPE / PA-MPJPE", "+-", "hyperextended")
    print_table("Joint limits in the fit, pose prior as shipped", header, rows)


def main() -> None:
    torch.set_num_threads(1)
    print(machine())
    smpl, motions = SMPL.load(), load_registry_motions()
    generator = torch.Generator().manual_seed(0)
    views = {
        name: views_of([motions[clip] for clip in clips], smpl, generator)
        for name, clips in PERFORMANCES.items()
    }
    folds = compare_recipes(motions, smpl, views)
    judge_terms(folds)
    judge_limits(smpl, views, folds)


if __name__ == "__main__":
    main()
