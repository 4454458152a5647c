"""Findings beside the verdict: distances, clinical errors, and whatever else has one value a subject.

The same tests and the same control as `page`, over these rows by themselves: they do not change the verdict.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fairseg.metrics.fairness import Floats
from fairseg.statistics.findings import Finding, Grouping
from fairseg.statistics.group_facts import hardest
from fairseg.statistics.judge_options import JudgeOptions
from fairseg.statistics.page_level import Line, line_of, page_level, pairs_to_compare
from fairseg.statistics.permutation import Row
from fairseg.statistics.verdicts import Endpoint, Verdict


@dataclass(frozen=True, eq=False)
class Measure:
    """One value a subject, and what of it is compared.

    Attributes:
        name: such as "HD95" or "LVEF error"; stands as the structure of its findings.
        values: (N,), in any unit; NaN takes no part.
        endpoint: TYPICAL: the values; HARDEST: shares among the worst tenth of all; SPREAD: how far values
            lie from their group's median, such as errors whose limits of agreement are wider in one group.
        higher_is_better: whether larger values are better; None: neither, as of signed errors. A larger
            spread is always worse.
        margin: a difference up to this does not matter, in the unit of the values (a share for HARDEST);
            None if none is stated.
    """

    name: str
    values: npt.NDArray[np.float64]
    endpoint: Endpoint = Endpoint.TYPICAL
    higher_is_better: bool | None = False
    margin: float | None = None


def judge_measures(
    measures: Sequence[Measure], groupings: Sequence[Grouping], *, options: JudgeOptions | None = None
) -> tuple[Finding, ...]:
    """Compare the groups in each measure, at one level over all of these findings.

    Args:
        measures: what is compared.
        groupings: the attributes.
        options: smallest size, alpha, permutations and seed; None for the defaults.

    Returns:
        A finding for each measure and pair of groups, first minus second in the unit of the values. It is
        NO_GAP where the 90% limits lie within the margin, else GAP where a difference is shown.

    Raises:
        ValueError: values are not one a subject, or infinite; or a HARDEST measure has no better side.
    """
    options = options or JudgeOptions()
    lines = [
        line
        for grouping_index, grouping in enumerate(groupings)
        for measure in measures
        for line in _lines(grouping_index, grouping, measure, options)
    ]
    level = page_level(lines, groupings, options)
    findings = [level.finding(line) for line in lines]
    return tuple(replace(row, verdict=Verdict.NO_GAP) if row.inside else row for row in findings)


def _lines(grouping_index: int, grouping: Grouping, measure: Measure, options: JudgeOptions) -> list[Line]:
    values = _check(measure, len(grouping.ids))
    everyone = (np.arange(values.size),)
    marks = measure.endpoint is Endpoint.HARDEST
    if marks:
        values = hardest(values if measure.higher_is_better else -values)
    elif measure.endpoint is Endpoint.SPREAD:
        values = _deviations(values, grouping)
    scored = ~np.isnan(values)
    judged = [
        int(scored[grouping.ids == code].sum()) >= options.min_size
        for code in range(len(grouping.group_names))
    ]
    margin = np.nan if measure.margin is None else measure.margin
    about = measure.name, measure.endpoint, margin, _worse(measure), options.min_size
    return [
        line_of(Row(grouping_index, *pair, values, marks, 1.0, everyone), grouping, *about)
        for pair in pairs_to_compare(grouping, judged)
    ]


def _worse(measure: Measure) -> int | None:
    """Return which group is worse served if the first has the larger values."""
    if measure.endpoint is not Endpoint.TYPICAL:
        return 0
    return None if measure.higher_is_better is None else int(measure.higher_is_better)


def _deviations(values: Floats, grouping: Grouping) -> Floats:
    """Return how far values lie from their group's median; NaN for unknown groups."""
    deviations = np.full(values.size, np.nan)
    for code in np.unique(grouping.ids[grouping.ids >= 0]):
        in_group = grouping.ids == code
        if np.isfinite(values[in_group]).any():
            deviations[in_group] = np.abs(values[in_group] - np.nanmedian(values[in_group]))
    return deviations


def _check(measure: Measure, size: int) -> Floats:
    values = np.asarray(measure.values, dtype=np.float64)
    if values.shape != (size,):
        raise ValueError(f"values of {measure.name} must be one a subject, ({size},), got {values.shape}")
    if np.isinf(values).any():
        raise ValueError(f"values of {measure.name} must be finite or NaN, got infinity")
    if measure.endpoint is Endpoint.FAILURES:
        raise ValueError(f"endpoint of {measure.name} must not be failures: these have a threshold of scores")
    if measure.endpoint is Endpoint.HARDEST and measure.higher_is_better is None:
        raise ValueError(f"higher_is_better of {measure.name} must be stated for its hardest tenth, got None")
    return np.round(values, 10)
