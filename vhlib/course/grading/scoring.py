"""From a notebook to points: each function in a process of its own, on the hidden cases."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from vhlib.course.bank import Case
from vhlib.course.comparison import Answer, Verdict, compare_answers
from vhlib.course.grading.answer_key import AnswerKey, Part
from vhlib.course.grading.child.calls import BUILTIN_FORMS
from vhlib.course.grading.child.cells import NOT_THERE
from vhlib.course.grading.child.framing import Garbled, restored
from vhlib.course.grading.discretion import told
from vhlib.course.grading.sandbox import Sandbox
from vhlib.course.grading.student_process import Stopped, StudentProcess
from vhlib.course.grading.submissions import Cell
from vhlib.course.sheets import is_unwritten

NOT_CALLED = "it wasn't called"
"""Of a case, where the remarks say why."""

SCORED, WRONG, NOT_ATTEMPTED, UNGRADABLE = "scored", "wrong", "not attempted", "ungradable"
CELLS_S = 5.0
MAX_STOPS = 2
unwritten = lru_cache(maxsize=64)(is_unwritten)  # some code takes seconds to be parsed
MAX_KEPT = 1 << 27
"""Bytes of a function's wrong answers that are remembered."""

BUDGET = 20
"""Processor time for all cases of a function, in times of what one may take."""

EXCEPTIONS = {
    name
    for name, kind in vars(builtins).items()
    if isinstance(kind, type) and issubclass(kind, BaseException)
}
LACKS = dict.fromkeys(
    ("ImportError", "ModuleNotFoundError"),
    f": {', '.join(NOT_THERE[:-1])} and {NOT_THERE[-1]} aren't there when graded",
) | {"NameError": ": names of the sheet's pictures aren't there when graded"}
"""What most often lies behind an exception that the notebook didn't raise."""

FORMS = {
    "huge": "it returns a whole number beyond 64 bits",
    "objects": "it returns an array of objects, expected numbers",
    "too large": "it returns more than 64 MB",
    "object": "it returns an object, expected an array",
} | {
    form: f"it returns a {form}, expected an array"
    for form in ("generator", "function", *(kind.__name__ for kind in BUILTIN_FORMS))
}


@dataclass(frozen=True)
class PartResult:
    """What came of one function.

    Attributes:
        part: its name.
        points: what it earned; None where it can't be graded, which isn't a zero.
        max_points: what it is worth.
        status: scored, wrong, not attempted, or "ungradable: why".
        cases: for each hidden case its name and what was wrong, empty where it passed; None where
            none was tried.
        remarks: lines for the student.
    """

    part: str
    points: float | None
    max_points: int
    status: str
    cases: tuple[tuple[str, str], ...] | None = None
    remarks: tuple[str, ...] = ()


def ungradable(part: Part, why: str) -> PartResult:
    """The result where nothing can be said of a function."""
    return PartResult(part.name, None, part.function.points, f"{UNGRADABLE}: {why}")


def score_notebook(cells: Sequence[Cell], key: AnswerKey, sandbox: Sandbox) -> list[PartResult]:
    """Every function of a sheet."""
    return [score_part(cells, key, part, sandbox) for part in key.parts]


def score_part(cells: Sequence[Cell], key: AnswerKey, part: Part, sandbox: Sandbox) -> PartResult:
    """One function: points times the share of hidden cases that pass."""
    own = answer_cells(cells, part.name)
    if not own:
        marked = [cell for cell in cells if cell.grade_id == part.name]
        if not marked:
            why = f"no cell has the id {part.name}, and none defines it"
            return ungradable(part, why)
        if marked[0].kind != "code":
            return ungradable(part, f"the cell of {part.name} isn't a code cell")
        return wrong(part, [f"The cell of {part.name} defines no function {part.name}."])
    if all(unwritten(cell.source, part.name) for cell in own):
        return PartResult(part.name, 0.0, part.function.points, NOT_ATTEMPTED)
    return Trial(key, part, sandbox, own, cells).result()


def answer_cells(cells: Sequence[Cell], name: str) -> list[Cell]:
    """The cells that define ``name``: those with its id, else any; without stubs beside answers."""
    defining = [cell for cell in cells if not cell.is_check and cell.defines(name)]
    found = [cell for cell in defining if cell.grade_id == name] or defining
    written = [cell for cell in found if not unwritten(cell.source, name)]
    return written or found


def wrong(part: Part, remarks: Sequence[str]) -> PartResult:
    """The result of an answer that never came to be called."""
    cases = tuple((case.name, NOT_CALLED) for case in part.cases)
    told = tuple(dict.fromkeys(remarks))
    return PartResult(part.name, 0.0, part.function.points, WRONG, cases, told)


class Trial:
    """A function's way through its cases; a process that is stopped is followed by another."""

    def __init__(self, key: AnswerKey, part: Part, sandbox: Sandbox, own: list[Cell], cells):
        self.key, self.part, self.sandbox, self.own = key, part, sandbox, own
        stubs = {
            cell.number
            for cell in cells
            if cell.defines(part.name) and unwritten(cell.source, part.name)
        }
        everything = [
            cell
            for cell in cells
            if cell.kind == "code"
            and not cell.is_check
            and cell.number not in stubs
            and cell.source.strip() not in key.own_cells
        ]
        # Another cell of theirs may never end: then this function's cells have to do.
        self.ways = [everything, own]
        self.process: StudentProcess | None = None
        self.remarks: list[str] = []
        self.answers: dict[int, Answer] = {}
        self.stops, self.used, self.unwritten, self.kept = 0, 0.0, 0, 0

    def result(self) -> PartResult:
        """Try every case."""
        part = self.part
        try:
            if not self.start():
                return wrong(part, self.remarks)
            cases = tuple(
                (case.name, self.outcome(number)) for number, case in enumerate(part.cases)
            )
        finally:
            self.end()
        passed = sum(not why for _, why in cases)
        if not passed and self.unwritten == len(cases):
            return PartResult(part.name, 0.0, part.function.points, NOT_ATTEMPTED)
        points = round(part.function.points * passed / len(cases), 2)
        if familiar := part.familiar(self.answers):
            self.remarks.append(f"This looks familiar: {familiar}.")
        status = SCORED if passed else WRONG
        remarks = tuple(dict.fromkeys(self.remarks))
        return PartResult(part.name, points, part.function.points, status, cases, remarks)

    def start(self) -> bool:
        """Have the function ready in a process; False, with remarks, if that can't be done."""
        problem = "Your cells didn't run again."
        while self.ways:
            cells = self.ways[0]
            self.end()
            self.process = self.sandbox.student_process(self.key.oracle(self.part))
            try:
                found, notes = self.process.run_cells(
                    self.numbered(cells), self.part.name, self.part.exercise.builds_on, CELLS_S
                )
            except Stopped as error:
                problem = f"While your cells ran, Python {error}."
                self.ways.pop(0)
                continue
            self.remarks += self.noted(notes)
            if found:
                return True
            self.ways.pop(0)
            problem = f"After your cells ran there was no function {self.part.name}."
        self.end()
        self.remarks.append(problem)
        return False

    def numbered(self, cells: Sequence[Cell]) -> list[dict]:
        """Cells as the worker takes them, the sheet's own given ones first."""
        given = [{"number": 0, "source": source} for source in self.key.sheet.given]
        return given + [{"number": cell.number, "source": cell.source} for cell in cells]

    def noted(self, notes: list) -> list[str]:
        """What failed in the answer's own cells. Hidden cases had not been sent by then."""
        numbers = {cell.number for cell in self.own}
        lines = []
        for note in notes:
            match note:
                case {"cell": int() as number, "error": str() as error} if number in numbers:
                    lines.append(f"The cell of {self.part.name} stopped with {error[:300]}.")
        return lines

    def outcome(self, number: int) -> str:
        """What is wrong with the answer to one case; empty if nothing."""
        case, seconds = self.part.cases[number], self.part.exercise.seconds
        if self.stops >= MAX_STOPS:
            return "it wasn't tried: the function had been stopped twice"
        if self.used + (self.process.spent if self.process else 0.0) > BUDGET * seconds:
            return f"it wasn't tried: all cases together took over {BUDGET * seconds:g} s"
        if self.process is None and not self.start():
            return "your cells didn't run again after the function was stopped"
        framework = self.part.exercise.framework
        try:
            reply, arrays = self.process.call(case.inputs, framework, case.gradients, seconds)
        except Stopped as error:
            self.stops += 1
            self.end()
            return f"Python {error}"
        return self.judged(number, reply, arrays)

    def judged(self, number: int, reply: dict, arrays: list[np.ndarray]) -> str:
        """What is wrong with a reply that nobody vouches for; hidden numbers aren't told."""
        kind, case = reply.get("kind"), self.part.cases[number]
        if kind == "raised":
            name = reply.get("error")
            self.unwritten += name == "NotImplementedError"
            known = isinstance(name, str) and name in EXCEPTIONS
            why = LACKS.get(name, "") if known else ""
            return f"it raises {name}{why}" if known else "it raises an exception of your own"
        if kind == "unusual":
            form = reply.get("form")
            return FORMS.get(form, FORMS["object"]) if isinstance(form, str) else FORMS["object"]
        try:
            answer = read_answer(reply, arrays, len(case.inputs))
            verdict = judged_answer(answer, self.part.expected[number], case)
        except (ValueError, TypeError, OverflowError, MemoryError, RecursionError):
            return "it sends what is no answer"
        if not verdict.passed:
            self.kept += sum(array.nbytes for array in arrays)
            if self.kept <= MAX_KEPT:
                self.answers[number] = answer
        return told(verdict.message, case, self.part.expected[number])

    def end(self) -> None:
        """End the process, if there is one."""
        if self.process is not None:
            self.used += max(self.process.spent, 0.0)
            self.process.end()
            self.process = None


def read_answer(reply: dict, arrays: list[np.ndarray], inputs: int) -> Answer:
    """The answer in a reply to a call of so many inputs; Garbled or ValueError if it is none."""
    (value,) = restored([reply.get("value")], arrays)
    gradients = restored(reply.get("gradients"), arrays)
    changed = reply.get("changed")
    if reply.get("kind") != "answer" or not isinstance(changed, list):
        raise Garbled("no answer of a worker")
    return Answer(value, gradients, tuple(place for place in range(inputs) if place in changed))


def judged_answer(answer: Answer, expected: Answer, case: Case) -> Verdict:
    """Whether an answer passes; one that writes into its inputs doesn't."""
    with np.errstate(all="ignore"):
        verdict = compare_answers(answer, expected, case)
    if verdict.passed and answer.changed:
        return Verdict(False, f"it writes into its argument {answer.changed[0] + 1}")
    return verdict
