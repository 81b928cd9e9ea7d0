"""Where a fit begins: poses to try, and where a camera must have seen them."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from vhlib.body import Keypoints
from vhlib.body.point_regressor import PointRegressor
from vhlib.fitting.posed_body import PosedBody, unknown_slices
from vhlib.geometry import PerspectiveCamera, axis_angle_to_matrix, matrix_to_axis_angle
from vhlib.geometry.camera_estimates import estimate_translation

# Seen from the front, from behind and from either side: an upright picture alone can't tell, and
# from a wrong side the solver only turns half way.
START_YAWS = (0.0, math.pi / 2, math.pi, -math.pi / 2)
# Metres from the camera at which a fit may start.
PLAUSIBLE_DEPTH = (1.0, 50.0)


def cold_starts(
    regressor: PointRegressor,
    camera: PerspectiveCamera,
    keypoints: Keypoints,
    mean_pose: Float[Tensor, " pose"],
) -> Float[Tensor, "S N n"]:
    """The mean stance seen from each of START_YAWS, where least squares puts it."""
    count, like = len(keypoints), keypoints.xy
    slices = unknown_slices(regressor.joint_shapedirs.shape[0], regressor.joint_shapedirs.shape[2])
    # SMPL is y up and faces +z; in OpenCV's frame an upright person is turned half round x.
    upright = axis_angle_to_matrix(like.new_tensor([math.pi, 0.0, 0.0]))
    starts = []
    for yaw in START_YAWS:
        orient = upright @ axis_angle_to_matrix(like.new_tensor([0.0, yaw, 0.0]))
        vector = like.new_zeros(count, slices["focal_length"].stop)
        vector[:, slices["global_orient"]] = matrix_to_axis_angle(orient)
        vector[:, slices["body_pose"]] = mean_pose.to(like)
        points = PosedBody(regressor, vector).points
        transl = estimate_translation(points, keypoints.xy, keypoints.confidence, camera)
        vector[:, slices["transl"]] = _in_front(transl)
        starts.append(vector)
    return torch.stack(starts)


def _in_front(transl: Tensor) -> Tensor:
    """The same viewing ray at a plausible depth: a wrong pose can put the body anywhere on it."""
    depth = transl[..., 2:]
    near, far = PLAUSIBLE_DEPTH
    return torch.cat(
        [transl[..., :2] * (depth.clamp(near, far) / depth), depth.clamp(near, far)], -1
    )
