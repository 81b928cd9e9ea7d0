"""Every view of the real four-camera clip, fitted alone: how far from the triangulated reference?

    python benchmarks/real_clip.py                # 4 cameras x 100 frames, OpenPose's keypoints
    python benchmarks/real_clip.py --detector     # the same pictures, found by our own detector

MPJPE (hip-centred) and PA-MPJPE over the twelve limb joints, in millimetres, per camera, against
the reference triangulated with the refined and with the shipped cameras; beside them the mean
stance, which knows nothing of the picture. The reference comes from the same detections as the
fits, and the subject is one person for 1.7 s: see vhlib/data/four_cameras.py.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from vhlib.body import SMPL, BodyParameters, Keypoints
from vhlib.body.keypoints import MIN_CONFIDENCE
from vhlib.body.skeletons import get_skeleton
from vhlib.data import four_cameras
from vhlib.data.detection import detect_people
from vhlib.data.four_cameras import LIMB_JOINTS, FourCameraClip
from vhlib.fitting import fit_smplify, load_pose_prior
from vhlib.fitting.energies import signed_bends
from vhlib.fitting.smplify import Fit
from vhlib.geometry import axis_angle_to_matrix, matrix_to_axis_angle
from vhlib.metrics import mpjpe, pa_mpjpe

HIPS = [LIMB_JOINTS.index("left_hip"), LIMB_JOINTS.index("right_hip")]
HYPEREXTENSION = 5.0  # degrees


@dataclass(frozen=True, eq=False)
class Errors:
    """One value a frame: millimetres against the refined and the raw reference."""

    refined: tuple[Tensor, Tensor]
    raw: tuple[Tensor, Tensor]

    def __str__(self) -> str:
        pairs = [f"{e.mean():5.1f} / {pa.mean():4.1f}" for e, pa in (self.refined, self.raw)]
        return "   ".join(pairs)


def limbs(skeleton: str) -> list[int]:
    """Where the twelve joints stand in a skeleton."""
    return get_skeleton(skeleton).indices(*LIMB_JOINTS)


def limb_joints(smpl: SMPL, parameters: BodyParameters) -> Tensor:
    """The twelve joints of fitted bodies, (T, 12, 3), camera frame."""
    return smpl.keypoints("smpl_24", **vars(parameters))[..., limbs("smpl_24"), :]


def detected(clip: FourCameraClip, camera: int) -> Keypoints:
    """The subject as our own detector sees him, (T, 33): who is nearest to OpenPose's."""
    track = []
    for frame, picture in enumerate(clip.frames(camera)):
        people = detect_people(picture).keypoints
        there = clip.keypoints(camera)[frame].xy.median(0).values
        nearest = (people.xy.median(1).values - there).norm(dim=-1).argmin()
        track.append(people[int(nearest)])
    xy, confidence = (
        torch.stack([getattr(k, name) for k in track]) for name in ("xy", "confidence")
    )
    return Keypoints(xy, confidence, "blazepose_33")


def errors(clip: FourCameraClip, camera: int, joints: Tensor) -> Errors:
    """MPJPE and PA-MPJPE of (T, 12, 3) joints in the camera's frame."""

    def against(refined: bool) -> tuple[Tensor, Tensor]:
        rig = clip.cameras if refined else clip.raw_cameras
        truth = rig[camera].world_to_camera(clip.truth(refined))
        return 1000 * mpjpe(joints, truth, root=HIPS), 1000 * pa_mpjpe(joints, truth)

    return Errors(against(True), against(False))


def reprojection_share(keypoints: Keypoints, fit: Fit) -> Tensor:
    """Mean distance over confident limb joints as a share of the person's height, (T,)."""
    chosen = limbs(keypoints.skeleton)
    seen = keypoints.confidence[:, chosen] > MIN_CONFIDENCE
    distance = (fit.projected_keypoints - keypoints.xy)[:, chosen].norm(dim=-1)
    return (distance * seen).sum(-1) / seen.sum(-1) / keypoints.height(MIN_CONFIDENCE)


def hyperextended(fit: Fit) -> Tensor:
    """Which fits have a knee or an elbow more than HYPEREXTENSION the wrong way, (T,) bool."""
    bends = torch.rad2deg(signed_bends(matrix_to_axis_angle(all_rotations(fit.body_parameters))))
    return (bends > HYPEREXTENSION).any(-1)


def all_rotations(parameters: BodyParameters) -> Tensor:
    return torch.cat([parameters.global_orient[..., None, :, :], parameters.body_pose], -3)


def mean_stance(smpl: SMPL, frames: int) -> Tensor:
    """The prior's mean pose, upright, facing the camera: a guess that never looks, (T, 12, 3)."""
    pose = axis_angle_to_matrix(load_pose_prior().mean_pose.unflatten(-1, (-1, 3)))
    upright = axis_angle_to_matrix(torch.tensor([torch.pi, 0.0, 0.0]))
    points = smpl.keypoints("smpl_24", body_pose=pose, global_orient=upright)
    return points[limbs("smpl_24")].expand(frames, -1, -1)


def seconds(run, repeats: int = 5) -> float:
    """Median wall time."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return sorted(times)[repeats // 2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--detector", action="store_true", help="our own detector's keypoints")
    own = parser.parse_args().detector
    smpl, clip = SMPL.load(), four_cameras.load()
    print("keypoints by", "our detector (BlazePose)" if own else "OpenPose")
    print("MPJPE / PA-MPJPE in mm over 12 limb joints, hip-centred, single view, cold start")
    print("camera          refined truth   raw truth      reprojection  hyperextended  not finite")
    collected: dict[str, list] = {"stance": [], "fit": []}
    for camera in range(4):
        keypoints = detected(clip, camera) if own else clip.keypoints(camera)
        fit = fit_smplify(smpl, clip.cameras[camera], keypoints)
        found = errors(clip, camera, limb_joints(smpl, fit.body_parameters))
        stance = errors(clip, camera, mean_stance(smpl, len(clip)))
        share, bent = reprojection_share(keypoints, fit), hyperextended(fit)
        broken = (~torch.isfinite(fit.energy)).sum()
        print(f"{camera + 1} mean stance   {stance}")
        flaws = f"{bent.sum():13}  {broken:9}"
        print(f"{camera + 1} fit           {found}   {share.mean():11.2%}  {flaws}")
        collected["stance"].append(stance)
        collected["fit"].append((found, share, bent))
    fits = collected["fit"]
    print(f"all mean stance {_joined(collected['stance'])}")
    share, bent = (torch.cat([fit[i] for fit in fits]) for i in (1, 2))
    print(
        f"all fit         {_joined([f[0] for f in fits])}   {share.mean():11.2%}  {bent.sum():13}"
    )
    report_times(smpl, clip)


def _joined(cameras: list[Errors]) -> Errors:
    def join(which: str) -> tuple[Tensor, ...]:
        return tuple(torch.cat(e) for e in zip(*(getattr(c, which) for c in cameras), strict=True))

    return Errors(join("refined"), join("raw"))


def report_times(smpl: SMPL, clip: FourCameraClip) -> None:
    """Wall time of the fit call, models and data loaded, on as many threads as torch has."""
    camera, keypoints = clip.cameras[0], clip.keypoints(0)
    one = seconds(lambda: fit_smplify(smpl, camera, keypoints[50]))
    hundred = seconds(lambda: fit_smplify(smpl, camera, keypoints))
    threads = torch.get_num_threads()
    print(
        f"fit of one frame {one:.3f} s, of {len(clip)} frames {hundred:.2f} s ({threads} threads)"
    )


if __name__ == "__main__":
    main()
