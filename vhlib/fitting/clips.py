"""A person through a video: one shape, and motion without jerks.

Each frame is first fitted alone. Then all frames are one problem (``clip_problem``): the energy of
each frame, the same betas in all, and accelerations of the keypoints in space. What a single view
leaves open, above all how far a limb points towards the camera, is thus decided by many frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from vhlib.body import SMPL, BodyParameters, Keypoints
from vhlib.fitting.batches import flat_keypoints, flat_parameters
from vhlib.fitting.clip_problem import SMOOTHNESS, ClipProblem
from vhlib.fitting.clip_solver import minimize_clip
from vhlib.fitting.gaps import nearest_seen, silenced, somebody_seen
from vhlib.fitting.observations import SizedKeypoints, enough_seen, sized_by, trusted_keypoints
from vhlib.fitting.posed_body import PosedBody, pack, unknown_slices
from vhlib.fitting.priors import load_pose_prior
from vhlib.fitting.priors.gmm import GaussianMixturePrior
from vhlib.fitting.schedules import ALL_UNKNOWNS, BODY_WEIGHTS, COLD_START, FINE, Stage
from vhlib.fitting.smplify import Fit, fit_smplify, own_terms
from vhlib.fitting.staging import (
    StageRecord,
    as_freed,
    check_residuals,
    check_schedule,
    joined,
    stage_problem,
)
from vhlib.fitting.starts import View
from vhlib.fitting.terms import Term
from vhlib.geometry import PerspectiveCamera

# Chosen on synthetic clips by benchmarks/choose_clip_weights.py. A shape that all frames share
# needs less of a prior than that of a single one.
CLIP_WEIGHTS = {
    **BODY_WEIGHTS,
    "pose_prior": 2.5,
    "bending": 3.5,
    "shape_prior": 1.5,
    SMOOTHNESS: 0.08,
}
CLIP_STAGE = Stage("clip", ALL_UNKNOWNS, CLIP_WEIGHTS, 50, robust=FINE)
CLIP_START = [*COLD_START, CLIP_STAGE]
"""Each frame alone as ``COLD_START`` has it, then all together."""

# What a person keeps through a clip, and a camera through a shot.
SHARED = ("betas", "focal_length")


@torch.no_grad()
def fit_clip(
    smpl: SMPL,
    camera: PerspectiveCamera,
    keypoints: Keypoints,
    fps: float | int,
    pose_prior: GaussianMixturePrior | None = None,
    schedule: Sequence[Stage] = CLIP_START,
    init: BodyParameters | None = None,
    extra_terms: Sequence[Term] = (),
) -> Fit:
    """Fit one person through the frames of a clip.

    Frames in which nobody is seen are bridged, which is worth something for tenths of a second.

    Args:
        smpl, camera, pose_prior: as for ``fit_smplify``.
        keypoints: (T, K) of one person, frames in order.
        fps: frames a second.
        schedule: the last stage minimises the whole clip, and its weight of "smoothness" is that of
            ``ClipProblem``; those before fit each frame alone.
        init: bodies of all frames to start from, (T,); then only the last stage is run.
        extra_terms: terms of your own for each frame, as for ``fit_smplify``.

    Returns a Fit with batch (T,), all betas equal. Raises ValueError if nobody is seen in any
    frame, keypoints aren't (T, K) or fps isn't positive, and as ``fit_smplify`` does.
    """
    schedule, extra_terms = _checked(keypoints, fps, schedule), list(extra_terms)
    prior = deepcopy(pose_prior or load_pose_prior("gmm")).to(smpl.v_template)  # to() is in place
    keypoints = flat_keypoints(keypoints, smpl)
    if init is None:
        start, history = _each_alone(smpl, camera, keypoints, prior, schedule[:-1], extra_terms)
    else:
        init = flat_parameters(init, keypoints.confidence.shape[:-1], smpl)
        start, history = _of_one_person(init), []
    view, seen = _view(smpl, camera, keypoints, start)
    terms = own_terms(view, prior, start[None], init)
    terms[0] = replace(terms[0], keypoints=seen)
    problem = clip_problem(joined(terms, extra_terms), schedule[-1], view, fps)
    check_residuals([*dict(problem.frames.terms)], PosedBody(view.regressor, start[:1]))
    return _fit(problem, start, schedule, history, view.camera)


def _each_alone(
    smpl: SMPL,
    camera: PerspectiveCamera,
    keypoints: Keypoints,
    prior: GaussianMixturePrior,
    schedule: Sequence[Stage],
    extra_terms: Sequence[Term],
) -> tuple[Float[Tensor, "T n"], Sequence[StageRecord]]:
    """Where the clip starts: the fits of single frames as those of one person; their history."""
    if not schedule:
        raise ValueError(
            "the schedule has only the clip's own stage: put stages before it that fit each frame, "
            "or give bodies to start from as init"
        )
    seen = somebody_seen(keypoints, smpl.keypoints(keypoints.skeleton))
    filled = keypoints[nearest_seen(seen)]
    fit = fit_smplify(smpl, camera, filled, prior, schedule, None, extra_terms)
    start = _of_one_person(fit.body_parameters)
    # A camera keeps its lens through a shot: the mean of what the frames found, if they looked.
    factor = fit.camera.focal_length.to(start) / camera.focal_length.to(start)
    start[:, -1] = factor.log().mean()
    return start, fit.history


def _view(
    smpl: SMPL, camera: PerspectiveCamera, keypoints: Keypoints, start: Float[Tensor, "T n"]
) -> tuple[View, SizedKeypoints]:
    """What is known of the frames, empty ones filled; and the keypoints with those silenced."""
    regressor, camera = smpl.keypoint_regressor(keypoints.skeleton), camera.in_own_frame()
    trusted = trusted_keypoints(keypoints, smpl.keypoints(keypoints.skeleton))
    seen = enough_seen(trusted)
    filled = trusted[nearest_seen(seen)]
    sized = sized_by(filled, camera, PosedBody(regressor, start))
    return View(regressor, camera, sized), silenced(sized, seen)


def _of_one_person(first: BodyParameters) -> Float[Tensor, "T n"]:
    """The frames' bodies with their mean betas."""
    return pack(replace(first, betas=first.betas.mean(0).expand_as(first.betas)))


def clip_problem(terms: Sequence[Term], stage: Stage, view: View, fps: float | int) -> ClipProblem:
    """The energy of a stage over all frames."""
    num_joints, _, num_betas = view.regressor.joint_shapedirs.shape
    slices = unknown_slices(num_joints, num_betas)
    if SMOOTHNESS in stage.weights:
        stage = replace(stage, optional=(*stage.optional, SMOOTHNESS))
    check_schedule([stage], terms, slices)
    positions = {name: torch.arange(s.start, s.stop) for name, s in slices.items()}
    none = torch.arange(0)
    return ClipProblem(
        frames=stage_problem(terms, stage, view),
        free=torch.cat([none, *(positions[b] for b in stage.free if b not in SHARED)]),
        shared=torch.cat([none, *(positions[b] for b in stage.free if b in SHARED)]),
        weight=stage.weights.get(SMOOTHNESS, 0.0),
        fps=float(fps),
    )


def _fit(
    problem: ClipProblem,
    start: Float[Tensor, "T n"],
    schedule: Sequence[Stage],
    history: Sequence[StageRecord],
    camera: PerspectiveCamera,
) -> Fit:
    """Minimise the clip and describe what was found."""
    stage = schedule[-1]
    solution = minimize_clip(problem, start, stage.iterations, stage.tolerance)
    body = PosedBody(problem.frames.regressor, solution.vector)
    camera = as_freed(camera, schedule, body.focal_factor)
    energy_terms: Mapping[str, Tensor] = problem.energy_terms(solution.vector)
    energy = solution.energy_history
    steps = torch.full((len(start),), len(energy) - 1)
    return Fit(
        body_parameters=body.parameters(),
        camera=camera,
        energy=sum(energy_terms.values()),
        energy_terms=energy_terms,
        projected_keypoints=camera.project(body.points),
        history=[*history, StageRecord(stage.name, energy, steps)],
    )


def _checked(keypoints: Keypoints, fps: float | int, schedule: Sequence[Stage]) -> list[Stage]:
    """The stages, if there are any and keypoints and rate are those of a clip."""
    schedule = list(schedule)
    if keypoints.confidence.ndim != 2:
        raise ValueError(
            f"a clip's keypoints are (T, K) of one person, found "
            f"{tuple(keypoints.confidence.shape)}"
        )
    if not len(keypoints):
        raise ValueError("the clip has no frames")
    if not 0 < fps < float("inf"):
        raise ValueError(f"frames per second must be positive, found {fps}")
    if not schedule:
        raise ValueError("the schedule is empty, expected at least the stage of the whole clip")
    return schedule
