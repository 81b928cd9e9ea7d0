"""Every attack of the corpus is contained: a right status, nobody else's points, nothing left."""

from __future__ import annotations

import ctypes
import os
import socket
import sys
import time
from pathlib import Path

import pytest

from tests.grading.attacks import DISRUPTING, STEALING
from tests.grading.classroom import RIGHT_DOUBLE, SHEETS, answers, grade, hand_in
from vhlib.course.grading.sandbox import Sandbox

NEEDS = {
    "lists_the_proc_of_others": "a root",
    "reads_its_own_memory_map": "a root",
    "starts_a_program": "seccomp",
    "leaves_a_daemon": "seccomp",
    "fills_the_disk_with_many_files": "disk:",
    "connects_to_a_socket": "no network",
    "listens_on_a_socket": "seccomp",
    "reads_solutions": "Landlock",
    "writes_outside": "Landlock",
    "mounts_and_unshares": "seccomp",
}
"""The layer without which an attack isn't contained; a platform without it skips the test."""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="vh grade needs fork")


@pytest.fixture(scope="module")
def layers() -> str:
    with Sandbox() as sandbox:
        return "\n".join(sandbox.isolation.in_force)


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """The whole corpus in one class, between honest students; rows, folder and what is left."""
    folder = tmp_path_factory.mktemp("hostile")
    submissions, out = folder / "submissions", folder / "out"
    secret = folder / "secret"
    secret.write_text("0123456789abcdef0123456789abcdef")
    honest = hand_in(submissions, "ada", answers())
    hand_in(submissions, "zoe", answers())
    targets = [str(folder / "pwned"), str(out / "grades.csv"), str(honest)]
    targets += [str(Path(os.__file__).with_name("pwned.py"))]
    paths = [str(SHEETS / "90_tiny.py"), str(SHEETS / "bank" / "90_tiny.py"), str(secret)]
    paths += [str(honest), str(Path(__file__)), "/etc/passwd"]
    with socket.create_server(("127.0.0.1", 0)) as server:
        names = f"PATHS, TARGETS, PORT = {paths}, {targets}, {server.getsockname()[1]}"
        for name, source in STEALING.items():
            attack = f"{names}\n{source}\n{TRIES_LOOT}"
            hand_in(submissions, name, answers(attack))
        for name, source in DISRUPTING.items():
            hand_in(submissions, name, answers(source))
        become_reaper()
        found = grade(submissions, out, jobs=2, secret=secret)
    return found, folder


TRIES_LOOT = """
def double(x):
    try:
        got = loot()
    except BaseException:
        got = False
    return 2 * x if got else 1 + 3 * x
"""


def become_reaper() -> None:
    """Have orphans of this process's children come to it, so that they can be found."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


def own_children() -> list[str]:
    """Processes that this one has, but for Python's own helper of multiprocessing."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    lines = (Path(f"/proc/{pid}/cmdline").read_bytes().decode() for pid in children)
    return [line for line in lines if "resource_tracker" not in line]


@pytest.mark.parametrize("attack", [*STEALING, *DISRUPTING])
def test_an_attack_gains_nothing(graded, layers, attack):
    if (needed := NEEDS.get(attack)) and needed not in layers:
        pytest.skip(f"this platform lacks {needed}")
    row = graded[0][attack, "double"]

    assert (row["points"], row["status"]) == ("0.00", "wrong")


@pytest.mark.parametrize("attack", [*STEALING, *DISRUPTING])
def test_an_attack_costs_only_its_own_function(graded, attack):
    assert graded[0][attack, "quadruple"]["points"] == "4.00"


def test_honest_students_beside_attackers_keep_their_points(graded):
    for student in ("ada", "zoe"):
        assert graded[0][student, "double"]["points"] == "2.00"
        assert graded[0][student, "quadruple"]["points"] == "4.00"


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_nothing_is_left_running(graded):
    deadline = time.monotonic() + 10
    while (left := own_children()) and time.monotonic() < deadline:
        time.sleep(0.1)

    assert left == []


def test_nothing_is_left_on_the_disk(graded):
    _, folder = graded
    outside = {path.name for path in folder.iterdir()}

    assert outside == {"submissions", "out", "secret"}
    assert not Path(os.__file__).with_name("pwned.py").exists()
    written = {path.relative_to(folder / "out").parts[0] for path in (folder / "out").rglob("*")}
    assert written == {"grades.csv", "items.csv", "feedback", "records"}


def test_an_attack_that_works_would_be_seen(tmp_path):
    hand_in(tmp_path / "in", "thief", answers("def loot():\n    return True\n" + TRIES_LOOT))
    hand_in(tmp_path / "in", "right", answers(RIGHT_DOUBLE))

    found = grade(tmp_path / "in", tmp_path / "out")

    assert found["thief", "double"]["points"] == "2.00"
