"""Do limbs come out of the body, and does the picture stay? The term against interpenetration.

    python benchmarks/collisions.py | tee benchmarks/results/collisions.txt

Keypoints are those of bodies whose limbs stand inside them (``collision_set``), without a fault: so
the data ask for a collision, and only depth is free. "aimed" are pushed into themselves on purpose;
"recorded" are clips' poses on random bodies that happen to collide. Fits start cold, or where the
colliding body stands. "SMPLify's" is the original's term: 23 pairs, spheres that just touch, a
constant weight of 1000. Collisions are counted on the mesh, which the term doesn't see.

PA-MPJPE is against the colliding body, which nobody can be: it says how far the fit had to go.
Reprojection is in pixels of the image, mean over all keypoints of a body; beside it, by how much it
is larger than that of the same body's fit without the term. Times are CPU, of one thread.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from collision_set import AIMS, Intersection, MeshIntersections, aimed_bodies
from measure import in_turns, machine, print_table
from synthetic_views import CAMERA, Faults, detect, held_out, limb_errors, random_views
from torch import Tensor

from vhlib.body import SMPL, BodyParameters, Keypoints
from vhlib.body.capsules import CAPSULE_PARTS, Spheres, fit_capsules
from vhlib.fitting import COLD_START, WARM_START, Fit, Stage, fit_smplify, load_pose_prior
from vhlib.fitting.collision import (
    BODY_PAIRS,
    RISING_WEIGHTS,
    SMPLIFY_PAIRS,
    Interpenetration,
    kept_apart,
)
from vhlib.fitting.energies import Bending, PosePrior, Reprojection, ShapePrior
from vhlib.fitting.posed_body import PosedBody, pack
from vhlib.fitting.priors import GaussianMixturePrior
from vhlib.fitting.schedules import BODY_WEIGHTS
from vhlib.fitting.solvers import Problem
from vhlib.geometry import PerspectiveCamera
from vhlib.geometry.containment import winding_numbers

EACH, RECORDED, VIEWS = 3, 150, 300
SMALL = PerspectiveCamera((1000.0, 1000.0), (320.0, 320.0), (640, 640))
SKELETON = "openpose_25"
# From a body deep inside itself eight steps are too few.
FROM_INSIDE = [replace(WARM_START[0], iterations=30)]
BATCHES = (1, 16, 256)


@dataclass(frozen=True, eq=False)
class Way:
    """A schedule and the terms that it needs."""

    schedule: Sequence[Stage]
    terms: Sequence[Interpenetration] = ()


@dataclass(frozen=True, eq=False)
class Setting:
    """What is fitted."""

    smpl: SMPL
    camera: PerspectiveCamera
    prior: GaussianMixturePrior
    truth: BodyParameters
    keypoints: Keypoints

    def fit(self, way: Way, init: BodyParameters | None = None) -> tuple[Fit, float]:
        """The fit, and its CPU seconds."""
        start = time.process_time()
        rest = self.prior, way.schedule, init, way.terms
        fit = fit_smplify(self.smpl, self.camera, self.keypoints, *rest)
        return fit, time.process_time() - start


def ways(smpl: SMPL, schedule: Sequence[Stage]) -> dict[str, Way]:
    """A schedule without the term, with the original's, and with ours."""
    original = Interpenetration(smpl, SMPLIFY_PAIRS, spacing=2.0)
    ours = Interpenetration(smpl)
    return {
        "without": Way(schedule),
        "SMPLify's": Way(kept_apart(schedule, RISING_WEIGHTS[:1]), (original,)),
        "kept apart": Way(kept_apart(schedule), (ours,)),
    }


def seen_exactly(smpl: SMPL, prior: GaussianMixturePrior, truth: BodyParameters) -> Setting:
    """Keypoints without a fault, of people about 300 px tall."""
    xy = SMALL.project(smpl.keypoints(SKELETON, **vars(truth)))
    return Setting(smpl, SMALL, prior, truth, Keypoints(xy, torch.ones(xy.shape[:2]), SKELETON))


def counted(found: Sequence[Intersection]) -> list[str]:
    """Bodies that collide, vertices inside per body, depth in mm: mean over bodies, greatest."""
    colliding = sum(one.vertices > 0 for one in found)
    depth = torch.tensor([1000 * one.depth for one in found])
    vertices = sum(one.vertices for one in found) / len(found)
    return [f"{colliding}/{len(found)}", f"{vertices:.1f}", f"{depth.mean():.1f}/{depth.max():.1f}"]


HEADER = (
    *("", "collide", "vertices", "depth mm", "px mean/worst", "px more than without"),
    *("PA-MPJPE", "ms a fit"),
)


def rows_of(
    name: str, setting: Setting, schedule: Sequence[Stage], init: BodyParameters | None
) -> list[list[str]]:
    """One row for each way, and the colliding bodies themselves."""
    intersections, without = MeshIntersections(setting.smpl), None
    rows = [[f"{name}: keypoints' bodies", *counted(intersections(setting.truth)), *[""] * 4]]
    for label, way in ways(setting.smpl, schedule).items():
        fit, seconds = setting.fit(way, init)
        offset = (fit.projected_keypoints - setting.keypoints.xy).norm(dim=-1).mean(-1)
        without = offset if without is None else without
        more = offset - without
        _, error = limb_errors(setting.smpl, fit.body_parameters, setting.truth)
        rows.append(
            [
                f"  {label}",
                *counted(intersections(fit.body_parameters)),
                f"{offset.mean():.2f}/{offset.max():.2f}",
                f"{more.mean():.2f}/{more.max():.2f}",
                f"{error.mean():.1f}",
                f"{1000 * seconds / len(offset):.1f}",
            ]
        )
        print(*rows[-1], flush=True)
    return rows


def recorded_bodies(
    smpl: SMPL, poses: Tensor, generator: torch.Generator
) -> tuple[BodyParameters, BodyParameters]:
    """Random bodies in recorded poses: those whose limbs are inside, and the others."""
    bodies = random_views(poses, generator)
    found = MeshIntersections(smpl)(bodies)
    inside = torch.tensor([one.vertices > 0 for one in found])
    return bodies[inside], bodies[~inside]


def tell_false_alarms(smpl: SMPL, free: BodyParameters) -> None:
    """How often the term pulls at bodies that don't collide, at each of the rising weights."""
    body = PosedBody(smpl.keypoint_regressor(SKELETON), pack(free))
    largest = Interpenetration(smpl).residuals(body).amax(-1)
    rows = [
        [f"weight {weight:g}", *(f"{(weight * largest > r).float().mean():.0%}" for r in (1, 10))]
        for weight in RISING_WEIGHTS
    ]
    title = f"{len(free.betas)} recorded bodies that don't collide: largest weighted residual"
    print_table(title, ["", "> 1 px", "> 10 px"], rows)


def tell_accuracy(smpl: SMPL, setting: Setting) -> None:
    """Errors of fits to faulty keypoints, most of people who don't collide."""
    rows, before, some = [], None, slice(100)
    intersections = MeshIntersections(smpl)
    truth = counted(intersections(setting.truth[some]))
    for label, way in ways(smpl, COLD_START).items():
        fit, seconds = setting.fit(way)
        errors = limb_errors(smpl, fit.body_parameters, setting.truth)
        before = before or errors
        change = [
            f"{(e - b).mean():+.1f} +- {(e - b).std() / len(e) ** 0.5:.1f}"
            for e, b in zip(errors, before, strict=True)
        ]
        found = counted(intersections(fit.body_parameters[some]))
        both = [
            cell for e, c in zip(errors, change, strict=True) for cell in (f"{e.mean():.1f}", c)
        ]
        rows.append([label, *both, *found, f"{1000 * seconds / len(errors[0]):.1f}"])
    rows.append(["truth", *[""] * 4, *truth, ""])
    header = ["", "MPJPE", "change", "PA-MPJPE", "change", *HEADER[1:4], "ms a fit"]
    print_table(f"{VIEWS} views with the detector's faults, cold; collisions of 100", header, rows)


def tell_cost(smpl: SMPL, setting: Setting) -> None:
    """CPU time of the local model that one step of Levenberg-Marquardt needs."""
    rows = []
    own = Interpenetration(smpl)
    original = Interpenetration(smpl, SMPLIFY_PAIRS, spacing=2.0)
    regressor = smpl.keypoint_regressor(setting.keypoints.skeleton)
    for count in BATCHES:
        keypoints = setting.keypoints[:count]
        vector = pack(setting.truth[:count])
        terms = [Reprojection(CAMERA, keypoints), PosePrior(setting.prior), Bending(), ShapePrior()]
        plain = [(term, BODY_WEIGHTS[term.name]) for term in terms]
        problems = {
            "without": Problem(regressor, plain),
            "SMPLify's": Problem(regressor, [*plain, (original, 1e3)]),
            "kept apart": Problem(regressor, [*plain, (own, 1e6)]),
        }
        times = in_turns({name: _model(p, vector) for name, p in problems.items()})
        rows.append([str(count), *(f"{times.milliseconds(name):.2f}" for name in problems)])
    print_table("ms for the energy's local model, by batch", ["", *problems], rows)


def _model(problem: Problem, vector: Tensor):
    return lambda: problem.quadratic(vector)


def tell_spheres(generator: torch.Generator) -> None:
    """How well the spheres fill each body, and how far they stick out of it at rest."""
    rows = []
    for name in ("neutral", "female", "male"):
        smpl = SMPL.load(name).double()
        start = time.process_time()
        capsules = fit_capsules(smpl)
        seconds = time.process_time() - start
        for spacing in (2.0, 1.0):
            spheres = capsules.spheres(spacing)
            rough = torch.tensor([part.endswith(("hand", "foot")) for part in spheres.part])
            held, outside = _filling(smpl, spheres, generator)
            share = [f"{outside[flag].mean():.0%}" for flag in (~rough, rough)]
            cells = [len(rough), f"{held:.0%}", *share, f"{1000 * seconds:.0f}"]
            rows.append([f"{name}, spacing {spacing:g}", *map(str, cells)])
    header = ["", "spheres", "body filled", "spheres outside", "of hands, feet", "ms to fit"]
    print_table(f"{len(CAPSULE_PARTS)} capsules", header, rows)


def _filling(smpl: SMPL, spheres: Spheres, generator: torch.Generator) -> tuple[float, Tensor]:
    """Share of the body's volume in some sphere; of each sphere's volume outside the body."""

    def random(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    def inside(points: Tensor) -> Tensor:
        return winding_numbers(points, smpl.v_template, smpl.faces) > 0

    centers = smpl.J_template[list(spheres.bone)] + spheres.center
    low, high = smpl.v_template.amin(0), smpl.v_template.amax(0)
    points = low + (high - low) * random(20_000, 3)
    points = points[inside(points)]
    held = (torch.cdist(points, centers) < spheres.radius).any(-1).double().mean()
    cube = 2 * random(400, 3) - 1
    ball = cube[cube.norm(dim=-1) < 1]
    balls = centers[:, None] + spheres.radius[:, None, None] * ball
    return float(held), (~inside(balls.flatten(0, 1))).unflatten(0, (-1, len(ball))).double().mean(
        -1
    )


def tell_reach() -> None:
    """Slope of a bump of two equal spheres of radius one at three radii, against touching: two."""

    def slope(distance: float, sigma: float) -> Tensor:
        spread = torch.tensor(2 * sigma**2, dtype=torch.float64)
        return 2 * distance / spread * torch.exp(-(distance**2) / spread)

    ratios: Mapping[str, float] = {
        name: float(slope(3.0, sigma) / slope(2.0, sigma))
        for name, sigma in {"of a pair": 0.3, "with a hand": 0.36}.items()
    }
    cells = [[name, f"{ratio:.0e}"] for name, ratio in ratios.items()]
    print_table("slope at three radii over that in contact", ["", ""], cells)


def main() -> None:
    torch.set_num_threads(1)
    print(machine(), "\n")
    generator = torch.Generator().manual_seed(0)
    smpl, prior = SMPL.load(), load_pose_prior()
    tell_spheres(generator)
    tell_reach()
    sets = f"{len(SMPLIFY_PAIRS)} and {len(BODY_PAIRS)} pairs of parts"
    print(f"{sets}, {EACH} bodies for each of {len(AIMS)} aims, rising weights {RISING_WEIGHTS}\n")
    aimed = seen_exactly(smpl, prior, aimed_bodies(smpl, prior, EACH, generator))
    clips = held_out(VIEWS, generator)
    colliding, free = recorded_bodies(smpl, clips.poses[:RECORDED], generator)
    recorded = seen_exactly(smpl, clips.prior, colliding)
    rows = rows_of("aimed, cold", aimed, COLD_START, None)
    rows += rows_of("aimed, from inside", aimed, FROM_INSIDE, aimed.truth)
    rows += rows_of("recorded, cold", recorded, COLD_START, None)
    rows += rows_of("recorded, from inside", recorded, FROM_INSIDE, recorded.truth)
    print_table("\nKeypoints of bodies that collide", HEADER, rows)
    tell_false_alarms(smpl, free)
    truth = random_views(clips.poses, generator)
    seen = detect(smpl.keypoints(SKELETON, **vars(truth)), SKELETON, Faults(), generator)
    views = Setting(smpl, CAMERA, clips.prior, truth, seen)
    tell_accuracy(smpl, views)
    tell_cost(smpl, views)


if __name__ == "__main__":
    main()
