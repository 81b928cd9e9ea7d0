"""Leave out one piece of the fit at a time: what is each of them good for?

    python benchmarks/ablation.py | tee benchmarks/results/ablation.txt

300 synthetic views, so the truth is exact, of clips that the prior here hasn't seen
(``synthetic_views``). A fifth of the points are hidden and the detector guesses them: their noise
has a standard deviation of 4 per cent of the person's height instead of 0.7, and their confidence
lies between 0.35 and 0.6 instead of 0.7 and 1. Two points in a hundred are far off, and it doesn't
know.

One row is one fit of all views. MPJPE (from the hips' middle) and PA-MPJPE are of the twelve limb
joints, each with the standard error of its difference to the whole energy, view by view.
Reprojection is the mean distance of the limbs' visible keypoints, as a share of the person's
height; hyperextended, the fits with a knee or an elbow over 5 degrees the wrong way; colliding,
those with a limb over 2 cm inside another part, by the spheres of the interpenetration term;
|betas|, the length of the shape vector. The last row has what these are in truth.

The two last fits add a term: the mask is the true body's, so it says the most that a mask can.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from limbs import hyperextended
from measure import machine, print_table
from silhouette import SMALL, drawn
from synthetic_views import CAMERA, Faults, detect, held_out, limb_errors, random_views
from torch import Tensor

from vhlib.body import SMPL, BodyParameters, Keypoints
from vhlib.body.point_regressor import PointRegressor
from vhlib.body.skeletons import OPENPOSE_25B
from vhlib.data.four_cameras import LIMB_JOINTS
from vhlib.fitting import COLD_START, Fit, Squares, Stage, fit_smplify
from vhlib.fitting.collision import BODY_PAIRS, Interpenetration, kept_apart
from vhlib.fitting.priors import GaussianMixturePrior
from vhlib.fitting.silhouette import SILHOUETTE_START, Silhouette
from vhlib.fitting.starts import LeastSquares

VIEWS = 300
SKELETON = OPENPOSE_25B.name
LIMBS = OPENPOSE_25B.indices(*LIMB_JOINTS)
HIDDEN = 0.2
# Shares of the person's height; confidences, from and to.
VISIBLE_NOISE, HIDDEN_NOISE = 0.007, 0.04
VISIBLE_CONFIDENCE, HIDDEN_CONFIDENCE = (0.7, 1.0), (0.35, 0.6)
COLLISION = 0.02  # metres
HEADER = (
    *("", "MPJPE", "+-", "PA-MPJPE", "+-"),
    *("reprojection", "hyperextended", "colliding", "|betas|"),
)


@dataclass(frozen=True, eq=False)
class Views:
    """Bodies, and what a detector made of them; which keypoints (N, K) can be seen."""

    smpl: SMPL
    truth: BodyParameters
    keypoints: Keypoints
    visible: Tensor


def make_views(smpl: SMPL, poses: Tensor, generator: torch.Generator) -> Views:
    """Bodies in these poses, some of their points hidden."""
    truth = random_views(poses, generator)
    points = smpl.keypoints(SKELETON, **vars(truth))
    found = detect(points, SKELETON, Faults(noise=0.0), generator)
    hidden = torch.rand(found.confidence.shape, generator=generator) < HIDDEN

    def between(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(hidden.shape, generator=generator)

    spread = torch.where(hidden, HIDDEN_NOISE, VISIBLE_NOISE) * found.height()[:, None]
    noise = spread[..., None] * torch.randn(found.xy.shape, generator=generator)
    sure, unsure = between(*VISIBLE_CONFIDENCE), between(*HIDDEN_CONFIDENCE)
    seen = found.confidence > 0
    confidence = torch.where(hidden, unsure, sure) * seen
    keypoints = replace(found, xy=found.xy + noise, confidence=confidence)
    return Views(smpl, truth, keypoints, seen & ~hidden)


def equally_sure(keypoints: Keypoints) -> Keypoints:
    """One confidence for all points that were seen, by which the data weigh as much as before."""
    seen = keypoints.confidence > 0
    typical = keypoints.confidence[seen].square().mean().sqrt()
    return replace(keypoints, confidence=seen * typical)


def without(term: str, schedule: Sequence[Stage] = COLD_START) -> list[Stage]:
    """The schedule with a term switched off."""
    return [
        replace(
            stage,
            weights={name: w for name, w in stage.weights.items() if name != term},
            best_by=tuple(name for name in stage.best_by if name != term),
        )
        for stage in schedule
    ]


def at_once(schedule: Sequence[Stage] = COLD_START) -> list[Stage]:
    """The last stage alone, from where the first begins, with all the steps."""
    steps = sum(stage.iterations for stage in schedule)
    return [replace(schedule[-1], prepare=schedule[0].prepare, iterations=steps)]


def facing_the_camera(schedule: Sequence[Stage] = COLD_START) -> list[Stage]:
    """The schedule from one direction instead of four."""
    return [replace(schedule[0], prepare=(LeastSquares(),)), *schedule[1:]]


def colliding(smpl: SMPL, parameters: BodyParameters) -> Tensor:
    """Which bodies have a limb inside another part, (N,) bool."""
    spheres = Interpenetration(smpl).spheres
    betas = parameters.betas
    bones = PointRegressor.of_attached(
        smpl.rest_model(), spheres.bone, spheres.center, spheres.center_shapedirs
    )
    centers = bones.points(betas, parameters.rotations)
    radii = spheres.radius + betas @ spheres.radius_shapedirs.mT
    overlap = radii[:, :, None] + radii[:, None] - torch.cdist(centers, centers)
    apart = {frozenset(pair) for pair in BODY_PAIRS}
    checked = torch.tensor(
        [[frozenset((a, b)) in apart for b in spheres.part] for a in spheres.part]
    )
    return (overlap[:, checked] > COLLISION).any(-1)


def properties(smpl: SMPL, parameters: BodyParameters) -> list[str]:
    """The last columns, of found bodies or of true ones."""
    return [
        f"{hyperextended(parameters).float().mean():.1%}",
        f"{colliding(smpl, parameters).float().mean():.1%}",
        f"{parameters.betas.norm(dim=-1).mean():.2f}",
    ]


def reprojection(views: Views, fit: Fit) -> Tensor:
    """Mean share of the person's height, (N,)."""
    offset = (fit.projected_keypoints - views.keypoints.xy)[:, LIMBS].norm(dim=-1)
    visible = views.visible[:, LIMBS]
    return (offset * visible).sum(-1) / visible.sum(-1) / views.keypoints.height()


def measured(views: Views, fit: Fit, whole: Fit) -> list[str]:
    """A row of the table."""
    row = []
    for error, of_whole in zip(
        limb_errors(views.smpl, fit.body_parameters, views.truth),
        limb_errors(views.smpl, whole.body_parameters, views.truth),
        strict=True,
    ):
        uncertainty = (error - of_whole).std() / len(error) ** 0.5
        row += [f"{error.mean():.1f}", "" if fit is whole else f"{uncertainty:.1f}"]
    share = f"{reprojection(views, fit).mean():.2%}"
    return [*row, share, *properties(views.smpl, fit.body_parameters)]


def fits(views: Views, prior: GaussianMixturePrior) -> Iterator[tuple[str, Fit]]:
    """The whole energy first."""

    def fit(schedule=COLD_START, keypoints=views.keypoints, init=None, extra_terms=()) -> Fit:
        return fit_smplify(
            *(views.smpl, CAMERA, keypoints, prior, schedule, init), extra_terms=extra_terms
        )

    whole = fit()
    yield "whole energy", whole
    yield "no pose prior", fit(without("pose_prior"))
    yield "no bending term", fit(without("bending"))
    yield "neither of the two", fit(without("pose_prior", without("bending")))
    yield "no shape prior", fit(without("shape_prior"))
    yield "squares, not robust", fit([replace(s, robust=Squares()) for s in COLD_START])
    yield "confidence ignored", fit(keypoints=equally_sure(views.keypoints))
    yield "one stage", fit(at_once())
    yield "one direction", fit(facing_the_camera())
    collision = Interpenetration(views.smpl)
    yield "and interpenetration", fit(kept_apart(COLD_START), extra_terms=[collision])
    mask = Silhouette.of_masks(views.smpl, drawn(views.smpl, SMALL, views.truth), SMALL)
    after = {"init": whole.body_parameters, "extra_terms": [mask]}
    yield "and the true silhouette", fit(SILHOUETTE_START, **after)


def main() -> None:
    torch.set_num_threads(1)
    print(machine())
    generator = torch.Generator().manual_seed(0)
    clips, smpl = held_out(VIEWS, generator), SMPL.load()
    views = make_views(smpl, clips.poses, generator)
    rows, whole = [], None
    for name, fit in fits(views, clips.prior):
        whole = whole or fit
        rows.append([name, *measured(views, fit, whole)])
        print(*rows[-1], flush=True)
    rows.append(["truth", *[""] * 5, *properties(smpl, views.truth)])
    print_table(f"\n{VIEWS} views of {', '.join(clips.clips)}", HEADER, rows)


if __name__ == "__main__":
    main()
