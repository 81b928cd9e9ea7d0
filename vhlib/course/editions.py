"""The stored notebooks, made from their py:percent sources: ``vh build`` and ``vh build --check``.

A source ``NN_name.py`` says everything that a person wrote; ``NN_name.ipynb`` beside it adds what
one run on one core printed and drew. Both are committed, and only the source is edited.

In a source, ``{{repository}}`` stands for the address in pyproject.toml, ``{{colab}}`` for the
address that opens this notebook in Colab, and ``{{graded}}`` for :data:`GRADED`.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from vhlib.files import write_atomically

CHECKED_MARK = "# NBVAL_CHECK_OUTPUT"
"""The comment in a cell whose stored output the tests compare with a fresh run's."""

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
CELL_TIMEOUT_S = 300

UNNAMED = "OWNER/REPOSITORY"
"""Stands in pyproject.toml until somebody publishes the course."""

GRADED = (
    "Graders run your own cells and the one that imports numpy, no others: a function has no name "
    "that another cell of the sheet makes, and no `vhlib`, `smplx` or `roma`."
)
"""What every sheet tells of how it is graded."""

EDITIONS = {"solutions": "exercises"}
"""Folder of sources -> folder of what readers open, where that is another one."""


def build_lecture(source: Path, root: Path) -> None:
    """Run one notebook source and store the notebook beside it.

    Raises:
        ValueError: a cell failed or wrote to stderr.
    """
    write_notebook(run_notebook(read_source(source, root), source), stored(source))


def chosen(sources: list[Path], only: Sequence[Path]) -> list[Path]:
    """Those of ``sources`` that ``only`` names; all of them if it names none.

    A notebook and a sheet may share a name: a path with a folder takes one, a bare name both.

    Raises:
        FileNotFoundError: one of ``only`` names no source.
    """
    named = [[source for source in sources if _names(path, source)] for path in only]
    for path, found in zip(only, named, strict=True):
        if not found:
            known = ", ".join(source.stem for source in sources)
            raise FileNotFoundError(f"no notebook {path.stem}: there are {known}")
    return [source for source in sources if not only or any(source in found for found in named)]


def _names(path: Path, source: Path) -> bool:
    """Whether ``path``, in its folder if it has one, means ``source`` or a notebook made of it."""
    folder = path.resolve().parent.name if len(path.parts) > 1 else source.parent.name
    if folder == "exercises":
        folder = "solutions"
    return (folder, path.stem) == (source.parent.name, source.stem)


def lecture_sources(root: Path) -> list[Path]:
    """The sources ``notebooks/NN_name.py`` in order, none of them missing beside its notebook."""
    folder = root / "notebooks"
    sources = sorted(folder.glob("[0-9][0-9]_*.py"))
    if not sources:
        raise FileNotFoundError(f"there are no notebooks/NN_name.py in {root}: run in the checkout")
    orphans = set(folder.glob("*.ipynb")) - {stored(source) for source in sources}
    for orphan in sorted(orphans):
        raise ValueError(f"{orphan} has no source {orphan.with_suffix('.py').name}")
    return sources


def stored(source: Path) -> Path:
    """Where the notebook made from ``source`` lies."""
    return source.with_suffix(".ipynb")


def read_source(source: Path, root: Path) -> NotebookNode:
    """The notebook that ``source`` describes: not run, with stable cell ids and plain metadata."""
    page = f"{EDITIONS.get(source.parent.name, source.parent.name)}/{stored(source).name}"
    text = stamp(source.read_text(encoding="utf-8"), repository_address(root), page)
    notebook = jupytext.reads(text, fmt="py:percent")
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for cell, cell_id in zip(notebook.cells, content_ids(notebook.cells), strict=True):
        cell.id = cell_id
    nbformat.validate(notebook)
    return notebook


def repository_address(root: Path) -> str:
    """The repository's address, which stands once, in pyproject.toml."""
    pyproject = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    return pyproject["project"]["urls"]["Repository"]


def warn_of_no_repository(root: Path) -> None:
    """Say on stderr, in a line, that what is written leads to an address that nobody has."""
    address = repository_address(root)
    if address.endswith(UNNAMED):
        told = f"links and Colab's badges lead to {address}: put yours into pyproject.toml"
        print(f"{told}, then vh build", file=sys.stderr)


def stamp(text: str, repository: str, page: str) -> str:
    """Put what all have alike into a source; ``page`` is the notebook's path in the repository."""
    owner = repository.removeprefix("https://github.com/")
    colab = f"https://colab.research.google.com/github/{owner}/blob/main/{page}"
    for name, words in (("repository", repository), ("colab", colab), ("graded", GRADED)):
        text = text.replace(f"{{{{{name}}}}}", words)
    return text


def content_ids(cells: list[NotebookNode]) -> list[str]:
    """An id for each cell from its content alone, so that an edit changes only its own cell's.

    Cells with equal content are told apart by their order among one another.
    """
    seen: dict[str, int] = {}
    ids = []
    for cell in cells:
        content = f"{cell.cell_type}\n{cell.source}"
        seen[content] = seen.get(content, 0) + 1
        ids.append(hashlib.sha256(f"{content}\n{seen[content]}".encode()).hexdigest()[:12])
    return ids


def run_notebook(notebook: NotebookNode, source: Path) -> NotebookNode:
    """Run ``notebook`` and keep what a reader without a kernel should see.

    Raises:
        ValueError: a cell raised, or wrote to stderr.
    """
    execute(notebook, source)
    for cell in code_cells(notebook):
        cell.outputs = [light for output in cell.outputs if (light := lightened(output))]
        cell.metadata.pop("execution", None)
    notebook.metadata.pop("widgets", None)
    notebook.metadata.language_info = nbformat.from_dict({"name": "python"})
    return notebook


def execute(notebook: NotebookNode, source: Path) -> None:
    """Run ``notebook`` in place, on one core in its source's folder, widgets' state kept.

    Raises:
        ValueError: a cell raised, or wrote to stderr.
    """
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_S,
        kernel_name="python3",
        resources={"metadata": {"path": str(source.parent)}},
        record_timing=False,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
    )
    try:
        client.execute(env=os.environ | {"OMP_NUM_THREADS": "1", "VHLIB_PROGRESS": "off"})
    except CellExecutionError as error:
        raise ValueError(f"{source}: a cell raised {error.ename}: {error.evalue}") from error
    for cell in code_cells(notebook):
        for output in cell.outputs:
            if output.get("name") == "stderr":
                raise ValueError(f"{source}: a cell wrote to stderr: {output.text.strip()!r}")


def lightened(output: NotebookNode) -> NotebookNode | None:
    """``output`` without its live widget, which a stored page can't show; None if that was all."""
    data = output.get("data", {})
    if WIDGET_VIEW not in data:
        return output
    still = {kind: value for kind, value in data.items() if kind != WIDGET_VIEW}
    shows_something = any(kind != "text/plain" for kind in still)
    return nbformat.from_dict({**output, "data": still}) if shows_something else None


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The cells that run."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def write_notebook(notebook: NotebookNode, path: Path) -> None:
    """Store ``notebook`` atomically, byte for byte the same for the same content."""
    with write_atomically(path) as file:
        file.write((nbformat.writes(notebook, version=4).rstrip("\n") + "\n").encode())


def check_edition(source: Path, root: Path) -> None:
    """Compare a stored notebook's cells with its source, and see that its checked cells have run.

    Raises:
        ValueError: they differ; the message names the notebook and the cell.
    """
    path = stored(source)
    if not path.is_file():
        raise ValueError(f"{path} is missing: run vh build")
    ours, theirs = nbformat.read(path, as_version=4), read_source(source, root)
    if len(ours.cells) != len(theirs.cells):
        counts = f"{len(ours.cells)} cells, {source.name} has {len(theirs.cells)}"
        raise ValueError(f"{path} has {counts}: run vh build")
    for number, (cell, written) in enumerate(zip(ours.cells, theirs.cells, strict=True), start=1):
        for field in ("cell_type", "source", "id", "metadata"):
            if cell[field] != written[field]:
                raise ValueError(
                    f"{path}, cell {number}: its {field} isn't that of {source.name}: run vh build"
                )
        if CHECKED_MARK in cell.source and not (cell.execution_count and cell.outputs):
            raise ValueError(f"{path}, cell {number}: a checked cell has no output: run vh build")
