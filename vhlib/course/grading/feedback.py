"""A page for each student: points and what went wrong, without the hidden cases' numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape

from vhlib.course.grading.grades import Graded
from vhlib.course.grading.names import shown
from vhlib.course.grading.scoring import NOT_CALLED, PartResult

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem;
  color: #1b1f24; background: #fff; }}
h1 {{ font-size: 1.4rem; }}
h2 {{ font-size: 1.15rem; margin-top: 2.5rem; border-bottom: 2px solid #1b1f24; }}
h3 {{ font-size: 1rem; margin: 1.5rem 0 .25rem; display: flex; gap: 1rem; }}
h3 code {{ flex: 1; }}
.full {{ color: #00695c; }} .part {{ color: #8a4b00; }} .none {{ color: #a3123a; }}
p, ul {{ margin: .25rem 0; }}
.from {{ color: #57606a; font-size: .9rem; }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


def feedback_page(student: str, entries: Sequence[Graded]) -> str:
    """A student's page.

    Args:
        student: the name.
        entries: results on each sheet. Hidden cases have the names of the public ones.
    """
    body = "\n".join(sheet_section(entry) for entry in entries)
    return PAGE.format(title=f"Feedback for {escape(shown(student))}", body=body)


def sheet_section(entry: Graded) -> str:
    """The part on one sheet."""
    points = "not graded" if entry.points is None else f"{entry.points:g} of {entry.max_points}"
    lines = [f"<section><h2>{escape(shown(entry.sheet))}: {points}</h2>"]
    if entry.path:
        lines.append(f'<p class="from">{escape(shown(entry.path))}</p>')
    for result in entry.results:
        lines += part_lines(result)
    return "\n".join([*lines, "</section>"])


def part_lines(result: PartResult) -> list[str]:
    """What to say of one function."""
    full = result.points == result.max_points
    look = "full" if full else "part" if result.points else "none"
    points = "not graded" if result.points is None else f"{result.points:g} of {result.max_points}"
    title = f"<code>{escape(result.part)}</code><span>{points}</span>"
    lines = [f'<h3 class="{look}">{title}</h3>']
    if result.cases is None:
        return [*lines, f"<p>{escape(result.status)}</p>"]
    failed = Counter((case, why) for case, why in result.cases if why)
    passed = len(result.cases) - failed.total()
    lines.append(f"<p>{passed} of {len(result.cases)} hidden cases pass.</p>")
    lines += [f"<p>{escape(remark)}</p>" for remark in result.remarks]
    items = [
        f"<li>{escape(case)}: {escape(why)}{f' ({count} times)' if count > 1 else ''}</li>"
        for (case, why), count in failed.items()
        if why != NOT_CALLED
    ]
    return [*lines, "<ul>", *items, "</ul>"] if items else lines
