"""``vh build`` and ``vh build --check``: all that the repository makes from a source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vhlib.course.editions import build_lecture, check_edition, chosen, lecture_sources
from vhlib.course.exercise_editions import build_sheet, check_sheet, sheet_sources


def build_course(root: Path, check: bool = False, only: Sequence[Path] = ()) -> str:
    """Make the notebooks and sheets of the checkout ``root`` from their sources; a short report.

    With ``check`` nothing is run or written: what is stored is compared with its source. ``only``
    names sources (or their notebooks) to take instead of all.

    Raises:
        ValueError: a cell failed or wrote to stderr, or a sheet breaks a rule; with ``check``,
            something has drifted.
        FileNotFoundError: ``root`` isn't a checkout of the course, or holds no such source.
    """
    lectures, sheets = lecture_sources(root), sheet_sources(root)
    sources = chosen(lectures + sheets, only)
    for source in sources:
        is_sheet = source in sheets
        if check:
            (check_sheet if is_sheet else check_edition)(source, root)
        else:
            (build_sheet if is_sheet else build_lecture)(source, root)
    taken = len([source for source in sources if source in lectures])
    counts = [_count(taken, "notebook"), _count(len(sources) - taken, "sheet")]
    return f"{'checked' if check else 'built'} {', '.join(filter(None, counts))}"


def _count(number: int, noun: str) -> str:
    """A number of things in words; empty for none."""
    return f"{number} {noun}" + "s" * (number > 1) if number else ""
