"""The results of nnU-Net's own validation as a scores table."""

import ast
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from fairseg.cohort.columns import NOTE
from fairseg.cohort.table import NOT_IN_COHORT, noted, read_cohort, rows_of
from fairseg.integrations.nnunet.files import DATASET, case_of, file_ending
from fairseg.io.sentences import listed
from fairseg.scoring.labels import read_dataset_labels

SUMMARY = "summary.json"
_SOURCE = "Dice as nnU-Net's own validation found it"


def read_summaries(results: Sequence[str | Path], table: str | Path) -> pd.DataFrame:
    """Read the summary.json of validations into the form that `fairseg report` reads.

    Args:
        results: any of: a summary.json, a folder that has one, a `fold_0`, or the folder of a trained model,
            of which all validated folds are read.
        table: of cases, as from `read_cohort`.

    Returns:
        One row per case and label: case, subject, the attributes, label, dice, prediction_voxels and
        reference_voxels. The model's dataset.json, where it is found, says the names of the labels and the
        ending of the files, which the names of cases do not have. Dice is NaN where both masks lack the
        label, as in `fairseg.metrics.dice`. nnU-Net computes no distances: for those, score its masks with
        `fairseg evaluate`. Cases without a row in the table are of unknown group; the column `note` says of
        which cases this is so, and where the Dice comes from.

    Raises:
        ValueError: there is no summary.json, or it is not as nnU-Net writes it; a case is in two of them;
            no case of one of them is in the table; or the table is not as `read_cohort` wants it.
        NotImplementedError: the model was trained on regions, not labels.
    """
    cohort = read_cohort(table)
    rows: list[dict[str, Any]] = []
    file_of: dict[str, Path] = {}
    known = set(cohort["case"])
    for file in (file for path in results for file in _summaries(Path(path))):
        cases = _cases(file)
        if cases and known.isdisjoint(cases):
            raise ValueError(
                f"no case of {file} has a row in {table}: its cases are {listed(cases)};"
                f" the table has {listed(cohort['case'].tolist())}"
            )
        for case, case_rows in cases.items():
            if case in file_of:
                raise ValueError(f"case {case} must be in one {SUMMARY}, is in {file_of[case]} and {file}")
            file_of[case] = file
            rows += case_rows
    if not rows:
        raise ValueError(f"results must have a case, none is in {listed([str(path) for path in results])}")
    about = rows_of(cohort, list(file_of))
    scores = about.drop(columns=NOTE, errors="ignore").merge(pd.DataFrame(rows), on="case")
    if NOTE in about:
        scores[NOTE] = scores["case"].map(about.set_index("case")[NOTE])
    return noted(scores, {case: [_SOURCE, *([] if case in known else [NOT_IN_COHORT])] for case in file_of})


def _summaries(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    files = [file for file in (path / SUMMARY, path / "validation" / SUMMARY) if file.is_file()]
    files = files or sorted(path.glob(f"fold_*/validation/{SUMMARY}"))
    if not files:
        raise ValueError(
            f"{path} has no {SUMMARY}: it must be a validation folder of nnU-Net, a fold_N, or the folder of"
            " a trained model with validated folds"
        )
    return files


def _cases(file: Path) -> dict[str, list[dict[str, Any]]]:
    """Return each case of a summary with its rows, one a label."""
    cases: dict[str, list[dict[str, Any]]] = {}
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))["metric_per_case"]
        # The trained model's folder, above the summary, has its dataset.json.
        model = next((folder for folder in file.resolve().parents[:3] if (folder / DATASET).is_file()), None)
        names, ending = ({}, "") if model is None else (_label_names(model), file_ending(model))
        for entry in entries:
            case = case_of(Path(entry["reference_file"]).name, ending)
            rows = cases.setdefault(case, [])
            for key, values in entry["metrics"].items():
                if isinstance(ast.literal_eval(key), tuple):
                    raise NotImplementedError(f"{file} is of regions ({key}), which fairseg does not read")
                row = {"case": case, "label": names.get(int(key), key), "dice": float(values["Dice"])}
                sizes = {"prediction_voxels": values["n_pred"], "reference_voxels": values["n_ref"]}
                rows.append(row | {column: int(size) for column, size in sizes.items()})
    except (OSError, KeyError, TypeError, ValueError, AttributeError, SyntaxError) as error:
        raise ValueError(f"{file} must be a {SUMMARY} as nnU-Net writes it: {error!r}") from None
    return cases


def _label_names(model: Path) -> dict[int, str]:
    """Return value -> name from the dataset.json in a folder."""
    labels = json.loads((model / DATASET).read_text(encoding="utf-8")).get("labels", {})
    if "ignore" not in labels:
        labels = read_dataset_labels(model) or {}
    return {value: name for name, value in labels.items() if isinstance(value, int)}
