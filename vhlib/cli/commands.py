"""How a command joins the command line, and how the values of its options are read."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence


def add_command(commands, name: str, run: Callable[[argparse.Namespace], str | None], summary: str):
    """Add the subcommand ``name``, which calls ``run`` and prints what it returns."""
    command = commands.add_parser(name, help=summary, description=summary)
    # As newer Pythons have it; before, -1e3 would be taken for an unknown option.
    command._negative_number_matcher = re.compile(r"-\.?\d")
    command.set_defaults(run=run)
    return command


def number(option: str, text: str | None, kind: type[int] | type[float]) -> int | float | None:
    """The value of an option. Argparse would call a wrong one wrong usage, and exit with 2."""
    try:
        return None if text is None else kind(text)
    except ValueError:
        expected = "a whole number" if kind is int else "a number"
        raise ValueError(f"{option} is {text!r}, expected {expected}") from None


def choice(option: str, text: str, known: Sequence[str]) -> str:
    """The value of an option that must be one of ``known``; argparse would exit with 2, too."""
    if text not in known:
        raise ValueError(f"{option} is {text!r}, expected {' or '.join(known)}")
    return text
