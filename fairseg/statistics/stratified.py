"""The gap between groups among subjects of the same stratum, and pooled over strata.

Beside `adjusted_gap` it assumes no straight lines, and it compares medians as the report does; but every
stratum must hold subjects of both groups. What neither can say: docs/confounders.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fairseg.cohort.attributes import Attribute, read_attribute
from fairseg.cohort.vectors import Vector
from fairseg.io.sentences import counted, listed
from fairseg.metrics.earlier_forms import accepts_num_groups
from fairseg.metrics.grouped import Floats
from fairseg.statistics.confounders import with_reference
from fairseg.statistics.order_statistics import binomial_medians

_LEAST = 6  # subjects whose median has an interval
_MOST_WEIGHT = 0.9  # that strata with so many must have: the others add no spread of their own


@dataclass(frozen=True)
class StratifiedGap:
    """The gap of medians within strata, and over all of them.

    Attributes:
        strata: one row for each other group and stratum: group (its id, or its name where names went in),
            stratum, n_reference, n_group, weight,
            gap, low, high. A stratum that lacks one of the two groups has weight 0 and no gap; one with fewer
            than 6 subjects of a group has a gap without interval.
        pooled: one row for each other group: group, strata (that take part), n_reference, n_group (in
            these), crude (the gap of medians of these subjects without strata), gap, low, high; limits only
            where strata with 6 subjects of each group or more have 90% of the weight.
        notes: what takes no part.
    """

    strata: pd.DataFrame
    pooled: pd.DataFrame
    notes: list[str]


@accepts_num_groups()
def stratified_gap(
    values: Vector,
    groups: Vector,
    strata: Vector,
    *,
    reference: str | int,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> StratifiedGap:
    """Gap of group medians among subjects of the same stratum, such as of one sex or one scanner.

    In each stratum s the median of the reference group minus that of the other; pooled over strata with
    Mantel-Haenszel weights w_s = n_rs n_gs / (n_rs + n_gs), which are largest where both groups are well
    represented. Intervals are binomial, as those of `judge`, from draws of each group's median within each
    stratum. Fewer than 6 subjects do not tell how far their median lies from the truth, so such strata have
    no interval, and a note names them; nor has the pooled gap if these strata have more than a tenth of the
    weight.

    Args:
        values: one value a subject, such as the Dice, (N,); NaN is left out.
        groups: the group of each subject, (N,), ids or names as in `by_group`.
        strata: the stratum of each subject, text (N,); `None`, NaN and blanks are missing and left out.
            Numbers are never cut into strata here: make bins with `Groups.from_table(table, by="age",
            bins={"age": [50, 65]})` and pass their names, which an ordered pandas Categorical keeps in order.
        reference: name or id of the reference group.
        level: of the confidence intervals.
        resamples: of the bootstrap.
        seed: for these.

    Raises:
        ValueError: values and groups do not fit each other, as for `by_group`, the reference is no group, or
            strata are numeric.

    >>> dice = [0.90, 0.92, 0.80, 0.82, 0.88, 0.86, 0.79, 0.81]
    >>> sex = ["M", "M", "M", "F", "M", "F", "F", "F"]
    >>> site = ["A", "A", "B", "B", "A", "A", "B", "B"]
    >>> gap = stratified_gap(dice, sex, site, reference="M")
    >>> gap.strata[["stratum", "n_reference", "n_group", "weight", "gap"]].round(3)
      stratum  n_reference  n_group  weight   gap
    0       A            3        1    0.75  0.04
    1       B            1        3    0.75 -0.01
    >>> gap.pooled[["crude", "gap"]].round(3).to_dict("records")
    [{'crude': 0.075, 'gap': 0.015}]
    """
    grouped, first = with_reference(values, groups, reference, level)
    value, group = grouped.values, grouped.ids  # noqa: PD011  (no pandas)
    if len(strata) != value.size:
        raise ValueError(f"strata must be one a value, ({value.size},), got {len(strata)}")
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, got {resamples}")
    column = _strata(strata)
    used = np.isfinite(value) & (group >= 0)
    notes = []
    if absent := int((used & ~column.known).sum()):
        notes.append(f"{counted(absent, 'subject')} of unknown stratum left out")
    rng = np.random.default_rng(seed)
    cells = [
        [
            _cell(value[used & (column.codes == code) & (group == number)], resamples, rng)
            for code in range(len(column.levels))
        ]
        for number in range(grouped.num_groups)
    ]
    within: list[tuple[Any, ...]] = []
    pooled: list[tuple[Any, ...]] = []
    for number in (number for number in range(grouped.num_groups) if number != first):
        rows, total = _compared(cells[first], cells[number], level)
        group_name = grouped.name(number)
        within += [(group_name, name, *row) for name, row in zip(column.levels, rows, strict=True)]
        pooled.append((group_name, *total))
        lacking = [name for name, row in zip(column.levels, rows, strict=True) if not min(row[:2])]
        small = [name for name, row in zip(column.levels, rows, strict=True) if 0 < min(row[:2]) < _LEAST]
        if lacking:
            notes.append(f"group {group_name}: strata without one of both groups left out: {listed(lacking)}")
        if small:
            notes.append(
                f"group {group_name}: no interval within strata of fewer than {_LEAST} subjects of a group: "
                f"{listed(small)}"
            )
    interval = ["gap", "low", "high"]
    return StratifiedGap(
        pd.DataFrame(within, columns=["group", "stratum", "n_reference", "n_group", "weight", *interval]),
        pd.DataFrame(pooled, columns=["group", "strata", "n_reference", "n_group", "crude", *interval]),
        notes,
    )


@dataclass(frozen=True)
class _Cell:
    """The scores of one group in one stratum, and the medians of their resamples (none without scores)."""

    scores: Floats
    medians: Floats


def _cell(values: Floats, resamples: int, rng: np.random.Generator) -> _Cell:
    if not values.size:
        return _Cell(values, values)
    return _Cell(values, binomial_medians(values.size, resamples, rng).of(np.sort(values)))


def _compared(
    first: Sequence[_Cell], second: Sequence[_Cell], level: float
) -> tuple[list[tuple[float, ...]], tuple[float, ...]]:
    """Compare two groups: n, n, weight, gap, low and high of each stratum; and the pooled row."""
    percentiles = (50 * (1 - level), 50 * (1 + level))
    rows: list[tuple[float, ...]] = []
    both: list[tuple[_Cell, _Cell]] = []
    for one, other in zip(first, second, strict=True):
        n = one.scores.size, other.scores.size
        low, high = np.nan, np.nan
        if not min(n):
            rows.append((*n, 0.0, np.nan, low, high))
            continue
        both.append((one, other))
        if min(n) >= _LEAST:
            low, high = map(float, np.percentile(one.medians - other.medians, percentiles))
        rows.append(
            (*n, n[0] * n[1] / sum(n), float(np.median(one.scores) - np.median(other.scores)), low, high)
        )
    if not both:
        return rows, (0, 0, 0, np.nan, np.nan, np.nan, np.nan)
    weights, gaps = np.array([row[2:4] for row in rows if row[2]]).T
    draws = weights @ np.stack([one.medians - other.medians for one, other in both]) / weights.sum()
    large = np.array([min(one.scores.size, other.scores.size) >= _LEAST for one, other in both])
    known = weights[large].sum() >= _MOST_WEIGHT * weights.sum()
    low, high = map(float, np.percentile(draws, percentiles)) if known else (np.nan, np.nan)
    merged = [np.concatenate([pair[side].scores for pair in both]) for side in (0, 1)]
    crude = float(np.median(merged[0]) - np.median(merged[1]))
    pooled = float(weights @ gaps / weights.sum())
    return rows, (len(both), merged[0].size, merged[1].size, crude, pooled, low, high)


def _strata(strata: Vector) -> Attribute:
    column = pd.Series(strata)
    how = 'make bins with Groups.from_table(table, by="age", bins={"age": [50]}) and pass their names'
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        raise ValueError(f"strata must be text, got numbers ({column.dtype}): {how}")
    attribute = read_attribute("strata", column)
    if attribute.numbers is not None:
        number = np.unique(attribute.numbers[attribute.known]).size
        raise ValueError(f"strata must be levels, got {number} different numbers: {how}")
    return attribute
