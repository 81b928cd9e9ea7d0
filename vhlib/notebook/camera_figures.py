"""The figures of cameras: rays, pictures of a mesh, errors of projections, crops of a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from vhlib.body import BodyParameters, Keypoints
from vhlib.body.skeletons import SMPL_24, Skeleton
from vhlib.geometry import Crop, PerspectiveCamera, axis_angle_to_matrix
from vhlib.geometry.rendering import overlay, render_shaded
from vhlib.notebook.fit_figures import draw_bones, draw_picture
from vhlib.notebook.mesh_pictures import Picture
from vhlib.notebook.palette import BLUE, GREY, ORANGE, STYLE, VERMILLION, line

COLORS = (VERMILLION, BLUE, ORANGE)
HEAT = "viridis"  # as in the body viewer
# Where the picture's plane is drawn in a side view, as a share of the distance.
PLANE = 0.3
# Length of the arrow that says where a person faces in a plan, metres.
ARROW = 0.7
# The pose of ``reaching_body``: axis-angle of the joints that aren't at rest, radians.
REACH = {
    "right_shoulder": (0.0, 1.35, 0.1),
    "left_shoulder": (0.0, 0.0, -1.25),
    "right_hip": (-0.25, 0.0, -0.1),
    "left_hip": (0.0, 0.0, 0.1),
}


def reaching_body() -> BodyParameters:
    """The mean body, upright in OpenCV's axes and facing -z, its right arm stretched that way."""
    axis_angle = torch.zeros(23, 3)
    for name, vector in REACH.items():
        axis_angle[SMPL_24.index(name) - 1] = torch.tensor(vector)
    upright = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    return BodyParameters(
        torch.zeros(10), axis_angle_to_matrix(axis_angle), upright, torch.tensor([0.0, 0.11, 0.0])
    )


def from_its_right(camera: PerspectiveCamera, distance: float) -> PerspectiveCamera:
    """The camera, gone round what lies ``distance`` metres ahead, as far off, to look along +x."""
    T = torch.eye(4)
    T[:3] = torch.tensor([[0.0, 0, -1, distance], [0, 1, 0, 0], [1, 0, 0, distance]])
    return replace(camera, T_camera_world=T)


def rays_figure(
    vertices: Float[Tensor, "V 3"],
    faces: Int[Tensor, "F 3"],
    points: Mapping[str, Float[Tensor, " 3"]],
    depth: float,
) -> Figure:
    """From the side, how points reach the picture: by perspective, and by weak perspective.

    Points are in the camera's axes, metres. Above, a straight ray to the camera's centre. Below,
    all points first move along the axis to the plane at ``depth``.
    """
    plane, outline = PLANE * depth, vertices[faces][..., [2, 1]].numpy()
    with plt.rc_context(STYLE):
        figure, row = plt.subplots(2, 1, figsize=(8, 6.6), sharex=True, layout="constrained")
        for axes, weak in zip(row, (False, True), strict=True):
            axes.add_collection(PolyCollection(outline, color="#D5D8DD"))
            axes.plot([plane, plane], [-0.45, 0.45], color="black", linewidth=2)
            axes.text(plane, 0.6, "picture", fontsize=12, ha="center")
            axes.plot(0, 0, "k>", markersize=12)
            for number, (name, point) in enumerate(points.items()):
                _draw_ray(axes, point, depth if weak else float(point[2]), plane, line(number))
                axes.text(1.09 * depth, float(point[1]), name, fontsize=12, va="center")
            axes.set(aspect="equal", ylabel="metres, $y$ down")
            axes.invert_yaxis()
        row[0].set_title("perspective: straight to the camera")
        row[1].set_title("weak perspective: first to one plane")
        row[1].axvline(depth, color="black", linestyle=":", linewidth=1.5)
        row[1].set_xlabel("depth $z$ in metres")
    return figure


def _draw_ray(
    axes: Axes, point: Float[Tensor, " 3"], depth: float, plane: float, style: dict[str, str]
) -> None:
    """From a point to the plane at ``depth``, then to the centre; a dot on the picture."""
    height, own = float(point[1]), float(point[2])
    axes.plot([own, depth, 0], [height, height, 0], linewidth=2, **style)
    axes.plot(plane, height * plane / depth, "o", color=style["color"], markersize=9, zorder=4)


def skeletons_figure(
    photo: Picture, keypoints: Keypoints, panels: Mapping[str, Float[Tensor, "K 2"]], of: Skeleton
) -> Figure:
    """The photo around the person, once for each set of pixels, the skeleton ``of`` them over it.

    The window takes in some of what is beside the person, for skeletons that miss.
    """
    with plt.rc_context(STYLE):
        figure, row = plt.subplots(
            1, len(panels), figsize=(3.5 * len(panels), 4.9), squeeze=False, layout="constrained"
        )
        for axes, color, (title, pixels) in zip(row[0], COLORS, panels.items(), strict=False):
            draw_picture(axes, photo, keypoints, margin=0.35)
            draw_bones(axes, pixels, of, "white")
            draw_bones(axes, pixels, of, color)
            axes.set_title(title)
    return figure


def flattened(vertices: Float[Tensor, "V 3"], depth: float | Tensor) -> Float[Tensor, "V 3"]:
    """The mesh that a pinhole sees as a weak-perspective camera sees ``vertices``.

    ``(X z / depth, Y z / depth, z)``: the pinhole divides by z what was multiplied by it, and what
    hides what stays, since points of one pixel keep their order in z.
    """
    z = vertices[:, 2:]
    return torch.cat([vertices[:, :2] * z / depth, z], dim=1)


def heat_figure(
    vertices: Float[Tensor, "V 3"],
    faces: Int[Tensor, "F 3"],
    cameras: Mapping[str, PerspectiveCamera],
    values: Float[Tensor, " V"],
    label: str,
) -> Figure:
    """A mesh coloured by a number at each vertex, seen by each camera, with a bar that says how."""
    scale = Normalize(float(values.min()), float(values.max()))
    colors = torch.tensor(plt.get_cmap(HEAT)(scale(values.numpy()))[:, :3]).to(vertices)
    with plt.rc_context(STYLE):
        figure, row = plt.subplots(
            1, len(cameras), figsize=(3.2 * len(cameras), 4.2), squeeze=False, layout="constrained"
        )
        for axes, (title, camera) in zip(row[0], cameras.items(), strict=True):
            width, height = camera.image_size
            white = torch.full((height, width, 3), 255, dtype=torch.uint8)
            picture = render_shaded(vertices, faces, camera, color=colors, supersampling=2)
            axes.imshow(overlay(white, picture).numpy())
            axes.axis("off")
            axes.set_title(title)
        figure.colorbar(ScalarMappable(scale, HEAT), ax=row[0], label=label, shrink=0.8)
    return figure


def focal_figure(
    panels: Mapping[str, Picture],
    focals: Sequence[float],
    errors: Mapping[str, Sequence[float]],
    chosen: float,
) -> Figure:
    """Pictures side by side, and below them errors in pixels against the focal length assumed.

    ``chosen`` is marked by a vertical line. A curve shows nothing where its error is zero.
    """
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(8, 6.2), layout="constrained")
        top, bottom = figure.subfigures(2, 1, height_ratios=(1.15, 1))
        for axes, (title, picture) in zip(
            top.subplots(1, len(panels)), panels.items(), strict=True
        ):
            axes.imshow(picture)
            axes.set(xticks=[], yticks=[], title=title)
            axes.spines[:].set(visible=True, color=GREY)
        axes = bottom.subplots()
        for number, (name, values) in enumerate(errors.items()):
            axes.plot(focals, values, **line(number), linewidth=3, label=name)
        axes.axvline(chosen, color="black", linewidth=1.5)
        axes.set(xscale="log", yscale="log", ylim=(1e-3, 30))
        axes.set(xlabel="assumed focal length $f$, pixels of the crop", ylabel="mean error, px")
        axes.legend(frameon=False, loc="lower left")
    return figure


def walk_figure(
    frame: Picture,
    crop: Crop,
    place: Float[Tensor, " 3"],
    ahead: Float[Tensor, " 3"],
    camera: PerspectiveCamera,
) -> Figure:
    """A person in a wide frame: the frame with the box, the crop, and a plan from above.

    place, ahead: where the person stands and a unit vector to where they face, in the camera's
    axes.
    """
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(10, 6.6), layout="constrained")
        panels = figure.subplot_mosaic([["frame", "frame"], ["crop", "plan"]])
        panels["frame"].imshow(frame)
        half = float(crop.size) / 2
        corner = (float(crop.center[0]) - half, float(crop.center[1]) - half)
        panels["frame"].add_patch(
            Rectangle(corner, 2 * half, 2 * half, fill=False, color=VERMILLION, linewidth=3)
        )
        panels["frame"].set_title("the frame, and the box")
        panels["crop"].imshow(cut(frame, crop))
        panels["crop"].set_title("what a crop network sees")
        for name in ("frame", "crop"):
            panels[name].set(xticks=[], yticks=[])
            panels[name].spines[:].set(visible=True, color=GREY)
        _draw_plan(panels["plan"], place, ahead, camera)
    return figure


def _draw_plan(
    axes: Axes,
    place: Float[Tensor, " 3"],
    ahead: Float[Tensor, " 3"],
    camera: PerspectiveCamera,
) -> None:
    """From above: the camera and its field of view, the ray to the person, where they face."""
    x, z = float(place[0]), float(place[2])
    edge = camera.image_size[0] / 2 / float(camera.focal_length[0])
    far = 1.35 * z
    axes.plot([-edge * far, 0, edge * far], [far, 0, far], color=GREY, linewidth=2)
    axes.plot([0, x], [0, z], color=BLUE, linestyle="--", linewidth=2, label="ray to the person")
    axes.plot(0, 0, "k^", markersize=12)
    axes.plot(x, z, "o", color=VERMILLION, markersize=13)
    tip = (x + ARROW * float(ahead[0]), z + ARROW * float(ahead[2]))
    arrow = {"arrowstyle": "-|>", "color": VERMILLION, "linewidth": 3, "mutation_scale": 18}
    axes.annotate("", tip, (x, z), arrowprops=arrow)
    axes.set(aspect="equal", title="from above", xlabel="$x$, m", ylabel="depth $z$, m")
    axes.legend(frameon=False, loc="lower right", fontsize=11)


def cut(frame: Picture, crop: Crop) -> UInt8[np.ndarray, "R R 3"]:
    """The crop's pixels, each the nearest of the frame's; white where the box leaves the frame."""
    centers = torch.arange(crop.resolution) + 0.5
    pixels = torch.stack(torch.meshgrid(centers, centers, indexing="xy"), dim=-1)
    xy = crop.crop_to_frame(pixels.flatten(0, 1)).floor().long().numpy()
    height, width = frame.shape[:2]
    inside = (xy >= 0).all(1) & (xy < (width, height)).all(1)
    colors = np.full((len(xy), 3), 255, dtype=np.uint8)
    colors[inside] = frame[xy[inside, 1], xy[inside, 0]]
    return colors.reshape(crop.resolution, crop.resolution, 3)


def crop_figure(
    pictures: Mapping[str, tuple[Picture, Float[Tensor, "K 2"]]], of: Skeleton
) -> Figure:
    """Crops with a skeleton over each; what leaves a crop is cut off."""
    with plt.rc_context(STYLE):
        figure, row = plt.subplots(
            1,
            len(pictures),
            figsize=(3.4 * len(pictures), 3.7),
            squeeze=False,
            layout="constrained",
        )
        for axes, color, (title, (picture, pixels)) in zip(
            row[0], (BLUE, VERMILLION) * len(pictures), pictures.items(), strict=False
        ):
            height, width = picture.shape[:2]
            axes.imshow(picture, extent=(0, width, height, 0))
            draw_bones(axes, pixels, of, color)
            axes.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[], title=title)
            axes.spines[:].set(visible=True, color=GREY)
    return figure


def triads_figure() -> Figure:
    """The axes of OpenCV's cameras and those of OpenGL's, side by side."""
    kinds = {
        "OpenCV: $y$ down, $z$ forward": ((1, 0), (0, -1), (0.55, 0.45)),
        "OpenGL: $y$ up, $z$ backward": ((1, 0), (0, 1), (-0.55, -0.45)),
    }
    with plt.rc_context(STYLE):
        figure, row = plt.subplots(1, 2, figsize=(7.5, 3.4), layout="constrained")
        for axes, (title, arrows) in zip(row, kinds.items(), strict=True):
            for name, color, tip in zip("xyz", COLORS, arrows, strict=True):
                arrow = {"arrowstyle": "-|>", "color": color, "linewidth": 3, "mutation_scale": 20}
                axes.annotate("", tip, (0, 0), arrowprops=arrow)
                axes.text(1.15 * tip[0], 1.15 * tip[1], f"${name}$", fontsize=16, ha="center")
            axes.set(xlim=(-1.2, 1.3), ylim=(-1.3, 1.3), aspect="equal", title=title)
            axes.axis("off")
    return figure
