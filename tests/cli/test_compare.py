"""The command `fairseg compare`: from tables of scores to a folder, and what it refuses in one line."""

import hashlib
from pathlib import Path

import pandas as pd
import pytest

from fairseg.cli import main
from tests.report.compare.test_compare import changed, table


def save(path: Path, scores: pd.DataFrame) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    scores.assign(case=scores["subject"], label="LV", age=range(40, 40 + len(scores))).to_csv(
        path, index=False
    )
    return path


@pytest.fixture
def two(tmp_path: Path) -> list[str]:
    """Two tables of scores, with the options that every comparison needs."""
    files = [save(tmp_path / "base.csv", table()), save(tmp_path / "fair.csv", changed(table(), B=0.04))]
    return ["compare", *map(str, files), "--by", "group", "--out", str(tmp_path / "out")]


def test_two_tables_become_a_folder_and_the_answer(
    two: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*two, "--reference", "A"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "fair: fairer" in out
    assert out.rstrip().splitlines()[-1] == f"Comparison: {tmp_path / 'out' / 'comparison.html'}"
    assert (tmp_path / "out" / "findings.csv").is_file()


def test_what_was_stated_before_is_judged_by_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, out = tmp_path / "plan.json", str(tmp_path / "out")
    base = table(site=["north", "south"] * 100)
    files = [save(tmp_path / "base.csv", base), save(tmp_path / "fair.csv", changed(base, B=0.04))]
    options = ["--by", "group", "--reference", "A", "--margin", "0.01", "--adjust", "site"]
    assert main(["plan", "--write", str(plan), *options]) == 0
    start = ["compare", *map(str, files), "--preregister", str(plan), "--out", out]
    assert main(start) == 0
    page = (tmp_path / "out" / "comparison.html").read_text(encoding="utf-8")
    for file in (plan, *files):
        assert hashlib.sha256(file.read_bytes()).hexdigest() in page
    findings = pd.read_csv(tmp_path / "out" / "findings.csv")
    assert set(findings["adjusted"]) == {True, False}
    assert set(findings["first"]) == {"A"}
    assert "site held fixed" in capsys.readouterr().out
    assert main([*start, "--margin", "0.02"]) == 2
    assert "--margin contradicts plan.json" in capsys.readouterr().err


def test_names_and_baseline_are_those_given(two: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*two, "--names", "Standard, Balanced", "--baseline", "Balanced"]) == 0
    assert "Standard: less fair" in capsys.readouterr().out


def test_files_of_one_name_are_called_by_their_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [save(tmp_path / "runs" / name / "scores.csv", table()) for name in ("erm", "dro")]
    assert main(["compare", *map(str, files), "--by", "group", "--out", str(tmp_path / "out")]) == 0
    assert "dro: no relevant change shown" in capsys.readouterr().out


def test_bins_cut_a_number_into_groups(two: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    two[two.index("group")] = "age"
    assert main([*two, "--bins", "age=140", "--reference", "age>=140"]) == 0
    assert "age<140" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--names", "A"], "--names must be 2, one for each table, got 1: A"),
        (["--names", "A,A"], "--names must be different and not empty, got A,A"),
        (["--baseline", "C"], "baseline must be one of base, fair, got 'C'"),
        (["--reference", "Asian"], "reference: "),
        (["--by", "sex"], "has no attribute 'sex'"),
        (["--margin", "0"], "'--margin'"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    change: list[str], said: str, two: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*two, *change]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_tables_that_are_missing_or_alone_are_refused(
    two: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = tmp_path / "absent.csv"
    assert main([*two[:2], str(absent), *two[3:]]) == 2
    assert f"{absent} cannot be read: No such file or directory" in capsys.readouterr().err
    assert main([*two[:2], *two[3:]]) == 2
    assert f"SCORES must be two tables or more, got only {two[1]}" in capsys.readouterr().err
    assert main([*two[:2], two[1], *two[3:]]) == 2
    assert f"SCORES must be different tables, got {two[1]} twice" in capsys.readouterr().err
    assert main(["compare", *two[3:]]) == 2
    assert not (tmp_path / "out").exists()
