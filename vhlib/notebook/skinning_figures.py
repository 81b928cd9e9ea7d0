"""The figures of posing: the chain of joints as frames, skin that follows bones, turns of the root.

Cameras here look at a world with y up. At yaw 0 they see what the rest pose faces: its front.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor
from torch.nn.functional import normalize

from vhlib.body import SMPL, BodyParameters
from vhlib.body.skinning import forward_kinematics
from vhlib.geometry import PerspectiveCamera
from vhlib.geometry.rasterizer import rasterize
from vhlib.notebook.mesh_pictures import Picture, camera_facing, mesh_picture
from vhlib.notebook.palette import BLUE, GREEN, GREY, ORANGE, STYLE, VERMILLION, look

# Metres between a camera and what it looks at; enough for little perspective.
DISTANCE = 5.0
SKIN_OPACITY = 0.4
# Of the pictures with frames: far enough to the side that all three axes are seen.
CHAIN_YAW = 0.65
AXES = {"x": (VERMILLION, "-"), "y": (GREEN, "--"), "z": (BLUE, ":")}
"""Colour and dash of a frame's axes."""
# From the colour of skin to nearly black: darker is more, also on grey paper.
COLORMAP = LinearSegmentedColormap.from_list("skin", ["#dfe5ee", ORANGE, VERMILLION, "#3d0f00"])


@dataclass(frozen=True, eq=False)
class ColoredMesh:
    """A mesh whose vertices (V, 3) carry numbers (V,)."""

    vertices: Float[Tensor, "V 3"]
    values: Float[Tensor, " V"]


def camera_towards(
    target: Float[Tensor, " 3"], width: float, size: tuple[int, int], yaw: float = 0.0
) -> PerspectiveCamera:
    """A level camera that sees ``width`` metres around ``target``, ``yaw`` radians from its left.

    size: of the picture in pixels, width first.
    """
    return camera_facing(target, DISTANCE, size[0] * DISTANCE / width, size, yaw)


# --------------------------------------------------------------------------------------- frames


@torch.no_grad()
def chain_figure(
    smpl: SMPL, bodies: Mapping[str, BodyParameters], framed: list[int], length: float = 0.16
) -> Figure:
    """Single bodies side by side, see-through, with their bones and the frames of some joints.

    framed: the joints whose frames are drawn. length: of a frame's axes, metres.
    """
    with plt.rc_context(STYLE):
        figure, row = plt.subplots(
            1, len(bodies), figsize=(5 * len(bodies), 5), squeeze=False, layout="constrained"
        )
        for axes, (title, body) in zip(row[0], bodies.items(), strict=True):
            mesh = smpl(**vars(body))
            middle = (mesh.vertices.amin(0) + mesh.vertices.amax(0)) / 2
            camera = camera_towards(middle, 1.9, (560, 560), CHAIN_YAW)
            axes.imshow(mesh_picture(mesh.vertices, smpl.faces, camera, opacity=SKIN_OPACITY))
            _draw_chain(axes, camera.project(mesh.joints), smpl.parents.tolist())
            tips = mesh.joints[:, None] + length * world_rotations(smpl, body).mT
            _draw_frames(axes, camera.project(mesh.joints)[framed], camera.project(tips)[framed])
            axes.set_title(title)
            axes.axis("off")
        kinds = [Line2D([], [], color=c, linestyle=d, linewidth=3) for c, d in AXES.values()]
        figure.legend(kinds, AXES, loc="outside lower center", ncols=3, frameon=False)
    return figure


def world_rotations(smpl: SMPL, body: BodyParameters) -> Float[Tensor, "J 3 3"]:
    """The frame of each joint of one body; its axes are the columns."""
    rotations = body.rotations
    return forward_kinematics(rotations, smpl.J_template, smpl.tree)[0]


def _draw_chain(axes: Axes, points: Float[Tensor, "J 2"], parents: list[int]) -> None:
    for joint, parent in enumerate(parents):
        if parent >= 0:
            axes.plot(*points[[parent, joint]].T.numpy(), color="black", linewidth=2)
    axes.plot(*points.T.numpy(), "o", color="black", markersize=4)


def _draw_frames(axes: Axes, origins: Float[Tensor, "K 2"], tips: Float[Tensor, "K 3 2"]) -> None:
    for origin, ends in zip(origins, tips, strict=True):
        for end, (color, dash) in zip(ends, AXES.values(), strict=True):
            line = torch.stack([origin, end]).T.numpy()
            axes.plot(*line, color=color, linestyle=dash, linewidth=3, zorder=3)


# ---------------------------------------------------------------------------------------- skin


def colored_figure(
    faces: Int[Tensor, "F 3"],
    meshes: Mapping[str, ColoredMesh],
    label: str,
    cameras: Mapping[str, PerspectiveCamera],
) -> Figure:
    """Meshes side by side, coloured by their numbers from zero to the largest of all."""
    top = max(float(mesh.values.max()) for mesh in meshes.values())
    scale = ScalarMappable(Normalize(0.0, top), COLORMAP)
    with plt.rc_context(STYLE):
        figure, row = plt.subplots(
            1, len(meshes), figsize=(3.6 * len(meshes), 4), squeeze=False, layout="constrained"
        )
        for axes, (title, mesh) in zip(row[0], meshes.items(), strict=True):
            colors = torch.from_numpy(scale.to_rgba(mesh.values.numpy())[:, :3]).float()
            axes.imshow(mesh_picture(mesh.vertices, faces, cameras[title], colors))
            axes.set_title(title)
            axes.axis("off")
        figure.colorbar(scale, ax=row[0].tolist(), label=label, shrink=0.8)
    return figure


def close_ups_figure(
    faces: Int[Tensor, "F 3"],
    rows: Mapping[str, Mapping[str, Float[Tensor, "V 3"]]],
    camera: PerspectiveCamera,
) -> Figure:
    """Meshes from one camera: a row for each way of posing them, a column for each pose."""
    columns = list(next(iter(rows.values())))
    width, height = camera.image_size
    tall = 2.6 * height / width + 0.3
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(
            len(rows),
            len(columns),
            figsize=(2.6 * len(columns) + 1, tall * len(rows)),
            squeeze=False,
            layout="constrained",
        )
        for line, (name, meshes) in zip(grid, rows.items(), strict=True):
            for axes, vertices in zip(line, meshes.values(), strict=True):
                axes.imshow(mesh_picture(vertices, faces, camera))
                axes.set(xticks=[], yticks=[])
                axes.spines[:].set_visible(False)
            line[0].set_ylabel(name, fontsize=12)
        for axes, title in zip(grid[0], columns, strict=True):
            axes.set_title(title)
    return figure


def ring_figure(
    picture: Picture,
    axis: Float[Tensor, " 3"],
    rest: Float[Tensor, "K 3"],
    posed: Float[Tensor, "K 3"],
) -> Figure:
    """A close-up, and the ring of skin around a bone seen along it: at rest and posed, in mm.

    axis: the bone's direction. rest, posed: the skin's points as seen from a point on the bone.
    """
    across = _plane_across(axis)
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(9, 3.8), width_ratios=(1.6, 1), layout="constrained"
        )
        left.imshow(picture)
        left.axis("off")
        dots = {"linestyle": "none"}
        at_rest, after = (1000 * (points @ across).T.numpy() for points in (rest, posed))
        right.plot(*at_rest, marker="o", color=GREY, markersize=8, label="at rest", **dots)
        right.plot(*after, marker="s", color=VERMILLION, markersize=5, label="posed", **dots)
        right.plot(0, 0, "k+", markersize=14, label="the bone")
        reach = 1.15 * abs(at_rest).max()
        right.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel="mm")
        right.set_title("halfway between the bones", fontsize=12)
        right.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5), fontsize=11)
    return figure


def _plane_across(axis: Float[Tensor, " 3"]) -> Float[Tensor, "3 2"]:
    """Two unit vectors at right angles to ``axis`` and to each other, the second as y as can be."""
    up = torch.tensor([0.0, 1.0, 0.0])
    level = normalize(torch.linalg.cross(up, axis), dim=0)
    return torch.stack([level, normalize(torch.linalg.cross(axis, level), dim=0)], 1)


def radius_figure(
    degrees: Float[Tensor, " T"], ratios: Mapping[str, Float[Tensor, " T"]], trained: float
) -> Figure:
    """What is left of a limb's radius against its twist, a curve for each way of posing it.

    trained: the largest twist in degrees that the correctives were trained on, a dotted line.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(8, 3.8), layout="constrained")
        for number, (name, ratio) in enumerate(ratios.items()):
            options = {"linewidth": 3, "markevery": 4, "markersize": 8}
            axes.plot(degrees, ratio, **look(number), **options, label=name)
        axes.axvline(trained, color=GREY, linestyle=":", linewidth=2)
        axes.annotate(" trained\n up to here", (trained, 0.03), fontsize=11, color="dimgrey")
        axes.set(ylim=(0, 1.1), xlabel="twist in degrees", ylabel="radius, as a share")
        axes.set_xticks([0, 45, 90, 135, 180])
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


# ---------------------------------------------------------------------------------------- root


def turn_figure(
    faces: Int[Tensor, "F 3"],
    got: Float[Tensor, "V 3"],
    wanted: Float[Tensor, "V 3"],
    width: float = 3.4,
) -> Figure:
    """A body filled, and where it should be as a dashed outline; the world's origin is a cross."""
    camera = camera_towards(torch.zeros(3), width, (520, 520))
    covered = (rasterize(wanted, faces, camera).triangle_ids >= 0).double().numpy()
    apart = 1000 * float((got - wanted).norm(dim=-1).max())
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(5.4, 5.8), layout="constrained")
        axes.imshow(mesh_picture(got, faces, camera))
        if covered.any():
            axes.contour(covered, [0.5], colors=VERMILLION, linewidths=2.5, linestyles="--")
        axes.plot(260, 260, "k+", markersize=18, markeredgewidth=2)
        axes.annotate("origin", (260, 260), (8, -16), textcoords="offset points")
        axes.set_title(f"vertices off by up to {apart:.0f} mm")
        axes.axis("off")
        outline = Line2D([], [], color=VERMILLION, linestyle="--", linewidth=2.5)
        words = ["where the turned world has the body"]
        figure.legend([outline], words, loc="outside lower center", frameon=False)
    return figure
