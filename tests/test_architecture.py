"""The lines between the parts of the package hold, and importing it costs nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fairseg

PACKAGE = Path(fairseg.__file__).parent
BLOCKS = ("samplers", "losses", "metrics", "crop")
SHARED = ("groups", "parallel")


def imported(file: Path) -> set[str]:
    """Return the parts of fairseg that a file imports, at any depth of its code."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    parts = (name.split(".") for name in names)
    return {path[1] for path in parts if path[0] == "fairseg" and len(path) > 1}


@pytest.mark.parametrize("block", [name for name in BLOCKS if (PACKAGE / name).is_dir()])
def test_blocks_import_shared_rooms_at_most_and_never_each_other(block: str) -> None:
    files = list((PACKAGE / block).rglob("*.py"))
    assert files
    for file in files:
        assert imported(file) <= {block, *SHARED}, file


def test_shared_rooms_stand_on_nothing() -> None:
    assert imported(PACKAGE / "parallel.py") == set()
    assert imported(PACKAGE / "groups.py") == {"levels"}
    assert imported(PACKAGE / "levels.py") == set()


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import fairseg", ("numpy", "pandas", "torch", "SimpleITK")),
        ("import fairseg.cli.command", ("numpy", "pandas", "torch", "SimpleITK", "matplotlib")),
        ("import fairseg.losses, fairseg.samplers", ("monai", "ignite", "lightning", "accelerate")),
        ("import fairseg.integrations.loaders", ("monai", "lightning", "accelerate", "torchdata")),
        ("import fairseg.samplers", ("pandas", "scipy", "torch")),
        ("import fairseg.crop", ("pandas", "scipy", "skimage", "torch")),
        ("import fairseg.cohort.groups", ("pandas", "torch")),
        ("import fairseg.metrics, fairseg.report", ("torch", "medpy", "scipy.stats", "matplotlib.pyplot")),
    ],
)
def test_importing_costs_nothing_that_is_not_needed(statement: str, absent: tuple[str, ...]) -> None:
    code = f"import sys; {statement}; print([n for n in {absent!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_everything_named_is_there() -> None:
    for name in fairseg.__all__:
        assert getattr(fairseg, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = fairseg.nothing


def test_no_file_outgrows_its_idea() -> None:
    longest = {file.name: len(file.read_text().splitlines()) for file in PACKAGE.rglob("*.py")}
    assert {name: lines for name, lines in longest.items() if lines > 350} == {}
