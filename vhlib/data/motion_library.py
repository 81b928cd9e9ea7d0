"""The recorded motions that registry packages carry."""

from __future__ import annotations

from vhlib.data.bvh import read_bvh
from vhlib.data.downloads import fetch
from vhlib.data.mocap import MotionSequence
from vhlib.data.retargeting import read_deepmimic, retarget_bvh

DEEPMIMIC_FOLDER = "pybullet_data/data/motions"
BVH_FOLDER = "usr/share/assimp/models/BVH"


def load_registry_motions(with_bvh: bool = True) -> dict[str, MotionSequence]:
    """20 DeepMimic clips and, ``with_bvh``, two of CMU and one of boxing: name -> motion.

    CMU clips begin with a T-pose that nobody performed; it is left out. The BVH clips come in a
    Debian package, which only a system with ``apt-get`` can fetch.

    Raises:
        DataUnavailable: not cached, and no network.
    """
    folder = fetch("pybullet") / DEEPMIMIC_FOLDER
    motions = [read_deepmimic(path) for path in sorted(folder.rglob("*.txt"))]
    if with_bvh:
        for path in sorted((fetch("assimp-testmodels") / BVH_FOLDER).glob("*.bvh")):
            motion = retarget_bvh(read_bvh(path), path.stem)
            motions.append(motion[1:] if path.stem.startswith("01_") else motion)
    return {motion.name: motion for motion in motions}
