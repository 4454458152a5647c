"""Several models on the same test subjects, side by side, as in Tables 4 to 7 of Lee et al. (2025).

A gap never stands without the Dice of every group beside it: a model that fails everybody has no gap.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from fairseg.groups import Groups
from fairseg.metrics import csv_files
from fairseg.metrics.wording import listed
from fairseg.report import render
from fairseg.report.files import write_files
from fairseg.report.page import render_page
from fairseg.report.plots import plot_rows, to_svg
from fairseg.report.summary import ALL, GAP, OVERALL, P_VALUE, TITLES, Summary, summarize

_LARGEST = "largest"  # heads the gap of the group farthest from the reference


@dataclass(frozen=True)
class Comparison:
    """Several models' summaries, model -> those of `summarize`, and one table of each structure.

    Attributes:
        summaries: model -> "Overall" and each label.
        tables: structure -> float64, one row a model; columns are (measure, group) for medians and IQR of
            each group, and (measure, "") for the fairness gap, the p-value of the test and SER over all
            groups. With more than two groups and a reference, gap and p-value also of each group.
    """

    summaries: dict[str, list[Summary]]
    tables: dict[str, pd.DataFrame]

    def named(self, structure: str) -> dict[str, Summary]:
        """Return model -> summary of one structure."""
        place = list(self.tables).index(structure)
        return {model: parts[place] for model, parts in self.summaries.items()}


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
    overall = comparison.named(OVERALL)
    metric = next(name for name in TITLES if name in next(iter(scores.values())))
    figure = to_svg(plot_rows(overall, metric))
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
    """Return a model's figures, Dice and fairness first: what is read first must not be out of sight."""
    table: Mapping[Any, Mapping[Any, float]] = summary.table.to_dict("index")
    names = summary.groups.names
    medians = [measure for measure in table if measure.startswith("Median")]
    row: dict[tuple[str, str], float] = {}
    for median in medians:
        for measure in (median, median.replace("Median", "IQR")):
            row |= {(measure, name): table[measure][name] for name in names}
        if median == "Median DSC":
            several = summary.reference is not None and len(names) > 2
            others = [name for number, name in enumerate(names) if several and number != summary.reference]
            for measure in (GAP, P_VALUE):
                row |= {(measure, name): table[measure][name] for name in others}
                row[measure, ""] = table[measure][ALL]
            row["SER", ""] = table["SER"][ALL]
    return row


def _cells(table: pd.DataFrame) -> dict[tuple[str, str], list[str]]:
    """Return (measure, group) -> rounded text of each model, the IQR in brackets behind its median."""
    cells = {}
    for column in table.columns:
        measure, group = str(column[0]), str(column[1])
        values = table[column]
        if measure.startswith("IQR") or (measure == P_VALUE and not group and values.isna().all()):
            continue
        text = [render.cell(measure, value) for value in values]
        if measure.startswith("Median"):
            spread = table[measure.replace("Median", "IQR"), group]
            wide = [render.cell("IQR", value) for value in spread]
            text = [f"{middle} ({around})" for middle, around in zip(text, wide, strict=True)]
        elif measure == GAP and not group and _several(table):
            group = _LARGEST
        # The note below a table says which test it is.
        title = "p" if measure == P_VALUE else measure.removeprefix("Median ")
        cells[title, group] = text
    return cells


def _text(comparison: Comparison, structure: str, style: str) -> str:
    safe = render.markdown if style == "github" else render.plain
    table = comparison.tables[structure]
    summary = comparison.named(structure)[table.index[0]]
    frame = pd.DataFrame(
        {", ".join(filter(None, key)): text for key, text in _cells(table).items()}, index=table.index
    )
    if style == "simple":  # models side by side fit a terminal better than measures do
        frame = frame.T
    body = tabulate(
        [[safe(str(name)), *map(safe, row)] for name, row in zip(frame.index, frame.to_numpy(), strict=True)],
        headers=["", *map(safe, frame.columns)],
        tablefmt=style,
        colalign=["left", *["right"] * frame.shape[1]],
        disable_numparse=True,
        maxheadercolwidths=16 if style == "simple" else None,
    )
    title = f"{render.caption(summary)}; median (IQR) of the subjects"
    heading = f"## {safe(title)}" if style == "github" else safe(title)
    return f"{heading}\n\n{body}\n\n{safe(_footnote(comparison))}\n"


def _footnote(comparison: Comparison) -> str:
    table, summary = comparison.tables[OVERALL], next(iter(comparison.summaries.values()))[0]
    return render.footnote(summary, _LARGEST if _several(table) else None)


def _several(table: pd.DataFrame) -> bool:
    """Say whether the table holds a gap of each group."""
    return table.columns.get_level_values(0).tolist().count(GAP) > 1


def _page(comparison: Comparison, figure: bytes) -> str:
    tables = {}
    for structure, table in comparison.tables.items():
        cells = _cells(table)
        heads: dict[str, list[str]] = {}
        for measure, group in cells:
            heads.setdefault(measure, []).append(group)
        tables[structure] = (heads, dict(zip(table.index, zip(*cells.values(), strict=True), strict=True)))
    summary = next(iter(comparison.summaries.values()))[0]
    return render_page(
        "comparison.html.j2",
        summary,
        models=list(comparison.summaries),
        tables=tables,
        figure=base64.b64encode(figure).decode(),
        footnote=_footnote(comparison),
    )
