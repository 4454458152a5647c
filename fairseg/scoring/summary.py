"""The summary tables of the paper: groups side by side, overall and for each label.

The unit is the subject. As in section 4.8 of Lee et al. 2025 a case's overall score is the mean over its
labels, a subject's the mean over its cases, a group's the median over its subjects.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairseg.cohort.columns import DISTANCES, METRICS, OVERALL, VOXELS, title
from fairseg.cohort.groups import Groups
from fairseg.cohort.ids import as_ids
from fairseg.io.sentences import brief
from fairseg.metrics.fairness import Floats, fairness_gap, iqr, mann_whitney_u, skewed_error_ratio
from fairseg.metrics.grouped import GroupedValues
from fairseg.scoring.table import Scores
from fairseg.statistics.judge_options import JudgeOptions

ALL = "All"
SER = "SER"
GAP = "Fairness gap"
P_VALUE = "p (Mann-Whitney U)"
# What `with_intervals` adds; the title of the main score follows the worst group's and the equity-scaled.
GAP_OF_LARGE = "Fairness gap of the groups judged"
WORST = "Worst group"
EQUITY = "Equity-scaled"
CORRECTED = "p, corrected (Holm)"


@dataclass(frozen=True)
class Summary:
    """The scores of the groups on one structure, or on all labels together.

    Attributes:
        structure: "Overall" or the label's name.
        groups: the groups, whose ids `subjects` holds.
        reference: id of the reference group, or None.
        table: float64, one row a measure, one column a group and a last one, "All", over the subjects
            of all known groups. NaN where a measure has no value: the gap and the p-value of the
            reference group with itself, or what would need more groups or subjects.
        subjects: one row a subject and group, with columns subject, group (id, -1 unknown) and the
            metrics: the values behind the table; the main score is in `dice`.
        unit: of the distances, "mm" or "px".
        score: title of the main score, such as "DSC".
        low: lower limits of the figures in the table, in its form; None where they were not requested or
            cannot be given. NaN where a figure has none.
        high: upper limits.
        judged: ids of the groups that are large enough for the figures on gaps.
        min_size: subjects that a group needs for that.
        level: of the intervals.
    """

    structure: str
    groups: Groups
    reference: int | None
    table: pd.DataFrame
    subjects: pd.DataFrame
    unit: str = "mm"
    score: str = METRICS["dice"].title
    low: pd.DataFrame | None = None
    high: pd.DataFrame | None = None
    judged: tuple[int, ...] = ()
    min_size: int = JudgeOptions.min_size
    level: float = 0.95

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the groups in tables and charts."""
        return self.groups.short_names

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Subjects in each group, int64 (G,)."""
        return self.groups.counts(self.subjects["group"].to_numpy())

    @property
    def scored(self) -> npt.NDArray[np.int64]:
        """Subjects with a main score in each group, int64 (G,): those that gaps are judged from."""
        there = self.subjects["dice"].notna().to_numpy() if "dice" in self.subjects else False
        return self.groups.counts(np.where(there, self.subjects["group"].to_numpy(), -1))

    @cached_property
    def shared(self) -> list[str]:
        """Subjects in more than one group."""
        members = self.subjects["subject"].to_numpy()[self.subjects["group"].to_numpy() >= 0].tolist()
        if len(set(members)) == len(members):
            return []
        return [str(name) for name in pd.Index(members)[pd.Index(members).duplicated()].unique()]

    def title(self, metric: str) -> str:
        """Return the title of the column of a metric, with its unit."""
        return self.score if metric == "dice" else title(metric, self.unit)


def summarize(
    scores: Any,
    groups: Groups,
    *,
    reference: str | None = None,
    overall: Mapping[str, float] | None = None,
    common: Sequence[str] | None = None,
) -> list[Summary]:
    """Summarise a scores table by group: first over all labels, then for each label.

    The table counts by group what is left out. A label in neither mask of a case has no score
    and is left out of that case's mean. A distance that is undefined because one mask lacks the label
    would make the mean look better if it were left out, so the subject then has no overall distance.

    The fairness gap of a group is the median Dice of the reference group minus its own; in the column
    "All" stands `fairness_gap` of all. The p-value is that of the two-sided Mann-Whitney U test on the
    subjects' Dice, of each group against the reference group (not corrected for several groups), or of
    the two groups if there is no reference.

    Args:
        scores: `Scores`, or what `Scores.of` reads: a table as from `fairseg.evaluate`, or its path.
        groups: made with `Groups.from_table` from the same attributes.
        reference: name of the reference group.
        overall: subject -> overall Dice, where it is not the mean over the subject's labels.
        common: labels that the overall figures are over, where groups lack others; None: all.

    Returns:
        The summary "Overall", then one for each label in the order of the scores.

    Raises:
        ValueError: scores or groups are of another type, fewer than two groups, no case of a known group,
            or an unknown reference.
    """
    if not isinstance(groups, Groups):
        raise ValueError(
            f"groups must be Groups, such as Groups.from_table(scores, by={groups!r}), got {brief(groups)}"
            if isinstance(groups, str)
            else f"groups must be Groups, as from Groups.from_table, got {type(groups).__name__}"
        )
    checked = Scores.of(scores)
    by = " and ".join(groups.attributes)
    if len(groups) < 2:
        named = ", ".join(groups.names)
        raise ValueError(f"by {by}: at least two groups are needed to compare, got only {named}")
    try:
        chosen = None if reference is None else groups.index(reference)
    except ValueError as error:
        raise ValueError(f"reference: {error}") from None
    ids = groups.encode(checked.table)
    if (ids < 0).all():
        raise ValueError(f"by {by}: no case has a known group")
    if not (ids == chosen).any() and chosen is not None:
        raise ValueError(f"reference: group {reference!r} has no scored case")
    table, scored = checked.table, _scored(checked.table, checked.metrics)
    label, case = (pd.factorize(table[name])[0] for name in ("label", "case"))
    members = checked.subjects[0] * (len(groups) + 1) + ids + 1
    left_out = np.zeros(len(table), dtype=bool) if common is None else ~table["label"].isin(common).to_numpy()
    of_cases, means = _means(members * len(case) + case, np.where(left_out[:, None], np.nan, scored))
    parts = [(OVERALL, np.arange(len(table)), *_means(of_cases // len(case), means))]
    size = len(table) * (len(groups) + 1)
    keys, means = _means(label * size + members, scored)  # a label stands once a case
    label_of_key, member_of_key = np.divmod(keys, size)
    for code, name in enumerate(checked.labels):
        own = label_of_key == code
        parts.append((name, np.flatnonzero(label == code), member_of_key[own], means[own]))
    summaries = []
    for number, (name, rows, of_subjects, values) in enumerate(parts):
        subjects = _subjects(checked, len(groups), of_subjects, values, None if number else overall)
        figures = _figures(subjects, checked, len(groups), chosen)
        figures |= _left_out(rows, ids, subjects, checked, len(groups))
        frame = pd.DataFrame(np.array(list(figures.values())), list(figures), [*groups.names, ALL])
        unit = checked.unit or "mm"
        summaries.append(Summary(name, groups, chosen, frame, subjects, unit, checked.title))
    return summaries


def _scored(table: pd.DataFrame, metrics: list[str]) -> Floats:
    """Return the metrics of each row, (N, M), infinite where one is missing because the structure was missed.

    Infinity survives a mean, where NaN would drop out.
    """
    scores = table[metrics].to_numpy(dtype=np.float64, copy=True)
    if set(VOXELS) <= set(table):
        missed = np.not_equal(*(table[name].to_numpy() == 0 for name in VOXELS))
    else:  # a table made elsewhere: Dice 0 without a distance means that one mask was empty
        missed = np.equal(table["dice"] if "dice" in table else np.ones(len(table)), 0)
    scores[np.asarray(missed)[:, None] & np.isnan(scores)] = np.inf
    return scores


def _means(keys: npt.NDArray[np.int64], values: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return each key once, in the order in which they occur, and the means of its rows, NaN left out."""
    codes, unique = pd.factorize(keys)
    with np.errstate(invalid="ignore"):
        return unique, pd.DataFrame(values).groupby(codes).mean().to_numpy()


def _subjects(
    scores: Scores,
    num_groups: int,
    members: npt.NDArray[np.int64],
    means: Floats,
    overall: Mapping[str, float] | None,
) -> pd.DataFrame:
    """Return the values of each subject and group, as a `Summary` has them."""
    codes, group = np.divmod(members, num_groups + 1)
    names = [scores.subjects[1][code] for code in codes]
    values = dict(zip(scores.metrics, np.where(np.isinf(means), np.nan, means).T, strict=True))
    if overall is not None and "dice" in values:
        values["dice"] = np.array([overall.get(name, np.nan) for name in names], dtype=np.float64)
    return pd.DataFrame({"subject": pd.Series(names, dtype=object), "group": group - 1, **values})


def _figures(
    subjects: pd.DataFrame, scores: Scores, num_groups: int, reference: int | None
) -> dict[str, list[float]]:
    """Return the medians and spreads of each group and of all together, and the measures of fairness."""
    table: dict[str, list[float]] = {}
    ids = as_ids(subjects["group"].to_numpy(), known=num_groups)
    of_metric = {name: GroupedValues.of(subjects[name].to_numpy(), ids) for name in scores.metrics}
    for metric, grouped in of_metric.items():
        everyone = np.concatenate(grouped.parts)
        name = scores.title if metric == "dice" else title(metric, scores.unit or "mm")
        table[f"Median {name}"] = [*grouped.medians, np.median(everyone) if everyone.size else np.nan]
        # One subject has no spread.
        table[f"IQR {name}"] = [iqr(part) if part.size > 1 else np.nan for part in (*grouped.parts, everyone)]
    if "dice" not in of_metric:
        return table
    # The test asks for independent samples; a subject in two groups breaks that.
    members = subjects["subject"].to_numpy()[ids.ids >= 0].tolist()
    independent = len(set(members)) == len(members)
    return table | _fairness(of_metric["dice"], reference, independent=independent)


def _fairness(dice: GroupedValues, reference: int | None, *, independent: bool) -> dict[str, list[float]]:
    medians, parts, num_groups = dice.medians, dice.parts, dice.num_groups
    empty = [np.nan] * num_groups
    gaps, p_values, p_all = list(empty), list(empty), np.nan
    if reference is not None:
        compared = [code for code in range(num_groups) if code != reference]
        for code in compared:
            gaps[code] = medians[reference] - medians[code]
            if independent:
                p_values[code] = mann_whitney_u(parts[reference], parts[code])
        if num_groups == 2:
            p_all = p_values[compared[0]]
    elif num_groups == 2 and independent:
        p_all = mann_whitney_u(*parts)
    return {
        SER: [*empty, skewed_error_ratio(medians)],
        GAP: [*gaps, fairness_gap(medians, reference=reference)],
        P_VALUE: [*p_values, p_all],
    }


def _left_out(
    rows: npt.NDArray[np.int64],
    ids: npt.NDArray[np.int64],
    subjects: pd.DataFrame,
    scores: Scores,
    number: int,
) -> dict[str, list[float]]:
    """Count missing scores by group: of subjects, then of pairs of case and label by their masks."""

    def by_id(ids: npt.NDArray[np.int64]) -> list[float]:
        counted = np.bincount(ids[ids >= 0], minlength=number)
        return [*counted.astype(float), float(counted.sum())]

    counts = {}
    # All distances are missing for the same subjects: the first one stands for them.
    distances = [name for name in scores.metrics if name in DISTANCES]
    group_of_subject, group = subjects["group"].to_numpy(), ids[rows]
    for name in [*(name for name in scores.metrics if name == "dice"), *distances[:1]]:
        plain = scores.title if name == "dice" else METRICS[name].title
        counts[f"Subjects without {plain}"] = by_id(group_of_subject[np.isnan(subjects[name].to_numpy())])
    if set(VOXELS) <= set(scores.table):
        predicted, true = (scores.table[name].to_numpy()[rows] > 0 for name in VOXELS)
        counts["Structures missed (prediction empty)"] = by_id(group[~predicted & true])
        counts["Structures invented (reference empty)"] = by_id(group[predicted & ~true])
        counts["Structures in neither mask"] = by_id(group[~predicted & ~true])
    counts["Subjects of unknown group"] = [*[np.nan] * number, float((group_of_subject < 0).sum())]
    return counts
