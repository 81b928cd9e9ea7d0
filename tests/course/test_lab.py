"""What ``vh lab`` asks of JupyterLab."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from vhlib.course.lab import SETTINGS, lab_arguments

NOTEBOOK = Path("notebooks/00_start_here.ipynb")


@pytest.fixture
def course(tmp_path, monkeypatch) -> Path:
    """A folder with a first notebook, and this process in it."""
    (tmp_path / NOTEBOOK).parent.mkdir()
    (tmp_path / NOTEBOOK).write_text("{}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_notebook_is_opened_in_the_course_folder(course):
    arguments = lab_arguments(NOTEBOOK, port=None, browser=True)

    assert f"--ServerApp.root_dir={course}" in arguments
    assert "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb" in arguments
    assert "--no-browser" not in arguments


def test_an_absolute_path_opens_the_same(course):
    assert lab_arguments(course / NOTEBOOK, None, True) == lab_arguments(NOTEBOOK, None, True)


def test_port_and_browser(course):
    arguments = lab_arguments(NOTEBOOK, port=9999, browser=False)

    assert {"--ServerApp.port=9999", "--no-browser"} <= set(arguments)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="Windows has no superuser id")
@pytest.mark.parametrize("uid", [0, 1000])
def test_root_is_allowed_only_to_root(course, monkeypatch, uid):
    monkeypatch.setattr(os, "getuid", lambda: uid)

    assert ("--allow-root" in lab_arguments(NOTEBOOK, None, True)) == (uid == 0)


def test_a_missing_notebook_names_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(FileNotFoundError, match="run vh lab in the folder of the course"):
        lab_arguments(NOTEBOOK, None, True)


def test_a_notebook_elsewhere_is_refused(course, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "a.ipynb"
    elsewhere.write_text("{}")

    with pytest.raises(ValueError, match="outside"):
        lab_arguments(elsewhere, None, True)


def test_lab_fetches_no_news():
    overrides = json.loads((SETTINGS / "labconfig/default_setting_overrides.json").read_text())

    assert overrides["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"
