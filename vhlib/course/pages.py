"""A notebook as a page that needs no server of Jupyter's and no other host."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from dataclasses import dataclass, field
from html import escape

import mistune
from latex2mathml.converter import convert as mathml
from mistune.plugins.math import math
from mistune.plugins.table import table
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from vhlib.course.editions import WIDGET_VIEW, lightened

PLOTLY = "application/vnd.plotly.v1+json"
PICTURES = {"image/jpeg": "jpg", "image/png": "png"}
NEEDS_KERNEL = "A picture of a control: it moves in the notebook, where Python runs."


@dataclass
class Page:
    """A page as it is written: its HTML, and the files that it refers to.

    Attributes:
        name: of the page's file, without ``.html``; the names of its files begin with it.
        bodies: widget id -> HTML of the live body that takes its picture's place.
        known: names of the notebooks that are pages here; other links go to ``repository``.
    """

    name: str
    bodies: dict[str, str]
    known: frozenset[str]
    repository: str
    files: dict[str, bytes] = field(default_factory=dict)
    has_plotly: bool = False

    def body(self, notebook: NotebookNode) -> str:
        """The cells of ``notebook`` with their outputs."""
        text = mistune.create_markdown(renderer=Renderer(self), plugins=[math, table])
        parts, is_setup = [], True
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                parts.append(f'<section class="text">{text(cell.source)}</section>')
            elif cell.cell_type == "code":
                parts.append(self.code(cell, is_setup))
                is_setup = False
        return "\n".join(parts)

    def code(self, cell: NotebookNode, is_setup: bool) -> str:
        """A code cell; the set-up, which every notebook begins with, is folded."""
        code = highlight(cell.source, PythonLexer(), HtmlFormatter(cssclass="code"))
        if is_setup:
            code = f"<details><summary>Set-up</summary>{code}</details>"
        outputs = "".join(self.output(output) for output in cell.outputs)
        return code + (f'<div class="outputs">{outputs}</div>' if outputs else "")

    def output(self, output: NotebookNode) -> str:
        """What a cell printed or showed."""
        if output.output_type == "stream":
            return f"<pre>{escape(output.text)}</pre>"
        data = output.get("data", {})
        view = data.get(WIDGET_VIEW, {})
        if view.get("model_id") in self.bodies:
            return self.bodies[view["model_id"]]
        if PLOTLY in data:
            self.has_plotly = True
            words = escape(data.get("text/plain", "A figure."), quote=True)
            opening = f'<div class="plotly-figure" role="img" aria-label="{words}">'
            return f"{opening}{inlined(data[PLOTLY])}</div>"
        light = lightened(output)
        return "" if light is None else self.still(light, is_control=bool(view))

    def still(self, output: NotebookNode, is_control: bool) -> str:
        """A picture in a file of its own, or the output's text."""
        for kind, ending in PICTURES.items():
            if kind in output.data:
                name = f"{self.name}-{len(self.files) + 1}.{ending}"
                self.files[name] = b64decode(output.data[kind])
                alt = escape(output.metadata.get(kind, {}).get("alt", ""), quote=True)
                note = f"<figcaption>{NEEDS_KERNEL}</figcaption>" if is_control else ""
                return f'<figure><img src="{name}" alt="{alt}" loading="lazy">{note}</figure>'
        if "text/html" in output.data:
            return f'<div class="html">{output.data["text/html"]}</div>'
        return f"<pre>{escape(output.data.get('text/plain', ''))}</pre>"


class Renderer(mistune.HTMLRenderer):
    """Markdown with formulas as MathML, which browsers draw by themselves, and links that work."""

    def __init__(self, page: Page):
        super().__init__(escape=False)
        self.page = page

    def inline_math(self, text: str) -> str:
        """A formula in a line."""
        return mathml(text)

    def block_math(self, text: str) -> str:
        """A formula on its own; wide ones scroll."""
        return f'<div class="formula">{mathml(text.strip(), display="block")}</div>\n'

    def heading(self, text: str, level: int, **attributes: object) -> str:
        """A heading that can be linked to."""
        words = re.sub(r"<[^>]*>", "", text).lower()
        anchor = re.sub(r"[^a-z0-9]+", "-", words).strip("-")
        return f'<h{level} id="{anchor}">{text}</h{level}>\n'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        """Links between notebooks become links between pages."""
        return super().link(text, self.target(url), title)

    def target(self, url: str) -> str:
        """Where ``url`` of a notebook leads from its page."""
        if "://" in url or url.startswith("#"):
            return url
        path, _, anchor = url.partition("#")
        stem = path.removesuffix(".ipynb")
        if stem in self.page.known:
            return f"{stem}.html" + (f"#{anchor}" if anchor else "")
        folder = "/blob/main/" + re.sub(
            r"^(\.\./)+", "", path if path[:3] == "../" else f"notebooks/{path}"
        )
        return self.page.repository + folder


def inlined(value: object) -> str:
    """``value`` as JSON inside a page, where no text of it can end the element."""
    text = json.dumps(value).replace("<", "\\u003c")
    return f'<script type="application/json">{text}</script>'
