"""Reading a sheet and its bank, making its editions, and finding where they drift."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from vhlib.course.building import build_course
from vhlib.course.check_files import read_check_file
from vhlib.course.editions import GRADED
from vhlib.course.exercise_editions import sheet_sources, student_edition, student_path, written
from vhlib.course.reach import out_of_reach
from vhlib.course.sheets import (
    bank_path,
    is_answer,
    is_unwritten,
    load_bank,
    paired,
    read_sheet,
    references,
)

ROOT = Path(__file__).resolve().parents[2]

MARKS = '"schema_version": 3, "task": false'
CHECK = f'"grade": true, "locked": true, "solution": false, {MARKS}'
SHEET = f"""\
# %% [markdown]
# # Sums [Open in Colab]({{{{colab}}}})

# %%
def check(function):
    print(function.__name__)

# %% tags=["given"]
import numpy as np

# %% [markdown]
# ## One
# **2 points · difficulty 1 of 5 · 5 minutes**

# %% nbgrader={{"grade": false, "grade_id": "add_one", "locked": false, "solution": true, {MARKS}}}
def add_one(x):
    \"\"\"One more.\"\"\"
    ### BEGIN SOLUTION
    return x + np.ones(())
    ### END SOLUTION

# %% nbgrader={{"grade_id": "add_one_check", "points": 2, {CHECK}}}
check(add_one)

# %% [markdown]
# ## Two
# **1 point · difficulty 2 of 5 · 5 minutes**

# %% nbgrader={{"grade": false, "grade_id": "add_two", "locked": false, "solution": true, {MARKS}}}
def add_two(x):
    ### BEGIN SOLUTION
    return add_one(add_one(x))
    ### END SOLUTION

# %% nbgrader={{"grade_id": "add_two_check", "points": 1, {CHECK}}}
check(add_two)
"""

BANK = """\
from vhlib.course.bank import Case, Exercise, Mistake

def cases(generator):
    return [Case("three", (generator.normal(size=3),))]

def exercise(name, by, builds_on=()):
    wrong = [Mistake(f"you added {n}", lambda x, n=n: x + n) for n in range(10, 15)]
    right = (lambda x: x + by, lambda x: by + x)
    return Exercise(name, cases, right, tuple(wrong), ("a", "b", "c"), builds_on)

EXERCISES = (exercise("add_one", 1.0), exercise("add_two", 2.0, ("add_one",)))
"""


def write_checkout(folder: Path) -> Path:
    """A checkout with one sheet; returns its source."""
    (folder / "pyproject.toml").write_text(
        '[project.urls]\nRepository = "https://github.com/ada/course"\n'
    )
    for name in ("notebooks", "exercises", "solutions/bank"):
        (folder / name).mkdir(parents=True)
    (folder / "notebooks" / "01_sums.py").write_text("# %%\nprint(2)\n")
    (folder / "solutions" / "01_sums.py").write_text(SHEET)
    (folder / "solutions" / "bank" / "01_sums.py").write_text(BANK)
    return folder / "solutions" / "01_sums.py"


@pytest.fixture
def source(tmp_path) -> Path:
    return write_checkout(tmp_path)


@pytest.fixture(scope="module")
def built_once(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("checkout")
    write_checkout(folder)
    assert build_course(folder) == "built 1 notebook, 1 sheet"
    return folder


@pytest.fixture
def built(built_once, tmp_path) -> Path:
    """A copy of a built checkout to spoil."""
    return Path(shutil.copytree(built_once, tmp_path / "checkout"))


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_sheet_says_what_it_asks(source):
    sheet = read_sheet(source)

    one, two = sheet.functions
    assert (sheet.name, sheet.given) == ("01_sums", ("import numpy as np",))
    assert (one.name, one.points, one.difficulty, one.minutes) == ("add_one", 2, 1, 5)
    assert two.points == 1
    assert "return x" in one.solution
    assert one.stub == (
        'def add_one(x):\n    """One more."""\n'
        '    raise NotImplementedError("add_one is still to be written")'
    )
    assert is_unwritten(one.stub, "add_one")
    assert not is_unwritten(one.solution, "add_one")


def test_the_names_that_only_a_picture_makes_are_known(source):
    picture = "import torch\nimport numpy as np\n\nfor x in range(3):\n    import roma\n"
    text = source.read_text()
    source.write_text(f"{text}\n# %%\n{picture}\n# %%\ndef add_one(): ...\n")

    assert read_sheet(source).pictured == ("roma", "torch", "x")


def test_who_grades_loads_no_library_of_notebooks():
    code = (
        "import sys, vhlib.course.grading.desks; "
        "print(sorted({'jupytext', 'nbformat', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"


def test_references_are_the_sheets_own_answers(source):
    answers = references(read_sheet(source))

    assert answers["add_one"](1.0) == 2
    assert answers["add_two"](1.0) == 3


def test_halves_are_paired(source):
    pairs = paired(read_sheet(source), load_bank(bank_path(source)))

    assert [(function.name, exercise.name) for function, exercise in pairs] == [
        ("add_one", "add_one"),
        ("add_two", "add_two"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("**2 points · ", "**2 points, ", "needs a line such as **3 points · difficulty 2 of 5"),
        ('"points": 2', '"points": 3', 'needs "grade_id": "add_one_check", "points": 2'),
        ('"add_one_check"', '"add_check"', 'needs "grade_id": "add_one_check"'),
        ("check(add_one)", "check(add_two)", "behind it must come a cell check(add_one)"),
        ("def add_one", "def add_a", "grade_id is 'add_one', but the cell defines no function"),
        ("    ### END SOLUTION\n", "", "needs one region"),
        ("    ### BEGIN SOLUTION\n    return x", "    return x", "needs one region"),
        ("return x + np", "return (x + np", "was never closed"),
        ("import numpy as np", "from vhlib import body", "imports vhlib, which answers can't"),
        ("    return x", "    import roma\n    return x", "imports roma, which answers can't"),
        ("add_two", "add_one", "asks for add_one twice"),
        ('"solution": true', '"solution": false', "asks for no function"),
    ],
)
def test_a_broken_rule_of_a_sheet_is_told(source, old, new, message):
    rewrite(source, old, new)

    with pytest.raises(ValueError, match=r"01_sums\.py") as error:
        read_sheet(source)

    assert message in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("EXERCISES", "EXERCISE", "needs EXERCISES"),
        ("range(10, 15)", "range(10, 14)", "needs 5 typical mistakes, has 4"),
        (", lambda x: by + x)", ",)", "needs 2 right answers"),
        ('"a", "b", "c"', '"a", "", "c"', "needs 3 hints"),
        (", builds_on)\n", ', builds_on, "jax")\n', "has the framework 'jax'"),
        ("import Case", "import Kase", "ImportError"),
        ('"add_two", 2.0', '"add_three", 2.0', "the bank has no exercise for add_two"),
        (
            "EXERCISES = (",
            'EXERCISES = (exercise("more", 3.0), ',
            "doesn't ask for the bank's more",
        ),
        ('2.0, ("add_one",)', '2.0, ("add_two",)', "builds on add_two, which isn't above it"),
    ],
)
def test_a_broken_rule_of_a_bank_is_told(source, old, new, message):
    rewrite(bank_path(source), old, new)

    with pytest.raises(ValueError, match="01_sums") as error:
        paired(read_sheet(source), load_bank(bank_path(source)))

    assert message in str(error.value)


def test_a_missing_bank_and_a_failing_reference_are_told(source):
    rewrite(source, "import numpy as np", "import numpy as np\n1 / 0")
    with pytest.raises(ValueError, match="ZeroDivisionError"):
        references(read_sheet(source))

    bank_path(source).unlink()
    with pytest.raises(FileNotFoundError, match="a sheet needs a bank"):
        load_bank(bank_path(source))


@pytest.mark.parametrize(
    ("body", "unwritten"),
    [
        ("pass", True),
        ("...", True),
        ('"""Doc."""', True),
        ('"""Doc."""\n    raise NotImplementedError', True),
        ("# YOUR CODE HERE\n    raise NotImplementedError()", True),
        ("return", True),
        ("return None", True),
        ("return 0", False),
        ("return 1, 2, 3", False),
        ("x = 1\n    raise NotImplementedError()", False),
        ("raise ValueError()", False),
        ("return (", False),
    ],
)
def test_what_nobody_wrote_is_known_from_its_source(body, unwritten):
    assert is_unwritten(f"def f():\n    {body}\n", "f") is unwritten
    assert not is_unwritten("x = 1", "f")


def test_the_editions_of_a_sheet(built):
    source = built / "solutions" / "01_sums.py"
    student = nbformat.read(student_path(source, built), as_version=4)
    solution = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    one, two = read_check_file(built / "vhlib" / "assets" / "checks" / "01_sums.npz")

    assert "SOLUTION" not in written(student)
    assert "np.ones" not in written(student)
    assert "blob/main/exercises/01_sums.ipynb" in student.cells[0].source
    assert [cell.metadata.nbgrader.grade_id for cell in filter(is_answer, student.cells)] == [
        "add_one",
        "add_two",
    ]
    assert not [cell for cell in student.cells if cell.get("outputs")]
    assert len({cell.id for cell in student.cells}) == len(student.cells)
    assert [len(cell.outputs) for cell in solution.cells if cell.cell_type == "code"][3] == 1
    assert (one.points, two.builds_on) == (2, ("add_one",))
    assert sorted(one.cases[0].mistaken) == [0, 1, 2, 3, 4]


def test_a_rebuild_changes_no_byte_and_a_check_finds_nothing(built):
    def contents():
        return {path: path.read_bytes() for path in sorted(built.rglob("*")) if path.is_file()}

    before = contents()

    assert build_course(built, check=True) == "checked 1 notebook, 1 sheet"
    assert build_course(built, only=[built / "exercises" / "01_sums.ipynb"]) == "built 1 sheet"
    after = {
        path: content for path, content in contents().items() if "__pycache__" not in path.parts
    }
    assert after == {path: c for path, c in before.items() if "__pycache__" not in path.parts}


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("solutions/01_sums.py", "# ## One", "# ## Eins", "exercises/01_sums.ipynb isn't the"),
        ("solutions/01_sums.py", "+ np.ones(())", "+ np.ones(())  # so", "solutions/01_sums.ipynb"),
        ("solutions/01_sums.py", "+ np.ones(())", "+ 3", "checks/01_sums.npz isn't what"),
        ("solutions/bank/01_sums.py", "you added", "you put", "checks/01_sums.npz isn't what"),
        ("solutions/bank/01_sums.py", "size=3", "size=4", "checks/01_sums.npz isn't what"),
        ("exercises/01_sums.ipynb", "is still to be", "remains to be", "exercises/01_sums.ipynb"),
        ("exercises/01_sums.ipynb", '"execution_count": null', '"execution_count": 1', "exercises"),
        ("solutions/01_sums.ipynb", "np.ones(())", "np.ones(1)", "solutions/01_sums.ipynb, cell"),
    ],
)
def test_drift_is_found(built, name, old, new, message):
    rewrite(built / name, old, new)

    with pytest.raises(ValueError, match="run vh build") as error:
        build_course(built, check=True)

    assert message in str(error.value).replace("\\", "/")


@pytest.mark.parametrize(
    "name",
    ["exercises/01_sums.ipynb", "vhlib/assets/checks/01_sums.npz", "solutions/01_sums.ipynb"],
)
def test_a_missing_edition_is_found(built, name):
    (built / name).unlink()

    with pytest.raises(ValueError, match="is missing: run vh build"):
        build_course(built, check=True)


def test_an_edition_without_a_source_is_found(built):
    (built / "exercises" / "02_left.ipynb").write_text("{}")

    with pytest.raises(ValueError, match=r"02_left\.ipynb has no source solutions/02_left\.py"):
        build_course(built, check=True)


def test_names_choose_what_is_built(built):
    assert build_course(built, check=True, only=[Path("01_sums")]) == "checked 1 notebook, 1 sheet"
    for folder, report in (("solutions", "1 sheet"), ("notebooks", "1 notebook")):
        path = built / folder / "01_sums.py"
        assert build_course(built, check=True, only=[path]) == f"checked {report}"


SOURCES = sheet_sources(ROOT)


@pytest.mark.parametrize("source", SOURCES, ids=[source.stem for source in SOURCES])
def test_student_editions_are_what_their_sources_give(source):
    path = student_path(source, ROOT)

    assert path.read_text(encoding="utf-8") == written(student_edition(source, ROOT))
    assert 3 <= len(read_sheet(source).functions) <= 6


@pytest.mark.parametrize("source", SOURCES, ids=[source.stem for source in SOURCES])
def test_a_sheet_says_what_graders_run(source):
    """Its first cell does, and there is one cell that imports numpy for all, as it says."""
    first = student_edition(source, ROOT).cells[0]
    sheet = read_sheet(source)
    (given,) = sheet.given

    assert GRADED in first.source
    assert "import numpy as np" in given
    for answer in references(sheet).values():
        assert out_of_reach(answer, sheet.pictured, ()) == ()
