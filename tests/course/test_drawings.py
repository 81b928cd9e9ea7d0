"""What the picture of an answer shows: which part, which item, on which axes."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from vhlib.course import drawings
from vhlib.course.bank import Case
from vhlib.course.drawings import show_beside, shown_part, worst_item
from vhlib.notebook.palette import BLUE, VERMILLION

CASE = Case("any", (np.zeros(3),))
EYE = np.eye(3)


@pytest.fixture
def drawn(monkeypatch):
    """Draws, and gives the figure; None if nothing is shown."""

    def draw(kind, answer, expected, case=CASE):
        shown = []
        monkeypatch.setattr(drawings, "show", lambda figure, alt: shown.append((figure, alt)))
        assert show_beside(kind, case, answer, expected) == bool(shown)
        if not shown:
            return None
        ((figure, alt),) = shown
        figure.canvas.draw()
        assert alt.startswith(f"{case.name}: ")
        return figure

    yield draw
    plt.close("all")


def line(axes, label):
    """The data of the line of that label."""
    (found,) = [line for line in axes.lines if line.get_label() == label]
    return found


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("points", (2,)),
        ("points", (3,)),
        ("points", (4, 3)),
        ("points", (2, 3, 1, 2)),
        ("pixels", (4, 2)),
        ("body", (3,)),
        ("body", (2, 5, 3)),
        ("curve", ()),
        ("curve", (1,)),
        ("curve", (2, 3, 7)),
        ("image", (5,)),
        ("image", (2, 4, 5)),
        ("frames", (3, 3)),
        ("frames", (2, 4, 4)),
    ],
)
def test_every_shape_of_a_kind_is_drawn(drawn, kind, shape):
    assert drawn(kind, np.ones(shape), np.ones(shape)) is not None
    assert drawn(kind, np.full(shape, 2.0), np.ones(shape)) is not None


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("points", ()),
        ("points", (4, 5)),
        ("pixels", (4, 3)),
        ("body", (4, 2)),
        ("frames", (3,)),
        ("frames", (2, 2)),
        ("curve", (0,)),
    ],
)
def test_what_a_kind_has_no_picture_of_is_left(drawn, kind, shape):
    assert drawn(kind, np.ones(shape), np.ones(shape)) is None


@pytest.mark.parametrize("answer", [None, "a", [1.0], np.ones(4), np.array([1, 2j, 3]), (1, 2)])
def test_what_is_no_answer_is_left(drawn, answer):
    assert drawn("curve", answer, np.ones(3)) is None
    assert drawn("curve", np.ones(3), np.array([1, np.inf, 1])) is None
    assert drawn("curve", np.array([1, np.nan, 1]), np.ones(3)) is None


def test_of_a_tuple_the_first_part_that_differs_is_drawn():
    expected = (np.ones(2), np.ones(3), np.ones(4))
    answer = (np.ones(2), np.zeros(3), np.zeros(4))

    assert shown_part(CASE, answer, expected)[0] is answer[1]
    assert shown_part(CASE, expected, expected)[0] is expected[0]
    assert shown_part(CASE, answer[:2], expected) == (None, None)


def test_a_part_whose_axes_mean_something_else_is_left(drawn):
    points, directions = np.ones((4, 3)), np.ones((4, 3, 2))

    assert drawn("points", (0 * points, directions), (points, directions)) is not None
    assert drawn("points", (points, 0 * directions), (points, directions)) is None


def test_rigid_motions_beside_points_are_frames(drawn):
    points, motions = np.ones((2, 3)), np.stack([np.eye(4)] * 2)
    moved = motions.copy()
    moved[1, :3, 3] = 1.0

    figure = drawn("points", (points, moved), (points, motions))

    assert figure.get_suptitle() == "item [1] of the batch"
    (axes,) = figure.axes
    shift = line(axes, "yours").get_xydata() - line(axes, "expected").get_xydata()
    np.testing.assert_allclose(shift, [drawings.OBLIQUE @ np.ones(3)] * 2)


@pytest.mark.parametrize(("kind", "panels"), [("image", 5), ("curve", 1)])
def test_four_by_four_numbers_are_no_motion_elsewhere(drawn, kind, panels):
    figure = drawn(kind, np.eye(4), np.eye(4))

    assert len(figure.axes) == panels
    assert bool(figure.axes[0].get_images()) == (kind == "image")
    assert (figure.axes[0].get_ylabel() == "value") == (kind == "curve")


def test_of_a_batch_the_item_with_the_largest_error_is_drawn(drawn):
    expected = np.stack([EYE] * 6).reshape(2, 3, 3, 3)
    answer = expected.copy()
    answer[0, 1, 0, 0], answer[1, 2] = 0.9, -EYE

    item = worst_item(2, CASE, answer, expected)

    assert item.place == (1, 2)
    np.testing.assert_array_equal(item.answer, -EYE)
    assert drawn("frames", answer, expected).get_suptitle() == "item [1, 2] of the batch"
    assert not drawn("frames", EYE[None], EYE[None]).get_suptitle()


def test_only_the_y_of_a_picture_points_down(drawn):
    points = np.arange(8.0).reshape(4, 2)

    assert drawn("pixels", points, points).axes[0].yaxis_inverted()
    assert not drawn("points", points, points).axes[0].yaxis_inverted()


@pytest.mark.parametrize("kind", ["points", "body"])
def test_no_panel_cuts_a_marker_and_no_legend_covers_one(drawn, kind):
    tall = np.stack([np.zeros(9), np.linspace(0, 9, 9), np.zeros(9)], axis=-1)

    figure = drawn(kind, tall + 0.01, tall)

    for axes in figure.axes[:2]:
        frame, places = axes.get_window_extent(), axes.transData.transform(tall[:, :2])
        assert (places - frame.min > 10).all()
        assert (frame.max - places > 10).all()
    for legend in figure.legends:
        assert legend.get_window_extent().y1 < figure.axes[0].get_window_extent().y0


def test_a_right_body_has_one_colour_and_all_panels_one_scale(drawn):
    body = np.random.default_rng(0).normal(size=(40, 3))
    off = body.copy()
    off[7] += [0.3, 0.0, 0.4]

    for answer, largest, colours in ((body, 1.0, 1), (off, 0.5, 2)):
        *panels, bar = drawn("body", answer, body).axes
        dots = [axes.collections[-1] for axes in panels]
        assert [shown.get_clim() for shown in dots] == [(0.0, pytest.approx(largest))] * 2
        assert bar.get_ylim() == (0.0, pytest.approx(largest))
        for shown in dots:
            assert len({to_hex(colour) for colour in shown.get_facecolors()}) == colours


def test_the_nearest_vertices_of_a_body_lie_on_top(drawn):
    body = np.array([[0.0, 0, 1], [0, 0, -1], [1, 0, 0]])

    front, side, _ = drawn("body", body, body).axes

    assert front.collections[-1].get_offsets()[-1].tolist() == [0, 0]
    assert side.collections[-1].get_offsets().tolist()[0] == [0, 0], "x = 1 is far from the side"


def test_a_curve_names_the_argument_it_runs_over(drawn):
    values, thresholds = np.arange(5.0), np.array([3.0, 1, 2, 5, 4])
    second = Case("any", (np.zeros(9), thresholds))

    (axes,) = drawn("curve", values, values, second).axes
    assert axes.get_xlabel() == "argument 2"
    assert line(axes, "yours").get_xdata().tolist() == [1, 2, 3, 4, 5]

    batch = Case("any", (np.arange(6.0).reshape(2, 3), 1.0))
    expected = np.ones((2, 3))
    (axes,) = drawn("curve", expected + [[0], [1]], expected, batch).axes
    assert line(axes, "yours").get_xdata().tolist() == [3, 4, 5]

    (axes,) = drawn("curve", values, values).axes
    assert axes.get_xlabel() == "index"
    assert all(tick == int(tick) for tick in axes.get_xticks())


def test_few_numbers_have_markers_and_many_a_line_alone(drawn):
    for count, markers in ((2, ["o", "x"]), (61, ["None", "None"])):
        (axes,) = drawn("curve", np.ones(count), np.ones(count)).axes
        lines = [line(axes, "expected"), line(axes, "yours")]
        assert [found.get_marker() for found in lines] == markers
        assert [found.get_color() for found in lines] == [BLUE, VERMILLION]
