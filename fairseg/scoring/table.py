"""The scores table as a file: written whole, safe to open in a spreadsheet, and read back the same.

Beside `scores.csv` lies `scores.notes.json` with what the table itself cannot hold: the notes on what was
left out, the cases that were skipped, and the unit of the distances if it is not mm.
"""

import json
import logging
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fairseg.cohort.columns import METRICS, SIZES
from fairseg.io.csv_files import fused, read_csv, to_csv
from fairseg.io.sentences import without_subject

logger = logging.getLogger(__name__)


def scores_to_files(scores: pd.DataFrame, name: str = "scores.csv") -> dict[str, str]:
    """Return the files of a scores table as name -> text: the CSV and its JSON."""
    about = {"notes": scores.attrs.get("notes", []), "skipped": scores.attrs.get("skipped", {})}
    if scores.attrs.get("unit") == "px":
        about["unit"] = "px"
    text = json.dumps(about, indent=1, ensure_ascii=False) + "\n"
    return {name: to_csv(scores), _about(Path(name)).name: text}


def read_scores(path: str | Path) -> pd.DataFrame:
    """Read a scores table that `fairseg evaluate` wrote, or one made by other means in its form.

    Case, subject, label and attributes are text, metrics and sizes numbers; an empty cell is missing.
    Needed are the columns case, label and at least one metric; without `subject` the case is the subject
    (where only some cells are empty, a note names the cases).

    Raises:
        ValueError: the file is no such table; the message names the file, the column and the row.
    """
    file = Path(path)
    table = read_csv(file).rename(columns=fused)
    if missing := [name for name in ("case", "label") if name not in table]:
        raise ValueError(f"{file} must have the columns case and label, has no {' and no '.join(missing)}")
    if not any(name in table for name in METRICS):
        raise ValueError(f"{file} must have a column of scores ({', '.join(METRICS)}), has none")
    if table.empty:
        raise ValueError(f"{file} must have at least one row below the header")
    table = table.mask(table == "")
    for name in table.columns:
        if name in (*METRICS, *SIZES):
            table[name] = _numbers(table[name], file)
        else:
            table[name] = table[name].map(fused, na_action="ignore")
    for name in ("case", "label"):
        if (without := table.index[table[name].isna()]).size:
            raise ValueError(f"{file}: row {without[0]} has no {name}")
    again = table.index[table.duplicated(["case", "label"])]
    if again.size:
        row = table.loc[again[0]]
        raise ValueError(f"{file}: row {again[0]} has case {row['case']}, label {row['label']} again")
    blank = table["case"][table["subject"].isna()].unique().tolist() if "subject" in table else []
    table["subject"] = table["subject"].fillna(table["case"]) if "subject" in table else table["case"]
    table = table.reset_index(drop=True)
    about = _read_about(_about(file))
    for note in without_subject(blank):
        logger.warning("%s", note)
        about["notes"].append(note)
    table.attrs = about
    return table


def _about(file: Path) -> Path:
    """Return the file of notes that lies beside a scores table."""
    return file.with_suffix(".notes.json")


def _read_about(file: Path) -> dict[Hashable | None, Any]:
    try:
        saved = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        notes, skipped = list(saved.get("notes", [])), dict(saved.get("skipped", {}))
        about: dict[Hashable | None, Any] = {"notes": notes, "skipped": skipped}
        if saved.get("unit") == "px":
            about["unit"] = "px"
    except (OSError, ValueError, AttributeError, TypeError):
        raise ValueError(
            f"{file} must hold the notes of a scores table; if it is something else, move it"
        ) from None
    return about


def _numbers(column: "pd.Series[Any]", file: Path) -> "pd.Series[Any]":
    # Python reads a float to the last bit; pandas does so only in its newer releases.
    numbers = column.map(_float, na_action="ignore").astype(float)
    wrong = column.index[(numbers.isna() & column.notna()) | np.isinf(numbers)]
    if wrong.size:
        raise ValueError(
            f"{file}: row {wrong[0]}, column {column.name}: must be a number, got {column[wrong[0]]!r}"
        )
    low, high = METRICS[str(column.name)].limits if column.name in METRICS else (0.0, np.inf)
    outside = column.index[(numbers < low) | (numbers > high)]
    if outside.size:
        span = f"from {low:g} to {high:g}" if np.isfinite(high) else f"{low:g} or more"
        raise ValueError(
            f"{file}: row {outside[0]}, column {column.name}: must be {span}, got {column[outside[0]]!r}"
        )
    return numbers


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
