"""Figures are displayed with their description, once, and small."""

from __future__ import annotations

import io
from base64 import b64decode

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from vhlib.notebook import figures
from vhlib.notebook.figures import show, show_photo


@pytest.fixture
def displayed(monkeypatch) -> list[dict]:
    """What reached the page."""
    page = []

    def record(content, metadata, raw):
        assert raw
        page.append({"content": content, "metadata": metadata})

    monkeypatch.setattr(figures, "display", record)
    return page


def noise_figure() -> plt.Figure:
    figure, axes = plt.subplots(figsize=(4, 4))
    axes.imshow(np.random.default_rng(0).random((400, 400, 3)))
    return figure


@pytest.mark.parametrize(("shown", "kind"), [(show, "png"), (show_photo, "jpeg")])
def test_a_figure_carries_its_description(displayed, shown, kind):
    figure = noise_figure()

    shown(figure, alt="Colourful noise")

    (page,) = displayed
    assert page["content"]["text/plain"] == "Colourful noise"
    assert page["metadata"] == {f"image/{kind}": {"alt": "Colourful noise"}}
    picture = Image.open(io.BytesIO(b64decode(page["content"][f"image/{kind}"])))
    assert picture.format == kind.upper()
    assert not plt.fignum_exists(figure.number)


def test_a_photo_is_smaller_than_a_drawing_of_it(displayed):
    show(noise_figure(), alt="Noise")
    show_photo(noise_figure(), alt="Noise")

    drawing, photo = (len(max(page["content"].values(), key=len)) for page in displayed)
    assert photo < drawing / 2


def test_a_figure_without_words_is_refused(displayed):
    with pytest.raises(ValueError, match="alternative text"):
        show(noise_figure(), alt=" ")

    assert displayed == []
    plt.close("all")
