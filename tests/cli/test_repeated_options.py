"""Options of a comma list: given twice they count twice, or are refused; nothing is lost silently."""

from pathlib import Path

import click
import pandas as pd
import pytest

from fairseg.cli import main
from fairseg.cli.command import cli
from fairseg.cli.options import Command

SCORED = ("predictions", "references", "--groups", "groups.csv", "--out", "out")


@pytest.fixture
def data(cohort: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(cohort)
    return cohort


def commands(group: click.Group) -> list[click.Command]:
    result: list[click.Command] = []
    for one in group.commands.values():
        result += commands(one) if isinstance(one, click.Group) else [one]
    return result


def test_every_command_refuses_what_it_would_forget() -> None:
    assert all(isinstance(one, Command) for one in commands(cli))


def test_metrics_given_twice_are_all_computed(data: Path) -> None:
    assert main(["evaluate", *SCORED[:-1], "scores.csv", "--metrics", "dice,hd", "--metrics", "iou"]) == 0
    table = pd.read_csv(data / "scores.csv")
    assert {"dice", "hd", "iou"} <= set(table)


def test_wide_given_twice_reads_both_columns(data: Path) -> None:
    rows = [f"s{number},{'FM'[number % 2]},0.9,0.8" for number in range(24)]
    (data / "wide.csv").write_text("\n".join(["subject,sex,dice_LV,dice_RV", *rows]))
    wide = ("--wide", "dice_LV", "--wide", "dice_RV")
    assert main(["report", "wide.csv", "--by", "sex", *wide, "--resamples", "100", "--out", "out"]) == 0
    facts = pd.read_csv(data / "out" / "subgroups.csv")
    assert {"LV", "RV"} <= set(facts["structure"])


ONCE = [
    (("compare", "a.csv", "b.csv", "--by", "sex", "--out", "out"), ("--names", "a,b")),
    (("understand", ".", "--by", "sex", "--out", "out"), ("--margins", "0,5")),
    (("report", "a.csv", "--by", "sex", "--out", "out"), ("--roles", "lv=LV,myocardium=LVM")),
    (("report", "a.csv", "--by", "sex", "--out", "out"), ("--reference", "F")),
    (("plan", "--failures", "--failure-rate", "0.1"), ("--sizes", "40,20")),
    (("evaluate", *SCORED), ("--spacing", "1,1")),
    (("train", ".", "--by", "sex", "--out", "out"), ("--patch-size", "64,64")),
]


@pytest.mark.parametrize(("command", "option"), ONCE, ids=lambda one: one[0])
def test_an_option_of_one_value_is_refused_when_given_twice(
    data: Path, capfd: pytest.CaptureFixture[str], command: tuple[str, ...], option: tuple[str, str]
) -> None:
    assert main([*command, *option, *option]) == 2
    assert f"{option[0]} must be given once" in capfd.readouterr().err
    assert not (data / "out").exists()


@pytest.mark.parametrize(
    ("labels", "lines"),
    [
        ("ventricles=1,3", ("ventricles=1+3", "ventricles=1,NAME3=3")),
        ("LVM=2,1,3", ("LVM=2+1+3", "LVM=2,NAME1=1,NAME3=3")),
        ("1,LVM=2", ("LVM=2+1", "NAME1=1,LVM=2")),
    ],
)
@pytest.mark.usefixtures("data")
def test_labels_with_and_without_a_name_are_refused_with_what_to_type(
    capfd: pytest.CaptureFixture[str], labels: str, lines: tuple[str, ...]
) -> None:
    assert main(["evaluate", *SCORED, "--labels", labels]) == 2
    message = capfd.readouterr().err
    for line in lines:
        assert f"{line} " in message
        assert main(["evaluate", *SCORED[:-1], "scores.csv", "--labels", line, "--overwrite"]) == 0
