"""A student's process as the trusted side sees it: cells and calls go in, arrays come out.

Whatever it says is its own word. It is waited for by its processor time, so that a busy machine
costs nobody points, and by the clock, so that one that sleeps ends too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vhlib.course.grading.child.births import NUMBER
from vhlib.course.grading.child.framing import (
    MAX_ARRAYS_BYTES,
    Channel,
    Ended,
    Garbled,
    OutOfTime,
    packed,
    restored,
)

WALL_FACTOR = 5
"""How many times its seconds of processor time a student's process may take by the clock."""

START_S, END_S = 60.0, 30.0
MAX_ASKED = 2000


@dataclass(frozen=True)
class Question:
    """A call to what a function builds on, by a process that nobody vouches for.

    Attributes:
        name: the function asked for.
        values, keywords: its arguments.
        weights: arrays like its answer, if gradients of their product's sum are asked for.
    """

    name: str
    values: tuple
    keywords: dict[str, object]
    weights: tuple


Oracle = Callable[[Question], tuple[object, bool]]
"""Answers, and says whether the function's arrays are tensors."""


class SandboxError(RuntimeError):
    """The sandbox failed, not the student."""


class Stopped(Exception):
    """The student's process was ended, or ended itself; the words say how."""


@dataclass(frozen=True)
class Isolation:
    """What keeps students' code apart: layers in force, and those that the platform lacks."""

    in_force: tuple[str, ...]
    missing: tuple[str, ...]


class Patience:
    """Waits until a process has used its seconds of processor time, or the clock says enough."""

    def __init__(self, process: StudentProcess, seconds: float):
        self.process, self.seconds = process, seconds
        self.began, self.used = time.monotonic(), process.processor_seconds()
        process.spent = self.used

    def __call__(self) -> float:
        """Seconds to wait before asking again; none left is zero."""
        passed = time.monotonic() - self.began
        if passed < self.seconds:
            return self.seconds - passed
        used = self.process.processor_seconds()
        left = self.seconds - (used - self.used)
        if used < 0 or left <= 0 or passed >= WALL_FACTOR * self.seconds:
            return 0.0
        return max(left, 0.01)


class StudentProcess:
    """One process for one student's function; use it in a ``with``.

    Args:
        talk, leash: this side's ends of its two sockets.
        oracle: answers for the functions that this one builds on.

    Attributes:
        spent: processor time used before the latest call; negative where nobody says.
    """

    def __init__(self, talk: socket.socket, leash: socket.socket, oracle: Oracle):
        self.channel, self.leash, self.oracle = Channel(talk), leash, oracle
        self.leash.settimeout(END_S)
        self.pid, self.asked, self.spent = 0, 0, 0.0

    def __enter__(self) -> StudentProcess:
        return self

    def __exit__(self, *error: object) -> None:
        self.end()

    def isolation(self) -> Isolation:
        """What the process said before it read anything of a student's."""
        deadline = time.monotonic() + START_S
        self.channel.patience = lambda: deadline - time.monotonic()
        try:
            self.pid = self._from_warden()
            told, _ = self.channel.receive()
            return Isolation(tuple(told["in_force"]), tuple(told["missing"]))
        except (Ended, Garbled, OSError, KeyError) as error:
            raise SandboxError(f"a student's process didn't start ({error})") from error

    def run_cells(
        self, cells: Sequence[dict], name: str, builds_on: Sequence[str], seconds: float
    ) -> tuple[bool, list]:
        """Run a notebook's cells; whether ``name`` is then a function, and what failed.

        Raises:
            Stopped: it took too long, died, or sent nonsense.
        """
        request = {"kind": "cells", "cells": list(cells), "name": name}
        reply, _ = self._exchange(request | {"builds_on": list(builds_on)}, (), seconds)
        if reply.get("kind") != "ready" or not isinstance(reply.get("notes"), list):
            raise Stopped("sent what is no answer")
        return bool(reply.get("found")), reply["notes"]

    def call(
        self, inputs: tuple, framework: str, gradients: Sequence[int], seconds: float
    ) -> tuple[dict, list[np.ndarray]]:
        """Call the function; the reply is the process's own word and to be distrusted.

        Raises:
            Stopped: it took too long, died, or sent nonsense.
        """
        values, arrays = packed(inputs)
        request = {"kind": "call", "inputs": values, "framework": framework}
        self.asked = 0
        return self._exchange(request | {"gradients": list(gradients)}, arrays, seconds)

    def processor_seconds(self) -> float:
        """Processor time used so far; negative where the platform doesn't say."""
        clock = (~self.pid << 3) | 2  # clock_getcpuclockid's encoding on Linux
        with contextlib.suppress(OSError):
            return time.clock_gettime(clock) if sys.platform == "linux" else -1.0
        return -1.0

    def end(self) -> str:
        """End the process and all that it started; how it had ended, in words."""
        if self.leash.fileno() < 0:
            return ""
        self.channel.close()
        try:
            self.leash.shutdown(socket.SHUT_WR)
            status = self._from_warden()
        except OSError as error:
            raise SandboxError("a student's process couldn't be ended") from error
        finally:
            self.leash.close()
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            named = number in set(signal.Signals)  # those between have numbers only
            return f"was ended by {signal.Signals(number).name if named else f'signal {number}'}"
        return f"ended Python with code {os.WEXITSTATUS(status)}"

    def _exchange(self, request: dict, arrays: Sequence[np.ndarray], seconds: float):
        """Send a request and wait for its reply, answering questions meanwhile."""
        self.channel.patience = Patience(self, seconds)
        try:
            self.channel.send(request, tuple(arrays))
            while True:
                reply, arrays = self.channel.receive()
                if reply.get("kind") != "ask":
                    return reply, arrays
                self.channel.send(*self._told(reply, arrays))
        except OutOfTime:
            raise Stopped(f"took longer than {seconds:g} s") from None
        except Garbled:
            raise Stopped("sent what is no answer") from None
        except Ended:
            raise Stopped(self.end()) from None

    def _told(self, question: dict, arrays: list[np.ndarray]) -> tuple[dict, tuple]:
        """The reply to a question about what the function builds on."""
        self.asked += 1
        if self.asked > MAX_ASKED:
            raise Stopped(f"called what it builds on more than {MAX_ASKED} times")
        asked = read_question(question, arrays)
        try:
            answer, tensors = self.oracle(asked)
            value, arrays = packed((answer,))
            if sum(array.nbytes for array in arrays) > MAX_ARRAYS_BYTES:
                raise ValueError("its answer is too large")
        except Exception as error:
            return {"error": f"{asked.name} can't take that: {error}"[:300]}, ()
        return {"value": value, "tensors": tensors}, arrays

    def _from_warden(self) -> int:
        """The warden's next number."""
        read = self.leash.recv(NUMBER.size, socket.MSG_WAITALL)
        if len(read) < NUMBER.size:
            raise ConnectionError("the warden is gone")
        return NUMBER.unpack(read)[0]


def read_question(message: dict, arrays: list[np.ndarray]) -> Question:
    """The question in a message; Garbled if it is none."""
    name, names, inputs = message.get("name"), message.get("names"), message.get("inputs")
    match restored(inputs, arrays):
        case (tuple() as values, tuple() as weights) if isinstance(names, list) and all(
            isinstance(n, str) for n in names
        ):
            first = len(values) - len(names)
            if first >= 0 and isinstance(name, str):
                keywords = dict(zip(names, values[first:], strict=True))
                return Question(name, values[:first], keywords, weights)
    raise Garbled("no question of a worker")
