"""What Python does while a keypoint is dragged in ``edit_keypoints``: refit, draw, encode.

    python benchmarks/dragged_keypoint.py

Four keypoints of a frame of the real clip are dragged 100 pixels in steps of 5, one after the
other, each fit warm-started from the last (``LiveFit``). CPU milliseconds on one thread; what the
browser adds is printed by tests/browser/test_keypoint_editor.py.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from measure import print_table, under_both_allocators

from vhlib.body import SMPL, Keypoints
from vhlib.body.skeletons import get_skeleton
from vhlib.data import four_cameras
from vhlib.fitting import fit_smplify
from vhlib.notebook.keypoint_editor import message
from vhlib.notebook.live_fit import LiveFit, body_overlay

CAMERA, FRAME = 1, 60
DRAGGED = {"right_wrist": (-5.0, 3.0), "left_knee": (4.0, -3.0), "nose": (5.0, 0.0)}
DRAGGED |= {"left_ankle": (3.0, 4.0)}
STEPS = 20


def drags(keypoints: Keypoints) -> Iterator[Keypoints]:
    """The keypoints after each step."""
    for name, step in DRAGGED.items():
        index = get_skeleton(keypoints.skeleton).index(name)
        for number in range(1, STEPS + 1):
            xy = keypoints.xy.clone()
            xy[index] += number * torch.tensor(step)
            yield replace(keypoints, xy=xy)


def timed(call: Callable[[], object]) -> tuple[object, float]:
    """The result, and CPU milliseconds."""
    start = time.process_time()
    result = call()
    return result, 1000 * (time.process_time() - start)


def main() -> None:
    smpl, clip = SMPL.load(), four_cameras.load()
    camera, keypoints = clip.cameras[CAMERA].in_own_frame(), clip.keypoints(CAMERA)[FRAME]
    live = LiveFit(smpl, camera, fit_smplify(smpl, camera, keypoints).body_parameters)
    live(keypoints)
    times: dict[str, list[float]] = {"refit": [], "draw the body": [], "encode": []}
    times["all"] = []
    for moved in drags(keypoints):
        last = live.fit.body_parameters
        _, refit = timed(lambda moved=moved, last=last: fit_smplify(smpl, camera, moved, init=last))
        answer, whole = timed(lambda moved=moved: live(moved))
        body = live.fit.body_parameters
        _, draw = timed(lambda body=body: body_overlay(smpl, camera, body, live.overlay_size))
        _, encode = timed(lambda answer=answer: message(0, answer))
        for part, value in zip(times, (refit, draw, encode, whole + encode), strict=True):
            times[part].append(value)
    rows = [
        [part, f"{statistics.median(values):.1f}", f"{max(values):.1f}"]
        for part, values in times.items()
    ]
    print_table(f"A step of a drag, of {len(times['all'])}", ["", "median ms", "worst"], rows)


if __name__ == "__main__":
    under_both_allocators(main)
