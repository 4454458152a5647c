"""Groups in Lightning: where a restart goes on, what it logs, and two real processes."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import CombinedLoader
from torch.utils.data import DataLoader, Subset, TensorDataset
from torchdata.stateful_dataloader import StatefulDataLoader

from fairseg import Groups
from fairseg.integrations.lightning import KeepGroupSampler, LogGroupMetrics, sampler_for
from fairseg.losses import GroupDROLoss
from fairseg.metrics import by_group, dice, fairness_gap, skewed_error_ratio
from fairseg.samplers import GroupBatchSampler, GroupWeightedSampler
from tests.ranks import run_ranks

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning"),  # torchdata
    pytest.mark.filterwarnings("ignore:.*does not have many workers:UserWarning"),
    pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before:UserWarning"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists:UserWarning"),
    pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`:UserWarning"),
    pytest.mark.filterwarnings("ignore:You requested to overfit but enabled:UserWarning"),
]

NAMES = ("A", "B", "C")
GROUPS = np.repeat([0, 1, 2], [20, 8, 2])


def make_data(seed: int = 0) -> TensorDataset:
    """Return images, masks, groups, subjects and numbers of 30 samples; the last subject's group is -1."""
    generator = torch.Generator().manual_seed(seed)
    masks = (torch.rand(30, 4, 4, generator=generator) < 0.4).long()
    masks[4] = 0  # one that may be empty in both
    images = masks.unsqueeze(1) + 0.5 * torch.randn(30, 1, 4, 4, generator=generator)
    groups = torch.from_numpy(GROUPS.copy())
    groups[28:] = -1
    return TensorDataset(images, masks, groups, torch.arange(30) // 2, torch.arange(30))


class Segmenter(pl.LightningModule):
    """A convolution with a group loss, as a user writes it."""

    def __init__(self, num_workers: int = 0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network = torch.nn.Conv2d(1, 2, 3, padding=1)
        self.loss = GroupDROLoss(3, step_size=0.1)
        self.num_workers = num_workers
        self.seen: list[tuple[int, int, list[int]]] = []

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        image, mask, group, _, number = batch
        self.seen.append((self.current_epoch, batch_idx, number.tolist()))
        return self.loss(self.network(image), mask, group)

    def validation_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
        image, mask, group, subject, _ = batch
        self.log("steps", float(self.global_step))
        return {
            "prediction": self.network(image),
            "reference": mask,
            "groups": group,
            "subjects": subject,
        }

    test_step = validation_step

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def train_dataloader(self) -> Any:
        sampler = sampler_for(self.trainer, GROUPS, batch_size=3)
        return DataLoader(make_data(), batch_sampler=sampler, num_workers=self.num_workers)

    def val_dataloader(self) -> Any:
        return DataLoader(make_data(1), batch_size=8)


def make_trainer(folder: Path, *callbacks: pl.Callback, **options: Any) -> pl.Trainer:
    options = {"max_epochs": 3, "logger": False, "num_sanity_val_steps": 0, **options}
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    checkpointing = any(isinstance(callback, ModelCheckpoint) for callback in callbacks)
    return pl.Trainer(
        default_root_dir=folder,
        callbacks=list(callbacks),
        enable_checkpointing=checkpointing,
        **quiet,
        **options,
    )


def test_epochs_are_those_of_the_sampler(tmp_path: Path) -> None:
    model = Segmenter()
    make_trainer(tmp_path, KeepGroupSampler()).fit(model)
    sampler = GroupBatchSampler(GROUPS, 3)
    assert model.seen == [(epoch, i, batch) for epoch in range(3) for i, batch in enumerate(list(sampler))]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_restart_goes_on_where_the_checkpoint_was_saved(num_workers: int, tmp_path: Path) -> None:
    """Checkpoints in the middle of an epoch, after its last batch, at its end, and after validation."""

    def saver(name: str, **options: Any) -> ModelCheckpoint:
        return ModelCheckpoint(tmp_path / "saved", name + "-{step}", save_top_k=-1, **options)

    whole = Segmenter(num_workers)
    savers = (
        saver("batch", every_n_train_steps=5),
        saver("epoch", every_n_epochs=1, save_on_train_epoch_end=True),
        saver("validation", every_n_epochs=1, save_on_train_epoch_end=False, monitor="steps", mode="max"),
    )
    make_trainer(tmp_path, KeepGroupSampler(), *savers).fit(whole)
    saved = sorted((tmp_path / "saved").iterdir())
    assert len(saved) == 6 + 3 + 3
    chosen = [p for p in saved if p.stem.split("=")[1] in ("10", "15", "20")] if num_workers else saved
    for path in chosen:
        done = int(path.stem.split("=")[1])
        model = Segmenter(num_workers)
        make_trainer(tmp_path, KeepGroupSampler()).fit(model, ckpt_path=path)
        assert model.seen == whole.seen[done:], path.stem
        for name, value in whole.state_dict().items():
            if name not in ("loss.group_loss", "loss.group_count"):
                assert torch.equal(model.state_dict()[name], value), (path.stem, name)


@pytest.mark.parametrize(("num_workers", "weighted"), [(0, False), (0, True), (1, False), (1, True)])
def test_a_sampler_made_by_hand_restarts_too(num_workers: int, weighted: bool, tmp_path: Path) -> None:
    class ByHand(Segmenter):
        def train_dataloader(self) -> Any:
            if weighted:  # 29 draws: the last batch is smaller
                sampler = GroupWeightedSampler(GROUPS, 29)
                return DataLoader(make_data(), 3, sampler=sampler, num_workers=self.num_workers)
            sampler_of_batches = GroupBatchSampler(GROUPS, 3)
            return DataLoader(make_data(), batch_sampler=sampler_of_batches, num_workers=self.num_workers)

    savers = (
        ModelCheckpoint(tmp_path / "saved", "batch-{step}", save_top_k=-1, every_n_train_steps=7),
        ModelCheckpoint(tmp_path / "saved", "last-{step}", save_top_k=-1, every_n_train_steps=10),
        ModelCheckpoint(tmp_path / "saved", "end-{step}", save_top_k=-1, save_on_train_epoch_end=True),
    )
    whole = ByHand(num_workers)
    make_trainer(tmp_path, KeepGroupSampler(), *savers).fit(whole)
    steps = {path.stem: int(path.stem.split("=")[1]) for path in sorted((tmp_path / "saved").iterdir())}
    assert [steps[f"batch-step={step}"] for step in (7, 14, 21, 28)] == [7, 14, 21, 28]
    for name in ("batch-step=14", "end-step=20") if num_workers else steps:
        model = ByHand(num_workers)
        make_trainer(tmp_path, KeepGroupSampler()).fit(model, ckpt_path=tmp_path / "saved" / f"{name}.ckpt")
        assert model.seen == whole.seen[steps[name] :], name


def test_a_restart_after_an_epoch_that_workers_have_fetched_whole(tmp_path: Path) -> None:
    def loader() -> Any:
        sampler = GroupBatchSampler(GROUPS, 3, num_batches=2)
        return DataLoader(make_data(), batch_sampler=sampler, num_workers=1)

    whole, model = Segmenter(), Segmenter()
    saver = ModelCheckpoint(tmp_path, "{epoch}", save_top_k=-1, save_on_train_epoch_end=True)
    make_trainer(tmp_path, KeepGroupSampler(), saver, max_epochs=2).fit(whole, loader())
    path = tmp_path / "epoch=0.ckpt"
    make_trainer(tmp_path, KeepGroupSampler(), max_epochs=2).fit(model, loader(), ckpt_path=path)
    assert model.seen == whole.seen[2:]


def test_a_place_that_cannot_be_found_again_is_named(tmp_path: Path) -> None:
    class Batches(torch.utils.data.BatchSampler):
        """One of a user's, that does not say how large its batches are."""

        def __init__(self, sampler: Any) -> None:
            super().__init__(sampler, 3, drop_last=False)
            self.size = self.__dict__.pop("batch_size")

        def __iter__(self) -> Any:
            numbers = list(self.sampler)
            return (numbers[i : i + self.size] for i in range(0, len(numbers), self.size))

        def __len__(self) -> int:
            return 10

    class Short(Segmenter):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return super().training_step(batch[0], batch_idx)

    def unsaid() -> Any:
        return DataLoader(make_data(), batch_sampler=Batches(GroupWeightedSampler(GROUPS, 30)))

    def beside_a_longer() -> Any:
        samplers = [GroupBatchSampler(GROUPS, 3, num_batches=number) for number in (10, 3)]
        return [DataLoader(make_data(), batch_sampler=sampler) for sampler in samplers]

    def beside_a_stateful() -> Any:
        samplers = [GroupBatchSampler(GROUPS, 3) for _ in range(2)]
        with_workers = DataLoader(make_data(), batch_sampler=samplers[1], num_workers=1)
        return [StatefulDataLoader(make_data(), batch_sampler=samplers[0]), with_workers]

    for make, kind, message in (
        (beside_a_stateful, Short, "keeps its own state beside one with workers that keeps none"),
        (unsaid, Segmenter, "batch 4 of an epoch: Batches has no batch_size"),
        (beside_a_longer, Short, "batch 4 of an epoch: GroupBatchSampler has only 3 draws"),
    ):
        saver = ModelCheckpoint(tmp_path / make.__name__, "{step}", every_n_train_steps=4)
        make_trainer(tmp_path, KeepGroupSampler(), saver, max_epochs=1, limit_train_batches=7).fit(
            kind(), make()
        )
        with pytest.raises(ValueError, match=message):
            make_trainer(tmp_path, KeepGroupSampler()).fit(kind(), make(), ckpt_path=saver.best_model_path)


def test_a_restart_with_another_sampler_is_refused(tmp_path: Path) -> None:
    def loader(groups: Any = GROUPS, batch_size: int = 3) -> Any:
        return DataLoader(make_data(), batch_sampler=GroupBatchSampler(groups, batch_size))

    saver, keep = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=4), KeepGroupSampler()
    assert keep.state_dict() == {}
    make_trainer(tmp_path, keep, saver, max_epochs=1).fit(Segmenter(), loader())

    def restart(loaders: Any, callback: KeepGroupSampler) -> None:
        make_trainer(tmp_path, callback).fit(Segmenter(), loaders, ckpt_path=saver.best_model_path)

    with pytest.raises(ValueError, match="checkpoint is of another sampler: its cohort is"):
        restart(loader(GROUPS[::-1].copy()), keep)
    with pytest.raises(ValueError, match="its global_batch_size is 3, here it is 5"):
        restart(loader(batch_size=5), KeepGroupSampler())
    with pytest.raises(ValueError, match="is of 1 loaders with a group sampler, here are 2"):
        restart([loader(), loader()], KeepGroupSampler())
    make_trainer(tmp_path, keep, max_epochs=1).fit(Segmenter(), loader(batch_size=5))  # another training
    restart(loader(), keep)


def test_a_stateful_loader_restarts_mid_epoch(tmp_path: Path) -> None:
    class Stateful(Segmenter):
        def train_dataloader(self) -> Any:
            return StatefulDataLoader(make_data(), batch_sampler=GroupBatchSampler(GROUPS, 3))

    whole = Stateful()
    saver = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=14)
    make_trainer(tmp_path, KeepGroupSampler(), saver).fit(whole)
    model = Stateful()
    make_trainer(tmp_path, KeepGroupSampler()).fit(model, ckpt_path=saver.best_model_path)
    assert model.seen == whole.seen[28:]
    assert len(model.seen) == 2


def test_logged_metrics_are_those_of_the_audit(tmp_path: Path) -> None:
    model, data = Segmenter(), make_data(1)
    after_sanity_check = []

    class Look(pl.Callback):
        def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            after_sanity_check.append(dict(trainer.callback_metrics))

    log = LogGroupMetrics(NAMES, {"LV": 1}, reference=0)
    trainer = make_trainer(tmp_path, log, Look(), max_epochs=1, num_sanity_val_steps=1)
    trainer.fit(model)
    got = {name: float(value) for name, value in trainer.callback_metrics.items()}
    images, masks, groups, subjects, _ = data.tensors
    with torch.no_grad():
        predicted = model.network(images).argmax(1)
    scores = [float(dice(predicted[i], masks[i], [1])[0]) for i in range(30)]
    of_subject = [np.nanmean([scores[i] for i in range(30) if subjects[i] == s]) for s in range(15)]
    medians, counts = by_group(of_subject, groups[::2].numpy(), 3)
    assert counts.tolist() == [10, 4, 0]
    assert after_sanity_check == [{}]
    assert [got["val_dice_A"], got["val_dice_B"]] == pytest.approx(medians[:2].tolist(), rel=1e-6)
    assert np.isnan(got["val_dice_C"])
    assert [got[f"val_subjects_{name}"] for name in NAMES] == [10, 4, 0]
    assert got["val_unknown_group"] == 1
    assert got["val_fairness_gap"] == pytest.approx(fairness_gap(medians, 0), rel=1e-6)
    assert got["val_skewed_error_ratio"] == pytest.approx(skewed_error_ratio(medians), rel=1e-6)
    assert got["val_worst_group_dice"] == pytest.approx(np.nanmin(medians), rel=1e-6)
    (tested,) = trainer.test(model, model.val_dataloader(), verbose=False)
    assert tested["test_dice_A"] == got["val_dice_A"]


def test_a_step_that_returns_no_groups_is_named(tmp_path: Path) -> None:
    class Forgetful(Segmenter):
        def validation_step(self, batch: Any, batch_idx: int) -> Any:
            return {"prediction": self.network(batch[0])}

    trainer = make_trainer(tmp_path, LogGroupMetrics(NAMES, [1]))
    with pytest.raises(ValueError, match=r"validation_step must return .* got \['prediction'\]"):
        trainer.fit(Forgetful())


def test_several_loaders_are_counted_apart_as_if_each_were_alone(tmp_path: Path) -> None:
    class Two(Segmenter):
        def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Any]:
            return super().validation_step(batch, batch_idx)

        test_step = validation_step

    loaders = [DataLoader(make_data(seed), batch_size=8) for seed in (1, 2)]
    trainer, model = make_trainer(tmp_path, LogGroupMetrics(NAMES, [1]), max_epochs=1), Two()
    for run, stage in ((trainer.validate, "val"), (trainer.test, "test")):
        alone = [run(model, loader, verbose=False)[0] for loader in loaders]
        together = run(model, loaders, verbose=False)
        for number, (expected, got) in enumerate(zip(alone, together, strict=True)):
            named = {
                f"{name}/dataloader_idx_{number}": value
                for name, value in expected.items()
                if name.startswith(stage)
            }
            assert len(named) == 11
            assert {name: got[name] for name in named} == pytest.approx(named, nan_ok=True)
            assert not [name for name in got if name.endswith(f"idx_{1 - number}")]
        assert alone[0][f"{stage}_dice_A"] != alone[1][f"{stage}_dice_A"]
    saver = ModelCheckpoint(tmp_path, monitor="val_worst_group_dice/dataloader_idx_1", mode="max")
    trainer = make_trainer(tmp_path, LogGroupMetrics(NAMES, [1]), saver, max_epochs=2, num_sanity_val_steps=1)
    trainer.fit(model, val_dataloaders=loaders)
    assert saver.best_model_score is not None
    last = trainer.validate(model, loaders[1], verbose=False)[0]["val_worst_group_dice"]
    assert float(trainer.callback_metrics["val_worst_group_dice"]) == last


def test_batches_may_give_names_and_keys_are_those_that_trackers_take(tmp_path: Path) -> None:
    class ByName(Segmenter):
        def validation_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
            step = super().validation_step(batch, batch_idx)
            return step | {"groups": [names[i] if i >= 0 else None for i in step["groups"].tolist()]}

    names = ["age<50", "50<=age<65", "sex=F, site=A"]
    results = [
        make_trainer(tmp_path, LogGroupMetrics(groups, [1], reference=reference)).validate(
            model, model.val_dataloader(), verbose=False
        )[0]
        for model, groups, reference in (
            (Segmenter(), NAMES, 1),
            (ByName(), Groups(names), "50<=age<65"),
        )
    ]
    keys = ("age_lt_50", "50_le_age_lt_65", "sex_F_site_A")
    for plain, key in zip(NAMES, keys, strict=True):
        expected = results[0][f"val_dice_{plain}"]
        assert results[1][f"val_dice_{key}"] == pytest.approx(expected, nan_ok=True)
    assert results[1]["val_fairness_gap"] == results[0]["val_fairness_gap"]
    assert results[1]["val_unknown_group"] == 1


@pytest.mark.parametrize("names", ["AB", [], 3])
def test_names_are_checked(names: Any) -> None:
    with pytest.raises(ValueError, match="names must be "):
        LogGroupMetrics(names, [1])


def test_a_replaced_sampler_stops_the_training(tmp_path: Path) -> None:
    def fit(loader: Any, **options: Any) -> Segmenter:
        model = Segmenter()
        make_trainer(tmp_path, KeepGroupSampler(), max_epochs=1, **options).fit(model, loader)
        return model

    weighted = GroupWeightedSampler(GROUPS, 30)
    assert len(fit(DataLoader(make_data(), batch_size=3, sampler=weighted)).seen) == 10
    for batches in ({"batch_size": 3, "sampler": weighted}, {"batch_sampler": GroupBatchSampler(GROUPS, 3)}):
        with pytest.raises(ValueError, match=r"overfit_batches=2.* in the place of the group sampler"):
            fit(DataLoader(make_data(), **batches), overfit_batches=2)
    with pytest.raises(ValueError, match="draws by RandomSampler"):
        fit(DataLoader(make_data(), batch_size=3, shuffle=True))
    good = DataLoader(make_data(), batch_sampler=GroupBatchSampler(GROUPS, 3))
    bad = DataLoader(make_data(), batch_size=3, shuffle=True)
    for loaders, place in (({"left": good, "right": [good, bad]}, r"\['right'\]\[1\]"), ([bad], r"\[0\]")):
        with pytest.raises(ValueError, match=f"^training loader {place}: the loader draws by RandomSampler"):
            fit(CombinedLoader(loaders))


def test_a_loader_without_groups_may_stand_beside_a_balanced_one(tmp_path: Path) -> None:
    """Its place is told to the callback; the other is checked, and set after a restart, as if alone."""

    class Both(Segmenter):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return super().training_step(batch["a"], batch_idx)

        def train_dataloader(self) -> Any:
            balanced = DataLoader(make_data(), batch_sampler=GroupBatchSampler(GROUPS, 3))
            return {"a": balanced, "b": DataLoader(make_data(), batch_size=3, shuffle=True)}

    def fit(model: Segmenter, keep: KeepGroupSampler, *savers: Any, **options: Any) -> Segmenter:
        make_trainer(tmp_path, keep, *savers).fit(model, **options)
        return model

    with pytest.raises(ValueError, match=r"\['b'\]: .*\(one that needs no groups .*unchecked=\[\.\.\.\]"):
        fit(Both(), KeepGroupSampler())
    alone = fit(Segmenter(), KeepGroupSampler())
    saver = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=14)
    assert fit(Both(), KeepGroupSampler(unchecked=["b"]), saver).seen == alone.seen
    again = fit(Both(), KeepGroupSampler(unchecked=["b"]), ckpt_path=saver.best_model_path)
    assert again.seen == alone.seen[28:]
    for unchecked, message in (
        (["c"], r"unchecked has 'c', the training loaders are \['a'\], \['b'\]"),
        (["a", "b"], "unchecked has all training loaders"),
        (["a"], r"^training loader \['b'\]"),
    ):
        with pytest.raises(ValueError, match=message):
            fit(Both(), KeepGroupSampler(unchecked=unchecked))
    with pytest.raises(ValueError, match="unchecked must be a list"):
        KeepGroupSampler(unchecked="b")


class OfRank(Segmenter):
    """Validates on its own part of the data, none of it twice; the parts differ in size."""

    def val_dataloader(self) -> Any:
        mine = range(self.trainer.global_rank, 30, self.trainer.world_size)
        return DataLoader(Subset(make_data(1), mine), batch_size=8 if self.trainer.global_rank else 3)


def fit_ranks(folder: Path, loader: Callable[[], Any] | None, distributed_sampler: bool) -> Any:
    log, model = LogGroupMetrics(NAMES, [1]), OfRank()
    trainer = make_trainer(
        folder,
        KeepGroupSampler(),
        log,
        max_epochs=2,
        devices=2,
        strategy="ddp",
        use_distributed_sampler=distributed_sampler,
    )
    if loader is not None:
        model.train_dataloader = loader
    trainer.fit(model)
    return model


def run_rank(folder: Path) -> None:
    """What each process does."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    data, groups = make_data(), GROUPS
    early = DataLoader(data, batch_sampler=GroupBatchSampler(groups, 3))
    attempts: dict[str, tuple[Callable[[], Any] | None, bool]] = {
        "made too early": (lambda: early, False),
        "batch sampler, Lightning's default": (None, True),
        "sampler, Lightning's default": (
            lambda: DataLoader(data, batch_size=3, sampler=GroupWeightedSampler(groups, 30)),
            True,
        ),
        "not dealt": (
            lambda: DataLoader(data, batch_sampler=GroupBatchSampler(groups, 3, num_replicas=1, rank=0)),
            False,
        ),
    }
    errors = {}
    for name, (loader, distributed_sampler) in attempts.items():
        try:
            fit_ranks(folder, loader, distributed_sampler)
        except (TypeError, ValueError) as error:
            errors[name] = str(error)
    model = fit_ranks(folder, None, False)
    results = {
        "errors": errors,
        "seen": model.seen,
        "weight": model.loss.group_weight,
        "logged": {name: float(value) for name, value in model.trainer.callback_metrics.items()},
    }
    results["logged"] = {
        name: value for name, value in results["logged"].items() if value == value and name != "steps"
    }
    torch.save(results, folder / f"{os.environ['RANK']}.pt")


def test_two_processes(tmp_path: Path) -> None:
    """Two ranks together draw one balanced batch, and every other way of setting it up says what is wrong."""
    ranks = run_ranks(run_rank, tmp_path)
    drawn = [batch for _, _, batch in ranks[0]["seen"]], [batch for _, _, batch in ranks[1]["seen"]]
    together = [first + second for first, second in zip(*drawn, strict=True)]
    assert len(together) == 2 * 5  # two epochs of 30 samples, 6 in each global batch
    for batch in together:
        assert np.bincount(GROUPS[batch]).tolist() == [2, 2, 2]
    flat = [index for batch in together[:5] for index in batch if GROUPS[index] == 0]
    assert len(flat) == len(set(flat)) == 10  # no draw is shared before a group is used up
    assert torch.equal(ranks[0]["weight"], ranks[1]["weight"])
    assert ranks[0]["logged"] == ranks[1]["logged"]
    assert [ranks[0]["logged"][f"val_subjects_{name}"] for name in NAMES] == [10, 4, 0]
    assert ranks[0]["logged"]["val_unknown_group"] == 1
    for rank in ranks:
        errors = rank["errors"]
        assert "Trainer(use_distributed_sampler=False)" in errors["batch sampler, Lightning's default"]
        assert "Trainer(use_distributed_sampler=False)" in errors["sampler, Lightning's default"]
        for name in ("made too early", "not dealt"):
            assert "there are 2 processes, and GroupBatchSampler deals its draws to 1" in errors[name]
