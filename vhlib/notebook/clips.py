"""The clip that the lessons look at: the real one, or a labelled stand-in where it can't be had."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from vhlib.body import SMPL, BodyParameters, Keypoints
from vhlib.body.skeletons import OPENPOSE_25B, SMPL_24
from vhlib.data import four_cameras
from vhlib.data.detection import detect_people
from vhlib.data.downloads import DataUnavailable
from vhlib.data.four_cameras import LIMB_JOINTS, FourCameraClip
from vhlib.geometry import PerspectiveCamera, axis_angle_to_matrix
from vhlib.geometry.rasterizer import rasterize
from vhlib.geometry.rendering import overlay, render_shaded

FRAMES = 100
IMAGE_SIZE = (1080, 1920)
FOCAL_LENGTH = 1680.0
DETECTOR_NOISE = 6.0  # pixels
FACE_CONFIDENCE, BODY_CONFIDENCE = 0.6, 0.85
WALL, LABEL_COLOR = (226, 226, 222), (170, 170, 166)
LABEL = "synthetic stand-in: no photo"

# Axis-angle of a balancing pose: standing on the right leg, the left one raised sideways.
BALANCE = {
    "left_hip": (-0.2, 0.0, 0.9),
    "left_knee": (0.4, 0.0, 0.0),
    "right_hip": (-0.1, 0.0, 0.1),
    "right_knee": (0.2, 0.0, 0.0),
    "spine1": (0.0, 0.0, 0.3),
    "left_shoulder": (0.0, -0.3, -0.6),
    "left_elbow": (0.0, -0.5, 0.0),
    "right_shoulder": (0.0, 0.4, -0.3),
    "right_elbow": (0.0, 1.0, 0.0),
}
# Where the four cameras stand, seen from the middle of the room: metres, z up.
CAMERA_POSITIONS = ((1.8, -3.4, 1.9), (3.7, -0.6, 1.7), (-3.0, 2.4, 2.1), (-3.5, -2.0, 1.9))


@dataclass(frozen=True, eq=False)
class StandInClip:
    """A rendered body before four invented cameras, with the methods of ``FourCameraClip``.

    Keypoints are projections with Gaussian noise, so that a fit has an exact truth to be held
    against. Every picture says that it is synthetic.
    """

    cameras: tuple[PerspectiveCamera, ...]
    detections: Keypoints = field(repr=False)
    smpl: SMPL = field(repr=False)
    bodies: BodyParameters = field(repr=False)

    def __len__(self) -> int:
        """Number of frames."""
        return FRAMES

    def keypoints(self, camera_index: int, frames: Sequence[int] | None = None) -> Keypoints:
        """What a detector might have seen, (T, 25) points of ``openpose_25b``."""
        view = self.detections[camera_index]
        return view if frames is None else view[list(frames)]

    def frame(self, camera_index: int, index: int) -> UInt8[np.ndarray, "H W 3"]:
        """The body before a wall that says, all over, that this is no photo."""
        with torch.no_grad():
            vertices = self.smpl(**vars(self.bodies[index])).vertices
        picture = render_shaded(vertices, self.smpl.faces, self.cameras[camera_index])
        return overlay(torch.tensor(labelled_wall()), picture).numpy()

    def frames(
        self, camera_index: int, indices: Sequence[int] | None = None
    ) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
        """Several pictures, by default all."""
        for index in range(FRAMES) if indices is None else indices:
            yield self.frame(camera_index, index)

    def mask(self, camera_index: int, index: int) -> Float[Tensor, "H W"]:
        """Which pixels of a frame the body covers."""
        camera, body = self.cameras[camera_index], self.bodies[index]
        vertices = self.smpl(**vars(body)).vertices
        return (rasterize(vertices, self.smpl.faces, camera).triangle_ids >= 0).float()

    def truth(self) -> Float[Tensor, "T 12 3"]:
        """World positions of ``LIMB_JOINTS``, metres; exact."""
        points = self.smpl.keypoints("openpose_25b", **vars(self.bodies))
        return points[:, OPENPOSE_25B.indices(*LIMB_JOINTS)]


def load_clip() -> FourCameraClip | StandInClip:
    """The real four-camera clip, fetched on first use; without it one line and a stand-in."""
    try:
        return four_cameras.load()
    except DataUnavailable as error:
        print(f"A synthetic stand-in is shown instead of the real clip: {error}")
        return stand_in_clip()


@lru_cache(maxsize=1)
def stand_in_clip() -> StandInClip:
    """The same stand-in on every call."""
    smpl, bodies = SMPL.load(), _balancing_bodies()
    cameras = tuple(_camera_at(position) for position in CAMERA_POSITIONS)
    points = smpl.keypoints("openpose_25b", **vars(bodies))
    xy = torch.stack([camera.project(points) for camera in cameras])
    noise = torch.randn(xy.shape, generator=torch.Generator().manual_seed(0))
    face = torch.tensor([name.endswith(("nose", "eye", "ear")) for name in OPENPOSE_25B.names])
    confidence = torch.where(face, FACE_CONFIDENCE, BODY_CONFIDENCE).expand(xy.shape[:-1])
    detections = Keypoints(xy + DETECTOR_NOISE * noise, confidence, "openpose_25b")
    return StandInClip(cameras, detections, smpl, bodies)


def person_mask(
    clip: FourCameraClip | StandInClip, camera_index: int, index: int
) -> Float[Tensor, "H W"]:
    """The subject's share of each pixel of a frame, as our detector sees it; exact of a stand-in.

    Raises:
        ValueError: the detector finds nobody.
    """
    if isinstance(clip, StandInClip):
        return clip.mask(camera_index, index)
    people = detect_people(clip.frame(camera_index, index))
    if not len(people):
        raise ValueError(f"the detector finds nobody in frame {index} of camera {camera_index}")
    there = clip.keypoints(camera_index)[index].xy.median(0).values
    nearest = (people.keypoints.xy.median(1).values - there).norm(dim=-1).argmin()
    return people.mask(int(nearest))


def labelled_wall() -> UInt8[np.ndarray, "H W 3"]:
    """A plain wall with the label in every part of it, so that no crop loses it."""
    wall = Image.new("RGB", IMAGE_SIZE, WALL)
    pen = ImageDraw.Draw(wall)
    for row, y in enumerate(range(20, IMAGE_SIZE[1], 120)):
        pen.text((-200 * (row % 4), y), "   ".join([LABEL] * 4), fill=LABEL_COLOR, font_size=36)
    return np.array(wall)


def _balancing_bodies() -> BodyParameters:
    """From standing to balancing and back, pelvis a metre above the floor, z up."""
    pose = torch.zeros(len(SMPL_24), 3)
    for name, axis_angle in BALANCE.items():
        pose[SMPL_24.index(name)] = torch.tensor(axis_angle)
    share = torch.sin(torch.linspace(0, torch.pi, FRAMES)).square()
    upright = axis_angle_to_matrix(torch.tensor([torch.pi / 2, 0.0, 0.0]))
    return BodyParameters(
        betas=torch.zeros(FRAMES, 10),
        body_pose=axis_angle_to_matrix(share[:, None, None] * pose[1:]),
        global_orient=upright.expand(FRAMES, 3, 3),
        transl=torch.tensor([0.0, 0.0, 1.0]).expand(FRAMES, 3),
    )


def _camera_at(position: tuple[float, float, float]) -> PerspectiveCamera:
    """A camera that looks at the middle of the body, its picture upright."""
    place, up = torch.tensor(position), torch.tensor([0.0, 0.0, 1.0])
    forward = torch.nn.functional.normalize(torch.tensor([0.0, 0.0, 1.0]) - place, dim=0)
    right = torch.nn.functional.normalize(torch.linalg.cross(forward, up), dim=0)
    rotation = torch.stack([right, torch.linalg.cross(forward, right), forward])
    transform = torch.eye(4)
    transform[:3] = torch.cat([rotation, -rotation @ place[:, None]], 1)
    middle = (IMAGE_SIZE[0] / 2, IMAGE_SIZE[1] / 2)
    return replace(PerspectiveCamera(FOCAL_LENGTH, middle, IMAGE_SIZE), T_camera_world=transform)
