"""The same notebooks through nbgrader itself and through vh grade: the same points."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from vhlib.course.exercise_editions import sheet_sources, student_path
from vhlib.course.grading.classes import grade_command
from vhlib.course.nbgrader_form import write_nbgrader_course
from vhlib.course.sheets import is_answer, read_sheet

ROOT = Path(__file__).resolve().parents[2]
SECRET = b"a secret for this test"

READ_GRADES = """
import json
from nbgrader.api import Gradebook
with Gradebook("sqlite:///gradebook.db") as book:
    print(json.dumps([
        [part.student.id, notebook.name, grade.name.removesuffix("_check"), grade.auto_score]
        for assignment in book.assignments
        for part in book.assignment_submissions(assignment.name)
        for notebook in part.notebooks
        for grade in notebook.grades
    ]))
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory) -> Path:
    """A folder with nbgrader and what it needs beyond the course's own packages."""
    folder = tmp_path_factory.mktemp("nbgrader")
    listed = ROOT / "tests" / "course" / "nbgrader.txt"
    install = ["-m", "pip", "install", "-q", "--no-deps", "--target", folder, "-r", listed]
    done = subprocess.run([sys.executable, *install], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nbgrader can't be installed here: {done.stderr.strip().splitlines()[-1]}")
    return folder


def run(packages: Path, folder: Path, *arguments: str) -> str:
    programs = f"{packages / 'bin'}{os.pathsep}{os.environ['PATH']}"
    modules = f"{packages}{os.pathsep}{ROOT}"
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"PATH": programs, "PYTHONPATH": modules},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def hand_in(course: Path, student: str, source: Path, answers: dict[str, str]) -> None:
    """A student edition with these functions written, where both graders look for it."""
    notebook = nbformat.read(student_path(source, ROOT), as_version=4)
    for cell in filter(is_answer, notebook.cells):
        cell.source = answers.get(cell.metadata.nbgrader.grade_id, cell.source)
    for path in (
        course / "submitted" / student / source.stem / f"{source.stem}.ipynb",
        course / "handed_in" / student / f"{source.stem}.ipynb",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)


def both_grades(packages: Path, course: Path, sources: list[Path]) -> tuple[dict, dict]:
    """(student, sheet, function) -> points, by nbgrader and by vh grade."""
    write_nbgrader_course(ROOT, course, SECRET, sources)
    for source in sources:
        for command in ("generate_assignment", "autograde"):
            run(packages, course, "-m", "nbgrader", command, source.stem, "--create")
    theirs = json.loads(run(packages, course, "-c", READ_GRADES))
    (course / "secret.txt").write_bytes(SECRET)
    grade_command(
        course / "handed_in",
        course / "graded",
        jobs=1,
        secret=course / "secret.txt",
        keep="best",
        solutions=ROOT / "solutions",
        dry=False,
    )
    with (course / "graded" / "grades.csv").open(encoding="utf-8", newline="") as file:
        ours = list(csv.DictReader(file))
    return (
        {(student, sheet, part): points for student, sheet, part, points in theirs},
        {
            (row["student"], row["exercise"], row["part"]): float(row["points"])
            for row in ours
            if row["points"]
        },
    )


WITH_A_HOLE_AT_ZERO = '''\
def exp_map(omega):
    """Works away from zero; prints, and warns on stderr."""
    import sys, warnings
    print("hello")
    sys.stderr.write("noise")
    warnings.warn("more noise")
    angle = np.linalg.norm(omega, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(omega, -1, 0)
    o = np.zeros_like(x)
    K = np.stack([o, -z, y, z, o, -x, -y, x, o], axis=-1).reshape(*omega.shape[:-1], 3, 3)
    return np.eye(3) + np.sin(angle) / angle * K + (1 - np.cos(angle)) / angle**2 * K @ K
'''


def test_one_sheet_scores_alike(packages, tmp_path):
    source = ROOT / "solutions" / "02_rotations.py"
    right = {function.name: function.solution for function in read_sheet(source).functions}
    partly = right | {"exp_map": WITH_A_HOLE_AT_ZERO}
    del partly["geodesic_distance"]
    hand_in(tmp_path, "bob", source, partly)

    theirs, ours = both_grades(packages, tmp_path, [source])

    assert theirs == ours
    assert sum(ours.values()) == 14 - 0.75 - 2
    assert ours["bob", source.stem, "exp_map"] == 3 * 18 / 24, "two of eight cases have a zero"
    assert ours["bob", source.stem, "geodesic_distance"] == 0
    assert ours["bob", source.stem, "pose_error"] == 2, "it builds on right functions"


@pytest.mark.slow
def test_all_sheets_score_alike(packages, tmp_path):
    sources, choose = sheet_sources(ROOT), random.Random(0)
    for source in sources:
        functions = read_sheet(source).functions
        for student in ("all", "some", "few", "none"):
            share = {"all": 1.0, "some": 0.7, "few": 0.3, "none": 0.0}[student]
            written = {f.name: f.solution for f in functions if choose.random() < share}
            hand_in(tmp_path, student, source, written)

    theirs, ours = both_grades(packages, tmp_path, sources)

    assert theirs == ours
