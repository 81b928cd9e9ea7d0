"""A newcomer's first minute: ``vh lab`` opens the first notebook, Run All draws a picture."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import BROKEN_NOTEBOOK
from vhlib.data import four_cameras

pytestmark = pytest.mark.browser

RUN_TIMEOUT_MS = 180_000


def run_all(page: Page) -> None:
    """Run all cells through Lab's own menu, and wait until the last one has its number."""
    cells = page.locator(".jp-Notebook .jp-Cell")
    idle = page.get_by_text("Python 3 (ipykernel) | Idle")
    prompts = page.locator(".jp-CodeCell .jp-InputPrompt")
    idle.wait_for()
    expect(page.locator(".jp-OutputArea-output")).to_have_count(0)

    cells.first.click()  # the menu acts on the tab that has the focus
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    expect(prompts.first).not_to_have_text("[ ]:")
    expect(prompts.last).to_have_text(re.compile(r"\[\d+\]:"), timeout=RUN_TIMEOUT_MS)
    idle.wait_for()


def faults(page: Page) -> Locator:
    """What a newcomer must never see: tracebacks and stderr."""
    return page.locator("[data-mime-type*='error'], [data-mime-type*='stderr']")


@pytest.mark.real_data
def test_run_all_shows_the_fit(lab, page, tmp_path):
    page.goto(lab.page_of("00_start_here.ipynb"))
    run_all(page)

    pictures = page.locator(".jp-RenderedImage img")
    pictures.first.scroll_into_view_if_needed()
    assert pictures.first.evaluate("image => image.naturalWidth") > 100
    expect(faults(page)).to_have_count(0)
    expect(page.locator(".jp-Dialog, .jp-toastContainer [role=alert]")).to_have_count(0)
    check_sliders(page)
    check_upload(page, tmp_path)


def check_sliders(page: Page) -> None:
    """Another focal length draws another picture."""
    control = page.locator(".jp-OutputArea-output", has=page.locator(".widget-dropdown"))
    picture = control.locator("img.widget-image")
    before = picture.get_attribute("src")
    control.locator("select").select_option("1.0")
    expect(picture).not_to_have_attribute("src", before, timeout=RUN_TIMEOUT_MS)


def check_upload(page: Page, folder: Path) -> None:
    """A photo of one's own is fitted; what isn't a photo is answered in words."""
    control = page.locator(".jp-OutputArea-output", has=page.locator(".widget-upload"))
    picture, words = control.locator("img.widget-image"), control.locator(".widget-html-content")
    before = picture.get_attribute("src")
    for name, photo in (("no.jpg", None), ("yes.jpg", four_cameras.load().frame(3, 20))):
        if photo is None:
            (folder / name).write_text("hello")
        else:
            Image.fromarray(photo).save(folder / name)
        with page.expect_file_chooser() as chooser:
            control.locator(".widget-upload").click()
        chooser.value.set_files(folder / name)
        if photo is None:
            expect(words).to_contain_text("no.jpg isn't a picture", timeout=RUN_TIMEOUT_MS)
            assert picture.get_attribute("src") == before
        else:
            expect(picture).not_to_have_attribute("src", before, timeout=RUN_TIMEOUT_MS)
            expect(words).to_have_text("")


def test_a_planted_fault_is_seen(lab, page):
    page.goto(lab.page_of(BROKEN_NOTEBOOK))
    run_all(page)

    expect(faults(page)).to_have_count(2)


def test_lab_answers_soon(lab):
    assert lab.seconds_to_start < 15
