"""Damaged, misplaced and odd notebooks each come to a clear status, and never to a silent zero."""

from __future__ import annotations

import json
import os

import pytest

from tests.grading.classroom import (
    RIGHT_DOUBLE,
    RIGHT_QUADRUPLE,
    answers,
    cell,
    grade,
    hand_in,
    notebook,
)
from vhlib.course.grading.submissions import natural, read_cells

STUB = 'def double(x):\n    """Twice."""\n    raise NotImplementedError("still to be written")'


def deeply_nested() -> str:
    return '{"cells": ' + "[" * 100_000 + "]" * 100_000 + "}"


DAMAGED = {
    "empty": (b"", "the file is empty"),
    "not_json": (answers()[:-20], "isn't valid JSON"),
    "latin_1": (answers("# é\n" + RIGHT_DOUBLE).encode().replace(b"\\u00e9", b"\xe9"), "UTF-8"),
    "binary": (bytes(range(256)) * 10, "UTF-8"),
    "a_list": (b"[1, 2]", "it has no cells"),
    "format_3": (b'{"worksheets": [{"cells": []}], "nbformat": 3}', "it has no cells"),
    "much_code": (answers("# " + "x" * 1_000_001), "1000 kB of code"),
    "nested": (deeply_nested(), "isn't valid JSON"),
}


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """One class with everything odd in it."""
    folder = tmp_path_factory.mktemp("odd")
    submissions = folder / "in"
    for name, (content, _) in DAMAGED.items():
        hand_in(submissions, name, content)
    huge = hand_in(submissions, "huge", answers())
    with open(huge, "r+b") as file:
        file.truncate(200_000_000)
    hand_in(submissions, "linked", answers(), "elsewhere.txt")
    (submissions / "linked" / "90_tiny.ipynb").symlink_to(huge)
    if hasattr(os, "mkfifo"):
        (submissions / "piped").mkdir()
        os.mkfifo(submissions / "piped" / "90_tiny.ipynb")
    (submissions / "folder" / "90_tiny.ipynb").mkdir(parents=True)
    hand_in(submissions, "stray", notebook(cell("print(1)")), "homework.ipynb")
    hand_in(submissions, "renamed", answers(), "my homework (final).ipynb")
    hand_in(submissions, "copied", notebook(cell(RIGHT_DOUBLE)), "Copy of 90_tiny (1).ipynb")
    hand_in(submissions, "deleted", notebook(cell(RIGHT_DOUBLE, "double")))
    hand_in(submissions, "no_ids", notebook(cell(RIGHT_DOUBLE), cell(RIGHT_QUADRUPLE)))
    hand_in(submissions, "text_cell", notebook(cell(RIGHT_DOUBLE, "double", "markdown")))
    hand_in(submissions, "deep_code", answers("def double(x):\n    return " + "-" * 20000 + "x"))
    hand_in(submissions, "renamed_function", answers("def twice(x):\n    return 2 * x"))
    hand_in(submissions, "broken_code", answers("def double(x)\n    return 2 * x"))
    hand_in(submissions, "stubs", answers(STUB, "def quadruple(x):\n    pass"))
    hand_in(submissions, "stub_again", answers(STUB, RIGHT_QUADRUPLE, cell(RIGHT_DOUBLE, "double")))
    hand_in(submissions, "stub_below", answers(RIGHT_DOUBLE, RIGHT_QUADRUPLE, cell(STUB, "double")))
    hand_in(
        submissions,
        "twice",
        answers("def double(x):\n    return 7 * x", RIGHT_QUADRUPLE, cell(RIGHT_DOUBLE, "double")),
    )
    cheat = cell("double = lambda x: 2 * x", "double_check", grade=True, solution=False)
    hand_in(submissions, "edited_check", answers("def double(x):\n    return x", more_cells(cheat)))
    hand_in(submissions, "magics", answers(f"%matplotlib inline\n!pip install x\n{RIGHT_DOUBLE}"))
    hand_in(submissions, "timed", answers(f"%%time\n{RIGHT_DOUBLE}"))
    hand_in(submissions, "asks", answers(f"{RIGHT_DOUBLE}\nname = input('your name? ')"))
    hand_in(submissions, "draws", answers(DRAWS))
    hand_in(submissions, "stumbles", answers(f"{RIGHT_DOUBLE}\nprint(undefined)"))
    hand_in(submissions, "helped", answers(f"def h(x):\n    return 2\n{HELPED}"))
    hand_in(submissions, "other_cell", answers(HELPED, RIGHT_QUADRUPLE, cell("def h(x): return 2")))
    hand_in(submissions, "loops_elsewhere", answers(RIGHT_DOUBLE, "while True:\n    pass"))
    hand_in(submissions, "floats", answers("def double(x):\n    return 2 * x\ndouble = double"))
    hand_in(submissions, "writes", answers("def double(x):\n    x *= 2\n    return x"))
    hand_in(submissions, "with_a_bom", b"\xef\xbb\xbf" + answers().encode())
    hand_in(submissions, "junk", notebook(cell(RIGHT_DOUBLE, "double"), 7, None, {"source": None}))
    (submissions / "absent").mkdir()
    return grade(submissions, folder / "out", jobs=2), folder / "out"


HELPED = "def double(x):\n    return h(x) * x"
DRAWS = f"""
import matplotlib.pyplot as plt
from vhlib.course.checks import open_sheet
figure = plt.figure()
{RIGHT_DOUBLE}
plt.plot(double(3.0))
plt.show()
"""


def more_cells(more: dict) -> str:
    """A right quadruple; the edited check cell takes the place of nothing."""
    return RIGHT_QUADRUPLE + "\n# " + json.dumps(more["source"])


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_notebook_is_ungradable_with_a_reason(odd, name):
    row = odd[0][name, "double"]

    assert row["points"] == ""
    assert row["status"].startswith("ungradable: ")
    assert DAMAGED[name][1] in row["status"]


@pytest.mark.parametrize(
    ("name", "why"),
    [("huge", "200 MB"), ("linked", "a link"), ("piped", "isn't a file")],
)
def test_what_is_no_small_file_is_ungradable(odd, name, why):
    if name == "piped" and not hasattr(os, "mkfifo"):
        pytest.skip("this platform has no pipes in folders")
    assert why in odd[0][name, "double"]["status"]
    assert odd[0][name, "double"]["points"] == ""


def test_a_notebook_of_no_sheet_has_a_row_of_its_own(odd):
    row = odd[0]["stray", ""]

    assert (row["exercise"], row["points"]) == ("homework.ipynb", "")
    assert "neither its name nor the ids" in row["status"]


@pytest.mark.parametrize(
    "name",
    [
        "renamed", "copied", "no_ids", "stub_again", "stub_below", "twice", "magics", "timed",
        "asks", "draws", "stumbles", "helped", "other_cell", "loops_elsewhere", "floats",
        "with_a_bom", "junk", "deleted",
    ],
)  # fmt: skip
def test_right_work_is_found_and_scored(odd, name):
    row = odd[0][name, "double"]

    assert (row["points"], row["status"]) == ("2.00", "scored")


@pytest.mark.parametrize(
    ("name", "part", "why"),
    [
        ("deleted", "quadruple", "no cell has the id quadruple, and none defines it"),
        ("text_cell", "double", "the cell of double isn't a code cell"),
    ],
)
def test_work_that_is_not_there_is_ungradable(odd, name, part, why):
    assert odd[0][name, part]["status"] == f"ungradable: {why}"
    assert odd[0][name, part]["points"] == ""


@pytest.mark.parametrize("name", ["broken_code", "renamed_function", "edited_check"])
def test_attempts_that_fail_are_wrong(odd, name):
    assert odd[0][name, "double"]["points"] == "0.00"
    assert odd[0][name, "double"]["status"] == "wrong"


def test_writing_into_an_input_fails_the_cases_that_have_one_to_write_into(odd):
    assert odd[0]["writes", "double"]["points"] == "0.50"


@pytest.mark.parametrize("name", ["stubs", "absent"])
def test_nothing_written_is_not_attempted(odd, name):
    for part in ("double", "quadruple"):
        assert odd[0][name, part]["points"] == "0.00"
        assert odd[0][name, part]["status"] == "not attempted"


def test_code_too_deep_to_be_parsed_costs_nobody_else_anything(odd):
    row = odd[0]["deep_code", "double"]

    assert row["status"] == "wrong" or row["status"].startswith("ungradable: ")


def test_a_folder_named_like_a_notebook_is_searched_not_read(odd):
    assert odd[0]["folder", "double"]["status"] == "not attempted"


def test_the_order_of_several_notebooks_is_that_of_people():
    names = ["90_tiny-10.ipynb", "90_tiny-2.ipynb", "90_tiny.ipynb", "a/90_tiny.ipynb"]

    assert sorted(names, key=natural) == [names[2], names[1], names[0], names[3]]


def test_cells_are_read_whatever_their_source_is_made_of():
    text = json.dumps({"cells": [cell(["a = 1\n", "b = 2"]), cell(None), cell(3), "x"]})

    assert [found.source for found in read_cells(text.encode())] == ["a = 1\nb = 2", "", ""]
