"""What the sandbox says of itself, with all of its layers and without."""

from __future__ import annotations

import shutil
import sys
import time

import numpy as np
import pytest

from vhlib.course.grading import sandbox as sandbox_module
from vhlib.course.grading.sandbox import Sandbox, no_oracle
from vhlib.course.grading.student_process import Stopped

LOOKS_AROUND = """
import os
import numpy as np
def tries(call):
    try:
        call()
        return True
    except OSError:
        return False
def look(path):
    return np.array([
        tries(lambda: open(path).read()),
        tries(lambda: open("file", "w").write("x")),
        tries(os.fork),
        tries(lambda: __import__("decimal").Decimal(1)),
    ])
"""

WITHOUT_NAMESPACES = """
    from vhlib.course.grading.child import kernel, namespaces

    def refuse(flags):
        raise PermissionError(1, "not in this container")

    kernel.unshare = namespaces.unshare = refuse
    serve_births(settings)"""

linux = pytest.mark.skipif(sys.platform != "linux", reason="these layers are Linux's")


@pytest.fixture
def sandbox():
    with Sandbox() as made:
        yield made


def look(sandbox: Sandbox) -> list[bool]:
    """What a student's process can do: read this file, write one, fork, load a module."""
    with sandbox.student_process(no_oracle) as process:
        cells = [{"number": 1, "source": LOOKS_AROUND}]
        found, notes = process.run_cells(cells, "look", (), 5.0)
        assert found, notes
        reply, arrays = process.call((__file__,), "numpy", (), 5.0)
        assert reply["kind"] == "answer"
        return arrays[0].tolist()


@linux
def test_files_and_processes_are_out_of_reach_and_libraries_are_not(sandbox):
    own_disk = any(layer.startswith("disk") for layer in sandbox.isolation.in_force)

    assert look(sandbox) == [False, own_disk, False, True]


@linux
def test_without_namespaces_the_other_layers_hold_and_it_is_said(monkeypatch, tmp_path):
    child = shutil.copytree(sandbox_module.WORKER.parent, tmp_path / "child")
    worker = child / "worker.py"
    source = worker.read_text()
    assert "\n    serve_births(settings)" in source
    worker.write_text(source.replace("\n    serve_births(settings)", WITHOUT_NAMESPACES))
    monkeypatch.setattr(sandbox_module, "WORKER", worker)

    with Sandbox() as made:
        missing = " ".join(made.isolation.missing)
        assert "no network" in missing
        assert "not in this container" in missing
        if not any(layer.startswith("Landlock") for layer in made.isolation.in_force):
            pytest.skip("this kernel has no Landlock")
        assert look(made) == [False, False, False, True]


def test_a_process_that_sleeps_is_stopped_by_the_clock(sandbox):
    with sandbox.student_process(no_oracle) as process:
        cells = [{"number": 1, "source": "import time\ndef nap(x): time.sleep(1000)"}]
        process.run_cells(cells, "nap", (), 5.0)
        began = time.monotonic()
        with pytest.raises(Stopped, match=r"took longer than 0\.2 s"):
            process.call((np.zeros(3),), "numpy", (), 0.2)

    assert time.monotonic() - began < 30


def test_how_a_process_ended_is_told(sandbox):
    for source, words in [
        ("import os\ndef f(x): os._exit(3)", "ended Python with code 3"),
        ("import ctypes\ndef f(x): ctypes.string_at(0)", "was ended by SIG"),
    ]:
        with sandbox.student_process(no_oracle) as process:
            process.run_cells([{"number": 1, "source": source}], "f", (), 5.0)
            with pytest.raises(Stopped, match=words):
                process.call((1.0,), "numpy", (), 5.0)
