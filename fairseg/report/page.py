"""Everything a report consists of, in one folder: tables, plots and the page that shows them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from fairseg.cohort.attributes import attribute_names
from fairseg.cohort.columns import METRICS
from fairseg.cohort.groups import Groups
from fairseg.io import csv_files
from fairseg.io.files import write_files
from fairseg.io.sentences import counted
from fairseg.report import charts, words
from fairseg.report.adjusted import adjust
from fairseg.report.certainty import Judging, with_evidence
from fairseg.report.clinical import Roles, clinical_section
from fairseg.report.cohort_table import cohort_page_table
from fairseg.report.comparisons import comparisons_page_table, comparisons_table
from fairseg.report.notes import notes_on
from fairseg.report.overlays import overlay_legend
from fairseg.report.pictures import Pictures, gaps, with_largest_gaps
from fairseg.report.plots import plot_overall, plot_rows, to_svg
from fairseg.report.summary import Summary, summarize
from fairseg.report.summary_table import summaries_to_csv, summary_table
from fairseg.report.tables import to_latex, to_markdown
from fairseg.report.templates import render_page as render_template
from fairseg.report.worst import Files, worst_cases
from fairseg.scoring.table import Scores
from fairseg.statistics.cohort_table import cohort_table
from fairseg.statistics.missingness import missingness, missingness_sentences
from fairseg.statistics.verdicts import Verdict

logger = logging.getLogger(__name__)

PAGE = "report.html"
OPTIONAL = {"labels.svg", "clinical.csv", "cohort.csv", "cohort.md", "cohort.tex"}


@dataclass(frozen=True)
class Extras:
    """What a report can hold beyond the scores of one grouping.

    Attributes:
        others: further groupings, each judged by itself.
        adjust: attributes to hold fixed: see `fairseg.report.adjusted`.
        bins: edges of numeric ones among them.
        roles: which labels are which part of the heart: see `fairseg.report.clinical`.
        files: where the masks are, for pictures of the worst cases.
    """

    others: Sequence[Groups] = ()
    adjust: Sequence[str] = ()
    bins: Mapping[str, Sequence[float]] = field(default_factory=dict)
    roles: Roles | None = None
    files: Files | None = None


def write_report(
    scores: Scores | pd.DataFrame,
    groups: Groups,
    out: str | Path,
    *,
    reference: str | None = None,
    judging: Judging | None = None,
    extras: Extras | None = None,
    also: dict[str, str] | None = None,
) -> list[Summary]:
    """Summarise scores by group, judge the gaps, and write the report into a folder.

    Written are `report.html` (self-contained), `summary.csv` (unrounded, with intervals), `summary.md`,
    `summary.tex`, `subjects.csv` (the values that are summarised), `comparisons.csv` (every comparison with
    interval, verdict, tests and effect sizes), the cohort table `cohort.csv`, `.md` and `.tex`,
    `overall.svg` and, of several labels, `labels.svg`; `clinical.csv` with roles. Either all files are
    written or none; files of those names are replaced. What the table and its groups give reason to note
    (see `notes_on`) stands on the page and is logged.

    Args:
        scores: as from `evaluate` or `read_scores`, or what `Scores.of` takes.
        groups: made with `Groups.from_table`.
        out: the folder; made if needed.
        reference: name of the reference group.
        judging: margin, minimum size, level, resamples and seed; None for the defaults of `Judging`.
        extras: further groupings and sections.
        also: more files to write with them, name -> text.

    Returns:
        The summaries with their evidence, as from `summarize` and `with_evidence`.

    Raises:
        ValueError: as `summarize`, or the folder cannot be written.
    """
    judging, extras = judging or Judging(), extras or Extras()
    checked = Scores.of(scores)
    scores = checked.table
    analyses = [
        [with_evidence(summary, judging) for summary in summarize(checked, each, reference=level)]
        for each, level in ((groups, reference), *((other, None) for other in extras.others))
    ]
    summaries = analyses[0]
    notes = notes_on(scores, summaries[0])
    figures = {"overall.svg": to_svg(plot_overall(summaries[0]))}
    if len(summaries) > 2:  # with a single label both figures would be the same
        metric = next(name for name in METRICS if name in scores)
        figures["labels.svg"] = to_svg(plot_rows({part.structure: part for part in summaries[1:]}, metric))
    page, tables = _page(checked, analyses, judging, extras, [*checked.notes, *notes])
    files: dict[str, str | bytes] = {
        PAGE: page,
        "summary.csv": summaries_to_csv(summaries),
        "summary.md": to_markdown(map(summary_table, summaries)),
        "summary.tex": to_latex(map(summary_table, summaries)),
        "subjects.csv": csv_files.to_csv(_subjects(summaries)),
        **tables,
        **figures,
        **(also or {}),
    }
    write_files(Path(out), files)
    for name in OPTIONAL - files.keys():
        (Path(out) / name).unlink(missing_ok=True)  # of an earlier report, which this one replaces
    for note in notes:
        logger.warning("%s", note)
    return summaries


def _subjects(summaries: Sequence[Summary]) -> pd.DataFrame:
    parts = []
    for summary in summaries:
        part = summary.subjects.assign(
            group=[summary.groups.name(number) for number in summary.subjects["group"]]
        )
        part.insert(0, "structure", summary.structure)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _size(scores: pd.DataFrame, labels: int) -> str:
    subjects, cases = scores["subject"].nunique(), scores["case"].nunique()
    return f"{counted(subjects, 'subject')}, {counted(cases, 'case')}; {counted(labels, 'label')}"


def render_page(template: str, overall: Summary, **more: object) -> str:
    """Fill in a page: what all pages tell of a cohort and its groups, and more.

    Args:
        template: name of the file.
        overall: summary of the cohort.
        more: what this template needs besides.
    """
    return render_template(
        template,
        by=" and ".join(overall.groups.attributes),
        reference=None if overall.reference is None else overall.groups.name(overall.reference),
        counts=list(zip(overall.groups.names, overall.counts.tolist(), strict=True)),
        **more,
    )


def _page(
    checked: Scores,
    analyses: Sequence[Sequence[Summary]],
    judging: Judging,
    extras: Extras,
    notes: Sequence[str],
) -> tuple[str, dict[str, str]]:
    """Return the page, and the files of the tables that it shows beside those of the summaries."""
    scores = checked.table
    summaries = analyses[0]
    overall = summaries[0]
    metrics = [name for name in METRICS if name in scores]
    pictures = Pictures(analyses)
    shown = [
        name
        for name in attribute_names(scores)
        if name not in overall.groups.attributes or name in overall.groups.bins
    ]
    who = cohort_table(scores, overall.groups, shown)
    comparisons = comparisons_table(analyses)
    counts = dict(enumerate(overall.counts.tolist()))
    files = {
        "cohort.csv": csv_files.to_csv(who.table),
        "cohort.md": to_markdown([cohort_page_table(who)]),
        "cohort.tex": to_latex([cohort_page_table(who)]),
        "comparisons.csv": csv_files.to_csv(comparisons),
    }
    clinical = None
    if extras.roles is not None:
        clinical = clinical_section(scores, overall, extras.roles, pictures)
        if clinical is not None:
            files["clinical.csv"] = csv_files.to_csv(clinical.table)
    missing = missingness(scores, overall.groups.encode(scores), len(overall.groups))
    dice = "dice" in scores
    values: dict[str, Any] = {
        "size": _size(scores, len(summaries) - 1),
        "labels": [summary.structure for summary in summaries[1:]],
        "hero": _hero(overall),
        "hint": words.hint(overall),
        "missing": [
            *filter(None, [words.not_judged(overall)]),
            *missingness_sentences(missing, overall.groups.names),
            *([] if clinical is None else clinical.sentences),
        ],
        "tables": [(summary.structure, summary_table(summary).fitted()) for summary in summaries],
        "gaps": gaps(analyses, judging.margin),
        "margin": judging.margin,
        "boxes": {overall.title(name): pictures.boxes(0, name) for name in metrics},
        "left_out": len(summaries) - len(with_largest_gaps(summaries)),
        "legend": charts.legend(overall.groups.names, overall.reference, counts),
        "scatters": pictures.scatters(0, scores) if dice else Markup(""),
        "comparisons": comparisons_page_table(comparisons),
        "worst": [] if extras.files is None or not dice else worst_cases(scores, overall, extras.files),
        "keys": overlay_legend(),
        "others": [
            {
                "by": " and ".join(one[0].groups.attributes),
                "answer": words.answer(one[0]),
                "badge": _badge(one[0]),
                "boxes": pictures.boxes(number, metrics[0]),
                "tables": [(summary.structure, summary_table(summary).fitted()) for summary in one],
            }
            for number, one in enumerate(analyses[1:], 1)
        ],
        "cohort": cohort_page_table(who),
        "adjusted": adjust(scores, overall, extras.adjust, extras.bins, resamples=judging.resamples),
        "clinical": clinical,
        "notes": notes,
        "skipped": checked.reasons,
    }
    values |= {
        "data": pictures.subjects.markup(),  # when every chart has told it what it shows
        "script": charts.script(),
        "policy": Markup(charts.script_policy()),
    }
    return render_page("report.html.j2", overall, **values), files


def _badge(summary: Summary) -> Markup:
    return charts.badge(Verdict.NOT_JUDGED if summary.evidence is None else Verdict(summary.evidence.verdict))


def _hero(overall: Summary) -> dict[str, Any]:
    """Return what the first screen shows: the answer, the gap and who was compared."""
    evidence = overall.evidence
    verdict = Verdict.NOT_JUDGED if evidence is None else Verdict(evidence.verdict)
    gap, interval = words.headline(overall)
    title = next(f"Median {overall.title(name)}" for name in METRICS if name in overall.subjects)
    rows = [str(text) for text in summary_table(overall).to_frame().loc[title]]
    unjudged = set() if evidence is None else set(range(len(overall.groups))) - set(evidence.judged)
    names = [
        f"{name} (too few to judge)" if n in unjudged else name for n, name in enumerate(overall.groups.names)
    ]
    groups = [*names, "All"]
    counts = [*overall.counts.tolist(), int(overall.counts.sum())]
    medians = [text.replace("\n", " ") for text in rows]
    return {
        "kind": verdict.css_class,
        "badge": _badge(overall),
        "answer": words.answer(overall),
        "gap": words.number(gap),
        "interval": interval,
        "heads": ["Group", "Subjects", title],
        "rows": [(name, [n, text]) for name, n, text in zip(groups, counts, medians, strict=True)],
    }
