"""The entries on groups in nnU-Net's logger, whose dictionary its checkpoints carry.

There is one of each an epoch, as the logger wants of all its entries. Training resumes from
`group_loss_state`: the groups, their training cases, and the state of the objective in plain numbers. Where
the loss knows groups, there are `group_losses`, the mean training loss of each by name, and `group_weights`.
`network_of` names nnU-Net's trainer that builds the network, and so can predict.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fairseg.cohort.groups import Groups
from fairseg.integrations.nnunet.cases import CaseGroups
from fairseg.integrations.nnunet.export import DRAWS, LOSSES, NETWORK, STATE, WEIGHTS
from fairseg.io.sentences import counted
from fairseg.losses.group_loss import GroupLoss


def keep(logger: Any, epoch: int, loss: GroupLoss, cases: CaseGroups) -> None:
    """Keep the entry for `restore`: the state of the objective after an epoch, and the cases' groups."""
    state = {name: value.tolist() for name, value in loss.state_dict().items()}
    entry = {
        "groups": cases.groups.to_dict(),
        "counts": list(cases.counts),
        "fingerprint": cases.fingerprint,
        "state": state,
    }
    logger.local_logger.my_fantastic_logging.setdefault(STATE, [])
    logger.local_logger.log(STATE, entry, epoch)


def keep_network(logger: Any, epoch: int, builder: type) -> None:
    """Keep the name of the class that builds the network; "" if it is none of nnU-Net's own."""
    name = builder.__name__ if builder.__module__.startswith("nnunetv2.") else ""
    logger.local_logger.my_fantastic_logging[NETWORK] = [name] * (epoch + 1)  # also where it began without


def keep_draws(logger: Any, epoch: int, weights: Mapping[str, float] | None) -> None:
    """Keep the weights by which the cases are drawn; {} for none."""
    logger.local_logger.my_fantastic_logging[DRAWS] = [dict(weights or {})] * (epoch + 1)


def check_draws(logger: Any, weights: Mapping[str, float] | None) -> None:
    """Raise a ValueError if the cases of the checkpoint were drawn by other weights."""
    entries = logger.local_logger.my_fantastic_logging.get(DRAWS)
    if entries and entries[-1] != dict(weights or {}):
        raise ValueError(
            "the checkpoint was trained with cases drawn by other weights: to go on, FAIRSEG_WEIGHT and the"
            " column must be as they were"
        )


def write(
    logger: Any,
    epoch: int,
    loss: GroupLoss,
    groups: Groups,
    losses: Sequence[npt.NDArray[np.floating]],
    counts: Sequence[npt.NDArray[np.floating]],
) -> str:
    """Keep the figures of an epoch and return them as a line for the log.

    A group's mean is that of the steps in which its loss was finite; None if it was in no step, NaN if its
    loss was finite in none.

    Args:
        logger: nnU-Net's.
        epoch: its number.
        loss: the objective, after the epoch's last step.
        groups: their names.
        losses: loss of each group in each step, (steps, G).
        counts: samples of each group in each step, (steps, G).
    """
    table, present = np.stack(losses), np.stack(counts) > 0
    finite = np.isfinite(table) & present
    weights = dict(zip(groups.names, loss.group_weight.tolist(), strict=True))
    means: dict[str, float | None] = {}
    texts = []
    for number, name in enumerate(groups.names):
        steps, used = int(present[:, number].sum()), int(finite[:, number].sum())
        mean = float(table[finite[:, number], number].mean()) if used else math.nan
        means[name] = mean if steps else None
        figure = format(mean, ".4f") if used else "not finite" if steps else "none"
        lost = f"; not finite in {steps - used} of {counted(steps, 'step')}" if used < steps else ""
        texts.append(f"{name} {figure} (weight {weights[name]:.4f}{lost})")
    entries = logger.local_logger.my_fantastic_logging
    for key, entry in ((LOSSES, means), (WEIGHTS, weights)):
        entries.setdefault(key, [])
        logger.log(key, entry, epoch)
    return f"training loss by group: {', '.join(texts)}"


def restore(logger: Any, loss: GroupLoss, cases: CaseGroups) -> None:
    """Set the objective to the state that the logger holds of the last epoch.

    Raises:
        ValueError: it holds none, or that of other groups or of another cohort; the message has the
            difference.
    """
    entries = logger.local_logger.my_fantastic_logging
    if not entries.get(STATE) or "fingerprint" not in entries[STATE][-1]:
        raise ValueError(
            "the checkpoint has no state of groups and of the cases in them, so a trainer without groups or"
            " an earlier fairseg wrote it; start anew, without --c"
        )
    saved = entries[STATE][-1]
    if changed := _changed(saved, cases):
        raise ValueError(f"{changed}; to go on, they must be as they were")
    loss.load_state_dict(
        {name: torch.tensor(value, dtype=torch.float64) for name, value in saved["state"].items()}
    )


def _changed(saved: dict[str, Any], now: CaseGroups) -> str:
    """Return the difference to the groups and cases of the checkpoint, in words; "" if there is none."""
    before, groups = Groups.from_dict(saved["groups"]), now.groups
    if before != groups:
        return (
            f"the checkpoint was trained on the groups {'; '.join(before.names)} (by"
            f" {' and '.join(before.attributes)}), now they are {'; '.join(groups.names)} (by"
            f" {' and '.join(groups.attributes)}): look at FAIRSEG_BY, FAIRSEG_BINS and groups.csv"
        )
    if saved["fingerprint"]["cases"] != now.fingerprint["cases"]:
        difference, file = "other training cases", "splits_final.json"
    elif saved["fingerprint"] != now.fingerprint:
        difference, file = "the same training cases, but of other groups", "groups.csv"
    else:
        return ""
    was, are = (
        ", ".join(f"{name} {count}" for name, count in zip(groups.names, counts, strict=True))
        for counts in (saved["counts"], now.counts)
    )
    return (
        f"the checkpoint is of another cohort, {difference} (by group they were {was}, now they are {are}):"
        f" look at {file}"
    )


def weights_text(logger: Any) -> str:
    """Return the weights of the last epoch in words."""
    weights = logger.local_logger.my_fantastic_logging[WEIGHTS][-1]
    return "group weights " + ", ".join(f"{name} {weight:.6f}" for name, weight in weights.items())
