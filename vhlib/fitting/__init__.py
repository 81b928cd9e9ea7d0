"""Fitting bodies to keypoints by minimising energies."""

from vhlib.fitting.priors import load_pose_prior
from vhlib.fitting.schedules import COLD_START, WARM_START, Stage
from vhlib.fitting.smplify import Fit, fit_smplify

__all__ = ["COLD_START", "WARM_START", "Fit", "Stage", "fit_smplify", "load_pose_prior"]
