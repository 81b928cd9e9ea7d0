"""How fast is a picture of a body, and is it the right one? Ours beside other renderers.

    pip install moderngl embreex open3d      # peers; those that are missing are left out
    python benchmarks/renderer.py

Every picture shows another pose, as in training: 128 x 128 pixels, triangle id and depth at each
pixel centre (ours give barycentrics too). First each renderer's ids are compared with a brute-force
reference in float64; then all take turns, twelve poses each, in one process on one core. Medians of
CPU time. moderngl draws with whatever OpenGL the machine has through EGL: llvmpipe where there is
no graphics card (Debian: libegl1 libgl1-mesa-dri). Ray casters build their tree anew for each pose.
glibc hands large arrays back to the system after each picture; to see the times without that, set
MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_ to 1000000000.
"""

from __future__ import annotations

import datetime
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

os.environ["LP_NUM_THREADS"] = "0"  # llvmpipe draws in the calling thread

import numpy as np
import torch
from torch import Tensor

from vhlib.body import SMPL
from vhlib.fitting import load_pose_prior
from vhlib.geometry import PerspectiveCamera, axis_angle_to_matrix
from vhlib.geometry.outlines import mesh_edges
from vhlib.geometry.rasterizer import NEAR, rasterize
from vhlib.geometry.rendering import normal_map, part_map
from vhlib.geometry.silhouettes import antialiased_silhouette, soft_iou
from vhlib.geometry.visibility import vertex_visibility

SIZE = 128
CAMERA = PerspectiveCamera(2.2 * SIZE, (SIZE / 2, SIZE / 2), (SIZE, SIZE))
POSES, ROUNDS = 12, 20

Job = Callable[[Tensor], object]
"""Something to do with camera-frame vertices (V, 3)."""
Renderer = Callable[[Tensor], np.ndarray]
"""Camera-frame vertices (V, 3) -> triangle ids (H, W), -1 where empty."""


def main() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    vertices, faces = posed_bodies(POSES)
    renderers = {name: build(faces) for name, build in available()}
    print(
        f"{datetime.date.today()}, {len(faces)} faces, {SIZE} px, {ROUNDS} rounds of {POSES} poses"
    )
    wrong = differences(renderers, vertices, faces)
    times = in_turns(renderers, vertices)
    numba, plain = (times.get(f"ours, {backend}", np.nan) for backend in ("numba", "torch"))
    print("                  wrong pixels   ms a picture   times ours, numba   times ours, torch")
    for name, ms in times.items():
        print(f"{name:18}{wrong[name]:12}{ms:15.3f}{ms / numba:19.1f}x{ms / plain:19.1f}x")
    report_others(vertices, faces)


def differences(renderers: dict[str, Renderer], vertices: Tensor, faces: Tensor) -> dict[str, int]:
    """How many pixels of the first pose differ from the reference's; prints what that one takes."""
    start = time.process_time()
    expected = reference(vertices[0], faces)
    seconds = time.process_time() - start
    print(f"brute-force reference: {(expected >= 0).sum()} pixels on the body, {seconds:.1f} s")
    return {n: int((render(vertices[0]) != expected).sum()) for n, render in renderers.items()}


def report_others(vertices: Tensor, faces: Tensor) -> None:
    """Times of what else the renderer does, and of pictures for training."""
    edges = mesh_edges(faces)
    goal = antialiased_silhouette(vertices[-1], edges, CAMERA)

    def silhouette_and_gradient(body: Tensor) -> None:
        leaf = body.clone().requires_grad_()
        soft_iou(antialiased_silhouette(leaf, edges, CAMERA), goal).backward()

    jobs = {
        "silhouette, forward": lambda body: antialiased_silhouette(body, edges, CAMERA),
        "silhouette, IoU and its gradient": silhouette_and_gradient,
        "visibility of all vertices": lambda body: vertex_visibility(body, faces, CAMERA),
    }
    for name, ms in in_turns(jobs, vertices).items():
        print(f"{name:34}{ms:8.3f} ms")
    labels = torch.arange(len(faces)) % 24

    def training_pictures(bodies: Tensor) -> None:
        fragments = rasterize(bodies, faces, CAMERA)
        part_map(fragments, labels)
        normal_map(fragments, bodies, faces, CAMERA, smooth=False)

    (ms,) = in_turns({"synthesis": training_pictures}, vertices[None]).values()
    print(f"ids, depth, parts and normals for training: {1000 * POSES / ms:.0f} pictures a second")


def posed_bodies(count: int) -> tuple[Tensor, Tensor]:
    """Random shapes in poses near the prior's mean, 4.5 m from the camera, seen from all sides."""
    generator = torch.Generator().manual_seed(0)
    smpl, prior = SMPL.load(), load_pose_prior()
    pose = axis_angle_to_matrix(prior.mean_pose.unflatten(-1, (-1, 3)))
    wobble = axis_angle_to_matrix(0.3 * torch.randn(count, *pose.shape[:-1], generator=generator))
    turn = torch.tensor([0.0, 1, 0]) * 2 * torch.pi * torch.rand(count, 1, generator=generator)
    body = smpl(
        betas=torch.randn(count, 10, generator=generator),
        body_pose=pose @ wobble,
        global_orient=axis_angle_to_matrix(torch.tensor([torch.pi, 0, 0]))
        @ axis_angle_to_matrix(turn),
    )
    middle = (body.vertices.amax(-2) + body.vertices.amin(-2)) / 2
    away = torch.tensor([0.0, 0.0, 4.5])
    return (body.vertices - middle[:, None] + away).detach(), smpl.faces.long()


def available() -> Iterator[tuple[str, Callable[[Tensor], Renderer]]]:
    """The renderers that are installed here."""
    yield "ours, numba", lambda faces: ours(faces, "numba")
    yield "ours, torch", lambda faces: ours(faces, "torch")
    with suppress(ImportError):
        import moderngl

        yield "moderngl", lambda faces: opengl(faces, moderngl)
    with suppress(ImportError):
        import embreex

        assert embreex
        yield "embreex", embree
    with suppress(ImportError):
        import open3d

        yield "open3d", lambda faces: open3d_rays(faces, open3d)


def ours(faces: Tensor, backend: str) -> Renderer:
    return lambda vertices: rasterize(vertices, faces, CAMERA, backend).triangle_ids.numpy()


VERTEX_SHADER = """
#version 330
uniform vec2 focal, principal, size;
in vec3 point;
out float z;
void main() {
    vec2 pixel = focal * point.xy + principal * point.z;
    z = point.z;
    gl_Position = vec4(2 * pixel / size - point.z, 0.8 * point.z - 1.0, point.z);
}"""
FRAGMENT_SHADER = """
#version 330
in float z;
layout(location = 0) out int triangle;
layout(location = 1) out float depth;
void main() { triangle = gl_PrimitiveID; depth = z; }"""


def opengl(faces: Tensor, moderngl) -> Renderer:
    """The GPU's way, or llvmpipe's: vertices up, ids and depth down; row 0 is the top row."""
    context = moderngl.create_context(standalone=True, backend="egl")
    context.enable_only(moderngl.DEPTH_TEST)
    program = context.program(VERTEX_SHADER, FRAGMENT_SHADER)
    for name, value in [("focal", CAMERA.focal_length), ("principal", CAMERA.principal_point)]:
        program[name].value = tuple(value.tolist())
    program["size"].value = CAMERA.image_size
    points = context.buffer(reserve=int(faces.max() + 1) * 12, dynamic=True)
    order = context.buffer(faces.int().numpy())
    mesh = context.vertex_array(program, [(points, "3f", "point")], order)
    ids = context.texture((SIZE, SIZE), 1, dtype="i4")
    depth = context.texture((SIZE, SIZE), 1, dtype="f4")
    zbuffer = context.depth_renderbuffer((SIZE, SIZE))
    frame = context.framebuffer([ids, depth], zbuffer)
    empty = np.full((SIZE, SIZE), -1, np.int32)

    def render(vertices: Tensor) -> np.ndarray:
        points.write(vertices.numpy())
        frame.use()
        frame.clear(depth=1.0)
        ids.write(empty)
        mesh.render()
        np.frombuffer(depth.read(), np.float32)
        return np.frombuffer(ids.read(), np.int32).reshape(SIZE, SIZE)

    return render


def embree(faces: Tensor) -> Renderer:
    """Embree through trimesh: the nearest triangle along each pixel's ray."""
    import trimesh
    from trimesh.ray.ray_pyembree import RayMeshIntersector

    rays, faces = pixel_rays().reshape(-1, 3).numpy(), faces.numpy()
    origins = np.zeros_like(rays)

    def render(vertices: Tensor) -> np.ndarray:
        mesh = trimesh.Trimesh(vertices.numpy(), faces, process=False, validate=False)
        return RayMeshIntersector(mesh).intersects_first(origins, rays).reshape(SIZE, SIZE)

    return render


def open3d_rays(faces: Tensor, open3d) -> Renderer:
    """Open3D's ray-casting scene, also on Embree."""
    core, geometry = open3d.core, open3d.t.geometry
    directions = pixel_rays().reshape(-1, 3).float()
    rays = core.Tensor(torch.cat([torch.zeros_like(directions), directions], dim=-1).numpy())
    triangles = core.Tensor(faces.numpy().astype(np.uint32))

    def render(vertices: Tensor) -> np.ndarray:
        scene = geometry.RaycastingScene(nthreads=1)
        scene.add_triangles(core.Tensor(vertices.numpy()), triangles)
        ids = scene.cast_rays(rays, nthreads=1)["primitive_ids"].numpy().astype(np.int64)
        return np.where(ids == scene.INVALID_ID, -1, ids).reshape(SIZE, SIZE)

    return render


def pixel_rays() -> Tensor:
    """Directions through the pixel centres with z = 1, (H, W, 3) float64."""
    y, x = torch.meshgrid(torch.arange(SIZE) + 0.5, torch.arange(SIZE) + 0.5, indexing="ij")
    pixels = torch.stack([x, y], dim=-1).double().view(1, -1, 2)
    depth = torch.ones(1, SIZE * SIZE, dtype=torch.float64)
    return CAMERA.unproject(pixels, depth).view(SIZE, SIZE, 3)


def reference(vertices: Tensor, faces: Tensor) -> np.ndarray:
    """Each ray d against each triangle: with corners M = [a b c], w = M^-1 d and 1 / z = sum(w)."""
    corners = vertices.double()[faces]
    inverse = torch.linalg.inv(corners.mT).flatten(0, 1)
    assert corners[..., 2].min() > NEAR
    rows = []
    for rays in pixel_rays():
        w = (rays @ inverse.T).unflatten(-1, (-1, 3))
        nearness = torch.where((w >= 0).all(-1), w.sum(-1), 0.0).float()
        rows.append(torch.where(nearness.amax(-1) > 0, nearness.argmax(-1), -1))
    return torch.stack(rows).numpy()


def in_turns(jobs: dict[str, Job], vertices: Tensor) -> dict[str, float]:
    """Median CPU milliseconds a pose; each job does all poses before the next has its turn."""
    spent = {name: [] for name in jobs}
    for _ in range(ROUNDS):
        for name, job in jobs.items():
            job(vertices[0])  # the turn before has filled the caches with other things
            for body in vertices:
                start = time.process_time()
                job(body)
                spent[name].append(1000 * (time.process_time() - start))
    return {name: statistics.median(values) for name, values in spent.items()}


if __name__ == "__main__":
    main()
