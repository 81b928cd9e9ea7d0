"""The wheel, as somebody who never saw the repository gets it; and conda's file beside pip's."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@dataclass(frozen=True)
class Environment:
    """A virtual environment."""

    folder: Path

    @property
    def scripts(self) -> Path:
        """Where ``python`` and ``vh`` lie."""
        return self.folder / ("Scripts" if sys.platform == "win32" else "bin")

    @property
    def site_packages(self) -> Path:
        """Where packages lie."""
        base = {"base": str(self.folder), "platbase": str(self.folder)}
        return Path(sysconfig.get_path("purelib", "venv", base))

    def run(self, program: str, *arguments: object, cwd: Path) -> str:
        """What ``program`` prints; its stderr is in the AssertionError when it fails."""
        command = [str(self.scripts / program), *map(str, arguments)]
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout


def pip(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run this environment's pip."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel built from this working tree, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Environment:
    """An environment with the wheel, which borrows this one's third-party packages.

    The borrowed folder comes through a .pth file, whose own .pth files aren't read: the editable
    vhlib of this environment stays out.
    """
    environment = Environment(tmp_path_factory.mktemp("installed") / "env")
    venv.create(environment.folder, with_pip=False)
    borrowed = environment.site_packages / "borrowed.pth"
    borrowed.write_text(sysconfig.get_path("purelib") + "\n")
    python = environment.scripts / "python"
    done = pip("--python", python, "install", "--no-deps", "--no-index", "--force-reinstall", wheel)
    assert done.returncode == 0, done.stderr
    return environment


@pytest.fixture(scope="module")
def photo(tmp_path_factory) -> Path:
    """A folder with a picture and the keypoints of a standing open body in it."""
    import torch

    from vhlib.body import SMPL
    from vhlib.geometry import PerspectiveCamera

    upright = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    points = SMPL.load().keypoints(
        "openpose_25", global_orient=upright, transl=torch.tensor([0.1, 0.2, 4.0])
    )
    camera = PerspectiveCamera(
        focal_length=(900.0, 900.0), principal_point=(240.0, 320.0), image_size=(480, 640)
    )
    xy = camera.project(points).numpy()
    person = np.column_stack([xy, np.full(len(xy), 0.9)]).ravel().tolist()
    folder = tmp_path_factory.mktemp("photo")
    people = {"version": 1.3, "people": [{"pose_keypoints_2d": person}]}
    (folder / "keypoints.json").write_text(json.dumps(people))
    Image.new("RGB", (480, 640), (90, 110, 130)).save(folder / "photo.png")
    return folder


LOAD_EVERYTHING = """
import pathlib, numpy, vhlib
from vhlib.body import SMPL
from vhlib.fitting import load_pose_prior
package = pathlib.Path(vhlib.__file__).parent
for gender in ("neutral", "female", "male"):
    assert SMPL.load(gender)().vertices.isfinite().all()
load_pose_prior("gmm")
for path in sorted(package.glob("assets/**/*.npz")):
    with numpy.load(path, allow_pickle=False) as arrays:
        assert all(arrays[key].size for key in arrays), path
print(package)
"""


def check_installation(environment: Environment, photo: Path, out: Path) -> None:
    """Load every asset and fit the photo, away from the repository."""
    package = environment.run("python", "-c", LOAD_EVERYTHING, cwd=photo).strip()
    assert Path(package).resolve() == (environment.site_packages / "vhlib").resolve()

    keypoints = photo / "keypoints.json"
    report = environment.run(
        "vh", "fit", photo / "photo.png", "--keypoints", keypoints, "--focal", 900, "--out", out,
        cwd=photo,
    )  # fmt: skip

    assert report.strip()
    assert {path.name for path in out.iterdir()} == {"overlay.png", "mesh.ply", "fit.npz"}
    with np.load(out / "fit.npz", allow_pickle=False) as fit:
        assert fit["body_pose"].shape == (23, 3, 3)
        truth = np.array(json.loads(keypoints.read_text())["people"][0]["pose_keypoints_2d"])
        error = np.linalg.norm(fit["projected_keypoints"] - truth.reshape(25, 3)[:, :2], axis=-1)
        assert np.median(error) < 10, "pixels; the body is 470 high"


def test_the_wheel_holds_what_git_holds(wheel):
    tracked = subprocess.run(
        ["git", "ls-files", "vhlib"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if tracked.returncode:
        pytest.skip("not a git checkout")

    packed = set(zipfile.ZipFile(wheel).namelist())

    assert set(tracked.stdout.split()) <= packed
    assert {"LICENSE", "NOTICE"} <= {Path(name).name for name in packed}


def test_the_command_is_installed(installed, tmp_path):
    assert installed.run("vh", "--version", cwd=tmp_path) == f"vhlib {PROJECT['version']}\n"


def test_the_wheel_works_installed(installed, photo, tmp_path):
    check_installation(installed, photo, tmp_path / "out")


@pytest.mark.slow
def test_the_wheel_works_in_an_empty_environment(wheel, photo, tmp_path):
    if pip("download", "--no-deps", "--quiet", "--dest", tmp_path, "roma").returncode:
        pytest.skip("no package registry can be reached: run again with a network")
    environment = Environment(tmp_path / "env")
    venv.create(environment.folder, with_pip=False)
    python = environment.scripts / "python"

    done = pip("--python", python, "install", "-c", "constraints.txt", wheel)

    assert done.returncode == 0, done.stderr
    check_installation(environment, photo, tmp_path / "out")


def test_conda_installs_the_same():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    *packages, of_pip = environment["dependencies"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    assert packages == [f"python{PROJECT['requires-python']}", "pip"]
    constraints, editable = of_pip["pip"]
    assert constraints == "-c constraints.txt"
    assert editable == "-e " + re.search(r'-e "(.*)"', makefile)[1]
    extras = re.search(r"\[(.*)\]", editable)[1].split(",")
    assert set(extras) <= set(PROJECT["optional-dependencies"])
