"""The mixture-of-Gaussians pose prior of SMPLify.

A pose is the vector of axis-angles of the 23 joints besides the root, 69 numbers. Methods that take
``axis_angle`` want that vector; ``energy`` takes rotation matrices, as the rest of the library.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vhlib.body.pickled_arrays import read_pickled_arrays
from vhlib.files import read_npz
from vhlib.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle

POSE_SIZE = 69
_KEYS = ("means", "covars", "weights")


class QuadraticModel(NamedTuple):
    """Energy, gradient and Hessian of the active component, by the axis-angle vector."""

    energy: Float[Tensor, "*batch"]
    gradient: Float[Tensor, "*batch 69"]
    hessian: Float[Tensor, "*batch 69 69"]


class GaussianMixturePrior(nn.Module):
    """How unlike recorded poses a pose is: the negative log of the mixture's best component.

    ``E(theta) = min_k 1/2 (theta - mu_k)^T Sigma_k^-1 (theta - mu_k) - log c_k`` with
    ``c_k = w_k / ((2 pi)^(69/2) sqrt|Sigma_k| / min_j sqrt|Sigma_j|)``. Dividing by the smallest
    determinant only shifts E; with it every ``-log c_k`` is positive, so E is, and E is a sum of
    squares. Determinants of 69 small variances underflow: their logarithms are taken in float64.
    Source: Bogo et al., Keep it SMPL, 2016, section 3.2 and equation 4.

    Args:
        means: (M, 69) axis-angle.
        covars: (M, 69, 69), symmetric and positive definite.
        weights: (M,), positive; they are scaled to sum to one.
        dtype: of the buffers; all setting up is done in float64.

    Raises:
        ValueError: wrong shapes, values that aren't finite, or a matrix that isn't a covariance.
    """

    means: Float[Tensor, "M 69"]
    weights: Float[Tensor, " M"]
    constants: Float[Tensor, " M"]
    whitening: Float[Tensor, "M 69 69"]
    whitened_means: Float[Tensor, "M 69"]
    precisions: Float[Tensor, "M 69 69"]

    def __init__(
        self,
        means: Float[np.ndarray | Tensor, "M D"],
        covars: Float[np.ndarray | Tensor, "M D2 D3"],
        weights: Float[np.ndarray | Tensor, " M2"],
        dtype: torch.dtype = torch.float32,
    ):
        super().__init__()
        means, covars, weights = (torch.as_tensor(a).double() for a in (means, covars, weights))
        _check_mixture(means, covars, weights)
        weights = weights / weights.sum()
        covariance_factors = _cholesky(covars)
        identity = torch.eye(POSE_SIZE, dtype=torch.float64).expand_as(covars)
        # Rows that turn a deviation into residuals: |W d|^2 = 1/2 d^T Sigma^-1 d.
        whitening = torch.linalg.solve_triangular(covariance_factors, identity, upper=False)
        half_log_determinants = covariance_factors.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        constants = (
            -weights.log()
            + POSE_SIZE / 2 * math.log(2 * math.pi)
            + half_log_determinants
            - half_log_determinants.min()
        )
        buffers = {
            "means": means,
            "weights": weights,
            "constants": constants,
            "whitening": whitening / math.sqrt(2),
            "whitened_means": (whitening @ means[..., None])[..., 0] / math.sqrt(2),
            "precisions": whitening.mT @ whitening,
        }
        for name, value in buffers.items():
            self.register_buffer(name, value.to(dtype))

    @property
    def mean_pose(self) -> Float[Tensor, " pose"]:
        """``sum_k w_k mu_k``, the pose that SMPLify starts from, as axis-angle."""
        return self.weights @ self.means

    def energy(self, body_pose: Float[Tensor, "*batch 23 3 3"]) -> Float[Tensor, "*batch"]:
        """E of poses given as rotation matrices; always positive, differentiable."""
        return self.energy_axis_angle(matrix_to_axis_angle(body_pose).flatten(-2))

    def energy_axis_angle(self, axis_angle: Float[Tensor, "*batch 69"]) -> Float[Tensor, "*batch"]:
        """E of poses given as axis-angle vectors."""
        return self._component_energies(self._whitened(axis_angle)).amin(-1)

    def active_component(self, axis_angle: Float[Tensor, "*batch 69"]) -> Int[Tensor, "*batch"]:
        """Which component attains the minimum."""
        return self._component_energies(self._whitened(axis_angle)).argmin(-1)

    def residuals(self, axis_angle: Float[Tensor, "*batch 69"]) -> Float[Tensor, "*batch 70"]:
        """Vector whose sum of squares is E: the active ``W_k (theta - mu_k)``, ``sqrt(-log c_k)``.

        The last entry is constant while the active component is, so it moves no solver.
        """
        whitened = self._whitened(axis_angle)
        active = self._component_energies(whitened).argmin(-1)
        chosen = torch.take_along_dim(whitened, active[..., None, None], -2).squeeze(-2)
        return torch.cat([chosen, self.constants[active].sqrt()[..., None]], -1)

    def quadratic(self, axis_angle: Float[Tensor, "*batch 69"]) -> QuadraticModel:
        """E with its exact derivatives while the active component stays the same."""
        energy, active = self._component_energies(self._whitened(axis_angle)).min(-1)
        hessian = self.precisions[active]
        deviation = axis_angle - self.means[active]
        return QuadraticModel(energy, (hessian @ deviation[..., None])[..., 0], hessian)

    def sample(self, count: int, generator: torch.Generator) -> Float[Tensor, "n 23 3 3"]:
        """Poses drawn from the mixture, as rotation matrices."""
        k = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        noise = torch.randn(count, POSE_SIZE, 1, generator=generator, dtype=self.means.dtype)
        # W = L^-1 / sqrt 2 for Sigma = L L^T, so L z solves W x = z / sqrt 2.
        deviation = torch.linalg.solve_triangular(
            self.whitening[k], noise / math.sqrt(2), upper=False
        )
        pose = self.means[k] + deviation[..., 0]
        return axis_angle_to_matrix(pose.unflatten(-1, (-1, 3)))

    def _whitened(self, axis_angle: Tensor) -> Tensor:
        """``W_k (theta - mu_k)`` for every component, (*batch, M, 69), by one matrix product."""
        product = axis_angle @ self.whitening.flatten(0, 1).mT
        return product.unflatten(-1, self.whitened_means.shape) - self.whitened_means

    def _component_energies(self, whitened: Tensor) -> Tensor:
        return whitened.square().sum(-1) + self.constants


def read_mixture(path: str | Path, dtype: torch.dtype = torch.float32) -> GaussianMixturePrior:
    """A mixture from an npz or a pickle with ``means``, ``covars`` and ``weights``.

    This is the layout of ``gmm_08.pkl``, which SMPLify's authors hand out under a research licence;
    nothing in a pickle is run.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds something else, or no mixture over 69 numbers.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no pose prior file {path}")
    read = read_npz if zipfile.is_zipfile(path) else read_pickled_arrays
    arrays = read(path, _KEYS)
    missing = [key for key in _KEYS if key not in arrays]
    if missing:
        raise ValueError(f"{path}: no {', '.join(missing)}; a mixture has {', '.join(_KEYS)}")
    try:
        return GaussianMixturePrior(*(np.array(arrays[key]) for key in _KEYS), dtype=dtype)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _check_mixture(means: Tensor, covars: Tensor, weights: Tensor) -> None:
    expected = "means (M, 69), covars (M, 69, 69), weights (M,)"
    shapes = tuple(means.shape), tuple(covars.shape), tuple(weights.shape)
    size = len(weights)
    if shapes != ((size, POSE_SIZE), (size, POSE_SIZE, POSE_SIZE), (size,)) or size == 0:
        raise ValueError(f"a pose mixture has {expected}; found {', '.join(map(str, shapes))}")
    if not all(bool(values.isfinite().all()) for values in (means, covars, weights)):
        raise ValueError("the mixture holds a value that isn't finite")
    if not bool((weights > 0).all()):
        raise ValueError(f"mixture weights must be positive, found {weights.tolist()}")


def _cholesky(covars: Tensor) -> Tensor:
    if not torch.allclose(covars, covars.mT, rtol=1e-4, atol=1e-8):
        raise ValueError("a covariance of the mixture isn't symmetric")
    factors, failed = torch.linalg.cholesky_ex((covars + covars.mT) / 2)
    if bool(failed.any()):
        component = int(failed.nonzero()[0])
        raise ValueError(f"the covariance of component {component} isn't positive definite")
    return factors
