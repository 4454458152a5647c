"""Clinical measures and agreement: by hand, against SciPy, statsmodels and SimpleITK, and on real hearts."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats
from statsmodels.stats.oneway import anova_oneway

from fairseg import Groups, read_cohort
from fairseg.cli import options as cli_options
from fairseg.cli import types
from fairseg.clinical import ClinicalMeasures, agreement, bland_altman_points, clinical_measures
from fairseg.clinical import measures as clinical
from fairseg.io.images import itk_messages
from fairseg.scoring import evaluate, read_scores
from fairseg.scoring.table import scores_to_files

ACDC = Path(os.environ.get("FAIRSEG_ACDC", "../shared/data/Dataset027_ACDC"))
ROLES = {"lv": "LVBP", "myocardium": "LVM", "rv": "RVBP"}
NAN = float("nan")
Volumes = dict[str, tuple[float, float]]  # label -> predicted and true volume, ml

HEART: dict[str, Volumes] = {
    "p1_ED": {"LVBP": (160.0, 150.0), "LVM": (110.0, 100.0), "RVBP": (180.0, 160.0)},
    "p1_ES": {"LVBP": (80.0, 60.0), "LVM": (115.0, 105.0), "RVBP": (90.0, 64.0)},
}


def table(cases: dict[str, Volumes]) -> pd.DataFrame:
    """Return scores of cases that are named SUBJECT_FRAME."""
    rows = [
        {
            "case": case,
            "subject": case.split("_")[0],
            "frame": case.split("_")[1],
            "label": label,
            "dice": 0.9,
            "prediction_ml": predicted,
            "reference_ml": true,
        }
        for case, volumes in cases.items()
        for label, (predicted, true) in volumes.items()
    ]
    return pd.DataFrame(rows)


def values(measures: pd.DataFrame, subject: str) -> dict[str, tuple[float, float]]:
    rows = measures[measures["subject"] == subject]
    return {row.measure: (row.prediction, row.reference) for row in rows.itertuples()}


def made(differences: list[float], measure: str = "LVEF", unit: str = "%") -> pd.DataFrame:
    """Return measures of p0, p1 ... whose predictions are off by these."""
    reference = 50.0 + 3.0 * np.arange(len(differences))
    return pd.DataFrame(
        {
            "subject": [f"p{index}" for index in range(len(differences))],
            "measure": measure,
            "unit": unit,
            "prediction": reference + differences,
            "reference": reference,
        }
    )


# --- measures by hand


def test_all_measures_of_a_heart_worked_out_by_hand() -> None:
    result = clinical_measures(table(HEART), ROLES, phase="frame")
    measures = result.table
    assert list(measures.columns) == ["subject", "measure", "unit", "prediction", "reference"]
    found = [tuple(row) for row in measures.drop(columns="subject").itertuples(index=False)]
    assert found == [
        ("LVEDV", "ml", 160.0, 150.0),
        ("LVESV", "ml", 80.0, 60.0),
        ("LVSV", "ml", 80.0, 90.0),
        ("LVEF", "%", 50.0, pytest.approx(60.0)),
        ("LV mass", "g", pytest.approx(115.5), pytest.approx(105.0)),  # 110 ml x 1.05; 100 ml x 1.05
        ("RVEDV", "ml", 180.0, 160.0),
        ("RVESV", "ml", 90.0, 64.0),
        ("RVSV", "ml", 90.0, 96.0),
        ("RVEF", "%", 50.0, pytest.approx(60.0)),
    ]
    assert result.notes == []


@pytest.mark.parametrize(
    ("roles", "measures"),
    [
        ({"rv": "RVBP"}, ["RVEDV", "RVESV", "RVSV", "RVEF"]),
        ({"myocardium": "LVM"}, ["LV mass"]),
        ({"myocardium": "LVM", "lv": "LVBP"}, ["LVEDV", "LVESV", "LVSV", "LVEF", "LV mass"]),
        ({"lv": "RVBP"}, ["LVEDV", "LVESV", "LVSV", "LVEF"]),  # the mapping decides, not the label's name
    ],
)
def test_only_the_roles_that_are_given_have_measures(roles: dict[str, str], measures: list[str]) -> None:
    result = clinical_measures(table(HEART), roles, phase="frame").table
    assert list(result["measure"]) == measures
    if roles == {"lv": "RVBP"}:
        assert values(result, "p1")["LVEDV"] == (180.0, 160.0)


def test_phases_may_have_other_names_and_rows_any_order() -> None:
    renamed = table(HEART).replace({"frame": {"ED": "dia", "ES": "sys"}}).iloc[::-1]
    result = clinical_measures(renamed, ROLES, phase="frame", phases=("dia", "sys")).table
    expected = clinical_measures(table(HEART), ROLES, phase="frame").table
    pd.testing.assert_frame_equal(result, expected)


def test_labels_without_names_are_their_numbers() -> None:
    scores = table(HEART)
    scores["label"] = scores["label"].map({"LVBP": 3, "LVM": 2, "RVBP": 1})
    result = clinical_measures(scores, {"lv": "3"}, phase="frame").table
    assert values(result, "p1")["LVESV"] == (80.0, 60.0)


def test_without_a_phase_every_label_has_its_mean_volume() -> None:
    cases = {**HEART, "p2_ED": {"LVBP": (1.0, 2.0), "LVM": (3.0, 4.0), "RVBP": (5.0, 6.0)}}
    result = clinical_measures(table(cases), {}).table
    assert list(result["subject"]) == ["p1"] * 3 + ["p2"] * 3
    assert set(result["unit"]) == {"ml"}
    assert values(result, "p1") == {
        "LVBP volume": (120.0, 105.0),
        "LVM volume": (112.5, 102.5),
        "RVBP volume": (135.0, 112.0),
    }
    assert values(result, "p2")["RVBP volume"] == (5.0, 6.0)
    pd.testing.assert_frame_equal(result, clinical_measures(table(cases), ROLES).table)


# --- what is missing


def test_a_missing_phase_leaves_its_measures_missing_and_is_counted() -> None:
    cases = {**HEART, "p2_ES": HEART["p1_ES"], "p3_ED": HEART["p1_ED"]}
    result = clinical_measures(table(cases), ROLES, phase="frame")
    found = result.table
    late, early = values(found, "p2"), values(found, "p3")
    assert late["LVESV"] == (80.0, 60.0)
    assert early["LVEDV"] == (160.0, 150.0)
    assert early["LV mass"][1] == pytest.approx(105.0)
    for measure in ("LVEDV", "LVSV", "LVEF", "LV mass", "RVEDV", "RVSV", "RVEF"):
        assert np.isnan(late[measure]).all(), measure
    for measure in ("LVESV", "LVSV", "LVEF", "RVESV", "RVSV", "RVEF"):
        assert np.isnan(early[measure]).all(), measure
    assert result.notes == [
        "clinical measures: 1 subject without a case of frame ED, so without what needs it: p2",
        "clinical measures: 1 subject without a case of frame ES, so without what needs it: p3",
    ]


def test_cases_of_other_and_of_unknown_phases_are_left_out_and_named() -> None:
    cases = {**HEART, "p1_MID": HEART["p1_ED"], "p2_x": HEART["p1_ED"]}
    scores = table(cases)
    scores.loc[scores["frame"] == "x", "frame"] = None
    result = clinical_measures(scores, {"lv": "LVBP"}, phase="frame")
    found = result.table
    assert values(found, "p1")["LVEDV"] == (160.0, 150.0)
    assert np.isnan(list(values(found, "p2").values())).all()
    assert "2 cases of neither frame ED nor ES, left out: p1_MID, p2_x" in result.notes[0]


def test_an_empty_end_diastole_has_no_ejection_fraction() -> None:
    cases = {
        "p1_ED": {"LVBP": (0.0, 150.0)},
        "p1_ES": {"LVBP": (10.0, 60.0)},
        "p2_ED": {"LVBP": (100.0, 0.0)},
        "p2_ES": {"LVBP": (0.0, 0.0)},
    }
    result = clinical_measures(table(cases), {"lv": "LVBP"}, phase="frame")
    found = result.table
    assert values(found, "p1")["LVEF"] == (pytest.approx(NAN, nan_ok=True), pytest.approx(60.0))
    assert values(found, "p1")["LVSV"] == (-10.0, 90.0)
    assert values(found, "p2")["LVEF"] == (100.0, pytest.approx(NAN, nan_ok=True))
    assert result.notes == [
        "clinical measures: 2 predictions without LVBP, so of 0 ml: p1_ED, p2_ES",
        "clinical measures: 2 references without LVBP, so of 0 ml: p2_ED, p2_ES",
    ]


@pytest.mark.parametrize("how", ["no row", "no volume"])
@pytest.mark.parametrize("phase", ["frame", None])
def test_a_label_without_row_or_volume_is_missing_and_not_averaged_away(how: str, phase: str | None) -> None:
    scores = table({**HEART, "p2_ED": HEART["p1_ED"], "p2_ES": HEART["p1_ES"]})
    gone = (scores["case"] == "p2_ES") & (scores["label"] == "LVBP")
    if how == "no row":
        scores = scores[~gone]
    else:
        scores.loc[gone, ["prediction_ml", "reference_ml"]] = NAN
    result = clinical_measures(scores, ROLES, phase=phase)
    found = result.table
    lost = ("LVESV", "LVSV", "LVEF") if phase else ("LVBP volume",)
    for measure, pair in values(found, "p2").items():
        assert np.isnan(pair).all() == (measure in lost), measure
    assert not np.isnan(list(values(found, "p1").values())).any()
    assert result.notes == ["clinical measures: 1 case without a volume of LVBP: p2_ES"]


# --- what is refused


def test_a_skipped_case_has_no_measures() -> None:
    lost = pd.DataFrame({"case": ["p2_ED"], "subject": ["p2"], "frame": ["ED"], "skipped": ["no prediction"]})
    result = clinical_measures(pd.concat([table(HEART), lost]), ROLES, phase="frame")
    plain = clinical_measures(table(HEART), ROLES, phase="frame")
    pd.testing.assert_frame_equal(result.table, plain.table)
    assert result.notes == plain.notes


def test_two_cases_of_a_subject_in_one_phase_are_an_error_that_names_them() -> None:
    scores = table({**HEART, "p2_ED": HEART["p1_ED"], "p2_ED_again": HEART["p1_ED"]})
    with pytest.raises(
        ValueError, match=r"one case a phase, got p2_ED, p2_ED_again of subject p2 in frame ED"
    ):
        clinical_measures(scores, ROLES, phase="frame")
    assert len(clinical_measures(scores, ROLES).table) == 6  # which matters to phases only


@pytest.mark.parametrize(
    ("roles", "options", "said"),
    [
        ({"la": "LVBP"}, {"phase": "frame"}, "roles must be some of lv, myocardium, rv, got 'la'"),
        ({"lv": "LV"}, {"phase": "frame"}, "labels of the scores, LVBP, LVM, RVBP, got lv=LV"),
        ({"lv": "LV"}, {}, "got lv=LV"),
        ({"lv": "LVBP", "rv": "LVBP"}, {"phase": "frame"}, "different labels"),
        ({}, {"phase": "frame"}, "roles must name the label of at least one of lv, myocardium, rv"),
        (ROLES, {"phase": "time"}, "attribute of the scores, which have frame, got 'time'"),
        (ROLES, {"phase": "reference_ml"}, "attribute of the scores, which have frame"),
        (ROLES, {"phase": "frame", "phases": ("ED", "EN")}, "which has ED, ES, got 'EN'"),
        (ROLES, {"phase": "frame", "phases": ("ED", "ED")}, "two different levels"),
        (ROLES, {"phase": "frame", "phases": "ED"}, "two different levels"),
    ],
)
def test_bad_roles_and_phases_are_named(roles: dict[str, str], options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        clinical_measures(table(HEART), roles, **options)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda scores: scores.drop(columns="subject"), "column subject"),
        (lambda scores: scores.drop(columns="reference_ml"), "column reference_ml.*three axes"),
        (lambda scores: pd.concat([scores, scores.iloc[:1]]), "got p1_ED, LVBP again"),
        (lambda scores: scores.iloc[:0], "at least one row"),
        (lambda scores: scores.to_numpy(), "scores must be a table.*ndarray"),
        (lambda scores: scores.assign(label=None), "label of every row, got none in row 0"),
        (lambda scores: scores.assign(reference_ml="much"), "row 0, column reference_ml: .*got 'much'"),
    ],
)
def test_bad_scores_are_named(change: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        clinical_measures(change(table(HEART)), ROLES, phase="frame")


def test_the_callers_table_stays_as_it_was() -> None:
    scores = table(HEART)
    before = scores.copy(deep=True)
    clinical_measures(scores, ROLES, phase="frame")
    pd.testing.assert_frame_equal(scores, before)


# --- agreement: published and by hand

# Peak expiratory flow of 17 people by two meters, l/min (Bland & Altman 1986, table 1; first readings).
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]


def test_the_example_of_bland_and_altman() -> None:
    measures = pd.DataFrame(
        {"subject": range(17), "measure": "PEFR", "unit": "l/min", "prediction": WRIGHT, "reference": MINI}
    )
    row = agreement(measures, [0] * 17, 1).table.iloc[0]
    assert (row["measure"], row["unit"], row["group"], row["n"], row["missing"]) == (
        "PEFR",
        "l/min",
        0,
        17,
        0,
    )
    assert row["bias"] == pytest.approx(-2.1, abs=0.05)  # as printed
    assert row["sd"] == pytest.approx(38.8, abs=0.05)
    assert (row["bias_low"], row["bias_high"]) == (
        pytest.approx(-22.0, abs=0.1),
        pytest.approx(17.8, abs=0.1),
    )
    # They print -79.7 and 75.5, of 2 SD instead of 1.96.
    assert row["lower_limit"] == pytest.approx(-79.7 + 0.04 * 38.8, abs=0.1)
    assert row["upper_limit"] == pytest.approx(75.5 - 0.04 * 38.8, abs=0.1)
    # t 2.12, SD 38.765, sqrt(1/17 + 1.96^2 / 32) = 0.42294
    half = 2.1199 * 38.765 * 0.42294
    assert row["lower_limit_low"] == pytest.approx(row["lower_limit"] - half, abs=0.01)
    assert row["lower_limit_high"] == pytest.approx(row["lower_limit"] + half, abs=0.01)
    assert row["upper_limit_low"] == pytest.approx(row["upper_limit"] - half, abs=0.01)
    assert row["upper_limit_high"] == pytest.approx(row["upper_limit"] + half, abs=0.01)
    assert np.isnan(row["p_bias_differs"])


def test_two_groups_worked_out_by_hand() -> None:
    # Differences 1, 3 and -4, 0, 4 (prediction - reference): means 2 and 0, SD sqrt(2) and 4.
    result = agreement(made([1.0, 3.0, -4.0, 0.0, 4.0]), [0, 0, 1, 1, 1], 2).table
    assert list(result["n"]) == [2, 3]
    assert list(result["bias"]) == pytest.approx([2.0, 0.0])
    assert list(result["sd"]) == pytest.approx([2**0.5, 4.0])
    assert list(result["lower_limit"]) == pytest.approx([2.0 - 1.96 * 2**0.5, -7.84])
    assert list(result["upper_limit"]) == pytest.approx([2.0 + 1.96 * 2**0.5, 7.84])
    assert list(result["mean_absolute_error"]) == pytest.approx([2.0, 8 / 3])
    # t of 1 degree of freedom is 12.706, of 2 it is 4.3027.
    assert list(result["bias_high"]) == pytest.approx([2.0 + 12.7062, 4.30265 * 4.0 / 3**0.5], rel=1e-5)
    # Welch: t = 2 / sqrt(2/2 + 16/3), with the degrees of freedom of Satterthwaite.
    freedom = (1 + 16 / 3) ** 2 / (1 / 1 + (16 / 3) ** 2 / 2)
    expected = 2 * stats.t.sf(0.794719, freedom)
    assert list(result["p_bias_differs"]) == pytest.approx([expected] * 2, rel=1e-5)


def test_each_measure_has_a_row_for_each_group_and_groups_follow_the_subject() -> None:
    measures = pd.concat([made([1.0, 3.0, -4.0, 0.0]), made([5.0, 5.5, NAN, 7.0], "LVEDV", "ml")])
    result = agreement(measures, {"p0": 1, "p1": 1, "p2": 0, "p3": 0}, 3).table
    assert [tuple(row) for row in result.iloc[:, :5].itertuples(index=False)] == [
        ("LVEF", "%", 0, 2, 0),
        ("LVEF", "%", 1, 2, 0),
        ("LVEF", "%", 2, 0, 0),
        ("LVEDV", "ml", 0, 1, 1),
        ("LVEDV", "ml", 1, 2, 0),
        ("LVEDV", "ml", 2, 0, 0),
    ]
    pd.testing.assert_frame_equal(result, agreement(measures, [1, 1, 0, 0, 1, 1, 0, 0], 3).table)


def test_a_group_of_fewer_than_two_has_its_count_and_nothing_else() -> None:
    result = agreement(made([1.0, 3.0, 2.0, 9.0, 7.0]), [0, 0, 1, 3, 3], 4).table
    assert list(result["n"]) == [2, 1, 0, 2]
    numbers = result.drop(columns=["measure", "unit", "group", "n", "missing", "p_bias_differs"])
    assert numbers.shape == (4, 11)
    assert numbers.iloc[[1, 2]].isna().all(axis=None)
    assert numbers.iloc[[0, 3]].notna().all(axis=None)
    expected = stats.ttest_ind(
        [1.0, 3.0], [9.0, 7.0], equal_var=False
    ).pvalue  # of the two that can be tested
    assert list(result["p_bias_differs"]) == pytest.approx([expected] * 4)


def test_unknown_subjects_are_in_no_group_and_counted() -> None:
    result = agreement(made([1.0, 3.0, 100.0, -100.0]), [0, 0, -1, -1], 1)
    found = result.table
    assert found["bias"].item() == pytest.approx(2.0)
    assert result.notes == ["2 subjects of unknown group, left out: p2, p3"]
    assert agreement(made([1.0, 3.0]), [0, 0], 1).notes == []


@pytest.mark.parametrize(
    ("differences", "groups"),
    [
        ([2.0] * 4, [0, 0, 1, 1]),
        ([0.1] * 4 + [0.2] * 4, [0] * 4 + [1] * 4),
        ([2.0, 2.0, 1.0, 3.0, 4.0, 7.0], [0, 0, 1, 1, 2, 2]),
    ],
)
def test_without_spread_there_is_no_test(differences: list[float], groups: list[int]) -> None:
    result = agreement(made(differences), groups, max(groups) + 1).table
    assert result["p_bias_differs"].isna().all()
    assert result["sd"].iloc[0] == pytest.approx(0, abs=1e-12)  # 0.1 is not always 0.1 after 50.1 - 50
    assert result["bias"].notna().all()


# --- agreement: oracles and properties


@pytest.mark.parametrize("num_groups", [2, 3, 5])
def test_intervals_and_tests_are_those_of_scipy_and_statsmodels(num_groups: int) -> None:
    rng = np.random.default_rng(num_groups)
    groups = np.concatenate([np.arange(num_groups), np.arange(num_groups), rng.integers(0, num_groups, 60)])
    differences = rng.normal(groups * 0.7, 1.0 + groups)
    result = agreement(made(list(differences)), groups, num_groups).table.set_index("group")
    samples = [differences[groups == group] for group in range(num_groups)]
    for group, sample in enumerate(samples):
        interval = stats.ttest_1samp(sample, 0.0).confidence_interval(0.95)
        row = result.loc[group]
        assert (row["bias_low"], row["bias_high"]) == pytest.approx((interval.low, interval.high))
        assert row["sd"] == pytest.approx(stats.tstd(sample))
        error = np.sqrt(1 / sample.size + 1.96**2 / (2 * (sample.size - 1))) * stats.tstd(sample)
        middle = sample.mean() + 1.96 * stats.tstd(sample)
        expected = stats.t.interval(0.95, sample.size - 1, loc=middle, scale=error)
        assert (row["upper_limit_low"], row["upper_limit_high"]) == pytest.approx(expected)
    welch = anova_oneway(samples, use_var="unequal", welch_correction=True).pvalue
    assert result["p_bias_differs"].to_numpy() == pytest.approx(np.full(num_groups, welch))
    if num_groups == 2:
        assert welch == pytest.approx(stats.ttest_ind(*samples, equal_var=False).pvalue)


def test_the_interval_of_a_limit_holds_the_true_limit_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    groups = np.repeat(np.arange(2000), 40)
    result = agreement(made(list(rng.normal(1.0, 2.0, groups.size))), groups, 2000).table
    for name, true in (("bias", 1.0), ("lower_limit", 1.0 - 3.92), ("upper_limit", 1.0 + 3.92)):
        held = ((result[f"{name}_low"] < true) & (true < result[f"{name}_high"])).mean()
        assert held == pytest.approx(0.95, abs=0.015), name


DIFFERENCES = arrays.arrays(np.float64, st.integers(4, 20), elements=st.floats(-50, 50, width=32))


@settings(max_examples=50)
@given(DIFFERENCES, st.floats(-20, 20, width=32))
def test_a_shift_of_the_predictions_shifts_the_bias_and_the_limits_alone(
    differences: np.ndarray[Any, Any], shift: float
) -> None:
    groups = np.arange(differences.size) % 2
    measures = made(list(differences))
    before = agreement(measures, groups, 2).table
    after = agreement(measures.assign(prediction=measures["prediction"] + shift), groups, 2).table
    for name in before.columns[5:]:
        if name.startswith(("bias", "lower", "upper")):
            np.testing.assert_allclose(after[name], before[name] + shift, atol=1e-9, err_msg=name)
    np.testing.assert_allclose(after["sd"], before["sd"], atol=1e-9)
    np.testing.assert_array_equal(after["n"], before["n"])


@settings(max_examples=50)
@given(DIFFERENCES, st.permutations(range(3)))
def test_relabelling_groups_permutes_the_rows(differences: np.ndarray[Any, Any], order: list[int]) -> None:
    groups = np.arange(differences.size) % 3
    before = agreement(made(list(differences)), groups, 3).table
    after = (
        agreement(made(list(differences)), np.array(order)[groups], 3)
        .table.iloc[order]
        .reset_index(drop=True)
    )
    pd.testing.assert_frame_equal(after.drop(columns="group"), before.drop(columns="group"))


def test_names_go_in_and_come_out_and_the_measures_may_be_the_object() -> None:
    measures = made([1.0, 3.0, -4.0, 0.0, 9.0])
    names = ["F", "F", "M", "M", None]
    result = agreement(measures, names)
    ids = agreement(measures, [0, 0, 1, 1, -1], 2)
    assert result.table["group"].tolist() == ["F", "M"]
    pd.testing.assert_frame_equal(result.table.drop(columns="group"), ids.table.drop(columns="group"))
    assert result.notes == ids.notes
    by_subject = agreement(ClinicalMeasures(measures, []), dict(zip(measures["subject"], names, strict=True)))
    pd.testing.assert_frame_equal(by_subject.table, result.table)


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ({"p0": 0}, "a group for every subject.*none for p1, p2"),
        ([0, 1], r"one a row of measures, 3, got 2"),
        ([0.0, 1.5, 0.0], "integer ids"),
        ([0, 1, 2], "from -1 .* to 1, got 2"),
    ],
)
def test_groups_that_do_not_fit_are_named(groups: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        agreement(made([1.0, 2.0, 3.0]), groups, 2)


@pytest.mark.parametrize(
    ("measures", "said"),
    [
        (pd.concat([made([1.0, 2.0]), made([1.0])]), "got p0, LVEF again"),
        (
            made([1.0]).drop(columns="unit"),
            "measures must have the columns.*no unit: it has subject, measure",
        ),
        (made([1.0]).assign(reference="x"), "row 0, column reference: must be a number, got 'x'"),
        (made([]), "at least one row"),
        ([1.0], "measures must be a table"),
    ],
)
def test_measures_that_are_not_usable_are_named(measures: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        agreement(measures, [0, 0, 0], 2)
    with pytest.raises(ValueError, match=said):
        bland_altman_points(measures, "LVEF")


# --- points of the plot


def test_points_are_mean_and_difference_and_keep_the_index_of_their_rows() -> None:
    measures = pd.concat([made([9.0], "LVEDV", "ml"), made([2.0, NAN, -4.0])], ignore_index=True)
    points = bland_altman_points(measures, "LVEF")
    assert [tuple(row) for row in points.itertuples()] == [(1, "p0", 51.0, 2.0), (3, "p2", 54.0, -4.0)]
    assert list(np.array([7, 0, 1, 1])[points.index]) == [0, 1]  # as group ids of the rows would be looked up
    bias = agreement(measures, [0] * 4, 1).table.set_index("measure").loc["LVEF", "bias"]
    assert points["difference"].mean() == pytest.approx(bias)


def test_an_unknown_measure_is_named() -> None:
    with pytest.raises(ValueError, match="measure must be one of LVEF, got 'EF'"):
        bland_altman_points(made([1.0]), "EF")


# --- imports and options


def test_neither_scipy_stats_nor_statsmodels_is_imported_before_it_is_needed() -> None:
    code = "import sys, fairseg.metrics; print({'scipy.stats', 'statsmodels', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def convert(kind: click.ParamType, text: str) -> Any:
    return kind.convert(text, None, None)


def test_roles_and_phase_are_read_from_the_command_line() -> None:
    roles = convert(types.ROLE_LIST, "lv=LVBP, myocardium = LVM,rv=RV=BP")
    assert roles == {"lv": "LVBP", "myocardium": "LVM", "rv": "RV=BP"}
    assert convert(types.PHASE, "frame=ED,ES") == ("frame", ("ED", "ES"))
    assert convert(types.PHASE, " time point = end diastole , 10 ") == (
        "time point",
        ("end diastole", "10"),
    )
    assert clinical.ROLES == types.ROLES


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (types.ROLE_LIST, "LVBP", "'LVBP' is not like lv=LVBP,myocardium=LVM,rv=RVBP"),
        (types.ROLE_LIST, "lv=", "is not like"),
        (types.ROLE_LIST, "lv=LVBP,", "is not like"),
        (types.ROLE_LIST, "", "is not like"),
        (types.ROLE_LIST, "LV=LVBP", "'LV' must be one of lv, myocardium, rv"),
        (types.ROLE_LIST, "lv=a,lv=b", "repeats the role 'lv'"),
        (types.ROLE_LIST, "lv=a,rv=a", "gives the label 'a' to two roles"),
        (types.PHASE, "frame", "'frame' is not like frame=ED,ES"),
        (types.PHASE, "frame=ED", "is not like"),
        (types.PHASE, "frame=ED,", "is not like"),
        (types.PHASE, "frame=ED,ES,MID", "is not like"),
        (types.PHASE, "=ED,ES", "is not like"),
        (types.PHASE, "frame=ED,ED", "two different phases"),
    ],
)
def test_a_bad_option_says_what_it_should_be_like(kind: click.ParamType, text: str, said: str) -> None:
    with pytest.raises(click.BadParameter) as caught:
        convert(kind, text)
    assert said in caught.value.message


def test_the_options_stand_on_a_command() -> None:
    @click.command()
    @cli_options.clinical
    def command(roles: Any, phase: Any) -> tuple[Any, Any]:
        return roles, phase

    parsed = command.main(["--roles", "rv=R", "--phase", "t=1,2"], standalone_mode=False)
    assert parsed == ({"rv": "R"}, ("t", ("1", "2")))
    assert command.main([], standalone_mode=False) == (None, None)


# --- real hearts


@pytest.fixture(scope="module")
def acdc() -> pd.DataFrame:
    if not ACDC.is_dir():
        pytest.skip(f"FAIRSEG_ACDC: no real data in {ACDC}")
    cohort = read_cohort(ACDC / "groups.csv")
    return evaluate(ACDC / "predictions", ACDC / "labelsTr", cohort, metrics=("dice",))


def test_volumes_of_real_masks_are_those_of_simpleitk(acdc: pd.DataFrame) -> None:
    shapes = sitk.LabelShapeStatisticsImageFilter()
    for case in acdc["case"].unique()[::7]:
        rows = acdc[acdc["case"] == case].set_index("label")
        for kind, folder in (("prediction", "predictions"), ("reference", "labelsTr")):
            with itk_messages():
                mask = sitk.ReadImage(str(ACDC / folder / f"{case}.nii.gz"))
            shapes.Execute(sitk.Cast(mask, sitk.sitkUInt8))
            for name, value in {"RVBP": 1, "LVM": 2, "LVBP": 3}.items():
                expected = shapes.GetPhysicalSize(value) / 1000  # mm^3 to ml
                assert rows.loc[name, f"{kind}_ml"] == pytest.approx(expected, rel=1e-9)


def test_real_hearts_have_the_function_that_their_diagnosis_says(acdc: pd.DataFrame) -> None:
    measures = clinical_measures(acdc, ROLES, phase="frame").table
    assert len(measures) == 40 * 9
    assert measures[["prediction", "reference"]].notna().all(axis=None)
    pathology = acdc.drop_duplicates("subject").set_index("subject")["pathology"]
    true = measures.assign(pathology=measures["subject"].map(pathology)).pivot_table(
        index="pathology", columns="measure", values="reference", aggfunc=["mean", "min", "max"]
    )
    # As the challenge defines its classes: DCM has LVEF below 40% and a large LV, NOR is above 50%.
    assert true.loc["DCM", ("max", "LVEF")] < 40 < 50 < true.loc["NOR", ("min", "LVEF")]
    assert true.loc["DCM", ("mean", "LVEDV")] > 1.4 * true.loc["NOR", ("mean", "LVEDV")]
    assert true.loc["HCM", ("mean", "LV mass")] > 1.2 * true.loc["NOR", ("mean", "LV mass")]
    assert true.loc["RV", ("mean", "RVEDV")] > 1.2 * true.loc["NOR", ("mean", "RVEDV")]
    assert 80 < true.loc["NOR", ("mean", "LV mass")] < 130  # g, of healthy adults


def test_agreement_on_real_hearts_by_group(acdc: pd.DataFrame, tmp_path: Path) -> None:
    for name, text in scores_to_files(acdc).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    scores = read_scores(tmp_path / "scores.csv")
    measures = clinical_measures(scores, ROLES, phase="frame").table
    pd.testing.assert_frame_equal(measures, clinical_measures(acdc, ROLES, phase="frame").table)
    groups = Groups.from_table(scores, by="bmi_group")
    by_subject = dict(zip(scores["subject"], groups.encode(scores).tolist(), strict=True))
    result = agreement(measures, by_subject, len(groups)).table.set_index(["measure", "group"])
    assert result["n"].groupby("measure").sum().tolist() == [40] * 9
    assert (result["lower_limit"] < result["bias"]).all()
    assert (result["bias"].abs() <= result["mean_absolute_error"] + 1e-12).all()
    assert result["p_bias_differs"].between(0, 1).all()
    assert result.loc["LVEF", "mean_absolute_error"].max() < 15  # a small network, but not a useless one


def test_swapped_phases_are_noted() -> None:
    scores = table(HEART)
    assert not any("end-systole" in note for note in clinical_measures(scores, ROLES, phase="frame").notes)
    turned = clinical_measures(scores, ROLES, phase="frame", phases=("ES", "ED"))
    larger = "1 subject of 1 with a reference larger at end-systole"
    assert f"clinical measures: {larger}: are ES and ED of frame swapped? p1" in turned.notes
    negative = "1 of 1 subjects have a negative ejection fraction in the references"
    assert turned.doubt == f"{negative}: are ES and ED of frame swapped?"


def test_subjects_with_either_ventricle_are_counted_once() -> None:
    left = {
        name: {"LVBP": (20.0, 20.0 + 10 * name.endswith("ES"))} for name in ("a_ED", "a_ES", "b_ED", "b_ES")
    }
    right = {
        name: {"RVBP": (20.0, 20.0 + 10 * name.endswith("ES"))} for name in ("c_ED", "c_ES", "d_ED", "d_ES")
    }
    notes = clinical_measures(table({**left, **right}), {"lv": "LVBP", "rv": "RVBP"}, phase="frame").notes
    assert any(
        "4 subjects of 4 with a reference larger at end-systole: are ED and ES" in note for note in notes
    )
