"""Losses that know groups: `loss(logits, target, groups)`; and the per-sample losses below them."""

from fairseg.losses.attribute_head import AttributeHead, LossWithAttributeHead
from fairseg.losses.counts import group_weights
from fairseg.losses.deep_supervision import DeepSupervision
from fairseg.losses.fair_error_bound import FairErrorBoundLoss
from fairseg.losses.group_dro import GroupDROLoss
from fairseg.losses.group_loss import GroupLoss
from fairseg.losses.grouping import NonAdditiveLossError, group_mean
from fairseg.losses.hooked_features import HookedFeatures
from fairseg.losses.multilabel import DiceBCELoss
from fairseg.losses.objectives import (
    BalancedGroupLoss,
    ChiSquareGroupLoss,
    CVaRGroupLoss,
    ReweightedLoss,
    VRExLoss,
    WorstGroupLoss,
)
from fairseg.losses.pareto import ParetoMinimaxLoss
from fairseg.losses.per_sample import CrossEntropyLoss, DiceCELoss, SoftDiceLoss

__all__ = [
    "AttributeHead",
    "BalancedGroupLoss",
    "CVaRGroupLoss",
    "ChiSquareGroupLoss",
    "CrossEntropyLoss",
    "DeepSupervision",
    "DiceBCELoss",
    "DiceCELoss",
    "FairErrorBoundLoss",
    "GroupDROLoss",
    "GroupLoss",
    "HookedFeatures",
    "LossWithAttributeHead",
    "NonAdditiveLossError",
    "ParetoMinimaxLoss",
    "ReweightedLoss",
    "SoftDiceLoss",
    "VRExLoss",
    "WorstGroupLoss",
    "group_mean",
    "group_weights",
]
