import pytest
import torch

from tests.geometry.test_silhouettes import CAMERA, body_like
from vhlib.geometry.contours import find_contour
from vhlib.geometry.outlines import mesh_edges
from vhlib.geometry.rasterizer import rasterize


def lobes(count=3):
    """Different meshes of one topology."""
    meshes = [body_like(seed=seed) for seed in range(count)]
    return torch.stack([vertices for vertices, _ in meshes]), meshes[0][1]


def points_of(contour, mesh):
    return contour.places.interpolate(contour.screen)[mesh][contour.exists[mesh]]


def pixels(width=80, height=60):
    """The centres of all pixels, (H * W, 2)."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return torch.stack([x, y], -1).flatten(0, 1).double()


def test_places_lie_between_a_pixel_on_the_mesh_and_one_off_it():
    vertices, faces = lobes()
    contour = find_contour(vertices, mesh_edges(faces), CAMERA)
    covered = rasterize(vertices, faces, CAMERA).triangle_ids >= 0
    for mesh in range(3):
        points = points_of(contour, mesh)
        along_rows = (points[:, 1] % 1 - 0.5).abs() < 1e-9
        assert (along_rows | ((points[:, 0] % 1 - 0.5).abs() < 1e-9)).all()
        step = torch.where(along_rows[:, None], torch.tensor([1, 0]), torch.tensor([0, 1]))
        first = (points - 0.5 * step).floor().long()
        second = first + step
        inside = [covered[mesh][pixel[:, 1], pixel[:, 0]] for pixel in (first, second)]
        assert (inside[0] != inside[1]).all()
        outward = contour.outward[mesh][contour.exists[mesh]]
        assert torch.equal(outward, torch.where(inside[0][:, None], step, -step).double())


def test_places_are_points_of_the_mesh_s_own_edges():
    vertices, faces = lobes()
    contour = find_contour(vertices, mesh_edges(faces), CAMERA)
    for mesh in range(3):
        own = contour.vertices[mesh]
        used = contour.places.ends[mesh][contour.exists[mesh]].unique()
        projected = CAMERA.project(vertices[mesh, own[used]])
        torch.testing.assert_close(contour.screen[mesh][used], projected)
        pairs = own[contour.places.ends[mesh][contour.exists[mesh]]].sort(-1).values
        edges = {tuple(pair) for pair in mesh_edges(faces).vertices.tolist()}
        assert {tuple(pair) for pair in pairs.tolist()} <= edges


def test_a_batch_is_its_members_one_by_one():
    vertices, faces = lobes()
    edges = mesh_edges(faces)
    together = find_contour(vertices, edges, CAMERA)
    for mesh in range(3):
        alone = find_contour(vertices[mesh : mesh + 1], edges, CAMERA)
        torch.testing.assert_close(points_of(together, mesh), points_of(alone, 0))
    assert together.exists.sum(1).unique().numel() > 1  # ragged, so that the filling is tested


def test_every_second_row_and_column_has_half_the_places():
    vertices, faces = lobes()
    all_of_them, half = (find_contour(vertices, mesh_edges(faces), CAMERA, n) for n in (1, 2))
    ratio = half.exists.sum() / all_of_them.exists.sum()
    assert 0.45 < ratio < 0.55
    for mesh in range(3):
        there = {tuple(point) for point in points_of(all_of_them, mesh).tolist()}
        assert {tuple(point) for point in points_of(half, mesh).tolist()} <= there


def test_the_nearest_point_is_on_the_edge_of_the_nearest_place():
    """Against a search along every edge in small steps."""
    vertices, faces = lobes(1)
    contour = find_contour(vertices, mesh_edges(faces), CAMERA)
    ends = contour.screen[0][contour.places.ends[0]]  # (C, 2, 2)
    along = torch.linspace(0, 1, 1001, dtype=torch.float64)[:, None]
    asked = pixels()[::29]
    nearest = contour.nearest(asked[None])
    for point, offset in zip(asked, nearest.offset[0], strict=True):
        place = (points_of(contour, 0) - point).norm(dim=-1).argmin()
        edge = ends[place, 0].lerp(ends[place, 1], along)
        expected = (edge - point).norm(dim=-1).amin().item()
        assert offset.norm().item() == pytest.approx(expected, abs=0.01)
    reached = nearest.places.interpolate(contour.screen) + nearest.offset
    torch.testing.assert_close(reached[0], asked)


def test_outside_is_off_the_mesh():
    vertices, faces = lobes(2)
    contour = find_contour(vertices, mesh_edges(faces), CAMERA)
    covered = rasterize(vertices, faces, CAMERA).triangle_ids >= 0
    nearest = contour.nearest(pixels().expand(2, -1, -1))
    wrong = nearest.outside == covered.flatten(1)
    assert wrong.double().mean() < 0.005  # beside sharp corners
    assert nearest.offset.norm(dim=-1)[wrong].max() < 2


@pytest.mark.parametrize("aside", [0.0, 50.0])
def test_a_mesh_out_of_sight_has_no_outline(aside):
    """Alone or beside one that is seen."""
    vertices, faces = lobes(2)
    vertices = vertices + torch.tensor([[[aside, 0.0, 0.0]], [[50.0, 0.0, 0.0]]])
    contour = find_contour(vertices, mesh_edges(faces), CAMERA)
    assert contour.exists.any(-1).tolist() == [aside == 0.0, False]
    nearest = contour.nearest(pixels()[None, :5].expand(2, -1, -1))
    assert not nearest.outside[1].any()


def test_the_meshes_stay_as_they_are():
    vertices, faces = lobes(2)
    before = vertices.clone()
    find_contour(vertices, mesh_edges(faces), CAMERA)
    assert torch.equal(vertices, before)
