"""A picture of the open body whose truth is known, with keypoints as OpenPose would write them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vhlib.body import SMPL
from vhlib.body.skeletons import get_skeleton
from vhlib.geometry import PerspectiveCamera

SIZE = (480, 640)
CAMERA = PerspectiveCamera((900.0, 900.0), (240.0, 320.0), SIZE)
UPRIGHT = torch.diag(torch.tensor([1.0, -1.0, -1.0]))


@dataclass(frozen=True)
class Case:
    """A folder with photo.png and keypoints.json, and where the tests may write."""

    folder: Path

    @property
    def photo(self) -> Path:
        return self.folder / "photo.png"

    @property
    def keypoints(self) -> Path:
        return self.folder / "keypoints.json"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def row(self) -> list[float]:
        """The one person's x, y, confidence, ..."""
        return json.loads(self.keypoints.read_text())["people"][0]["pose_keypoints_2d"]

    def write_people(self, *rows: object) -> None:
        """Replace the people; NaN and infinity are written as Python's json writes them."""
        people = [{"person_id": [-1], "pose_keypoints_2d": row} for row in rows]
        self.keypoints.write_text(json.dumps({"version": 1.3, "people": people}))

    def files(self) -> set[str]:
        """Everything in the folder, to see that nothing was added."""
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}


def standing_person(smpl: SMPL, skeleton: str, depth: float = 4.0, x: float = 0.1) -> list[float]:
    """A standing body's keypoints as one OpenPose row."""
    transl = torch.tensor([x, 0.2, depth])
    points = smpl.keypoints(skeleton, global_orient=UPRIGHT, transl=transl)
    xy = CAMERA.project(points).numpy()
    return np.column_stack([xy, np.full(len(get_skeleton(skeleton)), 0.9)]).ravel().tolist()


@pytest.fixture(scope="session")
def smpl() -> SMPL:
    return SMPL.load()


def make_case(folder: Path, smpl: SMPL) -> Case:
    case = Case(folder)
    case.write_people(standing_person(smpl, "openpose_25"))
    Image.new("RGB", SIZE, (90, 110, 130)).save(case.photo)
    return case


@pytest.fixture
def case(tmp_path, smpl) -> Case:
    return make_case(tmp_path, smpl)
