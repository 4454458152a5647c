"""What nnU-Net's own validation found, as a scores table."""

import ast
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from fairseg.cohort.columns import NOTE
from fairseg.cohort.table import NOT_IN_COHORT, noted, read_cohort, rows_of
from fairseg.integrations.nnunet.files import ABOUT, case_of, file_ending
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
    found: list[dict[str, Any]] = []
    places: dict[str, Path] = {}
    known = set(cohort["case"])
    for file in (file for path in results for file in _summaries(Path(path))):
        here = list(_cases(file))
        if here and known.isdisjoint(case for case, _ in here):
            raise ValueError(
                f"no case of {file} has a row in {table}: its cases are {listed(case for case, _ in here)};"
                f" the table has {listed(cohort['case'].tolist())}"
            )
        for case, rows in here:
            if case in places:
                raise ValueError(f"case {case} must be in one {SUMMARY}, is in {places[case]} and {file}")
            places[case] = file
            found += rows
    if not found:
        raise ValueError(f"results must have a case, none is in {listed([str(path) for path in results])}")
    about = rows_of(cohort, list(places))
    scores = about.drop(columns=NOTE, errors="ignore").merge(pd.DataFrame(found), on="case")
    if NOTE in about:
        scores[NOTE] = scores["case"].map(about.set_index("case")[NOTE])
    return noted(scores, {case: [_SOURCE, *([] if case in known else [NOT_IN_COHORT])] for case in places})


def _summaries(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    places = (path / SUMMARY, path / "validation" / SUMMARY)
    files = [file for file in places if file.is_file()] or sorted(path.glob(f"fold_*/validation/{SUMMARY}"))
    if not files:
        raise ValueError(
            f"{path} has no {SUMMARY}: it must be a validation folder of nnU-Net, a fold_N, or the folder of"
            " a trained model with validated folds"
        )
    return files


def _cases(file: Path) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield each case with its rows."""
    try:
        cases = json.loads(file.read_text(encoding="utf-8"))["metric_per_case"]
        about = _about(file)
        names, ending = ({}, "") if about is None else (_label_names(about), file_ending(about))
        for entry in cases:
            case = case_of(Path(entry["reference_file"]).name, ending)
            rows = []
            for key, values in entry["metrics"].items():
                if isinstance(ast.literal_eval(key), tuple):
                    raise NotImplementedError(f"{file} is of regions ({key}), which fairseg does not read")
                row = {"case": case, "label": names.get(int(key), key), "dice": float(values["Dice"])}
                for column, size in (("prediction_voxels", "n_pred"), ("reference_voxels", "n_ref")):
                    row[column] = int(values[size])
                rows.append(row)
            yield case, rows
    except (OSError, KeyError, TypeError, ValueError, AttributeError, SyntaxError) as error:
        raise ValueError(f"{file} must be a {SUMMARY} as nnU-Net writes it: {error!r}") from None


def _about(file: Path) -> Path | None:
    """Return the folder of the trained model that a summary lies in: the one with its dataset.json."""
    return next((place for place in file.resolve().parents[:3] if (place / ABOUT).is_file()), None)


def _label_names(place: Path) -> dict[int, str]:
    """Return value -> name from the dataset.json in a folder."""
    labels = json.loads((place / ABOUT).read_text(encoding="utf-8")).get("labels", {})
    if "ignore" in labels:
        return {value: name for name, value in labels.items() if isinstance(value, int)}
    return {value: name for name, value in (read_dataset_labels(place) or {}).items()}
