"""A report in one folder: the page, tables, figures, one sheet of paper."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from fairseg.io import csv_files
from fairseg.io.files import write_files
from fairseg.io.outputs import check_writable
from fairseg.io.sentences import counted, listed
from fairseg.report import charts
from fairseg.report.about import about, size_text
from fairseg.report.adjusted import adjust
from fairseg.report.analyses import Analysis
from fairseg.report.answer import answer
from fairseg.report.audited import Audited, with_sign
from fairseg.report.card import card_of
from fairseg.report.clinical import agreement_charts
from fairseg.report.cohort_table import cohort_page_table, parts_table
from fairseg.report.findings_table import findings_table, groups_table, subgroup_table
from fairseg.report.notes import first_notes, method, notes_on
from fairseg.report.overlays import overlay_legend
from fairseg.report.pictures import Pictures, gap_charts, with_largest_gaps, with_tables
from fairseg.report.side_findings import SideFindings
from fairseg.report.small_groups import shrunken_table
from fairseg.report.summary_table import summaries_to_csv, summary_table
from fairseg.report.tables import Table, to_latex, to_markdown
from fairseg.report.templates import render_page, say
from fairseg.report.worst import worst_cases
from fairseg.scoring.summary import ALL, Summary
from fairseg.scoring.summary_intervals import with_intervals
from fairseg.scoring.table import ONE_LABEL, column_called
from fairseg.statistics.cohort_table import cohort_table

logger = logging.getLogger(__name__)

PAGE = "report.html"
KIND = "report"
FIGURES = ("overall.svg", "labels.svg", "gaps.png", "report.pdf")
OPTIONAL = (*FIGURES, "clinical.csv")
FILES = (
    *(PAGE, "findings.csv", "subjects.csv", *OPTIONAL),
    *(f"{name}.{form}" for name in ("summary", "subgroups", "cohort") for form in ("csv", "md", "tex")),
)


def save_report(result: Audited, side: SideFindings, folder: Path, *, figures: bool = False) -> Path:
    """Write the report of an audit into a folder, and return the page's path.

    Written are `report.html` (self-contained); `findings.csv` (every comparison and endpoint, unrounded, with
    the sign's meaning); `subgroups.csv`, `.md` and `.tex` (all groups); `summary.csv` (the paper's measures,
    unrounded, with intervals), `.md` and `.tex`; `subjects.csv` (the values that are summarised); the cohort
    table `cohort.csv`, `.md` and `.tex`; `clinical.csv` with roles; if asked for, the figures `overall.svg`,
    `gaps.png` and, of several labels, `labels.svg`, and the sheet `report.pdf`. Either all files are written
    or none; those of an earlier report are replaced, or go where they are not written again; other files of
    those names are an error. Notes on the scores stand on the page and are logged. Figures double the time.

    Raises:
        ValueError: the folder cannot be written, or a section that was asked for cannot be made.
    """
    if result.sections.pseudonyms is not None:
        result.sections.pseudonyms.check_outside(folder)
    check_writable(folder, FILES, KIND)
    analyses = [summaries_of(result, one) for one in result.analyses]
    summaries = analyses[0]
    scores, groups = result.scores, summaries[0].groups
    notes = notes_on(scores.table, summaries[0])
    columns = [name for name in scores.attributes if name not in groups.attributes or name in groups.bins]
    subjects = cohort_table(scores.table, groups, columns)
    subgroups, cohort = subgroup_table(result), cohort_page_table(subjects)
    tables = [summary_table(one) for one in summaries]
    facts = pd.DataFrame([vars(fact) for fact in (*result.judgement.facts, *result.judgement.known)])
    files: dict[str, str | bytes] = {
        PAGE: _page(result, side, analyses, cohort, tables, notes),
        "summary.csv": summaries_to_csv(summaries),
        "summary.md": to_markdown(tables),
        "summary.tex": to_latex(tables),
        "subjects.csv": csv_files.to_csv(_subjects(summaries)),
        "findings.csv": csv_files.to_csv(with_sign(result.findings, "sign")),
        "subgroups.csv": csv_files.to_csv(facts.assign(group=facts["group"].replace("", ALL))),
        "subgroups.md": to_markdown([subgroups]),
        "subgroups.tex": to_latex([subgroups]),
        "cohort.csv": csv_files.to_csv(subjects.table),
        "cohort.md": to_markdown([cohort]),
        "cohort.tex": to_latex([cohort]),
    }
    if side.clinical is not None:
        files["clinical.csv"] = csv_files.to_csv(side.clinical.table)
    if figures:
        from fairseg.report.paper import figure_files  # noqa: PLC0415  (matplotlib)

        files |= figure_files(result, summaries, side.sentences)
    write_files(folder, files, KIND, stale=OPTIONAL)
    for note in notes:
        logger.warning("%s", note)
    return folder / PAGE


def summaries_of(result: Audited, analysis: Analysis) -> list[Summary]:
    """Return the summaries of a grouping with intervals, from the overall scores that were judged."""
    options = {"min_size": result.options.min_size, "seed": result.options.seed}
    summaries = []
    for one in result.summaries(analysis):
        structure = one.structure if one.structure in result.structures else result.structures[0]
        facts = result.judgement.facts_of(analysis.name, structure, known=True)
        # The medians have the limits of the card, so that the page shows each once.
        medians = [(fact.median_low, fact.median_high) for fact in facts]
        summaries.append(with_intervals(one, resamples=result.sections.resamples, medians=medians, **options))
    return summaries


def _subjects(summaries: Sequence[Summary]) -> pd.DataFrame:
    """Return the values of each subject and structure, below each other."""
    first = summaries[0]
    cells = {
        name: np.concatenate([one.subjects[name] for one in summaries]) for name in first.subjects.columns
    }
    names = np.array([*first.groups, first.groups.name(-1)], dtype=object)
    sizes = [len(one.subjects) for one in summaries]
    structure = np.repeat(np.array([one.structure for one in summaries], dtype=object), sizes)
    table = pd.DataFrame({"structure": structure, **cells, "group": names[cells["group"]]})
    return table.rename(columns={"dice": column_called(first.score)})


def _page(
    result: Audited,
    side: SideFindings,
    analyses: Sequence[list[Summary]],
    cohort: Table,
    tables: Sequence[Table],
    notes: Sequence[str],
) -> str:
    """Fill in the page from the summaries of each grouping, tables of the first, and notes on the scores."""
    pictures, summaries = Pictures(analyses), analyses[0]
    overall, sections, scores = summaries[0], result.sections, result.scores
    dice, tabled, labels = "dice" in scores.metrics, with_tables(summaries), scores.labels
    counts = overall.counts.tolist()
    worst, not_drawn = (
        ([], {})
        if sections.masks is None or not dice
        else worst_cases(scores, overall, sections.masks, sections.pseudonyms)
    )
    return render_page(
        "report.html.j2",
        title=say("title", model=sections.model, by=result.analyses[0].name),
        about=about(sections, {sections.model: scores}),
        labels=listed((summary.structure for summary in summaries[1:]), 20),
        size=size_text(scores)
        + ("" if labels == [ONE_LABEL] else f"; {counted(len(labels), 'label')}: {listed(labels, 20)}"),
        counts=list(zip(overall.names, counts, strict=True)),
        reference=result.analyses[0].grouping.reference_name,
        card=card_of(result, first_notes(result)),
        result=result,
        side=side,
        gaps=gap_charts(result),
        method=method(result),
        parts_of_groups=[
            parts_table(one.groups, one.counts.tolist())
            for one in result.analyses
            if len(one.groups.attributes) > 1
        ],
        tables=[
            (one.structure, table.fitted())
            for one, table in zip(summaries, tables, strict=True)
            if any(one is with_table for with_table in tabled)
        ],
        untabled=len(summaries) - len(tabled),
        groups=[
            (one.structure, groups_table(result, result.analyses[0], one.structure))
            for one in tabled
            if one.structure in result.structures[1:]
        ],
        findings=findings_table(result),
        shrunken=[table for one in analyses if (table := shrunken_table(one[0])) is not None],
        boxes={overall.title(name): pictures.boxes(0, name) for name in scores.metrics},
        left_out=len(summaries) - len(with_largest_gaps(summaries)),
        thinned=pictures.thinned,
        legend=charts.legend(overall.names, overall.reference, counts),
        scatters=pictures.scatters(scores) if dice else Markup(""),
        worst=worst,
        not_drawn=not_drawn,
        keys=overlay_legend(labels),
        others=[_other(result, number, analyses[number], pictures) for number in range(1, len(analyses))],
        cohort=cohort,
        adjusted=adjust(scores, overall, sections.adjust, sections.bins, resamples=sections.resamples),
        agreement={} if side.clinical is None else agreement_charts(side.clinical, pictures),
        notes=[*scores.notes, *notes],
        score=overall.score,
        metrics=[overall.title(name) for name in scores.metrics],
        data=pictures.subjects.markup(),  # after every chart is made
        script=charts.script(),
        policy=Markup(charts.script_policy()),
    )


def _other(result: Audited, number: int, summaries: Sequence[Summary], pictures: Pictures) -> dict[str, Any]:
    """Return what the page shows of a further grouping."""
    analysis = result.analyses[number]
    return {
        "by": analysis.name,
        "answer": answer(result, analysis),
        "badge": charts.badge(result.judgement.verdicts[analysis.name]),
        "groups": groups_table(result, analysis),
        "boxes": pictures.boxes(number, result.scores.metrics[0]),
        "tables": [(one.structure, summary_table(one).fitted()) for one in with_tables(summaries)],
    }
