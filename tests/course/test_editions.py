"""Building notebooks from their sources, and finding where they drift apart."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest

from vhlib.course.building import build_course as build
from vhlib.course.editions import (
    GRADED,
    WIDGET_VIEW,
    code_cells,
    content_ids,
    lightened,
    stamp,
    warn_of_no_repository,
)

SOURCE = """\
# %% [markdown]
# # Sums
# [Open in Colab]({{colab}})

# %% tags=["real_data"]
print(2)

# %%
# NBVAL_CHECK_OUTPUT
print(1 + 1)
"""


@pytest.fixture(scope="module")
def built_once(tmp_path_factory):
    """A checkout with one notebook source, built."""
    checkout = tmp_path_factory.mktemp("checkout")
    (checkout / "pyproject.toml").write_text(
        '[project.urls]\nRepository = "https://github.com/ada/course"\n'
    )
    (checkout / "notebooks").mkdir()
    (checkout / "notebooks" / "01_sums.py").write_text(SOURCE)
    build(checkout)
    return checkout


@pytest.fixture
def built(built_once, tmp_path):
    """A copy of it to spoil."""
    return Path(shutil.copytree(built_once, tmp_path / "checkout"))


def read(checkout) -> nbformat.NotebookNode:
    return nbformat.read(checkout / "notebooks" / "01_sums.ipynb", as_version=4)


def test_a_built_notebook_holds_source_and_output(built):
    title, tagged, checked = read(built).cells

    assert "colab.research.google.com/github/ada/course/blob/main/notebooks/01_sums" in title.source
    assert tagged.metadata.tags == ["real_data"]
    assert checked.execution_count == 2
    assert checked.outputs[0].text == "2\n"
    assert build(built, check=True) == "checked 1 notebook"


def test_a_rebuild_changes_no_byte(built):
    before = (built / "notebooks" / "01_sums.ipynb").read_bytes()

    build(built)

    assert (built / "notebooks" / "01_sums.ipynb").read_bytes() == before
    assert sorted(path.name for path in (built / "notebooks").iterdir()) == [
        "01_sums.ipynb",
        "01_sums.py",
    ]


def test_only_the_notebooks_that_are_named_are_built(built):
    source = built / "notebooks" / "01_sums.py"
    broken = built / "notebooks" / "02_broken.py"
    broken.write_text("# %%\n1 / 0\n")

    assert build(built, only=[source]) == "built 1 notebook"
    assert not broken.with_suffix(".ipynb").exists()
    with pytest.raises(FileNotFoundError, match="no notebook 03_missing: there are 01_sums, 02_b"):
        build(built, only=[built / "notebooks" / "03_missing.py"])


def rewrite(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("01_sums.py", "1 + 1", "1 + 2", "cell 3: its source"),
        ("01_sums.py", "# %% [markdown]", "# %%", "cell 1: its cell_type"),
        ("01_sums.py", ' tags=["real_data"]', "", "cell 2: its metadata"),
        ("01_sums.py", "print(2)\n", "print(2)\n\n# %%\n3\n", "has 3 cells, 01_sums.py has 4"),
        ("01_sums.ipynb", '"execution_count": 2', '"execution_count": null', "has no output"),
    ],
)
def test_drift_is_found(built, name, old, new, message):
    rewrite(built / "notebooks" / name, old, new)

    with pytest.raises(ValueError, match=r"01_sums\.ipynb.*run vh build") as error:
        build(built, check=True)

    assert message in str(error.value)


def test_a_notebook_without_its_other_half_is_found(built):
    (built / "notebooks" / "02_left.ipynb").write_text("{}")
    with pytest.raises(ValueError, match=r"02_left\.ipynb has no source 02_left\.py"):
        build(built, check=True)

    (built / "notebooks" / "02_left.ipynb").unlink()
    (built / "notebooks" / "01_sums.ipynb").unlink()
    with pytest.raises(ValueError, match="is missing: run vh build"):
        build(built, check=True)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 / 0", "a cell raised ZeroDivisionError"),
        ("import sys; sys.stderr.write('stain')", "wrote to stderr: 'stain'"),
    ],
)
def test_a_failing_cell_leaves_the_stored_notebook_alone(built, line, message):
    before = read(built)
    rewrite(built / "notebooks" / "01_sums.py", "print(2)", line)

    with pytest.raises(ValueError, match=message):
        build(built)

    assert read(built) == before


def test_ids_follow_content_not_position():
    def cells(*sources):
        return [nbformat.v4.new_code_cell(source) for source in sources]

    a, b = content_ids(cells("a", "b"))

    assert content_ids(cells("new", "b", "a"))[1:] == [b, a]
    assert len(set(content_ids(cells("a", "a", "a")))) == 3


def test_a_stored_output_holds_no_live_widget():
    def output(**data):
        return nbformat.v4.new_output("display_data", data)

    slider = output(**{WIDGET_VIEW: {"model_id": "1"}, "text/plain": "IntSlider()"})
    viewer = output(**{WIDGET_VIEW: {"model_id": "2"}, "image/png": "", "text/plain": "Viewer()"})
    figure = output(**{"image/png": "", "text/plain": "a figure"})

    assert lightened(slider) is None
    assert set(lightened(viewer).data) == {"image/png", "text/plain"}
    assert WIDGET_VIEW in viewer.data
    assert lightened(figure) == figure


def test_addresses_are_stamped():
    stamped = stamp(
        "{{repository}} {{colab}} {{graded}}",
        "https://github.com/ada/course",
        "notebooks/01_sums.ipynb",
    )

    repository, colab, graded = stamped.split(maxsplit=2)
    assert graded == GRADED
    assert repository == "https://github.com/ada/course"
    assert colab.endswith("/github/ada/course/blob/main/notebooks/01_sums.ipynb")


@pytest.mark.parametrize(("owner", "lines"), [("OWNER/REPOSITORY", 1), ("ada/course", 0)])
def test_an_address_of_nobody_is_told(tmp_path, capsys, owner, lines):
    address = f"https://github.com/{owner}"
    (tmp_path / "pyproject.toml").write_text(f'[project.urls]\nRepository = "{address}"\n')

    warn_of_no_repository(tmp_path)

    assert len(capsys.readouterr().err.splitlines()) == lines


def test_markdown_cells_do_not_run(built):
    assert len(code_cells(read(built))) == 2
