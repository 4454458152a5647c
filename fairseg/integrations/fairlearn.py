"""The scores table as a `fairlearn.metrics.MetricFrame`, and the frame's groups back as fairseg's vectors.

Needs the extra `fairlearn`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairseg.cohort.groups import Groups
from fairseg.cohort.ids import as_ids
from fairseg.cohort.levels import level_text
from fairseg.integrations import needs
from fairseg.io.sentences import brief, listed, not_among
from fairseg.metrics.fairness import Statistic, by_group
from fairseg.scoring.summary import summarize
from fairseg.scoring.table import Scores

with needs("fairlearn"):
    from fairlearn.metrics import MetricFrame

__all__ = ["group_values", "metric_frame"]

SUBJECTS = "subjects"  # the frame's column of counts


def metric_frame(
    scores: Scores | pd.DataFrame,
    by: str | Sequence[str] | Groups,
    *,
    metric: str = "dice",
    label: str | None = None,
    statistic: Statistic = "median",
    bins: Mapping[str, Sequence[float]] | None = None,
    **options: Any,
) -> MetricFrame:
    """Disaggregate a scores table with fairlearn: one value a subject, as in fairseg's own tables.

    A subject without the metric has no part in the statistic or the count; a subject of unknown group is
    left out of the frame, so its `overall` is over the known groups, as the report's column "All".

    Args:
        scores: as from `fairseg.evaluate` or `read_scores`, or what `Scores.of` takes.
        by: an attribute, several for their intersection, or groups made of them; the frame's sensitive
            features, with fairseg's names of levels.
        metric: a column of scores: "dice", "hd95" or any other of `score_case`.
        label: the label's name; None: a case's mean over its labels.
        statistic: of the subjects of a group: "median", "mean" or "iqr".
        bins: for numeric attributes, as in `Groups.from_table`.
        options: `n_boot`, `ci_quantiles` and `random_state` of `MetricFrame`. Its bootstrap resamples
            all subjects together; `fairseg.metrics.bootstrap_interval` resamples each group.

    Returns:
        A frame of two metrics: `metric` by its name, and "subjects", how many values it rests on. Of an
        intersection, fairlearn also lists cells that do not occur, as NaN.

    Raises:
        ValueError: the table has no such metric or label, the statistic is unknown, bins are given with
            finished groups, or as from `Groups.from_table` and `summarize`.

    >>> scores = pd.DataFrame({"case": ["a", "b", "c"], "subject": ["a", "b", "c"], "sex": ["F", "F", "M"],
    ...                        "label": ["LV"] * 3, "dice": [0.75, 0.875, 0.9375]})
    >>> frame = metric_frame(scores, by="sex")
    >>> frame.by_group["dice"].to_dict(), float(frame.difference()["dice"])
    ({'F': 0.8125, 'M': 0.9375}, 0.125)
    """
    checked = Scores.of(scores)
    if isinstance(by, Groups):
        if bins is not None:
            raise ValueError(f"bins must be None where by holds finished groups, got {brief(bins)}")
        groups = by
    else:
        groups = Groups.from_table(checked.table, by=by, bins=bins)
    if metric not in checked.metrics:
        raise ValueError(not_among("metric", metric, checked.metrics))
    overall, *of_labels = summarize(checked, groups)
    tables = {summary.structure: summary.subjects for summary in of_labels}
    if label is not None and str(label) not in tables:
        raise ValueError(not_among("label", label, tables))
    subjects = overall.subjects if label is None else tables[str(label)]
    subjects = subjects[subjects["group"] >= 0]
    values = subjects[metric].to_numpy(dtype=np.float64)
    cells = [groups.cells[group] for group in subjects["group"]]

    def of_part(part: Any) -> tuple[float, int]:
        """Return statistic and count of one group, by the function that makes fairseg's tables."""
        part_values = np.asarray(part, dtype=np.float64)
        statistics, counts = by_group(
            part_values, as_ids(np.zeros(len(part_values), dtype=int), known=1), statistic
        )
        return float(statistics[0]), int(counts[0])

    return MetricFrame(
        metrics={metric: lambda _, part: of_part(part)[0], SUBJECTS: lambda _, part: of_part(part)[1]},
        y_true=values,  # fairlearn wants one; a score has its reference in it already
        y_pred=values,
        sensitive_features=pd.DataFrame(cells, columns=list(groups.attributes)),
        **options,
    )


def group_values(
    frame: MetricFrame, groups: Groups, *, metric: str = "dice", counts: str = SUBJECTS
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return a frame's value of each group, for `fairness_gap`, `skewed_error_ratio` and the like.

    The frame may be one of `metric_frame`, or any other with a dictionary of metrics and fairseg's names of
    levels; `fairlearn.metrics.count` makes counts.

    Args:
        frame: a frame without control features.
        groups: in whose order the values are wanted.
        metric: which of the frame's metrics.
        counts: which of them counts the values.

    Returns:
        Values, float64 (G,), NaN for a group that the frame has not; and counts, int64 (G,), then 0.

    Raises:
        ValueError: the frame's metrics, features or levels are others.

    >>> table = {"sex": ["F", "F", "M"]}
    >>> metrics = {"dice": lambda _, part: part.mean(), "subjects": lambda _, part: len(part)}
    >>> values, sex = [0.75, 0.875, 0.9375], pd.Series(table["sex"], name="sex")
    >>> frame = MetricFrame(metrics=metrics, y_true=values, y_pred=values, sensitive_features=sex)
    >>> group_values(frame, Groups.from_table(table, by="sex"))
    (array([0.8125, 0.9375]), array([2, 1]))
    """
    table = frame.by_group
    names = list(table.columns) if isinstance(table, pd.DataFrame) else []
    for argument, name in (("metric", metric), ("counts", counts)):
        if name not in names:
            raise ValueError(
                f"{argument} must be one of the frame's metrics ({', '.join(names) or 'a dictionary'}), "
                f"got {name!r}"
            )
    features = list(table.index.names)
    if sorted(map(str, features)) != list(groups.attributes):
        raise ValueError(
            f"frame must have the sensitive features {', '.join(groups.attributes)} alone, "
            f"got {', '.join(map(str, features))}"
        )
    order = [features.index(attribute) for attribute in groups.attributes]
    rows: dict[tuple[str, ...], tuple[Any, Any]] = {}
    for key, value, number in zip(table.index, table[metric], table[counts], strict=True):
        cell = key if isinstance(key, tuple) else (key,)
        levels = tuple(level_text(cell[position]) for position in order)
        if levels not in groups.cells and number > 0:
            raise ValueError(
                f"frame must have the levels of the groups ({listed(groups.names)}), got "
                f"{' and '.join(levels)}, of {number:g} values: no group takes them"
            )
        rows[levels] = (value, number)
    pairs = [rows.get(cell, (np.nan, np.nan)) for cell in groups.cells]
    values, sizes = np.array(pairs, dtype=np.float64).T
    return values, np.nan_to_num(sizes).astype(np.int64)
