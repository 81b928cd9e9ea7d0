"""Seven optimisers on the same handful of problems: how low, how near the truth, at what cost?

    python benchmarks/optimisers.py | tee benchmarks/results/optimisers.txt

Every method minimises the last stage's energy of ``fit_smplify`` over all 85 unknowns, from where
its camera stage puts the mean stance. Eight synthetic views whose truth is exact, and eight frames
of the real clip's first camera. CPU time on one thread; a batch of eight for the methods that take
batches. "within 1 %": of the least energy that any method found for that body. PA-MPJPE over the
twelve limb joints, against the triangulated reference for the real frames.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from measure import machine, print_table
from real_clip import limb_joints
from synthetic_views import CAMERA, Faults, detect, held_out, limb_errors, random_views
from torch import Tensor

from vhlib.body import SMPL, BodyParameters, Keypoints
from vhlib.data import four_cameras
from vhlib.fitting import COLD_START, fit_smplify, load_pose_prior
from vhlib.fitting.energies import Bending, PosePrior, Reprojection, ShapePrior
from vhlib.fitting.observations import usable_keypoints
from vhlib.fitting.posed_body import PosedBody, pack
from vhlib.fitting.priors import GaussianMixturePrior
from vhlib.fitting.solvers import CMAES, LBFGS, Adam, Problem, Solution, minimize
from vhlib.geometry import PerspectiveCamera
from vhlib.metrics import pa_mpjpe

COUNT = 8
# Iterations are each method's own: a step, a step, a step, a line search, a step, a sweep of line
# searches along all directions, a generation.
RUNS = {
    "Gauss-Newton": ("gauss_newton", 100),
    "Levenberg-Marquardt": ("levenberg_marquardt", 100),
    "dogleg": ("dogleg", 100),
    "L-BFGS": (LBFGS(), 1000),
    "Adam, 0.02": (Adam(step=0.02), 1000),
    "Powell": ("powell", 3),
    "CMA-ES": (CMAES(seed=0, spread=0.05), 1000),
}


@dataclass(frozen=True, eq=False)
class Task:
    """Problems with a start for each, and the error of an answer in mm."""

    name: str
    problem: Problem
    start: Tensor
    error: Callable[[BodyParameters], Tensor]


def make_task(
    name: str,
    smpl: SMPL,
    camera: PerspectiveCamera,
    keypoints: Keypoints,
    prior: GaussianMixturePrior,
    error: Callable[[BodyParameters], Tensor],
) -> Task:
    *first, last = COLD_START
    usable = usable_keypoints(keypoints, smpl.keypoints(keypoints.skeleton))
    terms = [
        Reprojection(camera.in_own_frame(), usable, last.robust),
        PosePrior(prior),
        Bending(),
        ShapePrior(),
    ]
    weighted = [(term, last.weights[term.name]) for term in terms]
    start = pack(fit_smplify(smpl, camera, keypoints, prior, first[:1]).body_parameters)
    return Task(name, Problem(smpl.keypoint_regressor(keypoints.skeleton), weighted), start, error)


def synthetic(smpl: SMPL) -> Task:
    g = torch.Generator().manual_seed(0)
    known = held_out(COUNT, g)
    truth = random_views(known.poses, g)
    points = smpl.keypoints("openpose_25b", **vars(truth))
    keypoints = detect(points, "openpose_25b", Faults(), g)
    return make_task(
        f"{COUNT} synthetic views",
        *(smpl, CAMERA, keypoints, known.prior),
        lambda found: limb_errors(smpl, found, truth)[1],
    )


def real(smpl: SMPL) -> Task:
    clip = four_cameras.load()
    frames = torch.linspace(0, len(clip) - 1, COUNT).round().long()
    truth = clip.cameras[0].world_to_camera(clip.truth())[frames]
    return make_task(
        f"{COUNT} real frames",
        *(smpl, clip.cameras[0], clip.keypoints(0)[frames], load_pose_prior()),
        lambda found: 1000 * pa_mpjpe(limb_joints(smpl, found), truth),
    )


def row(task: Task, name: str, solution: Solution, least: Tensor) -> list[str]:
    body = PosedBody(task.problem.regressor, solution.vector)
    evaluations = solution.evaluations
    counts = (evaluations.energy, evaluations.gradient, evaluations.jacobian)
    reasons = [reason.name.lower().replace("_", " ") for reason in solution.stopped]
    return [
        name,
        f"{solution.energy.mean():.0f}",
        f"{int((solution.energy <= 1.01 * least).sum())} of {COUNT}",
        f"{task.error(body.parameters()).mean():.1f}",
        f"{solution.iterations.double().mean():.0f}",
        "/".join(f"{count.double().mean():.0f}" for count in counts),
        f"{1e3 * float(solution.cpu_seconds.sum()) / COUNT:.1f}",
        ", ".join(f"{reasons.count(reason)} {reason}" for reason in sorted(set(reasons))),
    ]


def report(task: Task) -> None:
    solutions = {}
    for name, (method, iterations) in RUNS.items():
        minimize(task.problem, task.start, None, method, 1)  # imports, first calls
        solutions[name] = minimize(task.problem, task.start, None, method, iterations)
    least = torch.stack([solution.energy for solution in solutions.values()]).amin(0)
    start = task.error(PosedBody(task.problem.regressor, task.start).parameters()).mean()
    energy = task.problem.energy(task.start).mean()
    header = ["", "energy", "within 1 %", "PA-MPJPE, mm", "iterations"]
    header += ["energies/gradients/Jacobians", "CPU ms a body", "stopped"]
    rows = [["start", f"{energy:.0f}", "", f"{start:.1f}"] + [""] * 4]
    rows += [row(task, name, solution, least) for name, solution in solutions.items()]
    print_table(task.name, header, rows)


def main() -> None:
    torch.set_num_threads(1)
    print(machine(), "\n")
    smpl = SMPL.load()
    report(synthetic(smpl))
    try:
        task = real(smpl)
    except OSError as missing:
        print(f"no real frames: {missing}")
        return
    report(task)


if __name__ == "__main__":
    main()
