"""The bodies of an executed notebook as live ones on a page: their model and their state."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from html import escape

from nbformat import NotebookNode

from vhlib.course.editions import WIDGET_VIEW, code_cells
from vhlib.course.pages import inlined

WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
VIEWER = "vhlib.notebook.viewer.BodyViewer"
REFERENCE = "IPY_MODEL_"
LEFT_OUT = ("body", "layout", "tabbable", "tooltip", "still")
"""Of a viewer's state: what is a widget of its own, and the picture, which is a file."""


@dataclass
class LiveBodies:
    """Viewers as HTML; each model is a file, whichever pages show it.

    Attributes:
        files: name -> content of the models' files (arrays, and a header that says where they lie).
        pictures: name -> JPEG that shows where no script runs.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    pictures: dict[str, bytes] = field(default_factory=dict)

    def of(self, notebook: NotebookNode, page: str) -> dict[str, str]:
        """Widget id -> HTML of each BodyViewer that an executed ``notebook`` shows."""
        widgets = notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
        elements: dict[str, str] = {}
        for identity in shown_widgets(notebook):
            widget = widgets.get(identity)
            if widget and widget["state"].get("_anywidget_id") == VIEWER:
                picture = f"{page}-body{len(elements) + 1}.jpg"
                elements[identity] = self.element(with_buffers(widget), widgets, picture)
        return elements

    def element(self, state: dict, widgets: dict, picture: str) -> str:
        """The element that page.js puts a viewer into."""
        model = self.model(with_buffers(widgets[state["body"].removeprefix(REFERENCE)]))
        alt = escape(state["alt"], quote=True)
        still = ""
        if state["still"]:
            self.pictures[picture] = state["still"]
            still = f'<img src="{picture}" alt="{alt}">'
        shown = {name: state[name] for name in state if name[0] != "_" and name not in LEFT_OUT}
        packed = {name: on_page(value) for name, value in shown.items()}
        return f'<div class="body" data-model="{model}">{still}{inlined(packed)}</div>'

    def model(self, state: dict) -> str:
        """The name under which the model's files lie."""
        header = json.dumps(state["header"]).encode()
        name = "model-" + hashlib.sha256(header + state["data"]).hexdigest()[:12]
        self.files[f"{name}.json"], self.files[f"{name}.bin"] = header, state["data"]
        return name


def shown_widgets(notebook: NotebookNode) -> list[str]:
    """The ids of the widgets on the page, from top to bottom, each once."""
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    views = [output.get("data", {}).get(WIDGET_VIEW, {}) for output in outputs]
    return list(dict.fromkeys(view["model_id"] for view in views if view))


def with_buffers(widget: NotebookNode) -> dict:
    """A stored widget's state, its bytes where they belong."""
    state = dict(widget["state"])
    for buffer in widget.get("buffers", []):
        (name,) = buffer["path"]
        state[name] = b64decode(buffer["data"])
    return state


def on_page(value: object) -> object:
    """Bytes as something that JSON can hold."""
    return {"base64": b64encode(value).decode()} if isinstance(value, bytes) else value
