"""Finding what students handed in, and reading it without trusting it."""

from __future__ import annotations

import ast
import json
import os
import re
import stat
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

MAX_NOTEBOOK_BYTES = 50_000_000
MAX_CELLS, MAX_CODE, MAX_DEPTH = 2000, 200_000, 3
MAX_NOTEBOOKS = 100
"""Of one student: each costs the time that a function may take for all of its cases."""

LONGEST_ID = 200
MAX_NAMED = 3
"""Of what lies in a folder without a notebook."""

_SKIPPED = {".ipynb_checkpoints", "__MACOSX"}


class Unreadable(ValueError):
    """A notebook that can't be read; the words say why."""


@dataclass(frozen=True)
class Submission:
    """A notebook that a student handed in.

    Attributes:
        student: the name of the student's folder.
        path: where it is.
        sheet: the sheet that it answers; None if neither its name nor its cells tell.
        problem: why it can't be graded; empty if it can.
        cells: what it consists of; none if they can't be read.
    """

    student: str
    path: Path
    sheet: str | None
    problem: str = ""
    cells: tuple[Cell, ...] = ()


@dataclass(frozen=True)
class Cell:
    """A cell of a notebook, numbered from 1 as a reader counts; ``kind`` is code or other."""

    number: int
    kind: str
    source: str
    grade_id: str = ""
    is_check: bool = False

    def defines(self, name: str) -> bool:
        """Whether its code gives ``name`` a value at the top, as far as that can be read."""
        if self.kind != "code":
            return False
        names = _defined_names(self.source)
        if names is None:
            return re.search(rf"^(async )?def {re.escape(name)}\b", self.source, re.M) is not None
        return name in names


@lru_cache(maxsize=64)
def _defined_names(source: str) -> frozenset[str] | None:
    """The names that a cell defines at the top; None if it can't be parsed."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return frozenset().union(*map(_names, tree.body))


def _names(line: ast.stmt) -> set[str]:
    """The names that a statement at the top of a cell defines."""
    if isinstance(line, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {line.name}
    targets = line.targets if isinstance(line, ast.Assign) else []
    return {
        node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)
    }


def find_submissions(folder: Path, sheets: Mapping[str, Collection[str]]) -> list[Submission]:
    """Everything handed in, ordered by student, then as :func:`natural` orders paths.

    Args:
        folder: holds a folder for each student.
        sheets: the names of the functions of each sheet.

    Raises:
        OSError: ``folder`` can't be read.
    """
    found = []
    for student in student_folders(folder):
        if student.is_symlink():
            found.append(Submission(student.name, student, None, "it is a link, not a folder"))
            continue
        paths = notebooks_below(student)
        if len(paths) > MAX_NOTEBOOKS:
            why = (
                f"its {len(paths)} notebooks are more than {MAX_NOTEBOOKS}: leave those that count"
            )
            found.append(Submission(student.name, student, None, why))
            continue
        for path in sorted(paths, key=lambda path: natural(str(path.relative_to(student)))):
            found.append(read_submission(student.name, path, sheets))
    return found


def student_folders(folder: Path) -> list[Path]:
    """Everybody's folder, whether there is a notebook in it or not, as :func:`natural` orders them.

    Raises:
        OSError: ``folder`` can't be read.
    """
    folders = (path for path in folder.iterdir() if path.is_dir() and is_students(path))
    return sorted(folders, key=lambda path: natural(path.name))


def left_out(folder: Path, found: Sequence[Submission]) -> list[str]:
    """Lines on what was handed in that holds no notebook: folders, and files in no folder.

    Raises:
        OSError: ``folder`` can't be read.
    """
    known = {submission.student for submission in found}
    empty = [path for path in student_folders(folder) if path.name not in known]
    held = [", ".join(sorted(part.name for part in path.iterdir())[:MAX_NAMED]) for path in empty]
    students = [
        f"{path.name} ({names})" if names else path.name
        for path, names in zip(empty, held, strict=True)
    ]
    loose = sorted(p.name for p in folder.iterdir() if not p.is_dir() and is_students(p))
    lines = {"no notebook": students, "in no student's folder": loose}
    return [f"{what}: {', '.join(names)}" for what, names in lines.items() if names]


def is_students(path: Path) -> bool:
    """Whether a student made this, not an archiver, an editor or Jupyter."""
    return not path.name.startswith(".") and path.name not in _SKIPPED


def notebooks_below(folder: Path, depth: int = 1) -> list[Path]:
    """Notebooks in a folder and its subfolders, whatever they are; no link is followed.

    A folder that can't be searched stands for what it may hold.
    """
    try:
        paths = [path for path in folder.iterdir() if is_students(path)]
    except OSError:
        return [folder]
    found = []
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            found += notebooks_below(path, depth + 1) if depth < MAX_DEPTH else []
        elif path.suffix.lower() == ".ipynb":
            found.append(path)
    return found


def natural(name: str) -> tuple:
    """A key that puts ``a-2`` before ``a-10`` and ``a.ipynb`` before ``a-2.ipynb``."""
    stem = name.removesuffix(".ipynb")
    pieces = re.split(r"(\d+)", stem)
    return [
        (piece.isdecimal(), int(piece) if piece.isdecimal() else 0, piece) for piece in pieces
    ], name


def read_submission(student: str, path: Path, sheets: Mapping[str, Collection[str]]) -> Submission:
    """One notebook, and which sheet it answers: by the ids of its cells, else by its name."""
    named = max((name for name in sheets if name in path.stem), key=len, default=None)
    try:
        cells = read_cells(read_bytes(path))
    except (Unreadable, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        return Submission(student, path, named, why or "it can't be read")
    sheet = sheet_of(cells, sheets) or named
    if sheet is None:
        why = "neither its name nor the ids of its cells tell which sheet it is"
        return Submission(student, path, None, why)
    return Submission(student, path, sheet, "", tuple(cells))


def read_bytes(path: Path) -> bytes:
    """The content of a regular file.

    Raises:
        Unreadable: it is a link, no file, or too large.
        OSError: it can't be read.
    """
    if path.is_symlink():
        raise Unreadable("it is a link, not a file")
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(handle, "rb") as file:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise Unreadable("it isn't a file")
        content = file.read(MAX_NOTEBOOK_BYTES + 1)
    if len(content) > MAX_NOTEBOOK_BYTES:
        most = MAX_NOTEBOOK_BYTES / 1e6
        size = f"it has {about.st_size / 1e6:.0f} MB, more than {most:.0f}"
        raise Unreadable(f"{size}: clear its outputs and hand it in again")
    return content


def read_cells(content: bytes) -> list[Cell]:
    """The cells of a notebook.

    Raises:
        Unreadable: it isn't a notebook.
    """
    if not content.strip():
        raise Unreadable("the file is empty")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable("it isn't UTF-8 text") from None
    try:
        notebook = json.loads(text)
    except (ValueError, RecursionError):
        raise Unreadable("it isn't valid JSON, so no notebook") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise Unreadable("it is JSON, but not a notebook of format 4: it has no cells")
    if len(cells) > MAX_CELLS:
        raise Unreadable(f"it has {len(cells)} cells, more than {MAX_CELLS}")
    found = [cell for number, raw in enumerate(cells, 1) if (cell := read_cell(number, raw))]
    size = sum(len(cell.source) for cell in found if cell.kind == "code")
    if size > MAX_CODE:
        raise Unreadable(f"it has {size / 1e3:.0f} kB of code, more than {MAX_CODE / 1e3:g}")
    return found


def read_cell(number: int, raw: object) -> Cell | None:
    """One cell; None for something that isn't one. Only of code is the source kept."""
    if not isinstance(raw, dict):
        return None
    source = raw.get("source", "")
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    metadata = raw.get("metadata")
    marks = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    marks = marks if isinstance(marks, dict) else {}
    kind = "code" if raw.get("cell_type") == "code" else "other"
    grade_id = marks.get("grade_id")
    return Cell(
        number,
        kind,
        source if isinstance(source, str) and kind == "code" else "",
        grade_id[:LONGEST_ID] if isinstance(grade_id, str) else "",
        bool(marks.get("grade")),
    )


def sheet_of(cells: Sequence[Cell], sheets: Mapping[str, Collection[str]]) -> str | None:
    """The sheet whose functions' ids the cells carry; None if none, or several equally."""
    ids = {cell.grade_id for cell in cells}
    counts = {name: len(ids & set(functions)) for name, functions in sheets.items()}
    best = max(counts.values(), default=0)
    names = [name for name, count in counts.items() if count == best]
    return names[0] if best and len(names) == 1 else None
