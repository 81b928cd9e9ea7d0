"""Where a fit begins: candidates for each body, turned and placed before a stage minimises.

Candidates are vectors of unknowns (S, N, n), S for each of N bodies. A preparation makes (S', N, n)
of them, S' a multiple of S: candidate k comes of candidate k mod S.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vhlib.body import Keypoints
from vhlib.body.point_regressor import PointRegressor
from vhlib.body.skeletons import get_skeleton
from vhlib.fitting.posed_body import PosedBody, unknown_slices
from vhlib.geometry import PerspectiveCamera, axis_angle_to_matrix, matrix_to_axis_angle
from vhlib.geometry.camera_estimates import estimate_translation, similar_triangles_depth

# From the front, from behind and from either side: an upright picture alone can't tell, and from a
# wrong side the solver only turns half way.
ALL_AROUND = (0.0, math.pi / 2, math.pi, -math.pi / 2)
# Metres from the camera at which a fit may start.
PLAUSIBLE_DEPTH = (1.0, 50.0)
# Both sides of the torso: they bend least and are seldom both foreshortened.
TORSO_EDGES = (("left_shoulder", "left_hip"), ("right_shoulder", "right_hip"))
TORSO = tuple(name for edge in TORSO_EDGES for name in edge)
# Of the original, where people are about as large: pixels of a person of 200 px.
NEAR_PROFILE, PROFILE_PERSON = 25.0, 200.0


@dataclass(frozen=True, eq=False)
class View:
    """What is known of N bodies before they are fitted.

    regressor: of their keypoints; camera: at the origin of the bodies' frame, its fields shared or
    one for each; keypoints (N, K), those not to be trusted with confidence zero.
    """

    regressor: PointRegressor
    camera: PerspectiveCamera
    keypoints: Keypoints


Preparation = Callable[[Float[Tensor, "S N n"], View], Float[Tensor, "S2 N n"]]
"""What is done to candidates before a stage."""


@dataclass(frozen=True)
class Turn:
    """Each candidate once for each angle (radians), turned by it about the body's vertical axis."""

    angles: tuple[float, ...]

    def __call__(self, candidates: Float[Tensor, "S N n"], view: View) -> Float[Tensor, "S2 N n"]:
        """S times as many as there are angles."""
        return torch.cat([_turned(candidates, view, angle) for angle in self.angles])


@dataclass(frozen=True)
class TurnProfiles:
    """Each candidate as it is and turned half round, where the person may be seen from the side.

    Where the shoulders look closer than ``nearer_than`` (pixels of a person of 200 px), front and
    back can't be told by them [Bogo et al. 2016, section 3.3]. For other people the second
    candidate equals the first; if there is nobody in profile there is none.
    """

    nearer_than: float = NEAR_PROFILE

    def __call__(self, candidates: Float[Tensor, "S N n"], view: View) -> Float[Tensor, "S2 N n"]:
        """S or 2 S."""
        profile = near_profile(view.keypoints, self.nearer_than)
        if not profile.any():
            return candidates
        turned = _turned(candidates, view, math.pi)
        return torch.cat([candidates, torch.where(profile[:, None], turned, candidates)])


@dataclass(frozen=True)
class LeastSquares:
    """Each candidate where least squares over all keypoints puts it [Kolotouros et al. 2019]."""

    def __call__(self, candidates: Float[Tensor, "S N n"], view: View) -> Float[Tensor, "S N n"]:
        """As many."""
        keypoints = view.keypoints
        camera, points = _camera_and_points(candidates, view)
        transl = estimate_translation(points, keypoints.xy, keypoints.confidence, camera)
        return _with_transl(candidates, view, _in_front(transl))


@dataclass(frozen=True)
class SimilarTriangles:
    """Each candidate at ``torso_depth``, the middle of its points where it is seen.

    Source: Bogo et al. 2016, section 3.3.
    """

    def __call__(self, candidates: Float[Tensor, "S N n"], view: View) -> Float[Tensor, "S N n"]:
        """As many."""
        camera, points = _camera_and_points(candidates, view)
        depth = torso_depth(candidates, view)[..., None]
        share = view.keypoints.confidence / view.keypoints.confidence.sum(-1, keepdim=True)
        offset = view.keypoints.xy - camera.principal_point[..., None, :]
        ray = (share[..., None] * offset).sum(-2) / camera.focal_length
        middle = (share[..., None] * points[..., :2]).sum(-2)
        return _with_transl(candidates, view, torch.cat([ray * depth - middle, depth], -1))


def torso_depth(candidates: Float[Tensor, "S N n"], view: View) -> Float[Tensor, "S N"]:
    """How far away the candidates' torsos would look as long as those in the picture, metres.

    By the sides of the torso that are seen whole (``similar_triangles_depth``); by least squares
    over all keypoints for a person of whom neither is.
    """
    placed = LeastSquares()(candidates, view)
    depth = placed[..., _slices(view)["transl"]][..., 2].clone()
    seen, edges = _torso_points(view.keypoints)
    known = _seen_length(view.keypoints.xy, seen, edges) > 0
    if known.any():
        camera, points = _camera_and_points(candidates, view)
        # A side that isn't seen has no length in either, which leaves the ratio as it is.
        points = torch.where(seen[..., None], points, 0.0)
        pixels = torch.where(seen[..., None], view.keypoints.xy, 0.0)
        focal_length = camera.focal_length.expand(*depth.shape, 2)[:, known]
        camera = replace(camera, focal_length=focal_length)
        estimate = similar_triangles_depth(points[:, known], pixels[known], edges, camera)
        depth[:, known] = estimate.clamp(*PLAUSIBLE_DEPTH)
    return depth


def near_profile(keypoints: Keypoints, nearer_than: float = NEAR_PROFILE) -> Bool[Tensor, " N"]:
    """Who may be seen from the side: shoulders close together, or not both seen."""
    shoulders = get_skeleton(keypoints.skeleton).indices("left_shoulder", "right_shoulder")
    left, right = keypoints.xy[:, shoulders].unbind(1)
    distance = (left - right).norm(dim=-1) * PROFILE_PERSON
    unseen = (keypoints.confidence[:, shoulders] == 0).any(-1)
    return unseen | (distance < nearer_than * keypoints.height(0.0))


def mean_stance(view: View, mean_pose: Float[Tensor, " pose"]) -> Float[Tensor, "1 N n"]:
    """The prior's mean pose with mean shape, upright, facing the camera, where least squares says.

    One candidate for each body.
    """
    slices, count, like = _slices(view), len(view.keypoints), view.keypoints.xy
    vector = like.new_zeros(1, count, slices["focal_length"].stop)
    # SMPL is y up and faces +z; in OpenCV's frame an upright person is turned half round x.
    vector[..., slices["global_orient"]] = like.new_tensor([math.pi, 0.0, 0.0])
    vector[..., slices["body_pose"]] = mean_pose.to(like)
    return LeastSquares()(vector, view)


def _slices(view: View) -> dict[str, slice]:
    num_joints, _, num_betas = view.regressor.joint_shapedirs.shape
    return unknown_slices(num_joints, num_betas)


def _turned(candidates: Tensor, view: View, angle: float) -> Tensor:
    block = _slices(view)["global_orient"]
    about_y = axis_angle_to_matrix(candidates.new_tensor([0.0, angle, 0.0]))
    orient = axis_angle_to_matrix(candidates[..., block]) @ about_y
    turned = candidates.clone()
    turned[..., block] = matrix_to_axis_angle(orient)
    return turned


def _with_transl(candidates: Tensor, view: View, transl: Tensor) -> Tensor:
    placed = candidates.clone()
    placed[..., _slices(view)["transl"]] = transl
    return placed


def _camera_and_points(candidates: Tensor, view: View) -> tuple[PerspectiveCamera, Tensor]:
    """The camera with each candidate's focal length, and its keypoints before translation."""
    body = PosedBody(view.regressor, candidates.flatten(0, 1))
    points = (body.points - body.transl[:, None]).unflatten(0, candidates.shape[:2])
    factor = body.focal_factor.unflatten(0, candidates.shape[:2])
    camera = replace(
        view.camera,
        focal_length=view.camera.focal_length.to(points) * factor,
        principal_point=view.camera.principal_point.to(points),
    )
    return camera, points


def _in_front(transl: Tensor) -> Tensor:
    """The same viewing ray at a plausible depth: a wrong pose can put the body anywhere on it."""
    depth = transl[..., 2:]
    near, far = PLAUSIBLE_DEPTH
    return torch.cat(
        [transl[..., :2] * (depth.clamp(near, far) / depth), depth.clamp(near, far)], -1
    )


def _torso_points(keypoints: Keypoints) -> tuple[Bool[Tensor, "N K"], Tensor]:
    """Which points belong to a side of the torso that is seen whole; the edges as indices."""
    skeleton = get_skeleton(keypoints.skeleton)
    edges = torch.tensor([skeleton.indices(*edge) for edge in TORSO_EDGES])
    whole = (keypoints.confidence[:, edges] > 0).all(-1)
    seen = torch.zeros_like(keypoints.confidence, dtype=torch.bool)
    seen[:, edges.flatten()] = whole.repeat_interleave(2, -1)
    return seen, edges


def _seen_length(xy: Tensor, seen: Tensor, edges: Tensor) -> Tensor:
    pixels = torch.where(seen[..., None], xy, 0.0)
    return (pixels[:, edges[:, 0]] - pixels[:, edges[:, 1]]).norm(dim=-1).sum(-1)
