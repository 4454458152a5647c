"""Wheel and sdist, built once for all tests of this folder by the project's own build backend."""

import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fairseg

Build = Callable[[str, Path, Path], Path]
ROOT = Path(__file__).parent.parent.parent
SOURCES = ("fairseg", "tests", "docs", "benchmarks", "website", ".ci", ".github")
JUNK = shutil.ignore_patterns("__pycache__", "*.py[cod]")


@pytest.fixture(scope="session")
def build() -> Build:
    """Return a function that builds a "wheel" or an "sdist" of a folder into another."""
    return _build


@pytest.fixture(scope="session")
def sdist(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an sdist, unpacked; built from a copy, so that no earlier build is in the way."""
    folder = tmp_path_factory.mktemp("sdist")
    copy = folder / "copy"
    for name in SOURCES:
        shutil.copytree(ROOT / name, copy / name, ignore=JUNK)
    for file in ROOT.iterdir():
        if file.is_file():
            shutil.copy(file, copy)
    with tarfile.open(build("sdist", copy, folder / "dist")) as archive:
        # Python before 3.11.4 knows no filters.
        safely: Any = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(folder, **safely)
    return folder / f"fairseg-{fairseg.__version__}"


@pytest.fixture(scope="session")
def wheel(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a wheel, built from a copy of what it needs and no more."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "copy"
    shutil.copytree(ROOT / "fairseg", copy / "fairseg", ignore=JUNK)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    return build("wheel", copy, folder / "dist")


def _build(kind: str, source: Path, out: Path) -> Path:
    out.mkdir()
    call = f"from setuptools import build_meta; build_meta.build_{kind}({str(out)!r})"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", call], cwd=source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (made,) = out.iterdir()
    return made
