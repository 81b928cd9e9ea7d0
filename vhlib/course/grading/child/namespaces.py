"""Linux namespaces: a root with Python's libraries only, no network, processes of one's own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from vhlib.course.grading.child.kernel import (
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    MS_BIND,
    MS_NODEV,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
    change_root,
    mount,
    unshare,
)

WORK_FOLDER = "/student"
MOUNT_POINTS = ("/mnt", "/media", "/srv", "/tmp", "/run")
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")
SYSTEM_LIBRARIES = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/etc/ld.so.cache",
)


def enter_user_namespace() -> None:
    """Become root of nothing but a namespace of users, which allows the other namespaces.

    The process must have one thread only.

    Raises:
        OSError: the platform doesn't let ordinary users do so.
    """
    user, group = os.geteuid(), os.getegid()
    unshare(CLONE_NEWUSER)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def leave_network() -> None:
    """A network of one's own, without interfaces; queues and shared memory of one's own too."""
    unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)


def enter_own_root(libraries: Sequence[str], hidden: Iterable[str]) -> None:
    """A root that holds nothing but these folders, read-only; ``hidden`` ones in them are empty.

    Raises:
        OSError: the platform doesn't allow it; the old root is then still there.
    """
    unshare(CLONE_NEWNS)
    mount("none", "/", "none", MS_REC | MS_PRIVATE)
    root = mount_point(libraries)
    mount("none", root, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755")
    for path in (*libraries, *DEVICES):
        if os.path.exists(path):
            bind_read_only(path, root + path)
    for path in hidden:
        if os.path.isdir(root + path):
            mount("none", root + path, "tmpfs", MS_RDONLY, "size=4k,mode=755")
    os.mkdir(root + WORK_FOLDER)
    change_root(root)
    mount("none", "/", "none", MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, "size=1m,mode=755")


def mount_point(libraries: Iterable[str]) -> str:
    """A folder to build the root on, which hides no library meanwhile.

    Raises:
        OSError: there is none.
    """
    for folder in MOUNT_POINTS:
        if os.path.isdir(folder) and not any(path.startswith(folder + "/") for path in libraries):
            return folder
    raise FileNotFoundError("no folder to build a root on")


def bind_read_only(source: str, target: str) -> None:
    """Show ``source`` at ``target`` too, unwritable there."""
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.exists(target):
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    mount(source, target, "none", MS_BIND | MS_REC)
    # Flags that a mount came with may not be taken away by somebody without rights on it.
    kept = os.statvfs(target).f_flag & (MS_NOSUID | MS_NODEV | 0x8 | 0x400 | 0x800)
    mount("none", target, "none", MS_REMOUNT | MS_BIND | MS_RDONLY | kept)


def mount_work_folder(size: int, files: int) -> None:
    """An empty folder in memory for this process and its children alone."""
    unshare(CLONE_NEWNS)
    options = f"size={size},nr_inodes={files},mode=777"
    mount("none", WORK_FOLDER, "tmpfs", MS_NOSUID | MS_NODEV, options)
