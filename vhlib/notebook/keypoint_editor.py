"""A photo whose keypoints can be dragged, and over it what a fit makes of them meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from anywidget import AnyWidget
from jaxtyping import Float, UInt8
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor
from traitlets import Bytes, Dict

from vhlib.body import Keypoints
from vhlib.body.skeletons import get_skeleton
from vhlib.notebook.controls import display_widget, host_metadata
from vhlib.notebook.figures import JPEG_QUALITY, encoded, require_words
from vhlib.notebook.fit_figures import (
    crop_window,
    draw_bones,
    draw_keypoints,
    draw_picture,
    point_colors,
    used_points,
)
from vhlib.notebook.mesh_pictures import Picture

# Room about the person to drag points into, as a share of the person's height.
MARGIN = 0.15
# The longer side of the photo as it is sent to the page, in pixels.
LARGEST_SIDE = 1200

Number = float | int
Box = tuple[Number, Number, Number, Number]


@dataclass(frozen=True, eq=False)
class Overlay:
    """A picture, RGB or RGBA, and the box of the photo that it covers.

    box: left, top, right, bottom in the photo's pixels; the picture may have fewer of its own.
    """

    picture: UInt8[np.ndarray, "height width channels"]
    box: Box


@dataclass(frozen=True, eq=False)
class EditorAnswer:
    """What is drawn over the photo: the fit's points (K, 2) in its pixels, a picture and words."""

    projected: Float[Tensor, "K 2"] | None = None
    overlay: Overlay | None = None
    text: str = ""


Refit = Callable[[Keypoints], EditorAnswer]


def edit_keypoints(photo: Picture, keypoints: Keypoints, refit: Refit, alt: str) -> None:
    """Show one person's keypoints on the photo; while one is dragged, show ``refit(keypoints)``.

    At most one call is under way, and the next one takes the latest positions. What ``refit``
    raises is said in words. A page without a kernel shows the first answer, described by ``alt``.

    Raises:
        ValueError: ``alt`` says nothing, or these aren't one person's keypoints.
    """
    require_words(alt)
    if keypoints.confidence.ndim != 1:
        batch = tuple(keypoints.confidence.shape[:-1])
        raise ValueError(f"one person's keypoints can be edited, found batch axes {batch}")
    answer = refit(keypoints)
    still = encoded(still_figure(photo, keypoints, answer), "jpeg", {"quality": JPEG_QUALITY})
    editor = KeypointEditor(photo, keypoints, refit, answer, alt)
    display_widget(editor, still, alt, host_metadata(editor))


class KeypointEditor(AnyWidget):
    """The live part of ``edit_keypoints``; keypoint_editor.js is the other half.

    The page writes ``asked``: a serial number and all positions; Python writes ``answer`` with the
    same number. Positions are pixels of the photo.
    """

    _esm = Path(__file__).with_suffix(".js")
    _css = Path(__file__).with_suffix(".css")
    photo = Bytes().tag(sync=True)
    scene = Dict().tag(sync=True)
    asked = Dict().tag(sync=True, echo_update=False)
    answer = Dict().tag(sync=True)

    def __init__(
        self, photo: Picture, keypoints: Keypoints, refit: Refit, answer: EditorAnswer, alt: str
    ):
        self._refit = refit
        self._start = keypoints
        box = crop_window(keypoints, photo, MARGIN)
        super().__init__(
            photo=_photo_file(photo, box),
            scene=_scene(keypoints, box, alt),
            asked={"serial": 0, "xy": keypoints.xy.tolist()},
            answer=message(0, answer),
        )
        self.observe(self._asked, names="asked")

    @property
    def keypoints(self) -> Keypoints:
        """Where the points are now."""
        xy = torch.tensor(self.asked["xy"], dtype=self._start.xy.dtype)
        return replace(self._start, xy=xy)

    def _asked(self, _change: object) -> None:
        try:
            answer = self._refit(self.keypoints)
        except Exception as error:  # the page has no other place where it could be seen
            kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
            answer = EditorAnswer(text=f"{kind}{error}")
        self.answer = message(self.asked["serial"], answer)


def still_figure(photo: Picture, keypoints: Keypoints, answer: EditorAnswer) -> Figure:
    """The editor as a picture: photo, overlay, the fit's skeleton and the keypoints.

    Without the words, which may tell the time that a fit took on some machine.
    """
    left, top, right, bottom = crop_window(keypoints, photo, MARGIN)
    height = 6.0
    width = height * (right - left) / (bottom - top)
    figure, axes = plt.subplots(figsize=(width, height), layout="constrained")
    draw_picture(axes, photo, keypoints, MARGIN)
    if answer.overlay is not None:
        x0, y0, x1, y1 = answer.overlay.box
        axes.imshow(answer.overlay.picture, extent=(x0, x1, y1, y0), zorder=2)
        axes.set(xlim=(left, right), ylim=(bottom, top))
    if answer.projected is not None:
        draw_bones(axes, answer.projected, get_skeleton(keypoints.skeleton), "black")
    draw_keypoints(axes, keypoints)
    return figure


def _photo_file(photo: Picture, box: Box) -> bytes:
    """The part of the photo in the box as a JPEG of moderate size."""
    left, top, right, bottom = box
    scale = min(1.0, LARGEST_SIDE / max(right - left, bottom - top))
    size = round(scale * (right - left)), round(scale * (bottom - top))
    part = Image.fromarray(photo).resize(size, Image.Resampling.BICUBIC, box=box, reducing_gap=3)
    return _picture_file(part, "jpeg", quality=JPEG_QUALITY)


def _scene(keypoints: Keypoints, box: Box, alt: str) -> dict[str, object]:
    """What stays as it is: the box, the names and looks of the points, the lines between them."""
    skeleton = get_skeleton(keypoints.skeleton)
    left, top, right, bottom = box
    inside = [
        confidence > 0 and left <= x <= right and top <= y <= bottom
        for (x, y), confidence in zip(
            keypoints.xy.tolist(), keypoints.confidence.tolist(), strict=True
        )
    ]
    return {
        "alt": alt,
        "box": list(box),
        "start": keypoints.xy.tolist(),
        "names": [name.replace("_", " ") for name in skeleton.names],
        "colors": point_colors(skeleton),
        "edges": skeleton.edge_indices.tolist(),
        "confidence": keypoints.confidence.tolist(),
        "shown": inside,
        "used": used_points(keypoints).tolist(),
    }


def message(serial: int, answer: EditorAnswer) -> dict[str, object]:
    """An answer as the page takes it."""
    content = {"serial": serial, "text": answer.text, "projected": None, "picture": None}
    if answer.projected is not None:
        content["projected"] = answer.projected.tolist()
    if answer.overlay is not None:
        transparent = answer.overlay.picture.shape[2] == 4
        kind, options = (
            ("png", {"compress_level": 1}) if transparent else ("jpeg", {"quality": JPEG_QUALITY})
        )
        content["picture"] = _picture_file(Image.fromarray(answer.overlay.picture), kind, **options)
        content["picture_type"] = f"image/{kind}"
        content["picture_box"] = list(answer.overlay.box)
    return content


def _picture_file(picture: Image.Image, kind: str, **options: int) -> bytes:
    file = BytesIO()
    picture.save(file, format=kind, **options)
    return file.getvalue()
