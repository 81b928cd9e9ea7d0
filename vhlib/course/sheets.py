"""Exercise sheets as their author wrote them: ``solutions/NN_name.py`` and its bank beside it.

A sheet is a py:percent notebook. Of its cells three kinds have a meaning to machines: those tagged
``given`` (what answers may use), those with nbgrader's ``solution`` (one function each, its answer
between two markers) and the check cell behind each of these. solutions/README.md says it in full.
"""

from __future__ import annotations

import ast
import importlib.util
import linecache
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vhlib.course.bank import Exercise
from vhlib.course.grading.child.cells import NOT_THERE
from vhlib.course.reach import bound

if TYPE_CHECKING:
    from nbformat import NotebookNode

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
GIVEN = "given"

_HEADING = re.compile(r"\*\*(\d+) points? · difficulty ([1-5]) of 5 · (\d+) minutes\*\*")
LEAST_ALTERNATIVES, LEAST_MISTAKES, HINTS = 2, 5, 3


@dataclass(frozen=True)
class SheetFunction:
    """A function that a sheet asks for.

    Attributes:
        name: its name, which is also the ``grade_id`` of its cell.
        points: what it is worth.
        difficulty: 1 to 5.
        minutes: how long it takes a student.
        solution: the cell's source with its answer.
        stub: the same cell as students get it.
    """

    name: str
    points: int
    difficulty: int
    minutes: int
    solution: str
    stub: str


@dataclass(frozen=True)
class Sheet:
    """A sheet.

    Attributes:
        name: ``NN_name``, the stem of its files.
        given: sources of the cells whose names a function may use, in order.
        functions: what it asks for, in order.
        pictured: names that only the cells of its pictures make, which graders don't run.
    """

    name: str
    given: tuple[str, ...]
    functions: tuple[SheetFunction, ...]
    pictured: tuple[str, ...] = ()


def read_sheet(path: str | Path) -> Sheet:
    """Read a sheet's source.

    Raises:
        ValueError: it breaks a rule of solutions/README.md; the message names the cell and the
            rule.
        OSError: it can't be read.
    """
    import jupytext  # as slow to load as all else together, and who grades doesn't read sheets

    path = Path(path)
    cells = jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent").cells
    given = tuple(cell.source for cell in cells if GIVEN in cell.metadata.get("tags", []))
    functions = []
    for number, cell in enumerate(cells):
        if is_answer(cell):
            try:
                functions.append(_function(cells, number))
            except (ValueError, SyntaxError) as error:
                raise ValueError(f"{path}, cell {number + 1}: {error}") from None
    names = [function.name for function in functions]
    if not names:
        raise ValueError(f"{path} asks for no function: no cell has nbgrader's solution: true")
    for name in {name for name in names if names.count(name) > 1}:
        raise ValueError(f"{path} asks for {name} twice")
    for source in (*given, *(function.solution for function in functions)):
        for package in sorted(_imported(source) & {*NOT_THERE}):
            raise ValueError(f"{path} imports {package}, which answers can't: graders hide it")
    return Sheet(path.stem, given, tuple(functions), _pictured(cells))


def is_answer(cell: NotebookNode) -> bool:
    """Whether students write in this cell."""
    return bool(cell.metadata.get("nbgrader", {}).get("solution"))


def is_check(cell: NotebookNode) -> bool:
    """Whether this cell checks an answer and carries its points."""
    return bool(cell.metadata.get("nbgrader", {}).get("grade"))


def stub_of(source: str, name: str) -> str:
    """An answer's cell with the region between the markers taken out.

    Raises:
        ValueError: it has no region, or more than one.
    """
    lines = source.splitlines()
    begins = [number for number, line in enumerate(lines) if line.strip() == BEGIN]
    ends = [number for number, line in enumerate(lines) if line.strip() == END]
    if len(begins) != 1 or len(ends) != 1 or begins[0] >= ends[0]:
        raise ValueError(f"{name} needs one region {BEGIN} ... {END}")
    indent = lines[begins[0]][: -len(BEGIN)]
    line = f'{indent}raise NotImplementedError("{name} is still to be written")'
    return "\n".join([*lines[: begins[0]], line, *lines[ends[0] + 1 :]])


def is_unwritten(source: str, name: str) -> bool:
    """Whether ``source`` defines ``name`` with nothing in it that somebody wrote.

    Docstrings, comments, ``pass``, ``...``, ``return None`` and ``raise NotImplementedError``
    count as nothing; code that doesn't parse counts as something.
    """
    try:
        found = _defined(source, name)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return found is not None and all(_says_nothing(line) for line in found.body)


def references(sheet: Sheet) -> dict[str, Callable]:
    """The sheet's own answers, by name, in a namespace of their own.

    Raises:
        ValueError: a given cell or a solution fails.
    """
    namespace: dict = {"__name__": f"reference_{sheet.name}"}
    for number, source in enumerate(
        (*sheet.given, *(function.solution for function in sheet.functions)), start=1
    ):
        file = f"<{sheet.name}, part {number}>"
        linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
        try:
            exec(compile(source, file, "exec"), namespace)
        except Exception as error:
            raise ValueError(f"{file} fails: {type(error).__name__}: {error}") from error
    return {function.name: namespace[function.name] for function in sheet.functions}


def bank_path(source: str | Path) -> Path:
    """Where the bank of the sheet at ``source`` lies."""
    source = Path(source)
    return source.parent / "bank" / source.name


def load_bank(path: str | Path) -> tuple[Exercise, ...]:
    """Run a bank's file and return its exercises.

    Raises:
        ValueError: it fails, or an exercise lacks something.
        OSError: it can't be read.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: a sheet needs a bank")
    spec = importlib.util.spec_from_file_location(f"bank_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ValueError(f"{path} fails: {type(error).__name__}: {error}") from error
    exercises = tuple(getattr(module, "EXERCISES", ()))
    if not exercises or not all(isinstance(exercise, Exercise) for exercise in exercises):
        raise ValueError(f"{path} needs EXERCISES, a tuple of Exercise")
    for exercise in exercises:
        for lack in _lacks(exercise):
            raise ValueError(f"{path}: {exercise.name} {lack}")
    return exercises


def paired(sheet: Sheet, bank: Sequence[Exercise]) -> list[tuple[SheetFunction, Exercise]]:
    """Each function of ``sheet`` with its exercise, in the sheet's order.

    Raises:
        ValueError: one has no other half, or builds on a function that doesn't come before it.
    """
    exercises = {exercise.name: exercise for exercise in bank}
    names = [function.name for function in sheet.functions]
    if missing := sorted(set(names) - set(exercises)):
        raise ValueError(f"{sheet.name}: the bank has no exercise for {', '.join(missing)}")
    if left := sorted(set(exercises) - set(names)):
        raise ValueError(f"{sheet.name}: the sheet doesn't ask for the bank's {', '.join(left)}")
    for number, name in enumerate(names):
        if unknown := sorted(set(exercises[name].builds_on) - set(names[:number])):
            listed = ", ".join(unknown)
            raise ValueError(f"{sheet.name}: {name} builds on {listed}, which isn't above it")
    return [(function, exercises[function.name]) for function in sheet.functions]


def _function(cells: Sequence[NotebookNode], number: int) -> SheetFunction:
    """What the answer's cell ``cells[number]`` and its neighbours say.

    Raises:
        ValueError: one of them breaks a rule.
    """
    source, name = cells[number].source, cells[number].metadata["nbgrader"].get("grade_id")
    if not name or _defined(source, name) is None:
        raise ValueError(f"grade_id is {name!r}, but the cell defines no function of that name")
    before = cells[number - 1] if number else None
    heading = before is not None and before.cell_type == "markdown" and before.source
    heading = _HEADING.search(heading or "")
    if heading is None:
        form = "**3 points · difficulty 2 of 5 · 10 minutes**"
        raise ValueError(f"{name}: the text above it needs a line such as {form}")
    points, difficulty, minutes = map(int, heading.groups())
    after = cells[number + 1] if number + 1 < len(cells) else None
    if after is None or not is_check(after) or after.source.strip() != f"check({name})":
        raise ValueError(f"{name}: behind it must come a cell check({name}) with grade: true")
    found = after.metadata["nbgrader"]
    if (found.get("grade_id"), found.get("points")) != (f"{name}_check", points):
        wanted = f'"grade_id": "{name}_check", "points": {points}'
        raise ValueError(f"{name}: its check cell needs {wanted}, as the text above says")
    return SheetFunction(name, points, difficulty, minutes, source, stub_of(source, name))


def _pictured(cells: Sequence[NotebookNode]) -> tuple[str, ...]:
    """The names that cells behind the set-up make, but no answer's or given one."""
    code = [cell for cell in cells if cell.cell_type == "code"]
    shared = [c for c in code if is_answer(c) or GIVEN in c.metadata.get("tags", [])]
    others = (c for c in code[1:] if c not in shared)
    made = frozenset().union(*(bound(cell.source) for cell in others))
    return tuple(sorted(made.difference(*(bound(cell.source) for cell in shared))))


def _defined(source: str, name: str) -> ast.FunctionDef | None:
    """The last function ``name`` at the top of ``source``."""
    nodes = ast.parse(source).body
    found = [node for node in nodes if isinstance(node, ast.FunctionDef) and node.name == name]
    return found[-1] if found else None


def _says_nothing(line: ast.stmt) -> bool:
    """Whether a statement is one of those that `is_unwritten` names."""
    if isinstance(line, ast.Expr):
        return isinstance(line.value, ast.Constant)
    if isinstance(line, ast.Return):
        return line.value is None or ast.unparse(line.value) == "None"
    if isinstance(line, ast.Raise):
        raised = line.exc.func if isinstance(line.exc, ast.Call) else line.exc
        return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"
    return isinstance(line, ast.Pass)


def _imported(source: str) -> set[str]:
    """Top-level packages that ``source`` imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def _lacks(exercise: Exercise) -> Iterator[str]:
    """What an exercise of a bank lacks, in words."""
    if len(exercise.alternatives) < LEAST_ALTERNATIVES:
        yield f"needs {LEAST_ALTERNATIVES} right answers written differently"
    if len(exercise.mistakes) < LEAST_MISTAKES:
        yield f"needs {LEAST_MISTAKES} typical mistakes, has {len(exercise.mistakes)}"
    if len(exercise.hints) != HINTS or not all(hint.strip() for hint in exercise.hints):
        yield f"needs {HINTS} hints"
    if exercise.framework not in ("numpy", "torch"):
        yield f"has the framework {exercise.framework!r}, expected numpy or torch"
