"""The order in which a fit is minimised: stages, and the named schedules made of them.

A schedule is a plain list of stages, so one's own is made of another's by ``dataclasses.replace``:

    free = [replace(s, free=(*s.free, "focal_length"), weights={**s.weights, "focal_prior": 10.0})
            for s in COLD_START]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vhlib.body.skeletons import SKELETONS
from vhlib.fitting.robust import SMPLIFY_KERNEL, GemanMcClure, RobustKernel, Squares
from vhlib.fitting.starts import (
    ALL_AROUND,
    TORSO,
    LeastSquares,
    Preparation,
    SimilarTriangles,
    Turn,
    TurnProfiles,
)

# A quarter of a person while the body still stands wrongly, so that every keypoint pulls; then
# less, so that a fifth of them may be wrong. The last was chosen on synthetic views: 15 instead of
# 25 makes a fifth of the points 15 % of the height off cost 20 to 30 mm less, and good points 1 mm.
COARSE, MIDDLE, FINE = GemanMcClure(50.0), GemanMcClure(25.0), GemanMcClure(15.0)


@dataclass(frozen=True)
class Stage:
    """One minimisation: which unknowns are free, and how much each term counts.

    Args:
        name: for the history.
        free: blocks of unknowns, of "global_orient", "body_pose", "betas", "transl",
            "focal_length".
        weights: term name -> weight of its residuals, squared in the energy; a term that isn't
            named is off.
        iterations: at most so many Levenberg-Marquardt steps.
        tolerance: a body is done when a step lowers its energy by less than this share.
        robust: of the reprojection, in pixels of a person of 200 px.
        keypoints: names of those that count in this stage, all if None. Names that the skeleton
            doesn't have are passed over; a person of whom fewer than two are seen keeps all.
        prepare: what is done to the candidates before: turned, placed (``starts``).
        remeasure: whether people's sizes, by which the reprojection is scaled, are bounded before
            the stage by their best candidates' distances (``sized_by``): one wrong keypoint makes
            the box of all of them too large.
        best_by: names of terms; after the stage each body goes on with the one candidate whose
            energy in these is least. With none, all candidates go on, and at the end the whole
            energy decides.
        optional: names in ``weights`` that may have no term; any other name without one is an
            error. So a schedule can list a term that has to be made for the body by hand.

    Raises:
        ValueError: a keypoint that no skeleton has, or names in ``best_by`` or ``optional`` that
            have no weight.
    """

    name: str
    free: tuple[str, ...]
    weights: Mapping[str, float]
    iterations: int
    tolerance: float = 1e-4
    robust: RobustKernel = MIDDLE
    keypoints: tuple[str, ...] | None = None
    prepare: tuple[Preparation, ...] = ()
    remeasure: bool = False
    best_by: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        known = {name for skeleton in SKELETONS.values() for name in skeleton.names}
        unknown = [name for name in self.keypoints or () if name not in known]
        if unknown:
            raise ValueError(
                f"stage {self.name!r} counts {', '.join(unknown)}, a point of no skeleton"
            )
        if len(set(self.free)) < len(self.free):
            raise ValueError(f"stage {self.name!r} frees something twice: {', '.join(self.free)}")
        if self.iterations < 0:
            raise ValueError(f"stage {self.name!r} has {self.iterations} iterations, expected 0 on")
        for field in ("best_by", "optional"):
            unweighted = [name for name in getattr(self, field) if name not in self.weights]
            if unweighted:
                raise ValueError(
                    f"stage {self.name!r} has {', '.join(unweighted)} in {field} but no weight for "
                    f"it; its weights are {', '.join(self.weights)}"
                )


PLACE = ("global_orient", "transl")
POSE_AND_SHAPE = ("global_orient", "body_pose", "betas")
ALL_UNKNOWNS = (*POSE_AND_SHAPE, "transl")
# Chosen on synthetic views by benchmarks/choose_weights.py, where bending weights of 3 and 6 differ
# by less than 1,000 views can tell; between them by the clip's static trial, which isn't scored.
# The original's last stage has 4.78, 15.2 and 5; its bending weight forces straight knees to bend.
BODY_WEIGHTS = {"reprojection": 1.0, "pose_prior": 3.5, "bending": 4.5, "shape_prior": 5.0}

COLD_START = [
    Stage(
        "camera",
        PLACE,
        {"reprojection": 1.0},
        15,
        robust=COARSE,
        prepare=(Turn(ALL_AROUND), LeastSquares()),
    ),
    Stage("body", ALL_UNKNOWNS, BODY_WEIGHTS, 10, remeasure=True, best_by=tuple(BODY_WEIGHTS)),
    Stage("refine", ALL_UNKNOWNS, BODY_WEIGHTS, 50, 1e-5, FINE),
]
"""Ours, from keypoints alone: four directions are tried."""

WARM_START = [Stage("refine", ALL_UNKNOWNS, BODY_WEIGHTS, 8, remeasure=True)]
"""Ours, from bodies that are nearly right."""

ANCHORED_START = [
    Stage("refine", ALL_UNKNOWNS, {**BODY_WEIGHTS, "anchor": 6.0}, 8, remeasure=True),
]
"""Ours, from bodies worth staying near, such as a network's, given as ``init``.

The anchor's weight was chosen on synthetic views for rotations that are 0.08 to 0.2 radians off in
each component (benchmarks/robustness.py): without it keypoints alone make good bodies worse.
"""

_SIDES = ("left", "right")
LIMBS = tuple(f"{s}_{p}" for s in _SIDES for p in ("shoulder", "elbow", "wrist", "knee", "ankle"))
HEAD = ("head", "head_top", "nose", *(f"{s}_{p}" for s in _SIDES for p in ("eye", "ear")))
FEET = tuple(
    f"{s}_{p}" for s in _SIDES for p in ("foot", "foot_index", "heel", "big_toe", "small_toe")
)
# A hip of LSP or OpenPose lies centimetres from SMPL's, so it may place the torso but not pose it.
SMPLIFY_POINTS = (*LIMBS, *HEAD)
SPIN_POINTS = (*SMPLIFY_POINTS, *FEET)
# Of the released code: a bending weight of 3.17 times the pose prior's.
BENDING_PER_POSE = 3.17

TORSO_CAMERA = Stage(
    "camera",
    PLACE,
    {"reprojection": 1.0, "depth": 100.0},
    100,
    robust=Squares(),
    keypoints=TORSO,
    prepare=(SimilarTriangles(),),
)


def _smplify_body(number: int, pose: float, shape: float, **options) -> Stage:
    weights = {
        "reprojection": 1.0,
        "pose_prior": pose,
        "bending": BENDING_PER_POSE * pose,
        "shape_prior": shape,
        "interpenetration": 1000.0,
    }
    return Stage(
        f"body {number}",
        POSE_AND_SHAPE,
        weights,
        100,
        robust=SMPLIFY_KERNEL,
        keypoints=SMPLIFY_POINTS,
        optional=("interpenetration",),
        **options,
    )


SMPLIFY_2016 = [
    TORSO_CAMERA,
    _smplify_body(1, 404.0, 100.0, prepare=(TurnProfiles(),)),
    _smplify_body(2, 404.0, 50.0),
    _smplify_body(3, 57.4, 10.0),
    _smplify_body(4, 4.78, 5.0, best_by=("reprojection",)),
]
"""The original's stages and weights [Bogo et al. 2016 and its released code].

The torso places the camera, which then stays; pose and shape are free together while the priors
loosen. Where the shoulders look close together, the person is also tried the other way round, and
the data decide. Different from the original: Levenberg-Marquardt instead of a dogleg, and pixels of
a person of 200 px, about the size of those it was made for, where it counts pixels of the image; so
its weights and its 100 pixels mean the same for every photo. Its term against interpenetration
counts when it is given in ``extra_terms``.
"""

SPIN = [
    TORSO_CAMERA,
    Stage(
        "body",
        POSE_AND_SHAPE,
        {"reprojection": 1.0, "pose_prior": 4.78, "bending": 15.2, "shape_prior": 5.0},
        100,
        robust=SMPLIFY_KERNEL,
        keypoints=SPIN_POINTS,
    ),
]
"""SMPLify as SPIN runs it, from a network's bodies given as ``init`` [Kolotouros et al. 2019].

The original's last stage alone; SPIN takes 100 steps of Adam for each of the two.
"""


def _lecture_pose(pose: float) -> Stage:
    weights = {"reprojection": 1.0, "pose_prior": pose, "bending": BENDING_PER_POSE * pose}
    return Stage(f"III pose, prior {pose:g}", ("global_orient", "body_pose"), weights, 30)


LECTURE_STAGES = [
    Stage("I initialisation", PLACE, {"reprojection": 1.0}, 0, prepare=(SimilarTriangles(),)),
    Stage("II camera", PLACE, {"reprojection": 1.0, "depth": 10.0}, 30, robust=COARSE),
    _lecture_pose(404.0),
    _lecture_pose(57.4),
    _lecture_pose(4.78),
    Stage("IV shape", ("betas",), {"reprojection": 1.0, "shape_prior": 5.0}, 30),
    Stage(
        "V all",
        ALL_UNKNOWNS,
        {**BODY_WEIGHTS, "interpenetration": 1000.0},
        50,
        optional=("interpenetration",),
    ),
]
"""The lecture's five stages: a device for teaching that the original doesn't have.

Camera, pose and shape are freed one after the other, so that each can be watched on its own; Bogo
et al. free pose and shape together from the start, and let the pose prior loosen meanwhile. The
person is taken to stand upright and to face the camera, which the original doesn't ask for either.
"""
