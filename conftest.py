"""What holds for every test: one core each, no progress bars, real data only from the cache."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from functools import cache
from pathlib import Path

import nbformat
import pytest

# Set before anything imports torch, and inherited by pytest-xdist's workers and notebook kernels.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("VHLIB_PROGRESS", "off")


def pytest_configure() -> None:
    """Switch the loopback interface on where a sandbox without a network has left it off.

    Notebook kernels and the browser talk over it; ``unshare -n`` starts with it down.
    """
    if not loopback_works() and shutil.which("ip"):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=False, capture_output=True)


def loopback_works() -> bool:
    """Whether this machine can talk to itself at 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        try:
            socket.create_connection(server.getsockname(), timeout=1).close()
        except OSError:
            return False
    return True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the cells of a notebook that needs real data, as its source says with a cell's tag."""
    for item in items:
        if item.path.suffix == ".ipynb" and needs_real_data(item.path):
            item.add_marker("real_data")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs real data where the cache doesn't hold it; tests never download."""
    if item.get_closest_marker("real_data"):
        from vhlib.data.downloads import LESSON_PACKAGES, cached

        missing = [name for name in LESSON_PACKAGES if cached(name) is None]
        if missing:
            pytest.skip(f"needs the real data {', '.join(missing)}: run vh assets fetch")


@cache
def needs_real_data(notebook: Path) -> bool:
    """Whether a cell of ``notebook`` carries the tag ``real_data``."""
    cells = nbformat.read(notebook, as_version=4).cells
    return any("real_data" in cell.metadata.get("tags", []) for cell in cells)
