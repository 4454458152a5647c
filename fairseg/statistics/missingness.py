"""What is missing, by group: structures that were missed or invented, and attributes that are not known.

Missing values are no accident that statistics may skip: if one group's hearts are overlooked more often, or
its scanner is not recorded, that is a finding of its own, and it bends every comparison of the rest.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairseg.cohort.attributes import Subjects, attribute_names, read_subjects
from fairseg.cohort.columns import DISTANCES, IN_PIXELS, NOTE, VOXELS
from fairseg.cohort.reading import as_table
from fairseg.cohort.table import is_skipped, read_numbers
from fairseg.cohort.vectors import Vector
from fairseg.io.sentences import counted, listed, p_text
from fairseg.metrics.earlier_forms import accepts_num_groups
from fairseg.metrics.grouped import group_ids
from fairseg.statistics.association import count_test
from fairseg.statistics.significance import holm

MISSED = "structure missed"
INVENTED = "structure invented"
ZERO = "Dice of 0"
DISTANCE = "distance missing"
OTHER_UNIT = "distance in pixels left out"
MEASURE = "measure missing"
ATTRIBUTE = "attribute unknown"
GROUP = "group unknown"
_PLAIN = {MISSED: "Missed structures", INVENTED: "Invented structures"}
_PLAIN[DISTANCE] = "Missing distances"
_PLAIN[OTHER_UNIT] = "Distances left out because they are in pixels, and others in mm,"
_SIGNIFICANT = 0.05


@accepts_num_groups(ids="groups")
def missingness(scores: pd.DataFrame, groups: Vector) -> pd.DataFrame:
    """Count the subjects of each group for whom something is missing.

    A structure is missed in a subject if in some case the reference has a label that the prediction lacks,
    and invented if the prediction has one that the reference lacks. A table without the columns
    prediction_voxels and reference_voxels cannot tell these apart, nor from a prediction beside the
    structure: subjects with a Dice of 0 are counted instead. A distance is missing where a row has none
    though its Dice is above 0 or the table has no Dice; apart from these stand those that were left out for
    their unit, as the column note says. An attribute is unknown if none of the subject's
    cases has a value.

    Args:
        scores: as from `evaluate` or `read_scores`; of a cohort, the attributes alone are counted. Cases that
            were skipped take no part.
        groups: the group of each row, (N,), ids or names as in `by_group`.

    Returns:
        One row for each kind (and attribute) and group: kind ("structure missed", "structure invented", "Dice
        of 0", "distance missing", "distance in pixels left out", "attribute unknown"), attribute ("" but for
        the last), group (its id, or its name where names went in), count, n (subjects of the group), share
        (count / n, NaN for an absent group), p and test of the kind (`count_test`, as in `cohort_table`; NaN
        and "" where there is nothing to compare), and p_holm, corrected for all kinds tested (Holm 1979).
        Last comes one row of kind "group unknown" and group -1, or "unknown" beside names: these subjects,
        out of all. A subject with cases in several groups counts in each, and then nothing is tested.

    Raises:
        ValueError: it is no table, names no subjects, or holds a score that is no number; or groups do not
            fit it.

    >>> scores = pd.DataFrame({
    ...     "case": ["a", "b", "c", "d"], "label": "LV", "dice": [0.9, 0.8, 0.0, 0.0],
    ...     "prediction_voxels": [9, 8, 0, 0], "reference_voxels": [8, 9, 7, 6],
    ... })
    >>> table = missingness(scores, ["F", "F", "M", None])
    >>> table.loc[table["kind"] != "structure invented", ["kind", "group", "count", "n", "share"]]
                   kind    group  count  n  share
    0  structure missed        F      0  2   0.00
    1  structure missed        M      1  1   1.00
    4     group unknown  unknown      1  4   0.25
    """
    given = group_ids(groups)
    num_groups, ids = given.num_groups, given.ids
    scores = as_table(scores, "scores")
    if ids.shape == (len(scores),):
        there = ~is_skipped(scores)
        scores, ids = scores[there], ids[there]
    subjects = read_subjects(scores, ids, num_groups)
    concerned: list[tuple[str, str, npt.NDArray[np.bool_]]] = []
    if set(VOXELS) <= set(scores.columns):
        predicted, true = (read_numbers(scores[name], "scores").to_numpy() for name in VOXELS)
        concerned.append((MISSED, "", _some_row(subjects, (predicted == 0) & (true > 0))))
        concerned.append((INVENTED, "", _some_row(subjects, (predicted > 0) & (true == 0))))
    dice = read_numbers(scores["dice"], "scores").to_numpy() if "dice" in scores else np.ones(len(scores))
    if "dice" in scores and not set(VOXELS) <= set(scores.columns):
        concerned.append((ZERO, "", _some_row(subjects, dice == 0)))
    if measured := [read_numbers(scores[name], "scores").to_numpy() for name in DISTANCES if name in scores]:
        lacking = np.any([np.isnan(values) for values in measured if not np.isnan(values).all()], axis=0)
        notes = scores[NOTE].astype(str) if NOTE in scores else pd.Series("", scores.index)
        in_pixels = notes.str.contains(IN_PIXELS, regex=False).to_numpy()
        concerned.append((DISTANCE, "", _some_row(subjects, lacking & (dice > 0) & ~in_pixels)))
        if in_pixels.any():
            concerned.append((OTHER_UNIT, "", _some_row(subjects, in_pixels)))
    for name in attribute_names(scores):
        attribute, _ = subjects.attribute(scores, name)
        concerned.append((ATTRIBUTE, str(name), ~attribute.known))
    index, group = subjects.members.T
    n = np.bincount(group[group >= 0], minlength=num_groups)
    counts = [np.bincount(group[(group >= 0) & some[index]], minlength=num_groups) for *_, some in concerned]
    tests = [
        (np.nan, "") if subjects.shared else count_test(np.stack([count, n - count])) for count in counts
    ]
    corrected = holm([p for p, _ in tests])
    rows: list[tuple[Any, ...]] = []
    for (kind, name, _), count, (p, test), p_holm in zip(concerned, counts, tests, corrected, strict=True):
        rows += [
            (kind, name, number, count[number], n[number], _share(count[number], n[number]), p, test, p_holm)
            for number in range(num_groups)
        ]
    unknown, everyone = int((group < 0).sum()), len(subjects.names)
    rows.append((GROUP, "", -1, unknown, everyone, _share(unknown, everyone), np.nan, "", np.nan))
    columns = ["kind", "attribute", "group", "count", "n", "share", "p", "test", "p_holm"]
    table = pd.DataFrame(rows, columns=columns)
    return table if given.names is None else _named(table, given.names)


def missingness_sentences(
    table: pd.DataFrame,
    names: Sequence[str] | None = None,
    *,
    title: str = "Dice",
    tolerated: float = 1.0,
) -> list[str]:
    """Say in plain English what is not missing evenly: one sentence for each kind with p_holm < 0.05.

    One, too, of what is missing in a larger share of a group than is tolerated, evenly or not. Groups stand
    in the order of their shares, the largest first, with the corrected p-value.

    Args:
        table: from `missingness`.
        names: of the groups, in the order of their ids, if the table has ids.
        title: of the score that stands in the column dice.
        tolerated: share of 1 of a group.

    >>> counts = {"kind": "structure missed", "attribute": "", "p_holm": 0.0001}
    >>> table = pd.DataFrame({**counts, "group": [0, 1], "count": [5, 9], "n": [12, 400]})
    >>> missingness_sentences(table.assign(share=table["count"] / table["n"]), ["Black", "White"])
    ['Missed structures are not spread evenly: 5 of 12 subjects of Black (42%) against 9 of 400 of White (2%),
    p < 0.001.']
    """
    if names is not None:
        if wrong := sorted(set(table["group"]) - set(range(-1, len(names)))):
            raise ValueError(
                f"names must be one for each group of the table, got {len(names)}, not of {wrong[0]}"
            )
        table = _named(table, names)
    sentences = []
    plain = {**_PLAIN, ZERO: f"Structures whose {title} is 0"}
    kinds: dict[tuple[str, str], list[dict[Hashable, Any]]] = {}
    for row in table.to_dict("records"):
        kinds.setdefault((row["kind"], row["attribute"]), []).append(row)
    for (kind, attribute), rows in kinds.items():
        p = float(rows[0]["p_holm"])
        uneven = p < _SIGNIFICANT
        if not uneven and not any(row["share"] > tolerated for row in rows):
            continue
        without = "Missing" if kind == MEASURE else "Unknown"
        what = plain.get(kind, f"{without} values of {attribute}")
        present = sorted((row for row in rows if row["n"] > 0), key=lambda row: -row["share"])
        parts = [_part(row, number == 0) for number, row in enumerate(present)]
        if uneven:
            against = f"{parts[0]} against {listed(parts[1:])}"
            sentences.append(f"{what} are not spread evenly: {against}, {p_text(p)}.")
        else:
            sentences.append(f"{what.rstrip(',')}: {listed(parts)}.")
    return sentences


def _named(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return the table with names in place of ids."""
    return table.assign(group=[[*names, "unknown"][group] for group in table["group"]])


def _some_row(subjects: Subjects, concerned: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return for each subject whether any of its rows is concerned."""
    return np.bincount(subjects.rows[concerned], minlength=len(subjects.names)) > 0


def _share(count: int, n: int) -> float:
    return count / n if n else float("nan")


def _part(row: Mapping[Hashable, Any], first: bool) -> str:
    of = counted(row["n"], "subject") if first else row["n"]
    percent = 100 * row["share"]
    return f"{row['count']} of {of} of {row['group']} ({percent:.{int(0 < percent < 1)}f}%)"
