"""Keypoints are dragged in JupyterLab, and the fit follows."""

from __future__ import annotations

import re

import nbformat
import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.test_lab import run_all

pytestmark = pytest.mark.browser

NOTEBOOK = "keypoints.ipynb"
ANSWER_TIMEOUT_MS = 60_000
STEPS = 20
CELLS = (
    """
from vhlib.body import SMPL
from vhlib.fitting import fit_smplify
from vhlib.notebook.clips import stand_in_clip
from vhlib.notebook.keypoint_editor import edit_keypoints
from vhlib.notebook.live_fit import LiveFit

smpl, clip = SMPL.load(), stand_in_clip()
""",
    """
def edit(camera_index):
    camera, keypoints = clip.cameras[camera_index], clip.keypoints(camera_index)[49]
    start = fit_smplify(smpl, camera, keypoints).body_parameters
    refit = LiveFit(smpl, camera, start)
    edit_keypoints(clip.frame(camera_index, 49), keypoints, refit, alt="A body balances")


edit(0)
""",
    "edit(1)",
)


@pytest.fixture
def notebook(lab, page) -> Page:
    """A notebook with two editors, run in Lab."""
    cells = [nbformat.v4.new_code_cell(cell.strip()) for cell in CELLS]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), lab.notebooks / NOTEBOOK)
    page.goto(lab.page_of(NOTEBOOK))
    run_all(page)
    return page


def editor(page: Page, number: int) -> Locator:
    """One of the editors, in sight."""
    found = page.locator(".vhlib-keypoint-editor").nth(number)
    found.locator(".stage").scroll_into_view_if_needed()
    expect(found.locator("img.overlay")).to_be_visible()
    return found


def settle(edited: Locator) -> None:
    """Wait until the answer to the last move is drawn."""
    expect(edited).to_have_attribute("aria-busy", "false", timeout=ANSWER_TIMEOUT_MS)


def lines(edited: Locator, kind: str) -> list[list[float]]:
    """The ends of the drawn lines."""
    return edited.locator(f"line.{kind}").evaluate_all(
        "lines => lines.map(l => ['x1', 'y1', 'x2', 'y2'].map(a => Number(l.getAttribute(a))))"
    )


def moved(before: list[list[float]], after: list[list[float]]) -> float:
    """How far the end that moved most has moved, pixels of the photo."""
    return float(np.abs(np.array(before) - np.array(after)).max())


def drag(page: Page, edited: Locator, name: str, right: int, down: int) -> None:
    """Drag a point by so many pixels of the screen, slowly enough for answers on the way."""
    box = edited.get_by_role("button", name=name).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for step in range(1, STEPS + 1):
        page.mouse.move(x + right * step / STEPS, y + down * step / STEPS)
        page.wait_for_timeout(30)
    page.mouse.up()
    settle(edited)


def test_the_fit_follows_mouse_and_keys(notebook):
    page = notebook
    first, second = editor(page, 0), editor(page, 1)
    untouched, start = lines(second, "fit"), lines(editor(page, 0), "fit")
    words = first.locator(".words").inner_text()

    drag(page, first, "right wrist", -40, 30)

    assert moved(start, lines(first, "fit")) > 20
    assert first.locator(".words").inner_text() != words
    assert re.fullmatch(r"refit in \d+ ms\nenergy \d+ = .*", first.locator(".words").inner_text())
    assert lines(second, "fit") == untouched
