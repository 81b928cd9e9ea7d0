"""Grading a class: from a folder of students' folders to grades, items and feedback."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vhlib.course.bank import PUBLIC_SECRET
from vhlib.course.grading.answer_key import (
    GradedSheet,
    fingerprint,
    read_answer_key,
    read_graded_sheet,
)
from vhlib.course.grading.desks import Job, outcomes
from vhlib.course.grading.feedback import feedback_page
from vhlib.course.grading.grades import (
    Graded,
    grades_table,
    items_table,
    kept,
    read_record,
    record_path,
    status_counts,
    write_record,
    write_text,
)
from vhlib.course.grading.names import page_stem, shown
from vhlib.course.grading.sandbox import Sandbox
from vhlib.course.grading.scoring import NOT_ATTEMPTED, UNGRADABLE, PartResult
from vhlib.course.grading.submissions import (
    Submission,
    find_submissions,
    left_out,
    student_folders,
)
from vhlib.course.sheets import Sheet, bank_path

MIN_SECRET_BYTES = 16
Say = Callable[[str], None]


@dataclass(frozen=True)
class Assignment:
    """What is to be graded, against what.

    Attributes:
        submissions: holds a folder for each student.
        sheets: the sheets that have a bank, by name.
        secret: draws the hidden cases.
        found: what was handed in.
    """

    submissions: Path
    sheets: dict[str, GradedSheet]
    secret: bytes
    found: tuple[Submission, ...]

    @property
    def students(self) -> list[str]:
        """Everybody with a folder, whether there is a notebook in it or not."""
        return [path.name for path in student_folders(self.submissions)]


def grade_class(assignment: Assignment, out: Path, jobs: int, keep: str, say: Say) -> str:
    """Grade everything and write ``grades.csv``, ``items.csv``, ``feedback/`` and ``records/``.

    Stopped and started again, it goes on where it was, and writes the same files.

    Args:
        assignment: what is graded.
        out: a folder for the files.
        jobs: how many notebooks at a time.
        keep: "best" or "last" of a student's several notebooks for a sheet.
        say: takes lines of progress.

    Raises:
        ValueError: a sheet or a bank is at fault.
        OSError: a file can't be read or written.
    """
    results = grade_submissions(assignment, out, jobs, say)
    graded = class_results(assignment, results, keep)
    write_text(out / "grades.csv", grades_table(graded))
    write_text(out / "items.csv", items_table(graded))
    (out / "feedback").mkdir(exist_ok=True)
    for student in assignment.students:
        own = [entry for entry in graded if entry.student == student]
        write_text(out / "feedback" / f"{page_stem(student)}.html", feedback_page(student, own))
    for line in [*doubts(graded), *left_out(assignment.submissions, assignment.found)]:
        say(shown(line))
    return f"{status_counts(graded)}; wrote {out / 'grades.csv'}"


def doubts(graded: Sequence[Graded]) -> list[str]:
    """What nobody could grade, for somebody to settle: a line for each reason of each notebook."""
    lines = (
        f"{entry.student}, {entry.path or entry.sheet}: {result.status}"
        for entry in graded
        for result in entry.results
        if result.points is None
    )
    return list(dict.fromkeys(lines))


def grade_submissions(
    assignment: Assignment, out: Path, jobs: int, say: Say
) -> list[tuple[PartResult, ...]]:
    """The results of each submission, from its record where there is one."""
    results: list[tuple[PartResult, ...]] = [()] * len(assignment.found)
    pending, paths = [], {}
    out.mkdir(parents=True, exist_ok=True)
    prints = {
        name: fingerprint(graded.source, assignment.secret)
        for name, graded in assignment.sheets.items()
    }
    for number, submission in enumerate(assignment.found):
        if submission.problem:
            results[number] = ungradable_results(assignment, submission, submission.problem)
            continue
        paths[number] = record_path(out, prints[submission.sheet], submission.cells)
        if recorded := read_record(paths[number]):
            results[number] = recorded
        else:
            graded = assignment.sheets[submission.sheet]
            pending.append(Job(number, graded, submission.cells))
    for graded in {job.graded.source: job.graded for job in pending}.values():
        read_answer_key(graded, assignment.secret)  # a fault of the sheet's is told once, here
    done = len(results) - len(pending)
    for outcome in outcomes(pending, jobs, assignment.secret):
        submission = assignment.found[outcome.number]
        results[outcome.number] = outcome.results
        if outcome.problem:
            problem = outcome.problem
            results[outcome.number] = ungradable_results(assignment, submission, problem)
        else:
            write_record(paths[outcome.number], outcome.results)
        done += 1
        say(shown(f"{done} of {len(results)}: {submission.student} {submission.path.name}"))
    return results


def ungradable_results(
    assignment: Assignment, submission: Submission, why: str
) -> tuple[PartResult, ...]:
    """The rows of a notebook of which nothing can be said."""
    status = f"{UNGRADABLE}: {why}"
    if submission.sheet is None:
        return (PartResult("", None, 0, status),)
    functions = assignment.sheets[submission.sheet].sheet.functions
    return tuple(PartResult(f.name, None, f.points, status) for f in functions)


def class_results(
    assignment: Assignment, results: Sequence[tuple[PartResult, ...]], keep: str
) -> list[Graded]:
    """What counts for each student on each sheet that anybody handed in."""
    attempts: dict[tuple[str, str], list[Graded]] = {}
    strays = []
    for submission, parts in zip(assignment.found, results, strict=True):
        path = submission.path.relative_to(assignment.submissions).as_posix()
        if submission.sheet is None:
            strays.append(Graded(submission.student, submission.path.name, path, parts))
            continue
        entry = Graded(submission.student, submission.sheet, path, parts)
        attempts.setdefault((submission.student, submission.sheet), []).append(entry)
    used = sorted({sheet for _, sheet in attempts})
    graded = []
    for student in assignment.students:
        for sheet in used:
            own = attempts.get((student, sheet))
            graded.append(
                kept(own, keep) if own else absent(student, assignment.sheets[sheet].sheet)
            )
        graded += [stray for stray in strays if stray.student == student]
    return graded


def absent(student: str, sheet: Sheet) -> Graded:
    """The rows of somebody who handed nothing in."""
    parts = tuple(PartResult(f.name, 0.0, f.points, NOT_ATTEMPTED) for f in sheet.functions)
    return Graded(student, sheet.name, "", parts)


def read_assignment(submissions: Path, solutions: Path, secret: Path | None) -> Assignment:
    """Find the sheets and what was handed in.

    Raises:
        ValueError: there are no sheets or no students, a notebook lies outside the students'
            folders, or the secret is too short to be one.
        OSError: a folder or file can't be read.
    """
    sources = {
        path.stem: path for path in sorted(solutions.glob("*.py")) if bank_path(path).is_file()
    }
    if not sources:
        raise ValueError(f"{solutions} holds no sheets: run vh grade in a checkout of the course")
    sheets = {name: read_graded_sheet(path) for name, path in sources.items()}
    for stray in sorted(path for path in submissions.glob("*.ipynb") if not path.is_dir()):
        place = f"{submissions}/STUDENT/NN_name.ipynb"
        raise ValueError(f"{shown(str(stray))} lies in no student's folder, expected {place}")
    names = {name: [f.name for f in graded.sheet.functions] for name, graded in sheets.items()}
    found = tuple(find_submissions(submissions, names))
    if not found:
        raise ValueError(f"{submissions} holds no notebooks, expected STUDENT/NN_name.ipynb in it")
    return Assignment(submissions, sheets, read_secret(secret), found)


def read_secret(path: Path | None) -> bytes:
    """The secret in a file, without white space around it; the public one if there is no file.

    Raises:
        ValueError: it is short enough to be guessed.
        OSError: it can't be read.
    """
    if path is None:
        return PUBLIC_SECRET
    secret = path.read_bytes().strip()
    if len(secret) < MIN_SECRET_BYTES:
        least = f"expected at least {MIN_SECRET_BYTES} bytes: openssl rand -hex 32 makes one"
        raise ValueError(f"the secret in {path} has {len(secret)} bytes, {least}")
    return secret


def dry_run(assignment: Assignment) -> str:
    """What would be graded, what can't be and why, and the isolation; no student's code is run."""
    lines = []
    for submission in assignment.found:
        path = submission.path.relative_to(assignment.submissions).as_posix()
        fate = f"ungradable: {submission.problem}" if submission.problem else submission.sheet
        lines.append(f"{path}: {fate}")
    lines = [shown(line) for line in lines + left_out(assignment.submissions, assignment.found)]
    return "\n".join([*lines, "", isolation_report()])


def isolation_report() -> str:
    """What keeps students' code apart on this machine, in lines."""
    with Sandbox() as sandbox:
        isolation = sandbox.isolation
    lines = ["Isolation of students' code on this machine:"]
    lines += [f"  in force: {layer}" for layer in isolation.in_force]
    lines += [f"  MISSING: {layer}" for layer in isolation.missing]
    return "\n".join(lines)


def grade_command(
    submissions: Path,
    out: Path,
    *,
    jobs: int | None,
    secret: Path | None,
    keep: str,
    dry: bool,
    solutions: Path = Path("solutions"),
    say: Say = print,
) -> str:
    """What ``vh grade`` does.

    Raises:
        ValueError: the input is at fault.
        OSError: a file can't be read or written.
    """
    if jobs is not None and jobs < 1:
        raise ValueError(f"-j is {jobs}, expected at least 1")
    if not submissions.is_dir():
        raise NotADirectoryError(f"{submissions} is no folder, expected one with students' folders")
    if out.resolve().is_relative_to(submissions.resolve()):
        raise ValueError(f"--out {out} lies among the submissions, expected a folder elsewhere")
    assignment = read_assignment(submissions, solutions, secret)
    if secret is None:
        say("No --secret: the public cases of practice, which students can draw too.")
    if dry:
        return dry_run(assignment)
    say(isolation_report())
    return grade_class(assignment, out, jobs or os.cpu_count() or 1, keep, say)
