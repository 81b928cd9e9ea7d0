"""A newcomer's first minute: ``vh lab`` opens the first notebook, Run All draws a picture."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

RUN_TIMEOUT_MS = 180_000


def run_all(page: Page) -> None:
    """Run all cells through Lab's own menu, and wait until the last one has its number."""
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    kernel = page.locator(".jp-NotebookPanel .jp-Notebook-ExecutionIndicator")
    expect(kernel).to_have_attribute("data-status", "idle")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    # Lab draws only the cells near the window: after the run the last one is in it.
    last = page.locator(".jp-CodeCell .jp-InputPrompt").last
    expect(last).to_have_text(re.compile(r"\[\d+\]:"), timeout=RUN_TIMEOUT_MS)
    expect(kernel).to_have_attribute("data-status", "idle", timeout=RUN_TIMEOUT_MS)


@pytest.mark.real_data
def test_run_all_shows_the_fit(lab, page, take_picture):
    page.goto(lab.page_of("00_start_here.ipynb"))
    assert page.locator(".jp-OutputArea-output").count() == 0
    run_all(page)

    pictures = page.locator(".jp-RenderedImage img")
    pictures.first.scroll_into_view_if_needed()
    take_picture("start_here")

    assert pictures.first.evaluate("image => image.naturalWidth") > 100
    assert page.locator("[data-mime-type*='error'], [data-mime-type*='stderr']").count() == 0
    assert page.locator(".jp-Dialog, .jp-toastContainer [role=alert]").count() == 0


@pytest.mark.real_data
def test_a_failing_cell_would_be_seen(lab, page, take_picture):
    """The selector by which the test above finds errors does find one."""
    page.goto(lab.page_of("00_start_here.ipynb"))
    page.locator(".jp-CodeCell .jp-InputArea-editor").first.click()
    page.keyboard.press("Control+A")
    page.keyboard.type("1 / 0")
    page.keyboard.press("Control+Enter")

    expect(page.locator("[data-mime-type*='error'], [data-mime-type*='stderr']")).to_have_count(1)


def test_lab_answers_soon(lab):
    assert lab.seconds_to_start < 15
