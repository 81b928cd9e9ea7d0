"""SMPLify: a body from 2D keypoints by minimising an energy in stages [Bogo et al. 2016].

Every image is a problem of its own; a batch of them is solved together. Beyond its weights the fit
departs from the paper in this: all trusted keypoints place the body rather than the torso's four,
least squares puts it there at first, four directions are always tried, Levenberg-Marquardt takes
the steps, and bodies may pass through themselves (there is no E_sp yet).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from vhlib.body import SMPL, BodyParameters, Keypoints
from vhlib.body.point_regressor import PointRegressor
from vhlib.fitting.energies import Bending, PosePrior, Reprojection, ShapePrior
from vhlib.fitting.observations import usable_keypoints
from vhlib.fitting.posed_body import PosedBody, pack
from vhlib.fitting.priors import load_pose_prior
from vhlib.fitting.priors.gmm import GaussianMixturePrior
from vhlib.fitting.schedules import COLD_START, WARM_START, Stage
from vhlib.fitting.solvers import Problem, levenberg_marquardt
from vhlib.fitting.starts import cold_starts
from vhlib.fitting.terms import Term
from vhlib.geometry import PerspectiveCamera


@dataclass(frozen=True, eq=False)
class StageRecord:
    """What one stage did: the energy after each step (steps + 1, N), and each body's steps (N,)."""

    name: str
    energy: Tensor
    iterations: Tensor


@dataclass(frozen=True, eq=False)
class Fit:
    """The bodies that were found.

    body_parameters: in the camera frame, transl in metres. energy (*batch,): total of the last
    stage; energy_terms: its weighted parts by name. projected_keypoints (*batch, K, 2): pixels of
    the full image in the order of the input. history: one record a stage.
    """

    body_parameters: BodyParameters
    energy: Float[Tensor, "*batch"]
    energy_terms: Mapping[str, Float[Tensor, "*batch"]]
    projected_keypoints: Float[Tensor, "*batch K 2"]
    history: Sequence[StageRecord]


@torch.no_grad()
def fit_smplify(
    smpl: SMPL,
    camera: PerspectiveCamera,
    keypoints: Keypoints,
    pose_prior: GaussianMixturePrior | None = None,
    schedule: Sequence[Stage] | None = None,
    init: BodyParameters | None = None,
    extra_terms: Sequence[Term] = (),
) -> Fit:
    """Fit a body to the keypoints of each image.

    Args:
        smpl: the body model.
        camera: focal length and principal point in pixels; its place in the world is ignored, the
            body is found in the camera's own frame. Fields may carry the keypoints' batch axes.
        keypoints: (*batch, K); only points that are seen count.
        pose_prior: the shipped mixture ("gmm") if left out.
        schedule: stages; WARM_START with ``init``, COLD_START without.
        init: bodies to start from, with the keypoints' batch axes.
        extra_terms: terms of your own; the schedule's weights switch them on by name.

    Raises:
        ValueError: a person of whom no usable keypoint is seen, or shapes that don't fit.
    """
    prior = deepcopy(pose_prior or load_pose_prior("gmm")).to(smpl.v_template)  # to() is in place
    if schedule is None:
        schedule = COLD_START if init is None else WARM_START
    batch = keypoints.confidence.shape[:-1]
    camera = _in_own_frame(camera, batch)
    regressor = smpl.keypoint_regressor(keypoints.skeleton)
    usable = usable_keypoints(_flat_keypoints(keypoints, smpl), smpl.keypoints(keypoints.skeleton))
    own_terms = Reprojection(camera, usable), PosePrior(prior), Bending(), ShapePrior()
    terms = [*own_terms, *extra_terms]
    if init is None:
        start = cold_starts(regressor, camera, usable, prior.mean_pose)
    else:
        start = pack(_flat_parameters(init, batch, smpl))[None]
    vector, history = _run(regressor, terms, schedule, start)
    problem = _problem(regressor, terms, schedule[-1], 1)
    return _result(problem, camera, vector, history, batch)


def _in_own_frame(camera: PerspectiveCamera, batch: torch.Size) -> PerspectiveCamera:
    """The camera at the origin; fields with batch axes are flattened like the keypoints."""

    def flat(field: Tensor) -> Tensor:
        return field if field.ndim == 1 else _expanded("camera", field, (*batch, 2)).flatten(0, -2)

    return replace(
        camera.in_own_frame(),
        focal_length=flat(camera.focal_length),
        principal_point=flat(camera.principal_point),
    )


def _flat_keypoints(keypoints: Keypoints, smpl: SMPL) -> Keypoints:
    """The keypoints with one batch axis, in the model's type."""
    xy, confidence = keypoints.xy.to(smpl.v_template), keypoints.confidence.to(smpl.v_template)
    return Keypoints(
        xy.reshape(-1, *xy.shape[-2:]),
        confidence.reshape(-1, confidence.shape[-1]),
        keypoints.skeleton,
    )


def _flat_parameters(parameters: BodyParameters, batch: torch.Size, smpl: SMPL) -> BodyParameters:
    """Initial bodies with one batch axis."""
    shapes = {
        "betas": (smpl.num_betas,),
        "body_pose": (len(smpl.parents) - 1, 3, 3),
        "global_orient": (3, 3),
        "transl": (3,),
    }
    flat = {}
    for name, shape in shapes.items():
        value = getattr(parameters, name).to(smpl.v_template)
        flat[name] = _expanded(f"init.{name}", value, (*batch, *shape)).reshape(-1, *shape)
    return BodyParameters(**flat)


def _expanded(name: str, value: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Broadcast to ``shape``, or a ValueError that names the argument."""
    try:
        return value.expand(shape)
    except RuntimeError:
        raise ValueError(
            f"{name} has shape {tuple(value.shape)}, which doesn't fit the keypoints and the body: "
            f"expected {shape}"
        ) from None


def _run(
    regressor: PointRegressor,
    terms: Sequence[Term],
    schedule: Sequence[Stage],
    starts: Float[Tensor, "S N n"],
) -> tuple[Float[Tensor, "N n"], list[StageRecord]]:
    """Every start through all stages but the last, the best start of each body through that."""
    if not schedule:
        raise ValueError("the schedule is empty, expected at least one Stage")
    history = []
    for stage in schedule[:-1]:
        starts, record = _run_stage(regressor, terms, stage, starts)
        history.append(record)
    last = _problem(regressor, terms, schedule[-1], len(starts))
    best = last.energy(starts.flatten(0, 1)).view(starts.shape[:2]).argmin(0)
    bodies = torch.arange(starts.shape[1])
    history = [
        StageRecord(r.name, r.energy[:, best, bodies], r.iterations[best, bodies]) for r in history
    ]
    chosen, record = _run_stage(regressor, terms, schedule[-1], starts[best, bodies][None])
    return chosen[0], [
        *history,
        StageRecord(record.name, record.energy[:, 0], record.iterations[0]),
    ]


def _run_stage(
    regressor: PointRegressor,
    terms: Sequence[Term],
    stage: Stage,
    starts: Float[Tensor, "S N n"],
) -> tuple[Float[Tensor, "S N n"], StageRecord]:
    """All starts of all bodies in one batch."""
    problem = _problem(regressor, terms, stage, len(starts))
    slices = PosedBody(regressor, starts[0]).slices
    unknown = [block for block in stage.free if block not in slices]
    if unknown:
        raise ValueError(
            f"stage {stage.name!r} frees {', '.join(unknown)}, the unknowns are {', '.join(slices)}"
        )
    free = torch.cat(
        [torch.arange(slices[block].start, slices[block].stop) for block in stage.free]
    )
    solution = levenberg_marquardt(
        problem, starts.flatten(0, 1), free, stage.iterations, stage.tolerance
    )
    shape = starts.shape[:2]
    energy, iterations = (
        solution.energy_history.unflatten(1, shape),
        solution.iterations.view(shape),
    )
    return solution.vector.view(starts.shape), StageRecord(stage.name, energy, iterations)


def _problem(
    regressor: PointRegressor, terms: Sequence[Term], stage: Stage, starts: int
) -> Problem:
    """The stage's energy, repeated for each start."""
    names = [term.name for term in terms]
    unknown = [name for name in stage.weights if name not in names]
    if unknown:
        raise ValueError(
            f"stage {stage.name!r} weighs {', '.join(unknown)}, the terms are {', '.join(names)}"
        )
    weighted = [
        (term.with_robust(stage.robust), stage.weights[term.name])
        for term in terms
        if term.name in stage.weights
    ]
    problem = Problem(regressor, weighted)
    if starts == 1:
        return problem
    count = next(len(t.keypoints) for t in terms if isinstance(t, Reprojection))
    return problem.select(torch.arange(count).repeat(starts))


def _result(
    problem: Problem,
    camera: PerspectiveCamera,
    vector: Float[Tensor, "N n"],
    history: Sequence[StageRecord],
    batch: torch.Size,
) -> Fit:
    """The solution with the keypoints' batch axes."""

    def batched(value: Tensor) -> Tensor:
        return value.reshape((*batch, *value.shape[1:]))

    body = PosedBody(problem.regressor, vector)
    energy_terms = problem.energy_terms(vector)
    return Fit(
        body_parameters=BodyParameters(
            **{name: batched(value) for name, value in vars(body.parameters()).items()}
        ),
        energy=batched(sum(energy_terms.values())),
        energy_terms={name: batched(value) for name, value in energy_terms.items()},
        projected_keypoints=batched(camera.project(body.points)),
        history=history,
    )
