"""Names and arrays of every kind give what NumPy arrays of ids give, in every function of the statistics.

The kinds are those of `tests/metrics/inputs.py`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fairseg.statistics import (
    bootstrap_interval,
    cliffs_delta,
    equity_interval,
    group_intervals,
    hodges_lehmann,
    kruskal_wallis,
    pairwise_mann_whitney,
    permutation_test,
    wilcoxon_signed_rank,
)
from fairseg.statistics.confounders import adjusted_gap
from fairseg.statistics.missingness import missingness, missingness_sentences
from fairseg.statistics.stratified import stratified_gap
from tests.metrics.inputs import ID_KINDS, IDS, NAME_KINDS, NAMES, NAN, SEX, VALUE_KINDS, VALUES

AGE = {"age": [50, 61, 40, 72, 55, 48, 66, 59, 70, 45, 52, 63]}
SITE = ["A", "A", "B", "B", "A", "A", "B", "B", "A", "A", "B", "B"]
COUNTS = {
    "prediction_voxels": [5, 0, 0, 9, 0, 7, 8, 0, 9, 0, 7, 6],
    "reference_voxels": [6, 7, 8, 8, 7, 7, 6, 9, 8, 9, 6, 0],
}
TABLE = pd.DataFrame({"case": list("abcdefghijkl"), **COUNTS})
DRAWS: dict[str, Any] = {"resamples": 300, "level": 0.8}


def frame(found: pd.DataFrame) -> Any:
    """Return the rows of a table, with the ids of groups in place of names."""
    number = {name: place for place, name in enumerate(NAMES)} | {"unknown": -1}
    groups = [number.get(group, group) for group in found["group"]]
    return [list(row) for row in found.assign(group=groups).astype(object).to_numpy()]


def stratified(values: Any, groups: Any) -> Any:
    found = stratified_gap(values, groups, SITE, reference=1, resamples=300)
    return frame(found.strata) + frame(found.pooled)


FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "gap": partial(bootstrap_interval, measure="fairness_gap", **DRAWS),
    "signed gap": partial(bootstrap_interval, measure="fairness_gap", reference=1, **DRAWS),
    "ratio": partial(bootstrap_interval, measure="skewed_error_ratio", **DRAWS),
    "worst": partial(bootstrap_interval, measure="worst_group", **DRAWS),
    "own measure": partial(bootstrap_interval, measure=np.ptp, method="percentile", **DRAWS),
    "medians": lambda values, groups: list(group_intervals(values, groups, level=0.8)),
    "iqr": lambda values, groups: list(group_intervals(values, groups, "iqr", method="bca", **DRAWS)),
    "equity": partial(equity_interval, level=0.5),
    "kruskal": kruskal_wallis,
    "pairs": lambda values, groups: pairwise_mann_whitney(values, groups)[1:],
    "permutations": partial(permutation_test, permutations=200),
    "adjusted": lambda values, groups: frame(adjusted_gap(values, groups, AGE, reference=1).table),
    "strata": stratified,
}


def flat(result: Any) -> list[Any]:
    if isinstance(result, tuple | list | np.ndarray):
        return [number for part in result for number in flat(part)]
    return [result]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_kind_of_values_and_groups_gives_the_same(name: str) -> None:
    function = FUNCTIONS[name]
    expected = flat(function(VALUES, IDS))
    assert any(number == number for number in expected)
    for values in VALUE_KINDS.values():
        np.testing.assert_equal(flat(function(values(), IDS)), expected)
    for kinds in (ID_KINDS, NAME_KINDS):
        for groups in kinds.values():
            np.testing.assert_equal(flat(function(VALUES, groups())), expected)


@pytest.mark.parametrize("kind", NAME_KINDS)
def test_names_come_out_where_names_went_in(kind: str) -> None:
    sex = NAME_KINDS[kind]()
    intervals = group_intervals(VALUES, sex, level=0.8)
    assert isinstance(intervals, pd.Series)
    assert intervals.index.tolist() == list(NAMES)
    assert intervals["M"].estimate == 0.905
    assert pairwise_mann_whitney(VALUES, sex)[0] == [("F", "M")]
    assert pairwise_mann_whitney(VALUES, sex, reference="M")[0] == [("M", "F")]
    assert adjusted_gap(VALUES, sex, AGE, reference="M").table["group"].tolist() == ["F"]
    found = stratified_gap(VALUES, sex, SITE, reference="M", resamples=300)
    assert found.pooled["group"].tolist() == ["F"]
    assert found.strata["group"].tolist() == ["F", "F"]
    assert any("group F: no interval" in note for note in found.notes)
    missed = missingness(TABLE, sex)
    assert missed.loc[missed["kind"] == "structure missed", "group"].tolist() == list(NAMES)
    assert missed["group"].iloc[-1] == "unknown"
    by_id = missingness(TABLE, IDS)
    assert frame(missed)[0] == frame(by_id)[0]
    certain = {"p_holm": 0.01}
    sentences = missingness_sentences(missed.assign(**certain))
    assert sentences == missingness_sentences(by_id.assign(**certain), NAMES)


def test_a_reference_may_be_a_name() -> None:
    options: dict[str, Any] = {"measure": "fairness_gap", **DRAWS}
    by_id = bootstrap_interval(VALUES, IDS, reference=1, **options)
    assert bootstrap_interval(VALUES, SEX, reference="M", **options) == by_id
    assert permutation_test(VALUES, SEX, reference="M", permutations=200) == permutation_test(
        VALUES, IDS, reference=1, permutations=200
    )
    for call in (
        lambda: bootstrap_interval(VALUES, SEX, reference="X", **options),
        lambda: permutation_test(VALUES, SEX, reference="X"),
        lambda: pairwise_mann_whitney(VALUES, SEX, reference="X"),
        lambda: adjusted_gap(VALUES, SEX, AGE, reference="X"),
        lambda: stratified_gap(VALUES, SEX, SITE, reference="X"),
    ):
        with pytest.raises(ValueError, match=r"reference must be one of the groups \(F; M\) .*got 'X'"):
            call()


def test_the_number_of_groups_may_still_stand_behind_them() -> None:
    gap = bootstrap_interval(VALUES, IDS, "fairness_gap", **DRAWS)
    assert bootstrap_interval(VALUES, IDS, 2, "fairness_gap", **DRAWS) == gap
    assert bootstrap_interval(VALUES, IDS, num_groups=2, measure="fairness_gap", **DRAWS) == gap
    three = group_intervals(VALUES, IDS, 3, "median", level=0.8)
    assert isinstance(three, list)
    np.testing.assert_equal(three[2], (NAN, NAN, NAN))
    assert equity_interval(VALUES, IDS, 3, level=0.5) == equity_interval(VALUES, IDS, level=0.5)
    assert kruskal_wallis(VALUES, IDS, 2) == kruskal_wallis(VALUES, IDS)
    np.testing.assert_equal(
        pairwise_mann_whitney(VALUES, IDS, 2, 1), pairwise_mann_whitney(VALUES, IDS, reference=1)
    )
    p = permutation_test(VALUES, IDS, permutations=200)
    assert permutation_test(VALUES, IDS, 2, permutations=200) == p
    gap_table = adjusted_gap(VALUES, IDS, AGE, reference=1).table
    np.testing.assert_equal(frame(adjusted_gap(VALUES, IDS, 2, AGE, reference=1).table), frame(gap_table))
    old = stratified_gap(VALUES, IDS, 2, SITE, reference=1, resamples=300)
    np.testing.assert_equal(frame(old.strata) + frame(old.pooled), stratified(VALUES, IDS))
    pd.testing.assert_frame_equal(missingness(TABLE, IDS, 2), missingness(TABLE, ids=IDS, num_groups=2))


def test_two_samples_may_be_of_any_kind() -> None:
    others = 1 - VALUES
    for values in VALUE_KINDS.values():
        for function in (cliffs_delta, hodges_lehmann, wilcoxon_signed_rank):
            assert function(values(), others) == function(VALUES, others)
            assert function(others, values()) == function(others, VALUES)


def test_the_default_holds_its_level_in_small_groups() -> None:
    """Binomial limits: of fewer than six subjects there are none at 95%."""
    values, groups = np.linspace(0.7, 0.9, 45), np.repeat(["large", "small"], [40, 5])
    assert np.isnan(group_intervals(values, groups)["small"].low)
    assert np.isnan(bootstrap_interval(values, groups, "fairness_gap").low)
    assert bootstrap_interval(values, groups, "fairness_gap", method="bca").low > 0
