"""Numbers and files that nobody means: one line that names them, exit code 2, no traceback, nothing lost."""

import gzip
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest

from fairseg.cli import main
from fairseg.io.json_files import parse_json
from fairseg.io.limits import check_voxel_size

QUICK = ("--resamples", "100")
MASKS = ("predictions", "references", "--groups", "groups.csv")
EVALUATE = ("evaluate", *MASKS, "--out", "out")
AUDIT = ("audit", *MASKS, "--by", "sex", *QUICK, "--out", "out")
REPORT = ("report", "scores.csv", "--by", "sex", *QUICK, "--out", "out")
COMPARE = ("compare", "scores.csv", "other.csv", "--by", "sex", "--out", "out")
PLAN = ("plan", "scores.csv", "--by", "sex")
ASSUME = ("plan", "--failure-rate", "0.1", "--failures")
PHANTOM = ("phantom", "out", "--subjects", "A=1", "--subjects", "B=1", "--test-subjects", "0")
SCORES = "case,subject,sex,age,label,dice,reference_ml,prediction_ml\n"
DEEP = "[" * 100_000 + "]" * 100_000


@pytest.fixture
def data(cohort: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the cohort's folder, made the working directory, with the scores of two models."""
    monkeypatch.chdir(cohort)
    scores(cohort / "scores.csv", 0.80)
    scores(cohort / "other.csv", 0.85)
    return cohort


def scores(file: Path, mean: float, **changed: str) -> None:
    rows = []
    for number in range(24):
        row = {
            "case": f"c{number}",
            "subject": f"s{number}",
            "sex": "FM"[number % 2],
            "age": f"{30 + number}",
        }
        row |= {
            "label": "heart",
            "dice": f"{mean + number / 200}",
            "reference_ml": "100",
            "prediction_ml": "90",
        }
        rows.append(",".join((row | changed if number == 3 else row).values()))
    file.write_text(SCORES + "\n".join(rows) + "\n")


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(folder: Path, arguments: tuple[str, ...], capfd: pytest.CaptureFixture[str]) -> str:
    """Run a command that must be refused; return its line."""
    before = contents(folder)
    capfd.readouterr()
    assert main(list(arguments)) == 2
    out, err = capfd.readouterr()
    (line,) = [line for line in err.splitlines() if not line.startswith("fairseg: note: ")]
    assert line.startswith("fairseg: error: ")
    assert "Traceback" not in out + err
    assert contents(folder) == before
    assert not (folder / "out").exists()
    return line


HUGE_SEED = str(2**70)
OPTIONS: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    *((one, ("--seed", HUGE_SEED)) for one in (REPORT, AUDIT, COMPARE, PLAN, PHANTOM)),
    *((one, ("--seed", "-1")) for one in (REPORT, AUDIT, COMPARE, PLAN, PHANTOM)),
    *(
        (one, ("--margin", value))
        for one in (REPORT, AUDIT, COMPARE, PLAN)
        for value in ("nan", "inf", "1e308")
    ),
    *((one, ("--adjust", "nosuch")) for one in (REPORT, AUDIT, COMPARE)),
    *((one, ("--also", "nosuch")) for one in (REPORT, AUDIT, COMPARE)),
    *((one, ("--by", "nosuch")) for one in (REPORT, AUDIT, COMPARE, PLAN)),
    *((one, ("--resamples", "1000000000")) for one in (REPORT, AUDIT)),
    *((one, ("--bins", "age=nan")) for one in (REPORT, AUDIT, COMPARE, PLAN)),
    *((one, ("--spacing", "1e-6,1e-6,1e-6")) for one in (EVALUATE, AUDIT)),
    *((one, ("--spacing", "nan")) for one in (EVALUATE, AUDIT)),
    *((one, ("--tolerance", "nan")) for one in (EVALUATE, AUDIT)),
    *((one, ("--max-voxels", "1")) for one in (EVALUATE, AUDIT)),
    *((PLAN, ("--ratio", value)) for value in ("1e308", "1e-300", "nan", "0")),
    *((ASSUME, ("--difference", value)) for value in ("1e-12", "nan", "0")),
    (PHANTOM, ("--size", "99999999999")),
    (PHANTOM, ("--slices", "99999999999")),
    *((PHANTOM, ("--spacing", value)) for value in ("1e308", "1e-6", "nan")),
]


@pytest.mark.parametrize(("command", "options"), OPTIONS, ids=lambda one: "-".join(one)[:60])
def test_a_number_that_nobody_means_is_refused_before_any_work(
    data: Path, capfd: pytest.CaptureFixture[str], command: tuple[str, ...], options: tuple[str, ...]
) -> None:
    line = refused(data, (*command, *options), capfd)
    assert options[0].lstrip("-") in line or options[1].split("=")[0] in line


DATASETS = {
    "infinity": '{"labels": {"background": 0, "heart": Infinity}}',
    "not a number": '{"labels": {"background": 0, "heart": NaN}}',
    "a list": "[1, 2]",
    "a list of labels": '{"labels": [1, 2]}',
    "labels that are none": '{"labels": null}',
    "nested deep": DEEP,
    "nested deep inside": f'{{"labels": {{"heart": {DEEP}}}}}',
    "5,000 digits": f'{{"labels": {{"heart": {"9" * 5000}}}}}',
    "beyond 64 bits": f'{{"labels": {{"heart": {2**64}}}}}',
    "1e308": '{"labels": {"heart": 1e308}}',
    "true": '{"labels": {"heart": true}}',
    "negative": '{"labels": {"heart": -1}}',
    "no text": "\x00\x01",
    "empty": "",
}


@pytest.mark.parametrize("content", DATASETS.values(), ids=DATASETS.keys())
@pytest.mark.parametrize("command", [EVALUATE, AUDIT], ids=["evaluate", "audit"])
def test_a_dataset_json_that_is_none_is_named(
    data: Path, capfd: pytest.CaptureFixture[str], command: tuple[str, ...], content: str
) -> None:
    (data / "references" / "dataset.json").write_text(content)
    line = refused(data, command, capfd)
    assert "references/dataset.json" in line
    assert len(line) < 300


@pytest.mark.parametrize("content", DATASETS.values(), ids=DATASETS.keys())
def test_check_finds_a_dataset_json_that_is_none(
    data: Path, capfd: pytest.CaptureFixture[str], content: str
) -> None:
    (data / "references" / "dataset.json").write_text(content)
    assert main(["check", "predictions", "references", "--groups", "groups.csv"]) == 2
    out, err = capfd.readouterr()
    assert "dataset.json" in out
    assert "Traceback" not in out + err


# Byte, and what stands there: vox_offset, pixdim[1], dim[1], dim[0].
HEADERS = {
    "vox_offset of infinity": (108, "<f", float("inf")),
    "vox_offset of NaN": (108, "<f", float("nan")),
    "vox_offset below 0": (108, "<f", -1.0),
    "vox_offset of 1e30": (108, "<f", 1e30),
    "voxels of infinity": (80, "<f", float("inf")),
    "voxels of NaN": (80, "<f", float("nan")),
    "voxels of 0": (80, "<f", 0.0),
    "voxels of 1e-6": (80, "<f", 1e-6),
    "voxels of 1e38": (80, "<f", 1e38),
    "a size below 0": (42, "<h", -3),
    "nine dimensions": (40, "<h", 9),
}


@pytest.mark.parametrize(("place", "kind", "value"), HEADERS.values(), ids=HEADERS.keys())
@pytest.mark.parametrize("command", [EVALUATE, AUDIT], ids=["evaluate", "audit"])
def test_a_nifti_header_that_cannot_be_is_named(
    data: Path,
    capfd: pytest.CaptureFixture[str],
    command: tuple[str, ...],
    place: int,
    kind: str,
    value: float,
) -> None:
    for folder in ("predictions", "references"):  # alike, so that no comparison of grids sees it
        file = data / folder / "s3_ED.nii.gz"
        content = bytearray(gzip.decompress(file.read_bytes()))
        struct.pack_into(kind, content, place, value)
        file.write_bytes(gzip.compress(bytes(content)))
    assert "s3_ED.nii.gz" in refused(data, command, capfd)


CELLS = {
    "a volume of 1e308 ml": {"reference_ml": "1e308"},
    "a volume beyond numbers": {"reference_ml": "1e309"},
    "a volume below 0": {"reference_ml": "-5"},
    "a Dice of infinity": {"dice": "inf"},
    "a Dice of text": {"dice": "abc"},
    "a Dice of 1e308": {"dice": "1e308"},
}


@pytest.mark.parametrize("changed", CELLS.values(), ids=CELLS.keys())
@pytest.mark.parametrize("command", [REPORT, COMPARE, PLAN], ids=["report", "compare", "plan"])
def test_a_cell_that_cannot_be_is_named(
    data: Path, capfd: pytest.CaptureFixture[str], command: tuple[str, ...], changed: dict[str, str]
) -> None:
    scores(data / "scores.csv", 0.8, **changed)
    line = refused(data, command, capfd)
    assert f"scores.csv: row 5, column {next(iter(changed))}: must be" in line


@pytest.mark.parametrize("command", [REPORT, COMPARE, PLAN, EVALUATE, AUDIT], ids=lambda one: one[0])
@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"\x00" * 20, b""], ids=["no text", "zeros", "empty"])
def test_a_table_that_is_no_text_is_named(
    data: Path, capfd: pytest.CaptureFixture[str], command: tuple[str, ...], content: bytes
) -> None:
    file = data / ("groups.csv" if "groups.csv" in command else "scores.csv")
    file.write_bytes(file.read_bytes() + content if content else b"")
    assert file.name in refused(data, command, capfd)


@pytest.mark.parametrize("content", [DEEP, '{"by": NaN}', "[1]", '{"by": ["sex"], "margin": 1e999}', "\x00"])
def test_a_preregistration_that_is_none_is_named(
    data: Path, capfd: pytest.CaptureFixture[str], content: str
) -> None:
    (data / "stated.json").write_text(content)
    command = ("report", "scores.csv", "--preregister", "stated.json", "--out", "out")
    assert "stated.json" in refused(data, command, capfd)


def test_json_that_is_nested_is_no_recursion_error() -> None:
    for text in (DEEP, '{"a":' * 100_000 + "1" + "}" * 100_000):
        with pytest.raises(ValueError, match="it is nested too deep"):
            parse_json(text.encode(), "any.json")
    assert parse_json(json.dumps([[[1]]]).encode(), "any.json") == [[[1]]]


def test_voxels_are_what_a_scanner_or_a_microscope_makes() -> None:
    check_voxel_size((4e-6, 4e-6, 3e-5), "electron microscope")
    check_voxel_size((1.5, 1.5, 500.0), "localiser")
    for size in (0.0, -1.0, 1e-6, float("nan"), float("inf"), 1e38):
        with pytest.raises(ValueError, match="x must have voxels"):
            check_voxel_size((1.0, size), "x")


def spoken(command: tuple[str, ...], redirect: str, folder: Path, as_nobody: bool = False) -> tuple[int, str]:
    """Run a command through a shell; return its exit code and what is on stderr."""
    user = "setpriv --reuid=65534 --regid=65534 --clear-groups " if as_nobody else ""
    shell = f"{user}{sys.executable} -m fairseg {' '.join(command)} {redirect}"
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        shell, shell=True, cwd=folder, env=plain, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr


def let_all_in(folder: Path) -> None:
    """Let other users into a folder, and into those above it that pytest has made, alone or in workers."""
    for path in (folder, *folder.parents):
        if path == folder or path.name.startswith(("pytest-", "popen-", "test_")):
            path.chmod(0o755)


@pytest.mark.parametrize("redirect", ["1>&-", ">/dev/full", "2>&-", "1>&- 2>&-", "2>/dev/full"])
@pytest.mark.parametrize("command", [REPORT, PLAN, ("--version",)], ids=lambda one: one[0])
def test_a_terminal_that_is_full_or_gone_is_no_traceback(
    data: Path, command: tuple[str, ...], redirect: str
) -> None:
    code, error = spoken(command, redirect, data)
    assert code in (0, 1)
    assert "Traceback" not in error
    assert "Exception ignored" not in error
    if command == REPORT:
        assert (data / "out" / "report.html").is_file()  # the work was done before it was told
        code, error = spoken((*REPORT, "--margin", "nan"), redirect, data)
        assert code == 2
        assert "Traceback" not in error


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root, to become nobody")
@pytest.mark.parametrize(
    ("command", "hidden"),
    [
        (REPORT, "scores.csv"),
        (COMPARE, "other.csv"),
        (PLAN, "scores.csv"),
        (EVALUATE, "groups.csv"),
        (EVALUATE, "predictions/s3_ED.nii.gz"),
        (EVALUATE, "predictions"),
        (AUDIT, "references/s3_ED.nii.gz"),
    ],
)
def test_a_file_that_may_not_be_read_is_named(data: Path, command: tuple[str, ...], hidden: str) -> None:
    let_all_in(data)
    writable = data / "mine"
    writable.mkdir()
    writable.chmod(0o777)
    (data / hidden).chmod(0)
    code, error = spoken(
        (*command[:-1], "mine/out") if "--out" in command else command, "", data, as_nobody=True
    )
    assert code == 2
    (line,) = [line for line in error.splitlines() if not line.startswith("fairseg: note: ")]
    assert hidden in line
    assert not list(writable.iterdir())


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root, to become nobody")
@pytest.mark.parametrize("command", [REPORT, COMPARE, EVALUATE, AUDIT, PHANTOM], ids=lambda one: one[0])
def test_a_folder_that_may_not_be_written_is_named(data: Path, command: tuple[str, ...]) -> None:
    let_all_in(data)
    code, error = spoken(command, "", data, as_nobody=True)
    assert code == 2
    (line,) = [line for line in error.splitlines() if not line.startswith("fairseg: note: ")]
    assert "cannot be written: no permission in" in line


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root, to become somebody else")
def test_a_user_without_a_name_and_a_home_has_no_traceback(data: Path) -> None:
    let_all_in(data)
    (data / "mine").mkdir()
    (data / "mine").chmod(0o777)
    nobody = "env -u HOME -u USER -u LOGNAME setpriv --reuid=54321 --regid=54321 --clear-groups"

    def run(command: str) -> tuple[int, str]:
        shell = f"{nobody} {sys.executable} {command}"
        done = subprocess.run(
            shell, shell=True, cwd=data / "mine", capture_output=True, text=True, check=False
        )
        return done.returncode, done.stderr

    assert run("-m fairseg report ../scores.csv --by sex --resamples 100 --out out") == (0, "")
    if matplotlib.__version_info__ >= (3, 11):  # which MONAI may import; older ones do not do without a home
        code, error = run("-c 'import fairseg.training.network'")  # MONAI asks for the user's name
        assert code == 0, error
    code, error = run("-m fairseg nnunet install")
    assert code == 2
    assert error == "fairseg: error: FOLDER must be given, as this user has no home folder\n"
    assert not (data / "mine" / "~").exists()


def test_a_cache_of_figures_that_cannot_be_written_is_no_news(data: Path) -> None:
    shell = f"MPLCONFIGDIR=/proc/nowhere {sys.executable} -m fairseg {' '.join(REPORT)}"
    done = subprocess.run(shell, shell=True, cwd=data, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
