"""The options of reports: other attributes, margins, confounders, roles, pictures; and wrong ones."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairseg.cli import main
from fairseg.datasets.example import write_example


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = []
    for number in range(60):
        group, sex = ("A", "B")[number % 3 == 0], "FM"[number % 2]
        for frame, volume in (("ED", 120.0), ("ES", 50.0)):
            rows.append(
                {
                    "case": f"s{number}_{frame}", "subject": f"s{number}", "site": group, "sex": sex,
                    "age": 40 + number % 30, "frame": frame, "label": "LVBP",
                    "dice": rng.normal(0.92 if group == "A" else 0.86, 0.02), "hd": rng.uniform(2, 9),
                    "prediction_voxels": 900, "reference_voxels": 1000,
                    "prediction_ml": volume * rng.normal(0.95, 0.02), "reference_ml": volume,
                }
            )  # fmt: skip
    path = tmp_path / "scores.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def report(scores: Path, *more: str) -> int:
    return main(
        [
            "report",
            str(scores),
            "--by",
            "site",
            "--resamples",
            "300",
            "--out",
            str(scores.parent / "out"),
            *more,
        ]
    )


def test_a_report_of_everything(scores: Path, capfd: pytest.CaptureFixture[str]) -> None:
    more = [
        *("--reference", "A", "--also", "sex", "--also", "age", "--bins", "age=55", "--margin", "0.01"),
        *("--adjust", "sex", "--adjust", "age", "--adjust", "structure size", "--min-size", "5"),
        *("--roles", "lv=LVBP", "--phase", "frame=ED,ES"),
    ]
    assert report(scores, *more) == 0
    message, notes = capfd.readouterr()
    assert notes == ""
    assert "Gap shown" in message
    assert "B" in message
    out = scores.parent / "out"
    page = (out / "report.html").read_text()
    for text in ("By sex", "By age", "Within age", "age&lt;55", "Clinical measures", "LVEF"):
        assert text in page
    with (out / "findings.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["attribute"] for row in rows} == {"site", "sex", "age"}
    assert {row["adjusted"] for row in rows} == {"True", "False"}
    with (out / "clinical.csv").open(newline="") as file:
        assert {row["measure"] for row in csv.DictReader(file)} == {"LVEDV", "LVESV", "LVSV", "LVEF"}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--also", "site"], "also: site is judged already"),
        (["--also", "sex", "--also", "sex"], "also: sex is judged already"),
        (["--also", "shoe"], "also: scores.csv has no attribute 'shoe'"),
        (["--bins", "age=50"], "bins: attribute 'age' is not in by, also or adjust"),
        (["--adjust", "shoe"], "adjust: scores.csv has no attribute 'shoe'"),
        (["--adjust", "site"], "adjust: 'site' makes the groups"),
        (["--adjust", "frame"], "adjust: 'frame' differs between cases of one subject"),
        (["--margin", "0"], "--margin"),
        (["--min-size", "1"], "--min-size"),
        (["--phase", "frame=ED,ES"], "--phase needs --roles"),
        (["--roles", "lv=LV"], "LV"),
        (["--predictions", "here"], "--predictions and --references must be given together"),
        (["--images", "here"], "--images needs --predictions and --references"),
        (["--spacing", "1"], "--spacing needs --predictions and --references"),
    ],
)
def test_wrong_options_are_one_line(
    scores: Path, capfd: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert report(scores, *more) == 2
    said = capfd.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (scores.parent / "out").exists()


def test_an_audit_shows_the_worst_cases_and_keeps_the_scores_if_an_option_is_wrong(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_example(tmp_path)
    folders = [str(tmp_path / "predictions"), str(tmp_path / "references")]
    audit = ["audit", *folders, "--groups", str(tmp_path / "groups.csv"), "--by", "sex", "--resamples", "300"]
    assert main([*audit, "--out", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "The worst cases of each group" in page
    assert page.count('class="overlay"') == 6
    capfd.readouterr()
    assert main([*audit, "--roles", "lv=Nothing", "--out", str(tmp_path / "wrong")]) == 2
    assert "(the scores are in" in capfd.readouterr().err
    assert (tmp_path / "wrong" / "scores.csv").exists()
    assert not (tmp_path / "wrong" / "report.html").exists()
