"""What the shipped bodies are: figures that design.md asks for, and a picture of each.

    python benchmarks/body_report.py [--bodies neutral female male] [--out DIR]

Prints one table per body; with --out also writes body_<name>.png: the template from the front and
the side, two standard deviations down and up along three shape components, a stride and a squat.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vhlib.body.model_files import BODY_NAMES, BodyModelData, find_model, read_model
from vhlib.body.skeletons import SMPL_24
from vhlib.body.smpl import SMPL
from vhlib.geometry.cameras import PerspectiveCamera
from vhlib.geometry.meshes import signed_volume
from vhlib.geometry.rendering import render_shaded
from vhlib.geometry.rotations import axis_angle_to_matrix

DENSITY = 985.0  # kg per cubic metre of a human body
NUM_RANDOM_BODIES = 2000

# Degrees about x, y, z of the T-pose.
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
    "right_hip": (-105, 12, -10),
    "left_knee": (120, 0, 0),
    "right_knee": (120, 0, 0),
    "left_ankle": (-25, 0, 0),
    "right_ankle": (-25, 0, 0),
    "spine1": (20, 0, 0),
    "spine2": (10, 0, 0),
    "left_shoulder": (0, -80, 0),
    "right_shoulder": (0, 80, 0),
    "left_elbow": (0, -50, 0),
    "right_elbow": (0, 50, 0),
}


def pose(degrees: dict[str, tuple[float, float, float]]) -> Tensor:
    """The 23 body rotations of a pose given by joint names."""
    axis_angle = torch.zeros(23, 3)
    for joint, angles in degrees.items():
        axis_angle[SMPL_24.index(joint) - 1] = torch.tensor(angles, dtype=torch.float32)
    return axis_angle_to_matrix(torch.deg2rad(axis_angle))


def random_bodies(smpl: SMPL) -> tuple[np.ndarray, np.ndarray]:
    """Height in metres and body mass index of bodies with betas from N(0, 1)."""
    betas = torch.randn(NUM_RANDOM_BODIES, 10, generator=torch.Generator().manual_seed(1))
    heights, volumes = [], []
    for part in betas.split(200):
        vertices = smpl(betas=part).vertices
        heights.append(vertices[..., 1].amax(1) - vertices[..., 1].amin(1))
        volumes.append(signed_volume(vertices, smpl.faces))
    height, volume = torch.cat(heights).numpy(), torch.cat(volumes).numpy()
    return height, volume * DENSITY / height**2


def mirror_error(vertices: np.ndarray) -> float:
    """Largest distance from a mirrored vertex to the nearest vertex, metres."""
    points = torch.from_numpy(vertices)
    mirrored = points * points.new_tensor([-1, 1, 1])
    return float(max(torch.cdist(part, points).min(1).values.max() for part in mirrored.split(500)))


def figures(data: BodyModelData, smpl: SMPL, size: int) -> dict[str, str]:
    """Everything in the table, as text."""
    height, bmi = random_bodies(smpl)
    joints = dict(zip(SMPL_24.names, data.J_regressor @ data.v_template, strict=True))
    hips = (joints["left_hip"][1] + joints["right_hip"][1]) / 2
    template = data.v_template[:, 1]
    return {
        "vertices, faces": f"{data.num_vertices}, {len(data.faces)}",
        "file": f"{size / 1e6:.2f} MB",
        "height of the template": f"{np.ptp(template):.3f} m",
        "height over random betas": f"{height.mean():.3f} m, deviation {100 * height.std():.1f} cm,"
        f" {height.min():.2f} to {height.max():.2f} m",
        "body mass index over random betas": f"median {np.median(bmi):.1f},"
        f" 90 % within {np.quantile(bmi, 0.05):.1f} to {np.quantile(bmi, 0.95):.1f},"
        f" all within {bmi.min():.1f} to {bmi.max():.1f}",
        "mirror symmetry": f"{1e3 * mirror_error(data.v_template):.4f} mm",
        "skinning weights": f"least {data.lbs_weights.min():.1e}, rows sum to one within"
        f" {np.abs(data.lbs_weights.sum(1) - 1).max():.1e}",
        "joint regressor": f"{(data.J_regressor > 0).sum()} weights, rows sum to one within"
        f" {np.abs(data.J_regressor.sum(1) - 1).max():.1e}",
        "pelvis above the hips": f"{100 * (joints['pelvis'][1] - hips):.1f} cm",
        "provenance": data.provenance,
    }


def landmark_lines(data: BodyModelData) -> list[str]:
    """Where the named vertices of the middle and the left lie on the template."""
    return [
        f"  {name:<16}" + " ".join(f"{x:7.3f}" for x in data.v_template[vertex])
        for name, vertex in data.landmarks.items()
        if not name.startswith("right")
    ]


def picture(smpl: SMPL, size: int = 400) -> Image.Image:
    """Ten bodies in two rows."""
    betas = torch.zeros(10, 10)
    for k in range(3):
        betas[2 + 2 * k, k], betas[3 + 2 * k, k] = -2.0, 2.0
    body_pose = torch.eye(3).repeat(10, 23, 1, 1)
    body_pose[2:8] = pose({"left_shoulder": (0, 0, -60), "right_shoulder": (0, 0, 60)})
    body_pose[8], body_pose[9] = pose(STRIDE), pose(SQUAT)
    yaw = torch.deg2rad(torch.tensor([0.0, 90, 0, 0, 0, 0, 25, 25, 40, 40]))
    turn = axis_angle_to_matrix(torch.stack([0 * yaw, yaw, 0 * yaw], -1))
    vertices = smpl(betas=betas, body_pose=body_pose, global_orient=turn).vertices
    panels = render_shaded(vertices, smpl.faces, _camera(size), supersampling=3)
    rgb, alpha = panels.split([3, 1], -1)
    rows = (rgb * alpha + 1 - alpha).unflatten(0, (2, 5))
    image = rows.permute(0, 2, 1, 3, 4).flatten(0, 1).flatten(1, 2)
    return Image.fromarray((255 * image).round().byte().numpy())


def _camera(size: int, distance: float = 6.0) -> PerspectiveCamera:
    """In front of the body, at the height of its middle, upright."""
    T_camera_world = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))
    T_camera_world[1, 3], T_camera_world[2, 3] = -0.37, distance
    focal_length = distance * size / 2.3
    return PerspectiveCamera(focal_length, (size / 2, size / 2), (size, size), T_camera_world)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bodies", nargs="+", default=BODY_NAMES, help="names or paths")
    parser.add_argument("--out", type=Path, help="folder for the pictures")
    options = parser.parse_args()
    for name in options.bodies:
        path = find_model(name)
        data = read_model(path)
        smpl = SMPL(data)
        print(f"{path.stem}")
        for label, text in figures(data, smpl, path.stat().st_size).items():
            print(f"  {label}: {text}")
        print("  landmarks on the template, metres:")
        print("\n".join(landmark_lines(data)))
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
            picture(smpl).save(options.out / f"{path.stem}.png")


if __name__ == "__main__":
    main()
