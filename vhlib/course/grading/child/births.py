"""Births and deaths of students' processes, from a process that has numpy, or torch, loaded.

Over its standard input, a socket, it is handed two sockets for each student's process: one for that
process to talk over, and a leash. A *warden* is born for the pair, gives birth to the student's
process, and ends it, and all that it left behind, when the leash is dropped, by whomever and for
whatever reason.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import shutil
import signal
import socket
import struct
import tempfile
from pathlib import Path

from vhlib.course.grading.child import kernel
from vhlib.course.grading.child.calls import answered
from vhlib.course.grading.child.cells import furnish, notebook_namespace, run_cells
from vhlib.course.grading.child.confinement import (
    Confinement,
    Limits,
    confine_child,
    confine_worker,
)
from vhlib.course.grading.child.framing import Channel
from vhlib.course.grading.child.questions import asking

NUMBER = struct.Struct("<i")
"""What a warden says: at first its child's process number, at last the status it ended with."""

MAX_CELLS = 1 << 26


def serve_births(settings: dict) -> None:
    """Load libraries, withdraw from the system, and serve until the grader hangs up."""
    if settings["framework"] == "torch":
        importlib.import_module("torch").set_num_threads(1)
    shared = confine_worker(settings["libraries"], settings["hidden"])
    control = socket.socket(fileno=os.dup(0))
    control.set_inheritable(False)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # wardens are nobody's to wait for
    gc.collect()
    gc.freeze()
    while True:
        request, handles, _, _ = socket.recv_fds(control, 1, 2)
        if not request or len(handles) != 2:
            return
        if os.fork() == 0:
            try:
                control.close()
                guard(handles, shared, settings)
            finally:
                os._exit(0)
        for handle in handles:
            os.close(handle)


def guard(handles: list[int], shared: Confinement, settings: dict) -> None:
    """Be the warden of one student's process, until the leash is dropped."""
    talk, leash = handles
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    state = shared.copy()
    state.account += os.getpid()
    folder = "" if state.own_root else tempfile.mkdtemp(prefix="vh-grade-")
    if kernel.ON_LINUX:
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        state.put_on(
            "processes: a namespace of their own, ended as one",
            lambda: kernel.unshare(kernel.CLONE_NEWPID),
        )
    pid = os.fork()
    if pid == 0:
        try:
            serve(talk, state, folder, settings)
        finally:
            os._exit(0)
    os.close(talk)
    line = socket.socket(fileno=leash)
    with contextlib.suppress(OSError):
        line.sendall(NUMBER.pack(pid))
        line.recv(1)
    status = end(pid)
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        line.sendall(NUMBER.pack(status))


def end(pid: int) -> int:
    """End a process and what descends from it; the status that it ended with."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(OSError):
            kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    # Where processes have no namespace of their own, orphans come to the warden.
    while orphans := children():
        for orphan in orphans:
            with contextlib.suppress(OSError):
                os.kill(orphan, signal.SIGKILL)
                os.waitpid(orphan, 0)
    return status


def children() -> list[int]:
    """Processes born of this one that still are; empty where the platform doesn't say."""
    own = f"/proc/self/task/{os.getpid()}/children"
    try:
        return [int(pid) for pid in Path(own).read_text().split()]
    except OSError:
        return []


def serve(talk: int, state: Confinement, folder: str, settings: dict) -> None:
    """Be a student's process: give up everything, then run cells and calls as they come."""
    os.setsid()
    talk = close_all_but(talk)
    limits = Limits(**settings["limits"])
    libraries, hidden = settings["libraries"], settings["hidden"]
    state = confine_child(state, limits, folder, libraries, hidden)
    os.environ.update(HOME=os.getcwd(), TMPDIR=os.getcwd())
    channel = Channel(socket.socket(fileno=talk), MAX_CELLS)
    channel.send({"kind": "confined", **state.told()})
    furnish()
    answer_forever(channel)


def close_all_but(talk: int) -> int:
    """Leave the process one socket, whose number is returned, and nothing to read or print to."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    if talk != 3:
        os.dup2(talk, 3)
    os.closerange(4, os.sysconf("SC_OPEN_MAX"))
    return 3


def answer_forever(channel: Channel) -> None:
    """Do what the grader asks until it hangs up."""
    function = None
    while True:
        message, arrays = channel.receive()
        if message["kind"] == "cells":
            namespace = notebook_namespace()
            given = {name: asking(channel, name) for name in message["builds_on"]}
            namespace.update(given)
            notes = run_cells(message["cells"], namespace)
            namespace.update(given)
            function = namespace.get(message["name"])
            ready = {"kind": "ready", "found": callable(function), "notes": notes[:50]}
            channel.send(ready)
            continue
        try:
            reply = answered(function, message, arrays)
        except BaseException as error:
            reply = {"kind": "raised", "error": type(error).__name__}, ()
        channel.send(*reply)
