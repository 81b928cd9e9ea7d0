"""Folders and files called so that a table, a page, a terminal or a file system would trip."""

from __future__ import annotations

import os
import socket
import sys

import pytest

from tests.grading.classroom import SHEETS, answers, cell, grade, hand_in, notebook
from vhlib.course.grading.classes import grade_command
from vhlib.course.grading.names import page_stem, shown, table_cell
from vhlib.course.grading.submissions import MAX_NOTEBOOKS, natural, notebooks_below

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="vh grade needs fork")

LONG = "x" * 255
NAMES = {
    "=cmd()": "'=cmd()",
    "@SUM(A1)": "'@SUM(A1)",
    "mallory\rada": "mallory\\rada",
    "mal\nlory": "mal\\nlory",
    "\x1b]0;title\x07": "\\x1b]0;title\\x07",
    "eve\u202elmth": "eve\\u202elmth",
    "\udcff\udcfe": "\\udcff\\udcfe",
    "²": "²",
    "eve.ipynb": "eve.ipynb",
    "<script>{title}": "<script>{title}",
    LONG: LONG,
}
"""Folders of students, and what they are called in the table."""


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """A class whose students are called strangely; its rows, folder and printed lines."""
    folder = tmp_path_factory.mktemp("named")
    for name in NAMES:
        try:
            hand_in(folder / "in", name, answers())
        except OSError:
            pytest.skip("this file system has no such names")
    hand_in(folder / "in", "ada", answers("def double(x):\n    return x"))
    hand_in(folder / "in", "ada", notebook(cell("1")), "²=cmd().ipynb")
    (folder / "in" / "__MACOSX").mkdir()
    (folder / "in" / "linked").symlink_to(folder / "in" / "ada")
    with socket.socket(socket.AF_UNIX) as plug:
        before = os.getcwd()
        os.chdir(folder / "in" / "ada")  # a socket's path may have 108 bytes only
        plug.bind("90_tiny-2.ipynb")
        os.chdir(before)
    for number in range(MAX_NOTEBOOKS + 1):
        hand_in(folder / "in", "many", answers(), f"90_tiny-{number}.ipynb")
    printed: list[str] = []
    found = grade(folder / "in", folder / "out", jobs=2)
    options = {"jobs": 1, "secret": None, "keep": "best", "dry": False, "solutions": SHEETS}
    grade_command(folder / "in", folder / "out", say=printed.append, **options)
    options["dry"] = True
    printed.append(grade_command(folder / "in", folder / "out", say=printed.append, **options))
    return found, folder, "\n".join(printed).split("\n")


@pytest.mark.parametrize("name", NAMES)
def test_a_strange_name_is_graded_and_changes_no_other_row(named, name):
    assert named[0][NAMES[name], "double"]["points"] == "2.00"
    assert named[0]["ada", "double"]["points"] == "0.00"


def test_everybody_has_a_page_and_no_name_is_markup_in_it(named):
    pages = list((named[1] / "out" / "feedback").iterdir())

    assert len(pages) == len(NAMES) + len(["ada", "linked", "many"])
    assert not any(b"<script" in page.read_bytes() for page in pages)


def test_printed_lines_hold_nothing_that_a_terminal_obeys(named):
    assert named[2]
    for line in named[2]:
        assert line.encode("utf-8").isascii() or "²" in line
        assert shown(line) == line


def test_what_is_no_notebook_of_a_student_is_named_and_not_opened(named):
    rows = named[0]

    assert rows["linked", ""]["status"] == "ungradable: it is a link, not a folder"
    assert "more than 100" in rows["many", ""]["status"]
    assert ("__MACOSX", "double") not in rows
    assert rows["ada", ""]["exercise"] == "²=cmd().ipynb"


def test_a_folder_that_cannot_be_searched_stands_for_its_notebooks(tmp_path):
    assert notebooks_below(tmp_path / "not there") == [tmp_path / "not there"]


def test_names_keep_their_letters():
    for name in ("José Ångström", "陳大文", "O'Brien", "می‌خواهم", "a-b", "x=1"):
        assert shown(name) == table_cell(name) == page_stem(name) == name
    assert len(os.fsencode(page_stem("é" * 120))) <= 200
    assert page_stem("y" * 240 + "1") != page_stem("y" * 240 + "2")


def test_digits_that_are_no_decimals_are_letters():
    assert sorted(["a10", "a²", "a2"], key=natural)[:2] == ["a2", "a10"]
