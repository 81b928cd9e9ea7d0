"""BlazePose's two networks through LiteRT: where people are, and the 33 points of one person.

Bazarevsky et al. 2020, "BlazePose: On-device Real-time Body Pose tracking". The networks come from
the registry package mediapipe 0.10.21 (Apache-2.0, Google), which isn't installed: only its model
files are read, and only LiteRT runs them. Everything happens on this machine.

Regions, anchors, thresholds and the refinement by heat maps follow mediapipe's graphs. Two things
differ by intent. Pixels are averaged before a large picture is made small; mediapipe skips between
them. And crops are sampled at pixel centres; mediapipe's CPU path is off by half a pixel of the
crop, up to two pixels of a photo.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image
from scipy.special import expit

from vhlib.data.downloads import fetch
from vhlib.data.regions import Region, sample

DETECTOR_SIZE, LANDMARK_SIZE = 224, 256
MIN_SCORE = 0.5
# Boxes of one head; mediapipe's min_suppression_threshold.
_SAME_BOX = 0.3
# mediapipe's RectTransformationCalculator: a little air around the circle that holds the body.
_REGION_SCALE = 1.25
_HEAT_RADIUS, _MIN_HEAT = 3, 0.5
_POINTS = 33


class DetectorUnavailable(OSError):
    """LiteRT, which runs the detector, isn't installed or has no build for this platform."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """Somebody may be here: a score in [0, 1] and the square that holds the whole body."""

    score: float
    region: Region


@dataclass(frozen=True, eq=False)
class Landmarks:
    """What the second network says about one region, left and right as it believes.

    Args:
        points: (33, 2) in [0, 1] of the region.
        visibility: (33,) in [0, 1]: seen, neither hidden nor outside.
        world: (33, 3) metres, mid-hip at the origin, x right, y down, z away, upright as the photo.
        mask: (256, 256) in [0, 1], the person's share of each pixel of the region.
        score: in [0, 1]: is there a person at all?
    """

    points: Float[np.ndarray, "33 2"]
    visibility: Float[np.ndarray, " 33"]
    world: Float[np.ndarray, "33 3"]
    mask: Float[np.ndarray, "256 256"]
    score: float


class _Network:
    """One model file in memory; an interpreter serves one caller at a time."""

    def __init__(self, path: Path) -> None:
        interpreter_class = _interpreter_class()
        with _without_native_messages():
            self._interpreter = interpreter_class(
                model_path=str(path), num_threads=min(os.cpu_count() or 1, 4)
            )
            self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = [output["index"] for output in self._interpreter.get_output_details()]
        self._lock = Lock()

    def __call__(self, picture: Float[np.ndarray, "size size 3"]) -> list[np.ndarray]:
        with self._lock:
            self._interpreter.set_tensor(self._input, picture[None].astype(np.float32))
            self._interpreter.invoke()
            return [self._interpreter.get_tensor(output)[0] for output in self._outputs]


def _interpreter_class() -> type:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        raise DetectorUnavailable(
            "finding people in a photo needs LiteRT: pip install 'vhlib[detect]' (there is no "
            "build for Intel Macs and 32-bit systems; there, give keypoints from a file)"
        ) from None
    return Interpreter


@contextmanager
def _without_native_messages() -> Iterator[None]:
    """LiteRT greets on the process's stderr, past Python; no setting of it turns that off."""
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


@cache
def _network(member: str) -> _Network:
    _interpreter_class()
    return _Network(fetch("mediapipe") / "mediapipe" / "modules" / member)


def load_networks() -> None:
    """Read both networks now rather than on first use, downloading them if they aren't cached.

    Raises:
        DetectorUnavailable: LiteRT isn't installed.
        DataUnavailable: the networks are neither cached nor downloadable now.
    """
    _network("pose_detection/pose_detection.tflite")
    _network("pose_landmark/pose_landmark_full.tflite")


def find_candidates(picture: Image.Image, tile: Region) -> list[Candidate]:
    """People in one upright square of a picture, best first.

    The network looks for heads, and for the middle of the hips with a circle around the body.
    """
    pixels = sample(picture, tile, DETECTOR_SIZE)
    detector = _network("pose_detection/pose_detection.tflite")
    values, logits = detector(pixels / np.float32(127.5) - 1)
    scores = expit(logits[:, 0])
    likely = scores > MIN_SCORE
    scores = scores[likely]
    # Each row: centre and size of the head's box, then four points; all relative to the anchor.
    rows = values[likely].reshape(-1, 6, 2).astype(float) / DETECTOR_SIZE
    rows[:, [0, 2, 3, 4, 5]] += _anchors()[likely][:, None]
    boxes = np.concatenate([rows[:, 0] - rows[:, 1] / 2, rows[:, 0] + rows[:, 1] / 2], axis=1)
    found = []
    for group in _same_person(boxes, scores):
        points = np.average(rows[group, 2:], axis=0, weights=scores[group])
        hips, rim = tile.to_picture(points[:2])
        found.append(Candidate(float(scores[group].max()), _body_region(hips, rim)))
    return found


@cache
def _anchors() -> Float[np.ndarray, "2254 2"]:
    """Centres in [0, 1] that the detector's answers refer to: 28x28 and 14x14 twice, 7x7 six times.

    The last three layers of mediapipe's SSD have one stride and share a grid.
    """
    grids = []
    for stride, per_cell in ((8, 2), (16, 2), (32, 6)):
        cells = DETECTOR_SIZE // stride
        y, x = np.mgrid[:cells, :cells]
        centres = (np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5) / cells
        grids.append(np.repeat(centres, per_cell, axis=0))
    return np.concatenate(grids)


def _same_person(
    boxes: Float[np.ndarray, "n 4"], scores: Float[np.ndarray, " n"]
) -> Iterator[Int[np.ndarray, " _"]]:
    """Non-maximum suppression that keeps whom it suppresses: indices of one head, best first."""
    remaining = np.argsort(-scores)
    while len(remaining):
        same = _overlap(boxes[remaining[0]], boxes[remaining]) > _SAME_BOX
        same[0] = True
        yield remaining[same]
        remaining = remaining[~same]


def _overlap(
    box: Float[np.ndarray, " 4"], boxes: Float[np.ndarray, "n 4"]
) -> Float[np.ndarray, " n"]:
    """Intersection over union of one box with several."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = sides.clip(min=0).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return shared / ((box[2:] - box[:2]).prod() + areas - shared)


def _body_region(hips: Float[np.ndarray, " 2"], rim: Float[np.ndarray, " 2"]) -> Region:
    """The square around the circle about the hips; ``rim``, over the head, is turned up."""
    x, y = rim - hips
    side = 2 * _REGION_SCALE * float(np.hypot(x, y))
    return Region((float(hips[0]), float(hips[1])), side, float(np.arctan2(x, -y)))


def read_landmarks(crop: UInt8[np.ndarray, "256 256 3"], region: Region) -> Landmarks:
    """The 33 points of the person in a crop, which is ``sample(picture, region, 256)``."""
    network = _network("pose_landmark/pose_landmark_full.tflite")
    values, score, mask, heat_maps, world = network(crop / np.float32(255))
    # Six more points, 33 to 38, tell mediapipe where the person will be in the next frame.
    rows = values.reshape(-1, 5)[:_POINTS].astype(float)
    points = _refined(rows[:, :2] / LANDMARK_SIZE, expit(heat_maps[..., :_POINTS]))
    world = world.reshape(-1, 3)[:_POINTS].astype(float)
    upright = np.concatenate([world[:, :2] @ region.rotation.T, world[:, 2:]], axis=1)
    return Landmarks(points, expit(rows[:, 3]), upright, expit(mask[..., 0]), float(score[0]))


def _refined(
    points: Float[np.ndarray, "33 2"], heat_maps: Float[np.ndarray, "size size 33"]
) -> Float[np.ndarray, "33 2"]:
    """Each point moved to the mean of the heat around it, where there is heat.

    mediapipe's RefineLandmarksFromHeatmapCalculator: a cell's place is its index, not its middle,
    which is how the network was trained (mirrored crops give mirrored points only so).
    """
    size, width = len(heat_maps), 2 * _HEAT_RADIUS + 1
    cells = np.floor(points * size).astype(int)
    inside = ((cells >= 0) & (cells < size)).all(axis=1)
    x, y = cells.clip(0, size - 1).T
    margin = (_HEAT_RADIUS, _HEAT_RADIUS)
    padded = np.pad(heat_maps, (margin, margin, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (width, width), axis=(0, 1))
    heat = windows[y, x, np.arange(len(points))]
    strong = inside & (heat.max(axis=(1, 2)) >= _MIN_HEAT)
    total = heat[strong].sum(axis=(1, 2))
    offsets = np.arange(-_HEAT_RADIUS, _HEAT_RADIUS + 1)
    right = (heat[strong].sum(axis=1) * offsets).sum(axis=1) / total
    down = (heat[strong].sum(axis=2) * offsets).sum(axis=1) / total
    refined = points.copy()
    refined[strong] = (cells[strong] + np.stack([right, down], axis=1)) / size
    return refined
