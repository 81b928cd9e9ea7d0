"""JupyterLab on the course's notebooks."""

from __future__ import annotations

import os
from pathlib import Path

SETTINGS = Path(__file__).parent / "lab_settings"
"""Defaults for Lab: it fetches no news, and doesn't greet a newcomer with a question about them."""


def lab_arguments(notebook: Path, port: int | None, browser: bool) -> list[str]:
    """JupyterLab's own options to serve this folder and open ``notebook``.

    Raises:
        FileNotFoundError: there is no such notebook.
        ValueError: it lies outside the current folder.
    """
    if not notebook.is_file():
        raise FileNotFoundError(
            f"there is no {notebook} in {Path.cwd()}: run vh lab in the folder of the course"
        )
    folder = Path.cwd().resolve()
    if not notebook.resolve().is_relative_to(folder):
        raise ValueError(f"{notebook} lies outside {folder}: run vh lab in a folder that holds it")
    options = [
        f"--ServerApp.root_dir={folder}",
        f"--LabApp.default_url=/lab/tree/{notebook.resolve().relative_to(folder).as_posix()}",
    ]
    if port is not None:
        options += [f"--ServerApp.port={port}"]
    if not browser:
        options += ["--no-browser"]
    if is_root():
        options += ["--allow-root"]
    return options


def is_root() -> bool:
    """Whether this is the Unix superuser, as whom Jupyter refuses to run unless told to."""
    return hasattr(os, "getuid") and os.getuid() == 0


def serve_lab(notebook: Path, port: int | None = None, browser: bool = True) -> None:
    """Serve JupyterLab on ``notebook`` until it is stopped.

    Raises:
        FileNotFoundError: the current folder doesn't hold ``notebook``.
        ModuleNotFoundError: JupyterLab isn't installed (extra ``lab``).
    """
    arguments = lab_arguments(notebook, port, browser)
    from jupyterlab.labapp import LabApp

    others = os.environ.get("JUPYTER_CONFIG_PATH")
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, [str(SETTINGS), others]))
    LabApp.launch_instance(argv=arguments)
