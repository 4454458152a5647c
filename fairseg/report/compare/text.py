"""A comparison as plain text: for the terminal, Markdown, LaTeX and the spreadsheet."""

import textwrap
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from tabulate import tabulate

from fairseg.io import csv_files
from fairseg.report.compare.answer import answer
from fairseg.report.compare.comparison import Comparison
from fairseg.report.compare.evidence import ModelChange
from fairseg.report.compare.sentences import figure, sentences, span
from fairseg.report.compare.table import note_on, paper_to_latex, paper_to_markdown, small_groups
from fairseg.report.escape import markdown, plain
from fairseg.report.summary import GAP, P_VALUE
from fairseg.report.summary_table import caption, footnote, write
from fairseg.statistics import Evidence, Interval

NARROWING = "Narrowing of the gap"
CHANGE = "Change of median DSC"
WILCOXON = "p (Wilcoxon, Holm over models)"
DETECTABLE = "Detectable gap"
_LARGEST = "largest"  # heads the gap of the group farthest from the reference
_LETTERS = 100  # of a line in the terminal
_NOWHERE = Interval(np.nan, np.nan, np.nan)


def comparison_to_terminal(comparison: Comparison) -> str:
    """Return the overall table in plain characters, and below it what it says in sentences."""
    structure = next(iter(comparison.tables))
    said = [comparison.reason[:1].upper() + comparison.reason[1:] + "."] if comparison.reason else []
    for lines in _sentences(comparison, structure).values():
        said.append(" ".join(lines))
    if comparison.margin is not None:
        for model, found in comparison.evidence.get(structure, {}).items():
            limits = "" if np.isnan(found.gap.low) else f" (95% interval {span(found.gap)})"
            gap = f"gap {figure(found.gap.estimate)}{limits}"
            said.append(f"{model}, margin {figure(comparison.margin)}: {found.verdict}, {gap}.")
    if small := small_groups(comparison):
        said.append(f"Too few subjects to be judged: {', '.join(small)}.")
    told = "\n\n".join(textwrap.fill(plain(line), _LETTERS) for line in said)
    return _table(comparison, structure) + (f"\n{told}\n" if told else "")


def comparison_to_markdown(comparison: Comparison) -> str:
    """Return all tables in the paper's form, and what each says, in GitHub's Markdown."""
    parts = [f"{markdown(_headline(comparison))}\n"]
    for structure in comparison.tables:
        parts.append(f"{paper_to_markdown(comparison, structure)}\n")
        lines = [" ".join(some) for some in _sentences(comparison, structure).values()]
        parts += [f"- {markdown(line)}" for line in lines] + ([""] if lines else [])
    return "\n".join([*parts, markdown(note_on(comparison)), ""])


def comparison_to_latex(comparison: Comparison) -> str:
    r"""Return all tables in the paper's form in LaTeX, for `\usepackage{booktabs,graphicx}`."""
    head = "% \\usepackage{booktabs,graphicx}\n"
    return head + "\n".join(paper_to_latex(comparison, structure) for structure in comparison.tables)


def comparison_to_csv(comparison: Comparison) -> str:
    """Return every figure unrounded, one a row, with its interval and verdict where it has one.

    Columns: structure, model, measure, group (empty: all groups), value, low, high, verdict. Beside the
    measures of the tables, those against the baseline are there for each other model.
    """
    rows = [row for structure in comparison.tables for row in _long(comparison, structure)]
    columns = ["structure", "model", "measure", "group", "value", "low", "high", "verdict"]
    return csv_files.to_csv(pd.DataFrame(rows, columns=columns))


def _headline(comparison: Comparison) -> str:
    structure = next(iter(comparison.tables))
    return answer(
        comparison.changes.get(structure, {}),
        comparison.evidence.get(structure, {}),
        comparison.overall.groups.names,
        comparison.baseline,
        comparison.reason,
    ).text


def _sentences(comparison: Comparison, structure: str) -> dict[str, list[str]]:
    changes = comparison.changes.get(structure, {})
    return sentences(changes, comparison.overall.groups.names, comparison.baseline)


def _long(comparison: Comparison, structure: str) -> Iterator[tuple[object, ...]]:
    table: Any = comparison.tables[structure]
    names = comparison.overall.groups.names
    for model in table.index:
        found = comparison.evidence.get(structure, {}).get(model)
        for measure, group in table.columns:
            value = float(table.loc[model, (measure, group)])
            interval, verdict = _interval(found, str(measure), str(group), names, value)
            yield structure, model, measure, group, value, interval.low, interval.high, verdict
        if found is not None:
            yield structure, model, DETECTABLE, "", found.detectable, np.nan, np.nan, ""
        if (change := comparison.changes.get(structure, {}).get(model)) is not None:
            for measure, group, interval, verdict in _against(change, names):
                yield structure, model, measure, group, *interval, verdict


def _interval(
    found: Evidence | None, measure: str, group: str, names: tuple[str, ...], value: float
) -> tuple[Interval, str]:
    """Return the interval of a figure of the table, and the verdict on it."""
    if found is None:
        return _NOWHERE, ""
    if measure == "Median DSC":
        return found.medians[names.index(group)], ""
    if measure == GAP and group:
        one = found.of(names.index(group))
        return (_NOWHERE, "") if one is None else (one.gap, one.verdict)
    # Of all groups: with groups too small to be judged, the interval is one of another figure.
    for name, interval, verdict in ((GAP, found.gap, found.verdict), ("SER", found.ratio, "")):
        if measure == name:
            same = bool(np.isclose(interval.estimate, value, rtol=0, atol=1e-12))
            return (interval if same else _NOWHERE), verdict
    return _NOWHERE, ""


def _against(change: ModelChange, names: tuple[str, ...]) -> Iterator[tuple[str, str, Interval, str]]:
    found = change.found
    verdict = ", ".join(filter(None, (change.verdict, _levels_down(change))))
    yield NARROWING, "", found.narrowing, verdict
    for group, name in enumerate(names):
        yield CHANGE, name, found.changes[group], ""
    for group, name in enumerate(names):
        yield WILCOXON, name, Interval(change.p[group], np.nan, np.nan), ""
    yield WILCOXON, "", Interval(change.p_all, np.nan, np.nan), ""


def _levels_down(change: ModelChange) -> str:
    said = {"shown": "levelling down", "perhaps": "may be levelling down"}
    turned = said.get(change.turned().levels_down, "")
    return said.get(change.levels_down, turned and f"baseline {turned}")


def _table(comparison: Comparison, structure: str) -> str:
    """Return a table with the models side by side, which fits a terminal better than the measures would."""
    table = comparison.tables[structure]
    summary = comparison.named(structure)[table.index[0]]
    keys, text = zip(*_cells(table).items(), strict=True)
    body = tabulate(
        [
            [plain(", ".join(filter(None, key))), *map(plain, row)]
            for key, row in zip(keys, text, strict=True)
        ],
        headers=["", *map(plain, map(str, table.index))],
        tablefmt="simple",
        colalign=["left", *["right"] * len(table.index)],
        disable_numparse=True,
        maxheadercolwidths=16,
    )
    title = plain(f"{caption(summary)}; median (IQR) of the subjects")
    note = footnote(comparison.overall)
    return f"{title}\n\n{body}\n\n{plain(note)}\n"


def _cells(table: pd.DataFrame) -> dict[tuple[str, str], list[str]]:
    """Return (measure, group) -> rounded text of each model, the IQR in brackets behind its median."""
    cells = {}
    for column in table.columns:
        measure, group = str(column[0]), str(column[1])
        values: Any = table[column]
        if measure.startswith("IQR") or (measure == P_VALUE and not group and values.isna().all()):
            continue
        text = [write(measure, value) for value in values]
        if measure.startswith("Median"):
            spread = table[measure.replace("Median", "IQR"), group]
            wide = [write("IQR", value) for value in spread]
            text = [f"{middle} ({around})" for middle, around in zip(text, wide, strict=True)]
        elif measure == GAP and not group and _several(table):
            group = _LARGEST
        # The note below a table says which test it is.
        title = "p" if measure == P_VALUE else measure.removeprefix("Median ")
        cells[title, group] = text
    return cells


def _several(table: pd.DataFrame) -> bool:
    """Say whether the table holds a gap of each group."""
    return table.columns.get_level_values(0).tolist().count(GAP) > 1
