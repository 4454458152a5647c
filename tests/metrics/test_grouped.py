"""Names and arrays of every kind give what NumPy arrays of ids give, and names come out where names went in.

The kinds are those of `inputs`; `tests/statistics/test_names_and_arrays.py` runs the statistics through them.
"""

import inspect
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fairseg import metrics, statistics
from fairseg.cohort import Groups, as_ids
from fairseg.metrics import (
    by_group,
    equity_scaled,
    fairness_gap,
    gap_pair,
    mann_whitney_u,
    skewed_error_ratio,
    split_by_group,
    worst_group,
)
from fairseg.metrics.grouped import GroupedValues
from tests.metrics.inputs import ID_KINDS, IDS, NAME_KINDS, NAMES, NAN, SEX, VALUE_KINDS, VALUES

MEDIANS = [0.725, 0.905]  # of F: .85 .75 .70 .60; of M: .91 .95 .90 .84 .93 .88
MEASURES: dict[str, Callable[[Any, Any], Any]] = {
    "median": lambda values, groups: by_group(values, groups)[0],
    "counts": lambda values, groups: by_group(values, groups)[1],
    "iqr": lambda values, groups: by_group(values, groups, "iqr")[0],
    "split": lambda values, groups: [part.tolist() for part in split_by_group(values, groups)],
    "gap": fairness_gap,
    "signed gap": partial(fairness_gap, reference=0),
    "pair": lambda values, groups: [as_ids([one], known=list(NAMES)).ids[0] if isinstance(one, str) else one
                                    for one in gap_pair(values, groups) or ()],
    "ratio": skewed_error_ratio,
    "worst": worst_group,
    "equity sum": partial(equity_scaled, variant="sum"),
    "equity std": partial(equity_scaled, variant="std", ddof=1),
}  # fmt: skip


def plain(result: Any) -> Any:
    return result.to_list() if isinstance(result, pd.Series) else np.asarray(result, dtype=object).tolist()


@pytest.mark.parametrize("measure", MEASURES)
def test_every_kind_of_values_and_groups_gives_the_same(measure: str) -> None:
    function = MEASURES[measure]
    expected = plain(function(VALUES, IDS))
    for values in VALUE_KINDS.values():
        assert plain(function(values(), IDS)) == expected
    for kinds in (ID_KINDS, NAME_KINDS):
        for groups in kinds.values():
            assert plain(function(VALUES, groups())) == expected


def test_the_measures_by_hand() -> None:
    assert by_group(VALUES, IDS)[0].tolist() == MEDIANS
    assert fairness_gap(VALUES, SEX) == pytest.approx(0.18)
    assert fairness_gap(VALUES, SEX, reference="M") == pytest.approx(0.18)
    assert fairness_gap(VALUES, SEX, reference="F") == pytest.approx(-0.18)
    assert gap_pair(VALUES, SEX) == ("M", "F")
    assert gap_pair(VALUES, IDS, reference=0) == (1, 0)
    assert skewed_error_ratio(VALUES, SEX) == pytest.approx(0.275 / 0.095)
    assert worst_group(VALUES, SEX) == 0.725
    # Over all known subjects the median is that of .60 .70 .75 .84 .85 .88 .90 .91 .93 .95.
    assert equity_scaled(VALUES, SEX, "sum") == pytest.approx(0.865 / (1 + 0.14 + 0.04))
    assert equity_scaled(VALUES, SEX, "std", ddof=0) == pytest.approx(0.865 / 1.09)


@pytest.mark.parametrize("kind", NAME_KINDS)
def test_names_come_out_where_names_went_in(kind: str) -> None:
    groups = NAME_KINDS[kind]()
    median, counts = by_group(VALUES, groups)
    for result in (median, counts, split_by_group(VALUES, groups)):
        assert isinstance(result, pd.Series)
        assert result.index.tolist() == list(NAMES)
        assert result.index.name == "group"
    assert (median.dtype, counts.dtype) == (np.float64, np.int64)
    assert counts["M"] == 6
    for part, expected in zip(split_by_group(VALUES, groups), split_by_group(VALUES, IDS), strict=True):
        np.testing.assert_array_equal(part, expected)


@pytest.mark.parametrize("kind", ID_KINDS)
def test_arrays_come_out_where_ids_went_in(kind: str) -> None:
    median, counts = by_group(VALUES, ID_KINDS[kind]())
    assert (type(median), type(counts)) == (np.ndarray, np.ndarray)
    assert isinstance(split_by_group(VALUES, ID_KINDS[kind]()), list)


def test_true_and_false_are_names() -> None:
    assert by_group([0.9, 0.8, 0.7], [True, False, True])[0].to_dict() == {"False": 0.8, "True": 0.8}
    assert fairness_gap([0.9, 0.8, 0.8], np.array([True, False, True]), reference=True) == pytest.approx(0.05)


def test_an_ordered_categorical_keeps_its_order() -> None:
    stage = pd.Categorical(["mild", "severe", "mild"], categories=["severe", "mild"], ordered=True)
    assert by_group([0.9, 0.7, 0.8], stage)[0].index.tolist() == ["severe", "mild"]


def test_ids_with_the_groups_of_a_cohort_come_out_as_names() -> None:
    """Such as those of a validation set in which a group has nobody."""
    groups = Groups(["F", "M", "X"])
    median, counts = by_group(VALUES, as_ids(IDS, known=groups))
    assert counts.to_dict() == {"F": 4, "M": 6, "X": 0}
    assert np.isnan(median["X"])
    assert np.isnan(fairness_gap(VALUES, as_ids(IDS, known=groups), reference="X"))
    assert by_group(VALUES, as_ids(IDS, known=3))[1].tolist() == [4, 6, 0]


def test_values_of_groups_may_be_a_series_by_name() -> None:
    median, _ = by_group(VALUES, SEX)
    assert fairness_gap(median, reference="M") == fairness_gap(VALUES, SEX, reference="M")
    assert fairness_gap(median, "M") == fairness_gap(median, reference="M")
    assert gap_pair(median) == ("M", "F")
    assert skewed_error_ratio(median) == skewed_error_ratio(VALUES, SEX)
    assert worst_group(median) == 0.725
    assert equity_scaled(0.8, median, "sum") == equity_scaled(0.8, MEDIANS, "sum")
    table = pd.DataFrame({"dice": [0.9, 0.8, 0.7], "sex": ["F", "M", "M"], "site": ["a", "a", "b"]})
    cells = table.groupby(["sex", "site"])["dice"].median()
    assert gap_pair(cells) == ("F, a", "M, b")
    # Of the groups 1 and 2 of somebody's table, which is 1?
    numbered = pd.Series([0.9, 0.8], index=[1, 2])
    assert fairness_gap(numbered) == pytest.approx(0.1)
    with pytest.raises(ValueError, match=r"values must be indexed by names, or by ids .* got \[1, 2\]"):
        fairness_gap(numbered, reference=1)


# --- the forms of fairseg 0.1 -----------------------------------------------------------------------


def test_the_number_of_groups_may_still_stand_behind_them() -> None:
    with_absent = [MEDIANS[0], MEDIANS[1], NAN]
    for result in (
        by_group(VALUES, IDS, 3),
        by_group(VALUES, IDS, np.int64(3), "median"),
        by_group(VALUES, IDS, num_groups=3),
        by_group(values=VALUES, groups=IDS, num_groups=3, statistic="median"),
        by_group(VALUES, IDS, 3, statistic="median"),
    ):
        np.testing.assert_array_equal(result[0], with_absent)
        np.testing.assert_array_equal(result[1], [4, 6, 0])
    assert by_group(VALUES, IDS, 2, "mean")[0].tolist() == by_group(VALUES, IDS, "mean")[0].tolist()
    assert by_group(VALUES, SEX, 2)[0].to_dict() == dict(zip(NAMES, MEDIANS, strict=True))
    assert len(split_by_group(VALUES, IDS, 5)) == 5
    with pytest.raises(ValueError, match="must be of 3 groups, got 2: F, M"):
        by_group(VALUES, SEX, 3)


def test_group_values_may_still_be_called_so_and_be_followed_by_their_reference() -> None:
    assert fairness_gap(MEDIANS, 0) == fairness_gap(group_values=MEDIANS, reference=0) < 0
    assert fairness_gap(MEDIANS, np.int64(1)) == fairness_gap(MEDIANS, reference=1) > 0
    assert fairness_gap(MEDIANS, None) == fairness_gap(MEDIANS) > 0
    assert gap_pair(MEDIANS, 0) == gap_pair(group_values=MEDIANS) == (1, 0)
    assert skewed_error_ratio(group_values=MEDIANS) == skewed_error_ratio(MEDIANS)
    assert worst_group(group_values=MEDIANS) == 0.725
    expected = equity_scaled(0.8, MEDIANS, "std", 1)
    assert equity_scaled(overall=0.8, group_values=MEDIANS, variant="std", ddof=1) == expected
    assert equity_scaled(np.float64(0.8), MEDIANS, "std", ddof=1) == expected


def test_wrong_arguments_are_type_errors_in_either_form() -> None:
    calls: list[Callable[[], Any]] = [
        lambda: by_group(VALUES, IDS, 2, "mean", "more"),
        lambda: by_group(VALUES, IDS, groups=IDS),
        lambda: by_group(VALUES),
        lambda: by_group(VALUES, num_groups=2),
        lambda: by_group(VALUES, IDS, number=2),
        lambda: fairness_gap(VALUES, SEX, "M", "F"),
    ]
    for call in calls:
        with pytest.raises(TypeError):
            call()


@pytest.mark.parametrize("module", [metrics, statistics])
def test_no_signature_shows_the_number_of_groups(module: Any) -> None:
    for name in module.__all__:
        function = getattr(module, name)
        if inspect.isfunction(function):
            assert not {"num_groups", "group_values", "ids"} & set(inspect.signature(function).parameters), (
                name
            )


# --- what is wrong ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "groups", "options", "message"),
    [
        (["F", "M"], ["F", "M"], {}, "values must be numbers, got 'F'"),
        ([0.1, 0.2, 0.3], ["F", "M"], {}, r"vectors of one length, got \(3,\) and \(2,\)"),
        ([0.1, float("inf")], ["F", "M"], {}, "values must be finite or NaN, got infinity"),
        ([0.1, 0.2], [0.5, 1.0], {}, "groups must be integer ids or names, got dtype float64"),
        ([0.1, 0.2], {"F", "M"}, {}, "groups must be a vector, one value a sample, got "),
        ([0.1, 0.2], pd.DataFrame({"sex": ["F", "M"]}), {}, "groups must be a vector.*table of sex"),
        ([0.1, 0.2], [0, -2], {}, "groups must be ids from -1 .*got -2"),
        ([0.1, 0.2], ["F", "M"], {"reference": "X"}, r"reference must be one .*\(F; M\).*got 'X'"),
        ([0.1, 0.2], ["F", "M"], {"reference": 2}, r"reference must be one of the groups .*got 2"),
        ([0.1, 0.2], [0, 1], {"reference": "F"}, "reference must be a group id below 2, got 'F'"),
        ([0.1, 0.2], [0, 1], {"reference": 0.0}, "reference must be a group id below 2, got 0.0"),
        ([0.1, 0.2], [0, 1], {"reference": True}, "reference must be a group id below 2, got True"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(values: Any, groups: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fairness_gap(values, groups, **options)


def test_series_of_different_rows_are_not_paired_by_position() -> None:
    table = pd.DataFrame({"dice": VALUES, "sex": SEX})
    with pytest.raises(ValueError, match="values and groups must have the same index"):
        by_group(table["dice"], table["sex"].iloc[::-1])
    expected = by_group(VALUES, SEX[::-1])[0]
    pd.testing.assert_series_equal(by_group(table["dice"], table["sex"].iloc[::-1].to_numpy())[0], expected)


def test_names_beside_values_are_two_samples() -> None:
    expected = mann_whitney_u(*split_by_group(VALUES, IDS))
    for groups in NAME_KINDS.values():
        assert mann_whitney_u(VALUES, groups()) == expected
        assert mann_whitney_u(*split_by_group(VALUES, groups())) == expected
    for values in VALUE_KINDS.values():
        known = values()
        assert mann_whitney_u(known, 1 - VALUES) == mann_whitney_u(VALUES, 1 - VALUES)
        assert mann_whitney_u(1 - VALUES, known) == mann_whitney_u(1 - VALUES, VALUES)
    with pytest.raises(ValueError, match="second must name two groups, got 3"):
        mann_whitney_u([0.1, 0.2, 0.3], ["a", "b", "c"])


def test_one_object_carries_values_groups_and_reference() -> None:
    grouped = GroupedValues.of(VALUES, SEX, reference="M")
    assert (grouped.names, grouped.num_groups, grouped.reference) == (NAMES, 2, 1)
    assert [part.tolist() for part in grouped.ordered] == [
        [0.60, 0.70, 0.75, 0.85],
        [0.84, 0.88, 0.90, 0.91, 0.93, 0.95],
    ]
    assert grouped.medians.tolist() == MEDIANS
    assert (grouped.name(0), GroupedValues.of(VALUES, IDS).name(0)) == ("F", 0)


def test_ids_need_no_pandas() -> None:
    code = (
        "import sys; from fairseg.metrics import by_group, fairness_gap; by_group([1, 2], [0, 1]);"
        "fairness_gap([1, 2], ['F', 'M'], reference='M'); assert 'pandas' not in sys.modules;"
        "print(by_group([1, 2], ['F', 'M'])[0]['M'], 'pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2.0", "True"]
