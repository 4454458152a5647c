"""Experiments that are gone on with: after a file was damaged, with other settings, with fewer arms."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fairseg.experiment import InProcess, Plan, run_experiment
from fairseg.experiment.provenance import _code
from fairseg.experiment.schedule import _progress
from fairseg.experiment.tasks import DAMAGED
from fairseg.training.settings import Settings

pytestmark = pytest.mark.slow


def test_a_training_whose_checkpoint_is_damaged_is_named_and_done_again(
    data: Path, recipe: Settings, tmp_path: Path, instant: Callable[[str], None]
) -> None:
    plan = Plan(data, recipe, only=("full/baseline",), seeds=1)
    run_experiment(plan, tmp_path, engine=InProcess())
    (checkpoint,) = tmp_path.glob("trainings/*/checkpoint.pt")
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    more = replace(plan, mirror=not plan.mirror)  # tested anew, not trained
    (state,) = run_experiment(more, tmp_path, engine=InProcess()).failed.values()
    assert state.error == (
        f"{checkpoint} is no whole checkpoint: the file is damaged; the next run trains this network again"
    )
    assert checkpoint.with_name(DAMAGED).stat().st_size == 100
    assert not run_experiment(more, tmp_path, engine=InProcess()).failed
    checkpoint.unlink()
    assert run_experiment(plan, tmp_path, engine=InProcess()).failed == {}  # it was tested before


def test_a_report_of_fewer_arms_leaves_no_file_of_more(
    data: Path, recipe: Settings, tmp_path: Path, instant: Callable[[str], None]
) -> None:
    plan = Plan(data, recipe, only=("full/baseline", "cascade/baseline", "minority/*"), seeds=1)
    run_experiment(plan, tmp_path, engine=InProcess())
    report = tmp_path / "report"
    more = {"boxes.csv", "fig2-cascade-internal.svg", "s1.svg"}
    assert more <= {file.name for file in report.iterdir()}
    (report / "mine.svg").write_text("")
    run_experiment(replace(plan, only=("full/baseline",)), tmp_path, engine=InProcess())
    left = {file.name for file in report.iterdir()}
    assert not more & left
    assert {"mine.svg", "fig2-full-internal.svg", "arms.csv"} <= left


def test_finished_trainings_of_other_settings_are_told(
    data: Path, recipe: Settings, tmp_path: Path, instant: Callable[[str], None]
) -> None:
    plan = Plan(data, recipe, only=("full/baseline", "full/group_dro"), seeds=1, ce_factor=2)
    run_experiment(plan, tmp_path, engine=InProcess())
    run_experiment(replace(plan, only=("full/baseline",)), tmp_path, engine=InProcess())
    page = tmp_path / "report" / "experiment.html"
    assert "of other settings" not in page.read_text()
    assert (
        "1 finished training in this folder is of an arm or seed that was not asked for" in page.read_text()
    )
    run_experiment(replace(plan, recipe=recipe.with_(steps=5)), tmp_path, engine=InProcess())
    assert "2 finished trainings in this folder are of other settings" in page.read_text()


def test_a_line_of_the_overview_is_short_and_says_of_how_many_epochs(tmp_path: Path) -> None:
    name = "trainings/full-baseline-seed0-0123456789"
    (tmp_path / name).mkdir(parents=True)
    (tmp_path / name / "task.json").write_text(json.dumps({"settings": {"epochs": 3}}))
    line = {"epoch": 2, "step": 60, "dice": {"a group of a long name": 0.5, "B": None}}
    (tmp_path / name / "log.jsonl").write_text(json.dumps(line) + "\n")
    assert _progress(tmp_path, name) == "  full-baseline-seed0: epoch 2 of 3; validation a group of a 0.500"


def test_the_code_that_makes_results_is_told_apart_from_the_code_that_shows_them() -> None:
    files = _code()
    rooms = {name.split("/")[0] for name in files}
    assert {"cohort", "losses", "metrics", "samplers", "scoring", "training"} <= rooms
    assert {"experiment/arms.py", "experiment/study.py"} <= files.keys()
    assert "experiment/page.py" not in files
    assert not [name for name in files if name.startswith("report/")]
