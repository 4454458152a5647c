"""How sure the figures of a summary are: intervals beside them, and a verdict on every gap."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from fairseg.metrics import worst_group
from fairseg.report.summary import GAP, P_VALUE, Summary
from fairseg.statistics import Interval, equity_interval, group_intervals, judge
from fairseg.statistics.evidence import MIN_SIZE, NOT_JUDGED
from fairseg.statistics.order_statistics import Method

DETECTABLE = "Detectable gap"
WORST = "Worst group DSC"
EQUITY = "Equity-scaled DSC"
CORRECTED = "p, corrected (Holm)"
GAP_OF_LARGE = "Fairness gap of the groups judged"
_STATISTICS: tuple[tuple[Literal["median", "iqr"], Method, str], ...] = (
    ("median", "binomial", "Median"),
    ("iqr", "percentile", "IQR"),
)


@dataclass(frozen=True)
class Judging:
    """How gaps are judged.

    Attributes:
        margin: largest gap in median Dice that does not matter; None: not stated.
        min_size: subjects that a group needs to be judged.
        level: of all intervals.
        resamples: draws for the intervals.
        seed: of all draws.
    """

    margin: float | None = None
    min_size: int = MIN_SIZE
    level: float = 0.95
    resamples: int = 10_000
    seed: int = 0


def with_evidence(summary: Summary, judging: Judging) -> Summary:
    """Return a summary with intervals, verdicts and the rows that they bring.

    Medians get the binomial interval, inter-quartile ranges that of the bootstrap; gap, error ratio and
    worst group what `judge` says, over the groups that are large enough; the equity-scaled score ("sum", of
    medians) that of `equity_interval`. New rows: the smallest detectable gap, the worst group of all (without
    an interval where some group is too small to be judged), the equity-scaled score, p-values corrected for
    several comparisons (Holm), and, where some group is too small to be judged, the gap of the others. A
    group that is not judged gets no p-value. A subject in several groups breaks every interval here: then
    there are none, and no verdict.

    Args:
        summary: as from `summarize`.
        judging: how.
    """
    if summary.shared:
        return summary
    columns = summary.table.columns
    low = pd.DataFrame(np.nan, index=summary.table.index, columns=columns)
    high = low.copy()
    group = summary.subjects["group"].to_numpy()
    number = len(summary.groups)
    known = np.where(group >= 0, 0, -1)
    for metric in (name for name in summary.subjects if name not in ("subject", "group")):
        values = summary.subjects[metric].to_numpy()
        for statistic, method, row in _STATISTICS:
            found: list[Interval] = []
            for ids, count in ((group, number), (known, 1)):
                found += group_intervals(
                    values,
                    ids,
                    count,
                    statistic,
                    level=judging.level,
                    resamples=judging.resamples,
                    method=method,
                    seed=judging.seed,
                )
            name = f"{row} {summary.title(str(metric))}"
            low.loc[name], high.loc[name] = _limits(found)
    if "dice" not in summary.subjects:
        return replace(summary, low=low, high=high)
    return _with_verdicts(replace(summary, low=low, high=high), judging)


def _with_verdicts(summary: Summary, judging: Judging) -> Summary:
    assert summary.low is not None
    assert summary.high is not None
    # By place, since a group may have the name of the last column.
    table, low, high = (
        frame.set_axis(range(frame.shape[1]), axis="columns")
        for frame in (summary.table, summary.low, summary.high)
    )
    dice, group = summary.subjects["dice"].to_numpy(), summary.subjects["group"].to_numpy()
    number = len(summary.groups)
    evidence = judge(
        dice,
        group,
        number,
        reference=summary.reference,
        margin=judging.margin,
        level=judging.level,
        min_size=judging.min_size,
        resamples=judging.resamples,
        seed=judging.seed,
    )
    equity = equity_interval(dice, group, number, level=judging.level)
    all_judged = len(evidence.judged) == int((summary.counts > 0).sum())
    lowest = worst_group([median.estimate for median in evidence.medians])
    several = number > 2 and summary.reference is not None
    rows: dict[str, dict[int, Interval]] = {
        "SER": {number: evidence.ratio} if all_judged else {},
        # A gap to a group of three says little; then the interval is that of the groups which are judged.
        GAP: {number: evidence.gap} if all_judged else {},
        GAP_OF_LARGE: {number: evidence.gap},
        DETECTABLE: {number: _alone(evidence.detectable)},
        WORST: {number: evidence.worst if all_judged else _alone(lowest)},
        EQUITY: {number: equity},
        P_VALUE: {number: _alone(np.nan if evidence.verdict == NOT_JUDGED else evidence.p)},
        CORRECTED: {},
    }
    if summary.reference is not None:
        for one in evidence.comparisons:
            rows[GAP][one.second] = one.gap
            rows[DETECTABLE][one.second] = _alone(one.detectable)
            rows[P_VALUE][one.second] = _alone(one.p)
            rows[CORRECTED][one.second] = _alone(one.corrected)
    if all_judged or len(evidence.judged) < 2:
        del rows[GAP_OF_LARGE]
    if not several:
        del rows[CORRECTED]
    for frame in (table, low, high):
        for row in rows.keys() - set(frame.index):
            frame.loc[row] = np.nan
    for row, cells in rows.items():
        for column, interval in cells.items():
            if row not in ("SER", GAP):  # these stand there already
                table.loc[row, column] = interval.estimate
            low.loc[row, column], high.loc[row, column] = interval.low, interval.high
    order = _order(table.index, [row for row in rows if row not in ("SER", GAP, P_VALUE)])
    table, low, high = (
        frame.loc[order].set_axis(summary.table.columns, axis="columns") for frame in (table, low, high)
    )
    return replace(summary, table=table, low=low, high=high, evidence=evidence)


def _alone(value: float) -> Interval:
    return Interval(value, np.nan, np.nan)


def _order(index: "pd.Index[str]", new: Sequence[str]) -> list[str]:
    """Return the rows, the new ones between the gap and the p-value, corrected p-values after it."""
    before = [name for name in index if name not in new]
    place = before.index(P_VALUE)
    first = [name for name in (GAP_OF_LARGE, DETECTABLE, WORST, EQUITY) if name in new]
    last = [name for name in new if name == CORRECTED]
    return [*before[:place], *first, P_VALUE, *last, *before[place + 1 :]]


def _limits(intervals: Sequence[Interval]) -> tuple[list[float], list[float]]:
    return [interval.low for interval in intervals], [interval.high for interval in intervals]
