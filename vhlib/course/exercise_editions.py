"""What ``vh build`` makes of a sheet ``solutions/NN_name.py`` and its bank.

- ``exercises/NN_name.ipynb``: the student edition, its answers taken out, never run;
- ``solutions/NN_name.ipynb``: the solution edition, run;
- ``vhlib/assets/checks/NN_name.npz``: the public cases (:mod:`vhlib.course.check_files`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from vhlib.course.answers import answer_of
from vhlib.course.bank import PUBLIC_ROUNDS, PUBLIC_SECRET, Case, Exercise, drawn_cases
from vhlib.course.check_files import (
    INDEX,
    TYPES,
    PublicCase,
    PublicExercise,
    check_file,
    same_content,
    to_arrays,
    write_check_file,
)
from vhlib.course.comparison import Answer, compare_answers
from vhlib.course.editions import (
    check_edition,
    content_ids,
    read_source,
    run_notebook,
    stored,
    write_notebook,
)
from vhlib.course.sheets import (
    Sheet,
    SheetFunction,
    bank_path,
    is_answer,
    load_bank,
    paired,
    read_sheet,
    references,
    stub_of,
)
from vhlib.files import read_npz

LARGEST_CHECK_FILE = 300_000


def sheet_sources(root: Path) -> list[Path]:
    """The sheets ``solutions/NN_name.py`` in order.

    Raises:
        ValueError: a notebook in ``exercises`` or ``solutions`` has no source.
    """
    sources = sorted((root / "solutions").glob("[0-9][0-9]_*.py"))
    names = {source.stem for source in sources}
    for folder in ("solutions", "exercises"):
        for orphan in sorted((root / folder).glob("*.ipynb")):
            if orphan.stem not in names:
                raise ValueError(f"{orphan} has no source solutions/{orphan.stem}.py")
    return sources


def build_sheet(source: Path, root: Path) -> None:
    """Write the three files of the sheet at ``source``.

    Raises:
        ValueError: the sheet or its bank breaks a rule, or a cell fails.
    """
    check_name = check_file(source.stem).name
    target = root / "vhlib" / "assets" / "checks" / check_name
    write_check_file(target, public_exercises(read_sheet(source), load_bank(bank_path(source))))
    if target.stat().st_size > LARGEST_CHECK_FILE:
        kilobytes = target.stat().st_size // 1000
        raise ValueError(f"{target}: {kilobytes} kB, at most 300: draw fewer or smaller cases")
    write_notebook(student_edition(source, root), student_path(source, root))
    write_notebook(run_notebook(read_source(source, root), source), stored(source))


def check_sheet(source: Path, root: Path) -> None:
    """Compare the three files with what would be written.

    Raises:
        ValueError: one of them has drifted; the message names it.
    """
    target = root / "vhlib" / "assets" / "checks" / check_file(source.stem).name
    path = student_path(source, root)
    for missing in (file for file in (target, path) if not file.is_file()):
        raise ValueError(f"{missing} is missing: run vh build")
    fresh = to_arrays(public_exercises(read_sheet(source), load_bank(bank_path(source))))
    if not same_content(read_npz(target, (INDEX, *TYPES)), fresh):
        raise ValueError(f"{target} isn't what {source.name} and its bank give: run vh build")
    if path.read_text(encoding="utf-8") != written(student_edition(source, root)):
        raise ValueError(f"{path} isn't the student edition of {source.name}: run vh build")
    check_edition(source, root)


def student_path(source: Path, root: Path) -> Path:
    """Where the student edition of ``source`` lies."""
    return root / "exercises" / stored(source).name


def student_edition(source: Path, root: Path) -> NotebookNode:
    """The sheet with its answers taken out, no outputs, and stable ids."""
    notebook = read_source(source, root)
    for cell in notebook.cells:
        if is_answer(cell):
            cell.source = stub_of(cell.source, cell.metadata.nbgrader.grade_id)
    for cell, cell_id in zip(notebook.cells, content_ids(notebook.cells), strict=True):
        cell.id = cell_id
    return notebook


def written(notebook: NotebookNode) -> str:
    """The text that `write_notebook` stores."""
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def public_exercises(sheet: Sheet, bank: Sequence[Exercise]) -> tuple[PublicExercise, ...]:
    """What students' machines get to know: public cases with right and with mistaken answers.

    Raises:
        ValueError: sheet and bank don't belong together, or a reference fails on a public case.
    """
    answers = references(sheet)
    return tuple(
        _public_exercise(sheet, function, exercise, answers[function.name])
        for function, exercise in paired(sheet, bank)
    )


def _public_exercise(
    sheet: Sheet, function: SheetFunction, exercise: Exercise, reference: Callable
) -> PublicExercise:
    """One exercise with its public cases and what its mistakes answer."""
    plain = expected_cases(sheet, exercise, reference, PUBLIC_SECRET, PUBLIC_ROUNDS)
    cases = tuple(
        PublicCase(one.case, one.expected, _mistaken(exercise, one.case, one.expected))
        for one in plain
    )
    return replace(
        without_mistakes(function, exercise, cases),
        messages=tuple(mistake.message for mistake in exercise.mistakes),
        hints=exercise.hints,
        pictured=sheet.pictured,
    )


def expected_cases(
    sheet: Sheet, exercise: Exercise, reference: Callable, secret: bytes, rounds: int
) -> tuple[PublicCase, ...]:
    """The cases that ``secret`` draws, with the reference's answers.

    Raises:
        ValueError: the reference fails, or writes into its inputs.
    """
    cases = []
    for case in drawn_cases(exercise, sheet.name, secret, rounds):
        where = f"{sheet.name}: on {case.name!r} the reference of {exercise.name}"
        try:
            expected = answer_of(reference, case, exercise.framework)
        except Exception as error:
            raise ValueError(f"{where} raises {type(error).__name__}: {error}") from error
        if expected.changed:
            raise ValueError(f"{where} writes into its inputs")
        cases.append(PublicCase(case, expected, {}))
    return tuple(cases)


def without_mistakes(
    function: SheetFunction, exercise: Exercise, cases: tuple[PublicCase, ...]
) -> PublicExercise:
    """What runs and judges an answer, with nothing that helps to find one."""
    return PublicExercise(
        name=exercise.name,
        points=function.points,
        cases=cases,
        messages=(),
        hints=(),
        builds_on=exercise.builds_on,
        framework=exercise.framework,
        seconds=exercise.seconds,
        drawing=exercise.drawing,
    )


def _mistaken(exercise: Exercise, case: Case, expected: Answer) -> dict[int, Answer]:
    """By position, the answers of those mistakes that answer ``case`` wrongly with arrays."""
    found = {}
    for position, mistake in enumerate(exercise.mistakes):
        try:
            answer = answer_of(mistake.function, case, exercise.framework)
        except Exception:  # it fails by itself, and its own message is shown
            continue
        parts = answer.value if isinstance(answer.value, tuple) else (answer.value,)
        has_arrays = all(hasattr(part, "dtype") or isinstance(part, float | int) for part in parts)
        if has_arrays and not compare_answers(answer, expected, case).passed:
            found[position] = answer
    return found
