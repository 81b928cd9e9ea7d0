"""Sliders redraw; a page without a kernel keeps a described picture."""

from __future__ import annotations

from base64 import b64decode

import matplotlib.pyplot as plt
import pytest
from ipywidgets import IntSlider

from vhlib.notebook import controls
from vhlib.notebook.controls import WIDGET_VIEW, explore


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
