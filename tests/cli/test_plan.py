"""`fairseg plan`, and reports by options that were stated beforehand."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fairseg
from fairseg.cli import main


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path / "scores.csv"
    sex = np.repeat(["M", "F"], [60, 40])
    table = {"subject": range(100), "sex": sex, "age": [40, 60] * 50, "dice": rng.beta(20, 2, 100)}
    pd.DataFrame(table).to_csv(path, index=False)
    return path


def test_the_command_says_what_the_function_says(scores: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--by", "sex", "--reference", "M", "--sizes", "80,20", "--alpha", "0.01"]
    assert main(["plan", str(scores), *options]) == 0
    expected = fairseg.plan(scores, by="sex", reference="M", sizes=(80, 20), alpha=0.01)
    assert capsys.readouterr().out == f"{expected!r}\n"
    assert main(["plan", "--failures", "--failure-rate", "0.02", "--difference", "0.18"]) == 0
    assert "52 subjects" in capsys.readouterr().out


def test_a_report_is_judged_by_the_file_that_was_written(
    scores: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = scores.parent / "plan.json", scores.parent / "out"
    options = ["--by", "sex", "--reference", "M", "--also", "age", "--bins", "age=50", "--margin", "0.03"]
    assert main(["plan", *options, "--write", str(path)]) == 0
    assert json.loads(path.read_text())["bins"] == {"age": [50.0]}
    judge = ["report", str(scores), "--out", str(out), "--resamples", "200", "--preregister", str(path)]
    assert main([*judge, "--margin", "0.03", "--by", "sex"]) == 0
    page = (out / "report.html").read_text()
    assert hashlib.sha256(path.read_bytes()).hexdigest() in page
    assert "are those of the file plan.json" in page
    assert set(pd.read_csv(out / "findings.csv")["attribute"]) == {"sex", "age"}
    capsys.readouterr()
    # The default, said aloud, contradicts the file as any other value does.
    assert main([*judge, "--margin", "0.02"]) == 2
    assert "--margin contradicts plan.json" in capsys.readouterr().err
    assert main([*judge, "--min-size", "5"]) == 2
    assert "--min-size contradicts plan.json" in capsys.readouterr().err


def test_a_single_name_in_the_file_is_a_list_of_one(scores: Path) -> None:
    path, result = scores.parent / "plan.json", []
    judge = ["report", str(scores), "--resamples", "200", "--preregister", str(path), "--out"]
    table = pd.read_csv(scores).assign(site=["x", "y", "y", "x"] * 25)
    table.to_csv(scores, index=False)
    for several in (False, True):
        names = {"by": "sex", "also": "age", "adjust": "site"}
        stated = {key: [name] if several else name for key, name in names.items()}
        path.write_text(json.dumps({**stated, "reference": "M"}))
        out = scores.parent / f"out{several}"
        assert main([*judge, str(out), "--by", "sex", "--also", "age", "--adjust", "site"]) == 0
        result.append(pd.read_csv(out / "findings.csv"))
    pd.testing.assert_frame_equal(*result)
    assert set(result[0]["attribute"]) == {"sex", "age"}
    path.write_text(json.dumps({"by": "sex", "also": [["sex", "site"]]}))
    assert main([*judge, str(scores.parent / "parts")]) == 0


def test_another_metric_than_that_of_the_file_is_refused(
    scores: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = scores.parent / "plan.json", str(scores.parent / "out")
    pd.read_csv(scores).assign(iou=lambda table: table["dice"] / (2 - table["dice"])).to_csv(
        scores, index=False
    )
    judge = ["report", str(scores), "--out", out, "--resamples", "200", "--preregister", str(path)]
    assert main(["plan", "--by", "sex", "--metric", "iou", "--write", str(path)]) == 0
    assert json.loads(path.read_text())["metric"] == "iou"
    assert main(judge) == 0
    assert "IoU" in capsys.readouterr().out
    assert main([*judge, "--metric", "dice"]) == 2
    assert '--metric contradicts plan.json, which says "iou"' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "plan needs the SCORES of a pilot, or --median and --iqr"),
        (["--failures"], "or --failure-rate"),
        (["--write", "plan.json"], "--write needs --by"),
        (["--median", "0.9"], "plan needs median and iqr"),
        (["--median", "0.9", "--iqr", "0.05", "--sizes", "400"], "is not like 400,12"),
        (["--median", "0.9", "--iqr", "0.05", "--power", "1"], "--power"),
        (["none.csv"], "none.csv"),
    ],
)
def test_bad_input_is_one_line(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_report_needs_groups(scores: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(scores), "--out", str(scores.parent / "out")]) == 2
    assert "Missing option '--by'" in capsys.readouterr().err
