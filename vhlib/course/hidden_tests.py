"""Hidden tests as nbgrader runs them: in the student's own process, packed into the check cell.

``vh grade`` keeps cases and answers away from students' code; here, as always with nbgrader, both
share a process. Scores are the same on honest work.
"""

from __future__ import annotations

import io
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import numpy as np

from vhlib.course.answers import answer_of
from vhlib.course.check_files import PublicCase, PublicExercise, from_arrays, to_arrays
from vhlib.course.comparison import compare_answers
from vhlib.course.time_limits import TimeIsUp, call_within

BEFORE = "before"


def packed(exercise: PublicExercise, before: tuple[str, ...]) -> str:
    """Cases and right answers as text; ``before`` are sources that define what it builds on."""
    sources = np.frombuffer(json.dumps(before).encode(), np.uint8)
    file = io.BytesIO()
    np.savez_compressed(file, **to_arrays((exercise,)), **{BEFORE: sources})
    return b64encode(file.getvalue()).decode()


def hidden_points(function: Callable, text: str) -> float:
    """Points that ``function`` earns: those of the exercise times the share of cases that pass.

    What it prints is dropped: it could show hidden numbers.
    """
    with np.load(io.BytesIO(b64decode(text)), allow_pickle=False) as arrays:
        (exercise,) = from_arrays(arrays)
        before = json.loads(arrays[BEFORE].tobytes())
    silence = io.StringIO()
    with redirect_stdout(silence), redirect_stderr(silence), _right(function, exercise, before):
        passed = sum(_passes(function, exercise, case) for case in exercise.cases)
    return round(exercise.points * passed / len(exercise.cases), 2)


def _passes(function: Callable, exercise: PublicExercise, hidden: PublicCase) -> bool:
    """Whether one case passes, in time and without writing into its inputs."""
    try:
        answer = call_within(
            exercise.seconds, lambda: answer_of(function, hidden.case, exercise.framework)
        )
    except (Exception, SystemExit, TimeIsUp):
        return False
    return compare_answers(answer, hidden.expected, hidden.case).passed and not answer.changed


@contextmanager
def _right(function: Callable, exercise: PublicExercise, before: list[str]) -> Iterator[None]:
    """Within the block, what ``function`` builds on is right, so that a fault costs points once."""
    right: dict = {}
    for source in before:
        exec(source, right)
    names = getattr(function, "__globals__", {})
    own = {name: names[name] for name in exercise.builds_on if name in names}
    names.update({name: right[name] for name in exercise.builds_on})
    try:
        yield
    finally:
        for name in exercise.builds_on:
            del names[name]
        names.update(own)
