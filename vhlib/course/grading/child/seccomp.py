"""A filter on system calls: no new processes, no sockets, nothing that only an attack needs.

Threads are allowed, since numpy and torch start some. A refused call fails with EPERM, so that
Python raises PermissionError, and code that could do without goes on.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from vhlib.course.grading.child import kernel
from vhlib.course.grading.child.kernel import (
    PR_SET_NO_NEW_PRIVS,
    PR_SET_SECCOMP,
    checked,
    prctl,
)

MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Column of :data:`REFUSED` and audit architecture of a machine."""

CLONE, CLONE3 = (56, 220), 435
CLONE_THREAD = 0x00010000
FOREIGN_CALLS = 0x40000000  # x32: the same calls under other numbers

REFUSED = {
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    "socket": (41, 198), "ptrace": (101, 117), "kcmp": (312, 272),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    "process_madvise": (440, 440), "unshare": (272, 97), "setns": (308, 268),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "mknod": (133, None), "mknodat": (259, 33),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "shmget": (29, 194), "shmat": (30, 196), "semget": (64, 190), "msgget": (68, 186),
    "mq_open": (240, 180), "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "fanotify_init": (300, 262), "quotactl": (179, 60), "acct": (163, 89), "syslog": (103, 116),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225),
    "personality": (135, 92),
}  # fmt: skip
"""Numbers of the refused calls on x86-64 and on 64-bit ARM."""

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16
ALLOW, KILL, FAIL = 0x7FFF0000, 0x80000000, 0x00050000
FILTER_MODE = 2


def instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One instruction of the filter; the jumps count instructions to skip."""
    return struct.pack("<HBBI", code, if_true, if_false, value)


def program(machine: str) -> bytes:
    """The filter for a machine; KeyError if its call numbers aren't known here."""
    column, architecture = MACHINES[machine]
    refuse = instruction(RETURN, FAIL | errno.EPERM)
    lines = [
        instruction(LOAD, ARCHITECTURE),
        instruction(EQUAL, architecture, if_true=1),
        instruction(RETURN, KILL),
        instruction(LOAD, NUMBER),
        instruction(AT_LEAST, FOREIGN_CALLS, if_false=1),
        instruction(RETURN, KILL),
        # libc falls back to clone, whose flags a filter can read.
        instruction(EQUAL, CLONE3, if_false=1),
        instruction(RETURN, FAIL | errno.ENOSYS),
    ]
    for numbers in REFUSED.values():
        if numbers[column] is not None:
            lines += [instruction(EQUAL, numbers[column], if_false=1), refuse]
    lines += [
        instruction(EQUAL, CLONE[column], if_false=3),
        instruction(LOAD, FIRST_ARGUMENT),
        instruction(ANY_BIT, CLONE_THREAD, if_true=1),
        refuse,
        instruction(RETURN, ALLOW),
    ]
    return b"".join(lines)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def restrict_calls() -> None:
    """Put this process under the filter, for good.

    Raises:
        OSError: the kernel has no filters, or the machine's call numbers aren't known here.
    """
    machine = os.uname().machine
    if machine not in MACHINES:
        raise OSError(errno.ENOSYS, f"no call numbers for {machine}")
    lines = program(machine)
    buffer = ctypes.create_string_buffer(lines, len(lines))
    filter_program = _Program(len(lines) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    pointer = ctypes.byref(filter_program)
    checked(kernel.LIBC.prctl(PR_SET_SECCOMP, ctypes.c_ulong(FILTER_MODE), pointer, 0, 0))
