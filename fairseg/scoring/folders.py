"""From folders of masks and a cohort to the scores table: one row per case and label."""

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from fairseg.cohort.attributes import with_numbers
from fairseg.cohort.case_names import (
    cases_as_files,
    files_as_cases,
    hint_of_capitals,
    hint_of_no_match,
    match_cases,
)
from fairseg.cohort.columns import (
    HD95,
    LESIONS,
    MEASURED,
    NO_ATTRIBUTES,
    NOTE,
    SKIPPED,
    UNIT,
    VOLUMES,
    VOXELS,
)
from fairseg.cohort.reading import TableOptions
from fairseg.cohort.table import NOT_IN_COHORT, Cohort, clean_cohort, named_otherwise, noted
from fairseg.io.calls import Call, says_what_to_type
from fairseg.io.images import find_masks
from fairseg.io.parallel import run_all
from fairseg.io.sentences import NamingNote, counted, listed
from fairseg.io.structure_files import hint_of_layout
from fairseg.metrics.distance import Empty
from fairseg.metrics.masks import Structures
from fairseg.metrics.score import OF_LESIONS, Measures
from fairseg.scoring.arrays import Arrays, Folders, as_folders, check_are_no_stacks
from fairseg.scoring.case import Job, Result, score_files
from fairseg.scoring.cross_check import cross_check_scores, import_medpy, read_by_medpy
from fairseg.scoring.labels import LabelMap, check_structures_occur, label_map, values_of
from fairseg.scoring.table import Scores
from fairseg.scoring.voxel_sizes import Spacing, VoxelSizes

logger = logging.getLogger(__name__)

_MOST_ERRORS = 5  # of skipped cases that are logged; the result has all of them


def evaluate_as_meant(*args: Any, **options: Any) -> Call:
    """Also take the table of cases as `groups`, which is its name in the commands.

    Raises:
        ValueError: one array is given in the place of folders.
    """
    check_are_no_stacks(*args[:2], line="fairseg.evaluate(list(predictions), list(references), cohort)")
    return args, {"cohort" if name == "groups" else name: value for name, value in options.items()}


@says_what_to_type("fairseg.evaluate('predictions', 'references', 'groups.csv')", evaluate_as_meant)
def evaluate(
    predictions: Folders | Arrays,
    references: str | Path | Arrays,
    cohort: Cohort,
    *,
    labels: Structures | None = None,
    prediction_labels: Structures | None = None,
    ignore: int | None = None,
    metrics: str | Sequence[str] = ("dice", "hd"),
    empty: Empty = "nan",
    tolerance: float | None = None,
    min_iou: float = 0.5,
    spacing: Spacing | None = None,
    num_workers: int = 1,
    on_error: Literal["stop", "skip"] = "stop",
    cross_check: int = 0,
    seed: int = 0,
    progress: bool = False,
    case_column: str | None = None,
    subject_column: str | None = None,
) -> pd.DataFrame:
    """Score a folder of predicted masks against a folder of reference masks.

    Files belong together if their names without extension are equal, or if all names of a folder have one
    ending more than the cases of the cohort (`p01_pred`). A case that both folders have but the cohort lacks
    is scored with unknown attributes; files of one folder only, and rows of the cohort without files, are
    left out; each is logged by name. A case of the cohort with only one of its two files is an error.

    Args:
        predictions: folder of the model's label masks, in any format that is read (docs/audit.md); or
            several, as of the folds of a cross-validation, which must have no case in common. Or arrays
            (NumPy, torch): case -> mask, or a list of them in the order of the cohort.
        references: folder of the ground-truth masks, or arrays likewise.
        cohort: table of cases with the columns `case`, `subject` (if absent, the case is the
            subject) and the attributes, as from `read_cohort`; or the path of its file.
        labels: label values, or name -> value or tuple of values, whose union is the structure. `None`:
            nnU-Net's dataset.json in or above `references` or `predictions` decides; without one, every value
            in a reference is a label.
        prediction_labels: of the structures that the predictions code otherwise, name -> value or values; a
            sequence goes by the order of `labels`. Without it a structure that no prediction has is an
            error, because its code may be another one.
        ignore: voxels where the reference has this value count for nothing, in either mask. `None`: the
            value that the dataset.json calls "ignore".
        metrics: those of `score_case`; if one definition of HD95 is requested, both are scored.
            Distances in mm, spacing from the files (in pixels where the files are PNG, which states none; a
            note says so).
        empty: distance of a label that only one mask has: "nan" or "diagonal" (see `hausdorff`).
        tolerance: for "nsd" and "nsd_area", in the unit of the distances.
        min_iou: intersection over union from which on a lesion is found (see `fairseg.metrics.lesions`).
        spacing: pixel size along each axis of the array (rows, columns), mm, of files that state none; one
            number goes for all axes. Or the column of the cohort that has it ("0.14", "0.14, 0.2"), or one
            column an axis.
        num_workers: processes; the result does not depend on it.
        on_error: "stop" raises at the first case that cannot be scored; "skip" leaves it out.
        cross_check: this many case-label pairs, drawn at random, are computed again with medpy.
        seed: for that draw.
        progress: show a bar on stderr if it is a terminal.
        case_column: the column of the cohort that names the cases, where it is not found by its name.
        subject_column: the column that names the subjects, likewise.

    Returns:
        The scores: columns case, subject, the attributes (numbers where all known cells are, and none is
        written as 01), label (its name where names are given, else its value), the metrics, `distance_unit`
        where there are distances ("mm", or "px" where no voxel size is stated), prediction_voxels and
        reference_voxels (of three axes both in ml too, and with metrics of lesions prediction_lesions and
        reference_lesions, how many there are); one row per case and label, in the order of the cohort. A
        label that neither mask of a case has is NaN, with 0 voxels. A case that was skipped is a row without
        label and scores, whose column `skipped` says why; notes on a case stand in its column `note`.

    Raises:
        ValueError: an input is not usable; the message names the argument, file, case or row; a structure is
            in no reference, or in no prediction; or `cross_check` is requested and medpy is not installed.
        RuntimeError: the cross-check found a difference.
    """
    options: dict[str, Any] = {"labels": labels, "prediction_labels": prediction_labels, "ignore": ignore}
    options |= {"metrics": metrics, "empty": empty, "tolerance": tolerance, "min_iou": min_iou}
    options |= {"spacing": spacing, "num_workers": num_workers, "on_error": on_error}
    options |= {"cross_check": cross_check, "seed": seed, "progress": progress}
    names = TableOptions(case_column=case_column, subject_column=subject_column)
    frame, _ = _score(predictions, references, named_otherwise(cohort, names), **options)
    return with_numbers(frame)


def score_folders(
    predictions: Folders | Arrays,
    references: str | Path | Arrays,
    cohort: Cohort,
    *,
    metric: str = "dice",
    **options: Any,
) -> Scores:
    """Score folders like `evaluate`, with its options; `metric` is the one that groups are judged by.

    With `cases`, names of files, all others are left out without a note.

    Returns:
        The scores. Their notes also say which files and rows of the cohort were left out, and what the
        cross-check found.
    """
    frame, notes = _score(predictions, references, cohort, **options)
    scores = Scores.of(frame, metric=metric)
    return replace(scores, table_notes=(*notes, *scores.table_notes))


def _score(
    predictions: Folders | Arrays, references: str | Path | Arrays, cohort: Cohort, **options: Any
) -> tuple[pd.DataFrame, list[str]]:
    """Return the table of `evaluate`, and the notes that belong to no row of it; all are logged."""
    table, notes_on_table, doubts = _checked(cohort)
    read = table, notes_on_table
    with as_folders(predictions, references, table.index) as (predicted, true, name_arrays):
        scores, notes = _score_files(predicted, true, read, **options)
    for name in (NOTE, SKIPPED):
        if name in scores:
            scores[name] = [name_arrays(text) if isinstance(text, str) else text for text in scores[name]]
    notes = [note if isinstance(note, NamingNote) else name_arrays(note) for note in notes]
    checked = Scores.of(scores)
    left_out = [f"skipped case {case}: {error}" for case, error in checked.reasons.items()]
    on_rows = [note for note in checked.notes if note not in checked.doubts]  # a reader logged those
    for note in (*notes, *doubts, *on_rows, *left_out[:_MOST_ERRORS]):
        logger.warning("%s", note)
    if len(left_out) > _MOST_ERRORS:
        logger.warning("skipped %s", counted(len(left_out) - _MOST_ERRORS, "more case"))
    return scores, notes


def _score_files(
    folders: Sequence[Path],
    references: Path,
    read: tuple[pd.DataFrame, tuple[str, ...]],
    *,
    labels: Structures | None = None,
    prediction_labels: Structures | None = None,
    ignore: int | None = None,
    metrics: str | Sequence[str] = ("dice", "hd"),
    empty: Empty = "nan",
    tolerance: float | None = None,
    min_iou: float = 0.5,
    spacing: Spacing | None = None,
    num_workers: int = 1,
    on_error: Literal["stop", "skip"] = "stop",
    cross_check: int = 0,
    seed: int = 0,
    progress: bool = False,
    cases: Collection[str] | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """Return the scores of files of masks, and notes; `read` is what `_checked` makes of the cohort."""
    measures = Measures.of([metrics] if isinstance(metrics, str) else metrics, empty, tolerance, min_iou)
    # The other definition of HD95 follows the requested one: it costs no more time.
    extended = [(name, *(HD95 if name in HD95 else ())) for name in measures.metrics]
    measures = replace(measures, metrics=tuple(dict.fromkeys(name for pair in extended for name in pair)))
    _check_options(on_error, num_workers, cross_check)
    table, read_notes = read
    predicted = _predicted(folders)
    true = find_masks(references, "references")
    names = label_map(folders[0], references, labels, prediction_labels, ignore)
    if cases is not None:
        predicted, true = (
            {name: files[name] for name in files if name in cases} for files in (predicted, true)
        )

    skipped: dict[str, str] = {}
    predicted, true, endings = files_as_cases(predicted, true, table.index)
    table, renamed = cases_as_files(table, predicted.keys() | true.keys())
    complete, notes = _match(table, predicted, true, skipped)
    notes += [*read_notes, *endings, *renamed]
    if same := [case for case in complete if predicted[case].samefile(true[case])]:
        note = "prediction and reference are one and the same file, so that nothing was judged, of "
        notes.append(NamingNote(note + counted(len(same), "case"), same))
    if skipped and on_error == "stop":
        raise ValueError(
            f"{_one_line(skipped)}; on_error='skip' (--on-error skip) counts them and leaves them out"
        )
    sizes = VoxelSizes.of(spacing, table)
    jobs = [Job(case, predicted[case], true[case], names, measures, sizes[case]) for case in complete]
    results = _run(jobs, num_workers, skipped, stop=on_error == "stop", progress=progress)
    names = _structures(names, results)
    case_notes = _notes(results, names)
    for case in set(case_notes) - set(table.index):
        case_notes[case].insert(0, NOT_IN_COHORT)
    notes += names.notes
    if ignore is not None and not any(result.ignored for result in results):
        notes.append(f"no reference has the value {ignore}, which was to count for nothing (ignore)")
    scores = _assemble(results, table, list(names.reference), measures.metrics)
    if cross_check:
        compared, largest = cross_check_scores(scores, predicted, true, names, cross_check, seed, sizes)
        by_medpy = spacing is None and all(map(read_by_medpy, (*predicted.values(), *true.values())))
        notes.append(
            f"cross-check: {counted(compared, 'score')} recomputed with medpy"
            f"{'' if by_medpy else ', of masks as fairseg reads them'}, largest difference {largest:.2g}"
        )
    return _with_skipped(noted(scores, case_notes), table, skipped), notes


def _predicted(folders: Sequence[Path]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for folder in folders:
        masks = find_masks(folder, "predictions")
        if twice := files.keys() & masks.keys():
            case = min(twice)
            raise ValueError(f"predictions have two of case {case}: {files[case]} and {masks[case]}")
        files |= masks
    return files


def _check_options(on_error: str, num_workers: int, cross_check: int) -> None:
    if on_error not in ("stop", "skip"):
        raise ValueError(f'on_error must be "stop" or "skip", got {on_error!r}')
    if num_workers < 1:
        raise ValueError(f"num_workers must be at least 1, got {num_workers}")
    if cross_check:
        import_medpy()  # raises before the cases are scored if medpy is missing


def _run(
    jobs: Sequence[Job], num_workers: int, skipped: dict[str, str], *, stop: bool, progress: bool
) -> list[Result]:
    """Return the results of the jobs that succeed; fill in the cases that do not, or stop at the first."""
    results = []
    bar = tqdm(total=len(jobs), desc="scoring", unit="case", disable=None if progress else True)
    with bar, closing(run_all(score_files, [(job,) for job in jobs], num_workers)) as stream:
        for result in stream:
            bar.update()
            if result.error is None:
                results.append(result)
            elif stop:
                raise ValueError(f"case {result.case}: {result.error}")
            else:
                skipped[result.case] = result.error
    if not results:
        raise ValueError(f"no case could be scored: {_one_line(skipped)}")
    return results


def _checked(cohort: Cohort) -> tuple[pd.DataFrame, tuple[str, ...], tuple[str, ...]]:
    """Return the cohort indexed by case, with the column subject first, and the notes and doubts on it."""
    read = clean_cohort(cohort)
    if reserved := [name for name in NO_ATTRIBUTES[2:] if name in read.frame and name != NOTE]:
        raise ValueError(f"cohort must not use the names of scores for attributes, got {reserved}")
    return read.frame.set_index("case"), read.notes, read.doubts


def _match(
    table: pd.DataFrame, predicted: Mapping[str, Path], true: Mapping[str, Path], skipped: dict[str, str]
) -> tuple[list[str], list[str]]:
    """Return the cases to score, in order, and notes on all others; fill in the incomplete ones."""
    matched = match_cases(table.index, predicted, true)
    for case, kind in matched.incomplete.items():
        files = predicted if kind == "prediction" else true
        skipped[case] = f"no {kind} in {next(iter(files.values())).parent}"
    if not matched.complete and not skipped:
        hint = hint_of_no_match(table.reset_index(), predicted.keys() | true.keys())
        hint += hint_of_layout({**predicted, **true}, table.index)
        raise ValueError(f"cohort and folders must share cases: {hint}")
    notes: list[str] = []
    if neither := matched.neither:
        capitals = hint_of_capitals(neither, predicted.keys() | true.keys())
        note = f"{counted(len(neither), 'case')} of the cohort without files, left out"
        notes.append(NamingNote(note, neither, capitals))
    for kind, names in matched.only.items():
        if names:
            note = f"{counted(len(names), 'case')} not in the cohort and with a {kind} only, left out"
            notes.append(NamingNote(note, names))
    return matched.complete + matched.unknown, notes


def _notes(results: Iterable[Result], names: LabelMap) -> dict[str, list[str]]:
    notes: dict[str, list[str]] = {}
    for result in results:
        lines = []
        for kind, values, codes in (
            ("prediction", result.predicted, names.prediction),
            ("reference", result.true, names.reference),
        ):
            label_values = values_of(codes)
            if strays := [value for value in values if value not in label_values]:
                lines.append(f"values in a {kind} that are no label, not scored: {listed(strays, 10)}")
        notes[result.case] = lines + [f"image reader: {message}" for message in result.messages]
    return notes


def _structures(names: LabelMap, results: Sequence[Result]) -> LabelMap:
    """Return the structures, which are the values in the references if nobody names them; all must occur."""
    predicted = Counter(value for result in results for value in result.predicted)
    true = Counter(value for result in results for value in result.true)
    if not names.reference:
        names = names.of_values(sorted(true))
        if not names.reference:
            raise ValueError("references must hold at least one label, got only background")
    check_structures_occur(names, predicted, true, len(results))
    return names


def _assemble(
    results: Iterable[Result], table: pd.DataFrame, structures: Sequence[str | int], metrics: Sequence[str]
) -> pd.DataFrame:
    counts = (*VOXELS, *(LESIONS if set(metrics) & OF_LESIONS.keys() else ()))
    absent = {**dict.fromkeys(metrics, np.nan), **dict.fromkeys(counts, 0)}
    scores = pd.DataFrame(
        [
            {
                "case": result.case,
                "label": name,
                **result.scores.get(name, absent),
                "voxel": result.voxel,
                UNIT: result.unit,
            }
            for result in results
            for name in structures
        ]
    )
    sizes = list(counts)
    if scores["voxel"].notna().any():
        for volume, voxels in zip(VOLUMES, VOXELS, strict=True):
            scores[volume] = scores[voxels] * scores["voxel"] / 1000.0  # mm^3 to ml
        sizes += VOLUMES
    joined = table.reindex(scores["case"]).reset_index(drop=True)
    joined["subject"] = joined["subject"].fillna(scores["case"])
    front = pd.concat([scores[["case"]], joined.drop(columns=NOTE, errors="ignore")], axis=1)
    unit = [UNIT] if set(metrics) & set(MEASURED) else []
    about = [joined[NOTE]] if NOTE in joined else []
    return pd.concat([front, scores[["label", *metrics, *unit, *sizes]], *about], axis=1)


def _with_skipped(scores: pd.DataFrame, cohort: pd.DataFrame, skipped: Mapping[str, str]) -> pd.DataFrame:
    """Return the scores with a row for each case that has none, after the others."""
    if not skipped:
        return scores
    rows = cohort.reindex(list(skipped)).rename_axis("case").reset_index()
    rows["subject"] = rows["subject"].fillna(rows["case"])
    rows[SKIPPED] = list(skipped.values())
    # pandas warns of the type of a column without any value.
    return pd.concat([scores, rows.dropna(axis="columns", how="all")], ignore_index=True)


def _one_line(skipped: Mapping[str, str]) -> str:
    by_error: dict[str, list[str]] = {}
    for case, error in skipped.items():
        by_error.setdefault(error, []).append(case)
    reasons = [
        f"{error}: {counted(len(cases), 'case')} ({listed(cases)})" for error, cases in by_error.items()
    ]
    more = len(reasons) - _MOST_ERRORS
    return "; ".join(reasons[:_MOST_ERRORS]) + (f"; and {counted(more, 'more error')}" if more > 0 else "")
