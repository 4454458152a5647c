"""The scores of a model: the table of one row a case and label, checked once, in memory and as a file.

What belongs to a row stands in it, so that it survives `merge`, `to_csv` and whatever else people do with a
table: the unit of the distances in `distance_unit`, what is to be known of a case in `note`, and a case that
could not be scored is a row without label and scores, whose `skipped` says why.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from fairseg.cohort.columns import DISTANCES, METRICS, NO_ATTRIBUTES, NOTE, SIZES, SKIPPED, UNIT, metric_of
from fairseg.cohort.levels import MISSING, is_missing, level_text
from fairseg.cohort.table import with_subjects
from fairseg.io.csv_files import fused, read_csv, to_csv
from fairseg.io.sentences import counted, listed

logger = logging.getLogger(__name__)

Unit = Literal["mm", "px"]
ONE_LABEL = "all labels"  # what a table without the column label scores
_BETWEEN_NOTES = " | "


@dataclass(frozen=True)
class Scores:
    """The scores of one model, made by `Scores.of` and passed whole.

    Attributes:
        table: one row a scored case and label, with the columns case, subject, the attributes, label, the
            metrics and the sizes of the masks; text, and float64 with NaN for what has no value.
        unit: of the distances, "mm" or "px"; None if the table does not state it.
        skipped: one row a case that could not be scored: case, subject, the attributes, and `skipped`, why.
        notes: what else a reader must know of the table, one line each.
        title: what the main score, the column `dice`, is called where it is not Dice; else "DSC".
    """

    table: pd.DataFrame
    unit: Unit | None
    skipped: pd.DataFrame
    notes: tuple[str, ...] = ()
    title: str = METRICS["dice"].title

    @classmethod
    def of(cls, source: Any, *, metric: str = "dice", where: str = "scores") -> "Scores":
        """Read and check scores: a `Scores`, a table in memory, or a path to one (CSV, Parquet, Excel).

        A table has one row a subject, a case, or a case and label. Metrics are found by their names (`dice`,
        `Dice`, `DSC`, `hd95` ...). Without a column `case` the subject is the case, or else the row; without
        `subject` the case is the subject; without `label` there is one structure. Cells that say "not known"
        (None, NaN, empty, NA, N/A, nan, NULL ...) are missing.

        Args:
            source: the scores.
            metric: the column that the groups are judged by: a share of 1, higher is better.
            where: what errors call the source, if it is no file.

        Raises:
            ValueError: the source is no such table; the message names the column, the row and the value.

        >>> scores = Scores.of({"sex": ["F", "M"], "DSC": [0.91, "0.88"]})
        >>> scores.table["dice"].tolist(), scores.attributes, scores.labels
        ([0.91, 0.88], ['sex'], ['all labels'])
        """
        if isinstance(source, cls):
            return source
        if isinstance(source, str | Path):
            table, where, from_csv = _read_table(Path(source))
        else:
            table, from_csv = _as_frame(source, where), False
        return _checked(table, where, metric, from_csv=from_csv)

    @property
    def metrics(self) -> list[str]:
        """The metrics that the table has, in the order of `METRICS`."""
        return [name for name in METRICS if name in self.table]

    @property
    def labels(self) -> list[str]:
        """The labels, in the order of the table."""
        return [str(label) for label in self.table["label"].unique()]

    @property
    def attributes(self) -> list[str]:
        """The columns that are attributes of cases or subjects."""
        return [str(name) for name in self.table if name not in NO_ATTRIBUTES]

    @cached_property
    def reasons(self) -> dict[str, str]:
        """Case -> why it was skipped."""
        return dict(zip(self.skipped["case"], self.skipped[SKIPPED], strict=True))

    def to_frame(self) -> pd.DataFrame:
        """Return one table that says all of this: `Scores.of` makes the same scores of it again."""
        table = self.table.copy()
        if self.unit and (measured := [name for name in DISTANCES if name in table]):
            table.insert(list(table).index(measured[-1]) + 1, UNIT, self.unit)
        if len(self.skipped):
            table[SKIPPED] = None
            table = pd.concat([table, self.skipped], ignore_index=True)[list(table.columns)]
        return table


def read_scores(path: str | Path) -> pd.DataFrame:
    """Read a scores table that `fairseg evaluate` wrote, or one made by other means in its form.

    Case, subject, label and attributes are text, metrics and sizes numbers; an empty cell is missing.
    Needed are the columns case, label and at least one metric; without `subject` the case is the subject
    (where only some cells are empty, a note names the cases).

    Raises:
        ValueError: the file cannot be read as such a table; the message names it, the row and the column.
    """
    file = Path(path)
    table, where, _ = _read_table(file)
    if missing := [name for name in ("case", "label") if name not in table]:
        raise ValueError(f"{where} must have the columns case and label, has no {' and no '.join(missing)}")
    return _checked(table, where, None, from_csv=True).to_frame()


def _read_table(file: Path) -> tuple[pd.DataFrame, str, bool]:
    """Return a table, what errors call it, and whether its index is the row of a text file."""
    kind = file.suffix.lower()
    if kind not in (".parquet", ".xlsx", ".xls"):
        return read_csv(file), str(file), True
    try:
        return (pd.read_parquet(file) if kind == ".parquet" else pd.read_excel(file)), str(file), False
    except ImportError as error:
        raise ValueError(f"{file} cannot be read: {error}") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} cannot be read as a table: {error}") from None


def _as_frame(source: Any, where: str) -> pd.DataFrame:
    if not isinstance(source, pd.DataFrame | Mapping):
        raise ValueError(
            f"{where} must be a table (DataFrame, mapping of columns or path), or one value a subject with "
            f"groups beside it, got {type(source).__name__}"
        )
    try:
        table = pd.DataFrame(source)
    except ValueError as error:
        raise ValueError(f"{where} must be a table: {error}") from None
    if (twice := table.columns[table.columns.duplicated()]).size:
        raise ValueError(f"{where} must name each column once, got {twice[0]!r} twice")
    return table.rename(columns=str).reset_index(drop=True)


def _checked(table: pd.DataFrame, where: str, metric: str | None, *, from_csv: bool) -> Scores:
    """Make scores of a table; `metric` is the column to judge by, None if any metric will do."""
    if table.empty:
        raise ValueError(f"{where} must have at least one row{' below the header' if from_csv else ''}")
    table, title = _with_metrics(table, where, metric)
    numbers = [name for name in (*METRICS, *SIZES) if name in table]
    clean = pd.DataFrame(index=table.index)
    for name in table.columns:
        column = table[name]
        clean[name] = _numbers(column, where) if name in numbers else _cleaned(column, from_csv=from_csv)
    clean = _with_names(clean, where)
    reasons = clean[SKIPPED] if SKIPPED in clean else pd.Series(None, index=clean.index, dtype=object)
    skipped = reasons.notna() & clean["label"].isna()
    for name in ("case", "label"):
        if (without := clean.index[clean[name].isna() & ~skipped]).size:
            raise ValueError(f"{where}: row {without[0]} has no {name}")
    rows = clean[~skipped].copy()
    if rows.empty:
        raise ValueError(f"{where} must hold scores, got {counted(int(skipped.sum()), 'skipped case')} only")
    if (again := rows.index[rows.duplicated(["case", "label"])]).size:
        row = rows.loc[again[0]]
        raise ValueError(f"{where}: row {again[0]} has case {row['case']}, label {row['label']} again")
    unit, about_unit = _unit(rows, where)
    notes = [*about_unit, *_notes_of_cases(rows)]
    front = ["case", "subject"]
    attributes = [name for name in rows if name not in NO_ATTRIBUTES]
    about = [NOTE] if NOTE in rows else []
    out = rows[[*front, *attributes, "label", *numbers, *about]].reset_index(drop=True)
    clean[SKIPPED] = reasons
    lost = clean.loc[skipped, [*front, *attributes, SKIPPED]].reset_index(drop=True)
    return Scores(out, unit, lost, tuple(notes), title)


def _with_metrics(table: pd.DataFrame, where: str, metric: str | None) -> tuple[pd.DataFrame, str]:
    """Return the table with metrics under their own names, and what the one to judge by is called."""
    known = {str(name): metric_of(str(name)) for name in table.columns}
    names = {name: found for name, found in known.items() if found is not None}
    title = METRICS["dice"].title
    if metric is not None and metric_of(metric) != "dice":
        found = metric_of(metric)
        if found in DISTANCES:
            raise ValueError(
                f"metric must be a share of 1 such as dice or nsd, to be judged, got {metric!r}: distances "
                "are reported beside it"
            )
        called = [name for name in known if name == metric or (found and known[name] == found)]
        column = called[0] if called else None
        if column is None:
            raise ValueError(f"metric {metric!r} is not in {where}, which has {listed(table.columns, 20)}")
        names = {name: kind for name, kind in names.items() if kind != "dice"} | {column: "dice"}
        title = METRICS[found].title if found else metric
        other = [name for name, kind in known.items() if kind == "dice" and name != column]
        table = table.drop(columns=other)
    for kind in set(names.values()):
        if len(same := [name for name, each in names.items() if each == kind]) > 1:
            raise ValueError(f"{where} must have one column of {kind}, got {' and '.join(same)}")
    if not names:
        raise ValueError(
            f"{where} must have a column of scores ({', '.join(METRICS)}), has none: it has "
            f"{listed(table.columns, 20)}"
        )
    return table.rename(columns=names), title


def _with_names(table: pd.DataFrame, where: str) -> pd.DataFrame:
    """Return the table with case, subject and label, where these were left out."""
    table = table.copy()
    if "label" not in table:
        table["label"] = pd.Series(ONE_LABEL, index=table.index, dtype=object)
        if SKIPPED in table:
            table.loc[table[SKIPPED].notna(), "label"] = None
    if "case" not in table:
        rows = pd.Series(range(1, len(table) + 1), table.index).astype(str)
        names = table.get("subject", rows)
        if (without := table.index[names.isna()]).size:
            raise ValueError(f"{where}: row {without[0]} has no subject")
        count = names.groupby([names, table["label"].fillna("")]).cumcount()
        # Several rows of one subject and label are its cases.
        table["case"] = names.where(count == 0, names + "#" + (count + 1).astype(str))
    return with_subjects(table)


def _cleaned(column: "pd.Series[Any]", *, from_csv: bool) -> "pd.Series[Any]":
    """Return text, with None where the cell says nothing."""

    def clean(value: Any) -> str | None:
        if is_missing(value):
            return None
        if not isinstance(value, str):
            return level_text(value)
        text = fused(value) if from_csv else value
        return None if text.strip() in MISSING else text.strip()

    return pd.Series([clean(value) for value in column], index=column.index, dtype=object)


def _numbers(column: "pd.Series[Any]", where: str) -> "pd.Series[Any]":
    """Return float64; a text that is no number is an error that names its row."""
    values = [_float(value) for value in column]
    numbers = pd.Series(values, index=column.index, dtype=object)
    if (wrong := numbers.index[[value is None or value in (np.inf, -np.inf) for value in values]]).size:
        raise ValueError(
            f"{where}: row {wrong[0]}, column {column.name}: must be a number, got {column[wrong[0]]!r}"
        )
    numbers = numbers.astype(np.float64)
    share = column.name in METRICS and not METRICS[str(column.name)].unit
    outside = numbers.index[(numbers < 0) | (numbers > (1.0 if share else np.inf))]
    if outside.size:
        span = "from 0 to 1" if share else "0 or more"
        percent = share and numbers.max() > 2.0 and numbers.max() <= 100.0
        hint = " (percentages? divide them by 100)" if percent else ""
        raise ValueError(
            f"{where}: row {outside[0]}, column {column.name}: must be {span}, "
            f"got {column[outside[0]]!r}{hint}"
        )
    return numbers


def _float(value: Any) -> float | None:
    """Return a number, NaN if the cell says nothing, None if it is no number."""
    if is_missing(value) or (isinstance(value, str) and value.strip() in MISSING):
        return float("nan")
    try:
        # Python reads a float to the last bit; pandas does so only in its newer releases.
        return float(value)
    except (TypeError, ValueError):
        return None


def _unit(rows: pd.DataFrame, where: str) -> tuple[Unit | None, list[str]]:
    """Return the unit of the distances, and what is to be said of it; distances in another unit go."""
    measured = [name for name in DISTANCES if name in rows]
    if not measured:
        return None, []
    if UNIT not in rows:
        return None, [
            f"the unit of the distances is not stated (column {UNIT}: mm or px): they are taken as mm"
        ]
    known = rows.loc[rows[measured].notna().any(axis=1), UNIT]
    if (stray := known.index[~known.isin(["mm", "px"])]).size:
        raise ValueError(f"{where}: row {stray[0]}, column {UNIT}: must be mm or px, got {known[stray[0]]!r}")
    if len(set(known)) > 1:
        pixels = known.index[known == "px"]
        cases = rows.loc[pixels, "case"].unique()
        rows.loc[pixels, measured] = np.nan
        return "mm", [
            f"distances in pixels, not in mm as of the others, left out: {counted(len(cases), 'case')} "
            f"({listed(cases)}), whose files state no voxel size"
        ]
    if (known == "px").any():
        return "px", ["distances are in pixels: the files state no voxel size"]
    return "mm", []


def _notes_of_cases(rows: pd.DataFrame) -> list[str]:
    """Return each note on cases once, with the cases that it is on."""
    if NOTE not in rows:
        return []
    cases: dict[str, dict[str, None]] = {}
    for case, note in zip(rows["case"], rows[NOTE], strict=True):
        for text in str(note).split(_BETWEEN_NOTES) if not is_missing(note) else ():
            cases.setdefault(text, {})[case] = None
    return [f"{text} ({counted(len(names), 'case')}: {listed(names)})" for text, names in cases.items()]


def noted(table: pd.DataFrame, notes: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Return a scores table with notes on cases: case -> what is to be known of it."""
    texts = {case: _BETWEEN_NOTES.join(dict.fromkeys(lines)) for case, lines in notes.items() if lines}
    return table.assign(**{NOTE: table["case"].map(texts)}) if texts else table


def scores_to_files(scores: pd.DataFrame, name: str = "scores.csv") -> dict[str, str]:
    """Return the file of a scores table as name -> text."""
    return {name: to_csv(scores)}
