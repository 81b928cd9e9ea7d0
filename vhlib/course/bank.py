"""What stands behind a sheet: the cases that try an answer, and the answers that people give.

A bank ``solutions/bank/NN_name.py`` holds one ``EXERCISES: tuple[Exercise, ...]``, a function of
the sheet ``solutions/NN_name.py`` each. It is never released: students get what the public cases
of it print (:mod:`vhlib.course.checks`), graders draw hidden ones from a secret seed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

DEFAULT_TOLERANCE = 1e-4
"""Of the largest expected number: float32 answers pass, a wrong formula doesn't."""

PUBLIC_SECRET = b"public"
"""Draws the cases that students see, and those of a practice run of the grader."""

PUBLIC_ROUNDS, HIDDEN_ROUNDS = 1, 3
"""How many times an exercise's cases are drawn for the check, and for the grade."""


@dataclass(frozen=True)
class Case:
    """One call of the student's function.

    Attributes:
        name: what it tries, in words that a student reads ("a point on the optical axis").
        inputs: the arguments in order: arrays, numbers, strings, or None. A torch exercise gets its
            arrays as tensors of the same type.
        tolerance: the largest error that passes, as a share of ``scale``.
        scale: what an error is measured against, in the answer's unit; None for the largest
            magnitude in the expected answer (one, if all of it is zero).
        gradients: for torch, the positions of inputs by which the answer is differentiated; the
            gradients of a fixed weighted sum of the answer are compared like an answer.

    Raises:
        ValueError: one of ``gradients`` isn't the position of an array of floating-point numbers.
    """

    name: str
    inputs: tuple
    tolerance: float | int = DEFAULT_TOLERANCE
    scale: float | int | None = None
    gradients: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for position in self.gradients:
            found = _kind(self.inputs[position]) if position < len(self.inputs) else "missing"
            if not found.startswith("an array of float"):
                raise ValueError(
                    f"case {self.name!r} asks for the gradient by argument {position + 1}, which "
                    f"is {found}, expected an array of floats (np.array(0.5) for a number)"
                )


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that people give, and the line that helps them.

    Attributes:
        message: what was done, addressed to the student: "you rotated about the origin, not about
            the joint". It never says the right formula.
        function: the wrong answer, with the exercise's signature.
    """

    message: str
    function: Callable


@dataclass(frozen=True)
class Exercise:
    """A function to write.

    Attributes:
        name: the function's name, which is also its nbgrader ``grade_id``.
        cases: draws the cases from a generator; the same generator, the same cases. Edge values
            (zero angle, empty batch, no confidence) and batch shapes come among them.
        alternatives: at least two right answers written differently from the sheet's.
        mistakes: at least five typical wrong ones.
        hints: three, from a nudge to nearly the answer.
        builds_on: functions of the same sheet that this one may call; a grader supplies right
            ones, so that one mistake costs points once.
        framework: "numpy" or "torch": what the arrays are.
        seconds: how long one case may take.
        drawing: how an answer is drawn beside the expected one: "points" ``(..., N, 2 | 3)``,
            "pixels" (points ``(..., N, 2)`` whose y points down), "body" (vertices
            ``(..., V, 3)``), "curve" ``(..., N)``, "image" ``(..., H, W)``, "frames" (rotations
            ``(..., 3, 3)``), or None for numbers only. Of a tuple it is for the first part.
    """

    name: str
    cases: Callable[[np.random.Generator], list[Case]]
    alternatives: tuple[Callable, ...]
    mistakes: tuple[Mistake, ...]
    hints: tuple[str, str, str]
    builds_on: tuple[str, ...] = ()
    framework: str = "numpy"
    seconds: float | int = 2.0
    drawing: str | None = None


def drawn_cases(exercise: Exercise, sheet: str, secret: bytes, rounds: int) -> list[Case]:
    """The cases of ``exercise`` in the sheet named ``sheet`` that ``secret`` draws.

    Every round has a generator of its own, so the same secret gives the same cases whatever else
    is drawn.

    Raises:
        ValueError: a case breaks a rule.
    """
    try:
        return [
            case
            for turn in range(rounds)
            for case in exercise.cases(case_generator(secret, sheet, exercise.name, turn))
        ]
    except ValueError as error:
        raise ValueError(f"{sheet}, cases of {exercise.name}: {error}") from error


def case_generator(secret: bytes, sheet: str, exercise: str, turn: int) -> np.random.Generator:
    """The generator of one round; who doesn't hold ``secret`` can't foretell its numbers."""
    seed = hashlib.sha256(secret)
    for part in (sheet, exercise, str(turn)):
        seed.update(hashlib.sha256(part.encode()).digest())
    return np.random.default_rng(int.from_bytes(seed.digest(), "little"))


def _kind(value: object) -> str:
    """What an input is, in words."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}"
    return f"a {type(value).__name__}"
