"""A second corpus of attacks is contained like the first, and the kernel refuses its calls."""

from __future__ import annotations

import os
import sys
import time

import pytest

from tests.grading.classroom import answers, grade, hand_in
from tests.grading.more_attacks import ASKING, CALLS_BY_NUMBER, STEALING, SYSTEM_CALLS
from tests.grading.more_disruptions import DISRUPTING
from tests.grading.test_hostile import TRIES_LOOT, become_reaper, own_children
from vhlib.course.grading.sandbox import Sandbox, no_oracle

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="vh grade needs fork")


@pytest.fixture(scope="module")
def layers() -> str:
    with Sandbox() as sandbox:
        return "\n".join(sandbox.isolation.in_force)


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """The whole corpus in one class, beside an honest student."""
    folder = tmp_path_factory.mktemp("more_hostile")
    secret = folder / "secret"
    secret.write_text("0123456789abcdef0123456789abcdef")
    hand_in(folder / "in", "ada", answers())
    for name, source in STEALING.items():
        hand_in(folder / "in", name, answers(source + TRIES_LOOT))
    for name, source in DISRUPTING.items():
        hand_in(folder / "in", name, answers(source))
    for name, source in ASKING.items():
        hand_in(folder / "in", name, answers(quadruple=source))
    become_reaper()
    return grade(folder / "in", folder / "out", jobs=2, secret=secret)


@pytest.mark.parametrize("attack", [*STEALING, *DISRUPTING])
def test_an_attack_gains_nothing_and_costs_only_its_own_function(graded, layers, attack):
    if attack in STEALING and not all(word in layers for word in ("a root", "seccomp", "disk")):
        pytest.skip("this platform lacks a layer that contains it")
    row = graded[attack, "double"]

    assert (row["points"], row["status"]) == ("0.00", "wrong")
    assert graded[attack, "quadruple"]["points"] == "4.00"


@pytest.mark.parametrize("attack", ASKING)
def test_asking_for_what_it_builds_on_gains_nothing(graded, attack):
    row = graded[attack, "quadruple"]

    assert (row["points"], row["status"]) == ("0.00", "wrong")
    assert graded[attack, "double"]["points"] == "2.00"


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_an_honest_student_keeps_the_points_and_nothing_is_left_running(graded):
    deadline = time.monotonic() + 10
    while (left := own_children()) and time.monotonic() < deadline:
        time.sleep(0.1)

    assert (graded["ada", "double"]["points"], left) == ("2.00", [])
    assert graded["ada", "quadruple"]["points"] == "4.00"


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.uname().machine != "x86_64",
    reason="the calls have other numbers here",
)
def test_system_calls_are_refused(layers):
    if not all(word in layers for word in ("seccomp", "no rights of root")):
        pytest.skip("this platform lacks a layer that refuses them")
    with Sandbox() as sandbox, sandbox.student_process(no_oracle) as process:
        found, notes = process.run_cells(
            [{"number": 1, "source": CALLS_BY_NUMBER}], "calls", (), 5.0
        )
        assert found, notes
        _, (results,) = process.call((1.0,), "numpy", (), 5.0)

    assert dict(zip(SYSTEM_CALLS, results.tolist(), strict=True)) == dict.fromkeys(SYSTEM_CALLS, -1)
