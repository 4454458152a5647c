"""The best epoch by group: by the mean or the worst of the groups, where nnU-Net takes all cases.

nnU-Net's pseudo Dice pools the voxels of an epoch's validation batches, and its moving mean over epochs
decides on checkpoint_best. Here both are of each group.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from nnunetv2.training.loss.dice import get_tp_fp_fn_tn

from fairseg.cohort.groups import Groups
from fairseg.integrations.nnunet.export import BEST
from fairseg.integrations.voxel_counts import mean_dice

_MEMORY = 0.9  # of the moving mean, as in nnU-Net


class BestByGroup:
    """The moving mean of each group's Dice over epochs, and whether the last epoch is the best.

    Args:
        rule: "mean" of the groups, each counting the same, or the "worst" of them.
        groups: their names.
    """

    def __init__(self, rule: Literal["mean", "worst"], groups: Groups) -> None:
        self.rule, self.names = rule, groups.names
        self.moving: dict[str, float] = {}  # without the groups that no validation batch had so far
        self.best: float | None = None

    def __str__(self) -> str:
        return f"the {self.rule} of the groups' pseudo Dice (moving means over epochs)"

    def end_epoch(self, logger: Any, epoch: int, counts: npt.NDArray[np.floating]) -> str:
        """Take the counts of an epoch's validation, keep their Dice in the logger, and return it as a line.

        Args:
            logger: nnU-Net's.
            epoch: its number.
            counts: true positive, false positive and false negative voxels, (G, L, 3).
        """
        dice = dict(zip(self.names, group_dice(counts).tolist(), strict=True))
        for name, value in dice.items():
            if not math.isnan(value):
                before = self.moving.get(name, value)
                self.moving[name] = _MEMORY * before + (1 - _MEMORY) * value
        entries = logger.local_logger.my_fantastic_logging
        entries.setdefault(BEST, [])
        entry = {"rule": self.rule, "dice": dice, "moving": dict(self.moving), "best": self.best}
        logger.local_logger.log(BEST, entry, epoch)
        figures = (
            f"{name} {'none' if math.isnan(value) else f'{value:.4f}'}" for name, value in dice.items()
        )
        return f"pseudo Dice by group: {', '.join(figures)}"

    @property
    def score(self) -> float | None:
        """The figure of the last epoch; None before all groups were validated once."""
        if len(self.moving) < len(self.names):
            return None
        values = list(self.moving.values())
        return min(values) if self.rule == "worst" else sum(values) / len(values)

    def improves(self) -> bool:
        """Return whether the last epoch is better than all before it, and remember it if so."""
        score = self.score
        if score is None or (self.best is not None and score <= self.best):
            return False
        self.best = score
        return True


def restore(best: BestByGroup | None, logged: Mapping[str, list[Any]]) -> None:
    """Restore the moving means from a checkpoint's log.

    Raises:
        ValueError: the checkpoint was chosen by another rule, so the figures cannot be compared.
    """
    last = (logged.get(BEST) or [{"rule": "nnunet"}])[-1]
    rule = "nnunet" if best is None else best.rule
    if last["rule"] != rule:
        raise ValueError(
            f"the checkpoint was trained with FAIRSEG_BEST={last['rule']}, now it is {rule}; to go on, it"
            " must be as it was"
        )
    if best is not None:
        best.moving, best.best = dict(last["moving"]), last["best"]


def group_dice(counts: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Return each group's Dice, the mean over structures, (G,), from counts (G, L, 3).

    A structure that neither mask of a group has is left out of its mean; NaN if that is so of all.

    >>> group_dice(np.array([[[2.0, 1, 1], [0, 0, 0]], [[0, 0, 0], [0, 0, 0]]])).round(3)
    array([0.667,   nan])
    """
    hit, false, missed = np.moveaxis(counts, -1, 0)
    return mean_dice(np.stack([hit + false, hit + missed, hit], axis=1))


def hard_counts(output: torch.Tensor, target: torch.Tensor, labels: Any) -> torch.Tensor:
    """Return true positive, false positive and false negative voxels of each sample, (B, L, 3).

    As nnU-Net's validation step counts them, but it adds up the samples.

    Args:
        output: logits at full resolution, (B, C, *S); of regions (B, L, *S).
        target: (B, 1, *S); of regions (B, L, *S), and one more for what is ignored.
        labels: nnU-Net's label manager.
    """
    mask = None
    if labels.has_regions:
        predicted = output > 0  # a sigmoid above a half
        if labels.has_ignore_label:
            mask, target = ~target[:, -1:].bool(), target[:, :-1]
    else:
        predicted = torch.zeros_like(output).scatter_(1, output.argmax(1, keepdim=True), 1)
        if labels.has_ignore_label:
            mask = target != labels.ignore_label
            target = torch.where(mask, target, 0)
    axes = tuple(range(2, output.ndim))
    hit, false, missed, _ = get_tp_fp_fn_tn(predicted.float(), target, axes=axes, mask=mask)
    return torch.stack([hit, false, missed], dim=-1)[:, 0 if labels.has_regions else 1 :]
