"""A population of adults for MakeHuman: who the open body is trained on.

No scans of people may be shipped, so these distributions stand in for a survey. Their means and
deviations of stature and mass are set to those of ``SURVEY``; benchmarks/body_report.py compares
the trained bodies with it. Proportions and build are our own choice.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from vhlib.data.makehuman import People

SURVEY: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "female": {"stature": (1.629, 0.064), "mass": (67.8, 11.0)},
    "male": {"stature": (1.756, 0.069), "mass": (85.5, 14.2)},
}
"""Mean and deviation of US soldiers, metres and kilograms.

Gordon et al., 2012 Anthropometric Survey of U.S. Army Personnel (ANSUR II), NATICK/TR-15/007.
"""

# Where the height factor puts men and women: stature in metres = start + slope * factor.
_STATURE_OF_FACTOR = {"female": (1.224, 1.09), "male": (1.364, 1.09)}
# Mean and deviation in metres to ask for; the changes in length add to the deviation.
_STATURE = {"female": (1.597, 0.048), "male": (1.750, 0.054)}
# Mean of the weight factor and its change per standard deviation of adiposity.
_WEIGHT = {"female": (1.13, 0.20), "male": (1.00, 0.24)}

GIRTHS: Mapping[str, tuple[str, ...]] = {
    "arms": (
        *("?-lowerarm-scale-depth", "?-lowerarm-scale-horiz", "?-lowerarm-muscle"),
        *("?-upperarm-scale-depth", "?-upperarm-scale-horiz", "?-upperarm-muscle"),
        *("?-upperarm-shoulder-muscle", "measure-upperarm-circ"),
    ),
    "legs": (
        *("?-lowerleg-scale-depth", "?-lowerleg-scale-horiz", "?-lowerleg-muscle"),
        *("?-upperleg-scale-depth", "?-upperleg-scale-horiz", "?-upperleg-muscle"),
        *("measure-calf-circ", "measure-knee-circ", "measure-thigh-circ"),
    ),
    "torso": (
        *("measure-bust-circ", "torso-scale-depth", "torso-scale-horiz", "torso-vshape"),
        *("torso-muscle-dorsi", "torso-muscle-pectoral"),
    ),
    "hip": ("hip-scale-depth", "hip-scale-horiz"),
    "pelvis": ("pelvis-tone",),
    "neck": ("measure-neck-circ", "neck-scale-depth", "neck-scale-horiz", "neck-back-scale-depth"),
    "hands": ("?-hand-scale", "measure-wrist-circ"),
    "feet": ("?-foot-scale", "?-foot-scale-depth", "?-foot-scale-horiz", "measure-ankle-circ"),
    "head": ("head-scale-depth", "head-scale-horiz", "head-back-scale-depth"),
}
"""Local changes in width, by folder; ``?`` stands for both sides alike."""

LENGTHS: Mapping[str, tuple[str, ...]] = {
    "arms": (
        *("?-lowerarm-scale-vert", "?-upperarm-scale-vert"),
        *("measure-lowerarm-length", "measure-upperarm-length"),
    ),
    "legs": (
        *("?-lowerleg-scale-vert", "?-upperleg-scale-vert", "lowerlegs-height", "upperlegs-height"),
        *("measure-lowerleg-height", "measure-upperleg-height"),
    ),
    "torso": (
        *("measure-frontchest-dist", "measure-napetowaist-dist", "measure-shoulder-dist"),
        *("measure-waisttohip-dist", "torso-scale-vert"),
    ),
    "hip": ("hip-scale-vert",),
    "neck": ("measure-neck-height", "neck-scale-vert"),
    "feet": ("?-foot-scale-vert",),
    "head": ("head-scale-vert",),
}
"""Local changes in length; small, or the proportions get strange."""

FATNESS: Mapping[str, float] = {
    "arms/?-lowerarm-fat": 0.12,
    "arms/?-upperarm-fat": 0.12,
    "legs/?-lowerleg-fat": 0.12,
    "legs/?-upperleg-fat": 0.12,
    "head/head-fat": 0.12,
    "buttocks/buttocks-volume": 0.12,
    "neck/neck-double": 0.12,
    "torso/measure-waist-circ": 0.09,
    "torso/measure-hips-circ": 0.09,
    "torso/measure-underbust-circ": 0.09,
    "stomach/stomach-tone": -0.2,
}
"""Local changes that go with a person's adiposity, each by so much per standard deviation."""

_GIRTH_SPREAD, _LENGTH_SPREAD, _MOST_LOCAL = 0.12, 0.042, 0.7


def sample_adults(num_people: int, gender: str, generator: np.random.Generator) -> People:
    """Random adults of about 25 to 60 years; "neutral" takes as many women as men.

    Raises:
        ValueError: ``gender`` is none of neutral, female, male.
    """
    female = _females(num_people, gender, generator)
    adiposity = _normal(generator, num_people, -2.2, 2.4)
    factors = {
        "gender": np.where(
            female, generator.uniform(0.85, 1, num_people), generator.uniform(0, 0.15, num_people)
        ),
        "age": generator.uniform(0, 0.58, num_people),
        "muscle": generator.beta(4, 4, num_people) + np.where(female, 0, 0.03),
        "weight": _weight_factor(female, adiposity),
        "height": _height_factor(female, generator),
        "proportions": generator.uniform(0.35, 0.65, num_people),
        "cupsize": generator.beta(4, 4, num_people),
        "firmness": generator.uniform(0.3, 0.8, num_people),
    }
    races = generator.dirichlet([1, 1, 1], num_people)
    return People(factors, races, _local_changes(adiposity, generator))


def average_adult() -> People:
    """One person halfway between the sexes, on whom the open bodies' common topology is made."""
    middle = {"gender": 0.5, "age": 0.29, "muscle": 0.5, "weight": 0.62, "height": 0.36}
    middle |= {"proportions": 0.5, "cupsize": 0.5, "firmness": 0.55}
    factors = {name: np.array([value]) for name, value in middle.items()}
    return People(factors, np.full((1, 3), 1 / 3), {})


def _females(num_people: int, gender: str, generator: np.random.Generator) -> np.ndarray:
    shares = {"neutral": 0.5, "female": 1.0, "male": 0.0}
    if gender not in shares:
        raise ValueError(f"unknown gender {gender!r}, expected {', '.join(shares)}")
    return generator.permutation(num_people) < round(shares[gender] * num_people)


def _height_factor(female: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    deviations = _normal(generator, len(female), -2.8, 2.8)

    def factor(sex: str) -> np.ndarray:
        (mean, deviation), (start, slope) = _STATURE[sex], _STATURE_OF_FACTOR[sex]
        return (mean + deviation * deviations - start) / slope

    return np.where(female, factor("female"), factor("male"))


def _weight_factor(female: np.ndarray, adiposity: np.ndarray) -> np.ndarray:
    women, men = (mean + slope * adiposity for mean, slope in _WEIGHT.values())
    return np.where(female, women, men)


def _local_changes(
    adiposity: Float[np.ndarray, " n"], generator: np.random.Generator
) -> dict[str, np.ndarray]:
    def spread(scale: float) -> np.ndarray:
        return generator.normal(0, scale, len(adiposity))

    changes = {
        f"{folder}/{name}": spread(scale)
        for table, scale in ((GIRTHS, _GIRTH_SPREAD), (LENGTHS, _LENGTH_SPREAD))
        for folder, names in table.items()
        for name in names
    }
    changes |= {name: spread(_GIRTH_SPREAD) + load * adiposity for name, load in FATNESS.items()}
    return {
        sided: np.clip(values, -_MOST_LOCAL, _MOST_LOCAL)
        for name, values in changes.items()
        for sided in ([name.replace("?", side) for side in "lr"] if "?" in name else [name])
    }


def _normal(
    generator: np.random.Generator, size: int, low: float, high: float
) -> Float[np.ndarray, " n"]:
    return generator.normal(0, 1, size).clip(low, high)
