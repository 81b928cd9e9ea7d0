"""The notebooks with the oldest versions that the course promises to bear: Colab's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from vhlib.course.editions import execute, lecture_sources, read_source

ROOT = Path(__file__).resolve().parents[2]
SOURCES = lecture_sources(ROOT)
SAMPLED = "00_start_here"
BOUNDS = {
    "ipywidgets": "7.7.1",
    "jupyterlab_widgets": "1.1.11",
    "widgetsnbextension": "3.6.10",
    "ipython_genutils": "0.2.0",
    "plotly": "5.24.1",
    "numpy": "2.1.3",
    "anywidget": "0.9.0",
    "psygnal": "0.11.1",
}


@pytest.fixture(scope="module")
def colab_packages(tmp_path_factory) -> Path:
    """A folder with those versions, for the front of the path."""
    folder = tmp_path_factory.mktemp("colab")
    wanted = [f"{name}=={version}" for name, version in BOUNDS.items()]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    done = subprocess.run([*command, folder, *wanted], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no package registry to take Colab's versions from: {done.stderr[-200:]}")
    return folder


def sampled_in_the_default_run(source: Path) -> object:
    """The one that everybody opens runs always, all of them with ``make test-all``."""
    marks = [] if source.stem == SAMPLED else [pytest.mark.slow]
    return pytest.param(source, id=source.stem, marks=marks)


@pytest.mark.parametrize("source", [sampled_in_the_default_run(one) for one in SOURCES])
def test_it_runs_with_colab_s_versions(source, colab_packages, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (colab_packages, ROOT))))
    notebook = read_source(source, ROOT)
    versions = nbformat.v4.new_code_cell(
        "import anywidget, ipywidgets, numpy, plotly\n"
        "print(*(one.__version__ for one in (ipywidgets, plotly, numpy, anywidget)))"
    )
    notebook.cells.append(versions)

    execute(notebook, source)  # raises where a cell fails or writes to stderr

    expected = [BOUNDS[name] for name in ("ipywidgets", "plotly", "numpy", "anywidget")]
    assert versions.outputs[0].text.split() == expected
    names = {widget["model_name"] for widget in widgets_of(notebook)}
    assert names & {"ImageModel", "AnyModel"}  # live controls, not only their pictures


def widgets_of(notebook: nbformat.NotebookNode) -> list[dict]:
    """What the kernel told of its widgets."""
    stored = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]
    return list(stored["state"].values())
