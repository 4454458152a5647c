"""Which epoch is kept as the best: by nnU-Net's rule, the mean of the groups, or the worst. Half a minute."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("nnunetv2", reason="nnU-Net is not installed: make test does it")

from fairseg.cohort import Groups
from fairseg.integrations.nnunet import trainers
from fairseg.integrations.nnunet.best import BestByGroup, group_dice

from .conftest import Dataset

pytestmark = pytest.mark.slow

Batch = Callable[..., dict[str, Any]]
# True positive, false positive, false negative voxels of F and M, one structure: a Dice of tp / (tp + fp).
EPOCHS = [{"F": 0.2, "M": 0.9}, {"F": 0.5, "M": 0.5}, {"F": 0.1, "M": 1.0}, {"F": None, "M": 1.0}]


class Log:
    """What is used of nnU-Net's logger."""

    def __init__(self) -> None:
        self.local_logger, self.my_fantastic_logging = self, {}

    def log(self, key: str, value: Any, epoch: int) -> None:
        assert len(self.my_fantastic_logging[key]) == epoch
        self.my_fantastic_logging[key].append(value)


@pytest.mark.parametrize(("rule", "chosen"), [("mean", [0, 3]), ("worst", [0, 1])])
def test_the_best_epoch_is_that_of_the_rule(rule: Any, chosen: list[int]) -> None:
    best, log, result = BestByGroup(rule, Groups(["F", "M"])), Log(), []
    for epoch, dice in enumerate(EPOCHS):
        counts = np.zeros((2, 1, 3))
        for group, value in enumerate(dice.values()):
            counts[group, 0] = 0 if value is None else np.round([10 * value, *2 * [10 - 10 * value]])
        best.end_epoch(log, epoch, counts)
        if best.improves():
            result.append(epoch)
    # Moving means of F: .2, .23, .217, .217; of M: .9, .86, .874, .8866. Their mean: .55, .545, .5455, .5518.
    assert result == chosen
    assert best.moving == pytest.approx({"F": 0.217, "M": 0.8866})
    assert [entry["rule"] for entry in log.my_fantastic_logging["group_best"]] == [rule] * 4


def test_no_epoch_is_the_best_before_every_group_was_seen() -> None:
    best, log = BestByGroup("worst", Groups(["F", "M"])), Log()
    best.end_epoch(log, 0, np.array([[[1.0, 0, 0]], [[0, 0, 0]]]))
    assert not best.improves()
    best.end_epoch(log, 1, np.array([[[1.0, 0, 0]], [[1, 2, 0]]]))
    assert best.improves()
    assert best.best == pytest.approx(0.5)


def test_a_structure_that_nobody_of_a_group_has_is_left_out_of_its_mean() -> None:
    counts = np.array([[[2.0, 1, 1], [0, 0, 0], [0, 3, 0]], [[0, 0, 0], [0, 0, 0], [0, 0, 0]]])
    np.testing.assert_allclose(group_dice(counts), [1 / 3, np.nan])


@pytest.mark.parametrize("name", ["nnUNetTrainerFairERM", "nnUNetTrainerFairGroupDRO_Oversampling"])
@pytest.mark.parametrize("ignore", [False, True])
def test_the_voxels_of_the_groups_add_up_to_those_of_nnunet(
    dataset: Dataset, batch_of: Batch, monkeypatch: pytest.MonkeyPatch, name: str, ignore: bool
) -> None:
    monkeypatch.setenv("FAIRSEG_BEST", "worst")
    labels = {"labels": {**dataset.about["labels"], "ignore": 3}} if ignore else {}
    trainer = dataset.trainer(getattr(trainers, name), **labels)
    trainer.initialize()
    batch = batch_of(["m4_ED", "f1_ED", "m4_ES"], labels=4 if ignore else 3)
    trainer.on_validation_epoch_start()
    with torch.no_grad():
        result = trainer.validation_step({**batch, "target": [t.clone() for t in batch["target"]]})
        woman = {key: value[1:2] for key, value in batch.items() if key != "target"}
        hers = trainer.validation_step(
            {**woman, "target": [target[1:2].clone() for target in batch["target"]]}
        )
    np.testing.assert_array_equal(
        result["group_hard"][0], np.stack([hers[k] for k in ("tp_hard", "fp_hard", "fn_hard")], -1)
    )
    for place, key in enumerate(("tp_hard", "fp_hard", "fn_hard")):
        np.testing.assert_array_equal(result["group_hard"].sum(0)[:, place], result[key])


def trained(dataset: Dataset, kind: type, epochs: int) -> Any:
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002  (nnU-Net's generator)
    trainer = dataset.trainer(kind)
    trainer.num_epochs = epochs
    trainer.run_training()
    return trainer


def test_the_rule_decides_on_checkpoint_best_and_is_logged(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIRSEG_STEPS", "2")
    monkeypatch.setenv("FAIRSEG_BEST", "worst")
    trainer = trained(dataset, trainers.nnUNetTrainerFairERM, 3)
    assert (trainer.num_iterations_per_epoch, trainer.num_val_iterations_per_epoch) == (2, 1)
    folder = Path(trainer.output_folder)
    log = next(folder.glob("training_log_*.txt")).read_text()
    assert "checkpoint_best by the worst of the groups' pseudo Dice (moving means over epochs)" in log
    assert log.count("fairseg: pseudo Dice by group: F ") == 3
    assert "New best EMA pseudo Dice" not in log
    assert (folder / "checkpoint_best.pth").exists() == ("the best epoch so far" in log)
    final = torch.load(folder / "checkpoint_final.pth", weights_only=False)
    entries = final["logging"]["group_best"]
    scores = [min(e["moving"].values()) for e in entries if len(e["moving"]) == 2]
    assert final["_best_ema"] == (max(scores) if scores else None)
    if scores:
        best = torch.load(folder / "checkpoint_best.pth", weights_only=False)
        assert best["_best_ema"] == max(scores)
        first = len(entries) - len(scores) + scores.index(max(scores))
        assert best["current_epoch"] == first + 1


def test_a_checkpoint_goes_on_by_its_rule_alone(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRSEG_STEPS", "1")
    kind = trainers.nnUNetTrainerFairGroupDRO
    stock = trained(dataset, kind, 1)
    assert "New best EMA" in next(Path(stock.output_folder).glob("training_log_*.txt")).read_text()
    file = str(Path(stock.output_folder) / "checkpoint_final.pth")
    monkeypatch.setenv("FAIRSEG_BEST", "mean")
    with pytest.raises(ValueError, match="trained with FAIRSEG_BEST=nnunet, now it is mean"):
        dataset.trainer(kind, resume=True).load_checkpoint(file)
    by_mean = trained(dataset, kind, 2)
    resumed = dataset.trainer(kind, resume=True)
    resumed.load_checkpoint(file)
    assert (resumed._best.moving, resumed._best.best) == (by_mean._best.moving, by_mean._best.best)
    monkeypatch.delenv("FAIRSEG_BEST")
    with pytest.raises(ValueError, match="trained with FAIRSEG_BEST=mean, now it is nnunet"):
        dataset.trainer(kind, resume=True).load_checkpoint(file)


def test_a_rule_by_group_needs_a_case_of_each_to_validate_on(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIRSEG_BEST", "worst")
    dataset.table.write_text(dataset.table.read_text().replace("f1_ED,f1,F", "f1_ED,f1,"))
    with pytest.raises(ValueError, match="needs a case of every group to validate on, fold 0 has none of F"):
        dataset.trainer(trainers.nnUNetTrainerFairERM).initialize()
    monkeypatch.setenv("FAIRSEG_BEST", "best")
    with pytest.raises(ValueError, match="FAIRSEG_BEST must be nnunet, mean or worst, got 'best'"):
        dataset.trainer(trainers.nnUNetTrainerFairERM)
