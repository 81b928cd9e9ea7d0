"""What the grader's own side does with answers and questions that nobody vouches for."""

from __future__ import annotations

import ast
import contextlib
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest

from tests.grading.classroom import SHEETS, answers, grade, hand_in
from vhlib.course.bank import Case
from vhlib.course.comparison import Answer
from vhlib.course.grading import desks, scoring
from vhlib.course.grading.answer_key import read_answer_key, read_graded_sheet
from vhlib.course.grading.child.births import NUMBER
from vhlib.course.grading.child.framing import Channel, Garbled, packed, restored
from vhlib.course.grading.discretion import told
from vhlib.course.grading.sandbox import Sandbox
from vhlib.course.grading.student_process import SandboxError, StudentProcess
from vhlib.course.grading.submissions import Cell

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="vh grade needs fork")

PARSE = ast.parse
EXPECTED = Answer(np.zeros((5, 3)))
CASE = Case("points", (np.zeros((5, 3)), 2.0))


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("the shape is (3, 5), expected (5, 3)", "the shape is (3, 5), expected (5, 3)"),
        ("the shape is (0, 8675309), expected (5, 3)", "it has another shape, expected (5, 3)"),
        ("the shape is (1, 3, 5, 3, 5), expected (5, 3)", "it has another shape, expected (5, 3)"),
        ("the gradient by argument 1: the shape is (77,), expected (5, 3)",
         "the gradient by argument 1: it has another shape, expected (5, 3)"),
        ("it returns a tuple of 4711, expected a tuple of 2 arrays",
         "it returns a tuple of many, expected a tuple of 2 arrays"),
        ("the largest error is 3, 1.25 instead of 4.25", "its numbers are wrong"),
    ],
)  # fmt: skip
def test_what_is_told_has_few_values(message, words):
    assert told(message, CASE, EXPECTED) == words


def test_an_answer_carries_no_hidden_number_to_the_page(tmp_path):
    spy = "import numpy as np\ndef double(x):\n    return np.empty((0, 8675309, 24601))"
    hand_in(tmp_path / "in", "spy", answers(spy))

    grade(tmp_path / "in", tmp_path / "out")

    page = (tmp_path / "out" / "feedback" / "spy.html").read_text()
    assert "it has another shape" in page
    assert not any(number in page for number in ("8675309", "24601"))


@pytest.fixture(scope="module")
def key():
    return read_answer_key(read_graded_sheet(SHEETS / "90_tiny.py"), b"hidden" * 4)


def test_wrong_answers_do_not_fill_the_graders_memory(key, monkeypatch):
    monkeypatch.setattr(scoring, "MAX_KEPT", 20 << 20)
    source = "import numpy as np\ndef double(x):\n    return np.ones(1 << 20)"
    own = [Cell(1, "code", source, "double")]
    with Sandbox() as sandbox:
        trial = scoring.Trial(key, key.parts[0], sandbox, own, own)
        result = trial.result()

    assert result.status == "wrong"
    assert sum(answer.value.nbytes for answer in trial.answers.values()) == 16 << 20


def test_code_too_deep_to_be_parsed_costs_only_its_own_function(tmp_path):
    hand_in(tmp_path / "in", "eve", answers("def double(x):\n    return " + "-" * 20000 + "x"))

    found = grade(tmp_path / "in", tmp_path / "out")

    assert found["eve", "double"]["status"] == "wrong"
    assert found["eve", "quadruple"]["points"] == "4.00"


def test_a_desk_that_fails_over_a_notebook_keeps_no_worker(key, monkeypatch):
    def fail(*_):
        raise SandboxError("planted")

    monkeypatch.setattr(desks, "score_notebook", fail)
    graded = read_graded_sheet(SHEETS / "90_tiny.py")
    sandboxes: dict[str, Sandbox] = {"numpy": (sandbox := Sandbox())}
    with contextlib.ExitStack() as stack:
        stack.enter_context(sandbox)
        outcome = desks.grade(desks.Job(0, graded, ()), b"", {graded.source: key}, sandboxes, stack)

        assert "planted" in outcome.problem
        assert not sandboxes
        assert sandbox._worker.returncode is not None


def test_values_in_many_layers_are_refused():
    value: dict = {"value": 1}
    for _ in range(5000):
        value = {"items": [value]}

    with pytest.raises(Garbled):
        restored([value], [])


@pytest.fixture
def process_and_far_ends():
    """A student's process whose far ends the test holds."""
    talk, their_talk = socket.socketpair()
    leash, their_leash = socket.socketpair()
    with their_talk, their_leash, talk, leash:
        answer = np.broadcast_to(0.0, (1 << 24,))
        yield StudentProcess(talk, leash, lambda question: (answer, False)), their_talk, their_leash


def test_an_answer_too_large_to_be_sent_is_an_error_of_the_question(process_and_far_ends):
    process, far, _ = process_and_far_ends
    channel = Channel(far)
    inputs, arrays = packed(((1.0,), ()))
    channel.send({"kind": "ask", "name": "double", "names": [], "inputs": inputs}, arrays)
    channel.send({"kind": "answer"})

    process.call((1.0,), "numpy", (), 5.0)

    assert channel.receive()[0]["kind"] == "call"
    assert "too large" in channel.receive()[0]["error"]


@pytest.mark.parametrize(
    ("status", "words"),
    [(40, "was ended by signal 40"), (signal.SIGKILL, "was ended by SIGKILL")],
)
def test_a_signal_without_a_name_is_told_by_its_number(process_and_far_ends, status, words):
    process, _, far = process_and_far_ends
    far.sendall(NUMBER.pack(status))

    assert process.end() == words


ONE_LONG_LINE = """
import numpy as np
from vhlib.course.grading import answer_key
answer_key.ORACLE_END_S = 0.5
a = np.ones((2000, 2000))
with answer_key.time_limit(0.1):
    np.einsum("ij,jk,kl->il", a, a, a)
"""


def test_a_question_that_hangs_in_one_long_line_ends_its_desk():
    ended = subprocess.run([sys.executable, "-c", ONE_LONG_LINE], capture_output=True, check=False)

    assert ended.returncode == -signal.SIGPROF, ended.stderr


def test_code_that_is_slow_to_parse_is_parsed_once(monkeypatch):
    parsed = []
    monkeypatch.setattr(ast, "parse", lambda source: parsed.append(source) or PARSE(source))
    cells = [Cell(1, "code", "def slow_to_parse(x):\n    return x", "slow_to_parse")]

    for name in ("slow_to_parse", "another", "a_third"):
        scoring.answer_cells(cells, name)

    assert len(parsed) <= 2  # once for its names, once for whether it is a stub
