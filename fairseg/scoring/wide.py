"""Score tables of another shape: a column for each label, and shares written as percentages."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from fairseg.cohort.columns import METRICS, metric_of
from fairseg.cohort.table import check_limits, read_numbers
from fairseg.io.cells import cells_of, each, texts_of
from fairseg.io.sentences import did_you_mean, listed


def long_table(
    table: pd.DataFrame, where: str, wide: Sequence[str], *, percent: bool = False
) -> pd.DataFrame:
    """Return a table of one row a case and label from one with a column for each label.

    Args:
        table: as from `read_table`.
        where: what errors call it.
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
        own = {metric: scores[name] for name, (metric, of) in zip(wide, parts, strict=True) if of == label}
        tables.append(rest.assign(label=label, **own))
    return pd.concat(tables, ignore_index=True)


def hint_of_wide(table: pd.DataFrame) -> str:
    """Return what to type for a table that seems to have a column for each label; "" for any other."""
    if "label" in table or not (columns := [name for name in map(str, table) if _metric_and_label(name)]):
        return ""
    return (
        f"; or make a row of each case and label: --wide {','.join(columns)!r}, in Python "
        f"fairseg.scoring.Scores.of(table, wide={columns})"
    )


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
    """Return metric and label of a column such as "dice_LV", "LV DSC" or "hd95 (RV)"; None of any other."""
    for mark in ("_", " ", "-", ".", "/", ":"):
        first, _, rest = column.partition(mark)
        before, _, last = column.rpartition(mark)
        for metric, label in ((first, rest), (last, before)):
            if (kind := metric_of(metric)) is not None and (name := _bare(label)):
                return kind, name
    return None


def _bare(label: str) -> str:
    """Return a label without brackets around all of it; "lung (left)" keeps its own.

    >>> _bare("(RV)"), _bare("lung (left)"), _bare(" [LV] ")
    ('RV', 'lung (left)', 'LV')
    """
    text = label.strip()
    if text[:1] in ("(", "[") and text[-1:] in (")", "]"):
        return text.strip(" ()[]")
    return text if text.strip("()[] ") else ""
