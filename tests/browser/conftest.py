"""JupyterLab as ``vh lab`` serves it, and headless Chromium looking at it."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

import nbformat
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
BROWSERS = "chromium", "chromium-browser", "google-chrome", "chrome"
QUIET_FLAGS = (
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-sync",
    "--no-default-browser-check",
    "--no-first-run",
)
BROKEN_NOTEBOOK = "broken.ipynb"
START_TIMEOUT_S = 60
PAGE_TIMEOUT_MS = 60_000


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab, the folder of its notebooks, and how long it took to answer."""

    address: str
    token: str
    notebooks: Path
    seconds_to_start: float

    def page_of(self, notebook: str) -> str:
        """Where Lab opens ``notebook``, and no other tab from before."""
        return f"{self.address}/lab/tree/notebooks/{notebook}?reset&token={self.token}"

    def page_in_notebook_7(self, notebook: str) -> str:
        """Where the same server's Notebook 7 opens it."""
        return f"{self.address}/notebooks/notebooks/{notebook}?token={self.token}"


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(server: subprocess.Popen, address: str) -> float:
    """Seconds until ``address`` answers; an AssertionError when the server gives up first."""
    start = time.perf_counter()
    while (seconds := time.perf_counter() - start) < START_TIMEOUT_S:
        assert server.poll() is None, "vh lab ended before it answered"
        try:
            urllib.request.urlopen(f"{address}/api", timeout=1).close()
        except (URLError, OSError):
            time.sleep(0.1)
        else:
            return seconds
    raise AssertionError(f"vh lab didn't answer within {START_TIMEOUT_S} s")


def write_broken_notebook(folder: Path) -> None:
    """A notebook that writes to stderr, then raises."""
    cell = nbformat.v4.new_code_cell("import sys\nsys.stderr.write('stain')\n1 / 0")
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata=kernel)
    nbformat.write(notebook, folder / BROKEN_NOTEBOOK)


def copy_without_outputs(notebooks: Path, copy: Path) -> None:
    """Copy the notebooks as if they had never run, so that a picture on a page is the run's own."""
    copy.mkdir()
    for path in notebooks.glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(notebook, copy / path.name)


@contextmanager
def serve_lab(folder: Path) -> Iterator[Lab]:
    """``vh lab`` in ``folder``, with settings of its own."""
    port, token = free_port(), secrets.token_hex(16)
    kept = "CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR"
    settings = {f"JUPYTER_{name}": str(folder / ".jupyter" / name.lower()) for name in kept}
    lab_kept = "SETTINGS_DIR", "WORKSPACES_DIR"
    settings |= {f"JUPYTERLAB_{name}": str(folder / ".jupyter" / name.lower()) for name in lab_kept}
    command = [sys.executable, "-m", "vhlib.cli", "lab", "--no-browser", "--port", str(port)]
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | settings | {"JUPYTER_TOKEN": token},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        yield Lab(address, token, folder / "notebooks", wait_for(server, address))
    finally:
        server.terminate()
        server.wait(timeout=20)


@pytest.fixture(scope="session")
def lab(tmp_path_factory) -> Iterator[Lab]:
    """``vh lab`` on a copy of the notebooks without outputs."""
    folder = tmp_path_factory.mktemp("course")
    copy_without_outputs(ROOT / "notebooks", folder / "notebooks")
    write_broken_notebook(folder / "notebooks")
    with serve_lab(folder) as running:
        yield running


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Headless Chromium; without it the test is skipped, but fails where CI is set."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        reason = f"no browser found (looked for {', '.join(BROWSERS)}): install chromium"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    sandbox = ("--no-sandbox",) if hasattr(os, "getuid") and os.getuid() == 0 else ()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=[*QUIET_FLAGS, *sandbox], headless=True
        )
        yield browser
        browser.close()


@pytest.fixture
def page(chromium, request, tmp_path) -> Iterator[Page]:
    """A fresh window of a laptop's size.

    How it looked at the end is saved under the test's name: in $VHLIB_SCREENSHOTS if that is set.
    """
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(PAGE_TIMEOUT_MS)
    yield page
    folder = Path(os.environ.get("VHLIB_SCREENSHOTS", tmp_path))
    page.screenshot(path=folder / f"{request.node.name}.png")
    context.close()
