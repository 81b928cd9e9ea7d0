"""Where students' code runs: processes apart from everything, spoken to in arrays.

A :class:`Sandbox` keeps one worker (``child/worker.py``) from which a :class:`StudentProcess` is
forked in milliseconds. What these can't reach is up to the platform: ``Sandbox.isolation`` says it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from vhlib.course.grading.child.births import ASK_TIME, STATUS, TIME
from vhlib.course.grading.child.cells import NOT_THERE
from vhlib.course.grading.child.confinement import Limits
from vhlib.course.grading.child.framing import Channel, Ended, Garbled, OutOfTime, packed, restored
from vhlib.course.grading.child.namespaces import SYSTEM_LIBRARIES

WORKER = Path(__file__).parent / "child" / "worker.py"
WALL_FACTOR = 5
"""How many times its seconds of processor time a student's process may take by the clock."""

GRACE_S, START_S, END_S = 5.0, 60.0, 10.0
MAX_ASKED = 2000
Oracle = Callable[[str, tuple, dict], object]


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
        self.asked, self.spent = 0, 0.0

    def __enter__(self) -> StudentProcess:
        return self

    def __exit__(self, *error: object) -> None:
        self.end()

    def isolation(self) -> Isolation:
        """What the process said before it read anything of a student's."""
        deadline = time.monotonic() + START_S
        self.channel.patience = lambda: deadline - time.monotonic()
        try:
            told, _ = self.channel.receive()
            return Isolation(tuple(told["in_force"]), tuple(told["missing"]))
        except (Ended, Garbled, OutOfTime, KeyError) as error:
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
        with contextlib.suppress(OSError):
            self.leash.sendall(ASK_TIME)
            return TIME.unpack(self._from_warden(TIME.size))[0]
        return -1.0

    def end(self) -> str:
        """End the process and all that it started; how it had ended, in words."""
        if self.leash.fileno() < 0:
            return ""
        self.channel.close()
        try:
            self.leash.shutdown(socket.SHUT_WR)
            (status,) = STATUS.unpack(self._from_warden(STATUS.size))
        except OSError as error:
            raise SandboxError("a student's process couldn't be ended") from error
        finally:
            self.leash.close()
        if os.WIFSIGNALED(status):
            return f"was ended by {signal.Signals(os.WTERMSIG(status)).name}"
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
        values, names = restored(question.get("inputs"), arrays), question.get("names")
        name = question.get("name")
        if not isinstance(names, list) or len(names) > len(values) or not isinstance(name, str):
            raise Garbled("no question of a worker")
        first = len(values) - len(names)
        try:
            keywords = dict(zip(map(str, names), values[first:], strict=True))
            value, arrays = packed((self.oracle(name, values[:first], keywords),))
        except Exception as error:
            return {"error": f"{name} can't take that: {error}"[:300]}, ()
        return {"value": value}, arrays

    def _from_warden(self, size: int) -> bytes:
        """Bytes of the warden's."""
        read = b""
        while len(read) < size:
            more = self.leash.recv(size - len(read))
            if not more:
                raise ConnectionError("the warden is gone")
            read += more
        return read


class Sandbox:
    """A worker for one framework; use it in a ``with``.

    Raises:
        SandboxError: it doesn't start.
    """

    def __init__(self, framework: str = "numpy", limits: Limits | None = None):
        settings = {
            "framework": framework,
            "limits": asdict(limits or Limits()),
            "packages": package_folders(),
            "libraries": library_folders(),
            "hidden": hidden_folders(),
        }
        self._control, theirs = socket.socketpair()
        with theirs:
            self._worker = subprocess.Popen(
                [sys.executable, "-I", "-S", str(WORKER), json.dumps(settings)],
                stdin=theirs,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=environment(),
                start_new_session=True,
            )
        try:
            with self._born(no_oracle) as first:
                self.isolation = first.isolation()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def student_process(self, oracle: Oracle) -> StudentProcess:
        """A new process, as isolated as the first.

        Raises:
            SandboxError: it doesn't start, or a layer of its isolation is missing.
        """
        process = self._born(oracle)
        try:
            if process.isolation() != self.isolation:
                raise SandboxError("a student's process isn't isolated as it should be")
        except BaseException:
            process.end()
            raise
        return process

    def close(self) -> None:
        """End the worker and whatever it started."""
        self._control.close()
        try:
            self._worker.wait(END_S)
        except subprocess.TimeoutExpired:
            self._worker.kill()
            self._worker.wait()

    def _born(self, oracle: Oracle) -> StudentProcess:
        talk, their_talk = socket.socketpair()
        leash, their_leash = socket.socketpair()
        with their_talk, their_leash:
            try:
                handles = [their_talk.fileno(), their_leash.fileno()]
                socket.send_fds(self._control, [b"1"], handles)
            except OSError as error:
                raise SandboxError("the worker is gone") from error
        return StudentProcess(talk, leash, oracle)


def no_oracle(name: str, values: tuple, keywords: dict) -> object:
    """The oracle of a function that builds on none."""
    raise ValueError("it builds on nothing")


def environment() -> dict[str, str]:
    """What a worker knows of the outside: one thread, and no bytecode to write."""
    one = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    return dict.fromkeys(one, "1") | {"PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"}


def package_folders() -> list[str]:
    """Where installed packages lie."""
    paths = sysconfig.get_paths()
    return sorted({path for path in (paths["purelib"], paths["platlib"]) if os.path.isdir(path)})


def library_folders() -> list[str]:
    """Everything that Python and its packages are loaded from."""
    paths = sysconfig.get_paths()
    library = sysconfig.get_config_var("LIBDIR") or ""
    own = {paths[name] for name in ("stdlib", "platstdlib")} | set(package_folders())
    if paths["stdlib"].startswith(library + os.sep):
        own.add(library)
    # Outer folders first: what is mounted later lies on top.
    return [*SYSTEM_LIBRARIES, *sorted(path for path in own if os.path.isdir(path))]


def hidden_folders() -> list[str]:
    """Packages that hold answers."""
    folders = [os.path.join(folder, name) for folder in package_folders() for name in NOT_THERE]
    return [folder for folder in folders if os.path.isdir(folder)]
