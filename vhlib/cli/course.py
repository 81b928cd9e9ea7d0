"""Commands for who reads, writes, or hands out the course."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from vhlib.cli.commands import add_command, choice, number

KEPT = ("best", "last")


def add_lab(commands) -> None:
    """Add ``vh lab``."""
    command = add_command(commands, "lab", run_lab, "open the course in JupyterLab")
    command.add_argument(
        "notebook", nargs="?", type=Path, default=Path("notebooks/00_start_here.ipynb")
    )
    command.add_argument(
        "--port", metavar="N", help="port to serve on (the first free one from 8888)"
    )
    command.add_argument("--no-browser", action="store_true", help="print the address only")


def run_lab(options: argparse.Namespace) -> None:
    """Serve JupyterLab until it is stopped."""
    port = number("--port", options.port, int)
    from vhlib.course.lab import serve_lab

    serve_lab(options.notebook, port=port, browser=not options.no_browser)


def add_build(commands) -> None:
    """Add ``vh build``."""
    summary = "run notebooks/*.py into notebooks, and make the editions of solutions/*.py"
    command = add_command(commands, "build", run_build, summary)
    command.add_argument(
        "--check", action="store_true", help="only compare; exit 1 where they differ"
    )
    command.add_argument(
        "--nbgrader", type=Path, metavar="DIR", help="write the sheets as a course of nbgrader's"
    )
    command.add_argument(
        "--secret", type=Path, metavar="FILE", help="draws nbgrader's hidden cases"
    )
    command.add_argument("sources", nargs="*", type=Path, help="only these (default: all)")


def run_build(options: argparse.Namespace) -> str:
    """Build or check the checkout in the current folder."""
    if options.nbgrader:
        from vhlib.course.grading.classes import read_secret
        from vhlib.course.nbgrader_form import write_nbgrader_course

        secret = read_secret(options.secret)
        return write_nbgrader_course(Path.cwd(), options.nbgrader, secret, options.sources)
    from vhlib.course.building import build_course

    return build_course(Path.cwd(), check=options.check, only=options.sources)


def add_release(commands) -> None:
    """Add ``vh release``."""
    summary = "write the students' bundle: no solutions, no banks"
    command = add_command(commands, "release", run_release, summary)
    command.add_argument(
        "--out", type=Path, metavar="FILE", default=Path("course.zip"), help="(%(default)s)"
    )


def run_release(options: argparse.Namespace) -> str:
    """Bundle the checkout in the current folder."""
    from vhlib.course.release import write_release

    return write_release(Path.cwd(), options.out)


def add_site(commands) -> None:
    """Add ``vh site``."""
    summary = "write the notebooks as static pages with live bodies"
    command = add_command(commands, "site", run_site, summary)
    command.add_argument("--out", type=Path, metavar="DIR", required=True, help="folder to write")
    command.add_argument("notebooks", nargs="*", type=Path, help="only these (default: all)")


def run_site(options: argparse.Namespace) -> str:
    """Write the pages of the checkout in the current folder."""
    from vhlib.course.site import build_site

    return build_site(Path.cwd(), options.out, only=options.notebooks)


def add_grade(commands) -> None:
    """Add ``vh grade``."""
    summary = "grade students' notebooks, their code kept apart from tests and answers"
    command = add_command(commands, "grade", run_grade, summary)
    command.add_argument(
        "submissions", type=Path, metavar="SUBMISSIONS", help="holds STUDENT/NN_name.ipynb"
    )
    command.add_argument("--out", type=Path, metavar="DIR", required=True, help="folder to write")
    command.add_argument("-j", dest="jobs", metavar="N", help="at a time (cores)")
    command.add_argument(
        "--secret", type=Path, metavar="FILE", help="draws the hidden cases (default: public ones)"
    )
    command.add_argument(
        "--keep",
        metavar="|".join(KEPT),
        default="best",
        help="which of several notebooks of one student counts (%(default)s)",
    )
    command.add_argument(
        "--solutions",
        type=Path,
        metavar="DIR",
        default=Path("solutions"),
        help="holds the sheets and their banks (%(default)s)",
    )
    command.add_argument(
        "--dry-run", action="store_true", help="say what would be graded; run no student's code"
    )


def run_grade(options: argparse.Namespace) -> str:
    """Grade a folder of submissions."""
    if not hasattr(os, "fork"):
        raise ValueError("vh grade runs on Linux and macOS; on Windows, run it in WSL")
    jobs, keep = number("-j", options.jobs, int), choice("--keep", options.keep, KEPT)
    from vhlib.course.grading.classes import grade_command

    return grade_command(
        options.submissions,
        options.out,
        jobs=jobs,
        secret=options.secret,
        keep=keep,
        solutions=options.solutions,
        dry=options.dry_run,
    )


COURSE_COMMANDS = (add_build, add_release, add_site, add_grade)
