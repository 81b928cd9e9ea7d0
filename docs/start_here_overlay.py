"""Draw docs/images/start_here_overlay.jpg, the README's picture, with notebook 00's own figures.

    python docs/start_here_overlay.py

The frame is from Pose2Sim's demo clip (D. Pagnon and contributors, BSD-3-Clause), the subject's
face hidden by its makers.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from vhlib.body import SMPL
from vhlib.data import four_cameras
from vhlib.data.photos import Photo
from vhlib.files import write_atomically
from vhlib.fitting import fit_smplify
from vhlib.notebook.figures import JPEG_QUALITY, encoded
from vhlib.notebook.fit_figures import draw_keypoints, draw_picture, side_camera
from vhlib.notebook.mesh_pictures import body_picture
from vhlib.pipelines.photo import draw_overlay

CAMERA, FRAME = 1, 60
TARGET = Path(__file__).parent / "images" / "start_here_overlay.jpg"


def banner() -> Figure:
    """Photo, keypoints, fitted body and the body from the side, in a row."""
    smpl, clip = SMPL.load(), four_cameras.load()
    photo, keypoints = clip.frame(CAMERA, FRAME), clip.keypoints(CAMERA)[FRAME]
    camera = clip.cameras[CAMERA].in_own_frame()
    body = fit_smplify(smpl, camera, keypoints).body_parameters
    drawn = draw_overlay(Photo(photo), smpl, camera, body)
    side = body_picture(smpl, body, side_camera(clip.cameras[CAMERA], body.transl, (1200, 1400)))
    side = trimmed(side)
    widths = (1, 1, 1, side.shape[1] / side.shape[0])
    figure, row = plt.subplots(
        1, 4, figsize=(3 * sum(widths), 3.3), width_ratios=widths, layout="constrained"
    )
    for axes, picture in zip(row[:3], (photo, photo, drawn), strict=True):
        draw_picture(axes, picture, keypoints)
    row[1].images[0].set_alpha(0.45)
    draw_keypoints(row[1], keypoints)
    row[3].imshow(side)
    row[3].axis("off")
    titles = ("one photo", "its keypoints", "a fitted body", "from the side")
    for axes, title in zip(row, titles, strict=True):
        axes.set_title(title, fontsize=14)
    return figure


def trimmed(picture: np.ndarray) -> np.ndarray:
    """A picture without its white edges."""
    rows, columns = np.nonzero((picture < 255).any(axis=-1))
    return picture[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


if __name__ == "__main__":
    with write_atomically(TARGET) as file:
        file.write(encoded(banner(), "jpeg", {"quality": JPEG_QUALITY}))
