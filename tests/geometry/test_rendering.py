import pytest
import torch
import trimesh

from vhlib.geometry import PerspectiveCamera
from vhlib.geometry.rasterizer import rasterize
from vhlib.geometry.rendering import (
    Texture,
    _lit,
    depth_map,
    normal_map,
    overlay,
    part_map,
    render_normals,
    render_shaded,
    render_textured,
    texture_map,
    vertex_map,
)

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


def quad():
    """A square that fills 40 x 40 pixels in the middle, seen frontally, 2 m away."""
    corners = torch.tensor([[-0.4, -0.4, 2.0], [0.4, -0.4, 2.0], [0.4, 0.4, 2.0], [-0.4, 0.4, 2.0]])
    return corners, torch.tensor([[0, 2, 1], [0, 3, 2]])


def wrapped(image):
    """A texture whose picture covers the quad upright."""
    uv = torch.tensor([[0.0, 1.0], [1.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    return Texture(image, uv, quad()[1])


@pytest.mark.parametrize("batch", [(), (0,), (2, 3)])
def test_part_maps_show_each_faces_label(batch):
    vertices, faces = ball(*batch)
    fragments = rasterize(vertices, faces, CAMERA)
    labels = (torch.arange(len(faces)) % 7).int()
    parts = part_map(fragments, labels, background=255)
    assert parts.shape == (*batch, 48, 64)
    seen = fragments.triangle_ids >= 0
    assert (parts[~seen] == 255).all()
    assert (parts[seen] == fragments.triangle_ids[seen] % 7).all()
    assert (part_map(fragments, labels)[~seen] == -1).all()


def test_depth_maps_fade_from_the_nearest_to_the_farthest_point():
    vertices, faces = ball()
    pictures = torch.stack([vertices, vertices + torch.tensor([0.0, 0.0, 2.0]), -vertices])
    fragments = rasterize(pictures, faces, CAMERA)
    near, far, nothing = depth_map(fragments)
    for picture, depth in ((near, fragments.depth[0]), (far, fragments.depth[1])):
        assert picture.max() == 1
        assert picture[picture > 0].min().item() == pytest.approx(0.2)
        assert picture.flatten().argmax() == depth.flatten().argmin()
        assert ((picture == 0) == depth.isposinf()).all()
    assert (nothing == 0).all()
    assert set(depth_map(rasterize(*quad(), CAMERA)).unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("batch", [(), (0,), (2, 3)])
def test_flat_normals_are_the_faces_own(batch):
    vertices, faces = ball(*batch)
    fragments = rasterize(vertices, faces, CAMERA)
    flat = normal_map(fragments, vertices, faces, CAMERA, smooth=False)
    smooth = normal_map(fragments, vertices, faces, CAMERA)
    seen = fragments.triangle_ids >= 0
    assert (flat[~seen] == 0).all()
    assert ((flat * smooth).sum(-1)[seen] > 0.95).all()
    corners = vertices.reshape(-1, *vertices.shape[-2:])[:1, faces].flatten(0, 1)
    a, b, c = corners.unbind(-2)
    own = torch.linalg.cross(b - a, c - a)
    if len(own):
        own = torch.nn.functional.normalize(own, dim=-1)[fragments.triangle_ids[seen]]
        torch.testing.assert_close(flat[seen], own)


def test_flat_normals_of_several_cameras():
    vertices, faces = ball()
    focal_lengths = torch.tensor([[60.0, 60.0], [100.0, 100.0]])
    cameras = PerspectiveCamera(focal_lengths, (32, 24), (64, 48))
    both = normal_map(rasterize(vertices, faces, cameras), vertices, faces, cameras, smooth=False)
    one = normal_map(rasterize(vertices, faces, CAMERA), vertices, faces, CAMERA, smooth=False)
    assert torch.equal(both[1], one)


def test_vertex_maps_interpolate_in_space_not_on_the_screen():
    """A tilted square: what is linear along it is not linear across the picture."""
    vertices, faces = quad()
    vertices = vertices + torch.tensor([0.0, 0.0, 1.0]) * vertices[:, :1]
    fragments = rasterize(vertices, faces, CAMERA)
    x = vertex_map(fragments, vertices, faces)
    row, column = (fragments.triangle_ids >= 0).nonzero(as_tuple=True)
    centres = torch.stack([column + 0.5, row + 0.5], dim=-1)
    torch.testing.assert_close(CAMERA.project(x[row, column]), centres, atol=1e-3, rtol=0)


def test_a_texture_keeps_its_place_and_side():
    image = torch.rand(40, 40, 3, generator=torch.Generator().manual_seed(0))
    found = texture_map(rasterize(*quad(), CAMERA), wrapped(image))
    torch.testing.assert_close(found[4:44, 12:52], image, atol=1e-4, rtol=0)
    assert (found[:4] == 0).all()
    assert (found[:, 52:] == 0).all()


def test_textures_mix_neighbouring_texels():
    image = torch.tensor([[[0.0], [1.0]]])
    found = texture_map(rasterize(*quad(), CAMERA), wrapped(image))[24, 12:52, 0]
    assert (found[:10] == 0).all()
    assert (found[30:] == 1).all()
    torch.testing.assert_close(found[10:30], (torch.arange(20) + 0.5) / 20, atol=1e-4, rtol=0)


@pytest.mark.parametrize("batch", [(), (0,), (2, 3)])
def test_textured_pictures_are_shaded_ones_of_the_textures_colour(batch):
    vertices, faces = ball(*batch)
    uv = torch.full((1, 2), 0.5)
    red = Texture(torch.tensor([0.9, 0.1, 0.1]).expand(4, 4, 3), uv, torch.zeros_like(faces))
    found = render_textured(vertices, faces, CAMERA, red, supersampling=2)
    expected = render_shaded(vertices, faces, CAMERA, (0.9, 0.1, 0.1), supersampling=2)
    torch.testing.assert_close(found, expected)


def test_each_body_may_have_its_own_texture():
    vertices, faces = quad()
    images = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])[:, None, None].expand(2, 4, 4, 3)
    fragments = rasterize(vertices.expand(2, -1, -1), faces, CAMERA)
    found = texture_map(fragments, wrapped(images))
    assert found[:, 24, 32].tolist() == [[1, 0, 0], [0, 1, 0]]
