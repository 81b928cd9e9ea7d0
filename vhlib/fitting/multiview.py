"""One body seen by several calibrated cameras at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from vhlib.body import SMPL, BodyParameters, Keypoints
from vhlib.body.keypoints import MIN_CONFIDENCE
from vhlib.body.skinning import blend_shapes
from vhlib.fitting.batches import flat_keypoints, flat_parameters
from vhlib.fitting.energies import Bending, PosePrior, Reprojection, ShapePrior
from vhlib.fitting.gaps import nearest_seen, somebody_seen, usable_with_gaps
from vhlib.fitting.posed_body import PosedBody, pack
from vhlib.fitting.priors import load_pose_prior
from vhlib.fitting.priors.gmm import GaussianMixturePrior
from vhlib.fitting.robust import RobustKernel
from vhlib.fitting.schedules import ALL_UNKNOWNS, BODY_WEIGHTS, Stage
from vhlib.fitting.smplify import Fit, fit_smplify
from vhlib.fitting.staging import Staged, as_freed, joined, run_stages
from vhlib.fitting.starts import View
from vhlib.fitting.terms import Term
from vhlib.geometry import PerspectiveCamera

VIEWS_START = [
    Stage("views", ALL_UNKNOWNS, BODY_WEIGHTS, 5, best_by=tuple(BODY_WEIGHTS)),
    Stage("refine", ALL_UNKNOWNS, BODY_WEIGHTS, 50, 1e-5),
]
"""On all views at once: the fit of each view alone is a candidate, the best goes on."""


@dataclass(frozen=True, eq=False)
class MultiViewReprojection(Term):
    """E_J summed over views of the same bodies.

    Args:
        views: one for each camera, their cameras in one world. Where a view shows nothing of a
            body its confidences are zero, and its keypoints have a size all the same.
    """

    views: tuple[Reprojection, ...]
    name: ClassVar[str] = Reprojection.name

    def residuals(self, body: PosedBody) -> Float[Tensor, "N m"]:
        """Those of each view in turn."""
        return torch.cat([view.residuals(body) for view in self.views], -1)

    def jacobian(self, body: PosedBody) -> Float[Tensor, "N m n"]:
        """Those of each view in turn."""
        return torch.cat([view.jacobian(body) for view in self.views], 1)

    def rho(self, squared: Float[Tensor, "N m"]) -> tuple[Tensor, Tensor]:
        """Each view's own, with its confidences."""
        parts = squared.chunk(len(self.views), -1)
        pairs = [view.rho(part) for view, part in zip(self.views, parts, strict=True)]
        value, slope = (torch.cat(values, -1) for values in zip(*pairs, strict=True))
        return value, slope

    def with_robust(self, robust: RobustKernel) -> MultiViewReprojection:
        """The same under another robust function."""
        return MultiViewReprojection(tuple(view.with_robust(robust) for view in self.views))

    def with_keypoints(self, names: Collection[str]) -> MultiViewReprojection:
        """The same, blind to all other keypoints."""
        return MultiViewReprojection(tuple(view.with_keypoints(names) for view in self.views))

    def remeasured(self, body: PosedBody) -> MultiViewReprojection:
        """The same, people as tall in each image as these bodies are."""
        return MultiViewReprojection(tuple(view.remeasured(body) for view in self.views))

    def select(self, index) -> MultiViewReprojection:
        """The same for some of the bodies."""
        return MultiViewReprojection(tuple(view.select(index) for view in self.views))


@dataclass(frozen=True, eq=False)
class ViewsFit(Fit):
    """The bodies that were found, in the world's frame.

    As ``Fit``, but for ``camera``, which holds all V stacked, of the first one's image size, and
    ``projected_keypoints`` (V, *batch, K, 2).
    """

    projected_keypoints: Float[Tensor, "V *batch K 2"]


@torch.no_grad()
def fit_views(
    smpl: SMPL,
    cameras: Sequence[PerspectiveCamera],
    keypoints: Keypoints,
    pose_prior: GaussianMixturePrior | None = None,
    schedule: Sequence[Stage] = VIEWS_START,
    init: BodyParameters | None = None,
    extra_terms: Sequence[Term] = (),
) -> ViewsFit:
    """Fit one body to what several cameras saw of a person at the same moment.

    Each view is fitted alone first. Carried into the world these are the candidates; that which
    agrees best with all views goes on.

    Args:
        smpl, pose_prior: as for ``fit_smplify``.
        cameras: V cameras that map one world to their pixels.
        keypoints: (V, *batch, K), the same people in every view. A view in which somebody isn't
            seen, all confidences zero, is left out for that person.
        schedule: stages on all views at once.
        init: bodies in the world to start from, (*batch,), instead of each view's fit.
        extra_terms: terms of your own on bodies in the world, as for ``fit_smplify``.

    Raises ValueError for somebody who is seen in no view, numbers of views that differ, and as
    ``fit_smplify`` does.
    """
    schedule, extra_terms = list(schedule), list(extra_terms)
    batch = _checked_batch(smpl, cameras, keypoints, schedule)
    prior = deepcopy(pose_prior or load_pose_prior("gmm")).to(smpl.v_template)  # to() is in place
    views = _views(smpl, cameras, keypoints)
    terms = [MultiViewReprojection(tuple(views)), PosePrior(prior), Bending(), ShapePrior()]
    if init is None:
        candidates = torch.stack([_alone(smpl, view, prior) for view in views])
    else:
        candidates = pack(flat_parameters(init, batch, smpl))[None]
    regressor = smpl.keypoint_regressor(keypoints.skeleton)
    view = View(regressor, views[0].camera, views[0].keypoints)
    staged = run_stages(joined(terms, extra_terms), schedule, candidates, view)
    return _fit(staged, schedule, _stacked(cameras, len(batch)), batch)


def in_world(smpl: SMPL, parameters: BodyParameters, camera: PerspectiveCamera) -> BodyParameters:
    """Bodies of a camera's own frame in the world that ``T_camera_world`` maps from.

    The body turns about its pelvis J, which stands at J + transl: with ``x_c = R x + t`` the
    orientation becomes ``R^T R_0`` and the translation ``R^T (J + transl - t) - J``.
    """
    rotation = camera.T_camera_world.to(parameters.transl)[..., :3, :3]
    pelvis = smpl.J_template[0] + blend_shapes(parameters.betas, smpl.J_shapedirs)[..., 0, :]
    placed = camera.camera_to_world((pelvis + parameters.transl)[..., None, :])[..., 0, :]
    return replace(
        parameters,
        global_orient=rotation.mT @ parameters.global_orient,
        transl=placed - pelvis,
    )


def _checked_batch(
    smpl: SMPL,
    cameras: Sequence[PerspectiveCamera],
    keypoints: Keypoints,
    schedule: Sequence[Stage],
) -> torch.Size:
    """The batch axes of one view, if everybody is seen in some."""
    shape = keypoints.confidence.shape
    if any(camera.focal_length.ndim > 1 or camera.T_camera_world.ndim > 2 for camera in cameras):
        raise ValueError("each of the cameras must be a single one, without batch axes")
    prepared = [stage.name for stage in schedule if stage.prepare]
    if prepared:
        raise ValueError(
            f"stage {prepared[0]!r} prepares a start for one camera in its own frame, which several"
            f" views don't have: leave prepare out"
        )
    if len(shape) < 2 or shape[0] != len(cameras) or not len(cameras):
        raise ValueError(
            f"{len(cameras)} cameras need keypoints (V, *batch, K) of as many views, found "
            f"{tuple(shape)}"
        )
    seen = somebody_seen(keypoints, smpl.keypoints(keypoints.skeleton).to(keypoints.xy))
    unseen = (~seen.reshape(shape[0], -1).any(0)).nonzero()[:, 0].tolist()
    if unseen:
        raise ValueError(
            f"no body can be fitted: sample {', '.join(map(str, unseen[:5]))} has no view with two "
            f"keypoints of a confidence above {MIN_CONFIDENCE}"
        )
    return shape[1:-1]


def _views(
    smpl: SMPL, cameras: Sequence[PerspectiveCamera], keypoints: Keypoints
) -> list[Reprojection]:
    """The views in which anybody is seen, the batch axes of each made one."""
    rest = smpl.keypoints(keypoints.skeleton)
    views = []
    for index, camera in enumerate(cameras):
        points = flat_keypoints(keypoints[index], smpl)
        if somebody_seen(points, rest).any() or not len(points):
            views.append(Reprojection(camera, usable_with_gaps(points, rest)))
    return views


def _alone(smpl: SMPL, view: Reprojection, prior: GaussianMixturePrior) -> Float[Tensor, "N n"]:
    """What one view alone would say, in the world; another's body where it sees nobody."""
    keypoints = view.keypoints
    seen = somebody_seen(keypoints, smpl.keypoints(keypoints.skeleton))
    filled = keypoints[nearest_seen(seen)]
    fit = fit_smplify(smpl, view.camera, filled, prior)
    return pack(in_world(smpl, fit.body_parameters, view.camera))


def _fit(
    staged: Staged, schedule: Sequence[Stage], camera: PerspectiveCamera, batch: torch.Size
) -> ViewsFit:
    """The solution with the keypoints' batch axes."""

    def batched(value: Tensor) -> Tensor:
        return value.reshape((*batch, *value.shape[1:]))

    body = PosedBody(staged.problem.regressor, staged.vector)
    parameters = {name: batched(value) for name, value in vars(body.parameters()).items()}
    camera = as_freed(camera, schedule, batched(body.focal_factor))
    energy_terms = staged.problem.energy_terms(staged.vector)
    return ViewsFit(
        body_parameters=BodyParameters(**parameters),
        camera=camera,
        energy=batched(sum(energy_terms.values())),
        energy_terms={name: batched(value) for name, value in energy_terms.items()},
        projected_keypoints=camera.project(batched(body.points)[None]),
        history=staged.history,
    )


def _stacked(cameras: Sequence[PerspectiveCamera], axes: int) -> PerspectiveCamera:
    """All cameras as one whose first axis is that of views, with ``axes`` more to broadcast."""
    stacked = {
        name: torch.stack([getattr(camera, name) for camera in cameras]).unflatten(
            0, (len(cameras), *(1,) * axes)
        )
        for name in ("focal_length", "principal_point", "T_camera_world")
    }
    return replace(cameras[0], **stacked)
