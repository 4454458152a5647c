"""Findings beside the verdict on distances and clinical errors: the same tests, at their own level."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fairseg.cohort.columns import HD95, METRICS
from fairseg.report.audited import Audited
from fairseg.report.findings_table import finding_cells
from fairseg.report.tables import Cell, Table
from fairseg.report.templates import say
from fairseg.scoring.subjects import structure_scores, subject_names
from fairseg.statistics.common_structures import common_structures
from fairseg.statistics.findings import Finding
from fairseg.statistics.measures import Measure, judge_measures
from fairseg.statistics.verdicts import Endpoint


@dataclass(frozen=True)
class Secondary:
    """Findings beside the verdict.

    Attributes:
        findings: a measure, comparison and endpoint each.
        table: a row a finding.
        sentences: those that are shown, for the first screen.
    """

    findings: tuple[Finding, ...]
    table: Table
    sentences: list[str]


def secondary(result: Audited, clinical: pd.DataFrame | None = None) -> Secondary | None:
    """Compare distances and clinical errors of the first grouping's groups; None where there are none.

    Of distances and shares the typical case and the hardest tenth; of the signed volume error the typical
    case and the spread; of `clinical` measures the error (prediction minus reference), its size, and its
    spread, as the limits of agreement show it.
    """
    names, overall = subject_names(result.scores), result.first_summaries[0]
    measures = []
    for metric in (name for name in result.scores.metrics if name != "dice"):
        values = overall_metric(result, metric)
        better = METRICS[metric].higher_is_better
        # A signed error has no hardest end, but its spread says how large it gets either way.
        second = Endpoint.SPREAD if better is None else Endpoint.HARDEST
        for endpoint in (Endpoint.TYPICAL, second):
            measures.append(Measure(overall.title(metric), values, endpoint, better))
    for measure, rows in () if clinical is None else clinical.groupby("measure", sort=False):
        error = (rows["prediction"] - rows["reference"]).set_axis(rows["subject"].astype(str))
        values = error.reindex(names).to_numpy(dtype=np.float64)
        title = f"{measure} error ({rows['unit'].iloc[0]})"
        measures.append(Measure(title, values, Endpoint.TYPICAL, None))
        measures.append(Measure(f"{title}, size", np.abs(values), Endpoint.TYPICAL, False))
        measures.append(Measure(title, values, Endpoint.SPREAD, None))
    measures = [one for one in measures if np.isfinite(one.values).any()]
    if not measures:
        return None
    findings = judge_measures(measures, [result.analyses[0].grouping], options=result.options)
    higher = {one.name for one in measures if one.higher_is_better}
    lines = [
        (f"{row.structure}: {row.second} against {row.first}: {row.endpoint}", *_cells(row, higher))
        for row in map(result.as_named, findings)
    ]
    heads = ("Verdict", "Subjects", "Named first", "Other", "Difference", "p (these)")
    caption = "Other metrics and clinical errors" if clinical is not None else "Other metrics"
    corner = "Measure: groups: endpoint"
    table = Table.of(caption, heads, lines, corner=corner, note=say("about_secondary"), tall=True)
    facts = result.judgement.facts_of(result.analyses[0].name, result.structures[0])
    sizes = {fact.group: fact.n for fact in facts}
    return Secondary(findings, table, [_sentence(row, sizes) for row in _to_tell(findings)])


def _cells(row: Finding, better: Collection[str]) -> list[Cell]:
    """Return the cells of a row; `better` has the measures whose higher values are better."""
    # As all over the page, above 0 the group named first (the finding's second) is worse served, or, for a
    # signed error, of which no end is worse, has the higher value.
    second_is_worse = row.structure in better and row.endpoint is Endpoint.TYPICAL
    intervals = (row.interval, row.equivalence)
    difference, at_margin = intervals if second_is_worse else (one.negated() for one in intervals)
    return [*finding_cells(row, difference, at_margin), Cell(row.p_adjusted, kind="p")]


def _to_tell(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings that are shown and not of size 0; of both definitions of HD95 the first with it."""
    worth_telling: dict[tuple[str, ...], Finding] = {}
    for row in findings:
        if row.shown and round(abs(row.estimate), 3) > 0:
            measure = row.structure.replace(METRICS[HD95[1]].title, METRICS[HD95[0]].title)
            worth_telling.setdefault((measure, row.first, row.second, row.endpoint), row)
    return list(worth_telling.values())


def _sentence(row: Finding, sizes: Mapping[str, int]) -> str:
    """Return a finding in words; `sizes` has how many subjects of each group have a score."""
    by, low, high = row.interval.positive()
    sides = [(row.first, row.value_first), (row.second, row.value_second)]
    (larger, largest), (smaller, smallest) = sides if row.estimate > 0 else sides[::-1]
    # The larger signed error is not the worse one.
    signed = row.endpoint is Endpoint.TYPICAL and row.worse is None
    about = {"measure": row.structure, "endpoint": row.endpoint.name, "larger": larger, "other": smaller}
    figures = {"by": by, "low": low, "high": high, "signed": signed, "values": (largest, smallest)}
    # Who has no distance may have been missed, and the others of the group look the better for it.
    counts = {row.first: row.n_first, row.second: row.n_second}
    lacking = {name: (sizes[name] - n, sizes[name]) for name, n in counts.items() if sizes.get(name, n) > n}
    return say("secondary", **about, **figures, lacking=lacking)


def overall_metric(result: Audited, metric: str) -> np.ndarray:
    """Return a metric of each subject over the structures that the groups have in common.

    It is NaN where the summary has none, such as a distance of a subject with a missed structure.
    """
    scores, used = result.scores, result.common.used
    columns = structure_scores(scores, metric)[:, [scores.labels.index(name) for name in used]]
    grouping, least = result.analyses[0].grouping, result.options.min_size
    values = common_structures(columns, [grouping], structures=used, min_size=least).overall
    # Of a subject in several groups the first row counts.
    rows = result.first_summaries[0].subjects.iloc[::-1]
    known = dict(zip(rows["subject"], rows[metric].notna(), strict=True))
    return np.where([known.get(name, False) for name in subject_names(scores)], values, np.nan)
