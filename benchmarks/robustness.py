"""What faults of detectors and cameras do to the fit, with and without its robust pieces.

    python benchmarks/robustness.py > benchmarks/results/robustness.txt

Synthetic views (benchmarks/synthetic_views.py) with one fault at a time. MPJPE and PA-MPJPE of the
twelve limb joints in mm, median and 95th percentile; exit code 1 if a fit raised or isn't finite.
Before that, what fits do to bodies that are nearly right, with the anchor and without it.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from synthetic_views import (
    CAMERA,
    Faults,
    HeldOut,
    detect,
    held_out,
    limb_errors,
    random_views,
)
from torch import Tensor

from vhlib.body import SMPL, BodyParameters, Keypoints
from vhlib.body.skeletons import get_skeleton
from vhlib.fitting import (
    ANCHORED_START,
    COLD_START,
    SMPLIFY_2016,
    WARM_START,
    Huber,
    Squares,
    Stage,
    fit_smplify,
    observations,
)
from vhlib.fitting.robust import SMPLIFY_KERNEL, RobustKernel
from vhlib.fitting.starts import LeastSquares
from vhlib.geometry import PerspectiveCamera, axis_angle_to_matrix

ROTATION_NOISE = (0.08, 0.12, 0.2)
SKELETONS = ("openpose_25", "coco_17")
LEG = ("knee", "ankle", "heel", "toe")
ABOVE_WAIST = ("nose", "eye", "ear", "neck", "shoulder", "elbow", "wrist")


@dataclass(frozen=True, eq=False)
class Scene:
    """What the fit is given."""

    keypoints: Keypoints
    camera: PerspectiveCamera = CAMERA


AS_USUAL = Faults()


@dataclass(frozen=True)
class Case:
    """A fault: of the detector by chance, or a change to the scene; ``near`` times the depth."""

    name: str
    faults: Faults = AS_USUAL
    change: Callable[[Scene], Scene] = lambda scene: scene
    near: float = 1.0


def points_of(skeleton: str, words: Sequence[str], side: str = "") -> list[int]:
    """The points whose names begin with the side and hold one of the words."""
    names = get_skeleton(skeleton).names
    return [
        index
        for index, name in enumerate(names)
        if name.startswith(side) and any(word in name for word in words)
    ]


def hidden(*parts: tuple[str, Sequence[str]]) -> Callable[[Scene], Scene]:
    """Without some points: pairs of a side and words as ``points_of`` has them."""

    def change(scene: Scene) -> Scene:
        confidence = scene.keypoints.confidence.clone()
        for side, words in parts:
            confidence[:, points_of(scene.keypoints.skeleton, words, side)] = 0
        return replace(scene, keypoints=replace(scene.keypoints, confidence=confidence))

    return change


def swapped(*words: str) -> Callable[[Scene], Scene]:
    """Left and right exchanged for the points whose names hold one of the words."""

    def change(scene: Scene) -> Scene:
        skeleton = get_skeleton(scene.keypoints.skeleton)
        order = torch.arange(len(skeleton))
        chosen = points_of(skeleton.name, words)
        order[chosen] = torch.from_numpy(skeleton.flip_permutation)[chosen]
        keypoints = scene.keypoints
        mixed = Keypoints(keypoints.xy[:, order], keypoints.confidence[:, order], skeleton.name)
        return replace(scene, keypoints=mixed)

    return change


def leg_found_twice(scene: Scene) -> Scene:
    """The right leg is taken for the left one too."""
    left, right = (points_of(scene.keypoints.skeleton, LEG, side) for side in ("left", "right"))
    xy = scene.keypoints.xy.clone()
    xy[:, left] = xy[:, right]
    return replace(scene, keypoints=replace(scene.keypoints, xy=xy))


def refocused(factor: float) -> Callable[[Scene], Scene]:
    """A camera whose focal length is wrong."""
    return lambda scene: replace(
        scene, camera=replace(scene.camera, focal_length=factor * scene.camera.focal_length)
    )


def resampled(factor: float) -> Callable[[Scene], Scene]:
    """The picture at another size, points on whole pixels."""

    def change(scene: Scene) -> Scene:
        camera = replace(
            scene.camera,
            focal_length=factor * scene.camera.focal_length,
            principal_point=factor * scene.camera.principal_point,
        )
        xy = (factor * scene.keypoints.xy).floor() + 0.5
        return Scene(replace(scene.keypoints, xy=xy), camera)

    return change


CASES = (
    Case("as detected"),
    Case("a fifth 15 % of the height off", Faults(astray=0.2)),
    Case("a fifth anywhere in the image", Faults(anywhere=0.2)),
    Case("an arm and a leg unseen", change=hidden(("left", ("elbow", "wrist")), ("right", LEG))),
    Case("only above the hips", change=hidden(("", ("hip", *LEG)))),
    Case("only below the waist", change=hidden(("", ABOVE_WAIST))),
    Case("legs swapped", change=swapped("hip", *LEG)),
    Case("all sides swapped", change=swapped("")),
    Case("one leg found twice", change=leg_found_twice),
    Case("focal length twice too long", change=refocused(2.0)),
    Case("focal length twice too short", change=refocused(0.5)),
    Case("person of 15 to 35 pixels", change=resampled(0.04)),
    Case("person of 15,000 pixels", change=resampled(25.0)),
    Case("person at 1 to 2 metres", near=1 / 3),
)


@dataclass(frozen=True)
class Variant:
    """A way to fit: the stages, and whether points out of reach are dropped."""

    name: str
    schedule: Sequence[Stage] = tuple(COLD_START)  # a dataclass takes no list as a default
    drops_astray: bool = True


def under(robust: RobustKernel) -> list[Stage]:
    """Our stages under one robust function throughout."""
    return [replace(stage, robust=robust) for stage in COLD_START]


VARIANTS = (
    Variant("ours"),
    Variant("squares", under(Squares())),
    Variant("Huber 12", under(Huber(12.0))),
    Variant("GM 100", under(SMPLIFY_KERNEL)),
    Variant("astray kept", drops_astray=False),
    Variant("size by box", [replace(stage, remeasure=False) for stage in COLD_START]),
    Variant("one yaw", [replace(COLD_START[0], prepare=(LeastSquares(),)), *COLD_START[1:]]),
    Variant("SMPLify 2016", SMPLIFY_2016),
)


@contextlib.contextmanager
def reach(metres: float) -> Iterator[None]:
    """The rule for points astray with another reach."""
    before, observations.REACH = observations.REACH, metres
    try:
        yield
    finally:
        observations.REACH = before


@dataclass(frozen=True, eq=False)
class Outcome:
    """Errors (N,) in mm; how many fits aren't finite, and what was raised."""

    mpjpe: Tensor
    pa_mpjpe: Tensor
    broken: int = 0
    raised: str = ""


def run(smpl: SMPL, clips: HeldOut, skeleton: str, case: Case, variants) -> list[Outcome]:
    """The same views under each variant."""
    generator = torch.Generator().manual_seed(1)
    truth = random_views(clips.poses, generator)
    truth = replace(truth, transl=truth.transl * torch.tensor([1.0, 1.0, case.near]))
    points = smpl.keypoints(skeleton, **vars(truth))
    scene = case.change(Scene(detect(points, skeleton, case.faults, generator)))
    return [fit(smpl, clips, scene, truth, variant) for variant in variants]


def fit(
    smpl: SMPL, clips: HeldOut, scene: Scene, truth: BodyParameters, variant: Variant
) -> Outcome:
    with reach(observations.REACH if variant.drops_astray else math.inf):
        try:
            found = fit_smplify(smpl, scene.camera, scene.keypoints, clips.prior, variant.schedule)
        except Exception as error:  # any is a failure to count
            nothing = torch.full((len(truth.betas),), torch.nan)
            return Outcome(nothing, nothing, raised=repr(error))
    parameters = torch.cat([p.flatten(1) for p in vars(found.body_parameters).values()], -1)
    finite = torch.isfinite(parameters).all(-1) & torch.isfinite(found.energy)
    return Outcome(*limb_errors(smpl, found.body_parameters, truth), int((~finite).sum()))


def network_like(truth: BodyParameters, noise: float, generator: torch.Generator) -> BodyParameters:
    """Bodies as far off as a network's: turned by ``noise`` radians a component in every joint."""

    def normal(*shape: int) -> Tensor:
        return torch.randn(len(truth.betas), *shape, generator=generator)

    return BodyParameters(
        betas=0.3 * truth.betas + 0.3 * normal(10),
        body_pose=truth.body_pose @ axis_angle_to_matrix(noise * normal(23, 3)),
        global_orient=truth.global_orient @ axis_angle_to_matrix(noise * normal(3)),
        transl=truth.transl * (1 + torch.tensor([0.02, 0.02, 0.05]) * normal(3)),
    )


def print_anchor(smpl: SMPL, clips: HeldOut) -> None:
    """What fits from bodies such as a network's gain or lose, with the anchor and without."""
    generator = torch.Generator().manual_seed(1)
    truth = random_views(clips.poses, generator)
    points = smpl.keypoints("openpose_25", **vars(truth))
    keypoints = detect(points, "openpose_25", AS_USUAL, generator)
    title = "from bodies like a network's, mean"
    print(f"\n{title:36}{'MPJPE':>8}{'PA-MPJPE':>10}")
    for noise in ROTATION_NOISE:
        init = network_like(truth, noise, generator)
        rows = {f"{noise} rad, as they are": init}
        for name, schedule in (("free", WARM_START), ("anchored", ANCHORED_START)):
            found = fit_smplify(smpl, CAMERA, keypoints, clips.prior, schedule, init)
            rows[f"{noise} rad, fitted {name}"] = found.body_parameters
        for name, bodies in rows.items():
            error, aligned = limb_errors(smpl, bodies, truth)
            print(f"{name:36}{error.mean():8.1f}{aligned.mean():10.1f}")


def line(values: Tensor) -> str:
    """Median and 95th percentile."""
    return f"{values.median():4.0f} {values.quantile(0.95):4.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--views", type=int, default=100, help="of each case")
    views = parser.parse_args().views
    smpl = SMPL.load()
    clips = held_out(views, torch.Generator().manual_seed(0))
    print(f"{datetime.date.today()}, torch {torch.__version__}, {views} views of held-out clips")
    print_anchor(smpl, clips)
    failures = 0
    for skeleton in SKELETONS:
        outcomes = {case: run(smpl, clips, skeleton, case, VARIANTS) for case in CASES}
        for metric in ("mpjpe", "pa_mpjpe"):
            title = f"{skeleton} {metric.upper().replace('_', '-')}"
            print(f"\n{title:32}" + "".join(f"{variant.name:>13}" for variant in VARIANTS))
            for case, row in outcomes.items():
                cells = "".join(f"{line(getattr(outcome, metric)):>13}" for outcome in row)
                print(f"{case.name:32}{cells}", flush=True)
        every = [outcome for row in outcomes.values() for outcome in row]
        raised = [outcome.raised for outcome in every if outcome.raised]
        broken = sum(outcome.broken for outcome in every)
        print(f"{skeleton}: {broken} fits aren't finite, {len(raised)} calls raised", *raised)
        failures += broken + len(raised)
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
