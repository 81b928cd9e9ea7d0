"""Interpenetration: a body's limbs keep out of the rest of it (SMPLify, eq. 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vhlib.body import SMPL
from vhlib.body.capsules import CAPSULE_PARTS, Spheres, fit_capsules
from vhlib.body.skinning import blend_shapes, forward_kinematics
from vhlib.fitting.posed_body import PosedBody
from vhlib.fitting.schedules import Stage
from vhlib.fitting.terms import Quadratic, Term
from vhlib.geometry.rotations import left_jacobian

PartPairs = Sequence[tuple[str, str]]

_HANDS = ("left_hand", "right_hand")
_LOWER_ARMS = ("left_forearm", "right_forearm", *_HANDS)
SMPLIFY_PAIRS: PartPairs = (
    *product(_LOWER_ARMS, ("pelvis", "spine1", "spine2", "spine3")),
    ("left_forearm", "left_shoulder"),
    ("right_forearm", "right_shoulder"),
    ("left_hand", "right_hand"),
    ("left_calf", "right_calf"),
    ("left_calf", "right_foot"),
    ("right_calf", "left_foot"),
    ("left_foot", "right_foot"),
)
"""The 23 pairs of parts that SMPLify's code checks, by the names of ``CAPSULE_PARTS``."""

BODY_PAIRS: PartPairs = (
    *SMPLIFY_PAIRS,
    *product(_LOWER_ARMS, ("left_thigh", "right_thigh", "head")),
    *product(_HANDS, ("neck", "left_shoulder", "right_shoulder")),
    *product(_HANDS, ("left_calf", "right_calf", "left_foot", "right_foot")),
    *product(("left_forearm", "left_hand"), ("right_forearm", "right_upper_arm")),
    *product(("right_forearm", "right_hand"), ("left_upper_arm",)),
    ("right_hand", "left_forearm"),
    *product(("left_calf", "left_foot"), ("right_thigh",)),
    *product(("right_calf", "right_foot"), ("left_thigh",)),
)
"""Those, and what else a lower arm or leg can run into: thighs, upper arms, head, each other.

benchmarks/collisions.py has the difference.
"""

# Fingers reach farther than a capsule along the hand.
HAND_WIDENING = 1.2
# The derivatives leave out pairs whose residual is below exp(-16) of the largest one's: bumps below
# exp(-2 * 16), 1e-14, of the largest. All 833 pairs of the neutral body would make 1e-11 of it
# together. The energy counts every pair.
NEGLIGIBLE = 16.0
RISING_WEIGHTS = (1e3, 3e4, 1e6)
"""SMPLify's, and on until limbs are out of each other: benchmarks/collisions.py."""


class _Pose(NamedTuple):
    """Bodies without global orientation and translation: bones, and the spheres they carry.

    world (N, J, 3, 3) and joints (N, J, 3) of the bones; centers (N, K, 3) and radii (N, K).
    """

    world: Tensor
    joints: Tensor
    centers: Tensor
    radii: Tensor


@dataclass(frozen=True, eq=False)
class Interpenetration(Term):
    """E_sp: ``sum exp(-|c_i - c_j|^2 / (s_i^2 + s_j^2))`` over pairs of spheres (SMPLify, eq. 5).

    The spheres fill the capsules of ``fit_capsules``; s is ``sigma`` times a sphere's radius. It is
    a smooth bump, no volume, and never exactly zero: two equal spheres that just touch count for
    ``exp(-2 / 0.3^2)``, 2e-10, so only a large weight keeps them from more; see ``kept_apart``.

    One residual for each pair of spheres, ``exp(-d^2 / 2 (s_i^2 + s_j^2))``, whose square is the
    bump, so that Gauss-Newton sees which way each pair can part. The original's single residual,
    the root of the sum, has the same energy, but its ``J^T J`` is of rank one.

    Derivatives are by the pose only: a thinner body or shorter limbs would escape a collision too,
    so the betas count as constants, for the spheres' places and sizes alike. Turning or moving the
    whole body changes nothing.

    Args:
        smpl: the body model that is fitted.
        pairs: parts that must not meet, by the names of ``CAPSULE_PARTS``.
        sigma: width of a sphere's bump as a share of its radius: 0.3 as in the released code, where
            the paper has a third. As there, both are wider by HAND_WIDENING in a pair with a hand.
        spacing: of the spheres along a capsule, in radii. At the original's 2 a calf passes between
            two spheres of the other.

    Raises:
        ValueError: no pairs, or one with a name that isn't a part.
    """

    smpl: SMPL
    pairs: PartPairs = BODY_PAIRS
    sigma: float = 0.3
    spacing: float = 1.0
    name: ClassVar[str] = "interpenetration"

    def __post_init__(self) -> None:
        unknown = sorted({part for pair in self.pairs for part in pair} - set(CAPSULE_PARTS))
        if unknown or not self.pairs:
            raise ValueError(
                f"pairs hold {', '.join(unknown) or 'nothing'}, expected pairs of "
                f"{', '.join(CAPSULE_PARTS)}"
            )

    @cached_property
    def spheres(self) -> Spheres:
        """Those of all parts, of which only some are in a pair."""
        return fit_capsules(self.smpl).spheres(self.spacing)

    def residuals(self, body: PosedBody) -> Float[Tensor, "N m"]:
        """``exp(-d^2 / 2 (s_i^2 + s_j^2))`` of each pair of spheres."""
        return torch.exp(-self._exponents(self._pose(body), self._all_pairs(body)))

    def jacobian(self, body: PosedBody) -> Float[Tensor, "N m n"]:
        """Analytic; zero by all but the body pose."""
        _, by_pose = self._linearized(body, self._pose(body), self._all_pairs(body))
        jacobian = by_pose.new_zeros(*by_pose.shape[:2], body.vector.shape[-1])
        jacobian[..., body.slices["body_pose"]] = by_pose
        return jacobian

    def quadratic(self, body: PosedBody) -> Quadratic:
        """Gauss-Newton's, of the pairs that count; most are too far apart to."""
        pose = self._pose(body)
        exponents = self._exponents(pose, self._all_pairs(body))
        counts = (exponents < exponents.amin(-1, keepdim=True) + NEGLIGIBLE).sum(-1)
        most = int(counts.max()) if len(counts) else 0
        residuals, jacobian = self._linearized(
            body, pose, exponents.topk(most, largest=False, sorted=False).indices
        )
        return Quadratic(
            torch.exp(-2 * exponents).sum(-1),
            2 * (jacobian.mT @ residuals[..., None])[..., 0],
            2 * jacobian.mT @ jacobian,
            body.slices["body_pose"],
        )

    def _all_pairs(self, body: PosedBody) -> Int[Tensor, "N m"]:
        first, _ = self._ends
        return torch.arange(len(first), device=first.device).expand(len(body.vector), -1)

    @cached_property
    def _ends(self) -> Int[Tensor, "2 P"]:
        """The two spheres of each pair."""
        of_part = {
            name: [k for k, part in enumerate(self.spheres.part) if part == name]
            for name in CAPSULE_PARTS
        }
        pairs = [p for a, b in self.pairs for p in product(of_part[a], of_part[b])]
        return torch.tensor(pairs, device=self.spheres.center.device).T

    @cached_property
    def _widths(self) -> Float[Tensor, " P"]:
        """Of each pair's bumps as a share of the radii."""
        hand = torch.tensor([part in _HANDS for part in self.spheres.part])
        first, second = self._ends.cpu()
        widened = (hand[first] | hand[second]).to(self.spheres.center)
        return self.sigma * (1 + (HAND_WIDENING - 1) * widened)

    @cached_property
    def _sides(self) -> Float[Tensor, "P pose"]:
        """How each joint but the root parts a pair: 1 if it moves the first sphere alone, -1, 0."""
        above = self.smpl.tree.ancestors.to(self.spheres.center)[list(self.spheres.bone)]
        first, second = self._ends
        return (above[first] - above[second])[:, 1:].repeat_interleave(3, -1)

    def _pose(self, body: PosedBody) -> _Pose:
        smpl, spheres, betas = self.smpl, self.spheres, body.betas.detach()
        still = torch.eye(3).to(betas).expand(len(betas), 1, 3, 3)
        rest = smpl.J_template + blend_shapes(betas, smpl.J_shapedirs)
        rotations = torch.cat([still, body.rotations[:, 1:]], 1)
        world, joints = forward_kinematics(rotations, rest, smpl.tree)
        offsets = spheres.center + blend_shapes(betas, spheres.center_shapedirs)
        bone = list(spheres.bone)
        centers = joints[:, bone] + (world[:, bone] @ offsets[..., None])[..., 0]
        return _Pose(world, joints, centers, spheres.radius + betas @ spheres.radius_shapedirs.T)

    def _exponents(self, pose: _Pose, pairs: Int[Tensor, "N m"]) -> Float[Tensor, "N m"]:
        first, second = self._ends[:, pairs]
        apart = _of_each(pose.centers, first) - _of_each(pose.centers, second)
        return apart.square().sum(-1) / (2 * self._spread(pose, pairs))

    def _spread(self, pose: _Pose, pairs: Int[Tensor, "N m"]) -> Float[Tensor, "N m"]:
        """``s_i^2 + s_j^2``."""
        first, second = self._ends[:, pairs]
        squared = pose.radii.square()
        return self._widths[pairs].square() * (squared.gather(1, first) + squared.gather(1, second))

    def _linearized(
        self, body: PosedBody, pose: _Pose, pairs: Int[Tensor, "N m"]
    ) -> tuple[Float[Tensor, "N m"], Float[Tensor, "N m pose"]]:
        """Residuals of some pairs, and their derivatives by the body pose.

        Pull the spheres of a pair apart along ``g = c_i - c_j``: that pair of forces has the moment
        ``(c_i - p) x g = c_j x c_i - p x g`` about any point p, from either sphere. So a turn about
        the axis a through the joint p, which carries one of the two, changes ``d^2 / 2`` by
        ``a . (c_j x c_i) + (p x a) . g``, up to the sign.
        """
        first, second = self._ends[:, pairs]
        here, there = _of_each(pose.centers, first), _of_each(pose.centers, second)
        wrench = torch.cat([torch.linalg.cross(there, here, dim=-1), here - there], -1)
        parents = list(self.smpl.tree.parents[1:])
        axes = pose.world[:, parents] @ left_jacobian(body.axis_angle[:, 1:])
        moments = torch.linalg.cross(pose.joints[:, 1:, :, None].expand_as(axes), axes, dim=-2)
        screws = torch.cat([axes, moments], -2).transpose(1, 2).flatten(2)
        spread = self._spread(pose, pairs)
        residuals = torch.exp(-self._exponents(pose, pairs))
        return residuals, -(residuals / spread)[..., None] * self._sides[pairs] * (wrench @ screws)


def kept_apart(schedule: Sequence[Stage], weights: Sequence[float] = RISING_WEIGHTS) -> list[Stage]:
    """The schedule with "interpenetration" in it, its weight rising.

    Every stage that frees the pose has the first weight, the original's. The last of them is run
    again with each of the others, after the whole schedule, so that a body whose shape alone is
    found at the end is kept apart too. The first weight alone leaves limbs a few centimetres
    inside, and the last alone throws limbs that start deep inside each other across the picture.

        term = Interpenetration(smpl)
        fit_smplify(smpl, camera, keypoints, schedule=kept_apart(COLD_START), extra_terms=[term])

    Raises:
        ValueError: a schedule that never frees the pose, or no weights.
    """
    posing = [stage for stage in schedule if "body_pose" in stage.free]
    if not weights or not posing:
        raise ValueError("to keep limbs apart takes a weight and a stage that frees body_pose")
    first, *others = weights
    stages = [_weighed(stage, first) if "body_pose" in stage.free else stage for stage in schedule]
    again = replace(posing[-1], prepare=(), remeasure=False, best_by=())
    repeated = [_weighed(again, w, f"{again.name}, apart {w:g}") for w in others]
    return [*stages, *repeated]


def _weighed(stage: Stage, weight: float, name: str | None = None) -> Stage:
    weights = {**stage.weights, Interpenetration.name: weight}
    return replace(stage, name=name or stage.name, weights=weights)


def _of_each(points: Float[Tensor, "N K 3"], index: Int[Tensor, "N m"]) -> Float[Tensor, "N m 3"]:
    """Each body's own choice of its points."""
    return points.gather(1, index[..., None].expand(-1, -1, 3))
