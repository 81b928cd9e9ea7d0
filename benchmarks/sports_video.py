"""Frames of the Sports2D demo video through detector and fit, side by side, to be looked at.

    python benchmarks/sports_video.py --out DIR [--frames 20 60 100 140 180 215]

A person on a wall, walking, running. Prints how well each body meets its keypoints and writes one
picture a frame: the photo with the keypoints, the overlay. Faces are visible: don't publish them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from vhlib.body.skeletons import get_skeleton
from vhlib.data.downloads import fetch
from vhlib.data.videos import read_frames
from vhlib.files import write_atomically
from vhlib.pipelines.photo import PhotoFit, distance_line, fit_photo

COLORS = {"left": (86, 180, 233), "right": (230, 159, 0)}


def picture(result: PhotoFit) -> Image.Image:
    """The photo with its keypoints beside the overlay, cut out around the person."""
    marked = Image.fromarray(result.photo.pixels)
    draw = ImageDraw.Draw(marked)
    names = get_skeleton(result.keypoints.skeleton).names
    for name, (x, y) in zip(names, result.keypoints.xy.tolist(), strict=True):
        color = COLORS.get(name.split("_")[0], (255, 255, 255))
        draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=color)
    left, top, right, bottom = result.keypoints.box().tolist()
    window = tuple(round(v) for v in (left - 60, top - 60, right + 60, bottom + 60))
    halves = [marked.crop(window), Image.fromarray(result.overlay()).crop(window)]
    return Image.fromarray(np.hstack([np.asarray(half) for half in halves]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--frames", type=int, nargs="+", default=[20, 60, 100, 140, 180, 215])
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    (video,) = fetch("sports2d").rglob("demo.mp4")
    for index, frame in zip(
        sorted(options.frames), read_frames(video, options.frames), strict=True
    ):
        source = options.out / f"frame_{index:03}.png"
        Image.fromarray(frame).save(source)
        result = fit_photo(source)
        print(f"frame {index:3}: {distance_line(result.fit, result.keypoints)}")
        with write_atomically(options.out / f"fit_{index:03}.png") as file:
            picture(result).save(file, format="png")


if __name__ == "__main__":
    main()
