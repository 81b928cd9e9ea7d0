"""Where students' code runs: processes apart from everything, spoken to in arrays.

A :class:`Sandbox` keeps one worker (``child/worker.py``) from which a ``StudentProcess`` is
forked in milliseconds. What these can't reach is up to the platform: ``Sandbox.isolation`` says it.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import sysconfig
from dataclasses import asdict
from pathlib import Path

from vhlib.course.grading.child.cells import NOT_THERE
from vhlib.course.grading.child.confinement import Limits
from vhlib.course.grading.child.namespaces import SYSTEM_LIBRARIES
from vhlib.course.grading.student_process import (
    END_S,
    Oracle,
    Question,
    SandboxError,
    StudentProcess,
)

WORKER = Path(__file__).parent / "child" / "worker.py"


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


def no_oracle(question: Question) -> tuple[object, bool]:
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
