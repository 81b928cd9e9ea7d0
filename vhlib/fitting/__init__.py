"""Fitting bodies to keypoints by minimising energies."""

from vhlib.fitting.priors import load_pose_prior
from vhlib.fitting.smplify import COLD_START, WARM_START, Fit, Stage, fit_smplify

__all__ = ["COLD_START", "WARM_START", "Fit", "Stage", "fit_smplify", "load_pose_prior"]
