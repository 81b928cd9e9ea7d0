"""The banks of all sheets: right answers pass, wrong ones don't, and the check says why.

``pytest -s tests/course/test_bank.py`` prints the table.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.course.bank_trials import HEADER, try_sheet
from vhlib.course.bank import Mistake
from vhlib.course.exercise_editions import sheet_sources
from vhlib.course.sheets import bank_path, load_bank, read_sheet

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sheet_sources(ROOT)


@pytest.mark.parametrize("source", SOURCES, ids=[source.stem for source in SOURCES])
def test_a_bank_does_what_it_says(source):
    rows = try_sheet(read_sheet(source), load_bank(bank_path(source)))

    print(f"\n{source.stem}\n{HEADER}")
    print(*rows, sep="\n")
    assert [f"{row.name}: {fault}" for row in rows for fault in row.faults] == []


def faults_of(spoil_sheet=lambda sheet: sheet, spoil_exercise=lambda exercise: exercise):
    """The faults of matrix_to_six_d, in sheet 02, once it is spoilt."""
    source = ROOT / "solutions" / "02_rotations.py"
    sheet = read_sheet(source)
    (function,) = [f for f in sheet.functions if f.name == "matrix_to_six_d"]
    (exercise,) = [e for e in load_bank(bank_path(source)) if e.name == "matrix_to_six_d"]
    sheet = replace(sheet, functions=(spoil_sheet(function),))
    (row,) = try_sheet(sheet, (spoil_exercise(exercise),))
    return row.faults


def test_a_planted_mistake_that_is_accepted_is_found():
    def spoil(exercise):
        accepted = Mistake("you did it right", exercise.alternatives[0])
        return replace(exercise, mistakes=(*exercise.mistakes, accepted))

    assert faults_of(spoil_exercise=spoil) == [
        "the public check says passed: you did it right",
        "hidden cases accept: you did it right",
    ]


def test_a_planted_wrong_reference_is_found():
    def spoil(function):
        assert "R[..., 1]]" in function.solution
        return replace(function, solution=function.solution.replace("R[..., 1]]", "R[..., 2]]"))

    faults = faults_of(spoil_sheet=spoil)

    assert [fault.split(" isn't")[0] for fault in faults][:2] == ["alternative 1", "alternative 2"]


def test_a_planted_solution_in_the_stub_is_found():
    def spoil(function):
        return replace(function, stub=function.solution)

    assert faults_of(spoil_sheet=spoil) == ["the stub is 'passed'"]


def test_a_mistake_that_only_the_public_cases_find_is_found():
    def spoil(exercise):
        cases = exercise.cases

        def only_small(generator):
            first, *others = cases(generator)
            public = generator.integers(1 << 30) == first_draw
            return [first, *others] if public else [first]

        from vhlib.course.bank import PUBLIC_SECRET, case_generator

        generator = case_generator(PUBLIC_SECRET, "02_rotations", exercise.name, 0)
        cases(generator)
        first_draw = generator.integers(1 << 30)
        return replace(exercise, cases=only_small)

    assert any(fault.startswith("hidden cases accept") for fault in faults_of(spoil_exercise=spoil))


def test_two_mistakes_that_answer_alike_are_found():
    def spoil(exercise):
        first = exercise.mistakes[0]
        twin = Mistake("you did something else", first.function)
        return replace(exercise, mistakes=(*exercise.mistakes, twin))

    (fault,) = faults_of(spoil_exercise=spoil)

    assert fault.startswith("taken for another mistake: you did something else")
