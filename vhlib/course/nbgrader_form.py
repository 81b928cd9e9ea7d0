"""A course folder for nbgrader: ``vh build --nbgrader DIR --secret FILE``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nbformat import NotebookNode

from vhlib.course.bank import HIDDEN_ROUNDS, PUBLIC_SECRET, Exercise
from vhlib.course.editions import chosen, content_ids, read_source, stored, write_notebook
from vhlib.course.exercise_editions import expected_cases, sheet_sources, without_mistakes
from vhlib.course.hidden_tests import packed
from vhlib.course.sheets import (
    Sheet,
    bank_path,
    is_check,
    load_bank,
    paired,
    read_sheet,
    references,
)

HIDDEN = """
### BEGIN HIDDEN TESTS
from vhlib.course.hidden_tests import hidden_points

hidden_points({name}, "{text}")
### END HIDDEN TESTS"""


def write_nbgrader_course(root: Path, out: Path, secret: bytes, only: Sequence[Path] = ()) -> str:
    """Write ``out/source/NN_name/NN_name.ipynb`` for each sheet of ``root``; a short report.

    Raises:
        ValueError: a sheet or its bank breaks a rule.
        OSError: ``out`` can't be written to, or ``only`` names no sheet.
    """
    sources = chosen(sheet_sources(root), only)
    for source in sources:
        path = out / "source" / source.stem / stored(source).name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_notebook(nbgrader_edition(source, root, secret), path)
    report = f"wrote {len(sources)} sheets to {out / 'source'}"
    if secret == PUBLIC_SECRET:
        report += "; without --secret their hidden cases are those that anybody can draw"
    return report


def nbgrader_edition(source: Path, root: Path, secret: bytes) -> NotebookNode:
    """The sheet with its answers, and hidden tests of ``secret`` in its check cells."""
    sheet = read_sheet(source)
    pairs = paired(sheet, load_bank(bank_path(source)))
    answers = references(sheet)
    hidden = {}
    for function, exercise in pairs:
        cases = expected_cases(sheet, exercise, answers[function.name], secret, HIDDEN_ROUNDS)
        packable = without_mistakes(function, exercise, cases)
        before = sources_of(sheet, exercise, dict((e.name, e) for _, e in pairs))
        hidden[f"{function.name}_check"] = HIDDEN.format(
            name=function.name, text=packed(packable, before)
        )
    notebook = read_source(source, root)
    for cell in notebook.cells:
        if is_check(cell):
            cell.source += hidden[cell.metadata.nbgrader.grade_id]
    for cell, cell_id in zip(notebook.cells, content_ids(notebook.cells), strict=True):
        cell.id = cell_id
    return notebook


def sources_of(sheet: Sheet, exercise: Exercise, exercises: dict[str, Exercise]) -> tuple[str, ...]:
    """The sheet's sources that define what ``exercise`` builds on; none if that is nothing."""
    needed, waiting = set(), list(exercise.builds_on)
    while waiting:
        name = waiting.pop()
        needed.add(name)
        waiting += set(exercises[name].builds_on) - needed
    own = tuple(function.solution for function in sheet.functions if function.name in needed)
    return (*sheet.given, *own) if own else ()
