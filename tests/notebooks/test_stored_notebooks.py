"""What a reader of the stored notebooks may rely on; nbval runs the cells themselves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from vhlib.course.building import build_course
from vhlib.course.editions import CHECKED_MARK, WIDGET_VIEW, code_cells, lecture_sources

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = [source.with_suffix(".ipynb") for source in lecture_sources(ROOT)]
MAX_BYTES, MAX_BYTES_TOGETHER = 1.5e6, 25e6


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request) -> nbformat.NotebookNode:
    """Each stored notebook in turn."""
    return nbformat.read(request.param, as_version=4)


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """All outputs of a notebook."""
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def undescribed_pictures(notebook: nbformat.NotebookNode) -> list[str]:
    """The kinds of the pictures that carry no alternative text."""
    return [
        kind
        for output in outputs(notebook)
        for kind in output.get("data", {})
        if kind.startswith("image/") and not output.metadata.get(kind, {}).get("alt", "").strip()
    ]


def uncompared_cells(notebook: nbformat.NotebookNode) -> list[str]:
    """Checked cells that nbval would pass without comparing anything."""
    checked = [cell for cell in code_cells(notebook) if CHECKED_MARK in cell.source]
    return [cell.id for cell in checked if not (cell.execution_count and cell.outputs)]


def test_sources_and_notebooks_agree():
    build_course(ROOT, check=True)


def test_checked_cells_have_something_to_compare(notebook):
    assert any(CHECKED_MARK in cell.source for cell in code_cells(notebook))
    assert uncompared_cells(notebook) == []


def test_every_code_cell_has_run_in_order(notebook):
    counts = [cell.execution_count for cell in code_cells(notebook)]

    assert counts == list(range(1, len(counts) + 1))


def test_no_output_is_an_error_or_stderr(notebook):
    kinds = {output.get("name", output.output_type) for output in outputs(notebook)}

    assert kinds <= {"stdout", "display_data", "execute_result"}


def test_no_widget_is_stored(notebook):
    assert "widgets" not in notebook.metadata
    assert not any(WIDGET_VIEW in output.get("data", {}) for output in outputs(notebook))


def test_every_picture_is_described(notebook):
    assert undescribed_pictures(notebook) == []


def test_notebooks_are_light():
    sizes = {path.name: path.stat().st_size for path in NOTEBOOKS}

    assert {name: size for name, size in sizes.items() if size > MAX_BYTES} == {}
    assert sum(sizes.values()) <= MAX_BYTES_TOGETHER


def test_planted_faults_are_found(notebook):
    picture = nbformat.v4.new_output("display_data", {"image/png": "", "text/plain": "a figure"})
    silent = nbformat.v4.new_code_cell(f"{CHECKED_MARK}\nprint(1)")
    drawn = nbformat.v4.new_code_cell("draw()", outputs=[picture])
    notebook.cells += [silent, drawn]

    assert uncompared_cells(notebook) == [silent.id]
    assert undescribed_pictures(notebook) == ["image/png"]


@pytest.mark.parametrize(("stored", "code"), [("2\n", 0), ("3\n", 1)])
def test_nbval_compares_checked_outputs(tmp_path, stored, code):
    """The plugin as pyproject sets it up passes a right stored output and fails a wrong one."""
    output = nbformat.v4.new_output("stream", name="stdout", text=stored)
    source = f"{CHECKED_MARK}\nprint(1 + 1)"
    cell = nbformat.v4.new_code_cell(source, execution_count=1, outputs=[output])
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "sum.ipynb")

    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--rootdir=."]
    command += ["-c", "pyproject.toml", str(tmp_path / "sum.ipynb")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == code, done.stdout + done.stderr
