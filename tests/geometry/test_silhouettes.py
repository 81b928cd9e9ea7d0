import pytest
import torch
import trimesh

from vhlib.geometry import PerspectiveCamera, axis_angle_to_matrix
from vhlib.geometry.outlines import Outline, find_outline, mesh_edges
from vhlib.geometry.rasterizer import rasterize, to_screen
from vhlib.geometry.silhouettes import antialiased_silhouette, blurred, soft_iou
from vhlib.metrics import iou

WIDTH, HEIGHT = 80, 60
CAMERA = PerspectiveCamera((90.0, 100.0), (41.3, 28.9), (WIDTH, HEIGHT))
BACKENDS = ["torch", "numba"]


@pytest.fixture(params=BACKENDS)
def backend(request):
    if request.param == "numba":
        pytest.importorskip("numba")
    return request.param


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def body_like(*batch, seed=0, subdivisions=3):
    """A smooth closed mesh with limbs that hide one another."""
    mesh = trimesh.creation.icosphere(subdivisions=subdivisions)
    vertices = torch.tensor(mesh.vertices)
    lobes = 0.5 + 0.3 * torch.sin(5 * vertices).prod(dim=-1, keepdim=True)
    R = axis_angle_to_matrix(random(*batch, 3, seed=seed))
    return lobes * vertices @ R.mT + torch.tensor([0.0, 0.0, 3.0]), torch.tensor(mesh.faces)


def supersampled(vertices, faces, camera, n=16):
    """The share of n x n points of each pixel that the mesh covers."""
    width, height = camera.image_size
    fine = rasterize(vertices, faces, camera.resized((n * width, n * height))).triangle_ids >= 0
    return fine.double().unflatten(-1, (-1, n)).unflatten(-3, (-1, n)).mean(dim=(-3, -1))


def outline_of(vertices, faces, camera=CAMERA, backend=None):
    mask = rasterize(vertices, faces, camera).triangle_ids >= 0
    return find_outline(to_screen(vertices, camera)[None], mesh_edges(faces), mask[None], backend)


def test_edges_of_a_closed_surface_satisfy_euler():
    vertices, faces = body_like()
    edges = mesh_edges(faces)
    assert len(vertices) - len(edges.vertices) + len(faces) == 2
    assert (edges.vertices[:, 0] < edges.vertices[:, 1]).all()
    assert (edges.sides[:, 0] < edges.sides[:, 1]).all()
    assert torch.equal(edges.sides.unique(return_counts=True)[1], torch.full((len(faces),), 3))


def test_edges_of_two_triangles():
    edges = mesh_edges(torch.tensor([[0, 1, 2], [2, 1, 3]]))
    assert edges.vertices.tolist() == [[0, 1], [0, 2], [1, 2], [1, 3], [2, 3]]
    assert edges.sides.tolist() == [[0, 0], [0, 0], [0, 1], [1, 1], [1, 1]]


@pytest.mark.parametrize("seed", range(3))
def test_coverage_is_close_to_the_area_covered(backend, seed):
    vertices, faces = body_like(seed=seed)
    coverage = antialiased_silhouette(vertices, mesh_edges(faces), CAMERA, backend)
    exact = supersampled(vertices, faces, CAMERA)
    mask = (rasterize(vertices, faces, CAMERA).triangle_ids >= 0).double()
    assert ((coverage >= 0) & (coverage <= 1)).all()
    assert (coverage - exact).abs().sum() < 0.2 * (mask - exact).abs().sum()
    assert coverage.sum().item() == pytest.approx(exact.sum().item(), rel=2e-3)
    assert ((coverage > 0) & (coverage < 1)).sum() > 50


@pytest.mark.parametrize("direction", [(1.0, 0.0), (0.0, 1.0), (-0.6, 0.8)])
def test_a_square_by_hand(backend, direction):
    """Half a pixel is covered where the outline passes its centre."""
    square = torch.tensor([[2.25, 3.0, 1.0], [6.0, 3.0, 1.0], [6.0, 7.75, 1.0], [2.25, 7.75, 1.0]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    camera = PerspectiveCamera(1.0, (0.0, 0.0), (10, 12))
    coverage = antialiased_silhouette(square, mesh_edges(faces), camera, backend)
    expected = torch.zeros(12, 10)
    expected[3:8, 2:6] = 1
    expected[3:8, 2] -= 0.25
    expected[7, 2:6] -= 0.25
    torch.testing.assert_close(coverage, expected)


@pytest.mark.parametrize("seed", range(3))
def test_iou_gradient_agrees_with_finite_differences(backend, seed):
    vertices, faces = body_like(seed=seed)
    edges = mesh_edges(faces)
    goal = antialiased_silhouette(vertices + 0.05 * random(3, seed=seed), edges, CAMERA)

    def loss(moved):
        return 1 - soft_iou(antialiased_silhouette(moved, edges, CAMERA, backend), goal)

    leaf = vertices.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(leaf), leaf)
    for k, direction in enumerate([random(*vertices.shape, seed=9), random(1, 3, seed=8)]):
        step = (1e-7 if k == 0 else 1e-6) * direction
        for moved in (vertices - step, vertices + step):  # the topology stays
            before, after = (sorted(zip(*o, strict=True)) for o in places(vertices, moved, faces))
            assert before == after
        difference = (loss(vertices + step) - loss(vertices - step)).item() / 2
        assert abs(difference) > 1e-3 * step.norm().item() / len(vertices)
        assert (gradient * step).sum().item() == pytest.approx(difference, rel=1e-6)


def places(vertices, moved, faces):
    """The outlines of two meshes as lists of numbers."""
    return [[field.tolist() for field in outline_of(v, faces)] for v in (vertices, moved)]


def test_coverage_gradients_for_the_camera(backend):
    vertices, faces = body_like()
    edges = mesh_edges(faces)
    focal_length = torch.tensor([90.0, 100.0], dtype=torch.float64, requires_grad=True)

    def area(focal_length):
        camera = PerspectiveCamera(focal_length, (41.3, 28.9), (WIDTH, HEIGHT))
        return antialiased_silhouette(vertices, edges, camera, backend).sum()

    (gradient,) = torch.autograd.grad(area(focal_length), focal_length)
    # An area grows with either focal length: A = f_x f_y a.
    expected = area(focal_length).detach() / focal_length.detach()
    torch.testing.assert_close(gradient, expected, rtol=0.1, atol=0)


def test_offset_and_scale_are_recovered_from_the_outline_alone():
    """From 10 px aside and 15 % too large to the place that a supersampled mask was made from."""
    vertices, faces = body_like(subdivisions=4)
    edges, camera = mesh_edges(faces), PerspectiveCamera(160.0, (64.0, 64.0), (128, 128))
    goal = supersampled(vertices, faces, camera)
    center = vertices.mean(dim=0)
    units = torch.tensor([10.0, 10.0, 0.15])  # pixels, pixels, share of the size
    start = torch.tensor([7.07, -7.07, 0.15]) / units
    unknowns = start.double().requires_grad_()
    optimizer = torch.optim.LBFGS([unknowns], max_eval=40, line_search_fn="strong_wolfe")

    def placed():
        x, y, growth = unknowns * units
        offset = torch.stack([x, y, torch.zeros_like(x)]) * 3.0 / 160.0
        return (vertices - center) * (1 + growth) + center + offset

    def closure():
        optimizer.zero_grad()
        error = (antialiased_silhouette(placed(), edges, camera) - goal).square().sum() / goal.sum()
        error.backward()
        return error

    optimizer.step(closure)
    x, y, growth = (unknowns.detach() * units).tolist()
    assert (x**2 + y**2) ** 0.5 < 0.1
    assert abs(growth) < 0.002


def test_blur_pulls_where_shapes_do_not_touch():
    vertices, faces = body_like()
    edges = mesh_edges(faces)
    left = vertices - torch.tensor([0.75, 0.0, 0.0])
    offset = torch.tensor([0.6, 0.0, 0.0], dtype=torch.float64, requires_grad=True)
    goal = antialiased_silhouette(left, edges, CAMERA)
    silhouette = antialiased_silhouette(vertices + offset, edges, CAMERA)
    assert (goal * silhouette).sum() == 0
    sharp, soft = soft_iou(silhouette, goal), soft_iou(blurred(silhouette, 8), blurred(goal, 8))
    (pull,) = torch.autograd.grad(soft, offset)
    assert sharp == 0
    assert pull[0] < -0.01
    assert abs(pull[1]) < abs(pull[0])


@pytest.mark.parametrize("batch", [(), (0,), (2,), (2, 2)])
def test_batches_are_the_single_pictures(backend, batch):
    vertices, faces = body_like(*batch)
    edges = mesh_edges(faces)
    found = antialiased_silhouette(vertices.float(), edges, CAMERA, backend)
    assert found.shape == (*batch, HEIGHT, WIDTH)
    assert found.dtype == torch.float32
    singles = vertices.float().reshape(-1, *vertices.shape[-2:])
    for one, picture in zip(singles, found.reshape(-1, HEIGHT, WIDTH), strict=True):
        torch.testing.assert_close(
            picture, antialiased_silhouette(one, edges, CAMERA, backend), atol=1e-6, rtol=0
        )


@pytest.mark.parametrize("seed", range(4))
def test_both_backends_find_the_same_outline(seed):
    pytest.importorskip("numba")
    vertices, faces = body_like(seed=seed, subdivisions=2 + seed % 3)
    plain, compiled = (outline_of(vertices, faces, backend=backend) for backend in BACKENDS)
    assert len(plain.edge) > 50
    assert sorted(zip(*plain, strict=True)) == sorted(zip(*compiled, strict=True))


def test_open_meshes_end_at_their_rim(backend):
    vertices, faces = body_like()
    half = faces[vertices[faces][..., 1].amin(-1) > 0]
    coverage = antialiased_silhouette(vertices, mesh_edges(half), CAMERA, backend)
    exact = supersampled(vertices, half, CAMERA)
    mask = (rasterize(vertices, half, CAMERA).triangle_ids >= 0).double()
    assert (coverage - exact).abs().sum() < 0.25 * (mask - exact).abs().sum()


def test_meshes_that_leave_the_picture_or_pass_the_camera(backend):
    vertices, faces = body_like()
    edges = mesh_edges(faces)
    cut = antialiased_silhouette(vertices + torch.tensor([0.9, 0.6, 0.0]), edges, CAMERA, backend)
    assert (cut[-1] > 0).any()
    around = antialiased_silhouette(
        vertices - torch.tensor([0.0, 0.0, 3.0]), edges, CAMERA, backend
    )
    assert around.isfinite().all()
    for unseen in (-vertices, vertices * torch.nan):
        leaf = unseen.clone().requires_grad_()
        coverage = antialiased_silhouette(leaf, edges, CAMERA, backend)
        assert (coverage == 0).all()


def test_edges_of_a_closed_an_open_and_a_branching_mesh():
    _, faces = body_like(subdivisions=1)
    edges = mesh_edges(faces)
    assert len(edges.vertices) == 3 * len(faces) // 2
    assert (edges.sides[:, 0] != edges.sides[:, 1]).all()
    for (a, b), sides in zip(edges.vertices.tolist(), edges.sides.tolist(), strict=True):
        assert all({a, b} <= set(faces[side].tolist()) for side in sides)
    triangle = mesh_edges(torch.tensor([[0, 1, 2]]))
    assert triangle.vertices.tolist() == [[0, 1], [0, 2], [1, 2]]
    assert triangle.sides.tolist() == [[0, 0]] * 3
    book = mesh_edges(torch.tensor([[0, 1, 2], [1, 0, 3], [0, 1, 4]]))
    assert book.sides[0].tolist() == [0, 0]  # the spine has three pages
    assert len(mesh_edges(faces[:0]).vertices) == 0


def test_soft_iou_is_iou_for_masks_and_one_only_for_equals():
    a, b = random(3, 5, 7) > 0, random(3, 5, 7, seed=1) > 0
    torch.testing.assert_close(soft_iou(a.double(), b.double()), iou(a, b).double())
    grey = random(5, 7).sigmoid()
    assert soft_iou(grey, grey) == 1
    assert soft_iou(grey, grey**2) < 1
    empty = torch.zeros(5, 7, dtype=torch.float64, requires_grad=True)
    assert soft_iou(empty, torch.zeros_like(empty)) == 1
    (gradient,) = torch.autograd.grad(soft_iou(empty, torch.zeros_like(empty)), empty)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("batch", [(), (0,), (2, 3)])
def test_blur_spreads_a_point_to_a_gaussian(batch):
    picture = torch.zeros(*batch, 31, 41, dtype=torch.float64)
    picture[..., 15, 20] = 1
    spread = blurred(picture, 2.0)
    assert spread.shape == picture.shape
    if not picture.numel():
        return
    torch.testing.assert_close(spread.sum(dim=(-2, -1)), torch.ones(batch, dtype=torch.float64))
    ratio = spread[..., 15, 24] / spread[..., 15, 20]
    torch.testing.assert_close(ratio, torch.full(batch, -2.0, dtype=torch.float64).exp())
    torch.testing.assert_close(spread, spread.flip(-1, -2))


def test_an_outline_names_what_it_says():
    """One triangle: each place has its pixel on the mesh and its neighbour off it."""
    vertices = torch.tensor([[-0.3, -0.2, 1.0], [0.3, -0.15, 1.0], [0.0, 0.3, 1.0]])
    faces = torch.tensor([[0, 1, 2]])
    mask = rasterize(vertices, faces, CAMERA).triangle_ids >= 0
    outline = outline_of(vertices, faces)
    assert isinstance(outline, Outline)
    for _, edge, transposed, row, column, outward in torch.stack(outline).T.tolist():
        picture = mask.T if transposed else mask
        left, right = picture[row, column].item(), picture[row, column + 1].item()
        assert (left, right) == ((True, False) if outward == 1 else (False, True))
        assert (edge == 0) == bool(transposed)  # the upper side is the flat one
