import pytest
import torch
import trimesh

from vhlib.geometry import PerspectiveCamera
from vhlib.geometry.rendering import _lit, overlay, render_normals, render_shaded

CAMERA = PerspectiveCamera(100.0, (32, 24), (64, 48))


def ball(*batch):
    mesh = trimesh.creation.icosphere(subdivisions=3)
    vertices = 0.6 * torch.tensor(mesh.vertices, dtype=torch.float32)
    return vertices.expand(*batch, -1, -1) + torch.tensor([0.0, 0.0, 4.0]), torch.tensor(mesh.faces)


@pytest.mark.parametrize("batch", [(), (0,), (2, 3)])
def test_shaded_pictures_are_rgba_between_zero_and_one(batch):
    rgba = render_shaded(*ball(*batch), CAMERA)
    assert rgba.shape == (*batch, 48, 64, 4)
    assert ((rgba >= 0) & (rgba <= 1)).all()
    assert set(rgba[..., 3].unique().tolist()) <= {0.0, 1.0}


def test_light_comes_from_above_and_leaves_the_outline_clear():
    rgba = render_shaded(*ball(), CAMERA)
    assert rgba[24, 32, 3] == 1
    assert rgba[0, 0].tolist() == [0, 0, 0, 0]
    upper, lower = rgba[14, 32, :3], rgba[34, 32, :3]
    assert (upper > 1.1 * lower).all()
    assert (lower > 0.1).all()


def test_what_no_lamp_reaches_is_lit_by_the_sky_more_than_by_the_ground():
    facing_up, facing_down = torch.tensor([[0.0, -0.6, 0.8], [0.0, 0.6, 0.8]])
    grey = torch.full((3,), 0.5)
    assert (_lit(facing_up, grey) > 1.2 * _lit(facing_down, grey)).all()


def test_colour_is_one_per_mesh_or_one_per_vertex():
    vertices, faces = ball()
    red = render_shaded(vertices, faces, CAMERA, color=(1.0, 0.0, 0.0))
    assert red[24, 32, 0] > 2 * red[24, 32, 1]
    left_is_green = torch.where(
        vertices[:, :1] < 0, torch.tensor([0.0, 1, 0]), torch.tensor([1.0, 0, 0])
    )
    two = render_shaded(vertices, faces, CAMERA, color=left_is_green)
    assert two[24, 24, 1] > two[24, 24, 0]
    assert two[24, 40, 0] > two[24, 40, 1]


def test_supersampling_gives_the_covered_share_and_keeps_colours():
    vertices, faces = ball()
    crisp = render_shaded(vertices, faces, CAMERA, color=(1.0, 1.0, 1.0))
    smooth = render_shaded(vertices, faces, CAMERA, color=(1.0, 1.0, 1.0), supersampling=4)
    assert smooth.shape == crisp.shape
    assert len(smooth[..., 3].unique()) > 5
    assert smooth[..., 3].sum().item() == pytest.approx(crisp[..., 3].sum().item(), rel=0.02)
    inside = crisp[..., 3] == 1
    torch.testing.assert_close(smooth[..., :3][inside], crisp[..., :3][inside], atol=0.1, rtol=0)
    partial = (smooth[..., 3] > 0) & (smooth[..., 3] < 1)
    assert (smooth[..., :3][partial].amax(-1) > 0.1).all()


def test_normals_of_a_ball_point_from_its_centre():
    vertices, faces = ball()
    normals = render_normals(vertices, faces, CAMERA)
    torch.testing.assert_close(normals[24, 32], torch.tensor([0.0, 0.0, -1.0]), atol=0.05, rtol=0)
    assert normals[12, 32, 1] < -0.6
    assert (normals[0, 0] == 0).all()


def test_several_cameras_picture_one_mesh():
    vertices, faces = ball()
    cameras = PerspectiveCamera(torch.tensor([[60.0, 60.0], [100.0, 100.0]]), (32, 24), (64, 48))
    both = render_shaded(vertices, faces, cameras)
    torch.testing.assert_close(both[1], render_shaded(vertices, faces, CAMERA))
    assert both[0, ..., 3].sum() < both[1, ..., 3].sum()


def test_overlay_by_hand():
    photo = torch.tensor([[[100, 200, 50], [10, 20, 30]]], dtype=torch.uint8)
    rgba = torch.tensor([[[1.0, 0.0, 1.0, 1.0], [1.0, 1.0, 1.0, 0.0]]])
    copy = photo.clone()
    assert overlay(photo, rgba).tolist() == [[[255, 0, 255], [10, 20, 30]]]
    assert overlay(photo, rgba, opacity=0.0).tolist() == photo.tolist()
    assert torch.equal(photo, copy)
    half = overlay(photo / 255, rgba, opacity=0.5)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half[0, 0], (photo[0, 0] / 255 + rgba[0, 0, :3]) / 2)


def test_overlay_refuses_other_sizes():
    with pytest.raises(
        ValueError, match="the photo is 5x4 pixels, but the picture to lay over is 6x4"
    ):
        overlay(torch.zeros(4, 5, 3), torch.zeros(4, 6, 4))
