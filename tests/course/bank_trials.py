"""Every answer that a bank knows, right and wrong, tried as a student's would be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from vhlib.course.answers import answer_of
from vhlib.course.bank import HIDDEN_ROUNDS, Case, Exercise, drawn_cases
from vhlib.course.check_files import PublicExercise
from vhlib.course.comparison import Answer, compare_answers
from vhlib.course.exercise_editions import public_exercises
from vhlib.course.judging import NOT_ATTEMPTED, PASSED, WRONG, judge
from vhlib.course.sheets import Sheet, SheetFunction, is_unwritten, paired, references
from vhlib.course.time_limits import TimeIsUp, call_within

SECRETS = (b"first secret", b"second secret")
HEADER = f"{'function':28} {'public':>6} {'hidden':>6} {'right':>7} {'wrong':>7} {'named':>7}  stub"


@dataclass
class Row:
    """A line of the table, and what is wrong with the exercise."""

    name: str
    public: int
    hidden: int
    stub: str = ""
    right: list[bool] = field(default_factory=list)
    wrong: list[bool] = field(default_factory=list)
    named: list[bool] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counts = [f"{sum(flags)}/{len(flags)}" for flags in (self.right, self.wrong, self.named)]
        right, wrong, named = counts
        numbers = f"{self.public:6} {self.hidden:6} {right:>7} {wrong:>7} {named:>7}"
        return f"{self.name:28} {numbers}  {self.stub}"


def try_sheet(sheet: Sheet, bank: Sequence[Exercise]) -> list[Row]:
    """Try everything that ``bank`` holds for ``sheet``."""
    answers = references(sheet)
    publics = {exercise.name: exercise for exercise in public_exercises(sheet, bank)}
    return [
        try_exercise(sheet, function, exercise, publics[exercise.name], answers[exercise.name])
        for function, exercise in paired(sheet, bank)
    ]


def try_exercise(
    sheet: Sheet,
    function: SheetFunction,
    exercise: Exercise,
    public: PublicExercise,
    reference: Callable,
) -> Row:
    """One exercise: its reference, its alternatives, its stub, its mistakes."""
    hidden = [
        [
            (case, answer_of(reference, case, exercise.framework))
            for case in drawn_cases(exercise, sheet.name, secret, HIDDEN_ROUNDS)
        ]
        for secret in SECRETS
    ]
    row = Row(exercise.name, len(public.cases), len(hidden[0]))
    for number, answer in enumerate((reference, *exercise.alternatives)):
        who = f"alternative {number}" if number else "the reference"
        report = judge(public, answer)
        lost = [line for cases in hidden for line in failures(exercise, answer, cases)]
        row.right.append(report.status == PASSED and not lost)
        if not row.right[-1]:
            row.faults.append(f"{who} isn't right: {report}; {'; '.join(lost[:2])}")
    row.stub = judge(public, stub(sheet, function)).status
    if row.stub != NOT_ATTEMPTED or not is_unwritten(function.stub, function.name):
        row.faults.append(f"the stub is {row.stub!r}")
    for mistake in exercise.mistakes:
        report = judge(public, mistake.function)
        text = " ".join(report.lines)
        # The first case that fails will do.
        missed = [
            next(failures(exercise, mistake.function, cases), None) is None for cases in hidden
        ]
        row.wrong.append(report.status == WRONG and not any(missed))
        row.named.append(mistake.message in text)
        if report.status != WRONG:
            row.faults.append(f"the public check says {report.status}: {mistake.message}")
        if any(missed):
            row.faults.append(f"hidden cases accept: {mistake.message}")
        if not row.named[-1] and "looks familiar" in text:
            row.faults.append(f"taken for another mistake: {mistake.message}: {text}")
    return row


def failures(
    exercise: Exercise, answer: Callable, cases: list[tuple[Case, Answer]]
) -> Iterator[str]:
    """What is wrong with ``answer`` on each of ``cases`` that it fails."""
    for case, expected in cases:
        try:
            given = call_within(
                exercise.seconds, lambda case=case: answer_of(answer, case, exercise.framework)
            )
        except (Exception, TimeIsUp) as error:
            yield f"{case.name}: {type(error).__name__}: {error}"
            continue
        verdict = compare_answers(given, expected, case)
        if not verdict.passed:
            yield f"{case.name}: {verdict.message}"
        elif given.changed:
            yield f"{case.name}: it writes into argument {given.changed[0] + 1}"


def stub(sheet: Sheet, function: SheetFunction) -> Callable:
    """The function as students get it."""
    namespace: dict = {}
    for source in (*sheet.given, function.stub):
        exec(source, namespace)
    return namespace[function.name]
