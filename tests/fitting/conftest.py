"""A small body and views of it whose truth is known exactly."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from tests.random_body import random_model
from vhlib.body import SMPL, BodyParameters, Keypoints
from vhlib.fitting import load_pose_prior
from vhlib.geometry import PerspectiveCamera, axis_angle_to_matrix


@dataclass(frozen=True, eq=False)
class Views:
    """Bodies, the camera that saw them, and what a perfect detector says."""

    smpl: SMPL
    camera: PerspectiveCamera
    truth: BodyParameters
    keypoints: Keypoints


def make_views(smpl: SMPL, count: int, seed: int, yaw: float = 0.0) -> Views:
    """Likely poses of the prior, a few metres away, turned by ``yaw`` from facing the camera."""
    g = torch.Generator().manual_seed(seed)
    camera = PerspectiveCamera((1200.0, 1200.0), (400.0, 500.0), (800, 1000))
    upright = axis_angle_to_matrix(torch.tensor([torch.pi, 0.0, 0.0]))
    turn = torch.zeros(count, 3)
    turn[:, 1] = yaw + 0.3 * torch.randn(count, generator=g)
    prior = load_pose_prior()
    around_mean = 0.15 * torch.randn(count, 23, 3, generator=g)
    pose = prior.mean_pose.unflatten(-1, (-1, 3)) + around_mean
    truth = BodyParameters(
        betas=0.5 * torch.randn(count, 10, generator=g),
        body_pose=axis_angle_to_matrix(pose),
        global_orient=upright @ axis_angle_to_matrix(turn),
        transl=torch.tensor([0.0, 0.2, 4.0]) + 0.2 * torch.randn(count, 3, generator=g),
    )
    xy = camera.project(smpl.keypoints("openpose_25", **vars(truth)))
    return Views(smpl, camera, truth, Keypoints(xy, torch.ones(count, 25), "openpose_25"))


@pytest.fixture(scope="session")
def small_body() -> SMPL:
    return SMPL(random_model(num_vertices=800, seed=5))


@pytest.fixture(scope="session")
def views(small_body) -> Views:
    return make_views(small_body, count=4, seed=0)
