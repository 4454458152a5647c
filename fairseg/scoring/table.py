"""The scores of a model: the table of one row a case and label, checked once, in memory and as a file.

What belongs to a row is a column of it, so that it survives `merge` and `to_csv`: the unit of the distances
in `distance_unit`, notes on a case in `note`. A case that could not be scored is a row without label and
scores, whose `skipped` says why.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairseg.cohort.columns import (
    DISTANCES,
    IN_PIXELS,
    LARGEST,
    LESIONS,
    MEASURED,
    METRICS,
    NO_ATTRIBUTES,
    NOTE,
    SIZES,
    SKIPPED,
    UNIT,
    VOXELS,
    is_attribute,
    metric_of,
    unit_of,
)
from fairseg.cohort.levels import cell_text, is_missing
from fairseg.cohort.pseudonyms import Pseudonyms, naming_columns
from fairseg.cohort.reading import CleanTable, TableOptions, read_table, row_names
from fairseg.cohort.table import (
    BETWEEN_NOTES,
    cell_repr,
    check_limits,
    is_skipped,
    noted,
    read_numbers,
    with_subjects,
)
from fairseg.io.cells import cells_of, each
from fairseg.io.csv_files import to_csv
from fairseg.io.sentences import NamingNote, brief, counted, did_you_mean, listed
from fairseg.metrics.masks import check_label_names
from fairseg.scoring.doubts import hint_of_again, row_doubts, scored_though_skipped
from fairseg.scoring.wide import hint_of_scores, long_table, without_percent

Unit = Literal["mm", "px"]
ONE_LABEL = "all labels"  # the label of a table without the column label


@dataclass(frozen=True, eq=False)
class Scores:
    """The scores of one model, made by `Scores.of` and passed whole.

    Attributes:
        table: one row a scored case and label, with the columns case, subject, the attributes, label, the
            metrics, the sizes of the masks and `note`; text with None for missing values (an ordered
            Categorical stays one), and float64 with NaN.
        unit: of the distances, and of the tolerance of nsd: "mm" or "px"; None if the table does not say.
        skipped: one row a case that could not be scored: case, subject, the attributes, and `skipped`, why.
        table_notes: what else a reader must know of the table, one line each; `notes` are these, `doubts` and
            those on cases.
        doubts: what the rows may be of, against what they were taken for: persons whose column is not known,
            structures or models that are averaged, rows that are repeated.
        title: name of the main score, which is in the column `dice`: "DSC" if it is Dice.
        named: whether the table names cases or subjects; else each row is a subject of its own.
        file: name of the file that was read; empty for a table in memory.
        digest: SHA-256 of that file, hexadecimal.
    """

    table: pd.DataFrame
    unit: Unit | None
    skipped: pd.DataFrame
    table_notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    title: str = METRICS["dice"].title
    named: bool = True
    file: str = ""
    digest: str = ""

    @classmethod
    def of(
        cls,
        source: Any,
        *,
        metric: str = "dice",
        where: str = "scores",
        options: TableOptions | None = None,
        wide: Sequence[str] = (),
        percent: bool = False,
    ) -> "Scores":
        """Read and check scores: a `Scores`, a table in memory, or a path to one (CSV, Parquet, Excel).

        A table has one row a subject, a case, or a case and label. Columns are found by their names: metrics
        (`dice`, `DSC`, `HD95 (mm)` ...), `case`, `subject` (`Subject`, `patient_id` ...) and `label`
        (`structure` ...). Without a column `case` the subject is the case; without both each row is a person,
        with the name in the table's index, and a note says so; without `subject` the case is the subject;
        without `label` there is one structure. Cells that say "not known" (None, NaN, empty, NA, N/A, nan,
        NULL ...) are missing, and blanks around names do not count.

        Args:
            source: the scores.
            metric: the column that the groups are judged by: a share of 1, higher is better.
            where: name of the source in errors, if it is no file.
            options: further texts for "not known", and other names of columns.
            wide: columns of scores, one a label, such as "dice_LV" (or "LV", which is then a Dice).
            percent: whether shares of 1 are written as percentages.

        Raises:
            ValueError: the source is no such table; the message names the column, the row (of a text file or
                a spreadsheet as it is shown there, of a DataFrame from 0 on) and the value.

        >>> scores = Scores.of({"sex": ["F", "M"], "DSC": [0.91, "0.88"]})
        >>> scores.table["dice"].tolist(), scores.attributes, scores.labels
        ([0.91, 0.88], ['sex'], ['all labels'])
        """
        if isinstance(source, cls):
            if wide or percent:
                raise ValueError("wide and percent are of a table, which these scores are made of already")
            if metric_of(metric) != "dice" and title_of(metric) != source.title:
                raise ValueError(
                    f"metric: these scores are judged by {source.title}, not {metric}: "
                    f"make them by fairseg.scoring.Scores.of(table, metric={metric!r})"
                )
            return source
        also = ", a path to one, or one value a subject with groups beside it"
        read = read_table(source, where, options, scores=(metric, *wide), also=also)
        named = "case" in read.frame or "subject" in read.frame
        index = None if named else row_names(source)
        if wide:
            frame = read.frame if index is None else read.frame.assign(case=index)
            read = replace(read, frame=long_table(frame, read.where, wide, percent=percent))
        if percent:
            read = replace(read, frame=without_percent(read.frame, read.where, metric))
        checked = _checked(read, metric, index)
        if isinstance(source, str | Path):
            path = Path(source)
            return replace(checked, file=path.name, digest=hashlib.sha256(path.read_bytes()).hexdigest())
        return checked

    @property
    def spoken_title(self) -> str:
        """The name of the main score in sentences."""
        return "Dice" if self.title == METRICS["dice"].title else self.title

    @property
    def metrics(self) -> list[str]:
        """The metrics that the table has, in the order of `METRICS`."""
        return [name for name in METRICS if name in self.table]

    @cached_property
    def subjects(self) -> tuple[npt.NDArray[np.int64], list[str]]:
        """The subject of each row, int64 (N,), and the subjects in the order of the table."""
        codes, names = pd.factorize(self.table["subject"])
        return codes.astype(np.int64), [str(name) for name in names]

    @property
    def labels(self) -> list[str]:
        """The labels, in the order of the table."""
        return [str(label) for label in self.table["label"].unique()]

    @cached_property
    def means(self) -> dict[str, npt.NDArray[np.float64]]:
        """Metric or size -> its mean over a subject's cases of each label, (S, L), NaN without any."""
        (subject, names), (label, labels) = self.subjects, pd.factorize(self.table["label"])
        columns = [name for name in (*METRICS, *SIZES) if name in self.table]
        means = self.table[columns].groupby(subject * len(labels) + label).mean()
        table = np.full((len(names) * len(labels), len(columns)), np.nan)
        table[means.index.to_numpy()] = means.to_numpy(dtype=np.float64)
        return dict(zip(columns, table.T.reshape(-1, len(names), len(labels)), strict=True))

    @property
    def attributes(self) -> list[str]:
        """The columns that are attributes of cases or subjects."""
        return [str(name) for name in self.table if is_attribute(name)]

    @cached_property
    def reasons(self) -> dict[str, str]:
        """Case -> why it was skipped."""
        return dict(zip(self.skipped["case"], self.skipped[SKIPPED], strict=True))

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of the table and of its cases, one line each."""
        return (*self.doubts, *self.table_notes, *_notes_of_cases(self.table))

    def hidden(self, pseudonyms: Pseudonyms) -> "Scores":
        """Return the same scores without the names of cases and subjects, nor of the file.

        >>> scores = Scores.of({"subject": ["p01"], "sex": ["F"], "dice": [0.9]})
        >>> scores.hidden(Pseudonyms(bytes(32))).table["subject"].tolist()
        ['id-os56omk22qqu']
        """
        left_out = naming_columns(self.table)
        notes, doubts = (
            [note.bare if isinstance(note, NamingNote) else note for note in lines]
            for lines in (self.table_notes, self.doubts)
        )
        if left_out:
            notes.append(f"left out, as their values name people: {listed(left_out)}")
        return replace(
            self,
            table=pseudonyms.hide(self.table, left_out),
            skipped=pseudonyms.hide(self.skipped, left_out),
            table_notes=tuple(notes),
            doubts=tuple(doubts),
            file="",
        )

    @property
    def all_rows(self) -> pd.DataFrame:
        """The scores, and below them the cases that could not be scored."""
        return pd.concat([self.table, self.skipped], ignore_index=True) if len(self.skipped) else self.table

    def to_frame(self) -> pd.DataFrame:
        """Return one table with all that belongs to rows; `Scores.of` makes the same scores of it.

        A main score that is not Dice has its own name here, which `Scores.of` needs again.
        """
        names = {"dice": column_called(self.title)}
        table = self.table.rename(columns=names)
        measured = [name for name in MEASURED if name in table]
        if self.unit and measured:
            last = max(list(table).index(name) for name in measured)
            table.insert(last + 1, UNIT, self.unit)
        if len(self.skipped):
            table[SKIPPED] = None
            table = pd.concat([table, self.skipped], ignore_index=True)[list(table.columns)]
        return table


def read_scores(path: str | Path, options: TableOptions | None = None) -> pd.DataFrame:
    """Read a scores table that `fairseg evaluate` wrote, or one made by other means in its form.

    Case, subject, label and attributes are text, metrics and sizes numbers; an empty cell is missing.
    Needed are the columns case, label and at least one metric; without `subject` the case is the subject
    (where only some cells are empty, the column `note` says so of these cases).

    Raises:
        ValueError: the file cannot be read as such a table; the message names it, the row and the column.
    """
    read = read_table(path, options=options)
    if missing := [name for name in ("case", "label") if name not in read.frame]:
        raise ValueError(
            f"{read.where} must have the columns case and label, has no {' and no '.join(missing)}: it has "
            f"{listed(read.frame.columns, 20)}"
        )
    return _checked(read, None).to_frame()


def scores_to_files(scores: Scores | pd.DataFrame, name: str = "scores.csv") -> dict[str, str]:
    """Return the file of a scores table as name -> text."""
    scores = scores.to_frame() if isinstance(scores, Scores) else scores
    # If a case has no scores, pandas holds counts as floats.
    counts = [size for size in (*VOXELS, *LESIONS) if size in scores]
    whole = {size: "Int64" for size in counts if (scores[size].dropna() % 1 == 0).all()}
    return {name: to_csv(scores.astype(whole))}


def _checked(read: CleanTable, metric: str | None, index: list[str] | None = None) -> Scores:
    """Make scores of a table; `metric` is the column to judge by, None if any metric will do.

    `index` names the rows where no column does; without, they are numbered from 1 on.
    """
    table, where = read.frame, read.where
    if table.empty:
        raise ValueError(f"{where} must have at least one row, got none")
    _check_merged(table, where)
    table, title, called = _with_metrics(table, where, metric)
    numbers = [name for name in (*METRICS, *SIZES) if name in table]
    named = "case" in table or "subject" in table
    columns = {
        name: _numbers(table[name], where, called.get(name, name)) if name in numbers else _texts(table[name])
        for name in table
    }
    clean = _with_names(pd.DataFrame(columns, index=table.index), where, index)
    skipped = is_skipped(clean)
    for name in ("case", "label"):
        if (unnamed := clean.index[clean[name].isna() & ~(skipped & (name == "label"))]).size:
            raise ValueError(f"{where}: row {unnamed[0]} has no {name}")
    rows = clean[~skipped] if skipped.any() else clean
    if rows.empty:
        raise ValueError(f"{where} must hold scores, got {counted(int(skipped.sum()), 'skipped case')} only")
    if (repeated := rows.index[rows.duplicated(["case", "label"])]).size:
        row = rows.loc[repeated[0]]
        of_label = f", label {row['label']}" if "label" in table else ""
        raise ValueError(
            f"{where}: row {repeated[0]} has case {row['case']}{of_label} again{hint_of_again(rows)}"
        )
    check_label_names(rows["label"].unique(), where, " (of a report's subjects.csv judge its scores.csv)")
    rows, unit, unit_notes = _with_unit(rows, where)
    attributes = [name for name in rows if name not in NO_ATTRIBUTES]
    front = ["case", "subject", *attributes]
    note_column = [NOTE] if NOTE in rows else []
    scored = rows[[*front, "label", *numbers, *note_column]].reset_index(drop=True)
    skipped_rows = clean[skipped] if SKIPPED in clean else clean[skipped].assign(**{SKIPPED: None})
    skipped_rows = skipped_rows[[*front, SKIPPED]].drop_duplicates("case", keep="last").reset_index(drop=True)
    row_notes = [] if named else ["no column names the subjects or cases: each row is taken for a person"]
    doubts = row_doubts(rows[[name for name in rows if name in table]], rows, named=named)
    unread = [name for name in read.frame if metric_of(str(name)) == "dice" and called["dice"] != name]
    metric_notes = [f"judged by {title}: the table's column {name!r} is not looked at" for name in unread]
    notes = (*read.notes, *row_notes, *metric_notes, *unit_notes, *scored_though_skipped(rows))
    return Scores(scored, unit, skipped_rows, notes, tuple(doubts), title, named)


def _check_merged(table: pd.DataFrame, where: str) -> None:
    """Refuse the columns that `merge` makes of one in both tables: their values would be taken for levels."""
    for name in NO_ATTRIBUTES:
        if name not in table and {f"{name}_x", f"{name}_y"} <= set(table):
            raise ValueError(
                f"{where} must have one column {name!r}, got '{name}_x' and '{name}_y': both tables of a "
                "merge had it; merge on it too, or drop it from one of them"
            )


def _with_metrics(
    table: pd.DataFrame, where: str, metric: str | None
) -> tuple[pd.DataFrame, str, dict[str, str]]:
    """Return the table with our names of metrics, the title of the main one, and our name -> the table's."""
    if not isinstance(metric, str | None):
        raise ValueError(f"metric must be the name of one column, got {brief(metric)}{hint_of_scores(table)}")
    kinds = {name: metric_of(name) for name in table.columns}
    names = {name: kind for name, kind in kinds.items() if kind is not None}
    title = METRICS["dice"].title
    if metric is not None and (wanted := metric_of(metric)) != "dice":
        if wanted and not METRICS[wanted].higher_is_better:
            raise ValueError(
                f"metric must be a share of 1, higher better, such as dice or nsd, got {brief(metric)}: "
                "distances and errors are reported beside it"
            )
        called = [name for name in kinds if name == metric or (wanted and kinds[name] == wanted)]
        if not called:
            raise ValueError(
                f"metric {metric!r} is not in {where}, which has {listed(table.columns, 20)}"
                f"{did_you_mean(metric, table.columns)}"
            )
        dice = [name for name, kind in kinds.items() if kind == "dice" and name not in called]
        table = table.drop(columns=dice)
        names = {name: kind for name, kind in names.items() if name not in dice} | {called[0]: "dice"}
        title = title_of(metric)
    for kind in set(names.values()):
        if len(same := [name for name, each in names.items() if each == kind]) > 1:
            raise ValueError(f"{where} must have one column of {kind}, got {' and '.join(same)}")
    if not names:
        raise ValueError(
            f"{where} must have a column of scores ({', '.join(METRICS)}), has none: it has "
            f"{listed(table.columns, 20)}{hint_of_scores(table)}"
        )
    units = {unit_of(name) for name, kind in names.items() if kind in DISTANCES}
    table = table.rename(columns=names)
    if UNIT not in table and len(units) == 1 and None not in units:
        table[UNIT] = units.pop()
    return table, title, {kind: name for name, kind in names.items()}


def title_of(metric: str) -> str:
    """Return the title of a column that groups are judged by."""
    name = metric_of(metric)
    return METRICS[name].title if name else metric


def column_called(title: str) -> str:
    """Return the name of the column whose scores have a title.

    >>> column_called("NSD"), column_called("my score")
    ('nsd', 'my score')
    """
    return next((name for name, metric in METRICS.items() if metric.title == title), title)


def _with_names(table: pd.DataFrame, where: str, called: list[str] | None) -> pd.DataFrame:
    """Return the table with case, subject and label, where these were left out."""
    if "label" not in table:
        label = pd.Series(ONE_LABEL, index=table.index, dtype=object)
        table = table.assign(label=label.mask(is_skipped(table), None))
    if "case" not in table:
        called = list(map(str, range(1, len(table) + 1))) if called is None else called
        names = table["subject"] if "subject" in table else pd.Series(called, table.index, dtype=object)
        if (unnamed := table.index[names.isna()]).size:
            raise ValueError(f"{where}: row {unnamed[0]} has no subject")
        # Several rows of one subject and label are its cases.
        count = names.groupby([names, table["label"].fillna("")]).cumcount()
        table = table.assign(case=names.where(count == 0, names + "#" + (count + 1).astype(str)))
    return with_subjects(table)


def _texts(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return text, with None where the cell is missing; an ordered Categorical stays one."""
    if getattr(column.dtype, "ordered", False) and column.name not in NO_ATTRIBUTES:
        return column.cat.rename_categories([str(cell_text(level)) for level in column.cat.categories])
    return pd.Series(each(cell_text, cells_of(column)), index=column.index, dtype=object)


def _numbers(column: "pd.Series[Any]", where: str, called: str) -> "pd.Series[float]":
    """Return float64, each in the range of its metric or size; errors call the column as its table does."""
    numbers = read_numbers(column.rename(called), where)
    limits = METRICS[str(column.name)].limits if column.name in METRICS else (0.0, LARGEST)
    check_limits(numbers, column, limits, where, called)
    return numbers


def _with_unit(rows: pd.DataFrame, where: str) -> tuple[pd.DataFrame, Unit | None, list[str]]:
    """Return the rows with distances in one unit, this unit, and notes on it."""
    measured = [name for name in MEASURED if name in rows]
    distances = [name for name in measured if name in DISTANCES]
    if UNIT not in rows:
        unknown = f"the unit of the distances is not stated (column {UNIT}: mm or px): they are taken as mm"
        return rows, None, [unknown] if distances else []
    if not measured:
        return rows, None, []
    units = rows[UNIT]
    if set(units) == {"mm"}:
        return rows, "mm", []
    needed = rows[measured].notna().any(axis=1)
    if (stray := rows.index[(needed | units.notna()) & ~units.isin(["mm", "px"])]).size:
        raise ValueError(
            f"{where}: row {stray[0]}, column {UNIT}: must be mm or px, got {cell_repr(units[stray[0]])}"
        )
    if set(units.dropna()) == {"px"}:
        subject = "distances are" if distances else "the tolerance of nsd is"
        return rows, "px", [f"{subject} in pixels: no voxel size is stated"]
    if (pixels := units == "px").any():
        rows = rows.copy()
        rows.loc[pixels, measured] = np.nan
        rows = noted(rows, dict.fromkeys(rows.loc[pixels, "case"], (IN_PIXELS,)))
    return rows, "mm" if units.notna().any() else None, []


def _notes_of_cases(rows: pd.DataFrame) -> list[str]:
    """Return each note on cases once, with its cases."""
    if NOTE not in rows:
        return []
    cases: dict[str, dict[str, None]] = {}
    for case, note in zip(rows["case"], rows[NOTE], strict=True):
        for text in str(note).split(BETWEEN_NOTES) if not is_missing(note) else ():
            cases.setdefault(text, {})[case] = None
    return [f"{text} ({counted(len(names), 'case')}: {listed(names)})" for text, names in cases.items()]
