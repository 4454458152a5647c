"""A comparison as tables: all models, the changes of each group, all findings, and the paper's form."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from fairseg.cohort.columns import METRICS
from fairseg.io.sentences import not_among
from fairseg.report.compare.compared import Compared
from fairseg.report.findings_table import difference_cell
from fairseg.report.summary_table import kind_of
from fairseg.report.tables import Cell, Heading, Table
from fairseg.report.templates import say
from fairseg.scoring.summary import GAP, P_VALUE, SER, Summary
from fairseg.statistics.gain_findings import GainRow, GroupChange, ModelGains, PairGains
from fairseg.statistics.limits import Interval
from fairseg.statistics.verdicts import Endpoint, Verdict

_FAIRNESS = (SER, GAP, P_VALUE)
_SIDE_BY_SIDE = 8  # columns of groups in the paper's form
_MOST_PAIRS = 6  # of a model on the card


def models_table(result: Compared) -> Table:
    """Return one row a model and pair of groups: gap before and after, who gained more, the verdict."""
    rows: list[tuple[object, ...]] = []
    held_groupings = [one.name for one in result.analyses if one.grouping.held]
    for model in result.judgement.models:
        pairs = [pair for pair in model.telling_pairs if pair.rows]
        for number, pair in enumerate(pairs[:_MOST_PAIRS]):
            name = f"{model.model}: {named(pair)}"
            crude = pair.rows[0]
            elsewhere = bool(pair.decided_by) and pair.telling not in (None, crude, pair.within_strata(crude))
            cells = _pair_cells(crude, pair, of_pair=not elsewhere)
            rows.append((Heading(name, "rule" if rows and not number else ""), *cells))
            if elsewhere:
                rows.append(_telling_row(name, pair))
            if result.held_fixed and pair.attribute not in held_groupings:
                held = Heading(f"{name}, {result.held_fixed} held fixed")
                rows.append((held, *_pair_cells(pair.within_strata(crude), pair)))
    title = result.scores.title
    note = say("about_gains", title=title, baseline=result.baseline, options=result.options)
    heads = ("Verdict", "Gap before", "Gap after", "Gained more by")
    return Table.of(f"Gaps in the typical {title}", heads, rows, corner="Model", note=note)


def _telling_row(name: str, pair: PairGains) -> tuple[object, ...]:
    """Return the row that decides, where it is not the overall typical case."""
    row = pair.telling
    assert row is not None
    name += "" if row.structure == pair.rows[0].structure else f", {row.structure}"
    name += "" if row.endpoint is Endpoint.TYPICAL else f", {row.endpoint} (points)"
    return (Heading(name), *_pair_cells(row, pair))


def _pair_cells(row: GainRow | None, pair: PairGains, *, of_pair: bool = False) -> list[Cell]:
    """Return the verdict of a row or of its pair, both gaps, and the gain of the group named first."""
    if row is None:  # the strata are too small
        return [_verdict(Verdict.NOT_JUDGED), *[Cell(float("nan"))] * 3]
    text, css = row_label(row, pair)
    verdict = _verdict(pair.verdict) if of_pair else Cell(text, css=css)
    intervals = (row.gain, row.equivalence)
    gain = difference_cell(row, *((one.negated() for one in intervals) if is_turned(pair) else intervals))
    gaps = [Cell(*interval, kind=gain.kind, apart=gain.apart) for interval in gaps_of(row, pair)]
    return [verdict, *gaps, gain]


def changes_table(result: Compared, model: ModelGains, structure: str | None = None) -> Table:
    """Return the changes of each group with a model: typical change, how many newly fail or lost much."""
    structure = structure or result.judgement.structures[0]
    changes = [one for one in model.changes if one.structure == structure]
    several = len({one.attribute for one in changes}) > 1
    rows = [
        (
            f"{one.attribute}: {one.group}" if several else one.group,
            *_change_cells(one, result.options.margin),
        )
        for one in changes
    ]
    title = result.scores.title
    heads = (
        "Subjects",
        "Median before",
        "Median after",
        "Typical change",
        "Newly fail",
        "No longer fail",
        "Lost much",
    )
    note = say("about_changes", title=title, options=result.options, drop=result.judgement.drop)
    return Table.of(
        f"{model.model}, {structure}: what became of each group", heads, rows, corner="Group", note=note
    )


def _change_cells(one: GroupChange, margin: float) -> list[Cell]:
    counts = (one.newly_failing, one.rescued, one.lost)
    return [
        Cell(one.n, kind="count"),
        Cell(one.median_before),
        Cell(one.median_after),
        Cell(*one.change, apart=(margin, -margin)),
        *(Cell(count, kind="count") for count in counts),
    ]


def findings_table(result: Compared) -> Table:
    """Return every row: all models, attributes, structures, pairs and endpoints."""
    heads = ("Verdict", "Subjects", "Gap before", "Gap after", "Gained more by", "p", "p (all)")
    rows = []
    for model in result.judgement.models:
        for pair, row in ((one, row) for one in model.pairs for row in one.rows):
            verdict, *figures = _pair_cells(row, pair)
            counts = ", ".join(map(str, counts_of(row, pair)))
            p = Cell(row.p, kind="p"), Cell(row.p_adjusted, kind="p")
            name = f"{model.model}, {row.structure}: {named(pair)}: {row.endpoint}"
            name += f", {result.held_fixed} held fixed" if row.adjusted else ""
            rows.append((name, verdict, counts, *figures, *p))
    note, corner = say("about_all_gains"), "Model, structure: groups: endpoint"
    return Table.of("Every finding", heads, rows, corner=corner, note=note, tall=True)


def paper_table(result: Compared, structure: str = "Overall") -> pd.DataFrame:
    """Return one structure's figures of all models, as in Tables 4 to 9 of Lee et al. 2025, unrounded.

    Args:
        result: of a comparison.
        structure: "Overall" or a label.

    Returns:
        float64; columns (model, group), and (model, "All") for what is of all groups; rows "Median DSC", "IQR
        DSC" and so on for each metric, "SER", "Fairness gap" and "p (Mann-Whitney U)". NaN where there is no
        value.

    Raises:
        ValueError: there is no such structure.
    """
    columns = {}
    for model, summary in summaries(result, structure).items():
        rows = [name for name in summary.table.index if _in_paper(str(name))]
        columns[model] = summary.table.loc[rows]
    return pd.concat(columns, axis="columns", names=["model", "group"])


def paper_tables(result: Compared, structure: str = "Overall") -> list[Table]:
    """Return the paper's figures as tables: a few models side by side, the best of them marked.

    The best is the highest median score of a group and the lowest distance, the gap and the signed error
    closest to 0, the SER closest to 1.
    """
    of_models = summaries(result, structure)
    first = next(iter(of_models.values()))
    names = dict.fromkeys(str(name) for one in of_models.values() for name in one.table.index)
    rows = sorted(filter(_in_paper, names), key=lambda name: name in _FAIRNESS)
    cells = {name: _paper_cells(name, of_models) for name in rows}
    caption = f"{structure}, by {' and '.join(first.groups.attributes)}"
    models, step = list(of_models), max(1, _SIDE_BY_SIDE // len(first.groups))
    tables = []
    for start in range(0, len(models), step):
        part = slice(start, start + step)
        rows_of_part = {name: cells_of_models[part] for name, cells_of_models in cells.items()}
        table = Table.side_by_side(caption, models[part], first.names, rows_of_part, _FAIRNESS)
        tables.append(replace(table, corner="Measure"))
    tables[-1] = replace(tables[-1], note=say("about_paper_table"))
    return tables


def _in_paper(name: str) -> bool:
    return name.startswith(("Median", "IQR")) or name in _FAIRNESS


def _paper_cells(name: str, of_models: dict[str, Summary]) -> list[list[Cell]]:
    """Return one measure of each model: a cell a group, or one over all groups."""
    rows, kind = [_row(one.table, name) for one in of_models.values()], kind_of(name)
    *best, best_of_all = (_best(name, values) for values in zip(*rows, strict=True))
    cells = []
    for summary, (*values, of_all) in zip(of_models.values(), rows, strict=True):
        if name in _FAIRNESS:
            low, high = (
                np.nan if frame is None or name not in frame.index else _row(frame, name)[-1]
                for frame in (summary.low, summary.high)
            )
            cells.append([Cell(of_all, low, high, kind, best=of_all == best_of_all)])
        else:
            pairs = zip(values, best, strict=True)
            cells.append([Cell(value, kind=kind, best=value == top) for value, top in pairs])
    return cells


def _best(name: str, values: Sequence[float]) -> float | None:
    """Return the best of several models' values; None if they are equal or the measure has no best value."""
    known = [value for value in values if not np.isnan(value)]
    if len({round(value, 3) for value in known}) < 2 or not name.startswith(("Median", SER, GAP)):
        return None
    if name == GAP:
        return min(known, key=abs)
    title = name.removeprefix("Median ").split(" (")[0]
    better = next((one.higher_is_better for one in METRICS.values() if one.title == title), True)
    return min(known, key=abs) if better is None else max(known) if better and name != SER else min(known)


def _row(frame: pd.DataFrame, name: str) -> list[float]:
    """Return the figures of a measure, NaN where a model has none, such as a distance in another unit."""
    values: list[float] = frame.reindex([name]).to_numpy()[0].tolist()
    return values


def summaries(result: Compared, structure: str) -> dict[str, Summary]:
    """Return the summary of one structure of each model, with intervals."""
    for of_model in result.summaries.values():
        if structure not in of_model:
            raise ValueError(not_among("structure", structure, of_model))
    return {name: of_model[structure] for name, of_model in result.summaries.items()}


def is_turned(pair: PairGains) -> bool:
    """Return whether the first group of a pair is behind with the baseline, and so named first."""
    return pair.behind == pair.first


def named(pair: PairGains, word: str = "against") -> str:
    """Return the name of a pair on the page: first the group that is behind with the baseline."""
    behind, ahead = (pair.first, pair.second) if is_turned(pair) else (pair.second, pair.first)
    return f"{behind} {word} {ahead}"


def counts_of(row: GainRow, pair: PairGains) -> tuple[int, int]:
    """Return the numbers of subjects of both groups of a row, in the order of the pair's name."""
    return (row.n_first, row.n_second) if is_turned(pair) else (row.n_second, row.n_first)


def gaps_of(row: GainRow, pair: PairGains) -> tuple[Interval, Interval]:
    """Return the gaps before and after: above 0 the group named first is behind."""
    gaps = row.gap_before.interval, row.gap_after.interval
    return (gaps[0].negated(), gaps[1].negated()) if is_turned(pair) else gaps


def row_label(row: GainRow, pair: PairGains) -> tuple[str, str]:
    """Return the label of a row and its CSS class; a row within its margin is green only if the pair is."""
    if row.verdict is Verdict.SAME and pair.verdict is not Verdict.SAME:
        return "Change within margin", "inside"
    return row.verdict.label.capitalize(), row.verdict.css_class


def _verdict(verdict: Verdict) -> Cell:
    return Cell(verdict.label.capitalize(), css=verdict.css_class)
