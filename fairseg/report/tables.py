"""The one class of tables, and its writers: terminal, Markdown, LaTeX.

A table holds numbers; each writer rounds them by `fairseg.report.numbers` and makes names safe for its form.
Pages lay it out by the macro `table` of `parts.html.j2`.
"""

import math
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import compress, groupby
from typing import Any

import pandas as pd
from tabulate import tabulate

from fairseg.report import numbers
from fairseg.report.escape import latex, markdown, plain

_ON_PAGE, _IN_TERMINAL = 4, 5  # groups that stand side by side; more become rows
_WITH_LIMITS, _WITHOUT_LIMITS = 6, 10  # columns of a table of such rows on a page
_IN_LATEX = 8  # columns; with more, a table is shrunk to the width of the text
LETTERS = 100  # of a line of text in the terminal


@dataclass(frozen=True)
class Cell:
    """A figure with its limits, or a text.

    Attributes:
        value: the figure; NaN where there is none. Or a text, such as a verdict.
        low: its lower limit; NaN where it has no interval.
        high: its upper limit.
        kind: how it is written, one of `numbers.KINDS`.
        below: text below it in place of the limits.
        best: whether it is the best of its row and stands out.
        span: columns that it takes.
        css: class of a text that is shown as a badge, such as a verdict.
        apart: what the figure is compared with, such as a margin; rounding never moves it onto one of these.
        inner: 90% limits, by which a margin is judged; shown where they lie within it and the limits that
            hold for a whole page do not.
    """

    value: float | str
    low: float = math.nan
    high: float = math.nan
    kind: str = "score"
    below: str = ""
    best: bool = False
    span: int = 1
    css: str = ""
    apart: tuple[float, ...] = ()
    inner: tuple[float, float] | None = None

    @cached_property
    def text(self) -> str:
        """The figure, rounded."""
        if isinstance(self.value, str):
            return self.value
        write = numbers.KINDS[self.kind]
        return write(self.value, apart=self.apart) if self.apart else write(self.value)

    @cached_property
    def limits(self) -> str:
        """The text below the figure: limits in brackets; empty if there are none."""
        if self.below or isinstance(self.value, str) or math.isnan(self.value + self.low + self.high):
            return self.below
        kind = "points" if self.kind == "percent" else self.kind  # the sign once is enough
        write = partial(numbers.span, write=numbers.KINDS[kind], apart=(0.0, *self.apart))
        text = f"({write(self.low, self.high)})"
        if self.inner is None:
            return text
        margin, (low, high) = max(self.apart), self.inner
        only_inner = max(-low, high) <= margin < max(-self.low, self.high)
        return f"{text}, 90%: {write(low, high)}" if only_inner else text

    @property
    def empty(self) -> bool:
        """Whether there is nothing to see: no value, or a count of zero."""
        return self.text in ("", numbers.NONE) or (self.kind == "count" and self.value == 0)


@dataclass(frozen=True)
class Heading:
    """The name of a row or a column, and the CSS class of its cells: "", "fairness", "count", "rule"."""

    name: str
    css: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of cells under headings.

    Attributes:
        caption: what it shows, one line.
        columns: headings.
        rows: headings.
        cells: of each row; their spans add up to the number of columns.
        corner: what heads the headings of the rows.
        note: what a reader must know to read it.
        spans: headings above those of the columns, each with the number of columns below it.
        tall: whether it has many columns and is set small.
    """

    caption: str
    columns: tuple[Heading, ...]
    rows: tuple[Heading, ...]
    cells: tuple[tuple[Cell, ...], ...]
    corner: str = ""
    note: str = ""
    spans: tuple[tuple[str, int], ...] = ()
    tall: bool = False

    @classmethod
    def of(
        cls,
        caption: str,
        columns: Iterable[str],
        rows: Iterable[Sequence[object]],
        *,
        corner: str = "",
        note: str = "",
        tall: bool = False,
    ) -> "Table":
        """Make a table of rows: first the name, or a `Heading` with its CSS class, then cells or texts."""
        heads, cells = [], []
        for name, *row in rows:
            heads.append(name if isinstance(name, Heading) else Heading(str(name)))
            cells.append(tuple(one if isinstance(one, Cell) else Cell(str(one)) for one in row))
        return cls(caption, tuple(map(Heading, columns)), tuple(heads), tuple(cells), corner, note, tall=tall)

    @classmethod
    def side_by_side(
        cls,
        caption: str,
        heads: Sequence[str],
        groups: Sequence[str],
        rows: Mapping[str, Sequence[Sequence[Cell]]],
        fairness: tuple[str, ...],
    ) -> "Table":
        """Make a table in the paper's form: measures below each other, and groups for each of some models.

        Args:
            caption: what it shows.
            heads: of the models.
            groups: under each of them.
            rows: measure -> cells of each model; one for each group, or one over all.
            fairness: how measures of fairness begin.
        """
        wide = len(groups)
        return cls(
            caption,
            tuple(Heading(group) for _ in heads for group in groups),
            tuple(Heading(name, "fairness" if name.startswith(fairness) else "") for name in rows),
            tuple(
                tuple(replace(cell, span=wide // len(part)) for part in parts for cell in part)
                for parts in rows.values()
            ),
            spans=tuple((head, wide) for head in heads),
            tall=True,
        )

    def turned(self) -> "Table":
        """Return the table with rows and columns exchanged."""
        cells = tuple(zip(*self.cells, strict=True))
        return replace(self, columns=self.rows, rows=self.columns, cells=cells, corner="Group", tall=True)

    def without_zeros(self) -> "Table":
        """Return the table without counts that are all zero, which its note mentions instead."""
        counts = [heading.css.startswith("count") for heading in self.rows]
        kept = [
            not (counted and all(cell.empty for cell in row))
            for counted, row in zip(counts, self.cells, strict=True)
        ]
        if all(kept):
            return self
        none = "Nothing else is left out." if any(compress(counts, kept)) else "Left out: none."
        return replace(self._rows(kept), note=f"{none} {self.note}".rstrip())

    def _rows(self, kept: Sequence[bool]) -> "Table":
        return replace(self, rows=tuple(compress(self.rows, kept)), cells=tuple(compress(self.cells, kept)))

    def fitted(self) -> list["Table"]:
        """Return the table, or tables of its parts, so that no column leaves the page.

        Many groups become rows; where these have too many columns, each kind of measure gets its own table.
        """
        table = self.without_zeros()
        if len(table.columns) - 1 <= _ON_PAGE:
            return [table]
        table = table.turned()
        most = _WITH_LIMITS if any(cell.limits for row in table.cells for cell in row) else _WITHOUT_LIMITS
        kinds = [heading.css.split(" ")[0] for heading in table.columns]
        blocks = [[*range(len(kinds))]]
        if len(kinds) > most:
            blocks = [
                [column for column, _ in part] for _, part in groupby(enumerate(kinds), lambda one: one[1])
            ]
        parts = []
        for block in blocks:
            step = math.ceil(len(block) / math.ceil(len(block) / most))
            parts += [table.part(block[start : start + step]) for start in range(0, len(block), step)]
        return [*(replace(part, note="") for part in parts[:-1]), replace(parts[-1], note=table.note)]

    def part(self, columns: Sequence[int]) -> "Table":
        """Return some of the columns, and the rows that have a figure in them."""
        heads = tuple(self.columns[column] for column in columns)
        cells = tuple(tuple(row[column] for column in columns) for row in self.cells)
        part = replace(self, columns=heads, cells=cells)
        has_figure = [any(cell.text != numbers.NONE for cell in row) for row in part.cells]
        return part._rows(has_figure) if any(has_figure) else part

    def to_frame(self) -> pd.DataFrame:
        """Return the table as rounded text, limits on a second line."""
        rows = [[f"{cell.text}\n{cell.limits}".rstrip("\n") for cell in row] for row in self.cells]
        names = [[heading.name for heading in headings] for headings in (self.rows, self.columns)]
        return pd.DataFrame(rows, index=names[0], columns=names[1])


def grid(whole: Table) -> str:
    """Return the rows of a table in plain characters; to fit a terminal, many groups become rows."""
    table = whole.without_zeros()
    narrow = len(table.columns) - 1 > _IN_TERMINAL
    table = table.turned() if narrow else table
    most = [28, *[None] * len(table.columns)]
    widths: dict[str, Any] = {"maxheadercolwidths": 12, "maxcolwidths": most}
    return _grid(table, "simple", plain, "\n", **(widths if narrow else {}))


def paragraphs(lines: Iterable[str]) -> str:
    """Return lines as paragraphs of plain characters for a terminal."""
    return "\n\n".join(textwrap.fill(plain(line), LETTERS) for line in lines)


def to_terminal(tables: Iterable[Table]) -> str:
    """Return tables in plain characters, with captions and notes."""
    parts = []
    for table in tables:
        title = plain(table.caption)
        note = paragraphs([table.without_zeros().note])
        parts.append(f"{title}\n{'=' * len(title)}\n\n{grid(table)}\n" + (f"\n{note}\n" if note else ""))
    return "\n".join(parts)


def to_markdown(tables: Iterable[Table], level: int = 2) -> str:
    """Return tables in GitHub's Markdown, which has no cells over several columns, below headings."""
    parts = []
    for table in (one.without_zeros() for one in tables):
        body = _grid(table, "github", markdown, " ", bold="**{}**")
        note = markdown(table.note)
        parts.append(f"{'#' * level} {markdown(table.caption)}\n\n{body}\n" + (f"\n{note}\n" if note else ""))
    return "\n".join(parts)


def _grid(
    table: Table, style: str, safe: Callable[[str], str], between: str, bold: str = "{}", **widths: Any
) -> str:
    """Return the rows in a style of tabulate; what spans several columns stands in the first."""
    above = [name for name, span in table.spans for _ in range(span)] or [""] * len(table.columns)
    heads = [
        f"{name}: {heading.name}" if name else heading.name
        for name, heading in zip(above, table.columns, strict=True)
    ]
    rows = []
    for heading, row in zip(table.rows, table.cells, strict=True):
        texts = [safe(heading.name)]
        for cell in row:
            text = between.join(safe(part) for part in (cell.text, cell.limits) if part)
            texts += [bold.format(text) if cell.best else text, *[""] * (cell.span - 1)]
        rows.append(texts)
    return tabulate(
        rows,
        headers=[safe(table.corner), *map(safe, heads)],
        tablefmt=style,
        colalign=["left", *["right"] * len(heads)],
        disable_numparse=True,
        **widths,
    )


def to_latex(tables: Iterable[Table]) -> str:
    r"""Return tables in LaTeX, each in a `table` float, for `\usepackage{booktabs,graphicx}`."""
    return "\n".join(_latex_float(table.without_zeros()) for table in tables)


def _latex_float(table: Table) -> str:
    heads, start = [], 2
    if table.spans:
        titles = [rf"\multicolumn{{{span}}}{{c}}{{{latex(name)}}}" for name, span in table.spans]
        rules = ""
        for _, span in table.spans:
            rules += rf"\cmidrule(lr){{{start}-{start + span - 1}}}"
            start += span
        heads = [_latex_row(["", *titles]), rules]
    names = [latex(table.corner), *(latex(heading.name) for heading in table.columns)]
    rows = [
        _latex_row([latex(heading.name), *map(_latex_cell, row)])
        for heading, row in zip(table.rows, table.cells, strict=True)
    ]
    columns = f"l{'r' * len(table.columns)}"
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", *heads, _latex_row(names), r"\midrule", *rows]
    body = "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])
    if len(table.columns) > _IN_LATEX:
        body = f"\\resizebox{{\\textwidth}}{{!}}{{%\n{body}}}"
    about = latex(f"{table.caption}. {table.note}".rstrip())
    return f"\\begin{{table}}\n\\centering\n\\caption{{{about}}}\n{body}\n\\end{{table}}\n"


def _latex_cell(cell: Cell) -> str:
    text = latex(" ".join(part for part in (cell.text, cell.limits) if part))
    text = rf"\textbf{{{text}}}" if cell.best else text
    return text if cell.span == 1 else rf"\multicolumn{{{cell.span}}}{{c}}{{{text}}}"


def _latex_row(cells: Sequence[str]) -> str:
    return rf"{' & '.join(cells)} \\"
