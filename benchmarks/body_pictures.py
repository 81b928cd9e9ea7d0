"""Pictures of a body: its shape components, random people, and hard poses both ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from body_deformation import posed_both_ways
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from vhlib.body.skeleton import mirrored_name
from vhlib.body.skeletons import SMPL_24
from vhlib.body.smpl import SMPL
from vhlib.geometry.cameras import PerspectiveCamera
from vhlib.geometry.rendering import render_shaded
from vhlib.geometry.rotations import axis_angle_to_matrix

PANEL = 400  # pixels
NUM_COMPONENTS, NUM_PEOPLE, COLUMNS = 5, 10, 6
ARMS_DOWN = {"left_collar": (0, 0, -10), "left_shoulder": (0, 0, -58)}


@dataclass(frozen=True)
class View:
    """A pose by joint names, degrees about x, y, z of the T-pose, and how to look at it.

    ``both_sides`` mirrors the pose. The camera looks at ``focus`` (the body's middle if None) and
    shows ``reach`` metres around it, the body turned by ``yaw`` and tipped by ``pitch``.
    """

    degrees: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    both_sides: bool = True
    focus: str | None = None
    reach: float = 1.15
    yaw: float = 0.0
    pitch: float = 0.0


STRIDE = {
    "left_hip": (-35, 0, 0),
    "right_hip": (20, 0, 0),
    "left_knee": (15, 0, 0),
    "right_knee": (35, 0, 0),
    "right_foot": (-20, 0, 0),
    "left_shoulder": (0, 0, -68),
    "right_shoulder": (0, 0, 68),
    "left_elbow": (0, -30, 0),
    "right_elbow": (0, 30, 0),
}
SQUAT = {
    "left_hip": (-105, -12, 10),
    "left_knee": (120, 0, 0),
    "left_ankle": (-25, 0, 0),
    "spine1": (20, 0, 0),
    "spine2": (10, 0, 0),
    "left_shoulder": (0, -80, 0),
    "left_elbow": (0, -50, 0),
}
POSES: Mapping[str, View] = {
    "walk": View(STRIDE, both_sides=False, yaw=40),
    "squat": View(SQUAT, yaw=40),
    "squat, from behind": View(SQUAT, yaw=150),
    "elbow at 130 degrees": View({"left_elbow": (0, -130, 0)}, True, "left_elbow", 0.22, 0, -60),
    "knee at 130 degrees": View({"left_knee": (130, 0, 0)}, False, "left_knee", 0.3, 90),
    "knee, from behind": View({"left_knee": (130, 0, 0)}, False, "left_knee", 0.3, 150),
    "forearm turned by 80 degrees": View({"left_elbow": (80, 0, 0)}, True, "left_elbow", 0.25),
    "and by -80 degrees": View({"left_elbow": (-80, 0, 0)}, True, "left_elbow", 0.25),
    "hand turned by 80 degrees": View({"left_wrist": (80, 0, 0)}, True, "left_wrist", 0.2),
    "hand down by 60 degrees": View({"left_wrist": (0, 0, -60)}, True, "left_wrist", 0.18),
    "arms raised": View({"left_shoulder": (0, 0, 90)}, True, "neck", 0.45),
    "arms lowered": View({"left_shoulder": (0, 0, -75)}, True, "neck", 0.45),
    "hips at 110 degrees": View({"left_hip": (-110, 0, 0)}, True, "left_hip", 0.4, 70),
}


def write_pictures(smpl: SMPL, stem: str, out: Path) -> None:
    """``<stem>_shapes.png``, ``<stem>_people.png`` and ``<stem>_poses.png`` in ``out``."""
    smpl = smpl.double()
    out.mkdir(parents=True, exist_ok=True)
    _sheet(shapes(smpl), COLUMNS).save(out / f"{stem}_shapes.png")
    _sheet(people(smpl), NUM_PEOPLE // 2).save(out / f"{stem}_people.png")
    _sheet(poses(smpl), COLUMNS).save(out / f"{stem}_poses.png")


def shapes(smpl: SMPL) -> list[Tensor]:
    """The template from the front and the side, then -2 and +2 deviations of each component."""
    still = View()
    panels = [picture(smpl, still), picture(smpl, View(yaw=90))]
    for k in range(NUM_COMPONENTS):
        for sign in (-2.0, 2.0):
            betas = torch.zeros(smpl.num_betas).double()
            betas[k] = sign
            panels.append(picture(smpl, View(ARMS_DOWN), betas))
    return panels


def people(smpl: SMPL) -> list[Tensor]:
    """Bodies with betas from N(0, 1)."""
    betas = torch.randn(NUM_PEOPLE, smpl.num_betas, generator=torch.Generator().manual_seed(4))
    return [picture(smpl, View(ARMS_DOWN, yaw=20), one) for one in betas.double()]


def poses(smpl: SMPL) -> list[Tensor]:
    """Each pose by linear blend skinning alone, and beside it with the correctives."""
    return [picture(smpl, view, way=way) for view in POSES.values() for way in (0, 1)]


def picture(
    smpl: SMPL, view: View, betas: Tensor | None = None, way: int = 1
) -> Float[Tensor, "H W 3"]:
    """One panel on white; ``way`` 0 leaves out the correctives."""
    rotations = pose(view)
    vertices = posed_both_ways(smpl, rotations, betas)[way]
    vertices = (vertices - _centre(smpl, view, rotations, betas)) @ _turn(view).mT
    rgba = render_shaded(vertices.float(), smpl.faces, _camera(view.reach), supersampling=3)
    rgb, alpha = rgba.split([3, 1], -1)
    return rgb * alpha + 1 - alpha


def pose(view: View) -> Float[Tensor, "24 3 3"]:
    """Rotations of all joints."""
    axis_angle = torch.zeros(len(SMPL_24), 3).double()
    for joint, angles in view.degrees.items():
        axis_angle[SMPL_24.index(joint)] = torch.tensor(angles).double()
        if view.both_sides and mirrored_name(joint) != joint:
            mirrored = torch.tensor(angles).double() * torch.tensor([1, -1, -1])
            axis_angle[SMPL_24.index(mirrored_name(joint))] = mirrored
    return axis_angle_to_matrix(torch.deg2rad(axis_angle))


def _centre(smpl: SMPL, view: View, rotations: Tensor, betas: Tensor | None) -> Tensor:
    if view.focus is None:
        return torch.tensor([0.0, -0.37, 0.0]).double()
    joints = smpl(betas=betas, body_pose=rotations[1:]).joints
    return joints[SMPL_24.index(view.focus)]


def _turn(view: View) -> Float[Tensor, "3 3"]:
    yaw, pitch = (torch.tensor(a).double().deg2rad() for a in (view.yaw, view.pitch))
    up, left = torch.tensor([0.0, 1, 0]).double(), torch.tensor([-1.0, 0, 0]).double()
    return axis_angle_to_matrix(pitch * left) @ axis_angle_to_matrix(yaw * up)


def _camera(reach: float, distance: float = 6.0) -> PerspectiveCamera:
    """In front of the origin, upright."""
    T_camera_world = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))
    T_camera_world[2, 3] = distance
    focal_length = distance * PANEL / (2 * reach)
    return PerspectiveCamera(focal_length, (PANEL / 2, PANEL / 2), (PANEL, PANEL), T_camera_world)


def _sheet(panels: list[Tensor], columns: int) -> Image.Image:
    blank = torch.ones_like(panels[0])
    panels = panels + [blank] * (-len(panels) % columns)
    rows = torch.stack(panels).unflatten(0, (-1, columns))
    image = rows.permute(0, 2, 1, 3, 4).flatten(0, 1).flatten(1, 2)
    return Image.fromarray((255 * image).round().byte().numpy())
