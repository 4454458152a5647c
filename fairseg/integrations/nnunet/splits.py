"""Folds of cross-validation in which every group has its part, in the file that nnU-Net looks for."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fairseg.cohort.groups import Groups
from fairseg.cohort.table import fold_subjects
from fairseg.integrations.nnunet.cases import attributes_of, read_rows, table_of
from fairseg.integrations.nnunet.files import cases_in, file_ending
from fairseg.io.files import write_files
from fairseg.io.sentences import counted, listed

FILE = "splits_final.json"
PREPROCESSED = "gt_segmentations"


@dataclass(frozen=True, eq=False)
class Splits:
    """What `write_splits` has written.

    Attributes:
        counts: validation subjects of each group (rows, "unknown" among them) in each fold (columns).
        notes: which cases are preprocessed and not in labelsTr, or the other way round.
    """

    counts: pd.DataFrame
    notes: list[str]


def write_splits(
    dataset: str,
    *,
    by: Sequence[str] = (),
    bins: Mapping[str, Sequence[float]] | None = None,
    table: str | Path | None = None,
    folds: int = 5,
    seed: int = 0,
    replace_file: bool = False,
) -> Splits:
    """Write splits_final.json, stratified by group, with all cases of a subject in one fold.

    Without it nnU-Net makes a split of its own, at random over cases: it knows neither subjects nor groups.
    The cases are those that were preprocessed, whose segmentations nnU-Net keeps in gt_segmentations; where
    that folder is not there, those of labelsTr.

    Args:
        dataset: its name or number, as nnU-Net takes it: `Dataset027_ACDC` or 27.
        by: attributes whose cells are the groups; default: the only one that the table has.
        bins: of numeric attributes, as in `Groups.from_table`.
        table: of cases; default: groups.csv in the raw dataset.
        folds: how many.
        seed: the same seed gives the same folds.
        replace_file: replace a splits_final.json that is there. Networks that were trained by it would then
            be validated on cases that they know.

    Raises:
        ValueError: nnUNet_raw or nnUNet_preprocessed is not set, the dataset is not there or not
            preprocessed, the table is not as it must be, or the file is there.
    """
    raw, preprocessed = (_folder(variable) for variable in ("nnUNet_raw", "nnUNet_preprocessed"))
    name = dataset_name(dataset, raw)
    target = preprocessed / name / FILE
    if not target.parent.is_dir():
        raise ValueError(f"{target.parent} is not there: run nnUNetv2_plan_and_preprocess first")
    if target.exists() and not replace_file:
        raise ValueError(f"{target} is there; networks may have been trained by it")
    cases, notes = _cases(raw / name, target.parent)
    file = table_of(name) if table is None else Path(table)
    rows = read_rows(file, cases)
    asked = attributes_of(file, rows, by)
    try:
        groups = Groups.from_table(rows, by=asked, bins=bins)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    ids = groups.encode(rows)
    fold = fold_subjects(rows["subject"].tolist(), ids, folds, seed=seed)
    splits = [
        {
            "train": [case for case, number in zip(cases, fold, strict=True) if number != here],
            "val": [case for case, number in zip(cases, fold, strict=True) if number == here],
        }
        for here in range(folds)
    ]
    write_files(target.parent, {FILE: json.dumps(splits, indent=1) + "\n"})
    about = pd.DataFrame(
        {"subject": rows["subject"], "fold": fold, "group": [groups.name(number) for number in ids]}
    ).drop_duplicates("subject")
    counts = pd.crosstab(about["group"], about["fold"])
    order = [known for known in (*groups.names, "unknown") if known in counts.index]
    counts = counts.reindex(index=order, columns=range(folds), fill_value=0)
    return Splits(counts, notes)


def dataset_name(dataset: str, raw: Path) -> str:
    """Return the name of a dataset, `Dataset027_ACDC`, of its number or name.

    Raises:
        ValueError: there is none in the folder of raw datasets, or there are several of that number.
    """
    if str(dataset).isdecimal():
        found = sorted(path.name for path in raw.glob(f"Dataset{int(dataset):03d}_*") if path.is_dir())
    else:
        found = [str(dataset)] if (raw / str(dataset)).is_dir() else []
    if len(found) != 1:
        raise ValueError(f"{raw} must have one dataset {dataset}, has {' and '.join(found) or 'none'}")
    return found[0]


def _cases(raw: Path, preprocessed: Path) -> tuple[list[str], list[str]]:
    """Return the cases to split, and notes on how they differ from those of the raw dataset."""
    ending = file_ending(preprocessed, raw)
    labels, kept = raw / "labelsTr", preprocessed / PREPROCESSED
    if not kept.is_dir():
        return cases_in(labels, ending), []
    cases = cases_in(kept, ending)
    if not labels.is_dir():  # the dataset.json may name files that lie elsewhere
        return cases, []
    there = set(cases_in(labels, ending))
    new, gone = sorted(there - set(cases)), sorted(set(cases) - there)
    notes = []
    if new:
        notes.append(
            f"{counted(len(new), 'case')} in labelsTr not preprocessed, so in no fold: {listed(new)}; run"
            " nnUNetv2_plan_and_preprocess for them"
        )
    if gone:
        notes.append(f"{counted(len(gone), 'case')} preprocessed, but not in labelsTr: {listed(gone)}")
    return cases, notes


def _folder(variable: str) -> Path:
    value = os.environ.get(variable)
    if not value:
        raise ValueError(f"nnU-Net's variable {variable} is not set")
    return Path(value)
