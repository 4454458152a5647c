"""From rows of cases and labels to one row a subject: who is in which group, and the score of each label.

Groups are compared by subjects. A subject whose cases are of several groups of one attribute is in none of
them, and is named; so it is with a subject of unknown group.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairseg.cohort.groups import Groups
from fairseg.metrics.fairness import Floats
from fairseg.scoring.table import Scores


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
    return [str(subject) for subject in scores.table["subject"].unique()]


def membership(scores: Scores, groups: Groups) -> Membership:
    """Return which group each subject is in.

    >>> scores = Scores.of({"subject": ["a", "a", "b", "c"], "sex": ["F", "M", "M", None], "dice": [0.9] * 4})
    >>> membership(scores, Groups.from_table(scores.table, by="sex"))
    Membership(ids=array([-1,  1, -1]), shared=['a'], unknown=['c'])
    """
    rows = pd.DataFrame({"subject": scores.table["subject"], "group": groups.encode(scores.table)})
    known = rows[rows["group"] >= 0].drop_duplicates()
    count = known.groupby("subject", sort=False).size()
    names = pd.Index(subject_names(scores))
    number = count.reindex(names).fillna(0).to_numpy()
    ids = known.drop_duplicates("subject").set_index("subject")["group"].reindex(names).fillna(-1)
    return Membership(
        np.where(number == 1, ids.to_numpy(), -1).astype(np.int64),
        names[number > 1].tolist(),
        names[number == 0].tolist(),
    )


def structure_scores(scores: Scores, metric: str = "dice") -> Floats:
    """Return the mean over a subject's cases of each label, float64 (N, L); NaN where it has no value.

    Rows in the order of `subject_names`, columns in that of `scores.labels`.
    """
    table = scores.table
    means = table.pivot_table(index="subject", columns="label", values=metric, aggfunc="mean", dropna=False)
    means = means.reindex(index=subject_names(scores), columns=scores.labels)
    return means.to_numpy(dtype=np.float64)


def covariate(scores: Scores, name: str) -> tuple[list[str | None], list[str]]:
    """Return an attribute, one value a subject, and the subjects whose cases disagree on it.

    Of those that disagree it is missing.
    """
    rows = scores.table[["subject", name]].dropna().drop_duplicates()
    count = rows.groupby("subject", sort=False).size()
    names = pd.Index(subject_names(scores))
    many = names[count.reindex(names).fillna(0).to_numpy() > 1].tolist()
    values = rows[~rows["subject"].isin(many)].set_index("subject")[name].reindex(names)
    return [None if pd.isna(value) else value for value in values], many


def strata(
    scores: Scores, names: Sequence[str], bins: Mapping[str, Sequence[float]]
) -> tuple[Groups, Membership]:
    """Return the strata that the levels of some attributes make, and the stratum of each subject."""
    edges = {name: bins[name] for name in names if name in bins}
    groups = Groups.from_table(scores.table, by=tuple(names), bins=edges)
    return groups, membership(scores, groups)
