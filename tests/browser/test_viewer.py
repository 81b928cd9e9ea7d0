"""The body viewer in JupyterLab: driven from both sides, after a restart, and reopened."""

from __future__ import annotations

import re

import nbformat
import pytest
from nbformat import NotebookNode
from playwright.sync_api import Locator, Page, expect

from tests.browser.test_keypoint_editor import restart_kernel
from tests.browser.test_lab import faults, run_all
from vhlib.body import SMPL
from vhlib.notebook import controls
from vhlib.notebook.viewer import BodyViewer

pytestmark = pytest.mark.browser

NOTEBOOK, REOPENED = "viewer.ipynb", "viewer_reopened.ipynb"
IN_NOTEBOOK_7 = "viewer_in_notebook_7.ipynb"  # its own, since a notebook keeps its kernel
SECONDS_TO_SHOW = 2
ANSWER_TIMEOUT_MS = 60_000
CELLS = (
    """
from IPython.display import display
from ipywidgets import FloatSlider, Label

from vhlib.body import SMPL
from vhlib.notebook.viewer import BodyViewer

smpl = SMPL.load()
""",
    """
viewer = BodyViewer(smpl, alt="The mean body at rest.", skeleton=True, height=420)
viewer.show()
""",
    """
heard, slider = Label("nothing yet"), FloatSlider(0, min=-4, max=4, description="stature")
viewer.observe(lambda change: setattr(heard, "value", f"{change['new'][0]:.2f}"), "betas")
slider.observe(lambda change: setattr(viewer, "betas", [change["new"]] + [0] * 9), "value")
display(slider, heard)
""",
    """
twin = BodyViewer(smpl, alt="The same body again.", controls=False, height=300)
twin.show()
""",
    """
difference = Label("not asked yet")


def compare(vertices):
    expected = smpl(**vars(viewer.parameters)).vertices
    difference.value = f"{1000 * float((vertices - expected).abs().max()):.3f} mm"


viewer.observe(lambda change: viewer.ask_vertices(compare), "body_pose")
display(difference)
""",
)

# When the second cell has its number, and when its viewer has drawn: milliseconds.
WATCH = """
() => {
  window.times = {};
  const watch = setInterval(() => {
    const prompt = document.querySelectorAll(".jp-CodeCell .jp-InputPrompt")[1];
    if (/\\d/.test(prompt?.textContent)) times.ended ??= performance.now();
    const canvas = document.querySelector(".vhlib-viewer canvas");
    if (canvas?.bodyViewer?.draws) times.drawn ??= performance.now();
    if (times.ended && times.drawn) clearInterval(watch);
  }, 10);
}
"""


def write(path, cells: list[NotebookNode]) -> None:
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)


@pytest.fixture
def notebook(lab, page) -> Page:
    """A notebook with two viewers of one body, opened in Lab and not yet run."""
    cells = [nbformat.v4.new_code_cell(cell.strip()) for cell in CELLS]
    write(lab.notebooks / NOTEBOOK, cells)
    page.set_viewport_size({"width": 1280, "height": 2600})  # Lab takes away cells out of sight
    page.goto(lab.page_of(NOTEBOOK))
    return page


def canvas(page: Page, number: int = 0) -> Locator:
    """A viewer's, once it has drawn."""
    found = page.locator(".vhlib-viewer canvas").nth(number)
    found.scroll_into_view_if_needed()
    page.wait_for_function(
        "i => document.querySelectorAll('.vhlib-viewer canvas')[i]?.bodyViewer?.draws > 0",
        arg=number,
    )
    return found


def stature(canvas: Locator) -> float:
    """The first beta that the page has drawn."""
    return canvas.evaluate("node => Number(node.bodyViewer.pose.betasUsed.split(',')[0])")


def run_again(page: Page) -> None:
    """Run all cells anew."""
    prompt = page.locator(".jp-CodeCell .jp-InputPrompt").last
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    expect(prompt).to_have_text(f"[{len(CELLS)}]:", timeout=ANSWER_TIMEOUT_MS)


def check_both_ways(page: Page) -> None:
    """Python moves the body in the page, and the page's slider is heard in Python."""
    shown = canvas(page)
    page.locator(".widget-slider .noUi-handle").press("PageUp")
    page.wait_for_function(
        "() => !/^0[.]?0*$/.test(document.querySelector("
        "'.vhlib-viewer canvas').bodyViewer.pose.betasUsed.split(',')[0])"
    )
    moved = stature(shown)
    assert moved > 0
    heard = page.locator(".widget-label").get_by_text(re.compile(r"^-?\d+\.\d\d$"))
    expect(heard).to_have_text(f"{moved:.2f}")
    page.get_by_label("beta 1", exact=True).fill("-2.5")
    expect(heard).to_have_text("-2.50")
    assert stature(shown) == -2.5
    assert stature(canvas(page, 1)) == 0, "another viewer is another body"


def check_vertices(page: Page) -> None:
    """The page's vertices are those that Python computes for the same pose."""
    page.get_by_label("joint", exact=True).select_option("left elbow")
    page.get_by_label("joint about y").fill("-1.2")
    answer = page.get_by_text(re.compile(r"^0\.\d+ mm$"))
    expect(answer).to_be_visible()
    assert float(answer.inner_text().split()[0]) < 0.1


def check_keys(page: Page) -> None:
    """Arrow keys turn the camera; Lab's chosen cell stays."""
    active = page.locator(".jp-Cell.jp-mod-active").get_attribute("id")
    shown = canvas(page)
    yaw = "node => node.bodyViewer.orbit.yaw"
    before = shown.evaluate(yaw)
    shown.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert shown.evaluate(yaw) != before
    page.get_by_label("beta 2", exact=True).focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_label("beta 2", exact=True)).to_have_value("0.01")
    assert page.locator(".jp-Cell.jp-mod-active").get_attribute("id") == active


def test_in_lab_body_and_python_move_together(notebook):
    page = notebook
    page.evaluate(WATCH)
    run_all(page)
    canvas(page)
    times = page.evaluate("times")
    waited = (times["drawn"] - times["ended"]) / 1000
    print(f"\non the page {waited:.2f} s after the cell's end")
    assert waited < SECONDS_TO_SHOW

    check_both_ways(page)
    check_vertices(page)
    check_keys(page)
    expect(page.locator(".vhlib-viewer canvas")).to_have_count(2)
    expect(faults(page)).to_have_count(0)

    restart_kernel(page)
    run_again(page)
    canvas(page)
    expect(page.locator(".vhlib-viewer canvas")).to_have_count(2)
    page.wait_for_function(
        "() => document.querySelector('.vhlib-viewer canvas').bodyViewer.pose.betasUsed"
        ".split(',').every((beta) => beta === '0')"
    )
    check_both_ways(page)
    expect(faults(page)).to_have_count(0)


def test_in_notebook_7_body_and_python_move_together(lab, page):
    write(
        lab.notebooks / IN_NOTEBOOK_7, [nbformat.v4.new_code_cell(cell.strip()) for cell in CELLS]
    )
    page.set_viewport_size({"width": 1280, "height": 2600})
    page.goto(lab.page_in_notebook_7(IN_NOTEBOOK_7))
    page.locator(".jp-CodeCell .jp-InputPrompt").last.wait_for()
    run_again(page)

    canvas(page)
    check_both_ways(page)
    check_vertices(page)
    expect(page.locator(".vhlib-viewer canvas")).to_have_count(2)
    expect(faults(page)).to_have_count(0)


def test_a_reopened_notebook_shows_the_picture(lab, page, monkeypatch):
    outputs = []
    monkeypatch.setattr(controls, "display", lambda data, **rest: outputs.append({**rest, **data}))
    BodyViewer(SMPL.load(), alt="The mean body at rest.").show()
    (data,) = outputs
    metadata = data.pop("metadata")
    data = {kind: value for kind, value in data.items() if kind in ("image/jpeg", "text/plain")}
    output = nbformat.v4.new_output("display_data", data=data, metadata=metadata)
    write(lab.notebooks / REOPENED, [nbformat.v4.new_code_cell("viewer.show()", outputs=[output])])

    page.goto(lab.page_of(REOPENED))

    picture = page.locator(".jp-RenderedImage img")
    picture.wait_for()
    page.wait_for_function("document.querySelector('.jp-RenderedImage img').naturalWidth > 100")
    expect(page.get_by_text("model not found")).to_have_count(0)
