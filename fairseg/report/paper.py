"""The figures of a report for papers, and one sheet of A4: the answer, the groups, the gaps, the method."""

import textwrap
from collections.abc import Sequence
from dataclasses import replace

from matplotlib import rc_context
from matplotlib.figure import Figure

from fairseg.io.sentences import counted
from fairseg.report.answer import answer
from fairseg.report.audited import Audited
from fairseg.report.escape import plain
from fairseg.report.findings_table import endpoints_table, groups_table
from fairseg.report.notes import first_notes, method
from fairseg.report.palette import INK
from fairseg.report.plots import (
    STYLE,
    figure_of,
    plot_boxes,
    plot_gaps,
    plot_overall,
    plot_rows,
    to_pdf,
    to_png,
    to_svg,
)
from fairseg.report.tables import Table, grid
from fairseg.report.templates import say
from fairseg.scoring.summary import Summary
from fairseg.statistics.verdicts import Endpoint

_WIDE = 92  # letters of a line
_BELOW = 0.115  # of the height of the sheet: where the method begins
_LEVEL_NAMES = 6  # groups; the names of more stand upright
_GAP_ROW = 0.022  # of the height of the sheet, for a row of the chart of gaps


@rc_context(STYLE)
def figure_files(result: Audited, summaries: Sequence[Summary], sentences: Sequence[str]) -> dict[str, bytes]:
    """Return the figures, of the first grouping, and the sheet with `sentences`: name -> content."""
    files = {
        "overall.svg": to_svg(plot_overall(summaries[0])),
        "gaps.png": to_png(figure_of(plot_gaps(result))),
        "report.pdf": to_pdf(report_sheet(result, sentences)),
    }
    if len(summaries) > 2:  # with a single label both figures would be the same
        rows = {part.structure: part for part in summaries[1:]}
        files["labels.svg"] = to_svg(plot_rows(rows, result.scores.metrics[0]))
    return files


def report_sheet(result: Audited, sentences: Sequence[str]) -> Figure:
    """Return the sheet as a figure, with the first sentences on what is found beside the verdict."""
    first = result.analyses[0]
    with rc_context(STYLE):
        figure = Figure(figsize=(8.27, 11.69))
        top = 0.955
        title = say("title", model=result.sections.model, by=first.name)
        top = _text(figure, title, top, size=15, weight="bold", width=60)
        top = _text(figure, result.verdict.label.capitalize(), top - 0.008, size=12, weight="bold")
        top = _text(figure, answer(result, first), top, size=10.5)
        for table, most in ((groups_table(result, first), 8), (endpoints_table(result, first), 8)):
            top = _table(figure, table, top - 0.012, most)
        for note in [*first_notes(result)[:3], *sentences][:4]:
            top = _text(figure, note, top - 0.006, size=8)
        bottom = _BELOW + 0.08
        room = max(0.08, top - 0.02 - bottom)
        height = min(0.24, room)
        boxes = figure.add_axes((0.1, bottom + room - height, 0.32, height))
        plot_boxes(result, boxes)
        if len(boxes.get_xticks()) > _LEVEL_NAMES:
            boxes.tick_params(axis="x", labelsize=6, labelrotation=90)
        most = int(room / _GAP_ROW)
        typical = sum(row.endpoint is Endpoint.TYPICAL for row in result.judgement.findings)
        height = min(room, _GAP_ROW * (min(most, typical) + 1))
        gaps = figure.add_axes((0.68, bottom + room - height, 0.26, height))
        plot_gaps(result, gaps, most=most)
        gaps.tick_params(labelsize=7)
        gaps.set_xlabel(gaps.get_xlabel().replace(": ", ":\n", 1), fontsize=7)
        _text(figure, method(result), _BELOW, size=8)
    return figure


def _text(
    figure: Figure, text: str, top: float, *, size: float, weight: str = "normal", width: int = _WIDE
) -> float:
    """Write text below a height and return where it ends."""
    lines = textwrap.wrap(plain(text), int(width * 10.5 / size) if weight == "normal" else width)
    figure.text(0.08, top, "\n".join(lines), size=size, weight=weight, va="top", color=INK, parse_math=False)
    return top - len(lines) * size * 1.3 / 72 / 11.69 - 0.006


def _table(figure: Figure, table: Table, top: float, most: int) -> float:
    """Write the first rows of a table below a height, and how many more there are; return where it ends."""
    more = len(table.rows) - most
    lines = grid(replace(table, rows=table.rows[:most], cells=table.cells[:most])).splitlines()
    lines += [f"and {counted(more, 'row')} more on the page and in its files"] if more > 0 else []
    figure.text(
        0.08, top, "\n".join(lines), size=7.5, family="monospace", va="top", color=INK, parse_math=False
    )
    return top - len(lines) * 7.5 * 1.25 / 72 / 11.69
