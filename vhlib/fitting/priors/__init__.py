"""Pose priors behind one protocol, ``energy(body_pose) -> (*batch,)``, and joint limits."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from vhlib.fitting.priors.gmm import GaussianMixturePrior, read_mixture
from vhlib.fitting.priors.joint_limits import JointLimits, limits_of

__all__ = ["GaussianMixturePrior", "JointLimits", "limits_of", "load_pose_prior"]

POSE_PRIORS = {"gmm": "gmm.npz"}


def load_pose_prior(name_or_path: str | Path = "gmm") -> GaussianMixturePrior:
    """A shipped prior by name (``gmm``), or a mixture file such as SMPLify's ``gmm_08.pkl``.

    Raises:
        FileNotFoundError: neither a known name nor a file.
        ValueError: the file holds no pose mixture.
    """
    shipped = POSE_PRIORS.get(str(name_or_path))
    if shipped is not None:
        return read_mixture(Path(str(resources.files("vhlib") / "assets" / "priors" / shipped)))
    if not Path(name_or_path).is_file():
        raise FileNotFoundError(
            f"no pose prior {str(name_or_path)!r}: expected {', '.join(POSE_PRIORS)}, or the path "
            "of a mixture file (.npz or .pkl)"
        )
    return read_mixture(name_or_path)
