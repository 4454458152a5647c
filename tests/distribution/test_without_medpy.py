"""Without medpy everything works but `--cross-check`, which says what is missing. Fifteen seconds.

The wheel is installed by pip with `--no-deps`, beside links to all that is installed here except medpy.
"""

import os
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

import fairseg

pytestmark = pytest.mark.slow

Run = Callable[..., "subprocess.CompletedProcess[str]"]
TABLES = ("--groups", "groups.csv", "--by", "sex", "--min-size", "2", "--labels", "RVBP=1,LVM=2,LVBP=3")


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of an environment that has the wheel and this one's packages, but no medpy."""
    folder = tmp_path_factory.mktemp("without_medpy")
    venv.create(folder, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    for packages in (Path(path) for path in sys.path if path.endswith(("site-packages", "dist-packages"))):
        for entry in packages.iterdir():
            left_out = entry.suffix == ".pth" or entry.name.lower().startswith(("medpy", "fairseg", "__"))
            if not left_out and not (site / entry.name).exists():
                (site / entry.name).symlink_to(entry)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    done = subprocess.run(
        [*pip, "--no-deps", "--no-index", str(wheel)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return python


@pytest.fixture
def run(python: Path, cohort: Path) -> Run:
    """Return a function that runs the environment's Python in the folder of a small cohort."""
    environment = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"}

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [python, *arguments], cwd=cohort, env=environment, capture_output=True, text=True, check=False
        )

    return run


def test_an_audit_needs_no_medpy(run: Run, python: Path, cohort: Path) -> None:
    where = run("-c", "import fairseg; print(fairseg.__file__)").stdout
    assert where.startswith(str(python.parent.parent))
    assert "No module named 'medpy'" in run("-c", "import medpy").stderr
    assert run("-m", "fairseg", "--version").stdout == f"fairseg {fairseg.__version__}\n"
    done = run("-m", "fairseg", "audit", "predictions", "references", *TABLES, "--out", "report")
    assert done.returncode == 0, done.stderr
    assert (cohort / "report" / "report.html").exists()


def test_the_cross_check_says_that_it_needs_medpy_before_anything_is_scored(run: Run, cohort: Path) -> None:
    options = ("--cross-check", "5", "--out", "report")
    done = run("-m", "fairseg", "audit", "predictions", "references", *TABLES, *options)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("fairseg: error: cross_check needs medpy (GPL 3)")
    assert line.endswith("pip install medpy")
    assert not (cohort / "report").exists()
