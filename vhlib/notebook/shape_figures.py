"""The figures of body shape: bodies on one floor, components, height and mass, joints and skin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from vhlib.body import SMPL
from vhlib.body.measurements import Measurements, measure_body
from vhlib.body.skeletons import SMPL_24
from vhlib.geometry import PerspectiveCamera
from vhlib.geometry.rendering import CLAY
from vhlib.notebook.body_figures import PANEL, YAW, front_camera
from vhlib.notebook.mesh_pictures import Color, Picture, mesh_picture
from vhlib.notebook.palette import BLUE, GREY, STYLE, VERMILLION, look

# Metres from the middle of a picture down to the floor, and how much smaller than in
# ``body_figures`` all is drawn: room for bodies and arm spans of two metres.
FLOOR, SHRINK = 1.0, 0.85
# Pixels in each direction for one of a small picture, where a body has a picture to itself.
LARGE = 1.6
SEE_THROUGH = 0.45
# Where hips and legs are in a picture three times the usual size, seen from the left; pixels.
LEGS = (180, 360, 600, 860)
# Area of the dot, in square points, of a vertex whose weight is one.
DOT = 700.0
PANEL_INCHES = (2.4, 2.75)
# Of the variance; less isn't drawn.
LEAST_SHARE = 1e-5
# Light at zero, so that the shading is still seen.
SCALE = "OrRd"
MARKERS = (("o", VERMILLION), ("s", BLUE), ("^", "black"))


def meshes_figure(
    meshes: Mapping[str, Float[Tensor, "V 3"]],
    faces: Int[Tensor, "F 3"],
    columns: int = 6,
    values: Mapping[str, Float[Tensor, " V"]] | None = None,
    label: str = "",
) -> Figure:
    """Bodies by title, all on one floor at one scale, so that their heights compare.

    values: by title, a number from zero for each vertex that colours that mesh; ``label`` names it
    beside a scale that ends at the largest of all.
    """
    values = values or {}
    largest = max((float(each.max()) for each in values.values()), default=0.0) or 1.0
    rows, columns = -(-len(meshes) // columns), min(columns, len(meshes))
    size = (PANEL_INCHES[0] * columns, PANEL_INCHES[1] * rows)
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(
            rows, columns, figsize=size, squeeze=False, layout="constrained"
        )
        for axes in grid.flat:
            axes.axis("off")
        for axes, (title, vertices) in zip(grid.flat, meshes.items(), strict=False):
            colors = _colors(values[title] / largest) if title in values else CLAY
            axes.imshow(standing_picture(vertices, faces, color=colors))
            axes.set_title(title, fontsize=12)
        if values:
            scale = plt.cm.ScalarMappable(plt.Normalize(0, largest), SCALE)
            figure.colorbar(scale, ax=grid, label=label, shrink=0.75)
    return figure


def standing_picture(
    vertices: Float[Tensor, "V 3"],
    faces: Int[Tensor, "F 3"],
    camera: PerspectiveCamera | None = None,
    color: Color = CLAY,
    opacity: float = 1.0,
) -> Picture:
    """A mesh on white, its lowest point on the floor."""
    placed = vertices + floor_shift(vertices)
    return mesh_picture(placed, faces, camera or room_camera(), color, opacity)


def room_camera(yaw: float = YAW, enlarged: float | int = 1.0) -> PerspectiveCamera:
    """Sees bodies that stand on the floor, turned by ``yaw``; ``enlarged`` in pixels only."""
    camera = front_camera(yaw)
    camera = replace(camera, focal_length=SHRINK * camera.focal_length)
    return camera.resized(tuple(round(enlarged * side) for side in PANEL))


def floor_shift(vertices: Float[Tensor, "V 3"]) -> Float[Tensor, " 3"]:
    """What brings the lowest vertex to the floor of the pictures."""
    return vertices.new_tensor([0.0, -FLOOR - float(vertices[:, 1].min()), 0.0])


def spectrum_figure(
    explained: Float[Tensor, " S"], errors: Mapping[str, Mapping[int, float]]
) -> Figure:
    """Shares of the variance by component, and what is lost by using only the first ones.

    errors: curves by name, each a mean distance in metres for numbers of components.
    """
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
        left.bar(np.arange(len(explained)), explained.numpy(), color=BLUE)
        left.set(xlabel="component", ylabel="share of the variance", yscale="log")
        left.set_ylim(LEAST_SHARE, 1.0)
        left.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
        for number, (name, by_count) in enumerate(errors.items()):
            millimetres = [1000 * error for error in by_count.values()]
            right.plot(list(by_count), millimetres, **look(number), linewidth=2, label=name)
        right.set(xlabel="components used", ylabel="mean distance in mm", ylim=(0, None))
        right.legend(frameon=False)
        for axes in (left, right):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def tape_figure(smpl: SMPL, betas: Float[Tensor, " S"], cloud: Measurements) -> Figure:
    """A body, and its place among the heights and masses of others."""
    vertices = smpl(betas=betas).vertices
    here = measure_body(vertices, smpl.faces)
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(9, 4.4), width_ratios=(0.8, 1), layout="constrained"
        )
        left.imshow(standing_picture(vertices, smpl.faces, room_camera(enlarged=LARGE)))
        left.axis("off")
        left.set_title(f"length of betas {betas.norm():.1f}")
        right.scatter(100 * cloud.height, cloud.mass, s=10, color=GREY, label="random betas")
        right.plot(
            *(100 * here.height, here.mass), "D", color=VERMILLION, markersize=12, label="this body"
        )
        right.set(xlabel="height in cm", ylabel="mass in kg")
        right.set_title(f"{100 * here.height:.0f} cm, {here.mass:.0f} kg")
        right.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)
    return figure


def regressor_figure(smpl: SMPL, joint: str, betas: Float[Tensor, " S"]) -> Figure:
    """The vertices whose weighted mean is a joint, from the front and from the side, and it.

    Each vertex is a dot whose area is its weight. Raises ValueError for a name that isn't a joint.
    """
    index = SMPL_24.index(joint)
    body = smpl(betas=betas)
    weights = smpl.J_regressor[index]
    used = weights.nonzero()[:, 0]
    shift = floor_shift(body.vertices)
    with plt.rc_context(STYLE):
        figure, row = plt.subplots(1, 2, figsize=(8, 4.6), layout="constrained")
        for axes, (name, yaw) in zip(row, {"front": 0.0, "side": np.pi / 2}.items(), strict=True):
            camera = room_camera(yaw, LARGE)
            axes.imshow(
                standing_picture(body.vertices, smpl.faces, camera, opacity=SEE_THROUGH),
                extent=(0, camera.image_size[0], camera.image_size[1], 0),
            )
            dots = camera.project(body.vertices[used] + shift)
            centre = camera.project(body.joints[index : index + 1] + shift)
            for dot in dots:
                axes.plot(*torch.stack([dot, centre[0]]).T, color=BLUE, linewidth=0.8)
            axes.scatter(*dots.T, s=DOT * weights[used], color=BLUE, label="vertices")
            axes.scatter(*centre.T, s=120, marker="X", color=VERMILLION, label=joint, zorder=4)
            axes.set_title(name)
            axes.axis("off")
            _zoom(axes, dots)
        row[0].legend(frameon=False, loc="upper left", markerscale=0.7, fontsize=10)
    return figure


def bent_leg_figure(
    vertices: Float[Tensor, "V 3"],
    faces: Int[Tensor, "F 3"],
    points: Mapping[str, Float[Tensor, "K 3"]],
    title: str,
) -> Figure:
    """The hips and legs of a see-through body from its left, with sets of points by name."""
    camera, shift = room_camera(1.2, enlarged=3), floor_shift(vertices)
    left, top, right, bottom = LEGS
    picture = standing_picture(vertices, faces, camera, opacity=SEE_THROUGH)[top:bottom, left:right]
    corner = torch.tensor([left, top])
    pixels = {name: camera.project(xyz + shift) - corner for name, xyz in points.items()}
    return points_figure({title: picture}, {title: pixels})


def see_through(
    photo: Picture, drawn: Picture, corner: Float[Tensor, " 2"], size: int
) -> UInt8[np.ndarray, "size size 3"]:
    """A square of a photo from ``corner`` (x, y) on, what was drawn over it mixed in by 60 %."""
    left, top = corner.int().tolist()
    window = np.s_[top : top + size, left : left + size]
    return (0.4 * photo[window] + 0.6 * drawn[window]).astype(np.uint8)


def points_figure(
    panels: Mapping[str, Picture],
    points: Mapping[str, Mapping[str, Float[Tensor, "K 2"]]],
    height: float = 4.5,
) -> Figure:
    """Pictures by title with sets of points over each; a marker and a colour for every set.

    points: by the picture's title, then by the name of the set, in pixels of the picture.
    """
    shares = [picture.shape[1] / picture.shape[0] for picture in panels.values()]
    with plt.rc_context(STYLE):
        figure, row = plt.subplots(
            1,
            len(panels),
            figsize=(height * sum(shares) + 2.2, height),
            width_ratios=shares,
            squeeze=False,
            layout="constrained",
        )
        for axes, (title, picture) in zip(row[0], panels.items(), strict=True):
            axes.imshow(picture, extent=(0, picture.shape[1], picture.shape[0], 0))
            for (name, xy), (marker, color) in zip(points[title].items(), MARKERS, strict=False):
                options = {"s": 110, "facecolor": "none", "linewidth": 2.5}
                axes.scatter(*xy.T, marker=marker, edgecolor=color, label=name, **options)
            axes.set_title(title)
            axes.axis("off")
        row[0, -1].legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _colors(shares: Float[Tensor, " V"]) -> Float[Tensor, "V 3"]:
    return torch.from_numpy(plt.get_cmap(SCALE)(shares.numpy())[:, :3]).float()


def _zoom(axes: plt.Axes, dots: Float[Tensor, "K 2"]) -> None:
    """Show the part about the dots, as wide as high."""
    low, high = dots.amin(0), dots.amax(0)
    middle, reach = (low + high) / 2, float((high - low).max()) / 2 + 60
    x, y = middle.tolist()
    axes.set(xlim=(x - reach, x + reach), ylim=(y + reach, y - reach))
