"""One run of a student's function on the public cases, in words."""

from __future__ import annotations

import dis
import linecache
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vhlib.course.answers import answer_of
from vhlib.course.bank import Case
from vhlib.course.check_files import PublicCase, PublicExercise
from vhlib.course.comparison import Answer, Verdict, compare_answers
from vhlib.course.time_limits import TimeIsUp, call_within

PASSED, WRONG, NOT_ATTEMPTED = "passed", "wrong", "not attempted"
_MARKS = {PASSED: "✔", WRONG: "✘", NOT_ATTEMPTED: "○"}


@dataclass(frozen=True)
class Trial:
    """One public case with what came of it; ``answer`` is None where there is none to compare."""

    public: PublicCase
    verdict: Verdict
    answer: Answer | None = None


@dataclass(frozen=True)
class Report:
    """What a check found.

    Attributes:
        name: the function's.
        status: PASSED, WRONG or NOT_ATTEMPTED.
        lines: what to print, the first one complete in itself.
        failure: the first case that failed, if one did.
    """

    name: str
    status: str
    lines: tuple[str, ...]
    failure: Trial | None = None

    def __str__(self) -> str:
        first, *others = self.lines
        return "\n".join([f"{_MARKS[self.status]} {first}", *(f"  {line}" for line in others)])


def judge(
    exercise: PublicExercise, function: Callable, earlier: Mapping[str, Report] | None = None
) -> Report:
    """Try ``function`` on every public case; ``earlier`` holds reports on what it builds on."""
    trials = []
    for public in exercise.cases:
        try:
            trials.append(_trial(exercise, function, public))
        except NotImplementedError as error:
            return _unwritten(exercise, function, error)
        except TimeIsUp as error:
            trials.append(Trial(public, Verdict(False, _too_long(exercise.seconds, error.stopped))))
            break
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            trials.append(Trial(public, Verdict(False, _raised(error, function))))
    failed = [trial for trial in trials if not trial.verdict.passed]
    total = len(exercise.cases)
    if not failed:
        line = f"{exercise.name}: public checks passed ({total} of {total}); hidden ones remain"
        return Report(exercise.name, PASSED, (line,))
    if says_nothing(function):
        return Report(exercise.name, NOT_ATTEMPTED, (f"{exercise.name}: not attempted",))
    return Report(exercise.name, WRONG, _wrong_lines(exercise, trials, earlier or {}), failed[0])


def known_mistake(exercise: PublicExercise, trials: list[Trial]) -> str | None:
    """The message of the mistake that answers most failed cases alike; None if none does.

    One that contradicts more answers than it explains is no explanation. Of several, the one that
    contradicts fewest.
    """
    alike, unlike = [0] * len(exercise.messages), [0] * len(exercise.messages)
    for trial in trials:
        for position, mistaken in trial.public.mistaken.items():
            if trial.answer is not None and is_like(trial.answer, mistaken, trial.public.case):
                alike[position] += 1
            else:
                unlike[position] += 1
    known = [p for p, count in enumerate(alike) if count and count >= unlike[p]]
    if not known:
        return None
    return exercise.messages[min(known, key=lambda p: (-alike[p], unlike[p]))]


def is_like(answer: Answer, mistaken: Answer, case: Case) -> bool:
    """Whether ``answer`` is what a known mistake gives."""
    return compare_answers(answer, mistaken, case).passed


def says_nothing(function: Any) -> bool:
    """Whether all that a function does is return None: ``pass``, ``...``, a docstring."""
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    steps = [step for step in dis.get_instructions(code) if step.opname not in _NO_STEPS]
    names = [step.opname for step in steps]
    return names in _RETURNS and steps[0].argval is None


def _code(body: str) -> bytes:
    """What this Python makes of a function's body."""
    names: dict[str, Any] = {}
    exec(f"def function():\n    {body}", names)
    return names["function"].__code__.co_code


_NO_STEPS = {"RESUME", "NOP"}
_RETURNS = (["LOAD_CONST", "RETURN_VALUE"], ["RETURN_CONST"])  # the second since Python 3.12
_STUB = _code("raise NotImplementedError('this is still to be written')")


def _trial(exercise: PublicExercise, function: Callable, public: PublicCase) -> Trial:
    """Call ``function`` once, in time, and compare."""
    answer = call_within(
        exercise.seconds, lambda: answer_of(function, public.case, exercise.framework)
    )
    verdict = compare_answers(answer, public.expected, public.case)
    if verdict.passed and answer.changed:
        line = f"it writes into its argument {answer.changed[0] + 1}: change a copy instead"
        verdict = Verdict(False, line)
    return Trial(public, verdict, answer)


def _wrong_lines(
    exercise: PublicExercise, trials: list[Trial], earlier: Mapping[str, Report]
) -> tuple[str, ...]:
    """What to say of an answer that fails."""
    failed = [trial for trial in trials if not trial.verdict.passed]
    total, first = len(exercise.cases), failed[0]
    fail = f"{len(failed)} of {total} public cases fail"
    if len(trials) < total:
        fail = f"no answer in time to public case {len(trials)} of {total}"
    lines = [
        f"{exercise.name}: {fail}",
        f"{first.public.case.name}: {first.verdict.message}",
    ]
    if message := known_mistake(exercise, trials):
        lines.append(f"This looks familiar: {message}.")
    for name in exercise.builds_on:
        if name in earlier and earlier[name].status != PASSED:
            lines.append(f"It builds on {name}, which is {earlier[name].status}: begin there.")
    lines.append(f"hint({exercise.name}) helps on.")
    return tuple(lines)


def _unwritten(exercise: PublicExercise, function: Callable, error: BaseException) -> Report:
    """The report on a function that is still a stub, or calls one."""
    frames = traceback.extract_tb(error.__traceback__)
    called = frames[-1].name if frames else exercise.name
    line = f"{exercise.name}: not attempted"
    if called in exercise.builds_on:
        line = f"{exercise.name}: it calls {called}, which is still to be written"
    elif hasattr(function, "__code__") and len(function.__code__.co_code) > len(_STUB):
        line += " (its line raise NotImplementedError is still there)"
    return Report(exercise.name, NOT_ATTEMPTED, (line,))


def _too_long(seconds: float | int, stopped: bool) -> str:
    """What to say when the time is up."""
    if stopped:
        return f"still running after {seconds:g} s, so it was stopped: does its loop end?"
    return (
        f"still running after {seconds:g} s, and it can't be stopped from here: restart the kernel"
    )


def _raised(error: BaseException, function: Callable) -> str:
    """An exception as one line, with the student's own line that led to it."""
    message = " ".join(str(error).split())[:200]
    line = f"{type(error).__name__}: {message}" if message else type(error).__name__
    own = getattr(getattr(function, "__code__", None), "co_filename", None)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename == own:
            text = linecache.getline(frame.filename, frame.lineno).strip()
            return f"it raises {line}, at line {frame.lineno} of its cell: {text}".rstrip(": ")
    return f"it raises {line}"
