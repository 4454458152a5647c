"""fairseg: fairness in medical image segmentation, from the audit of a model to its training.

The blocks stand alone: `fairseg.cohort.groups` (who belongs to which group), `fairseg.cohort.table` (the table of
cases), `fairseg.metrics` (scores and fairness measures), `fairseg.report` (tables, plots, HTML),
`fairseg.samplers` (balanced batches), `fairseg.losses` (losses of groups), `fairseg.crop`
(boxes, cascades), `fairseg.training` (the reference loop, with the extra `train`).
Importing the package costs nothing: what is named below loads when it is first touched.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fairseg import crop, datasets, losses, metrics, report, samplers, training
    from fairseg.cohort import table as cohort
    from fairseg.cohort import groups
    from fairseg.cohort.table import read_cohort
    from fairseg.cohort.groups import Groups

__version__ = "0.1.0"
__all__ = [
    "Groups",
    "__version__",
    "cohort",
    "crop",
    "datasets",
    "groups",
    "losses",
    "metrics",
    "read_cohort",
    "report",
    "samplers",
    "training",
]

_HOME = {"Groups": "fairseg.cohort.groups", "read_cohort": "fairseg.cohort.table"}


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name in __all__:
        return import_module(f"fairseg.{name}")
    raise AttributeError(f"module 'fairseg' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
