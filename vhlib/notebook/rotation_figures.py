"""Figures of rotations: bodies that turn, axes that turn with them, curves of their numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import matplotlib.pyplot as plt
import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from vhlib.body import SMPL, BodyParameters
from vhlib.body.skeletons import SMPL_24
from vhlib.geometry import axis_angle_to_matrix, geodesic_distance
from vhlib.notebook.body_figures import front_camera
from vhlib.notebook.mesh_pictures import Picture, body_picture
from vhlib.notebook.palette import BLUE, GREEN, GREY, STYLE, VERMILLION, line

AXES = {"x": VERMILLION, "y": GREEN, "z": BLUE}
TURNS = {"a": VERMILLION, "b": GREEN, "c": BLUE}

# Where the arrows are looked at from: a little from above and from the body's left.
VIEW = axis_angle_to_matrix(torch.tensor([0.45, 0.0, 0.0])) @ axis_angle_to_matrix(
    torch.tensor([0.0, -0.6, 0.0])
)
PICTURE_WIDTH, HEIGHT = 2.8, 3.6
Blend = Callable[[Tensor, Tensor, float], Tensor]


@dataclass(frozen=True, eq=False)
class Curves:
    """Curves over one axis, by name.

    x: a number for each point; y: of each curve as many; labels: of both axes; at: where a line
    marks the value that is looked at; log: both axes logarithmic.
    """

    x: Sequence[float] | np.ndarray | Tensor
    y: Mapping[str, Sequence[float] | np.ndarray | Tensor]
    labels: tuple[str, str]
    at: float | None = None
    log: bool = False

    def draw(self, axes: Axes) -> None:
        """Every curve with a dash of its own, and a legend if there are several."""
        for number, (name, values) in enumerate(self.y.items()):
            axes.plot(self.x, values, **line(number), linewidth=3, label=name)
        if self.at is not None:
            axes.axvline(self.at, color="black", linewidth=1.5)
        if self.log:
            axes.set(xscale="log", yscale="log")
        else:
            axes.locator_params(axis="x", steps=[1, 2, 5, 10])
        if len(self.y) > 1:
            axes.legend(frameon=False, fontsize=11, handlelength=3)
        axes.set(xlabel=self.labels[0], ylabel=self.labels[1])


def curves_figure(*panels: Curves) -> Figure:
    """Panels of curves side by side."""
    with plt.rc_context(STYLE):
        figure, row = plt.subplots(
            1, len(panels), figsize=(10, HEIGHT), squeeze=False, layout="constrained"
        )
        for axes, curves in zip(row[0], panels, strict=True):
            curves.draw(axes)
    return figure


def pictures_and_curves_figure(pictures: Mapping[str, Picture], curves: Curves) -> Figure:
    """Pictures by title, and curves to the right of them."""
    widths = [PICTURE_WIDTH] * len(pictures) + [max(4.2, 10 - PICTURE_WIDTH * len(pictures))]
    with plt.rc_context(STYLE):
        figure, row = plt.subplots(
            1,
            len(widths),
            figsize=(sum(widths), HEIGHT),
            width_ratios=widths,
            layout="constrained",
        )
        draw_pictures(row[:-1], pictures)
        curves.draw(row[-1])
    return figure


def blends_figure(
    smpl: SMPL, blends: Mapping[str, Blend], ends: tuple[Tensor, Tensor], percent: float | int
) -> Figure:
    """A body on its way between two root rotations by each blend, and how far each has turned.

    A blend takes both rotations (3, 3) and the share of the way, and gives a rotation.
    """
    shares = torch.linspace(0, 1, 41).tolist()
    bodies, gone = {}, {}
    for name, blend in blends.items():
        root = blend(*ends, percent / 100)
        bodies[name] = turned_picture(smpl, rest_with(pelvis=root))
        way = torch.stack([blend(*ends, share) for share in shares])
        gone[name] = geodesic_distance(ends[0], way).rad2deg()
    labels = ("percent of the way", "degrees from the start")
    curves = Curves([100 * share for share in shares], gone, labels, at=float(percent))
    return pictures_and_curves_figure(bodies, curves)


def draw_pictures(row: Iterable[Axes], pictures: Mapping[str, Picture]) -> None:
    """A picture and its title in each axes."""
    for axes, (title, picture) in zip(row, pictures.items(), strict=True):
        axes.imshow(picture)
        axes.set_title(title, fontsize=12)
        axes.axis("off")


def turn_figure(axis_angle: Float[Tensor, " 3"]) -> Figure:
    """The axes x, y and z before a turn, half way and after it, and the paths of their tips.

    The axis that they turn about is drawn in black.
    """
    shares = torch.linspace(0.0, 1.0, 41)
    way = axis_angle_to_matrix(shares[:, None] * axis_angle)
    with plt.rc_context(STYLE):
        figure, row = plt.subplots(1, 3, figsize=(10, HEIGHT), layout="constrained")
        stops = {"at rest": 0, "half way": 20, "turned": 40}
        for axes, (title, last) in zip(row, stops.items(), strict=True):
            for column, color in enumerate(AXES.values()):
                path = np.stack([on_paper(R[:, column]) for R in way[: last + 1]])
                axes.plot(*path.T, ":", color=color, linewidth=2)
            draw_arrows(axes, {"axis": axis_angle / axis_angle.norm()}, {"axis": "black"})
            draw_arrows(axes, dict(zip(AXES, way[last].mT, strict=True)), AXES)
            axes.set_title(title)
    return figure


def gimbal_figure(picture: Picture, turning_axes: Float[Tensor, "3 3"], curve: Curves) -> Figure:
    """A body, the axes about which its three angles turn it (columns), and how well they span."""
    with plt.rc_context(STYLE):
        figure, row = plt.subplots(
            1, 3, figsize=(10, HEIGHT), width_ratios=(1, 1, 1.3), layout="constrained"
        )
        draw_pictures(row[:1], {"the body": picture})
        draw_arrows(row[1], dict(zip(TURNS, turning_axes.mT, strict=True)), TURNS)
        row[1].set_title("axes of the three turns", fontsize=12)
        curve.draw(row[2])
        row[2].set_ylim(0.0, 1.05)
    return figure


def draw_arrows(
    axes: Axes, vectors: Mapping[str, Float[Tensor, " 3"]], colors: Mapping[str, str]
) -> None:
    """Named arrows from the origin, seen in parallel projection; the name stands at the tip."""
    for name, vector in vectors.items():
        tip = on_paper(vector)
        axes.annotate(
            "", tip, (0.0, 0.0), arrowprops={"arrowstyle": "-|>", "color": colors[name], "lw": 3}
        )
        axes.annotate(name, 1.17 * tip, color=colors[name], ha="center", va="center", fontsize=12)
    axes.add_patch(plt.Circle((0.0, 0.0), 1.0, fill=False, color=GREY, linewidth=0.8))
    axes.set(xlim=(-1.35, 1.35), ylim=(-1.35, 1.35), aspect="equal")
    axes.axis("off")


def on_paper(vector: Float[Tensor, " 3"]) -> Float[np.ndarray, " 2"]:
    """Where a point lies in the drawing: x to the right, y up."""
    return (VIEW.to(vector) @ vector)[:2].numpy()


def rest_with(**turns: Float[Tensor, "3 3"]) -> BodyParameters:
    """The mean body at rest, but for the joints that are named with their rotations.

    Raises ValueError for a joint that SMPL doesn't have.
    """
    rotations = torch.eye(3).repeat(len(SMPL_24), 1, 1)
    for joint, rotation in turns.items():
        rotations[SMPL_24.index(joint)] = rotation
    return BodyParameters(torch.zeros(10), rotations[1:], rotations[0], torch.zeros(3))


def turned_picture(
    smpl: SMPL, body: BodyParameters, yaw: float = 0.0, zoom: float = 1.0
) -> Picture:
    """One body in the middle of a small picture, as its root turns it, in a world with y up.

    yaw: how far the camera has walked to the body's left, radians; zoom: 1 holds a T-pose.

    Raises ValueError for a body that holds numbers that aren't finite.
    """
    with torch.no_grad():
        vertices = smpl(**vars(body)).vertices
    if not vertices.isfinite().all():
        raise ValueError("this body can't be drawn: some of its rotations aren't finite")
    middle = (vertices.amin(0) + vertices.amax(0)) / 2
    centred = {**vars(body), "transl": body.transl - middle}
    camera = front_camera(yaw)
    camera = replace(camera, focal_length=zoom * camera.focal_length)
    return body_picture(smpl, BodyParameters(**centred), camera)
