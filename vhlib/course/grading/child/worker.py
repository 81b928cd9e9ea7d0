"""The program that students' processes are forked from: ``python -I -S worker.py SETTINGS``.

It holds no case and no answer, and of vhlib it finds the folder that this file lies in.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType


def find_own_folder() -> None:
    """Make this folder importable by its full name, and nothing else of vhlib."""
    for name in ("vhlib", "vhlib.course", "vhlib.course.grading"):
        sys.modules[name] = ModuleType(name)
        sys.modules[name].__path__ = []
    sys.modules[name].__path__ = [str(Path(__file__).resolve().parents[1])]


if __name__ == "__main__":
    settings = json.loads(sys.argv[1])
    find_own_folder()
    sys.path += settings["packages"]
    from vhlib.course.grading.child.births import serve_births

    serve_births(settings)
