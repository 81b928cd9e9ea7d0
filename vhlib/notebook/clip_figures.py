"""The figures of a fitted clip: a joint through time, chosen frames from the front and the side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from vhlib.body import SMPL, BodyParameters
from vhlib.data.four_cameras import FourCameraClip
from vhlib.data.photos import Photo
from vhlib.notebook.clips import StandInClip
from vhlib.notebook.fit_figures import cropped, side_camera
from vhlib.notebook.mesh_pictures import body_picture
from vhlib.notebook.palette import STYLE, line
from vhlib.pipelines.photo import draw_overlay

# Of the pictures from the side, pixels.
SIDE = (900, 1150)


def depth_figure(depths: Mapping[str, Float[Tensor, " T"]], fps: float | int) -> Figure:
    """The depth of one joint against time, a curve for each fit; the last one is the reference."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(9, 4), layout="constrained")
        for number, (name, depth) in enumerate(depths.items()):
            kind = line(number)
            if number == len(depths) - 1:
                kind = {"color": "black", "linestyle": ":"}
            axes.plot(np.arange(len(depth)) / fps, depth, **kind, linewidth=2.5, label=name)
        axes.set(xlabel="time in seconds", ylabel="depth in metres")
        axes.legend(frameon=False)
    return figure


def frames_figure(
    smpl: SMPL,
    clip: FourCameraClip | StandInClip,
    view: int,
    bodies: BodyParameters,
    frames: Sequence[int],
    errors: Float[Tensor, " T"],
) -> Figure:
    """Chosen frames with the body over them, and the body from the side; errors in millimetres."""
    room = clip.cameras[view]
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(
            1, 2 * len(frames), figsize=(3.1 * len(frames), 4.0), layout="constrained"
        )
        for (front, side), frame in zip(grid.reshape(-1, 2), frames, strict=True):
            body = bodies[frame]
            overlay = draw_overlay(Photo(clip.frame(view, frame)), smpl, room.in_own_frame(), body)
            front.imshow(cropped(overlay, clip.keypoints(view)[frame]))
            front.set_title(f"frame {frame}: {errors[frame]:.0f} mm", fontsize=11, loc="left")
            side.imshow(body_picture(smpl, body, side_camera(room, body.transl, SIDE)))
            front.axis("off")
            side.axis("off")
    return figure
