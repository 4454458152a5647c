"""What the answer says is true of the cohort that was made for it."""

import re

import numpy as np
import pandas as pd
import pytest

import fairseg
from fairseg.report.card import to_terminal
from fairseg.scoring.subjects import STRUCTURE_SIZE, strata
from fairseg.scoring.table import Scores


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_it_says_what_stands_in_the_way_where_all_limits_lie_within_the_margins(
    rng: np.random.Generator,
) -> None:
    dice = np.r_[rng.beta(44, 5.6, 800), np.full(6, 0.2)]
    result = fairseg.audit(dice, groups=np.repeat(["A", "B", "C"], [400, 400, 6]), reference="A")
    assert result.verdict is fairseg.Verdict.OPEN
    assert "for a gap between A and B" not in result.sentence  # that one is shown to be small
    assert "C (6 subjects) is served otherwise: median Dice 0.200" in result.sentence


@pytest.mark.parametrize(
    ("groups", "dice"),
    [
        (["A"] * 40 + ["B"] * 40 + [None] * 120, [0.9] * 80 + [0.3] * 120),  # who is in no group
        (list("ABCDE") * 8, [0.1] * 40),  # groups too small to be judged
    ],
)
def test_a_model_that_fails_for_no_judged_group_fails_for_all_together(
    groups: list[str | None], dice: list[float]
) -> None:
    table = pd.DataFrame({"group": groups, "dice": dice}).assign(subject=lambda rows: rows.index)
    result = fairseg.audit(table, by="group")
    assert result.verdict is fairseg.Verdict.FAILS
    assert "fails for all subjects together" in result.sentence
    assert f"median Dice {np.median(dice):.3f}" in result.sentence
    both = fairseg.compare({"one": table, "other": table.assign(dice=table["dice"] - 0.01)}, by="group")
    assert "other fails for all subjects together" in both.sentence


def test_a_failing_group_excuses_no_other_where_the_model_fails_for_all_together() -> None:
    table = pd.DataFrame({"sex": ["F"] * 40 + ["M"] * 60, "dice": [0.1, 0.9] * 20 + [0.1] * 45 + [0.9] * 15})
    result = fairseg.audit(table.assign(subject=table.index), by="sex")
    assert result.sentence.startswith("The model fails for M: median Dice 0.100")
    assert "fails for all subjects together too: median Dice 0.100, 65.0% of 100" in result.sentence


@pytest.mark.parametrize("reference", [None, "M", "F"])
def test_a_group_that_fails_is_named_where_no_other_is_large_enough(reference: str | None) -> None:
    """All 12 men have a left lung below 0.5 and a right one above; 3 women are too few for a comparison."""
    table = pd.DataFrame(
        {"sex": ["F"] * 3 + ["M"] * 12, "right lung": 0.9, "left lung": [0.7] * 3 + [0.4] * 12}
    )
    scores = Scores.of(table.assign(subject=table.index), wide=["left lung", "right lung"])
    result = fairseg.audit(scores, by="sex", reference=reference)
    assert result.verdict is fairseg.Verdict.FAILS
    assert result.sentence.startswith("The model fails for M: left lung, median Dice 0.400")


def test_fails_for_everyone_is_said_where_the_others_fail_too(rng: np.random.Generator) -> None:
    dice = np.r_[rng.beta(20, 80, 60), rng.beta(44, 5.6, 200)]
    groups = pd.Series(["A"] * 30 + ["B"] * 30 + [None] * 200)
    sentences = [
        fairseg.audit(dice[:number], groups=groups[:number]).sentence.split(":")[0] for number in (60, 260)
    ]
    assert sentences == [
        "The model fails for everyone, so fairness is not judged",
        "The model fails for A and B",
    ]


def test_a_shift_of_no_size_is_neither_shown_nor_told_beside_failures() -> None:
    """Every score is 1 but for 30 of B: the test rejects, and yet the typical case is the same."""
    table = pd.DataFrame({"group": np.repeat(["A", "B"], 200), "dice": [1.0] * 370 + [0.0] * 30})
    result = fairseg.audit(table, by="group")
    typical = result.findings.query("endpoint == 'typical case'")
    assert typical["verdict"].tolist() == [fairseg.Verdict.OPEN]
    assert typical[["estimate", "low", "high", "p"]].to_numpy().tolist() == [[0.0, 0.0, 0.0, 1.0]]
    assert "fails more often in B (15.0%" in result.sentence
    assert "0.000" not in result.sentence


def test_it_names_those_whom_the_model_is_not_shown_to_serve_the_worst_first() -> None:
    groups = np.repeat(list("ABCD"), 30)
    centres = {"A": 0.7, "B": 0.705, "C": 0.68, "D": 0.69}
    dice = np.array([centres[name] for name in groups]) + np.tile(np.linspace(-0.15, 0.15, 30), 4)
    text = fairseg.audit(dice, groups=groups, reference="B").sentence
    told = text[text.index("works well enough for") :]
    named = re.findall(r"([A-D]) \(median Dice (\d\.\d+), 0.0% below 0.5\)", told)
    assert named == [("C", "0.680"), ("D", "0.690"), ("A", "0.700")]
    assert "and 1 more group" in told


def test_it_names_the_worst_structure_of_a_group_that_is_served_well_over_all() -> None:
    rows = [
        (f"s{index}", "A" if index < 40 else "B", label, centre + (index % 40 - 20) / 500)
        for label, centre in (("LV", 0.92), ("RV", 0.67), ("MYO", 0.65))
        for index in range(80)
    ]
    table = pd.DataFrame(rows, columns=["subject", "group", "label", "dice"])
    text = fairseg.audit(table, by="group", reference="A").sentence
    assert re.search(
        r"well enough for ([AB]) \(median Dice 0\.6\d+ on MYO, .*\) and [AB] \(median .* on MYO,", text
    )


def test_it_counts_the_scores_that_are_missing(rng: np.random.Generator) -> None:
    subjects = [f"s{number}" for number in range(600)]
    parts = [
        pd.DataFrame({"subject": subjects, "group": np.repeat(["A", "B"], 300), "label": label})
        for label in ("LV", "RV")
    ]
    table = pd.concat(parts).assign(dice=rng.beta(44, 5.6, 1200)).iloc[:-60]
    result = fairseg.audit(table, by="group", reference="A")
    assert result.verdict is fairseg.Verdict.OPEN
    assert "60 of 300 subjects of B have no score on RV, against 0 of 300 of A" in result.sentence


def test_what_another_metric_shows_stands_wherever_the_answer_does(rng: np.random.Generator) -> None:
    table = pd.DataFrame({"group": np.repeat(["A", "B"], 300), "dice": rng.normal(0.9, 0.01, 600)})
    table["hd95"] = rng.gamma(4, 1, 600) + 6 * (table["group"] == "B")
    result = fairseg.audit(table, by="group")
    assert result.verdict is fairseg.Verdict.NO_GAP
    (said,) = (note for note in result.notes if "HD95 (mm) is larger in B than in A" in note)
    terminal = " ".join(to_terminal(result, result.notes).split())
    for text in (repr(result), terminal, result._repr_html_(), result.model_card()):
        assert said.removesuffix(".")[:60] in text


def test_numbers_without_bins_are_held_fixed_in_fifths(rng: np.random.Generator) -> None:
    """A is younger and served worse at every age: level when pooled, which must not be green."""
    age = np.r_[rng.normal(48, 10, 300), rng.normal(52, 10, 300)]
    group = np.repeat(["A", "B"], 300)
    dice = 0.95 - 0.005 * (age - 50) - np.where(group == "A", 0.02, 0) + rng.normal(0, 0.01, 600)
    table = pd.DataFrame({"subject": range(600), "group": group, "age": age, "dice": dice.clip(0, 1)})
    result = fairseg.audit(table, by="group", reference="B", adjust="age")
    rows = result.findings.query("endpoint == 'typical case'").set_index("adjusted")
    assert result.held_fixed == "age (in fifths)"
    assert abs(rows.loc[False, "estimate"]) < 0.01
    assert rows.loc[True, "low"] > 0.01
    assert result.verdict is fairseg.Verdict.GAP


def test_the_answer_says_what_became_of_a_gap_within_strata(rng: np.random.Generator) -> None:
    """All of the gap is that of the scanners."""
    group = np.repeat(["A", "B"], 200)
    scanner = np.where(np.r_[np.arange(200) < 50, np.arange(200) < 150], "new", "old")
    dice = np.where(scanner == "new", 0.93, 0.89) + rng.normal(0, 0.01, 400)
    table = pd.DataFrame({"subject": range(400), "group": group, "scanner": scanner, "dice": dice})
    result = fairseg.audit(table, by="group", reference="A", adjust="scanner")
    assert "With scanner held fixed the difference is" in result.sentence
    alone = table.assign(scanner=np.where(group == "A", "old", "new"))
    none_alike = fairseg.audit(alone, by="group", reference="A", adjust="scanner")
    assert "With scanner held fixed it is not judged: too few subjects are alike" in none_alike.sentence


def test_a_tenth_that_is_none_is_not_called_one() -> None:
    group = np.repeat(["A", "B"], 100)
    dice = np.r_[np.repeat([0.8, 0.9], [20, 80]), np.repeat([0.8, 0.9], [80, 20])]
    result = fairseg.audit(dice, groups=group, reference="A")
    assert "among the hardest 50.0% (80.0%) than A (20.0%)" in result.sentence
    assert "here the worst 50.0%" in result._repr_html_()


def test_fifths_hold_as_many_subjects_each_and_no_value_in_two() -> None:
    table = {"subject": range(100), "age": range(100), "dice": [0.9] * 100}
    groups, members = strata(Scores.of(table), ["age"], {})
    assert groups.counts(members.ids).tolist() == [19, 20, 20, 20, 21]
    rare = {"subject": range(100), "weight": [50.0] * 93 + [51, 52, 53, 54, 55, 56, 57], "dice": [0.9] * 100}
    groups, members = strata(Scores.of(rare), ["weight"], {})
    assert groups.counts(members.ids).tolist() == [93, 7]
    with pytest.raises(ValueError, match="needs the voxel counts or volumes"):
        strata(Scores.of(table), [STRUCTURE_SIZE], {})


def test_a_reference_that_is_too_small_is_what_stands_in_the_way(rng: np.random.Generator) -> None:
    table = pd.DataFrame({"group": ["A"] * 40 + ["B"] * 40 + ["C"] * 5, "dice": rng.beta(42, 4.2, 85)})
    table["subject"] = table.index
    audited = fairseg.audit(table, by="group", reference="C")
    compared = fairseg.compare({"base": table, "other": table}, by="group", reference="C")
    for result in (audited, compared):
        assert result.verdict is fairseg.Verdict.NOT_JUDGED
        assert "at least two groups" not in result.sentence
        assert "compared with C" in result.sentence
    assert "at least two groups" in fairseg.audit(table[35:], by="group", min_size=20).sentence
    few = table[table["group"] != "B"]
    assert "at least two groups" in fairseg.audit(few, by="group", reference="A").sentence
    assert "at least two groups" in fairseg.compare({"a": few, "b": few}, by="group", reference="A").sentence


def test_a_group_below_the_floor_in_several_comparisons_is_told_once(rng: np.random.Generator) -> None:
    groups = np.repeat(["A", "B", "C"], [14, 40, 40])
    dice = np.where(groups == "C", 0.9, 0.93) + rng.normal(0, 0.02, 94)
    table = pd.DataFrame({"group": groups, "dice": dice.clip(0, 1)}).assign(subject=range(94))
    for reference in (None, "A", "B"):
        result = fairseg.audit(table, by="group", reference=reference)
        assert result.sentence.count("not shown that the model works well enough") <= 1


def test_a_gap_too_small_to_matter_is_said_to_be_and_is_not_told_first(rng: np.random.Generator) -> None:
    """One structure of twenty is 0.06 lower in F, and so the overall score 0.003."""
    sex = np.repeat(["M", "F"], 200)
    scores = {f"L{number}": rng.normal(0.9, 0.01, 400) for number in range(20)}
    scores["L7"] -= 0.06 * (sex == "F")
    table = pd.DataFrame(scores).melt(var_name="label", value_name="dice", ignore_index=False)
    table = table.assign(subject=table.index.astype(str), sex=sex[table.index])
    result = fairseg.audit(table, by="sex", reference="M", tail_margin=0.5)
    overall = result.findings.iloc[0]
    assert (overall["structure"], overall["inside"], overall["p_adjusted"] < 0.05) == ("Overall", True, True)
    first, also = result.sentence.split("Also shown:")
    assert first.startswith("A gap is shown: on L7, median Dice is lower in F (0.8")
    assert "margin" not in first
    assert re.search(r"; typical difference 0\.003 \([^)]*\), within the margin of 0\.020[;.]", also)


@pytest.mark.parametrize(("names", "behind"), [(("F", "M"), "second"), (("M", "F"), "first")])
def test_what_is_least_certain_has_the_sign_of_its_row(names: tuple[str, str], behind: str) -> None:
    """Of two groups alike but for 0.02 the lower one is said to lie behind, whichever name comes first."""
    ahead, after = names
    dice = np.r_[np.linspace(0.72, 0.98, 15), np.linspace(0.70, 0.96, 15)]
    result = fairseg.audit(dice, groups=np.repeat([ahead, after], 15))
    row = result.findings.set_index("endpoint").loc["typical case"]
    assert result.verdict is fairseg.Verdict.OPEN
    low, high = (row["low"], row["high"]) if behind == "second" else (-row["high"], -row["low"])
    limits = f"{low:.3f} to {high:.3f}".replace("-", "\N{MINUS SIGN}")
    assert low < 0 < 0.03 < high  # so the wrong sign would show
    assert f"Least certain: {after} typically lies 0.020 behind {ahead} ({limits})" in result.sentence


@pytest.mark.parametrize("names", ["FM", "MF"])
def test_a_difference_of_nothing_is_told_from_the_side_on_which_its_limits_lie(names: str) -> None:
    """Most scores are 0.9, so the shift is 0, and its limits reach to the side of the group with a tail."""
    dice = np.r_[np.full(31, 0.9), np.linspace(0.6, 0.85, 9)]
    result = fairseg.audit(dice, groups=np.repeat(list(names), 20))
    assert (
        f"Least certain: {names[1]} typically lies 0.000 behind {names[0]} (0.000 to 0.1" in result.sentence
    )


def test_a_gap_that_is_turned_round_with_strata_held_fixed_is_said_at_once() -> None:
    """On each scanner women are 0.03 ahead, and most of them were on the poor one."""
    rng = np.random.default_rng(0)
    cells = [("M", "X", 160, 0.90), ("M", "Y", 40, 0.80), ("F", "X", 40, 0.93), ("F", "Y", 160, 0.83)]
    people = pd.concat([pd.DataFrame({"sex": [sex] * n, "scanner": at, "m": m}) for sex, at, n, m in cells])
    people["subject"] = np.arange(400)
    parts = [people.assign(label=name, dice=rng.normal(people["m"], 0.01)) for name in "wxyz"]
    result = fairseg.audit(pd.concat(parts).drop(columns="m"), by="sex", reference="M", adjust="scanner")
    gap, yet, also = result.sentence.split(". ")[:3]
    assert gap.startswith("A gap is shown: median Dice is lower in F (0.83")
    assert re.match(r"Yet with scanner held fixed, Dice is lower in M than in F by 0\.030 \(0\.02.*\)", yet)
    assert also.startswith("Also shown: M has more subjects among the hardest tenth")
    assert re.search(r"; and \d+ more between these groups, for which either is worse off\.", result.sentence)


def test_shares_of_the_hardest_are_of_a_group_and_not_of_the_hardest() -> None:
    """Of the hardest tenth 94% are M, since nearly all subjects are; of F twice as many are in it."""
    rng = np.random.default_rng(1)
    parts = [rng.normal(mean, 0.02, size) for mean, size in ((0.9, 906), (0.7, 94), (0.9, 23), (0.7, 6))]
    result = fairseg.audit(np.concatenate(parts), groups=np.repeat(["M", "F"], [1000, 29]), reference="M")
    row = result.findings.set_index("endpoint").loc["hardest tenth"]
    words = f"{100 * row['estimate']:.1f} points more of F than of M are among the hardest tenth"
    assert f"Least certain: {words}" in result.sentence


def test_each_gap_that_is_told_comes_with_its_reversal() -> None:
    """With the scanner fixed men fail more and women are ahead; in all women seem to be far behind."""
    rng = np.random.default_rng(0)
    cells = [("M", "X", 190, 0.90), ("M", "Y", 30, 0.80), ("F", "X", 30, 0.92), ("F", "Y", 190, 0.82)]
    people = pd.concat([pd.DataFrame({"sex": [sex] * n, "scanner": at, "m": m}) for sex, at, n, m in cells])
    people = people.assign(subject=np.arange(440), dice=rng.normal(people["m"], 0.01)).drop(columns="m")
    fails = (people["sex"] == "M") & (rng.random(440) < 0.15)
    people.loc[fails, "dice"] = 0.3
    result = fairseg.audit(people, by="sex", reference="M", adjust="scanner")
    shown = result.findings[result.findings["verdict"] == "gap shown"]
    typical = shown[shown["endpoint"] == "typical case"].set_index("adjusted")["estimate"]
    assert typical[False] > 0 > typical[True]
    gap = r"median Dice is lower in F [^;]*; typical difference [^;]*"
    assert re.search(
        gap + r"[,.] [Yy]et with scanner held fixed, Dice is lower in M than in F", result.sentence
    )
