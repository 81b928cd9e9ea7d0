"""What the shipped bodies are: figures that design.md asks for, and pictures of each.

    python benchmarks/body_report.py [--bodies neutral female male lesson] [--out DIR]

Prints for each body its sizes, stature and mass beside a survey of real people, and how the skin
keeps its volume and folds at each joint, without and with the pose correctives
(body_deformation.py). With --out also writes three sheets of pictures of each (body_pictures.py):
the template and two standard deviations of five components; ten random people; and poses, each
without and with correctives.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from body_deformation import BENDS, deformations
from body_pictures import write_pictures

from vhlib.body.measurements import Measurements, measure_body
from vhlib.body.model_files import SHIPPED_FILES, BodyModelData, find_model, read_model
from vhlib.body.skeletons import SMPL_24
from vhlib.body.smpl import SMPL
from vhlib.data.makehuman_people import SURVEY

NUM_RANDOM_BODIES = 2000


def random_bodies(smpl: SMPL) -> Measurements:
    """Bodies with betas from N(0, 1)."""
    betas = torch.randn(NUM_RANDOM_BODIES, 10, generator=torch.Generator().manual_seed(1))
    parts = [measure_body(smpl(betas=part).vertices, smpl.faces) for part in betas.split(200)]
    return Measurements(
        torch.cat([part.height for part in parts]), torch.cat([part.mass for part in parts])
    )


def survey_text(gender: str) -> str:
    """Stature and mass of the people that the body stands for."""
    sexes = [gender] if gender in SURVEY else list(SURVEY)
    return "; ".join(
        "{0} {stature[0]:.3f} +- {stature[1]:.3f} m, {mass[0]:.1f} +- {mass[1]:.1f} kg".format(
            sex, **SURVEY[sex]
        )
        for sex in sexes
    )


def mirror_error(vertices: np.ndarray) -> float:
    """Largest distance from a mirrored vertex to the nearest vertex, metres."""
    points = torch.from_numpy(vertices)
    mirrored = points * points.new_tensor([-1, 1, 1])
    return float(max(torch.cdist(part, points).min(1).values.max() for part in mirrored.split(500)))


def figures(name: str, data: BodyModelData, smpl: SMPL, size: int) -> dict[str, str]:
    """Everything in the table, as text."""
    people = random_bodies(smpl)
    height, mass = people.height.numpy(), people.mass.numpy()
    bmi = people.body_mass_index.numpy()
    joints = dict(zip(SMPL_24.names, data.J_regressor @ data.v_template, strict=True))
    hips = (joints["left_hip"][1] + joints["right_hip"][1]) / 2
    template = data.v_template[:, 1]
    return {
        "vertices, faces": f"{data.num_vertices}, {len(data.faces)}",
        "file": f"{size / 1e6:.2f} MB",
        "height of the template": f"{np.ptp(template):.3f} m",
        "height over random betas": f"{height.mean():.3f} m, deviation {100 * height.std():.1f} cm,"
        f" {height.min():.2f} to {height.max():.2f} m",
        "mass over random betas": f"{mass.mean():.1f} kg, deviation {mass.std():.1f} kg",
        "survey (ANSUR II)": survey_text(name),
        "body mass index over random betas": f"median {np.median(bmi):.1f},"
        f" 90 % within {np.quantile(bmi, 0.05):.1f} to {np.quantile(bmi, 0.95):.1f},"
        f" all within {bmi.min():.1f} to {bmi.max():.1f}",
        "mirror symmetry": f"{1e3 * mirror_error(data.v_template):.4f} mm",
        "skinning weights": f"least {data.lbs_weights.min():.1e}, rows sum to one within"
        f" {np.abs(data.lbs_weights.sum(1) - 1).max():.1e}",
        "joint regressor": f"{(data.J_regressor > 0).sum()} weights, rows sum to one within"
        f" {np.abs(data.J_regressor.sum(1) - 1).max():.1e}",
        "pelvis above the hips": f"{100 * (joints['pelvis'][1] - hips):.1f} cm",
        "hips apart": f"{200 * joints['left_hip'][0]:.1f} cm",
        "provenance": data.provenance,
    }


def landmark_lines(data: BodyModelData) -> list[str]:
    """Where the named vertices of the middle and the left lie on the template."""
    return [
        f"  {name:<16}" + " ".join(f"{x:7.3f}" for x in data.v_template[vertex])
        for name, vertex in data.landmarks.items()
        if not name.startswith("right")
    ]


def deformation_lines(smpl: SMPL) -> list[str]:
    """Volume kept, crease and crossings at each joint, without and with correctives."""
    smpl = smpl.double()
    lines = ["  joint             angle   without correctives          with correctives"]
    for name, bend in BENDS.items():
        for degrees, without, corrected in deformations(smpl, bend):
            lines.append(f"  {name:<17}{degrees:6.0f}   {without}   {corrected}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bodies", nargs="+", default=SHIPPED_FILES, help="names or paths")
    parser.add_argument("--out", type=Path, help="folder for the pictures")
    options = parser.parse_args()
    for name in options.bodies:
        path = find_model(name)
        data = read_model(path)
        smpl = SMPL(data)
        print(f"{path.stem}")
        for label, text in figures(name, data, smpl, path.stat().st_size).items():
            print(f"  {label}: {text}")
        print("  landmarks on the template, metres:")
        print("\n".join(landmark_lines(data)))
        print("  volume kept, sharpest crease and crossings:")
        print("\n".join(deformation_lines(smpl)))
        if options.out:
            write_pictures(smpl, path.stem, options.out)


if __name__ == "__main__":
    main()
