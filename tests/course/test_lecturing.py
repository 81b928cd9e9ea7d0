"""What docs/lecturing.md says of minutes is what notebooks and sheets say themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "lecturing.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (\d\d) [^|]*\| (\d+|–) \|[^|]*\| (\d+|–) \|$", re.MULTILINE)
TOLD = {number: (reading, sheet) for number, reading, sheet in ROW.findall(TEXT)}


def stated_minutes(folder: str) -> dict[str, str]:
    """Number of each source in a folder -> the minutes in its title cell."""
    found = {}
    for source in sorted((ROOT / folder).glob("[0-9][0-9]_*.py")):
        words = re.search(r"\*\*Time\*\*: (\d+) minutes", source.read_text(encoding="utf-8"))
        found[source.stem[:2]] = words[1]
    return found


@pytest.mark.parametrize(("folder", "column"), [("notebooks", 0), ("solutions", 1)])
def test_minutes_agree(folder, column):
    told = {number: row[column] for number, row in TOLD.items() if row[column] != "–"}

    assert told == stated_minutes(folder)
