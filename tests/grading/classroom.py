"""A classroom for tests: a sheet of two functions, notebooks made of cells, a run."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from vhlib.course.grading.classes import grade_command

SHEETS = Path(__file__).parent / "sheets"
RIGHT_DOUBLE = "def double(x):\n    return x + x"
RIGHT_QUADRUPLE = "def quadruple(x):\n    return double(double(x))"


def cell(source: str, grade_id: str | None = None, kind: str = "code", **marks) -> dict:
    """A cell as Jupyter stores it."""
    nbgrader = {"grade_id": grade_id, "solution": True, "grade": False, "schema_version": 3}
    made = {"cell_type": kind, "metadata": {}, "source": source}
    if grade_id:
        made["metadata"] = {"nbgrader": nbgrader | marks}
    return made | ({"outputs": [], "execution_count": None} if kind == "code" else {})


def notebook(*cells: dict, **metadata) -> str:
    """A notebook as Jupyter stores it."""
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def answers(double: str = RIGHT_DOUBLE, quadruple: str = RIGHT_QUADRUPLE, *more: dict) -> str:
    """The tiny sheet's notebook, filled in."""
    return notebook(
        cell("import numpy as np\n\nUNIT = 2.0"),
        cell(double, "double"),
        cell("check(double)", "double_check", grade=True, solution=False),
        cell(quadruple, "quadruple"),
        cell("check(quadruple)", "quadruple_check", grade=True, solution=False),
        *more,
    )


def hand_in(folder: Path, student: str, content: str | bytes, name: str = "90_tiny.ipynb") -> Path:
    """Put a notebook where the grader looks."""
    path = folder / student / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def grade(submissions: Path, out: Path, **options) -> dict[tuple[str, str], dict]:
    """Grade a class; its rows by student and part."""
    options = {
        "jobs": 1,
        "secret": None,
        "keep": "best",
        "dry": False,
        "solutions": SHEETS,
    } | options
    grade_command(submissions, out, say=lambda line: None, **options)
    return rows(out)


def rows(out: Path) -> dict[tuple[str, str], dict]:
    """The rows of grades.csv by student and part."""
    with open(out / "grades.csv", encoding="utf-8") as file:
        return {(row["student"], row["part"]): row for row in csv.DictReader(file)}
