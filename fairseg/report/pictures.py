"""The charts of the page, made from summaries and findings; all show the same subjects in one order."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt
import pandas as pd
from markupsafe import Markup

from fairseg.cohort.columns import OVERALL
from fairseg.io.cells import cells_of
from fairseg.metrics.fairness import Floats
from fairseg.report import charts, numbers
from fairseg.report.audited import Audited
from fairseg.report.findings_table import most_telling, row_label
from fairseg.report.templates import say
from fairseg.scoring.subjects import structure_sizes
from fairseg.scoring.summary import GAP, Summary
from fairseg.scoring.table import Scores
from fairseg.statistics.findings import Finding
from fairseg.statistics.verdicts import Endpoint

MOST_STRUCTURES = 12  # with charts; of more, those with the largest gaps
_MOST_SCATTERS = 6
_MOST_TABLES, _MOST_LINES = 24, 2000  # structures with tables on a page, and lines of groups in these
_MOST_TRENDS = 6  # groups; with more, trends hide each other


class Pictures:
    """Charts of one page.

    Args:
        analyses: for each grouping the summaries of all structures, the overall one first.
    """

    def __init__(self, analyses: Sequence[Sequence[Summary]]) -> None:
        # A subject with cases in several groups of a grouping has a dot in each.
        subjects = [cells_of(summaries[0].subjects["subject"]) for summaries in analyses]
        self._names = pd.Index(dict.fromkeys(chain.from_iterable(subjects)), dtype=object)
        codes = [self._codes(summaries[0]) for summaries in analyses]
        num_dots = np.max([np.bincount(code, minlength=self._names.size) for code in codes], axis=0)
        names = self._names.repeat(num_dots).tolist()
        first = np.cumsum(num_dots) - num_dots
        self._dot: list[dict[int, int]] = []  # of each subject and group of a grouping
        self._ids: list[npt.NDArray[np.int64]] = []
        for summaries, code in zip(analyses, codes, strict=True):
            dot = first[code] + pd.Series(code).groupby(code).cumcount().to_numpy()  # its dots in a row
            ids = np.full(len(names), -1, dtype=np.int64)
            ids[dot] = summaries[0].subjects["group"]
            self._dot.append(dict(zip(self._keys(summaries[0]), dot.tolist(), strict=True)))
            self._ids.append(ids)
        self._dots_of_rows: dict[tuple[int, str], list[int]] = {}
        self._analyses = analyses
        score, overall = np.full(self._names.size, np.nan), analyses[0][0].subjects
        score[codes[0][::-1]] = overall["dice"][::-1] if "dice" in overall else 0.0
        self.subjects = charts.Roster(names, charts.spread_evenly(self._ids, score.repeat(num_dots)))

    @property
    def thinned(self) -> str:
        """A sentence if not every subject is a dot; else empty."""
        drawn = self.subjects.drawn
        return "" if drawn.all() else say("thinned", drawn=int(drawn.sum()), number=drawn.size)

    def boxes(self, number: int, metric: str) -> Markup:
        """Draw one metric of every structure by group: boxes, and every subject as a dot."""
        summaries = self._analyses[number]
        overall = summaries[0]
        panels = with_largest_gaps(summaries if len(summaries) > 2 else summaries[:1])
        return charts.dot_boxes(
            {summary.structure: self._values(number, summary, metric) for summary in panels},
            self._ids[number],
            overall.names,
            subjects=self.subjects,
            name=f"box{number}-{metric}",
            axis=overall.title(metric),
            reference=overall.reference,
        )

    def scatters(self, scores: Scores) -> Markup:
        """Draw distance against Dice, and Dice against the size of each label, by the first grouping."""
        overall, *labels = self._analyses[0]
        distance = next((name for name in ("hd", "hd95", "assd") if name in overall.subjects), None)
        pictures = []
        if distance is not None:
            x = self._values(0, overall, "dice")
            pictures.append(self._scatter("distance0", overall, x, overall.title("dice"), distance))
        for position, summary in enumerate(with_largest_gaps(labels, _MOST_SCATTERS)):
            size = sizes(scores, summary)
            if size is None:
                break
            axis = f"Size of the reference ({size[1]})"
            x = self._aligned(0, summary, size[0])
            pictures.append(self._scatter(f"size0-{position}", summary, x, axis, "dice", size=True))
        return charts.charts(*pictures) if pictures else Markup("")

    def _scatter(
        self, name: str, summary: Summary, x: Floats, x_axis: str, metric: str, *, size: bool = False
    ) -> Markup:
        """Draw a metric of a structure against something else of the subjects."""
        y_axis = summary.title(metric)
        return charts.scatter(
            x,
            self._values(0, summary, metric),
            self._ids[0],
            summary.names,
            subjects=self.subjects,
            name=name,
            title=f"{summary.structure}: {'size' if size else x_axis} and {y_axis}",
            x_axis=x_axis,
            y_axis=y_axis,
            reference=summary.reference,
            log_x=size,
            trend=size and len(summary.groups) <= _MOST_TRENDS,
        )

    def agreement(self, measures: pd.DataFrame, measure: str, unit: str) -> Markup:
        """Draw a Bland-Altman plot of a clinical measure, one panel a group of the first grouping."""
        overall = self._analyses[0][0]
        rows = measures[measures["measure"] == measure].set_index("subject")
        predicted, reference = (
            self._aligned(0, overall, _of_subjects(overall, rows[column]))
            for column in ("prediction", "reference")
        )
        return charts.bland_altman(
            predicted,
            reference,
            self._ids[0],
            overall.names,
            subjects=self.subjects,
            name=f"agreement-{measure.replace(' ', '-')}",
            quantity=f"{measure} ({unit})",
            reference=overall.reference,
        )

    def _values(self, number: int, summary: Summary, metric: str) -> Floats:
        return self._aligned(number, summary, summary.subjects[metric].to_numpy(dtype=np.float64))

    def _aligned(self, number: int, summary: Summary, values: Floats) -> Floats:
        """Return values of a summary's subjects in the order of the page."""
        key = (number, summary.structure)
        if key not in self._dots_of_rows:
            self._dots_of_rows[key] = list(map(self._dot[number].__getitem__, self._keys(summary)))
        aligned = np.full(len(self.subjects.names), np.nan)
        aligned[self._dots_of_rows[key]] = np.where(np.isfinite(values), values, np.nan)
        return aligned

    def _keys(self, summary: Summary) -> list[int]:
        """Return a number for each row of a summary's subjects: of the subject and its group."""
        keys = self._codes(summary) * (len(summary.groups) + 1) + summary.subjects["group"].to_numpy() + 1
        return list(keys.tolist())

    def _codes(self, summary: Summary) -> npt.NDArray[np.intp]:
        """Return the place of each row's subject among the names."""
        names = pd.Index(cells_of(summary.subjects["subject"]), dtype=object)
        return np.asarray(self._names.get_indexer(names))


def gap_charts(result: Audited) -> list[tuple[str, Markup, int]]:
    """Draw the findings of each endpoint with their limits, in tables that are charts as well.

    Returns:
        For each endpoint a title, the chart, and how many rows stand in the table of all findings only.
    """
    pictures = []
    for endpoint in Endpoint:
        findings = [row for row in result.judgement.findings if row.endpoint is endpoint]
        if not findings:
            continue
        scale, write = (1.0, None) if endpoint is Endpoint.TYPICAL else (100.0, numbers.tenth)
        rows = [_gap_row(result.as_named(row), result, scale) for row in most_telling(findings, result)]
        picture = charts.forest(
            rows,
            label=f"Gaps: {endpoint}",
            axis=say("gap_axis", endpoint=endpoint.name, title=result.scores.title),
            margin=findings[0].margin * scale,
            heads=("Structure", "Verdict", "Disadvantage [limits]", "Subjects"),
            write=write,
        )
        pictures.append((str(endpoint).capitalize(), picture, len(findings) - len(rows)))
    return pictures


def _gap_row(row: Finding, result: Audited, scale: float) -> charts.ForestRow:
    block, name = f"{row.attribute}: {row.second} against {row.first}", row.structure
    if len(result.structures) == 1:
        block, name = row.attribute, f"{row.second} against {row.first}"
    if row.adjusted:
        name += f", {result.held_fixed} held fixed"
    gap, low, high = (value * scale for value in row.disadvantage)
    inner = (row.at_margin.low * scale, row.at_margin.high * scale)
    counts = f"{row.n_second}, {row.n_first}"
    return charts.ForestRow(block, name, gap, low, high, row.verdict, counts, row_label(row), inner)


def with_largest_gaps(summaries: Sequence[Summary], most: int = MOST_STRUCTURES) -> list[Summary]:
    """Return summaries in their order; of too many, the overall one and those with the largest gaps."""
    if len(summaries) <= most:
        return list(summaries)

    def size(summary: Summary) -> float:
        gap = abs(float(summary.table.loc[[GAP]].to_numpy()[0, -1])) if GAP in summary.table.index else np.nan
        return np.inf if summary.structure == OVERALL else float(np.nan_to_num(gap, nan=-1.0))

    largest = sorted(summaries, key=size, reverse=True)[:most]
    return [summary for summary in summaries if any(summary is one for one in largest)]


def with_tables(summaries: Sequence[Summary]) -> list[Summary]:
    """Return the summaries that a page has tables of: fewer, the more groups they have."""
    return with_largest_gaps(summaries, min(_MOST_TABLES, max(2, _MOST_LINES // len(summaries[0].groups))))


def sizes(scores: Scores, summary: Summary) -> tuple[Floats, str] | None:
    """Return the size of a structure's reference for each row of a summary's subjects, and its unit.

    The mean over cases, in ml where files state a voxel size; None where the table tells neither.
    """
    sized = structure_sizes(scores, None if summary.structure == OVERALL else summary.structure)
    if sized is None:
        return None
    of_subject, unit = sized
    return _of_subjects(summary, of_subject), "px" if (unit, summary.unit) == ("voxels", "px") else unit


def _of_subjects(summary: Summary, of_subject: "pd.Series[float]") -> Floats:
    return np.asarray(of_subject.reindex(summary.subjects["subject"]).to_numpy(dtype=np.float64))
