"""A comparison in one folder: the page, tables for paper and spreadsheet, a figure."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from fairseg.cohort.columns import title
from fairseg.io import csv_files
from fairseg.io.files import write_files
from fairseg.io.outputs import check_writable
from fairseg.io.sentences import counted, listed
from fairseg.report import charts
from fairseg.report.about import about, size_text
from fairseg.report.audited import with_sign
from fairseg.report.compare.answer import model_answer
from fairseg.report.compare.card import card_of
from fairseg.report.compare.compared import Compared
from fairseg.report.compare.matching import by_model
from fairseg.report.compare.tables import (
    changes_table,
    counts_of,
    findings_table,
    gaps_of,
    named,
    paper_table,
    paper_tables,
    row_label,
    summaries,
)
from fairseg.report.tables import to_latex, to_markdown
from fairseg.report.templates import render_page, say
from fairseg.scoring.subjects import structure_scores, subject_names
from fairseg.statistics.verdicts import Verdict

logger = logging.getLogger(__name__)

PAGE = "comparison.html"
KIND = "comparison"
_MOST_GAPS = 60  # in the chart
FILES = (
    *(PAGE, "comparison.csv", "comparison.md", "comparison.tex", "findings.csv", "changes.csv"),
    "comparison.svg",
)


def save_comparison(result: Compared, notes: Sequence[str], folder: Path) -> Path:
    """Write a comparison, with notes for its card, into a folder, and return the page's path.

    Written are `comparison.html` (self-contained), `comparison.csv` (the paper's figures of every model and
    structure, unrounded), `.md` and `.tex`, `findings.csv` (every pair of groups, structure and endpoint),
    `changes.csv` (what became of every group) and `comparison.svg`. Either all files are written or none.

    Raises:
        ValueError: the folder cannot be written.
    """
    from fairseg.report.compare.plots import boxes_svg  # noqa: PLC0415  (matplotlib)

    if result.sections.pseudonyms is not None:
        result.sections.pseudonyms.check_outside(folder)
    check_writable(folder, FILES, KIND)
    structures = _structures(result)
    tables = [table for structure in structures for table in paper_tables(result, structure)]
    files: dict[str, str | bytes] = {
        PAGE: _page(result, notes),
        "comparison.csv": csv_files.to_csv(_unrounded(result, structures)),
        "comparison.md": to_markdown(tables),
        "comparison.tex": to_latex(tables),
        "findings.csv": csv_files.to_csv(with_sign(result.findings, "sign_of_gains")),
        "changes.csv": csv_files.to_csv(result.changes),
        "comparison.svg": boxes_svg(result),
    }
    write_files(folder, files, KIND)
    for note in result.table_notes:
        logger.warning("%s", note)
    return folder / PAGE


def _structures(result: Compared) -> list[str]:
    """Return the overall scores and the structures that all models have."""
    overall, *judged = result.judgement.structures
    labels = result.scores.labels
    return [overall, *(one for one in judged if one in labels)]


def _unrounded(result: Compared, structures: list[str]) -> Any:
    tables = {}
    for structure in structures:
        table = paper_table(result, structure)
        tables[structure] = table.set_axis([": ".join(column) for column in table.columns], axis="columns")
    return pd.concat(tables, names=["structure", "measure"]).reset_index()


def _page(result: Compared, notes: Sequence[str]) -> str:
    first = result.analyses[0]
    structures = _structures(result)
    baseline = result.scores
    score = structure_scores(baseline).mean(axis=1)
    drawn = charts.spread_evenly([one.members.ids for one in result.analyses], score)
    subjects = charts.Roster(subject_names(baseline), drawn)
    models = [
        {
            "name": model.model,
            "badge": charts.badge(model.verdict),
            "answer": model_answer(result, model),
            "others": [
                (name, charts.badge(verdict))
                for name, verdict in model.attribute_verdicts.items()
                if name != model.primary
            ],
            "changes": [changes_table(result, model, structure) for structure in structures],
        }
        for model in result.judgement.models
    ]
    gaps, gaps_left = _gaps(result)
    return render_page(
        "comparison.html.j2",
        title=say("title_of_comparison", by=first.name, baseline=result.baseline),
        size=f"{counted(len(result.models), 'model')}, {size_text(baseline)}",
        counts=list(zip(first.groups.names, first.counts.tolist(), strict=True)),
        reference=first.reference_name,
        card=card_of(result, notes),
        models=models,
        gaps=gaps,
        gaps_left=gaps_left,
        boxes={structure: _boxes(result, structure, subjects) for structure in structures},
        papers=[(structure, paper_tables(result, structure)) for structure in structures],
        findings=findings_table(result),
        about=about(result.sections, result.models),
        method=say(
            "method_of_comparison",
            by=first.name,
            title=baseline.title,
            options=result.options,
            drop=result.judgement.drop,
            held=result.held_fixed,
            stated=result.sections.stated_in,
        ),
        left_out=_left_out(result),
        thinned="" if drawn.all() else say("thinned", drawn=int(drawn.sum()), number=drawn.size),
        data=subjects.markup(),
        script=charts.script(),
        policy=Markup(charts.script_policy()),
        metrics=[baseline.title, *(title(name) for name in baseline.metrics if name != "dice")],
    )


def _left_out(result: Compared) -> list[str]:
    """Return who is left out and why, a line each; the card tells of groups and structures."""
    lines: dict[str, list[str]] = {model: [] for model in result.models}
    named = result.left_out[result.left_out["kind"].isin(["case", "subject"])]
    for (model, kind, reason), rows in named.groupby(["model", "kind", "reason"], sort=False):
        lines[str(model)].append(f"{counted(len(rows), str(kind))}, {reason}: {listed(rows['name'])}")
    return by_model(lines)


def _gaps(result: Compared) -> tuple[Markup, int]:
    """Draw the gap in the typical case of each model, before and after, and count those not drawn."""
    typical = [
        (model, pair, row)
        for model in result.judgement.models
        for pair in model.telling_pairs
        for row in pair.rows
        if row.endpoint == "typical case"
    ]
    several = len({named(pair) for _, pair, _ in typical}) > 1
    rows = []
    for model, pair, row in typical:
        counts = " / ".join(map(str, counts_of(row, pair)))
        block = f"{model.model}: {named(pair)}" if several else model.model
        name = row.structure + (f", {result.held_fixed} held fixed" if row.adjusted else "")
        before, after = gaps_of(row, pair)
        verdict_before = Verdict.GAP if row.gap_before.shown else Verdict.OPEN
        small = not row.gap_before.shown and max(-before.low, before.high) <= row.margin
        label = ("Within margin", "inside") if small else None
        rows.append(charts.ForestRow(block, f"{name}, before", *before, verdict_before, counts, label))
        rows.append(
            charts.ForestRow(block, f"{name}, after", *after, row.verdict, counts, row_label(row, pair))
        )
    if not rows:  # no pair of groups is judged
        return Markup(""), 0
    whom = "Gap" if several else named(typical[0][1], "behind")
    title = result.scores.title
    chart = charts.forest(
        rows[:_MOST_GAPS],
        label="Gaps before and after",
        axis=f"{whom} in the typical {title}",
        margin=result.options.margin,
        heads=("Structure", "Verdict", "Gap [limits]", "Subjects"),
    )
    return chart, max(0, len(rows) - _MOST_GAPS)


def _boxes(result: Compared, structure: str, subjects: charts.Roster) -> Markup:
    """Draw every subject's score of a structure: models side by side."""
    first = result.analyses[0]
    of_model = summaries(result, structure)
    position = list(result.judgement.structures).index(structure)
    names = subject_names(result.scores)
    values = {
        name: summary.subjects.drop_duplicates("subject").set_index("subject")["dice"].reindex(names)
        for name, summary in of_model.items()
    }
    return charts.dot_boxes(
        {name: column.to_numpy() for name, column in values.items()},
        first.members.ids,
        first.groups.names,
        subjects=subjects,
        name=f"s{position}",
        axis=result.scores.title,
        reference=first.reference,
        one_axis=True,
    )
