"""The peer of our fits: SMPLify as SPIN runs it, on smplx's whole mesh, by 2 x 100 steps of Adam.

Re-implemented from what is known of it (nkolot/SPIN, ``smplify``): first the camera stage, free are
root orientation and translation, plain squares of the torso's four joints and ``100^2`` times the
squared change of depth; then the body stage, free are pose, shape and root orientation,

    sum conf^2 rho(r) + 4.78^2 E_gmm + 15.2^2 sum exp(+-theta)^2 + 5^2 |betas|^2,

rho Geman and McClure's at 100 crop pixels for each coordinate. Unknowns are axis-angles, Adam's
step is 1e-2. Points that detectors and SMPL define differently are ignored in the body stage, on a
copy of the confidences. The prior is our ``GaussianMixturePrior``, which costs less than SPIN's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import smplx
import torch
from torch import Tensor

from tests.random_body import as_smplx
from vhlib.body import Keypoints
from vhlib.body.model_files import BodyModelData
from vhlib.body.skeletons import SMPL_24, get_skeleton
from vhlib.fitting.posed_body import unknown_slices
from vhlib.fitting.priors import GaussianMixturePrior
from vhlib.geometry import PerspectiveCamera

TORSO = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
IGNORED = ("neck", "left_hip", "right_hip")
DEPTH_WEIGHT, POSE_WEIGHT, BENDING_WEIGHT, SHAPE_WEIGHT = 100.0, 4.78, 15.2, 5.0
SIGMA = 100.0
# Left elbow, right elbow, left knee, right knee in the 69 numbers of the body pose.
BENT, UNNATURAL = (52, 55, 9, 12), (1.0, -1.0, -1.0, -1.0)
UNKNOWNS = unknown_slices(24, 10)


def without_ignored(keypoints: Keypoints) -> Keypoints:
    """A copy in which the ignored points count nothing."""
    skeleton = get_skeleton(keypoints.skeleton)
    confidence = keypoints.confidence.clone()
    confidence[..., skeleton.indices(*(n for n in IGNORED if n in skeleton.names))] = 0
    return replace(keypoints, confidence=confidence)


@dataclass(frozen=True, eq=False)
class SpinPeer:
    """SPIN's fit of N bodies to keypoints in pixels of a 224 crop, f = 5000.

    Args:
        model: smplx's.
        sources: (K, 24 + L) weights of the keypoints on joints and landmark vertices.
        landmarks: (L,) vertices.
        xy, confidence: (N, K, 2) as detected, (N, K) without the ignored.
        torso: four points of K.
    """

    model: smplx.SMPL
    sources: Tensor
    landmarks: Tensor
    camera: PerspectiveCamera
    xy: Tensor
    confidence: Tensor
    torso: Sequence[int]
    prior: GaussianMixturePrior

    @classmethod
    def of(
        cls,
        data: BodyModelData,
        camera: PerspectiveCamera,
        keypoints: Keypoints,
        prior: GaussianMixturePrior,
    ) -> SpinPeer:
        """The peer on the body of a model file."""
        names = [*SMPL_24.names, *data.landmarks]
        skeleton = get_skeleton(keypoints.skeleton)
        sources = [[point.get(name, 0.0) for name in names] for point in skeleton.points.values()]
        return cls(
            model=as_smplx(data),
            sources=torch.tensor(sources),
            landmarks=torch.tensor(list(data.landmarks.values())),
            camera=camera,
            xy=keypoints.xy,
            confidence=without_ignored(keypoints).confidence,
            torso=skeleton.indices(*TORSO),
            prior=prior,
        )

    def fit(self, start: Tensor, steps: int = 100, rate: float = 1e-2) -> Tensor:
        """Both stages from start vectors (N, 86), as in ``vhlib.fitting.posed_body``."""
        unknowns = {name: start[:, block].clone() for name, block in UNKNOWNS.items()}
        depth = unknowns["transl"][:, 2]
        stages = {
            ("global_orient", "transl"): lambda u: self.camera_loss(u, depth),
            ("body_pose", "betas", "global_orient"): self.body_loss,
        }
        for free, loss in stages.items():
            unknowns |= adam({name: unknowns[name] for name in free}, unknowns, loss, steps, rate)
        return torch.cat([unknowns[name] for name in UNKNOWNS], -1)

    def energy(self, vector: Tensor) -> Tensor:
        """The body stage's loss of each body at vectors (N, 86)."""
        return self.body_loss({name: vector[:, block] for name, block in UNKNOWNS.items()})

    def camera_loss(self, unknowns: Mapping[str, Tensor], depth: Tensor) -> Tensor:
        """The first stage's loss of each body."""
        residuals = (self._project(unknowns) - self.xy)[:, self.torso]
        moved = DEPTH_WEIGHT * (unknowns["transl"][:, 2] - depth)
        return residuals.square().sum((1, 2)) + moved.square()

    def body_loss(self, unknowns: Mapping[str, Tensor]) -> Tensor:
        """The second stage's loss of each body."""
        squared = (self._project(unknowns) - self.xy).square()
        robust = SIGMA**2 * squared / (SIGMA**2 + squared)
        bent = unknowns["body_pose"][:, BENT] * robust.new_tensor(UNNATURAL)
        return (
            (self.confidence.square() * robust.sum(-1)).sum(-1)
            + POSE_WEIGHT**2 * self.prior.energy_axis_angle(unknowns["body_pose"])
            + BENDING_WEIGHT**2 * bent.exp().square().sum(-1)
            + SHAPE_WEIGHT**2 * unknowns["betas"].square().sum(-1)
        )

    def _project(self, unknowns: Mapping[str, Tensor]) -> Tensor:
        body = self.model(
            betas=unknowns["betas"],
            body_pose=unknowns["body_pose"],
            global_orient=unknowns["global_orient"],
            transl=unknowns["transl"],
        )
        points = torch.cat([body.joints[:, :24], body.vertices[:, self.landmarks]], 1)
        return self.camera.project(self.sources @ points)


def adam(
    free: Mapping[str, Tensor],
    others: Mapping[str, Tensor],
    loss: Callable[[Mapping[str, Tensor]], Tensor],
    steps: int,
    rate: float,
) -> dict[str, Tensor]:
    """The free unknowns after so many steps down the loss, summed over the batch."""
    free = {name: value.clone().requires_grad_() for name, value in free.items()}
    unknowns = {**others, **free}
    optimizer = torch.optim.Adam(free.values(), lr=rate, betas=(0.9, 0.999))
    for _ in range(steps):
        optimizer.zero_grad()
        loss(unknowns).sum().backward()
        optimizer.step()
    return {name: value.detach() for name, value in free.items()}
