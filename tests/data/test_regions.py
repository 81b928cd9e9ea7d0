import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vhlib.data.regions import Region, sample, spread, whole

regions = st.builds(
    Region,
    st.tuples(st.floats(20, 80), st.floats(20, 80)),
    st.floats(10, 60),
    st.floats(-np.pi, np.pi),
)


def ramp(width, height):
    """A picture whose red is its x and whose green is its y, at pixel centres."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack([x, y, np.full_like(x, 255)], -1).astype(np.uint8)


def centres(size):
    x, y = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5)
    return np.stack([x, y], -1) / size


@given(regions, st.lists(st.tuples(st.floats(-1, 2), st.floats(-1, 2)), min_size=1, max_size=5))
def test_there_and_back(region, points):
    points = np.array(points)
    assert np.allclose(region.from_picture(region.to_picture(points)), points)


def test_a_region_of_the_crops_own_size_copies_pixels():
    picture = ramp(100, 90)
    crop = sample(Image.fromarray(picture), Region((40.0, 30.0), 20.0), 20)
    assert np.array_equal(crop, picture[20:40, 30:50])


def test_a_quarter_turn_clockwise():
    picture = ramp(100, 100)
    crop = sample(Image.fromarray(picture), Region((40.0, 30.0), 20.0, np.pi / 2), 20)
    # The region's own x axis points down in the picture.
    assert np.array_equal(crop, np.rot90(picture[20:40, 30:50], 1))


@pytest.mark.parametrize("side", [5.0, 12.0, 30.0])
@pytest.mark.parametrize("angle", [0.0, 0.4, -2.5])
def test_pixel_centres_map_to_pixel_centres(side, angle):
    region = Region((25.0, 24.0), side, angle)
    steep = 5 * ramp(50, 48) + 2  # 5 (x - 0.5) + 2: bytes resolve a fifth of a pixel
    places = (sample(Image.fromarray(steep), region, 8)[..., :2] - 1.5) / 5 + 0.5
    difference = places - region.to_picture(centres(8))
    assert np.abs(difference).max() < 0.3
    assert np.abs(difference.mean((0, 1))).max() < 0.15


def test_beyond_the_frame_is_black():
    white = Image.new("RGB", (40, 40), "white")
    crop = sample(white, Region((0.0, 20.0), 40.0), 40)
    assert not crop[:, :19].any()
    assert (crop[:, 21:] == 255).all()
    assert not sample(white, Region((500.0, 500.0), 40.0), 40).any()


def test_fine_texture_becomes_grey_not_noise():
    checkers = (np.indices((400, 400)).sum(0) % 2 * 255).astype(np.uint8)
    picture = Image.fromarray(np.repeat(checkers[..., None], 3, -1))
    crop = sample(picture, whole(picture), 50)
    assert crop.std() < 2
    assert abs(crop.mean() - 127.5) < 2


def test_the_whole_of_a_wide_picture_is_letterboxed():
    crop = sample(Image.new("RGB", (80, 40), "white"), whole(Image.new("RGB", (80, 40))), 80)
    assert not crop[:20].any()
    assert (crop[20:60] == 255).all()
    assert not crop[60:].any()


@given(regions)
def test_spread_puts_values_where_they_came_from(region):
    values = centres(64)[..., 0].astype(np.float32)
    laid = spread(values, region, 100, 100)
    pixels = np.stack(np.meshgrid(np.arange(100) + 0.5, np.arange(100) + 0.5), -1)
    places = region.from_picture(pixels)
    inner = ((places > 0.05) & (places < 0.95)).all(-1)
    assert np.abs(laid - places[..., 0])[inner].max(initial=0) < 0.01
    outer = ((places < -0.05) | (places > 1.05)).any(-1)
    assert not laid[outer].any()


def test_spread_beside_the_picture_is_empty():
    assert not spread(np.ones((8, 8), np.float32), Region((-50.0, 5.0), 20.0), 30, 20).any()
