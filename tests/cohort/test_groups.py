"""Groups: names and ids follow from the levels alone; what is missing or unseen is never a group."""

import json
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseg import Groups

MISSING = [None, float("nan"), np.nan, "", "  ", pd.NA, pd.NaT]
SEX = st.sampled_from(["F", "M", "x, y", "", None])
SITE = st.sampled_from(["A", "B", "b", "10", "9", None, float("nan")])
ROWS = st.lists(st.tuples(SEX, SITE), min_size=1, max_size=30).filter(
    lambda rows: any(sex and isinstance(site, str) for sex, site in rows)
)


def columns(rows: list[tuple[Any, Any]]) -> dict[str, list[Any]]:
    return {"sex": [sex for sex, _ in rows], "site": [site for _, site in rows]}


def binned(values: list[Any], edges: list[float], name: str) -> list[str | None]:
    groups = Groups.from_values(values, name=name, bins=edges)
    return [None if group < 0 else groups.name(group) for group in groups.encode({name: values})]


# --- levels, names, ids -----------------------------------------------------------------------------


def test_one_attribute_is_named_by_its_levels_sorted() -> None:
    groups = Groups.from_table({"sex": ["M", "F", "M"]}, by="sex")
    assert groups.names == ("F", "M")
    assert len(groups) == 2
    assert [groups.name(0), groups.name(1), groups.name(-1)] == ["F", "M", "unknown"]
    assert groups.index("M") == 1
    ids = groups.encode({"sex": ["M", "F", "M"]})
    assert ids.dtype == np.int64
    np.testing.assert_array_equal(ids, [1, 0, 1])


def test_an_intersection_has_the_cells_that_occur_and_sorts_by_attribute_then_level() -> None:
    table = {"sex": ["M", "F", "M"], "ethnicity": ["White", "Black", "Black"]}
    groups = Groups.from_table(table, by=("sex", "ethnicity"))
    assert groups.names == ("ethnicity=Black, sex=F", "ethnicity=Black, sex=M", "ethnicity=White, sex=M")
    np.testing.assert_array_equal(groups.encode(table), [2, 0, 1])
    assert groups == Groups.from_table(table, by=["ethnicity", "sex"])
    assert groups.index("sex=M, ethnicity=White") == groups.index("ethnicity=White, sex=M") == 2


def test_a_data_frame_with_any_index_is_read_by_rows() -> None:
    table = pd.DataFrame({"sex": ["M", "F", None]}, index=[7, 7, 0])
    np.testing.assert_array_equal(Groups.from_table(table, by="sex").encode(table), [1, 0, -1])


@pytest.mark.parametrize("missing", MISSING, ids=repr)
def test_a_missing_value_is_unknown_and_no_group(missing: object) -> None:
    table = {"sex": ["F", missing, "M"], "site": ["A", "A", "A"]}
    for by in ("sex", ("sex", "site")):
        groups = Groups.from_table(table, by=by)
        assert len(groups) == 2
        np.testing.assert_array_equal(groups.encode(table), [0, -1, 1])


@pytest.mark.parametrize("dtype", ["object", "string", "category", "str"])
def test_missing_values_of_every_pandas_dtype_are_unknown(dtype: str) -> None:
    table = pd.DataFrame({"sex": pd.Series(["F", None, "M"], dtype=dtype)})
    groups = Groups.from_table(table, by="sex")
    assert groups.names == ("F", "M")
    np.testing.assert_array_equal(groups.encode(table), [0, -1, 1])


@pytest.mark.parametrize(("values", "dtype"), [([1, None, 0], "Int64"), ([True, None, False], "boolean")])
def test_missing_values_of_nullable_dtypes_are_unknown(values: list[Any], dtype: str) -> None:
    table = pd.DataFrame({"flag": pd.Series(values, dtype=dtype)})
    np.testing.assert_array_equal(Groups.from_table(table, by="flag").encode(table), [1, -1, 0])


def test_none_as_text_is_missing_as_in_pandas() -> None:
    assert Groups.from_table({"disease": ["None", "DCM", None]}, by="disease").names == ("DCM",)


@pytest.mark.parametrize("level", [1, 1.0, "1", " 1 ", np.int8(1), np.float32(1)], ids=repr)
def test_a_whole_number_is_one_level_however_it_is_stored(level: object) -> None:
    groups = Groups.from_table({"stage": [1, 2]}, by="stage")
    assert groups.names == ("1", "2")
    np.testing.assert_array_equal(groups.encode({"stage": [level]}), [0])
    assert Groups.from_table({"stage": [level, "2"]}, by="stage") == groups


def test_leading_zeros_make_a_level_of_their_own() -> None:
    assert set(Groups.from_table({"site": ["01", "1"]}, by="site").names) == {"01", "1"}


def test_numbers_sort_by_value_and_text_as_text() -> None:
    assert Groups.from_table({"stage": ["10", "9", "2"]}, by="stage").names == ("2", "9", "10")
    assert Groups.from_table({"stage": [10, 9, -2]}, by="stage").names == ("-2", "9", "10")
    assert Groups.from_table({"tesla": [3.0, 1.5, 3.0, 1.5]}, by="tesla").names == ("1.5", "3")
    assert Groups.from_table({"stage": ["10", "9", "b"]}, by="stage").names == ("10", "9", "b")


def test_text_that_reads_as_no_finite_number_leaves_the_other_levels_in_order() -> None:
    odd = ["nan", "NaN", "NAN", "-nan", "inf"]
    numbers = [str(number) for number in range(10, 16)]  # in one order as text and as numbers
    levels = [*numbers[4:], "nan", "NaN", *numbers[:2][::-1], "NAN", "-nan", "inf", *numbers[2:4]]
    names = Groups.from_table({"stage": levels}, by="stage").names
    assert [name for name in names if name not in odd] == numbers


def test_an_ordered_categorical_keeps_its_order_and_its_levels_that_do_not_occur_are_no_groups() -> None:
    size = pd.Categorical(["large", "small", None], categories=["small", "medium", "large"], ordered=True)
    table = pd.DataFrame({"size": size})
    groups = Groups.from_table(table, by="size")
    assert groups.names == ("small", "large")
    np.testing.assert_array_equal(groups.encode(table), [1, 0, -1])


def test_an_unordered_categorical_is_sorted() -> None:
    size = pd.Categorical(["b", "a"], categories=["b", "a"])
    assert Groups.from_table(pd.DataFrame({"size": size}), by="size").names == ("a", "b")


def test_bools_are_false_and_true() -> None:
    groups = Groups.from_table({"obese": [True, False, np.True_, None]}, by="obese")
    assert groups.names == ("False", "True")
    np.testing.assert_array_equal(groups.encode({"obese": [np.False_, "True"]}), [0, 1])


def test_line_breaks_and_doubled_spaces_do_not_make_another_level() -> None:
    assert Groups.from_table({"site": ["St  Thomas", " St\nThomas "]}, by="site").names == ("St Thomas",)


def test_levels_that_would_make_one_name_of_two_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        Groups.from_table({"a": ["x, b=1", "x"], "b": ["2", "1, b=2"]}, by=("a", "b"))


def test_index_finds_every_name_also_with_commas_in_it() -> None:
    groups = Groups.from_table({"diagnosis": ["HCM, ARV", "ARV, HCM", "HCM"]}, by="diagnosis")
    assert [groups.index(name) for name in groups.names] == [0, 1, 2]


# --- unseen levels ----------------------------------------------------------------------------------


def test_unseen_levels_are_unknown_and_logged_by_name_and_count(caplog: pytest.LogCaptureFixture) -> None:
    groups = Groups.from_table({"sex": ["F", "M"]}, by="sex")
    with caplog.at_level("WARNING", logger="fairseg"):
        ids = groups.encode({"sex": ["X", "F", "X", None, "Y"]})
    np.testing.assert_array_equal(ids, [-1, 0, -1, -1, -1])
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2
    assert any("X" in message and "2" in message for message in messages)
    assert any("Y" in message and "1" in message for message in messages)


def test_an_unseen_cell_of_seen_levels_is_unknown_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    groups = Groups.from_table({"sex": ["F", "M"], "site": ["A", "B"]}, by=("sex", "site"))
    with caplog.at_level("WARNING", logger="fairseg"):
        np.testing.assert_array_equal(groups.encode({"sex": ["F", "F"], "site": ["A", "B"]}), [0, -1])
    assert "sex=F, site=B" in caplog.text


def test_missing_values_are_not_logged_as_unseen(caplog: pytest.LogCaptureFixture) -> None:
    table = {"sex": ["F", None, ""]}
    Groups.from_table(table, by="sex").encode(table)
    assert not caplog.records


# --- bins -------------------------------------------------------------------------------------------


def test_bins_are_named_by_their_edges_and_an_edge_belongs_above() -> None:
    ages = [49.9, 50, 64, 65, "70", None, "", float("nan")]
    table = {"age": ages}
    groups = Groups.from_table(table, by="age", bins={"age": [50, 65]})
    assert groups.names == ("age<50", "50<=age<65", "age>=65")
    np.testing.assert_array_equal(groups.encode(table), [0, 1, 1, 2, 2, -1, -1, -1])
    assert binned(ages[:3], [50], "age") == ["age<50", "age>=50", "age>=50"]


def test_zero_is_a_number_like_others_in_bins() -> None:
    assert binned([0, -0.5, None, 0.5], [0], "z") == ["z>=0", "z<0", None, "z>=0"]
    assert binned([0, 1], [0.5], "z") == ["z<0.5", "z>=0.5"]


def test_bins_that_do_not_occur_are_no_groups_and_later_become_unknown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    groups = Groups.from_table({"age": [80, 40]}, by="age", bins={"age": [50, 65]})
    assert groups.names == ("age<50", "age>=65")
    np.testing.assert_array_equal(groups.encode({"age": [55, 40]}), [-1, 0])
    assert "50<=age<65" in caplog.text


def test_bins_in_an_intersection_are_ordered_from_low_to_high() -> None:
    table = {"age": [100, 9, 100], "sex": ["F", "F", "M"]}
    groups = Groups.from_table(table, by=("sex", "age"), bins={"age": [9.5, 99]})
    assert groups.names == ("age<9.5, sex=F", "age>=99, sex=F", "age>=99, sex=M")


@pytest.mark.parametrize("edge", [12345678, 1234567, 0.12345678, 65, 1e-5])
def test_the_name_of_a_bin_states_the_edge_exactly(edge: float) -> None:
    below, above = binned([-1e9, 1e9], [edge], "x")
    assert below is not None
    assert above is not None
    assert float(below.removeprefix("x<")) == float(above.removeprefix("x>=")) == edge


@pytest.mark.parametrize("edges", [[], [65, 50], [50, 50], [float("nan")], [float("inf")]])
def test_edges_that_do_not_increase_are_refused_by_attribute(edges: list[float]) -> None:
    with pytest.raises(ValueError, match=r"bins of 'age' must be increasing"):
        Groups.from_table({"age": [1, 2]}, by="age", bins={"age": edges})
    with pytest.raises(ValueError, match=r"bins of 'age' must be increasing"):
        Groups(("age",), [("age<50",)], {"age": tuple(edges)}).encode({"age": [1, 2]})


@pytest.mark.parametrize("value", ["old", float("inf"), True, date(1960, 1, 1)], ids=repr)
def test_a_value_that_cannot_be_binned_is_named(value: object) -> None:
    with pytest.raises(ValueError, match=r"'age' must be a number") as error:
        Groups.from_table({"age": [40, value]}, by="age", bins={"age": [50]})
    assert repr(value) in str(error.value)
    with pytest.raises(ValueError, match=r"'age' must be a number.*case c2"):
        Groups.from_table({"age": [40, value], "case": ["c1", "c2"]}, by="age", bins={"age": [50]})


def test_whole_numbers_as_text_are_one_level_with_the_numbers() -> None:
    groups = Groups.from_table({"site": ["1.0", "1", 1, 1.0, "01", None]}, by="site")
    assert set(groups.names) == {"01", "1"}
    assert groups.encode({"site": ["1.0", 1]}).tolist() == [groups.index("1")] * 2


def test_a_column_that_is_there_twice_is_refused() -> None:
    table = pd.DataFrame([["F", "A"], ["M", "B"]], columns=["sex", "sex"])
    with pytest.raises(ValueError, match="'sex' must be one column"):
        Groups.from_table(table, by="sex")


def test_bins_that_would_be_named_alike_or_are_no_numbers_are_refused() -> None:
    for bins in ([0.3, 0.1 + 0.2], "fifty"):
        with pytest.raises(ValueError, match="bins of 'age'"):
            Groups.from_table({"age": [1.0]}, by="age", bins={"age": bins})  # type: ignore[dict-item]


def test_bins_for_an_attribute_that_was_not_asked_for_are_refused() -> None:
    with pytest.raises(ValueError, match="bins must be for attributes in by, got height"):
        Groups.from_table({"age": [1], "height": [2]}, by="age", bins={"height": [1.7]})


def test_a_measurement_without_bins_is_refused_with_a_way_out() -> None:
    with pytest.raises(ValueError, match=r"'height'.*bins"):
        Groups.from_table({"height": [1.62, 1.81, None, 1.75]}, by="height")


def test_a_measurement_without_bins_is_refused_when_subjects_have_several_cases() -> None:
    heights = [160.5 + step / 10 for step in range(30)]
    with pytest.raises(ValueError, match=r"'height'.*bins"):
        Groups.from_table({"height": heights + heights}, by="height")


AGES = list(range(30, 58))


@pytest.mark.parametrize("each", [1, 2])
@pytest.mark.parametrize("who", ["subject", "case", "row"])
def test_ages_of_few_subjects_each_are_refused_with_a_way_out(each: int, who: str) -> None:
    table = {"age": AGES * each, who: list(range(28 * each))}
    with pytest.raises(ValueError, match=r"28 numeric levels.*--bins age=43\.5.*text, such as age-30"):
        Groups.from_table(table, by="age")
    assert len(Groups.from_table(table, by="age", bins={"age": [50]})) == 2


def test_codes_pass_if_they_are_few_or_of_enough_subjects_or_text() -> None:
    assert len(Groups.from_table({"site": range(10)}, by="site")) == 10
    assert len(Groups.from_table({"site": [*range(11)] * 3}, by="site")) == 11
    assert len(Groups.from_table({"site": [f"s{site}" for site in range(28)]}, by="site")) == 28


def test_rows_without_a_subject_count_as_subjects_of_their_own() -> None:
    table = {"site": [*range(11)] * 3, "subject": [None] * 33}
    assert len(Groups.from_table(table, by="site")) == 11


def test_frames_and_labels_of_one_subject_do_not_make_an_age_a_group() -> None:
    # 28 subjects, each with 2 cases of 3 labels: 6 rows a level, but still one subject.
    ages = [age for age in AGES for _ in range(6)]
    table = {"age": ages, "case": [f"c{index // 3}" for index in range(168)], "subject": ages}
    with pytest.raises(ValueError, match="28 numeric levels"):
        Groups.from_table(table, by="age")


def test_an_intersection_may_have_small_cells() -> None:
    table = {"sex": ["F", "M"] * 11, "site": [index // 2 for index in range(22)], "row": range(22)}
    table["site"] = [f"s{site}" for site in table["site"]]
    assert len(Groups.from_table(table, by=("sex", "site"))) == 22


def test_a_measurement_without_bins_is_refused_when_it_is_text_as_read_cohort_gives_it() -> None:
    heights = [f"{160.5 + step / 10:.1f}" for step in range(30)]
    with pytest.raises(ValueError, match=r"'height'.*bins"):
        Groups.from_table({"height": heights}, by="height")


# --- counts, saving, errors -------------------------------------------------------------------------


def test_counts_leave_out_the_unknown_and_keep_groups_without_members() -> None:
    groups = Groups.from_table({"sex": ["F", "M", "X"]}, by="sex")
    counts = groups.counts([0, 2, 2, -1])
    assert counts.dtype == np.int64
    np.testing.assert_array_equal(counts, [1, 0, 2])
    np.testing.assert_array_equal(groups.counts([]), [0, 0, 0])
    np.testing.assert_array_equal(groups.counts(np.array([1, 1], dtype=np.uint8)), [0, 2, 0])
    np.testing.assert_array_equal(groups.counts([1.0, 1.0]), [0, 2, 0])
    assert groups.counts([*groups.names, None, groups.names[1]]).tolist() == [1, 2, 1]


@pytest.mark.parametrize("ids", [[3], [-2], [0.5, 1.0], [[0, 1]]], ids=repr)
def test_counts_refuses_what_is_no_id(ids: list[Any]) -> None:
    groups = Groups.from_table({"sex": ["F", "M", "X"]}, by="sex")
    with pytest.raises(ValueError, match="ids must"):
        groups.counts(ids)


def test_saved_groups_survive_json_with_bins_and_encode_alike() -> None:
    table = {"age": [41.5, 57, None, 70], "sex": ["F", "M", "F", "é"]}
    groups = Groups.from_table(table, by=("sex", "age"), bins={"age": [50, 65.5]})
    again = Groups.from_dict(json.loads(json.dumps(groups.to_dict())))
    assert again == groups
    assert again.names == groups.names
    np.testing.assert_array_equal(again.encode(table), groups.encode(table))


def test_an_attribute_that_is_not_in_the_table_is_named_beside_those_that_are() -> None:
    groups = Groups.from_table({"sex": ["F"]}, by="sex")
    with pytest.raises(ValueError, match=r"'gender' is not in the table.*sex, age"):
        Groups.from_table({"sex": ["F"], "age": [1]}, by="gender")
    with pytest.raises(ValueError, match=r"'sex' is not in the table.*gender"):
        groups.encode(pd.DataFrame({"gender": ["F"]}))


def test_columns_of_unequal_length_are_refused_with_their_lengths() -> None:
    table = {"sex": ["F", "M"], "site": ["A", "B", "C"]}
    with pytest.raises(ValueError, match=r"one length.*sex: 2.*site: 3"):
        Groups.from_table(table, by=("site", "sex"))
    groups = Groups.from_table({"sex": ["F"], "site": ["A"]}, by=("site", "sex"))
    with pytest.raises(ValueError, match=r"one length.*sex: 2.*site: 3"):
        groups.encode(table)


def test_an_attribute_without_any_value_is_named() -> None:
    with pytest.raises(ValueError, match="'sex' must have a value"):
        Groups.from_table({"sex": [None, ""], "site": ["A", "B"]}, by=("sex", "site"))
    with pytest.raises(ValueError, match="sex and site"):
        Groups.from_table({"sex": ["F", None], "site": [None, "B"]}, by=("sex", "site"))


def test_no_attribute_is_refused() -> None:
    with pytest.raises(ValueError, match="by must name at least one attribute"):
        Groups.from_table({"sex": ["F"]}, by=())


def test_an_unknown_name_or_id_is_refused_and_the_groups_are_listed() -> None:
    groups = Groups.from_table({"sex": ["F", "M"]}, by="sex")
    with pytest.raises(ValueError, match=r"F; M.*'f'"):
        groups.index("f")
    for group in (2, -2):
        with pytest.raises(ValueError, match=f"got {group}"):
            groups.name(group)


# --- properties -------------------------------------------------------------------------------------


@given(ROWS, st.data())
def test_permuting_rows_keeps_the_names_and_permutes_the_ids(
    rows: list[tuple[Any, Any]], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(rows))))
    permuted = columns([rows[index] for index in order])
    groups, again = (Groups.from_table(table, by=("site", "sex")) for table in (columns(rows), permuted))
    assert again == groups
    np.testing.assert_array_equal(again.encode(permuted), groups.encode(columns(rows))[list(order)])


@given(ROWS)
def test_names_and_ids_do_not_depend_on_the_order_of_by(rows: list[tuple[Any, Any]]) -> None:
    table = columns(rows)
    groups, again = Groups.from_table(table, by=("sex", "site")), Groups.from_table(table, by=("site", "sex"))
    assert groups.names == again.names
    np.testing.assert_array_equal(groups.encode(table), again.encode(table))


@given(ROWS)
def test_the_own_table_is_unknown_exactly_where_a_value_is_missing_and_counts_sum(
    rows: list[tuple[Any, Any]],
) -> None:
    groups = Groups.from_table(columns(rows), by=("sex", "site"))
    ids = groups.encode(columns(rows))
    missing = [not sex or not isinstance(site, str) for sex, site in rows]
    np.testing.assert_array_equal(ids == -1, missing)
    for (sex, site), number in zip(rows, ids, strict=True):
        assert number == -1 or groups.name(number) == f"sex={sex}, site={site}"
    counts = groups.counts(ids)
    assert counts.min() >= 1
    assert counts.sum() == len(rows) - sum(missing)


@given(st.lists(st.text(max_size=6), max_size=8).map(lambda levels: ["one", *levels]))
def test_any_text_survives_json_and_is_found_by_its_name(levels: list[str]) -> None:
    groups = Groups.from_table({"level": levels}, by="level")
    again = Groups.from_dict(json.loads(json.dumps(groups.to_dict())))
    assert again == groups
    assert [again.index(name) for name in again.names] == list(range(len(groups)))


def test_a_path_in_the_place_of_a_table_is_told_how_to_read_it() -> None:
    with pytest.raises(ValueError, match=r"from_table\(fairseg.read_cohort\('one.csv'\), by='sex'\)"):
        Groups.from_table("one.csv", by="sex")  # type: ignore[arg-type]


def test_bins_to_type_are_quoted_for_the_shell() -> None:
    ages = [20 + number for number in range(40)]
    with pytest.raises(ValueError, match=r"--bins 'Patient Age=39\.5'"):
        Groups.from_table({"Patient Age": ages}, by="Patient Age")
