"""One sheet of A4: the answer, the groups, the gaps and how they were judged, for a file or a wall."""

import textwrap

from matplotlib import rc_context
from matplotlib.figure import Figure

from fairseg.report.answer import answer
from fairseg.report.audited import Audited
from fairseg.report.escape import plain
from fairseg.report.findings_table import endpoints_table, groups_table
from fairseg.report.notes import method
from fairseg.report.palette import INK
from fairseg.report.plots import STYLE, plot_boxes, plot_gaps
from fairseg.report.tables import Table, grid
from fairseg.report.templates import say

_WIDE = 92  # letters of a line
_ROWS = 12  # of a table


def report_sheet(result: Audited) -> Figure:
    """Return the sheet as a figure."""
    first = result.analyses[0]
    with rc_context(STYLE):
        figure = Figure(figsize=(8.27, 11.69))
        top = 0.955
        title = say("title", model=result.sections.model, by=first.name)
        top = _text(figure, title, top, size=15, weight="bold", width=60)
        top = _text(figure, result.verdict.label.capitalize(), top - 0.008, size=12, weight="bold")
        top = _text(figure, answer(result, result.analyses[0]), top, size=10.5)
        for table in (groups_table(result, first), endpoints_table(result, first)):
            top = _table(figure, table, top - 0.012)
        height = max(0.12, min(0.24, top - 0.33))
        boxes = figure.add_axes((0.1, top - height - 0.02, 0.34, height))
        gaps = figure.add_axes((0.66, top - height - 0.02, 0.28, height))
        plot_boxes(result, boxes)
        plot_gaps(result, gaps)
        gaps.tick_params(labelsize=7)
        gaps.xaxis.label.set_fontsize(7)
        _text(figure, method(result), 0.11, size=8)
    return figure


def _text(
    figure: Figure, text: str, top: float, *, size: float, weight: str = "normal", width: int = _WIDE
) -> float:
    """Write text below a height and return where it ends."""
    lines = textwrap.wrap(plain(text), int(width * 10.5 / size) if weight == "normal" else width)
    figure.text(0.08, top, "\n".join(lines), size=size, weight=weight, va="top", color=INK, parse_math=False)
    return top - len(lines) * size * 1.3 / 72 / 11.69 - 0.006


def _table(figure: Figure, table: Table, top: float) -> float:
    lines = grid(table).splitlines()[: 2 * _ROWS]
    figure.text(
        0.08, top, "\n".join(lines), size=7.5, family="monospace", va="top", color=INK, parse_math=False
    )
    return top - len(lines) * 7.5 * 1.25 / 72 / 11.69
