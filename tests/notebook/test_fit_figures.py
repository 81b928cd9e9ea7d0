"""What the figures of a fit show, read back from their own artists."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba

from vhlib.body import SMPL
from vhlib.body.skeletons import OPENPOSE_25B
from vhlib.fitting import fit_smplify
from vhlib.geometry import PerspectiveCamera, axis_angle_to_matrix
from vhlib.notebook.clips import stand_in_clip
from vhlib.notebook.fit_figures import (
    LIMBS,
    crop_window,
    cropped,
    energy_figure,
    error_figure,
    keypoints_figure,
    side_camera,
    used_points,
    views_figure,
)
from vhlib.notebook.mesh_pictures import body_picture


@pytest.fixture(scope="module")
def clip():
    return stand_in_clip()


@pytest.fixture(scope="module")
def fit(smpl, clip):
    return fit_smplify(smpl, clip.cameras[0], clip.keypoints(0)[49])


def rolled_camera() -> PerspectiveCamera:
    """Pitched and rolled, in a world with z up."""
    transform = torch.eye(4)
    transform[:3, :3] = axis_angle_to_matrix(torch.tensor([1.9, 0.3, 0.4]))
    transform[:3, 3] = torch.tensor([0.1, -0.2, 4.0])
    return PerspectiveCamera(1000.0, (320.0, 240.0), (640, 480), transform)


def test_the_side_camera_sees_depth_to_the_right_and_up_upwards():
    camera, target = rolled_camera(), torch.tensor([0.3, -0.1, 3.0])
    up = camera.T_camera_world[:3, 2]
    level_depth = torch.tensor([0.0, 0.0, 1.0]) - up[2] * up

    side = side_camera(camera, target, (200, 300))
    middle, above, deeper = side.project(torch.stack([target, target + up, target + level_depth]))

    torch.testing.assert_close(middle, torch.tensor([100.0, 150.0]))
    assert above[0] == pytest.approx(100, abs=1e-3)
    assert above[1] < 150
    assert deeper[1] == pytest.approx(150, abs=1e-3)
    assert deeper[0] > 100
    assert (side.position - target).norm() == pytest.approx(target.norm().item(), rel=1e-5)
    rotation = side.T_camera_world[:3, :3]
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(3), atol=1e-5, rtol=0)
    assert torch.linalg.det(rotation) > 0


def test_a_body_on_white_fades_with_its_opacity(smpl, fit, clip):
    side = side_camera(clip.cameras[0], fit.body_parameters.transl, (200, 300))
    side = side.resized((100, 150))

    full, half = (
        body_picture(smpl, fit.body_parameters, side, opacity).astype(int) for opacity in (1.0, 0.5)
    )

    assert (full[0, 0] == 255).all()
    assert full.min() < 150
    assert np.abs((255 - half) * 2 - (255 - full)).max() <= 2


def test_the_crop_holds_every_seen_point_and_stays_in_the_picture(clip):
    keypoints, picture = clip.keypoints(0)[49], np.zeros((1920, 1080, 3), dtype=np.uint8)
    left, top, right, bottom = crop_window(keypoints, picture)

    assert (keypoints.xy > torch.tensor([left, top])).all()
    assert (keypoints.xy < torch.tensor([right, bottom])).all()
    assert crop_window(keypoints, picture, margin=9.0) == (0, 0, 1080, 1920)
    part = cropped(picture, keypoints)
    assert part.shape[:2] == (round(bottom) - round(top), round(right) - round(left))


def test_unused_points_have_white_bars(clip):
    keypoints = clip.keypoints(0)[49]
    figure = keypoints_figure(np.zeros((1920, 1080, 3), dtype=np.uint8), keypoints)

    bars = figure.axes[1].patches
    white = [bar.get_facecolor() == to_rgba("white") for bar in bars]
    unused = [name for name, w in zip(OPENPOSE_25B.names, white, strict=True) if w]
    assert unused == ["upper_neck", "head_top"]
    np.testing.assert_allclose([bar.get_width() for bar in bars], keypoints.confidence, rtol=1e-6)


def test_error_bars_are_depth_and_the_rest():
    view = PerspectiveCamera(100.0, (50.0, 50.0), (100, 100))
    truth = torch.randn(12, 3, generator=torch.Generator().manual_seed(0)) + torch.tensor([0, 0, 9])
    found = truth + torch.tensor([0.03, 0.04, -0.2])

    figure = error_figure(np.zeros((100, 100, 3), dtype=np.uint8), view, found, truth)

    widths = np.array([bar.get_width() for bar in figure.axes[1].patches])
    np.testing.assert_allclose(widths[:12], 200, rtol=1e-4)
    np.testing.assert_allclose(widths[12:], 50, rtol=1e-4)
    assert figure.axes[1].get_yticklabels()[0].get_text() == "left shoulder"


def test_limbs_are_joined_within_a_side():
    edges = {frozenset(edge) for edge in LIMBS.edges}

    assert frozenset(("left_knee", "left_ankle")) in edges
    assert len(LIMBS) == 12
    assert len(edges) == 12


def test_energy_bars_are_the_terms(fit):
    figure = energy_figure(fit)

    widths = [bar.get_width() for bar in figure.axes[0].patches]
    np.testing.assert_allclose(widths, [float(v) for v in fit.energy_terms.values()])
    curves = figure.axes[1].lines
    assert [line.get_label() for line in curves] == [stage.name for stage in fit.history]
    assert curves[-1].get_ydata()[-1] == pytest.approx(fit.energy.item())


def test_each_of_many_stages_has_a_curve_of_its_own(fit):
    figure = energy_figure(replace(fit, history=[*fit.history, *fit.history]))

    curves = figure.axes[1].lines
    assert len(curves) == 6
    assert len({(curve.get_color(), curve.get_marker()) for curve in curves}) == 6
    starts = [curve.get_xdata()[0] for curve in curves]
    assert starts[1:] == [curve.get_xdata()[-1] for curve in curves[:-1]]


def test_the_body_is_loaded_once_for_all_figures(clip, monkeypatch):
    loads, load = [], SMPL.load
    monkeypatch.setattr(SMPL, "load", lambda: loads.append(1) or load())
    for _ in range(3):
        used_points(clip.keypoints(0)[49])

    assert len(loads) <= 1


def test_views_keep_their_shapes():
    pictures = {
        "wide": np.zeros((50, 100, 3), np.uint8),
        "tall": np.zeros((100, 50, 3), np.uint8),
    }

    figure = views_figure(pictures, height=2.0)

    assert [axes.get_title() for axes in figure.axes] == ["wide", "tall"]
    assert figure.get_size_inches().tolist() == [5.0, 2.0]
