"""Hugging Face's Trainer with a tiny SegFormer: restarts to the last bit, loss and metrics of groups."""

import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from transformers import SegformerConfig, SegformerForSemanticSegmentation, Trainer, TrainingArguments

from fairseg.integrations.huggingface import GroupTrainerMixin, group_metrics, label_masks
from fairseg.losses import CrossEntropyLoss, GroupDROLoss
from fairseg.metrics import by_group, dice
from fairseg.samplers import GroupBatchSampler
from tests.ranks import run_ranks

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::FutureWarning:transformers")]

GROUPS = np.repeat([0, 1], [9, 3])
NAMES = ("age<50", "age>=50")


class Cohort(torch.utils.data.Dataset[dict[str, Any]]):
    """Squares, two slices a subject; the last has no group."""

    def __init__(self, groups: Any = GROUPS) -> None:
        generator = torch.Generator().manual_seed(0)
        self.masks = torch.zeros(len(groups), 16, 16, dtype=torch.long)
        for number, mask in enumerate(self.masks):
            mask[2 : 6 + number % 8, 4:12] = 1
            mask[0, 0] = 255
        self.images = self.masks.clamp(max=1).unsqueeze(1) + torch.randn(
            len(groups), 1, 16, 16, generator=generator
        )
        self.groups = groups
        self.drawn: list[int] = []

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, index: int) -> dict[str, Any]:
        self.drawn.append(index)
        return {
            "pixel_values": self.images[index],
            "labels": self.masks[index],
            "group": int(self.groups[index]),
            "subject": index // 2,
        }


class FairTrainer(GroupTrainerMixin, Trainer):
    """As a user writes it."""


def make_trainer(folder: Path, kind: Any = FairTrainer, **given: Any) -> Any:
    torch.manual_seed(0)
    sizes = {"depths": [1] * 4, "hidden_sizes": [8, 8, 16, 16], "decoder_hidden_size": 16}
    heads = {"num_attention_heads": [1, 1, 2, 2], "sr_ratios": [1] * 4, "num_channels": 1, "num_labels": 2}
    model = SegformerForSemanticSegmentation(SegformerConfig(**sizes, **heads))  # type: ignore[arg-type]
    fixed = {"report_to": "none", "use_cpu": True, "save_steps": 1, "per_device_train_batch_size": 4}
    args = {
        "num_train_epochs": 3,
        "learning_rate": 0.01,
        "disable_tqdm": True,
        **fixed,
        **given.pop("args", {}),
    }
    options = {
        "group_loss": GroupDROLoss(NAMES, CrossEntropyLoss(ignore_index=255), step_size=0.1),
        "group_sampler": GroupBatchSampler(GROUPS, 4),
        "train_dataset": Cohort(),
        "args": TrainingArguments(str(folder), **args),
    }
    return kind(model=model, **{**options, **given})


def test_a_restart_goes_on_to_the_last_bit(tmp_path: Path) -> None:
    """From the middle of an epoch, its end, and a later one; dropout is on. An epoch has three batches."""
    whole = make_trainer(tmp_path)
    whole.train()
    assert len(set(whole.group_loss.group_weight.tolist())) == 2
    sampler = GroupBatchSampler(GROUPS, 4)
    drawn = [index for _ in range(3) for batch in list(sampler) for index in batch]
    assert whole.train_dataset.drawn == drawn
    for step in (2, 3, 7):
        again = make_trainer(tmp_path)
        again.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{step}"))
        assert again.train_dataset.drawn[-4 * (9 - step) :] == drawn[4 * step :]
        assert torch.equal(again.group_loss.group_weight, whole.group_loss.group_weight)
        for name, value in whole.model.state_dict().items():
            assert torch.equal(again.model.state_dict()[name], value), (step, name)
    other = make_trainer(tmp_path, group_sampler=GroupBatchSampler(GROUPS[::-1].copy(), 4))
    with pytest.raises(ValueError, match="state is of another sampler: its cohort is"):
        other.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    with pytest.raises(ValueError, match="checkpoint-2 is of a training with group_sampler"):
        make_trainer(tmp_path, group_sampler=None).train(
            resume_from_checkpoint=str(tmp_path / "checkpoint-2")
        )
    (tmp_path / "checkpoint-2" / "fairseg.pt").unlink()
    with pytest.raises(ValueError, match=r"checkpoint-2 has no fairseg\.pt"):
        make_trainer(tmp_path).train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))


def test_a_restart_after_an_evaluation_at_an_epochs_end_goes_on_to_the_last_bit(tmp_path: Path) -> None:
    """The checkpoint at step 3 is saved before the evaluation of its epoch, which draws random numbers."""

    class Noisy(Cohort):
        def __getitem__(self, index: int) -> dict[str, Any]:
            sample = super().__getitem__(index)
            shift = torch.rand(1) + np.random.rand() + random.random()  # noqa: NPY002
            return {**sample, "pixel_values": sample["pixel_values"] + shift.float()}

    for evaluated in ("epoch", "steps"):
        given: Any = {"args": {"eval_strategy": evaluated, "eval_steps": 2}, "eval_dataset": Noisy()}
        given["train_dataset"] = Noisy()
        whole = make_trainer(tmp_path / evaluated, **given)
        whole.train()
        again = make_trainer(tmp_path / evaluated, **given)
        again.train(resume_from_checkpoint=str(tmp_path / evaluated / "checkpoint-3"))
        for name, value in whole.model.state_dict().items():
            assert torch.equal(again.model.state_dict()[name], value), (evaluated, name)


class Lacking(Cohort):
    def __init__(self, *lacks: str) -> None:
        super().__init__()
        self.lacks = lacks

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {name: value for name, value in super().__getitem__(index).items() if name not in self.lacks}


@pytest.mark.parametrize(("lacks", "argument"), [("subject", "subject_key"), ("group", "group_key")])
def test_data_to_evaluate_without_subjects_or_groups_are_refused_before_an_epoch(
    lacks: str, argument: str, tmp_path: Path
) -> None:
    metrics = {"compute_metrics": group_metrics(NAMES, [1]), "preprocess_logits_for_metrics": label_masks}
    given: Any = {"subject_key": "subject", "args": {"eval_strategy": "epoch"}, **metrics}
    message = rf"the evaluation has no '{lacks}' \({argument}\), it has \[.*'labels'"
    for data in (Lacking(lacks), {"whole": Cohort(), "lacking": Lacking(lacks)}):
        trainer = make_trainer(tmp_path, eval_dataset=data, **given)
        with pytest.raises(ValueError, match=message):
            trainer.train()
        assert not trainer.train_dataset.drawn
        with pytest.raises(ValueError, match=message):
            trainer.evaluate()


def test_data_without_labels_are_predicted(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, subject_key="subject", preprocess_logits_for_metrics=label_masks)
    for data in (Lacking("labels"), Lacking("labels", "subject")):
        masks = trainer.predict(data).predictions
        with torch.no_grad():
            logits = trainer.model.eval()(pixel_values=data.images).logits
        np.testing.assert_array_equal(masks, logits.argmax(1).numpy())


def test_the_best_model_is_that_of_its_checkpoint(tmp_path: Path) -> None:
    """A Trainer of transformers 5.24 loads the decoder of SegFormer's best, and leaves the last encoder."""
    args = {"load_best_model_at_end": True, "metric_for_best_model": "step", "eval_strategy": "steps"}
    args |= {"eval_steps": 1, "greater_is_better": False, "num_train_epochs": 1}
    steps = iter(range(3))
    trainer = make_trainer(
        tmp_path,
        eval_dataset=Cohort(),
        args=args,
        compute_metrics=lambda _: {"step": next(steps)},
    )
    trainer.train()
    best = SegformerForSemanticSegmentation.from_pretrained(tmp_path / "checkpoint-1").state_dict()
    assert all(torch.equal(value, best[name]) for name, value in trainer.model.state_dict().items())


@pytest.mark.parametrize("accumulated", [1, 3])
def test_the_loss_is_that_of_the_model_where_there_is_one_group(accumulated: int, tmp_path: Path) -> None:
    """One group with cross-entropy is SegFormer's own loss: same weights after a step of SGD."""
    args = {"max_steps": 1, "gradient_accumulation_steps": accumulated, "optim": "sgd", "save_strategy": "no"}
    data = Cohort(np.zeros(12, dtype=int))
    alone = {"group_loss": GroupDROLoss(1, CrossEntropyLoss(ignore_index=255)), "group_sampler": None}

    def plain(group_loss: Any, group_sampler: Any, **options: Any) -> Trainer:
        trainer = Trainer(**options)
        trainer.loss_is_scaled_for_ga = False  # SegFormer's is a mean over its batch, and says otherwise
        return trainer

    trained = []
    for kind in (FairTrainer, plain):
        trainer = make_trainer(tmp_path, kind, train_dataset=data, args=args, **alone)
        trainer.train()  # before the other is made, which sets the seed
        trained.append(trainer.model.state_dict())
    for name, value in trained[1].items():
        assert torch.allclose(trained[0][name], value, atol=1e-6), name


def test_an_evaluation_by_group_is_that_of_the_metrics(tmp_path: Path) -> None:
    groups = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, -1, -1])
    metrics = {
        "compute_metrics": group_metrics(NAMES, [1], samples="slices", ignore=255),
        "preprocess_logits_for_metrics": label_masks,
    }
    trainer = make_trainer(tmp_path, subject_key="subject", eval_dataset=Cohort(groups), **metrics)
    before = trainer.group_loss.group_weight.clone()
    got = trainer.evaluate()
    assert torch.equal(trainer.group_loss.group_weight, before)
    data = trainer.eval_dataset
    with torch.no_grad():
        logits = trainer.model.eval()(pixel_values=data.images).logits
    large = F.interpolate(logits, size=(16, 16), mode="bilinear", align_corners=False)
    masks = (large.argmax(1) == 1) & (data.masks != 255)
    volumes = [(masks[i : i + 2], data.masks[i : i + 2] == 1) for i in range(0, 12, 2)]
    scores = [float(dice(prediction.long(), truth.long(), [1])[0]) for prediction, truth in volumes]
    medians, counts = by_group(scores, groups[::2])
    assert [got["eval_dice_age_lt_50"], got["eval_dice_age_ge_50"]] == pytest.approx(medians.tolist())
    assert [got["eval_subjects_age_lt_50"], got["eval_subjects_age_ge_50"]] == counts.tolist() == [3, 2]
    assert got["eval_unknown_group"] == 1


def run_rank(folder: Path) -> None:
    """What each process does."""

    def trainer() -> Any:
        return make_trainer(
            folder / "run",
            args={"num_train_epochs": 2, "per_device_train_batch_size": 2, "per_device_eval_batch_size": 5},
            group_sampler=GroupBatchSampler(GROUPS, 2, num_replicas=1, rank=0),
            eval_dataset=Cohort(np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, -1, -1])),
            subject_key="subject",
            compute_metrics=group_metrics(NAMES, [1], samples="slices", ignore=255),
            preprocess_logits_for_metrics=label_masks,
        )

    whole = trainer()
    whole.train()
    again = trainer()
    again.train(resume_from_checkpoint=str(folder / "run" / "checkpoint-2"))
    results = {
        "drawn": whole.train_dataset.drawn,
        "drawn again": again.train_dataset.drawn[-8:],
        "weight": [one.group_loss.group_weight for one in (whole, again)],
        "models": [one.model.state_dict() for one in (whole, again)],
        "evaluated": whole.evaluate(),
    }
    torch.save(results, folder / f"{os.environ['RANK']}.pt")


def test_two_processes_take_turns_and_restart_to_the_last_bit(tmp_path: Path) -> None:
    ranks = run_ranks(run_rank, tmp_path)
    sampler = GroupBatchSampler(GROUPS, 2)
    batches = [batch for _ in range(2) for batch in list(sampler)]
    for number, rank in enumerate(ranks):
        mine = [index for batch in batches[number::2] for index in batch]
        assert rank["drawn"] == mine
        assert rank["drawn again"] == mine[-8:]
        assert torch.equal(rank["weight"][0], ranks[0]["weight"][0])
        assert torch.equal(*rank["weight"])
        whole, again = rank["models"]
        assert all(torch.equal(value, again[name]) for name, value in whole.items())
        counts = ("subjects_age_lt_50", "subjects_age_ge_50", "unknown_group")
        assert [rank["evaluated"][f"eval_{name}"] for name in counts] == [3, 2, 1]


def test_what_cannot_be_right_is_named(tmp_path: Path) -> None:
    for given, message in (
        (
            {"group_sampler": GroupBatchSampler(GROUPS, 6)},
            "batches of 6, and per_device_train_batch_size is 4",
        ),
        ({"group_loss": nn.Linear(1, 1)}, "group_loss has parameters"),
        ({"args": {"label_smoothing_factor": 0.1}}, "group_loss is the loss: leave out"),
    ):
        with pytest.raises(ValueError, match=message):
            make_trainer(tmp_path, **given)
    trainer = make_trainer(tmp_path, group_key="site")
    with pytest.raises(ValueError, match=r"no 'site', it has \['labels', 'pixel_values'\].*give ids"):
        trainer.train()
    with pytest.raises(ValueError, match="got no groups"):
        group_metrics(NAMES, [1])(trainer_without_groups())
    with pytest.raises(ValueError, match="num_groups must be the groups or their names"):
        group_metrics(2, [1])


def trainer_without_groups() -> Any:
    class Evaluated:
        predictions = np.zeros((1, 2, 2), dtype=int)
        label_ids = np.zeros((1, 2, 2), dtype=int)

    return Evaluated()
