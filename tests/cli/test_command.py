"""The command line: what it writes, what it refuses in one line, and that it then leaves nothing behind."""

import base64
import csv
import errno
import html
import importlib
import json
import logging
import os
import pickle
import re
import shutil
import signal
import struct
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

import fairseg
from fairseg.cli import main
from fairseg.experiment import demo as training_demo
from fairseg.io.outputs import MANIFEST
from fairseg.report.charts import script
from fairseg.scoring.table import Scores, read_scores
from fairseg.statistics.verdicts import Verdict
from tests.waiting import PATIENCE, cpu_seconds, wait_until

Save = Callable[..., Path]

COMMANDS = (
    *("evaluate", "report", "audit", "compare", "phantom", "train", "predict", "experiment", "demo"),
    *("doctor", "completion"),
)
TABLES = ("findings.csv", "subgroups.csv", "summary.csv", "summary.md", "summary.tex", "subjects.csv")


QUICK = ("--resamples", "100")


def scoring(cohort: Path) -> list[str]:
    return [str(cohort / "predictions"), str(cohort / "references"), "--groups", str(cohort / "groups.csv")]


def audit(cohort: Path, *options: str, by: str = "sex") -> list[str]:
    return ["audit", *scoring(cohort), "--by", by, *QUICK, "--out", str(cohort / "out"), *options]


def texts(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix not in (".pdf", ".png")]


def findings(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "findings.csv", dtype=str).set_index(["endpoint", "structure"])


def files(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def process(
    *arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "fairseg", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=env,
        timeout=PATIENCE,
    )


def replace_column(cohort: Path, name: str, change: Callable[[dict[str, str]], str]) -> None:
    """Set one column of groups.csv, row by row."""
    table = cohort / "groups.csv"
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row[name] = change(row)
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


# --- what works


def test_an_audit_writes_the_whole_report_and_shows_the_answer(
    cohort: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(audit(cohort, "--reference", "M", "--min-size", "4", "--cross-check", "20")) == 0
    out, err = capfd.readouterr()
    (line,) = err.splitlines()
    assert re.fullmatch(
        r"fairseg: note: cross-check: 40 scores recomputed with medpy, largest difference \S+", line
    )
    assert line.partition("note: ")[2] in (cohort / "out" / "report.html").read_text()
    result = fairseg.audit(cohort / "out" / "scores.csv", "sex", "M", min_size=4)
    assert out.splitlines()[0].endswith(result.verdict.label.capitalize())
    assert str(cohort / "out" / "report.html") in out
    written = {path.name for path in (cohort / "out").iterdir()}
    assert {"report.html", "scores.csv", *TABLES} <= written
    assert not written & {"report.pdf", "overall.svg", "labels.svg", "gaps.png"}
    assert not [name for name in written if "part" in name]
    found = findings(cohort / "out")
    assert set(found["verdict"]) <= {one.value for one in Verdict}
    assert float(found.loc[("typical case", "Overall"), "estimate"]) == pytest.approx(
        result.findings["estimate"][0]
    )


def test_the_command_is_a_process_that_says_nothing_on_stderr_where_all_is_well(cohort: Path) -> None:
    done = process(*audit(cohort, "--workers", "2"))
    assert (done.returncode, done.stderr) == (0, "")
    assert Verdict.NOT_JUDGED.label.capitalize() in done.stdout.splitlines()[0]  # eight subjects are few


@pytest.mark.parametrize(
    "options",
    [
        ("--by", "sex"),
        ("--by", "sex", "--reference", "M"),
        ("--by", "site", "--by", "sex", "--reference", "sex=F, site=A"),
        ("--by", "age", "--bins", "age=50,65"),
        ("--by", "sex", "--metric", "iou"),
    ],
)
def test_evaluate_then_report_gives_what_audit_gives(cohort: Path, options: tuple[str, ...]) -> None:
    replace_column(cohort, "sex", lambda row: "" if row["case"] == "s8_ED" else row["sex"])
    scores = cohort / "scores.csv"
    options = (*options, *QUICK, "--min-size", "3")
    masks = (*scoring(cohort), "--metrics", "dice,hd,iou")
    assert main(["audit", *masks, *options, "--out", str(cohort / "one")]) == 0
    assert main(["evaluate", *masks, "--out", str(scores)]) == 0
    assert main(["report", str(scores), *options, "--out", str(cohort / "two")]) == 0
    for name in TABLES:
        assert (cohort / "one" / name).read_bytes() == (cohort / "two" / name).read_bytes(), name
    assert (cohort / "one" / "scores.csv").read_bytes() == scores.read_bytes()


def test_workers_do_not_change_a_byte(cohort: Path) -> None:
    for workers in ("1", "2"):
        options = (*QUICK, "--workers", workers, "--metrics", "dice,hd,hd95,assd,nsd", "--tolerance", "2")
        assert main(["audit", *scoring(cohort), "--by", "sex", "--out", str(cohort / workers), *options]) == 0
    for path in (cohort / "1").iterdir():
        assert path.read_bytes() == (cohort / "2" / path.name).read_bytes(), path.name


def test_png_masks_with_sex_as_the_group_and_no_dataset_json(tmp_path: Path, save_mask: Save) -> None:
    rng = np.random.default_rng(3)
    rows = ["case,sex"]
    for folder in ("model", "truth"):
        (tmp_path / folder).mkdir()
    for number in range(8):
        true = np.zeros((32, 40), np.uint8)
        true[8:20, 6:20], true[10:24, 20:34], true[26:30, 5:30] = 1, 2, 3
        predicted = np.roll(true, int(rng.integers(-2, 3)), axis=1)
        save_mask(tmp_path / "truth" / f"xray{number}.png", true, spacing=(1.0, 1.0))
        save_mask(tmp_path / "model" / f"xray{number}.png", predicted, spacing=(1.0, 1.0))
        rows.append(f"xray{number},{'female' if number % 2 else 'male'}")
    (tmp_path / "groups.csv").write_text("\n".join(rows) + "\n")
    done = process(
        *("audit", "model", "truth", "--groups", "groups.csv", "--by", "sex", "--out", "out"),
        *("--cross-check", "24", "--min-size", "4", *QUICK),
        cwd=tmp_path,
    )
    assert done.returncode == 0
    lines = done.stderr.splitlines()
    (pixels,) = [line for line in lines if "pixels" in line]
    (checked,) = [line for line in lines if "cross-check" in line]
    assert "distances are in pixels" in pixels
    assert checked.startswith("fairseg: note: cross-check: 48 scores recomputed with medpy")
    assert "female" in done.stdout
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Distances are in pixels" in page
    out = ["--out", str(tmp_path / "again"), "--min-size", "4", *QUICK]
    report = ["report", str(tmp_path / "out" / "scores.csv"), "--by", "sex", "--figures", *out]
    assert main(report) == 0
    for folder in ("out", "again"):
        for path in texts(tmp_path / folder):
            text = path.read_text()
            assert "(mm)" not in text, path
            assert path.name not in (*TABLES[2:5], "report.html", "overall.svg") or "HD (px)" in text, path
    scores = Scores.of(tmp_path / "out" / "scores.csv")
    assert (scores.unit, sorted(scores.labels), len(scores.table)) == ("px", ["1", "2", "3"], 24)


def test_a_group_of_one_subject_has_a_median_and_no_spread(cohort: Path) -> None:
    replace_column(cohort, "site", lambda row: "C" if row["subject"] == "s8" else "A")
    assert main(audit(cohort, "--reference", "A", by="site")) == 0
    with (cohort / "out" / "summary.csv").open(newline="") as file:
        rows = {row["measure"]: row for row in csv.DictReader(file) if row["structure"] == "Overall"}
    assert 0 < float(rows["Median DSC"]["C (n=1)"]) <= 1
    assert rows["IQR DSC"]["C (n=1)"] == ""


def test_cases_without_group_file_or_row_are_named_on_stderr_and_on_the_page(
    cohort: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = cohort / "groups.csv"
    rows = table.read_text().replace("s4_ED,s4,M,B,58\n", "").rstrip() + "\ns9_ED,s9,F,B,50\n"
    table.write_text(rows)
    assert main(audit(cohort)) == 0
    err = capfd.readouterr().err
    page = (cohort / "out" / "report.html").read_text()
    for case in ("s4_ED", "s9_ED"):
        assert err.count(case) == 1
        assert case in page
    assert all(line.startswith("fairseg: note: ") for line in err.splitlines())


def test_the_demo_compares_its_arms_and_ends_by_saying_where_the_reports_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    few = {"subjects": {"White": 6, "Black": 2}, "test_subjects": 3}
    short = training_demo.SETTINGS.with_(epochs=1, steps=2, features=4, most_features=8, batch_size=4)
    real = training_demo.run_demo
    monkeypatch.setattr(
        training_demo, "run_demo", lambda out, **more: real(out, settings=short, **few, **more)
    )
    # In this process, as those that train import torch; the jobs are what those would get.
    in_turn = lambda call, jobs, _: (call(*job) for job in pickle.loads(pickle.dumps(jobs)))  # noqa: E731
    monkeypatch.setattr(training_demo, "run_all", in_turn)
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--seed", "1"]) == 0
    out, err = capfd.readouterr()
    stages = [line for line in err.splitlines() if line[:2] in ("1/", "2/", "3/", "4/")]
    assert len(stages) == 4
    for arm in training_demo.ARMS:
        assert arm.split(" +")[0] in out
        name = training_demo.folder(arm)
        report = Path("fairseg-demo", "reports", name)
        assert {"report.html", "scores.csv"} <= {path.name for path in report.iterdir()}
        assert len(list(Path("fairseg-demo", "predictions", name).glob("*.nii.gz"))) == 12
    comparison = Path("fairseg-demo", "comparison", "comparison.html")
    assert str(comparison) in out.rstrip().splitlines()[-1]
    assert comparison.is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["fairseg-demo"]
    checkpoints = {path: path.stat().st_mtime_ns for path in Path("fairseg-demo", "runs").rglob("*.pt")}
    assert len(checkpoints) == len(training_demo.ARMS)
    assert main(["demo", "--seed", "1"]) == 0  # nothing is trained again
    assert {path: path.stat().st_mtime_ns for path in checkpoints} == checkpoints
    assert main(["demo", "--seed", "2"]) == 2
    assert "fairseg-demo holds a demo of another seed" in capfd.readouterr().err


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_command_has_help(
    command: tuple[str, ...], flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, flag]) == 0
    out, err = capsys.readouterr()
    assert "Usage: fairseg" in out
    assert "None]" not in out.replace("\n", "")
    assert err == ""


def test_help_and_version_are_there_from_the_shell() -> None:
    for arguments in (["--help"], ["audit", "--help"], ["--version"]):
        done = process(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert "fairseg" in done.stdout


def test_no_command_shows_the_help_and_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert "Usage" in out + err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("module", "not_loaded"), [("fairseg", ("torch", "numpy", "pandas")), ("fairseg.metrics", ("torch",))]
)
def test_importing_is_cheap(module: str, not_loaded: tuple[str, ...]) -> None:
    code = f"import sys, {module}; assert not {set(not_loaded)} & sys.modules.keys()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_run_leaves_the_logger_as_it_was(cohort: Path) -> None:
    logger = logging.getLogger("fairseg")
    before = list(logger.handlers)
    main(audit(cohort, by="nothing"))
    main(["demo", "--out", str(cohort / "groups.csv")])
    assert logger.handlers == before


# --- bad input: code 2, one line that says what and where, nothing written

Spoil = Callable[[Path, Save], Any]
NIFTI = "s3_ED.nii.gz"


def bad(folder: Path, arguments: list[str], capfd: pytest.CaptureFixture[str], *fragments: str) -> None:
    """Run a command that must fail on its input, and check everything that this means."""
    before = files(folder)
    code = main(arguments)
    out, err = capfd.readouterr()
    assert code == 2, err
    assert len(err.splitlines()) == 1, err
    assert err.startswith("fairseg: error: ")
    for fragment in fragments:
        assert fragment in err
    assert out == ""
    assert files(folder) == before


def _mask(change: Callable[[Any], Any], kind: str = "predictions", **grid: Any) -> Spoil:
    def spoil(cohort: Path, save: Save) -> None:
        path = cohort / kind / NIFTI
        save(path, change(sitk.GetArrayFromImage(sitk.ReadImage(str(path)))), **grid)

    return spoil


def _value(value: float, dtype: type) -> Callable[[Any], Any]:
    def change(voxels: Any) -> Any:
        changed = voxels.astype(dtype)
        changed[1, 2, 3] = value
        return changed

    return change


def _content(content: Callable[[bytes], bytes], name: str = NIFTI) -> Spoil:
    def spoil(cohort: Path, save: Save) -> None:
        path = cohort / "predictions" / NIFTI
        changed = content(path.read_bytes())
        path.unlink()
        path.with_name(name).write_bytes(changed)

    return spoil


def _as(extension: str) -> Spoil:
    """Save the mask in another format and keep half of that file."""

    def spoil(cohort: Path, save: Save) -> None:
        path = cohort / "predictions" / NIFTI
        voxels = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        path.unlink()
        other = save(path.with_name(f"s3_ED{extension}"), voxels)
        other.write_bytes(other.read_bytes()[: other.stat().st_size // 2])

    return spoil


def _four_axes(cohort: Path, save: Save) -> None:
    for kind in ("predictions", "references"):
        sitk.WriteImage(sitk.Image([5, 4, 3, 2], sitk.sitkUInt8), str(cohort / kind / NIFTI))


def _pixdim(value: float) -> Spoil:
    """Put a number into the headers of both masks as the size of a voxel along x."""

    def spoil(cohort: Path, save: Save) -> None:
        for kind in ("predictions", "references"):
            path = cohort / kind / NIFTI
            image = sitk.ReadImage(str(path))
            plain = path.with_name("s3_ED.nii")
            sitk.WriteImage(image, str(plain))
            path.unlink()
            content = bytearray(plain.read_bytes())
            struct.pack_into("<f", content, 80, value)
            plain.write_bytes(content)

    return spoil


TURNED = (0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
BAD_CASES: dict[str, Spoil] = {
    "smaller": _mask(lambda voxels: voxels[:, :, 1:]),
    "would broadcast": _mask(lambda voxels: voxels[:1]),
    "2D": _mask(lambda voxels: voxels[0]),
    "spacing": _mask(lambda voxels: voxels, spacing=(8.0, 1.5, 1.5)),
    "origin": _mask(lambda voxels: voxels, origin=(1.0, 0.0, 0.0)),
    "direction": _mask(lambda voxels: voxels, direction=TURNED),
    "probabilities": _mask(_value(0.25, np.float32)),
    "NaN": _mask(_value(np.nan, np.float32)),
    "infinity": _mask(_value(np.inf, np.float32)),
    "negative": _mask(_value(-1, np.int16)),
    "negative reference": _mask(_value(-1, np.int16), "references"),
    "truncated": _content(lambda content: content[: len(content) // 2]),
    "last byte missing": _content(lambda content: content[:-1]),
    "empty": _content(lambda _: b""),
    "text": _content(lambda _: b"not an image\n"),
    "text as PNG": _content(lambda _: b"not an image\n", "s3_ED.png"),
    "4D": _four_axes,
    "truncated NRRD": _as(".nrrd"),
    "truncated MetaImage": _as(".mha"),
    "spacing 0": _pixdim(0.0),
    "spacing NaN": _pixdim(float("nan")),
    "spacing infinite": _pixdim(float("inf")),
    "prediction missing": lambda cohort, _: (cohort / "predictions" / NIFTI).unlink(),
    "reference missing": lambda cohort, _: (cohort / "references" / NIFTI).unlink(),
    "two files": lambda cohort, _: shutil.copy(
        cohort / "references" / NIFTI, cohort / "references" / "s3_ED.nii"
    ),
}


@pytest.mark.parametrize("spoil", BAD_CASES.values(), ids=BAD_CASES.keys())
def test_a_case_that_is_not_usable_stops_the_audit_and_is_named(
    cohort: Path, save_mask: Save, capfd: pytest.CaptureFixture[str], spoil: Spoil
) -> None:
    spoil(cohort, save_mask)
    bad(cohort, audit(cohort), capfd, "s3_ED")


@pytest.mark.parametrize("name", ["truncated", "prediction missing", "origin", "probabilities"])
def test_evaluate_stops_as_well_and_leaves_nothing(
    cohort: Path, save_mask: Save, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    BAD_CASES[name](cohort, save_mask)
    arguments = ["evaluate", *scoring(cohort), "--out", str(cohort / "new" / "scores.csv")]
    bad(cohort, arguments, capfd, "s3_ED")


@pytest.mark.parametrize("name", ["truncated", "empty", "text", "text as PNG", "last byte missing"])
def test_a_file_that_cannot_be_read_is_named_by_its_path(
    cohort: Path, save_mask: Save, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    BAD_CASES[name](cohort, save_mask)
    (path,) = (cohort / "predictions").glob("s3_ED.*")
    bad(cohort, audit(cohort, "--workers", "2"), capfd, str(path))


SKIPPED = (
    "truncated",
    "text as PNG",
    "origin",
    "probabilities",
    "negative",
    "reference missing",
    "spacing 0",
)


@pytest.mark.parametrize("name", SKIPPED)
def test_skipping_finishes_lists_the_case_and_exits_with_1(
    cohort: Path, save_mask: Save, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    assert main(["evaluate", *scoring(cohort), "--out", str(cohort / "whole.csv")]) == 0
    BAD_CASES[name](cohort, save_mask)
    capfd.readouterr()
    assert main(audit(cohort, "--on-error", "skip")) == 1
    out, err = capfd.readouterr()
    assert "Report: " in out
    assert "s3_ED" in err
    assert "Traceback" not in err
    page = html.unescape((cohort / "out" / "report.html").read_text())
    assert re.search(r"<li>\S[^\n]*: s3_ED</li>", page)
    whole, kept = Scores.of(cohort / "whole.csv"), Scores.of(cohort / "out" / "scores.csv")
    assert list(kept.reasons) == ["s3_ED"]
    others = whole.table[whole.table["case"] != "s3_ED"].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept.table.reset_index(drop=True), others, check_dtype=False)


def test_of_many_skipped_cases_five_are_told_on_stderr_and_all_on_the_page(
    cohort: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cases = sorted(path.name.split(".")[0] for path in (cohort / "predictions").iterdir())
    spoilt = cases[3:10]
    for case in spoilt:
        (cohort / "predictions" / f"{case}.nii.gz").write_bytes(b"")
    assert main(audit(cohort, "--on-error", "skip")) == 1
    lines = capfd.readouterr().err.splitlines()
    assert len([line for line in lines if line.startswith("fairseg: note: skipped case")]) == 5
    assert lines[0].endswith(f"{', '.join(spoilt[:5])} and 2 more")
    page = (cohort / "out" / "report.html").read_text()
    assert sorted(Scores.of(cohort / "out" / "scores.csv").reasons) == spoilt
    for case in spoilt:
        assert f": {case}</li>" in page


def test_a_group_all_of_whose_cases_were_skipped_is_not_judged_and_counted(
    cohort: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for path in (cohort / "predictions").iterdir():
        if path.name[:2] in ("s1", "s3", "s5", "s8"):  # all women
            path.write_bytes(b"")
    assert main(audit(cohort, "--on-error", "skip", "--reference", "M")) == 1
    out = " ".join(capfd.readouterr().out.split())
    assert Verdict.NOT_JUDGED.label in out.lower()
    assert "4 of 4 subjects of F, 0 of 4 of M" in out
    assert len(Scores.of(cohort / "out" / "scores.csv").reasons) == 5


def test_what_evaluate_skipped_stands_in_the_report_made_from_its_scores(cohort: Path) -> None:
    (cohort / "predictions" / NIFTI).write_bytes(b"")
    scores = cohort / "scores.csv"
    assert main(["evaluate", *scoring(cohort), "--out", str(scores), "--on-error", "skip"]) == 1
    assert main(["report", str(scores), "--by", "sex", *QUICK, "--out", str(cohort / "out")]) == 0
    assert ": s3_ED</li>" in (cohort / "out" / "report.html").read_text()


def test_skipping_every_case_is_bad_input(cohort: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for path in (cohort / "predictions").iterdir():
        path.write_bytes(b"")
    bad(cohort, audit(cohort, "--on-error", "skip"), capfd, "s1_ED")


def _table(text: str | bytes) -> Callable[[Path], Any]:
    content = text if isinstance(text, bytes) else text.encode()
    return lambda cohort: (cohort / "groups.csv").write_bytes(content)


BAD_TABLES: dict[str, tuple[Callable[[Path], Any], tuple[str, ...]]] = {
    "missing": (lambda cohort: (cohort / "groups.csv").unlink(), ("groups.csv",)),
    "a folder": (
        lambda cohort: ((cohort / "groups.csv").unlink(), (cohort / "groups.csv").mkdir()),
        ("groups.csv",),
    ),
    "empty": (_table(""), ("groups.csv",)),
    "header only": (_table("case,sex\n"), ("groups.csv",)),
    "binary": (_table(b"case,sex\n\xff\xfe\x00"), ("groups.csv",)),
    "an image": (
        lambda cohort: shutil.copy(cohort / "references" / NIFTI, cohort / "groups.csv"),
        ("groups.csv",),
    ),
    "no column case": (_table("name,sex\ns1_ED,F\n"), ("groups.csv", "case")),
    "no asked attribute": (_table("case,gender\ns1_ED,F\ns2_ED,M\n"), ("sex", "gender")),
    "duplicate case": (
        _table("case,sex\ns1_ED,F\ns2_ED,M\ns1_ED,F\n"),
        ("groups.csv", "s1_ED", "2", "4"),
    ),
    "row without case": (_table("case,sex\ns1_ED,F\n,M\n"), ("groups.csv", "row 3")),
    "column twice": (_table("case,sex,sex\ns1_ED,F,F\ns2_ED,M,M\n"), ("groups.csv", "sex")),
    "row too long": (_table("case,sex\ns1_ED,F\ns2_ED,M,extra\n"), ("groups.csv", "3")),
    "one group": (_table("case,sex\ns1_ED,F\ns2_ED,F\n"), ("by sex", "F")),
    "one group and unknown": (_table("case,sex\ns1_ED,F\ns2_ED,\n"), ("by sex", "F")),
    "all unknown": (_table("case,sex\ns1_ED,\ns2_ED,NA\n"), ("sex",)),
    "score name": (_table("case,sex,dice\ns1_ED,F,1\ns2_ED,M,1\n"), ("dice",)),
    "no shared case": (_table("case,sex\np1,F\np2,M\n"), ("p1", "s1_ED")),
    "one group has files": (_table("case,sex\ns1_ED,F\nghost,M\n"), ("sex",)),
    "measurement": (
        _table("case,sex\n" + "".join(f"p{n},{n + 0.5}\n" for n in range(80))),
        ("sex", "bins"),
    ),
}


@pytest.mark.parametrize(("spoil", "fragments"), BAD_TABLES.values(), ids=BAD_TABLES.keys())
def test_a_table_that_is_not_usable_is_named_with_its_row_or_column(
    cohort: Path,
    capfd: pytest.CaptureFixture[str],
    spoil: Callable[[Path], Any],
    fragments: tuple[str, ...],
) -> None:
    spoil(cohort)
    bad(cohort, audit(cohort), capfd, *fragments)


BAD_OPTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "label in no mask": (("--labels", "1,7"), ("label", "7")),
    "named label in no mask": (("--labels", "RVBP=1,atrium=7"), ("label", "atrium")),
    "negative label": (("--labels", "1,-1"), ("label", "-1")),
    "background": (("--labels", "0,1"), ("label", "0")),
    "label twice": (("--labels", "1,1"), ("label", "1")),
    "name twice": (("--labels", "a=1,b=3,a=2"), ("--labels", "repeats the name 'a'")),
    "words as labels": (("--labels", "one,two"), ("--labels", "one,two")),
    "no labels": (("--labels", ""), ("--labels",)),
    "reference": (("--reference", "X"), ("reference", "X", "F", "M")),
    "attribute": (("--by", "colour"), ("'colour'", "by: ", "groups.csv", "sex, site, age")),
    "bins of words": (("--bins", "age=old"), ("--bins", "age=old")),
    "bins of nothing": (("--bins", "age"), ("--bins",)),
    "bins not asked for": (("--bins", "age=50"), ("bins", "age")),
    "bins not increasing": (("--by", "age", "--bins", "age=65,50"), ("bins", "age")),
    "bins of text": (("--by", "site", "--bins", "site=50"), ("site", "A")),
    "metric": (("--metrics", "dice,jaccard"), ("--metrics", "jaccard")),
    "no tolerance": (("--metrics", "nsd"), ("tolerance",)),
    "tolerance negative": (("--metrics", "nsd", "--tolerance", "-1"), ("tolerance", "-1")),
    "tolerance nan": (("--metrics", "nsd", "--tolerance", "nan"), ("tolerance", "nan")),
    "tolerance word": (("--tolerance", "much"), ("--tolerance", "much")),
    "empty": (("--empty", "zero"), ("--empty", "zero")),
    "workers": (("--workers", "0"), ("--workers", "0")),
    "on-error": (("--on-error", "ignore"), ("--on-error", "ignore")),
    "cross-check": (("--cross-check", "-5"), ("--cross-check", "-5")),
    "also": (("--also", "colour"), ("'colour'", "also: ", "groups.csv", "sex, site, age")),
    "adjust": (("--adjust", "colour"), ("'colour'", "adjust: ", "groups.csv", "sex, site, age")),
    "also as by": (("--also", "sex"), ("also", "sex")),
    "adjust as by": (("--adjust", "sex"), ("adjust", "sex")),
    "margin": (("--margin", "0"), ("--margin", "0")),
    "failure threshold": (("--failure-threshold", "1"), ("--failure-threshold", "1")),
    "min-size": (("--min-size", "1"), ("--min-size", "1")),
    "phase without roles": (("--phase", "frame=ED,ES"), ("--phase", "--roles")),
    "images that are not there": (("--images", "nowhere"), ("--images", "nowhere")),
    "output twice": (("--out", "other"), ("--out", "once")),
    "no such option": (("--colour", "red"), ("--colour",)),
    "argument too many": (("more",), ("more",)),
}


@pytest.mark.parametrize(("options", "fragments"), BAD_OPTIONS.values(), ids=BAD_OPTIONS.keys())
def test_an_option_that_is_not_usable_is_named(
    cohort: Path,
    capfd: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    fragments: tuple[str, ...],
) -> None:
    bad(cohort, audit(cohort, *options), capfd, *fragments)


def test_an_empty_output_is_named(cohort: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bad(cohort, [*audit(cohort)[:-1], ""], capfd, "--out", "empty")


def test_an_age_for_each_subject_is_refused_before_anything_is_scored(
    cohort: Path, capfd: pytest.CaptureFixture[str], save_mask: Save
) -> None:
    rows = "".join(f"s{number}_ED,{40 + number}\n" for number in range(1, 29))
    (cohort / "groups.csv").write_text(f"case,age\n{rows}")
    for kind in ("predictions", "references"):
        for number in range(9, 29):
            (cohort / kind / f"s{number}_ED.nii.gz").write_bytes(b"")  # to be scored, it would be an error
    bad(cohort, audit(cohort, by="age"), capfd, "28 numeric levels", "--bins age=")


def test_groups_are_those_that_have_files_whatever_else_the_table_holds(cohort: Path) -> None:
    # 28 training subjects without files: too many ages for groups, but none of them is here.
    table = cohort / "groups.csv"
    rows = table.read_text() + "".join(f"train{age},train{age},F,A,{age}\n" for age in range(18, 46))
    table.write_text(rows)
    assert main(audit(cohort, by="age")) == 0
    assert (
        main(
            ["report", str(cohort / "out" / "scores.csv"), "--by", "age", *QUICK, "--out", str(cohort / "b")]
        )
        == 0
    )
    for name in TABLES:
        assert (cohort / "out" / name).read_bytes() == (cohort / "b" / name).read_bytes()


def test_groups_of_one_subject_and_subjects_of_two_groups_are_noted(
    cohort: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = pd.read_csv(cohort / "groups.csv")
    table.assign(scan=table["case"]).to_csv(cohort / "groups.csv", index=False)
    assert main(audit(cohort, by="scan")) == 0
    notes = [line.removeprefix("fairseg: note: ") for line in capfd.readouterr().err.splitlines()]
    assert any("10 of 10 groups" in note for note in notes)
    assert any(note.endswith("s1, s2") for note in notes)
    page = html.unescape((cohort / "out" / "report.html").read_text())
    assert all(note[1:] in page for note in notes)  # on the page with a capital


def test_cases_without_a_subject_are_named_once(cohort: Path, capfd: pytest.CaptureFixture[str]) -> None:
    blank = ("s1_ED", "s3_ED")
    replace_column(cohort, "subject", lambda row: "" if row["case"] in blank else row["subject"])
    with (cohort / "groups.csv").open("a") as file:
        file.write("training,,F,A,50\n")
    assert main(audit(cohort)) == 0
    message = "(2 cases: s1_ED, s3_ED)"
    assert capfd.readouterr().err.count(message) == 1
    assert (cohort / "out" / "report.html").read_text().count(message) == 1


@pytest.mark.parametrize("missing", ["--groups", "--by", "--out"])
def test_an_option_that_is_missing_is_named(
    cohort: Path, capfd: pytest.CaptureFixture[str], missing: str
) -> None:
    arguments = audit(cohort)
    index = arguments.index(missing)
    bad(cohort, arguments[:index] + arguments[index + 2 :], capfd, missing)


@pytest.mark.parametrize("kind", ["predictions", "references"])
@pytest.mark.parametrize("what", ["missing", "a file", "empty", "no masks", "name too long"])
def test_a_folder_that_is_not_usable_is_named(
    cohort: Path, capfd: pytest.CaptureFixture[str], kind: str, what: str
) -> None:
    folder = cohort / ("x" * 300 if what == "name too long" else "other")
    if what == "a file":
        folder.write_text("")
    elif what in ("empty", "no masks"):
        folder.mkdir()
        if what == "no masks":
            (folder / "readme.txt").write_text("")
    arguments = [str(folder) if part == str(cohort / kind) else part for part in audit(cohort)]
    bad(cohort, arguments, capfd, kind.upper() if what == "a file" else kind, str(folder))


@pytest.mark.parametrize("labels", ['{"labels": {"background": 0, "a": -1}}', "{broken", "[]"])
def test_a_dataset_json_that_is_not_usable_is_named(
    cohort: Path, capfd: pytest.CaptureFixture[str], labels: str
) -> None:
    (cohort / "dataset.json").write_text(labels)
    bad(cohort, audit(cohort), capfd, "dataset.json")


@pytest.mark.parametrize("what", ["below a file", "a file", "/proc", "name too long", "broken link"])
def test_an_output_folder_that_cannot_be_written_is_named(
    cohort: Path, capfd: pytest.CaptureFixture[str], what: str
) -> None:
    if what == "broken link":
        (cohort / "link").symlink_to(cohort / "groups.csv" / "nowhere")
    out = {
        "below a file": cohort / "groups.csv" / "out",
        "a file": cohort / "groups.csv",
        "/proc": Path("/proc/x"),
        "name too long": cohort / ("x" * 300),
        "broken link": cohort / "link",
    }[what]
    bad(cohort, ["audit", *scoring(cohort), "--by", "sex", "--out", str(out)], capfd, str(out))
    bad(cohort, ["evaluate", *scoring(cohort), "--out", str(out / "s.csv")], capfd, str(out))


@pytest.mark.parametrize("name", [".", "groups.csv"])
def test_scores_that_would_replace_a_folder_or_the_cohort_are_refused(
    cohort: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    before = (cohort / "groups.csv").read_bytes()
    out = str(cohort / name)
    bad(cohort, ["evaluate", *scoring(cohort), "--out", out], capfd, "--out", out)
    assert (cohort / "groups.csv").read_bytes() == before


def test_a_folder_in_the_place_of_one_file_of_the_report_stops_all_of_them(
    cohort: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (cohort / "out" / "summary.tex").mkdir(parents=True)
    bad(cohort, audit(cohort), capfd, "summary.tex")  # before anything is scored


def test_a_disk_that_runs_full_leaves_nothing_half_written(
    cohort: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    write = Path.write_bytes

    def write_bytes(path: Path, content: bytes) -> int:
        written.append(path)
        if len(written) < 3:
            return write(path, content)
        write(path, content[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    only_scores_are_kept(cohort, capfd, "space")
    assert len(written) == 3


def only_scores_are_kept(cohort: Path, capfd: pytest.CaptureFixture[str], fragment: str) -> None:
    """Run an audit that cannot write its report; what took long is there all the same, and it says where."""
    before = files(cohort)
    assert main(audit(cohort)) == 1
    (line,) = capfd.readouterr().err.splitlines()
    scores = cohort / "out" / "scores.csv"
    assert fragment in line
    assert str(scores) in line
    assert files(cohort) - before - {scores.parent, scores.parent / MANIFEST} == {scores}
    assert len(read_scores(scores)) == 30


def test_an_audit_that_fails_leaves_the_report_of_an_earlier_one_as_it_was(
    cohort: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(audit(cohort)) == 0
    before = {path: path.read_bytes() for path in (cohort / "out").iterdir()}
    (cohort / "predictions" / NIFTI).write_bytes(b"")
    capfd.readouterr()
    bad(cohort, audit(cohort), capfd, "s3_ED")
    assert {path: path.read_bytes() for path in (cohort / "out").iterdir()} == before


@pytest.mark.parametrize("name", ["scores", "scores.tsv", "a.b.csv"])
def test_the_scores_are_read_again_whatever_their_file_is_called(cohort: Path, name: str) -> None:
    out = cohort / "new" / name
    assert main(["evaluate", *scoring(cohort), "--out", str(out)]) == 0
    assert {path.name for path in out.parent.iterdir()} == {name, MANIFEST}
    assert len(read_scores(out)) == 30


SMALL = "case,label,dice,sex,site,age\na,1,0.5,F,A,50\nb,1,0.9,M,B,60\n"
BAD_SCORES: dict[str, tuple[str, tuple[str, ...]]] = {
    "missing": ("", ()),
    "text": ("no table", ()),
    "no metric": ("case,label,sex\na,1,F\nb,1,M\n", ("dice",)),
    "no number": ("case,label,dice,sex\na,1,0.5,F\nb,1,high,M\n", ("3", "dice", "high")),
    "row twice": ("case,label,dice,sex\na,1,0.5,F\na,1,0.6,F\n", ("3", "a")),
    "dice in percent": ("case,label,dice,sex\na,1,0.5,F\nb,1,91,M\n", ("3", "dice", "91")),
}


@pytest.mark.parametrize(("text", "fragments"), BAD_SCORES.values(), ids=BAD_SCORES.keys())
def test_scores_that_are_not_usable_are_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str, fragments: tuple[str, ...]
) -> None:
    scores = tmp_path / "scores.csv"
    if text:
        scores.write_text(text)
    arguments = ["report", str(scores), "--by", "sex", "--out", str(tmp_path / "out")]
    bad(tmp_path, arguments, capfd, str(scores), *fragments)


@pytest.mark.parametrize(
    ("options", "fragments"),
    [
        (("--by", "colour"), ("'colour'", "by: ", "scores.csv", "sex, site, age")),
        (("--by", "sex", "--reference", "X"), ("reference", "X")),
        (("--by", "sex", "--metric", "nsd"), ("scores.csv", "nsd")),
        (("--by", "sex", "--predictions", "p"), ("--predictions", "--references")),
    ],
)
def test_a_report_names_the_option_that_is_not_usable(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], options: tuple[str, ...], fragments: tuple[str, ...]
) -> None:
    scores = tmp_path / "scores.csv"
    scores.write_text(SMALL)
    bad(tmp_path, ["report", str(scores), *options, "--out", str(tmp_path / "out")], capfd, *fragments)


def test_a_demo_that_cannot_be_written_is_bad_input(cohort: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = cohort / "groups.csv" / "demo"
    bad(cohort, ["demo", "--out", str(out)], capfd, str(out))


def test_a_failed_cross_check_exits_with_1_and_writes_nothing(
    cohort: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from medpy.metric import binary  # noqa: PLC0415

    monkeypatch.setattr(binary, "hd", lambda *_: 1.0)
    before = files(cohort)
    assert main(audit(cohort, "--cross-check", "5")) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert "cross-check" in line
    assert files(cohort) == before


# --- names from the table are data, never code

NASTY = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "=cmd()",
    "=cmd|' /C calc'!A0",
    "+1+cmd()",
    "-1+cmd()",
    "@SUM(A1)",
    "\\input{/etc/passwd}",
    "$x_1$ & 100% #1",
    "{{ 7 * 7 }}",
    "a | b",
    "--><!--",
)


def check_is_harmless(out: Path) -> None:
    """Check every file of a report for what a browser, a spreadsheet or LaTeX would run."""
    for path in texts(out):
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".csv":
            with path.open(newline="", encoding="utf-8") as file:
                for cell in (cell for row in csv.reader(file) for cell in row):
                    assert cell[:1] not in ("=", "+", "@", "\t", "\r"), (path.name, cell)
                    assert not cell.startswith("-") or re.fullmatch(r"-[\d.e+-]+", cell), (path.name, cell)
        elif path.suffix == ".svg":
            check_is_plain_svg(text)
        elif path.suffix == ".tex":
            assert "\\input{" not in text
        elif path.suffix in (".html", ".md"):
            text = text.replace(str(script()), "")  # ours; and the names of the dots, which hold no bracket:
            text = re.sub(r'<script type="application/json" id="chart-data">[^<>]*</script>', "", text)
            assert not re.search(r"<script|<img src=x", text, re.IGNORECASE), path.name
        if path.suffix == ".html":
            for figure in re.findall(r"data:image/svg\+xml;base64,([^\"]+)", text):
                check_is_plain_svg(base64.b64decode(figure).decode())


def check_is_plain_svg(text: str) -> None:
    names = {element.tag.rpartition("}")[2] for element in ET.fromstring(text).iter()}
    assert "svg" in names
    assert not names & {"script", "img", "foreignObject"}


@pytest.mark.parametrize("level", NASTY)
def test_a_nasty_level_is_accepted_shown_and_made_safe_in_every_file(cohort: Path, level: str) -> None:
    replace_column(cohort, "sex", lambda row: level if row["sex"] == "F" else "M")
    assert main(audit(cohort, "--reference", level)) == 0
    check_is_harmless(cohort / "out")
    page = html.unescape((cohort / "out" / "report.html").read_text())
    assert level in page
    scores = cohort / "out" / "scores.csv"
    assert set(read_scores(scores)["sex"]) == {level, "M"}
    again = [
        "report",
        str(scores),
        "--by",
        "sex",
        "--reference",
        level,
        *QUICK,
        "--out",
        str(cohort / "again"),
    ]
    assert main(again) == 0
    for name in TABLES:
        assert (cohort / "out" / name).read_bytes() == (cohort / "again" / name).read_bytes()


def test_nasty_names_of_cases_subjects_attributes_and_labels_are_made_safe(cohort: Path) -> None:
    for kind in ("predictions", "references"):
        (cohort / kind / "s4_ED.nii.gz").rename(cohort / kind / "=case().nii.gz")
    table = cohort / "groups.csv"
    text = table.read_text().replace("s4_ED,s4", "=case(),@subject")
    table.write_text(text.replace("subject,sex", "subject,=<script>()"))
    labels = {"background": 0, "=<script>()": 1, "+LVM()": 2, "LVBP": 3}
    (cohort / "dataset.json").write_text(json.dumps({"labels": labels}))
    assert main(audit(cohort, by="=<script>()")) == 0
    check_is_harmless(cohort / "out")
    back = read_scores(cohort / "out" / "scores.csv")
    assert list(back.columns[:3]) == ["case", "subject", "=<script>()"]
    assert set(back["label"]) == labels.keys() - {"background"}
    assert {"=case()"} == set(back["case"][back["subject"] == "@subject"])


def test_a_nasty_case_that_is_skipped_is_made_safe_on_the_page(cohort: Path) -> None:
    name = "<script>alert(1)<"  # no slash in the name of a file
    (cohort / "predictions" / f"{name}.nii.gz").write_bytes(b"")
    (cohort / "references" / f"{name}.nii.gz").write_bytes(b"")
    assert main(audit(cohort, "--on-error", "skip")) == 1
    check_is_harmless(cohort / "out")
    assert f": {name}</li>" in html.unescape((cohort / "out" / "report.html").read_text())


@pytest.mark.parametrize("level", ["女", "Ελλάδα", "نعم", "👩", "All", "unknown", "a, b"])
def test_a_level_in_any_script_gives_a_report_without_a_warning(
    cohort: Path, capfd: pytest.CaptureFixture[str], level: str
) -> None:
    replace_column(cohort, "sex", lambda row: level if row["sex"] == "F" else "M")
    assert main(audit(cohort, "--reference", "M")) == 0
    assert capfd.readouterr().err == ""
    assert level in html.unescape((cohort / "out" / "report.html").read_text(encoding="utf-8"))


def test_control_characters_in_a_level_reach_neither_the_terminal_nor_a_figure(
    cohort: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    replace_column(cohort, "sex", lambda row: "F\x1b[31m\x07" if row["sex"] == "F" else "M")
    assert main(audit(cohort)) == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert not re.search(r"[\x1b\x07]", out)
    for figure in (cohort / "out").glob("*.svg"):
        check_is_plain_svg(figure.read_text())


# --- Ctrl-C


@pytest.fixture
def slow_cohort(tmp_path: Path, save_mask: Save) -> Path:
    """Forty cases that take long: links to one pair of noisy masks, which are nearly all surface."""
    rng = np.random.default_rng(5)
    rows = ["case,sex"]
    for folder in ("predictions", "references"):
        (tmp_path / folder).mkdir()
        save_mask(tmp_path / f"{folder}.nii", rng.integers(0, 3, (120, 120, 120), dtype=np.uint8))
    for number in range(40):
        for folder in ("predictions", "references"):
            (tmp_path / folder / f"c{number}.nii").symlink_to(tmp_path / f"{folder}.nii")
        rows.append(f"c{number},{'FM'[number % 2]}")
    (tmp_path / "groups.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def marked(mark: str) -> list[int]:
    """Return the ids of all processes that were started with this mark in their environment."""
    result = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                result.append(int(folder.name))
        except OSError:  # ended meanwhile, or not ours
            continue
    return result


def _heed_interrupts() -> None:
    """Undo what a shell does to commands behind a &: they ignore interrupts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc")
@pytest.mark.parametrize(
    ("command", "workers", "everyone"),
    [("audit", 1, False), ("audit", 2, False), ("audit", 2, True), ("evaluate", 1, False)],
    ids=["audit", "workers, signal to the command", "workers, signal to all as by a terminal", "evaluate"],
)
def test_an_interrupt_ends_at_once_with_one_line_and_nothing_left(
    slow_cohort: Path, command: str, workers: int, everyone: bool
) -> None:
    mark = f"FAIRSEG_TEST_MARK={slow_cohort}"
    name, _, value = mark.partition("=")
    out = slow_cohort / "new" / ("scores.csv" if command == "evaluate" else "report")
    by = [] if command == "evaluate" else ["--by", "sex"]
    options = ["--out", str(out), *by, "--metrics", "dice,hd,hd95,assd", "--workers", str(workers)]
    before = files(slow_cohort)
    with subprocess.Popen(
        [sys.executable, "-m", "fairseg", command, *scoring(slow_cohort), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, name: value},
        start_new_session=True,
        preexec_fn=_heed_interrupts,  # noqa: PLW1509  (no threads here)
    ) as running:
        try:
            wait_until_it_scores(running, mark, workers)
            (os.killpg if everyone else os.kill)(running.pid, signal.SIGINT)
            stdout, stderr = running.communicate(timeout=PATIENCE)
            wait_until(lambda: not marked(mark))
        finally:
            for pid in marked(mark):
                os.kill(pid, signal.SIGKILL)
    assert running.returncode == 1, stderr
    assert len(stderr.split("\n")) <= 3, stderr  # the one line; a break before it sets it off from ^C
    assert len(stderr.strip().splitlines()) == 1
    assert "interrupted" in stderr
    assert stdout == ""
    assert files(slow_cohort) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_says_what_is_written_and_what_is_not(
    cohort: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    number: signal.Signals,
) -> None:
    # Tests that run in the background have inherited that SIGINT is ignored.
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, inherited))

    def interrupted(*_: Any, **__: Any) -> None:
        signal.raise_signal(number)

    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    # By its full name, as `fairseg.report.audit` is the function.
    monkeypatch.setattr(importlib.import_module("fairseg.report.audit"), "judge_scores", interrupted)
    assert main(audit(cohort)) == 1
    written = cohort / "out" / "scores.csv"
    assert written.exists()
    assert not (cohort / "out" / "report.html").exists()
    message = capsys.readouterr().err.strip()
    assert message == f"fairseg: interrupted, written whole: {written}; nothing else was"
    assert main(["report", str(written), "--by", "sex", "--out", str(cohort / "new")]) == 1
    assert capsys.readouterr().err.strip() == "fairseg: interrupted, no result was written"
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == before


def wait_until_it_scores(running: "subprocess.Popen[str]", mark: str, workers: int) -> None:
    """Wait until the command reads masks, or its workers are there; and then a second of CPU time each."""

    def begun() -> bool:
        assert running.poll() is None, "it was over before it could be interrupted"
        if workers > 1:
            return len(marked(mark)) > workers
        return "SimpleITK" in Path(f"/proc/{running.pid}/maps").read_text()

    wait_until(begun, pause=0.02)
    before = cpu_seconds(marked(mark))
    wait_until(lambda: cpu_seconds(marked(mark)) > before + workers, pause=0.02)
    assert running.poll() is None, "it was over before it could be interrupted"


def test_a_file_name_that_is_not_utf8_is_named(cohort: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (cohort / "predictions" / os.fsdecode(b"c\xe93.nii.gz")).write_bytes(b"")
    bad(cohort, audit(cohort), capfd, "UTF-8", r"c\udce93.nii.gz")


def test_one_voxel_of_1e30_costs_no_other_case(cohort: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = cohort / "predictions" / NIFTI
    image = sitk.Cast(sitk.ReadImage(str(path)), sitk.sitkFloat64)
    image[1, 1, 1] = 1e30
    sitk.WriteImage(image, str(path))
    bad(cohort, audit(cohort), capfd, "s3_ED", "2**63")
    assert main([*audit(cohort), "--on-error", "skip"]) == 1
    assert (cohort / "out" / "report.html").exists()


@pytest.mark.parametrize("command", ["audit", "evaluate"])
def test_a_table_in_the_place_of_masks_is_told_its_command(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "scores.csv"
    table.write_text("subject,sex,score\na,F,0.9\n")
    assert main([command, str(table), "--out", str(tmp_path / "out")]) == 2
    message = capsys.readouterr().err
    assert f"got the file {table}" in message
    assert "fairseg report" in message
    assert "REFERENCES" not in message
