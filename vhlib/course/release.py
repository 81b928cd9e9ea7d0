"""The students' bundle, ``vh release --out course.zip``: the course without what gives it away.

In it: the student editions, the lecture notebooks, the library with its checks, what sets it up.
Not in it: solutions and banks. Before it is written, every text in it is searched for their lines.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from vhlib.course.check_files import INDEX
from vhlib.course.editions import lecture_sources, stored, warn_of_no_repository
from vhlib.course.exercise_editions import check_sheet, sheet_sources, student_path
from vhlib.course.sheets import BEGIN, END, bank_path
from vhlib.files import write_atomically

SET_UP = (
    "LICENSE",
    "Makefile",
    "NOTICE",
    "constraints.txt",
    "environment.yml",
    "exercises/README.md",
    "pyproject.toml",
)
FOLDERS = ("vhlib",)
README = "docs/students.md"
"""What the bundle has as its README.md."""
LIBRARY = "vhlib/"
DATE = (1980, 1, 1, 0, 0, 0)
TELLING, TELLING_IN_LIBRARY = 32, 60
"""A line of fewer characters may stand there by chance."""


@dataclass(frozen=True)
class Secrets:
    """What must not get out.

    Attributes:
        lines: telling lines of answers and banks -> the file that they come from.
        pairs: each such line with the one after it.
    """

    lines: dict[str, str]
    pairs: frozenset[tuple[str, str]]


def write_release(root: Path, out: Path) -> str:
    """Write the bundle of the checkout ``root`` to ``out``, the same bytes for the same files.

    Raises:
        ValueError: a sheet's editions have drifted, or a file holds what must not get out.
        OSError: ``root`` isn't a checkout, or ``out`` can't be written to.
    """
    sources = sheet_sources(root)
    for source in sources:
        check_sheet(source, root)
    files = bundled(root)
    secrets = read_secrets(root)
    for leak in leaks({name: path.read_bytes() for name, path in files.items()}, secrets):
        raise ValueError(leak)
    with write_atomically(out) as file, zipfile.ZipFile(file, "w") as bundle:
        for name, path in sorted(files.items()):
            member = zipfile.ZipInfo(name, date_time=DATE)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = 0o644 << 16
            bundle.writestr(member, path.read_bytes())
    warn_of_no_repository(root)
    return f"wrote {out}: {len(files)} files, {len(sources)} sheets, no solution among them"


def bundled(root: Path) -> dict[str, Path]:
    """What belongs into the bundle, by its name in it."""
    chosen = [root / name for name in SET_UP]
    chosen += [stored(source) for source in lecture_sources(root)]
    chosen += [student_path(source, root) for source in sheet_sources(root)]
    for folder in FOLDERS:
        chosen += [path for path in (root / folder).rglob("*") if path.is_file()]
    names = {path.relative_to(root).as_posix(): path for path in chosen if path.is_file()}
    names["README.md"] = root / README
    return {
        name: path
        for name, path in names.items()
        if "__pycache__" not in name and not path.name.startswith(".")
    }


def read_secrets(root: Path) -> Secrets:
    """The telling lines of every answer and every bank of ``root``."""
    found: dict[str, str] = {}
    pairs = set()
    for source in sheet_sources(root):
        texts = [(f"solutions/{source.name}", answer) for answer in answers(source)]
        bank = bank_path(source)
        texts.append((f"solutions/bank/{bank.name}", bank.read_text(encoding="utf-8")))
        public = set(plain(given(source)))
        for name, text in texts:
            lines = [line for line in plain(text) if line not in public]
            found = {line: name for line in lines if is_telling(line)} | found
            pairs |= {pair for pair in pairwise(lines) if all(is_telling(line) for line in pair)}
    return Secrets(found, frozenset(pairs))


def answers(source: Path) -> list[str]:
    """The regions between the markers of a sheet."""
    text = source.read_text(encoding="utf-8")
    return [part.split(END)[0] for part in text.split(BEGIN)[1:]]


def given(source: Path) -> str:
    """What a sheet gives its students: all of it outside the markers."""
    parts = source.read_text(encoding="utf-8").split(BEGIN)
    return parts[0] + "".join(part.split(END, 1)[1] for part in parts[1:])


def leaks(files: dict[str, bytes], secrets: Secrets) -> Iterator[str]:
    """What the contents of ``files`` give away: one line of an answer or a bank is enough.

    The library has code of its own on the same topics; there it takes a long line or two in a row.
    """
    for name, content in sorted(files.items()):
        for text in texts(name, content):
            lines = list(plain(text))
            if name.startswith(LIBRARY) and name.endswith(".py"):
                found = [pair[0] for pair in pairwise(lines) if pair in secrets.pairs]
                long = (line for line in lines if len(line) >= TELLING_IN_LIBRARY)
                found += [line for line in long if line in secrets.lines]
            else:
                found = [line for line in lines if line in secrets.lines or line == BEGIN]
            for line in found:
                where = secrets.lines.get(line, "a solution")
                yield f"{name} holds a line of {where}, so it can't be released: {line!r}"


def texts(name: str, content: bytes) -> Iterator[str]:
    """Every text in a file: of a notebook or an npz, the strings in it."""
    if name.endswith(".ipynb"):
        yield from strings(json.loads(content))
    elif name.endswith(".npz"):
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            if INDEX in arrays.files:
                yield from strings(json.loads(arrays[INDEX].tobytes()))
            for key in arrays.files:
                if arrays[key].dtype.kind == "U":
                    yield from arrays[key].ravel().tolist()
    elif b"\0" not in content:
        yield content.decode("utf-8", errors="replace")


def strings(value: Any) -> Iterator[str]:
    """Every string in what JSON can say; a list of lines is one."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and value and all(isinstance(line, str) for line in value):
        yield "".join(value)
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from strings(part)


def plain(text: str) -> Iterator[str]:
    """Lines without comments, with single spaces; none that is empty."""
    for line in text.splitlines():
        code = line if line.strip() == BEGIN else f" {line}".split(" #")[0]
        if words := " ".join(code.split()):
            yield words


def is_telling(line: str) -> bool:
    """Whether a line can only come from where it was written."""
    return len(line) >= TELLING and not line.startswith(("import ", "from ", "def ", '"""'))
