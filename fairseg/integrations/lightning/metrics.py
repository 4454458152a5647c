"""LogGroupMetrics: the group metrics of each validation and test epoch in Lightning's log."""

from copy import deepcopy
from functools import partial
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torchmetrics import Metric

from fairseg.cohort import Groups, as_groups
from fairseg.integrations.torchmetrics import GroupReport
from fairseg.integrations.voxel_counts import Samples, Statistic
from fairseg.io.sentences import brief
from fairseg.losses.grouping import NumGroups
from fairseg.metrics.masks import Structures

_NEEDED = ("prediction", "reference", "groups")


class LogGroupMetrics(Callback):
    """Logs Dice by group, worst group, fairness gap and skewed error ratio, over all processes.

    `validation_step` (and `test_step`) must return a dictionary with what
    `fairseg.integrations.torchmetrics` takes: `prediction` (integer masks, or logits), `reference`, `groups`
    (ids or names), and `subjects` if there are any. Lightning drops what the sanity check logs.

    Logged, each behind `val_` or `test_`: `dice_NAME` and `subjects_NAME` for each group, `worst_group_dice`,
    `fairness_gap`, `skewed_error_ratio`, `unknown_group`, `empty_masks`. A group without a Dice is NaN. So
    `ModelCheckpoint(monitor="val_worst_group_dice", mode="max")` keeps the best for the worst served. NAME is
    the group's, made by `fairseg.integrations.trackers.log_keys` into what MLflow and Weights & Biases take:
    `50<=age<65` becomes `50_le_age_lt_65`.

    Several validation or test loaders are counted apart: as with `self.log`, the key of each ends in
    `/dataloader_idx_0` and so on. Each process must have a batch of every loader.

    Args:
        names: the groups, a `Groups` or their names, in the order of their ids.
        labels: label values, or a mapping name -> value or tuple of values, whose union is then the
            structure; a subject's Dice is the mean over them.
        samples: "cases" if a sample is a whole image, "slices" if it is a part of one.
        statistic: "median" or "mean" of the subjects of a group.
        reference: the reference group, its name or index, which makes the gap signed; None: best minus
            worst.

    Raises:
        ValueError: an argument is not usable; or, in training, what a step returned.

    >>> callback = LogGroupMetrics(["Black", "White"], labels={"LV": 1}, samples="slices")
    >>> trainer = Trainer(callbacks=[callback], logger=False, enable_checkpointing=False)
    """

    def __init__(
        self,
        names: NumGroups,
        labels: Structures,
        *,
        samples: Samples = "cases",
        statistic: Statistic = "median",
        reference: int | str | None = None,
    ) -> None:
        groups = as_groups(names, "names")
        if not isinstance(groups, Groups):
            raise ValueError(f"names must be the names of the groups, got {brief(names)}")
        self.names = groups.names
        options: dict[str, Any] = {"samples": samples, "statistic": statistic, "reference": reference}
        self._metric = GroupReport(groups, labels, **options)
        self._by_loader: dict[int, GroupReport] = {}

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget earlier counts."""
        self._by_loader = {}

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count a batch; with the first of a loader, tell Lightning what to log at the loader's end."""
        stage, step = ("test", "test_step") if trainer.testing else ("val", "validation_step")
        if not isinstance(outputs, dict) or any(name not in outputs for name in _NEEDED):
            returned = sorted(outputs) if isinstance(outputs, dict) else type(outputs).__name__
            raise ValueError(
                f"{step} must return a dictionary with prediction, reference and groups, got {returned}"
            )
        metric = self._by_loader.get(dataloader_idx)
        if metric is None:
            metric = self._by_loader[dataloader_idx] = deepcopy(self._metric).to(pl_module.device)
            for name in metric._report(None):  # of nothing yet: only the names count
                pl_module.log(f"{stage}_{name}", _Logged(metric, name), metric_attribute=name)
        prediction, reference, groups = (outputs[name] for name in _NEEDED)
        metric.update(prediction, reference, groups, outputs.get("subjects"))

    on_test_epoch_start = on_validation_epoch_start
    on_test_batch_end = on_validation_batch_end


class _Logged(Metric):
    """A number as a metric: Lightning reads only these at the end of each loader, and not of all."""

    full_state_update = False

    def __init__(self, report: GroupReport, name: str) -> None:
        super().__init__()
        self._of = partial(report.compute)  # no module of this one, which Lightning resets
        self._name = name
        self.update()  # one that never was is warned of

    def update(self) -> None:
        """Do nothing: the report is updated."""

    def compute(self) -> Tensor:
        """Return the number; the report keeps what it has computed over all processes."""
        return self._of()[self._name]
