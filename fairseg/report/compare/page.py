"""A comparison in one folder: the page, tables for paper and spreadsheet, a figure."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from fairseg.cohort.columns import METRICS, title
from fairseg.cohort.groups import Groups
from fairseg.io.files import write_files
from fairseg.io.sentences import listed
from fairseg.report.charts import (
    ForestRow,
    Subjects,
    badge,
    dot_boxes,
    forest,
    script,
    script_policy,
)
from fairseg.report.compare.answer import Answer, answer
from fairseg.report.compare.comparison import Comparison, compare_models
from fairseg.report.compare.evidence import ModelChange
from fairseg.report.compare.sentences import figure, kind_of, sentences, span, verdict_words
from fairseg.report.compare.table import blocks, head_text, note_on
from fairseg.report.compare.text import comparison_to_csv, comparison_to_latex, comparison_to_markdown
from fairseg.report.numbers import NONE, p_value
from fairseg.report.plots import plot_rows, to_svg
from fairseg.report.summary import ALL, GAP, OVERALL
from fairseg.report.summary_table import write
from fairseg.report.templates import render_page
from fairseg.statistics import Evidence
from fairseg.statistics.paired import judged_pair
from fairseg.statistics.verdicts import Verdict

logger = logging.getLogger(__name__)

PAGE = "comparison.html"
_LOOKS = {
    "good": Verdict.FAIRER,
    "bad": Verdict.LESS_FAIR,
    "open": Verdict.OPEN,
    "": Verdict.NOT_JUDGED,
}
_FEW = 4  # groups whose medians fit beside a gap


@dataclass(frozen=True)
class _Told:
    """What is said of one model."""

    model: str
    badge: Markup
    lines: list[str]
    p: str


def write_comparison(
    scores: Mapping[str, pd.DataFrame],
    groups: Groups,
    out: str | Path,
    *,
    reference: str | None = None,
    baseline: str | None = None,
    margin: float | None = None,
) -> Comparison:
    """Write a comparison into a folder: `comparison.html`, `.csv` (unrounded), `.md`, `.tex` and `.svg`.

    The page is self-contained. All files are written or none. Notes on the scores stand on the page and are
    logged.

    Args:
        scores: as in `compare_models`.
        groups: as in `compare_models`.
        out: the folder; made if needed.
        reference: as in `compare_models`.
        baseline: as in `compare_models`.
        margin: as in `compare_models`.

    Raises:
        ValueError: as `compare_models`, or the folder cannot be written.
    """
    comparison = compare_models(scores, groups, reference=reference, baseline=baseline, margin=margin)
    figure_ = to_svg(plot_rows(comparison.named(OVERALL), _metric(comparison)))
    files: dict[str, str | bytes] = {
        PAGE: comparison_to_html(comparison),
        "comparison.csv": comparison_to_csv(comparison),
        "comparison.md": comparison_to_markdown(comparison),
        "comparison.tex": comparison_to_latex(comparison),
        "comparison.svg": figure_,
    }
    write_files(Path(out), files)
    for note in comparison.notes:
        logger.warning("%s", note)
    return comparison


def comparison_to_html(comparison: Comparison) -> str:
    """Return the page."""
    overall = comparison.overall
    structures = list(comparison.tables)
    shown = structures[:1] if len(structures) == 2 else structures  # of one label both would be the same
    subjects = Subjects(comparison.subjects["subject"].tolist())
    changes = comparison.changes.get(OVERALL, {})
    found = answer(
        changes,
        comparison.evidence.get(OVERALL, {}),
        overall.groups.names,
        comparison.baseline,
        comparison.reason,
    )
    look = _LOOKS[found.kind]
    pictures = {
        structure: _dots(comparison, structure, place, subjects) for place, structure in enumerate(shown)
    }
    return render_page(
        "comparison.html.j2",
        by=" and ".join(overall.groups.attributes),
        reference=None if overall.reference is None else overall.groups.name(overall.reference),
        counts=list(zip(overall.groups.names, overall.counts.tolist(), strict=True)),
        models=list(comparison.summaries),
        baseline=comparison.baseline,
        policy=Markup(script_policy()),
        answer=found,
        css=look.css_class,
        badge=badge(look, found.badge),
        main=_main_figure(comparison, found),
        hero=_hero_table(comparison),
        told={structure: _told(comparison, structure) for structure in shown if changes},
        gaps=_gap_forest(comparison, shown),
        narrowings=_narrowing_forest(comparison, shown),
        moves=_moves(comparison, changes),
        pictures=pictures,
        tables={structure: blocks(comparison, structure) for structure in shown},
        head_text=head_text,
        footnote=note_on(comparison),
        metric=title(_metric(comparison), overall.unit),
        notes=comparison.notes,
        margin=comparison.margin,
        subjects=subjects.markup(),
        script=script(),
    )


def _metric(comparison: Comparison) -> str:
    return next(name for name in METRICS if name in comparison.overall.subjects)


def _main_figure(comparison: Comparison, found: Answer) -> tuple[str, str]:
    """Return the number that stands large, and what it is."""
    if found.model is None:
        return NONE, "no gap is judged"
    change = comparison.changes[OVERALL].get(found.model)
    if change is None:
        gap = comparison.evidence[OVERALL][found.model].gap
        said = "not judged" if np.isnan(gap.low) else f"95% interval {span(gap)}"
        return figure(gap.estimate), f"fairness gap, {said}"
    if found.turned:
        narrowing = change.turned().found.narrowing
        said = f"smaller gap of {comparison.baseline} than of {found.model}, 95% interval {span(narrowing)}"
        return figure(narrowing.estimate), said
    narrowing = change.found.narrowing
    smaller = not narrowing.estimate < 0
    limits = narrowing if smaller else narrowing._replace(low=-narrowing.high, high=-narrowing.low)
    return (
        figure(abs(narrowing.estimate)),
        f"{'smaller' if smaller else 'larger'} gap than {comparison.baseline}, 95% interval {span(limits)}",
    )


def _hero_table(comparison: Comparison) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Return headings and a row a model: its gap and, never without, the medians of the groups.

    As far as groups are judged, the figures are those that the answer speaks of; else those of all groups.
    """
    summaries = comparison.named(OVERALL)
    names = list(comparison.overall.groups.names)
    median = f"Median {title(_metric(comparison), comparison.overall.unit)}"
    few = len(names) <= _FEW
    heads = ["Model", *([GAP] if GAP in comparison.overall.table.index else [])]
    heads += [f"{name}: {median}" for name in names] if few else [f"{median}, from", "to"]
    rows = []
    for model, summary in summaries.items():
        table: Any = summary.table
        found = comparison.evidence.get(OVERALL, {}).get(model)
        judged = names if found is None else [names[group] for group in found.judged] or names
        gap = table.loc[GAP, ALL] if GAP in heads else np.nan
        if found is not None and not np.isnan(found.gap.estimate):
            gap = found.gap.estimate
        cells = [figure(gap)] if GAP in heads else []
        if few:
            cells += [write(median, table.loc[median, name]) for name in names]
        else:
            values = table.loc[median, judged]
            ends = [] if values.isna().all() else [values.idxmin(), values.idxmax()]
            cells += [f"{write(median, values[name])} {name}" for name in ends] or [NONE, NONE]
        behind = " (baseline)" if model == comparison.baseline and len(summaries) > 1 else ""
        rows.append((f"{model}{behind}", cells))
    return heads, rows


def _told(comparison: Comparison, structure: str) -> list[_Told]:
    changes = comparison.changes[structure]
    lines = sentences(changes, comparison.overall.groups.names, comparison.baseline)
    return [
        _Told(
            model,
            badge(_LOOKS[kind_of(changes[model])], verdict_words(changes[model])),
            some,
            _p_text(changes[model].p_all),
        )
        for model, some in lines.items()
    ]


def _p_text(p: float) -> str:
    if np.isnan(p):
        return "no p, fewer than two subjects"
    text = p_value(p).removesuffix("*")
    return f"p {text.replace('<', '< ')}" if text.startswith("<") else f"p = {text}"


def _gap_forest(comparison: Comparison, structures: list[str]) -> Markup | None:
    """Return the gap of each model on each structure, with what this cohort could detect."""
    if not comparison.evidence:
        return None
    names = comparison.overall.groups.names
    rows = [
        ForestRow(
            structure,
            model,
            found.gap.estimate,
            found.gap.low,
            found.gap.high,
            Verdict(found.verdict),
            _medians(found, names, comparison.overall.reference),
        )
        for structure in structures
        for model, found in comparison.evidence[structure].items()
    ]
    reference = comparison.overall.reference
    against = "best minus worst group" if reference is None else f"{names[reference]} minus group"
    return forest(
        rows,
        label="Fairness gap of each model",
        axis=f"Gap in median DSC, {against}",
        margin=comparison.margin,
        heads=("Model", "Verdict", "Gap [interval]", "Median DSC; detectable gap"),
    )


def _medians(found: Evidence, names: tuple[str, ...], reference: int | None) -> str:
    """Return the medians of the pair of groups that makes the gap, and the gap that could be detected."""
    medians = np.array([interval.estimate for interval in found.medians])
    pair = judged_pair(medians, found.judged, reference)
    shown = [group for group in pair or range(len(names)) if not np.isnan(medians[group])]
    said = listed((f"{names[group]} {figure(medians[group])}" for group in shown), _FEW)
    return said if np.isnan(found.detectable) else f"{said}; detectable {figure(found.detectable)}"


def _narrowing_forest(comparison: Comparison, structures: list[str]) -> Markup | None:
    """Return by how much each model's gap is smaller than that of the baseline, on each structure."""
    rows = [
        ForestRow(
            structure,
            model,
            change.found.narrowing.estimate,
            change.found.narrowing.low,
            change.found.narrowing.high,
            _LOOKS[kind_of(change)],
            f"{figure(abs(change.found.gaps[0].estimate))} to {figure(abs(change.found.gaps[1].estimate))}",
        )
        for structure in structures
        for model, change in comparison.changes.get(structure, {}).items()
    ]
    if not rows:
        return None
    return forest(
        rows,
        label=f"Gap of each model compared with {comparison.baseline}",
        axis="Smaller by (right: fairer)",
        heads=("Model", "Verdict", "Smaller by [interval]", "Gap, from and to"),
    )


def _moves(
    comparison: Comparison, changes: Mapping[str, ModelChange]
) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """Return of each model its groups with medians before and after, the change with its interval, and p."""
    names = comparison.overall.groups.names
    counts = comparison.overall.counts
    return [
        (
            model,
            [
                (
                    name,
                    [
                        f"{counts[group]}",
                        figure(change.before[group]),
                        figure(change.after[group]),
                        figure(change.found.changes[group].estimate, sign=True),
                        NONE
                        if np.isnan(change.found.changes[group].low)
                        else span(change.found.changes[group]),
                        p_value(change.p[group]),
                    ],
                )
                for group, name in enumerate(names)
            ],
        )
        for model, change in changes.items()
    ]


def _dots(comparison: Comparison, structure: str, place: int, subjects: Subjects) -> Markup:
    """Return every subject as a dot: a panel a model, in it the groups."""
    overall, metric = comparison.overall, _metric(comparison)
    name = title(metric, overall.unit)
    return dot_boxes(
        comparison.values(structure, metric),
        comparison.ids,
        overall.groups.names,
        subjects=subjects,
        name=f"dots{place}",
        axis=name if structure == OVERALL else f"{name} of {structure}",
        reference=overall.reference,
    )
