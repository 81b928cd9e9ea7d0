"""Sliders redraw; a page without a kernel keeps a described picture."""

from __future__ import annotations

from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from ipywidgets import Checkbox, FileUpload, IntSlider, VBox

from vhlib.notebook import controls
from vhlib.notebook.controls import (
    WIDGET_VIEW,
    explore,
    step_through,
    switches,
    upload_photo,
    uploaded_files,
)


@pytest.fixture
def displayed(monkeypatch) -> list[tuple[dict, dict]]:
    page = []
    monkeypatch.setattr(
        controls, "display", lambda content, metadata, raw: page.append((content, metadata))
    )
    return page


def drawer(calls: list[int]):
    def draw(size: int) -> plt.Figure:
        calls.append(size)
        figure, axes = plt.subplots(figsize=(2, 2))
        axes.plot(range(size))
        return figure

    return draw


def test_the_page_gets_a_live_view_and_a_still_picture(displayed):
    explore(drawer([]), alt="A line", size=IntSlider(3))

    ((content, metadata),) = displayed
    assert content[WIDGET_VIEW]["model_id"]
    assert b64decode(content["image/jpeg"]).startswith(b"\xff\xd8")
    assert content["text/plain"] == metadata["image/jpeg"]["alt"] == "A line"


def test_moving_a_control_redraws(displayed):
    calls, slider = [], IntSlider(3)
    explore(drawer(calls), alt="A line", size=slider)

    slider.value = 7

    assert calls == [3, 7]
    assert plt.get_fignums() == []


def test_a_picture_without_words_is_refused(displayed):
    with pytest.raises(ValueError, match="alternative text"):
        explore(drawer([]), alt="", size=IntSlider(3))

    assert displayed == []


@pytest.fixture
def widgets(monkeypatch) -> list[VBox]:
    """The live widgets that reached the page: controls, words and picture."""
    page = []
    monkeypatch.setattr(controls, "display_widget", lambda widget, still, alt: page.append(widget))
    return page


def test_what_draw_refuses_after_a_move_is_said(widgets):
    def draw(size: int) -> plt.Figure:
        if size > 5:
            raise ValueError("at most <5>")
        return drawer([])(size)

    slider = IntSlider(3)
    explore(draw, alt="A line", size=slider)
    _, words, picture = widgets[0].children
    before = picture.value

    assert words.layout.display == "none"
    slider.value = 7
    assert (words.value, picture.value) == ("at most &lt;5&gt;", before)
    assert words.layout.display is None
    slider.value = 4
    assert (words.value, words.layout.display) == ("", "none")
    assert picture.value != before


def test_a_first_picture_that_is_refused_stops_the_cell(displayed):
    def draw(size: int) -> plt.Figure:
        raise ValueError("never")

    with pytest.raises(ValueError, match="never"):
        explore(draw, alt="A line", size=IntSlider(3))


def test_switches_are_on_and_reach_draw_by_name(displayed):
    calls, terms = [], switches("pose_prior", "bending", off=["bending"])

    def draw(**on: bool) -> plt.Figure:
        calls.append(on)
        return plt.subplots(figsize=(2, 2))[0]

    explore(draw, alt="Terms", **terms)
    terms["bending"].value = True

    assert calls == [{"pose_prior": True, "bending": False}, {"pose_prior": True, "bending": True}]
    assert isinstance(terms["bending"], Checkbox)
    assert terms["pose_prior"].description == "pose prior"


def test_a_switch_that_is_not_there_cannot_be_off():
    with pytest.raises(ValueError, match="no switch is called depth, the switches are bending"):
        switches("bending", off=["depth"])


def test_steps_are_drawn_once_and_named(widgets):
    calls = []
    step_through(drawer(calls), ["start", "half way", "end"], alt="A line", start=1)
    row, _, picture = widgets[0].children
    play, slider, name = row.children
    assert bytes(picture.value[:2]) == b"\xff\xd8"

    for step in (2, 1, 2, 0):
        slider.value = step

    assert calls == [1, 2, 0]
    assert name.value == "start"
    assert (play.min, play.max) == (slider.min, slider.max) == (0, 2)


@pytest.mark.parametrize("start", [-1, 2])
def test_a_step_that_is_not_there_is_refused(displayed, start):
    with pytest.raises(ValueError, match=f"there is no step {start}, the 2 steps"):
        step_through(drawer([]), ["a", "b"], alt="A line", start=start)


@pytest.fixture
def buttons(monkeypatch) -> list[FileUpload]:
    """The upload buttons that ``upload_photo`` made."""
    made = []

    def button(**options) -> FileUpload:
        made.append(FileUpload(**options))
        return made[-1]

    monkeypatch.setattr(controls, "FileUpload", button)
    return made


def chosen(name: str, content: bytes) -> tuple[dict]:
    """What the browser sends for one file."""
    file = {"name": name, "type": "image/png", "size": len(content), "content": content}
    return (file | {"last_modified": datetime.now(UTC)},)


def photographer(seen: list[tuple[str, bytes]]):
    def draw(path: Path) -> plt.Figure:
        seen.append((path.name, path.read_bytes()))
        if path.read_bytes() == b"bad":
            raise ValueError(f"{path.name} isn't a <picture>")
        return plt.subplots(figsize=(2, 2))[0]

    return draw


def test_an_uploaded_photo_is_drawn_and_deleted(displayed, buttons, tmp_path):
    example, seen = tmp_path / "example.png", []
    example.write_bytes(b"first")
    upload_photo(photographer(seen), alt="A photo", example=example)
    ((content, _),) = displayed
    assert b64decode(content["image/jpeg"]).startswith(b"\xff\xd8")

    buttons[0].value = chosen("../mine.png", b"second")

    assert seen == [("example.png", b"first"), ("mine.png", b"second")]
    assert sorted(tmp_path.iterdir()) == [example]
    assert plt.get_fignums() == []


def test_a_photo_that_cannot_be_fitted_is_answered_in_words(displayed, buttons, tmp_path, capsys):
    example = tmp_path / "example.png"
    example.write_bytes(b"bad")
    upload_photo(photographer([]), alt="A photo", example=example)
    assert capsys.readouterr().out == "example.png isn't a <picture>\n"
    ((content, _),) = displayed
    assert "image/jpeg" not in content


def test_both_versions_of_ipywidgets_name_their_files_alike():
    seven = {"a.png": {"metadata": {"name": "a.png"}, "content": b"x"}}
    assert uploaded_files(seven) == uploaded_files(chosen("a.png", b"x")) == [("a.png", b"x")]
