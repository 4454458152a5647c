"""What is kept of the groups in nnU-Net's logger, whose dictionary its checkpoints carry.

Three entries an epoch, as the logger wants of all its entries: `group_losses`, the mean training loss of each
group by name; `group_weights`, what each weighs; and `group_loss_state`, the groups with the state of the
objective in plain numbers, from which training goes on.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fairseg.groups import Groups
from fairseg.losses.group_loss import GroupLoss

LOSSES, WEIGHTS, STATE = "group_losses", "group_weights", "group_loss_state"


def write(
    logger: Any, epoch: int, loss: GroupLoss, groups: Groups, losses: Sequence[npt.NDArray[np.floating]]
) -> str:
    """Keep the figures of an epoch and return them as a line for the log.

    Args:
        logger: nnU-Net's.
        epoch: its number.
        loss: the objective, after the epoch's last step.
        groups: their names.
        losses: loss of each group in each step, (steps, G); NaN where it was absent.
    """
    table = np.stack(losses)
    means = {
        name: float(column[np.isfinite(column)].mean()) if np.isfinite(column).any() else None
        for name, column in zip(groups.names, table.T, strict=True)
    }
    weights = dict(zip(groups.names, loss.group_weight.tolist(), strict=True))
    state = {name: value.tolist() for name, value in loss.state_dict().items()}
    entries = logger.local_logger.my_fantastic_logging
    for name in (LOSSES, WEIGHTS, STATE):
        entries.setdefault(name, [])
    logger.log(LOSSES, means, epoch)
    logger.log(WEIGHTS, weights, epoch)
    logger.local_logger.log(STATE, {"groups": groups.to_dict(), "state": state}, epoch)
    said = (
        f"{name} {'none' if mean is None else format(mean, '.4f')} (weight {weights[name]:.4f})"
        for name, mean in means.items()
    )
    return f"training loss by group: {', '.join(said)}"


def restore(logger: Any, loss: GroupLoss, groups: Groups) -> None:
    """Set the objective to the state that the logger holds of the last epoch.

    Raises:
        ValueError: it holds none, or that of other groups or of another cohort.
    """
    entries = logger.local_logger.my_fantastic_logging
    if not entries.get(STATE):
        raise ValueError(
            "the checkpoint has no state of groups, so a trainer without them wrote it; start anew,"
            " without --c"
        )
    saved = entries[STATE][-1]
    before = Groups.from_dict(saved["groups"])
    if before != groups:
        raise ValueError(
            f"the checkpoint was trained on the groups {'; '.join(before.names)} (by"
            f" {' and '.join(before.attributes)}), now they are {'; '.join(groups.names)} (by"
            f" {' and '.join(groups.attributes)}): set FAIRSEG_BY, FAIRSEG_BINS and groups.csv as they were"
        )
    loss.load_state_dict(
        {name: torch.tensor(value, dtype=torch.float64) for name, value in saved["state"].items()}
    )


def weights_text(logger: Any) -> str:
    """Return the weights of the last epoch in words."""
    weights = logger.local_logger.my_fantastic_logging[WEIGHTS][-1]
    return "group weights " + ", ".join(f"{name} {weight:.6f}" for name, weight in weights.items())
