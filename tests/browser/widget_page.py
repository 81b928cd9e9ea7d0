"""A widget on a page without Jupyter: the test plays Python's part of the conversation."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass

from anywidget import AnyWidget
from playwright.sync_api import Page

# A model as anywidget hands it to a widget. What the widget saves is kept in `saved`.
MOUNT = """
async ([source, css, state]) => {
  const unpacked = (value) => {
    if (value && typeof value === "object" && "base64" in value)
      return new DataView(Uint8Array.from(atob(value.base64), (c) => c.charCodeAt(0)).buffer);
    if (Array.isArray(value)) return value.map(unpacked);
    if (!value || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, unpacked(v)]));
  };
  const values = unpacked(state), listeners = new Map();
  const of = (event) => listeners.get(event) ?? listeners.set(event, new Set()).get(event);
  const changed = new Set();
  window.model = {
    get: (name) => values[name],
    set: (name, value) => {
      values[name] = value;
      changed.add(name);
      for (const listener of [...of(`change:${name}`)]) listener();
    },
    on: (event, listener) => of(event).add(listener),
    off: (event, listener) => of(event).delete(listener),
    save_changes: () => {
      const names = [...changed].splice(0);
      changed.clear();
      saved.push(structuredClone(Object.fromEntries(names.map((name) => [name, values[name]]))));
    },
    receive: (state) => {
      for (const [name, value] of Object.entries(unpacked(state))) model.set(name, value);
      changed.clear();
    },
    listening: () => [...listeners.values()].reduce((count, some) => count + some.size, 0),
  };
  window.saved = [];
  document.head.append(Object.assign(document.createElement("style"), { textContent: css }));
  const module = new Blob([source], { type: "text/javascript" });
  window.widget = (await import(URL.createObjectURL(module))).default;
  window.mount = async () => {
    const el = document.body.appendChild(document.createElement("div"));
    return await widget.render({ model, el });
  };
  window.closers = [await mount()];
}
"""


@dataclass(frozen=True)
class WidgetPage:
    """One model on a page, shown once until ``show_again``."""

    page: Page

    @classmethod
    def of(cls, page: Page, widget: AnyWidget) -> WidgetPage:
        """Mount ``widget`` as it is now."""
        page.goto("about:blank")
        state = widget.get_state([name for name in widget.keys if not name.startswith("_")])
        state.pop("layout", None)
        page.evaluate(MOUNT, [str(widget._esm), str(widget._css), packed(state)])
        return cls(page)

    def saved(self) -> list[dict]:
        """What the page has sent to Python, oldest first."""
        return self.page.evaluate("saved")

    def receive(self, **state: object) -> None:
        """Python sets some of the state."""
        self.page.evaluate("state => model.receive(state)", packed(state))

    def show_again(self) -> None:
        """A second view of the same model."""
        self.page.evaluate("async () => closers.push(await mount())")

    def close(self) -> None:
        """The page lets go of all views."""
        self.page.evaluate("closers.forEach((close) => close())")

    def listening(self) -> int:
        """How many listeners the model has."""
        return self.page.evaluate("model.listening()")


def packed(value: object) -> object:
    """Bytes as something that JSON can hold."""
    if isinstance(value, bytes):
        return {"base64": b64encode(value).decode()}
    if isinstance(value, dict):
        return {name: packed(part) for name, part in value.items()}
    return json.loads(json.dumps(value))
