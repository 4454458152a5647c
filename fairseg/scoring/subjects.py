"""From rows of cases and labels to one row a subject: its group, and its score of each label.

Groups are compared by subjects. A subject whose cases are of several groups of one attribute is in none of
them, and is named; so is a subject of unknown group.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairseg.cohort.attributes import read_attribute
from fairseg.cohort.columns import SHARES, VOLUMES, VOXELS
from fairseg.cohort.groups import Groups
from fairseg.io.sentences import listed
from fairseg.metrics.fairness import Floats
from fairseg.scoring.table import Scores
from fairseg.scoring.wide import hint_of_wide

STRUCTURE_SIZE = "structure size"  # the size of the reference masks, which gaps can be adjusted for


@dataclass(frozen=True)
class Membership:
    """The group of each subject.

    Attributes:
        ids: int64 (N,), in the order of `subject_names`; -1 where the group is unknown or not one.
        shared: the subjects with cases in several groups.
        unknown: the subjects of unknown group.
    """

    ids: npt.NDArray[np.int64]
    shared: list[str]
    unknown: list[str]


def subject_names(scores: Scores) -> list[str]:
    """Return the subjects, in the order of the table."""
    return scores.subjects[1]


def membership(scores: Scores, groups: Groups) -> Membership:
    """Return which group each subject is in.

    >>> scores = Scores.of({"subject": ["a", "a", "b", "c"], "sex": ["F", "M", "M", None], "dice": [0.9] * 4})
    >>> membership(scores, Groups.from_table(scores.table, by="sex"))
    Membership(ids=array([-1,  1, -1]), shared=['a'], unknown=['c'])
    """
    subject, names = scores.subjects
    pairs = np.stack([subject, groups.encode(scores.table)], axis=1)
    subject, group = np.unique(pairs[pairs[:, 1] >= 0], axis=0).T
    number = np.bincount(subject, minlength=len(names))
    ids = np.full(len(names), -1, dtype=np.int64)
    ids[subject] = group
    shared, unknown = ([names[row] for row in np.flatnonzero(rows)] for rows in (number > 1, number == 0))
    return Membership(np.where(number == 1, ids, -1), shared, unknown)


def lost_cases(scores: Scores, groups: Groups, *, skipped_only: bool = False) -> tuple[tuple[int, int], ...]:
    """Count the subjects with a case without a score, and all, of each group; last of no group.

    Such a case was skipped, or, unless `skipped_only`, has no score of any label. Empty if there is none.

    >>> table = {"case": ["a", "b", "c"], "sex": ["F", "M", "M"], "dice": [0.9, 0.9, None]}
    >>> scores = Scores.of(table | {"label": ["LV", "LV", None], "skipped": [None, None, "no file"]})
    >>> lost_cases(scores, Groups.from_table(scores.table, by="sex"))
    ((0, 1), (1, 2), (0, 0))
    """
    rows = scores.all_rows
    skipped = np.arange(len(rows)) >= len(scores.table)
    scored = ~skipped if skipped_only or "dice" not in rows else rows["dice"].notna().to_numpy()
    if scored.all():
        return ()
    rows = pd.DataFrame({**rows[["subject", "case"]], "group": groups.encode(rows), "scored": scored})
    of_case = rows.groupby(["group", "subject", "case"], sort=False)["scored"].any()
    if of_case.all():
        return ()
    lost = ~of_case.groupby(level=["group", "subject"]).all()
    of_group = [lost[lost.index.get_level_values("group") == code] for code in (*range(len(groups)), -1)]
    return tuple((int(one.sum()), len(one)) for one in of_group)


def check_judged(scores: Scores, where: str = "scores") -> None:
    """Raise a ValueError unless scores have a share of 1 to judge by, with a number in some row.

    Args:
        scores: of one model.
        where: their name in the error.
    """
    if "dice" not in scores.table:
        shares = [name for name in scores.metrics if name in SHARES]
        hint = hint_of_wide(scores.table.drop(columns="label"))
        to_do = f"say metric={shares[0]!r} (--metric {shares[0]})" if shares else "distances stand beside it"
        raise ValueError(
            f"{where} must have a column to judge by, a share of 1, higher better, such as dice, nsd or iou; "
            f"got {listed(scores.metrics)}: {to_do}{hint}"
        )
    if scores.table["dice"].isna().all():
        raise ValueError(f"{where} must have a number of {scores.title} in some row, got none")


def structure_scores(scores: Scores, metric: str = "dice") -> Floats:
    """Return the mean over a subject's cases of each label, float64 (N, L); NaN where it has no value.

    Rows in the order of `subject_names`, columns in that of `scores.labels`.
    """
    return scores.means[metric].copy()


def covariate(scores: Scores, name: str) -> tuple[list[str | None], list[str]]:
    """Return an attribute, one value a subject, and the subjects whose cases disagree: theirs is missing."""
    rows = scores.table[["subject", name]].dropna().drop_duplicates()
    count = rows.groupby("subject", sort=False).size()
    names = pd.Index(subject_names(scores))
    many = names[count.reindex(names).fillna(0).to_numpy() > 1].tolist()
    values = rows[~rows["subject"].isin(many)].set_index("subject")[name].reindex(names)
    return [None if pd.isna(value) else value for value in values], many


def structure_sizes(scores: Scores, label: str | None = None) -> "tuple[pd.Series[float], str] | None":
    """Return the size of each subject's reference masks, the mean over its cases, and its unit.

    In ml where files state a voxel size, else in voxels; None if the table has neither. Without a label it is
    that of all labels together.
    """
    columns = ((VOLUMES[1], "ml"), (VOXELS[1], "voxels"))
    column, unit = next((pair for pair in columns if pair[0] in scores.table), (None, ""))
    if column is None:
        return None
    subject, names = scores.subjects
    if label is None:
        case = pd.factorize(scores.table["case"])[0]
        of_case = scores.table[column].groupby(subject * len(case) + case).sum(min_count=1)
        mean = of_case.groupby(of_case.index.to_numpy() // len(case)).mean().to_numpy()
    else:
        mean = structure_scores(scores, column)[:, scores.labels.index(label)]
    return pd.Series(np.where(mean > 0, mean, np.nan), pd.Index(names, dtype=object)), unit


def strata(
    scores: Scores, names: Sequence[str], bins: Mapping[str, Sequence[float]]
) -> tuple[Groups, Membership]:
    """Return the strata that some attributes make, and the stratum of each subject.

    Numbers without bins, and the size of the structures, are cut into fifths of the subjects, which take away
    nine tenths of what a confounder does to a mean (Cochran, Biometrics 1968).

    Raises:
        ValueError: no sizes are known.
    """
    table = scores.table
    if STRUCTURE_SIZE in names:
        if (sizes := structure_sizes(scores)) is None:
            raise ValueError(
                f"adjust: {STRUCTURE_SIZE!r} needs the voxel counts or volumes of the reference masks"
            )
        table = table.assign(**{STRUCTURE_SIZE: table["subject"].map(sizes[0])})
    edges = {name: bins[name] for name in names if name in bins}
    for name in names:
        if name not in bins and (numbers := _numbers(table, name)) is not None:
            edges[name] = _fifths(numbers)
    groups = Groups.from_table(table, by=tuple(names), bins=edges)
    return groups, membership(replace(scores, table=table), groups)


def in_fifths(scores: Scores, name: str, bins: Mapping[str, Sequence[float]]) -> bool:
    """Return whether `strata` cuts an attribute into fifths: it has numbers, and no bins."""
    return name == STRUCTURE_SIZE or (name not in bins and _numbers(scores.table, name) is not None)


def _numbers(table: pd.DataFrame, name: str) -> Floats | None:
    """Return the known numbers of an attribute, one a subject; None if it has levels."""
    numbers = read_attribute(name, table.drop_duplicates("subject")[name]).numbers
    return None if numbers is None else numbers[~np.isnan(numbers)]


def _fifths(numbers: Floats) -> list[float]:
    edges = np.unique(np.quantile(numbers, [0.2, 0.4, 0.6, 0.8], method="inverted_cdf"))
    above = edges[edges > numbers.min()]
    return [float(edge) for edge in above] or [float(numbers[numbers > numbers.min()].min())]
