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
from fairseg.cohort.ids import GroupIds, as_ids
from fairseg.cohort.short_names import short_names
from fairseg.io.sentences import brief
from fairseg.metrics import by_group, fairness_gap, iqr, mann_whitney_u, skewed_error_ratio, split_by_group
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
        return short_names(self.groups)

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
        members = self.subjects.loc[self.subjects["group"] >= 0, "subject"]
        return [str(subject) for subject in members[members.duplicated()].unique()]

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
    numbered = {name: pd.factorize(checked.table[name])[0] for name in ("subject", "case")}
    rows = checked.table.assign(group=ids, **numbered)  # numbers group several times as fast as names
    parts = [(OVERALL, rows), *((str(name), part) for name, part in rows.groupby("label", sort=False))]
    return [
        _summary(name, part, checked, groups, chosen, *((None, None) if number else (overall, common)))
        for number, (name, part) in enumerate(parts)
    ]


def _summary(
    structure: str,
    rows: pd.DataFrame,
    scores: Scores,
    groups: Groups,
    reference: int | None,
    overall: Mapping[str, float] | None,
    common: Sequence[str] | None,
) -> Summary:
    metrics = scores.metrics
    subjects = _subject_scores(rows, metrics, common)
    names = scores.table["subject"].drop_duplicates().array
    subjects["subject"] = names.take(subjects["subject"].to_numpy())
    if overall is not None and "dice" in metrics:
        subjects["dice"] = subjects["subject"].astype(str).map(overall).astype(float)
    columns = [*groups.names, ALL]
    table: dict[str, list[float]] = {}
    group = subjects["group"].to_numpy()
    in_group, ids = group >= 0, as_ids(group, known=len(groups))
    for metric in metrics:
        values = subjects[metric].to_numpy()
        everyone = values[in_group & ~np.isnan(values)]
        median, count = by_group(values, ids)
        spread, _ = by_group(values, ids, "iqr")
        spread[count < 2] = np.nan  # one subject has no spread
        name = scores.title if metric == "dice" else title(metric, scores.unit or "mm")
        table[f"Median {name}"] = [*median, np.median(everyone) if everyone.size else np.nan]
        table[f"IQR {name}"] = [*spread, iqr(everyone) if everyone.size > 1 else np.nan]
    if "dice" in metrics:
        table |= _fairness(subjects, ids, reference)
    table |= _left_out(rows, subjects, scores, len(groups))
    frame = pd.DataFrame.from_dict(table, orient="index", columns=columns, dtype=float)
    return Summary(structure, groups, reference, frame, subjects, scores.unit or "mm", scores.title)


def _subject_scores(rows: pd.DataFrame, metrics: Sequence[str], common: Sequence[str] | None) -> pd.DataFrame:
    """Return one row a subject and group: the mean over common labels per case, then over cases."""
    if set(VOXELS) <= set(rows.columns):
        missed = (rows[VOXELS[0]] == 0) != (rows[VOXELS[1]] == 0)
    else:  # a table made elsewhere: Dice 0 without a distance means that one mask was empty
        missed = rows["dice"] == 0 if "dice" in rows else pd.Series(False, index=rows.index)
    keys = ["subject", "group"]
    # Infinity marks a miss while means are taken: it survives them, where NaN would drop out.
    scores = rows[list(metrics)].mask(missed.to_numpy()[:, None] & rows[list(metrics)].isna(), np.inf)
    if common is not None:
        scores[~rows["label"].isin(common)] = np.nan
    with np.errstate(invalid="ignore"):
        by_case = scores.groupby([rows[key] for key in (*keys, "case")], sort=False).mean()
        by_subject = by_case.groupby(level=keys, sort=False).mean()
    return by_subject.replace(np.inf, np.nan).reset_index()


def _fairness(subjects: pd.DataFrame, ids: GroupIds, reference: int | None) -> dict[str, list[float]]:
    dice = subjects["dice"].to_numpy()
    median, _ = by_group(dice, ids)
    values = split_by_group(dice, ids)
    num_groups = len(values)
    empty = [np.nan] * num_groups
    gaps, p_values, p_all = list(empty), list(empty), np.nan
    # The test asks for independent samples; a subject in two groups breaks that.
    independent = not subjects.loc[subjects["group"] >= 0, "subject"].duplicated().any()
    if reference is not None:
        compared = [code for code in range(num_groups) if code != reference]
        for code in compared:
            gaps[code] = median[reference] - median[code]
            if independent:
                p_values[code] = mann_whitney_u(values[reference], values[code])
        if num_groups == 2:
            p_all = p_values[compared[0]]
    elif num_groups == 2 and independent:
        p_all = mann_whitney_u(*values)
    return {
        SER: [*empty, skewed_error_ratio(median)],
        GAP: [*gaps, fairness_gap(median, reference)],
        P_VALUE: [*p_values, p_all],
    }


def _left_out(
    rows: pd.DataFrame, subjects: pd.DataFrame, scores: Scores, number: int
) -> dict[str, list[float]]:
    """Count missing scores by group: of subjects, then of pairs of case and label by their masks."""

    def by_id(ids: npt.NDArray[np.int64]) -> list[float]:
        counted = np.bincount(ids[ids >= 0], minlength=number)
        return [*counted.astype(float), float(counted.sum())]

    counts = {}
    # All distances are missing for the same subjects: the first one stands for them.
    distances = [name for name in scores.metrics if name in DISTANCES]
    group = subjects["group"].to_numpy()
    for name in [*(name for name in scores.metrics if name == "dice"), *distances[:1]]:
        plain = scores.title if name == "dice" else METRICS[name].title
        counts[f"Subjects without {plain}"] = by_id(group[subjects[name].isna().to_numpy()])
    if set(VOXELS) <= set(rows.columns):
        group = rows["group"].to_numpy()
        predicted, true = (rows[name].to_numpy() > 0 for name in VOXELS)
        counts["Structures missed (prediction empty)"] = by_id(group[~predicted & true])
        counts["Structures invented (reference empty)"] = by_id(group[predicted & ~true])
        counts["Structures in neither mask"] = by_id(group[~predicted & ~true])
    unknown = float(subjects.loc[subjects["group"] < 0, "subject"].nunique())
    counts["Subjects of unknown group"] = [*[np.nan] * number, unknown]
    return counts
