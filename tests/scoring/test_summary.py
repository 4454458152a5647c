"""Summary tables against numbers worked out by hand from small score tables."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from fairseg import Groups
from fairseg.report import Summary, summarize

NAN = float("nan")
GAP, P = "Fairness gap", "p (Mann-Whitney U)"


def scores_of(rows: list[tuple[Any, ...]], *names: str) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(names))


def one_label(**groups: list[float]) -> pd.DataFrame:
    """Return scores of one label and one case a subject, from the Dice of each group's subjects."""
    rows = [(f"{sex}{index}", sex, value) for sex, dice in groups.items() for index, value in enumerate(dice)]
    table = scores_of(rows, "case", "sex", "dice")
    return table.assign(subject=table["case"], label="LV")


def summary_of(scores: pd.DataFrame, reference: str | None = None, by: str = "sex") -> list[Summary]:
    return summarize(scores, Groups.from_table(scores, by=by), reference=reference)


def row(summary: Summary, measure: str) -> list[float]:
    return summary.table.loc[measure].tolist()


def assert_row(summary: Summary, measure: str, expected: list[float]) -> None:
    np.testing.assert_allclose(row(summary, measure), expected, rtol=1e-12, atol=1e-12, err_msg=measure)


@pytest.fixture
def scores() -> pd.DataFrame:
    # Voxels: 9 where a mask has the label, 0 where it has not.
    return scores_of(
        [
            ("s1_ED", "s1", "F", "LV", 0.8, 2.0, 9, 9),
            ("s1_ED", "s1", "F", "RV", 0.6, 4.0, 9, 9),
            ("s1_ES", "s1", "F", "LV", 0.9, 6.0, 9, 9),
            ("s1_ES", "s1", "F", "RV", 0.7, 8.0, 9, 9),
            ("s2_ED", "s2", "F", "LV", 1.0, 1.0, 9, 9),
            ("s2_ED", "s2", "F", "RV", 0.7, 3.0, 9, 9),
            ("s3_ED", "s3", "M", "LV", 0.5, 10.0, 9, 9),
            ("s3_ED", "s3", "M", "RV", 0.5, 10.0, 9, 9),
            ("s3_ES", "s3", "M", "LV", 0.7, 4.0, 9, 9),
            ("s3_ES", "s3", "M", "RV", NAN, NAN, 0, 0),  # in neither mask
            ("s4_ED", "s4", "M", "LV", 0.4, 12.0, 9, 9),
            ("s4_ED", "s4", "M", "RV", 0.0, NAN, 0, 9),  # missed
            ("s5_ED", "s5", None, "LV", 0.99, 50.0, 9, 9),
            ("s5_ED", "s5", None, "RV", 0.99, 50.0, 9, 9),
            ("s6_ED", "s6", "M", "LV", 0.9, 1.0, 9, 9),
            ("s6_ED", "s6", "M", "RV", 0.9, 1.0, 9, 9),
        ],
        *("case", "subject", "sex", "label", "dice", "hd", "prediction_voxels", "reference_voxels"),
    )


def test_overall_is_the_mean_over_labels_then_cases_then_the_median_over_subjects(
    scores: pd.DataFrame,
) -> None:
    overall = summary_of(scores)[0]
    # Dice, F: s1 = mean(mean(.8, .6), mean(.9, .7)) = .75, s2 = .85
    # Dice, M: s3 = mean(mean(.5, .5), .7) = .6, s4 = .2, s6 = .9
    # HD, F: s1 = mean(3, 7) = 5, s2 = 2.  M: s3 = mean(10, 4) = 7, s4 undefined, s6 = 1
    assert list(overall.table.columns) == ["F", "M", "All"]
    assert_row(overall, "Median DSC", [0.8, 0.6, 0.75])
    assert_row(overall, "IQR DSC", [0.825 - 0.775, 0.75 - 0.4, 0.85 - 0.6])
    assert_row(overall, "Median HD (mm)", [3.5, 4.0, 3.5])
    assert_row(overall, "IQR HD (mm)", [4.25 - 2.75, 5.5 - 2.5, 5.5 - 1.75])
    assert_row(overall, "SER", [NAN, NAN, 0.4 / 0.2])
    assert_row(overall, GAP, [NAN, NAN, 0.2])
    # F wins 4 of 6 pairs; of the 10 ways to choose F, 4 win as many and 4 lose as many.
    assert_row(overall, P, [NAN, NAN, 0.8])
    assert overall.counts.tolist() == [2, 3]


def test_each_label_is_the_mean_over_cases_then_the_median_over_subjects(scores: pd.DataFrame) -> None:
    summaries = summary_of(scores)
    assert [summary.structure for summary in summaries] == ["Overall", "LV", "RV"]
    _, left, right = summaries
    # LV, F: .85, 1; M: .6, .4, .9.  RV, F: .65, .7; M: .5 (its only case with RV), 0 (missed), .9
    assert_row(left, "Median DSC", [0.925, 0.6, 0.85])
    assert_row(right, "Median DSC", [0.675, 0.5, 0.65])
    # LV, F: 4, 1; M: 7, 12, 1.  RV, F: 6, 3; M: 10, undefined, 1
    assert_row(left, "Median HD (mm)", [2.5, 7.0, 4.0])
    assert_row(right, "Median HD (mm)", [4.5, 5.5, 4.5])
    assert_row(right, "SER", [NAN, NAN, 0.5 / 0.325])
    assert_row(left, "Subjects without HD", [0, 0, 0])
    assert_row(right, "Subjects without HD", [0, 1, 1])


def test_what_was_left_out_is_counted_by_group(scores: pd.DataFrame) -> None:
    overall, left, right = summary_of(scores)
    for summary, missed, neither in ((overall, 1, 1), (left, 0, 0), (right, 1, 1)):
        assert_row(summary, "Subjects without DSC", [0, 0, 0])
        assert_row(summary, "Structures missed (prediction empty)", [0, missed, missed])
        assert_row(summary, "Structures invented (reference empty)", [0, 0, 0])
        assert_row(summary, "Structures in neither mask", [0, neither, neither])
        assert row(summary, "Subjects of unknown group")[-1] == 1
    assert_row(overall, "Subjects without HD", [0, 1, 1])


def test_groups_that_are_an_attribute_only_are_refused_with_what_to_write(scores: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"groups must be Groups, such as .*from_table\(scores, by='sex'\)"):
        summarize(scores, "sex")
    with pytest.raises(ValueError, match=r"groups must be Groups, as from .* got list"):
        summarize(scores, ["sex"])
    with pytest.raises(ValueError, match=r"^scores.csv cannot be read"):
        summarize("scores.csv", Groups.from_table(scores, by="sex"))


def test_the_order_of_rows_changes_nothing(scores: pd.DataFrame) -> None:
    expected = {summary.structure: summary.table for summary in summary_of(scores)}
    for summary in summary_of(scores.iloc[::-1]):
        pd.testing.assert_frame_equal(summary.table, expected[summary.structure])


def test_the_values_that_are_summed_up_are_kept_by_subject(scores: pd.DataFrame) -> None:
    kept = summary_of(scores)[0].subjects.set_index("subject")
    np.testing.assert_allclose(kept.loc[["s1", "s3", "s5"], "dice"], [0.75, 0.6, 0.99])
    assert kept.loc[["s1", "s3", "s5"], "group"].tolist() == [0, 1, -1]
    assert np.isnan(kept.loc["s4", "hd"])


# --- misses -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("predicted", "true", "title"), [(0, 9, "Structures missed"), (9, 0, "Structures invented")]
)
def test_a_structure_that_one_mask_lacks_leaves_the_subject_without_overall_distance(
    predicted: int, true: int, title: str
) -> None:
    names = ("case", "subject", "sex", "label", "dice", "hd95", "prediction_voxels", "reference_voxels")
    rows = [
        ("a_ED", "a", "F", "LV", 0.5, 3.0, 9, 9),
        ("a_ED", "a", "F", "RV", 0.0, NAN, predicted, true),
        ("a_ES", "a", "F", "LV", 0.5, 3.0, 9, 9),
        ("b_ED", "b", "F", "LV", 0.5, 5.0, 9, 9),
        ("c_ED", "c", "M", "LV", 0.5, 7.0, 9, 9),
    ]
    overall = summary_of(scores_of(rows, *names))[0]
    assert_row(overall, "Median HD95 (mm)", [5.0, 7.0, 6.0])
    assert_row(overall, "Median DSC", [0.4375, 0.5, 0.5])  # a: mean(mean(.5, 0), .5) = .375
    (counted,) = [name for name in overall.table.index if name.startswith(title)]
    assert_row(overall, counted, [1, 0, 1])
    (without,) = [name for name in overall.table.index if name.startswith("Subjects without HD")]
    assert_row(overall, without, [1, 0, 1])


def test_a_miss_that_was_given_a_distance_counts_with_it() -> None:
    names = ("case", "subject", "sex", "label", "dice", "hd", "prediction_voxels", "reference_voxels")
    rows = [
        ("a", "a", "F", "LV", 0.5, 3.0, 9, 9),
        ("a", "a", "F", "RV", 0.0, 101.0, 0, 9),
        ("b", "b", "M", "LV", 0.5, 7.0, 9, 9),
    ]
    overall = summary_of(scores_of(rows, *names))[0]
    assert_row(overall, "Median HD (mm)", [52.0, 7.0, 29.5])
    assert_row(overall, "Structures missed (prediction empty)", [1, 0, 1])


def test_a_miss_in_a_table_without_voxel_counts_is_not_rewarded_either() -> None:
    # Dice 0 and no distance: one mask was empty, or there would be a distance.
    rows = [
        ("a", "a", "F", "LV", 0.5, 3.0),
        ("a", "a", "F", "RV", 0.0, NAN),
        ("b", "b", "F", "LV", 0.5, 5.0),
        ("c", "c", "M", "LV", 0.5, 7.0),
    ]
    overall = summary_of(scores_of(rows, "case", "subject", "sex", "label", "dice", "hd"))[0]
    assert_row(overall, "Median HD (mm)", [5.0, 7.0, 6.0])
    assert_row(overall, "Subjects without HD", [1, 0, 1])


def test_a_subject_without_any_score_is_counted_and_has_no_part_in_the_median() -> None:
    overall = summary_of(one_label(F=[0.5, NAN, 0.75], M=[0.25, 0.5]))[0]
    assert_row(overall, "Median DSC", [0.625, 0.375, 0.5])
    assert_row(overall, "Subjects without DSC", [1, 0, 1])


def test_a_group_that_lacks_every_score_is_nan_and_does_not_hide_the_others() -> None:
    overall = summary_of(one_label(F=[NAN, NAN], M=[0.25, 0.5], X=[0.5, 0.5]), reference="F")[0]
    assert_row(overall, "Median DSC", [NAN, 0.375, 0.5, 0.5])
    assert_row(overall, GAP, [NAN, NAN, NAN, NAN])
    assert_row(overall, "SER", [NAN, NAN, NAN, 0.625 / 0.5])


# --- reference, p, number of groups -----------------------------------------------------------------


def test_two_groups_with_a_reference_have_a_signed_gap() -> None:
    scores = one_label(F=[0.75, 0.875], M=[0.25, 0.5])
    worse = summary_of(scores, "F")[0]
    assert_row(worse, GAP, [NAN, 0.4375, 0.4375])
    assert_row(worse, P, [NAN, 2 / 6, 2 / 6])  # the most extreme two of the six ways to choose F
    assert worse.reference == 0
    better = summary_of(scores, "M")[0]
    assert_row(better, GAP, [-0.4375, NAN, -0.4375])
    assert_row(better, P, [2 / 6, NAN, 2 / 6])


def test_three_groups_without_reference_have_a_gap_and_no_p() -> None:
    overall = summary_of(one_label(A=[0.75, 0.75], B=[0.25, 0.25], C=[0.5, 0.5]))[0]
    assert_row(overall, GAP, [NAN, NAN, NAN, 0.5])
    assert_row(overall, "SER", [NAN, NAN, NAN, 0.75 / 0.25])
    assert_row(overall, P, [NAN] * 4)


def test_three_groups_with_a_reference_are_each_compared_with_it() -> None:
    scores = one_label(A=[0.6, 0.7], B=[0.1, 0.2, 0.3], C=[0.65, 0.8])
    overall = summary_of(scores, "A")[0]
    # Medians .65, .2, .725. A against B: extreme, 2 of 10 ways; against C: wins 1 of 4, 4 of 6 ways.
    assert_row(overall, GAP, [NAN, 0.45, -0.075, 0.45])
    assert_row(overall, P, [NAN, 0.2, 4 / 6, NAN])
    assert_row(summary_of(scores, "B")[0], GAP, [-0.45, NAN, -0.525, -0.525])


def test_a_subject_in_two_groups_leaves_no_p_because_the_samples_are_not_independent() -> None:
    scores = one_label(ED=[0.75, 0.875], ES=[0.25, 0.5])
    paired = scores.assign(subject=["s1", "s2", "s1", "s2"])
    assert_row(summary_of(scores)[0], P, [NAN, NAN, 2 / 6])
    for reference in (None, "ED"):
        overall = summary_of(paired, reference)[0]
        assert_row(overall, P, [NAN, NAN, NAN])
        assert_row(overall, "Median DSC", [0.8125, 0.375, 0.625])
        assert row(overall, GAP)[-1] == 0.4375


def test_a_subject_partly_of_unknown_group_does_not_cost_the_p() -> None:
    scores = one_label(F=[0.75, 0.875], M=[0.25, 0.5])
    extra = scores.iloc[:1].assign(case="again", sex=None, dice=0.1)
    overall = summary_of(pd.concat([scores, extra], ignore_index=True))[0]
    assert_row(overall, P, [NAN, NAN, 2 / 6])
    assert_row(overall, "Median DSC", [0.8125, 0.375, 0.625])
    assert row(overall, "Subjects of unknown group")[-1] == 1


def test_a_group_of_one_has_a_median_but_no_spread_and_no_p() -> None:
    overall = summary_of(one_label(F=[0.75], M=[0.25, 0.5]), "F")[0]
    assert_row(overall, "Median DSC", [0.75, 0.375, 0.5])
    assert_row(overall, "IQR DSC", [NAN, 0.125, 0.25])
    assert_row(overall, GAP, [NAN, 0.375, 0.375])
    assert_row(overall, P, [NAN, NAN, NAN])


def test_an_intersection_is_summarised_by_cell() -> None:
    scores = one_label(F=[0.75, 0.5], M=[0.25, 1.0]).assign(site=["A", "B", "A", "B"])
    groups = Groups.from_table(scores, by=("site", "sex"))
    overall = summarize(scores, groups, reference="site=B, sex=M")[0]
    assert overall.reference == 2 + 1
    assert list(overall.table.columns[:2]) == ["sex=F, site=A", "sex=F, site=B"]
    assert_row(overall, GAP, [0.25, 0.5, 0.75, NAN, 0.75])


def test_a_table_without_dice_has_its_medians_and_no_fairness_rows() -> None:
    scores = one_label(F=[1.0, 3.0], M=[5.0, 7.0]).rename(columns={"dice": "assd"})
    overall = summary_of(scores)[0]
    assert_row(overall, "Median ASSD (mm)", [2.0, 6.0, 4.0])
    assert not {"SER", GAP, P} & set(overall.table.index)


@pytest.mark.parametrize(
    ("sex", "reference", "said"),
    [
        (["F", "M", None], "X", r"reference: group must be one of F; M, got 'X'"),
        (["F", "F", None], None, r"by sex: at least two groups .* got only F"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_name(
    sex: list[str | None], reference: str | None, said: str
) -> None:
    scores = one_label(F=[0.5, 0.6, 0.7]).assign(sex=sex)
    with pytest.raises(ValueError, match=said):
        summary_of(scores, reference)


def test_groups_that_no_case_has_are_refused_by_name() -> None:
    groups = Groups.from_table({"sex": ["F", "M", "X"]}, by="sex")
    with pytest.raises(ValueError, match="by sex: no case has a known group"):
        summarize(one_label(F=[0.5]).assign(sex=None), groups)
    with pytest.raises(ValueError, match="reference: group 'X' has no scored case"):
        summarize(one_label(F=[0.5], M=[0.6]), groups, reference="X")
