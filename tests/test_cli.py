"""The exit codes and messages of ``vh``."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

import pytest
from PIL import Image

from vhlib import cli


@pytest.fixture
def planted(monkeypatch):
    """A command line of one command, ``go``, which runs the given function."""

    def plant(run):
        root = argparse.ArgumentParser(prog="vh")
        root.add_argument("--debug", action="store_true")
        cli.add_command(root.add_subparsers(required=True), "go", run, "a planted command")
        monkeypatch.setattr(cli, "parser", lambda: root)

    return plant


def raiser(error: BaseException):
    def run(_):
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            ValueError("keypoints.json: expected 75 numbers,\n  found 74"),
            "keypoints.json: expected",
        ),
        (FileNotFoundError(2, "No such file or directory", "a.jpg"), "a.jpg: No such file"),
        (OSError("the clip is neither cached nor reachable"), "the clip is neither"),
        (RuntimeError("boom"), "RuntimeError: boom (unexpected; vh --debug shows where)"),
        (ValueError(), "ValueError:  (unexpected"),
        (ModuleNotFoundError("no", name="jupytext"), "needs the package jupytext"),
    ],
)
def test_an_error_is_one_line_and_exit_code_1(planted, capsys, error, line):
    planted(raiser(error))

    assert cli.main(["go"]) == 1

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("vh: ")
    assert line in err
    assert err.count("\n") == 1


def test_debug_shows_the_traceback(planted, capsys):
    planted(raiser(RuntimeError("boom")))

    assert cli.main(["--debug", "go"]) == 1

    assert "Traceback" in capsys.readouterr().err


def test_interrupt_is_130_in_silence(planted, capsys):
    planted(raiser(KeyboardInterrupt()))

    assert cli.main(["go"]) == 130

    assert capsys.readouterr() == ("", "")


def test_a_report_goes_to_stdout(planted, capsys):
    planted(lambda _: "done")

    assert cli.main(["go"]) == 0

    assert capsys.readouterr() == ("done\n", "")


@pytest.mark.parametrize(
    "arguments",
    [[], ["unknown"], ["fit"], ["fit", "a.jpg", "--unknown"], ["fit", "a.jpg", "--person"]],
)
def test_wrong_usage_is_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)

    assert stop.value.code == 2
    assert "usage: vh" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("grade in --out o -j x", "-j is 'x', expected a whole number"),
        ("grade in --out o --keep x", "--keep is 'x', expected best or last"),
        ("lab --port x", "--port is 'x', expected a whole number"),
        ("build-body --seed 1.5", "--seed is '1.5', expected a whole number"),
        ("build-body --gender x", "--gender is 'x', expected neutral or female or male"),
        ("train nope", "NAME is 'nope', expected pose-prior"),
        ("fit a.jpg --person -1e3", "--person is '-1e3', expected a whole number"),
        ("fit a.jpg --focal -1x", "--focal is '-1x', expected a number"),
    ],
)
def test_a_wrong_value_is_1_and_one_line(arguments, line, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    assert cli.main(arguments.split()) == 1

    assert capsys.readouterr() == ("", f"vh: {line}\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("focal", ["-5", "-1e3", "-.5"])
def test_a_negative_value_is_no_option(focal, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("a.jpg")

    assert cli.main(["fit", "a.jpg", "--focal", focal]) == 1

    err = capsys.readouterr().err
    assert err.startswith(f"vh: a focal length of {float(focal):g} pixels isn't plausible")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "command",
    ["lab", "fit", "assets", "assets list", "assets fetch", "convert-model"]
    + ["build-body", "train", "build", "release", "site", "grade"],
)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([*command.split(), "--help"])

    assert stop.value.code == 0
    assert f"usage: vh {command}" in capsys.readouterr().out


def test_the_help_of_fit_names_every_skeleton(capsys):
    from vhlib.body.skeletons import SKELETONS

    with pytest.raises(SystemExit):
        cli.main(["fit", "--help"])

    words = capsys.readouterr().out.replace(",", " ").split()
    assert set(SKELETONS) <= set(words)


def test_help_answers_at_once():
    start = time.perf_counter()
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "vhlib.cli", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    seconds = time.perf_counter() - start

    assert "fit a body to a photo" in loaded.stdout
    assert "torch" not in loaded.stderr
    assert "numpy" not in loaded.stderr
    assert seconds < 2, "0.1 s on an idle machine"


@pytest.mark.parametrize("command", ["lab", "build", "build --check"])
def test_outside_the_checkout(command, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    assert cli.main(command.split()) == 1

    assert str(tmp_path) in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_unknown_asset_names_the_known_ones(capsys):
    assert cli.main(["assets", "fetch", "nothing"]) == 1

    assert "pose2sim" in capsys.readouterr().err


def test_a_reader_who_leaves_is_no_error():
    command = [sys.executable, "-m", "vhlib.cli", "assets", "list"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        process.stdout.close()
        complaint = process.stderr.read()

    assert (process.returncode, complaint) == (0, b"")
