"""Notebook 00: its map can't go stale, and it runs with neither network nor cache."""

from __future__ import annotations

import re

import nbformat
import pytest
from nbclient import NotebookClient

from tests.notebooks.test_stored_notebooks import NOTEBOOKS, ROOT
from vhlib.fitting import COLD_START

START = ROOT / "notebooks" / "00_start_here.ipynb"


@pytest.fixture(scope="module")
def notebook() -> nbformat.NotebookNode:
    return nbformat.read(START, as_version=4)


def course_map(notebook: nbformat.NotebookNode) -> dict[str, str]:
    """The rows of the map by notebook number."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return dict(re.findall(r"^\| (\d\d) \| (.*) \|$", text, flags=re.MULTILINE))


def test_the_map_lists_the_whole_course(notebook):
    assert list(course_map(notebook)) == [f"{number:02}" for number in range(24)]


def test_the_map_links_what_is_there_and_marks_the_rest(notebook):
    there = {path.stem[:2]: path.name for path in NOTEBOOKS}
    for number, row in course_map(notebook).items():
        assert (f"({there[number]})" in row) if number in there else ("*(later)*" in row)


def test_the_printed_weights_are_those_of_the_last_stage(notebook):
    symbols = {"pose_prior": r"E_\theta", "bending": "E_a", "shape_prior": r"E_\beta"}
    text = "".join(cell.source for cell in notebook.cells)
    for term, symbol in symbols.items():
        assert f"{COLD_START[-1].weights[term]:g}^2 {symbol}" in text


def test_links_lead_somewhere(notebook):
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert target.startswith("https://") or (START.parent / target).is_file(), target


def test_without_network_and_cache_it_ends_with_a_stand_in(notebook, tmp_path, monkeypatch):
    """A cache that can't be written stands for a machine that can't download."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("VHLIB_CACHE", str(tmp_path / "file" / "cache"))

    NotebookClient(notebook, timeout=300, store_widget_state=False).execute()

    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    lines = [o.text for o in outputs if o.get("name") == "stdout" and "stand-in" in o.text]
    assert len(lines) == 1
    assert lines[0].count("\n") == 1
    assert not [o for o in outputs if o.get("name") == "stderr"]
