"""Choose the weights of the fit on synthetic views, so that no scored real frame chooses them.

    python benchmarks/choose_weights.py

Poses come from clips that the prior here hasn't seen; bodies, cameras and the detector's faults are
drawn: joint definitions a few centimetres off, noise of one per cent of the person's height, some
points lost and some far away. Prints MPJPE / PA-MPJPE (mm) and the reprojection error of each
combination of pose and bending weight.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from synthetic_views import CAMERA, Faults, detect, held_out, limb_errors, random_views

from vhlib.body import SMPL
from vhlib.body.skeletons import OPENPOSE_25B
from vhlib.data.four_cameras import LIMB_JOINTS
from vhlib.fitting import COLD_START, fit_smplify

SKELETON = OPENPOSE_25B.name
LIMBS = OPENPOSE_25B.indices(*LIMB_JOINTS)
POSE_WEIGHTS = (2.2, 3.3, 3.5, 3.7, 4.0, 4.8)
BENDING_WEIGHTS = (3.0, 6.0, 10.0)


def main() -> None:
    generator = torch.Generator().manual_seed(0)
    clips = held_out(200, generator)
    smpl = SMPL.load()
    views = random_views(clips.poses, generator)
    keypoints = detect(smpl.keypoints(SKELETON, **vars(views)), SKELETON, Faults(), generator)
    height = keypoints.height()
    print(f"{len(clips.poses)} views of {', '.join(clips.clips)}")
    print("pose  bending   MPJPE  PA-MPJPE  reprojection")
    for pose_weight in POSE_WEIGHTS:
        for bending_weight in BENDING_WEIGHTS:
            weights = {"pose_prior": pose_weight, "bending": bending_weight}
            schedule = [
                replace(s, weights={**s.weights, **weights}) if "pose_prior" in s.weights else s
                for s in COLD_START
            ]
            fit = fit_smplify(smpl, CAMERA, keypoints, clips.prior, schedule)
            error, aligned = limb_errors(smpl, fit.body_parameters, views)
            pixels = (fit.projected_keypoints - keypoints.xy)[:, LIMBS].norm(dim=-1)
            seen = keypoints.confidence[:, LIMBS] > 0
            share = ((pixels * seen).sum(-1) / seen.sum(-1) / height).mean()
            print(
                f"{pose_weight:4}  {bending_weight:7}  {error.mean():6.1f}  "
                f"{aligned.mean():8.1f}  {share:11.2%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
