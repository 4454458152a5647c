"""Gaps with their intervals, one row each: a table that is a plot as well.

The rows are a real table, which can be read aloud cell by cell, copied and narrowed. Positions in the plot
are in per cent of the column, so that lines run through all rows, however high they are. The verdict stands
beside the name, where a telephone shows it too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from markupsafe import Markup

from fairseg.report.charts.scale import Scale, make_scale
from fairseg.report.charts.svg import px, tag
from fairseg.report.escape import plain
from fairseg.report.numbers import NONE, Writer, decimals, number
from fairseg.report.palette import VERDICTS
from fairseg.statistics.verdicts import Verdict

HEADS = ("Structure", "Verdict", "Gap [interval]", "Subjects")


@dataclass(frozen=True)
class ForestRow:
    """One gap.

    Attributes:
        block: heading above its rows, such as an attribute.
        name: what is compared: "LV", or "LV: Black against White".
        estimate: the gap; NaN where there is none.
        low: of its interval, NaN where it was not judged.
        high: of its interval.
        verdict: on it; shown as `NOT_JUDGED` without an interval.
        counts: subjects, as text: "15 / 12", "White 15, Black 12".
        label: text and CSS class of the badge; None: those of the verdict.
        inner: limits that a margin is judged by, narrower than the interval.
        band: gaps that do not matter in this row, in place of the margin of all rows; an infinite end is the
            end of the axis.
    """

    block: str
    name: str
    estimate: float
    low: float
    high: float
    verdict: Verdict
    counts: str
    label: tuple[str, str] | None = None
    inner: tuple[float, float] | None = None
    band: tuple[float, float] | None = None

    @property
    def judged(self) -> bool:
        """Whether it has an interval."""
        return all(map(math.isfinite, (self.estimate, self.low, self.high)))


def badge(verdict: Verdict, label: tuple[str, str] | None = None) -> Markup:
    """Return a verdict as a badge: sign, border and words differ, not only the colour.

    Args:
        verdict: whose sign stands in it.
        label: text and CSS class, if not those of the verdict.

    >>> print(badge(Verdict.GAP))
    <span class="badge gap"><i aria-hidden="true">◆</i>Gap shown</span>
    """
    sign = tag("i", verdict.character, aria_hidden="true")
    text, css = label or (verdict.label.capitalize(), verdict.css_class)
    return tag("span", sign, plain(text), class_=f"badge {css}")


def forest(
    rows: Sequence[ForestRow],
    *,
    label: str,
    axis: str,
    margin: float,
    heads: tuple[str, str, str, str] = HEADS,
    write: Writer | None = None,
) -> Markup:
    """Return gaps with intervals, a line at zero, and a band of gaps too small to matter.

    Args:
        rows: the gaps; neighbours of one block stand below its heading.
        label: what the table shows, for screen readers.
        axis: what is drawn, such as "Gap in median DSC, White minus group".
        margin: gaps between -margin and margin do not matter.
        heads: of the columns with text.
        write: how gaps are written; None: with as many decimals as the axis needs.

    Raises:
        ValueError: no rows, or an interval the wrong way round.

    >>> row = ForestRow("sex", "LV", 0.03, 0.01, 0.05, Verdict.GAP, "15 / 12")
    >>> "0.030 [0.010, 0.050]" in forest([row], label="Gaps", axis="Gap in DSC", margin=0.02)
    True
    """
    if not rows:
        raise ValueError("rows must have at least one gap, got none")
    for row in rows:
        if row.judged and row.low > row.high:
            raise ValueError(f"row {row.name!r} must have low <= high, got {row.low} and {row.high}")
    ends = [value for row in rows if row.judged for value in (row.low, row.high, row.estimate)]
    ends += [row.estimate for row in rows if math.isfinite(row.estimate)]
    # Room for half of a number at both ends, also where the page is 420 pixels wide.
    edges = [end for row in rows for end in row.band or (-margin, margin) if math.isfinite(end)]
    scale = make_scale([ends], 9, 91, most=5, include=[0.0, *edges])
    digits = decimals(scale.low, scale.high)
    write = write or partial(number, digits=digits)
    grid = [
        _line(scale.at(tick), scale.at(tick), y2="100%", class_="axis" if tick == 0 else "grid")
        for tick in scale.ticks
    ]
    body = []
    for block, neighbours in groupby(rows, key=lambda row: row.block):
        members = list(neighbours)
        lines = [_row(row, scale, grid, margin, write) for row in members]
        if block:
            head = tag("th", plain(block), scope="rowgroup", class_="block", colspan=2)
            band = None if any(row.band for row in members) else (-margin, margin)
            lines.insert(0, tag("tr", head, _cell(scale, grid, band), tag("td"), tag("td"), class_="blocks"))
        body.append(tag("tbody", *lines))
    columns = [tag("th", head, scope="col") for head in heads]
    columns.insert(2, tag("th", plain(axis), scope="col", class_="plot"))
    ticks = [
        tag("text", text, x=f"{px(scale.at(tick))}%", y=14, class_="tick mid")
        for tick, text in zip(scale.ticks, map(write, scale.ticks), strict=True)
    ]
    numbers = tag("td", tag("svg", *ticks, aria_hidden="true"), class_="plot")
    foot = tag("tfoot", tag("tr", *[tag("td")] * 2, numbers, *[tag("td")] * 2), aria_hidden="true")
    table = tag("table", tag("thead", tag("tr", *columns)), *body, foot, class_="forest")
    return tag("div", table, class_="scroll", tabindex=0, role="region", aria_label=plain(label))


def _row(row: ForestRow, scale: Scale, grid: Sequence[Markup], margin: float, write: Writer) -> Markup:
    verdict = row.verdict if row.judged else Verdict.NOT_JUDGED
    marks = []
    if row.judged:
        ends = scale([row.low, row.high]).tolist()
        marks.append(_line(*ends, y1="50%", y2="50%", class_="whisker"))
        cap = tag("path", d="M0-4V4", class_="whisker")
        marks += [tag("svg", cap, x=f"{end:.2f}%", y="50%") for end in ends]
        if row.inner is not None:
            marks.append(_line(*scale(row.inner).tolist(), y1="50%", y2="50%", class_="whisker inner"))
    if math.isfinite(row.estimate):
        path = tag("path", d=VERDICTS[verdict.marker][0], class_=f"verdict {verdict.css_class}")
        marks.append(tag("svg", path, x=f"{scale.at(row.estimate):.2f}%", y="50%"))
    # As in sentences and tables: what leaves out 0, or a margin, does so as written.
    text = write(row.estimate, apart=(margin, -margin)) if math.isfinite(row.estimate) else NONE
    if row.judged:
        low, high = (write(end, apart=(0.0, margin, -margin)) for end in (row.low, row.high))
        text += f" [{low}, {high}]"
    return tag(
        "tr",
        tag("th", plain(row.name), scope="row"),
        tag("td", badge(verdict, row.label if row.judged else None)),
        _cell(scale, grid, row.band or (-margin, margin), *marks),
        tag("td", text),
        tag("td", plain(row.counts)),
    )


def _line(x1: float, x2: float, **attributes: object) -> Markup:
    """Return a line between two positions in per cent of the column."""
    return tag("line", x1=f"{x1:.2f}%", x2=f"{x2:.2f}%", **attributes)


def _cell(scale: Scale, grid: Sequence[Markup], band: tuple[float, float] | None, *marks: Markup) -> Markup:
    """Return the cell of the plot: the band, the grid, and marks on them."""
    parts = []
    if band is not None:
        start, stop = (
            scale.at(end) if math.isfinite(end) else edge
            for end, edge in zip(band, (0.0, 100.0), strict=True)
        )
        width = f"{stop - start:.2f}%"
        parts.append(tag("rect", x=f"{start:.2f}%", width=width, height="100%", class_="band"))
    return tag("td", tag("svg", *parts, *grid, *marks, aria_hidden="true"), class_="plot")
