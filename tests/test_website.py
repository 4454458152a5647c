"""The site's own code: every public name has its place in the API, docstrings and links are read rightly.

That the site builds without a warning is what `make docs` checks.
"""

import re
import subprocess
import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.test_public_names import NAMES
from tests.waiting import PATIENCE

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
SHOWN = [
    name
    for page in sorted((DOCS / "api").glob("*.md"))
    for name in re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
]


def load(name: str, needs: str) -> ModuleType:
    pytest.importorskip(needs)
    spec = spec_from_file_location(f"website_{name}", ROOT / "website" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def found(path: str) -> Any:
    module, name = path.rsplit(".", 1)
    return getattr(import_module(module), name)


def test_every_public_name_has_a_place_in_the_api() -> None:
    shown = [found(path) for path in SHOWN]
    missing = [
        f"{module}.{name}"
        for module, name in NAMES
        if not isinstance(thing := found(f"{module}.{name}"), ModuleType)
        and not any(thing is other for other in shown)
    ]
    assert missing == []


def test_no_name_has_two_places() -> None:
    assert len(SHOWN) > 90
    assert sorted(SHOWN) == sorted(set(SHOWN))


def test_every_page_and_notebook_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = set(re.findall(r"[\w/-]+\.md", yaml.safe_dump(yaml.safe_load(text)["nav"])))
    on_disk = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    notebooks = {f"notebooks/{page.stem}.md" for page in (DOCS / "notebooks").glob("*.py")}
    assert pages == on_disk | notebooks | {"CONTRIBUTING.md", "CHANGELOG.md"}


def test_doctests_are_fenced_and_arguments_have_lines_of_their_own() -> None:
    read = load("docstrings", needs="griffe").for_griffe
    text = "Add, or not: see.\n\nArgs:\n    a, **b: numbers.\n\n>>> add(1, 2)\n3\n\nMore, text: here.\n"
    assert read(text) == (
        "Add, or not: see.\n\nArgs:\n    a: numbers.\n    **b: numbers.\n\n"
        "```pycon\n>>> add(1, 2)\n3\n```\n\nMore, text: here.\n"
    )


@pytest.mark.parametrize(
    ("page", "link", "leads_to"),
    [
        ("audit.md", "report.md#the-first-screen", "report.md#the-first-screen"),
        ("api/index.md", "../concepts.md", "../concepts.md"),
        ("training.md", "../fairseg/cli/command.py", "source/fairseg/cli/command.py.txt"),
        ("api/losses.md", "../../fairseg/cli/command.py", "../source/fairseg/cli/command.py.txt"),
        ("audit.md", "../CHANGELOG.md", "CHANGELOG.md"),
        ("CONTRIBUTING.md", "docs/extend.md", "extend.md"),
        ("CONTRIBUTING.md", "CHANGELOG.md", "CHANGELOG.md"),
        ("audit.md", "../no/such/file.py", "../no/such/file.py"),
        ("audit.md", "https://example.org/a", "https://example.org/a"),
    ],
)
def test_links_that_leave_the_documents_lead_into_the_site(page: str, link: str, leads_to: str) -> None:
    target, source = load("hooks", needs="mkdocs").in_site(link, page)
    assert target == leads_to
    assert source == ("fairseg/cli/command.py" if "source/" in leads_to else None)


def test_what_a_page_loads_from_elsewhere_is_found() -> None:
    foreign = load("hooks", needs="mkdocs").foreign
    assert foreign('<script src="assets/a.js"></script><a href="https://example.org">link</a>') == []
    page = (
        '<script src="https://example.org/a.js"></script><link rel="stylesheet" href="//example.org/b.css">'
    )
    assert foreign(page + '<img alt="c" src=https://example.org/c.png>') == [
        "https://example.org/a.js",
        "//example.org/b.css",
        "https://example.org/c.png",
    ]


@pytest.fixture
def execute(tmp_path: Path) -> Any:
    """Return a function that executes a notebook of the given text in a process of its own."""
    for needed in ("nbconvert", "jupytext", "ipykernel"):
        pytest.importorskip(needed)

    def run(text: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "small.py").write_text(text, encoding="utf-8")
        call = f"import execute, pathlib, sys; out = pathlib.Path({str(tmp_path / 'out')!r}); "
        call += f"sys.exit(execute.main([pathlib.Path({str(tmp_path / 'small.py')!r})], out))"
        command = [sys.executable, "-W", "ignore", "-c", call]
        return subprocess.run(
            command, cwd=ROOT / "website", capture_output=True, text=True, check=False, timeout=PATIENCE
        )

    return run


def test_a_notebook_becomes_a_page_with_pictures_and_a_notebook_to_take_away(
    execute: Any, tmp_path: Path
) -> None:
    cells = '# %% [markdown]\n# # A title\n#\n# Words.\n\n# %% alt="A rising line"\n'
    done = execute(f"{cells}import matplotlib.pyplot as plt\nprint(6 * 7)\nplt.plot([0, 1]);\n")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out" / "small.md").read_text(encoding="utf-8")
    assert page.startswith("# A title\n")
    assert "    42\n" in page
    assert "[notebook](small.ipynb), [script](small.py)" in page
    (picture,) = re.findall(r"!\[A rising line\]\((small_files/[\w.]+)\)", page)
    assert (tmp_path / "out" / picture).read_bytes().startswith(b"\x89PNG")
    assert "A rising line" in (tmp_path / "out" / "small.ipynb").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("# %%\nraise LookupError('no such data')", "LookupError: no such data"),
        ("# %%\nimport matplotlib.pyplot as plt\nplt.plot([0, 1]);", "has no description"),
        ("# %%\nimport os\nos._exit(1)", "DeadKernelError"),
    ],
)
def test_a_notebook_that_fails_is_named(execute: Any, cell: str, told: str) -> None:
    done = execute(f"# %% [markdown]\n# # A title\n#\n# Words.\n\n{cell}\n")
    assert done.returncode == 1
    assert told in done.stderr
    assert "small.py failed" in done.stderr
