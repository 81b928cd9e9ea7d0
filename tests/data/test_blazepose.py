import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vhlib.data import blazepose
from vhlib.data.blazepose import DetectorUnavailable, load_networks
from vhlib.data.downloads import DataUnavailable


@pytest.fixture
def forgetful():
    """Networks are read anew, and again after the test."""
    blazepose._network.cache_clear()
    yield
    blazepose._network.cache_clear()


def test_anchors_are_cell_centres():
    anchors = blazepose._anchors()
    assert anchors.shape == (2254, 2)
    assert np.allclose(anchors[[0, 1]], 0.5 / 28)
    assert np.allclose(anchors[2], [1.5 / 28, 0.5 / 28])
    assert np.allclose(anchors[2 * 28**2], 0.5 / 14)
    assert np.allclose(anchors[-6:], 6.5 / 7)


@given(st.floats(-np.pi, np.pi), st.floats(10, 500))
def test_the_body_region_stands_on_the_hips_and_turns_its_top_to_the_rim(angle, radius):
    hips = np.array([300.0, 200.0])
    up = radius * np.array([np.sin(angle), -np.cos(angle)])
    region = blazepose._body_region(hips, hips + up)
    assert np.allclose(region.to_picture(np.array([0.5, 0.5])), hips)
    # The rim lies straight above the middle: 1.25 radii reach the border, one reaches 0.1.
    assert np.allclose(region.to_picture(np.array([0.5, 0.1])), hips + up)


def test_one_head_is_found_once_and_its_other_boxes_stay_with_it():
    boxes = np.array([[0, 0, 10, 10], [50, 50, 60, 60], [1, 1, 11, 11], [51, 50, 61, 60.0]])
    groups = blazepose._same_person(boxes, np.array([0.7, 0.9, 0.8, 0.6]))
    assert [group.tolist() for group in groups] == [[1, 3], [2, 0]]


def test_a_box_without_area_ends_the_search_too():
    groups = blazepose._same_person(np.ones((2, 4)), np.array([0.6, 0.7]))
    with np.errstate(invalid="ignore"):
        assert sum(len(group) for group in groups) == 2


def test_points_move_to_the_heat_around_them():
    points = np.full((33, 2), 0.5)
    points[1] = [0.02, 0.98]
    points[2] = [1.4, 0.5]
    heat = np.zeros((64, 64, 33))
    heat[33, 31, 0] = heat[33, 30, 0] = 0.8
    heat[63, 1, 1] = 0.9
    heat[32, 32, 2] = 1.0
    heat[33, 33, 3] = 0.4
    heat[40, 40, 4] = 1.0
    refined = blazepose._refined(points, heat)
    assert np.allclose(refined[0], [30.5 / 64, 33 / 64])
    assert np.allclose(refined[1], [1 / 64, 63 / 64])
    # Outside the crop, too cold, too far away: as they were.
    assert np.array_equal(refined[2:], points[2:])


def test_without_litert_one_line_says_what_to_install(monkeypatch, forgetful):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(DetectorUnavailable, match=r"pip install 'vhlib\[detect\]'") as caught:
        load_networks()
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, OSError)


def test_without_network_and_cache_one_line_says_what_to_run(monkeypatch, tmp_path, forgetful):
    pytest.importorskip("ai_edge_litert")
    monkeypatch.setenv("VHLIB_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(DataUnavailable, match="vh assets fetch mediapipe") as caught:
        load_networks()
    assert "\n" not in str(caught.value)
