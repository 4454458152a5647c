"""Findings beside the verdict: distances and clinical errors."""

import numpy as np
import pytest

from fairseg.statistics.findings import Grouping
from fairseg.statistics.judge_options import JudgeOptions
from fairseg.statistics.measures import Measure, judge_measures
from fairseg.statistics.verdicts import Endpoint, Verdict

GROUP = Grouping("sex", ("M", "F"), np.repeat([0, 1], [60, 40]), 0)
OPTIONS = JudgeOptions(permutations=999)


def test_distances_and_a_spread_four_times_as_wide() -> None:
    rng = np.random.default_rng(0)
    hd = rng.gamma(4, 2, 100)
    hd[60:] += 10
    error = rng.normal(0, 3, 100)
    error[60:] *= 4
    same = rng.gamma(4, 2, 100)
    found = judge_measures(
        [
            Measure("HD95", hd, margin=1.0),
            Measure("HD95", hd, Endpoint.HARDEST),
            Measure("ASSD", same),
            Measure("LVEF error", error, higher_is_better=None),
            Measure("LVEF error", error, Endpoint.SPREAD),
        ],
        [GROUP],
        options=OPTIONS,
    )
    typical, hardest, unchanged, bias, spread = found
    assert (typical.verdict, typical.worse) == (Verdict.GAP, "F")
    assert typical.low < -10 < typical.high
    assert (hardest.verdict, hardest.worse) == (Verdict.GAP, "F")
    assert hardest.estimate == hardest.value_first - hardest.value_second
    assert unchanged.verdict is bias.verdict is Verdict.OPEN
    assert bias.worse is None
    assert (spread.verdict, spread.worse) == (Verdict.GAP, "F")
    assert 2.5 < spread.value_second / spread.value_first < 6


def test_a_margin_makes_green() -> None:
    rng = np.random.default_rng(1)
    (found,) = judge_measures([Measure("HD95", rng.gamma(4, 2, 100), margin=8.0)], [GROUP], options=OPTIONS)
    assert found.verdict is Verdict.NO_GAP


def test_groups_without_values_are_not_judged() -> None:
    values = np.where(GROUP.ids == 1, np.nan, 3.0)
    (found,) = judge_measures([Measure("HD95", values)], [GROUP], options=OPTIONS)
    assert found.verdict is Verdict.NOT_JUDGED
    assert (found.n_first, found.n_second) == (60, 0)


def test_false_alarms_of_many_measures_share_one_level() -> None:
    rng = np.random.default_rng(2)
    pages = 0
    for _ in range(80):
        measures = [Measure(str(number), rng.gamma(2, 2, 100)) for number in range(10)]
        found = judge_measures(measures, [GROUP], options=JudgeOptions(permutations=199))
        pages += any(row.shown for row in found)
    assert pages / 80 <= 0.13  # 0.05 + 3.3 standard errors


def test_errors_name_the_measure() -> None:
    with pytest.raises(ValueError, match=r"values of HD95 must be one a subject, \(100,\), got \(3,\)"):
        judge_measures([Measure("HD95", np.ones(3))], [GROUP])
    with pytest.raises(ValueError, match="values of HD95 must be finite"):
        judge_measures([Measure("HD95", np.full(100, np.inf))], [GROUP])
    with pytest.raises(ValueError, match="higher_is_better of bias must be stated"):
        judge_measures([Measure("bias", np.ones(100), Endpoint.HARDEST, higher_is_better=None)], [GROUP])
