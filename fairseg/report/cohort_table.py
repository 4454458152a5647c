"""The cohort by group as people read it: Tables 1 to 3 of Lee et al. 2025, for Markdown, LaTeX and HTML."""

from math import floor, log10
from typing import Any

import numpy as np
import pandas as pd

from fairseg.report import render
from fairseg.report.page_table import Part
from fairseg.report.summary import P_VALUE
from fairseg.statistics.cohort_table import CohortTable

CAPTION = "Subjects by group"
_P = "p"
_FINEST = 6  # decimals


def cohort_cells(cohort: CohortTable) -> pd.DataFrame:
    """Lay a `cohort_table` out as text: one row a line, one column a group, and a last one of p-values.

    Means stand with the standard deviation, with one decimal or as many as show two digits of it; counts of
    levels and of missing values with their percentage of the subjects (of those with a known value, for
    levels). The p-value of an attribute stands in its first row, with a star if p < 0.05.

    Args:
        cohort: from `cohort_table`.

    Returns:
        Text. Rows: "n subjects", then such as "age", "sex=F", "age: missing"; columns: the groups, "All",
        "unknown" if there are such subjects, and "p".

    >>> from fairseg import Groups
    >>> from fairseg.statistics.cohort_table import cohort_table
    >>> cohort = {"case": ["a", "b", "c", "d"], "sex": ["F", "M", "M", "F"], "kg": [61.5, 80.2, 70.4, 66.1]}
    >>> cells = cohort_cells(cohort_table(cohort, Groups.from_table(cohort, by="sex"), columns=["kg"]))
    >>> cells.loc[["kg"]]
                 F           M         All     p
    kg  63.8 (3.3)  75.3 (6.9)  69.5 (8.0)  0.22
    """
    labels: list[str] = []
    text: list[list[str]] = []
    told = set()
    table = cohort.table
    lines = table.groupby(["attribute", "kind", "level"], sort=False)
    for (attribute, kind, level), line in lines:
        p = np.nan if attribute in told else float(line["p"].iloc[0])
        told.add(attribute)
        labels.append(_label(str(attribute), str(kind), str(level)))
        text.append([*_values(str(kind), line), render.cell(P_VALUE, p)])
    columns = [*table.loc[table["kind"] == "subjects", "name"], _P]
    return pd.DataFrame(text, index=labels, columns=columns)


def cohort_footnote(cohort: CohortTable) -> str:
    """Return what a reader must know to read the table: what stands in it, the tests, and its notes."""
    kinds = set(cohort.table["kind"])
    shown = []
    if "mean" in kinds:
        shown.append("mean (standard deviation)")
    if "level" in kinds:
        shown.append("number (percent of the subjects with a known value)")
    tests = sorted(set(cohort.table["test"]) - {""})
    sentences = [f"{' or '.join(shown).capitalize()}." if shown else ""]
    if tests:
        sentences.append(f"p: {', '.join(tests)}, not corrected for several attributes; * p < 0.05.")
    sentences += [f"{note[:1].upper()}{note[1:]}." for note in cohort.notes]
    return " ".join(sentence for sentence in sentences if sentence)


def cohort_to_markdown(cohort: CohortTable) -> str:
    """Return the table in GitHub's Markdown, with heading and footnote."""
    body = render.grid(cohort_cells(cohort), "github", render.markdown)
    below = render.markdown(cohort_footnote(cohort))
    return f"## {CAPTION}\n\n{body}\n" + (f"\n{below}\n" if below else "")


def cohort_to_latex(cohort: CohortTable) -> str:
    r"""Return the table in a LaTeX `table` float, for `\usepackage{booktabs}`."""
    return render.latex_float(cohort_cells(cohort), f"{CAPTION}. {cohort_footnote(cohort)}".rstrip())


def cohort_part(cohort: CohortTable) -> Part:
    """Return the table for the HTML page, whose template escapes every name.

    A rule sets each attribute off from the one above it; counts of what is missing have the class "count".
    """
    cells = cohort_cells(cohort)
    lines = cohort.table.drop_duplicates(["attribute", "kind", "level"])
    first = (lines["attribute"] != lines["attribute"].shift()).to_numpy()
    classes = [
        " ".join(name for name, has in (("count", kind == "missing"), ("rule", new)) if has)
        for kind, new in zip(lines["kind"], first, strict=True)
    ]
    rows = [
        (str(label), name, list(row))
        for label, name, row in zip(cells.index, classes, cells.to_numpy(), strict=True)
    ]
    return Part([(str(name), "") for name in cells.columns], rows)


def _label(attribute: str, kind: str, level: str) -> str:
    return {
        "subjects": "n subjects",
        "mean": attribute,
        "level": f"{attribute}={level}",
        "missing": f"{attribute}: missing",
    }[kind]


def _values(kind: str, line: pd.DataFrame) -> list[str]:
    rows: list[dict[Any, Any]] = line.to_dict("records")
    if kind == "subjects":
        return [str(row["n"]) for row in rows]
    if kind == "mean":
        decimals = _decimals(line)
        return [_mean(row["mean"], row["sd"], decimals) for row in rows]
    return [_count(row["count"], row["share"]) for row in rows]


def _decimals(line: pd.DataFrame) -> int:
    """Return how many decimals show two digits of the largest standard deviation, at least one."""
    spread = line["sd"].max()
    scale = spread if spread > 0 else line["mean"].abs().max()
    return min(max(1, 1 - floor(log10(scale))), _FINEST) if scale > 0 else 1


def _mean(mean: float, spread: float, decimals: int) -> str:
    if np.isnan(mean):
        return render.NONE
    shown = render.NONE if np.isnan(spread) else f"{spread:.{decimals}f}"
    return f"{mean:.{decimals}f} ({shown})"


def _count(count: int, share: float) -> str:
    if np.isnan(share):
        return render.NONE
    percent = 100 * share
    return f"{count} (<0.1%)" if 0 < percent < 0.05 else f"{count} ({percent:.1f}%)"
