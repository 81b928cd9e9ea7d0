"""A real person seen by four calibrated cameras: frames, OpenPose detections, 3D reference.

The clip is the demo session of Pose2Sim 0.6.0 (BSD-3-Clause; David Pagnon and contributors): one
subject, 100 frames at 60 fps, faces blurred by its makers. World axes: metres, z up.

What to know before quoting a number from it:

- The 3D reference is triangulated from the *same* detections that a fit receives. Refined and raw
  reference differ by 24 mm (mean over joints, mid-hip at the origin); another robust function in
  the refinement moves it by 13 mm, or 7 after a Procrustes alignment.
- The calibration as shipped disagrees with the detections by a systematic offset per camera, up to
  20 pixels. ``cameras`` are bundle-adjusted, ``raw_cameras`` as shipped: say which you used. The
  median reprojection of the limb joints is 6.3 pixels refined, 9.1 raw.
- OpenPose's points are taken as they are. Whether its pixels count from a corner or from a centre
  is half a pixel, its noise about ten. In frame 37 it split the subject in two in camera 0.
- Images are rolled by up to 26 degrees. The pictures of the static trial show another moment than
  its detections, which agree among the four views: use these for 3D, never as an overlay.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vhlib.body.keypoints import MIN_CONFIDENCE, Keypoints, read_openpose_json, select_person
from vhlib.body.skeletons import OPENPOSE_25B
from vhlib.data.downloads import fetch
from vhlib.data.triangulation import bundle_adjust, triangulate
from vhlib.data.videos import image_size, read_frames
from vhlib.geometry.cameras import PerspectiveCamera

LIMB_JOINTS = tuple(
    f"{side}_{joint}"
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
)
"""The twelve joints of the 3D reference, in order, by their names in every skeleton."""

TRIALS = {"balancing": "S00_P00_T01_BalancingTrial", "static": "S00_P00_T00_StaticTrial"}
FRAMES_PER_SECOND = 60.0
# Heads of a bystander, who doesn't move: camera -> (left, top, right, bottom) in pixels of the
# balancing trial. The clip's makers hid the subject's face, `frames` hides hers.
BYSTANDERS = {0: (40, 285, 115, 392), 1: (768, 476, 832, 558)}
MOSAIC = 16
_SESSION = Path("Pose2Sim") / "Demo" / "S00_Demo_Session"


@dataclass(frozen=True, eq=False)
class FourCameraClip:
    """One trial: four cameras, what OpenPose saw in each, and the videos.

    ``cameras`` (bundle-adjusted) and ``raw_cameras`` (as shipped) map world points to pixels.
    ``detections`` holds the subject in every view, (4, T, 25) points of ``openpose_25b``. Lens
    distortion moves none of them by more than 0.1 pixels, so it is left out.
    """

    trial: str
    cameras: tuple[PerspectiveCamera, ...]
    raw_cameras: tuple[PerspectiveCamera, ...]
    detections: Keypoints = field(repr=False)
    videos: tuple[Path, ...] = field(repr=False)
    fps: float = FRAMES_PER_SECOND

    def __len__(self) -> int:
        """Number of frames with detections."""
        return self.detections.confidence.shape[1]

    def keypoints(self, camera_index: int, frames: Sequence[int] | None = None) -> Keypoints:
        """The subject as one camera saw it, (T, 25) points of ``openpose_25b``, as detected."""
        view = self.detections[_checked_index("camera", camera_index, 4)]
        if frames is None:
            return view
        return view[[_checked_index("frame", i, len(self)) for i in frames]]

    def frame(self, camera_index: int, index: int) -> np.ndarray:
        """One picture, uint8 (H, W, 3) RGB; for several, `frames` decodes the video only once."""
        return next(self.frames(camera_index, [index]))

    def frames(
        self, camera_index: int, indices: Sequence[int] | None = None
    ) -> Iterator[np.ndarray]:
        """Pictures of one camera in rising order, by default all, each uint8 (H, W, 3) RGB.

        A bystander's head is made a mosaic; nothing else is changed.
        """
        video = self.videos[_checked_index("camera", camera_index, 4)]
        hidden = BYSTANDERS.get(camera_index) if self.trial == "balancing" else None
        for picture in read_frames(video, indices):
            yield picture if hidden is None else mosaic(picture, hidden)

    def truth(self, refined: bool = True) -> Float[Tensor, "T 12 3"]:
        """World positions of `LIMB_JOINTS` in metres, triangulated from all four views.

        A reference rather than the truth: the module's first lines say how far it can be trusted.
        """
        return self._triangulated[refined].float()

    def residuals(self, refined: bool = True) -> Float[Tensor, "4 T 12"]:
        """How far `truth` reprojects from each detection, pixels; NaN where there is none."""
        cameras = _batched(self.cameras if refined else self.raw_cameras)
        xy, weights = _limb_observations(self.detections)
        error = (cameras.project(self._triangulated[refined].flatten(0, 1)[None]) - xy).norm(dim=-1)
        return torch.where(weights > 0, error, torch.nan).unflatten(1, (-1, 12)).float()

    @cached_property
    def _triangulated(self) -> dict[bool, Tensor]:
        xy, weights = _limb_observations(self.detections)
        return {
            refined: triangulate(_batched(cameras), xy, weights).unflatten(0, (-1, 12))
            for refined, cameras in ((True, self.cameras), (False, self.raw_cameras))
        }


def load(trial: str = "balancing") -> FourCameraClip:
    """The clip, fetched on first use: ``balancing`` (100 frames) or ``static`` (one pose).

    Cameras are refined on the balancing trial for both, since the rig didn't move in between. The
    static trial is there to choose weights on, so that the scored frames choose none. (Two other
    choices had them in view, and say so: training/pose_prior.py and docs/experiments.md.)

    Raises:
        ValueError: an unknown trial.
        DataUnavailable: not cached, and no network.
    """
    if trial not in TRIALS:
        raise ValueError(f"unknown trial {trial!r}; known: {', '.join(TRIALS)}")
    session = fetch("pose2sim") / _SESSION
    shipped = read_qca_calibration(session / "S00_Calibration" / "Calib.qca.txt")
    refined = _refined(shipped, _read_detections(session, "balancing"))
    videos = _trial_files(session, trial, "videos/*.mp4")
    sizes = [image_size(video) for video in videos]
    return FourCameraClip(
        trial=trial,
        cameras=_separate(refined, sizes),
        raw_cameras=_separate(shipped, sizes),
        detections=_read_detections(session, trial),
        videos=tuple(videos),
    )


def mosaic(picture: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """The picture with every MOSAIC x MOSAIC block of the box (l, t, r, b) painted in its mean."""
    left, top, right, bottom = box
    hidden = picture.copy()
    for y in range(top, bottom, MOSAIC):
        for x in range(left, right, MOSAIC):
            block = np.s_[y : min(y + MOSAIC, bottom), x : min(x + MOSAIC, right)]
            hidden[block] = picture[block].mean((0, 1)).round()
    return hidden


def read_qca_calibration(path: str | Path) -> PerspectiveCamera:
    """Cameras (C,) of a Qualisys calibration file; float64, world in metres with z up.

    Intrinsics are stored in 1/64 pixel and positions in millimetres. The stored rotation maps world
    to a camera whose y points up and z backwards; both are turned around here.
    """
    cameras = ElementTree.parse(path).getroot().findall("cameras/camera")
    focal_length, principal_point, transforms = [], [], []
    for camera in cameras:
        pose, lens = camera.find("transform").attrib, camera.find("intrinsic").attrib
        rotation = np.array([[float(pose[f"r{i}{j}"]) for j in (1, 2, 3)] for i in (1, 2, 3)])
        rotation = np.diag([1.0, -1.0, -1.0]) @ rotation
        position = np.array([float(pose[axis]) for axis in "xyz"]) / 1000
        transform = np.eye(4)
        transform[:3] = np.column_stack([rotation, -rotation @ position])
        transforms.append(transform)
        focal_length.append([float(lens[f"focalLength{axis}"]) / 64 for axis in "UV"])
        principal_point.append([float(lens[f"centerPoint{axis}"]) / 64 for axis in "UV"])
    view = cameras[0].find("fov_video").attrib
    size = (int(view["right"]) + 1, int(view["bottom"]) + 1)
    fields = (torch.tensor(np.array(f)) for f in (focal_length, principal_point, transforms))
    focal_length, principal_point, transforms = fields
    return PerspectiveCamera(focal_length, principal_point, size, transforms)


def follow_subject(people: Sequence[Keypoints], window: int = 5) -> Keypoints:
    """One person through time, (T, K), out of everybody detected in each frame.

    First the largest confident person of every frame; then whoever stands nearest to the median
    place of those choices over ``window`` frames on either side. Who has no point that is seen
    isn't there; a frame with nobody is all zero.
    """
    people = [frame[(frame.confidence > 0).any(-1)] for frame in people]
    centres = [_centres(frame) for frame in people]
    firsts = [
        centre[select_person(frame)] if len(frame) else torch.full((2,), torch.nan)
        for frame, centre in zip(people, centres, strict=True)
    ]
    chosen = []
    for i, (frame, centre) in enumerate(zip(people, centres, strict=True)):
        near = torch.stack(firsts[max(i - window, 0) : i + window + 1])
        if len(frame) == 0:
            size = frame.confidence.shape[-1]
            chosen.append(Keypoints(torch.zeros(size, 2), torch.zeros(size), frame.skeleton))
        else:
            chosen.append(frame[int((centre - near.nanmedian(0).values).norm(dim=-1).argmin())])
    return Keypoints(
        torch.stack([k.xy for k in chosen]),
        torch.stack([k.confidence for k in chosen]),
        people[0].skeleton,
    )


def _centres(people: Keypoints) -> Tensor:
    """Confidence-weighted mean place of each person, (people, 2)."""
    weights = people.confidence[..., None]
    return (people.xy * weights).sum(-2) / weights.sum(-2)


def _read_detections(session: Path, trial: str) -> Keypoints:
    views = []
    for folder in _trial_files(session, trial, "pose/*_json"):
        files = sorted(folder.glob("*.json"))
        views.append(follow_subject([read_openpose_json(file, "openpose_25b") for file in files]))
    return Keypoints(
        torch.stack([view.xy for view in views]),
        torch.stack([view.confidence for view in views]),
        "openpose_25b",
    )


def _trial_files(session: Path, trial: str, pattern: str) -> list[Path]:
    """The four files or folders, one a camera, in the order of the cameras."""
    return sorted((session / "S00_P00_Participant" / TRIALS[trial]).glob(pattern))


def _limb_observations(detections: Keypoints) -> tuple[Tensor, Tensor]:
    """Pixels (4, T*12, 2) and weights (4, T*12) of `LIMB_JOINTS`, in float64."""
    xy, weights = _observations(detections)
    limbs = OPENPOSE_25B.indices(*LIMB_JOINTS)
    return xy[:, :, limbs].flatten(1, 2), weights[:, :, limbs].flatten(1, 2)


def _observations(detections: Keypoints) -> tuple[Tensor, Tensor]:
    confidence = detections.confidence.double()
    weights = torch.where(confidence > MIN_CONFIDENCE, confidence, 0.0)
    return detections.xy.double(), weights


def _refined(shipped: PerspectiveCamera, detections: Keypoints) -> PerspectiveCamera:
    xy, weights = (values.flatten(1, 2) for values in _observations(detections))
    seen_twice = (weights > 0).sum(0) >= 2
    return bundle_adjust(shipped, xy[:, seen_twice], weights[:, seen_twice]).cameras


def _separate(
    rig: PerspectiveCamera, sizes: Sequence[tuple[int, int]]
) -> tuple[PerspectiveCamera, ...]:
    """A batched camera as single ones in float32, each with its own picture size."""
    return tuple(
        replace(rig.select(index), image_size=size).to(torch.float32)
        for index, size in enumerate(sizes)
    )


def _batched(cameras: Sequence[PerspectiveCamera]) -> PerspectiveCamera:
    stacked = {
        name: torch.stack([getattr(camera, name) for camera in cameras]).double()
        for name in ("focal_length", "principal_point", "T_camera_world")
    }
    return replace(cameras[0], **stacked)


def _checked_index(kind: str, index: int, size: int) -> int:
    if not 0 <= index < size:
        raise IndexError(f"there is no {kind} {index}: the clip has 0 to {size - 1}")
    return index
