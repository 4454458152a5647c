"""Folds of cross-validation in which every group has its part, in the file that nnU-Net looks for."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from fairseg.cohort import fold_subjects
from fairseg.groups import Groups
from fairseg.integrations.nnunet.cases import attributes_of, read_rows, table_of
from fairseg.metrics.images import find_masks
from fairseg.report.files import write_files

FILE = "splits_final.json"


def write_splits(
    dataset: str,
    *,
    by: Sequence[str] = (),
    bins: Mapping[str, Sequence[float]] | None = None,
    table: str | Path | None = None,
    folds: int = 5,
    seed: int = 0,
    replace_file: bool = False,
) -> pd.DataFrame:
    """Write splits_final.json, stratified by group, with all cases of a subject in one fold.

    Without it nnU-Net makes a split of its own, at random over cases: it knows neither subjects nor groups.

    Args:
        dataset: its name or number, as nnU-Net takes it: `Dataset027_ACDC` or 27.
        by: attributes whose cells are the groups; default: the only one that the table has.
        bins: of numeric attributes, as in `Groups.from_table`.
        table: of cases; default: groups.csv in the raw dataset.
        folds: how many.
        seed: the same seed gives the same folds.
        replace_file: replace a splits_final.json that is there. Networks that were trained by it would then
            be validated on cases that they know.

    Returns:
        Validation subjects of each group (rows, "unknown" among them) in each fold (columns).

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
    cases = sorted(find_masks(raw / name / "labelsTr", "labelsTr"))
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
    return counts.reindex(index=order, columns=range(folds), fill_value=0)


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


def _folder(variable: str) -> Path:
    value = os.environ.get(variable)
    if not value:
        raise ValueError(f"nnU-Net's variable {variable} is not set")
    return Path(value)
