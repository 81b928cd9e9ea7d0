"""Names that students chose, of folders and files, as terminals, tables and pages may have them."""

from __future__ import annotations

import hashlib
import os
import re

LONGEST = 200
"""Bytes of a page's name; file systems end at 255, and a file half written has a longer name."""

_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# Spreadsheets read the wide signs of East Asian keyboards like the others.
_FORMULA = tuple("=+-@＝＋－＠")


def shown(name: str) -> str:
    """``name`` in one line: what would break, turn or repaint the line is written as its escape."""
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], name)


def table_cell(name: str) -> str:
    """``name`` for a spreadsheet; one that would be a formula there gets an apostrophe in front."""
    name = shown(name)
    return f"'{name}" if name.startswith(_FORMULA) else name


def page_stem(student: str) -> str:
    """What a student's page is called, by the folder's name; too long a name is cut and hashed."""
    name = os.fsencode(student)
    if len(name) <= LONGEST:
        return student
    start = name[: LONGEST - 20].decode(errors="ignore")
    return f"{start}-{hashlib.sha256(name).hexdigest()[:16]}"
