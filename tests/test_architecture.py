"""The house rules that a machine can hold: import layers, module sizes, names, extras."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MAX_LINES, MAX_FUNCTION_LINES = 300, 40


def broken_contracts(folder: Path) -> str:
    """What import-linter says against the package in ``folder``; empty when all contracts hold."""
    run = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
        + ["--no-cache"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if run.returncode == 0 else run.stdout + run.stderr


def long_modules(package: Path) -> list[str]:
    """Modules above the size limit."""
    return [
        path.relative_to(package).as_posix()
        for path in sorted(package.rglob("*.py"))
        if len(path.read_text(encoding="utf-8").splitlines()) > MAX_LINES
    ]


def long_functions(package: Path) -> list[str]:
    """Functions above the size limit, docstrings counted."""
    return [
        f"{path.relative_to(package).as_posix()}: {node.name}"
        for path in sorted(package.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES
    ]


def dumping_grounds(package: Path) -> list[str]:
    """Modules named after no idea."""
    shapeless = {"utils", "util", "helpers", "misc", "common"}
    return [
        path.relative_to(package).as_posix()
        for path in sorted(package.rglob("*"))
        if path.stem in shapeless
    ]


def tracked_texts() -> dict[str, str]:
    """The text files that git holds, by path."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    texts = {}
    for name in filter(None, listed.stdout.split("\0")):
        content = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b"\0"
        if b"\0" not in content:
            texts[name] = content.decode("utf-8")
    return texts


@pytest.fixture
def copied_package(tmp_path) -> Path:
    """A copy of the package, its contracts beside it, to plant violations in."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    ignored = shutil.ignore_patterns("assets", "__pycache__")
    return Path(shutil.copytree(ROOT / "vhlib", tmp_path / "vhlib", ignore=ignored))


def test_imports_run_one_way():
    assert broken_contracts(ROOT) == ""


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("geometry", "import vhlib.body"),
        ("body", "from vhlib.fitting import energies"),
        ("data", "import vhlib.fitting"),
        ("fitting", "import vhlib.data"),
        ("pipelines", "import vhlib.cli"),
        ("body", "import smplx"),
    ],
)
def test_a_planted_import_is_found(copied_package, module, line):
    (copied_package / module / "planted.py").write_text(f"{line}\n")

    assert f"vhlib.{module}.planted" in broken_contracts(copied_package.parent)


def test_a_planted_layer_is_found(copied_package):
    (copied_package / "newcomer.py").write_text("")

    assert "newcomer" in broken_contracts(copied_package.parent)


def test_modules_are_short():
    assert long_modules(ROOT / "vhlib") == []


def test_a_planted_long_module_is_found(copied_package):
    (copied_package / "body" / "long.py").write_text("x = 1\n" * (MAX_LINES + 1))

    assert "body/long.py" in long_modules(copied_package)


def test_functions_are_short():
    assert long_functions(ROOT / "vhlib") == []


def test_a_planted_long_function_is_found(copied_package):
    body = "    x = 1\n" * MAX_FUNCTION_LINES
    (copied_package / "body" / "long.py").write_text(f"def endless():\n{body}")

    assert long_functions(copied_package) == ["body/long.py: endless"]


def test_no_module_is_a_dumping_ground():
    assert dumping_grounds(ROOT / "vhlib") == []


def test_a_planted_dumping_ground_is_found(copied_package):
    (copied_package / "body" / "utils.py").write_text("")

    assert dumping_grounds(copied_package) == ["body/utils.py"]


def names_a_machine(text: str) -> bool:
    """Whether a text holds an absolute path that only somebody's own machine has."""
    homes = "root", "home", "work", "Users"
    folders = "|".join(rf"(?:[A-Z]:)?[/\\]{home}[/\\]" for home in homes)
    return re.search(rf"(?<![\w.~])(?:{folders})\w", text) is not None


def test_tracked_files_name_no_machine():
    assert [name for name, text in tracked_texts().items() if names_a_machine(text)] == []


@pytest.mark.parametrize("home", ["root", "home", "C:/Users"])
def test_a_planted_machine_path_is_found(home):
    path = "/".join([home if ":" in home else f"/{home}", "ada"])

    assert names_a_machine(f'open("{path}")')
    assert names_a_machine(path.replace("/", "\\"))
    assert not names_a_machine("rooted in Path.home() and ~/work/course")


PAGES = ["README.md", "CONTRIBUTING.md", "exercises/README.md", "solutions/README.md"]
PAGES += [str(page.relative_to(ROOT)) for page in sorted(ROOT.glob("docs/*.md"))]


def broken_links(page: Path) -> list[str]:
    """Relative links that lead to no file; addresses that the build stamps in are left out."""
    targets = re.findall(r"\]\((?!https?:|\{\{)([^)]+)\)", page.read_text(encoding="utf-8"))
    return [target for target in targets if not (page.parent / target).is_file()]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    assert broken_links(ROOT / page) == []


@pytest.mark.parametrize("source", sorted(ROOT.glob("notebooks/*.py")), ids=lambda path: path.stem)
def test_links_of_notebooks_lead_to_notebooks(source):
    assert [link for link in broken_links(source) if ".ipynb" in link] == []


def test_a_broken_link_is_found(tmp_path):
    (tmp_path / "page.md").write_text("[there](page.md), [not there](no.ipynb)")

    assert broken_links(tmp_path / "page.md") == ["no.ipynb"]


def requirements(*extras: str) -> list[Requirement]:
    """What pyproject asks for, with these extras."""
    project = PYPROJECT["project"]
    listed = project["dependencies"] + [
        line for extra in extras for line in project["optional-dependencies"][extra]
    ]
    return [Requirement(line) for line in listed]


def pins() -> dict[str, str]:
    """Package -> version in constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def test_every_requirement_is_pinned_inside_its_bounds():
    extras = PYPROJECT["project"]["optional-dependencies"]

    wrong = [
        str(requirement)
        for requirement in requirements(*extras)
        if pins().get(canonicalize_name(requirement.name)) not in requirement.specifier
    ]

    assert wrong == []


def test_no_requirement_is_listed_twice():
    names = [r.name for r in requirements(*PYPROJECT["project"]["optional-dependencies"])]
    others = [name for name in names if name != "vhlib"]  # extras that bring one another

    assert len(others) == len(set(others))


def test_the_makefile_installs_every_extra_it_needs():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    extras = re.search(r'-e "\.\[(.*)\]"', makefile).group(1).split(",")

    assert set(extras) <= set(PYPROJECT["project"]["optional-dependencies"])


def third_party_imports() -> set[str]:
    """Top-level packages that vhlib imports, by their import name."""
    found = set()
    for path in (ROOT / "vhlib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"vhlib"}


def test_what_the_library_imports_is_required():
    import_names = {"ai-edge-litert": "ai_edge_litert", "pillow": "PIL", "scikit-learn": "sklearn"}
    required = {import_names.get(r.name, r.name) for r in requirements("lab", "fast", "detect")}

    assert third_party_imports() - required == {"IPython"}, "IPython comes with ipywidgets"
