"""What students call in a sheet: ``check``, ``hint``, a picture, a summary.

    sheet = open_sheet("02_rotations")
    sheet.check(exp_map)

It needs numpy alone; torch where an exercise does, matplotlib where it draws. A wrong answer is
told in words and never raises.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

from vhlib.course.check_files import (
    FOLDER,
    PublicCase,
    PublicExercise,
    check_file,
    read_check_file,
)
from vhlib.course.comparison import Answer
from vhlib.course.judging import NOT_ATTEMPTED, PASSED, Report, judge
from vhlib.course.reach import out_of_reach


def open_sheet(name: str) -> OpenSheet:
    """The sheet ``name``, such as "02_rotations", with its public cases.

    Raises:
        FileNotFoundError: there is no such sheet; the message lists those that are.
    """
    path = check_file(name)
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.npz"))) or "none"
        raise FileNotFoundError(f"no sheet {name!r}: there are {known}")
    return OpenSheet(name, read_check_file(path))


class OpenSheet:
    """A sheet in a student's notebook: it remembers what was checked and which hints were given."""

    def __init__(self, name: str, exercises: tuple[PublicExercise, ...]) -> None:
        self.name = name
        self._exercises = {exercise.name: exercise for exercise in exercises}
        self._reports: dict[str, Report] = {}
        self._judged: dict[str, Callable] = {}
        self._drawn: dict[str, tuple[Callable, tuple[str, ...]]] = {}
        self._hints = dict.fromkeys(self._exercises, 0)

    def check(self, function: Any) -> None:
        """Try ``function``, or the one of that name, on the public cases and print what came of it.

        Where a case fails and can be drawn, the answer is drawn beside the expected one. What it
        uses that isn't there when it is graded is told as well.
        """
        exercise, function = self._asked(function)
        if exercise is None:
            return
        report = self._judge(exercise, function)
        print(report)
        if report.status != NOT_ATTEMPTED:
            for line in out_of_reach(function, exercise.pictured, exercise.builds_on):
                print(f"  {line}")
        failure = report.failure
        if failure is not None and _draw(exercise, failure.public, failure.answer):
            self._drawn[exercise.name] = function, report.lines

    def hint(self, function: Any, number: int | None = None) -> None:
        """Print hint 1, 2 or 3 for ``function`` or its name; without a number, the next one."""
        exercise = self._exercise(function)
        if exercise is None:
            return
        count = len(exercise.hints)
        wanted = min(self._hints[exercise.name] + 1, count) if number is None else number
        if wanted not in range(1, count + 1):
            print(f"There are hints 1 to {count} for {exercise.name}.")
            return
        self._hints[exercise.name] = wanted
        print(f"Hint {wanted} of {count} for {exercise.name}: {exercise.hints[wanted - 1]}")

    def draw(self, function: Any) -> None:
        """Draw the answer to the first public case beside the expected one, right or wrong.

        What is wrong in the way that its check has drawn isn't drawn again.
        """
        exercise, function = self._asked(function)
        if exercise is None or not self._is_attempted(exercise, function):
            return
        report = self._reports[exercise.name]
        if report.failure is None:
            _draw(exercise, exercise.cases[0], exercise.cases[0].expected)
        elif self._drawn.get(exercise.name) == (function, report.lines):
            print(f"{exercise.name}: its check has drawn this.")
        else:
            _draw(exercise, report.failure.public, report.failure.answer)

    def ready(self, *functions: Any) -> bool:
        """Whether all of ``functions`` pass their public checks; if not, print what is missing.

        For a cell that uses them: ``if sheet.ready(project): ...``.
        """
        for function in functions:
            exercise, function = self._asked(function)
            if exercise is None:
                return False
            status = self._known(exercise, function).status
            if status != PASSED:
                print(f"{exercise.name}: {status}. This cell waits for it.")
                return False
        return True

    def summary(self) -> None:
        """Print what is attempted and what passes; in Colab, also download the notebook."""
        width = max(map(len, self._exercises))
        for name, exercise in self._exercises.items():
            status = self._reports[name].status if name in self._reports else "not checked"
            print(f"{name:{width}}  {_points(exercise.points):>9}  {status}")
        statuses = [report.status for report in self._reports.values()]
        passed, total = statuses.count(PASSED), len(self._exercises)
        print(f"{passed} of {total} pass their public checks; hidden ones remain.")
        if waiting := total - len(statuses) + statuses.count(NOT_ATTEMPTED):
            print(f"{waiting} not attempted or not checked.")
        if importlib.util.find_spec("google") and importlib.util.find_spec("google.colab"):
            _download_from_colab(Path(f"{self.name}.ipynb"))

    def _exercise(self, function: Any) -> PublicExercise | None:
        """The exercise that ``function`` answers or names; a line and None if there is none."""
        is_name = isinstance(function, str)
        name = function if is_name else getattr(function, "__name__", None)
        if (is_name or callable(function)) and name in self._exercises:
            return self._exercises[name]
        known = ", ".join(self._exercises)
        print(f"{name or type(function).__name__} isn't asked for here: there are {known}.")
        return None

    def _asked(self, function: Any) -> tuple[PublicExercise | None, Any]:
        """The exercise, and the function itself if its name was given; a line if one is missing."""
        exercise = self._exercise(function)
        if exercise is None or not isinstance(function, str):
            return exercise, function
        found = getattr(sys.modules["__main__"], function, None)  # a notebook's cells run there
        if not callable(found):
            print(f"{function} isn't there yet: run its cell first.")
            return None, None
        return exercise, found

    def _judge(self, exercise: PublicExercise, function: Callable) -> Report:
        """Judge ``function`` and remember the report."""
        if exercise.framework == "torch":
            importlib.import_module("torch")  # takes seconds, which aren't the student's
        with redirect_stderr(sys.stdout):  # nbgrader takes any line on stderr for a failure
            report = judge(exercise, function, self._reports)
        self._reports[exercise.name], self._judged[exercise.name] = report, function
        return report

    def _known(self, exercise: PublicExercise, function: Callable) -> Report:
        """The report of the last check if that was of ``function``, else a new one.

        What it builds on may have been written anew since: then it is judged again.
        """
        if self._judged.get(exercise.name) is function and not exercise.builds_on:
            return self._reports[exercise.name]
        return self._judge(exercise, function)

    def _is_attempted(self, exercise: PublicExercise, function: Callable) -> bool:
        """Whether there is something to draw; a line if there isn't."""
        report = self._known(exercise, function)
        if report.status == NOT_ATTEMPTED:
            print(report)
        return report.status != NOT_ATTEMPTED


def _points(points: int) -> str:
    """A number of points in words."""
    return f"{points} point" + "s" * (points != 1)


def _draw(exercise: PublicExercise, public: PublicCase, answer: Answer | None) -> bool:
    """Show ``answer`` beside the expected one, where the exercise has a drawing for it."""
    if exercise.drawing is None or answer is None:
        return False
    if importlib.util.find_spec("matplotlib") is None:
        return False
    from vhlib.course.drawings import show_beside

    return show_beside(exercise.drawing, public.case, answer.value, public.expected.value)


def _download_from_colab(path: Path) -> None:
    """Hand the notebook as it stands in the browser to the student as a file."""
    message = importlib.import_module("google.colab._message")
    reply = message.blocking_request("get_ipynb", timeout_sec=30)
    path.write_text(json.dumps(reply["ipynb"]), encoding="utf-8")
    importlib.import_module("google.colab.files").download(str(path))
