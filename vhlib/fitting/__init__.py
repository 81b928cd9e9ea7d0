"""Fitting bodies to keypoints by minimising energies."""

from vhlib.fitting.clips import fit_clip
from vhlib.fitting.multiview import fit_views
from vhlib.fitting.posed_body import PosedBody
from vhlib.fitting.priors import load_pose_prior
from vhlib.fitting.robust import GemanMcClure, Huber, Squares
from vhlib.fitting.schedules import (
    ANCHORED_START,
    COLD_START,
    LECTURE_STAGES,
    SMPLIFY_2016,
    SPIN,
    WARM_START,
    Stage,
)
from vhlib.fitting.smplify import Fit, fit_smplify
from vhlib.fitting.terms import Term

__all__ = [
    "ANCHORED_START",
    "COLD_START",
    "LECTURE_STAGES",
    "SMPLIFY_2016",
    "SPIN",
    "WARM_START",
    "Fit",
    "GemanMcClure",
    "Huber",
    "PosedBody",
    "Squares",
    "Stage",
    "Term",
    "fit_clip",
    "fit_smplify",
    "fit_views",
    "load_pose_prior",
]
