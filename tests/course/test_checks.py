"""What a student sees: passed, wrong and why, not attempted, out of time."""

from __future__ import annotations

import subprocess
import sys
import time
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vhlib import files
from vhlib.course.answers import answer_of
from vhlib.course.bank import Case
from vhlib.course.check_files import (
    PublicCase,
    PublicExercise,
    from_arrays,
    read_check_file,
    same_content,
    to_arrays,
    write_check_file,
)
from vhlib.course.checks import OpenSheet, open_sheet
from vhlib.course.time_limits import TimeIsUp, call_within


def right(x):
    return x + 1.0


def one_exercise(**changes) -> PublicExercise:
    """``add_one`` with two cases and one known mistake."""
    cases = []
    for case in (Case("a number", (np.array(2.0),)), Case("three", (np.arange(3.0),))):
        mistaken = {0: answer_of(lambda x: x - 1.0, case, "numpy")}
        cases.append(PublicCase(case, answer_of(right, case, "numpy"), mistaken))
    exercise = PublicExercise(
        name="add_one",
        points=2,
        cases=tuple(cases),
        messages=("you took one away",),
        hints=("Think.", "Add.", "Add 1."),
        builds_on=(),
        framework="numpy",
        seconds=0.3,
        drawing=None,
    )
    return replace(exercise, **changes)


@pytest.fixture
def sheet() -> OpenSheet:
    return OpenSheet("00_test", (one_exercise(),))


def printed(capsys, call, *arguments) -> str:
    capsys.readouterr()
    call(*arguments)
    out, err = capsys.readouterr()
    assert err == ""
    return out


def answer(body: str, **names):
    """A function ``add_one(x)`` with this body."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    namespace = {"np": np, **names}
    exec(compile(f"def add_one(x):\n{lines}\n", "<cell>", "exec"), namespace)
    return namespace["add_one"]


def test_a_right_answer_passes_and_hidden_checks_remain(sheet, capsys):
    text = printed(capsys, sheet.check, answer("return x + 1.0"))

    assert text == "✔ add_one: public checks passed (2 of 2); hidden ones remain\n"


@pytest.mark.parametrize(
    "body",
    [
        'raise NotImplementedError("add_one is still to be written")',
        "raise NotImplementedError",
        "pass",
        "...",
        "return",
        "return None",
        '"""Say what."""',
        '"""Say what."""\nreturn None',
        '"""Say what."""\nraise NotImplementedError("later")',
    ],
)
def test_a_stub_is_not_attempted(sheet, capsys, body):
    assert printed(capsys, sheet.check, answer(body)) == "○ add_one: not attempted\n"


def test_a_stub_with_something_above_it_says_what_is_left(sheet, capsys):
    text = printed(capsys, sheet.check, answer("y = x + 1\nraise NotImplementedError('later')"))

    assert "not attempted (its line raise NotImplementedError is still there)" in text


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("return x + 2.0", "a number: the largest error is 1, 4 instead of 3"),
        ("return x - 1.0", "This looks familiar: you took one away."),
        ("x + 1", "it returns None (is there a return?)"),
        ("return 0", "the largest error is 3, 0 instead of 3"),
        ("return 0.0", "the largest error is 3, 0 instead of 3"),
        ("return 1, 2, 3", "it returns a tuple of 3, expected an array"),
        ('"""Say what."""\nreturn 0', "0 instead of 3"),
        ("return []", "it returns list"),
        ("return np.array([x, x])", "the shape is (2,), expected ()"),
        ("return np.full(np.shape(x), 3)", "the type is int64"),
        ("return x * np.nan", "nan instead of 3"),
        ("x += 1.0\nreturn x", "it writes into its argument 1: change a copy instead"),
        ("return y", "it raises NameError: name 'y' is not defined"),
        ("raise SystemExit", "it raises SystemExit"),
        ("class Odd(BaseException): pass\nraise Odd('so')", "it raises Odd: so"),
        ("return (a for a in [1])", "it returns generator"),
        ("return np.float64(1) / np.zeros(()) + x", "inf instead of 3"),
        ("return 10**400", "it raises"),
    ],
)
def test_a_wrong_answer_is_told_in_words(sheet, capsys, body, line):
    text = printed(capsys, sheet.check, answer(body))

    assert text.startswith(("✘ add_one: 1 of 2 public cases fail", "✘ add_one: 2 of 2"))
    assert line in text
    assert "Traceback" not in text
    assert text.endswith("hint(add_one) helps on.\n")


def test_noise_on_stderr_goes_where_prints_go(sheet, capsys):
    noisy = answer("import sys; sys.stderr.write('noise')\nreturn x + 1.0")

    assert printed(capsys, sheet.check, noisy).startswith("noisenoise✔")


def test_an_answer_that_differs_from_the_known_mistake_isn_t_named_so(sheet, capsys):
    assert "familiar" not in printed(capsys, sheet.check, answer("return x + 2.0"))


@pytest.mark.parametrize(
    "body",
    [
        "while True: pass",
        "while True:\n    try:\n        while True: pass\n    except Exception: pass",
        "import time\nwhile True: time.sleep(0.01)",
    ],
)
def test_an_endless_loop_is_stopped(sheet, capsys, body):
    start = time.monotonic()
    text = printed(capsys, sheet.check, answer(body))

    assert "still running after 0.3 s, so it was stopped: does its loop end?" in text
    assert "no answer in time to public case 1 of 2" in text
    assert time.monotonic() - start < 20


def test_what_can_t_be_stopped_is_said(monkeypatch):
    monkeypatch.setattr("vhlib.course.time_limits.ATTEMPTS", 1)

    with pytest.raises(TimeIsUp) as error:
        call_within(0.05, lambda: time.sleep(1.0))

    assert not error.value.stopped


def test_a_limit_leaves_results_and_errors_as_they_are():
    assert call_within(5, lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        call_within(5, lambda: 1 / 0)


def test_only_what_the_sheet_asks_for_is_checked(sheet, capsys):
    for thing in (np.sum, 3, None, lambda x: x):
        assert "isn't asked for here: there are add_one." in printed(capsys, sheet.check, thing)


def test_hints_come_one_after_the_other(sheet, capsys):
    stub = answer("pass")

    given = [printed(capsys, sheet.hint, stub) for _ in range(4)]

    assert [text.split(": ")[1] for text in given] == ["Think.\n", "Add.\n", "Add 1.\n", "Add 1.\n"]
    assert printed(capsys, sheet.hint, stub, 1) == "Hint 1 of 3 for add_one: Think.\n"
    assert printed(capsys, sheet.hint, stub, 4) == "There are hints 1 to 3 for add_one.\n"


def test_a_name_in_quotes_means_its_function(sheet, capsys, monkeypatch):
    assert printed(capsys, sheet.hint, "add_one") == "Hint 1 of 3 for add_one: Think.\n"
    line = "add_one isn't there yet: run its cell first.\n"
    assert printed(capsys, sheet.check, "add_one") == line
    assert printed(capsys, sheet.ready, "add_one") == line
    assert printed(capsys, sheet.check, "sum").startswith("sum isn't asked for here")

    right = answer("return x + 1.0")
    monkeypatch.setattr(sys.modules["__main__"], "add_one", right, raising=False)
    assert printed(capsys, sheet.check, "add_one") == printed(capsys, sheet.check, right)
    assert sheet.ready("add_one")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return x + 1.0", ""),
        ("return np.add(x, 1.0)", ""),
        ("files.__name__\nreturn x + 1.0", "it fails: it uses vhlib"),
        ("str(read_npz)\nreturn x + 1.0", "it fails: it uses vhlib"),
        ("import vhlib.files\nreturn x + 1.0", "it fails: it uses vhlib"),
        ("if x is None:\n    from roma import nothing\nreturn x + 1.0", "it fails: it uses roma"),
        ("return x + 1.0 + 0 * len(figure)", "it finds figure only if a cell of your own"),
        ("return [x + one for one in figure][0]", "it finds figure only if a cell of your own"),
        ("return (lambda: x + figure[0])()", "it finds figure only if a cell of your own"),
        ("return helper(x)", "it finds figure only if a cell of your own"),
        ("return below(x)", ""),
    ],
)
def test_what_is_not_there_when_graded_is_told(capsys, body, told):
    """``helper`` and ``below`` use what a picture made; graders replace ``below``."""
    names = {"files": files, "read_npz": files.read_npz, "figure": [1.0]}
    function = answer(body, **names)
    for name in ("helper", "below"):
        exec(f"def {name}(x):\n    return x + figure[0]\n", function.__globals__)
    sheet = OpenSheet("00_test", (one_exercise(pictured=("figure",), builds_on=("below",)),))

    lines = printed(capsys, sheet.check, function).splitlines()

    assert "passed" in lines[0]
    assert len(lines) == (2 if told else 1)
    assert lines[-1].startswith(f"  When graded {told}" if told else "✔")


def test_a_stub_is_not_told_what_it_lacks(capsys):
    sheet = OpenSheet("00_test", (one_exercise(pictured=("figure",)),))
    stub = answer("figure\nraise NotImplementedError", figure=0)

    assert "graded" not in printed(capsys, sheet.check, stub)


def test_what_the_own_cell_imports_is_there_when_graded(capsys, tmp_path):
    cell = tmp_path / "cell.py"
    cell.write_text("import math\ndef add_one(x):\n    return x + math.exp(0)\n")
    exec(compile(cell.read_text(), str(cell), "exec"), names := {})
    sheet = OpenSheet("00_test", (one_exercise(pictured=("math",)),))

    assert "graded" not in printed(capsys, sheet.check, names["add_one"])


def test_what_a_function_builds_on_is_named(capsys):
    second = one_exercise(name="add_two", builds_on=("add_one",))
    sheet = OpenSheet("00_test", (one_exercise(), second))
    stub = answer('raise NotImplementedError("later")')
    wrong = answer("return x + 5.0")

    def add_two(x):
        return add_one(x)

    add_one = stub
    text = printed(capsys, sheet.check, add_two)
    assert text == "○ add_two: it calls add_one, which is still to be written\n"

    add_one = wrong
    sheet.check(wrong)
    text = printed(capsys, sheet.check, add_two)
    assert "It builds on add_one, which is wrong: begin there." in text


def test_a_cell_waits_for_what_it_needs(sheet, capsys):
    assert not sheet.ready(answer("pass"))
    assert not sheet.ready(answer("return x + 2.0"))
    assert sheet.ready(answer("return x + 1.0"))

    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[1].split(".")[0] for line in lines] == [" not attempted", " wrong"]


def test_what_was_checked_is_not_run_again_for_a_picture(sheet, capsys):
    calls = []
    counted = answer("calls.append(x)\nreturn x + 1.0", calls=calls)

    sheet.check(counted)
    sheet.draw(counted)
    assert sheet.ready(counted)
    assert len(calls) == 2

    sheet.check(counted)
    assert sheet.ready(answer("return x + 1.0"))
    assert len(calls) == 4


def test_the_summary_counts(sheet, capsys):
    assert "add_one   2 points  not checked" in printed(capsys, sheet.summary)
    sheet.check(answer("return x + 1.0"))
    text = printed(capsys, sheet.summary)
    assert "add_one   2 points  passed" in text
    assert "1 of 1 pass their public checks; hidden ones remain." in text


def test_in_colab_the_summary_downloads_the_notebook(sheet, capsys, monkeypatch, tmp_path):
    downloaded = []
    google, colab = types.ModuleType("google"), types.ModuleType("google.colab")
    message, files = types.ModuleType("google.colab._message"), types.ModuleType("files")
    message.blocking_request = lambda *_, **__: {"ipynb": {"cells": []}}
    files.download = downloaded.append
    for name, module in (
        ("google", google),
        ("google.colab", colab),
        ("google.colab._message", message),
        ("google.colab.files", files),
    ):
        module.__spec__, module.__path__ = types.SimpleNamespace(name=name), []
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.chdir(tmp_path)

    sheet.summary()

    assert downloaded == ["00_test.ipynb"]
    assert (tmp_path / "00_test.ipynb").read_text() == '{"cells": []}'


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("points", np.arange(8.0).reshape(4, 2)),
        ("points", np.arange(24.0).reshape(2, 4, 3)),
        ("body", np.arange(24.0).reshape(8, 3)),
        ("curve", np.arange(5.0)),
        ("image", np.arange(12.0).reshape(3, 4)),
        ("frames", np.eye(3)),
    ],
)
def test_a_wrong_answer_is_drawn_beside_the_expected_one(kind, expected, monkeypatch, capsys):
    shown = []
    monkeypatch.setattr("vhlib.course.drawings.show", lambda figure, alt: shown.append(alt))
    case = PublicCase(
        Case("any", (np.zeros(()),)), answer_of(lambda _: expected, Case("", (0,)), "numpy"), {}
    )
    sheet = OpenSheet("00_test", (one_exercise(cases=(case,), drawing=kind),))

    sheet.check(answer("return expected + 0.5", expected=expected))
    sheet.draw(answer("return expected", expected=expected))
    sheet.check(answer("return expected[0]", expected=expected))
    sheet.check(answer("return expected * np.nan", expected=expected))
    sheet.draw(answer("pass"))

    assert len(shown) == 2
    assert all(alt.startswith("any: ") for alt in shown)


def test_what_a_check_has_drawn_is_not_drawn_again(monkeypatch, capsys):
    shown = []
    monkeypatch.setattr("vhlib.course.drawings.show", lambda figure, alt: shown.append(alt))
    sheet = OpenSheet("00_test", (one_exercise(drawing="curve"),))
    wrong, other, right = (answer(f"return x + {n}") for n in (2.0, 3.0, 1.0))

    sheet.check(wrong)
    assert printed(capsys, sheet.draw, wrong) == "add_one: its check has drawn this.\n"
    assert len(shown) == 1

    sheet.draw(other)
    sheet.draw(other)
    assert len(shown) == 3

    sheet.check(right)
    sheet.draw(right)
    sheet.draw(right)
    assert len(shown) == 5


def test_a_check_file_gives_back_what_was_put_in(tmp_path):
    case = Case(
        "all", (np.float32([1]), np.int64([[2]]), np.zeros((0, 2)), 3, 0.5, "s", None, True)
    )
    public = PublicCase(
        case,
        answer_of(lambda *_: (np.ones(2), 1.5), case, "numpy"),
        {1: answer_of(right, Case("", (np.nan * np.ones(2),)), "numpy")},
    )
    exercise = one_exercise(cases=(public,))

    write_check_file(tmp_path / "a.npz", (exercise, one_exercise()))
    first, second = read_check_file(tmp_path / "a.npz")

    for given, back in zip(case.inputs, first.cases[0].case.inputs, strict=True):
        np.testing.assert_equal(back, given)
        assert type(back) is type(given)
        assert getattr(back, "dtype", None) == getattr(given, "dtype", None)
    assert first.cases[0].expected.value[1] == 1.5
    assert np.isnan(first.cases[0].mistaken[1].value).all()
    assert second.hints == ("Think.", "Add.", "Add 1.")
    before = (tmp_path / "a.npz").read_bytes()
    write_check_file(tmp_path / "a.npz", (exercise, one_exercise()))
    assert (tmp_path / "a.npz").read_bytes() == before


def test_files_differ_by_words_and_by_more_than_rounding():
    arrays = to_arrays((one_exercise(),))
    rounded = arrays | {"float64": arrays["float64"] * (1 + 1e-12)}
    other = arrays | {"float64": arrays["float64"] + 0.1}

    assert same_content(arrays, rounded)
    assert not same_content(arrays, other)
    assert not same_content(arrays, to_arrays((one_exercise(points=3),)))
    assert not same_content(arrays, {"index": arrays["index"]})


def test_a_damaged_file_is_one_line():
    with pytest.raises(ValueError, match="not a file of public cases"):
        from_arrays({})


def test_an_unknown_sheet_names_those_that_are():
    with pytest.raises(FileNotFoundError, match=r"no sheet 'x': there are .*02_rotations"):
        open_sheet("x")


def test_checks_need_numpy_alone():
    code = (
        "import sys; from vhlib.course.checks import open_sheet; "
        "open_sheet('02_rotations').check(print); "
        "print(sorted({'torch', 'matplotlib', 'scipy', 'nbformat', 'IPython'} & set(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[-1] == "[]"
