"""The detector against mediapipe's own answers and against OpenPose, and how long it takes.

    python benchmarks/detector.py                       # against the stored answers
    python benchmarks/detector.py --mediapipe PYTHON    # ask mediapipe again and store its answers

PYTHON belongs to an environment of its own, since mediapipe 0.10.21 needs numpy 1:

    python3.11 -m venv mp && mp/bin/pip install mediapipe==0.10.21

Three tables. Distance to mediapipe in shares of the person's height, and overlap of the masks.
Share of frames with left and right exchanged, judged by OpenPose: the first look of the network,
what `detect_people` returns, and after `undo_swaps` over the whole clip. Milliseconds a photo.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vhlib.body.keypoints import MIN_CONFIDENCE, Keypoints
from vhlib.body.skeletons import BLAZEPOSE_33, OPENPOSE_25B
from vhlib.data import four_cameras
from vhlib.data.blazepose import LANDMARK_SIZE, find_candidates, read_landmarks
from vhlib.data.detection import People, detect_people, load_networks
from vhlib.data.downloads import fetch
from vhlib.data.four_cameras import LIMB_JOINTS, FourCameraClip
from vhlib.data.left_right import exchanged, undo_swaps
from vhlib.data.regions import sample, whole
from vhlib.data.videos import read_frames
from vhlib.files import write_atomically

ANSWERS = Path(__file__).parents[1] / "tests" / "data" / "mediapipe_0_10_21.npz"
CLIP_FRAMES = (0, 10, 40)
VIDEO_FRAMES = (60, 120, 135, 165)
# Of the stored masks every eighth pixel is kept: an outline, not a photo's size.
MASK_STEP = 8

LIMBS_HERE, LIMBS_OPENPOSE = BLAZEPOSE_33.indices(*LIMB_JOINTS), OPENPOSE_25B.indices(*LIMB_JOINTS)


def pictures() -> Iterator[tuple[str, np.ndarray]]:
    """Frames of the four cameras and of the video, by name."""
    clip = four_cameras.load()
    for camera in range(4):
        frames = clip.frames(camera, CLIP_FRAMES)
        for index, picture in zip(CLIP_FRAMES, frames, strict=True):
            yield f"camera{camera}_{index:03d}", picture
    video = fetch("sports2d") / "Sports2D" / "Demo" / "demo.mp4"
    for index, picture in zip(VIDEO_FRAMES, read_frames(video, VIDEO_FRAMES), strict=True):
        yield f"sports2d_{index:03d}", picture


def ask_mediapipe(python: str) -> None:
    """Run mediapipe in its environment, and store keypoints and coarse masks for the tests."""
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "pictures.npz", Path(folder) / "answers.npz"
        np.savez(asked, **dict(pictures()))
        script = Path(__file__).with_name("mediapipe_reference.py")
        subprocess.run([python, str(script), str(asked), str(answered)], check=True)
        found = dict(np.load(answered))
    stored = {name: _stored(name, value) for name, value in found.items() if "/" in name}
    stored["provenance"] = np.array(
        f"mediapipe {found['version']} solutions.pose.Pose(static_image_mode=True, "
        "model_complexity=1, enable_segmentation=True) on frames of the clips of pose2sim 0.6.0 "
        "and sports2d 0.8.34 (BSD-3-Clause, David Pagnon and contributors); made by "
        f"benchmarks/detector.py; keypoints: x, y in pixels, visibility; mask: every {MASK_STEP}th "
        "pixel, above 0.5"
    )
    with write_atomically(ANSWERS) as file:
        np.savez_compressed(file, **stored)


def _stored(name: str, value: np.ndarray) -> np.ndarray:
    return value[::MASK_STEP, ::MASK_STEP] > 0.5 if name.endswith("mask") else value


def differences(people: People, keypoints: np.ndarray, mask: np.ndarray) -> tuple[float, ...]:
    """Of whoever is nearest to mediapipe's person, in heights and [0, 1].

    Median distance of the keypoints; the same with left and right exchanged; overlap of the masks.
    """
    theirs = torch.from_numpy(keypoints[:, :2])
    height = float(theirs[:, 1].max() - theirs[:, 1].min())
    everybody = torch.ones(len(people), dtype=torch.bool)
    as_named, other = (
        (k.xy - theirs).norm(dim=-1).median(-1).values / height
        for k in (people.keypoints, exchanged(people.keypoints, everybody))
    )
    person = int(torch.minimum(as_named, other).argmin())
    ours = people.mask(person).numpy()[::MASK_STEP, ::MASK_STEP] > 0.5
    overlap = (ours & mask).sum() / (ours | mask).sum()
    return float(as_named[person]), float(other[person]), float(overlap)


def against_mediapipe() -> None:
    stored = np.load(ANSWERS)
    print("against mediapipe 0.10.21: median distance in heights, mask overlap")
    rows = []
    for name, picture in pictures():
        if f"{name}/keypoints" not in stored:
            continue
        people = detect_people(picture)
        named, other, overlap = differences(
            people, stored[f"{name}/keypoints"], stored[f"{name}/mask"]
        )
        note = "exchanged left and right" if other < named else ""
        print(f"  {name:15} {named:.4f}   {overlap:.3f}   {note}")
        if not note:
            rows.append((named, overlap))
    distances, overlaps = np.array(rows).T
    print(f"  median          {np.median(distances):.4f}   {np.median(overlaps):.3f}")


def first_look(picture: np.ndarray, near: Tensor) -> Tensor:
    """What the network says at first sight of the person at a place: (33, 2); NaN if nobody."""
    image = Image.fromarray(picture)
    candidates = find_candidates(image, whole(image))
    if not candidates:
        return torch.full((33, 2), torch.nan)
    distances = [(torch.tensor(c.region.centre) - near).norm() for c in candidates]
    region = candidates[int(np.argmin(distances))].region
    points = read_landmarks(sample(image, region, LANDMARK_SIZE), region).points
    return torch.from_numpy(region.to_picture(points)).float()


def nearest(people: People, near: Tensor) -> Keypoints:
    """The person whose hips are nearest to a place; no confidence at all if nobody is there."""
    if len(people) == 0:
        return Keypoints(torch.zeros(33, 2), torch.zeros(33), "blazepose_33")
    hips = people.keypoints.xy[:, BLAZEPOSE_33.indices("left_hip", "right_hip")].mean(1)
    return people.keypoints[int((hips - near).norm(dim=-1).argmin())]


def is_swapped(xy: Tensor, openpose: Keypoints) -> Tensor:
    """(T,) whether the limb joints are nearer to OpenPose's with left and right exchanged."""
    seen = openpose.confidence[:, LIMBS_OPENPOSE] > MIN_CONFIDENCE
    theirs = openpose.xy[:, LIMBS_OPENPOSE]
    flip = torch.from_numpy(BLAZEPOSE_33.flip_permutation)
    named, other = (
        ((points[:, LIMBS_HERE] - theirs).norm(dim=-1) * seen).sum(-1)
        for points in (xy, xy[:, flip])
    )
    return other < named


def swapped_shares(clip: FourCameraClip, camera: int) -> tuple[float, ...]:
    """Percent of one camera's frames: at first look, as detected, after `undo_swaps`."""
    openpose = clip.keypoints(camera)
    hips = openpose.xy[:, OPENPOSE_25B.indices("left_hip", "right_hip")].mean(1)
    looks, found = [], []
    for picture, near in zip(clip.frames(camera), hips, strict=False):
        looks.append(first_look(picture, near))
        found.append(nearest(detect_people(picture), near))
    stacked = Keypoints(
        torch.stack([k.xy for k in found]),
        torch.stack([k.confidence for k in found]),
        "blazepose_33",
    )
    tracks = (torch.stack(looks), stacked.xy, undo_swaps(stacked).xy)
    return tuple(100 * float(is_swapped(track, openpose).float().mean()) for track in tracks)


def swaps() -> None:
    clip = four_cameras.load()
    print("left and right exchanged, % of 100 frames: first look, detect_people, undo_swaps")
    for camera in range(4):
        shares = swapped_shares(clip, camera)
        print(f"  camera {camera}   " + "   ".join(f"{share:5.1f}" for share in shares))


def speed(repeats: int = 10) -> None:
    """Milliseconds for photos with one person, networks loaded: median, fastest."""
    print("milliseconds a photo: median, fastest")
    for name, picture in pictures():
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            detect_people(picture)
            times.append(1000 * (time.perf_counter() - start))
        print(f"  {name:15} {np.median(times):6.1f} {min(times):6.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mediapipe", metavar="PYTHON", help="ask mediapipe again, run by this")
    arguments = parser.parse_args()
    if arguments.mediapipe:
        ask_mediapipe(arguments.mediapipe)
    load_networks()
    against_mediapipe()
    swaps()
    speed()


if __name__ == "__main__":
    main()
