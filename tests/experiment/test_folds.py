"""Cross-validation by subject: who is tested where, by properties, and an experiment in folds."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseg.cohort import fold_subjects
from fairseg.experiment import InProcess, Plan, run_experiment
from fairseg.experiment.page import REPORT
from fairseg.experiment.split import LEFT_OUT, TEST, TRAIN, VALIDATION
from fairseg.experiment.study import make_study
from fairseg.scoring.summary import ALL
from fairseg.training.settings import Settings


@given(st.lists(st.integers(0, 3), min_size=5, max_size=40), st.integers(2, 5), st.integers(0, 9))
def test_every_subject_is_in_one_fold_and_groups_are_dealt_evenly(
    groups: list[int], folds: int, seed: int
) -> None:
    ids = np.repeat(groups, 2)  # two cases each
    subjects = np.repeat([f"s{number:02d}" for number in range(len(groups))], 2)
    fold_of = fold_subjects(subjects.tolist(), ids, folds, seed=seed)
    assert np.array_equal(fold_of[::2], fold_of[1::2])
    fold = fold_of[::2]
    for sizes in [Counter(fold), *(Counter(fold[np.array(groups) == group]) for group in set(groups))]:
        counts = [sizes[number] for number in range(folds)]
        assert max(counts) - min(counts) <= 1
    backwards = fold_subjects(
        subjects.tolist()[::-1], ids[::-1], folds, seed=seed
    )  # whatever the order of the table
    assert np.array_equal(backwards[::-1], fold_of)


def test_more_folds_than_subjects_are_refused() -> None:
    with pytest.raises(ValueError, match="to the number of subjects, 2, got 3"):
        fold_subjects(["a", "b"], np.array([0, 1]), 3, seed=0)


def test_an_experiment_in_folds_tests_everybody_once(
    data: Path,
    recipe: Settings,
    tmp_path: Path,
    instant: Callable[[str], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = recipe.with_(keep="best-mean")
    plan = Plan(data, recipe, only=("full/baseline", "cascade/baseline"), seeds=2, folds=3)
    study = make_study(plan)
    people = pd.read_csv(data / "groups.csv")["subject"].nunique()
    tested = [set(fold["subject"][fold["part"] == TEST]) for fold in study.folds]
    assert len(set.union(*tested)) == sum(map(len, tested)) == people
    for fold in study.folds:
        assert set(fold["part"]) == {TRAIN, VALIDATION, TEST}
    results = run_experiment(plan, tmp_path, engine=InProcess(), progress=True)
    told = [line for line in capsys.readouterr().err.splitlines() if ", seed " in line]
    assert sum("full/baseline, seed 0: Dice" in line for line in told) == 1  # when all folds are done
    assert not any("nan" in line for line in told)
    assert {state.status for state in results.states.values()} == {"done"}
    assert all(len(tasks.tests) == 3 for tasks in results.study.arms.values())
    scores = results.scores[(results.scores["key"] == "full/baseline") & (results.scores["seed"] == 0)]
    assert not scores.duplicated(["case", "label"]).any()
    assert scores["subject"].nunique() == people
    assert results.by_seed("full/baseline", "Subjects", ALL) == {0: people, 1: people}
    page = (tmp_path / REPORT / "experiment.html").read_text()
    assert "in 3 folds" in page
    assert "to say which epoch is used: " in page
    with pytest.raises(ValueError, match="another split"):
        run_experiment(replace(plan, split_seed=1), tmp_path, engine=InProcess())


def test_groups_that_do_not_train_are_tested_once(data: Path, recipe: Settings) -> None:
    plan = Plan(data, recipe, only=("full/baseline",), seeds=1, folds=3, train_groups=("White", "Asian"))
    folds = make_study(plan).folds
    for fold in folds:
        untrained = fold[fold["group"].isin(["Mixed", "Black"])]
        assert set(untrained["part"]) <= {TEST, LEFT_OUT}
    times = Counter(one for fold in folds for one in fold["subject"][fold["part"] == TEST])
    assert set(times.values()) == {1}
    assert len(times) == len(folds[0])


def test_folds_need_a_dataset_without_a_test_set_and_no_external_one(
    data: Path, other: Path, recipe: Settings
) -> None:
    for plan, message in (
        (Plan(other, recipe, folds=3), "test set of its own"),
        (Plan(data, recipe, folds=3, external=other), "external"),
        (Plan(data, recipe, folds=1), "2 or more"),
    ):
        with pytest.raises(ValueError, match=message):
            make_study(plan)
