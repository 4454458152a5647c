"""The results of nnU-Net's own validation as a scores table."""

import ast
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

import pandas as pd

from fairseg.cohort.case_names import cohort_as_files, hint_of_no_match
from fairseg.cohort.columns import NOTE, VOXELS
from fairseg.cohort.reading import TableOptions
from fairseg.cohort.table import NOT_IN_COHORT, noted, read_cohort, rows_of
from fairseg.integrations.nnunet.files import DATASET, case_of, file_ending
from fairseg.io.json_files import read_json
from fairseg.io.sentences import counted, listed
from fairseg.metrics.masks import Structures, structure_values
from fairseg.scoring.folders import score_folders
from fairseg.scoring.labels import DatasetLabels, read_dataset_labels

SUMMARY = "summary.json"
_SIZES = (("n_pred", "Total Positives Test"), ("n_ref", "Total Positives Reference"))  # in v2 and in v1
_SAME = 1e-5  # to which Dice of nnU-Net and of fairseg are the same
_SOURCE = "Dice as nnU-Net's own validation found it"


def read_summaries(
    results: Sequence[str | Path],
    table: str | Path,
    *,
    labels: Structures | None = None,
    prediction_labels: Structures | None = None,
    options: TableOptions | None = None,
    metrics: Sequence[str] = (),
    references: str | Path | None = None,
    **scoring: Any,
) -> pd.DataFrame:
    """Read the summary.json of validations into the form that `fairseg report` reads.

    nnU-Net finds no distances. Where metrics are asked for, the masks beside each summary.json are scored.

    Args:
        results: any of: a summary.json, a folder that has one, a `fold_0`, or the folder of a trained model,
            of which all validated folds are read.
        table: of cases, as from `read_cohort`.
        labels: name -> value or values of the structures to read; None: all of them.
        prediction_labels: the same of those that the model may never predict, which else is an error.
        options: what the table calls otherwise.
        metrics: of `fairseg.evaluate`, such as "hd95", to compute from the masks; none: as nnU-Net found it.
        references: folder of the reference masks for that; None: the folder that the summary names, else
            the dataset's gt_segmentations in nnUNet_preprocessed.
        **scoring: of `fairseg.evaluate`, such as `tolerance` and `num_workers`.

    Returns:
        One row per case and structure, a label or a region: case, subject, the attributes, label, dice,
        prediction_voxels and reference_voxels. The model's dataset.json, where it is found, says the names
        of the structures and the ending of the files, which the names of cases do not have. Dice is NaN
        where both masks lack the label, as in `fairseg.metrics.dice`. Cases without a row in the table are of
        unknown group; the column `note` says of which cases this is so, and where the Dice comes from. With
        metrics, the table is that of `fairseg.evaluate`.

    Raises:
        ValueError: there is no summary.json, or it is not as nnU-Net writes it; a case is in two of them;
            no case of one of them is in the table; a structure is in no reference, or in no prediction;
            the table is not as `read_cohort` wants it; or, with metrics, the reference masks are not found or
            the masks have another Dice than the summary.
    """
    cohort = read_cohort(table, options)
    chosen = None if labels is None else structure_values(labels)
    known_absent = {} if prediction_labels is None else structure_values(prediction_labels)
    if strange := [name for name, codes in known_absent.items() if (chosen or {}).get(name) != codes]:
        raise ValueError(
            f"labels: a {SUMMARY} compares the same values of both sides, got others for {listed(strange)}: "
            "score the masks with fairseg evaluate"
        )
    rows: list[dict[str, Any]] = []
    file_of: dict[str, Path] = {}
    summaries = [(file, _cases(file, chosen)) for path in results for file in _summaries(Path(path))]
    cohort = cohort_as_files(cohort, {case for _, cases in summaries for case in cases})
    in_cohort = set(cohort["case"])
    for file, cases in summaries:
        if cases and in_cohort.isdisjoint(cases):
            raise ValueError(f"no case of {file} has a row in {table}: {hint_of_no_match(cohort, cases)}")
        for case, structure_rows in cases.items():
            if case in file_of:
                raise ValueError(f"case {case} must be in one {SUMMARY}, is in {file_of[case]} and {file}")
            file_of[case] = file
            rows += structure_rows
    if not rows:
        raise ValueError(f"results must have a case, none is in {listed([str(path) for path in results])}")
    _check_both_sides(rows, file_of.values(), {str(name) for name in known_absent})
    if metrics:
        scoring |= {"prediction_labels": prediction_labels, "metrics": ["dice", *metrics]}
        measured = _score_masks(file_of, cohort, references, chosen, **scoring)
        _check_same_masks(pd.DataFrame(rows), measured)
        return measured
    case_rows = rows_of(cohort, list(file_of))
    scores = case_rows.drop(columns=NOTE, errors="ignore").merge(pd.DataFrame(rows), on="case")
    if NOTE in case_rows:
        scores[NOTE] = scores["case"].map(case_rows.set_index("case")[NOTE])
    return noted(
        scores, {case: [_SOURCE, *([] if case in in_cohort else [NOT_IN_COHORT])] for case in file_of}
    )


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


def _score_masks(
    file_of: Mapping[str, Path],
    cohort: pd.DataFrame,
    references: str | Path | None,
    chosen: Mapping[str | int, tuple[int, ...]] | None,
    *,
    metrics: Sequence[str],
    **scoring: Any,
) -> pd.DataFrame:
    """Return the scores of the masks beside the summaries, case -> file of the summary."""
    declared = next(filter(None, map(_declared_labels, file_of.values())), None)
    return score_folders(
        list(dict.fromkeys(file.parent for file in file_of.values())),
        _references(file_of.values()) if references is None else Path(references),
        cohort[cohort["case"].isin(file_of)],
        cases=file_of,  # the references are of all folds
        labels=chosen or (None if declared is None else declared.structures),
        ignore=None if declared is None else declared.ignore,
        metrics=list(dict.fromkeys(metrics)),
        **scoring,
    ).to_frame()


def _check_both_sides(
    rows: Sequence[Mapping[str, Any]], files: Iterable[Path], never_predicted: Collection[str]
) -> None:
    """Raise if a structure is in some mask of one side and in none of the other: codes may differ."""
    table = pd.DataFrame(rows)
    sizes = (table[list(VOXELS)] > 0).groupby(table["label"], sort=False).sum()
    for label, (predicted, true) in zip(sizes.index, sizes.to_numpy().tolist(), strict=True):
        if (predicted == 0) != (true == 0) and not (true and str(label) in never_predicted):
            has, side = ("references", "prediction") if true else ("predictions", "reference")
            never = f'; if the model never predicts it, say --labels "{label}=VALUE:VALUE"' if true else ""
            raise ValueError(
                f"no {side} in {listed(sorted({str(file) for file in files}))} has {label}, but "
                f"{max(predicted, true)} {has}: if they have other values, score the masks with fairseg "
                f'evaluate --labels "{label}=REFERENCE:PREDICTION"{never}'
            )


def _cases(file: Path, chosen: Mapping[str | int, tuple[int, ...]] | None) -> dict[str, list[dict[str, Any]]]:
    """Return each case of a summary with its rows, one a structure."""
    cases: dict[str, list[dict[str, Any]]] = {}
    try:
        summary = read_json(file, nan=True)
        model = _model(file)
        ending = "" if model is None else file_ending(model)
        declared = _declared_labels(file)
        structures = chosen or ({} if declared is None else declared.structures)
        names = {codes: str(name) for name, codes in structures.items()}
        for reference, metrics in _entries(summary):
            # Written on Windows, the path has backslashes.
            case = case_of(PureWindowsPath(reference).name, ending)
            rows = cases.setdefault(case, [])
            for key, values in metrics.items():
                value = ast.literal_eval(key)  # a label, or a region such as "(1, 2)"
                codes = value if isinstance(value, tuple) else (int(value),)
                if chosen and codes not in names:
                    continue
                sizes = [values[name] if name in values else values[old] for name, old in _SIZES]
                row = {"case": case, "label": names.get(codes, key), "dice": float(values["Dice"])}
                rows.append(row | {column: int(size) for column, size in zip(VOXELS, sizes, strict=True)})
    except (KeyError, TypeError, ValueError, AttributeError, SyntaxError, RecursionError) as error:
        raise ValueError(f"{file} must be a {SUMMARY} as nnU-Net writes it: {error!r}") from None
    return cases


def _model(file: Path) -> Path | None:
    """Return the folder of the trained model, above a summary, which has its dataset.json."""
    return next((folder for folder in file.resolve().parents[:3] if (folder / DATASET).is_file()), None)


def _declared_labels(file: Path) -> DatasetLabels | None:
    """Return the labels in the dataset.json above a summary."""
    model = _model(file)
    return None if model is None else read_dataset_labels(model)


def _references(files: Iterable[Path]) -> Path:
    """Return the folder of the references that the summaries name, or that is in nnU-Net's folders."""
    for file in files:
        reference, _ = next(_entries(read_json(file, nan=True)))
        named = Path(reference).parent
        if named.is_absolute() and named.is_dir():  # written on Windows, it is neither elsewhere
            return named
        dataset = next((folder.name for folder in file.resolve().parents if folder.name[:7] == "Dataset"), "")
        preprocessed = Path(os.environ.get("nnUNet_preprocessed", ".")) / dataset / "gt_segmentations"  # noqa: SIM112
        if dataset and preprocessed.is_dir():
            return preprocessed
    raise ValueError(
        f"the references that {file} names are not there ({reference}), nor are they in nnUNet_preprocessed:"
        " say --references FOLDER"
    )


def _check_same_masks(summarized: pd.DataFrame, measured: pd.DataFrame) -> None:
    """Raise if the masks have another Dice than nnU-Net found: the summary is of other masks."""
    keys = ["case", "label"]
    pairs = (
        summarized[[*keys, "dice"]]
        .astype({"label": str})
        .merge(measured[[*keys, "dice"]].astype({"label": str}), on=keys, suffixes=("", "_again"))
    )
    differ = (pairs["dice"] - pairs["dice_again"]).abs() > _SAME
    if differ.any():
        row = pairs[differ].iloc[0]
        raise ValueError(
            f"the masks of {int(differ.sum())} of {counted(len(pairs), 'structure')} have another Dice than"
            f" the {SUMMARY} says, such as {row['label']} of {row['case']}, {row['dice_again']:.4f}"
            f" for {row['dice']:.4f}: it is of other masks, or of other references"
        )


def _entries(summary: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Return the file of the reference and the metrics by structure, of each case of nnU-Net v2 or v1."""
    if "metric_per_case" in summary:
        for entry in summary["metric_per_case"]:
            yield entry["reference_file"], entry["metrics"]
    else:
        for entry in summary["results"]["all"]:
            yield (
                entry["reference"],
                {key: values for key, values in entry.items() if key.isdecimal() and int(key)},
            )
