"""The methods: objectives of the groups, losses of a sample, and samplers.

Explicit tables in one place. A sampler and a loss are chosen independently, and every objective takes every
base, so a difference between two methods can be told from one between two losses.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from fairseg.losses import (
    BalancedGroupLoss,
    ChiSquareGroupLoss,
    CrossEntropyLoss,
    CVaRGroupLoss,
    DeepSupervision,
    DiceBCELoss,
    DiceCELoss,
    FairErrorBoundLoss,
    GroupDROLoss,
    ParetoMinimaxLoss,
    ReweightedLoss,
    SoftDiceLoss,
    VRExLoss,
    WorstGroupLoss,
    group_weights,
)
from fairseg.losses.erm import ERMLoss
from fairseg.losses.group_loss import GroupLoss
from fairseg.samplers import GroupBatchSampler
from fairseg.scoring.labels import Codes
from fairseg.training.network import scale_weights
from fairseg.training.regions import NO_REGIONS, RegionLoss
from fairseg.training.settings import Settings

# Losses of a sample: label of pixels that do not count -> loss. Dice is pooled inside each group, which over
# one group is nnU-Net's batch Dice.
BASES: dict[str, Callable[[int | None], nn.Module]] = {
    "dice_ce": lambda ignored: DiceCELoss(ignore_index=ignored, pool="group"),
    "ce": CrossEntropyLoss,
    "dice": lambda ignored: SoftDiceLoss(ignore_index=ignored, pool="group"),
    "dice_ce_sample": lambda ignored: DiceCELoss(ignore_index=ignored),
}

# The same of regions: of the sigmoid of each structure.
REGION_BASES: dict[str, Callable[[int | None], DiceBCELoss]] = {
    "dice_ce": lambda ignored: DiceBCELoss(ignore_index=ignored, pool="group"),
    "ce": lambda ignored: DiceBCELoss(ignore_index=ignored, dice_weight=0.0),
    "dice": lambda ignored: DiceBCELoss(ignore_index=ignored, bce_weight=0.0, pool="group"),
    "dice_ce_sample": lambda ignored: DiceBCELoss(ignore_index=ignored),
}

# Objectives of the groups: (number of groups, base, options) -> loss. "erm" knows no groups.
LOSSES: dict[str, Callable[..., GroupLoss]] = {
    "balanced": BalancedGroupLoss,
    "group_dro": GroupDROLoss,
    "worst_group": WorstGroupLoss,
    "cvar": CVaRGroupLoss,
    "chi_square": ChiSquareGroupLoss,
    "vrex": VRExLoss,
    "fair_error_bound": FairErrorBoundLoss,
    "pareto": ParetoMinimaxLoss,
}

# The methods of sections 4.3 to 4.6 of Lee et al. (2025).
METHODS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "oversampling": {"sampler": "oversampling"},
    "reweighting": {"reweight": "sum"},
    "group_dro": {"loss": "group_dro"},
    "oversampling+reweighting": {"sampler": "oversampling", "reweight": "sum"},
    "oversampling+group_dro": {"sampler": "oversampling", "loss": "group_dro"},
    "reweighting+group_dro": {"loss": "group_dro", "reweight": "sum"},
}


def make_loss(
    settings: Settings,
    counts: Sequence[int],
    ignored: int | None = None,
    regions: Sequence[Codes] | None = None,
) -> GroupLoss:
    """Return the loss that the settings name; `counts` are the training samples of each group, (G,).

    Pixels of the label `ignored` count for nothing, and samples of nothing else have no part in the loss.
    `regions` are the values of each structure, L, where they may overlap: logits are then (B, L, *S).

    Raises:
        ValueError: the loss and its base, or its weights, do not go together.
    """
    base = BASES[settings.sample_loss](ignored)
    if regions is not None:
        if settings.loss == "fair_error_bound":
            raise ValueError(NO_REGIONS)
        channels = REGION_BASES[settings.sample_loss](None if ignored is None else len(regions))
        base = RegionLoss(channels, regions, ignored)
    options: dict[str, Any] = {}
    if settings.within_group == "cvar":
        options = {"within_group": "cvar", "alpha": settings.alpha}
    if settings.loss == "erm":
        if settings.reweight == "none":
            return ERMLoss(base, **options)
        return ReweightedLoss(counts, base, normalize=settings.reweight, **options)
    if settings.reweight != "none":
        options["group_weights"] = group_weights(counts, normalize=settings.reweight)
    return LOSSES[settings.loss](len(counts), base, **options)


def make_sampler(
    settings: Settings,
    groups: npt.ArrayLike,
    subjects: npt.ArrayLike,
    weights: npt.NDArray[np.float64] | None = None,
) -> GroupBatchSampler:
    """Return the sampler that the settings name; it draws subjects evenly, and then a sample of each.

    By `weights` (N,) samples are drawn more often within their group. The natural sampler knows no groups: it
    draws all subjects alike, those of unknown group too. It makes the joint batches of all processes; each
    then takes its part (`NumberedBatches`).
    """
    everyone = [0] * len(list(subjects)) if settings.sampler == "natural" else groups  # type: ignore[arg-type]
    return GroupBatchSampler(
        everyone,
        settings.batch_size,
        balance=settings.balance,
        subjects=subjects,
        weights=weights,
        num_batches=settings.steps,
        seed=settings.seed,
        num_replicas=1,
        rank=0,
    )


def loss_of(loss: GroupLoss, outputs: Any, target: Tensor, groups: Tensor) -> Tensor:
    """Return the loss of a network's output, or of its outputs at several scales, in float32 at least."""
    objective: Any = loss
    if isinstance(outputs, Tensor):
        outputs = _at_least_float32(outputs)
    else:
        objective = DeepSupervision(loss, scale_weights(len(outputs)))
        outputs = [_at_least_float32(output) for output in outputs]
    value: Tensor = objective(outputs, target, groups)
    return value


def _at_least_float32(output: Tensor) -> Tensor:
    return output.float() if output.dtype in (torch.float16, torch.bfloat16) else output
