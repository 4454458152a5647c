"""Group losses, balanced batches and evaluation by group in Hugging Face's Trainer; extra `huggingface`."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader

from fairseg.integrations.loaders import check_loader, go_to
from fairseg.integrations.torchmetrics import GroupReport
from fairseg.integrations.voxel_counts import Samples, Statistic
from fairseg.io.sentences import listed
from fairseg.losses.grouping import NumGroups
from fairseg.metrics.masks import Structures
from fairseg.samplers import GroupBatchSampler

__all__ = ["GroupTrainerMixin", "group_metrics", "label_masks"]

_FILE = "fairseg.pt"  # beside optimizer.pt in a checkpoint
_MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}  # by spatial axes


class GroupTrainerMixin:
    """Lets a Trainer train with a group loss: `class FairTrainer(GroupTrainerMixin, Trainer)`.

    The data set gives a group id beside what the model takes, such as `pixel_values` and `labels`; the model
    does not see it. Logits smaller than the labels, as SegFormer's, are upsampled to their size, as the model
    does for its own loss. `compute_metrics` finds groups (and subjects) behind the labels, in
    `label_ids`: see `group_metrics`.

    A checkpoint holds the state of the loss and what the sampler draws from: a training that goes on by
    `train(resume_from_checkpoint=...)`, within an epoch too, is the one that was never interrupted, and one
    with another cohort, batch size, balance or seed is a ValueError. So that this holds at the end of an
    epoch too, an evaluation leaves the global generators as they were (those of the CPU).

    Args:
        args: those of the Trainer.
        group_loss: called `loss(logits, target, groups)`: any of `fairseg.losses`, or your own. Its base must
            ignore the label that the model ignores, such as `CrossEntropyLoss(ignore_index=255)`.
        group_sampler: draws the training batches, with `num_replicas=1, rank=0`, as accelerate deals them to
            the processes; None: the Trainer's own batches.
        group_key: under which the data set gives the group's id, an integer.
        subject_key: under which it gives a subject's number, for the evaluation; None: it gives none.
        kwargs: those of the Trainer.

    Raises:
        ValueError: the Trainer has another loss too, the loss has parameters, which would not be trained, or
            the sampler's batch size is not `per_device_train_batch_size`; or, in training, a batch has no
            groups, what is evaluated has labels and no groups or no subjects (its first sample is looked at
            before the first epoch), or what `check_loader` finds.
    """

    args: Any
    model: Any
    state: Any
    accelerator: Any
    train_dataset: Any
    eval_dataset: Any

    def __init__(
        self,
        *args: Any,
        group_loss: nn.Module,
        group_sampler: GroupBatchSampler | None = None,
        group_key: str = "group",
        subject_key: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        trainer: Any = self
        if trainer.label_smoother is not None or trainer.compute_loss_func is not None:
            raise ValueError("group_loss is the loss: leave out compute_loss_func and label_smoothing_factor")
        if next(group_loss.parameters(), None) is not None:
            raise ValueError(
                "group_loss has parameters, which a Trainer would not train: give them to the model"
            )
        size = self.args.per_device_train_batch_size
        if group_sampler is not None and group_sampler.batch_size != size:
            raise ValueError(
                f"group_sampler draws batches of {group_sampler.batch_size}, and per_device_train_batch_size"
                f" is {size}: make them the same"
            )
        self.group_loss = group_loss.to(self.args.device)
        self.group_sampler = group_sampler
        self.keys = (group_key,) if subject_key is None else (group_key, subject_key)
        # As labels they are not removed from the batches, and reach compute_metrics.
        self.label_names = [*trainer.label_names, *self.keys]
        self.model_accepts_loss_kwargs = False  # the loss is a mean over its batch, not over accumulated ones

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train, after a check of the first sample of each evaluation data set."""
        if self.args.do_eval or self.args.eval_on_start:
            data = self.eval_dataset if isinstance(self.eval_dataset, dict) else {"": self.eval_dataset}
            with _random_state_kept():
                for dataset in data.values():
                    self._check_first(dataset)
        return super().train(*args, **kwargs)  # type: ignore[misc]

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Evaluate, and restore the global generators, so that a restart after it draws the same."""
        with _random_state_kept():
            return super().evaluate(*args, **kwargs)  # type: ignore[misc]

    def prediction_step(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Evaluate or predict a batch.

        Raises:
            ValueError: it has labels, and no groups or no subjects.
        """
        self._check_keys(inputs)
        if inputs.get("labels") is None:  # the model alone sees it
            inputs = {name: value for name, value in inputs.items() if name not in self.keys}
        return super().prediction_step(model, inputs, *args, **kwargs)  # type: ignore[misc]

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return the loader whose batches the sampler draws."""
        if self.group_sampler is None:
            loader: DataLoader[Any] = super().get_train_dataloader()  # type: ignore[misc]
            return loader
        from transformers.trainer_utils import seed_worker  # noqa: PLC0415  (it imports all of transformers)

        args, trainer = self.args, self
        options = {
            name: getattr(args, f"dataloader_{name}")
            for name in ("num_workers", "pin_memory", "persistent_workers", "prefetch_factor")
        }
        collate: Any = trainer._get_collator_with_removed_columns(trainer.data_collator, "training")  # type: ignore[attr-defined]
        seed = partial(seed_worker, num_workers=args.dataloader_num_workers, rank=args.process_index)
        built = DataLoader(
            self.train_dataset,
            batch_sampler=self.group_sampler,
            collate_fn=collate,
            worker_init_fn=seed,
            **options,
        )
        prepared: DataLoader[Any] = self.accelerator.prepare(built)
        check_loader(prepared)
        return prepared

    def compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, **_: Any) -> Any:
        """Return the group loss of a batch, and the outputs if they are asked for.

        Raises:
            ValueError: the batch has no labels or no groups.
        """
        inputs = dict(inputs)
        if missing := [name for name in ("labels", self.keys[0]) if name not in inputs]:
            hint = "" if missing[0] == "labels" else " (names are dropped when batches are made: give ids)"
            raise ValueError(f"the batch has no {missing[0]!r}, it has {sorted(inputs)}{hint}")
        labels, groups = inputs.pop("labels"), inputs.pop(self.keys[0])
        for name in self.keys[1:]:
            inputs.pop(name, None)
        outputs = model(**inputs)
        self.group_loss.train(self.model.training)
        loss = self.group_loss(_upsampled(outputs["logits"], labels), labels, groups)
        return (loss, outputs) if return_outputs else loss

    def _check_first(self, dataset: Any) -> None:
        """Check that the first sample of an evaluation data set, if it has one, gives groups and subjects."""
        if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__") or not len(dataset):
            return
        trainer: Any = self
        collate = trainer._get_collator_with_removed_columns(trainer.data_collator, "evaluation")
        batch = collate([dataset[0]])
        if isinstance(batch, Mapping):
            self._check_keys(batch)

    def _check_keys(self, batch: Mapping[str, Any]) -> None:
        """Raise a ValueError if a batch to evaluate has labels, and no groups or no subjects."""
        if batch.get("labels") is None:
            return
        for argument, key in zip(("group_key", "subject_key"), self.keys, strict=False):
            if batch.get(key) is None:
                hint = "" if argument == "group_key" else ", or leave out subject_key"
                raise ValueError(
                    f"the evaluation has no {key!r} ({argument}), it has {sorted(batch)}: let its data set"
                    f" give it, as a number (names are dropped when batches are made){hint}"
                )

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        if model is not None or not self._load_weights(resume_from_checkpoint):
            super()._load_from_checkpoint(resume_from_checkpoint, model)  # type: ignore[misc]

    def _load_best_model(self) -> None:
        trainer: Any = self
        sharded = trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled
        if sharded or not self._load_weights(self.state.best_model_checkpoint):
            super()._load_best_model()  # type: ignore[misc]

    def _load_weights(self, checkpoint: str) -> bool:
        """Load the weights of a model of transformers, and return whether the model is one.

        A Trainer (5.24) reads the names of weights as they stand in the file. SegFormer's file has other
        names than SegFormer has, and what is not found stays as it is, with a warning. `from_pretrained`
        knows both.
        """
        from transformers import PreTrainedModel  # noqa: PLC0415

        if not isinstance(self.model, PreTrainedModel):
            return False
        of_file, info = type(self.model).from_pretrained(
            checkpoint, dtype=self.model.dtype, output_loading_info=True
        )
        if info["missing_keys"]:
            raise ValueError(
                f"{checkpoint} lacks weights of the model: {listed(sorted(info['missing_keys']))}"
            )
        self.model.load_state_dict(of_file.state_dict())
        return True

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)  # type: ignore[misc]
        if self.args.should_save:
            sampler = None if self.group_sampler is None else self.group_sampler.state_dict()
            state = {"loss": self.group_loss.state_dict(), "sampler": sampler}
            torch.save(state, Path(output_dir) / _FILE)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)  # type: ignore[misc]
        if checkpoint is None:
            return
        file = Path(checkpoint) / _FILE
        if not file.is_file():
            raise ValueError(f"{checkpoint} has no {_FILE}: it was not saved by a GroupTrainerMixin")
        state = torch.load(file, map_location="cpu", weights_only=True)
        self.group_loss.load_state_dict(state["loss"])
        if (state["sampler"] is None) != (self.group_sampler is None):
            with_one = "without" if state["sampler"] is None else "with"
            raise ValueError(f"{checkpoint} is of a training {with_one} group_sampler, unlike this one")
        if self.group_sampler is not None:
            self.group_sampler.load_state_dict(state["sampler"])  # refuses that of another cohort
            go_to(self.group_sampler, int(self.state.epoch))  # the Trainer skips the batches that are done


def label_masks(logits: Any, labels: Any) -> Tensor:
    """Return label masks from logits, at the size of the labels: a Trainer's `preprocess_logits_for_metrics`.

    Without it, a Trainer keeps the logits of the whole evaluation in memory.

    Args:
        logits: float (B, C, *S), or a tuple whose first they are; masks, integer (B, *S), stay as they are.
        labels: masks, integer (B, *T), or a tuple whose first they are; None: there are none.

    Returns:
        The largest channel after an interpolation of the logits to *T, integer (B, *T); without labels of the
        logits as they are.

    >>> logits = torch.tensor([[[[2.0, 0.0]], [[0.0, 1.0]]]])
    >>> label_masks(logits, torch.zeros(1, 1, 4, dtype=torch.long)).tolist()
    [[[0, 0, 1, 1]]]
    """
    logits, labels = (part[0] if isinstance(part, tuple | list) else part for part in (logits, labels))
    scores: Tensor = torch.as_tensor(logits)
    if not scores.is_floating_point():
        return scores
    return (scores if labels is None else _upsampled(scores, torch.as_tensor(labels))).argmax(dim=1)


def group_metrics(
    groups: NumGroups,
    labels: Structures,
    *,
    samples: Samples = "cases",
    statistic: Statistic = "median",
    reference: int | str | None = None,
    ignore: int | None = None,
) -> Callable[[Any], dict[str, float]]:
    """Return a Trainer's `compute_metrics` that reports Dice by group, of a `GroupTrainerMixin`.

    The Trainer logs, each behind `eval_`, what `fairseg.integrations.torchmetrics.GroupReport` reports; so
    `metric_for_best_model="worst_group_dice", greater_is_better=True` keeps the best for the worst served.

    Args:
        groups: those of the cohort, a `Groups` or names, in the order of the ids that the data set gives.
        labels: label values, or a mapping name -> value or tuple of values; a subject's Dice is the mean over
            them.
        samples: "cases" if a sample is a whole image, "slices" if it is a part of one, whose subject the data
            set gives under `subject_key`.
        statistic: "median" or "mean" of the subjects of a group.
        reference: the reference group, its name or index, which makes the gap signed; None: best minus worst.
        ignore: voxels where the reference has this value count for nothing, such as SegFormer's 255.

    Raises:
        ValueError: an argument is not usable; or, in an evaluation, the labels come without groups.

    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> masks = np.array([[[0, 1]], [[1, 1]]]), np.array([[[0, 1]], [[0, 1]]])
    >>> evaluated = SimpleNamespace(predictions=masks[0], label_ids=(masks[1], np.array([0, 1])))
    >>> round(group_metrics(["F", "M"], [1])(evaluated)["dice_M"], 3)
    0.667
    """
    # Every process has what all have gathered, so it is not to be gathered again.
    report = GroupReport(
        groups,
        labels,
        samples=samples,
        statistic=statistic,
        reference=reference,
        ignore=ignore,
        sync_on_compute=False,
    )
    report._report(None)  # without names it must not fail after an epoch

    def compute(evaluated: Any) -> dict[str, float]:
        if not isinstance(evaluated.label_ids, Sequence) or len(evaluated.label_ids) < 2:
            raise ValueError("label_ids must be labels and groups, as of a GroupTrainerMixin, got no groups")
        masks, *ids = (torch.as_tensor(part) for part in evaluated.label_ids)
        report.reset()
        report.update(label_masks(evaluated.predictions, masks), masks, *ids)
        return {name: float(value) for name, value in report.compute().items()}

    return compute


@contextmanager
def _random_state_kept() -> Iterator[None]:
    """Put the global generators back, those of Python, NumPy and torch on the CPU."""
    python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(of_numpy)  # noqa: NPY002


def _upsampled(logits: Tensor, labels: Tensor) -> Tensor:
    size = labels.shape[-(logits.ndim - 2) :]
    if logits.shape[2:] == size:
        return logits
    return F.interpolate(logits, size=size, mode=_MODES[len(size)], align_corners=False)
