"""Figures of a training: what is drawn is what was computed, where it was computed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba

from vhlib.notebook.learning_figures import (
    WINDOW,
    components_figure,
    field_colors,
    field_figure,
    framed_picture,
    framing_camera,
    likeness_figure,
    regressor_figure,
    ridge_figure,
)
from vhlib.notebook.palette import BLUE, VERMILLION


@pytest.mark.parametrize("yaw", [0.0, 0.4])
def test_the_frame_is_as_high_as_asked_about_the_point(yaw):
    middle = torch.tensor([0.3, 0.8, -0.2])
    half = torch.tensor([0.0, 0.45, 0.0])
    places = torch.stack([middle, middle + half, middle - half])
    pixels = framing_camera(middle, 0.9, yaw).project(places)
    width, height = WINDOW
    expected = torch.tensor([[0.5 * width, y * height] for y in (0.5, 0.0, 1.0)])
    torch.testing.assert_close(pixels, expected, atol=0.01, rtol=0)


def test_a_mesh_stands_in_the_middle_wherever_it_was(smpl):
    here, there = (framed_picture(smpl.v_template + step, smpl.faces) for step in (0.0, 5.0))
    np.testing.assert_allclose(here.astype(float), there.astype(float), atol=3)
    rows = np.nonzero((here < 250).any((1, 2)))[0]
    assert abs(rows.mean() - WINDOW[1] / 2) < 2


def test_fields_darken_up_to_the_largest_value_and_no_further():
    colors = field_colors(torch.tensor([0.0, 2.0, 5.0, 10.0, 30.0]), 10.0)
    lightness = colors.sum(1)
    assert (lightness.diff()[:3] < -0.1).all()
    torch.testing.assert_close(colors[3], colors[4])


def test_a_field_is_seen_where_it_is(smpl):
    left_half = smpl.v_template[:, 0] > 0
    values = torch.where(left_half, 10.0, 0.0)
    panels = {"bare": (smpl.v_template, None), "left": (smpl.v_template, values)}
    figure = field_figure(panels, smpl.faces, "distance, mm", largest=10)
    bare, colored, bar = figure.axes
    assert [bare.get_title(), colored.get_title()] == ["bare", "left"]
    assert bar.get_ylabel() == "distance, mm"
    assert bar.get_ylim() == (0, 10)
    np.testing.assert_array_equal(
        bare.images[0].get_array(), framed_picture(smpl.v_template, smpl.faces)
    )
    picture = np.asarray(colored.images[0].get_array()).astype(float)
    body, middle = (picture < 250).any(2), WINDOW[0] // 2
    darkness = 255 - picture.mean(2)
    assert (
        darkness[:, middle:][body[:, middle:]].mean()
        > 2 * darkness[:, :middle][body[:, :middle]].mean()
    )


def test_components_are_drawn_in_millimetres():
    held_out, memorised = {0: 0.036, 10: 0.004}, {0: 0.03, 5: 0.001}
    axes = components_figure({"20 people": held_out}, {"20 people": memorised}).axes[0]
    np.testing.assert_allclose(axes.lines[0].get_xydata(), [[0, 36], [10, 4]])
    np.testing.assert_allclose(axes.lines[1].get_xydata(), [[0, 30], [5, 1]])
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["held out, 20 people", "trained on, 20 people"]


def test_likeness_ignores_signs_and_names_both_sides():
    axes = likeness_figure(torch.tensor([[-1.0, 0.1], [0.05, 0.7]]), ("A", "B")).axes[0]
    np.testing.assert_allclose(axes.images[0].get_array(), [[1, 0.1], [0.05, 0.7]], atol=1e-6)
    assert [(t.get_position(), t.get_text()) for t in axes.texts] == [
        ((0, 0), "1.0"),
        ((1, 1), "0.7"),
    ]
    assert axes.get_ylabel().endswith("A")
    assert axes.get_xlabel().endswith("B")


def test_a_regressor_s_dots_lie_on_its_vertices_by_sign(smpl):
    weights = torch.zeros(len(smpl.v_template))
    weights[[10, 20]], weights[30] = torch.tensor([0.2, 1.3]), -0.5
    joint = smpl.v_template[[10, 20, 30]].mean(0)
    axes = regressor_figure(smpl.v_template, smpl.faces, {"row": weights}, joint).axes[0]
    plus, minus = axes.collections
    camera = framing_camera(joint, 0.6, yaw=0.4)
    np.testing.assert_allclose(plus.get_offsets(), camera.project(smpl.v_template[[10, 20]]))
    np.testing.assert_allclose(minus.get_offsets(), camera.project(smpl.v_template[[30]]))
    assert plus.get_sizes()[0] < plus.get_sizes()[1]
    for dots, color in ((plus, BLUE), (minus, VERMILLION)):
        assert tuple(dots.get_facecolor()[0, :3]) == to_rgba(color)[:3]
    np.testing.assert_allclose(axes.lines[0].get_xydata()[0], np.array(WINDOW) / 2, atol=0.01)


def test_ridge_curves_and_the_line_of_no_correctives():
    errors = {"dense": ([0.1, 0.5], [2.0, 0.8]), "local": ([0.4, 0.6], [0.5, 0.7])}
    figure = ridge_figure([1e-3, 1.0], errors, without=1.1)
    assert [axes.get_title() for axes in figure.axes] == ["dense", "local"]
    for axes, (trained_on, held_out) in zip(figure.axes, errors.values(), strict=True):
        none, first, second = (line.get_ydata() for line in axes.lines)
        np.testing.assert_allclose(none, 1.1)
        np.testing.assert_allclose(first, trained_on)
        np.testing.assert_allclose(second, held_out)
        assert axes.lines[1].get_label() == "poses trained on"
