"""Handlers for MONAI's engines: group metrics of an evaluator, losses and weights of a trainer's groups."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.handlers.ignite_metric import IgniteMetricHandler
from torch import Tensor

from fairseg.integrations.monai.batches import ids_of
from fairseg.integrations.monai.metrics import GroupDiceMetric, named
from fairseg.integrations.monai.training import GroupLossFunction
from fairseg.io.sentences import brief
from fairseg.losses import DeepSupervision, GroupLoss
from fairseg.losses.grouping import precise


class GroupMetricHandler(IgniteMetricHandler):
    """A group metric as `key_val_metric` or `additional_metrics` of an engine; groups come from its batch.

    Args:
        metric_fn: one of the metrics of this package.
        output_transform: picks prediction and reference from the engine's output, such as
            `monai.handlers.from_engine(["pred", "label"])`.
        group_key: where the groups are in the batch.
        subject_key: where numbers of subjects are, integer, from 0 to 2**53 - 1, the same on all processes;
            None: every sample is a subject of its own.
        names: the groups' names, `Groups.names`. With them, the value of a `GroupDiceMetric` becomes one
            scalar a group in `engine.state.metrics`, NAME_GROUP, with the group's name as
            `fairseg.integrations.trackers.log_keys` makes it for MLflow and Weights & Biases.

    Raises:
        ValueError: an argument is not usable; or, in a run, a batch has not one group for each sample.

    >>> from monai.handlers import from_engine
    >>> metric = GroupDiceMetric(num_groups=2, labels={"LV": 1})
    >>> handler = GroupMetricHandler(metric, from_engine(["pred", "label"]), names=["Black", "White"])
    """

    def __init__(
        self,
        metric_fn: GroupDiceMetric,
        output_transform: Callable[..., Any],
        *,
        group_key: str = "group",
        subject_key: str | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        if not isinstance(metric_fn, GroupDiceMetric):
            raise ValueError(f"metric_fn must be a group metric of fairseg, got {type(metric_fn).__name__}")
        number = metric_fn.num_groups
        if names is not None and (isinstance(names, str) or len(names) != number):
            raise ValueError(f"names must be the names of {number} groups, got {brief(names)}")
        self.group_key, self.subject_key, self.names = group_key, subject_key, names
        super().__init__(metric_fn=metric_fn, output_transform=output_transform, save_details=False)

    @torch.no_grad()
    def iteration_completed(self, engine: Engine) -> None:
        """Count the batch that the engine is at; ignite's own would take a list apart, without its batch."""
        output = self._output_transform(engine.state.output)
        if not isinstance(output, tuple | list) or len(output) != 2:
            raise ValueError("output_transform must give two things, prediction and reference")
        prediction, reference = output
        batch, size = engine.state.batch, len(prediction)
        ids = {"groups": ids_of(batch, self.group_key, size, what="groups")}
        if self.subject_key is not None:
            ids["subjects"] = ids_of(batch, self.subject_key, size, what="subjects")
        self.metric_fn(prediction, reference, **ids)

    def compute(self) -> Any:
        """Return the metric's value: a number, a tensor (G,), or a dictionary of numbers by name."""
        value = super().compute()
        if isinstance(value, Tensor) and self.names is not None and value.ndim == 1:
            return named(value, str(self._name), self.names)
        return value


class LogGroupLoss:
    """Puts each group's mean loss, mean weight and number of samples into the metrics of a trainer's epoch.

    At the end of an epoch `engine.state.metrics` has `loss_NAME`, `weight_NAME` and `samples_NAME` for each
    group (its name made by `fairseg.integrations.trackers.log_keys`), for `StatsHandler`,
    `TensorBoardStatsHandler` and the like, if they come after this in the list of handlers. A group that was
    in no batch has a loss of NaN, and one whose loss was NaN or infinite in any batch has that. Steps count
    alike.

    Args:
        loss_function: that of the trainer; its loss must be one of `fairseg.losses`.
        names: the groups' names, `Groups.names`, in the order of their ids.

    Raises:
        ValueError: the loss keeps no losses of groups, or names are not as many as groups.

    >>> from fairseg.losses import GroupDROLoss
    >>> handler = LogGroupLoss(GroupLossFunction(GroupDROLoss(num_groups=2)), names=["Black", "White"])
    """

    def __init__(self, loss_function: GroupLossFunction, names: Sequence[str]) -> None:
        loss = getattr(loss_function, "loss", None)
        inner = loss.loss if isinstance(loss, DeepSupervision) else loss
        if not isinstance(inner, GroupLoss):
            raise ValueError(f"loss_function must hold a group loss of fairseg, got {type(loss).__name__}")
        self._loss, number = inner, inner.num_groups
        if isinstance(names, str) or len(names) != number:
            raise ValueError(f"names must be the names of {number} groups, got {brief(names)}")
        self.names = tuple(names)
        self._sums: Tensor | None = None

    def attach(self, engine: Engine) -> None:
        """Let the engine call this handler."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._count)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._write)

    def _start(self) -> None:
        self._sums = None

    @torch.no_grad()
    def _count(self) -> None:
        """Add up on the device: nothing waits for a GPU."""
        loss, count, weight = (
            precise(getattr(self._loss, name)) for name in ("group_loss", "group_count", "group_weight")
        )
        present = count > 0  # the loss of an absent group is NaN; that of one that diverged must stay
        loss = torch.where(present, loss, torch.zeros_like(loss))
        now = torch.stack([loss, count, weight, present.to(loss.dtype), torch.ones_like(count)])
        self._sums = now if self._sums is None else self._sums + now

    def _write(self, engine: Engine) -> None:
        if self._sums is None:
            return
        loss, count, weight, present, steps = self._sums.cpu()
        engine.state.metrics |= named(loss / present, "loss", self.names)  # 0 / 0 is NaN
        engine.state.metrics |= named(weight / steps, "weight", self.names)
        engine.state.metrics |= named(count.long(), "samples", self.names)
