"""The figures of keypoints and of what one wrong one does to a fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from vhlib.body import Keypoints
from vhlib.fitting.robust import RobustKernel
from vhlib.notebook.fit_figures import draw_keypoints, draw_picture, used_points
from vhlib.notebook.mesh_pictures import Picture
from vhlib.notebook.palette import BLUE, STYLE, VERMILLION, line, look


def residual_figure(
    photo: Picture, keypoints: Keypoints, projected: Float[Tensor, "K 2"], times: float = 5.0
) -> Figure:
    """An arrow from each projected point towards the detected one, so many times as long.

    Of the points that a fit uses.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(5.2, 7), layout="constrained")
        draw_picture(axes, photo, keypoints)
        draw_keypoints(axes, keypoints)
        seen = used_points(keypoints)
        start = projected[seen].numpy()
        arrows = times * (keypoints.xy - projected)[seen].numpy()
        options = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.008, "zorder": 4}
        axes.quiver(*start.T, *arrows.T, color="black", edgecolor="white", linewidth=1, **options)
        axes.set_title(f"residuals, {times:g} times as long")
    return figure


def kernel_figure(
    kernels: Mapping[str, RobustKernel], largest: float, limits: tuple[float, float]
) -> Figure:
    """What a residual costs under each kernel, and how hard it pulls; up to limits for both."""
    with plt.rc_context(STYLE):
        figure, (cost, pull) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
        r = torch.linspace(0, largest, 400, dtype=torch.float64)
        for number, (name, kernel) in enumerate(kernels.items()):
            value, slope = kernel(r.square())
            kind = {**line(number), "linewidth": 3, "label": name}
            cost.plot(r, value, **kind)
            pull.plot(r, 2 * r * slope, **kind)
        residual = "residual $r$ in pixels"
        cost.set(ylim=(0, limits[0]), ylabel="cost $\\rho(r^2)$", xlabel=residual)
        pull.set(ylim=(0, limits[1]), ylabel="pull $d\\rho/dr$", xlabel=residual)
        cost.legend(frameon=False)
    return figure


def location_figure(points: Sequence[float], kernels: Mapping[str, RobustKernel]) -> Figure:
    """Energies of one place for many points on a line: where is the least, and is it the only one?

    Each curve is divided by its largest value within the picture.
    """
    data = torch.tensor(points, dtype=torch.float64)
    margin = 0.1 * float(data.max() - data.min())
    x = torch.linspace(float(data.min()) - margin, float(data.max()) + margin, 800).double()
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(10, 3.8), layout="constrained")
        for number, (name, kernel) in enumerate(kernels.items()):
            energy = kernel((x[:, None] - data).square())[0].sum(-1)
            energy, best = energy / energy.max(), int(energy.argmin())
            axes.plot(x, energy, **line(number), linewidth=3, label=name)
            axes.plot(x[best], energy[best], "o", color=line(number)["color"], markersize=11)
        axes.plot(data, np.full(len(data), -0.06), "k^", markersize=9, label="the points")
        axes.set(xlabel="place in pixels", ylabel="energy, its largest = 1", ylim=(-0.12, 1.05))
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def outlier_figure(
    offsets: Sequence[float | int], damage: Mapping[str, Mapping[str, Sequence[float]]]
) -> Figure:
    """How far the body moves from its right place for a point that is wrong by each offset.

    damage: for each point, for each kernel, the mean over joints in mm; a panel for each point.
    """
    with plt.rc_context(STYLE):
        figure, row = plt.subplots(
            1, len(damage), figsize=(10, 4.2), sharey=True, squeeze=False, layout="constrained"
        )
        for axes, (point, by_kernel) in zip(row[0], damage.items(), strict=True):
            for number, (name, values) in enumerate(by_kernel.items()):
                axes.plot(offsets, values, **look(number), linewidth=3, label=name)
            axes.set_yscale("log")
            axes.set(title=f"the {point} is wrong", xlabel="by so many pixels")
        row[0, 0].set_ylabel("mean change of all joints in mm")
        row[0, 0].legend(frameon=False, fontsize=11)
    return figure


def ambiguity_figure(elbow: Float[Tensor, " 3"], wrists: Float[Tensor, "2 3"]) -> Figure:
    """Both places of a wrist on its line of sight that are a forearm away from the elbow.

    Drawn in the plane of the elbow and that line. Points in the camera's axes, metres.
    """
    sight = wrists[1] / wrists[1].norm()
    joint = _in_plane(elbow, sight)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(8, 4.6), layout="constrained")
        looks = zip(wrists, (BLUE, VERMILLION), ("-", "--"), ("nearer", "farther"), strict=True)
        for wrist, color, dash, name in looks:
            ends = np.stack([joint, _in_plane(wrist, sight)])
            axes.plot(*ends.T, dash, marker="o", color=color, linewidth=4, label=f"{name} wrist")
        length = float((wrists[0] - elbow).norm())
        axes.add_patch(plt.Circle(joint, length, fill=False, color="grey"))
        axes.axhline(0.0, color="black", linestyle=":", label="line of sight")
        axes.annotate("elbow", joint, (8, 8), textcoords="offset points")
        axes.set(aspect="equal", xlabel="metres along the line of sight", ylabel="metres beside it")
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _in_plane(point: Float[Tensor, " 3"], sight: Float[Tensor, " 3"]) -> np.ndarray:
    """Coordinates along the line of sight (unit vector from the camera) and beside it."""
    along = point @ sight
    return np.array([float(along), float((point - along * sight).norm())])
