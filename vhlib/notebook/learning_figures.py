"""Figures of training a body: meshes and fields on them, errors by number of components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from jaxtyping import Float, Int
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor

from vhlib.geometry import PerspectiveCamera
from vhlib.geometry.rendering import CLAY
from vhlib.notebook.body_figures import DISTANCE
from vhlib.notebook.mesh_pictures import Color, Picture, camera_facing, mesh_picture
from vhlib.notebook.palette import BLUE, GREY, STYLE, VERMILLION, line, look

FIELD_COLORS = "YlGnBu"  # pale yellow to dark blue: told apart with any colour vision, and in grey
WINDOW = (420, 450)  # pixels of one mesh's picture
BODY_HEIGHT = 2.1  # metres that fit into a picture of a whole body
# Square points of a regressor's dots for a weight of one, and the smallest and largest drawn.
DOT_AREA, LEAST_DOT, LARGEST_DOT = 400.0, 10.0, 120.0


def framing_camera(
    middle: Float[Tensor, " 3"], metres: float | int = BODY_HEIGHT, yaw: float = 0.0
) -> PerspectiveCamera:
    """A camera before the body that shows ``metres`` of it from top to bottom about a point."""
    return camera_facing(middle, DISTANCE, WINDOW[1] * DISTANCE / metres, WINDOW, yaw)


def framed_picture(
    vertices: Float[Tensor, "V 3"],
    faces: Int[Tensor, "F 3"],
    camera: PerspectiveCamera | None = None,
    color: Color = CLAY,
) -> Picture:
    """One mesh on white; without a camera the whole body from the front."""
    middle = (vertices.amin(0) + vertices.amax(0)) / 2
    return mesh_picture(vertices, faces, camera or framing_camera(middle), color)


def field_colors(millimetres: Float[Tensor, " V"], largest: float | int) -> Float[Tensor, "V 3"]:
    """A colour for each vertex: pale at zero, dark at ``largest`` and beyond."""
    share = (millimetres / largest).clamp(0, 1).numpy()
    return torch.from_numpy(colormaps[FIELD_COLORS](share)[:, :3]).float()


def field_figure(
    panels: Mapping[str, tuple[Float[Tensor, "V 3"], Float[Tensor, " V"] | None]],
    faces: Int[Tensor, "F 3"],
    label: str,
    largest: float | int,
    camera: PerspectiveCamera | None = None,
) -> Figure:
    """Meshes side by side, each with its own millimetres per vertex as colours, or none.

    One bar named ``label`` goes from zero to ``largest`` millimetres.
    """
    with plt.rc_context(STYLE):
        figure, row = plt.subplots(
            1, len(panels), figsize=(3.4 * len(panels), 3.9), squeeze=False, layout="constrained"
        )
        for axes, (title, (mesh, values)) in zip(row[0], panels.items(), strict=True):
            color = CLAY if values is None else field_colors(values, largest)
            axes.imshow(framed_picture(mesh, faces, camera, color))
            axes.set_title(title, fontsize=12)
            axes.axis("off")
        scale = ScalarMappable(Normalize(0, largest), FIELD_COLORS)
        figure.colorbar(scale, ax=list(row[0]), label=label, shrink=0.8, extend="max")
    return figure


def components_figure(
    curves: Mapping[str, Mapping[int, float]],
    training: Mapping[str, Mapping[int, float]],
) -> Figure:
    """Mean vertex error in metres by number of components: held-out people and trained-on ones."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
        for number, (name, errors) in enumerate(curves.items()):
            axes.plot(*_millimetres(errors), **look(number), label=f"held out, {name}")
        for number, (name, errors) in enumerate(training.items(), start=len(curves)):
            style = {**look(number), "color": "black", "linestyle": ":", "marker": "x"}
            axes.plot(*_millimetres(errors), **style, label=f"trained on, {name}")
        axes.set(xlabel="components kept", ylabel="mean vertex error, mm", yscale="log")
        axes.set_yticks([0.5, 1, 2, 5, 10, 20, 40], labels=["0.5", "1", "2", "5", "10", "20", "40"])
        axes.legend(frameon=False)
    return figure


def _millimetres(errors: Mapping[int, float]) -> tuple[list[int], list[float]]:
    return list(errors), [1000 * error for error in errors.values()]


def likeness_figure(cosines: Float[Tensor, "A B"], names: tuple[str, str]) -> Figure:
    """How far the directions of two spaces agree: |cosine| as shade and as number."""
    shades = cosines.abs().numpy()
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(5.6, 4.8), layout="constrained")
        axes.imshow(shades, cmap="Blues", vmin=0, vmax=1)
        for (row, column), value in np.ndenumerate(shades):
            if value >= 0.2:
                color = "white" if value > 0.6 else "black"
                axes.text(column, row, f"{value:.1f}", color=color, ha="center", va="center")
        axes.set_xticks(range(shades.shape[1]), range(1, shades.shape[1] + 1))
        axes.set_yticks(range(shades.shape[0]), range(1, shades.shape[0] + 1))
        axes.set(xlabel=f"direction of {names[1]}", ylabel=f"direction of {names[0]}")
    return figure


def regressor_figure(
    mesh: Float[Tensor, "V 3"],
    faces: Int[Tensor, "F 3"],
    weights: Mapping[str, Float[Tensor, " V"]],
    joint: Float[Tensor, " 3"],
    metres: float | int = 0.6,
) -> Figure:
    """Which vertices a joint is the weighted sum of: dots that grow with the weights, up to a size.

    Positive weights are blue discs, negative ones orange crosses, a star is the joint.
    """
    camera = framing_camera(joint, metres, yaw=0.4)
    picture, star = framed_picture(mesh, faces, camera), camera.project(joint[None].float())
    with plt.rc_context(STYLE):
        figure, row = plt.subplots(
            1, len(weights), figsize=(4.2 * len(weights), 4.6), squeeze=False, layout="constrained"
        )
        for axes, (title, regressor) in zip(row[0], weights.items(), strict=True):
            axes.imshow(picture, extent=(0, WINDOW[0], WINDOW[1], 0), alpha=0.45)
            for sign, color, marker in ((1, BLUE, "o"), (-1, VERMILLION, "X")):
                chosen = torch.nonzero(sign * regressor > 0).flatten()
                if not len(chosen):
                    continue
                area = (DOT_AREA * regressor[chosen].abs()).clamp(LEAST_DOT, LARGEST_DOT)
                where = camera.project(mesh[chosen].float())
                axes.scatter(*where.T, s=area, color=color, marker=marker, alpha=0.6, linewidths=0)
            axes.plot(*star[0], marker="*", color="black", markersize=16)
            axes.set(xlim=(0, WINDOW[0]), ylim=(WINDOW[1], 0))
            axes.set_title(title, fontsize=12)
            axes.axis("off")
    return figure


def ridge_figure(
    ridges: Sequence[float],
    errors: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    without: float,
) -> Figure:
    """Mean vertex error of posed bodies in millimetres by ridge: trained-on poses and held-out.

    errors: for each way of training the errors at every ridge, (trained on, held out). A line marks
    skinning ``without`` correctives.
    """
    with plt.rc_context(STYLE):
        figure, row = plt.subplots(
            1,
            len(errors),
            figsize=(4.6 * len(errors), 3.8),
            sharey=True,
            squeeze=False,
            layout="constrained",
        )
        for axes, (name, (trained_on, held_out)) in zip(row[0], errors.items(), strict=True):
            axes.axhline(without, color=GREY, linewidth=1.5, label="no correctives")
            axes.plot(ridges, trained_on, **line(1), marker="s", label="poses trained on")
            axes.plot(ridges, held_out, **line(0), marker="o", label="poses held out")
            axes.set(xscale="log", xlabel="ridge", title=name, ylim=(0, None))
        row[0, 0].set_ylabel("mean vertex error, mm")
        row[0, -1].legend(frameon=False)
    return figure
