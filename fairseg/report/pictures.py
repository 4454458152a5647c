"""The charts of the page, made from summaries: every chart shows the same subjects in the same order."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from markupsafe import Markup

from fairseg.cohort.columns import VOLUMES, VOXELS
from fairseg.metrics.fairness import Floats
from fairseg.report import charts
from fairseg.report.summary import OVERALL, Summary
from fairseg.statistics import Interval
from fairseg.statistics.evidence import IRRELEVANT, NOT_JUDGED, OPEN, SHOWN, Evidence

VERDICTS = {
    SHOWN: charts.SHOWN,
    IRRELEVANT: charts.NO_GAP,
    OPEN: charts.UNSURE,
    NOT_JUDGED: charts.NOT_JUDGED,
}
MOST_STRUCTURES = 12  # with charts of their own; of more, those with the largest gaps
_MOST_SCATTERS = 6
_MOST_TRENDS = 6  # groups, above which trends hide each other
_MOST_PAIRS = 12  # comparisons with a row of their own in the chart of gaps
_MOST_PAIRS_OF_A_LABEL = 4


class Pictures:
    """Charts of one page.

    Args:
        analyses: for each grouping the summaries of all structures, the overall one first.
    """

    def __init__(self, analyses: Sequence[Sequence[Summary]]) -> None:
        # A subject with cases in several groups of a grouping has a dot in each.
        times: Counter[str] = Counter()
        for summaries in analyses:
            times |= Counter(map(str, summaries[0].subjects["subject"]))
        names = [name for name, number in times.items() for _ in range(number)]
        first = dict(zip(times, np.cumsum([0, *times.values()]).tolist(), strict=False))
        self.subjects = charts.Subjects(names)
        self._place: list[dict[tuple[str, int], int]] = []
        self._ids: list[npt.NDArray[np.int64]] = []
        for summaries in analyses:
            seen: Counter[str] = Counter()
            place: dict[tuple[str, int], int] = {}
            ids = np.full(len(names), -1, dtype=np.int64)
            for name, group in _keys(summaries[0]):
                place[name, group] = first[name] + seen[name]
                ids[place[name, group]] = group
                seen[name] += 1
            self._place.append(place)
            self._ids.append(ids)
        self._analyses = analyses

    def boxes(self, number: int, metric: str) -> Markup:
        """Draw one metric of every structure by group: boxes, and every subject as a dot."""
        summaries = self._analyses[number]
        overall = summaries[0]
        shown = with_largest_gaps(summaries if len(summaries) > 2 else summaries[:1])
        return charts.dot_boxes(
            {summary.structure: self._values(number, summary, metric) for summary in shown},
            self._ids[number],
            overall.groups.names,
            subjects=self.subjects,
            name=f"box{number}-{metric}",
            axis=overall.title(metric),
            reference=overall.reference,
        )

    def scatters(self, number: int, scores: pd.DataFrame) -> Markup:
        """Draw distance against Dice of all labels, and Dice against the size of each label."""
        summaries = self._analyses[number]
        overall = summaries[0]
        names, reference = overall.groups.names, overall.reference
        distance = next((name for name in ("hd", "hd95", "assd") if name in overall.subjects), None)
        drawn = []
        if distance is not None:
            drawn.append(
                charts.scatter(
                    self._values(number, overall, "dice"),
                    self._values(number, overall, distance),
                    self._ids[number],
                    names,
                    subjects=self.subjects,
                    name=f"distance{number}",
                    title=f"{OVERALL}: {overall.title('dice')} and {overall.title(distance)}",
                    x_axis=overall.title("dice"),
                    y_axis=overall.title(distance),
                    reference=reference,
                )
            )
        for place, summary in enumerate(with_largest_gaps(summaries[1:], _MOST_SCATTERS)):
            size = sizes(scores, summary)
            if size is None:
                break
            drawn.append(
                charts.scatter(
                    self._aligned(number, summary, size[0]),
                    self._values(number, summary, "dice"),
                    self._ids[number],
                    names,
                    subjects=self.subjects,
                    name=f"size{number}-{place}",
                    title=f"{summary.structure}: size and {summary.title('dice')}",
                    x_axis=f"Size of the reference ({size[1]})",
                    y_axis=summary.title("dice"),
                    reference=reference,
                    log_x=True,
                    trend=len(names) <= _MOST_TRENDS,
                )
            )
        return charts.charts(*drawn) if drawn else Markup("")

    def agreement(self, number: int, measures: pd.DataFrame, measure: str, unit: str) -> Markup:
        """Draw a Bland-Altman plot of a clinical measure, one panel a group."""
        overall = self._analyses[number][0]
        rows = measures[measures["measure"] == measure].set_index("subject")
        predicted, reference = (
            self._aligned(number, overall, _of_subjects(overall, rows[column]))
            for column in ("prediction", "reference")
        )
        return charts.bland_altman(
            predicted,
            reference,
            self._ids[number],
            overall.groups.names,
            subjects=self.subjects,
            name=f"agreement-{measure.replace(' ', '-')}",
            quantity=f"{measure} ({unit})",
            reference=overall.reference,
        )

    def _values(self, number: int, summary: Summary, metric: str) -> Floats:
        return self._aligned(number, summary, summary.subjects[metric].to_numpy(dtype=np.float64))

    def _aligned(self, number: int, summary: Summary, values: Floats) -> Floats:
        """Put values of a summary's subjects into the order of the page."""
        aligned = np.full(len(self.subjects.names), np.nan)
        places = [self._place[number][key] for key in _keys(summary)]
        aligned[places] = np.where(np.isfinite(values), values, np.nan)
        return aligned


def gaps(analyses: Sequence[Sequence[Summary]], margin: float | None) -> Markup:
    """Draw the gap of every grouping and structure with its interval: a table that is a chart as well."""
    rows = []
    for summaries in analyses:
        for summary in with_largest_gaps(summaries if len(summaries) > 2 else summaries[:1]):
            if summary.evidence is not None:
                rows += _gap_rows(summary, summary.evidence)
    if not rows:
        return Markup("")
    return charts.forest(rows, label="Fairness gaps", axis="Gap in median DSC", margin=margin)


def with_largest_gaps(summaries: Sequence[Summary], most: int = MOST_STRUCTURES) -> list[Summary]:
    """Return summaries in their order; of too many, the overall one and those with the largest gaps."""
    if len(summaries) <= most:
        return list(summaries)

    def size(summary: Summary) -> float:
        gap = np.nan if summary.evidence is None else abs(summary.evidence.gap.estimate)
        return np.inf if summary.structure == OVERALL else float(np.nan_to_num(gap, nan=-1.0))

    kept = sorted(summaries, key=size, reverse=True)[:most]
    return [summary for summary in summaries if any(summary is one for one in kept)]


def sizes(scores: pd.DataFrame, summary: Summary) -> tuple[Floats, str] | None:
    """Return the size of a structure's reference for each row of a summary's subjects, and its unit.

    The mean over cases, in ml where files state a voxel size; None where the table tells neither.
    """
    column, unit = next(
        (
            (name, unit)
            for name, unit in ((VOLUMES[1], "ml"), (VOXELS[1], "px" if summary.unit == "px" else "voxels"))
            if name in scores
        ),
        (None, ""),
    )
    if column is None:
        return None
    rows = (
        scores if summary.structure == OVERALL else scores[scores["label"].astype(str) == summary.structure]
    )
    of_case = rows.groupby(["subject", "case"], sort=False)[column].sum(min_count=1)
    mean = of_case.groupby(level="subject").mean()
    return _of_subjects(summary, mean.where(mean > 0)), unit


def _gap_rows(summary: Summary, evidence: Evidence) -> list[charts.ForestRow]:
    names, counts, reference = summary.groups.names, summary.counts, summary.reference
    by = " and ".join(summary.groups.attributes)

    def row(block: str, name: str, gap: Interval, verdict: str, members: Sequence[int]) -> charts.ForestRow:
        told = ", ".join(f"{counts[group]}" for group in members)
        if len(members) > 3:
            told = f"{counts.sum()} in {len(members)} groups"
        return charts.ForestRow(block, name, gap.estimate, gap.low, gap.high, VERDICTS[verdict], told)

    most = _MOST_PAIRS if summary.structure == OVERALL else _MOST_PAIRS_OF_A_LABEL
    if reference is None or len(evidence.comparisons) > most:
        few = ": " + ", ".join(names) if len(names) <= 6 else ""
        return [row(by + few, summary.structure, evidence.gap, evidence.verdict, range(len(names)))]
    against = f"{by}, {names[reference]} against"
    if len(evidence.comparisons) == 1:
        one = evidence.comparisons[0]
        pair = (one.first, one.second)
        return [row(f"{against} {names[one.second]}", summary.structure, one.gap, one.verdict, pair)]
    return [
        row(
            f"{by}, {names[reference]} against each group",
            f"{summary.structure}: {names[one.second]}",
            one.gap,
            one.verdict,
            (one.first, one.second),
        )
        for one in evidence.comparisons
    ]


def _keys(summary: Summary) -> list[tuple[str, int]]:
    return list(zip(map(str, summary.subjects["subject"]), summary.subjects["group"].tolist(), strict=True))


def _of_subjects(summary: Summary, of_subject: "pd.Series[float]") -> Floats:
    found = of_subject.reindex(summary.subjects["subject"])
    return np.asarray(found.to_numpy(dtype=np.float64))
