"""The students' bundle: what is in it, what must not be, and that it works alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from vhlib.course.exercise_editions import sheet_sources
from vhlib.course.release import answers, leaks, plain, read_secrets, write_release
from vhlib.course.sheets import bank_path

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    """The bundle of this checkout."""
    path = tmp_path_factory.mktemp("release") / "course.zip"
    write_release(ROOT, path)
    return path


@pytest.fixture(scope="module")
def secrets():
    return read_secrets(ROOT)


@pytest.fixture(scope="module")
def contents(bundle) -> dict[str, bytes]:
    with zipfile.ZipFile(bundle) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_bundle_holds_the_course_and_no_solution(contents):
    names = [source.stem for source in sheet_sources(ROOT)]

    assert {f"exercises/{name}.ipynb" for name in names} <= set(contents)
    assert {f"vhlib/assets/checks/{name}.npz" for name in names} <= set(contents)
    assert {"pyproject.toml", "README.md", "notebooks/00_start_here.ipynb"} <= set(contents)
    assert not [name for name in contents if "solutions" in name or "bank/" in name]


def test_its_readme_is_the_students_and_leads_to_what_is_there(contents):
    page = contents["README.md"].decode()

    assert page == (ROOT / "docs" / "students.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:exercises|notebooks)/\w+\.\w+|LICENSE|NOTICE", page))
    assert len(named) >= 4
    assert named <= set(contents)
    assert not re.search(r"make test|vh (grade|release)|benchmarks/|solutions/", page)


@pytest.fixture
def built(monkeypatch):
    """The editions were compared once, for ``bundle``."""
    monkeypatch.setattr("vhlib.course.release.check_sheet", lambda *_: None)


@pytest.mark.usefixtures("built")
def test_the_same_files_give_the_same_bytes(bundle, tmp_path, monkeypatch, capsys):
    nobody = "https://github.com/OWNER/REPOSITORY"
    monkeypatch.setattr("vhlib.course.editions.repository_address", lambda root: nobody)

    write_release(ROOT, tmp_path / "again.zip")

    assert nobody in capsys.readouterr().err
    assert (tmp_path / "again.zip").read_bytes() == bundle.read_bytes()


def test_an_edition_that_has_drifted_stops_the_release(tmp_path, monkeypatch):
    def drifted(source, root):
        raise ValueError(f"{source.name} has drifted: run vh build")

    monkeypatch.setattr("vhlib.course.release.check_sheet", drifted)

    with pytest.raises(ValueError, match="run vh build"):
        write_release(ROOT, tmp_path / "course.zip")
    assert not (tmp_path / "course.zip").exists()


def test_there_is_something_to_look_for(secrets):
    from_files = set(secrets.lines.values())

    for source in sheet_sources(ROOT):
        assert f"solutions/{source.name}" in from_files
        assert f"solutions/bank/{source.name}" in from_files


def a_line_of(text: str, secrets, shortest: int = 0) -> str:
    return next(line for line in plain(text) if line in secrets.lines and len(line) >= shortest)


@pytest.mark.parametrize(
    "name", ["exercises/02_rotations.ipynb", "notebooks/02_rotations.ipynb", "docs/grading.md"]
)
@pytest.mark.parametrize("kind", ["answer", "bank"])
def test_a_planted_line_is_found(secrets, name, kind):
    source = ROOT / "solutions" / "02_rotations.py"
    text = answers(source)[0] if kind == "answer" else bank_path(source).read_text()
    line = a_line_of(text, secrets)
    escaped = line.replace("\\", "\\\\").replace('"', '\\"')
    content = f'{{"cells": [{{"source": ["a\\n", "    {escaped}  # so\\n"]}}]}}'
    planted = (content if name.endswith("ipynb") else f"text\n\t{line}\n").encode()

    (found,) = leaks({name: planted}, secrets)

    assert found.startswith(f"{name} holds a line of solutions/")


def test_a_planted_answer_in_the_library_is_found(secrets):
    text = answers(ROOT / "solutions" / "02_rotations.py")[0]

    assert list(leaks({"vhlib/geometry/new.py": f"def f():\n{text}".encode()}, secrets))


def test_a_planted_solution_edition_is_found(secrets):
    edition = (ROOT / "solutions" / "02_rotations.ipynb").read_bytes()

    assert any("SOLUTION" in leak for leak in leaks({"exercises/a.ipynb": edition}, secrets))


@pytest.mark.usefixtures("built")
def test_a_leak_stops_the_release(tmp_path):
    shutil.copytree(
        ROOT, tmp_path / "course", ignore=shutil.ignore_patterns(".*", "tests", "benchmarks")
    )
    root = tmp_path / "course"
    leaking = root / "vhlib" / "course" / "notes.md"
    leaking.write_text(answers(root / "solutions" / "02_rotations.py")[0])

    with pytest.raises(ValueError, match=r"notes\.md holds a line of solutions/02_rotations"):
        write_release(root, tmp_path / "course.zip")
    assert not (tmp_path / "course.zip").exists()


RUN_EVERY_SHEET = """
import json, pathlib, sys
import vhlib
assert pathlib.Path(vhlib.__file__).parents[1] == pathlib.Path.cwd(), vhlib.__file__
for path in sorted(pathlib.Path("exercises").glob("*.ipynb")):
    names = {"__name__": "__main__"}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    print(path.stem, "has run")
"""


def test_the_bundle_works_alone(bundle, tmp_path):
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(tmp_path)

    done = subprocess.run(
        [sys.executable, "-c", RUN_EVERY_SHEET],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    for source in sheet_sources(ROOT):
        assert f"{source.stem} has run" in done.stdout
    assert "not attempted" in done.stdout
    assert "✔" not in done.stdout
