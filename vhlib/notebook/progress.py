"""Progress bars that leave no stain in a notebook."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


def progress(items: Iterable[Item], description: str = "", total: int | None = None) -> tqdm[Item]:
    """Go through ``items`` behind a bar on stdout, which vanishes when it is full.

    tqdm's own stderr would be boxed in red by Jupyter. Where nobody watches (a file, a pipe, a
    notebook that ``vh build`` or a test runs) nothing is written. ``total`` is for iterables that
    have no length.
    """
    return tqdm(
        items,
        desc=description or None,
        total=total,
        file=sys.stdout,
        leave=False,
        disable=not someone_watches(),
    )


def someone_watches() -> bool:
    """Whether stdout is a terminal or a notebook, and ``$VHLIB_PROGRESS`` isn't ``off``."""
    if os.environ.get("VHLIB_PROGRESS") == "off":
        return False
    return sys.stdout.isatty() or in_notebook()


def in_notebook() -> bool:
    """Whether this process is a Jupyter kernel."""
    kernel = sys.modules.get("ipykernel.kernelapp")
    return kernel is not None and kernel.IPKernelApp.initialized()
