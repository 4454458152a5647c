"""Collect the data of a check: a dataset, folders of masks or a table. A reader's refusal is a finding."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm.auto import tqdm

from fairseg.checking.checked import Checked
from fairseg.checking.files import IMAGE, CaseFiles, look_into
from fairseg.checking.findings import CheckFinding, Severity, finding, refusal
from fairseg.checking.masks import file_findings
from fairseg.checking.scores import doubt_findings, score_findings
from fairseg.checking.tables import cell_findings, leaks, parts_column, table_findings, with_files
from fairseg.cohort.case_names import (
    cases_as_files,
    files_as_cases,
    hint_of_capitals,
    hint_of_no_match,
    match_cases,
)
from fairseg.cohort.columns import is_attribute, metric_of
from fairseg.cohort.reading import CleanTable, TableOptions, read_table
from fairseg.cohort.table import clean_cohort, read_split
from fairseg.io.images import find_masks
from fairseg.io.parallel import run_all
from fairseg.io.structure_files import hint_of_layout
from fairseg.metrics.masks import Structures
from fairseg.report.analyses import analyses_of, check_cohort, overall_scores
from fairseg.scoring.labels import label_map
from fairseg.scoring.subjects import check_judged
from fairseg.scoring.table import Scores
from fairseg.scoring.voxel_sizes import Spacing, VoxelSizes
from fairseg.scoring.wide import hint_of_wide
from fairseg.training.raw import images_of_cases, read_channel_names, read_raw


@dataclass(frozen=True)
class CheckOptions:
    """The options of `check`."""

    by: tuple[str, ...]
    bins: Mapping[str, Sequence[float]]
    labels: Structures | None
    prediction_labels: Structures | None
    ignore: int | None
    spacing: Spacing | None
    split: str | Path | None
    metric: str
    table_options: TableOptions | None
    wide: Sequence[str]
    percent: bool
    num_workers: int
    progress: bool

    @property
    def grouping(self) -> dict[str, Any]:
        """The arguments of an audit by these attributes."""
        bins = {name: edges for name, edges in self.bins.items() if name in self.by}
        return {"by": self.by, "reference": None, "also": (), "adjust": (), "bins": bins}


def from_folders(
    predictions: Path, references: Path, cohort: Any, state: Checked, options: CheckOptions
) -> None:
    """Look at folders of masks and their table, as `audit` takes them."""
    predicted, true = (
        _masks(folder, argument, state)
        for folder, argument in ((predictions, "predictions"), (references, "references"))
    )
    read = _read_cohort(cohort, state, options)
    predicted, true, endings = files_as_cases(predicted, true, () if read is None else read.frame["case"])
    for note in endings:
        state.details += finding("read_otherwise", Severity.NOTE, "files", [note], reason=note)
    table = _as_files(read, predicted.keys() | true.keys(), state, options)
    cases = [] if table is None else table["case"].tolist()
    matched = match_cases(cases, predicted, true)
    for side in ("prediction", "reference"):
        lacking = [case for case, kind in matched.incomplete.items() if kind == side]
        state.details += finding(f"no_{side}", Severity.ERROR, side, lacking)
        state.details += finding(f"only_{side}", Severity.WARNING, side, matched.only[side])
    if table is not None:
        _about_table(table, matched.unknown, matched.neither, {**predicted, **true}, state)
    _name_labels(predictions, references, state, options)
    sides = (("reference", true), ("prediction", predicted))
    present = predicted.keys() | true.keys()
    files = [
        CaseFiles(case, {side: masks[case] for side, masks in sides if case in masks})
        for case in sorted(present)
    ]
    if table is not None and options.by and state.severity is not Severity.ERROR:
        rows = table[table["case"].isin(present)]
        with state.collecting_refusals("groups"):
            check_cohort(rows, "groups", **options.grouping)
    _look(files, table, state, options)


def from_dataset(folder: Path, cohort: Any, state: Checked, options: CheckOptions) -> None:
    """Look at a dataset in nnU-Net's raw layout, its test part too, as `train` and `understand` take it."""
    if not (folder / "imagesTr").is_dir() and not (folder / "dataset.json").is_file():
        raise ValueError(
            f"{folder} must be a dataset in nnU-Net's raw layout, with dataset.json, imagesTr and labelsTr; "
            "of folders of masks give both: fairseg check PREDICTIONS REFERENCES --groups groups.csv"
        )
    files, channels = [], 1
    with suppress(ValueError):  # `read_raw` reports it below
        channels = len(read_channel_names(folder))
    for end, part in (("Tr", "training"), ("Ts", "test")):
        if end == "Tr" or (folder / "imagesTs").is_dir():
            files += _part_files(folder, end, part, channels, state)
    names = {case.case for case in files}
    read = _read_cohort(folder / "groups.csv" if cohort is None else cohort, state, options)
    table = _as_files(read, names, state, options)
    if table is not None:
        rows = set(table["case"])
        neither = [case for case in table["case"] if case not in names]
        _about_table(table, sorted(names - rows), neither, names, state)
    if state.severity is not Severity.ERROR:
        with state.collecting_refusals("training"):
            read_raw(folder)
    _name_labels(folder / "labelsTr", folder / "labelsTr", state, options)
    _look(files, table, state, options)


def _part_files(folder: Path, end: str, part: str, channels: int, state: Checked) -> list[CaseFiles]:
    """Return the files of each case of one part of a dataset; what is missing or misnamed is a finding."""
    images = images_of_cases(_masks(folder / f"images{end}", f"images{end}", state))
    has_masks = end == "Tr" or (folder / f"labels{end}").is_dir()
    masks = _masks(folder / f"labels{end}", f"labels{end}", state) if has_masks else {}
    findings = finding("misnamed", Severity.ERROR, f"images{end}", images.misnamed)
    if has_masks:
        no_mask = sorted(images.by_case.keys() - masks.keys())
        no_image = sorted(masks.keys() - images.by_case.keys())
        findings += finding("no_mask", Severity.ERROR, f"labels{end}", no_mask)
        findings += finding("no_image", Severity.ERROR, f"images{end}", no_image)
    most = max(map(len, images.by_case.values()), default=0)
    few = [case for case, by_channel in images.by_case.items() if len(by_channel) < most]
    state.details += findings + finding("no_channel", Severity.ERROR, f"images{end}", few, channels=most)
    cases = []
    for case in sorted(images.by_case.keys() | masks.keys()):
        by_channel = images.by_case.get(case, {})
        files = {"reference": masks[case]} if case in masks else {}
        files |= {f"{IMAGE} {channel:04d}": file for channel, file in sorted(by_channel.items())}
        in_colour = channels == 3 and list(by_channel) == [0]
        cases.append(CaseFiles(case, files, part, 3 if in_colour else 1))
    return cases


def from_table(source: Any, state: Checked, options: CheckOptions) -> None:
    """Look at a table of scores, or of cases where it has no column of scores."""
    try:
        read = read_table(source, "table", options.table_options, scores=(options.metric, *options.wide))
    except ValueError as error:
        state.details += refusal("table", error)
        return
    named = (str(name) == options.metric or metric_of(str(name)) is not None for name in read.frame)
    is_scores = options.wide or any(named) or hint_of_wide(read.frame)
    scores = None
    try:
        if is_scores:
            shape: dict[str, Any] = {"wide": options.wide, "percent": options.percent}
            scores = Scores.of(source, metric=options.metric, options=options.table_options, **shape)
            table = scores.table
            state.details += score_findings(scores, options.by, read.notes)
        else:
            cohort = clean_cohort(source, options.table_options)
            table = cohort.frame
            state.details += doubt_findings(cohort.doubts, read.where, options.by)
    except ValueError as error:
        state.details += refusal(read.where, error)
        table = _rows_of_people(read.frame)
    _describe(table, read, state, options)
    if state.severity is Severity.ERROR:
        return
    with state.collecting_refusals(read.where):
        if scores is not None:
            check_judged(scores)
            if options.by:
                overall_scores(scores, analyses_of(scores, **options.grouping)[0].grouping)
        elif options.by:
            check_cohort(table, read.where, **options.grouping)


def _rows_of_people(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table that a reader refused, with case and subject, so that the rest can be looked at."""
    rows = pd.Series(map(str, table.index), index=table.index)
    case = table.get("case", table.get("subject", rows)).fillna(rows).astype(str)
    subject = table.get("subject", case).fillna(case).astype(str)
    attributes = [name for name in table if is_attribute(name) and metric_of(str(name)) is None]
    return table[attributes].assign(case=case, subject=subject)


def _masks(folder: Path, argument: str, state: Checked) -> dict[str, Path]:
    masks: dict[str, Path] = {}
    with state.collecting_refusals(argument):
        masks = find_masks(folder, argument)
    return masks


def _read_cohort(cohort: Any, state: Checked, options: CheckOptions) -> CleanTable | None:
    """Return the table of cases; None if there is none, or its reader refuses it."""
    if cohort is None:
        state.details += [CheckFinding("no_table", Severity.WARNING, "groups")]
        return None
    read: CleanTable | None = None
    with state.collecting_refusals("groups"):
        read = clean_cohort(cohort, options.table_options)
    return read


def _as_files(
    read: CleanTable | None, files: Collection[str], state: Checked, options: CheckOptions
) -> pd.DataFrame | None:
    """Return the table with its cases named as the files are, and collect findings on it."""
    if read is None:
        return None
    state.details += doubt_findings(read.doubts, read.where, options.by)
    table, renamed = cases_as_files(read.frame.set_index("case"), set(files))
    for note in renamed:
        state.details += finding("read_otherwise", Severity.NOTE, read.where, [note], reason=note)
    table = table.reset_index()
    _describe(table, read, state, options, files)
    return table


def _describe(
    table: pd.DataFrame,
    read: CleanTable,
    state: Checked,
    options: CheckOptions,
    files: Collection[str] | None = None,
) -> None:
    """Collect findings on a table by itself, and on its groups among the cases that have files."""
    parts, state.part_of = _parts(table, state, options)
    state.details += cell_findings(read)
    findings, state.groups, state.numbers = table_findings(
        table, options.by, options.bins, state.part_of, parts, files
    )
    state.details += findings
    rows = with_files(table, files)
    state.subjects, state.cases = rows["subject"].nunique(), rows["case"].nunique()


def _parts(table: pd.DataFrame, state: Checked, options: CheckOptions) -> tuple[str, dict[str, str]]:
    """Return the column or file that splits the cases, and case -> part."""
    if options.split is not None:
        try:
            of_subject = read_split(options.split)
        except ValueError as error:
            state.details += refusal("split", error)
            return "", {}
        pairs = zip(table["case"], table["subject"], strict=True)
        return str(options.split), {case: of_subject.get(subject, "") for case, subject in pairs}
    if (column := parts_column(table)) is None:
        return "", {}
    pairs = zip(table["case"], table[column], strict=True)
    return column, {case: "" if pd.isna(part) else str(part).casefold() for case, part in pairs}


def _about_table(
    table: pd.DataFrame,
    unknown: Sequence[str],
    neither: Sequence[str],
    files: Mapping[str, Path] | Iterable[str],
    state: Checked,
) -> None:
    """Collect which files have no row, and which rows no file."""
    present = set(files)
    state.details += finding("not_in_table", Severity.WARNING, "groups", unknown)
    if len(neither) == len(table):
        hint = hint_of_no_match(table, present)
        if isinstance(files, Mapping):
            hint += hint_of_layout(files, list(table["case"]))
        state.details += finding("no_match", Severity.ERROR, "groups", neither, hint=hint)
    else:
        hint = hint_of_capitals(neither, present)
        state.details += finding("no_files", Severity.NOTE, "groups", neither, hint=hint)


def _name_labels(predictions: Path, references: Path, state: Checked, options: CheckOptions) -> None:
    with state.collecting_refusals("labels"):
        state.names = label_map(
            predictions, references, options.labels, options.prediction_labels, options.ignore
        )


def _look(
    cases: Sequence[CaseFiles], table: pd.DataFrame | None, state: Checked, options: CheckOptions
) -> None:
    sizes = VoxelSizes()
    with state.collecting_refusals("spacing"):
        sizes = VoxelSizes.of(options.spacing, None if table is None else table.set_index("case"))
    bar = tqdm(total=len(cases), desc="checking", unit="case", disable=None if options.progress else True)
    jobs = [(case, state.names, sizes[case.case]) for case in cases]
    with bar, closing(run_all(look_into, jobs, options.num_workers)) as stream:
        for facts in stream:
            state.file_facts += facts
            bar.update()
    subject_of = {} if table is None else dict(zip(table["case"], table["subject"], strict=True))
    state.details += file_findings(state.file_facts, state.names, subject_of, state.part_of)
    subjects = (subject_of.get(case.case, case.case) for case in cases)
    state.details += leaks(subjects, [case.part for case in cases], "folders")
