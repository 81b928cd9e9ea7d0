"""What the figures of posing show, read back from their own artists."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from vhlib.body import BodyParameters
from vhlib.body.skeletons import SMPL_24
from vhlib.geometry import axis_angle_to_matrix
from vhlib.notebook.mesh_pictures import mesh_picture
from vhlib.notebook.skinning_figures import (
    CHAIN_YAW,
    ColoredMesh,
    camera_towards,
    chain_figure,
    close_ups_figure,
    colored_figure,
    radius_figure,
    ring_figure,
    turn_figure,
    world_rotations,
)

# A triangle that faces a camera at yaw 0, and fills a part of its picture.
TRIANGLE = torch.tensor([[-0.2, -0.2, 0.0], [0.2, -0.2, 0.0], [0.0, 0.2, 0.0]])
FACES = torch.tensor([[0, 1, 2]])
CAMERA = camera_towards(torch.zeros(3), 1.0, (80, 60))


def body(**degrees: tuple[float, float, float]) -> BodyParameters:
    """The mean shape with some joints turned."""
    theta = torch.zeros(24, 3)
    for joint, vector in degrees.items():
        theta[SMPL_24.index(joint)] = torch.tensor(vector).deg2rad()
    rotations = axis_angle_to_matrix(theta)
    return BodyParameters(torch.zeros(10), rotations[1:], rotations[0], torch.zeros(3))


def drawn(picture: np.ndarray) -> np.ndarray:
    """Which pixels aren't white."""
    return (picture < 250).any(-1)


@pytest.mark.parametrize("yaw", [0.0, 0.7, -2.0])
def test_a_camera_sees_its_target_in_the_middle_and_a_given_width(yaw):
    target = torch.tensor([0.3, -0.4, 0.5])
    camera = camera_towards(target, 0.5, (100, 60), yaw)

    torch.testing.assert_close(camera.project(target[None]), torch.tensor([[50.0, 30.0]]))
    across = torch.tensor([math.cos(yaw), 0.0, -math.sin(yaw)])
    edges = camera.project(torch.stack([target - 0.25 * across, target + 0.25 * across]))
    torch.testing.assert_close(edges, torch.tensor([[0.0, 30.0], [100.0, 30.0]]))
    assert camera.project(target[None] + torch.tensor([0.0, 0.1, 0.0]))[0, 1] < 30


def test_a_positive_yaw_looks_from_the_body_s_left():
    nearer, farther = torch.tensor([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])  # its left is +x

    depths = camera_towards(torch.zeros(3), 1.0, (80, 60), 0.5).world_to_camera(
        torch.stack([nearer, farther])
    )[:, 2]

    assert depths[0] < depths[1]


def test_a_mesh_is_drawn_where_it_projects_to():
    rows, columns = np.nonzero(drawn(mesh_picture(TRIANGLE, FACES, CAMERA)))

    expected = CAMERA.project(TRIANGLE).numpy()
    found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(found, [*expected.min(0), *expected.max(0)], atol=1.01)


def test_bones_and_frames_lie_where_the_body_has_them(smpl):
    posed = body(left_shoulder=(0, 0, -50), left_elbow=(0, -85, 0))
    elbow = SMPL_24.index("left_elbow")

    axes = chain_figure(smpl, {"posed": posed}, [elbow], length=0.2).axes[0]

    mesh = smpl(**vars(posed))
    middle = (mesh.vertices.amin(0) + mesh.vertices.amax(0)) / 2
    camera = camera_towards(middle, 1.9, (560, 560), CHAIN_YAW)
    points = camera.project(mesh.joints).numpy()
    *bones, dots, x, y, z = axes.lines
    assert len(bones) == 23
    for bone, (child, parent) in zip(
        bones, list(enumerate(smpl.parents.tolist()))[1:], strict=True
    ):
        np.testing.assert_allclose(bone.get_xydata(), points[[parent, child]], atol=1e-3)
    np.testing.assert_allclose(dots.get_xydata(), points, atol=1e-3)
    for column, line in enumerate((x, y, z)):
        tip = mesh.joints[elbow] + 0.2 * world_rotations(smpl, posed)[elbow, :, column]
        np.testing.assert_allclose(line.get_xydata()[0], points[elbow], atol=1e-3)
        np.testing.assert_allclose(line.get_xydata()[1], camera.project(tip[None])[0], atol=1e-3)


def test_frames_turn_with_all_that_is_above_them(smpl):
    posed = body(pelvis=(0, 30, 0), left_shoulder=(0, 0, -50), left_elbow=(0, -85, 0))
    frames = world_rotations(smpl, posed)

    above = ("left_shoulder", "left_elbow")
    expected = posed.global_orient
    for name in above:
        expected = expected @ posed.body_pose[SMPL_24.index(name) - 1]
    torch.testing.assert_close(frames[SMPL_24.index("left_wrist")], expected)
    torch.testing.assert_close(frames[SMPL_24.index("right_wrist")], posed.global_orient)


def test_larger_numbers_are_darker_and_the_bar_ends_at_the_largest():
    values = {"none": torch.zeros(3), "half": torch.full((3,), 2.0), "all": torch.full((3,), 4.0)}
    meshes = {name: ColoredMesh(TRIANGLE, v) for name, v in values.items()}

    figure = colored_figure(FACES, meshes, "mm", dict.fromkeys(meshes, CAMERA))

    *panels, bar = figure.axes
    light = [p.images[0].get_array()[drawn(p.images[0].get_array())].mean() for p in panels]
    assert light[0] > light[1] > light[2]
    assert bar.get_ylim() == (0.0, 4.0)
    assert bar.get_ylabel() == "mm"
    assert [p.get_title() for p in panels] == ["none", "half", "all"]


def test_each_close_up_stands_in_its_row_and_column():
    small, large = 0.5 * TRIANGLE, TRIANGLE
    rows = {"one": {"a": small, "b": large}, "two": {"a": large, "b": small}}

    grid = close_ups_figure(FACES, rows, CAMERA).axes

    sizes = [drawn(np.asarray(axes.images[0].get_array())).sum() for axes in grid]
    assert sizes[0] == sizes[3] < sizes[1] == sizes[2]
    assert [axes.get_title() for axes in grid] == ["a", "b", "", ""]
    assert [axes.get_ylabel() for axes in grid] == ["one", "", "two", ""]


def test_a_ring_is_seen_along_the_bone_in_millimetres():
    axis = torch.tensor([0.8, 0.6, 0.0])
    up = torch.tensor([-0.6, 0.8, 0.0])
    rest = torch.stack([0.03 * up, torch.tensor([0.0, 0.0, 0.02])]) + 0.1 * axis

    ring = ring_figure(np.zeros((4, 4, 3), np.uint8), axis, rest, rest / 2).axes[1]

    before, after = (line.get_xydata() for line in ring.lines[:2])
    np.testing.assert_allclose(before, [[0, 30], [-20, 0]], atol=1e-4)
    np.testing.assert_allclose(after, before / 2, atol=1e-4)
    assert ring.get_xlim()[1] > 30


def test_each_way_has_its_curve_and_the_trained_twist_its_line():
    degrees = torch.tensor([0.0, 90.0, 180.0])
    ratios = {"linear": (degrees.deg2rad() / 2).cos(), "rigid": torch.ones(3)}

    axes = radius_figure(degrees, ratios, trained=80.0).axes[0]

    *curves, trained = axes.lines
    for curve, ratio in zip(curves, ratios.values(), strict=True):
        np.testing.assert_allclose(curve.get_xydata(), torch.stack([degrees, ratio], 1), atol=1e-6)
    assert list(trained.get_xdata()) == [80.0, 80.0]
    assert len({(c.get_color(), c.get_linestyle(), c.get_marker()) for c in curves}) == 2


def test_the_outline_is_of_the_wanted_body_and_the_title_says_how_far_it_is():
    wanted = TRIANGLE + torch.tensor([0.5, 0.0, 0.0])

    axes = turn_figure(FACES, TRIANGLE, wanted, width=2.0).axes[0]

    camera = camera_towards(torch.zeros(3), 2.0, (520, 520))
    outline = np.concatenate([p.vertices for p in axes.collections[0].get_paths()])
    expected = camera.project(wanted).numpy()
    np.testing.assert_allclose(outline.min(0), expected.min(0), atol=2)
    np.testing.assert_allclose(outline.max(0), expected.max(0), atol=2)
    assert axes.get_title() == "vertices off by up to 500 mm"


def test_a_body_out_of_sight_has_no_outline():
    far = TRIANGLE + torch.tensor([9.0, 0.0, 0.0])

    assert not turn_figure(FACES, TRIANGLE, far).axes[0].collections
