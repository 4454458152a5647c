"""Means of small groups, drawn together so that the extreme ones are less often chance."""

import numpy as np

from fairseg.cohort.ids import as_ids
from fairseg.metrics import split_by_group
from fairseg.report.tables import Cell, Table
from fairseg.report.templates import say
from fairseg.scoring.summary import Summary
from fairseg.statistics.shrinkage import shrink

_LEAST_GROUPS = 3
_LEAST_SPREAD = 1e-6


def shrunken_table(overall: Summary) -> Table | None:
    """Return raw and shrunken means of each group, over all labels; None of fewer than three groups."""
    if "dice" not in overall.subjects or len(overall.groups) < _LEAST_GROUPS:
        return None
    ids = as_ids(overall.subjects["group"].to_numpy(), known=len(overall.groups))
    parts = split_by_group(overall.subjects["dice"].to_numpy(), ids)
    count = np.array([part.size for part in parts])
    if (count > 0).sum() < _LEAST_GROUPS:
        return None
    means = np.array([part.mean() if part.size else np.nan for part in parts])
    # The spread within a small group is hardly known, so all groups share one, as in an analysis of variance.
    residuals = np.concatenate([part - part.mean() for part in parts if part.size])
    freedom = max(1, residuals.size - int((count > 0).sum()))
    spread = max(float(np.sqrt((residuals**2).sum() / freedom)), _LEAST_SPREAD)
    errors = spread / np.sqrt(np.maximum(count, 1))
    shrunken = shrink(means, errors)
    rows = [
        (name, Cell(count[at], kind="count"), Cell(means[at]), Cell(*(part[at] for part in shrunken[:3])))
        for at, name in enumerate(overall.names)
        if count[at]
    ]
    heads = ("Subjects", f"Mean {overall.title('dice')}", "Shrunken mean")
    caption = f"Means drawn together, by {' and '.join(overall.groups.attributes)}"
    return Table.of(caption, heads, rows, corner="Group", note=say("about_shrinkage"))
