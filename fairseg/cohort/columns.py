"""The columns of a scores table: which are metrics, which are sizes of masks, and which are attributes."""

from typing import NamedTuple


class Metric(NamedTuple):
    """How a metric is written and read.

    Attributes:
        title: its name in tables and charts, without its unit.
        unit: "mm" for distances, which become pixels for images without a voxel size; "" for shares of 1.
        higher_is_better: whether larger values are better.
    """

    title: str
    unit: str = ""
    higher_is_better: bool = True


METRICS = {
    "dice": Metric("DSC"),
    "hd": Metric("HD", "mm", higher_is_better=False),
    "hd95": Metric("HD95", "mm", higher_is_better=False),
    "assd": Metric("ASSD", "mm", higher_is_better=False),
    "nsd": Metric("NSD"),
}
DISTANCES = tuple(name for name, metric in METRICS.items() if metric.unit)

VOXELS = ("prediction_voxels", "reference_voxels")
VOLUMES = ("prediction_ml", "reference_ml")
SIZES = (*VOXELS, *VOLUMES)
NO_ATTRIBUTES = ("case", "subject", "label", *METRICS, *SIZES)


def title(metric: str, unit: str = "mm") -> str:
    """Return what a metric is called, with the unit of its distances.

    >>> title("dice"), title("hd"), title("hd", "px")
    ('DSC', 'HD (mm)', 'HD (px)')
    """
    name, own, _ = METRICS[metric]
    return f"{name} ({unit})" if own else name
