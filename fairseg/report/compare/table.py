"""Models side by side in the form of Tables 4 to 9 of Lee et al. (2025), for pandas and for paper.

Each model is a block of columns, one column a group, headed by its name and p (a star where p < 0.05); rows
are medians and IQR, SER and fairness gap with their intervals. The best of the models is bold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from tabulate import tabulate

from fairseg.io.sentences import listed
from fairseg.report.compare.comparison import Comparison
from fairseg.report.compare.sentences import span
from fairseg.report.escape import latex, markdown
from fairseg.report.numbers import NONE
from fairseg.report.summary import ALL, GAP, P_VALUE, Summary
from fairseg.report.summary_table import caption, write
from fairseg.statistics import Interval
from fairseg.statistics.evidence import MIN_SIZE

SER = "SER"
LARGEST = "Largest fairness gap"  # its row where there is one of each group as well
JUDGED = f"Fairness gap, groups of {MIN_SIZE} or more"
JUDGED_SER = f"SER, groups of {MIN_SIZE} or more"
LIMITS = (", low", ", high")
_INTERVAL = "95% interval"
_WIDEST = 8  # columns of groups side by side
_SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Cell:
    """A figure as text, and whether it is the best of the models."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Block:
    """A few models side by side.

    Attributes:
        heads: of each model its name and what stands behind it: "p = 0.093", "*" or "".
        groups: names of the groups, the columns of each model.
        rows: heading, CSS class, and of each model either one cell a group or one over all groups.
    """

    heads: list[tuple[str, str]]
    groups: list[str]
    rows: list[tuple[str, str, list[list[Cell]]]]


def paper_table(comparison: Comparison, structure: str) -> pd.DataFrame:
    """Return one structure's figures of all models, unrounded.

    Args:
        comparison: from `compare_models`.
        structure: "Overall" or a label.

    Returns:
        float64; columns (model, group), and (model, "All") for what is of all groups; rows "Median DSC", "IQR
        DSC" and so on for each metric, "SER" and "Fairness gap", each with its limits ("SER, low", "SER,
        high"), and "p". Where groups are too small to be judged, the limits are those of the rows "Fairness
        gap, groups of 10 or more" and the like. NaN where there is no value.
    """
    columns = {}
    for model, summary in comparison.named(structure).items():
        frame: Any = summary.table
        rows = [name for name in frame.index if str(name).startswith(("Median", "IQR"))]
        table = {str(name): frame.loc[name].tolist() for name in rows}
        if GAP in frame.index:
            table |= _fairness(comparison, structure, model, summary)
        part = pd.DataFrame.from_dict(table, orient="index", columns=frame.columns, dtype=float)
        columns[model] = part
    return pd.concat(columns, axis="columns", names=["model", "group"])


def _fairness(comparison: Comparison, structure: str, model: str, summary: Summary) -> dict[str, list[float]]:
    frame: Any = summary.table
    empty = [np.nan] * len(summary.groups)
    evidence = comparison.evidence.get(structure, {})
    found = evidence.get(model)
    # The limits are of the groups that are judged; the same rows for all models.
    partly = any(0 < len(one.judged) < len(summary.groups) for one in evidence.values())
    p = frame.loc[P_VALUE].tolist()
    table: dict[str, list[float]] = {}
    for row, judged, interval in (
        (SER, JUDGED_SER, None if found is None else found.ratio),
        (GAP, JUDGED, None if found is None else found.gap),
    ):
        table[row] = frame.loc[row].tolist()
        if interval is not None:
            head = judged if partly else row
            table |= {head: [*empty, interval.estimate]} if partly else {}
            table |= {
                head + end: [*empty, limit]
                for end, limit in zip(LIMITS, (interval.low, interval.high), strict=True)
            }
    if found is not None and len(summary.groups) > 2:
        p[-1] = found.p  # Kruskal-Wallis
        if summary.reference is not None:
            against = [found.of(group) for group in range(len(summary.groups))]
            p[:-1] = [np.nan if one is None else one.corrected for one in against]
    table["p"] = p
    return table


def blocks(comparison: Comparison, structure: str, widest: int = _WIDEST) -> list[Block]:
    """Lay one structure out as text: a few models a block, so that no more columns than `widest` stand there.

    A block has one model at least. The best is the highest median Dice of a group and the lowest distance,
    the gap closest to 0, the SER closest to 1; what reads the same is as good, and of one model none is best.
    """
    frame: Any = paper_table(comparison, structure)
    summary = comparison.named(structure)[comparison.baseline]
    models = list(comparison.summaries)
    rows = {model: frame[model] for model in models}
    names = list(summary.groups.names)
    several = summary.reference is not None and len(names) > 2
    laid: list[tuple[str, str, dict[str, list[Cell]]]] = []
    for row in frame.index:
        name = str(row)
        if name.endswith(LIMITS[1]) or (name == "p" and not several):
            continue
        if name.endswith(LIMITS[0]):
            head = name.removesuffix(LIMITS[0])
            limits = {model: [_limits(part, head)] for model, part in rows.items()}
            if any(cell.text != NONE for (cell,) in limits.values()):
                laid.append((_INTERVAL, "limits", limits))
            continue
        if name.startswith(("Median", "IQR")) or (several and name in (GAP, "p")):
            cells = {model: part.loc[row, names].tolist() for model, part in rows.items()}
            title = "p, against the reference" if name == "p" else name
            laid.append((title, "fairness" if name in (GAP, "p") else "", _marked(name, cells)))
        if name != "p" and not name.startswith(("Median", "IQR")):
            whole = {model: [float(part.loc[row, ALL])] for model, part in rows.items()}
            title = LARGEST if several and name == GAP else name
            laid.append((title, "fairness", _marked(name, whole)))
    each = max(1, widest // len(names))
    return [
        Block(
            [
                (model, _mark(float(rows[model].loc["p", ALL]) if "p" in frame.index else np.nan))
                for model in some
            ],
            names,
            [(title, css, [cells[model] for model in some]) for title, css, cells in laid],
        )
        for some in (models[start : start + each] for start in range(0, len(models), each))
    ]


def _limits(part: Any, head: str) -> Cell:
    low, high = (float(part.loc[head + end, ALL]) for end in LIMITS)
    return Cell(NONE if np.isnan(low) else span(Interval(np.nan, low, high)))


def _marked(name: str, values: dict[str, list[float]]) -> dict[str, list[Cell]]:
    """Return values as text, the best of the models marked in each place."""
    measure = P_VALUE if name == "p" else name
    text = {model: [write(measure, value) for value in some] for model, some in values.items()}
    if len(values) < 2 or name == "p" or name.startswith("IQR"):
        return {model: [Cell(one) for one in some] for model, some in text.items()}
    cost = np.array([[_cost(name, value) for value in some] for some in values.values()])
    marked: dict[str, list[Cell]] = {model: [] for model in values}
    for place in range(cost.shape[1]):
        column = cost[:, place]
        best = ""
        if not np.isnan(column).all():
            best = list(text.values())[int(np.nanargmin(column))][place].lstrip("-")
        for model, some in text.items():
            same = some[place].lstrip("-") == best if name == GAP else some[place] == best
            marked[model].append(Cell(some[place], bool(best) and same))
    return marked


def _cost(name: str, value: float) -> float:
    """Return a number that is the smaller the better a value is."""
    if name.startswith(SER):
        return value - 1.0
    if name in (GAP, JUDGED):
        return abs(value)
    return -value if name in ("Median DSC", "Median NSD") else value


def _mark(p: float) -> str:
    """Return what stands behind a model's name, as in the paper: a star, or a p that is not small."""
    if np.isnan(p):
        return ""
    return "*" if p < _SIGNIFICANT else f"p = {write(P_VALUE, p)}"


def head_text(name: str, mark: str) -> str:
    """Return a model's name with its p.

    >>> head_text("Baseline", "p = 0.093"), head_text("Baseline", "*"), head_text("Baseline", "")
    ('Baseline, p = 0.093', 'Baseline *', 'Baseline')
    """
    return f"{name} *" if mark == "*" else ", ".join(filter(None, (name, mark)))


def note_on(comparison: Comparison, *, bold: bool = True) -> str:
    """Return what a reader must know to read the tables."""
    summary = comparison.overall
    several = len(summary.groups) > 2
    said = []
    if GAP in summary.table.index:
        gap = "median DSC of the best group minus that of the worst."
        if summary.reference is not None:
            who = summary.groups.name(summary.reference)
            gap = f"median DSC of {who} minus that of the {'' if several else 'other '}group."
            gap += " The largest is that of the group farthest away." if several else ""
        said += [f"{GAP}: {gap}", "SER: largest median error (1 - DSC) over the smallest."]
        if comparison.reason:
            said.append(f"No p and no intervals: {comparison.reason}.")
        else:
            judged = f"Kruskal-Wallis test over groups of {smallest_judged(comparison)} or more"
            test = judged if several else "Mann-Whitney U test"
            said.append(f"p: {'' if several else 'two-sided '}{test} on the DSC of the subjects; * p < 0.05.")
            if several and summary.reference is not None:
                said.append("p against the reference: Mann-Whitney U test, corrected for several (Holm).")
            said.append("Intervals: 95%, over subjects.")
    if bold and len(comparison.summaries) > 1:
        said.append("The best of the models is bold.")
    if small := small_groups(comparison):
        said.append(f"Fewer than {smallest_judged(comparison)} subjects, so not judged: {listed(small)}.")
    if summary.unit == "px":
        said.append("Distances in pixels: the files state no voxel size.")
    return " ".join(said)


def small_groups(comparison: Comparison) -> list[str]:
    """Return the names of the groups with too few subjects to be judged."""
    least, summary = smallest_judged(comparison), comparison.overall
    pairs = zip(summary.groups.names, summary.scored, strict=True)
    return [name for name, count in pairs if count < least]


def smallest_judged(comparison: Comparison) -> int:
    """Return how many subjects a group needs to be judged: more than usual where there are many groups."""
    found = comparison.evidence.get(comparison.overall.structure, {}).values()
    return max((evidence.min_size for evidence in found), default=MIN_SIZE)


def paper_to_markdown(comparison: Comparison, structure: str) -> str:
    """Return one structure's tables in GitHub's Markdown, which has no cells over several columns."""
    parts = []
    for block in blocks(comparison, structure):
        columns = [f"{head_text(*head)}: {group}" for head in block.heads for group in block.groups]
        rows = [
            [
                f"**{markdown(cell.text)}**" if cell.best else markdown(cell.text)
                for cells in of_models
                for cell in _spread(cells, len(block.groups))
            ]
            for _, _, of_models in block.rows
        ]
        titles = [markdown(title) for title, _, _ in block.rows]
        safe = [markdown(column) for column in columns]
        parts.append(_grid(titles, safe, rows))
    summary = comparison.named(structure)[comparison.baseline]
    return "\n\n".join([f"## {markdown(caption(summary))}", *parts])


def _spread(cells: Sequence[Cell], number: int) -> list[Cell]:
    """Return a cell for each column: what is of all groups stands in the first."""
    return list(cells) if len(cells) == number else [*cells, *[Cell("")] * (number - 1)]


def _grid(titles: Sequence[str], columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return tabulate(
        [[title, *row] for title, row in zip(titles, rows, strict=True)],
        headers=["", *columns],
        tablefmt="github",
        colalign=["left", *["right"] * len(columns)],
        disable_numparse=True,
    )


def paper_to_latex(comparison: Comparison, structure: str) -> str:
    r"""Return one structure's tables in LaTeX, for `\usepackage{booktabs,graphicx}`.

    Tables of more than eight columns are shrunk to the width of the text.
    """
    summary = comparison.named(structure)[comparison.baseline]
    about = latex(f"{caption(summary)}. {note_on(comparison)}")
    parts = []
    for place, block in enumerate(blocks(comparison, structure)):
        number = len(block.groups)
        starts = range(2, 2 + number * len(block.heads), number)
        heads = [rf"\multicolumn{{{number}}}{{c}}{{{latex(head_text(*head))}}}" for head in block.heads]
        rules = "".join(rf"\cmidrule(lr){{{start}-{start + number - 1}}}" for start in starts)
        groups = [latex(group) for _ in block.heads for group in block.groups]
        lines = [" & ".join(["", *heads]), " & ".join(["", *groups])]
        body = [
            " & ".join([latex(title), *(_latex_cells(cells, number) for cells in of_models)])
            for title, _, of_models in block.rows
        ]
        tabular = "\n".join(
            [
                rf"\begin{{tabular}}{{l{'r' * (number * len(block.heads))}}}",
                r"\toprule",
                rf"{lines[0]} \\",
                rules,
                rf"{lines[1]} \\",
                r"\midrule",
                *(rf"{line} \\" for line in body),
                r"\bottomrule",
                r"\end{tabular}",
            ]
        )
        if number * len(block.heads) > _WIDEST:
            tabular = f"\\resizebox{{\\textwidth}}{{!}}{{%\n{tabular}}}"
        said = f"{latex(caption(summary))} (continued)" if place else about
        parts.append(f"\\begin{{table}}\n\\centering\n\\caption{{{said}}}\n{tabular}\n\\end{{table}}\n")
    return "\n".join(parts)


def _latex_cells(cells: Sequence[Cell], number: int) -> str:
    shown = [rf"\textbf{{{latex(cell.text)}}}" if cell.best else latex(cell.text) for cell in cells]
    return " & ".join(shown) if len(cells) == number else rf"\multicolumn{{{number}}}{{c}}{{{shown[0]}}}"
