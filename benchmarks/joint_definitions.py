"""Where do OpenPose's limb points lie on the body? Measured on a trial that isn't scored.

    python benchmarks/joint_definitions.py | tee benchmarks/results/joint_definitions.txt
    python benchmarks/joint_definitions.py --body FILE

In the static trial of Pose2Sim's demo somebody stands still before four cameras. One body is fitted
to all four views; each triangulated point is told relative to the body's joint of that name, in the
frame of the joint's parent (along an arm, "outwards" is towards the hand). What is alike on both
sides, mirrored, belongs to definitions or to the body's proportions; what a whole arm or leg has in
common is how broad the person is.

It is one person in one pose, so it can show a fault but not fit a regressor.
"""

from __future__ import annotations

import argparse

import torch
from measure import machine, print_table
from torch import Tensor

from vhlib.body import SMPL, BodyParameters
from vhlib.body.skeletons import SMPL_24, SMPL_PARENTS
from vhlib.body.skinning import forward_kinematics
from vhlib.data import four_cameras
from vhlib.data.four_cameras import LIMB_JOINTS
from vhlib.fitting import fit_views

AXES = ("outwards", "up", "forward")


def displacements(smpl: SMPL, bodies: BodyParameters, points: Tensor) -> Tensor:
    """From the bodies' limb joints to the points, (T, 12, 3) mm in the frames of their parents."""
    rest = smpl.J_template.expand(len(points), -1, -1)
    world, _ = forward_kinematics(bodies.rotations, rest, smpl.tree)
    parents = SMPL_24.indices(*(SMPL_PARENTS[joint] for joint in LIMB_JOINTS))
    offset = points - smpl.keypoints("smpl_24", **vars(bodies))[:, SMPL_24.indices(*LIMB_JOINTS)]
    return 1000 * (world[:, parents].mT @ offset[..., None])[..., 0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--body", default="neutral", help="an open body's name, or a model file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(machine(), "\n")
    smpl, clip = SMPL.load(options.body), four_cameras.load("static")
    bodies = fit_views(smpl, clip.cameras, clip.detections).body_parameters
    found = displacements(smpl, bodies, clip.truth()).mean(0)
    rows = []
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"):
        left, right = (found[LIMB_JOINTS.index(f"{side}_{joint}")] for side in ("left", "right"))
        right = right * torch.tensor([-1.0, 1.0, 1.0])
        cells = [*left.tolist(), *right.tolist(), *((left + right) / 2).tolist()]
        rows.append([joint, *(f"{cell:.0f}" for cell in cells)])
    header = ["mm", *(f"{side} {a}" for side in ("left", "right", "both") for a in AXES)]
    print_table(f"OpenPose's point from the joint of {options.body}", header, rows)


if __name__ == "__main__":
    main()
