"""A class is graded the same whatever the order, the number of processes, or what broke it off."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from html import unescape
from pathlib import Path

import pytest

from tests.grading.classroom import RIGHT_DOUBLE, SHEETS, answers, cell, grade, hand_in, rows
from vhlib.cli import main
from vhlib.course.grading.classes import grade_command

WRONG_DOUBLE = "def double(x):\n    return 3.0 * x"


def a_class(folder: Path, students: list[str]) -> Path:
    """Students of whom every third is wrong."""
    for number, student in enumerate(sorted(students)):
        double = WRONG_DOUBLE if number % 3 == 0 else RIGHT_DOUBLE
        hand_in(folder, student, answers(f"# {student}\n{double}"))
    return folder


def written(out: Path) -> dict[str, bytes]:
    """Everything that grading wrote, by path."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file()
    }


def test_order_and_number_of_processes_change_nothing(tmp_path):
    names = ["ben", "ada", "eve", "dan"]
    a_class(tmp_path / "in", names)
    a_class(tmp_path / "reversed", names[::-1])

    grade(tmp_path / "in", tmp_path / "one", jobs=1)
    grade(tmp_path / "reversed", tmp_path / "two", jobs=3)

    assert written(tmp_path / "one") == written(tmp_path / "two")


def test_a_second_run_reads_records_and_writes_the_same(tmp_path):
    a_class(tmp_path / "in", ["ada", "ben"])
    grade(tmp_path / "in", tmp_path / "out")
    before = written(tmp_path / "out")
    lines: list[str] = []

    grade_command(
        tmp_path / "in",
        tmp_path / "out",
        jobs=1,
        secret=None,
        keep="best",
        dry=False,
        solutions=SHEETS,
        say=lines.append,
    )

    assert written(tmp_path / "out") == before
    assert not [line for line in lines if " of 2: " in line]


def test_a_killed_run_started_again_writes_the_same(tmp_path):
    names = [f"student{number}" for number in range(12)]
    a_class(tmp_path / "in", names)
    grade(tmp_path / "in", tmp_path / "whole", jobs=2)
    broken = tmp_path / "broken"
    command = [sys.executable, "-m", "vhlib.cli", "grade", str(tmp_path / "in"), "-j", "1"]
    options = ["--out", str(broken), "--solutions", str(SHEETS)]
    run = subprocess.Popen(command + options, stdout=subprocess.DEVNULL)
    while len(list((broken / "records").glob("*.json"))) < 3 and run.poll() is None:
        time.sleep(0.01)
    run.kill()
    run.wait()
    assert run.returncode == -signal.SIGKILL, "it ended before it could be killed"
    assert not (broken / "grades.csv").exists()

    grade(tmp_path / "in", broken, jobs=2)

    assert written(broken) == written(tmp_path / "whole")


def test_a_damaged_record_is_made_again(tmp_path):
    a_class(tmp_path / "in", ["ada"])
    grade(tmp_path / "in", tmp_path / "out")
    before = written(tmp_path / "out")
    (record,) = (tmp_path / "out" / "records").iterdir()
    record.write_text("[{}]")

    grade(tmp_path / "in", tmp_path / "out")

    assert written(tmp_path / "out") == before


def test_another_secret_draws_other_cases(tmp_path):
    guess = """
def double(x):
    seen = {CASES}
    import numpy as np
    key = np.asarray(x).tobytes()
    return seen.get(key, 0 * x)
"""
    from vhlib.course.bank import PUBLIC_SECRET
    from vhlib.course.grading.answer_key import read_answer_key, read_graded_sheet

    key = read_answer_key(read_graded_sheet(SHEETS / "90_tiny.py"), PUBLIC_SECRET)
    part = key.parts[0]
    table = ", ".join(
        f"{bytes(memoryview(_array(case.inputs[0])))!r}: {2 * case.inputs[0]!r}"
        for case in part.cases
        if isinstance(case.inputs[0], float)
    )
    learnt = guess.replace("{CASES}", "{" + table + "}")
    hand_in(tmp_path / "in", "rote", answers(learnt))
    secret = tmp_path / "secret"
    secret.write_bytes(os.urandom(32).hex().encode())

    public = grade(tmp_path / "in", tmp_path / "public")
    hidden = grade(tmp_path / "in", tmp_path / "hidden", secret=secret)

    assert public["rote", "double"]["points"] == "0.50", "the floats of the practice run"
    assert hidden["rote", "double"]["points"] == "0.00"


def _array(value: float):
    import numpy as np

    return np.asarray(value).reshape(1)


@pytest.mark.parametrize(("keep", "points"), [("best", "2.00"), ("last", "0.00")])
def test_one_of_several_notebooks_counts(tmp_path, keep, points):
    hand_in(tmp_path / "in", "ada", answers())
    hand_in(tmp_path / "in", "ada", answers(WRONG_DOUBLE), "90_tiny-2.ipynb")

    assert grade(tmp_path / "in", tmp_path / "out", keep=keep)["ada", "double"]["points"] == points


def test_the_best_is_one_that_can_be_graded(tmp_path):
    hand_in(tmp_path / "in", "ada", answers(WRONG_DOUBLE))
    hand_in(tmp_path / "in", "ada", "broken", "90_tiny-2.ipynb")

    assert grade(tmp_path / "in", tmp_path / "out")["ada", "double"]["status"] == "wrong"


def test_one_mistake_costs_points_once(tmp_path):
    hand_in(tmp_path / "in", "ada", answers(WRONG_DOUBLE))

    found = grade(tmp_path / "in", tmp_path / "out")

    assert found["ada", "double"]["points"] == "0.00"
    assert found["ada", "quadruple"]["points"] == "4.00"


def test_points_are_the_share_of_hidden_cases_that_pass(tmp_path):
    partly = "def double(x):\n    return 2 * x if isinstance(x, float) else 0 * x"
    hand_in(tmp_path / "in", "ada", answers(partly))

    row = grade(tmp_path / "in", tmp_path / "out")["ada", "double"]

    assert (row["points"], row["max_points"], row["status"]) == ("0.50", "2", "scored")


def test_items_count_who_failed_which_case(tmp_path):
    a_class(tmp_path / "in", ["ada", "ben", "eve"])
    grade(tmp_path / "in", tmp_path / "out")
    lines = (tmp_path / "out" / "items.csv").read_text().splitlines()

    assert lines[0] == "exercise,part,case,tried,failed"
    assert "90_tiny,double,one number,9,3" in lines
    assert "90_tiny,quadruple,one number,9,0" in lines


def test_feedback_names_the_mistake_and_no_hidden_number(tmp_path):
    show = "def double(x):\n    raise ValueError(f'LEAK {x}')"
    hand_in(tmp_path / "in", "ada", answers(WRONG_DOUBLE))
    hand_in(tmp_path / "in", "<b>eve", answers(show, "<script>\n" + "def quadruple(x): 1"))
    grade(tmp_path / "in", tmp_path / "out")
    ada = (tmp_path / "out" / "feedback" / "ada.html").read_text()
    eve = (tmp_path / "out" / "feedback" / "<b>eve.html").read_text()

    assert "This looks familiar: you multiplied by 3.0." in ada
    assert "instead of" not in ada
    assert "it raises ValueError" in eve
    assert not any("LEAK" in content.decode() for content in written(tmp_path / "out").values())
    assert "<b>eve" not in eve
    assert "<script>" not in eve


FAILING = {
    "def double(x):\n    return (x": "SyntaxError: '(' was never closed (<cell>, line 2)",
    f"from vhlib.geometry import skew\n{RIGHT_DOUBLE}": (
        "stopped with ModuleNotFoundError: vhlib isn't there when graded"
    ),
    f"from vhlib import body\n{RIGHT_DOUBLE}": "ImportError: vhlib isn't there when graded",
    f"import smplx\n{RIGHT_DOUBLE}": "ModuleNotFoundError: smplx isn't there when graded",
    "def double(x):\n    import roma\n    return x + x": (
        "it raises ModuleNotFoundError: vhlib, smplx and roma aren't there when graded"
    ),
    "def double(x):\n    return x + torch.tensor(x)": (
        "it raises NameError: names of the sheet's pictures aren't there when graded"
    ),
}


def test_feedback_says_once_why_a_function_could_not_be_called(tmp_path):
    for number, double in enumerate(FAILING):
        hand_in(tmp_path / "in", f"student{number}", answers(double))
    grade(tmp_path / "in", tmp_path / "out")

    for number, words in enumerate(FAILING.values()):
        page = (tmp_path / "out" / "feedback" / f"student{number}.html").read_text()
        told = unescape(page).split("<h3")[1]
        assert words in told
        assert "wasn't called" not in told
        if not words.startswith("it raises"):
            assert told.count("The cell of double stopped with") == 1
            assert "<li>" not in told


def test_the_last_lines_name_what_nobody_could_grade(tmp_path, capsys):
    hand_in(tmp_path / "in", "ada", answers(quadruple="print('deleted')"))
    hand_in(tmp_path / "in", "ben", "broken")
    arguments = ["grade", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "-j", "1"]

    assert main([*arguments, "--solutions", str(SHEETS)]) == 0

    told = capsys.readouterr().out.splitlines()
    assert "ben, ben/90_tiny.ipynb: ungradable: it isn't valid JSON, so no notebook" in told
    assert told[-1].startswith("1 scored, 1 wrong, 2 ungradable; wrote ")


def test_a_dry_run_runs_nothing_and_tells_everything(tmp_path, capsys):
    touch = f"open({str(tmp_path / 'ran')!r}, 'w')\n{RIGHT_DOUBLE}"
    hand_in(tmp_path / "in", "ada", answers(touch))
    hand_in(tmp_path / "in", "ben", "broken")
    arguments = ["grade", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--dry-run"]

    assert main([*arguments, "--solutions", str(SHEETS)]) == 0

    told = capsys.readouterr().out
    assert "ada/90_tiny.ipynb: 90_tiny" in told
    assert "ben/90_tiny.ipynb: ungradable: it isn't valid JSON" in told
    assert "Isolation of students' code on this machine" in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [["--dry-run"], ["-j", "1"]])
def test_what_was_handed_in_without_a_notebook_is_named(tmp_path, capsys, options):
    folder = tmp_path / "in"
    hand_in(folder, "ada", answers())
    hand_in(folder, "lea", b"PK", "s.zip")
    for number in range(5):
        hand_in(folder, "max", b"", f"{number}.py")
    (folder / "eli").mkdir()
    for name in ("all.zip", ".DS_Store", "names\n.csv"):
        (folder / name).write_bytes(b"PK")
    arguments = ["grade", str(folder), "--out", str(tmp_path / "out"), *options]

    assert main([*arguments, "--solutions", str(SHEETS)]) == 0

    told = capsys.readouterr().out.splitlines()
    assert "no notebook: eli, lea (s.zip), max (0.py, 1.py, 2.py)" in told
    assert "in no student's folder: all.zip, names\\n.csv" in told


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda folder: None, "is no folder"),
        (lambda folder: folder.mkdir(), "holds no notebooks"),
        (lambda folder: hand_in(folder, ".", answers()), "lies in no student's folder"),
    ],
)
def test_a_folder_that_is_none_of_submissions_is_one_line(tmp_path, capsys, prepare, said):
    prepare(tmp_path / "in")
    arguments = ["grade", str(tmp_path / "in"), "--out", str(tmp_path / "out")]

    assert main([*arguments, "--solutions", str(SHEETS)]) == 1
    assert said in capsys.readouterr().err


def test_out_may_not_lie_among_the_submissions(tmp_path, capsys):
    hand_in(tmp_path / "in", "ada", answers())

    assert main(["grade", str(tmp_path / "in"), "--out", str(tmp_path / "in" / "out")]) == 1
    assert "lies among the submissions" in capsys.readouterr().err


def test_a_secret_that_can_be_guessed_is_refused(tmp_path, capsys):
    hand_in(tmp_path / "in", "ada", answers())
    (tmp_path / "secret").write_text("1234\n")
    arguments = ["grade", str(tmp_path / "in"), "--out", str(tmp_path / "out")]
    arguments += ["--solutions", str(SHEETS), "--secret", str(tmp_path / "secret")]

    assert main(arguments) == 1
    assert "has 4 bytes" in capsys.readouterr().err


def test_students_own_cells_run_but_checks_do_not(tmp_path):
    later = cell("def h(x):\n    return 2.0")
    evil = cell("raise SystemExit", "double_check", grade=True, solution=False)
    hand_in(
        tmp_path / "in",
        "ada",
        answers("def double(x):\n    return h(x) * x", "x = 1\n" + RIGHT_DOUBLE, later, evil),
    )

    assert rows_of(tmp_path)["ada", "double"]["points"] == "2.00"


def rows_of(tmp_path: Path) -> dict:
    """Grade and read the rows again from the file."""
    grade(tmp_path / "in", tmp_path / "out")
    return rows(tmp_path / "out")
