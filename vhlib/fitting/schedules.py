"""The order in which a fit is minimised: stages, and the named schedules made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vhlib.fitting.robust import GemanMcClure, RobustKernel

# A quarter of a person while the body still stands wrongly, so that every keypoint pulls; half of
# that later, so that a fifth of them may be wrong (tests/fitting/test_smplify.py).
COARSE, FINE = GemanMcClure(50.0), GemanMcClure(25.0)


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
    """

    name: str
    free: tuple[str, ...]
    weights: Mapping[str, float]
    iterations: int
    tolerance: float = 1e-4
    robust: RobustKernel = FINE


ALL_UNKNOWNS = ("global_orient", "body_pose", "betas", "transl")
# Chosen on synthetic views by benchmarks/choose_weights.py: the least MPJPE of its grid, and again
# the least on 1,000 views instead of its 200. The original's last stage has 4.78, 15.2 and 5; its
# bending weight forces straight knees to bend.
BODY_WEIGHTS = {"reprojection": 1.0, "pose_prior": 3.5, "bending": 6.0, "shape_prior": 5.0}

COLD_START = (
    Stage("camera", ("global_orient", "transl"), {"reprojection": 1.0}, 15, 1e-4, COARSE),
    Stage("body", ALL_UNKNOWNS, BODY_WEIGHTS, 10),
    Stage("refine", ALL_UNKNOWNS, BODY_WEIGHTS, 50, 1e-5),
)
WARM_START = (Stage("refine", ALL_UNKNOWNS, BODY_WEIGHTS, 8),)
