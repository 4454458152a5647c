"""A summary as a table: measures below each other, groups side by side, and a note on how to read it."""

from collections.abc import Iterator, Sequence
from math import isnan, nan

import pandas as pd

from fairseg.io.csv_files import to_csv
from fairseg.report.numbers import KINDS
from fairseg.report.tables import Cell, Heading, Table
from fairseg.report.templates import say
from fairseg.scoring.summary import ALL, CORRECTED, EQUITY, GAP, GAP_OF_LARGE, P_VALUE, SER, WORST, Summary

FAIRNESS = (SER, GAP, GAP_OF_LARGE, WORST, EQUITY, P_VALUE, CORRECTED)
_COUNTS = ("Subjects", "Structures")  # rows of whole numbers begin so


def kind_of(measure: str) -> str:
    """Return how the figures of a measure are written, one of `numbers.KINDS`."""
    if measure.startswith(_COUNTS):
        return "count"
    return "p" if measure in (P_VALUE, CORRECTED) else "score"


def write(measure: str, value: float) -> str:
    """Return a figure of a measure as rounded text."""
    return KINDS[kind_of(measure)](value)


def summary_table(summary: Summary) -> Table:
    """Return the table of a structure, with intervals where there are any."""
    heads, rows = _headings(summary, summary.names), []
    for name, *figures in _rows(summary):
        kind = kind_of(name)
        css = "count" if kind == "count" else "fairness" * name.startswith(FAIRNESS)
        cells = [Cell(value, low, high, kind) for value, low, high in zip(*figures, strict=True)]
        rows.append((Heading(name, css), *cells))
    return Table.of(caption(summary), heads, rows, corner="Measure", note=footnote(summary))


def _rows(summary: Summary) -> Iterator[tuple[str, list[float], list[float], list[float]]]:
    """Return the name of each measure, its figures, and their limits."""
    nothing = [[nan] * summary.table.shape[1]] * len(summary.table)
    frames = (
        nothing if frame is None else frame.to_numpy().tolist()
        for frame in (summary.table, summary.low, summary.high)
    )
    return zip(map(str, summary.table.index), *frames, strict=True)


def summaries_to_csv(summaries: Sequence[Summary]) -> str:
    """Return all tables below each other, unrounded, each with the number of subjects first.

    Limits stand below their figure as "Fairness gap: low" and "Fairness gap: high".
    """
    heads = _headings(summaries[0], summaries[0].groups.names)
    rows: list[list[object]] = []
    for summary in summaries:
        counts = summary.counts.tolist()
        rows.append([summary.structure, "Subjects", *counts, sum(counts)])
        for measure, figures, low, high in _rows(summary):
            rows.append([summary.structure, measure, *figures])
            for end, limits in (("low", low), ("high", high)):
                if not all(map(isnan, limits)):
                    rows.append([summary.structure, f"{measure}: {end}", *limits])
    return to_csv(pd.DataFrame(rows, columns=["structure", "measure", *heads]))


def _headings(summary: Summary, names: Sequence[str]) -> list[str]:
    """Return the headings of the columns: groups with their numbers of subjects, then all of them."""
    counts = [*summary.counts, summary.counts.sum()]
    return [f"{name} (n={count})" for name, count in zip([*names, ALL], counts, strict=True)]


def caption(summary: Summary) -> str:
    """Return what the table shows, in one line."""
    against = "" if summary.reference is None else f", reference: {summary.names[summary.reference]}"
    return f"{summary.structure}, by {' and '.join(summary.groups.attributes)}{against}"


def footnote(summary: Summary) -> str:
    """Return what a reader must know to read the table."""
    pairs = zip(summary.names, summary.scored, strict=True)
    small = [f"{name} (n={count})" for code, (name, count) in enumerate(pairs) if code not in summary.judged]
    return say("footnote", summary=summary, rows=set(summary.table.index), small=small)
