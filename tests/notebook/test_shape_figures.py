"""Figures of body shape show what they were given, where it belongs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from vhlib.body.measurements import Measurements, measure_body
from vhlib.body.skeletons import SMPL_24
from vhlib.notebook.shape_figures import (
    bent_leg_figure,
    floor_shift,
    meshes_figure,
    points_figure,
    regressor_figure,
    room_camera,
    see_through,
    spectrum_figure,
    standing_picture,
    tape_figure,
)


def rows_of_body(picture: np.ndarray) -> np.ndarray:
    """Which rows of a picture aren't white."""
    return np.nonzero((picture < 250).any((1, 2)))[0]


def scattered(figure: Figure, axes: int) -> list[np.ndarray]:
    """The places of each set of dots."""
    return [np.asarray(dots.get_offsets()) for dots in figure.axes[axes].collections]


def test_bodies_stand_on_one_floor_and_the_taller_one_is_higher(smpl):
    small, tall = (smpl(betas=torch.eye(10)[0] * b).vertices for b in (-2.0, 2.0))
    lifted = tall + torch.tensor([0.0, 3.0, 0.0])
    small_rows, tall_rows = (rows_of_body(standing_picture(v, smpl.faces)) for v in (small, lifted))
    assert abs(int(small_rows.max()) - int(tall_rows.max())) <= 2
    assert tall_rows.min() < small_rows.min() - 20


@pytest.mark.parametrize("yaw", [0.0, 0.5, 1.5])
def test_people_of_two_metres_fit_into_the_picture(smpl, yaw):
    vertices = smpl(betas=torch.eye(10)[0] * 3.5).vertices
    pixels = room_camera(yaw).project(vertices + floor_shift(vertices))
    assert (pixels > 0).all()
    assert (pixels < torch.tensor(room_camera(yaw).image_size)).all()


def test_enlarging_a_camera_changes_pixels_only(smpl):
    vertices = smpl().vertices
    small, large = room_camera().project(vertices), room_camera(enlarged=2).project(vertices)
    torch.testing.assert_close(large, 2 * small)


def test_meshes_have_titles_and_only_the_named_one_is_coloured(smpl):
    vertices = smpl().vertices
    values = {"b": torch.linspace(0, 1, len(vertices))}
    figure = meshes_figure({"a": vertices, "b": vertices}, smpl.faces, values=values, label="mm")
    plain, coloured, scale = figure.axes
    assert [plain.get_title(), coloured.get_title()] == ["a", "b"]
    assert scale.get_ylabel() == "mm"
    assert not np.array_equal(plain.images[0].get_array(), coloured.images[0].get_array())
    twin = meshes_figure({"a": vertices}, smpl.faces).axes[0].images[0].get_array()
    np.testing.assert_array_equal(plain.images[0].get_array(), twin)


def test_values_that_are_all_zero_have_a_scale(smpl):
    vertices = smpl().vertices
    values = {"a": torch.zeros(len(vertices))}
    assert len(meshes_figure({"a": vertices}, smpl.faces, values=values).axes) == 2


def test_meshes_fill_rows():
    triangle = torch.eye(3)
    faces = torch.tensor([[0, 1, 2]])
    figure = meshes_figure(dict.fromkeys("abcde", triangle), faces, columns=3)
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "c", "d", "e", ""]


def test_the_spectrum_is_drawn_as_given_and_errors_in_millimetres():
    explained = torch.tensor([0.7, 0.2, 0.1])
    bars, curves = spectrum_figure(explained, {"x": {0: 0.02, 3: 0.005}}).axes
    assert [bar.get_height() for bar in bars.patches] == pytest.approx([0.7, 0.2, 0.1])
    np.testing.assert_allclose(curves.lines[0].get_xydata(), [[0, 20], [3, 5]])


def test_the_body_s_mark_is_at_its_height_and_mass(smpl):
    betas = torch.eye(10)[2] * 2
    here = measure_body(smpl(betas=betas).vertices, smpl.faces)
    cloud = Measurements(torch.tensor([1.6, 1.8]), torch.tensor([50.0, 90.0]))
    figure = tape_figure(smpl, betas, cloud)
    (mark,) = figure.axes[1].lines
    assert mark.get_xydata()[0] == pytest.approx([100 * here.height.item(), here.mass.item()])
    np.testing.assert_allclose(scattered(figure, 1)[0], [[160, 50], [180, 90]], rtol=1e-6)
    assert figure.axes[0].get_title().endswith("2.0")


@pytest.mark.parametrize("joint", ["left_hip", "right_wrist", "head"])
def test_a_joint_is_the_weighted_mean_of_its_dots(smpl, joint):
    figure = regressor_figure(smpl, joint, torch.zeros(10))
    weights = smpl.J_regressor[SMPL_24.index(joint)]
    for axes in range(2):
        dots, centre = scattered(figure, axes)
        sizes = figure.axes[axes].collections[0].get_sizes()
        np.testing.assert_allclose(sizes / sizes.sum(), weights[weights > 0], atol=1e-4)
        # A perspective picture of a mean isn't quite the mean of the pictures.
        np.testing.assert_allclose(sizes @ dots / sizes.sum(), centre[0], atol=3)


def test_a_name_that_is_no_joint_is_refused(smpl):
    with pytest.raises(ValueError, match="no point 'hip'"):
        regressor_figure(smpl, "hip", torch.zeros(10))


def test_points_lie_over_their_own_picture():
    picture = np.full((20, 30, 3), 255, dtype=np.uint8)
    here, there = torch.tensor([[1.0, 2.0]]), torch.tensor([[5.0, 6.0], [7.0, 8.0]])
    points = {"a": {"x": here}, "b": {"x": here, "y": there}}
    figure = points_figure({"a": picture, "b": picture}, points)
    assert len(scattered(figure, 0)) == 1
    np.testing.assert_allclose(scattered(figure, 1)[1], there)
    markers = [dots.get_paths()[0].vertices.tolist() for dots in figure.axes[1].collections]
    assert markers[0] != markers[1]
    assert figure.axes[1].get_ylim() == (20.0, 0.0)


def test_bent_leg_figure_puts_joints_on_the_leg(smpl):
    body = smpl()
    knee = body.joints[SMPL_24.indices("left_knee")]
    (axes,) = bent_leg_figure(body.vertices, smpl.faces, {"knee": knee}, "straight").axes
    picture = axes.images[0].get_array()
    column, row = axes.collections[0].get_offsets()[0]

    assert axes.get_title() == "straight"
    assert (picture[int(row), int(column)] < 250).any(), "on the body"
    assert 0.3 < row / picture.shape[0] < 0.8


def test_see_through_cuts_the_square_and_mixes():
    photo, drawn = np.zeros((40, 30, 3), np.uint8), np.full((40, 30, 3), 100, np.uint8)
    photo[10:20, 5:15] = 200
    square = see_through(photo, drawn, torch.tensor([5.0, 10.0]), 10)

    assert square.shape == (10, 10, 3)
    np.testing.assert_array_equal(square, 140)
