"""Everything a report consists of, in one folder: tables, plots and the page that shows them."""

import base64
import logging
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from fairseg import __version__
from fairseg.groups import Groups
from fairseg.metrics import csv_files
from fairseg.metrics.wording import counted
from fairseg.report import render
from fairseg.report.files import write_files
from fairseg.report.notes import notes_on
from fairseg.report.page_table import page_table
from fairseg.report.plots import plot_overall, plot_rows, to_svg
from fairseg.report.summary import TITLES, Summary, summarize

logger = logging.getLogger(__name__)

PAGE = "report.html"
FIGURES = {"overall.svg", "labels.svg"}


def write_report(
    scores: pd.DataFrame,
    groups: Groups,
    out: str | Path,
    *,
    reference: str | None = None,
    also: dict[str, str] | None = None,
) -> list[Summary]:
    """Summarise scores by group and write the report into a folder.

    Written are `report.html` (self-contained), `summary.csv` (unrounded), `summary.md`, `summary.tex`,
    `subjects.csv` (the values that are summarised), `overall.svg` and `labels.svg`. Either all files
    are written or none; files of those names are replaced. What the table and its groups give reason to
    note (see `notes_on`) stands on the page and is logged.

    Args:
        scores: as from `evaluate` or `read_scores`; notes and skipped cases are taken from its attrs.
        groups: made with `Groups.from_table`.
        out: the folder; made if needed.
        reference: name of the reference group.
        also: more files to write with them, name -> text.

    Returns:
        The summaries, as from `summarize`.

    Raises:
        ValueError: as `summarize`, or the folder cannot be written.
    """
    summaries = summarize(scores, groups, reference=reference)
    notes = notes_on(scores, summaries[0])
    figures = {"overall.svg": to_svg(plot_overall(summaries[0]))}
    metric = next(name for name in TITLES if name in scores)
    if len(summaries) > 2:  # with a single label both figures would be the same
        figures["labels.svg"] = to_svg(plot_rows({part.structure: part for part in summaries[1:]}, metric))
    files: dict[str, str | bytes] = {
        PAGE: _page(scores, summaries, figures, metric, [*scores.attrs.get("notes", []), *notes]),
        "summary.csv": render.to_csv(summaries),
        "summary.md": render.to_markdown(summaries),
        "summary.tex": render.to_latex(summaries),
        "subjects.csv": csv_files.to_csv(_subjects(summaries)),
        **figures,
        **(also or {}),
    }
    write_files(Path(out), files)
    for name in FIGURES - figures.keys():
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
    scores: pd.DataFrame,
    summaries: Sequence[Summary],
    figures: dict[str, bytes],
    metric: str,
    notes: Sequence[str],
) -> str:
    overall = summaries[0]
    return render_page(
        "report.html.j2",
        overall,
        size=_size(scores, len(summaries) - 1),
        labels=[summary.structure for summary in summaries[1:]],
        tables=[page_table(summary) for summary in summaries],
        figures={name.removesuffix(".svg"): base64.b64encode(svg).decode() for name, svg in figures.items()},
        metric=overall.title(metric),
        metrics=[overall.title(name) for name in TITLES if name in scores],
        notes=notes,
        skipped=scores.attrs.get("skipped", {}),
    )
