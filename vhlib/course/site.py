"""The lecture notebooks as static pages with live bodies: ``vh site --out DIR``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import nbformat
import plotly
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

from vhlib.course.editions import (
    check_edition,
    chosen,
    execute,
    lecture_sources,
    read_source,
    repository_address,
    stored,
    warn_of_no_repository,
)
from vhlib.course.live_bodies import LiveBodies
from vhlib.course.pages import Page
from vhlib.files import write_folder_atomically
from vhlib.notebook import viewer
from vhlib.notebook.progress import progress

FILES = Path(__file__).parent / "site_files"
MAP_HEADING = "Map of the course"


@dataclass(frozen=True)
class Lecture:
    """A notebook's page and what the index says of it."""

    page: Page
    title: str
    promise: str
    html: str

    @property
    def picture(self) -> str:
        """The file of its first picture, or nothing."""
        return next(iter(self.page.files), "")


def build_site(root: Path, out: Path, only: Sequence[Path] = ()) -> str:
    """Write the notebooks of the checkout ``root`` as pages into ``out``; a short report.

    Pages work from any plain file server without a network. A notebook that shows a BodyViewer is
    run again, since the stored one keeps only a picture of it; the others are taken as stored.
    ``only`` names sources (or their notebooks) to take instead of all.

    Raises:
        ValueError: a stored notebook has drifted from its source, or a cell failed.
        OSError: ``root`` isn't a checkout, or ``out`` can't be written to.
    """
    sources = chosen(lecture_sources(root), only)
    known = frozenset(source.stem for source in sources)
    bodies = LiveBodies()
    with write_folder_atomically(out) as folder:
        lectures = []
        for source in progress(sources, "pages"):
            notebook = with_widgets(source, root)
            live = bodies.of(notebook, source.stem)
            page = Page(source.stem, live, known, repository_address(root))
            lectures.append(lecture(page, notebook))
        files = shared_files(any(one.page.has_plotly for one in lectures))
        files |= bodies.files | bodies.pictures
        for number, one in enumerate(lectures):
            files |= one.page.files
            files[f"{one.page.name}.html"] = page_html(one, neighbours(lectures, number))
        files["index.html"] = index_html(lectures, course_map(root, known))
        for name, content in files.items():
            (folder / name).write_bytes(content)
    warn_of_no_repository(root)
    pages = f"{len(lectures)} page{'s' * (len(lectures) != 1)}"
    return f"wrote {pages} and index.html to {out}"


def with_widgets(source: Path, root: Path) -> NotebookNode:
    """The notebook of ``source``, run afresh if it shows a body that a page can move."""
    check_edition(source, root)
    if "BodyViewer" not in source.read_text(encoding="utf-8"):
        return nbformat.read(stored(source), as_version=4)
    notebook = read_source(source, root)
    execute(notebook, source)
    return notebook


def lecture(page: Page, notebook: NotebookNode) -> Lecture:
    """A notebook as a page, with its title and what the reader will be able to do."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    title = re.search(r"^# (.+)$", text, re.MULTILINE)
    promise = re.search(r"you can\*\* (.*?\.)(?: |$)", " ".join(text.split()))
    return Lecture(
        page,
        title=title[1] if title else page.name,
        promise=promise[1] if promise else "",
        html=page.body(notebook),
    )


def shared_files(has_plotly: bool) -> dict[str, bytes]:
    """What all pages use."""
    style = (FILES / "page.css").read_text() + HtmlFormatter(cssclass="code").get_style_defs()
    source = Path(viewer.__file__)
    files = {
        "page.css": style.encode(),
        "page.js": (FILES / "page.js").read_bytes(),
        "viewer.js": source.with_suffix(".js").read_bytes(),
        "viewer.css": source.with_suffix(".css").read_bytes(),
    }
    if has_plotly:
        library = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
        files["plotly.min.js"] = library.read_bytes()
    return files


def neighbours(lectures: list[Lecture], number: int) -> str:
    """Links to the page before and the page after."""
    links = ['<a href="index.html">All notebooks</a>']
    if number > 0:
        links.append(page_link(lectures[number - 1], "←"))
    if number + 1 < len(lectures):
        links.append(page_link(lectures[number + 1], "→"))
    return f"<nav>{' '.join(links)}</nav>"


def page_link(one: Lecture, arrow: str) -> str:
    """A link to a page."""
    return f'<a href="{one.page.name}.html">{arrow} {escape(one.title)}</a>'


def page_html(one: Lecture, links: str) -> bytes:
    """One notebook's file."""
    return document(one.title, f"{links}<main>{one.html}</main>{links}")


def index_html(lectures: list[Lecture], overview: str) -> bytes:
    """The first page: a card for each notebook, then the whole course."""
    cards = "".join(
        f'<a class="card" href="{one.page.name}.html">'
        + (f'<img src="{one.picture}" alt="" loading="lazy">' if one.picture else "")
        + f"<b>{escape(one.title)}</b><span>{escape(plain(one.promise))}</span></a>"
        for one in lectures
    )
    heading = "<h1>Fitting human bodies to images</h1>"
    cards = f'<div class="cards">{cards}</div>'
    return document("Fitting human bodies to images", f"<main>{heading}{cards}{overview}</main>")


def plain(markdown: str) -> str:
    """Words without marks."""
    return re.sub(r"[*`$\\]", "", markdown)


def course_map(root: Path, known: frozenset[str]) -> str:
    """The table that notebook 00 holds, as HTML; nothing if there is none."""
    source = root / "notebooks" / "00_start_here.py"
    if not source.is_file():
        return ""
    page = Page("index", {}, known, repository_address(root))
    for cell in read_source(source, root).cells:
        heading = re.search(rf"^## .*{MAP_HEADING}$", cell.source, re.MULTILINE)
        if cell.cell_type == "markdown" and heading:
            section = cell.source[heading.start() :].split("\n## ")[0]
            words = re.sub(r"^## [\d. ]*", "## ", section)
            return page.body(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(words)]))
    return ""


def document(title: str, body: str) -> bytes:
    """A whole file."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="page.css">
<link rel="stylesheet" href="viewer.css">
<script type="module" src="page.js"></script>
</head>
<body>
{body}
</body>
</html>
""".encode()
