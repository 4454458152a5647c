"""Who is fairer, and who paid for it: changes that are known to the digit, and what is said of them."""

from collections.abc import Mapping

import numpy as np
import pytest

from fairseg.report.compare.answer import answer
from fairseg.report.compare.evidence import ModelChange, compare_with_baseline, judge_models, obstacle
from fairseg.report.compare.sentences import group_sentences, levelling_sentence, verdict_sentence
from fairseg.statistics import compare_fairness, holm, judge
from tests.report.models import ids, values

BEFORE = {"White": 0.92, "Black": 0.87}
DOWN = {"White": 0.895, "Black": 0.876}  # narrowing 0.031, of which White's loss is 0.025
UP = {"White": 0.92, "Black": 0.90}
WORSE = {"White": 0.92, "Black": 0.84}
NAMES = ("White", "Black")


def compared(models: Mapping[str, Mapping[str, float]], number: int = 20) -> dict[str, ModelChange]:
    """Compare models, of which the first is the baseline, with White as the reference."""
    tables = {model: values(medians, number) for model, medians in models.items()}
    first = next(iter(models))
    groups = ids(models[first], number)
    return compare_with_baseline(tables, groups, len(models[first]), baseline=first, reference=0)


def told(models: Mapping[str, Mapping[str, float]]) -> str:
    changes = compared(models)
    groups = ids(BEFORE)
    tables = {model: values(medians) for model, medians in models.items()}
    evidence = judge_models(tables, groups, 2, reference=0)
    return answer(changes, evidence, NAMES, next(iter(models)), "").text


def test_levelling_down_is_named_with_the_interval_of_the_loss() -> None:
    change = compared({"A": BEFORE, "B": DOWN})["B"]
    assert (change.verdict, change.levels_down) == ("fairer", "shown")
    assert verdict_sentence("B", "A", change) == (
        "B is fairer than A: its gap is 0.031 smaller (95% interval 0.031 to 0.031)."
    )
    assert levelling_sentence(change, NAMES) == (
        "Levelling down: of the narrowing of 0.031, 0.025 (81%) is a loss of the better-served group White "
        "(0.920 to 0.895; 95% interval of the loss 0.025 to 0.025), only 0.006 a gain of Black."
    )
    assert group_sentences(change, NAMES, without=0) == [
        "Gained: Black +0.006 (0.870 to 0.876; interval 0.006 to 0.006)."
    ]


def test_a_loss_that_is_not_shown_may_be_levelling_down() -> None:
    first = values(BEFORE, 40)
    groups = ids(BEFORE, 40)
    rng = np.random.default_rng(1)
    second = first + np.where(groups == 0, rng.normal(-0.006, 0.03, 80), 0.002)
    change = compare_with_baseline({"A": first, "B": second}, groups, 2, baseline="A", reference=0)["B"]
    assert change.found.changes[0].high > 0 > change.found.changes[0].estimate
    assert change.levels_down == "perhaps"
    said = levelling_sentence(change, NAMES)
    assert said.startswith("This may be levelling down: of the narrowing of ")
    assert ", which includes 0)" in said


def test_without_a_narrowing_that_is_shown_a_loss_is_told_as_such() -> None:
    first = values(BEFORE, 15)
    groups = ids(BEFORE, 15)
    noise = np.where(groups == 0, 0.0, np.random.default_rng(0).normal(0, 0.06, 30))
    second = first + np.where(groups == 0, -0.02, 0.0) + noise
    change = compare_with_baseline({"A": first, "B": second}, groups, 2, baseline="A", reference=0)["B"]
    assert change.verdict == "not shown"
    assert change.found.lost == [0]
    assert change.levels_down == ""
    assert "White lost 0.020 (0.920 to 0.900)" in answer({"B": change}, {}, NAMES, "A", "").text


def test_levelling_down_is_named_in_either_order_of_the_models() -> None:
    change = compared({"A": DOWN, "B": BEFORE})["B"]
    assert (change.verdict, change.levels_down, change.turned().levels_down) == ("less fair", "", "shown")
    assert levelling_sentence(change.turned(), NAMES, "Next to B, A") == (
        "Next to B, A is levelling down: of the narrowing of 0.031, 0.025 (81%) is a loss of the better-"
        "served group White (0.920 to 0.895; 95% interval of the loss 0.025 to 0.025), only 0.006 a gain "
        "of Black."
    )
    assert told({"A": DOWN, "B": BEFORE}).startswith(
        "Next to B, A has the smaller gap, but by levelling down: White lost 0.025 (0.920 to 0.895). "
        "The gap goes from 0.050 to 0.019 with A."
    )
    up = compared({"A": UP, "B": BEFORE})["B"]  # A's gap is smaller because Black gained
    assert (up.verdict, up.turned().levels_down) == ("less fair", "")


def test_turning_twice_changes_nothing() -> None:
    change = compared({"A": BEFORE, "B": DOWN})["B"]
    assert change.turned().found.gaps == change.found.gaps[::-1]
    assert change.turned().turned().found == change.found
    turned, other = change.turned().found, compared({"A": DOWN, "B": BEFORE})["B"].found
    assert turned.narrowing == pytest.approx(other.narrowing, abs=1e-12)
    assert (turned.best, turned.worst, turned.pair) == (other.best, other.worst, other.pair)


def test_rounding_is_no_difference() -> None:
    first = values(BEFORE)
    second = first + np.where(ids(BEFORE) == 0, -4e-16, 4e-16)
    change = compare_with_baseline({"A": first, "B": second}, ids(BEFORE), 2, baseline="A", reference=0)["B"]
    assert change.verdict == "not shown"
    assert change.found.lost == change.found.gained == []
    assert change.levels_down == ""


@pytest.mark.parametrize("shift", [0.0, 0.02, -0.02])
def test_a_change_of_all_groups_alike_is_no_levelling_down(shift: float) -> None:
    groups, said = np.repeat([0, 1], [60, 30]), 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        subject = rng.normal(0.9, 0.02, 90) - 0.03 * groups
        models = {name: subject + rng.normal(more, 0.01, 90) for name, more in (("A", 0.0), ("B", shift))}
        change = compare_with_baseline(models, groups, 2, baseline="A", reference=0)["B"]
        said += change.levels_down != "" or change.turned().levels_down != ""
    assert said <= 6  # 3 expected at most


def test_a_group_that_lost_most_is_named_though_it_is_not_judged() -> None:
    sizes = {"White": 30, "Black": 30, "Asian": 4}
    before = values({"White": 0.92, "Black": 0.87, "Asian": 0.90}, sizes)
    after = values({"White": 0.91, "Black": 0.89, "Asian": 0.80}, sizes)
    models, groups = {"A": before, "B": after}, ids({"White": 0, "Black": 0, "Asian": 0}, sizes)
    changes = compare_with_baseline(models, groups, 3, baseline="A", reference=0)
    said = answer(changes, judge_models(models, groups, 3, reference=0), (*NAMES, "Asian"), "A", "").text
    assert said.endswith("By its median Asian lost 0.100 (0.900 to 0.800) most, too few to judge.")


def test_an_unjudged_loss_is_named_where_nothing_else_is_shown() -> None:
    sizes = {"White": 30, "Black": 30, "Asian": 4}
    before = values({"White": 0.92, "Black": 0.87, "Asian": 0.90}, sizes)
    after = values({"White": 0.92, "Black": 0.87, "Asian": 0.60}, sizes)
    models, groups = {"A": before, "B": after}, ids({"White": 0, "Black": 0, "Asian": 0}, sizes)
    changes = compare_with_baseline(models, groups, 3, baseline="A", reference=0)
    assert np.isnan(changes["B"].found.changes[2].low)
    said = answer(changes, judge_models(models, groups, 3, reference=0), (*NAMES, "Asian"), "A", "").text
    assert "The gap of the groups judged goes from 0.050 to 0.050." in said
    assert said.endswith("By its median Asian lost 0.300 (0.900 to 0.600) most, too few to judge.")


def test_changes_hold_for_all_judged_groups_together() -> None:
    groups, held = np.repeat([0, 1, 2, 3], 25), 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        first = rng.normal(0.9, 0.02, 100)
        change = compare_fairness(first, first + rng.normal(0, 0.02, 100), groups, 4, resamples=1000)
        held += all(abs(moved.estimate) < 1 and moved.low <= 0 <= moved.high for moved in change.changes)
    assert held >= 89  # 95 expected; with limits of each group alone 81


def test_a_gain_is_no_levelling_down() -> None:
    change = compared({"A": BEFORE, "B": UP})["B"]
    assert (change.verdict, change.levels_down) == ("fairer", "")
    assert levelling_sentence(change, NAMES) == ""
    assert change.found.gained == [1]
    assert change.found.lost == []
    assert group_sentences(change, NAMES) == [
        "Gained: Black +0.030 (0.870 to 0.900; interval 0.030 to 0.030).",
        "No change shown: White 0.000 (0.920 to 0.920; interval 0.000 to 0.000).",
    ]


def test_more_may_be_lost_than_the_gap_narrows() -> None:
    change = compared({"A": BEFORE, "B": {"White": 0.86, "Black": 0.85}})["B"]
    assert levelling_sentence(change, NAMES) == (
        "Levelling down: the better-served group White lost 0.060 (0.920 to 0.860; 95% interval of the loss "
        "0.060 to 0.060), more than the whole narrowing of 0.040; Black lost 0.020."
    )


def test_the_gap_may_move_to_another_pair() -> None:
    before = {"White": 0.92, "Black": 0.86, "Asian": 0.90}
    change = compared({"A": before, "B": {"White": 0.90, "Black": 0.89, "Asian": 0.87}})["B"]
    assert change.found.pair == (0, 2)
    said = levelling_sentence(change, ("White", "Black", "Asian"))
    assert said.endswith("Black gained 0.030, and the gap is now between White and Asian.")


def test_a_wider_gap_is_less_fair() -> None:
    change = compared({"A": BEFORE, "B": WORSE})["B"]
    assert change.verdict == "less fair"
    assert verdict_sentence("B", "A", change) == (
        "B is less fair than A: its gap is 0.030 larger (95% interval 0.030 to 0.030)."
    )


def test_the_same_scores_show_nothing() -> None:
    change = compared({"A": BEFORE, "B": BEFORE})["B"]
    assert change.verdict == "not shown"
    assert change.p_all == 1.0
    assert verdict_sentence("B", "A", change).startswith("The gap of B is as large as that of A (")
    assert told({"A": BEFORE, "B": BEFORE}) == (
        "B is not shown to be fairer than A. The gap goes from 0.050 to 0.050. "
        "No group is shown to have gained or lost (White 0.920 to 0.920, Black 0.870 to 0.870)."
    )


def test_a_difference_within_chance_is_not_shown() -> None:
    first = values(BEFORE, 15)
    second = first + np.random.default_rng(0).normal(0, 0.04, 30)
    change = compare_with_baseline({"A": first, "B": second}, ids(BEFORE, 15), 2, baseline="A")["B"]
    assert change.verdict == "not shown"
    assert ", but that is not shown (95% interval " in verdict_sentence("B", "A", change)


def test_groups_of_few_subjects_are_reported_and_not_judged() -> None:
    change = compared({"A": BEFORE, "B": UP}, number=9)["B"]
    assert change.verdict == "not judged"
    assert change.levels_down == ""
    assert change.found.gained == change.found.lost == []
    assert verdict_sentence("B", "A", change).startswith("B cannot be compared with A: fewer than two groups")
    assert group_sentences(change, NAMES) == [
        "Not judged, fewer than 10 subjects: Black (0.870 to 0.900), White (0.920 to 0.920)."
    ]


def test_subjects_without_a_score_of_both_are_left_out_of_both() -> None:
    first, second = values(BEFORE), values(UP)
    first[0], second[1] = np.nan, np.nan
    change = compare_with_baseline({"A": first, "B": second}, ids(BEFORE), 2, baseline="A")["B"]
    assert change.unpaired == 2
    assert change.before[0] == change.after[0] == pytest.approx(np.median(values(BEFORE)[2:20]))


def test_intervals_and_p_hold_for_all_models_together() -> None:
    rng = np.random.default_rng(0)
    groups = ids(BEFORE, 30)
    tables = {"A": values(BEFORE, 30)} | {
        name: values(UP, 30) + rng.normal(0, 0.02, 60) for name in ("B", "C", "D", "E")
    }
    changes = compare_with_baseline(tables, groups, 2, baseline="A", reference=0)
    alone = compare_fairness(tables["A"], tables["C"], groups, 2, reference=0, level=1 - 0.05 / 4)
    assert changes["C"].found.narrowing == alone.narrowing
    one = compare_fairness(tables["A"], tables["C"], groups, 2, reference=0)
    assert alone.narrowing.high - alone.narrowing.low > one.narrowing.high - one.narrowing.low
    p_values = [compare_fairness(tables["A"], tables[name], groups, 2).p_all for name in "BCDE"]
    assert [changes[name].p_all for name in "BCDE"] == pytest.approx(holm(p_values).tolist())
    first = [compare_fairness(tables["A"], tables[name], groups, 2).p[1] for name in "BCDE"]
    assert [changes[name].p[1] for name in "BCDE"] == pytest.approx(holm(first).tolist())


def test_the_evidence_is_that_of_judge() -> None:
    tables = {"A": values(BEFORE)}
    groups = ids(BEFORE)
    assert judge_models(tables, groups, 2, reference=0, margin=0.1)["A"].verdict == "no relevant gap shown"
    assert judge_models(tables, groups, 2)["A"].gap == judge(tables["A"], groups, 2).gap


@pytest.mark.parametrize(
    ("models", "said"),
    [
        (
            {"A": BEFORE, "B": UP},
            "B is fairer than A. The gap goes from 0.050 to 0.020. "
            "Black gained 0.030 (0.870 to 0.900); no group is shown to have lost.",
        ),
        (
            {"A": BEFORE, "B": DOWN},
            "B is fairer than A, but by levelling down. The gap goes from 0.050 to 0.019. "
            "White lost 0.025 (0.920 to 0.895); Black gained 0.006 (0.870 to 0.876).",
        ),
        (
            {"A": BEFORE, "B": UP, "C": DOWN},
            "B is fairer than A and has the smallest gap of 3 models without levelling down. "
            "The gap goes from 0.050 to 0.020. Black gained 0.030 (0.870 to 0.900); no group is shown to "
            "have lost. The gap of C is smaller still, 0.019, but by levelling down: White lost 0.025 "
            "(0.920 to 0.895).",
        ),
        (
            {"A": BEFORE, "B": WORSE},
            "A is the fairest: B is less fair. The gap goes from 0.050 to 0.080. "
            "Black lost 0.030 (0.870 to 0.840); no group is shown to have gained.",
        ),
        (
            {"A": BEFORE, "B": WORSE, "C": {"White": 0.92, "Black": 0.80}},
            "A is the fairest: every other model is shown to be less fair. The gap goes from 0.050 to 0.080 "
            "with B, which comes closest. "
            "Black lost 0.030 (0.870 to 0.840); no group is shown to have gained.",
        ),
        (
            {"A": BEFORE, "B": WORSE, "C": BEFORE},
            "No model is shown to be fairer than A, and B is less fair. The gap goes from 0.050 to 0.050 "
            "with C, which comes closest. "
            "No group is shown to have gained or lost (White 0.920 to 0.920, Black 0.870 to 0.870).",
        ),
    ],
    ids=["up", "down", "up and down", "worse", "all worse", "none"],
)
def test_the_answer_in_words(models: dict[str, dict[str, float]], said: str) -> None:
    assert told(models) == said


def test_one_model_alone_is_told_with_its_medians() -> None:
    gap = judge(values(BEFORE), ids(BEFORE), 2, reference=0).gap
    assert told({"A": BEFORE}) == (
        f"A: gap 0.050 (95% interval {gap.low:.3f} to {gap.high:.3f}), median DSC White 0.920, Black 0.870."
    )


def test_the_reason_why_nothing_is_judged_is_the_answer() -> None:
    reason = obstacle(["ann", "bob"], True)
    found = answer({}, {}, NAMES, "A", reason)
    assert found.model is None
    assert found.text == (
        "Nothing is judged: 2 subjects are in more than one group (ann, bob), and intervals and tests need "
        "groups that share nobody."
    )
    assert obstacle([], False).startswith("the scores hold no Dice")
    assert obstacle([], True) == ""
