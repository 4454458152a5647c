"""No command replaces what it reads, nor what it has not written itself, unless it is told to."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fairseg.cli import main
from fairseg.io.outputs import MANIFEST

QUICK = ("--resamples", "100")


def contents(folder: Path) -> dict[Path, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    return {path: path.read_bytes() for path in files}


@pytest.fixture
def data(cohort: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the cohort's folder, made the working directory, with the scores of two models."""
    monkeypatch.chdir(cohort)
    masks = ["predictions", "references", "--groups", "groups.csv"]
    assert main(["evaluate", *masks, "--out", "scores.csv"]) == 0
    shutil.copy("scores.csv", "findings.csv")
    shutil.copy("groups.csv", "cohort.csv")
    shutil.copy("predictions/s3_ED.nii.gz", "mask.nii.gz")
    return cohort


MASKS = ("predictions", "references", "--groups")
COLLISIONS: dict[str, tuple[str, ...]] = {
    "audit on its table": ("audit", *MASKS, "cohort.csv", "--by", "sex", *QUICK, "--out", "."),
    "report on its scores": ("report", "findings.csv", "--by", "sex", *QUICK, "--out", "."),
    "report on a table beside": ("report", "scores.csv", "--by", "sex", *QUICK, "--out", "."),
    "compare on its scores": ("compare", "scores.csv", "findings.csv", "--by", "sex", "--out", "."),
    "evaluate on its table": ("evaluate", *MASKS, "groups.csv", "--out", "groups.csv"),
    "evaluate on a mask": ("evaluate", *MASKS, "groups.csv", "--out", "predictions/s3_ED.nii.gz"),
    "evaluate on a mask elsewhere": ("evaluate", *MASKS, "groups.csv", "--out", "mask.nii.gz"),
    "evaluate on a new image among the masks": (
        "evaluate",
        *MASKS,
        "groups.csv",
        "--out",
        "references/x.png",
    ),
    "audit among masks": ("audit", *MASKS, "groups.csv", "--by", "sex", *QUICK, "--out", "predictions"),
    "plan on its scores": ("plan", "scores.csv", "--by", "sex", "--write", "scores.csv"),
    "nnunet scores on its table": ("nnunet", "scores", ".", "--groups", "groups.csv", "--out", "groups.csv"),
    "phantom on a data set": ("phantom", ".", "--subjects", "A=1", "--test-subjects", "0"),
}


@pytest.mark.parametrize("arguments", COLLISIONS.values(), ids=COLLISIONS.keys())
def test_an_output_never_falls_on_an_input(
    data: Path, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    before = contents(data)
    capfd.readouterr()
    assert main(list(arguments)) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("fairseg: error: ")
    assert contents(data) == before


def test_not_even_with_overwrite(data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = contents(data)
    for name in (
        "audit on its table",
        "evaluate on its table",
        "evaluate on a mask",
        "compare on its scores",
    ):
        inside = name == "evaluate on a mask"  # a folder is read, so an image in it
        assert main([*COLLISIONS[name], "--overwrite"]) == 2, inside
        assert "is read" in capfd.readouterr().err
    assert contents(data) == before


def test_what_a_command_wrote_itself_is_replaced_and_all_else_is_not(
    data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["report", "scores.csv", "--by", "sex", *QUICK, "--out", "out"]
    assert main(command) == 0
    assert main(command) == 0
    (data / "out" / "cohort.csv").write_text("mine")
    capfd.readouterr()
    assert main(command) == 2
    assert "cohort.csv has changed" in capfd.readouterr().err
    assert (data / "out" / "cohort.csv").read_text() == "mine"
    assert main([*command, "--overwrite"]) == 0
    assert (data / "out" / "cohort.csv").read_text() != "mine"
    other = ["compare", "scores.csv", "findings.csv", "--by", "sex", "--out", "out"]
    assert main(other) == 2  # the findings of a report are not those of a comparison


@pytest.mark.parametrize("name", ["evaluate", "report"])
@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "device"])
def test_a_link_a_pipe_and_a_device_in_the_place_of_a_file_are_refused(
    data: Path, capfd: pytest.CaptureFixture[str], name: str, kind: str
) -> None:
    target = data / "out" / ("s.csv" if name == "evaluate" else "findings.csv")
    target.parent.mkdir()
    mine = data / "mine.txt"
    mine.write_text("mine")
    make: dict[str, Callable[[], object]] = {
        "link": lambda: target.symlink_to(mine),
        "dangling link": lambda: target.symlink_to(data / "nowhere"),
        "pipe": lambda: os.mkfifo(target),
        "device": lambda: None,
    }
    make[kind]()
    if kind == "device" and name == "report":
        pytest.skip("a device lies in a folder of devices")
    out = Path("/dev/null") if kind == "device" else target
    arguments = {
        "evaluate": ["evaluate", *MASKS, "groups.csv", "--out", str(out)],
        "report": ["report", "scores.csv", "--by", "sex", *QUICK, "--out", str(out.parent)],
    }[name]
    capfd.readouterr()
    for options in ([], ["--overwrite"]):
        assert main([*arguments, *options]) == 2
        assert str(out) in capfd.readouterr().err
    assert mine.read_text() == "mine"
    assert not (data / "nowhere").exists()
    assert not Path("/dev/null").is_file()


def test_an_output_folder_may_be_a_link(data: Path) -> None:
    (data / "elsewhere").mkdir()
    (data / "out").symlink_to(data / "elsewhere")
    assert main(["report", "scores.csv", "--by", "sex", *QUICK, "--out", "out"]) == 0
    assert (data / "elsewhere" / "report.html").is_file()
