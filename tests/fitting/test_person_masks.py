import pytest
import torch

from vhlib.fitting.person_masks import PersonMasks
from vhlib.geometry import PerspectiveCamera

CAMERA = PerspectiveCamera((900.0, 900.0), (300.0, 200.0), (600, 400))


def rectangle(left, top, right, bottom, size=(600, 400)):
    """A mask that is 1 from left to right and from top to bottom, pixels."""
    width, height = size
    mask = torch.zeros(1, height, width)
    mask[:, top:bottom, left:right] = 1
    return mask


def test_a_person_is_200_pixels_tall_in_the_middle_of_the_window():
    people = PersonMasks.cut_out(rectangle(250, 100, 300, 200), CAMERA)
    assert people.coverage.shape == (1, 320, 320)
    rows, columns = (people.coverage[0] > 0.5).any(1), (people.coverage[0] > 0.5).any(0)
    assert rows.nonzero()[[0, -1], 0].tolist() == [60, 259]
    assert columns.nonzero()[[0, -1], 0].tolist() == [110, 209]
    assert people.in_picture.all()


@pytest.mark.parametrize("height", [100.0, 64.0])
def test_other_heights(height):
    people = PersonMasks.cut_out(rectangle(250, 100, 300, 200), CAMERA, height)
    assert (people.coverage[0] > 0.5).any(1).sum() == height
    assert len(people) == 1


def test_the_windows_camera_sees_what_the_picture_s_camera_sees():
    g = torch.Generator().manual_seed(0)
    T = torch.eye(4)
    T[:3, 3] = torch.tensor([0.1, -0.2, 0.3])
    camera = PerspectiveCamera((900.0, 800.0), (290.0, 210.0), (600, 400), T)
    masks = torch.cat([rectangle(250, 100, 300, 200), rectangle(20, 30, 380, 330)])
    people = PersonMasks.cut_out(masks, camera)
    points = torch.randn(5, 3, generator=g) + torch.tensor([0.0, 0.0, 4.0])
    corner, scale = torch.tensor([[195.0, 70.0], [-88.0, -108.0]]), torch.tensor([2.0, 320 / 576])
    expected = (camera.project(points) - corner[:, None]) * scale[:, None, None]
    torch.testing.assert_close(people.camera.project(points), expected)


def test_distances_of_a_straight_border():
    """Zero on the border itself, one at the next corner."""
    people = PersonMasks.cut_out(rectangle(250, 100, 350, 200), CAMERA)
    across = people.distances()[0, 160]
    corner = torch.arange(321)
    expected = torch.maximum(60 - corner, corner - 260).clamp(min=-99.5)
    torch.testing.assert_close(across[1:-1], expected[1:-1].float())


def test_distances_equal_a_slow_search():
    """From pixel centre to pixel centre, half a pixel less, four of them round a corner."""
    g = torch.Generator().manual_seed(1)
    coarse = torch.rand(1, 1, 8, 12, generator=g)
    masks = torch.nn.functional.interpolate(coarse, (400, 600), mode="bicubic")[0].clamp(0, 1)
    people = PersonMasks.cut_out(masks, CAMERA, 30)
    allowed = (people.coverage[0] >= 0.5) | ~people.in_picture[0]
    cells = torch.stack(torch.meshgrid(*[torch.arange(48.0)] * 2, indexing="ij"), -1)
    to_inside = torch.cdist(cells.flatten(0, 1), cells[allowed]).amin(1).view(48, 48)
    to_outside = torch.cdist(cells.flatten(0, 1), cells[~allowed]).amin(1).view(48, 48)
    signed = torch.where(allowed, 0.5 - to_outside, to_inside - 0.5)
    rows = (signed[1:] + signed[:-1]) / 2
    corners = (rows[:, 1:] + rows[:, :-1]) / 2
    torch.testing.assert_close(people.distances()[0, 1:-1, 1:-1], corners)


def test_the_outline_of_a_soft_disc_is_found_between_pixels():
    y, x = torch.meshgrid(torch.arange(400) + 0.5, torch.arange(600) + 0.5, indexing="ij")
    radius = (x - 310.3).hypot(y - 190.7)
    people = PersonMasks.cut_out((100.5 - radius).clamp(0, 1)[None], CAMERA)
    points, exists = people.outlines()
    centre = people.camera.principal_point[0] + (torch.tensor([10.3, -9.3]))
    assert exists.all()
    from_centre = (points[0] - centre).norm(dim=-1)
    assert (from_centre - 100).abs().max() < 0.1
    few, _ = people.outlines(every=4)
    assert 0.22 < few.shape[1] / points.shape[1] < 0.28


def test_outlines_of_a_batch_are_filled_up():
    masks = torch.cat([rectangle(250, 100, 300, 200), rectangle(100, 100, 300, 300)])
    people = PersonMasks.cut_out(masks, CAMERA)
    points, exists = people.outlines()
    assert exists.sum(1).tolist() == [600, 800]
    alone, _ = people.select(slice(0, 1)).outlines()
    torch.testing.assert_close(points[0][exists[0]], alone[0])


def test_beyond_the_picture_a_cut_off_person_goes_on_and_has_no_outline():
    people = PersonMasks.cut_out(rectangle(250, 200, 300, 400), CAMERA)
    points, _ = people.outlines()
    assert people.coverage[0, -1].amax() == 1
    assert not people.in_picture[0, -1].any()
    assert people.distances()[0, -1].amax() < 0
    # The top, and the two sides down to the picture's border.
    bottom = people.in_picture[0].any(1).sum()
    assert points.shape[1] == 50 + 2 * 200
    assert points[0, :, 1].max() < bottom


def test_bool_masks_equal_shares_of_zero_and_one():
    mask = rectangle(250, 100, 300, 200)
    soft, hard = (PersonMasks.cut_out(m, CAMERA) for m in (mask, mask > 0))
    assert torch.equal(soft.coverage, hard.coverage)


def test_one_pixel_is_a_person_of_200():
    people = PersonMasks.cut_out(rectangle(250, 100, 251, 101), CAMERA)
    assert people.coverage.max() == 1
    assert people.distances().isfinite().all()


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (torch.zeros(1, 400, 600), r"mask of sample 0 is empty: no pixel reaches 0\.5"),
        (torch.zeros(400, 600), r"must be \(N, 400, 600\).*found \(400, 600\)"),
        (torch.ones(1, 600, 400), r"600 x 400 pictures, found \(1, 600, 400\)"),
        (torch.zeros(0, 400, 600), r"found \(0, 400, 600\)"),
        (torch.ones(1, 400, 600, dtype=torch.uint8), r"found torch.uint8; try masks > 0"),
        (torch.full((1, 400, 600), 255.0), "that of sample 0 runs from 255 to 255"),
        (torch.full((1, 400, 600), torch.nan), "from nan to nan"),
        (rectangle(0, 200, 600, 201) * 0.9, "sample 0 is too thin"),
    ],
)
def test_what_is_no_mask_is_refused(masks, message):
    with pytest.raises(ValueError, match=message):
        PersonMasks.cut_out(masks, CAMERA)


def test_the_sample_at_fault_is_named():
    masks = torch.cat([rectangle(250, 100, 300, 200), torch.zeros(1, 400, 600)])
    with pytest.raises(ValueError, match="sample 1"):
        PersonMasks.cut_out(masks, CAMERA)


def test_cameras_of_another_batch_are_refused():
    camera = PerspectiveCamera(torch.full((3, 2), 900.0), (300.0, 200.0), (600, 400))
    with pytest.raises(ValueError, match=r"1 masks, but cameras with batch axes \(3,\)"):
        PersonMasks.cut_out(rectangle(250, 100, 300, 200), camera)


def test_masks_stay_as_they_are():
    mask = rectangle(250, 100, 300, 200)
    before = mask.clone()
    people = PersonMasks.cut_out(mask, CAMERA)
    people.outlines()
    people.distances()
    assert torch.equal(mask, before)
