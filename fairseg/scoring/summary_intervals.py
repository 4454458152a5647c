"""Intervals of the figures of a summary: medians, spread, gaps and other measures of fairness.

These are the paper's own measures. Verdicts rest on `fairseg.statistics.judgement`, not on these intervals.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from fairseg.cohort.ids import GroupIds, as_ids
from fairseg.metrics import fairness_gap, mann_whitney_u, worst_group
from fairseg.metrics.grouped import Floats, GroupedValues
from fairseg.scoring.summary import CORRECTED, EQUITY, GAP, GAP_OF_LARGE, P_VALUE, SER, WORST, Summary
from fairseg.statistics import Interval, equity_interval, kruskal_wallis, pairwise_mann_whitney
from fairseg.statistics.differences import differences, gap_limits, pairs_of
from fairseg.statistics.intervals import error_ratio_interval, sample_limits, worst_interval
from fairseg.statistics.limits import Resampling
from fairseg.statistics.order_statistics import Method, size_to_judge

_STATISTICS: tuple[tuple[Literal["median", "iqr"], Method, str], ...] = (
    ("median", "binomial", "Median"),
    ("iqr", "percentile", "IQR"),
)


def with_intervals(
    summary: Summary,
    *,
    min_size: int = 10,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    medians: Sequence[tuple[float, float]] | None = None,
) -> Summary:
    """Return a summary with intervals, and with the rows that need them.

    Medians get the binomial interval, inter-quartile ranges that of the bootstrap; gap, error ratio and
    worst group limits that hold for all groups together, over the groups that are large enough; the
    equity-scaled score ("sum", of medians) that of `equity_interval`. New rows: the worst group of all
    (without an interval where some group is too small), the equity-scaled score, p-values corrected for
    several comparisons (Holm), and, where some group is too small, the gap of the others. A group that is too
    small gets no p-value. A subject in several groups breaks every interval here: then there are none.

    Args:
        summary: as from `summarize`.
        min_size: subjects that a group needs for figures on gaps; raised where the level could not be held
            (see `size_to_judge`).
        level: of the intervals.
        resamples: draws for the intervals.
        seed: of the draws.
        medians: limits of the medians of the main score in each group and in all, where these are known.
    """
    if summary.shared:
        return summary
    group = summary.subjects["group"].to_numpy()
    number = len(summary.groups)
    ids = as_ids(group, known=number)
    draws: dict[str, Any] = {"level": level, "resamples": resamples, "seed": seed}
    figures = estimates, low, high = [
        dict(zip(summary.table.index, cells, strict=True))
        for cells in (summary.table.to_numpy().copy(), *np.full((2, *summary.table.shape), np.nan))
    ]
    for metric in (name for name in summary.subjects if name not in ("subject", "group")):
        parts = GroupedValues.of(summary.subjects[metric].to_numpy(), ids).ordered
        for statistic, method, row in _STATISTICS:
            drawn, name = Resampling(**draws, method=method), f"{row} {summary.title(str(metric))}"
            of_all = sample_limits([np.sort(np.concatenate(parts))], statistic, drawn)
            low[name][:], high[name][:] = zip(*sample_limits(parts, statistic, drawn), *of_all, strict=True)
    if medians is not None and (row := f"Median {summary.score}") in low:
        low[row][:], high[row][:] = zip(*medians, strict=True)
    order, judged, least = list(estimates), summary.judged, summary.min_size
    if "dice" in summary.subjects:
        dice = summary.subjects["dice"].to_numpy()
        parts = GroupedValues.of(dice, ids).ordered
        least = size_to_judge([part.size for part in parts], min_size, level)
        judged = tuple(code for code, part in enumerate(parts) if part.size >= least)
        rows = _fairness_rows(summary, ids, parts, judged, draws)
        after = [name for name in order if name.startswith(("Subjects", "Structures"))]
        order = [*(name for name in order if name not in rows and name not in after), *rows, *after]
        for row, cells in rows.items():
            for rows_of in figures:
                rows_of.setdefault(row, np.full(number + 1, np.nan))
            for column, interval in cells.items():
                if row not in (SER, GAP):  # these are in the table already
                    estimates[row][column] = interval.estimate
                low[row][column], high[row][column] = interval.low, interval.high
    names = pd.Index(order)
    table, *limits = (
        pd.DataFrame(np.array([rows_of[name] for name in order]), names, summary.table.columns)
        for rows_of in figures
    )
    return replace(
        summary, table=table, low=limits[0], high=limits[1], judged=judged, min_size=least, level=level
    )


def _fairness_rows(
    summary: Summary, ids: GroupIds, parts: list[Floats], judged: tuple[int, ...], draws: dict[str, Any]
) -> dict[str, dict[int, Interval]]:
    """Return row -> column -> figure with limits, in the order of the table; the last column is All."""
    number, reference = len(parts), summary.reference
    large = [part if code in judged else part[:0] for code, part in enumerate(parts)]
    resampling = Resampling(**draws, method="binomial")
    medians = np.array([np.median(part) if part.size else np.nan for part in parts])
    of_large = np.where(np.isin(np.arange(number), judged), medians, np.nan)
    pairwise = differences(large, pairs_of(large, reference), resampling)
    gap = Interval(fairness_gap(of_large, reference), *gap_limits(pairwise, signed=reference is not None))
    all_judged = len(judged) == sum(part.size > 0 for part in parts)
    nothing = Interval(np.nan, np.nan, np.nan)
    shares = not any(part.size and (part[0] < 0 or part[-1] > 1) for part in large)
    ratio = error_ratio_interval(large, of_large, resampling) if shares else nothing
    worst = worst_interval(large, of_large, resampling) if all_judged else _alone(worst_group(medians))
    dice = summary.subjects["dice"].to_numpy()
    rows: dict[str, dict[int, Interval]] = {
        SER: {number: ratio} if all_judged else {},
        # A gap to a very small group says little; the interval is then that of the large groups.
        GAP: {number: gap} if all_judged else {},
        GAP_OF_LARGE: {number: gap},
        f"{WORST} {summary.score}": {number: worst},
        f"{EQUITY} {summary.score}": {number: equity_interval(dice, ids, level=draws["level"])},
        P_VALUE: {number: _alone(_overall_p(large, judged) if len(judged) > 1 else np.nan)},
        CORRECTED: {},
    }
    if reference is not None:
        for code in range(number):
            rows[P_VALUE][code] = nothing  # also for a group that is too small
        pairs, p_values, all_corrected = pairwise_mann_whitney(*_flat(large), reference=reference)
        for (first, second), p, corrected_p in zip(pairs, p_values, all_corrected, strict=True):
            column = second if first == reference else first
            rows[P_VALUE][column], rows[CORRECTED][column] = _alone(p), _alone(corrected_p)
        for index, (first, second) in enumerate(pairwise.pairs):
            column = second if first == reference else first
            limits = float(pairwise.low[index]), float(pairwise.high[index])
            rows[GAP][column] = Interval(float(pairwise.estimate[index]), *limits)
        if len(judged) < 2 or reference not in judged:
            rows[P_VALUE] = dict.fromkeys(range(number + 1), nothing)
    if all_judged or len(judged) < 2:
        del rows[GAP_OF_LARGE]
    if number == 2 or reference is None:
        del rows[CORRECTED]
    return rows


def _alone(value: float) -> Interval:
    return Interval(float(value), np.nan, np.nan)


def _overall_p(parts: list[Floats], judged: tuple[int, ...]) -> float:
    if len(judged) == 2:
        return mann_whitney_u(parts[judged[0]], parts[judged[1]])
    return kruskal_wallis(*_flat(parts))


def _flat(parts: list[Floats]) -> tuple[Floats, GroupIds]:
    codes = np.repeat(np.arange(len(parts)), [part.size for part in parts])
    return np.concatenate(parts), as_ids(codes, known=len(parts))
