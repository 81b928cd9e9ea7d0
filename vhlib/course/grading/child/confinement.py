"""Everything that keeps a student's process away from the rest, put on layer by layer.

A layer that the platform doesn't have is left out and named; :class:`Confinement` tells both.
"""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from vhlib.course.grading.child import kernel, landlock, namespaces, seccomp
from vhlib.course.grading.child.namespaces import DEVICES, WORK_FOLDER

NOBODY = 65534
FOREIGN_USER = 1_960_417_000
"""Accounts from here on, one for each process, are no system's: their threads count apart."""


@dataclass(frozen=True)
class Limits:
    """What one student's process may use.

    Attributes:
        memory: bytes of address space beyond what the loaded libraries take.
        cpu_seconds: processor time for everything that it does.
        file_bytes, disk_bytes, files: of one file, of all, and their number.
        open_files, threads: at a time.
    """

    memory: int = 2 << 30
    cpu_seconds: int = 600
    file_bytes: int = 8 << 20
    disk_bytes: int = 16 << 20
    files: int = 1000
    open_files: int = 64
    threads: int = 32


@dataclass
class Confinement:
    """The layers in force, in words, and those that the platform doesn't have, with its reason."""

    in_force: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    own_root: bool = False
    own_network: bool = False
    as_root: bool = False
    own_users: bool = False
    library_bytes: int = 0
    account: int = FOREIGN_USER

    def put_on(self, words: str, layer: Callable[[], str | None]) -> bool:
        """Try a layer."""
        try:
            more = layer() or ""
        except (OSError, ValueError, AttributeError) as error:
            self.missing.append(f"{words} ({error})")
            return False
        self.in_force.append(words + more)
        return True

    def told(self) -> dict:
        """For the other side."""
        return {"in_force": self.in_force, "missing": self.missing}

    def copy(self) -> Confinement:
        """A copy for a child to add to."""
        return Confinement(**{**asdict(self)})


def confine_worker(libraries: list[str], hidden: list[str]) -> Confinement:
    """What all children of a worker share: put on once, before the first is born."""
    state = Confinement(as_root=hasattr(os, "geteuid") and os.geteuid() == 0)
    if not kernel.ON_LINUX:
        state.missing.append("namespaces, Landlock and seccomp (they are Linux's)")
        return state
    prefer_for_the_oom_killer()
    state.library_bytes = address_space()
    if not state.as_root:
        words = "a namespace of users without rights"
        state.own_users = state.put_on(words, namespaces.enter_user_namespace)
    state.own_network = state.put_on(
        "no network: a namespace without interfaces", namespaces.leave_network
    )
    state.own_root = state.put_on(
        "files: a root that holds Python's libraries only, read-only",
        lambda: namespaces.enter_own_root(libraries, hidden),
    )
    return state


def confine_child(
    shared: Confinement, limits: Limits, folder: str, libraries: list[str], hidden: list[str]
) -> Confinement:
    """The rest, for one student's process; there is no way back from it."""
    state = shared.copy()
    if state.own_root:
        state.put_on(
            f"disk: {limits.disk_bytes >> 20} MB in memory, gone with the process",
            lambda: namespaces.mount_work_folder(limits.disk_bytes, limits.files),
        )
        folder, libraries, hidden = WORK_FOLDER, ["/"], []
    os.chdir(folder)
    if state.as_root:
        state.own_users = state.put_on(
            "an account of its own", lambda: leave_account(state, folder)
        )
    state.put_on(
        f"limits on memory ({limits.memory >> 30} GB), processor time and files",
        lambda: set_limits(limits, state.library_bytes),
    )
    if state.own_users:  # else all processes of the grader's own account would be counted
        state.put_on(
            f"at most {limits.threads} threads",
            lambda: set_limit("RLIMIT_NPROC", limits.threads),
        )
    if kernel.ON_LINUX:
        state.put_on("no rights of root", kernel.drop_capabilities)
        readable = libraries if state.own_root else shown(libraries, hidden)
        # A folder on the disk could be filled with many small files.
        writable, where = ([folder], "to its work folder") if state.own_root else ([], "nothing")
        state.put_on(
            f"Landlock: reads libraries, writes {where}",
            lambda: landlock.restrict_files(readable, [*writable, *DEVICES]),
        )
        state.put_on("seccomp: no new processes, no sockets", seccomp.restrict_calls)
    return state


def shown(folders: list[str], hidden: list[str]) -> list[str]:
    """``folders``, but where something hidden lies within, the rest of what lies there."""
    found = []
    for folder in folders:
        if folder in hidden:
            continue
        if any(path.startswith(folder + os.sep) for path in hidden):
            entries = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
            found += shown(entries, hidden)
        else:
            found.append(folder)
    return found


def prefer_for_the_oom_killer() -> None:
    """When the machine runs out of memory, it is students' processes that end."""
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
    except OSError:
        pass


def leave_account(state: Confinement, folder: str) -> None:
    """Become nobody, if nobody can read Python's library.

    Raises:
        OSError: it can't, or the account can't be changed.
    """
    if not state.own_root and not readable_by_all(os.__file__):
        raise OSError("Python's library lies in a private folder")
    if not state.own_root:
        os.chmod(folder, 0o777)
    os.setgroups([])
    for number in (state.account, NOBODY):
        try:
            os.setresgid(number, number, number)
            os.setresuid(number, number, number)
            return
        except OSError as error:
            failure = error
    raise failure


def readable_by_all(path: str) -> bool:
    """Whether every folder on the way to ``path`` lets everybody through."""
    while os.path.dirname(path) != path:
        if not os.stat(path).st_mode & 0o001:
            return False
        path = os.path.dirname(path)
    return True


def address_space() -> int:
    """Bytes of this process's address space."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def set_limits(limits: Limits, library_bytes: int) -> None:
    """Limits of the process, soft and hard alike; those that the platform lacks are passed over."""
    for name, value in (
        ("RLIMIT_AS", library_bytes + limits.memory),
        ("RLIMIT_CPU", limits.cpu_seconds),
        ("RLIMIT_FSIZE", limits.file_bytes),
        ("RLIMIT_NOFILE", limits.open_files),
        ("RLIMIT_CORE", 0),
        ("RLIMIT_MEMLOCK", 0),
        ("RLIMIT_MSGQUEUE", 0),
    ):
        if hasattr(resource, name):
            set_limit(name, value)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing too much is an error, not the end


def set_limit(name: str, value: int) -> None:
    """One limit, soft and hard alike, never above the one in force."""
    kind = getattr(resource, name)
    most = resource.getrlimit(kind)[1]
    value = value if most == resource.RLIM_INFINITY else min(value, most)
    resource.setrlimit(kind, (value, value))
