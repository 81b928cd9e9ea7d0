"""Figures of cameras show what was computed: rays, dots, colours, boxes and crops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vhlib.body import SMPL, Keypoints
from vhlib.body.skeletons import SMPL_24
from vhlib.geometry import Crop, PerspectiveCamera
from vhlib.notebook.camera_figures import (
    PLANE,
    crop_figure,
    cut,
    flattened,
    focal_figure,
    from_its_right,
    heat_figure,
    rays_figure,
    reaching_body,
    skeletons_figure,
    triads_figure,
    walk_figure,
)
from vhlib.notebook.mesh_pictures import mesh_picture

# A tetrahedron before the camera, its fourth corner towards it.
VERTICES = torch.tensor([[-0.5, -0.4, 2.0], [0.5, -0.4, 2.2], [0.0, 0.6, 2.1], [0.1, 0.0, 1.4]])
FACES = torch.tensor([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]])
CAMERA = PerspectiveCamera(40.0, (20, 15), (40, 30))


def gradient(width: int = 60, height: int = 40) -> np.ndarray:
    """A picture whose red is the column and whose green is the row."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns, rows, np.zeros_like(rows)], axis=-1).astype(np.uint8)


def test_dots_lie_where_the_pinholes_rays_meet_the_picture():
    hand, depth = torch.tensor([0.2, -0.5, 1.4]), 2.0
    upper, lower = rays_figure(VERTICES, FACES, {"hand": hand}, depth).axes

    for axes, divided_by in ((upper, 1.4), (lower, depth)):
        dot = next(line for line in axes.lines if line.get_marker() == "o").get_xydata()[0]
        np.testing.assert_allclose(dot, [PLANE * depth, -0.5 * PLANE * depth / divided_by])


def test_the_weak_ray_moves_along_the_axis_first():
    hand = torch.tensor([0.0, -0.5, 1.4])
    upper, lower = rays_figure(VERTICES, FACES, {"hand": hand}, 2.0).axes

    straight, bent = (
        next(line.get_xydata() for line in axes.lines if len(line.get_xdata()) == 3)
        for axes in (upper, lower)
    )
    np.testing.assert_allclose(straight, [[1.4, -0.5], [1.4, -0.5], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(bent, [[1.4, -0.5], [2.0, -0.5], [0, 0]], atol=1e-6)


def test_rays_figure_has_y_down():
    axes = rays_figure(VERTICES, FACES, {"hand": VERTICES[3]}, 2.0).axes[0]
    bottom, top = axes.get_ylim()
    assert bottom > top


def test_a_pinhole_sees_the_flattened_mesh_as_weak_perspective_does():
    weak = CAMERA.focal_length * VERTICES[:, :2] / 2.0 + CAMERA.principal_point

    torch.testing.assert_close(CAMERA.project(flattened(VERTICES, 2.0)), weak)
    torch.testing.assert_close(flattened(VERTICES, 2.0)[:, 2], VERTICES[:, 2])


def test_mesh_picture_is_a_mesh_on_white():
    picture = mesh_picture(VERTICES, FACES, CAMERA)

    assert picture.shape == (30, 40, 3)
    assert (picture[0, 0] == 255).all()
    assert (picture[15, 20] < 255).any()


def test_skeletons_figure_draws_each_set_of_pixels():
    xy = torch.rand(24, 2, generator=torch.Generator().manual_seed(0)) * 30 + 5
    seen = Keypoints(xy, torch.ones(24), "smpl_24")
    figure = skeletons_figure(gradient(), seen, {"right": xy, "wrong": xy + 3.0}, SMPL_24)

    assert [axes.get_title() for axes in figure.axes] == ["right", "wrong"]
    for axes, expected in zip(figure.axes, (xy, xy + 3.0), strict=True):
        np.testing.assert_allclose(axes.collections[-1].get_offsets(), expected)


def test_heat_figure_colours_by_value_and_says_so():
    camera = CAMERA.resized((400, 300))
    values = torch.tensor([0.0, 0.0, 0.0, 9.0])
    front, bar = heat_figure(VERTICES, FACES, {"front": camera}, values, "error, px").axes

    assert bar.get_ylabel() == "error, px"
    assert bar.get_ylim() == (0.0, 9.0)
    picture = np.asarray(front.images[0].get_array()).astype(int)
    corners = camera.project(VERTICES)
    nearly = (0.95 * corners + 0.05 * corners.mean(0)).int()  # inside of the outline
    greener = [int(picture[y, x, 1] - picture[y, x, 2]) for x, y in nearly.tolist()]
    assert max(greener[:3]) < 0 < greener[3]  # the scale runs from violet to yellow


def test_focal_figure_marks_the_chosen_one():
    errors = {"weak": [3.0, 2.0, 1.0], "truth": [1.0, 0.5, 2.0]}
    figure = focal_figure({"a": gradient(), "b": gradient()}, [100.0, 200.0, 400.0], errors, 200.0)
    curves = figure.axes[-1]

    assert list(curves.lines[0].get_ydata()) == errors["weak"]
    assert list(curves.lines[1].get_ydata()) == errors["truth"]
    assert list(curves.lines[2].get_xdata()) == [200.0, 200.0]
    assert curves.lines[0].get_linestyle() != curves.lines[1].get_linestyle()


def test_walk_figure_has_the_box_the_ray_and_the_heading():
    crop = Crop((40.0, 20.0), 16.0, 32)
    place, ahead = torch.tensor([1.5, 0.0, 3.0]), torch.tensor([0.0, 0.0, -1.0])
    frame, view, plan = walk_figure(gradient(), crop, place, ahead, CAMERA).axes

    (box,) = frame.patches
    assert (box.get_x(), box.get_y(), box.get_width()) == (32.0, 12.0, 16.0)
    np.testing.assert_array_equal(view.images[0].get_array(), cut(gradient(), crop))
    np.testing.assert_allclose(plan.lines[1].get_xydata(), [[0, 0], [1.5, 3.0]])
    (arrow,) = plan.texts
    assert arrow.xy[1] < arrow.xyann[1], "towards the camera"
    edge = plan.lines[0].get_xydata()[0]
    assert edge[0] / edge[1] == pytest.approx(-20 / 40)


def test_cut_takes_the_frames_pixels_and_leaves_white_beside_it():
    inside = cut(gradient(), Crop((30.0, 20.0), 10.0, 10))
    np.testing.assert_array_equal(inside, gradient()[15:25, 25:35])

    enlarged = cut(gradient(), Crop((30.0, 20.0), 10.0, 20))
    np.testing.assert_array_equal(enlarged[::2, ::2], inside)
    beside = cut(gradient(), Crop((0.0, 20.0), 10.0, 10))
    assert (beside[:, :5] == 255).all()
    np.testing.assert_array_equal(beside[:, 5:], gradient()[15:25, :5])


def test_crop_figure_keeps_pixels_and_picture_together():
    xy = torch.rand(24, 2, generator=torch.Generator().manual_seed(1)) * 30
    axes = crop_figure({"one": (gradient(30, 30), xy)}, SMPL_24).axes[0]

    np.testing.assert_allclose(axes.collections[-1].get_offsets(), xy)
    assert axes.images[0].get_extent() == [0, 30, 30, 0]
    assert axes.get_xlim() == (0, 30)
    assert axes.get_ylim() == (30, 0)


def test_the_triads_differ_in_y_and_z_only():
    for opencv, opengl in zip(*(axes.texts for axes in triads_figure().axes), strict=True):
        if opencv.get_text() in ("$x$", "$y$", "$z$"):
            assert opencv.get_text() == opengl.get_text()
            sign = 1 if opencv.get_text() == "$x$" else -1
            np.testing.assert_allclose(
                np.multiply(opencv.get_position(), sign), opengl.get_position(), atol=1e-9
            )


def test_the_reaching_body_stands_upright_and_reaches_to_the_camera():
    joints = SMPL.load()(**vars(reaching_body())).joints
    at = dict(zip(SMPL_24.names, joints, strict=True))

    assert at["head"][1] < at["pelvis"][1] < at["left_foot"][1], "y down"
    assert at["right_hand"][2] < at["pelvis"][2] - 0.4, "nearer"


def test_from_its_right_sees_the_same_middle_from_the_persons_right():
    middle = torch.tensor([[0.0, 0.0, 2.0]])
    aside = from_its_right(CAMERA, 2.0)

    torch.testing.assert_close(aside.project(middle), CAMERA.project(middle))
    torch.testing.assert_close(aside.position, middle[0] + torch.tensor([-2.0, 0.0, 0.0]))
    nearer = aside.project(middle - torch.tensor([0.0, 0.0, 0.5]))
    assert nearer[0, 0] > aside.project(middle)[0, 0], (
        "a person facing -z faces right in this picture"
    )
