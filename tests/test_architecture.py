"""The lines between the parts of the package hold, and importing it costs nothing."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import fairseg
from fairseg.datasets.example import write_example
from fairseg.deprecation import MODULES
from tests.ranks import start

PACKAGE = Path(fairseg.__file__).parent
# From the ground up: a room imports those before its own at most. Blocks stand side by side.
FLOORS = (
    ("deprecation", "__version__"),
    ("io",),
    ("cohort",),
    ("metrics", "samplers", "losses", "crop"),
    ("statistics",),
    ("scoring", "clinical"),
    ("report",),
    ("datasets",),
    ("training",),
    ("understanding", "checking"),
    ("experiment",),
    ("integrations",),
    ("cli",),
)


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


def test_every_room_has_a_floor() -> None:
    rooms = {place.name for place in PACKAGE.iterdir() if place.is_dir() and place.name != "__pycache__"}
    assert rooms == {room for floor in FLOORS for room in floor} - {"deprecation", "__version__"}


@pytest.mark.parametrize(("number", "room"), [(n, room) for n, floor in enumerate(FLOORS) for room in floor])
def test_rooms_import_lower_floors_only(number: int, room: str) -> None:
    below = {name for floor in FLOORS[:number] for name in floor}
    for file in (PACKAGE / room).rglob("*.py"):
        assert imported(file) <= below | {room}, file


def test_no_files_import_each_other_in_a_circle() -> None:
    """Imports inside functions and those for types alone count too: they are arrows as well."""
    files = {
        file.relative_to(PACKAGE.parent).with_suffix("").as_posix(): file for file in PACKAGE.rglob("*.py")
    }
    arrows: dict[str, set[str]] = {}
    for name, file in files.items():
        nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        named = {
            path.replace(".", "/")
            for node in nodes
            if isinstance(node, ast.ImportFrom) and node.module
            for path in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
        }
        arrows[name] = named & files.keys()
    while free := [name for name, to in arrows.items() if not to & arrows.keys()]:
        for name in free:
            del arrows[name]
    assert not arrows


@pytest.mark.parametrize("block", FLOORS[3])
def test_blocks_need_the_cohort_at_most(block: str) -> None:
    for file in (PACKAGE / block).rglob("*.py"):
        assert imported(file) <= {block, "cohort", "io", "deprecation"}, file


def _import_old_paths() -> None:
    for old, new in MODULES.items():
        importlib.import_module(old)
        assert sys.modules[old] is importlib.import_module(new), old


def test_old_paths_of_modules_warn_and_lead_to_the_new_ones(tmp_path: Path) -> None:
    process = start(_import_old_paths, tmp_path / "output.txt")
    process.join()
    assert process.exitcode == 0, (tmp_path / "output.txt").read_text()
    with pytest.warns(DeprecationWarning, match=r"fairseg.metrics.read_scores is now fairseg.scoring"):
        from fairseg.metrics import read_scores  # noqa: F401, PLC0415


def test_importing_costs_nothing_that_is_not_needed() -> None:
    """One process, which imports more and more: what an earlier line must not load, no line before has."""
    steps = (
        ("fairseg", ("numpy", "pandas", "torch", "SimpleITK")),
        ("fairseg.cli", ("numpy", "pandas", "torch", "SimpleITK", "matplotlib")),
        ("fairseg.cohort.groups", ("pandas", "torch")),
        ("fairseg.samplers", ("pandas", "scipy", "torch")),
        ("fairseg.crop", ("pandas", "scipy", "skimage", "torch")),
        ("fairseg.metrics, fairseg.report", ("torch", "medpy", "scipy.special", "matplotlib")),
        # What a report on a table of scores needs, which reads no image.
        ("fairseg.report.page", ("SimpleITK", "tqdm", "asyncio", "skimage", "scipy.signal")),
        ("fairseg.losses", ("monai", "ignite", "lightning", "accelerate")),
        ("fairseg.integrations.loaders", ("monai", "lightning", "accelerate", "torchdata")),
    )
    code = "import sys" + "".join(
        f"\nimport {names}; print({names!r}, [n for n in {absent!r} if n in sys.modules])"
        for names, absent in steps
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{names} []" for names, _ in steps]


SLOW_TO_IMPORT = (
    *(f"scipy.{part}" for part in ("stats", "optimize", "signal", "spatial", "ndimage", "sparse", "linalg")),
    "statsmodels",
)


def test_an_audit_and_a_comparison_of_scores_need_scipys_special_functions_alone(tmp_path: Path) -> None:
    code = f"""
import sys
import numpy as np, pandas as pd
import fairseg
rng = np.random.default_rng(0)
scores = pd.DataFrame({{
    "subject": [f"s{{i}}" for i in range(80)], "sex": ["F", "M"] * 40, "site": ["A"] * 40 + ["B"] * 40,
    "age": rng.normal(60, 9, 80), "dice": rng.uniform(0.6, 0.95, 80), "rare": list("abcd") + ["e"] * 76,
}})
scores.loc[:3, "dice"] = 0.0
fairseg.audit(scores, by="sex", also=["site"], adjust=["site", "age"]).save({str(tmp_path)!r} + "/audit")
better = scores.assign(dice=scores["dice"] ** 0.8)
fairseg.compare({{"old": scores, "new": better}}, by="sex").save({str(tmp_path)!r} + "/both")
print([name for name in {SLOW_TO_IMPORT!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_that_audits_masks_imports_nothing_slow(tmp_path: Path) -> None:
    write_example(tmp_path / "demo")
    code = f"""
import sys
from fairseg.cli import main
arguments = "audit predictions references --groups groups.csv --by sex --min-size 5 --out report"
assert main(arguments.split()) == 0
print([name for name in {SLOW_TO_IMPORT!r} if name in sys.modules])
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path / "demo", capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


def test_nothing_travels_in_the_attrs_of_a_table() -> None:
    """`merge`, `concat` and `to_csv` drop them: what matters stands in columns, or in an object beside."""
    for file in PACKAGE.rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        found = [
            node.lineno for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "attrs"
        ]
        assert not found, f"{file}: lines {found}"
        assert ".attrs" not in file.read_text(encoding="utf-8"), file


def test_everything_named_is_there() -> None:
    for name in fairseg.__all__:
        assert getattr(fairseg, name) is not None
    with pytest.raises(AttributeError, match="attribute nothing"):
        _ = fairseg.nothing


# Longer than most, and one idea each: two groups compared, whatever the test.
WHOLE = {"statistics/two_samples.py"}


def test_a_class_name_means_one_thing() -> None:
    files: dict[str, list[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                files.setdefault(node.name, []).append(str(path.relative_to(PACKAGE)))
    assert {name: paths for name, paths in files.items() if len(paths) > 1} == {}


def test_no_file_outgrows_its_idea() -> None:
    """A longer file is asked whether it holds two ideas; one idea may stay whole, and is then named above."""
    longest = {
        str(file.relative_to(PACKAGE)): len(file.read_text(encoding="utf-8").splitlines())
        for file in PACKAGE.rglob("*.py")
    }
    assert {name for name, lines in longest.items() if lines > 450} <= WHOLE
