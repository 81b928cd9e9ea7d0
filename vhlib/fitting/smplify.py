"""SMPLify: a body from 2D keypoints by minimising an energy in stages [Bogo et al. 2016].

Every image is a problem of its own; a batch of them is solved together. The stages are data
(``schedules``): those of the paper, SPIN's, the lecture's, and ours, which are taken unless others
are named. Ours depart from the paper in this: all trusted keypoints place the body rather than the
torso's four, least squares puts it there at first, four directions are always tried,
Levenberg-Marquardt takes the steps, and the weights are others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vhlib.body import SMPL, BodyParameters, Keypoints
from vhlib.fitting.batches import flat_camera, flat_keypoints, flat_parameters
from vhlib.fitting.energies import Bending, PosePrior, Reprojection, ShapePrior
from vhlib.fitting.observations import usable_keypoints
from vhlib.fitting.posed_body import PosedBody, pack
from vhlib.fitting.priors import load_pose_prior
from vhlib.fitting.priors.gmm import GaussianMixturePrior
from vhlib.fitting.scene_terms import Anchor, DepthPrior, FocalPrior
from vhlib.fitting.schedules import COLD_START, WARM_START, Stage
from vhlib.fitting.staging import Staged, StageRecord, as_freed, joined, run_stages
from vhlib.fitting.starts import View, mean_stance, torso_depth
from vhlib.fitting.terms import Term
from vhlib.geometry import PerspectiveCamera


@dataclass(frozen=True, eq=False)
class Fit:
    """The bodies that were found.

    body_parameters: in the camera frame, transl in metres. camera: the given one in its own frame;
    where a stage freed the focal length, with the one found, (*batch, 2). energy (*batch,): total
    of the last stage; energy_terms: its weighted parts by name. projected_keypoints (*batch, K, 2):
    pixels of the full image in the order of the input. history: one record a stage.
    """

    body_parameters: BodyParameters
    camera: PerspectiveCamera
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
        init: bodies to start from, with the keypoints' batch axes; else the prior's mean stance.
        extra_terms: terms of your own, in the place of any of ``own_terms`` of the same name; the
            schedule's weights switch them on by name. They see bodies with one batch axis.

    Raises:
        ValueError: a person of whom no usable keypoint is seen, shapes that don't fit, or a
            schedule that weighs or frees what there isn't.
    """
    prior = deepcopy(pose_prior or load_pose_prior("gmm")).to(smpl.v_template)  # to() is in place
    if schedule is None:
        schedule = COLD_START if init is None else WARM_START
    schedule, extra_terms = list(schedule), list(extra_terms)
    batch = keypoints.confidence.shape[:-1]
    skeleton = keypoints.skeleton
    usable = usable_keypoints(flat_keypoints(keypoints, smpl), smpl.keypoints(skeleton))
    view = View(smpl.keypoint_regressor(skeleton), flat_camera(camera, batch), usable)
    first = None if init is None else flat_parameters(init, batch, smpl)
    start = mean_stance(view, prior.mean_pose) if first is None else pack(first)[None]
    terms = joined(own_terms(view, prior, start, first), extra_terms)
    staged = run_stages(terms, schedule, start, view)
    return _fit(staged, schedule, camera.in_own_frame(), batch)


def own_terms(
    view: View,
    prior: GaussianMixturePrior,
    start: Float[Tensor, "1 N n"],
    init: BodyParameters | None,
) -> list[Term]:
    """The terms that every schedule may weigh.

    "reprojection", "pose_prior", "bending", "shape_prior"; "depth", near where similar triangles
    put the start; "focal_prior"; and with initial bodies "anchor", near those.
    """
    terms = [Reprojection(view.camera, view.keypoints), PosePrior(prior), Bending(), ShapePrior()]
    terms += [DepthPrior(torso_depth(start, view)[0]), FocalPrior()]
    return terms if init is None else [*terms, Anchor(init)]


def _fit(
    staged: Staged, schedule: Sequence[Stage], camera: PerspectiveCamera, batch: torch.Size
) -> Fit:
    """The solution with the keypoints' batch axes."""

    def batched(value: Tensor) -> Tensor:
        return value.reshape((*batch, *value.shape[1:]))

    body = PosedBody(staged.problem.regressor, staged.vector)
    camera = as_freed(camera, schedule, batched(body.focal_factor))
    energy_terms = staged.problem.energy_terms(staged.vector)
    return Fit(
        body_parameters=BodyParameters(
            **{name: batched(value) for name, value in vars(body.parameters()).items()}
        ),
        camera=camera,
        energy=batched(sum(energy_terms.values())),
        energy_terms={name: batched(value) for name, value in energy_terms.items()},
        projected_keypoints=camera.project(batched(body.points)),
        history=staged.history,
    )
