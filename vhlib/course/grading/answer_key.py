"""What the grader holds of a sheet: its hidden cases, right answers, and typical wrong ones."""

from __future__ import annotations

import hashlib
import re
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vhlib.course.answers import answer_of, as_arrays
from vhlib.course.bank import HIDDEN_ROUNDS, Case, Exercise, drawn_cases
from vhlib.course.comparison import Answer, compare_answers
from vhlib.course.grading.student_process import Oracle, Question
from vhlib.course.sheets import (
    Sheet,
    SheetFunction,
    bank_path,
    is_answer,
    load_bank,
    paired,
    read_sheet,
    references,
)

ORACLE_S, ORACLE_END_S = 2.0, 6.0
"""Seconds for what a function builds on: to be interrupted between two lines, to be ended in one.
"""
FORMAT = b"2"
"""Goes into every fingerprint: raised when the meaning of a stored result changes."""


@dataclass(frozen=True)
class GradedSheet:
    """A sheet that has a bank.

    Attributes:
        sheet: what it asks.
        source: its file.
        own_cells: sources of its code cells that aren't answers; they say nothing of a student.
    """

    sheet: Sheet
    source: Path
    own_cells: frozenset[str]


@dataclass(frozen=True)
class Part:
    """A function to grade.

    Attributes:
        function, exercise: what the sheet and the bank say of it.
        cases: the hidden ones.
        expected: their right answers.
    """

    function: SheetFunction
    exercise: Exercise
    cases: tuple[Case, ...]
    expected: tuple[Answer, ...]

    @property
    def name(self) -> str:
        """The function's name."""
        return self.function.name

    def familiar(self, failed: dict[int, Answer]) -> str | None:
        """The message of the mistake that gives most of these wrong answers, by case; or None."""
        counts = [self._alike(mistake.function, failed) for mistake in self.exercise.mistakes]
        best = max(range(len(counts)), key=counts.__getitem__, default=None)
        return self.exercise.mistakes[best].message if best is not None and counts[best] else None

    def _alike(self, mistaken: Callable, failed: dict[int, Answer]) -> int:
        """How many of these answers ``mistaken`` gives too."""
        count = 0
        for number, answer in failed.items():
            case = self.cases[number]
            try:
                wrong = answer_of(mistaken, case, self.exercise.framework)
                # A known mistake can be right on an easy case: then it explains nothing.
                if not compare_answers(wrong, self.expected[number], case).passed:
                    count += compare_answers(answer, wrong, case).passed
            except Exception:
                continue
        return count


@dataclass(frozen=True)
class AnswerKey:
    """A sheet with everything that grades it.

    Attributes:
        sheet: what it asks.
        parts: its functions.
        solve: the sheet's own functions, by name.
        own_cells: sources of its code cells that aren't answers.
    """

    sheet: Sheet
    parts: tuple[Part, ...]
    solve: dict[str, Callable]
    own_cells: frozenset[str]

    @property
    def framework(self) -> str:
        """What its students' processes have loaded: a second of torch is not to pass in each."""
        asked = any(part.exercise.framework == "torch" for part in self.parts)
        named = re.search(r"^\s*(import|from) torch\b", "\n".join(self.sheet.given), re.MULTILINE)
        return "torch" if asked or named else "numpy"

    def oracle(self, part: Part) -> Oracle:
        """Answers for what ``part`` builds on, for arrays that nobody vouches for."""
        exercises = {part.name: part.exercise for part in self.parts}

        def answer(question: Question) -> tuple[object, bool]:
            if question.name not in part.exercise.builds_on:
                raise ValueError("it isn't among what this builds on")
            tensors = exercises[question.name].framework == "torch"
            with time_limit(ORACLE_S), np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                solve = self.solve[question.name]
                return (solved_tensors if tensors else solved)(solve, question), tensors

        return answer


def solved(solve: Callable, question: Question) -> object:
    """What a function of arrays answers."""
    return solve(*question.values, **question.keywords)


def solved_tensors(solve: Callable, question: Question) -> object:
    """What a function of tensors answers, as arrays; or its gradients, if they are asked for."""
    import torch

    inputs = [*question.values, *question.keywords.values()]
    inputs = [torch.from_numpy(x) if isinstance(x, np.ndarray) else x for x in inputs]
    wanted = [x for x in inputs if isinstance(x, torch.Tensor) and x.is_floating_point()]
    for tensor in wanted if question.weights else ():
        tensor.requires_grad_()
    plain = inputs[: len(question.values)]
    keywords = dict(zip(question.keywords, inputs[len(plain) :], strict=True))
    value = solve(*plain, **keywords)
    if not question.weights:
        return as_arrays(value)
    parts = value if isinstance(value, tuple) else (value,)
    weights = [torch.from_numpy(weight) for weight in question.weights]
    gradients = torch.autograd.grad(parts, wanted, weights, allow_unused=True)
    by_input = dict(zip(map(id, wanted), gradients, strict=True))
    found = (by_input.get(id(x)) for x in inputs)
    return tuple(None if gradient is None else gradient.numpy() for gradient in found)


def read_graded_sheet(source: Path) -> GradedSheet:
    """Read a sheet.

    Raises:
        ValueError: it is at fault.
        OSError: it can't be read.
    """
    import jupytext  # as slow to load as all else together, and desks don't need it

    cells = jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent").cells
    own = (cell for cell in cells if cell.cell_type == "code" and not is_answer(cell))
    return GradedSheet(read_sheet(source), source, frozenset(cell.source.strip() for cell in own))


def fingerprint(source: Path, secret: bytes) -> str:
    """Of a sheet, its bank and the secret, without telling any; the same gives the same results."""
    digest = hashlib.sha256(FORMAT)
    for content in (secret, source.read_bytes(), bank_path(source).read_bytes()):
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


def read_answer_key(graded: GradedSheet, secret: bytes) -> AnswerKey:
    """Everything that grades a sheet, its hidden cases drawn by ``secret``.

    Raises:
        ValueError: the bank is at fault, or an answer of the sheet's own fails.
        OSError: the bank can't be read.
    """
    sheet = graded.sheet
    solve = references(sheet)
    parts = []
    for function, exercise in paired(sheet, load_bank(bank_path(graded.source))):
        cases = tuple(drawn_cases(exercise, sheet.name, secret, HIDDEN_ROUNDS))
        solved = (answer_of(solve[function.name], case, exercise.framework) for case in cases)
        parts.append(Part(function, exercise, cases, tuple(solved)))
    return AnswerKey(sheet, tuple(parts), solve, graded.own_cells)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the block after ``seconds`` of processor time; in a main thread only.

    By the clock a busy machine would cost points, and an import cut short would cost all others.

    The process ends where that can't be done in :data:`ORACLE_END_S` of processor time.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise TimeoutError("that takes too long")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    # No handler runs within one long call of numpy's; nobody handles this signal, so it ends all.
    signal.setitimer(signal.ITIMER_PROF, ORACLE_END_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGVTALRM, before)
