"""What a person's mask adds to the keypoints: on the real clip, and for the shape of a body.

    python benchmarks/silhouette.py | tee benchmarks/results/silhouette.txt
    python benchmarks/silhouette.py --pictures DIR     # the clip only, with overlays

The clip: OpenPose's keypoints and BlazePose's masks, each frame of each camera by itself. A cold
fit to the keypoints goes on with them for as long again, or with the mask beside them. MPJPE
(hip-centred) and PA-MPJPE in mm over the twelve limb joints, against the reference triangulated
with the refined cameras; vhlib/data/four_cameras.py says how far that can be trusted. The subject
wears shorts and a cap. The weights were chosen by silhouette_weights.py.

Shape from an outline: random bodies of the neutral model in a known pose, their betas and place
sought from the mean body's.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import trimesh
from limbs import HIPS, limb_joints
from PIL import Image
from real_clip import nearest
from synthetic_views import CAMERA, Faults, detect, random_views
from torch import Tensor

from vhlib.body import SMPL, BodyParameters, Keypoints
from vhlib.body.measurements import measure_body
from vhlib.body.skeletons import SMPL_24
from vhlib.data import four_cameras
from vhlib.data.detection import detect_people
from vhlib.data.four_cameras import FourCameraClip
from vhlib.fitting import Fit, Stage, fit_smplify
from vhlib.fitting.schedules import ALL_UNKNOWNS, BODY_WEIGHTS
from vhlib.fitting.silhouette import SILHOUETTE_START, Silhouette
from vhlib.geometry import PerspectiveCamera, axis_angle_to_matrix
from vhlib.geometry.meshes import vertex_normals
from vhlib.geometry.rasterizer import rasterize
from vhlib.metrics import iou, mpjpe, pa_mpjpe

AS_LONG = (Stage("as long", ALL_UNKNOWNS, BODY_WEIGHTS, SILHOUETTE_START[0].iterations),)
# Synthetic masks are drawn a quarter as large: people of 150 to 300 px.
SMALL = CAMERA.resized((270, 480))


def drawn(
    smpl: SMPL, camera: PerspectiveCamera, bodies: BodyParameters, clothes: Tensor | None = None
) -> Tensor:
    """Masks (N, H, W) of bodies in the camera's frame, under ``clothes`` (N, 24), metres."""
    masks = []
    for some in torch.arange(len(bodies.betas)).split(20):
        with torch.no_grad():
            vertices = smpl(**vars(bodies[some])).vertices
        if clothes is not None:
            thickness = (clothes[some] @ smpl.lbs_weights.T)[..., None]
            vertices = vertices + thickness * vertex_normals(vertices, smpl.faces)
        masks.append(rasterize(vertices, smpl.faces, camera.in_own_frame()).triangle_ids >= 0)
    return torch.cat(masks)


def subject_masks(clip: FourCameraClip, camera: int, frames: Sequence[int]) -> Tensor:
    """The subject's mask in some frames, (T, H, W): of the person nearest to OpenPose's."""
    masks = []
    for frame, picture in zip(frames, clip.frames(camera, frames), strict=True):
        people = detect_people(picture)
        subject = nearest(people.keypoints, clip.keypoints(camera)[frame])
        masks.append(people.mask(subject) > 0.5)
    return torch.stack(masks)


@dataclass(frozen=True, eq=False)
class Row:
    """A method on one camera: MPJPE, PA-MPJPE and IoU of each frame, and seconds in all."""

    values: Tensor
    seconds: float

    def __str__(self) -> str:
        mean, aligned, overlap = self.values.mean(0).tolist()
        each = self.seconds / len(self.values)
        return f"{mean:6.1f}  {aligned:8.1f}  {overlap:5.3f}  {1000 * each:8.0f}"


def fits_of_clip(
    smpl: SMPL, camera: PerspectiveCamera, keypoints: Keypoints, masks: Tensor
) -> dict[str, tuple[Fit, float]]:
    """Each method's fits of one camera's frames and the CPU seconds they took."""
    started = time.process_time()
    cold = fit_smplify(smpl, camera, keypoints)
    cold_seconds = time.process_time() - started

    def refined(schedule: Sequence[Stage], **options: float) -> tuple[Fit, float]:
        started = time.process_time()
        terms = []
        if schedule is SILHOUETTE_START:
            terms = [Silhouette.of_masks(smpl, masks, camera.in_own_frame(), **options)]
        fit = fit_smplify(*(smpl, camera, keypoints, None, schedule, cold.body_parameters, terms))
        return fit, cold_seconds + time.process_time() - started

    return {
        "keypoints": (cold, cold_seconds),
        "keypoints, as long": refined(AS_LONG),
        "keypoints and mask": refined(SILHOUETTE_START),
        "  mask to body as much": refined(SILHOUETTE_START, mask_to_body=1.0),
        "  body to mask only": refined(SILHOUETTE_START, mask_to_body=0.0),
    }


def judge_on_clip(smpl: SMPL, every: int, pictures: Path | None) -> None:
    """Some frames of every camera; overlays of four of them each if a folder is given."""
    clip = four_cameras.load()
    frames = range(0, len(clip), every)
    print(f"real clip, {len(frames)} of {len(clip)} frames of 4 cameras, each view alone")
    print("camera  method                   MPJPE  PA-MPJPE    IoU  ms/frame")
    rows: dict[str, list[Row]] = {}
    for index, camera in enumerate(clip.cameras):
        masks = subject_masks(clip, index, frames)
        fits = fits_of_clip(smpl, camera, clip.keypoints(index, frames), masks)
        for name, (fit, seconds) in fits.items():
            joints = limb_joints(smpl, fit.body_parameters)
            truth = camera.world_to_camera(clip.truth()[list(frames)])
            found = 1000 * mpjpe(joints, truth, root=HIPS), 1000 * pa_mpjpe(joints, truth)
            overlap = iou(drawn(smpl, camera, fit.body_parameters), masks)
            row = Row(torch.stack([*found, overlap], -1), seconds)
            rows.setdefault(name, []).append(row)
            print(f"{index:6}  {name:23} {row}", flush=True)
        if pictures:
            chosen = [fits[name][0] for name in ("keypoints", "keypoints and mask")]
            save_overlays(smpl, clip, index, frames, masks, chosen, pictures)
    for name, parts in rows.items():
        whole = Row(torch.cat([p.values for p in parts]), sum(p.seconds for p in parts))
        print(f"{'all':>6}  {name:23} {whole}")
    before, after = (
        torch.cat([part.values for part in rows[name]])
        for name in ("keypoints", "keypoints and mask")
    )
    better = [(after < before)[:, i].float().mean() for i in (0, 1)]
    better.append((after > before)[:, 2].float().mean())
    print(
        "frames that the mask makes better: "
        + ", ".join(
            f"{share:.0%} in {name}"
            for share, name in zip(better, ("MPJPE", "PA-MPJPE", "IoU"), strict=True)
        )
    )


def save_overlays(
    smpl: SMPL,
    clip: FourCameraClip,
    index: int,
    frames: Sequence[int],
    masks: Tensor,
    fits: Sequence[Fit],
    folder: Path,
) -> None:
    """Side by side: red is the body outside the mask, blue the mask outside the body."""
    folder.mkdir(parents=True, exist_ok=True)
    for place in range(0, len(frames), max(len(frames) // 4, 1)):
        frame, mask = frames[place], masks[place].numpy()
        rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
        window = np.s_[
            max(rows[0] - 40, 0) : rows[-1] + 40, max(columns[0] - 60, 0) : columns[-1] + 60
        ]
        parts = []
        for fit in fits:
            body = drawn(smpl, clip.cameras[index], fit.body_parameters[[place]])[0].numpy()
            picture = clip.frame(index, frame) // 2
            picture[body & ~mask, 0] += 127
            picture[mask & ~body, 2] += 127
            picture[mask & body] += 50
            parts.append(picture[window])
        Image.fromarray(np.concatenate(parts, 1)).save(folder / f"camera{index}_{frame:02}.png")


def waist(smpl: SMPL, betas: Tensor) -> Tensor:
    """Girth at the height of the second spine joint, arms spread, (N,) metres."""
    with torch.no_grad():
        bodies = smpl(betas=betas)
    girths = []
    for vertices, joints in zip(bodies.vertices, bodies.joints, strict=True):
        mesh = trimesh.Trimesh(vertices.numpy(), smpl.faces.numpy(), process=False)
        height = joints[SMPL_24.index("spine2")].numpy()
        section = mesh.section(plane_origin=height, plane_normal=[0.0, 1.0, 0.0])
        girths.append(
            max(np.linalg.norm(np.diff(c, axis=0), axis=1).sum() for c in section.discrete)
        )
    return torch.tensor(girths)


def judge_shape(smpl: SMPL, count: int = 40) -> None:
    """Betas and place from keypoints, from the outline and from both, in a known pose."""
    generator = torch.Generator().manual_seed(0)
    pose = torch.zeros(count, 23, 3)
    pose[:, SMPL_24.index("left_shoulder") - 1, 2] = -0.9
    pose[:, SMPL_24.index("right_shoulder") - 1, 2] = 0.9
    truth = random_views(axis_angle_to_matrix(pose), generator)
    points = smpl.keypoints("openpose_25b", **vars(truth))
    keypoints = detect(points, "openpose_25b", Faults(astray=0.0), generator)
    term = Silhouette.of_masks(
        smpl, drawn(smpl, SMALL, truth), SMALL.in_own_frame(), mask_to_body=1.0
    )
    start = replace(truth, betas=torch.zeros(count, 10))
    print(f"\nshape of {count} bodies in a known pose, one view; mean absolute errors")
    print("from                     betas  height cm  waist cm  mass kg    IoU")
    sources = {
        "the mean body": {},
        "keypoints": {"reprojection": 1.0},
        "the outline": {"silhouette": 20.0},
        "both": {"reprojection": 1.0, "silhouette": 20.0},
    }
    for name, weights in sources.items():
        stage = Stage("shape", ("betas", "transl"), {**weights, "shape_prior": 1.0}, 40, 1e-6)
        found = start
        if weights:
            fit = fit_smplify(smpl, CAMERA, keypoints, None, [stage], start, [term])
            found = fit.body_parameters
        off = [
            (own - true).abs().mean()
            for own, true in zip(shape_of(smpl, found), shape_of(smpl, truth), strict=True)
        ]
        overlap = iou(drawn(smpl, SMALL, found), drawn(smpl, SMALL, truth)).mean()
        print(
            f"{name:22}  {off[0]:6.2f}  {100 * off[1]:9.1f}  {100 * off[2]:8.1f}  {off[3]:7.1f}  "
            f"{overlap:5.3f}",
            flush=True,
        )


def shape_of(smpl: SMPL, bodies: BodyParameters) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Betas, height and waist in metres, mass in kg."""
    with torch.no_grad():
        measured = measure_body(smpl(betas=bodies.betas).vertices, smpl.faces)
    return bodies.betas, measured.height, waist(smpl, bodies.betas), measured.mass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every Nth frame")
    parser.add_argument("--pictures", type=Path, help="a folder for overlays")
    options = parser.parse_args()
    torch.set_num_threads(1)
    smpl = SMPL.load()
    judge_on_clip(smpl, options.every, options.pictures)
    if not options.pictures:
        judge_shape(smpl)


if __name__ == "__main__":
    main()
