"""What a function reaches for in a notebook that isn't there when it is graded."""

from __future__ import annotations

import dis
import linecache
import re
import symtable
from collections.abc import Callable, Collection, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

from vhlib.course.grading.child.cells import NOT_THERE


def bound(source: str) -> frozenset[str]:
    """The names that a cell defines or imports at its top; any word of one that can't be parsed."""
    try:
        symbols = symtable.symtable(source, "cell", "exec").get_symbols()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset(re.findall(r"\w+", source))
    return frozenset(s.get_name() for s in symbols if s.is_assigned() or s.is_imported())


def out_of_reach(
    function: Callable, pictured: Collection[str], builds_on: Collection[str]
) -> tuple[str, ...]:
    """Lines that say why ``function`` may fail when it is graded; none if nothing speaks for it.

    Args:
        function: a student's.
        pictured: the names that only the sheet's pictures make, whose cells graders don't run.
        builds_on: the functions that graders replace.
    """
    packages, names = set(), set()
    waiting, met = [function], set()
    while waiting:
        one = waiting.pop()
        if not isinstance(one, FunctionType) or one in met:
            continue
        met.add(one)
        own = bound("".join(linecache.getlines(one.__code__.co_filename)))
        for name, is_import in _uses(one.__code__):
            value = one.__globals__.get(name)
            if is_import:
                packages.add(name.split(".")[0])
            elif name in pictured and name not in own:
                names.add(name)
            elif isinstance(value, FunctionType) and value.__globals__ is one.__globals__:
                waiting += [value] if name not in builds_on else []
            else:
                packages.add(_package(value))
    lines = [
        f"When graded it fails: it uses {name}, which isn't there then."
        for name in sorted(packages & {*NOT_THERE})
    ]
    if names:
        listed = ", ".join(sorted(names))
        lines.append(
            f"When graded it finds {listed} only if a cell of your own imports or makes that: the "
            "sheet's own isn't run then."
        )
    return tuple(lines)


def _uses(code: CodeType) -> Iterator[tuple[str, bool]]:
    """The globals that a function's code reads and the modules that it imports, by name."""
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "IMPORT_NAME"):
            yield step.argval, step.opname == "IMPORT_NAME"
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _uses(inner)


def _package(value: Any) -> str:
    """The package that a global comes from."""
    if isinstance(value, ModuleType):
        return value.__name__.split(".")[0]
    own = getattr(value, "__module__", None)
    home = own if isinstance(own, str) else type(value).__module__
    return home.split(".")[0]
