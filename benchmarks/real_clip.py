"""Every way to fit the real four-camera clip: how far from the triangulated reference?

    python benchmarks/real_clip.py | tee benchmarks/results/real_clip.txt
    python benchmarks/real_clip.py --detector       # keypoints of our own detector
    python benchmarks/real_clip.py --figures DIR    # and pictures of the worst frame of each camera

MPJPE (hip-centred) and PA-MPJPE over the twelve limb joints, in millimetres, against the reference
triangulated with the refined and with the shipped cameras. No weight was chosen on these frames:
choose_weights.py and choose_clip_weights.py choose them on synthetic people. The reference comes
from the same detections as the fits, and the subject is one person for 1.7 s: see
vhlib/data/four_cameras.py. The mask's row is silhouette.py's. The peer, ``spin_schedule``, has our
camera, our four starts and the shipped prior, and takes minutes, so it fits every tenth frame.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from limbs import HIPS, HYPEREXTENSION, hyperextended, limb_joints
from measure import machine
from PIL import Image
from spin_schedule import SpinPeer
from torch import Tensor

from vhlib.body import SMPL, BodyParameters, Keypoints
from vhlib.body.keypoints import MIN_CONFIDENCE
from vhlib.body.model_files import find_model, read_model
from vhlib.body.skeletons import get_skeleton
from vhlib.data import four_cameras
from vhlib.data.detection import detect_people
from vhlib.data.four_cameras import LIMB_JOINTS, FourCameraClip
from vhlib.fitting import fit_smplify, load_pose_prior
from vhlib.fitting.clips import fit_clip
from vhlib.fitting.energies import Reprojection
from vhlib.fitting.multiview import fit_views
from vhlib.fitting.observations import usable_keypoints
from vhlib.fitting.posed_body import PosedBody
from vhlib.fitting.solvers import one_thread
from vhlib.fitting.starts import ALL_AROUND, LeastSquares, Turn, View, mean_stance
from vhlib.geometry import axis_angle_to_matrix
from vhlib.geometry.rasterizer import rasterize
from vhlib.metrics import mpjpe, pa_mpjpe

FAILED = 150.0  # mm
PEER_EVERY = 10
ALONE, CLIP = "each frame alone", "as one clip"


@dataclass(frozen=True, eq=False)
class Found:
    """A method's joints (T, 12, 3) in the frame of the reference it is compared with.

    reprojection: (T,) share of the person's height; seconds: CPU time in all.
    """

    errors: Errors
    reprojection: Tensor | None = None
    seconds: float = float("nan")
    parameters: BodyParameters | None = None

    def __str__(self) -> str:
        share = "" if self.reprojection is None else f"{self.reprojection.mean():.2%}"
        each = 1000 * self.seconds / len(self.errors.refined[0])
        return f"{self.errors}   {share:>12}  {each:8.0f}"


@dataclass(frozen=True, eq=False)
class Errors:
    """One value a frame: millimetres against the refined and the raw reference."""

    refined: tuple[Tensor, Tensor]
    raw: tuple[Tensor, Tensor]

    def __str__(self) -> str:
        pairs = [f"{e.mean():5.1f} / {pa.mean():5.1f}" for e, pa in (self.refined, self.raw)]
        return "   ".join(pairs)


def limbs(skeleton: str) -> list[int]:
    """Where the twelve joints stand in a skeleton."""
    return get_skeleton(skeleton).indices(*LIMB_JOINTS)


def nearest(people: Keypoints, person: Keypoints) -> int:
    """Which of some people is the person as another detector sees them."""
    there = person.xy.median(0).values
    return int((people.xy.median(1).values - there).norm(dim=-1).argmin())


def detected(clip: FourCameraClip, camera: int) -> Keypoints:
    """The subject as our own detector sees him, (T, 33): who is nearest to OpenPose's."""
    track = []
    for frame, picture in enumerate(clip.frames(camera)):
        people = detect_people(picture).keypoints
        track.append(people[nearest(people, clip.keypoints(camera)[frame])])
    xy, confidence = (
        torch.stack([getattr(k, name) for k in track]) for name in ("xy", "confidence")
    )
    return Keypoints(xy, confidence, "blazepose_33")


def errors(clip: FourCameraClip, camera: int | None, joints: Tensor, every: int = 1) -> Errors:
    """MPJPE and PA-MPJPE of (T, 12, 3) joints in a camera's frame, or in the world's."""

    def against(refined: bool) -> tuple[Tensor, Tensor]:
        truth = clip.truth(refined)[::every]
        if camera is not None:
            rig = clip.cameras if refined else clip.raw_cameras
            truth = rig[camera].world_to_camera(truth)
        return 1000 * mpjpe(joints, truth, root=HIPS), 1000 * pa_mpjpe(joints, truth)

    return Errors(against(True), against(False))


def reprojection_share(keypoints: Keypoints, projected: Tensor) -> Tensor:
    """Mean distance over confident limb joints as a share of the person's height, (*batch,)."""
    chosen = limbs(keypoints.skeleton)
    seen = keypoints.confidence[..., chosen] > MIN_CONFIDENCE
    distance = (projected - keypoints.xy)[..., chosen, :].norm(dim=-1)
    return (distance * seen).sum(-1) / seen.sum(-1) / keypoints.height(MIN_CONFIDENCE)


def stance(smpl: SMPL, clip: FourCameraClip, camera: int) -> Found:
    """The prior's mean pose, upright, facing the camera: a guess that never looks."""
    pose = axis_angle_to_matrix(load_pose_prior().mean_pose.unflatten(-1, (-1, 3)))
    upright = axis_angle_to_matrix(torch.tensor([torch.pi, 0.0, 0.0]))
    points = smpl.keypoints("smpl_24", body_pose=pose, global_orient=upright)
    return Found(errors(clip, camera, points[limbs("smpl_24")].expand(len(clip), -1, -1)))


def spin(smpl: SMPL, clip: FourCameraClip, camera: int, keypoints: Keypoints) -> Found:
    """The peer from our four starts, the one of least loss, on every tenth frame."""
    keypoints = keypoints[::PEER_EVERY]
    usable = usable_keypoints(keypoints, smpl.keypoints(keypoints.skeleton))
    lens, prior = clip.cameras[camera].in_own_frame(), load_pose_prior()
    view = View(smpl.keypoint_regressor(keypoints.skeleton), lens, usable)
    started = time.process_time()
    starts = LeastSquares()(Turn(ALL_AROUND)(mean_stance(view, prior.mean_pose), view), view)
    # Its loss is in pixels of a crop, in which people are about PERSON_HEIGHT tall.
    scale = (Reprojection.PERSON_HEIGHT / usable.height())[:, None]
    crop = replace(
        lens,
        focal_length=lens.focal_length * scale,
        principal_point=lens.principal_point * scale,
    )
    index = torch.arange(len(keypoints)).repeat(len(ALL_AROUND))
    seen = Keypoints(usable.xy * scale[..., None], usable.confidence, usable.skeleton)
    model = read_model(find_model("neutral"))
    peer = SpinPeer.of(model, crop.select(index), seen[index], prior)
    ends = peer.fit(starts.flatten(0, 1))
    best = peer.energy(ends).view(len(ALL_AROUND), -1).argmin(0)
    vector = ends.view(len(ALL_AROUND), len(keypoints), -1)[best, torch.arange(len(keypoints))]
    seconds = time.process_time() - started
    body = PosedBody(view.regressor, vector)
    joints = limb_joints(smpl, body.parameters())
    share = reprojection_share(keypoints, lens.project(body.points))
    return Found(errors(clip, camera, joints, PEER_EVERY), share, seconds, body.parameters())


def ours(smpl: SMPL, clip: FourCameraClip, camera: int, keypoints: Keypoints, how: str) -> Found:
    """Each frame alone from a cold start, or all as one clip."""
    started = time.process_time()
    if how == CLIP:
        fit = fit_clip(smpl, clip.cameras[camera], keypoints, clip.fps)
    else:
        fit = fit_smplify(smpl, clip.cameras[camera], keypoints)
    seconds = time.process_time() - started
    share = reprojection_share(keypoints, fit.projected_keypoints)
    joints = limb_joints(smpl, fit.body_parameters)
    return Found(errors(clip, camera, joints), share, seconds, fit.body_parameters)


def together(smpl: SMPL, clip: FourCameraClip, views: Keypoints) -> Found:
    """All four views at once, each moment by itself."""
    started = time.process_time()
    fit = fit_views(smpl, clip.cameras, views)
    seconds = time.process_time() - started
    share = reprojection_share(views, fit.projected_keypoints).mean(0)
    joints = limb_joints(smpl, fit.body_parameters)
    return Found(errors(clip, None, joints), share, seconds, fit.body_parameters)


def joined(parts: list[Found]) -> Found:
    """All cameras of a method."""

    def values(which: str) -> tuple[Tensor, ...]:
        pairs = zip(*(getattr(part.errors, which) for part in parts), strict=True)
        return tuple(torch.cat(pair) for pair in pairs)

    shares = [part.reprojection for part in parts if part.reprojection is not None]
    return Found(
        Errors(values("refined"), values("raw")),
        torch.cat(shares) if shares else None,
        sum(part.seconds for part in parts),
    )


def report_failures(method: str, parts: list[Found]) -> None:
    """Frames that are more than FAILED off, as camera: first-last."""
    failed = {
        camera: (part.errors.refined[0] > FAILED).nonzero()[:, 0].tolist()
        for camera, part in enumerate(parts)
    }
    count = sum(map(len, failed.values()))
    text = "; ".join(f"camera {c}: {_runs(f)}" for c, f in failed.items() if f)
    bent = sum(int(hyperextended(part.parameters).sum()) for part in parts)
    broken = sum(int((~part.errors.refined[0].isfinite()).sum()) for part in parts)
    print(f"{method}: {count} frames over {FAILED:.0f} mm{': ' if text else ''}{text}")
    print(
        f"    {bent} hyperextended by more than {HYPEREXTENSION:.0f} degrees, {broken} not finite"
    )


def _runs(frames: list[int]) -> str:
    """Frames as runs, "3-7 12"."""
    starts = [f for f in frames if f - 1 not in frames]
    ends = [f for f in frames if f + 1 not in frames]
    return " ".join(str(a) if a == b else f"{a}-{b}" for a, b in zip(starts, ends, strict=True))


def save_figures(smpl: SMPL, clip: FourCameraClip, parts: list[Found], folder: Path) -> None:
    """The worst frame of each camera: the body over the picture, and from its side."""
    folder.mkdir(parents=True, exist_ok=True)
    aside = axis_angle_to_matrix(torch.tensor([0.0, torch.pi / 2, 0.0]))
    for index, part in enumerate(parts):
        worst = int(part.errors.refined[0].argmax())
        camera = clip.cameras[index].in_own_frame()
        vertices = smpl(**vars(part.parameters[worst])).vertices
        middle = vertices.mean(0)
        picture = clip.frame(index, worst)
        panels = [picture.copy(), np.full_like(picture, 255)]
        turned = (vertices - middle) @ aside.mT + middle
        for panel, shown in zip(panels, (vertices, turned), strict=True):
            body = (rasterize(shown[None], smpl.faces, camera).triangle_ids[0] >= 0).numpy()
            panel[body] = panel[body] // 2 + np.array([100, 40, 0], dtype=np.uint8)
        left, top, right, bottom = (int(v) for v in clip.keypoints(index)[worst].box())
        window = np.s_[max(top - 150, 0) : bottom + 150, max(left - 150, 0) : right + 150]
        sheet = np.concatenate([panel[window] for panel in panels], 1)
        Image.fromarray(sheet).save(folder / f"camera{index}_frame{worst:02}.png")


def print_rows(rows: Mapping[str, list[Found]]) -> None:
    """Every camera of every method, then all of them."""
    for method, parts in rows.items():
        for camera, part in enumerate(parts if len(parts) > 1 else []):
            print(f"{camera:6}  {method:18} {part}")
    print()
    for method, parts in rows.items():
        print(f"{'all':>6}  {method:18} {joined(parts)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--detector", action="store_true", help="our own detector's keypoints")
    parser.add_argument("--figures", type=Path, help="draw the worst frame of each camera here")
    parser.add_argument("--no-peer", action="store_true", help="leave the SPIN schedule out")
    options = parser.parse_args()
    smpl, clip = SMPL.load(), four_cameras.load()
    find = detected if options.detector else FourCameraClip.keypoints
    tracks = [find(clip, camera) for camera in range(4)]
    rows: dict[str, list[Found]] = {"mean stance": [stance(smpl, clip, c) for c in range(4)]}
    with one_thread():
        print(machine())
        if not options.no_peer:
            rows["SPIN schedule"] = [spin(smpl, clip, c, k) for c, k in enumerate(tracks)]
        for how in (ALONE, CLIP):
            rows[how] = [ours(smpl, clip, c, k, how) for c, k in enumerate(tracks)]
        views = Keypoints(
            *(torch.stack([getattr(k, f) for k in tracks]) for f in ("xy", "confidence")),
            tracks[0].skeleton,
        )
        rows["four views"] = [together(smpl, clip, views)]
    print("keypoints by", "our detector (BlazePose)" if options.detector else "OpenPose")
    print("MPJPE / PA-MPJPE in mm over 12 limb joints, hip-centred; ms of CPU, one thread")
    print("camera  method             refined truth   raw truth       reprojection  ms/frame")
    print_rows(rows)
    if not options.no_peer:
        peer, alone = (joined(rows[name]) for name in ("SPIN schedule", ALONE))
        each = [found.seconds / len(found.errors.refined[0]) for found in (peer, alone)]
        print(f"\nours alone is {each[0] / each[1]:.0f} times as fast as the SPIN schedule")
    for how in (ALONE, CLIP):
        report_failures(how, rows[how])
    if options.figures:
        save_figures(smpl, clip, rows[ALONE], options.figures)


if __name__ == "__main__":
    main()
