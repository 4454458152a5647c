"""The command `fairseg compare`: from tables of scores to a folder, and what it refuses in one line."""

from pathlib import Path

import pytest

from fairseg.cli import main
from tests.report.models import scores

BEFORE = {"Black": 0.87, "White": 0.92}
UP = {"Black": 0.90, "White": 0.92}


def save(path: Path, medians: dict[str, float], number: int = 20) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = scores(medians, number, attribute="ethnicity")
    table["age"] = [40 + place for place in range(len(table))]
    table.to_csv(path, index=False)
    return path


@pytest.fixture
def two(tmp_path: Path) -> list[str]:
    """Two tables of scores, with the options that every comparison needs."""
    files = [save(tmp_path / "base.csv", BEFORE), save(tmp_path / "fair.csv", UP)]
    return ["compare", *map(str, files), "--by", "ethnicity", "--out", str(tmp_path / "out")]


def test_two_tables_become_a_folder_and_a_sentence(
    two: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*two, "--reference", "White", "--margin", "0.02"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "fair is fairer than base: its gap is 0.030 smaller (95% interval 0.030 to 0.030)." in out
    assert out.rstrip().splitlines()[-1] == f"Comparison: {tmp_path / 'out' / 'comparison.html'}"
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        f"comparison.{kind}" for kind in ("html", "csv", "md", "tex", "svg")
    }
    assert "Gaps up to 0.02" in (tmp_path / "out" / "comparison.html").read_text(encoding="utf-8")


def test_names_and_baseline_are_those_given(two: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*two, "--names", "Standard, Balanced", "--baseline", "Balanced"]) == 0
    assert "Standard is less fair than Balanced: its gap is 0.030 larger" in capsys.readouterr().out


def test_files_of_one_name_are_called_by_their_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [save(tmp_path / "runs" / name / "scores.csv", UP) for name in ("erm", "dro")]
    assert main(["compare", *map(str, files), "--by", "ethnicity", "--out", str(tmp_path / "out")]) == 0
    assert "The gap of dro is as large as that of erm" in capsys.readouterr().out


def test_bins_cut_a_number_into_groups(two: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    two[two.index("ethnicity")] = "age"
    assert main([*two, "--bins", "age=60", "--reference", "age>=60"]) == 0
    assert "age<60" in capsys.readouterr().out


def test_notes_on_the_tables_are_told(
    two: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fair.notes.json").write_text('{"notes": ["one case was odd"], "skipped": {"c77": "torn"}}')
    assert main(two) == 0
    err = capsys.readouterr().err
    assert "fairseg: note: fair: one case was odd" in err
    assert "fairseg: note: fair: skipped when it was scored: c77" in err
    assert "one case was odd" in (tmp_path / "out" / "comparison.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--names", "A"], "--names must be 2, one for each table, got 1: A"),
        (["--names", "A,A"], "--names must be different and not empty, got A,A"),
        (["--baseline", "C"], "--baseline must be one of base, fair, got C"),
        (["--reference", "Asian"], "reference: "),
        (["--by", "sex"], "--by sex: no such attribute in "),
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


def test_an_attribute_that_one_table_lacks_is_named_with_its_file(
    two: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores(UP, attribute="race").to_csv(tmp_path / "fair.csv", index=False)
    assert main(two) == 2
    assert f"--by ethnicity: no such attribute in {tmp_path / 'fair.csv'}" in capsys.readouterr().err


def test_different_cases_are_named(
    two: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "fair.csv", UP, 21)
    assert main(two) == 2
    assert "fair and base were not scored on the same cases: c040, c041" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
