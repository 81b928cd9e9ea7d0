"""How long a class takes: 100 honest notebooks at two desks, for each sheet that has a bank.

    python benchmarks/grading.py [--students 100] [-j 2] [--solutions DIR] [SHEET ...]

Every notebook holds the sheet's own answers and one line that makes it another notebook, so that
no stored result is used twice. Seconds are by the clock, start and reading included; beside them
stands the load of the machine, which lengthens them.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from vhlib.course.grading.classes import grade_command
from vhlib.course.sheets import Sheet, bank_path, read_sheet

TARGETS = {"numpy": 0.3, "torch": 2.0}


def main() -> None:
    options = arguments()
    print("sheet                 functions  notebooks      s  s each  once started  target   load")
    for source in sorted(options.solutions.glob("*.py")):
        wanted = not options.sheets or source.stem in options.sheets
        if not wanted or not bank_path(source).is_file():
            continue
        sheet = read_sheet(source)
        load = os.getloadavg()[0]
        seconds, begun = seconds_for(sheet, source.parent, options.students, options.jobs)
        uses_torch = "import torch" in source.read_text(encoding="utf-8")
        target = TARGETS["torch" if uses_torch else "numpy"]
        each = (seconds - begun) / max(options.students - 1, 1)
        print(
            f"{sheet.name:21} {len(sheet.functions):9} {options.students:10} {seconds:6.1f}"
            f" {seconds / options.students:7.3f} {each:13.3f} {target:7.1f} {load:6.1f}"
        )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sheets", nargs="*", metavar="SHEET")
    parser.add_argument("--students", type=int, default=100)
    parser.add_argument("-j", dest="jobs", type=int, default=2)
    parser.add_argument("--solutions", type=Path, default=Path("solutions"))
    return parser.parse_args()


def seconds_for(sheet: Sheet, solutions: Path, students: int, jobs: int) -> tuple[float, float]:
    """Seconds to grade a class, and to grade its first notebook; all must have full marks."""
    done: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        submissions, out = Path(folder) / "submissions", Path(folder) / "out"
        for number in range(students):
            path = submissions / f"student_{number:03}" / f"{sheet.name}.ipynb"
            path.parent.mkdir(parents=True)
            path.write_text(honest_notebook(sheet, number), encoding="utf-8")
        began = time.perf_counter()
        grade_command(
            submissions,
            out,
            jobs=jobs,
            secret=None,
            keep="best",
            dry=False,
            solutions=solutions,
            say=lambda line: done.append(time.perf_counter()) if line[:1].isdigit() else None,
        )
        seconds = time.perf_counter() - began
        lines = (out / "grades.csv").read_text(encoding="utf-8").splitlines()[1:]
    full = sum(float(line.split(",")[3]) == float(line.split(",")[4]) for line in lines)
    if full != students * len(sheet.functions):
        raise SystemExit(f"{sheet.name}: {len(lines) - full} honest answers lost points")
    return seconds, done[0] - began


def honest_notebook(sheet: Sheet, number: int) -> str:
    """A notebook with the sheet's own answers."""
    answers = [(function.name, function.solution) for function in sheet.functions]
    cells = [cell("", "\n".join(sheet.given)), cell("", f"number = {number}")]
    cells += [cell(name, solution) for name, solution in answers]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def cell(grade_id: str, source: str) -> dict:
    """A code cell, an answer if it has an id."""
    marks = {"nbgrader": {"grade_id": grade_id, "solution": True}} if grade_id else {}
    made = {"cell_type": "code", "metadata": marks, "source": source}
    return made | {"outputs": [], "execution_count": None}


if __name__ == "__main__":
    main()
