"""A summary as a table: measures below each other, groups side by side, and a note on how to read it."""

from collections.abc import Sequence
from math import nan

from fairseg.report.numbers import KINDS
from fairseg.report.tables import Cell, Heading, Table, to_csv
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
    heads = _headings(summary, summary.names)
    return Table.of(caption(summary), heads, _rows(summary), corner="Measure", note=footnote(summary))


def _rows(summary: Summary) -> list[tuple[object, ...]]:
    """Return the heading of each measure and its cells."""
    measures, width = summary.table.index, summary.table.shape[1]
    frames = (
        [[nan] * width] * len(measures) if frame is None else frame.to_numpy().tolist()
        for frame in (summary.table, summary.low, summary.high)
    )
    rows = []
    for measure, *figures in zip(measures, *frames, strict=True):
        name, kind = str(measure), kind_of(str(measure))
        css = "count" if kind == "count" else "fairness" * name.startswith(FAIRNESS)
        cells = [Cell(value, low, high, kind) for value, low, high in zip(*figures, strict=True)]
        rows.append((Heading(name, css), *cells))
    return rows


def summaries_to_csv(summaries: Sequence[Summary]) -> str:
    """Return all tables below each other, unrounded, each with the number of subjects first."""
    tables = []
    first = summaries[0]
    heads = _headings(first, first.groups.names)
    for summary in summaries:
        counts = [*summary.counts.tolist(), int(summary.counts.sum())]
        subjects = ("Subjects", *(Cell(count, kind="count") for count in counts))
        tables.append((summary.structure, Table.of("", heads, [subjects, *_rows(summary)])))
    return to_csv(tables, "structure", "measure")


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
