"""Several models on the same test subjects, side by side, as in Tables 4 to 7 of Lee et al. (2025).

A gap never stands without the Dice of every group beside it: a model that fails everybody has no gap.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from tabulate import tabulate

from fairseg import __version__
from fairseg.groups import Groups
from fairseg.metrics import csv_files, split_by_group
from fairseg.metrics.wording import listed
from fairseg.report import plots, render
from fairseg.report.files import write_files
from fairseg.report.page import environment
from fairseg.report.summary import P_VALUE, Summary, summarize

_PLAIN = ("SER", "Fairness gap", P_VALUE)


@dataclass(frozen=True)
class Comparison:
    """Several models' summaries, model -> those of `summarize`, and one table of each structure.

    Attributes:
        summaries: model -> "Overall" and each label.
        tables: structure -> float64, one row a model; columns are (measure, group) for medians and IQR of
            each group, and (measure, "") for SER, the fairness gap and the p-value of the test.
    """

    summaries: dict[str, list[Summary]]
    tables: dict[str, pd.DataFrame]


def compare_models(
    scores: Mapping[str, pd.DataFrame], groups: Groups, *, reference: str | None = None
) -> Comparison:
    """Summarise the scores of several models on one test cohort.

    Args:
        scores: model -> scores, as from `evaluate`, in the order to show.
        groups: made with `Groups.from_table`.
        reference: name of the reference group.

    Raises:
        ValueError: there is no model, or one was scored on other subjects than the first; or as `summarize`.
    """
    if not scores:
        raise ValueError("scores must hold at least one model, got none")
    first, *others = scores
    cohort = set(scores[first]["case"].astype(str))
    for name in others:
        if differ := sorted(cohort ^ set(scores[name]["case"].astype(str))):
            raise ValueError(f"{name} and {first} were not scored on the same cases: {listed(differ)}")
    summaries = {name: summarize(table, groups, reference=reference) for name, table in scores.items()}
    structures = [summary.structure for summary in summaries[first]]
    for name in others:
        if (found := [summary.structure for summary in summaries[name]]) != structures:
            theirs, ours = ", ".join(found[1:]), ", ".join(structures[1:])
            raise ValueError(f"{name} was scored on the labels {theirs}, {first} on {ours}")
    tables = {
        structure: pd.DataFrame({name: _row(parts[place]) for name, parts in summaries.items()}).T
        for place, structure in enumerate(structures)
    }
    return Comparison(summaries, tables)


def write_comparison(
    scores: Mapping[str, pd.DataFrame], groups: Groups, out: str | Path, *, reference: str | None = None
) -> Comparison:
    """Write a comparison into a folder: `comparison.html`, `.csv` (unrounded), `.md` and `.svg`.

    The page is self-contained. All files are written or none.

    Args:
        scores: as in `compare_models`.
        groups: as in `compare_models`.
        out: the folder; made if needed.
        reference: as in `compare_models`.
    """
    comparison = compare_models(scores, groups, reference=reference)
    figure = plots.to_svg(_plot(comparison))
    long = pd.DataFrame(
        [
            (structure, model, column[0], column[1], table.loc[model, column])
            for structure, table in comparison.tables.items()
            for model in table.index
            for column in table.columns
        ],
        columns=["structure", "model", "measure", "group", "value"],
    )
    files: dict[str, str | bytes] = {
        "comparison.html": _page(comparison, figure),
        "comparison.csv": csv_files.to_csv(long),
        "comparison.md": "\n".join(_text(comparison, structure, "github") for structure in comparison.tables),
        "comparison.svg": figure,
    }
    write_files(Path(out), files)
    return comparison


def comparison_to_terminal(comparison: Comparison) -> str:
    """Return the overall table in plain characters."""
    return _text(comparison, next(iter(comparison.tables)), "simple")


def _row(summary: Summary) -> dict[tuple[str, str], float]:
    table, names = summary.table, summary.groups.names
    row: dict[tuple[str, str], float] = {}
    for measure in table.index:
        if str(measure).startswith(("Median", "IQR")):
            row |= {(str(measure), name): float(table.loc[measure, name]) for name in names}
        elif measure in _PLAIN:
            row[str(measure), ""] = float(table.loc[measure, "All"])
    return row


def _cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return rounded text, the IQR in brackets behind its median."""
    cells = pd.DataFrame(index=table.index)
    for column in table.columns:
        measure, group = str(column[0]), str(column[1])
        if measure.startswith("IQR"):
            continue
        text = [render.cell(measure, value) for value in table[column]]
        if group:
            spread = table[measure.replace("Median", "IQR"), group]
            wide = [render.cell("IQR", value) for value in spread]
            text = [f"{middle} ({around})" for middle, around in zip(text, wide, strict=True)]
        title = measure.removeprefix("Median ")
        cells[f"{title}, {group}" if group else title] = text
    return cells


def _text(comparison: Comparison, structure: str, style: str) -> str:
    safe = render.markdown if style == "github" else render.plain
    cells = _cells(comparison.tables[structure])
    summary = next(iter(comparison.summaries.values()))[0]
    if style == "simple":  # models side by side fit a terminal better than measures do
        cells = cells.T
    body = tabulate(
        [[safe(str(name)), *map(safe, row)] for name, row in zip(cells.index, cells.to_numpy(), strict=True)],
        headers=["", *map(safe, cells.columns)],
        tablefmt=style,
        disable_numparse=True,
    )
    title = f"{structure}, by {' and '.join(summary.groups.attributes)}; median (IQR) of the subjects"
    heading = f"## {safe(title)}" if style == "github" else safe(title)
    return f"{heading}\n\n{body}\n\n{safe(render.footnote(summary))}\n"


def _plot(comparison: Comparison) -> Figure:
    """Plot the overall Dice: a cluster of boxes a model, a box a group."""
    overall = {name: parts[0] for name, parts in comparison.summaries.items()}
    first = next(iter(overall.values()))
    number, names = len(first.groups), [render.plain(name) for name in overall]
    metric = "dice" if "dice" in first.subjects else first.subjects.columns[2]
    with rc_context(plots.STYLE):
        figure = Figure(figsize=(9.0, 4.2), layout="constrained")
        ax = figure.subplots()
        step = 0.8 / number
        for place, summary in enumerate(overall.values()):
            places = [place + step * (group - (number - 1) / 2) for group in range(number)]
            plots.draw_boxes(ax, summary, metric, places, 0.85 * step, "vertical")
            values = split_by_group(
                summary.subjects[metric].to_numpy(), summary.subjects["group"].to_numpy(), number
            )
            for where, part in zip(places, values, strict=True):
                jitter = (np.arange(part.size) * 0.6180339887 % 1 - 0.5) * 0.4 * step
                ax.plot(where + jitter, part, "o", color=plots.INK, ms=2.5, mew=0, alpha=0.45, zorder=3)
        wrapped = ["\n".join(plots.wrapped(name)) for name in names]
        ax.set_xticks(range(len(names)), wrapped, parse_math=False)
        ax.set_xlim(-0.6, len(names) - 0.4)
        ax.set_ylabel(first.title(metric))
        ax.grid(axis="y", color="#dfe4e8", lw=0.7)
        keys = [
            Patch(facecolor=color, edgecolor=plots.INK) for color in plots.colors(number, first.reference)
        ]
        legend = figure.legend(
            keys,
            list(map(render.plain, first.groups.names)),
            loc="outside upper left",
            ncols=6,
            frameon=False,
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
    return figure


def _page(comparison: Comparison, figure: bytes) -> str:
    summary = next(iter(comparison.summaries.values()))[0]
    return (
        environment()
        .get_template("comparison.html.j2")
        .render(
            version=__version__,
            by=" and ".join(summary.groups.attributes),
            models=list(comparison.summaries),
            counts=list(zip(summary.groups.names, summary.counts.tolist(), strict=True)),
            tables={structure: _cells(table) for structure, table in comparison.tables.items()},
            figure=base64.b64encode(figure).decode(),
            footnote=render.footnote(summary),
        )
    )
