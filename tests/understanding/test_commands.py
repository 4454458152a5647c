"""Advised commands: every option of the call that still applies, and steps that can work."""

import shlex
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from fairseg.cli.command import cli
from fairseg.cohort.reading import TableOptions
from fairseg.understanding.commands import commands_of, held_out
from fairseg.understanding.inputs import Call

ASKED = Call(data="my data", options=TableOptions(na=["?"]))
CALL = replace(
    ASKED,
    reference="A",
    test=True,
    confounders=("age",),
    margins=(0.0, 7.5),
    min_size=8,
    permutations=500,
    predictions="masks",
)


def cohort(call: Call = CALL, *, counts: tuple[int, ...] = (40, 40)) -> Any:
    about: dict[str, Any] = {
        "call": call,
        "attributes": ("sex", "site"),
        "bins": {"age": (50.0, 65.0)},
        "groups_file": "people.csv",
        "cases": (SimpleNamespace(images=(Path("my data/imagesTs/a_0000.png"),)),),
        "raw": SimpleNamespace(mask_folder=Path("my data/labelsTs")),
        "counts": list(zip("ABC", counts, strict=False)),
    }
    return SimpleNamespace(**about)


def parsed(command: str) -> dict[str, Any]:
    """Return the options of a command as its own parser reads them; what is no option is refused."""
    program, name, *arguments = shlex.split(command)
    assert program == "fairseg"
    result = cli.get_command(click.Context(cli), name)
    assert result is not None
    values, rest, _ = result.make_parser(click.Context(result)).parse_args(arguments)
    assert not rest
    return {"": name, **values}


def test_understand_is_asked_again_with_all_that_it_was_asked() -> None:
    commands = commands_of(cohort())
    for name in ("understand", "ask_run"):
        result = parsed(commands[name])
        assert result["test"]
        assert (result["data"], result["by"]) == ("my data", ["sex", "site"])
        assert (result["reference"], result["min_size"], result["permutations"]) == ("A", "8", "500")
        assert (result["margins"], result["cohort"], result["na"]) == ("0,7.5", "people.csv", ["?"])
    assert parsed(commands["understand"])["predictions"] == "masks"
    other = parsed(commands["ask_run"])  # masks of another model say nothing of a run
    assert "predictions" not in other
    assert other["confounders"] == ["age"]
    plain = parsed(commands_of(cohort(ASKED))["understand"])
    assert not {"test", "reference", "min_size", "margins", "permutations", "model"} & plain.keys()


def test_the_audit_has_the_reference_group_and_the_size() -> None:
    result = parsed(commands_of(cohort())["audit"])
    assert (result["predictions"], result["references"]) == ("masks", "my data/labelsTs")
    assert (result["reference"], result["min_size"]) == ("A", "8")


@pytest.mark.parametrize("crops", [True, False])
def test_masks_of_a_run_are_made_before_they_are_audited(crops: bool) -> None:
    both = commands_of(cohort(replace(ASKED, run="my run", crops=crops, spacing="mm")))["audit"]
    predict, audit = map(parsed, both.split(" && "))
    assert (predict["run"], predict["images"]) == ("my run", "my data/imagesTs")
    assert predict["out"] == audit["predictions"]
    assert ("references" in predict) == crops
    assert predict["table"] == "people.csv"  # which has the column


def test_enough_subjects_are_held_out_to_ask_a_run() -> None:
    usual = ASKED
    assert held_out(cohort(usual, counts=(50, 60))) == 0.2
    assert held_out(cohort(usual, counts=(40, 40))) == 0.25
    assert held_out(cohort(usual, counts=(40, 18))) is None
    assert held_out(cohort(counts=(12, 12))) == 0.2  # images of imagesTs, which no training has seen
    trained = parsed(commands_of(cohort(usual))["train"])
    assert trained["validation"] == "0.25"
    assert "validation" not in parsed(commands_of(cohort(usual, counts=(60, 60)))["train"])
