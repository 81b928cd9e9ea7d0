"""SMPL-format bodies: model files, the body function, skeletons and keypoints."""

from vhlib.body.keypoints import Keypoints
from vhlib.body.smpl import SMPL, BodyOutput, BodyParameters

__all__ = ["SMPL", "BodyOutput", "BodyParameters", "Keypoints"]
