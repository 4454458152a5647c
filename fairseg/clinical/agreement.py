"""The agreement of measures from predictions with those from references, in each group.

After Bland and Altman, *Lancet* 1986; 327:307-310, and *Statistical Methods in Medical Research* 1999;
8:135-160. Takes the result of `clinical_measures`, or any table of its form.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from math import sqrt
from typing import Any

import numpy as np
import pandas as pd
import scipy  # its parts load when they are touched

from fairseg.clinical.measures import ClinicalMeasures
from fairseg.cohort.groups import UNKNOWN
from fairseg.cohort.reading import as_table
from fairseg.cohort.table import read_numbers
from fairseg.cohort.vectors import Vector
from fairseg.io.sentences import counted, listed, not_among
from fairseg.metrics.earlier_forms import accepts_num_groups
from fairseg.metrics.grouped import Floats, GroupedValues, group_ids
from fairseg.statistics.association import mean_test

Measures = ClinicalMeasures | pd.DataFrame

_WITHIN = 1.96  # SD on each side of the mean that hold 95% of normal differences
_ROUNDING = 1e-12  # of a measure: a smaller spread of differences counts as 0
_COLUMNS = ("subject", "measure", "unit", "prediction", "reference")


@dataclass(frozen=True, eq=False)
class Agreement:
    """The agreement of predicted and true measures in each group.

    Attributes:
        table: one row a measure and group. Columns: measure, unit, group (its id, or its name where names
            went in); n and missing, the subjects with and without both values; bias, bias_low, bias_high; sd
            (n - 1 in the denominator); lower_limit, upper_limit and for each its interval, *_low and *_high;
            mean_absolute_error; all of them in the unit. p_bias_differs, the same for all groups of a
            measure: of Welch's t test for two groups of at least two subjects, of Welch's analysis of
            variance for more, not corrected for several measures. A group of fewer than two subjects is NaN
            in all but the counts.
        notes: how many subjects of unknown group were left out.
    """

    table: pd.DataFrame
    notes: list[str]


def _of_subjects(function: Callable[..., Agreement]) -> Callable[..., Agreement]:
    """Also take groups as a mapping subject -> group."""

    @wraps(function)
    def accepting(
        measures: Measures, groups: Mapping[str, str | int] | Vector, *args: Any, **more: Any
    ) -> Agreement:
        table = _checked(measures)
        if isinstance(groups, Mapping):
            subjects = table["subject"]
            if absent := [name for name in subjects.unique() if name not in groups]:
                raise ValueError(
                    f"groups must have a group for every subject (None or -1 is unknown), none for "
                    f"{listed(absent)}"
                )
            groups = [groups[name] for name in subjects]
        elif len(groups) != len(table):
            raise ValueError(f"groups must have one a row of measures, {len(table)}, got {len(groups)}")
        return function(table, groups, *args, **more)

    return accepting


@_of_subjects
@accepts_num_groups()
def agreement(measures: Measures, groups: Mapping[str, str | int] | Vector) -> Agreement:
    """Compare predicted with true measures within each group, after Bland and Altman.

    The bias is the mean of prediction - reference; between the limits of agreement, bias +- 1.96 SD, lie
    95% of the differences if they are normal. Confidence intervals are of 95%, from Student's t with
    n - 1 degrees of freedom; the standard error of a limit is SD sqrt(1/n + 1.96^2 / (2 (n - 1))).

    Args:
        measures: from `clinical_measures`, or a table of its form: one row a subject and measure.
        groups: the group of every subject, as a mapping, or of every row, (N,); ids or names as in
            `by_group`. Subjects of unknown group are left out.

    Raises:
        ValueError: measures are of another form, a subject has two rows of a measure, or groups do not
            fit.

    >>> measures = pd.DataFrame({
    ...     "subject": ["p1", "p2", "p3"], "measure": "LVEF", "unit": "%",
    ...     "prediction": [52.0, 61.0, 40.0], "reference": [55.0, 60.0, 50.0],
    ... })
    >>> found = agreement(measures, {"p1": "F", "p2": "F", "p3": "M"})
    >>> found.table[["group", "n", "bias", "mean_absolute_error"]]
      group  n  bias  mean_absolute_error
    0     F  2  -1.0                  2.0
    1     M  1   NaN                  NaN
    """
    table = _checked(measures)
    members = group_ids(groups)
    rows = []
    for measure in table["measure"].unique():
        part = (table["measure"] == measure).to_numpy()
        predicted, true = table.loc[part, ["prediction", "reference"]].to_numpy(np.float64).T
        ids = members.ids[part]
        samples = GroupedValues(predicted - true, ids, members.num_groups).parts
        rounding = _ROUNDING * np.nan_to_num(np.abs([predicted, true])).max()
        p_value, _ = mean_test(samples, rounding=rounding)
        for group, sample in enumerate(samples):
            row = {
                "measure": measure,
                "unit": table.loc[part, "unit"].iloc[0],
                "group": group if members.names is None else members.names[group],
                "n": sample.size,
                "missing": int((ids == group).sum()) - sample.size,
            }
            rows.append({**row, **_limits(sample), "p_bias_differs": p_value})
    unknown = table["subject"][members.ids == UNKNOWN].unique()
    left_out = f"{counted(len(unknown), 'subject')} of unknown group, left out: {listed(unknown)}"
    return Agreement(pd.DataFrame(rows), [left_out] if len(unknown) else [])


def bland_altman_points(measures: Measures, measure: str) -> pd.DataFrame:
    """Return the points of a Bland-Altman plot, one a subject that has both values.

    Args:
        measures: from `clinical_measures`, or a table of its form.
        measure: one of its measures.

    Returns:
        Columns subject, mean of prediction and reference (to the right), difference prediction - reference
        (upwards); the index is that of `measures`, which ids of its rows can follow.

    Raises:
        ValueError: there is no such measure, or measures are of another form.

    >>> measures = pd.DataFrame({
    ...     "subject": ["p1", "p2"], "measure": "LVEF", "unit": "%",
    ...     "prediction": [52.0, 61.0], "reference": [55.0, float("nan")],
    ... })
    >>> bland_altman_points(measures, "LVEF")
      subject  mean  difference
    0      p1  53.5        -3.0
    """
    table = _checked(measures)
    names = list(table["measure"].unique())
    if measure not in names:
        raise ValueError(not_among("measure", measure, names))
    rows = table[table["measure"] == measure].dropna(subset=["prediction", "reference"])
    return pd.DataFrame(
        {
            "subject": rows["subject"],
            "mean": (rows["prediction"] + rows["reference"]) / 2,
            "difference": rows["prediction"] - rows["reference"],
        }
    )


def _limits(sample: Floats) -> dict[str, float]:
    """Return bias and limits of agreement of differences (n,), with their intervals; NaN if n < 2."""
    n = sample.size
    bias = sd = error = bias_width = limit_width = float("nan")
    if n > 1:
        bias, sd, error = sample.mean(), sample.std(ddof=1), np.abs(sample).mean()
        t = float(scipy.special.stdtrit(n - 1, 0.975))
        bias_width, limit_width = t * sd * sqrt(1 / n), t * sd * sqrt(1 / n + _WITHIN**2 / (2 * (n - 1)))
    row = {"bias": bias, "bias_low": bias - bias_width, "bias_high": bias + bias_width, "sd": sd}
    for name, limit in (("lower_limit", bias - _WITHIN * sd), ("upper_limit", bias + _WITHIN * sd)):
        row |= {name: limit, f"{name}_low": limit - limit_width, f"{name}_high": limit + limit_width}
    return {**row, "mean_absolute_error": error}


def _checked(measures: Measures) -> pd.DataFrame:
    """Return the table of measures, its values as float64."""
    table = measures.table if isinstance(measures, ClinicalMeasures) else as_table(measures, "measures")
    if missing := [name for name in _COLUMNS if name not in table]:
        raise ValueError(
            f"measures must have the columns {', '.join(_COLUMNS)}, as from clinical_measures, has no "
            f"{' and no '.join(missing)}: it has {listed(table.columns, 20)}"
        )
    if table.empty:
        raise ValueError("measures must have at least one row, got none")
    repeated = table[table.duplicated(["subject", "measure"])]
    if len(repeated):
        row = repeated.iloc[0]
        raise ValueError(
            f"measures must have one row a subject and measure, got {row['subject']}, {row['measure']} again"
        )
    return table.assign(
        **{name: read_numbers(table[name], "measures") for name in ("prediction", "reference")}
    )
