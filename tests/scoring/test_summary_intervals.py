"""Intervals in the tables: those of the statistics, in every form, and none where they cannot be given."""

import numpy as np
import pandas as pd
import pytest

from fairseg import Groups
from fairseg.report import summarize
from fairseg.report.numbers import NONE
from fairseg.report.summary_table import footnote, summaries_to_csv, summary_table
from fairseg.report.tables import to_latex, to_markdown, to_terminal
from fairseg.scoring.summary import ALL, CORRECTED, EQUITY, GAP, GAP_OF_LARGE, P_VALUE, WORST, Summary
from fairseg.scoring.summary_intervals import with_intervals
from fairseg.statistics import bootstrap_interval, group_intervals, kruskal_wallis


def make_scores(
    sizes: dict[str, int], medians: dict[str, float], labels: tuple[str, ...] = ("LV", "RV")
) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        {
            "case": f"{group}{number}_{frame}",
            "subject": f"{group}{number}",
            "group": group,
            "label": label,
            "dice": float(np.clip(medians[group] + rng.normal(0, 0.02) - 0.02 * index, 0, 1)),
            "hd": float(rng.uniform(2, 9)),
        }
        for group, size in sizes.items()
        for number in range(size)
        for frame in ("ED", "ES")
        for index, label in enumerate(("LV", "RV"))
    ]
    return pd.DataFrame(rows)


def judged(sizes: dict[str, int], medians: dict[str, float], reference: str | None = None) -> list[Summary]:
    scores = make_scores(sizes, medians)
    groups = Groups.from_table(scores, by="group")
    return [with_intervals(one, resamples=500) for one in summarize(scores, groups, reference=reference)]


def test_limits_are_those_of_the_statistics() -> None:
    overall = judged({"A": 60, "B": 25}, {"A": 0.90, "B": 0.85}, "A")[0]
    assert overall.low is not None
    assert overall.high is not None
    dice, ids = overall.subjects["dice"].to_numpy(), overall.subjects["group"].to_numpy()
    options = {"method": "binomial", "resamples": 500}
    gap = bootstrap_interval(dice, ids, "fairness_gap", reference=0, **options)
    for row, column, expected in (
        (GAP, ALL, gap),
        (GAP, "B", gap),
        ("SER", ALL, bootstrap_interval(dice, ids, "skewed_error_ratio", **options)),
        (f"{WORST} DSC", ALL, bootstrap_interval(dice, ids, "worst_group", **options)),
        ("Median DSC", "B", group_intervals(dice, ids, method="binomial")[1]),
        ("IQR DSC", "A", group_intervals(dice, ids, "iqr", method="percentile", resamples=500)[0]),
        ("Median DSC", ALL, group_intervals(dice, np.zeros_like(ids), method="binomial")[0]),
    ):
        assert overall.table.loc[row, column] == pytest.approx(expected.estimate)
        result = overall.low.loc[row, column], overall.high.loc[row, column]
        assert result == pytest.approx((expected.low, expected.high)), row
    assert overall.table.index.tolist() == overall.low.index.tolist() == overall.high.index.tolist()


def test_tables_show_limits_in_every_form() -> None:
    summaries = judged({"A": 60, "B": 25}, {"A": 0.90, "B": 0.85}, "A")
    overall = summaries[0]
    cells = summary_table(overall).to_frame()
    low, high = (frame.loc[GAP, ALL] for frame in (overall.low, overall.high))  # type: ignore[union-attr]
    text = f"{overall.table.loc[GAP, ALL]:.3f}\n({low:.3f} to {high:.3f})"
    assert cells.loc[GAP].tolist() == [NONE, text, text]
    assert text.replace("\n", " ") in to_markdown(map(summary_table, summaries))
    assert text.replace("\n", " ") in to_latex(map(summary_table, summaries))
    assert f"({low:.3f} to {high:.3f})" in to_terminal(map(summary_table, summaries))
    csv = summaries_to_csv(summaries).splitlines()
    assert any(line.startswith("Overall,Fairness gap: low,") for line in csv)
    assert "In brackets: 95% intervals." in footnote(overall)


def test_several_groups_are_corrected_for_and_small_ones_left_out() -> None:
    overall = judged({"A": 60, "B": 25, "C": 30, "D": 3}, {"A": 0.9, "B": 0.85, "C": 0.9, "D": 0.5}, "A")[0]
    table = overall.table
    assert overall.low is not None
    assert overall.judged == (0, 1, 2)
    assert table.loc[GAP, ALL] > 0.3  # of all groups, as ever
    assert np.isnan(overall.low.loc[GAP, ALL])
    assert table.loc[GAP_OF_LARGE, ALL] == pytest.approx(table.loc[GAP, "B"])
    assert overall.low.loc[GAP_OF_LARGE, ALL] > 0
    assert np.isnan(table.loc[CORRECTED, "D"])
    assert np.isnan(table.loc[P_VALUE, "D"])
    assert table.loc[CORRECTED, "B"] >= table.loc[P_VALUE, "B"]
    dice, ids = overall.subjects["dice"].to_numpy(), overall.subjects["group"].to_numpy()
    assert table.loc[P_VALUE, ALL] == pytest.approx(kruskal_wallis(dice, np.where(ids == 3, -1, ids)))
    note = footnote(overall)
    assert "fewer than 10 subjects with a score: D (n=3)." in note
    assert "Kruskal-Wallis test of the groups that are judged" in note
    assert "hold for all groups together" in note
    # Without a reference no group has a column of its own for gaps.
    alone = judged({"A": 60, "B": 25, "C": 30}, {"A": 0.9, "B": 0.85, "C": 0.9})[0]
    assert CORRECTED not in alone.table.index
    assert GAP_OF_LARGE not in alone.table.index
    assert alone.table.loc[f"{EQUITY} DSC", ALL] < alone.table.loc["Median DSC", ALL]


def test_exactly_the_smallest_size_is_large_enough() -> None:
    sizes, medians = {"A": 60, "B": 10, "C": 9}, {"A": 0.9, "B": 0.85, "C": 0.9}
    overall = judged(sizes, medians, "A")[0]
    assert overall.judged == (0, 1)
    assert "fewer than 10 subjects with a score: C (n=9)." in footnote(overall)


def test_a_subject_in_two_groups_and_a_table_without_dice_have_no_intervals_of_gaps() -> None:
    scores = make_scores({"A": 20, "B": 20}, {"A": 0.9, "B": 0.8})
    scores["frame"] = scores["case"].str[-2:]
    shared = with_intervals(summarize(scores, Groups.from_table(scores, by="frame"))[0], resamples=500)
    assert shared.low is None
    plain = scores.drop(columns=["dice", "frame"])
    without = with_intervals(summarize(plain, Groups.from_table(plain, by="group"))[0], resamples=500)
    assert without.low is not None
    assert without.low.loc["Median HD (mm)"].notna().all()
    assert "to" in summary_table(without).to_frame().loc["Median HD (mm)"].iloc[0]


def test_a_group_that_is_too_small_has_no_p_and_can_be_the_worst() -> None:
    overall = judged({"A": 60, "B": 25, "C": 4}, {"A": 0.90, "B": 0.88, "C": 0.70}, "A")[0]
    assert overall.low is not None
    assert np.isfinite(overall.table.loc[P_VALUE, "B"])
    assert np.isnan(overall.table.loc[P_VALUE, "C"])
    assert overall.table.loc[f"{WORST} DSC", ALL] == overall.table.loc["Median DSC", "C"]
    assert np.isnan(overall.low.loc[f"{WORST} DSC", ALL])
    two = judged({"A": 60, "C": 4}, {"A": 0.90, "C": 0.70}, "A")[0]
    assert two.table.loc[P_VALUE].isna().all()


def test_small_groups_are_counted_by_their_scores() -> None:
    scores = make_scores({"A": 40, "B": 14}, {"A": 0.90, "B": 0.88})
    scores.loc[scores["subject"].isin([f"B{number}" for number in range(5)]), "dice"] = np.nan
    overall = with_intervals(summarize(scores, Groups.from_table(scores, by="group"))[0], resamples=500)
    assert overall.counts.tolist() == [40, 14]
    assert overall.scored.tolist() == [40, 9]
    assert overall.judged == (0,)


def test_the_test_under_all_is_named_as_it_was_made() -> None:
    three = judged({"A": 60, "B": 25, "C": 4}, {"A": 0.90, "B": 0.88, "C": 0.70})[0]
    assert "under All, Mann-Whitney U test of the groups that are judged" in footnote(three)
    none = judged({"A": 4, "B": 25, "C": 40}, {"A": 0.90, "B": 0.85, "C": 0.70}, "A")[0]
    assert none.table.loc[P_VALUE].isna().all()
