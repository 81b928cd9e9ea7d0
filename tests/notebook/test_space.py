"""Figures of cameras and people in a room: what is drawn is where it is."""

from __future__ import annotations

import json
from base64 import b64decode

import numpy as np
import pytest
import torch

from vhlib.body import SMPL
from vhlib.body.skeletons import SMPL_24
from vhlib.geometry import PerspectiveCamera, axis_angle_to_matrix
from vhlib.notebook import space
from vhlib.notebook.space import Strokes, bones, frustum, show_space


@pytest.fixture
def camera() -> PerspectiveCamera:
    T = torch.eye(4)
    T[:3, :3] = axis_angle_to_matrix(torch.tensor([1.2, 0.4, -0.3]))
    T[:3, 3] = torch.tensor([0.2, -0.5, 3.0])
    return PerspectiveCamera((800.0, 820.0), (310.0, 250.0), (640, 480), T_camera_world=T)


def test_a_frustum_s_corners_project_to_the_image_s(camera):
    up, rim, *sides = frustum(camera, "camera", depth=0.5).paths

    found = camera.project(torch.tensor(rim, dtype=torch.float32))
    corners = [[0, 0], [640, 0], [640, 480], [0, 480], [0, 0]]
    torch.testing.assert_close(found, torch.tensor(corners).float(), atol=1e-2, rtol=0)
    top = camera.project(torch.tensor(up[1:], dtype=torch.float32))
    torch.testing.assert_close(top, torch.tensor([[320.0, 0.0]]), atol=1e-2, rtol=0)
    centre = camera.world_to_camera(torch.tensor(up[:1], dtype=torch.float32))
    torch.testing.assert_close(centre, torch.zeros(1, 3), atol=1e-5, rtol=0)
    assert all(np.array_equal(side[0], up[0]) for side in sides)


def test_bones_join_the_joints_that_are_known():
    points = SMPL.load().keypoints("smpl_24")
    points = torch.where(torch.arange(24)[:, None] == SMPL_24.index("head"), torch.nan, points)

    drawn = bones(points, "smpl_24", "black", "body")

    assert len(drawn.paths) == len(SMPL_24.edges) - 1
    hip, knee = points[SMPL_24.indices("left_hip", "left_knee")].double().numpy()
    assert any(np.array_equal(path, [hip, knee]) for path in drawn.paths)


def test_the_page_gets_a_turning_figure_and_a_picture(monkeypatch):
    shown = []
    monkeypatch.setattr(space, "display", lambda data, **rest: shown.append((data, rest)))
    path = np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])

    show_space([Strokes([path, path + 1], "black", "line", label="here")], alt="Two lines.")

    ((data, rest),) = shown
    figure = json.loads(json.dumps(data[space.PLOTLY], allow_nan=False))  # as the kernel sends it
    (trace,) = figure["data"]
    assert [trace[axis][:2] for axis in "xyz"] == path.T.tolist()
    assert [trace[axis][3:5] for axis in "xyz"] == (path + 1).T.tolist()
    assert trace["x"][2] is None
    assert b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert rest["metadata"]["image/png"]["alt"] == "Two lines."
    assert next(iter(data)) == space.PLOTLY


def test_a_figure_without_words_is_refused():
    with pytest.raises(ValueError, match="alternative text"):
        show_space([], alt=" ")
