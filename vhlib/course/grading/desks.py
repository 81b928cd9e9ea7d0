"""Processes that grade, each with sandboxes of its own: a crash in one costs one notebook."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import signal
import threading
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

from vhlib.course.grading.answer_key import AnswerKey, GradedSheet, read_answer_key
from vhlib.course.grading.child.confinement import address_space
from vhlib.course.grading.sandbox import Sandbox
from vhlib.course.grading.scoring import PartResult, score_notebook
from vhlib.course.grading.student_process import SandboxError
from vhlib.course.grading.submissions import Cell

DESK_MEMORY = 8 << 30
"""What a desk may use beyond its libraries: references see arrays that students chose."""


@dataclass(frozen=True)
class Job:
    """A notebook to grade: which one, against which sheet, and its cells."""

    number: int
    graded: GradedSheet
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Outcome:
    """What a desk made of a job; ``problem`` says why there are no results to keep."""

    number: int
    results: tuple[PartResult, ...]
    problem: str = ""


class Desk:
    """A process that grades one notebook at a time, as its owner sees it."""

    def __init__(self, secret: bytes):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(theirs, secret), daemon=False)
        self.process.start()
        theirs.close()
        self.job: Job | None = None

    def take(self, job: Job) -> None:
        """Begin a job."""
        self.job = job
        self.pipe.send(job)

    def outcome(self) -> Outcome | None:
        """What came of the job; None if the desk broke down."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            return None

    def close(self) -> None:
        """End the process, whatever it does."""
        self.pipe.close()
        self.process.join(1.0)
        if self.process.is_alive():
            self.process.terminate()
            self.process.join()
        self.process.close()


def outcomes(jobs: Iterable[Job], count: int, secret: bytes) -> Iterator[Outcome]:
    """Grade ``jobs`` at ``count`` desks; outcomes as they come, so in no order."""
    waiting = list(jobs)[::-1]
    desks: list[Desk] = []
    try:
        while waiting or any(desk.job for desk in desks):
            if waiting and len(desks) < count:
                desks.append(Desk(secret))
            for desk in desks:
                if desk.job is None and waiting:
                    desk.take(waiting.pop())
            if waiting and len(desks) < count:
                continue
            busy = {desk.pipe: desk for desk in desks if desk.job}
            for pipe in wait(list(busy)):
                desk = busy[pipe]
                outcome, job, desk.job = desk.outcome(), desk.job, None
                if outcome is None:
                    desks.remove(desk)
                    desk.close()
                    outcome = Outcome(job.number, (), "the grader broke down over it")
                yield outcome
    finally:
        for desk in desks:
            desk.close()


def work(pipe: Connection, secret: bytes) -> None:
    """Be a desk: grade what comes until the owner hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the owner's to handle
    signal.signal(signal.SIGTERM, lambda *_: os._exit(1))
    threading.Thread(target=end_with_owner, daemon=True).start()
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (address_space() + DESK_MEMORY,) * 2)
    keys: dict[Path, AnswerKey] = {}
    with contextlib.ExitStack() as stack:
        sandboxes: dict[str, Sandbox] = {}
        while True:
            try:
                job = pipe.recv()
            except (EOFError, OSError):
                return
            pipe.send(grade(job, secret, keys, sandboxes, stack))


def end_with_owner() -> None:
    """End this process when its owner ends, however that came about; its sandboxes follow."""
    wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def grade(job: Job, secret: bytes, keys: dict, sandboxes: dict, stack) -> Outcome:
    """One job; a key is read, and a worker started, when first needed."""
    try:
        if job.graded.source not in keys:
            keys[job.graded.source] = read_answer_key(job.graded, secret)
        key = keys[job.graded.source]
        if key.framework not in sandboxes:
            sandboxes[key.framework] = stack.enter_context(Sandbox(key.framework))
        sandbox = sandboxes[key.framework]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of students' syntax
            return Outcome(job.number, tuple(score_notebook(job.cells, key, sandbox)))
    except (SandboxError, ValueError, OSError, MemoryError, RecursionError) as error:
        stack.close()
        sandboxes.clear()
        return Outcome(job.number, (), f"the grader failed: {error}")
