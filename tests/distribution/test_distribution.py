"""The wheel has all that fairseg needs, the sdist all that is needed to make and check it. Twenty seconds.

They are built here by the project's own build backend, and the wheel is run from a folder of its own: with
`-S` Python reads no `.pth` file, so that an editable installation cannot lend what the wheel lacks.
"""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import fairseg
from tests.distribution.conftest import ROOT, SOURCES, Build
from tests.waiting import PATIENCE

pytestmark = pytest.mark.slow

NAME = f"fairseg-{fairseg.__version__}"


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("RECORD")}


def files_of(folder: Path) -> set[str]:
    found = (file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return {file.relative_to(folder.parent).as_posix() for file in found}


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    names = set(contents(wheel))
    own = {name for name in names if not name.startswith(f"{NAME}.dist-info/")}
    assert own == files_of(ROOT / "fairseg")
    assert {"fairseg/py.typed", "fairseg/report/report.html.j2", "fairseg/report/charts/hover.js"} <= own
    assert f"{NAME}.dist-info/licenses/LICENSE" in names
    entry_points = contents(wheel)[f"{NAME}.dist-info/entry_points.txt"].decode()
    assert "fairseg = fairseg.cli:main" in entry_points


def test_the_sdist_has_tests_and_documents_and_makes_the_same_wheel(
    sdist: Path, wheel: Path, build: Build, tmp_path: Path
) -> None:
    for name in SOURCES:
        assert {f"{NAME}/{file}" for file in files_of(ROOT / name)} <= files_of(sdist), name
    names = ("CHANGELOG.md", "CITATION.cff", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "LICENSE", "Makefile")
    more = ("constraints.txt", "constraints-lowest.txt", "mkdocs.yml", "paper.md", "paper.bib")
    for name in (*names, *more, ".pre-commit-config.yaml"):
        assert (sdist / name).read_bytes() == (ROOT / name).read_bytes()
    assert contents(build("wheel", sdist, tmp_path / "dist")) == contents(wheel)


def test_the_wheel_works_from_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    site, work = tmp_path / "site", tmp_path / "work"
    work.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    dependencies = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(site), *dependencies]),
        "OMP_NUM_THREADS": "1",
    }

    def python(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-S", *arguments],
            cwd=work,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    assert python("-c", "import fairseg; print(fairseg.__file__)").strip() == str(
        site / "fairseg/__init__.py"
    )
    assert python("-m", "fairseg", "--version") == f"fairseg {fairseg.__version__}\n"
    assert python("-m", "fairseg", "demo", "--help").startswith("Usage: fairseg demo")
    assert f"in {site / 'fairseg'}\n" in python("-m", "fairseg", "doctor")
    sizes = ("--subjects", "White=2", "--subjects", "Black=2", "--test-subjects", "2")
    python("-m", "fairseg", "phantom", "data", *sizes)
    tables = ("--groups", "data/groups.csv", "--by", "group", "--out", "report")
    out = python("-m", "fairseg", "audit", "data/labelsTs", "data/labelsTs", *tables)
    assert "Report: report/report.html" in out
    page = (work / "report" / "report.html").read_text(encoding="utf-8")
    assert "<script" in page  # hover.js came along
    assert "Median DSC" in out
