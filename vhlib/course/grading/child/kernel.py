"""The system calls that Python has no name for."""

from __future__ import annotations

import ctypes
import os
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT = 1, 2, 4, 32
MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 4096, 16384, 1 << 18, 2
PR_SET_PDEATHSIG, PR_SET_SECCOMP = 1, 22
PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 24, 36, 38
CAPABILITY_VERSION_3 = 0x20080522
ON_LINUX = sys.platform == "linux"


def checked(result: int) -> int:
    """``result`` of a call; OSError if it says that the call failed."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def unshare(flags: int) -> None:
    """Leave the namespaces named by ``flags`` for new ones (of processes: for the next child)."""
    checked(LIBC.unshare(flags))


def prctl(option: int, *values: int) -> None:
    """Set a property of this process."""
    words = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
    checked(LIBC.prctl(option, *words))


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    """Mount ``source`` on ``target``."""
    words = (source.encode(), target.encode(), kind.encode())
    checked(LIBC.mount(*words, ctypes.c_ulong(flags), options.encode()))


def syscall(number: int, *values: object) -> int:
    """A call by its number; ints go as words of the machine."""
    words = [ctypes.c_long(value) if isinstance(value, int) else value for value in values]
    LIBC.syscall.restype = ctypes.c_long
    return checked(LIBC.syscall(ctypes.c_long(number), *words))


def change_root(folder: str) -> None:
    """Make the mount ``folder`` the root; what was the root before can't be reached any more."""
    os.chdir(folder)
    numbers = {"x86_64": 155, "aarch64": 41}
    syscall(
        numbers[os.uname().machine], b".", b"."
    )  # pivot_root onto itself: no folder for the old
    checked(LIBC.umount2(b".", MNT_DETACH))
    os.chdir("/")


def drop_capabilities() -> None:
    """Give up every right of root, for good."""
    for capability in range(64):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:  # past the kernel's last one, or no right to drop it: then none to keep
            break
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    checked(LIBC.capset(header, (ctypes.c_uint32 * 6)()))
