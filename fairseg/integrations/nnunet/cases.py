"""The group of each of nnU-Net's cases, and how often it is drawn: groups.csv, checked."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairseg.cohort.case_names import cohort_as_files, hint_of_column
from fairseg.cohort.columns import NOTE
from fairseg.cohort.groups import Groups
from fairseg.cohort.table import read_cohort, read_numbers, rows_of
from fairseg.io.sentences import counted, did_you_mean, listed, no_attribute


@dataclass(frozen=True)
class CaseGroups:
    """The groups of a dataset's training cases."""

    groups: Groups  # those with a training case
    ids: Mapping[str, int]  # group id of each training case; -1 is unknown
    subjects: Mapping[str, str]  # subject of each training case
    validation_ids: Mapping[str, int]  # group id of each case to validate on; -1 is unknown
    untrained: Mapping[str, int]  # cases to validate on of each group without a training case

    @property
    def counts(self) -> tuple[int, ...]:
        """Training cases of each group, (G,)."""
        return tuple(int(count) for count in self.groups.counts(np.array(list(self.ids.values()))))

    @property
    def fingerprint(self) -> dict[str, str]:
        """SHA-256 of the training cases, by name, and of the group of each."""
        parts = {"cases": sorted(self.ids), "groups": sorted(self.ids.items())}
        return {name: sha256(json.dumps(part).encode()).hexdigest() for name, part in parts.items()}

    def __str__(self) -> str:
        cases = ", ".join(
            f"{name} {count}" for name, count in zip(self.groups.names, self.counts, strict=True)
        )
        unknown = sum(number < 0 for number in self.ids.values())
        text = f"training cases by {' and '.join(self.groups.attributes)}: {cases}; unknown {unknown}"
        untrained = ", ".join(f"{name} {count}" for name, count in self.untrained.items())
        return text + (f"; to validate on, and none to train on: {untrained}" if untrained else "")


def table_of(dataset_name: str) -> Path:
    """Return the place of a dataset's table of cases: beside its dataset.json.

    Never inside that file, which nnU-Net copies into every folder of results.
    """
    raw = folder_of("nnUNet_raw", hint="; set it, or name the table by FAIRSEG_GROUPS")
    return raw / dataset_name / "groups.csv"


def folder_of(variable: str, *, hint: str = "") -> Path:
    """Return the folder that a variable of nnU-Net names.

    Raises:
        ValueError: the variable is not set.
    """
    value = os.environ.get(variable)
    if not value:
        raise ValueError(f"nnU-Net's variable {variable} is not set{hint}")
    return Path(value)


def make_groups(
    file: Path,
    rows: pd.DataFrame,
    by: Sequence[str],
    bins: Mapping[str, Sequence[float]] | None = None,
    *,
    weight: str = "",
) -> tuple[Groups, npt.NDArray[np.int64]]:
    """Make the groups of some cases.

    Args:
        file: the table of cases, for errors.
        rows: those of the cases, as from `read_rows`.
        by: attributes; none means the only one that the table has.
        bins: of numeric attributes, as in `Groups.from_table`.
        weight: a column that is no attribute unless `by` says so.

    Returns:
        The groups, and the group id of each case, -1 for unknown.

    Raises:
        ValueError: an attribute is not in the table, none was named and there is not exactly one, or as
            `Groups.from_table`.
    """
    attributes = attributes_of(rows)
    if absent := [name for name in by if name not in attributes]:
        raise ValueError(no_attribute(file, absent[0], attributes))
    default = attributes_of(rows, weight)
    if not by and len(default) != 1:
        raise ValueError(
            f"{file} has {counted(len(default), 'attribute')} ({', '.join(default)}): say which makes"
            " the groups, by the variable FAIRSEG_BY, such as FAIRSEG_BY=sex"
        )
    try:
        groups = Groups.from_table(rows, by=by or default, bins=bins)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    groups.warn_of_levels()
    return groups, groups.encode(rows)


def group_cases(
    file: Path,
    training: Sequence[str],
    validation: Sequence[str] = (),
    *,
    by: Sequence[str] = (),
    bins: Mapping[str, Sequence[float]] | None = None,
    weight: str = "",
) -> CaseGroups:
    """Return the groups of the training cases, as from `make_groups`, and those of the validation cases.

    Raises:
        ValueError: as `read_rows` and `make_groups`; or the training cases are all of one group.
    """
    both = list(dict.fromkeys([*training, *validation]))  # the fold "all" validates on its training cases
    everything = read_rows(file, both)
    rows = rows_of(everything, training)
    groups, ids = make_groups(file, rows, by, bins, weight=weight)
    if len(groups) < 2:
        raise ValueError(
            f"{file}: the training cases must be of at least two groups by"
            f" {' and '.join(groups.attributes)}, all {int((ids >= 0).sum())} that are known are of"
            f" {groups.names[0]}"
        )
    validated = rows_of(everything, validation)
    validation_ids = groups.encode(validated)
    return CaseGroups(
        groups,
        dict(zip(rows["case"], ids.tolist(), strict=True)),
        dict(zip(rows["case"], rows["subject"].astype(str), strict=True)),
        dict(zip(validation, validation_ids.tolist(), strict=True)),
        _untrained(everything, validated, groups, bins) if (validation_ids < 0).any() else {},
    )


def _untrained(
    everything: pd.DataFrame,
    validated: pd.DataFrame,
    groups: Groups,
    bins: Mapping[str, Sequence[float]] | None,
) -> dict[str, int]:
    """Count the cases to validate on of each group without a training case."""
    try:
        all_groups = Groups.from_table(everything, by=groups.attributes, bins=bins)
    except ValueError:  # numbers that the training cases do not have: this count is only logged
        return {}
    cases = zip(all_groups.names, all_groups.counts(all_groups.encode(validated)).tolist(), strict=True)
    return {name: count for name, count in cases if count and name not in groups.names}


def read_weights(file: Path, cases: Sequence[str], column: str) -> dict[str, float]:
    """Return the weight by which each case is drawn, from a column of the table of cases.

    Raises:
        ValueError: as `read_rows`; the table has no such column; or a case has no number of at least 0.
    """
    rows = read_rows(file, cases)
    if column not in rows:
        attributes = attributes_of(rows)
        raise ValueError(
            f"{file} has no column {column!r} to draw cases by, it has {', '.join(attributes) or 'none'}:"
            f" name one by the variable FAIRSEG_WEIGHT{did_you_mean(column, attributes)}"
        )
    weights = read_numbers(rows.set_index("case")[column], str(file))
    if wrong := [str(case) for case, weight in weights.items() if not weight >= 0]:
        raise ValueError(
            f"{file}: {column} must be a number of 0 or more, is not for {counted(len(wrong), 'case')}:"
            f" {listed(wrong)}"
        )
    if not weights.any():
        raise ValueError(f"{file}: {column} must be above 0 for a training case, is 0 for all")
    return {str(case): float(weight) for case, weight in weights.items()}


def attributes_of(rows: pd.DataFrame, weight: str = "") -> list[str]:
    """Return the columns that describe a case, without the one of its weight."""
    return [name for name in rows.columns if name not in ("case", "subject", NOTE, weight)]


def read_rows(file: Path, cases: Sequence[str]) -> pd.DataFrame:
    """Read the table and return the rows of these cases, in their order; each must have one."""
    if not file.is_file():
        raise ValueError(
            f"{file} is not there: put the table of cases (columns case, subject and the attributes) beside"
            " the dataset.json of the raw dataset, or name it by FAIRSEG_GROUPS"
        )
    cohort = cohort_as_files(read_cohort(file), cases)
    if without := sorted(set(cases) - set(cohort["case"])):
        raise ValueError(
            f"{file} has no row for {counted(len(without), 'case')} of {len(cases)}: {listed(without)}. A"
            " case is named as its file in labelsTr without extension; the table has"
            f" {listed(cohort['case'].tolist())}{hint_of_column(cohort, without, 'call it case')}"
        )
    return rows_of(cohort, cases)
