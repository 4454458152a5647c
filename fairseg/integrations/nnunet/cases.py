"""Which group each of nnU-Net's cases belongs to: groups.csv, checked against the cases of the dataset."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

from fairseg.cohort.groups import Groups
from fairseg.cohort.table import read_cohort, rows_of
from fairseg.io.sentences import counted, listed


@dataclass(frozen=True)
class CaseGroups:
    """The groups of a dataset's training cases.

    Attributes:
        groups: those with a training case.
        ids: group id of each training case; -1 is unknown.
        subjects: subject of each training case.
    """

    groups: Groups
    ids: Mapping[str, int]
    subjects: Mapping[str, str]

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
        return f"training cases by {' and '.join(self.groups.attributes)}: {cases}; unknown {unknown}"


def table_of(dataset_name: str) -> Path:
    """Return where the table of a dataset's cases belongs: beside its dataset.json.

    Never inside that file, which nnU-Net copies into every folder of results.

    Raises:
        ValueError: nnU-Net's variable nnUNet_raw is not set.
    """
    raw = os.environ.get("nnUNet_raw")  # noqa: SIM112  (nnU-Net's own spelling)
    if not raw:
        raise ValueError(
            "the table of groups lies in the raw dataset, but nnUNet_raw is not set; set it, or name the"
            " table by FAIRSEG_GROUPS"
        )
    return Path(raw) / dataset_name / "groups.csv"


def read_rows(file: Path, cases: Sequence[str]) -> pd.DataFrame:
    """Read the table and return the rows of these cases, in their order.

    Raises:
        ValueError: the file is not there or not as `read_cohort` wants it, or a case has no row.
    """
    if not file.is_file():
        raise ValueError(
            f"{file} is not there: put the table of cases (columns case, subject and the attributes) beside"
            " the dataset.json of the raw dataset, or name it by FAIRSEG_GROUPS"
        )
    cohort = read_cohort(file)
    if without := sorted(set(cases) - set(cohort["case"])):
        raise ValueError(
            f"{file} has no row for {counted(len(without), 'case')} of {len(cases)}: {listed(without)}. A"
            " case is named as its file in labelsTr without extension; the table has"
            f" {listed(cohort['case'].tolist())}"
        )
    return rows_of(cohort, cases)


def attributes_of(file: Path, rows: pd.DataFrame, by: Sequence[str]) -> tuple[str, ...]:
    """Return the attributes to group by: those asked for, or else the only one that the table has.

    Raises:
        ValueError: an attribute is not in the table, or none was asked for and there is not exactly one.
    """
    there = [name for name in rows.columns if name not in ("case", "subject")]
    if absent := [name for name in by if name not in there]:
        raise ValueError(f"{file} has no attribute {absent[0]!r}, it has {', '.join(there) or 'none'}")
    if not by and len(there) != 1:
        raise ValueError(
            f"{file} has {counted(len(there), 'attribute')} ({', '.join(there)}): say which makes the groups,"
            " by the variable FAIRSEG_BY, such as FAIRSEG_BY=sex"
        )
    return tuple(by) or tuple(there)


def group_cases(
    file: Path,
    training: Sequence[str],
    others: Sequence[str] = (),
    *,
    by: Sequence[str] = (),
    bins: Mapping[str, Sequence[float]] | None = None,
) -> CaseGroups:
    """Return the groups of the training cases.

    Args:
        file: the table of cases.
        training: names of the cases to train on.
        others: more cases that must have a row, such as those to validate on.
        by: attributes; default: the only one that the table has.
        bins: of numeric attributes, as in `Groups.from_table`.

    Raises:
        ValueError: as `read_rows`, `attributes_of` and `Groups.from_table`; or the training cases are all of
            one group.
    """
    read_rows(file, [*training, *others])
    rows = read_rows(file, training)
    asked = attributes_of(file, rows, by)
    try:
        groups = Groups.from_table(rows, by=asked, bins=bins)
    except ValueError as error:
        raise ValueError(f"{file}, of the training cases: {error}") from None
    ids = groups.encode(rows)
    if len(groups) < 2:
        raise ValueError(
            f"{file}: the training cases must be of at least two groups by {' and '.join(asked)}, all"
            f" {int((ids >= 0).sum())} that are known are of {groups.names[0]}"
        )
    return CaseGroups(
        groups,
        dict(zip(rows["case"], ids.tolist(), strict=True)),
        dict(zip(rows["case"], rows["subject"].astype(str), strict=True)),
    )
