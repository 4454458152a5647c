"""fairseg in MONAI: groups from its dictionaries to a group loss and to group metrics; extra `monai`."""

from fairseg.integrations import needs

with needs("monai"):
    from fairseg.integrations.monai.handlers import GroupMetricHandler, LogGroupLoss
    from fairseg.integrations.monai.metrics import (
        FairnessGapMetric,
        GroupDiceMetric,
        SkewedErrorRatioMetric,
        WorstGroupDiceMetric,
    )
    from fairseg.integrations.monai.training import GroupLossFunction, PrepareGroupBatch, with_groups

__all__ = [
    "FairnessGapMetric",
    "GroupDiceMetric",
    "GroupLossFunction",
    "GroupMetricHandler",
    "LogGroupLoss",
    "PrepareGroupBatch",
    "SkewedErrorRatioMetric",
    "WorstGroupDiceMetric",
    "with_groups",
]
