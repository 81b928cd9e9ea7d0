"""How fast the body viewer follows, in headless Chromium with software GL: medians.

    python benchmarks/viewer.py

"drawn" means that the pixels can be read back from the viewer's canvas; with software GL edges are
smoothed a moment after the last move, and that isn't counted. The Python slider is one of
ipywidgets in JupyterLab, whose change reaches the kernel, sets ``viewer.betas`` and comes back.
Wall time, so the load of the machine counts; it is printed.
"""

from __future__ import annotations

import os
import shutil
import statistics
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
import torch
from measure import print_table
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import BROWSERS, QUIET_FLAGS, serve_lab
from tests.browser.test_lab import run_all
from vhlib.body import SMPL
from vhlib.geometry import axis_angle_to_matrix
from vhlib.notebook import viewer as viewer_module
from vhlib.notebook.viewer_data import pack_body

REPEATS = 40
NOTEBOOK = "00_start_here.ipynb"  # the one that vh lab opens
CELLS = (
    "from ipywidgets import FloatSlider\nfrom vhlib.body import SMPL\n"
    "from vhlib.notebook.viewer import BodyViewer",
    "viewer = BodyViewer(SMPL.load(), alt='A body')\nviewer.show()",
    "slider = FloatSlider(0, min=-4, max=4)\n"
    "slider.observe(lambda c: setattr(viewer, 'betas', [c['new']] + [0] * 9), 'value')\nslider",
)
# Milliseconds of evaluating a body in another shape and pose, all joints bent.
EVALUATE = """
([poses, repeats]) => {
  const posed = new library.PosedBody(body), times = [];
  for (let i = 0; i < repeats; i++) {
    const start = performance.now();
    posed.evaluate(poses[i % poses.length]);
    times.push(performance.now() - start);
  }
  return times;
}
"""
VERTICES = """
(poses) => {
  const posed = new library.PosedBody(body);
  return poses.map((pose) => Array.from(posed.evaluate(pose).vertices));
}
"""
# Milliseconds from a change until the pixels can be read.
UNTIL_DRAWN = """
async ([change, repeats]) => {
  const view = document.querySelector(".vhlib-viewer canvas").bodyViewer, times = [];
  const act = new Function("step", change);
  const pause = (ms) => new Promise((done) => setTimeout(done, ms));
  const nextTask = () => new Promise((done) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = done;
    channel.port2.postMessage(0);
  });
  for (let step = 1; step <= repeats; step++) {
    await pause(60);
    const drawn = view.pose.betasUsed, start = performance.now();
    act(step);
    while (view.pose.betasUsed === drawn) await nextTask();
    view.context.getImageData(0, 0, 1, 1);
    times.push(performance.now() - start);
  }
  return times;
}
"""
PAGE_SLIDER = """
const slider = document.querySelector("input[type=range]");
slider.value = step % 2 ? 2 : -2;
slider.dispatchEvent(new Event("input"));
"""
PYTHON_SLIDER = """
const handle = document.querySelector(".widget-slider .noUi-handle");
const key = step % 2 ? "ArrowRight" : "ArrowLeft";
handle.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
"""
OPEN = """
async ([source, header, data]) => {
  const file = new Blob([source], { type: "text/javascript" });
  window.library = await import(URL.createObjectURL(file));
  window.body = library.unpack({ header, data });
  window.shown = library.mount(document.body, body, {});
}
"""


DRAWN = "document.querySelector('.vhlib-viewer canvas')?.bodyViewer?.draws > 0"


def random_poses(count: int) -> list[dict]:
    """Bodies of different shapes, every joint bent."""
    generator = torch.Generator().manual_seed(0)

    def numbers(size: int) -> list[float]:
        return torch.randn(size, generator=generator).tolist()

    names = {"betas": 10, "body_pose": 69, "global_orient": 3, "transl": 3}
    return [{name: numbers(size) for name, size in names.items()} for _ in range(count)]


def largest_error(page: Page, smpl: SMPL, poses: list[dict]) -> float:
    """Of the page's vertices, metres."""
    errors = []
    for pose, found in zip(poses, page.evaluate(VERTICES, poses), strict=True):
        given = {name: torch.tensor(numbers) for name, numbers in pose.items()}
        for name in ("body_pose", "global_orient"):
            rotations = axis_angle_to_matrix(given[name].reshape(-1, 3))
            given[name] = rotations if name == "body_pose" else rotations[0]
        errors.append(smpl(**given).vertices - torch.tensor(found).view(-1, 3))
    return float(torch.stack(errors).abs().max())


def on_a_plain_page(browser: Browser) -> tuple[dict[str, list[float]], float]:
    """What needs no kernel: times, and the largest error."""
    page, smpl, poses = browser.new_page(), SMPL.load(), random_poses(7)
    packed = pack_body(smpl)
    source = Path(viewer_module.__file__).with_suffix(".js").read_text(encoding="utf-8")
    page.set_content("<!doctype html><body></body>")
    page.evaluate(OPEN, [source, packed.header, b64encode(packed.data).decode()])
    times = {
        "body update in JavaScript": page.evaluate(EVALUATE, [poses, 5 * REPEATS]),
        "page slider to drawn pixels": page.evaluate(UNTIL_DRAWN, [PAGE_SLIDER, REPEATS]),
    }
    error = largest_error(page, smpl, poses)
    page.close()
    return times, error


@contextmanager
def opened_in_lab(browser: Browser) -> Iterator[Page]:
    """A notebook with a viewer and a slider, run."""
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "notebooks" / NOTEBOOK
        path.parent.mkdir()
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)
        with serve_lab(Path(folder)) as lab:
            page = browser.new_page(viewport={"width": 1280, "height": 1400})
            page.goto(lab.page_of(NOTEBOOK))
            run_all(page)
            page.wait_for_function(DRAWN)
            yield page


def main() -> None:
    load = os.getloadavg()[0]
    flags = *QUIET_FLAGS, "--no-sandbox"
    with sync_playwright() as playwright:
        found = next(filter(None, map(shutil.which, BROWSERS)))
        browser = playwright.chromium.launch(executable_path=found, args=flags)
        times, error = on_a_plain_page(browser)
        with opened_in_lab(browser) as page:
            lab = page.evaluate(UNTIL_DRAWN, [PYTHON_SLIDER, REPEATS])
            times["Python slider to drawn pixels, in Lab"] = lab
        browser.close()
    goals = 1.5, 40, 80
    rows = [
        [name, f"{statistics.median(some):.1f}", f"{max(some):.1f}", f"{goal}"]
        for (name, some), goal in zip(times.items(), goals, strict=True)
    ]
    title = f"Body viewer, software GL, ms; {os.cpu_count()} cores, load {load:.1f} at the start"
    print_table(title, ["", "median", "worst", "goal (median)"], rows)
    sizes = [
        [name, f"{len(pack_body(SMPL.load(name)).data) / 1e6:.2f}", "2"]
        for name in ("neutral", "female", "male")
    ]
    print_table("One body, sent once for each kernel", ["", "MB", "goal"], sizes)
    print(f"largest error of a vertex against vhlib, neutral body: {1000 * error:.3f} mm")


if __name__ == "__main__":
    main()
