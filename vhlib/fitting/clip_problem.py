"""All frames of a clip as one least-squares problem: one shape, and motion without jerks.

Frames know of each other through two things only: they share the betas, and the points of a frame
should lie where its neighbours' motion carries them. Second differences tie a frame to the two
after it, so that a step of the solver asks for a banded system with a border for the betas,

    A x + B b = -g,    B^T x + C b = -h,

where A holds blocks (t, t), (t, t+1) and (t, t+2). Its Cholesky factors take time linear in the
number of frames; the Schur complement ``C - B^T A^-1 B`` gives the step b of the betas.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vhlib.fitting.posed_body import PosedBody
from vhlib.fitting.solvers import Problem

SMOOTHNESS = "smoothness"
# Of a second difference.
_STENCIL = (1.0, -2.0, 1.0)


class Band(NamedTuple):
    """A symmetric matrix of blocks: (T, F, F) on the diagonal, (T-1, F, F) and (T-2, F, F) above.

    The block (k, t) of ``above`` couples frame t with frame t + k.
    """

    diagonal: Tensor
    first: Tensor
    second: Tensor


class ClipModel(NamedTuple):
    """The local quadratic model of a clip by F unknowns of each frame and S that all share.

    energy (T,); gradients by_frame (T, F) and by_shared (S,); the Hessian's band, border (T, F, S)
    and corner (S, S).
    """

    energy: Tensor
    by_frame: Tensor
    by_shared: Tensor
    band: Band
    border: Tensor
    corner: Tensor


@dataclass(frozen=True, eq=False)
class ClipProblem:
    """``E = sum_t E_t(x_t, betas) + w^2 sum_t |a_t|^2`` for T frames of one person.

    ``a_t = fps^2 (p_{t-1} - 2 p_t + p_{t+1})`` are the accelerations of the keypoints in space.

    Args:
        frames: the energies of single frames.
        free: positions of the unknowns that each frame has for itself.
        shared: positions of those that are one for the whole clip.
        weight: w, in pixels of a person of 200 px for an acceleration of 1 m/s^2.
        fps: frames a second.
    """

    frames: Problem
    free: Int[Tensor, " F"]
    shared: Int[Tensor, " S"]
    weight: float
    fps: float

    def energy_terms(self, vector: Float[Tensor, "T n"]) -> dict[str, Float[Tensor, " T"]]:
        """Each frame's part of the energy by term; an acceleration belongs to its middle frame."""
        points = PosedBody(self.frames.regressor, vector).points
        return {**self.frames.energy_terms(vector), SMOOTHNESS: self._smoothness(points)}

    def model(self, vector: Float[Tensor, "T n"]) -> ClipModel:
        """Gauss-Newton for the smoothness, for the other terms what they are in single frames."""
        single = self.frames.quadratic(vector)
        body = PosedBody(self.frames.regressor, vector)
        # In this order, since the Jacobian gives the points too. In float64, since a stiff tie adds
        # numbers to the Hessian beside which what a frame alone knows would be lost in float32.
        jacobian = body.points_jacobian.flatten(1, 2).double()
        by_frame, by_shared = jacobian[..., self.free], jacobian[..., self.shared]
        factor = 2 * (self.weight * self.fps**2) ** 2
        points, frames = body.points.double().flatten(1), len(vector)
        pull = factor * _folded(second_difference(points), frames)[..., None]
        tied = factor * _folded(second_difference(by_shared), frames)
        ties = [
            factor * c[:, None, None] * (by_frame[: len(c)].mT @ by_frame[k:])
            for k, c in enumerate(_difference_products(frames))
        ]
        gradient, hessian = single.gradient.double(), single.hessian.double()
        free, shared = self.free, self.shared
        return ClipModel(
            single.energy + self._smoothness(body.points),
            gradient[:, free] + (by_frame.mT @ pull)[..., 0],
            (gradient[:, shared] + (by_shared.mT @ pull)[..., 0]).sum(0),
            Band(hessian[:, free[:, None], free] + ties[0], *ties[1:]),
            hessian[:, free[:, None], shared] + by_frame.mT @ tied,
            (hessian[:, shared[:, None], shared] + by_shared.mT @ tied).sum(0),
        )

    def require_finite(self, vector: Float[Tensor, "T n"], model: ClipModel) -> None:
        """Raise ValueError naming the first term and frame that isn't finite."""
        if not (model.energy.isfinite().all() and model.by_frame.isfinite().all()):
            self.frames.require_finite(vector, self.frames.energies(vector), model.by_frame)

    def _smoothness(self, points: Float[Tensor, "T K 3"]) -> Float[Tensor, " T"]:
        acceleration = self.fps**2 * second_difference(points)
        energy = points.new_zeros(len(points))
        energy[1:-1] = self.weight**2 * acceleration.square().sum((-2, -1))
        return energy


def second_difference(values: Float[Tensor, "T ..."]) -> Float[Tensor, "T2 ..."]:
    """``v_{t-1} - 2 v_t + v_{t+1}`` of all frames but the first and the last."""
    inner = max(len(values) - 2, 0)
    return sum(s * values[k : k + inner] for k, s in enumerate(_STENCIL))


def _folded(differences: Float[Tensor, "T2 ..."], frames: int) -> Float[Tensor, "T ..."]:
    """The transpose of `second_difference`, back to so many frames."""
    result = differences.new_zeros(frames, *differences.shape[1:])
    for k, s in enumerate(_STENCIL):
        result[k : k + len(differences)] += s * differences
    return result


def _difference_products(frames: int) -> list[Tensor]:
    """Diagonals 0, 1 and 2 of ``D^T D``, D being the matrix of `second_difference`."""
    diagonals = [torch.zeros(max(frames - k, 0), dtype=torch.float64) for k in range(3)]
    for i, a in enumerate(_STENCIL):
        for k, b in enumerate(_STENCIL[i:]):
            diagonals[k][i : i + max(frames - 2, 0)] += a * b
    return diagonals
