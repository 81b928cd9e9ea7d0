"""Static pages as a reader sees them: a plain file server, no kernel, no other host."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from vhlib.course.building import build_course as build
from vhlib.course.site import build_site

pytestmark = pytest.mark.browser

SOURCE = r"""
# %% [markdown]
# # 01 · A tiny page
#
# **After this notebook you can** move a *body*. **You need** nothing.
#
# ## 1. A formula
#
# $$E = \sum_i \rho(x_i - \hat{x}_i)$$
#
# The angle $\theta_{ij}$; `$HOME` is no formula. The [next page](02_other.ipynb#there).
#
# <details><summary><b>Answer</b></summary>
#
# It is *this*.
#
# </details>

# %%
import plotly.graph_objects as go
from IPython.display import display
from ipywidgets import FloatSlider
from matplotlib.figure import Figure

from vhlib.body import SMPL
from vhlib.notebook.controls import explore
from vhlib.notebook.viewer import BodyViewer

smpl = SMPL.load()

# %%
for weight in (-2, 2):
    alt = f"A body, first beta {weight}. In a running notebook it turns."
    viewer = BodyViewer(smpl, alt=alt, betas=[weight] + [0] * 9)
    viewer.color(smpl.v_template[:, 1], "height in m")
    viewer.show()

# %%
figure = go.Figure(go.Scatter3d(x=[0, 1], y=[0, 1], z=[0, 1])).to_plotly_json()
display({"application/vnd.plotly.v1+json": figure, "text/plain": "A line in space."}, raw=True)

# %%
# NBVAL_CHECK_OUTPUT
print("</script><b>&amp;</b>")


# %%
def draw(height):
    figure = Figure(figsize=(3, 2))
    figure.subplots().plot([0, height])
    return figure


explore(draw, alt="A line.", height=FloatSlider(1))
"""
OTHER = "# %% [markdown]\n# # 02 · Another page\n#\n# ## There\n\n# %%\nprint(1)\n"


class Handler(SimpleHTTPRequestHandler):
    """Serves files without a word."""

    def log_message(self, *_words: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Pages made of two notebooks."""
    checkout, out = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("pages")
    (checkout / "notebooks").mkdir()
    (checkout / "pyproject.toml").write_text(
        '[project.urls]\nRepository = "https://github.com/ada/course"\n'
    )
    (checkout / "notebooks" / "01_tiny.py").write_text(SOURCE)
    (checkout / "notebooks" / "02_other.py").write_text(OTHER)
    build(checkout)
    build_site(checkout, out)
    return out


@pytest.fixture(scope="module")
def address(folder) -> Iterator[str]:
    """The pages, served."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def calls(page: Page, address: str) -> list[str]:
    """Requests to any other host, none of which is answered; complaints of the page."""
    strangers: list[str] = []

    def answer(route):
        if route.request.url.startswith((address, "blob:", "data:")):
            route.continue_()
        else:
            strangers.append(route.request.url)
            route.abort()

    page.route("**/*", answer)
    page.on("pageerror", lambda error: strangers.append(str(error)))
    page.on("console", lambda line: line.type == "error" and strangers.append(line.text))
    return strangers


def test_bodies_live_without_a_kernel(page, address, calls):
    page.goto(f"{address}/01_tiny.html")
    canvases = page.locator(".body canvas")
    expect(canvases).to_have_count(2)
    label = canvases.nth(1).get_attribute("aria-label")
    assert label.startswith("A body, first beta 2. It turns. Drag to turn, ")
    thin = canvases.nth(0).screenshot()
    assert thin != canvases.nth(1).screenshot()

    slider = page.locator(".body").nth(0).locator("input[type=range]").first
    slider.focus()
    for _ in range(20):
        slider.press("ArrowRight")

    page.evaluate("() => new Promise(requestAnimationFrame)")
    expect(page.locator(".body img")).to_have_count(0)
    assert canvases.nth(0).screenshot() != thin
    assert calls == []


def test_formulas_figures_and_output_are_there(page, address, calls):
    page.goto(f"{address}/01_tiny.html")

    expect(page.locator("math")).to_have_count(2)
    assert page.locator("math").first.bounding_box()["height"] > 25  # the sum's limits are set
    assert "$HOME is no formula" in page.locator(".text").first.inner_text()
    page.locator(".plotly-figure").scroll_into_view_if_needed()
    expect(page.locator(".plotly-figure .main-svg").first).to_be_visible()
    expect(page.get_by_text("</script><b>&amp;</b>", exact=True)).to_be_visible()
    expect(page.get_by_alt_text("A line.")).to_be_visible()
    expect(page.get_by_text("it moves in the notebook")).to_be_visible()
    assert calls == []


def test_the_reader_gets_from_page_to_page(page, address, calls):
    page.goto(address)
    assert page.locator(".card img").evaluate_all("all => all.every(one => one.naturalWidth > 0)")

    page.get_by_text("01 · A tiny page").click()
    page.get_by_role("link", name="next page").click()

    assert page.url == f"{address}/02_other.html#there"
    expect(page.get_by_role("heading", name="There")).to_have_id("there")
    assert calls == []


def test_without_scripts_the_pictures_stay(chromium, address):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/01_tiny.html")

    still = page.get_by_alt_text("A body, first beta 2. In a running notebook it turns.")
    expect(still).to_be_visible()
    context.close()


def test_opened_as_a_file_the_pictures_stay(page, address, folder):
    page.goto((folder / "01_tiny.html").as_uri())

    expect(page.get_by_alt_text("A body, first beta 2.")).to_be_visible()
    expect(page.locator(".body canvas")).to_have_count(0)


def test_one_page_is_not_called_pages_and_an_address_of_nobody_is_told(tmp_path, capsys):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "02_other.py").write_text(OTHER)
    nobody = "https://github.com/OWNER/REPOSITORY"
    (tmp_path / "pyproject.toml").write_text(f'[project.urls]\nRepository = "{nobody}"\n')
    build(tmp_path)

    told = build_site(tmp_path, tmp_path / "pages")

    assert told == f"wrote 1 page and index.html to {tmp_path / 'pages'}"
    (line,) = capsys.readouterr().err.splitlines()
    assert nobody in line
    assert "put yours into pyproject.toml, then vh build" in line


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "02_other.py").write_text(OTHER)
    (tmp_path / "pyproject.toml").write_text('[project.urls]\nRepository = "https://x.org"\n')
    build(tmp_path)
    (tmp_path / "pages").write_text("")

    with pytest.raises(NotADirectoryError, match="pages is a file"):
        build_site(tmp_path, tmp_path / "pages")
    assert Path(tmp_path / "pages").read_text() == ""
