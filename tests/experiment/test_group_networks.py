"""Arms of one network for each group: who trains which, who is segmented by which, who by none."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fairseg.experiment import InProcess, Plan, run_experiment
from fairseg.experiment.split import only
from fairseg.experiment.study import Study, make_study
from fairseg.training import train
from fairseg.training.settings import Settings

ARMS = ("more/group_networks", "more/group_networks_start")


def cases_of(task: Any) -> set[str]:
    return {
        case for about in task.spec["tests"].values() for part in about["parts"] for case in part["cases"]
    }


def networks_tested(study: Study, key: str) -> list[tuple[Any, Any]]:
    """Return each test of an arm with the training whose network it tests."""
    tasks = {task.name: task for task in study.tasks}
    (names,) = [one for arm, one in study.arms.items() if arm.key == key]
    return [(tasks[name], tasks[tasks[name].spec["training"]]) for name in names.tests]


@pytest.fixture
def partly_known(copy: Path) -> Path:
    """The cohort of four groups, with the group of one White subject unknown."""
    table = pd.read_csv(copy / "groups.csv")
    subject = table.loc[table["group"] == "White", "subject"].iloc[-1]
    table.loc[table["subject"] == subject, "group"] = None
    table.to_csv(copy / "groups.csv", index=False)
    return copy


def test_the_training_subjects_of_others_are_left_out_and_nobody_changes_who_is_tested() -> None:
    parts = ["train", "validation", "test", "train", "validation", "test", "train"]
    split = pd.DataFrame({"subject": list("abcdefg"), "group": ["F"] * 3 + ["M"] * 3 + [""], "part": parts})
    out = "left out"
    assert only(split, "F")["part"].tolist() == ["train", "validation", "test", out, out, "test", out]
    assert split["part"].tolist() == parts


@pytest.mark.parametrize("key", ARMS)
@pytest.mark.parametrize("train_groups", [(), ("White", "Asian")], ids=["all train", "two train"])
def test_each_group_is_segmented_by_its_own_network_and_the_rest_by_that_of_everybody(
    key: str, train_groups: tuple[str, ...], partly_known: Path, recipe: Settings
) -> None:
    plan = Plan(partly_known, recipe, only=(key,), seeds=1, train_groups=train_groups, test_share=0.3)
    study = make_study(plan)
    group = pd.read_csv(partly_known / "groups.csv").set_index("case")["group"].fillna("")
    own = set(train_groups or ("White", "Asian", "Mixed", "Black"))
    seen: list[str] = []
    for test, training in networks_tested(study, key):
        groups = set(group[sorted(cases_of(test))])
        seen += cases_of(test)
        split = pd.read_csv(StringIO(study.splits[training.spec["split"]]), keep_default_na=False)
        trains = split[split["part"].isin(["train", "validation"])]
        if groups <= own:
            assert groups == set(trains["group"])  # one, and its own
            assert len(groups) == 1
        else:
            assert groups.isdisjoint(own)
            assert training.spec["split"] == "split.csv"
            assert own <= set(trains["group"])
            assert "init" not in training.spec
        assert not set(trains["subject"]) & {case.rpartition("_")[0] for case in cases_of(test)}
    (everybody,) = networks_tested(
        make_study(Plan(**{**vars(plan), "only": ("full/baseline",)})), "full/baseline"
    )
    assert sorted(seen) == sorted(cases_of(everybody[0]))  # each once


def test_a_common_start_is_the_baseline_of_half_of_the_epochs(data: Path, recipe: Settings) -> None:
    study = make_study(Plan(data, recipe, only=ARMS[1:], seeds=1))
    tasks = {task.name: task for task in study.tasks}
    starts = {training.spec["init"] for _, training in networks_tested(study, ARMS[1])}
    assert len(starts) == 1
    (start,) = (tasks[name] for name in starts)
    assert start.spec["split"] == "split.csv"
    assert start.spec["settings"]["epochs"] == 1  # of three
    for _, training in networks_tested(study, ARMS[1]):
        assert training.spec["settings"]["epochs"] == 2
        assert training.needs == (start.name,)


def test_the_page_has_one_row_for_all_networks_of_an_arm_and_says_what_they_need(
    partly_known: Path, recipe: Settings, tmp_path: Path, instant: Callable[[str], None]
) -> None:
    plan = Plan(partly_known, recipe, only=("full/baseline", *ARMS), seeds=1, mirror=False, test_share=0.3)
    results = run_experiment(plan, tmp_path / "out", engine=InProcess())
    assert {state.status for state in results.states.values()} == {"done"}
    tested = results.scores.groupby("key")["case"].apply(lambda cases: sorted(set(cases)))
    assert tested[ARMS[0]] == tested[ARMS[1]] == tested["full/baseline"]
    for key in ARMS:
        assert len(results.by_seed(key, "Median DSC", "Black")) == 1
    page = (tmp_path / "out" / "report" / "experiment.html").read_text(encoding="utf-8")
    assert "the group of a subject must be known" in page
    assert "One network for each group, from a common start" in page


def test_a_network_trains_on_one_group(dataset: Path, prepared: Path, tiny: Settings, tmp_path: Path) -> None:
    table = pd.read_csv(dataset / "groups.csv").drop_duplicates("subject")
    white = table[table["group"] == "White"]["subject"].tolist()
    split = pd.DataFrame({"subject": white, "part": ["validation"] + ["train"] * (len(white) - 1)})
    split.to_csv(tmp_path / "split.csv", index=False)
    short = tiny.with_(epochs=1, steps=2)
    lines = train(dataset, tmp_path / "run", short, split=tmp_path / "split.csv", prepared=prepared)
    assert list(lines[-1]["dice"]) == ["White"]
