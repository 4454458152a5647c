"""Intervals and verdicts in the tables, the sentences that answer, and the table of every comparison."""

import numpy as np
import pandas as pd
import pytest

from fairseg import Groups
from fairseg.report import summarize, words
from fairseg.report.certainty import (
    DETECTABLE,
    Judging,
    with_evidence,
)
from fairseg.report.comparisons import comparisons_page_table, comparisons_table
from fairseg.report.numbers import NONE
from fairseg.report.summary import ALL, CORRECTED, EQUITY, GAP, GAP_OF_LARGE, P_VALUE, WORST, Summary
from fairseg.report.summary_table import footnote, summaries_to_csv, summary_table
from fairseg.report.tables import to_latex, to_markdown, to_terminal
from fairseg.statistics import Interval, bootstrap_interval, group_intervals, judge

QUICK = Judging(resamples=500)


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
            "dice": float(np.clip(medians[group] + rng.normal(0, 0.02) - 0.02 * place, 0, 1)),
            "hd": float(rng.uniform(2, 9)),
        }
        for group, size in sizes.items()
        for number in range(size)
        for frame in ("ED", "ES")
        for place, label in enumerate(("LV", "RV"))
    ]
    return pd.DataFrame(rows)


def judged(
    sizes: dict[str, int], medians: dict[str, float], reference: str | None = None, judging: Judging = QUICK
) -> list[Summary]:
    scores = make_scores(sizes, medians)
    groups = Groups.from_table(scores, by="group")
    return [with_evidence(summary, judging) for summary in summarize(scores, groups, reference=reference)]


def test_limits_are_those_of_the_statistics() -> None:
    overall, label, _ = judged({"A": 60, "B": 25}, {"A": 0.90, "B": 0.85}, "A")
    assert overall.low is not None
    assert overall.high is not None
    dice, ids = overall.subjects["dice"].to_numpy(), overall.subjects["group"].to_numpy()
    evidence = judge(dice, ids, 2, reference=0, resamples=500)
    assert overall.evidence == evidence
    for row, column, expected in (
        (GAP, ALL, evidence.gap),
        (GAP, "B", evidence.comparisons[0].gap),
        ("SER", ALL, evidence.ratio),
        (WORST, ALL, evidence.worst),
        ("Median DSC", "B", group_intervals(dice, ids, 2, method="binomial")[1]),
        ("IQR DSC", "A", group_intervals(dice, ids, 2, "iqr", method="percentile", resamples=500)[0]),
        ("Median DSC", ALL, group_intervals(dice, np.zeros_like(ids), 1, method="binomial")[0]),
    ):
        assert overall.table.loc[row, column] == pytest.approx(expected.estimate)
        found = overall.low.loc[row, column], overall.high.loc[row, column]
        assert found == pytest.approx((expected.low, expected.high))
    same = bootstrap_interval(dice, ids, 2, "fairness_gap", reference=0, method="binomial", resamples=500)
    assert evidence.gap == same
    assert overall.table.loc[DETECTABLE, "B"] == evidence.detectable
    assert overall.table.index.tolist() == overall.low.index.tolist() == overall.high.index.tolist()
    assert label.evidence is not None


def test_tables_show_limits_and_verdicts_in_every_form() -> None:
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


def test_several_groups_are_corrected_for_and_small_ones_not_judged() -> None:
    overall = judged({"A": 60, "B": 25, "C": 30, "D": 3}, {"A": 0.9, "B": 0.85, "C": 0.9, "D": 0.5}, "A")[0]
    table, evidence = overall.table, overall.evidence
    assert evidence is not None
    assert overall.low is not None
    assert table.loc[GAP, ALL] > 0.3  # of all groups, as ever
    assert np.isnan(overall.low.loc[GAP, ALL])
    assert table.loc[GAP_OF_LARGE, ALL] == pytest.approx(table.loc[GAP, "B"])
    assert overall.low.loc[GAP_OF_LARGE, ALL] > 0
    assert np.isnan(table.loc[CORRECTED, "D"])
    assert table.loc[CORRECTED, "B"] >= table.loc[P_VALUE, "B"]
    assert table.loc[P_VALUE, ALL] == evidence.p
    note = footnote(overall)
    assert "fewer than 10 subjects with a score: D (n=3)." in note
    assert "Kruskal-Wallis" in note
    assert "hold for all groups together" in note
    # Without a reference no group has a column of its own for gaps.
    alone = judged({"A": 60, "B": 25, "C": 30}, {"A": 0.9, "B": 0.85, "C": 0.9})[0]
    assert CORRECTED not in alone.table.index
    assert GAP_OF_LARGE not in alone.table.index
    assert alone.table.loc[EQUITY, ALL] < alone.table.loc["Median DSC", ALL]


def test_a_subject_in_two_groups_and_a_table_without_dice_have_no_verdicts() -> None:
    scores = make_scores({"A": 20, "B": 20}, {"A": 0.9, "B": 0.8})
    scores["frame"] = scores["case"].str[-2:]
    shared = with_evidence(summarize(scores, Groups.from_table(scores, by="frame"))[0], QUICK)
    assert shared.evidence is None
    assert shared.low is None
    assert words.answer(shared).startswith("No gap can be judged: 40 subjects with cases in several groups")
    plain = scores.drop(columns=["dice", "frame"])
    without = with_evidence(summarize(plain, Groups.from_table(plain, by="group"))[0], QUICK)
    assert without.evidence is None
    assert without.low is not None
    assert without.low.loc["Median HD (mm)"].notna().all()
    assert "Without Dice" in words.answer(without)
    assert "to" in summary_table(without).to_frame().loc["Median HD (mm)"].iloc[0]


def test_answers() -> None:
    sizes, equal = {"A": 60, "B": 40}, {"A": 0.9, "B": 0.9}
    shown = judged(sizes, {"A": 0.9, "B": 0.84}, "A")[0]
    medians = [shown.table.loc["Median DSC", name] for name in ("B", "A")]
    assert words.answer(shown) == (
        f"The model serves B worse than A: median DSC {medians[0]:.3f} against {medians[1]:.3f}."
    )
    other_way = judged(sizes, {"A": 0.84, "B": 0.9}, "A")[0]
    assert "serves A worse than B" in words.answer(other_way)
    unsure = judged(sizes, equal)[0]
    assert words.answer(unsure).startswith(
        "Not enough evidence for a gap between A and B, nor for its absence"
    )
    assert "--margin" in words.hint(unsure)
    none = judged(sizes, equal, judging=Judging(margin=0.05, resamples=500))[0]
    assert words.answer(none).startswith(
        "No relevant gap between A and B: the whole interval lies within 0.050"
    )
    assert words.hint(none) == ""
    small = judged({"A": 60, "B": 4}, equal)[0]
    assert words.answer(small) == (
        "No gap can be judged: fewer than two groups have 10 subjects or more (A 60, B 4). The limit is "
        "--min-size, to be set before the results are looked at."
    )
    lost = judged({"A": 4, "B": 30, "C": 30}, {"A": 0.9, "B": 0.8, "C": 0.9}, "A")[0]
    assert words.answer(lost).startswith(
        "No gap can be judged: the reference group has fewer than 10 subjects"
    )
    several = judged({"A": 60, "B": 40, "C": 40}, {"A": 0.9, "B": 0.8, "C": 0.9}, "A")
    assert words.answer(several[0]).endswith("1 of 2 comparisons shows a gap.")
    lines = words.lines(several)
    assert lines[1].startswith("  gap shown: A 0.")
    assert lines[2].startswith("  not enough evidence: A 0.")
    assert [line.split(":")[0] for line in lines[3:]] == ["  LV", "  RV"]
    assert words.between(Interval(0.05, 0.012, 0.0871), 0.9) == "90% interval 0.012 to 0.087"


def test_every_comparison_is_in_one_table() -> None:
    first = judged({"A": 60, "B": 25, "C": 30}, {"A": 0.90, "B": 0.85, "C": 0.9}, "A")
    second = judged({"X": 60, "Y": 5}, {"X": 0.90, "Y": 0.85})
    table = comparisons_table([first, second])
    assert len(table) == 3 * 2 + 0  # a pair with a group too small is none
    one = table[(table["structure"] == "Overall") & (table["second"] == "B")].iloc[0]
    evidence = first[0].evidence
    assert evidence is not None
    assert (one["gap"], one["gap_low"], one["gap_high"]) == evidence.comparisons[0].gap
    assert one["median_first"] - one["median_second"] == pytest.approx(one["gap"])
    assert one["cliffs_delta"] > 0.5
    assert (one["n_first"], one["n_second"]) == (60, 25)
    assert (table["q"] >= table["p"]).all()
    part = comparisons_page_table(table)
    assert len(part.rows) == 6
    assert part.rows[0].name == "Overall: A, B"
    assert part.cells[0][1].limits
    many = pd.concat([table] * 20, ignore_index=True)
    assert len(comparisons_page_table(many).rows) == 60
    assert comparisons_table([second]).empty
    assert comparisons_page_table(comparisons_table([second])).rows == ()


def test_a_group_that_is_not_judged_has_no_p_and_can_be_the_worst() -> None:
    overall = judged({"A": 60, "B": 25, "C": 4}, {"A": 0.90, "B": 0.88, "C": 0.70}, "A")[0]
    assert overall.low is not None
    assert np.isfinite(overall.table.loc[P_VALUE, "B"])
    assert np.isnan(overall.table.loc[P_VALUE, "C"])
    assert overall.table.loc[WORST, ALL] == overall.table.loc["Median DSC", "C"]
    assert np.isnan(overall.low.loc[WORST, ALL])
    two = judged({"A": 60, "C": 4}, {"A": 0.90, "C": 0.70}, "A")[0]
    assert two.table.loc[P_VALUE].isna().all()


def test_the_headline_is_of_the_pair_that_the_answer_speaks_of() -> None:
    # C lies farthest from A, but its twelve scores are spread too widely to show it.
    scores = make_scores({"A": 60, "B": 60, "C": 12}, {"A": 0.92, "B": 0.86, "C": 0.85})
    wide = scores["group"] == "C"
    scores.loc[wide, "dice"] = 0.84 + np.tile(np.linspace(-0.3, 0.16, 12).repeat(4), 1)
    groups = Groups.from_table(scores, by="group")
    overall = with_evidence(summarize(scores, groups)[0], QUICK)
    assert overall.evidence is not None
    farthest = max(overall.evidence.comparisons, key=lambda one: abs(one.gap.estimate))
    assert (farthest.first, farthest.second, farthest.verdict) == (0, 2, "not enough evidence")
    shown = words.farthest_shown(overall.evidence)
    assert shown is not None
    gap, what = words.headline(overall)
    assert words.answer(overall).startswith("The model serves B worse than A: ")
    assert gap == shown.gap.estimate
    assert what.startswith(f"gap in median DSC, A minus B, {words.between(shown.gap, 0.95)}; this cohort")


def test_small_groups_are_counted_by_their_scores() -> None:
    scores = make_scores({"A": 40, "B": 14}, {"A": 0.90, "B": 0.88})
    scores.loc[scores["subject"].isin([f"B{number}" for number in range(5)]), "dice"] = np.nan
    overall = with_evidence(summarize(scores, Groups.from_table(scores, by="group"))[0], QUICK)
    assert overall.counts.tolist() == [40, 14]
    assert overall.scored.tolist() == [40, 9]
    assert "(A 40, B 9). The limit is --min-size" in words.answer(overall)


def test_equal_scores_speak_of_no_detectable_gap() -> None:
    scores = make_scores({"A": 40, "B": 14}, {"A": 0.90, "B": 0.88}).assign(dice=0.9)
    overall = with_evidence(summarize(scores, Groups.from_table(scores, by="group"))[0], QUICK)
    assert words.answer(overall) == "Not enough evidence for a gap between A and B, nor for its absence."
    assert words.headline(overall) == (0.0, "gap in median DSC, 95% interval 0.000 to 0.000")


def test_a_gap_within_the_margin_is_not_the_verdict_of_another_pair() -> None:
    # A to B is shown and within the margin; A to C may be larger, and is not shown.
    rng = np.random.default_rng(1)
    sizes = {"A": 200, "B": 200, "C": 12}
    scores = make_scores(sizes, dict.fromkeys(sizes, 0.9)).query("label == 'LV' and case.str.endswith('ED')")
    spread = scores["group"].map({"A": 0.01, "B": 0.01, "C": 0.04})
    lower = scores["group"].map({"A": 0.0, "B": 0.01, "C": 0.0})
    scores = scores.assign(dice=0.9 - lower + spread * rng.standard_normal(len(scores)))
    groups = Groups.from_table(scores, by="group")
    overall = with_evidence(summarize(scores, groups, reference="A")[0], Judging(margin=0.02, resamples=500))
    assert overall.evidence is not None
    assert [one.verdict for one in overall.evidence.comparisons] == [
        "no relevant gap shown",
        "not enough evidence",
    ]
    assert overall.evidence.gap.low > 0
    assert overall.evidence.verdict == "not enough evidence"
    assert words.answer(overall).startswith("Not enough evidence for a gap between A, B, C, nor")


def test_what_could_be_shown_is_said_of_the_pairs_that_it_is_of() -> None:
    sizes = {"A": 150, "B": 150, "C": 12}
    overall = judged(sizes, dict.fromkeys(sizes, 0.9))[0]
    assert overall.evidence is not None
    small, *_, large = sorted(one.detectable for one in overall.evidence.comparisons)
    said = f"of {small:.3f} or more between A and B, but only of {large:.3f} or more between"
    assert said in words.answer(overall)
    assert large > 2 * small


def test_the_test_under_all_is_named_as_it_was_made() -> None:
    three = judged({"A": 60, "B": 25, "C": 4}, {"A": 0.90, "B": 0.88, "C": 0.70})[0]
    assert "under All, Mann-Whitney U test of the groups that are judged" in footnote(three)
    none = judged({"A": 4, "B": 25, "C": 40}, {"A": 0.90, "B": 0.85, "C": 0.70}, "A")[0]
    assert none.table.loc[P_VALUE].isna().all()


def test_a_group_too_small_to_judge_is_named_with_its_median() -> None:
    overall = judged({"A": 60, "B": 25, "C": 4}, {"A": 0.90, "B": 0.88, "C": 0.24})[0]
    median = overall.table.loc["Median DSC", "C"]
    assert words.not_judged(overall) == f"Not judged, too few subjects: C (n=4, median DSC {median:.3f})."
    assert words.not_judged(judged({"A": 60, "B": 25}, {"A": 0.90, "B": 0.88})[0]) == ""
