"""A picture that waits for its functions needs no other picture to have been drawn before it."""

from __future__ import annotations

import builtins
import symtable
from pathlib import Path

import jupytext
import pytest

from vhlib.course.exercise_editions import sheet_sources

SOURCES = sheet_sources(Path(__file__).resolve().parents[2])


def bound(source):
    """The names that a cell defines or imports at its top."""
    symbols = symtable.symtable(source, "cell", "exec").get_symbols()
    return {s.get_name() for s in symbols if s.is_assigned() or s.is_imported()}


def used(source):
    """The names of the notebook's that a cell reads, in its functions too."""
    tables, names = [symtable.symtable(source, "cell", "exec")], set()
    while tables:
        table = tables.pop()
        tables += table.get_children()
        is_top = table.get_type() == "module"
        symbols = [s for s in table.get_symbols() if s.is_referenced()]
        names |= {s.get_name() for s in symbols if is_top or s.is_global()}
    return names - bound(source) - set(dir(builtins))


def missing(cells):
    """By position, what the waiting cells among ``cells`` take from one another."""
    waits = [source.startswith("if sheet.ready(") for source in cells]
    always = set().union(
        *(bound(source) for source, wait in zip(cells, waits, strict=True) if not wait)
    )
    pictures = [source for source, wait in zip(cells, waits, strict=True) if wait]
    return [sorted(left) for source in pictures if (left := used(source) - always)]


@pytest.mark.parametrize("source", SOURCES, ids=[source.stem for source in SOURCES])
def test_a_picture_cell_imports_what_it_uses(source):
    cells = jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent").cells

    assert missing([cell.source for cell in cells if cell.cell_type == "code"]) == []


def test_what_comes_from_another_picture_is_found():
    first = "if sheet.ready(f):\n    from matplotlib.figure import Figure\n    near = 2\n"
    second = (
        "if sheet.ready(f):\n    def g():\n        return Figure(near + f(max(3, 4)))\n    g()\n"
    )

    assert missing(["sheet = 0", "def f(x): ...", first, second]) == [["Figure", "near"]]
