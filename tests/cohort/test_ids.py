"""as_ids: whatever holds the groups, ids or names, becomes the same ids; what can't be groups is refused."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import fairseg
from fairseg import Groups
from fairseg.cohort import as_groups, as_ids
from fairseg.losses import GroupDROLoss
from fairseg.metrics import by_group, fairness_gap
from fairseg.samplers import GroupBatchSampler

INTEGERS = {
    "list": [1, 0, -1, 1],
    "tuple": (1, 0, -1, 1),
    "list with None": [1, 0, None, 1],
    "int8": np.array([1, 0, -1, 1], dtype=np.int8),
    "objects": np.array([1, 0, None, 1], dtype=object),
    "floats beside NaN": np.array([1.0, 0.0, np.nan, 1.0]),
    "tensor": torch.tensor([1, 0, -1, 1]),
    "Series": pd.Series([1, 0, -1, 1], index=[7, 7, 7, 7]),
    "Series with NaN": pd.Series([1, 0, None, 1]),
    "Int64": pd.Series([1, 0, None, 1], dtype="Int64"),
    "Float64": pd.Series([1, 0, None, 1], dtype="Float64"),
    "Int64 array": pd.array([1, 0, None, 1], dtype="Int64"),
}
NAMES = {
    "list": ["M", "F", None, "M"],
    "list with NaN": ["M", "F", float("nan"), "M"],
    "list with a blank": ["M", "F", " ", "M"],
    "objects": np.array(["M", "F", None, "M"], dtype=object),
    "text": np.array(["M", "F", "", "M"]),
    "Series": pd.Series(["M", "F", None, "M"], index=[3, 1, 2, 0]),
    "object Series": pd.Series(["M", "F", None, "M"], dtype=object),
    "string": pd.Series(["M", "F", None, "M"], dtype="string"),
    "category": pd.Series(["M", "F", None, "M"], dtype="category"),
    "Categorical": pd.Categorical(["M", "F", None, "M"], categories=["M", "F"]),
    "Index": pd.Index(["M", "F", None, "M"]),
}


@pytest.mark.parametrize("values", INTEGERS.values(), ids=INTEGERS)
@pytest.mark.parametrize("known", [None, 2, ["F", "M"], Groups(["F", "M"])], ids=repr)
def test_integers_of_every_kind_are_ids(values: Any, known: Any) -> None:
    group_ids = as_ids(values, known)
    assert group_ids.ids.dtype == np.int64
    np.testing.assert_array_equal(group_ids.ids, [1, 0, -1, 1])
    assert group_ids.num_groups == 2
    assert group_ids.names == (None if known in (None, 2) else ("F", "M"))
    np.testing.assert_array_equal(group_ids.counts, [1, 2])


@pytest.mark.parametrize("values", NAMES.values(), ids=NAMES)
def test_names_of_every_kind_get_the_ids_of_their_groups(values: Any) -> None:
    group_ids = as_ids(values)
    np.testing.assert_array_equal(group_ids.ids, [1, 0, -1, 1])
    assert (group_ids.names, group_ids.num_groups) == (("F", "M"), 2)
    assert Groups.from_values(values).names == group_ids.names
    np.testing.assert_array_equal(Groups(["M", "F", "X"]).encode(values), [0, 1, -1, 0])
    np.testing.assert_array_equal(as_ids(values, ["M", "F", "X"]).ids, [0, 1, -1, 0])


@pytest.mark.parametrize(
    "values",
    [
        [True, False, None],
        np.array([True, False, None], dtype=object),
        pd.Series([True, False, None], dtype="boolean"),
    ],
    ids=["list", "objects", "boolean"],
)
def test_true_and_false_are_names(values: Any) -> None:
    group_ids = as_ids(values)
    np.testing.assert_array_equal(group_ids.ids, [1, 0, -1])
    assert group_ids.names == ("False", "True")


def test_bools_of_numpy_and_torch_are_names_too() -> None:
    for values in (np.array([True, False]), torch.tensor([True, False]), pd.Series([True, False])):
        assert as_ids(values).names == ("False", "True")
        np.testing.assert_array_equal(as_ids(values).ids, [1, 0])


def test_a_categorical_of_numbers_holds_names_in_its_own_order_if_it_has_one() -> None:
    stages = pd.Series([2, 10, None, 2])
    assert as_ids(stages.astype("category")).names == ("2", "10")
    falling = pd.Categorical(stages, categories=[10, 2], ordered=True)
    group_ids = as_ids(falling)
    assert group_ids.names == ("10", "2")
    np.testing.assert_array_equal(group_ids.ids, [1, 0, -1, 1])


def test_levels_that_are_numbers_are_encoded_by_encode_and_are_ids_in_a_tensor() -> None:
    stages = Groups.from_values([3, 1, 2, None], name="stage")
    assert stages.names == ("1", "2", "3")
    np.testing.assert_array_equal(stages.encode([1, 3, None]), [0, 2, -1])
    np.testing.assert_array_equal(stages.encode(torch.tensor([1, 2])), [1, 2])
    np.testing.assert_array_equal(as_ids([1, 2], stages).ids, [1, 2])


def test_a_measurement_is_cut_into_bins_by_value_and_its_bins_are_names() -> None:
    ages = pd.Series([41, 57, None, 63], name="age")
    groups = Groups.from_values(ages, bins=[50])
    assert groups.names == ("age<50", "age>=50")
    np.testing.assert_array_equal(groups.encode(ages), [0, 1, -1, 1])
    np.testing.assert_array_equal(groups.encode([20, 80]), [0, 1])
    np.testing.assert_array_equal(groups.encode(["age>=50", None]), [1, -1])
    assert Groups.from_values([41, 57], name="years", bins=[50]).names == ("years<50", "years>=50")


def test_names_of_an_intersection_are_encoded_from_a_vector(caplog: pytest.LogCaptureFixture) -> None:
    groups = Groups.from_table({"sex": ["F", "M"], "site": ["A", "B"]}, by=("sex", "site"))
    with caplog.at_level("WARNING", logger="fairseg"):
        np.testing.assert_array_equal(groups.encode(["sex=M, site=B", None, "sex=F, site=B"]), [1, -1, -1])
    assert "sex=F, site=B" in caplog.text


def test_groups_of_names_keep_their_order_and_iterate_over_it() -> None:
    groups = Groups(["M", "F"])
    assert list(groups) == ["M", "F"]
    assert (groups.index("F"), groups.name(0), len(groups)) == (1, "M", 2)
    assert Groups(groups) == Groups(pd.Series(["M", "F"])) == groups  # type: ignore[arg-type]
    assert Groups.from_dict(groups.to_dict()) == groups
    assert Groups(("sex",), (("F",), ("M",)), {}) == Groups.from_table({"sex": ["F", "M"]}, by="sex")


@given(st.lists(st.sampled_from(["F", "M", "X", None]), min_size=1).filter(any))
def test_ids_and_names_lead_to_the_same(values: list[str | None]) -> None:
    by_name = as_ids(values)
    by_id = as_ids(by_name.ids, by_name.names)
    np.testing.assert_array_equal(by_id.ids, by_name.ids)
    assert (by_id.names, by_id.num_groups) == (by_name.names, by_name.num_groups)
    table = Groups.from_table({"sex": values}, by="sex")
    assert table.names == by_name.names
    np.testing.assert_array_equal(table.encode({"sex": values}), by_name.ids)


def test_nothing_known_is_no_group() -> None:
    for values in ([None, None], [], [-1, -1]):
        group_ids = as_ids(values)
        assert (group_ids.num_groups, group_ids.ids.tolist()) == (0, [-1] * len(values))
        assert as_ids(values, ["F", "M"]).counts.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.5, 1.0], "integer ids or names, got dtype float64"),
        ([0.5, None], "integer ids or names, got dtype float64"),
        (torch.tensor([0.5]), "integer ids or names"),
        ("FM", "sex must be a vector"),
        (1, "sex must be a vector"),
        (np.array(1), r"sex must be a vector.*got shape \(\)"),
        (torch.zeros(2, 1, dtype=torch.long), r"got shape \(2, 1\)"),
        ([[0, 1]], r"got shape \(1, 2\)"),
        (pd.DataFrame({"sex": ["F"]}), "got a table of sex"),
        ({"sex": ["F"]}, "got a table of sex"),
        ({"F", "M"}, "sex must be a vector"),
        ([0, -2], "sex must be ids from -1.*-2"),
    ],
)
def test_what_is_no_vector_of_groups_is_refused_by_the_name_of_the_argument(
    values: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        as_ids(values, argument="sex")


@pytest.mark.parametrize("kind", [list, np.array, pd.Series, torch.tensor])
def test_whole_numbers_as_floats_are_ids_with_and_without_a_missing_one(kind: Any) -> None:
    """As pandas leaves a column of ids where rows without one were dropped."""
    assert as_ids(kind([1.0, 0.0, 1.0])).ids.tolist() == [1, 0, 1]
    assert as_ids(kind([1.0, 0.0, float("nan")])).ids.tolist() == [1, 0, -1]


def test_ids_and_names_beyond_the_known_groups_are_refused_or_unknown() -> None:
    with pytest.raises(ValueError, match="to 1, got 2"):
        as_ids([2], ["F", "M"])
    with pytest.raises(ValueError, match="of 3 groups, got 2: F, M"):
        as_ids(["F", "M"], 3)
    np.testing.assert_array_equal(as_ids(["F", "X"], ["F", "M"]).ids, [0, -1])


@pytest.mark.parametrize("known", [0, -1, 2.0, True, "FM", [], ["F", None], [0, 1], ["F", "F"]], ids=repr)
def test_what_names_no_groups_is_refused(known: Any) -> None:
    with pytest.raises(ValueError, match=r"num_groups must|names must|twice"):
        as_groups(known)


AGES = np.random.default_rng(0).integers(20, 80, 60)


@pytest.mark.parametrize(
    "take",
    [
        as_ids,
        lambda ages: GroupBatchSampler(ages, 8),
        lambda ages: GroupBatchSampler(pd.Series(ages), 8),
        lambda ages: fairness_gap(np.ones(60), ages),
        lambda ages: fairness_gap(np.ones(60), ages + 0.5),
        lambda ages: fairseg.audit(np.linspace(0, 1, 60), groups=ages),
    ],
)
def test_a_measurement_is_no_ids(take: Any) -> None:
    with pytest.raises(ValueError, match=rf"bins=\[{np.median(np.unique(AGES)):.0f}(\.5)?\]\)\.encode"):
        take(AGES)


def test_many_ids_that_count_from_0_are_ids(caplog: pytest.LogCaptureFixture) -> None:
    ids = np.arange(40)
    assert as_ids(ids).num_groups == 40
    assert as_ids(AGES, known=100).num_groups == 100
    gap = np.repeat(np.delete(ids, 7), 3)  # a group of the cohort that has nobody here
    assert as_ids(gap).num_groups == as_ids(np.unique(gap)).num_groups == 40
    assert not caplog.records
    as_ids(np.repeat(np.arange(20, 40), 3))
    assert "20 integers from 20 to 39 among 60 samples" in caplog.text


@pytest.mark.parametrize("values", [pd.Series(AGES), AGES, torch.from_numpy(AGES), AGES.tolist()])
def test_an_error_shows_the_first_values_of_many(values: Any) -> None:
    with pytest.raises(ValueError, match=rf"groups, got \w+ of 60: {AGES[0]}, {AGES[1]}, {AGES[2]}, \.\.\.;"):
        Groups(values)
    with pytest.raises(ValueError, match=r"base must be .* got \w+ of 60") as caught:
        GroupDROLoss(2, base=values)
    assert len(str(caught.value)) < 150


def test_groups_of_a_cohort_are_no_values_of_samples() -> None:
    """`Groups` iterates over its names: two samples, F and M, for every batch of a training."""
    groups = Groups(["F", "M"])
    for function in (as_ids, Groups.from_values, groups.encode, lambda group: GroupBatchSampler(group, 8)):
        with pytest.raises(ValueError, match=r"got the groups of a cohort: groups\.encode\(\.\.\.\)"):
            function(groups)  # type: ignore[operator]
    with pytest.raises(ValueError, match="got the groups of a cohort"):
        by_group([0.9, 0.8], groups)
