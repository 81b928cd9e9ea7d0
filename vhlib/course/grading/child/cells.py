"""Running a student's cells in a namespace, as a notebook would, with nobody at the keyboard."""

from __future__ import annotations

import builtins
import re
import sys
from types import ModuleType

MAX_NOTE = 300
_MAGIC = re.compile(r"^(\s*)[%!].*$", re.MULTILINE)
_CELL_MAGIC = re.compile(r"\A\s*%%(\w+).*$", re.MULTILINE)
_HARMLESS_CELL_MAGICS = {"time", "timeit", "capture", "prun"}
NOT_THERE = ("vhlib", "smplx", "roma")


class Nothing:
    """Stands for what draws, checks or shows: takes any call, gives itself back."""

    def __getattr__(self, name):
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args, **kwargs):
        """Do nothing."""
        return self

    def __getitem__(self, key):
        return self

    def __iter__(self):
        return iter(())

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return False


class NothingModule(ModuleType):
    """A package for show of which every part is :class:`Nothing`."""

    __path__ = ()

    def __getattr__(self, name):
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return Nothing()


def notebook_namespace() -> dict:
    """What a cell finds before any has run."""
    nothing = Nothing()
    names = {"sheet": nothing, "check": nothing, "hint": nothing, "display": nothing}
    return {"__name__": "__main__", "__builtins__": builtins, **names}


def furnish() -> None:
    """Give cells the modules that a notebook has for show, and nobody to ask."""
    for name in [name for name in sys.modules if name.split(".")[0] in NOT_THERE]:
        del sys.modules[name]
    for name in NOT_THERE:
        sys.modules[name] = None
    for name in ("vhlib", "vhlib.course"):
        sys.modules[name] = ModuleType(name)
    for name in (
        "vhlib.course.checks",
        "matplotlib",
        "matplotlib.pyplot",
        "plotly",
        "plotly.graph_objects",
        "IPython",
        "IPython.display",
        "ipywidgets",
        "tqdm",
        "tqdm.auto",
    ):
        sys.modules[name] = NothingModule(name)
    builtins.input = _nobody


def _nobody(prompt: object = "") -> str:
    raise EOFError("input() has nobody to ask here")


def plain_source(source: str) -> str:
    """A cell without lines that are IPython's; a cell that is nothing else becomes empty."""
    first = _CELL_MAGIC.match(source)
    if first:
        if first.group(1) not in _HARMLESS_CELL_MAGICS:
            return ""
        source = source[: first.start()] + source[first.end() :]
    try:
        compile(source, "<cell>", "exec")
    except SyntaxError:
        source = _MAGIC.sub(r"\1pass", source)
    return source


def run_cells(cells: list[dict], namespace: dict) -> list[dict]:
    """Run cells in order; what failed, by the number of its cell. Later ones go on."""
    notes = []
    for cell in cells:
        try:
            code = compile(plain_source(cell["source"]), "<cell>", "exec")
            exec(code, namespace)
        except BaseException as error:
            notes.append({"cell": cell["number"], "error": told(error)})
    return notes


def told(error: BaseException) -> str:
    """An exception in one line, whatever its ``__str__`` does."""
    kind = type(error).__name__
    try:
        package = str(error.name).split(".")[0] if isinstance(error, ImportError) else ""
        told_plainly = f"{package} isn't there when graded"
        text = told_plainly if package in NOT_THERE else " ".join(str(error).split())
    except BaseException:
        text = ""
    return f"{kind}: {text}"[:MAX_NOTE] if text else kind[:MAX_NOTE]
