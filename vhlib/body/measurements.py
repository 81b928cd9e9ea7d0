"""What a tape and a scale would say of a body: stature, mass, body mass index."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from vhlib.geometry.meshes import signed_volume

DENSITY = 985.0
"""Kilograms per cubic metre: a human body with air in its lungs all but floats."""


@dataclass(frozen=True, eq=False)
class Measurements:
    """height (*batch,) in metres and mass (*batch,) in kilograms."""

    height: Float[Tensor, "*batch"]
    mass: Float[Tensor, "*batch"]

    @property
    def body_mass_index(self) -> Float[Tensor, "*batch"]:
        """Mass over height squared, kg / m^2."""
        return self.mass / self.height**2


def measure_body(vertices: Float[Tensor, "*batch V 3"], faces: Int[Tensor, "F 3"]) -> Measurements:
    """Measure bodies that stand upright, such as ``smpl(betas=betas).vertices``, +y up.

    The height is the extent along y, the mass the volume times ``DENSITY``.
    """
    y = vertices[..., 1]
    return Measurements(y.amax(-1) - y.amin(-1), DENSITY * signed_volume(vertices, faces))
