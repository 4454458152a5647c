"""Figures over seeds and the paper's findings, by hand; what the paper prints, against itself."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairseg import Groups
from fairseg.cohort.columns import OVERALL
from fairseg.experiment.arms import BALANCES, BEYOND, CHOICES, GRID, Arm, Choice, plan_arms
from fairseg.experiment.findings import findings
from fairseg.experiment.page import headline, to_markdown
from fairseg.experiment.paper import BOX_ERRORS, MEASURES, PRINTED
from fairseg.experiment.plan import Plan
from fairseg.experiment.results import Results, SeedSpread, box_errors
from fairseg.experiment.study import Study
from fairseg.experiment.tables import BEYOND_TABLES, TABLES, head_of, judged_tables, scored_tables
from fairseg.experiment.tasks import State
from fairseg.experiment.verdicts import verdicts_beside
from fairseg.scoring.summary import ALL, P_VALUE, summarize
from fairseg.statistics.verdicts import Verdict
from fairseg.training.settings import Settings

# key -> seed -> (White, Black)
DICE = {
    "full/baseline": {0: (0.92, 0.86), 1: (0.91, 0.87), 2: (0.93, 0.90)},
    "full/oversampling": {
        0: (0.92, 0.90),
        1: (0.91, 0.88),
        2: (0.92, 0.91),
    },  # gaps .02 of .06, .03 of .04, .01
    "full/reweighting": {0: (0.90, 0.80), 2: (0.94, 0.80)},  # one seed failed
    "cascade/baseline": {1: (0.92, 0.915)},
    "cascade/oversampling": {1: (0.93, 0.925), 2: (0.93, 0.92)},
}


@pytest.fixture
def results() -> Results:
    recipe = Settings(by=("group",))
    plan = Plan(Path("data"), recipe)
    study = Study(plan, "White", "Black", {"White": 9, "Black": 3}, pd.DataFrame(), {})
    about = {"test": "internal", "attribute": "group", "structure": OVERALL, "measure": "Median DSC"}
    figures = [
        {"key": key, "seed": seed, **about, "group": group, "value": value}
        for key, seeds in DICE.items()
        for seed, pair in seeds.items()
        for group, value in zip(("White", "Black"), pair, strict=True)
    ]
    boxes = pd.DataFrame(
        {
            "key": "cascade/baseline",
            "seed": [0, 0, 1],
            "test": "internal",
            "found_y": [30.0, np.nan, 20.0],
            "found_x": [20.0, np.nan, 30.0],
            "reference_y": [40.0, 90.0, 30.0],
            "reference_x": [30.0, 90.0, 30.0],
        }
    )
    return Results(study, {}, pd.DataFrame(), pd.DataFrame(figures), boxes, {})


def test_findings_are_judged_seed_by_seed_where_both_arms_have_a_result(results: Results) -> None:
    result = {title: (shows, figures) for title, shows, figures in findings(results)}
    assert result["Oversampling closes the gap (to half or less)"] == (
        "in 2 of 3 seeds",
        "gap +0.043, then +0.020; Dice of White 0.920, then 0.917; Dice of Black 0.877, then 0.897",
    )
    assert result["Cascaded crops shrink the baseline's gap"][0] == "in 1 of 1 seeds"
    assert result["Oversampling shrinks the gap on cascaded crops further"][0] == "in 0 of 1 seeds"
    reweighting = result["Reweighting (weights that sum to 1) lowers the Dice of both groups"]
    assert reweighting == ("in 1 of 2 seeds", "Dice of White -0.005, Dice of Black -0.080")
    assert not any("Group DRO" in title or "reference shrink" in title for title in result)


def test_a_gap_that_closes_by_a_loss_of_the_group_ahead_is_told_as_that(results: Results) -> None:
    figures = results.figures.copy()
    balanced = figures["key"] == "full/oversampling"
    white = {0: 0.89, 1: 0.895, 2: 0.925}  # lost .03, .015, .005, where Black gained .04, .01, .01
    for seed, value in white.items():
        figures.loc[balanced & (figures["seed"] == seed) & (figures["group"] == "White"), "value"] = value
    shown = {title: shows for title, shows, _ in findings(replace(results, figures=figures))}
    title = "Oversampling closes the gap (to half or less)"
    assert shown[title] == "in 3 of 3 seeds; in 1 the group ahead lost more than the other gained"


def test_figures_over_seeds(results: Results) -> None:
    spread = results.spread("full/baseline", "Median DSC", "Black")
    assert (spread.mean, spread.low, spread.high, spread.number) == (
        pytest.approx(0.8767, abs=1e-4),
        0.86,
        0.9,
        3,
    )
    assert results.spread("full/magic", "Median DSC", "Black").number == 0
    assert SeedSpread.of([np.nan, 1.0]) == SeedSpread(1.0, 1.0, 1.0, 1)
    assert results.by_seed("full/reweighting", "Median DSC", "White") == {0: 0.90, 2: 0.94}
    assert results.by_seed("full/baseline", P_VALUE, ALL) == {}
    assert results.gaps("full/baseline") == pytest.approx({0: 0.06, 1: 0.04, 2: 0.03})
    assert (results.gap("full/baseline").mean, results.gap("full/magic").number) == (
        pytest.approx(0.13 / 3),
        0,
    )
    assert "White 0.920, Black 0.877 (gap +0.043)" in head(results)
    assert "every seed" not in head(results)  # there are no scores to judge


def head(results: Results) -> str:
    return headline(results, judged_tables(results))


def cohort(white: float, black: float, rv: float = 0.0) -> pd.DataFrame:
    """Return the scores of 40 + 40 subjects on two structures; `rv` is lost by everybody on one of them."""
    rng = np.random.default_rng(round(1000 * (white + black)))
    group = np.repeat(["White", "Black"], 40)
    mean = np.where(group == "White", white, black)
    about = {"case": [f"c{place}" for place in range(80)], "subject": [f"s{place}" for place in range(80)]}
    parts = [
        pd.DataFrame({**about, "group": group, "label": label, "dice": (mean - lost).clip(0.05)})
        for label, lost in (("LV", 0.0), ("RV", rv))
    ]
    table = pd.concat(parts, ignore_index=True)
    return table.assign(dice=(table["dice"] + rng.normal(0, 0.005, 160)).clip(0, 1))


def scored(arms: dict[str, dict[int, pd.DataFrame]]) -> Results:
    """Return the results of arms, by seed."""
    recipe = Settings(by=("group",))
    groups = Groups.from_table(cohort(0.9, 0.9), by="group")
    tested = {("internal", "group"): groups}
    study = Study(Plan(Path("data"), recipe), "White", "Black", {}, pd.DataFrame(), {}, tested)
    scores, figures = [], []
    for key, seeds in arms.items():
        for seed, table in seeds.items():
            images, method = key.split("/")
            about = {"key": key, "images": images, "method": method, "seed": seed, "sweep": "", "level": 0.0}
            scores.append(table.assign(**about, test="internal"))
            for part in summarize(table, groups, reference="White"):
                rows = (
                    part.table.melt(ignore_index=False, var_name="group").rename_axis("measure").reset_index()
                )
                of_all = {"measure": "Subjects", "group": ALL, "value": float(part.counts.sum())}
                rows = pd.concat([rows, pd.DataFrame([of_all])])
                figures.append(
                    rows.assign(**about, test="internal", attribute="group", structure=part.structure)
                )
    states = {
        Arm(seed, *key.split("/")[:2]): State("done", 1.0) for key, seeds in arms.items() for seed in seeds
    }
    return Results(study, states, pd.concat(scores), pd.concat(figures), pd.DataFrame(), {})


def test_an_arm_is_judged_beside_its_control_in_each_seed_by_its_subjects() -> None:
    """Oversampling is fairer with one seed; with the other its medians are level, for it has lost the RV."""
    results = scored(
        {
            "full/baseline": {0: cohort(0.92, 0.86), 1: cohort(0.92, 0.86)},
            "full/oversampling": {0: cohort(0.921, 0.921), 1: cohort(0.921, 0.921, rv=0.6)},
            "cascade/baseline": {0: cohort(0.921, 0.92), 1: cohort(0.922, 0.92)},
        }
    )
    result = verdicts_beside(results, "full/baseline", ["full/oversampling", "cascade/baseline"])
    assert result == {
        "full/oversampling": {0: Verdict.FAIRER, 1: Verdict.FAILS},
        "cascade/baseline": {0: Verdict.FAIRER, 1: Verdict.FAIRER},
    }
    assert verdicts_beside(results, "full/oversampling", ["full/baseline"])["full/baseline"] == {
        0: Verdict.LESS_FAIR,
        1: Verdict.NOT_JUDGED,  # what is beside a control that fails
    }
    assert [(one.title, one.verdicts) for one in judged_tables(results)[:2]] == [
        (TABLES[0][0], {"full/baseline": {}, "full/oversampling": result["full/oversampling"]}),
        (TABLES[3][0], {"full/baseline": {}, "cascade/baseline": result["cascade/baseline"]}),
    ]
    fairer, worse = head(results).split(" Worse in some seed")
    assert "Fairer in every seed: Baseline on cascaded crops" in fairer
    assert "Oversampling" not in fairer
    assert "Oversampling on full images" in worse
    assert results.not_learned("full/oversampling") == {1: ["RV"]}
    shown = {title: shows for title, shows, _ in findings(results)}
    assert shown["Oversampling closes the gap (to half or less)"] == "in 1 of 1 seeds"


def test_without_anything_fairer_in_every_seed_the_headline_says_so() -> None:
    same = {seed: cohort(0.92, 0.86) for seed in range(2)}
    message = head(scored({"full/baseline": same, "full/oversampling": same}))
    assert message.endswith("None of the others is fairer in every seed.")
    assert "Worse" not in message


def test_an_arm_of_which_a_seed_failed_is_not_fairer_in_every_seed() -> None:
    base = {seed: cohort(0.92, 0.86) for seed in range(2)}
    results = scored({"full/baseline": base, "full/oversampling": {0: cohort(0.921, 0.921)}})
    states = results.states | {Arm(1, "full", "oversampling"): State("failed", 1.0, "broke")}
    assert "Fairer in every seed" in head(results)
    assert "Fairer in every seed" not in head(replace(results, states=states))


def test_an_arm_that_fails_where_its_control_fails_too_is_not_worse() -> None:
    results = scored({"full/baseline": {0: cohort(0.92, 0.2)}, "full/oversampling": {0: cohort(0.92, 0.42)}})
    result = verdicts_beside(results, "full/baseline", ["full/oversampling"])
    assert result == {"full/oversampling": {0: Verdict.NOT_JUDGED}}
    assert "Worse" not in head(results)


def test_arms_that_have_not_learned_are_not_judged(results: Results) -> None:
    low = results.figures["value"].where(~results.figures["key"].str.startswith("full"), 0.1)
    poor = replace(results, figures=results.figures.assign(value=low))
    assert not poor.learned("full/baseline")
    assert poor.learned("cascade/baseline")
    assert "Oversampling closes the gap (to half or less)" not in {title for title, _, _ in findings(poor)}
    assert head(poor).endswith("It has not learned in this time, so no gap is compared with its.")
    assert head_of(poor, "full/baseline", "internal") == "Baseline, not learned"
    assert head_of(poor, "cascade/baseline", "internal") == "Baseline (cascade)"


def test_table_s4_is_the_error_of_the_crops_that_the_boxes_call_for(results: Results) -> None:
    errors = box_errors(results, "baseline")
    assert errors is not None
    x, y = errors
    # With 5 pixels a side: 30 against 40 and 40 against 50; 40 against 40 and 30 against 40.
    assert (x.low, x.high) == (0.0, 25.0)
    assert (y.low, y.high) == (20.0, 25.0)
    assert box_errors(results, "oversampling") is None


# Tables 4 to 9 of the paper, column by column: median DSC, its IQR, median HD, its IQR, SER, gap.
PAPER = """
4 full/baseline .896 .846 .046 .064 6.725 9.364 3.707 4.725 1.486 .050 *
4 full/oversampling .894 .891 .045 .049 6.835 7.164 3.713 3.861 1.032 .003 .22
4 full/reweighting .891 .831 .049 .069 7.174 10.037 4.207 4.902 1.544 .059 *
4 full/group_dro .893 .865 .047 .051 6.802 8.286 3.581 4.157 1.260 .028 *
5 full/baseline .896 .846 .046 .064 6.725 9.364 3.707 4.725 1.486 .050 *
5 full/oversampling+group_dro .889 .881 .048 .054 6.985 7.740 3.666 4.079 1.08 .009 *
5 full/reweighting+group_dro .893 .863 .047 .055 6.831 8.417 3.520 4.001 1.285 .031 *
5 full/oversampling+reweighting .889 .871 .051 .057 7.364 8.654 4.320 4.558 1.161 .017 *
6 crop/baseline .917 .888 .039 .047 5.713 7.895 2.669 3.960 1.340 .028 *
6 crop/oversampling .906 .914 .031 .044 6.394 6.479 3.359 3.211 1.088 -.008 *
6 crop/reweighting .915 .877 .036 .052 5.987 8.945 3.073 4.097 1.448 .038 *
6 crop/group_dro .917 .903 .035 .046 5.700 7.170 2.805 3.584 1.161 .013 *
7 cascade/baseline .959 .937 .060 .057 3.757 6.564 2.268 5.012 1.517 .021 *
7 cascade/oversampling .958 .941 .064 .058 3.731 4.929 2.129 2.717 1.380 .016 *
7 cascade/reweighting .951 .935 .067 .070 5.176 6.426 3.262 4.172 1.332 .016 *
7 cascade/group_dro .955 .943 .068 .058 3.841 4.623 2.039 3.327 1.276 .012 *
8 full/baseline .886 .879 .030 .043 5.728 5.913 1.522 1.966 1.064 .007 .093
8 full/oversampling .885 .872 .037 .038 6.152 5.919 1.238 1.840 1.106 .012 .16
9 crop/baseline .931 .916 .043 .037 4.087 4.090 1.630 1.178 1.207 .014 .069
9 crop/oversampling .918 .906 .040 .033 4.793 4.594 1.321 1.529 1.141 .012 *
9 cascade/baseline .917 .903 .045 .038 4.772 4.954 3.124 1.919 1.168 .014 .12
9 cascade/oversampling .928 .920 .039 .026 4.658 3.875 2.69 1.432 1.118 .008 .68
"""


def test_what_the_paper_prints_is_what_stands_beside() -> None:
    rows = [line.split() for line in PAPER.strip().splitlines()]
    seen = set()
    for table, key, *texts, p in rows:
        test = "external" if table in "89" else "internal"
        one = PRINTED[test][key]
        shown = [text for measure in MEASURES for text in one.medians[measure]]
        assert [*map(float, shown), float(one.ser), float(one.gap)] == [*map(float, texts)], key
        assert one.p == (p if p == "*" else f"0{p}")
        seen.add((test, key))
        (title,) = [
            name for name, where, keys in TABLES if name.startswith(f"Table {table}.") and key in keys
        ]
        assert ("external" in title) == (test == "external")
    assert seen == {(test, key) for test, printed in PRINTED.items() for key in printed}
    errors = {name: tuple(map(float, pair)) for name, pair in BOX_ERRORS.items()}
    assert errors == {
        "baseline": (3.70, 6.57),
        "oversampling": (0.0, 7.30),
        "reweighting": (1.48, 8.76),
        "group_dro": (0.0, 0.730),
    }


def test_what_the_paper_prints_fits_together() -> None:
    keys = {f"{images}/{method}" for images, methods in GRID.items() for method in methods}
    for test, printed in PRINTED.items():
        assert set(printed) <= keys
        for key, one in printed.items():
            white, black = map(float, one.medians["Median DSC"])
            odd = (test, key) == ("internal", "full/oversampling")  # its SER fits unrounded medians only
            assert abs(float(one.gap) - (white - black)) <= 0.0015, key
            ratio = max(1 - white, 1 - black) / min(1 - white, 1 - black)
            assert odd or abs(float(one.ser) - ratio) < 0.04, key
    assert set(BOX_ERRORS) == {"baseline", "oversampling", "reweighting", "group_dro"}
    for _, test, shown in TABLES:
        assert test in PRINTED
        assert set(shown) <= keys


def test_arms_are_planned_seed_by_seed_and_sweeps_last() -> None:
    arms = plan_arms([], seeds=2, sweep_seeds=1, minority=[1, 4])
    grid = sum(map(len, GRID.values()))
    assert len(arms) == 2 * grid + 2 + 2 * len(BALANCES)
    assert [arm.seed for arm in arms[: 2 * grid]] == [0] * grid + [1] * grid
    recipe = Settings(by=("group",), epochs=10)
    dro = Arm(3, "crop", "group_dro").settings(recipe, ce_factor=2)
    assert (dro.seed, dro.crop, dro.loss, dro.epochs) == (3, "reference", "group_dro", 20)
    half = Arm(0, "cascade", "oversampling", "balance_cascade", 0.5).settings(recipe, ce_factor=2)
    assert (half.balance, half.sampler, half.epochs) == (0.5, "oversampling", 10)


def test_a_method_beyond_the_paper_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {arm.key for arm in plan_arms([], seeds=1, sweep_seeds=1, minority=[1])}
    assert not any(key.startswith("more/") for key in keys)
    result = plan_arms(["more/within_group_cvar"], seeds=2, sweep_seeds=1, minority=[1])
    assert [(arm.key, arm.images, arm.seed) for arm in result] == [
        ("more/within_group_cvar", "full", 0),
        ("more/within_group_cvar", "full", 1),
    ]
    monkeypatch.setitem(BEYOND, "mine", Choice("Mine", {"balance": 0.5}, "oversampling"))
    monkeypatch.setitem(CHOICES, "mine", BEYOND["mine"])
    (mine,) = plan_arms(["more/mine"], seeds=1, sweep_seeds=1, minority=[1])
    assert (mine.key, mine.settings(Settings(by=("group",))).balance) == ("more/mine", 0.5)


def test_a_method_differs_from_its_control_in_what_is_new_and_has_its_base_and_steps() -> None:
    recipe = Settings(by=("group",), epochs=4)
    for method, choice in CHOICES.items():
        assert choice.control in CHOICES
        mine, its = (Arm(0, "full", name).settings(recipe, 2) for name in (method, choice.control))
        if method not in ("baseline_ce", "balanced_sample"):  # what is new in these is the base
            first = Arm(0, "full", method).first(recipe, 2)
            before = first[1].epochs if first and choice.start else 0
            assert (before + mine.epochs, mine.sample_loss) == (its.epochs, its.sample_loss), method
    cvar, control = (
        Arm(0, "full", name).settings(recipe, 2) for name in ("within_group_cvar", "balanced_sample")
    )
    assert cvar.with_(within_group="mean") == control


def test_a_table_beyond_the_paper_stands_beside_its_control(results: Results) -> None:
    titles = [title for title, _, _ in scored_tables(results)]
    assert not any(title.startswith("Beyond") for title in titles)
    (table,) = (keys for _, _, keys in BEYOND_TABLES if "more/within_group_cvar" in keys)
    assert table[0] == "more/balanced_sample"


def test_the_papers_figures_stand_beside_its_own_groups_alone(results: Results) -> None:
    tables = [("Table 4", "internal", {"full/baseline": {}, "full/oversampling": {}})]
    assert "the paper: White / Black" in to_markdown(results, tables)
    other = replace(results, study=replace(results.study, reference="M", minority="F"))
    assert "the paper: White" not in to_markdown(other, tables)
    assert "0.896" not in to_markdown(other, tables)
