"""Score tables of another shape: a column for each label, and shares written as percentages."""

import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairseg.cohort.columns import METRICS, SHARES, is_attribute, metric_of
from fairseg.cohort.levels import as_float, is_missing
from fairseg.cohort.table import check_limits, read_numbers
from fairseg.io.cells import cells_of, each, texts_of
from fairseg.io.sentences import did_you_mean, listed

# Words in the place of a label if a column is the mean over all labels, or no score at all.
_OF_ALL = ("mean", "avg", "average", "overall", "total", "all", "macro", "foreground", "fg")
_NO_LABELS = (*_OF_ALL, "std", "sd", "sem", "se", "var", "min", "max", "median", "ci", "n", "count")


def long_table(
    table: pd.DataFrame, where: str, wide: Sequence[str], *, percent: bool = False
) -> pd.DataFrame:
    """Return a table of one row a case and label from one with a column for each label.

    Args:
        table: as from `read_table`.
        where: its name in errors.
        wide: the columns of scores: a label, for its Dice, or a metric and a label, such as "dice_LV".
        percent: whether shares are percentages.

    Raises:
        ValueError: a column is not there, or a cell is no number that its metric can have; the message names
            the row.

    >>> table = pd.DataFrame({"case": ["a"], "dice_LV": [0.9], "dice_RV": [0.8]})
    >>> long_table(table, "table", ["dice_LV", "dice_RV"])
      case label  dice
    0    a    LV   0.9
    1    a    RV   0.8
    """
    if absent := [name for name in wide if name not in table]:
        raise ValueError(
            f"{where} must have the columns of wide, has no {listed(absent)}{did_you_mean(absent[0], table)}"
        )
    if "label" in table:
        raise ValueError(f"{where} has a column 'label' already, so its columns are of one label each row")
    parts = [_metric_and_label(name) or ("dice", name) for name in wide]
    rest = table[[name for name in table if name not in wide]]
    if "case" not in rest and "subject" not in rest:
        rest = rest.assign(case=table.index.astype(str))
    cells = {name: _without_signs(table[name]) if percent else table[name] for name in wide}
    scores = {name: read_numbers(cells[name], where) for name in wide}
    for name, (metric, _) in zip(wide, parts, strict=True):
        low, high = METRICS[metric].limits
        limits = (low, 100.0 if percent and high == 1.0 else high)
        check_limits(scores[name], table[name], limits, where, name)
    tables = []
    for label in dict.fromkeys(label for _, label in parts):
        columns = zip(wide, parts, strict=True)
        of_label = {metric: scores[name] for name, (metric, other) in columns if other == label}
        tables.append(rest.assign(label=label, **of_label))
    return pd.concat(tables, ignore_index=True)


def hint_of_wide(table: pd.DataFrame) -> str:
    """Return what to type if a table has a column for each label, or for their mean; else "".

    >>> hint_of_wide(pd.DataFrame({"mean_dice": [0.9], "hd95": [3.0]}))
    "; judge by one of its columns: metric='mean_dice' (in a command --metric mean_dice)"
    >>> hint_of_wide(pd.DataFrame({"LV_dice": [0.9], "RV_dice": [0.8]})).partition(" (")[0]
    "; make a row of each case and label: wide=['LV_dice', 'RV_dice']"
    """
    if "label" in table:
        return ""
    names = [name for name in map(str, table) if metric_of(name) is None]
    parts = {name: part for name in names if (part := _metric_and_label(name))}
    means = [name for name, (metric, label) in parts.items() if _plain(label) in _OF_ALL and metric in SHARES]
    columns = [name for name, (_, label) in parts.items() if _plain(label) not in _NO_LABELS]
    hint = _metric_line(means[0], "judge by one of its columns") if means else ""
    if len(columns) == 1 and parts[columns[0]][0] in SHARES and not means:
        return _metric_line(columns[0], "if it is the score to judge by")
    return hint + (_line(columns) if columns else "")


def hint_of_scores(table: pd.DataFrame) -> str:
    """Return what to type for a table in which no column is named after a metric; "" if nothing fits.

    If no name helps, columns of fractions may be scores of labels, and a single one what to judge by.

    >>> table = pd.DataFrame({"case": ["a", "b"], "age": [41, 52], "LV": [0.91, 0.9], "RV": [0.84, 0.8]})
    >>> hint_of_scores(table)
    "; if these are scores of labels: wide=['LV', 'RV'] (in a command --wide 'LV,RV')"
    >>> hint_of_scores(table[["case", "age", "LV"]])
    "; if it is the score to judge by: metric='LV' (in a command --metric LV)"
    """
    if (hint := hint_of_wide(table)) or "label" in table:
        return hint
    numbers = {name: _numbers(table[name]) for name in map(str, table) if is_attribute(name)}
    fractions = {name: values for name, values in numbers.items() if values.size and (values % 1 != 0).any()}
    for percent, (low, high) in ((False, (0.0, 1.0)), (True, (0.0, 100.0))):
        columns = [name for name, values in fractions.items() if low <= values.min() and values.max() <= high]
        if len(columns) == 1:
            return _metric_line(columns[0], "if it is the score to judge by", percent=percent)
        if columns:
            return _line(columns, "if these are scores of labels", percent=percent)
    return ""


def _line(
    columns: Sequence[str], purpose: str = "make a row of each case and label", *, percent: bool = False
) -> str:
    """Return what to type so that columns are scores of labels."""
    options = f"--wide {','.join(columns)!r}" + (" --percent" if percent else "")
    named = f"wide={list(columns)}" + (", percent=True" if percent else "")
    return f"; {purpose}: {named} (in a command {options})"


def _metric_line(column: str, purpose: str, *, percent: bool = False) -> str:
    """Return what to type so that a column is judged by."""
    options = f"--metric {shlex.quote(column)}" + (" --percent" if percent else "")
    named = f"metric={column!r}" + (", percent=True" if percent else "")
    return f"; {purpose}: {named} (in a command {options})"


def _numbers(column: "pd.Series[Any]") -> npt.NDArray[np.float64]:
    """Return the numbers of a column; none if a cell is something else."""
    cells = [cell for cell in cells_of(column) if not is_missing(cell)]
    numbers = np.array(
        [np.nan if isinstance(cell, bool) else as_float(cell) for cell in cells], dtype=np.float64
    )
    return numbers if np.isfinite(numbers).all() else numbers[:0]


def without_percent(table: pd.DataFrame, where: str, metric: str) -> pd.DataFrame:
    """Return the table with shares of 1 in place of percentages.

    Raises:
        ValueError: no share is above 1, so that none is a percentage.
    """
    shares = [
        name
        for name in map(str, table)
        if name == metric or ((kind := metric_of(name)) is not None and METRICS[kind].limits[1] == 1.0)
    ]
    columns = {name: read_numbers(_without_signs(table[name]), where) for name in shares}
    high = [
        name
        for name, values in columns.items()
        if values.max() > 1.0 or any(text.endswith("%") for text in texts_of(table[name]))
    ]
    if not high:
        most = np.nanmax([values.max() for values in columns.values()] or [np.nan])
        raise ValueError(
            f"{where} must have percentages, as was said, but no share is above 1: {most:g} at most"
        )
    return table.assign(**{name: columns[name] / 100.0 for name in high})


def _without_signs(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return a column of percentages without the signs that text may end in.

    >>> _without_signs(pd.Series(["89.1%", "87 %", None, 90.5], dtype=object)).tolist()
    ['89.1', '87', None, 90.5]
    """
    cells = each(lambda cell: cell.rstrip("% ") if isinstance(cell, str) else cell, cells_of(column))
    return pd.Series(cells, index=column.index, name=column.name, dtype=object)


def _metric_and_label(column: str) -> tuple[str, str] | None:
    """Return metric and label of a column; None of any other.

    >>> [_metric_and_label(name) for name in ("dice_LV", "left_lung_DSC", "hd95 (RV)", "LV HD95 (mm)")]
    [('dice', 'LV'), ('dice', 'left_lung'), ('hd95', 'RV'), ('hd95', 'LV')]
    >>> _metric_and_label("surface_dice_LV"), _metric_and_label("Dice(LV)"), _metric_and_label("LV")
    (('nsd', 'LV'), ('dice', 'LV'), None)
    """
    marks = [mark for mark, letter in enumerate(column) if letter in "_ -./:(["]
    parts = [(column[:mark], column[mark + (column[mark] not in "([") :]) for mark in marks]
    # The longest name of a metric, so that surface_dice is none of a label "surface".
    for metric, label in (*reversed(parts), *((last, first) for first, last in parts)):
        if (kind := metric_of(metric)) is not None and (name := _bare(label)):
            return kind, name
    return None


def _plain(label: str) -> str:
    return label.casefold().strip("_ -./:")


def _bare(label: str) -> str:
    """Return a label without brackets around all of it; "lung (left)" keeps its own.

    >>> _bare("(RV)"), _bare("lung (left)"), _bare(" [LV] ")
    ('RV', 'lung (left)', 'LV')
    """
    text = label.strip()
    if text[:1] in ("(", "[") and text[-1:] in (")", "]"):
        return text.strip(" ()[]")
    return text if text.strip("()[] ") else ""
