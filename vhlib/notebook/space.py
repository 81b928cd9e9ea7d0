"""Cameras and people in a room: a figure to turn by hand, and a picture where that can't be."""

from __future__ import annotations

import math
import sys
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from IPython.display import display
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from vhlib.body.skeletons import get_skeleton
from vhlib.geometry import PerspectiveCamera
from vhlib.notebook.figures import encoded, require_words
from vhlib.notebook.palette import GREY

PLOTLY = "application/vnd.plotly.v1+json"
DASHES = {"-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"}


@dataclass(frozen=True, eq=False)
class Strokes:
    """Lines in space that belong together.

    paths: each (n, 3), metres, z up. name: in the legend; none if empty. label: words at the first
    point.
    """

    paths: Sequence[np.ndarray]
    color: str
    name: str = ""
    dash: str = "-"
    label: str = ""

    @property
    def joined(self) -> Float[np.ndarray, "n 3"]:
        """All paths as one, interrupted by rows of NaN."""
        gap = np.full((1, 3), np.nan)
        return np.concatenate([part for path in self.paths for part in (path, gap)])


def frustum(camera: PerspectiveCamera, label: str, depth: float = 0.6) -> Strokes:
    """A camera as the pyramid that it sees; a line leads to its upper edge. ``depth`` in metres."""
    width, height = camera.image_size
    pixels = np.array([[0, 0], [width, 0], [width, height], [0, height], [0, 0], [width / 2, 0]])
    centre, focal = (part.numpy() for part in (camera.principal_point, camera.focal_length))
    rays = np.concatenate([(pixels - centre) / focal, np.ones((len(pixels), 1))], 1) * depth
    to_world = np.linalg.inv(camera.T_camera_world.numpy().astype(np.float64))
    *corners, up = rays @ to_world[:3, :3].T + to_world[:3, 3]
    apex = to_world[:3, 3]
    rim, sides = np.stack(corners), [np.stack([apex, corner]) for corner in corners[:4]]
    return Strokes([np.stack([apex, up]), rim, *sides], GREY, label=label)


def bones(
    points: Float[Tensor, "K 3"], skeleton: str, color: str, name: str, dash: str = "-"
) -> Strokes:
    """A skeleton in the room; bones with an end that isn't finite are left out."""
    named = get_skeleton(skeleton)
    places = points.detach().cpu().double().numpy()
    pairs = [places[named.indices(*edge)] for edge in named.edges]
    return Strokes([pair for pair in pairs if np.isfinite(pair).all()], color, name, dash)


def show_space(strokes: Sequence[Strokes], alt: str, height: int = 480) -> None:
    """Display the strokes as a plotly figure that turns; stored pages and GitHub show a picture.

    Raises ValueError if ``alt`` says nothing.
    """
    require_words(alt)
    turning = space_figure(strokes, height)
    if "google.colab" in sys.modules:  # shows plotly's figures in its own way only
        turning.show()
        return
    still = b64encode(encoded(space_still(strokes), "png", {})).decode()
    # plotly's own first: a page shows the richest that it knows.
    data = {PLOTLY: turning.to_plotly_json(), "image/png": still, "text/plain": alt}
    display(data, metadata={"image/png": {"alt": alt}}, raw=True)


def space_figure(strokes: Sequence[Strokes], height: int) -> go.Figure:
    """Equal scales on all axes, dragged to turn."""
    figure = go.Figure()
    for one in strokes:
        # JSON has no NaN: None interrupts a line there. Millimetres are enough.
        x, y, z = ([None if math.isnan(v) else round(v, 3) for v in row] for row in one.joined.T)
        texts = [one.label] + [""] * (len(x) - 1)
        figure.add_scatter3d(
            x=x,
            y=y,
            z=z,
            mode="lines+text" if one.label else "lines",
            text=texts if one.label else None,
            line={"color": one.color, "width": 5, "dash": DASHES[one.dash]},
            name=one.name,
            showlegend=bool(one.name),
            hoverinfo="skip",
        )
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        legend={"x": 0.02, "y": 0.98},
        scene={
            "aspectmode": "data",
            "xaxis_title": "x (m)",
            "yaxis_title": "y (m)",
            "zaxis_title": "z (m)",
            "camera": {
                "eye": {"x": 1.05, "y": -1.5, "z": 0.7},
                "center": {"x": 0, "y": 0, "z": -0.1},
            },
        },
    )
    return figure


def space_still(strokes: Sequence[Strokes]) -> Figure:
    """The same seen from one side."""
    figure = Figure(figsize=(7.5, 5), layout="constrained")
    axes = figure.add_subplot(projection="3d", computed_zorder=False)
    for one in strokes:
        axes.plot(*one.joined.T, color=one.color, linestyle=one.dash, label=one.name or None)
        if one.label:
            axes.text(*one.joined[0], one.label)
    everything = np.concatenate([one.joined for one in strokes])
    extent = np.nanmax(everything, 0) - np.nanmin(everything, 0)
    axes.set_box_aspect(np.maximum(extent, 0.1), zoom=1.2)
    axes.set(xlabel="x (m)", ylabel="y (m)", zlabel="z (m)")
    axes.view_init(elev=22, azim=-55)
    if any(one.name for one in strokes):
        axes.legend(loc="upper left")
    return figure
