"""Choose the weights of the silhouette's term on synthetic views.

    python benchmarks/silhouette_weights.py | tee benchmarks/results/silhouette_weights.txt

Bodies are of the male and the female model, which the neutral one can't match, and detections have
the faults of synthetic_views.py. Half of the masks show people under up to 4 cm of clothes, and all
have outlines that waver. No real frame has a say. The pair in
use, 20 and 0.25, is 2 mm of MPJPE above the least of the table, which is at its edge.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from limbs import HIPS, LIMBS
from scipy.ndimage import distance_transform_edt
from silhouette import SMALL, drawn
from synthetic_views import CAMERA, Faults, detect, held_out, random_views
from torch import Tensor

from vhlib.body import SMPL, Keypoints
from vhlib.body.skeletons import SMPL_24
from vhlib.fitting import Fit, fit_smplify
from vhlib.fitting.priors import GaussianMixturePrior
from vhlib.fitting.silhouette import SILHOUETTE_START, Silhouette
from vhlib.geometry.silhouettes import blurred
from vhlib.metrics import iou, mpjpe, pa_mpjpe

WEIGHTS = (10.0, 15.0, 20.0, 30.0)
MASK_TO_BODY = (1.0, 0.5, 0.35, 0.25, 0.15, 0.0)
BARE = SMPL_24.indices("left_wrist", "right_wrist", "left_hand", "right_hand")


@dataclass(frozen=True, eq=False)
class Views:
    """Synthetic views: bare people first, then as many dressed ones.

    masks: of the bodies alone; seen: what a detector would give; joints: the limbs', camera frame.
    """

    prior: GaussianMixturePrior
    keypoints: Keypoints
    joints: Tensor
    masks: Tensor
    seen: Tensor


def synthetic_views(count: int) -> Views:
    """``count`` views of poses that the prior hasn't seen, half of them dressed."""
    generator = torch.Generator().manual_seed(0)
    others = held_out(count, generator)
    print(f"{count} views of {', '.join(others.clips)}, the second half dressed")
    views = random_views(others.poses, generator)
    people = [(SMPL.load(sex), views[k::4]) for k, sex in enumerate(2 * ["male", "female"])]
    points, joints = (
        torch.cat([smpl.keypoints(skeleton, **vars(own)) for smpl, own in people])
        for skeleton in ("openpose_25b", "smpl_24")
    )
    masks = [drawn(smpl, SMALL, own) for smpl, own in people]
    dressed = [
        drawn(smpl, SMALL, own, random_clothes(len(own.betas), generator))
        for smpl, own in people[2:]
    ]
    return Views(
        prior=others.prior,
        keypoints=detect(points, "openpose_25b", Faults(), generator),
        joints=joints[:, LIMBS],
        masks=torch.cat(masks),
        seen=wavering(torch.cat([*masks[:2], *dressed]), generator),
    )


def random_clothes(count: int, generator: torch.Generator) -> Tensor:
    """Up to 4 cm on seven joints of ten, none on the hands; (N, 24) metres."""
    thickness = 0.04 * torch.rand(count, 24, generator=generator)
    thickness = thickness * (torch.rand(count, 24, generator=generator) < 0.7)
    thickness[:, BARE] = 0
    return thickness


def wavering(masks: Tensor, generator: torch.Generator) -> Tensor:
    """Masks whose outlines waver by half a per cent of the height, over a twentieth of it."""
    wavered = []
    for mask in masks:
        rows = mask.any(1).nonzero()
        height = float(rows[-1] - rows[0])
        outside, inside = (distance_transform_edt(side.numpy()) for side in (~mask, mask))
        noise = blurred(torch.randn(mask.shape, generator=generator), 0.05 * height)
        wavered.append(torch.from_numpy(outside - inside) < 0.005 * height * noise / noise.std())
    return torch.stack(wavered)


def choose_weights(smpl: SMPL, count: int = 100) -> None:
    """MPJPE / PA-MPJPE / IoU with the bodies, for each weight and each share of the mask's way."""
    views = synthetic_views(count)

    def report(name: str, fit: Fit) -> None:
        joints = smpl.keypoints("smpl_24", **vars(fit.body_parameters))[:, LIMBS]
        mean = 1000 * mpjpe(joints, views.joints, root=HIPS)
        aligned = 1000 * pa_mpjpe(joints, views.joints)
        overlap = iou(drawn(smpl, SMALL, fit.body_parameters), views.masks)
        halves = torch.stack([mean, aligned, overlap], -1).tensor_split(2)
        columns = [*(half.mean(0).tolist() for half in halves)]
        columns.append(torch.cat(halves).mean(0).tolist())
        print(
            f"{name:21}" + "".join(f"{m:8.1f} / {a:4.1f} / {o:.3f}" for m, a, o in columns),
            flush=True,
        )

    print("weight, mask to body   bare                     dressed                  all")
    cold = fit_smplify(smpl, CAMERA, views.keypoints, views.prior)
    report("keypoints alone", cold)
    term = Silhouette.of_masks(smpl, views.seen, SMALL.in_own_frame())
    (stage,) = SILHOUETTE_START
    for weight in WEIGHTS:
        stage = replace(stage, weights={**stage.weights, "silhouette": weight})
        for share in MASK_TO_BODY:
            terms = [replace(term, mask_to_body=share)]
            fit = fit_smplify(
                *(smpl, CAMERA, views.keypoints, views.prior, [stage]),
                *(cold.body_parameters, terms),
            )
            report(f"{weight:6}  {share:12}", fit)


if __name__ == "__main__":
    torch.set_num_threads(1)
    choose_weights(SMPL.load())
