"""What grading leaves behind: tables, and a record of each notebook, from which it resumes."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from vhlib.course.grading.names import table_cell
from vhlib.course.grading.scoring import UNGRADABLE, PartResult
from vhlib.course.grading.submissions import Cell
from vhlib.files import write_atomically

GRADES = ("student", "exercise", "part", "points", "max_points", "status")
ITEMS = ("exercise", "part", "case", "tried", "failed")


@dataclass(frozen=True)
class Graded:
    """A student's results on one sheet.

    Attributes:
        student, sheet: whose, on what.
        path: the notebook, relative to the folder of submissions; empty if none was handed in.
        results: one for each function.
    """

    student: str
    sheet: str
    path: str
    results: tuple[PartResult, ...]

    @property
    def points(self) -> float | None:
        """The sum; None if nothing could be graded."""
        known = [result.points for result in self.results if result.points is not None]
        return round(sum(known), 2) if known else None

    @property
    def max_points(self) -> int:
        """What the sheet is worth."""
        return sum(result.max_points for result in self.results)


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all; what UTF-8 can't hold is escaped."""
    with write_atomically(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def grades_table(graded: Sequence[Graded]) -> str:
    """One row for each student, sheet and function; points of the ungradable are left empty."""
    return table(
        GRADES,
        (
            (
                table_cell(entry.student),
                table_cell(entry.sheet),
                result.part,
                "" if result.points is None else f"{result.points:.2f}",
                result.max_points if result.part else "",
                result.status,
            )
            for entry in graded
            for result in entry.results
        ),
    )


def items_table(graded: Sequence[Graded]) -> str:
    """How many answers were tried on each hidden case, and how many failed it.

    Cases of equal name are counted together.
    """
    tried: Counter = Counter()
    failed: Counter = Counter()
    for entry in graded:
        for result in entry.results:
            for name, why in result.cases or ():
                tried[entry.sheet, result.part, name] += 1
                failed[entry.sheet, result.part, name] += bool(why)
    order = sorted(tried, key=lambda item: item[0])  # stable: parts and cases as the sheet has them
    return table(ITEMS, ((*item, tried[item], failed[item]) for item in order))


def record_path(out: Path, fingerprint: str, cells: Sequence[Cell]) -> Path:
    """Where the results of a notebook's cells against an answer key are kept."""
    content = json.dumps([asdict(cell) for cell in cells]).encode()
    digest = hashlib.sha256(fingerprint.encode() + hashlib.sha256(content).digest())
    return out / "records" / f"{digest.hexdigest()}.json"


def write_record(path: Path, results: Sequence[PartResult]) -> None:
    """Keep results."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps([asdict(result) for result in results], indent=1) + "\n")


def read_record(path: Path) -> tuple[PartResult, ...] | None:
    """Results kept earlier; None if there are none, or the file is damaged."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return tuple(
            PartResult(
                **entry
                | {
                    "cases": None
                    if entry["cases"] is None
                    else tuple((name, why) for name, why in entry["cases"]),
                    "remarks": tuple(entry["remarks"]),
                }
            )
            for entry in entries
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


def kept(attempts: Sequence[Graded], keep: str) -> Graded:
    """The one of several attempts at a sheet that counts: the last, or the first of the best.

    An attempt in which more could be graded is better than one in which less could.
    """
    if keep == "last":
        return attempts[-1]

    def merit(entry: Graded) -> tuple[int, float]:
        gradable = sum(result.points is not None for result in entry.results)
        return gradable, entry.points or 0.0

    return max(attempts, key=merit)


def status_counts(graded: Sequence[Graded]) -> str:
    """How many functions came to which status, in a line."""
    counts = Counter(result.status.split(":")[0] for entry in graded for result in entry.results)
    order = ("scored", "wrong", "not attempted", UNGRADABLE)
    return ", ".join(f"{counts[status]} {status}" for status in order if counts[status])
