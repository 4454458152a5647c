"""`fairseg.plan`: the plans of the statistics for the groups of a table; and options stated beforehand."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import fairseg
from fairseg.report.preregistration import read_preregistration, write_preregistration
from fairseg.scoring.table import Scores
from fairseg.statistics.pilot_range import pilot_limits
from fairseg.statistics.planning import (
    assumed_scores,
    detectable_failures,
    detectable_shifts,
    plan_failures,
    plan_shift,
)
from fairseg.statistics.pools import DIRECTIONS


@pytest.fixture(scope="module")
def pilot() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    dice = np.r_[rng.beta(20, 2, 60), rng.beta(16, 3, 40)]
    dice[[0, 60, 61, 62, 63]] = 0.3
    sex = np.repeat(["M", "F"], [60, 40])
    return pd.DataFrame({"subject": range(100), "sex": sex, "site": list("ABCD") * 25, "dice": dice})


def of(pilot: pd.DataFrame, sex: str) -> Any:
    return pilot.loc[pilot["sex"] == sex, "dice"].to_numpy()


def numbers(result: fairseg.report.PlanResult) -> list[tuple[Any, ...]]:
    names = ["endpoint", "direction", "difference", "n_first", "n_second", "power", "alpha"]
    return list(result.table[names].itertuples(index=False, name=None))


def test_subjects_needed_are_those_of_the_statistics_with_the_reference_first(pilot: pd.DataFrame) -> None:
    result = fairseg.plan(pilot, by="sex", reference="M", difference=0.05, ratio=2.0, power=0.7, alpha=0.01)
    expected = [
        plan_shift(
            of(pilot, "M"), of(pilot, "F"), 0.05, direction=direction, ratio=2.0, power=0.7, alpha=0.01
        )
        for direction in DIRECTIONS
    ]
    assert numbers(result) == [tuple(vars(plan).values()) for plan in expected]
    assert result.table[["first", "second"]].to_numpy().tolist() == [["M", "F"]] * 2
    assert str(expected[0].n_first) in result.sentence
    assert "about" in result.sentence


def test_what_a_cohort_shows_is_that_of_the_statistics(pilot: pd.DataFrame) -> None:
    result = fairseg.plan(pilot, by="sex", sizes=(120, 20), seed=3)
    expected = detectable_shifts(of(pilot, "F"), of(pilot, "M"), 120, 20, seed=3)
    assert numbers(result) == [tuple(vars(plan).values()) for plan in expected]


def test_failures_start_from_the_group_that_is_better_served(pilot: pd.DataFrame) -> None:
    result = fairseg.plan(pilot, by="sex", endpoint="failures", difference=0.2)
    assert result.pairs[0].failure_rate == pytest.approx(1 / 60)  # of M; of F 4 in 40
    expected = [plan_failures(1 / 60, 0.2, direction=direction) for direction in DIRECTIONS]
    assert numbers(result) == [tuple(vars(plan).values()) for plan in expected]


def test_assumptions_take_the_place_of_a_pilot() -> None:
    pool = assumed_scores(0.9, 0.08)
    typical = fairseg.plan(median=0.9, iqr=0.08, sizes=(40, 20))
    assert numbers(typical) == [tuple(vars(plan).values()) for plan in detectable_shifts(pool, pool, 40, 20)]
    assert "about" not in typical.sentence
    failures = fairseg.plan(failure_rate=0.02, endpoint="failures", sizes=(400, 12))
    expected = detectable_failures(0.02, 400, 12)
    assert numbers(failures) == [tuple(vars(plan).values()) for plan in expected]


def test_without_groups_both_are_drawn_from_all_subjects(pilot: pd.DataFrame) -> None:
    result = fairseg.plan(pilot, sizes=(50, 50))
    expected = detectable_shifts(pilot["dice"], pilot["dice"], 50, 50)
    assert numbers(result) == [tuple(vars(plan).values()) for plan in expected]


def test_each_group_is_compared_with_the_reference(pilot: pd.DataFrame) -> None:
    result = fairseg.plan(pilot, by="site", reference="C", sizes=(50, 50))
    assert [(pair.first, pair.second) for pair in result.pairs] == [("C", "A"), ("C", "B"), ("C", "D")]
    with pytest.raises(ValueError, match="of 4 groups, reference must name"):
        fairseg.plan(pilot, by="site")


def test_groups_stand_beside_values(pilot: pd.DataFrame) -> None:
    result = fairseg.plan(pilot["dice"], groups=pilot["sex"], sizes=(50, 50))
    assert numbers(result) == numbers(fairseg.plan(pilot, by="sex", sizes=(50, 50)))


def test_what_cannot_be_shown_is_said_in_every_form() -> None:
    result = fairseg.plan(median=0.92, iqr=0.03, sizes=(2, 2), alpha=0.001)
    assert result.table["difference"].isna().all()
    assert "at no difference" in result.sentence
    assert repr(result).startswith(result.sentence)
    assert "<table" in result._repr_html_()


def test_names_are_safe_in_a_notebook(pilot: pd.DataFrame) -> None:
    table = pilot.assign(sex=pilot["sex"].replace("F", "<b>F"))
    html = fairseg.plan(table, by="sex", sizes=(50, 50))._repr_html_()
    assert "<b>" not in html
    assert "&lt;b&gt;F" in html


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "plan needs median and iqr"),
        ({"median": 0.9}, "plan needs median and iqr"),
        ({"median": 0.9, "iqr": 0.1, "failure_rate": 0.1}, "got median, iqr, failure_rate"),
        ({"median": 0.9, "iqr": 0.1, "endpoint": "failures"}, "plan needs failure_rate"),
        ({"failure_rate": 1.0, "endpoint": "failures"}, "failure_rate must be at least 0 and below 1"),
        ({"median": 1.9, "iqr": 0.1}, "median must lie between"),
        ({"median": 0.9, "iqr": 0.1, "by": "sex"}, "by and groups need scores"),
        ({"median": 0.9, "iqr": 0.1, "difference": 0.0}, "difference must be above 0"),
        ({"median": 0.9, "iqr": 0.1, "sizes": (12, 1)}, "sizes must be two whole numbers"),
        ({"median": 0.9, "iqr": 0.1, "power": 1.0}, "power must be between"),
        ({"endpoint": "tail"}, "endpoint must be"),
        ({"scores": {"dice": [0.9] * 9}, "median": 0.9}, "median: assumptions stand in place of scores"),
        ({"scores": {"dice": [0.9] * 4}}, "scores must have at least 5 scored subjects"),
        ({"scores": {"dice": [0.9] * 9}}, "must have scores that differ to plan from, got 0.9 in all"),
        ({"scores": {"dice": [0.9] * 9}, "reference": "M"}, "reference and bins need by"),
        ({"scores": {"dice": [0.9] * 9, "sex": ["F", *"MMMMMMMM"]}, "by": "sex"}, "group F must have"),
        ({"scores": {"dice": [0.9] * 9}, "by": "sex"}, "has no attribute 'sex'"),
    ],
)
def test_bad_input_says_what_was_expected(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fairseg.plan(**options)


def test_a_file_stated_beforehand_gives_the_options_of_an_audit(pilot: pd.DataFrame, tmp_path: Path) -> None:
    options: dict[str, Any] = {"by": ("sex",), "reference": "M", "also": ["site"], "margin": 0.03}
    path = write_preregistration(tmp_path / "new" / "plan.json", {**options, "min_size": 5})
    result = fairseg.audit(pilot, preregister=path)
    plain = fairseg.audit(pilot, **options, min_size=5)
    assert result.options == plain.options
    assert result.options.margin == 0.03
    pd.testing.assert_frame_equal(result.findings, plain.findings)
    before = result.sections.preregistered
    assert before is not None
    assert before.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    # What agrees with the file may be said again, in any form.
    assert fairseg.audit(pilot, "sex", preregister=path, also="site").options == plain.options
    with pytest.raises(ValueError, match=r"margin contradicts plan.json, which says 0.03"):
        fairseg.audit(pilot, preregister=path, margin=0.05)
    with pytest.raises(ValueError, match=r"by contradicts plan.json"):
        fairseg.audit(pilot, ["sex", "site"], preregister=path)
    for call in (
        lambda: fairseg.audit(pilot.assign(iou=pilot["dice"]), preregister=path, metric="iou"),
        lambda: fairseg.audit(Scores.of(pilot.assign(iou=pilot["dice"]), metric="iou"), preregister=path),
        lambda: fairseg.compare(
            {"a": pilot.assign(iou=0.9), "b": pilot.assign(iou=0.8)}, preregister=path, metric="iou"
        ),
    ):
        with pytest.raises(ValueError, match=r'metric contradicts plan.json, which says "dice"'):
            call()
    with pytest.raises(ValueError, match=r"is there already"):
        write_preregistration(path, options)


def test_a_file_states_the_metric(pilot: pd.DataFrame, tmp_path: Path) -> None:
    path = write_preregistration(tmp_path / "plan.json", {"by": "sex", "metric": "IoU"})
    scores = pilot.assign(iou=pilot["dice"] / (2 - pilot["dice"]))
    expected = fairseg.audit(scores, "sex", metric="iou")
    for result in (
        fairseg.audit(scores, preregister=path),
        fairseg.audit(scores, preregister=path, metric="jaccard"),
        fairseg.audit(Scores.of(scores, metric="iou"), preregister=path),
    ):
        pd.testing.assert_frame_equal(result.findings, expected.findings)
    with pytest.raises(ValueError, match=r"metric: these scores are judged by DSC, not iou"):
        fairseg.audit(Scores.of(scores), preregister=path)
    for metric in (["dice"], "", "hd95"):
        with pytest.raises(ValueError, match=r"metric must be the name of the score .* a share of 1"):
            write_preregistration(tmp_path / "other.json", {"by": "sex", "metric": metric})


def test_what_a_file_leaves_out_has_its_default(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text('{"by": "sex"}')
    assert read_preregistration(path).options["margin"] == 0.02


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no JSON", "must be JSON"),
        ("[1]", "must hold an object"),
        ('{"by": "sex", "margn": 0.02}', "'margn' is none of by"),
        ("{}", "by must be the name"),
        ('{"by": [1]}', "by must be the name"),
        ('{"by": "sex", "margin": 2}', "margin must be above 0"),
        ('{"by": "sex", "margin": "a"}', "margin must be above 0"),
        ('{"by": "sex", "reference": 1}', "reference must be"),
        ('{"by": "sex", "also": [[1]]}', "also must be"),
        ('{"by": "sex", "adjust": [["a"]]}', "adjust must be"),
        ('{"by": "age", "bins": {"age": 50}}', "bins must be"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as error:
        read_preregistration(path)
    assert str(path) in str(error.value)
    with pytest.raises(ValueError, match="cannot be read"):
        read_preregistration(tmp_path / "none.json")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    options = {"by": ("age", "sex"), "bins": {"age": [50.0]}, "also": [("site", "sex")], "seed": 4}
    path = write_preregistration(tmp_path / "plan.json", options)
    values = read_preregistration(path).options
    assert values == json.loads(path.read_text())
    assert (values["by"], values["bins"], values["seed"]) == (["age", "sex"], {"age": [50.0]}, 4)


def test_it_says_that_an_audit_judges_no_group_so_small() -> None:
    few = fairseg.plan(failure_rate=0.02, endpoint="failures", sizes=(10, 3))
    enough = fairseg.plan(failure_rate=0.02, endpoint="failures", sizes=(10, 10))
    assert "An audit judges no group of fewer than 10 subjects." in few.sentence
    assert "An audit" not in enough.sentence


def test_a_pilot_at_a_ceiling_is_planned_from_its_groups_as_they_are() -> None:
    rng = np.random.default_rng(6)
    first, second = rng.normal(0.97, 0.03, 54).clip(0, 1), rng.normal(0.9, 0.06, 30).clip(0, 1)
    table = {"sex": ["M"] * 54 + ["F"] * 30, "dice": np.r_[first, second]}
    (unlike,) = fairseg.plan(table, by="sex", reference="M", sizes=(200, 200)).pairs
    low = rng.normal(0.85, 0.03, 54)  # far from the ceiling, and the same in both but for a shift
    same = {"sex": ["M"] * 54 + ["F"] * 54, "dice": np.r_[low, low - 0.01]}
    (alike,) = fairseg.plan(same, by="sex", reference="M", sizes=(200, 200)).pairs
    assert (unlike.at_bound, alike.at_bound) == (True, False)
    assert min(unlike.worse.difference, unlike.better.difference) > 0.005


def test_what_the_pilot_leaves_open_stands_in_brackets(pilot: pd.DataFrame) -> None:
    result = fairseg.plan(pilot, by="sex", reference="M", difference=0.05, ratio=2.0)
    plan = plan_shift(of(pilot, "M"), of(pilot, "F"), 0.05, ratio=2.0)
    limits = pilot_limits(of(pilot, "M"), of(pilot, "F"), plan)
    low, high = (round(plan.n_second * limits.low**2), np.ceil(plan.n_second * limits.high**2))
    assert result.table.loc[0, ["low", "high"]].tolist() == [low, high]
    assert low < plan.n_second < high
    assert f"{plan.n_second} of F ({low} to {high:.0f})" in result.sentence
    assert f"{plan.n_first} subjects of M ({2 * low} to {2 * high:.0f})" in result.sentence
    sized = fairseg.plan(pilot, by="sex", reference="M", sizes=(120, 60)).table.loc[0]
    assert sized["low"] < sized["difference"] < sized["high"] < 1
    assert fairseg.plan(median=0.9, iqr=0.08, sizes=(40, 20)).table[["low", "high"]].isna().all(axis=None)


def test_a_power_that_is_not_the_one_asked_for_is_said() -> None:
    (few,) = fairseg.plan(median=0.9, iqr=0.02, difference=0.3).pairs  # three of each show it nearly always
    result = fairseg.plan(median=0.9, iqr=0.02, difference=0.3)
    assert few.worse.power > 0.9
    assert f"with a power of {100 * few.worse.power:.1f}%" in result.sentence
    assert "with a power of" not in fairseg.plan(median=0.9, iqr=0.08, difference=0.05).sentence


def test_a_difference_that_the_pilot_does_not_resolve_is_said() -> None:
    rng = np.random.default_rng(2)
    table = {"sex": ["M"] * 20 + ["F"] * 20, "dice": rng.normal(0.9, 0.03, 40)}
    fine = fairseg.plan(table, by="sex", reference="M", difference=0.002)
    assert "does not resolve differences below 0.0" in fine.sentence
    assert np.isnan(fairseg.plan(table, by="sex", reference="M", difference=0.03).pairs[0].resolved)
