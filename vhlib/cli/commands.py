"""How a command joins the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def add_command(commands, name: str, run: Callable[[argparse.Namespace], str | None], summary: str):
    """Add the subcommand ``name``, which calls ``run`` and prints what it returns."""
    command = commands.add_parser(name, help=summary, description=summary)
    command.set_defaults(run=run)
    return command
