"""The figures of a fit: what was seen, what was found, from the camera and from the side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import normalize

from vhlib.body import SMPL, Keypoints
from vhlib.body.keypoints import MIN_CONFIDENCE
from vhlib.body.skeletons import OPENPOSE_25B, Skeleton, get_skeleton
from vhlib.data.four_cameras import LIMB_JOINTS
from vhlib.fitting import Fit
from vhlib.fitting.observations import usable_keypoints
from vhlib.geometry import PerspectiveCamera
from vhlib.notebook.mesh_pictures import Picture
from vhlib.notebook.palette import BLUE, GREY, ORANGE, SKY, STYLE, VERMILLION, look

SIDES = {"left": SKY, "right": ORANGE}

LIMBS = Skeleton(
    "limbs",
    {name: OPENPOSE_25B.points[name] for name in LIMB_JOINTS},
    tuple(edge for edge in OPENPOSE_25B.edges if set(edge) <= set(LIMB_JOINTS)),
)
"""The twelve points of the clip's 3D reference."""

# Room about the person in a picture, as a share of the person's height.
MARGIN = 0.07


def views_figure(panels: Mapping[str, Picture], height: float = 5.0) -> Figure:
    """Pictures of one height side by side, by title."""
    shares = [picture.shape[1] / picture.shape[0] for picture in panels.values()]
    with plt.rc_context(STYLE):
        figure, row = plt.subplots(
            1,
            len(panels),
            figsize=(height * sum(shares), height),
            width_ratios=shares,
            squeeze=False,
            layout="constrained",
        )
        for axes, (title, picture) in zip(row[0], panels.items(), strict=True):
            axes.imshow(picture)
            axes.axis("off")
            axes.set_title(title)
    return figure


def crop_window(
    keypoints: Keypoints, picture: Picture, margin: float = MARGIN
) -> tuple[float, float, float, float]:
    """The person's box and a margin about it: (left, top, right, bottom) pixels in the picture."""
    height, width = picture.shape[:2]
    left, top, right, bottom = keypoints.box(MIN_CONFIDENCE).tolist()
    pad = margin * max(right - left, bottom - top)
    return (
        max(left - pad, 0.0),
        max(top - pad, 0.0),
        min(right + pad, float(width)),
        min(bottom + pad, float(height)),
    )


def draw_picture(
    axes: Axes, picture: Picture, keypoints: Keypoints, margin: float = MARGIN
) -> None:
    """The picture around the person, its axes in the pixels of the whole picture."""
    height, width = picture.shape[:2]
    left, top, right, bottom = crop_window(keypoints, picture, margin)
    axes.imshow(picture, extent=(0, width, height, 0), interpolation="antialiased")
    axes.set(xlim=(left, right), ylim=(bottom, top))
    axes.axis("off")


def draw_bones(
    axes: Axes, points: Float[Tensor, "K 2"], skeleton: Skeleton, color: str, label: str = ""
) -> None:
    """The lines of a skeleton whose points are all known."""
    for number, (start, end) in enumerate(skeleton.edge_indices):
        ends = points[[start, end]].numpy()
        name = label if number == 0 else "_nolegend_"
        axes.plot(ends[:, 0], ends[:, 1], color=color, linewidth=3, label=name, zorder=3)
    axes.scatter(*points.T.numpy(), color=color, s=28, zorder=3)


def draw_keypoints(axes: Axes, keypoints: Keypoints) -> None:
    """Seen points and the lines between them: blue on the person's left, orange on the right."""
    skeleton = get_skeleton(keypoints.skeleton)
    used = used_points(keypoints)
    xy, colors = keypoints.xy.numpy(), point_colors(skeleton)
    for start, end in skeleton.edge_indices:
        if used[start] and used[end]:
            axes.plot(*xy[[start, end]].T, color="white", linewidth=1.5, alpha=0.8)
    for point in used.nonzero()[:, 0].tolist():
        axes.scatter(*xy[point], s=45, color=colors[point], edgecolor="black", zorder=3)


def keypoints_figure(photo: Picture, keypoints: Keypoints) -> Figure:
    """The detected points on the photo, and each one's name and confidence."""
    skeleton = get_skeleton(keypoints.skeleton)
    used = used_points(keypoints).tolist()
    colors = [c if u else "white" for c, u in zip(point_colors(skeleton), used, strict=True)]
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(10, 6), width_ratios=(1.25, 1), layout="constrained"
        )
        draw_picture(left, photo, keypoints)
        draw_keypoints(left, keypoints)
        rows = np.arange(len(skeleton))
        right.barh(rows, keypoints.confidence.numpy(), color=colors, edgecolor="black", height=0.7)
        right.set_yticks(rows, [name.replace("_", " ") for name in skeleton.names], fontsize=11)
        right.invert_yaxis()
        right.set_xlabel("confidence (white: not used)")
    return figure


def point_colors(skeleton: Skeleton) -> list[str]:
    """A colour for each point by its side of the body."""
    return [SIDES.get(name.split("_")[0], GREY) for name in skeleton.names]


def side_camera(
    camera: PerspectiveCamera, target: Float[Tensor, " 3"], image_size: tuple[int, int]
) -> PerspectiveCamera:
    """A level camera that sees ``target`` from the side: what ``camera`` calls depth runs right.

    It stands a quarter circle around the target from ``camera`` at the same distance, upright in
    a world with z up. ``target`` and what it will look at are given in the axes of ``camera``,
    where fitted bodies are.
    """
    up = camera.T_camera_world[:3, 2].to(target)
    ahead = target.new_tensor([0.0, 0.0, 1.0])
    right = normalize(ahead - (ahead @ up) * up, dim=0)
    rotation = torch.stack([right, -up, torch.linalg.cross(up, right)])
    place = target - target.norm() * rotation[2]
    transform = torch.eye(4).to(target)
    transform[:3] = torch.cat([rotation, -(rotation @ place)[:, None]], dim=1)
    return replace(
        camera,
        principal_point=(image_size[0] / 2, image_size[1] / 2),
        image_size=image_size,
        T_camera_world=transform,
    )


def cropped(picture: Picture, keypoints: Keypoints) -> UInt8[np.ndarray, "height width 3"]:
    """The part of a picture around the person."""
    left, top, right, bottom = (round(edge) for edge in crop_window(keypoints, picture))
    return picture[top:bottom, left:right]


def error_figure(
    picture: Picture,
    view: PerspectiveCamera,
    found: Float[Tensor, "12 3"],
    truth: Float[Tensor, "12 3"],
) -> Figure:
    """Both limb skeletons over the picture from ``view``, and each joint's error by direction.

    Points of ``LIMB_JOINTS`` in the axes of the camera that was fitted to, hips brought together.
    """
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(10, 5.4), width_ratios=(1, 1.1), layout="constrained"
        )
        left.imshow(picture, extent=(0, view.image_size[0], view.image_size[1], 0))
        draw_bones(left, view.project(truth), LIMBS, VERMILLION, "reference")
        draw_bones(left, view.project(found), LIMBS, "black", "fit")
        left.set_title("from the side: the camera looks \N{RIGHTWARDS ARROW}")
        left.axis("off")
        left.legend(frameon=False, loc="lower left")
        rows, millimetres = np.arange(len(LIMBS)), 1000 * (found - truth)
        across, along = millimetres[:, :2].norm(dim=-1), millimetres[:, 2].abs()
        right.barh(rows - 0.2, along.numpy(), 0.4, color=VERMILLION, label="along the depth")
        right.barh(rows + 0.2, across.numpy(), 0.4, color=BLUE, label="across the picture")
        right.set_yticks(rows, [name.replace("_", " ") for name in LIMBS.names])
        right.invert_yaxis()
        right.set_xlabel("error in mm, hips brought together")
        right.legend(frameon=False)
    return figure


def energy_figure(fit: Fit) -> Figure:
    """What is left of each term, and how the energy fell stage by stage; of a single fit."""
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
        names = [name.replace("_", " ") for name in fit.energy_terms]
        bars = left.barh(names, [float(value) for value in fit.energy_terms.values()], color=BLUE)
        left.bar_label(bars, fmt=" %.0f")
        left.invert_yaxis()
        left.set(xlabel="weighted energy at the end", xmargin=0.2)
        first = 0
        for number, stage in enumerate(fit.history):
            energy = stage.energy.flatten().numpy()
            steps = first + np.arange(len(energy))
            right.semilogy(steps, energy, label=stage.name, **look(number))
            first = steps[-1]
        right.set(xlabel="step", ylabel="energy of the stage")
        right.legend(frameon=False)
    return figure


def used_points(keypoints: Keypoints) -> Bool[Tensor, " K"]:
    """Which of a person's points a fit uses."""
    usable = usable_keypoints(_batched(keypoints), _rest_points(keypoints.skeleton))
    return usable.confidence[0] > 0


@cache
def _rest_points(skeleton: str) -> Float[Tensor, "K 3"]:
    return SMPL.load().keypoints(skeleton)


def _batched(keypoints: Keypoints) -> Keypoints:
    return replace(keypoints, xy=keypoints.xy[None], confidence=keypoints.confidence[None])
