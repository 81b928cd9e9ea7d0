"""AMASS as it is published: folders of clips, and the people who performed them.

AMASS [Mahmood et al. 2019] is handed out under a research licence and isn't fetched by this
library. Each dataset in it is a folder for each subject with one npz a clip, read by
``vhlib.data.mocap.read_smpl_npz``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from vhlib.data.mocap import MotionSequence, read_smpl_npz, resampled
from vhlib.files import read_npz

# A subject's folder also holds files of the person alone: SMPL+H's and SMPL-X's name for it.
SUBJECT_FILES = ("shape.npz", "_stagei.npz")
GENDERS = ("neutral", "female", "male")


@dataclass(frozen=True, eq=False)
class Subject:
    """Who performed a clip.

    gender: which of the model's bodies the betas belong to, one of GENDERS.
    betas: (S,) shape coefficients, AMASS has 16. Those of SMPL+H serve SMPL's body of that gender;
    those of SMPL-X and of other bodies mean other shapes.
    """

    gender: str
    betas: Float[Tensor, " S"]


def read_amass_folder(folder: str | Path, fps: float | None = None) -> dict[str, MotionSequence]:
    """Every clip below a folder: path without its ending, from the folder on -> motion.

    Args:
        fps: to bring all clips to one frame rate; as recorded if left out.

    Raises:
        ValueError: no clip is there, or one of the files is no motion (see ``read_smpl_npz``).
        OSError: the folder can't be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} isn't a folder, expected one of AMASS's datasets")
    paths = [p for p in sorted(folder.rglob("*.npz")) if not p.name.endswith(SUBJECT_FILES)]
    if not paths:
        raise ValueError(f"{folder}: no clip (.npz) there or below")
    motions = {}
    for path in paths:
        name = path.relative_to(folder).with_suffix("").as_posix()
        motion = replace(read_smpl_npz(path), name=name)
        motions[name] = motion if fps is None else resampled(motion, fps)
    return motions


def read_amass_subject(path: str | Path) -> Subject:
    """Gender and betas out of a clip, or of a subject's own file.

    Raises:
        ValueError: they aren't there, or aren't what they should be.
        OSError: the file can't be read.
    """
    arrays = read_npz(path, ("gender", "betas"))
    missing = [key for key in ("gender", "betas") if key not in arrays]
    if missing:
        raise ValueError(f"{path}: no {' and no '.join(missing)} of the person who performed")
    gender, betas = arrays["gender"], arrays["betas"]
    # Text in some of the datasets, bytes in others.
    name = gender.item() if gender.size == 1 else gender.tolist()
    name = name.decode("ascii", "replace") if isinstance(name, bytes) else name
    if name not in GENDERS:
        raise ValueError(f"{path}: gender is {name!r}, expected one of {', '.join(GENDERS)}")
    if betas.ndim != 1 or betas.dtype.kind not in "fiu":
        raise ValueError(f"{path}: betas are {betas.dtype} {betas.shape}, expected numbers (S,)")
    return Subject(name, torch.from_numpy(betas.astype("float32")))
