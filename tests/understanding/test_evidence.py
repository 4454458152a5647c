"""Confounders, associations with Dice, and places of errors, on arrays whose answer is planted."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fairseg.understanding.advice import advise
from fairseg.understanding.associations import associations
from fairseg.understanding.confounded import confounders_of, unlike
from fairseg.understanding.errors import (
    MeasureDifference,
    error_atlas,
    measure_differences,
    signed_size_errors,
)
from fairseg.understanding.readability import Reading, Readings, read_groups
from tests.understanding.made_up import readings as found

IDS = np.repeat([0, 1], 40)
NAMES = ("A", "B")


def pattern(of_subject: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    shape = np.sin(np.arange(36)).reshape(1, 1, 6, 6)
    return of_subject[:, None, None, None, None] * shape + noise * rng.normal(size=(80, 1, 1, 6, 6))


@pytest.fixture(scope="module")
def by_age() -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """Age makes the fat; group B is older; height has nothing to do with anything."""
    rng = np.random.default_rng(3)
    age = 55 + 12 * IDS + rng.normal(0, 8, 80)
    own = IDS + rng.normal(0, 0.5, 80)
    views = {"fat": pattern((age - 60) / 8, 0.3, rng), "own": pattern(own, 0.3, rng)}
    return views, pd.DataFrame({"age": age, "height": rng.normal(170, 8, 80)})


def test_a_planted_confounder_is_named_and_what_is_not_from_it_stays(by_age: tuple) -> None:
    views, table = by_age
    options = {"permutations": 199, "seed": 0}
    readings = read_groups(views, IDS, NAMES, **options)
    assert all(row.shown for row in readings.rows)
    result = confounders_of(views, IDS, NAMES, table[["age"]], **options)
    assert result.alone[0].shown
    within = {row.view: row.shown for row in result.within}
    assert within == {"fat": False, "own": True}
    assert [row.view for row in readings.rows if result.explained(row)] == ["fat"]
    advice = advise(readings, result, [], [], [])
    assert advice[0].kind == "confounded"
    assert advice[0].strength != "shown"  # it stands on what is not shown among subjects who are alike
    assert advice[0].facts["views"] == ["fat"]


def test_what_has_nothing_to_do_with_the_groups_explains_nothing(by_age: tuple) -> None:
    views, table = by_age
    readings = read_groups(views, IDS, NAMES, permutations=199)
    result = confounders_of(views, IDS, NAMES, table[["height"]], permutations=199)
    assert not result.alone[0].shown
    assert not any(result.explained(row) for row in readings.rows)


def test_a_confounder_that_separates_the_groups_leaves_nothing_to_say(by_age: tuple) -> None:
    views, _ = by_age
    site = pd.DataFrame({"site": np.where(IDS == 1, "north", "south")})
    result = confounders_of(views, IDS, NAMES, site, permutations=199)
    assert result.within == ()
    assert "site" in result.notes[0]


def ages(younger: float, older: float, spread: float) -> pd.DataFrame:
    rng = np.random.default_rng(6)
    return pd.DataFrame({"age": np.where(IDS == 1, older, younger) + rng.normal(0, spread, 80)})


def test_nobody_is_alike_where_ages_hardly_overlap(by_age: tuple) -> None:
    """The middle fifth pairs the oldest of A with the youngest of B."""
    views, _ = by_age
    result = confounders_of(views, IDS, NAMES, ages(40, 70, 3), least=5, permutations=199)
    assert result.within == ()
    assert "too few subjects of B are like the others in age" in result.notes[0]
    readings = read_groups(views, IDS, NAMES, permutations=199)
    assert not any(result.explained(row) for row in readings.rows)
    assert "confounded" not in [one.kind for one in advise(readings, result, [], [], [])]


def test_fifths_that_hold_unlike_sides_are_no_strata_of_alike_ones() -> None:
    """By hand: differences 1 and 2 of equal weight within strata, where all have a spread of 2.86."""
    score, member = np.array([0.0, 1.0, 5.0, 7.0]), np.array([0, 1, 0, 1])
    strata = np.array([0, 0, 1, 1])
    assert unlike(score, member, strata) == pytest.approx(1.5 / np.std([0, 1, 5, 7]))
    assert unlike(score, member, np.arange(4)) == 0.0
    assert unlike(np.ones(4), member, strata) == 0.0
    assert unlike(score, np.array([0, 0, 0, 1]), strata) == pytest.approx(2 / np.std([0, 1, 5, 7]))


def test_of_whom_confounders_are_known_is_counted(by_age: tuple) -> None:
    views, table = by_age
    age = table["age"].where((IDS == 0) | (np.arange(80) % 2 == 0))
    result = confounders_of(views, IDS, NAMES, pd.DataFrame({"age": age}), permutations=199)
    assert result.known == (("A", 40, 40), ("B", 20, 40))


def test_a_confounder_that_names_people_is_an_error(by_age: tuple) -> None:
    with pytest.raises(ValueError, match=r"'nurse' must have subjects who share a value, .* 80 values"):
        confounders_of(by_age[0], IDS, NAMES, pd.DataFrame({"nurse": map("n{}".format, range(80))}))


def test_a_confounder_without_values_is_an_error(by_age: tuple) -> None:
    with pytest.raises(ValueError, match="'age' must have a value"):
        confounders_of(by_age[0], IDS, NAMES, pd.DataFrame({"age": [None] * 80}), permutations=199)


@pytest.mark.parametrize(("slope", "shown"), [(-0.04, True), (0.0, False)])
def test_a_gap_alone_is_no_association_within_groups(slope: float, shown: bool) -> None:
    rng = np.random.default_rng(5)
    look = rng.normal(size=80)
    views = {"look": pattern(2.0 * IDS + look, 0.05, rng)}
    views["map of errors"] = views["look"]  # goes with Dice by itself
    readings = read_groups(views, IDS, NAMES, permutations=199)
    dice = 0.9 - 0.05 * IDS + slope * look + rng.normal(0, 0.01, 80)
    dice[3] = np.nan
    (result,), (predicted,) = associations(readings, views, dice, IDS, NAMES, permutations=499)
    assert result.shown == shown == predicted.shown
    assert (result.correlation < -0.8) == shown
    assert result.n == 79
    assert result.gap[0] == pytest.approx(np.nanmean(dice[:40]) - dice[40:].mean())


def test_errors_in_one_place_are_found_there_and_noise_is_not() -> None:
    rng = np.random.default_rng(2)
    maps = (rng.random((80, 4, 2, 20, 20)) < 0.1).astype(np.float32)
    maps[IDS == 1, 3, 1, 4:8, 10:15] = rng.random((40, 4, 5)) < 0.6  # organ 2, false negatives, upper level
    rows = error_atlas(maps, IDS, NAMES, ["one", "two"], permutations=99)
    assert [(row.structure, row.kind) for row in rows if row.shown] == [("two", "false negatives")]
    result = next(row for row in rows if row.shown)
    assert result.more == "B"
    assert result.cluster[1, 4:8, 10:15].mean() > 0.9
    assert result.cluster.sum() < 40
    assert result.shares[1, 1, 4:8, 10:15].mean() == pytest.approx(0.6, abs=0.05)


def test_the_place_where_most_is_wrong_comes_first_whatever_the_order_of_the_table() -> None:
    rng = np.random.default_rng(4)
    maps = (rng.random((80, 4, 1, 20, 20)) < 0.05).astype(np.float32)
    maps[IDS == 0, 0, 0, 2:5, 2:6] = (
        rng.random((40, 3, 4)) < 0.5
    )  # the lung that A's model overdraws a little
    maps[IDS == 1, 2, 0, 6:14, 6:14] = rng.random((40, 8, 8)) < 0.9
    first, second, *_ = error_atlas(maps, IDS, NAMES, ["lung", "heart"], permutations=99)
    assert first.p_adjusted == second.p_adjusted == 0.01
    assert (first.more, first.structure, first.kind) == ("B", "heart", "false positives")
    assert (second.more, second.structure) == ("A", "lung")
    advice = advise(found(whole_image=0.5), None, [], [first, second], [])
    assert next(one for one in advice if one.kind == "errors").facts["one"] is first


def test_volume_errors_have_a_sign() -> None:
    table = pd.DataFrame(
        {
            "subject": ["a", "a", "b", "c"],
            "label": ["LV"] * 4,
            "prediction_voxels": [110, 130, 90, 5],
            "reference_voxels": [100, 100, 100, 0],
        }
    )
    errors = signed_size_errors(table, ["b", "a", "c", "d"], "volume")["volume error (%)", "LV"]
    np.testing.assert_allclose(errors, [-10.0, 20.0, np.nan, np.nan])


def test_measures_are_compared_with_the_first_group() -> None:
    rng = np.random.default_rng(0)
    values = {("volume (ml)", "LV"): rng.normal(100 + 30 * IDS, 10), ("flat", "LV"): np.ones(80)}
    (row,) = measure_differences(values, IDS, NAMES)
    assert (row.first, row.second, row.shown) == (*NAMES, True)
    assert row.difference[1] < 30 < row.difference[2]


@pytest.mark.parametrize(("low", "kinds"), [(-2.0, ["references", "nothing"]), (1.0, ["nothing"])])
def test_outlines_are_not_called_rough_where_the_structure_may_be_smaller(
    low: float, kinds: list[str]
) -> None:
    names = ("LV", "A", "B", (100.0, 110.0))
    size = MeasureDifference("reference volume (ml)", *names, (10.0, low, 20.0), 0.4)  # after Holm
    rough = MeasureDifference("roughness of the reference outline (%)", *names, (-5.0, -7.0, -3.0), 0.01)
    advice = advise(found(whole_image=0.5), None, [], [], [size, rough])
    assert [one.kind for one in advice] == kinds


def test_where_the_tightest_crop_removes_little_none_is_advised() -> None:
    readings = found(whole_image=0.9, organ_only=0.5, **{"box_+_0_mm": 0.5})
    (advice,) = advise(readings, None, [], [], [], removed={0.0: 0.1})
    assert (advice.kind, advice.facts["little"]) == ("no crop", True)


@pytest.mark.parametrize(
    ("aucs", "kinds"),
    [
        ({"organ_only": 0.9, "reference_mask": 0.6}, ["inside"]),
        ({"organ_only": 0.9, "reference_mask": 0.85}, ["anatomy"]),  # its outline may be all of it
        ({"organ_only": 0.9, "reference_mask": 0.75}, ["inside", "anatomy"]),
        ({"whole_image": 0.9, "organ_only": 0.9, "box_+_0_mm": 0.6}, ["inside"]),
        ({"whole_image": 0.9, "organ_only": 0.6, "box_+_0_mm": 0.6}, ["crop"]),
        ({"whole_image": 0.9, "organ_only": 0.6, "box_+_0_mm": 0.8}, ["no crop"]),
        ({"box_+_40_mm": 0.9}, ["crop"]),  # what the whole image has in too few pixels
        ({"ring_around_the_box": 0.9}, ["crop"]),
        ({"position_of_the_organ": 0.9}, ["position"]),
        ({"header_and_field_of_view": 0.9, "reference_mask": 0.9}, ["anatomy", "header"]),
        ({"box,_image_standardised": 0.9, "box_+_0_mm": 0.6}, ["standardise"]),
        ({"box,_image_standardised": 0.99, "box_+_0_mm": 0.95}, ["no crop"]),  # nor does it help then
        (
            {"organ_only,_image_standardised": 0.99, "box_+_0_mm": 0.98},
            ["no crop"],
        ),  # a box is made
        ({"box,_image_standardised": 0.9, "box_+_0_mm": 0.6, "reference_mask": 0.85}, ["anatomy"]),
        ({"outside_the_box": 0.92, "whole_image": 0.9, "reference_mask": 0.86}, ["crop", "anatomy"]),
        ({"outside_the_box": 0.75, "whole_image": 0.85, "reference_mask": 0.86}, ["anatomy"]),  # it moves it
        ({"outside_the_box": 0.92, "organ_only": 0.86, "box_+_0_mm": 0.87}, ["crop", "inside"]),
        ({"outside_the_box": 0.8, "organ_only": 0.9}, ["crop", "inside"]),  # organs are of one size
        ({"outside_the_box": 1.0, "box_+_0_mm": 0.82}, ["crop", "no crop"]),  # a part of the remedy
        ({"whole_image": 0.9, "intensity_within_the_reference": 0.97}, ["intensity"]),  # the organ is darker
        ({"intensity_within_the_reference": 1.0, "intensity_statistics": 1.0}, ["intensity"]),  # noise
        ({"intensity_statistics": 0.9}, ["intensity"]),
        ({"intensity_statistics": 0.9, "outside_the_box": 0.9}, ["crop"]),  # bright fat is enough
        ({"organ_only,_image_standardised": 0.9}, ["no step"]),
        ({"roughness_of_the_outline": 0.9}, ["no step"]),
        ({}, ["nothing"]),
    ],
)
def test_an_outline_is_not_taken_for_what_is_within_it(aucs: dict[str, float], kinds: list[str]) -> None:
    known = {"whole_image": 0.5, "organ_only": 0.5, "box_+_0_mm": 0.5}
    assert [one.kind for one in advise(found(**known | aucs), None, [], [], [])] == kinds


def test_what_is_readable_has_a_row_beside_what_the_model_does() -> None:
    standardised = {"organ_only,_image_standardised": 0.9, "box_+_0_mm": 0.5}
    place: Any = SimpleNamespace(shown=True)
    found_advice = advise(found(**standardised), None, [], [place], [])
    assert [(one.kind, one.strength) for one in found_advice] == [("no step", "shown"), ("errors", "shown")]


@pytest.mark.parametrize(("header", "kinds"), [(0.9, ["pixels", "header"]), (0.5, ["anatomy"])])
def test_organs_are_not_said_to_differ_in_pixels_that_do(header: float, kinds: list[str]) -> None:
    readings = found(reference_mask=0.9, header_and_field_of_view=header)
    assert [one.kind for one in advise(readings, None, [], [], [], unit="px")] == kinds


@pytest.mark.parametrize(("view", "kinds"), [("organ only", ["crop"]), ("numbers of the shape", ["anatomy"])])
def test_no_crop_is_advised_where_the_organs_themselves_differ(view: str, kinds: list[str]) -> None:
    def reading(name: str, p: float) -> Reading:
        return Reading(name, "B", 40, 40, 0.8, 0.7, 0.9, 0.65, p, p)

    rows = [reading("whole image", 0.001), reading("box + 0 mm", 0.4)]
    rows += [reading(view, 0.001 if kinds == ["anatomy"] else 0.6)]
    result = advise(Readings(tuple(rows), {}), None, [], [], [])
    assert [one.kind for one in result] == kinds


def test_measures_of_alike_groups_are_seldom_said_to_differ() -> None:
    shown, ids = 0, np.repeat([0, 1], [5, 30])
    for cohort in range(60):
        rng = np.random.default_rng(cohort)
        size = rng.normal(size=35)
        values = {(str(n), "LV"): np.exp(0.7 * size + rng.normal(size=35)) for n in range(6)}
        rows = measure_differences(values, ids, NAMES, permutations=99, seed=cohort)
        shown += any(row.shown for row in rows)
    assert shown <= 7  # of 60 at 5%; without dealing the groups it was 16%


def test_no_corrected_p_of_a_measure_is_below_what_the_deals_can_give() -> None:
    values = {("volume (ml)", "LV"): np.arange(80.0)}
    (row,) = measure_differences(values, IDS, NAMES, permutations=39)
    assert row.p_adjusted == pytest.approx(1 / 40)
