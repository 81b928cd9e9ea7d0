"""Progress bars show where somebody watches and nowhere else."""

from __future__ import annotations

import io
import sys

import pytest

from vhlib.notebook import progress as module
from vhlib.notebook.progress import progress


class Terminal(io.StringIO):
    """A stdout that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def switched_on(monkeypatch):
    monkeypatch.delenv("VHLIB_PROGRESS", raising=False)


def test_a_terminal_sees_a_bar_on_stdout(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", Terminal())

    assert list(progress(range(3), "fitting")) == [0, 1, 2]

    assert "fitting:" in sys.stdout.getvalue()
    assert "/3 [" in sys.stdout.getvalue()
    assert capsys.readouterr().err == ""


def test_a_notebook_sees_a_bar(monkeypatch, capsys):
    monkeypatch.setattr(module, "in_notebook", lambda: True)

    list(progress(iter("abc"), "fitting", total=3))

    assert "/3 [" in capsys.readouterr().out


@pytest.mark.parametrize("silence", ["pipe", "switch"])
def test_silence_where_nobody_watches(silence, monkeypatch, capsys):
    if silence == "switch":
        monkeypatch.setattr(module, "in_notebook", lambda: True)
        monkeypatch.setenv("VHLIB_PROGRESS", "off")

    assert list(progress(range(3), "fitting")) == [0, 1, 2]

    assert capsys.readouterr() == ("", "")


def test_this_process_is_no_kernel():
    assert not module.in_notebook()
