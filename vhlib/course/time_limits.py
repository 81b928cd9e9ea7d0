"""Stopping an endless loop in a student's function, on every platform and inside a notebook."""

from __future__ import annotations

import contextvars
import ctypes
import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

ATTEMPTS, PAUSE_S = 20, 0.1


class TimeIsUp(BaseException):
    """Raised into code that runs too long; no ``except Exception`` holds it.

    Attributes:
        stopped: whether the code has ended. One call that never returns to Python, or a loop that
            catches everything, can't be ended from within its process.
    """

    stopped = True


def call_within(seconds: float | int, call: Callable[[], Result]) -> Result:
    """What ``call`` returns or raises, if it does so in time.

    It runs in a thread of its own, so that the caller can wait for it with a limit, and an
    interrupt of the notebook's kernel still arrives.

    Raises:
        TimeIsUp: it took longer.
    """
    outcome: list[tuple[bool, Result | BaseException]] = []

    def run() -> None:
        try:
            outcome.append((True, call()))
        except BaseException as error:
            outcome.append((False, error))

    context = contextvars.copy_context()
    worker = threading.Thread(target=context.run, args=(run,), daemon=True)
    worker.start()
    try:
        worker.join(seconds)
    finally:
        late = worker.is_alive()
        stopped = _stop(worker) if late else True
    if late:
        error = TimeIsUp()
        error.stopped = stopped
        raise error
    returned, result = outcome[0]
    if not returned:
        raise result
    return result


def _stop(worker: threading.Thread) -> bool:
    """Raise TimeIsUp in ``worker`` until it ends; whether it did.

    Python delivers it between two steps of the interpreter, so more than once is needed where the
    code catches it.
    """
    for _ in range(ATTEMPTS):
        identity, error = ctypes.c_ulong(worker.ident), ctypes.py_object(TimeIsUp)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(identity, error)
        worker.join(PAUSE_S)
        if not worker.is_alive():
            return True
    return False
