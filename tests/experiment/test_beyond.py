"""Arms beyond the paper, for real: what they start from and share, and who is drawn more often."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from fairseg.experiment import InProcess, Plan, run_experiment
from fairseg.experiment.study import make_study
from fairseg.experiment.tasks import TRAINING_SCORES
from fairseg.training.checkpoint import load_checkpoint
from fairseg.training.settings import Settings

pytestmark = pytest.mark.slow

ARMS = ("more/fine_tuning", "more/last_layer", "more/just_train_twice", "more/within_group_cvar")


def test_arms_start_from_the_network_of_another_and_draw_by_its_scores(
    data: Path, recipe: Settings, tmp_path: Path
) -> None:
    plan = Plan(data, recipe, only=ARMS, seeds=1, mirror=False)
    study = make_study(plan)
    results = run_experiment(plan, tmp_path, engine=InProcess())
    assert {arm.key: state.status for arm, state in results.states.items()} == dict.fromkeys(ARMS, "done")
    saved = {
        arm.method: [load_checkpoint(tmp_path / name / "checkpoint.pt") for name in tasks.trainings]
        for arm, tasks in study.arms.items()
    }
    trainings = {name for tasks in study.arms.values() for name in tasks.trainings}
    assert len(trainings) == 5  # three arms share the first of theirs
    first, last_layer = saved["last_layer"]
    assert [state["epoch"] for state in saved["fine_tuning"]] == [1, 2]  # of three
    assert [state["epoch"] for state in saved["just_train_twice"]] == [1, 3]
    weights = [state["network"]["input_block.conv1.conv.weight"] for state in (first, last_layer)]
    assert torch.equal(*weights)
    (file,) = tmp_path.glob(f"trainings/*/{TRAINING_SCORES}")
    about = json.loads((file.parent / "run.json").read_text())
    often = about["upweighted"]
    scores = pd.read_csv(file).groupby("case")["dice"].mean()
    assert set(scores.index) == set(about["train"])
    assert scores[often].max() < scores.drop(often).min()
