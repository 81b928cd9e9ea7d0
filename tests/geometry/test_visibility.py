import pytest
import torch
import trimesh

from vhlib.geometry import PerspectiveCamera, axis_angle_to_matrix, rasterizer_torch
from vhlib.geometry.rasterizer import rasterize
from vhlib.geometry.visibility import TOUCHING, vertex_visibility

CAMERA = PerspectiveCamera((90.0, 100.0), (41.3, 28.9), (80, 60))
BACKENDS = ["torch", "numba"]


@pytest.fixture(params=BACKENDS)
def backend(request):
    if request.param == "numba":
        pytest.importorskip("numba")
    return request.param


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def body_like(*batch, seed=0, subdivisions=2):
    """A smooth closed mesh with limbs that hide one another."""
    mesh = trimesh.creation.icosphere(subdivisions=subdivisions)
    vertices = torch.tensor(mesh.vertices, dtype=torch.float32)
    lobes = 0.5 + 0.4 * torch.sin(5 * vertices).prod(dim=-1, keepdim=True)
    R = axis_angle_to_matrix(random(*batch, 3, seed=seed))
    return lobes * vertices @ R.mT + torch.tensor([0.0, 0.0, 3.0]), torch.tensor(mesh.faces)


def soup(seed=0):
    """Random triangles that pierce one another, some behind the camera, some out of view."""
    centers = 0.5 * random(100, 1, 3, seed=seed) + torch.tensor([0.0, 0.0, 2.0])
    corners = centers + 0.15 * centers[..., 2:] * random(100, 3, 3, seed=seed + 100)
    corners = corners * torch.where(torch.arange(100) % 10 == 0, -1, 1)[:, None, None]
    return corners.flatten(0, 1), torch.arange(300).view(-1, 3)


def seen_by_rays(vertices, faces, camera):
    """Rays from each vertex to the camera's centre, against every triangle (Moller, Trumbore)."""
    points = camera.world_to_camera(vertices.double())
    origin, (a, b, c) = points[:, None], points[faces].unbind(-2)
    ray = -origin  # reaches the camera at distance 1
    p = torch.linalg.cross(ray, (c - a)[None])
    q = torch.linalg.cross(origin - a, (b - a)[None])
    determinant = ((b - a) * p).sum(-1)
    u, v = ((origin - a) * p).sum(-1) / determinant, (ray * q).sum(-1) / determinant
    distance = ((c - a) * q).sum(-1) / determinant
    hit = (u >= 0) & (v >= 0) & (u + v <= 1)
    hit &= (distance * origin[..., 2] > TOUCHING) & (distance < 1)
    hit &= points[faces][..., 2].amin(-1) > 1e-3
    own = (faces[None] == torch.arange(len(vertices))[:, None, None]).any(-1)
    x, y = camera.project(vertices.double()).unbind(-1)
    width, height = camera.image_size
    within = (x >= 0) & (x < width) & (y >= 0) & (y < height) & (points[:, 2] > 1e-3)
    return within & ~(hit & ~own).any(-1)


@pytest.mark.parametrize("make", [body_like, soup])
@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_ray_casting(backend, make, seed):
    vertices, faces = make(seed=seed)
    expected = seen_by_rays(vertices, faces, CAMERA)
    assert 0.05 < expected.double().mean() < 0.8
    assert torch.equal(vertex_visibility(vertices, faces, CAMERA, backend), expected)


def test_both_backends_agree_on_a_finer_mesh():
    pytest.importorskip("numba")
    vertices, faces = body_like(3, subdivisions=5)
    plain, compiled = (vertex_visibility(vertices, faces, CAMERA, backend) for backend in BACKENDS)
    assert torch.equal(plain, compiled)
    assert 0.2 < plain.double().mean() < 0.5


def test_the_z_buffer_would_err():
    """What this module is for: a look-up in the picture is wrong about some vertices."""
    vertices, faces = body_like(subdivisions=4)
    depth = rasterize(vertices, faces, CAMERA).depth
    column, row = CAMERA.project(vertices).long().unbind(-1)
    by_picture = vertices[:, 2] <= depth[row, column] + 0.01
    wrong = by_picture != vertex_visibility(vertices, faces, CAMERA)
    assert 0.01 < wrong.double().mean() < 0.3


@pytest.mark.parametrize("batch", [(), (0,), (3,), (2, 2)])
def test_batches_are_the_single_answers(backend, batch):
    vertices, faces = body_like(*batch)
    found = vertex_visibility(vertices, faces, CAMERA, backend)
    assert found.shape == vertices.shape[:-1]
    singles = vertices.reshape(-1, *vertices.shape[-2:])
    for one, seen in zip(singles, found.view(singles.shape[:2]), strict=True):
        assert torch.equal(seen, vertex_visibility(one, faces, CAMERA, backend))


def test_cameras_may_be_many_and_posed(backend):
    vertices, faces = body_like()
    T = torch.eye(4).repeat(2, 1, 1)
    T[1, :3, :3], T[1, :3, 3] = torch.diag(torch.tensor([-1.0, 1, -1])), torch.tensor([0, 0, 6.0])
    cameras = PerspectiveCamera((90.0, 100.0), (41.3, 28.9), (80, 60), T)
    front, back = vertex_visibility(vertices, faces, cameras, backend)
    assert torch.equal(front, vertex_visibility(vertices, faces, CAMERA, backend))
    assert front.any()
    assert back.any()
    assert (front & back).sum() < 0.3 * front.sum()


def test_by_hand(backend):
    """A triangle 1 m away hides one vertex; another looks past it, or is too near to be hidden."""
    screen = torch.tensor([[-0.2, -0.2, 1.0], [0.2, -0.2, 1.0], [0.0, 0.2, 1.0]])
    behind, beside = torch.tensor([[0.0, 0.0, 2.0]]), torch.tensor([[0.5, 0.0, 2.0]])
    on_it, before = torch.tensor([[0.0, 0.0, 1.00005]]), torch.tensor([[0.0, 0.0, 0.5]])
    out, rear = torch.tensor([[5.0, 0.0, 2.0]]), torch.tensor([[0.0, 0.0, -2.0]])
    vertices = torch.cat([screen, behind, beside, on_it, before, out, rear])
    seen = vertex_visibility(vertices, torch.tensor([[0, 1, 2]]), CAMERA, backend)
    assert seen.tolist() == [True] * 3 + [False, True, True, True, False, False]


def test_nothing_to_see_and_nothing_that_hides(backend):
    vertices, faces = body_like()
    assert not vertex_visibility(vertices * torch.nan, faces, CAMERA, backend).any()
    assert not vertex_visibility(-vertices, faces, CAMERA, backend).any()
    no_faces = faces[:0]
    assert vertex_visibility(vertices[:1], no_faces, CAMERA, backend).all()
    assert vertex_visibility(vertices[:0], no_faces, CAMERA, backend).shape == (0,)


def test_the_size_of_the_chunks_changes_nothing(monkeypatch):
    vertices, faces = body_like()
    expected = vertex_visibility(vertices, faces, CAMERA, "torch")
    monkeypatch.setattr(rasterizer_torch, "CHUNK", 100)
    assert torch.equal(vertex_visibility(vertices, faces, CAMERA, "torch"), expected)


def test_errors_are_the_rasterisers():
    vertices, faces = body_like()
    with pytest.raises(ValueError, match="faces name vertex 10000"):
        vertex_visibility(vertices, torch.tensor([[0, 1, 10000]]), CAMERA)
    with pytest.raises(ValueError, match="needs tensors on the CPU"):
        vertex_visibility(vertices.to("meta"), faces.to("meta")[:0], CAMERA, "numba")
