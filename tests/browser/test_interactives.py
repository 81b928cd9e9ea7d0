"""Every control of every notebook, moved once by a reader in JupyterLab: something must change.

One notebook is driven in the default run, all with ``make test-all``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Locator, Page, TimeoutError, expect

from tests.browser.conftest import ROOT, Lab, copy_without_outputs, serve_lab
from tests.browser.test_lab import RUN_TIMEOUT_MS, faults, run_all

pytestmark = [pytest.mark.browser, pytest.mark.real_data]

NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
SAMPLED = "09_optimisers_and_jacobians.ipynb"
# Lab otherwise takes cells out of the page that are out of sight.
WHOLE_PAGES = '{"windowingMode": "none"}'
CONTROLS = ".widget-slider .noUi-handle, .widget-checkbox input, select, .widget-toggle-button"
CHANGE_TIMEOUT_MS = 20_000
# To both ends as well: beside another control's value some of a slider's range may change nothing.
SLIDER_KEYS = "PageUp", "PageUp", "Home", "End", "PageDown", "PageDown"
# What of an output a reader sees change: its picture's address, its words, its drawn canvas.
LOOK = """
output => [
  ...[...output.querySelectorAll("img")].map((one) => one.src),
  ...[...output.querySelectorAll("canvas")].map((one) => one.bodyViewer?.draws ?? ""),
  ...[...output.querySelectorAll(".widget-html-content, .widget-label, .words")].map(
    (one) => one.textContent,
  ),
].join("|")
"""


@pytest.fixture(scope="module")
def whole_lab(tmp_path_factory) -> Iterator[Lab]:
    """``vh lab`` on a copy of the notebooks, which keeps all cells on the page."""
    folder = tmp_path_factory.mktemp("course")
    copy_without_outputs(ROOT / "notebooks", folder / "notebooks")
    settings = folder / ".jupyter" / "settings_dir" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text(WHOLE_PAGES)
    with serve_lab(folder) as running:
        yield running


def sampled_in_the_default_run(name: str) -> object:
    """A notebook as a test's parameter."""
    marks = [] if name == SAMPLED else [pytest.mark.slow]
    return pytest.param(name, id=Path(name).stem, marks=marks)


@pytest.mark.parametrize("name", [sampled_in_the_default_run(name) for name in NOTEBOOKS])
def test_every_control_does_something(name, whole_lab, page):
    page.goto(whole_lab.page_of(name))
    run_all(page)

    outputs = page.locator(".jp-OutputArea-output", has=page.locator(".jupyter-widgets"))
    dead = [label for output in outputs.all() for label in dead_controls(page, output)]

    assert dead == []
    expect(faults(page)).to_have_count(0)
    assert page.locator(f"{CONTROLS}, .vhlib-viewer, .vhlib-keypoint-editor").count() > 0


def dead_controls(page: Page, output: Locator) -> list[str]:
    """The controls in one output that were moved and changed nothing."""
    output.scroll_into_view_if_needed()
    controls = output.locator(CONTROLS).all()
    dead = [describe(one) for one in controls if not moves(page, output, one)]
    if output.locator(".vhlib-viewer").count():
        dead += dead_viewer(page, output)
    if output.locator(".vhlib-keypoint-editor").count():
        dead += dead_editor(page, output)
    return dead


def moves(page: Page, output: Locator, control: Locator) -> bool:
    """Whether one of a control's moves changes what is seen."""
    before = output.evaluate(LOOK)
    for key in SLIDER_KEYS:
        operate(control, key)
        try:
            page.wait_for_function(
                f"([output, before]) => ({LOOK.strip()})(output) !== before",
                arg=[output.element_handle(), before],
                timeout=CHANGE_TIMEOUT_MS / len(SLIDER_KEYS),
            )
        except TimeoutError:
            continue
        else:
            return True
    return False


def operate(control: Locator, key: str) -> None:
    """Press ``key`` on a slider, flip a box, choose the next of a list."""
    kind = control.evaluate("one => one.tagName.toLowerCase()")
    if kind == "select":
        control.evaluate(
            "one => { one.selectedIndex = (one.selectedIndex + 1) % one.options.length;"
            "one.dispatchEvent(new Event('change', { bubbles: true })); }"
        )
    elif kind in ("input", "button"):
        control.click()
    else:
        control.press(key)


def describe(control: Locator) -> str:
    """What a reader would call a control."""
    words = control.evaluate("one => one.closest('.jupyter-widgets')?.textContent ?? ''")
    return re.sub(r"\s+", " ", words).strip() or control.get_attribute("class") or "a control"


def dead_viewer(page: Page, output: Locator) -> list[str]:
    """A body viewer's first slider, moved."""
    slider = output.locator(".vhlib-viewer input[type=range]").first
    if not slider.count():
        return []
    drawn = "one => one.querySelector('canvas').bodyViewer.draws"
    before = output.evaluate(drawn)
    slider.focus()
    slider.press("ArrowRight")
    page.wait_for_timeout(300)
    return [] if output.evaluate(drawn) > before else ["the body's first slider"]


def dead_editor(page: Page, output: Locator) -> list[str]:
    """A keypoint, pushed by an arrow key: the fit's words change."""
    point = output.get_by_role("button", name=re.compile("left knee, "))
    before = output.evaluate(LOOK)
    point.focus()
    for _ in range(5):
        point.press("ArrowRight")
    page.wait_for_timeout(3000)
    return [] if output.evaluate(LOOK) != before else ["a dragged keypoint"]


def test_a_dead_control_is_found(whole_lab, page):
    """A slider that nobody listens to."""
    code = (
        "from ipywidgets import FloatSlider, HTML, VBox\n"
        "VBox([FloatSlider(1.0, description='dead'), HTML('still')])"
    )
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cells = [nbformat.v4.new_code_cell(code)]
    nbformat.write(
        nbformat.v4.new_notebook(cells=cells, metadata=kernel), whole_lab.notebooks / "dead.ipynb"
    )
    page.goto(whole_lab.page_of("dead.ipynb"))
    run_all(page)

    output = page.locator(".jp-OutputArea-output").first
    slider = output.locator(".noUi-handle")
    expect(slider).to_be_visible(timeout=RUN_TIMEOUT_MS)
    assert not moves(page, output, slider)
