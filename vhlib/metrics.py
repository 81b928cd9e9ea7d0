"""How far a prediction is from the truth, one value per sample.

Metres in, metres out (tables of papers print millimetres). A number is only comparable with another
if root, joint set and alignment are the same, so the root is a required argument: an index, several
indices whose mean is the root (such as both hips), or None to compare positions as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vhlib.geometry.rotations import similarity_procrustes

Root = int | Sequence[int] | None

AUC_THRESHOLDS = tuple(k * 0.005 for k in range(31))
"""0 to 150 mm in steps of 5 mm, as MPI-INF-3DHP (Mehta et al. 2017) evaluates."""


def mpjpe(
    pred: Float[Tensor, "*batch J 3"], gt: Float[Tensor, "*gt_batch K 3"], *, root: Root
) -> Float[Tensor, "*batch"]:
    """Mean per joint position error after the roots are brought together.

    3DPW tables use 14 LSP joints; their root is the pelvis (SPIN) or the middle of the hips (HMR,
    VIBE). Raises ValueError if the shapes differ, as do all metrics of two poses.
    """
    return _distances(_rooted(pred, root), _rooted(gt, root)).mean(dim=-1)


def n_mpjpe(
    pred: Float[Tensor, "*batch J 3"], gt: Float[Tensor, "*gt_batch K 3"], *, root: Root
) -> Float[Tensor, "*batch"]:
    """MPJPE after the prediction is scaled by ``<gt, pred> / <pred, pred>`` about its root.

    Source: Rhodin et al., Unsupervised Geometry-Aware Representation for 3D Human Pose Estimation,
    2018. A prediction without extent fixes no scale and keeps its own.
    """
    _require_same_shape(pred, gt)
    pred, gt = _rooted(pred, root), _rooted(gt, root)
    extent = pred.square().sum(dim=(-2, -1), keepdim=True)
    agreement = (gt * pred).sum(dim=(-2, -1), keepdim=True)
    scale = torch.where(extent > 0, agreement, 1.0) / torch.where(extent > 0, extent, 1.0)
    return _distances(scale * pred, gt).mean(dim=-1)


def pa_mpjpe(
    pred: Float[Tensor, "*batch J 3"], gt: Float[Tensor, "*gt_batch K 3"]
) -> Float[Tensor, "*batch"]:
    """MPJPE after the similarity that aligns each pose best ("reconstruction error").

    The alignment minimises the sum of squares, so it may, rarely, exceed MPJPE itself.
    """
    return _distances(procrustes_aligned(pred, gt), gt).mean(dim=-1)


def procrustes_aligned(
    pred: Float[Tensor, "*batch J 3"], gt: Float[Tensor, "*gt_batch K 3"]
) -> Float[Tensor, "*batch J 3"]:
    """The prediction moved by the similarity that brings it nearest to the truth."""
    _require_same_shape(pred, gt)
    return similarity_procrustes(pred, gt).apply(pred)


def pve(
    pred_vertices: Float[Tensor, "*batch V 3"],
    gt_vertices: Float[Tensor, "*gt_batch W 3"],
    *,
    roots: tuple[Float[Tensor, "*batch 3"], Float[Tensor, "*batch 3"]] | None,
) -> Float[Tensor, "*batch"]:
    """Mean per vertex error (PVE, MPVPE).

    ``roots`` are the positions, predicted and true, to subtract first. VIBE's evaluation subtracts
    nothing (None), others the pelvis joint: say which.
    """
    if roots is not None:
        pred_root, gt_root = roots
        pred_vertices = pred_vertices - pred_root[..., None, :]
        gt_vertices = gt_vertices - gt_root[..., None, :]
    return _distances(pred_vertices, gt_vertices).mean(dim=-1)


def pa_pve(
    pred_vertices: Float[Tensor, "*batch V 3"], gt_vertices: Float[Tensor, "*gt_batch W 3"]
) -> Float[Tensor, "*batch"]:
    """Mean per vertex error after the similarity that aligns the vertices best."""
    return pa_mpjpe(pred_vertices, gt_vertices)


def pck(
    pred: Float[Tensor, "*batch J 3"],
    gt: Float[Tensor, "*gt_batch K 3"],
    *,
    threshold: float,
    root: Root,
) -> Float[Tensor, "*batch"]:
    """Share of joints at most ``threshold`` metres from the truth; tables use 0.150.

    For PA-PCK pass ``procrustes_aligned(pred, gt)`` and ``root=None``.
    """
    distances = _distances(_rooted(pred, root), _rooted(gt, root))
    return (distances <= threshold).to(distances).mean(dim=-1)


def auc(
    pred: Float[Tensor, "*batch J 3"],
    gt: Float[Tensor, "*gt_batch K 3"],
    *,
    thresholds: Sequence[float] = AUC_THRESHOLDS,
    root: Root,
) -> Float[Tensor, "*batch"]:
    """Area under the PCK curve: the mean of `pck` over the thresholds, metres."""
    curve = [pck(pred, gt, threshold=threshold, root=root) for threshold in thresholds]
    return torch.stack(curve).mean(dim=0)


def acceleration_error(
    pred: Float[Tensor, "*batch T J 3"],
    gt: Float[Tensor, "*gt_batch S K 3"],
    *,
    fps: float | int | None = None,
) -> Float[Tensor, "*batch"]:
    """Mean distance of the accelerations ``x[t-1] - 2 x[t] + x[t+1]``, over frames and joints.

    Metres per frame^2, the unit of VIBE's and TCMR's tables (there in mm), which depends on the
    frame rate; with ``fps`` metres per second^2. Raises ValueError for fewer than three frames.
    """
    _require_same_shape(pred, gt)
    return _mean_length(_second_difference(pred) - _second_difference(gt), fps)


def acceleration(
    joints: Float[Tensor, "*batch T J 3"], *, fps: float | int | None = None
) -> Float[Tensor, "*batch"]:
    """Mean length of the acceleration, in the units of `acceleration_error`.

    It measures smoothness and not accuracy: a frozen body scores zero.
    """
    return _mean_length(_second_difference(joints), fps)


def iou(
    pred: Bool[Tensor, "*batch H W"], gt: Bool[Tensor, "*batch H W"]
) -> Float[Tensor, "*batch"]:
    """Intersection over union of two masks; two empty masks agree fully."""
    intersection = (pred & gt).sum(dim=(-2, -1))
    union = (pred | gt).sum(dim=(-2, -1))
    return torch.where(union > 0, intersection, 1) / torch.where(union > 0, union, 1)


def f1(pred: Bool[Tensor, "*batch H W"], gt: Bool[Tensor, "*batch H W"]) -> Float[Tensor, "*batch"]:
    """Harmonic mean of precision and recall: ``2 |A & B| / (|A| + |B|) = 2 IoU / (1 + IoU)``.

    Tables of LSP accumulate the counts over the data set (pass its masks joined into one) and
    average over the classes, the background among them.
    """
    overlap = iou(pred, gt)
    return 2 * overlap / (1 + overlap)


def _rooted(points: Tensor, root: Root) -> Tensor:
    if root is None:
        return points
    indices = [root] if isinstance(root, int) else list(root)
    return points - points[..., indices, :].mean(dim=-2, keepdim=True)


def _distances(pred: Tensor, gt: Tensor) -> Tensor:
    _require_same_shape(pred, gt)
    return (pred - gt).norm(dim=-1)


def _require_same_shape(pred: Tensor, gt: Tensor) -> None:
    if pred.shape != gt.shape:
        raise ValueError(
            f"pred and gt must have the same shape, found {tuple(pred.shape)} and {tuple(gt.shape)}"
        )


def _second_difference(joints: Tensor) -> Tensor:
    if joints.shape[-3] < 3:
        raise ValueError(f"acceleration needs at least 3 frames, found {joints.shape[-3]}")
    return joints[..., :-2, :, :] - 2 * joints[..., 1:-1, :, :] + joints[..., 2:, :, :]


def _mean_length(second_difference: Tensor, fps: float | int | None) -> Tensor:
    per_frame = second_difference.norm(dim=-1).mean(dim=(-2, -1))
    return per_frame if fps is None else per_frame * fps**2
