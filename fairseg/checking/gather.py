"""Collect what a check looks at: a dataset, folders of masks or a table. A reader's refusal is a finding."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm.auto import tqdm

from fairseg.checking.files import IMAGE, CaseFiles, FileFacts, look_into
from fairseg.checking.findings import Finding, Severity, found, refused
from fairseg.checking.masks import file_findings
from fairseg.checking.scores import score_findings
from fairseg.checking.tables import cell_findings, leaks, parts_column, table_findings, with_files
from fairseg.cohort.case_names import (
    cases_as_files,
    files_as_cases,
    hint_of_capitals,
    match_cases,
    names_apart,
)
from fairseg.cohort.columns import is_attribute, metric_of
from fairseg.cohort.reading import CleanTable, TableOptions, read_table
from fairseg.cohort.table import clean_cohort, read_split
from fairseg.io.images import find_masks
from fairseg.io.parallel import run_all
from fairseg.io.structure_files import hint_of_layout
from fairseg.metrics.masks import Structures
from fairseg.report.analyses import analyses_of, check_cohort, overall_scores
from fairseg.scoring.labels import LabelMap, label_map
from fairseg.scoring.subjects import check_judged
from fairseg.scoring.table import Scores
from fairseg.scoring.voxel_sizes import Spacing, VoxelSizes
from fairseg.scoring.wide import hint_of_wide
from fairseg.training.raw import images_of_cases, read_channel_names, read_raw


@dataclass(frozen=True)
class Asked:
    """The options of `check`."""

    by: tuple[str, ...]
    bins: Mapping[str, Sequence[float]]
    labels: Structures | None
    prediction_labels: Structures | None
    ignore: int | None
    spacing: Spacing | None
    split: str | Path | None
    metric: str
    options: TableOptions | None
    wide: Sequence[str]
    percent: bool
    num_workers: int
    progress: bool

    @property
    def grouping(self) -> dict[str, Any]:
        """What an audit by these attributes is asked for."""
        bins = {name: edges for name, edges in self.bins.items() if name in self.by}
        return {"by": self.by, "reference": None, "also": (), "adjust": (), "bins": bins}


@dataclass
class Seen:
    """What was found, as it is collected."""

    findings: list[Finding] = field(default_factory=list)
    files: list[FileFacts] = field(default_factory=list)
    names: LabelMap = field(default_factory=LabelMap)
    groups: pd.DataFrame = field(default_factory=pd.DataFrame)
    numbers: pd.DataFrame = field(default_factory=pd.DataFrame)
    part_of: dict[str, str] = field(default_factory=dict)  # case -> part, as the table says
    subjects: int = 0
    cases: int = 0

    @property
    def stops(self) -> bool:
        """Whether a command would stop at what was found."""
        return any(one.severity is Severity.ERROR for one in self.findings)

    @contextmanager
    def refusals(self, where: str) -> Iterator[None]:
        """Keep a reader's refusal as a finding."""
        try:
            yield
        except ValueError as error:
            self.findings += refused(where, error)


def from_folders(predictions: Path, references: Path, cohort: Any, asked: Asked) -> Seen:
    """Look at folders of masks and their table, as `audit` takes them."""
    seen = Seen()
    predicted, true = (
        _masks(folder, argument, seen)
        for folder, argument in ((predictions, "predictions"), (references, "references"))
    )
    predicted, true, endings = files_as_cases(predicted, true, _case_names(cohort, asked))
    for note in endings:
        seen.findings += found("read_otherwise", Severity.NOTE, "files", [note], reason=note)
    table = _cohort(cohort, predicted.keys() | true.keys(), seen, asked)
    cases = [] if table is None else table["case"].tolist()
    matched = match_cases(cases, predicted, true)
    for side in ("prediction", "reference"):
        own = [case for case, kind in matched.incomplete.items() if kind == side]
        seen.findings += found(f"no_{side}", Severity.ERROR, side, own)
        seen.findings += found(f"only_{side}", Severity.WARNING, side, matched.only[side])
    if table is not None:
        _about_table(table, matched.unknown, matched.neither, {**predicted, **true}, seen)
    _name_labels(predictions, references, seen, asked)
    sides = (("reference", true), ("prediction", predicted))
    there = predicted.keys() | true.keys()
    files = [
        CaseFiles(case, {side: own[case] for side, own in sides if case in own}) for case in sorted(there)
    ]
    if table is not None and asked.by and not seen.stops:
        rows = table[table["case"].isin(there)]
        with seen.refusals("groups"):
            check_cohort(rows, "groups", **asked.grouping)
    _look(files, table, seen, asked)
    return seen


def from_dataset(folder: Path, cohort: Any, asked: Asked) -> Seen:
    """Look at a dataset in nnU-Net's raw layout, its test part too, as `train` and `understand` take it."""
    if not (folder / "imagesTr").is_dir() and not (folder / "dataset.json").is_file():
        raise ValueError(
            f"{folder} must be a dataset in nnU-Net's raw layout, with dataset.json, imagesTr and labelsTr; "
            "of folders of masks give both: fairseg check PREDICTIONS REFERENCES --groups groups.csv"
        )
    seen, files = Seen(), []
    names: set[str] = set()
    channels = 1
    with suppress(ValueError):  # which `read_raw` says below
        channels = len(read_channel_names(folder))
    for end, part in (("Tr", "training"), ("Ts", "test")):
        if end == "Ts" and not (folder / "imagesTs").is_dir():
            continue
        images = images_of_cases(_masks(folder / f"images{end}", f"images{end}", seen))
        there = end == "Tr" or (folder / f"labels{end}").is_dir()
        masks = _masks(folder / f"labels{end}", f"labels{end}", seen) if there else {}
        seen.findings += found("misnamed", Severity.ERROR, f"images{end}", images.misnamed)
        if there:
            seen.findings += found(
                "no_mask", Severity.ERROR, f"labels{end}", sorted(images.by_case.keys() - masks.keys())
            )
            seen.findings += found(
                "no_image", Severity.ERROR, f"images{end}", sorted(masks.keys() - images.by_case.keys())
            )
        several = {len(channels) for channels in images.by_case.values()}
        if len(several) > 1:
            few = [case for case, own in images.by_case.items() if len(own) < max(several)]
            seen.findings += found("no_channel", Severity.ERROR, f"images{end}", few, channels=max(several))
        for case in sorted(images.by_case.keys() | masks.keys()):
            own = {"reference": masks[case]} if case in masks else {}
            own |= {
                f"{IMAGE} {channel:04d}": file
                for channel, file in sorted(images.by_case.get(case, {}).items())
            }
            in_colour = channels == 3 and list(images.by_case.get(case, {})) == [0]
            files.append(CaseFiles(case, own, part, 3 if in_colour else 1))
        names |= images.by_case.keys() | masks.keys()
    table = _cohort(folder / "groups.csv" if cohort is None else cohort, names, seen, asked)
    if table is not None:
        rows = set(table["case"])
        neither = [case for case in table["case"] if case not in names]
        _about_table(table, sorted(names - rows), neither, names, seen)
    if not seen.stops:
        with seen.refusals("training"):
            read_raw(folder)
    _name_labels(folder / "labelsTr", folder / "labelsTr", seen, asked)
    _look(files, table, seen, asked)
    return seen


def from_table(source: Any, asked: Asked) -> Seen:
    """Look at a table of scores, or of cases where it has no column of scores."""
    seen = Seen()
    try:
        read = read_table(source, "table", asked.options, scores=(asked.metric, *asked.wide))
    except ValueError as error:
        seen.findings += refused("table", error)
        return seen
    named = (str(name) == asked.metric or metric_of(str(name)) is not None for name in read.frame)
    is_scores = asked.wide or any(named) or hint_of_wide(read.frame)
    scores = None
    try:
        if is_scores:
            shape: dict[str, Any] = {"options": asked.options, "wide": asked.wide, "percent": asked.percent}
            scores = Scores.of(source, metric=asked.metric, **shape)
            table = scores.table
            seen.findings += score_findings(scores, asked.by or scores.attributes, read.notes)
        else:
            table = clean_cohort(source, asked.options).frame
    except ValueError as error:
        seen.findings += refused(read.where, error)
        table = _rows_of_people(read.frame)
    _describe(table, read, seen, asked)
    if seen.stops:
        return seen
    with seen.refusals(read.where):
        if scores is not None:
            check_judged(scores)
            if asked.by:
                overall_scores(scores, analyses_of(scores, **asked.grouping)[0].grouping())
        elif asked.by:
            check_cohort(table, read.where, **asked.grouping)
    return seen


def _rows_of_people(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table that a reader refused, with case and subject, so that the rest can be looked at."""
    rows = pd.Series(map(str, table.index), index=table.index)
    case = table.get("case", table.get("subject", rows)).fillna(rows).astype(str)
    subject = table.get("subject", case).fillna(case).astype(str)
    attributes = [name for name in table if is_attribute(name) and metric_of(str(name)) is None]
    return table[attributes].assign(case=case, subject=subject)


def _masks(folder: Path, argument: str, seen: Seen) -> dict[str, Path]:
    try:
        return find_masks(folder, argument)
    except ValueError as error:
        seen.findings += refused(argument, error)
        return {}


def _case_names(cohort: Any, asked: Asked) -> list[str]:
    """Return the cases of a table; none of one that cannot be read, which `_cohort` says."""
    with suppress(ValueError):
        if cohort is not None:
            return list(map(str, clean_cohort(cohort, asked.options).frame["case"]))
    return []


def _cohort(cohort: Any, files: Collection[str], seen: Seen, asked: Asked) -> pd.DataFrame | None:
    """Return the table with its cases named as the files, and keep what is to be known of it."""
    if cohort is None:
        seen.findings += [Finding("no_table", Severity.WARNING, "groups")]
        return None
    try:
        read = clean_cohort(cohort, asked.options)
    except ValueError as error:
        seen.findings += refused("groups", error)
        return None
    table, renamed = cases_as_files(read.frame.set_index("case"), set(files))
    for note in renamed:
        seen.findings += found("read_otherwise", Severity.NOTE, read.where, [note], reason=note)
    table = table.reset_index()
    _describe(table, read, seen, asked, files)
    return table


def _describe(
    table: pd.DataFrame, read: CleanTable, seen: Seen, asked: Asked, files: Collection[str] | None = None
) -> None:
    """Keep what is to be known of a table by itself; of its groups, among the cases that have files."""
    parts, seen.part_of = _parts(table, seen, asked)
    seen.findings += cell_findings(read)
    findings, seen.groups, seen.numbers = table_findings(
        table, asked.by, asked.bins, seen.part_of, parts, files
    )
    seen.findings += findings
    rows = with_files(table, files)
    seen.subjects, seen.cases = rows["subject"].nunique(), rows["case"].nunique()


def _parts(table: pd.DataFrame, seen: Seen, asked: Asked) -> tuple[str, dict[str, str]]:
    """Return what says who trains, and case -> part."""
    if asked.split is not None:
        try:
            of_subject = read_split(asked.split)
        except ValueError as error:
            seen.findings += refused("split", error)
            return "", {}
        pairs = zip(table["case"], table["subject"], strict=True)
        return str(asked.split), {case: of_subject.get(subject, "") for case, subject in pairs}
    if (column := parts_column(table)) is None:
        return "", {}
    pairs = zip(table["case"], table[column], strict=True)
    return column, {case: "" if pd.isna(part) else str(part).casefold() for case, part in pairs}


def _about_table(
    table: pd.DataFrame,
    unknown: Sequence[str],
    neither: Sequence[str],
    files: Mapping[str, Path] | Iterable[str],
    seen: Seen,
) -> None:
    """Keep which files have no row, and which rows no file."""
    there = set(files)
    seen.findings += found("not_in_table", Severity.WARNING, "groups", unknown)
    if len(neither) == len(table):
        apart = names_apart(table, there)
        if isinstance(files, Mapping):
            apart += hint_of_layout(files, list(table["case"]))
        seen.findings += found("no_match", Severity.ERROR, "groups", neither, apart=apart)
    else:
        seen.findings += found(
            "no_files", Severity.NOTE, "groups", neither, hint=hint_of_capitals(neither, there)
        )


def _name_labels(predictions: Path, references: Path, seen: Seen, asked: Asked) -> None:
    try:
        seen.names = label_map(predictions, references, asked.labels, asked.prediction_labels, asked.ignore)
    except ValueError as error:
        seen.findings += refused("labels", error)


def _look(cases: Sequence[CaseFiles], table: pd.DataFrame | None, seen: Seen, asked: Asked) -> None:
    """Read all files, and keep what is to be known of them."""
    try:
        sizes = VoxelSizes.of(asked.spacing, None if table is None else table.set_index("case"))
    except ValueError as error:
        seen.findings += refused("spacing", error)
        sizes = VoxelSizes()
    bar = tqdm(total=len(cases), desc="checking", unit="case", disable=None if asked.progress else True)
    facts: list[FileFacts] = []
    with (
        bar,
        closing(
            run_all(look_into, [(case, seen.names, sizes[case.case]) for case in cases], asked.num_workers)
        ) as stream,
    ):
        for own in stream:
            facts += own
            bar.update()
    seen.files = facts
    subject_of = {} if table is None else dict(zip(table["case"], table["subject"], strict=True))
    seen.findings += file_findings(seen.files, seen.names, subject_of, seen.part_of)
    subjects = (subject_of.get(one.case, one.case) for one in cases)
    seen.findings += leaks(subjects, [one.part for one in cases], "folders")
