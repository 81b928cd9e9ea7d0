"""3D points from several calibrated views, and the views' own small errors mended by the points.

C cameras are one ``PerspectiveCamera`` whose fields carry a leading axis of C; N points are seen as
``xy`` (C, N, 2) with ``weights`` (C, N), zero where a camera doesn't see a point.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from vhlib.geometry.cameras import PerspectiveCamera
from vhlib.geometry.rotations import axis_angle_to_matrix, similarity_procrustes, skew

# Residuals well beyond this many pixels are mistakes of the detector rather than its noise.
OUTLIER_PIXELS = 15.0


class Adjustment(NamedTuple):
    """Result of `bundle_adjust`: cameras (C,) and the points (N, 3) that they agree on."""

    cameras: PerspectiveCamera
    points: Float[Tensor, "N 3"]


def triangulate(
    cameras: PerspectiveCamera,
    xy: Float[Tensor, "C N 2"],
    weights: Float[Tensor, "C N"],
    rounds: int = 8,
) -> Float[Tensor, "N 3"]:
    """World points that reproject nearest to their pixels; NaN where fewer than two views see one.

    Every view gives two equations that are linear in the point, ``x_n Z = X`` and ``y_n Z = Y`` in
    camera axes. They are solved repeatedly, each time divided by the last depth, so that they
    measure pixels (Hartley and Sturm, Triangulation, 1997, section 5.2), and weighted by
    ``1 / (1 + (e / OUTLIER_PIXELS)^2)``, so that a wrong detection counts little (Cauchy).
    """
    row_weights = weights
    for _ in range(rounds):
        points = _intersect_rays(cameras, xy, row_weights)
        depth = cameras.world_to_camera(points[None])[..., 2]
        error = (cameras.project(points[None]) - xy).norm(dim=-1)
        row_weights = torch.where(weights > 0, weights * _robust(error) / depth**2, 0.0)
    return points


def _robust(error: Tensor) -> Tensor:
    """IRLS weight of the Cauchy function ``s^2 log(1 + (e / s)^2)``."""
    return 1 / (1 + (error / OUTLIER_PIXELS) ** 2)


def _intersect_rays(cameras: PerspectiveCamera, xy: Tensor, weights: Tensor) -> Tensor:
    """Weighted linear least squares over all views, by its 3x3 normal equations."""
    rays = (xy - cameras.principal_point.to(xy)[:, None]) / cameras.focal_length.to(xy)[:, None]
    T = cameras.T_camera_world.to(xy)[:, None]
    rows = rays[..., None] * T[..., 2:3, :] - T[..., :2, :]
    rows = torch.where(weights[..., None, None] > 0, rows * weights.sqrt()[..., None, None], 0.0)
    rows = rows.movedim(0, 1).flatten(1, 2)
    A, b = rows[..., :3], -rows[..., 3:]
    seen_twice = (weights > 0).sum(0) >= 2
    normal = torch.where(seen_twice[:, None, None], A.mT @ A, torch.eye(3, dtype=xy.dtype))
    points = torch.linalg.solve(normal, A.mT @ b)[..., 0]
    return torch.where(seen_twice[:, None], points, torch.nan)


def bundle_adjust(
    cameras: PerspectiveCamera,
    xy: Float[Tensor, "C N 2"],
    weights: Float[Tensor, "C N"],
    iterations: int = 30,
) -> Adjustment:
    """Turn and move the cameras, together with the points, until reprojections fit best.

    Minimises ``sum_cn w_cn s^2 log(1 + (|r_cn| / s)^2)`` with s = OUTLIER_PIXELS over every
    camera's rotation and translation and every point, by Levenberg-Marquardt on reweighted squares.
    The points are eliminated first (Triggs et al., Bundle Adjustment - A Modern Synthesis, 2000,
    section 6.1). Images fix no world frame and no scale: the camera centres are laid back onto
    the given ones by a similarity. Every point must be seen by two cameras or more.
    """
    centres = cameras.position
    points = triangulate(cameras, xy, weights)
    cost, damping = _robust_cost(cameras, points, xy, weights), 1e-3
    for _ in range(iterations):
        camera_step, point_step = _damped_step(cameras, points, xy, weights, damping)
        trial = _moved(cameras, camera_step), points + point_step
        trial_cost = _robust_cost(*trial, xy, weights)
        accepted = bool(trial_cost < cost)
        damping = damping / 10 if accepted else damping * 10
        if accepted:
            converged = bool(cost - trial_cost < 1e-9 * cost)
            (cameras, points), cost = trial, trial_cost
            if converged:
                break
    return _laid_onto(cameras, points, centres)


def _robust_cost(cameras: PerspectiveCamera, points: Tensor, xy: Tensor, weights: Tensor) -> Tensor:
    squared = (cameras.project(points[None]) - xy).square().sum(-1)
    return (weights * OUTLIER_PIXELS**2 * torch.log1p(squared / OUTLIER_PIXELS**2)).sum()


def _damped_step(
    cameras: PerspectiveCamera, points: Tensor, xy: Tensor, weights: Tensor, damping: float
) -> tuple[Tensor, Tensor]:
    """Steps (C, 6) and (N, 3) of the damped normal equations, by the Schur complement.

    With blocks U (cameras), V (points) and W between them, the cameras' step solves
    ``(U - W V^-1 W^T) dc = W V^-1 g_p - g_c``; then ``dp = -V^-1 (g_p + W^T dc)``.
    """
    residual = cameras.project(points[None]) - xy
    by_camera, by_point = _jacobians(cameras, points)
    irls = (weights * _robust(residual.norm(dim=-1)))[..., None, None]
    residual = residual[..., None]
    U = _damped((irls * by_camera.mT @ by_camera).sum(1), damping)
    V = _damped((irls * by_point.mT @ by_point).sum(0), damping)
    W = irls * by_camera.mT @ by_point
    g_camera = (irls * by_camera.mT @ residual).sum(1)
    g_point = (irls * by_point.mT @ residual).sum(0)

    W_V_inverse = torch.linalg.solve(V, W.mT).mT
    coupling = torch.einsum("cnij,dnkj->cidk", W_V_inverse, W).flatten(2).flatten(0, 1)
    reduced = torch.block_diag(*U) - coupling
    right = (W_V_inverse @ g_point).sum(1) - g_camera
    camera_step = torch.linalg.solve(reduced, right.flatten()).unflatten(0, (-1, 6))
    pulled = g_point + (W.mT @ camera_step[:, None, :, None]).sum(0)
    return camera_step, -torch.linalg.solve(V, pulled)[..., 0]


def _damped(blocks: Tensor, damping: float) -> Tensor:
    return blocks + damping * torch.diag_embed(blocks.diagonal(dim1=-2, dim2=-1))


def _jacobians(cameras: PerspectiveCamera, points: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels by camera motion (C, N, 2, 6) and by point (C, N, 2, 3).

    A camera moves by a rotation vector w and a shift d: ``y -> exp([w]x) y + d`` in its own axes.
    """
    y = cameras.world_to_camera(points[None])
    zero = torch.zeros_like(y[..., 0])
    rows = [y[..., 2], zero, -y[..., 0], zero, y[..., 2], -y[..., 1]]
    slopes = torch.stack(rows, -1).unflatten(-1, (2, 3)) / y[..., 2, None, None] ** 2
    by_camera_point = cameras.focal_length.to(y)[:, None, :, None] * slopes
    by_camera = torch.cat([-by_camera_point @ skew(y), by_camera_point], -1)
    return by_camera, by_camera_point @ cameras.T_camera_world.to(y)[:, None, :3, :3]


def _moved(cameras: PerspectiveCamera, step: Tensor) -> PerspectiveCamera:
    motion = torch.eye(4, dtype=step.dtype).repeat(len(step), 1, 1)
    motion[:, :3, :3] = axis_angle_to_matrix(step[:, :3])
    motion[:, :3, 3] = step[:, 3:]
    return replace(cameras, T_camera_world=motion @ cameras.T_camera_world)


def _laid_onto(cameras: PerspectiveCamera, points: Tensor, centres: Tensor) -> Adjustment:
    """Change the world frame and its unit so that the camera centres come to ``centres``."""
    similarity = similarity_procrustes(cameras.position, centres)
    T = cameras.T_camera_world.clone()
    T[:, :3, :3] = T[:, :3, :3] @ similarity.rotation.mT
    moved = similarity.apply(cameras.position)
    T[:, :3, 3] = -(T[:, :3, :3] @ moved[..., None])[..., 0]
    return Adjustment(replace(cameras, T_camera_world=T), similarity.apply(points))
