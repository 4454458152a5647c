"""LogGroupMetrics: the group metrics of each validation and test epoch in Lightning's log."""

from collections.abc import Sequence
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torchmetrics import MetricCollection

from fairseg.integrations.torchmetrics import (
    FairnessGap,
    GroupCounts,
    GroupDice,
    SkewedErrorRatio,
    WorstGroupDice,
)
from fairseg.integrations.voxel_counts import Samples, Statistic
from fairseg.metrics.masks import Labels

_NEEDED = ("prediction", "reference", "groups")


class LogGroupMetrics(Callback):
    """Logs Dice by group, worst group, fairness gap and skewed error ratio, over all processes.

    `validation_step` (and `test_step`) must return a dictionary with what
    `fairseg.integrations.torchmetrics` takes: `prediction` (integer masks, or logits), `reference`, `groups`,
    and `subjects` if there are any. Lightning drops what the sanity check logs. There must be one validation
    loader, and one for the test.

    Logged, each behind `val_` or `test_`: `dice_NAME` and `subjects_NAME` for each group, `worst_group_dice`,
    `fairness_gap`, `skewed_error_ratio`, `unknown_group`, `empty_masks`. A group without a Dice is NaN. So
    `ModelCheckpoint(monitor="val_worst_group_dice", mode="max")` keeps the best for the worst served.

    Args:
        names: the groups' names, `Groups.names`, in the order of their ids.
        labels: label values, or a mapping name -> value; a subject's Dice is the mean over them.
        samples: "cases" if a sample is a whole image, "slices" if it is a part of one.
        statistic: "median" or "mean" of the subjects of a group.
        reference: index of the reference group, which makes the gap signed; None: best minus worst.

    Raises:
        ValueError: an argument is not usable; or, in training, what a step returned, or a second loader.

    >>> callback = LogGroupMetrics(["Black", "White"], labels={"LV": 1}, samples="slices")
    >>> trainer = Trainer(callbacks=[callback], logger=False, enable_checkpointing=False)
    """

    def __init__(
        self,
        names: Sequence[str],
        labels: Labels,
        *,
        samples: Samples = "cases",
        statistic: Statistic = "median",
        reference: int | None = None,
    ) -> None:
        if isinstance(names, str) or not len(names):
            raise ValueError(f"names must be the names of the groups, got {names!r}")
        self.names = tuple(names)
        number = len(self.names)
        options: dict[str, Any] = {"samples": samples, "statistic": statistic}
        self._metrics = MetricCollection(
            {
                "dice": GroupDice(number, labels, **options),
                "worst_group_dice": WorstGroupDice(number, labels, **options),
                "fairness_gap": FairnessGap(number, labels, reference=reference, **options),
                "skewed_error_ratio": SkewedErrorRatio(number, labels, **options),
                "counts": GroupCounts(number, labels, **options),
            }
        )

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget what was counted before."""
        self._metrics.reset()

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count a batch."""
        step = "test_step" if trainer.testing else "validation_step"
        if dataloader_idx:
            raise ValueError(
                f"LogGroupMetrics counts the samples of one loader, and {step} had a batch of dataloader_idx"
                f" {dataloader_idx}: several loaders would be pooled into one number. Give one, or log each"
                " with the metrics of fairseg.integrations.torchmetrics"
            )
        if not isinstance(outputs, dict) or any(name not in outputs for name in _NEEDED):
            got = sorted(outputs) if isinstance(outputs, dict) else type(outputs).__name__
            raise ValueError(
                f"{step} must return a dictionary with prediction, reference and groups, got {got}"
            )
        self._metrics.to(pl_module.device)
        self._metrics.update(*(outputs[name] for name in _NEEDED), outputs.get("subjects"))

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the values over all batches and processes."""
        values = self._metrics.compute()  # over all processes: the same on each
        logged = {name: value for name, value in values.items() if value.ndim == 0}
        for name in ("dice", "subjects"):
            logged |= {
                f"{name}_{group}": value for group, value in zip(self.names, values[name], strict=True)
            }
        stage = "test" if trainer.testing else "val"
        pl_module.log_dict(
            {f"{stage}_{name}": value.float() for name, value in logged.items()}, sync_dist=True
        )
        self._metrics.reset()

    on_test_epoch_start = on_validation_epoch_start
    on_test_batch_end = on_validation_batch_end
    on_test_epoch_end = on_validation_epoch_end
