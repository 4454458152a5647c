"""Everything a report consists of, in one folder: tables, plots and the page that shows them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fairseg import __version__
from fairseg.cohort.attributes import attribute_names
from fairseg.cohort.columns import METRICS
from fairseg.cohort.groups import Groups
from fairseg.io import csv_files
from fairseg.io.files import write_files
from fairseg.io.sentences import counted
from fairseg.report import charts, render, words
from fairseg.report import cohort_table as cohort
from fairseg.report.adjusted import adjust
from fairseg.report.certainty import Judging, with_evidence
from fairseg.report.clinical import Roles, clinical_section
from fairseg.report.comparisons import comparisons_part, comparisons_table
from fairseg.report.notes import notes_on
from fairseg.report.overlays import overlay_legend
from fairseg.report.page_table import page_table
from fairseg.report.pictures import VERDICTS, Pictures, gaps, with_largest_gaps
from fairseg.report.plots import plot_overall, plot_rows, to_svg
from fairseg.report.summary import Summary, summarize
from fairseg.report.worst import Files, worst_cases
from fairseg.scoring.table import Scores
from fairseg.statistics.cohort_table import cohort_table
from fairseg.statistics.missingness import missingness, missingness_sentences

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
        "summary.csv": render.to_csv(summaries),
        "summary.md": render.to_markdown(summaries),
        "summary.tex": render.to_latex(summaries),
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


@cache
def _environment() -> Environment:
    """Return the templates, in which every name is escaped."""
    return Environment(
        loader=PackageLoader("fairseg", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render_template(template: str, **values: object) -> str:
    """Fill in a page."""
    return _environment().get_template(template).render(version=__version__, **values)


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
        "cohort.md": cohort.cohort_to_markdown(who),
        "cohort.tex": cohort.cohort_to_latex(who),
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
        "tables": [page_table(summary) for summary in summaries],
        "gaps": gaps(analyses, judging.margin),
        "margin": judging.margin,
        "boxes": {overall.title(name): pictures.boxes(0, name) for name in metrics},
        "left_out": len(summaries) - len(with_largest_gaps(summaries)),
        "legend": charts.legend(overall.groups.names, overall.reference, counts),
        "scatters": pictures.scatters(0, scores) if dice else Markup(""),
        "comparisons": comparisons_part(comparisons),
        "worst": [] if extras.files is None or not dice else worst_cases(scores, overall, extras.files),
        "keys": overlay_legend(),
        "others": [
            {
                "by": " and ".join(one[0].groups.attributes),
                "answer": words.answer(one[0]),
                "badge": _badge(one[0]),
                "boxes": pictures.boxes(number, metrics[0]),
                "tables": [page_table(summary) for summary in one],
            }
            for number, one in enumerate(analyses[1:], 1)
        ],
        "cohort": cohort.cohort_part(who),
        "cohort_note": cohort.cohort_footnote(who),
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
    verdict = VERDICTS[summary.evidence.verdict] if summary.evidence is not None else charts.NOT_JUDGED
    return charts.badge(verdict, summary.evidence.verdict if summary.evidence is not None else None)


def _hero(overall: Summary) -> dict[str, Any]:
    """Return what the first screen shows: the answer, the gap and who was compared."""
    evidence = overall.evidence
    kinds = {charts.SHOWN: "shown", charts.NO_GAP: "nogap"}
    gap, interval = words.headline(overall)
    title = next(f"Median {overall.title(name)}" for name in METRICS if name in overall.subjects)
    rows = [str(text) for text in render.cells(overall).T[title]]
    unjudged = set() if evidence is None else set(range(len(overall.groups))) - set(evidence.judged)
    names = [
        f"{name} (too few to judge)" if n in unjudged else name for n, name in enumerate(overall.groups.names)
    ]
    groups = [*names, "All"]
    counts = [*overall.counts.tolist(), int(overall.counts.sum())]
    medians = [text.replace("\n", " ") for text in rows]
    return {
        "kind": kinds.get(VERDICTS[evidence.verdict], "unsure") if evidence is not None else "unsure",
        "badge": _badge(overall),
        "answer": words.answer(overall),
        "gap": words.number(gap),
        "interval": interval,
        "heads": ["Group", "Subjects", title],
        "rows": [(name, [n, text]) for name, n, text in zip(groups, counts, medians, strict=True)],
    }
