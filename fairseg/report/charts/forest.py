"""Gaps with their intervals, one row each: a table that is a plot as well.

The rows are a real table: read aloud cell by cell, copied, narrowed. Its plot is drawn in per cent of the
column, so lines run through all rows, however high they are.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from fairseg.report.charts.scale import Scale, make_scale
from fairseg.report.charts.svg import decimals, join, number, px, tag
from fairseg.report.render import plain

SHOWN = "shown"
NO_GAP = "no relevant gap"
UNSURE = "not enough evidence"
NOT_JUDGED = "not judged"

# verdict -> CSS class, outline of its marker around 0, 0 in pixels
VERDICTS = {
    SHOWN: ("shown", "M0-7L7 0L0 7L-7 0z"),
    NO_GAP: ("nogap", "M-5.5 0a5.5 5.5 0 1 0 11 0a5.5 5.5 0 1 0-11 0z"),
    UNSURE: ("unsure", "M-5-5H5V5H-5z"),
    NOT_JUDGED: ("unjudged", "M-5-1H5V1H-5z"),
}


@dataclass(frozen=True)
class ForestRow:
    """One gap.

    Attributes:
        block: what its rows are headed with: an attribute.
        name: what is compared: "LV", or "LV: Black against White".
        estimate: the gap; NaN where there is none.
        low: of its interval, NaN where it was not judged.
        high: of its interval.
        verdict: one of `VERDICTS`.
        counts: subjects, as text: "15 / 12", "White 15, Black 12".
        words: of the badge; those of the verdict if not given.
    """

    block: str
    name: str
    estimate: float
    low: float
    high: float
    verdict: str
    counts: str
    words: str | None = None

    @property
    def judged(self) -> bool:
        """Whether it has an interval."""
        return all(map(math.isfinite, (self.estimate, self.low, self.high)))


def badge(verdict: str, text: str | None = None) -> Markup:
    """Return a verdict as a badge: sign, border and words differ, not only the colour.

    Args:
        verdict: one of `VERDICTS`.
        text: the words; the verdict itself if not given.

    Raises:
        ValueError: no such verdict.

    >>> print(badge("shown", "Gap shown"))
    <span class="badge shown">Gap shown</span>
    """
    return tag("span", plain(text or verdict.capitalize()), class_=f"badge {_look(verdict)[0]}")


def forest(
    rows: Sequence[ForestRow],
    *,
    label: str,
    axis: str,
    margin: float | None = None,
    heads: tuple[str, str, str, str] = ("Structure", "Subjects", "Gap [interval]", "Verdict"),
) -> Markup:
    """Return gaps with intervals, a line at zero, and a band of gaps too small to matter.

    Args:
        rows: the gaps; neighbours of one block stand below its heading.
        label: what the table shows, for those who hear it.
        axis: what is drawn, such as "Gap in median DSC, White minus group".
        margin: gaps between -margin and margin do not matter; None draws no band.
        heads: of the columns with text.

    Raises:
        ValueError: no rows, a verdict that is none, an interval the wrong way round, a margin below 0.

    >>> row = ForestRow("sex", "LV", 0.03, 0.01, 0.05, "shown", "15 / 12")
    >>> "0.030 [0.010, 0.050]" in forest([row], label="Gaps", axis="Gap in DSC", margin=0.02)
    True
    """
    if not rows:
        raise ValueError("rows must have at least one gap, got none")
    if margin is not None and not (math.isfinite(margin) and margin >= 0):
        raise ValueError(f"margin must be a number of at least 0, got {margin}")
    for row in rows:
        _look(row.verdict)
        if row.judged and row.low > row.high:
            raise ValueError(f"row {row.name!r} must have low <= high, got {row.low} and {row.high}")
    ends = [value for row in rows if row.judged for value in (row.low, row.high, row.estimate)]
    ends += [row.estimate for row in rows if math.isfinite(row.estimate)]
    band = [] if margin is None else [-margin, margin]
    scale = make_scale([ends], 4, 96, most=5, include=[0.0, *band])
    digits = decimals(scale.low, scale.high)
    body = []
    for block, members in groupby(rows, key=lambda row: row.block):
        lines = [_row(row, scale, margin, digits) for row in members]
        if block:
            head = tag("th", plain(block), scope="rowgroup", class_="block", colspan=2)
            lines.insert(0, tag("tr", head, _cell(scale, margin), tag("td"), tag("td"), class_="blocks"))
        body.append(tag("tbody", *lines))
    columns = [tag("th", head, scope="col") for head in heads]
    columns.insert(2, tag("th", plain(axis), scope="col", class_="plot"))
    foot = tag("tr", *[tag("td")] * 2, tag("td", _numbers(scale), class_="plot"), *[tag("td")] * 2)
    table = tag(
        "table",
        tag("thead", tag("tr", *columns)),
        *body,
        tag("tfoot", foot, aria_hidden="true"),
        class_="forest",
    )
    return tag("div", table, class_="scroll", tabindex=0, role="region", aria_label=plain(label))


def _look(verdict: str) -> tuple[str, str]:
    try:
        return VERDICTS[verdict]
    except KeyError:
        raise ValueError(f"verdict must be one of {', '.join(VERDICTS)}, got {verdict!r}") from None


def _row(row: ForestRow, scale: Scale, margin: float | None, digits: int) -> Markup:
    """Return a row of the table."""
    verdict = row.verdict if row.judged else NOT_JUDGED
    css, outline = _look(verdict)
    marks = []
    if row.judged:
        low, middle, high = (f"{value:.2f}%" for value in scale([row.low, row.estimate, row.high]))
        marks = [
            tag("line", x1=low, x2=high, y1="50%", y2="50%", class_="whisker"),
            *(tag("svg", tag("path", d="M0-4V4", class_="whisker"), x=end, y="50%") for end in (low, high)),
            tag("svg", tag("path", d=outline, class_=f"verdict {css}"), x=middle, y="50%"),
        ]
    elif math.isfinite(row.estimate):
        marks = [
            tag(
                "svg",
                tag("path", d=outline, class_=f"verdict {css}"),
                x=f"{scale.at(row.estimate):.2f}%",
                y="50%",
            )
        ]
    estimate = number(row.estimate, digits) if math.isfinite(row.estimate) else "\N{EN DASH}"
    told = f"{estimate} [{number(row.low, digits)}, {number(row.high, digits)}]" if row.judged else estimate
    return tag(
        "tr",
        tag("th", plain(row.name), scope="row"),
        tag("td", plain(row.counts)),
        _cell(scale, margin, *marks),
        tag("td", told),
        tag("td", badge(verdict, row.words)),
    )


def _cell(scale: Scale, margin: float | None, *marks: Markup) -> Markup:
    """Return the cell of the plot: band, grid, zero, and what is drawn on them."""
    parts = []
    if margin is not None:
        left, right = scale([-margin, margin])
        parts.append(
            tag("rect", x=f"{left:.2f}%", width=f"{right - left:.2f}%", height="100%", class_="band")
        )
    parts += [
        tag("line", x1=at, x2=at, y2="100%", class_="axis" if tick == 0 else "grid")
        for tick, at in ((tick, f"{scale.at(tick):.2f}%") for tick in scale.ticks)
    ]
    return tag("td", tag("svg", *parts, *marks, aria_hidden="true"), class_="plot")


def _numbers(scale: Scale) -> Markup:
    """Return the numbers below the plot."""
    return tag(
        "svg",
        join(
            *(
                tag("text", label, x=f"{px(scale.at(tick))}%", y=14, class_="tick mid")
                for tick, label in zip(scale.ticks, scale.labels(), strict=True)
            )
        ),
        aria_hidden="true",
    )
