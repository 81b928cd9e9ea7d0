from functools import partial

import pytest
import torch
import trimesh
from torch.autograd import gradcheck

from vhlib.geometry import (
    PerspectiveCamera,
    axis_angle_to_matrix,
    backends,
    rasterizer,
    rasterizer_torch,
)
from vhlib.geometry.rasterizer import NEAR, surface_at

WIDTH, HEIGHT = 80, 60
CAMERA = PerspectiveCamera((90.0, 100.0), (41.3, 28.9), (WIDTH, HEIGHT))


@pytest.fixture(params=["torch", "numba"])
def rasterize(request):
    """The function under test, with each of its backends."""
    if request.param == "numba":
        pytest.importorskip("numba")
    return partial(rasterizer.rasterize, backend=request.param)


def random(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator)


def body_like(*batch, seed=0, distance=3.0):
    """A smooth closed mesh with limbs that hide one another, 1,280 faces."""
    mesh = trimesh.creation.icosphere(subdivisions=3)
    vertices = torch.tensor(mesh.vertices, dtype=torch.float32)
    lobes = 0.5 + 0.3 * torch.sin(5 * vertices).prod(dim=-1, keepdim=True)
    R = axis_angle_to_matrix(random(*batch, 3, seed=seed))
    return lobes * vertices @ R.mT + torch.tensor([0.0, 0.0, distance]), torch.tensor(mesh.faces)


def soup(*batch, num_faces=200, seed=0):
    """Random triangles that pierce one another, some behind the camera, some out of view."""
    vertices = random(*batch, 3 * num_faces, 3, seed=seed) * torch.tensor([1.5, 1.5, 1.0])
    faces = torch.arange(3 * num_faces).view(-1, 3)
    return vertices + torch.tensor([0.0, 0.0, 2.0]), faces


def reference(vertices, faces, camera):
    """Rays against every triangle in float64, by another formula than the one under test.

    A pixel's ray d meets the triangle of corners M = [a b c] where ``w = M^-1 d`` is not negative;
    then 1 / z = sum(w), and the barycentrics are w / sum(w).
    """
    width, height = camera.image_size
    corners = camera.world_to_camera(vertices.double())[faces]
    in_front = (corners[..., 2].amin(-1) > NEAR) & (torch.linalg.det(corners) != 0)
    kept = in_front.nonzero().squeeze(-1)
    inverse = torch.linalg.inv(corners[kept].mT)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    pixels = torch.stack([x + 0.5, y + 0.5], dim=-1).double()
    rays = (pixels - camera.principal_point.double()) / camera.focal_length.double()
    rays = torch.cat([rays, torch.ones_like(rays[..., :1])], dim=-1)
    ids = torch.full((height, width), -1)
    barycentrics, depth = (
        torch.zeros(height, width, 3).double(),
        torch.zeros(height, width).double(),
    )
    for row in range(height if len(kept) else 0):
        w = torch.einsum("fij,xj->xfi", inverse, rays[row])
        nearness = torch.where((w >= 0).all(-1), w.sum(-1), 0.0).float()
        best = nearness.argmax(dim=-1)  # the lowest face of equal ones
        hit = nearness.amax(dim=-1) > 0
        ids[row, hit] = kept[best[hit]]
        w = w[torch.arange(width), best]
        barycentrics[row, hit] = (w / w.sum(-1, keepdim=True))[hit]
        depth[row, hit] = 1 / w.sum(-1)[hit]
    return ids, barycentrics, torch.where(ids >= 0, depth, torch.inf)


def assert_same_picture(found, expected):
    ids, barycentrics, depth = expected
    assert torch.equal(found.triangle_ids, ids)
    torch.testing.assert_close(found.barycentrics, barycentrics.float(), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.depth, depth.float(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("make", [body_like, soup])
@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_brute_force(rasterize, make, seed):
    vertices, faces = make(seed=seed)
    found = rasterize(vertices, faces, CAMERA)
    expected = reference(vertices, faces, CAMERA)
    assert 0.05 < (expected[0] >= 0).double().mean() <= 1
    assert_same_picture(found, expected)


def test_world_points_go_through_the_cameras_pose(rasterize):
    vertices, faces = body_like()
    T = torch.eye(4)
    T[:3, :3], T[:3, 3] = axis_angle_to_matrix(random(3)), random(3)
    camera = PerspectiveCamera(CAMERA.focal_length, CAMERA.principal_point, (WIDTH, HEIGHT), T)
    world = camera.camera_to_world(vertices.double())
    posed = rasterize(world, faces, camera).triangle_ids
    assert (posed != rasterize(vertices, faces, CAMERA).triangle_ids).sum() <= 1


@pytest.mark.parametrize("batch", [(), (1,), (0,), (3,), (2, 2)])
def test_batches_are_the_single_pictures(rasterize, batch):
    vertices, faces = body_like(*batch)
    found = rasterize(vertices, faces, CAMERA)
    assert found.triangle_ids.shape == found.depth.shape == (*batch, HEIGHT, WIDTH)
    assert found.barycentrics.shape == (*batch, HEIGHT, WIDTH, 3)
    singles = [rasterize(v, faces, CAMERA) for v in vertices.reshape(-1, *vertices.shape[-2:])]
    for k, single in enumerate(singles):
        for whole, one in zip(found, single, strict=True):
            assert torch.equal(whole.reshape(-1, *one.shape)[k], one)


def test_a_batch_of_cameras_sees_one_mesh(rasterize):
    vertices, faces = body_like()
    focal_lengths = torch.tensor([[60.0, 60.0], [90.0, 90.0]])
    cameras = PerspectiveCamera(focal_lengths, (40, 30), (WIDTH, HEIGHT))
    found = rasterize(vertices, faces, cameras)
    for k, f in enumerate(focal_lengths):
        single = rasterize(vertices, faces, PerspectiveCamera(f, (40, 30), (WIDTH, HEIGHT)))
        assert torch.equal(found.triangle_ids[k], single.triangle_ids)


@pytest.mark.parametrize("chunk", [1, 100, 5000])
def test_the_size_of_the_chunks_changes_nothing(rasterize, monkeypatch, chunk):
    vertices, faces = soup(3, num_faces=40)
    expected = rasterize(vertices, faces, CAMERA)
    monkeypatch.setattr(rasterizer_torch, "CHUNK", chunk)
    for whole, chunked in zip(expected, rasterize(vertices, faces, CAMERA), strict=True):
        assert torch.equal(whole, chunked)


def test_barycentrics_sum_to_one_and_reproduce_the_pixel(rasterize):
    vertices, faces = body_like()
    found = rasterize(vertices, faces, CAMERA)
    covered = found.triangle_ids >= 0
    sums = found.barycentrics.sum(-1)
    torch.testing.assert_close(sums, covered.float(), atol=1e-6, rtol=0)
    assert (found.barycentrics >= 0).all()
    assert found.depth[~covered].isposinf().all()
    corners = vertices[faces[found.triangle_ids[covered]]]
    points = (found.barycentrics[covered][..., None] * corners).sum(dim=-2)
    row, column = covered.nonzero(as_tuple=True)
    centres = torch.stack([column + 0.5, row + 0.5], dim=-1)
    torch.testing.assert_close(CAMERA.project(points), centres, atol=1e-4, rtol=0)
    torch.testing.assert_close(points[:, 2], found.depth[covered])


def grid(size, spacing):
    """A flat quad mesh whose vertices fall exactly on pixel centres."""
    x, y = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="xy")
    vertices = torch.stack([x * spacing + 0.5, y * spacing + 0.5, torch.ones(size, size)], dim=-1)
    corner = (torch.arange(size - 1)[:, None] * size + torch.arange(size - 1)).flatten()
    upper = torch.stack([corner, corner + 1, corner + size], dim=-1)
    lower = torch.stack([corner + 1, corner + size + 1, corner + size], dim=-1)
    return vertices.flatten(0, 1), torch.cat([upper, lower])


@pytest.mark.parametrize("spacing", [1, 2, 5])
def test_no_cracks_where_pixel_centres_lie_on_edges_and_the_lower_id_wins(rasterize, spacing):
    vertices, faces = grid(6, spacing)
    side = 5 * spacing + 1
    camera = PerspectiveCamera(1.0, (0.0, 0.0), (side, side))
    found = rasterize(vertices, faces, camera).triangle_ids
    assert (found >= 0).all()
    y, x = torch.meshgrid(torch.arange(side) + 0.5, torch.arange(side) + 0.5, indexing="ij")
    for k in reversed(range(len(faces))):
        a, b, c = vertices[faces[k], :2].double()

        def side_of(p, q):
            return (q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0])

        inside = (side_of(a, b) >= 0) & (side_of(b, c) >= 0) & (side_of(c, a) >= 0)
        assert (found[inside] <= k).all()


def test_of_two_equal_triangles_the_first_is_seen_from_either_side(rasterize):
    vertices = torch.tensor([[-0.3, -0.2, 1.0], [0.3, -0.2, 1.0], [0.0, 0.3, 1.0]])
    for faces in ([[0, 1, 2], [1, 2, 0]], [[0, 2, 1], [0, 1, 2]]):
        ids = rasterize(vertices, torch.tensor(faces), CAMERA).triangle_ids
        assert ids.unique().tolist() == [-1, 0]


def test_the_nearer_triangle_hides_the_farther_whatever_their_order(rasterize):
    near = torch.tensor([[-0.3, -0.2, 1.0], [0.3, -0.2, 1.0], [0.0, 0.3, 1.0]])
    vertices = torch.cat([near, 2 * near])
    ids = rasterize(vertices, torch.tensor([[3, 4, 5], [0, 1, 2]]), CAMERA).triangle_ids
    assert ids.unique().tolist() == [-1, 1]


def test_what_lies_behind_off_screen_or_nowhere_is_empty(rasterize):
    vertices, faces = body_like()
    behind = vertices * torch.tensor([1.0, 1.0, -1.0])
    beside = vertices + torch.tensor([50.0, 0.0, 0.0])
    broken = vertices * torch.nan
    infinite = vertices * torch.tensor([torch.inf, 1.0, 1.0])
    for unseen in (behind, beside, broken, infinite):
        found = rasterize(unseen, faces, CAMERA)
        assert (found.triangle_ids == -1).all()
        assert (found.barycentrics == 0).all()
        assert found.depth.isposinf().all()


def test_faces_through_the_near_plane_are_dropped_and_the_rest_stay(rasterize):
    vertices, faces = soup(num_faces=2)
    vertices = torch.tensor(
        [[-1.0, -1.0, 2.0], [1.0, -1.0, 2.0], [0.0, 1.0, -0.5]]
        + [[-1.0, -1.0, 4.0], [1.0, -1.0, 4.0], [0.0, 1.0, 4.0]]
    )
    assert rasterize(vertices, faces, CAMERA).triangle_ids.unique().tolist() == [-1, 1]


def test_no_faces_no_vertices_and_flat_faces(rasterize):
    no_faces = torch.zeros(0, 3, dtype=torch.long)
    assert (rasterize(random(5, 3), no_faces, CAMERA).triangle_ids == -1).all()
    assert (rasterize(torch.zeros(2, 0, 3), no_faces, CAMERA).triangle_ids == -1).all()
    line = torch.tensor([[-1.0, 0.0, 2.0], [0.0, 0.0, 2.0], [1.0, 0.0, 2.0]])
    assert (rasterize(line, torch.tensor([[0, 1, 2]]), CAMERA).triangle_ids == -1).all()


def test_slivers_through_pixel_centres_give_no_broken_numbers(rasterize):
    """Long needles along a diagonal of pixel centres, as thin as rounding lets them be."""
    start, end = torch.tensor([0.5, 0.5, 1.0]).double(), torch.tensor([50.5, 50.5, 1.0]).double()
    apexes = start + torch.rand(500, 1, generator=torch.Generator().manual_seed(0)) * (end - start)
    vertices = torch.cat([start[None], end[None], apexes + 1e-14 * random(500, 3).double()])
    faces = torch.tensor([[0, 1, 2 + k] for k in range(500)])
    found = rasterize(vertices, faces, PerspectiveCamera(1.0, (0.0, 0.0), (51, 51)))
    assert found.barycentrics.isfinite().all()
    assert ((found.depth - 1).abs() < 1e-6)[found.triangle_ids >= 0].all()


def test_a_triangle_larger_than_the_picture_fills_it(rasterize):
    huge = torch.tensor([[-1e4, -1e4, 1.0], [1e4, -1e4, 1.0], [0.0, 1e4, 1.0]])
    found = rasterize(huge, torch.tensor([[0, 1, 2]]), CAMERA)
    assert (found.triangle_ids == 0).all()
    torch.testing.assert_close(found.depth, torch.ones(HEIGHT, WIDTH))


def test_32_bit_faces_and_unchanged_inputs(rasterize):
    vertices, faces = body_like()
    copies = vertices.clone(), faces.clone()
    from_int32 = rasterize(vertices, faces.int(), CAMERA).triangle_ids
    assert torch.equal(from_int32, rasterize(vertices, faces, CAMERA).triangle_ids)
    assert torch.equal(vertices, copies[0])
    assert torch.equal(faces, copies[1])


def test_surface_at_repeats_the_answer_and_has_the_right_gradients(rasterize):
    vertices, faces = body_like()
    camera = CAMERA.resized((12, 9))
    found = rasterize(vertices, faces, camera)
    again = surface_at(vertices, faces, camera, found.triangle_ids)
    assert torch.equal(again.barycentrics, found.barycentrics)

    def surface(vertices):
        seen = surface_at(vertices, faces, camera, found.triangle_ids)
        return seen.barycentrics, seen.depth[found.triangle_ids >= 0]

    assert gradcheck(surface, vertices.double().requires_grad_(), atol=1e-4, fast_mode=True)


@pytest.mark.parametrize("make", [body_like, soup])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_both_backends_give_the_same_bits(make, dtype):
    pytest.importorskip("numba")
    vertices, faces = make(5, seed=7)
    plain, compiled = (
        rasterizer.rasterize(vertices.to(dtype), faces, CAMERA, backend)
        for backend in ("torch", "numba")
    )
    for expected, found in zip(plain, compiled, strict=True):
        assert expected.dtype == found.dtype
        assert torch.equal(expected, found)


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_the_number_of_threads_changes_nothing(monkeypatch, threads):
    vertices, faces = soup(5, num_faces=40)
    expected = rasterizer.rasterize(vertices, faces, CAMERA, "torch")
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    found = rasterizer.rasterize(vertices, faces, CAMERA)
    assert torch.equal(found.triangle_ids, expected.triangle_ids)


def test_lone_broken_vertices_take_only_their_faces_along(rasterize):
    vertices, faces = body_like()
    for broken in (torch.nan, torch.inf, -torch.inf):
        for axis in range(3):
            spoiled = vertices.clone()
            spoiled[7, axis] = broken
            intact = faces[(faces != 7).all(-1)]
            found, expected = rasterize(spoiled, faces, CAMERA), rasterize(vertices, intact, CAMERA)
            elsewhere = expected.depth == found.depth
            assert elsewhere.double().mean() > 0.99
            assert found.barycentrics.isfinite().all()


def test_faces_without_vertices_are_named(rasterize):
    vertices, faces = random(5, 3), torch.tensor([[0, 1, 2], [2, 3, 5]])
    with pytest.raises(ValueError, match="faces name vertex 5, but the mesh has 5 vertices"):
        rasterize(vertices, faces, CAMERA)
    with pytest.raises(ValueError, match="faces name vertex -1,"):
        rasterize(vertices, faces - 1, CAMERA)


def test_without_numba_torch_draws_and_asking_for_numba_is_an_error(monkeypatch):
    vertices, faces = body_like()
    expected = rasterizer.rasterize(vertices, faces, CAMERA)
    monkeypatch.setattr(backends, "_numba_kernels", lambda: None)
    found = rasterizer.rasterize(vertices, faces, CAMERA)
    assert torch.equal(found.triangle_ids, expected.triangle_ids)
    with pytest.raises(ImportError, match="install vhlib\\[fast\\], or leave the backend out"):
        rasterizer.rasterize(vertices, faces, CAMERA, "numba")


def test_numba_is_for_the_cpu():
    meta = torch.device("meta")
    assert backends.numba_kernels_for(None, meta) is None
    with pytest.raises(ValueError, match="needs tensors on the CPU, found them on meta"):
        backends.numba_kernels_for("numba", meta)
