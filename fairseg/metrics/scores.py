"""The scores table as a file: written whole, safe to open in a spreadsheet, and read back the same.

Beside `scores.csv` lies `scores.json` with what the table itself cannot hold: the notes on what was left
out, and the cases that were skipped.
"""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from fairseg.metrics.evaluate import VOXELS
from fairseg.metrics.score import METRICS

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what makes a spreadsheet run a cell


def scores_to_files(scores: pd.DataFrame, name: str = "scores.csv") -> dict[str, str]:
    """Return the files of a scores table as name -> text: the CSV and its JSON."""
    about = {
        "notes": scores.attrs.get("notes", []),
        "skipped": scores.attrs.get("skipped", {}),
    }
    return {
        name: defused(scores).to_csv(index=False),
        str(Path(name).with_suffix(".json")): json.dumps(about, indent=1, ensure_ascii=False) + "\n",
    }


def read_scores(path: str | Path) -> pd.DataFrame:
    """Read a scores table that `fairseg evaluate` wrote, or one made by other means in its form.

    Case, subject, label and attributes are text, metrics numbers; an empty cell is missing. Needed are
    the columns case, label and at least one metric; without `subject` the case is the subject.

    Raises:
        ValueError: the file is no such table; the message names the file, the column and the row.
    """
    file = Path(path)
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False, na_values=[""], encoding="utf-8-sig")
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(f"{file} cannot be read as a table: {str(error).strip()}") from None
    table = table.rename(columns=_fused)
    metrics = [name for name in METRICS if name in table]
    if missing := [name for name in ("case", "label") if name not in table]:
        raise ValueError(f"{file} must have the columns case and label, has no {' and no '.join(missing)}")
    if not metrics:
        raise ValueError(f"{file} must have a column of scores ({', '.join(METRICS)}), has none")
    for name in table.columns:
        if name in (*METRICS, *VOXELS):
            table[name] = _numbers(table[name], file)
        else:
            table[name] = table[name].map(_fused, na_action="ignore")
    again = table.index[table.duplicated(["case", "label"])]
    if len(again):
        row = table.loc[again[0]]
        raise ValueError(f"{file}: row {again[0] + 2} has case {row['case']}, label {row['label']} again")
    table["subject"] = table["subject"].fillna(table["case"]) if "subject" in table else table["case"]
    about = file.with_suffix(".json")
    if about.is_file():
        saved = json.loads(about.read_text(encoding="utf-8"))
        table.attrs = {"notes": saved.get("notes", []), "skipped": saved.get("skipped", {})}
    return table


def defused(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table in which no text is a spreadsheet formula: `=cmd()` becomes `'=cmd()`."""
    safe = table.map(_defused)
    return safe.rename(columns=_defused)


def _defused(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_FORMULA) and not _is_number(value):
        return "'" + value
    return value


def _fused(value: str) -> str:
    return value[1:] if value.startswith("'") and value[1:].startswith(_FORMULA) else value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _numbers(column: "pd.Series[Any]", file: Path) -> "pd.Series[Any]":
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = column.index[numbers.isna() & column.notna()]
    if len(wrong):
        raise ValueError(
            f"{file}: row {wrong[0] + 2}, column {column.name}: must be a number, got {column[wrong[0]]!r}"
        )
    return numbers
