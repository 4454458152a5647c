"""Folds of cross-validation by subject, every group in each, in the file that nnU-Net looks for."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fairseg.cohort.table import fold_subjects
from fairseg.integrations.nnunet.cases import attributes_of, folder_of, make_groups, read_rows, table_of
from fairseg.integrations.nnunet.files import cases_in, file_ending
from fairseg.io.files import write_files
from fairseg.io.outputs import reading
from fairseg.io.sentences import counted, listed

logger = logging.getLogger(__name__)

FILE = "splits_final.json"
EVERYONE = "everyone"
PREPROCESSED = "gt_segmentations"


def write_splits(
    dataset: str,
    *,
    by: Sequence[str] = (),
    bins: Mapping[str, Sequence[float]] | None = None,
    table: str | Path | None = None,
    weight: str = "",
    folds: int = 5,
    seed: int = 0,
    by_subject_only: bool = False,
    replace_file: bool = False,
) -> pd.DataFrame:
    """Write splits_final.json, with all cases of a subject in one fold, and stratified by group.

    Without it nnU-Net makes a split of its own, at random over cases: it knows neither subjects nor groups.
    The cases are those that were preprocessed, whose segmentations nnU-Net keeps in gt_segmentations; where
    that folder is not there, those of labelsTr.

    Args:
        dataset: its name or number, as nnU-Net takes it: `Dataset027_ACDC` or 27.
        by: attributes whose cells are the groups; default: the only one that the table has. If it has
            none, the folds are made by subject alone.
        bins: of numeric attributes, as in `Groups.from_table`.
        table: of cases; default: groups.csv in the raw dataset.
        weight: a column that is no attribute unless `by` says so.
        folds: how many.
        seed: the same seed gives the same folds.
        by_subject_only: do not look at groups, whatever attributes the table has.
        replace_file: replace a splits_final.json that is there. Networks that were trained by it would then
            be validated on cases that they know.

    Returns:
        Validation subjects of each group (rows, "unknown" among them; without groups "everyone") in each
        fold (columns). A warning is logged where cases are preprocessed and not in labelsTr, or the reverse.

    Raises:
        ValueError: nnUNet_raw or nnUNet_preprocessed is not set, the dataset is not there or not
            preprocessed, the table is not as it must be, or the file is there.
    """
    raw, preprocessed = folder_of("nnUNet_raw"), folder_of("nnUNet_preprocessed")
    name = dataset_name(dataset, raw)
    target = preprocessed / name / FILE
    if not target.parent.is_dir():
        raise ValueError(f"{target.parent} is not there: run nnUNetv2_plan_and_preprocess first")
    if target.exists() and not replace_file:
        raise ValueError(f"{target} is there; networks may have been trained by it")
    cases = _preprocessed_cases(raw / name, target.parent)
    file = table_of(name) if table is None else Path(table)
    rows = read_rows(file, cases)
    if by_subject_only or not (by or attributes_of(rows, weight)):
        order, ids = [EVERYONE], np.zeros(len(rows), dtype=np.int64)
    else:
        groups, ids = make_groups(file, rows, by, bins, weight=weight)
        order = [*groups.names, "unknown"]
    folded = rows[["case", "subject"]].assign(
        fold=fold_subjects(rows["subject"].tolist(), ids, folds, seed=seed),
        group=[order[number] for number in ids],  # -1 is the last
    )
    splits = [
        {
            "train": folded["case"][folded["fold"] != number].tolist(),
            "val": folded["case"][folded["fold"] == number].tolist(),
        }
        for number in range(folds)
    ]
    with reading(file, overwrite=replace_file):
        write_files(target.parent, {FILE: json.dumps(splits, indent=1) + "\n"}, "nnunet")
    subjects = folded.drop_duplicates("subject")
    counts = pd.crosstab(subjects["group"], subjects["fold"])
    names = [name for name in order if name in counts.index]
    return counts.reindex(index=names, columns=range(folds), fill_value=0)


def dataset_name(dataset: str, raw: Path) -> str:
    """Return the name of a dataset, `Dataset027_ACDC`, of its number or name.

    Raises:
        ValueError: there is none in the folder of raw datasets, or there are several of that number.
    """
    pattern = f"Dataset{int(dataset):03d}_*" if str(dataset).isdecimal() else str(dataset)
    names = sorted(path.name for path in raw.glob(pattern) if path.is_dir())
    if len(names) != 1:
        raise ValueError(f"{raw} must have one dataset {dataset}, has {' and '.join(names) or 'none'}")
    return names[0]


def _preprocessed_cases(raw: Path, preprocessed: Path) -> list[str]:
    """Return the cases to split; log how they differ from those of the raw dataset."""
    ending = file_ending(preprocessed, raw)
    labels, segmentations = raw / "labelsTr", preprocessed / PREPROCESSED
    if not segmentations.is_dir():
        return cases_in(labels, ending)
    cases = cases_in(segmentations, ending)
    if labels.is_dir():  # the dataset.json may name files that lie elsewhere
        labelled = set(cases_in(labels, ending))
        if new := sorted(labelled - set(cases)):
            logger.warning(
                "%s in labelsTr not preprocessed, so in no fold: %s;"
                " run nnUNetv2_plan_and_preprocess for them",
                counted(len(new), "case"),
                listed(new),
            )
        if gone := sorted(set(cases) - labelled):
            logger.warning(
                "%s preprocessed, but not in labelsTr: %s", counted(len(gone), "case"), listed(gone)
            )
    return cases
