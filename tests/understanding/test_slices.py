"""Slices that nobody named: a planted one is found and confirmed, and chance seldom is."""

import numpy as np
import pandas as pd
import pytest

from fairseg.understanding.slices import _Within, find_slices

IDS = np.tile([0, 1], 60)


def people(seed: int, number: int = 120) -> tuple[np.ndarray, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "sex": rng.choice(["F", "M"], number),
            "age": rng.integers(30, 80, number),
            "site": rng.choice(["north", "south", "west"], number),
            "bmi": rng.normal(26, 4, number).round(1),
            "letter": [f"person {n}" for n in range(number)],
        }
    )
    return rng.normal(0.9, 0.02, number), table


def test_a_planted_slice_is_named_and_its_numbers_are_those_of_the_other_half() -> None:
    dice, table = people(1)
    dice -= 0.08 * ((table["site"] == "west") & (table["age"] >= 55)).to_numpy()
    dice[5] = np.nan
    result = find_slices(dice, table, IDS)
    assert result[0].shown
    assert "site = west" in result[0].conditions
    assert any("age >=" in one for slice_ in result for one in slice_.conditions if slice_.shown)
    assert not any("letter" in text for one in result for text in one.conditions)
    for one in result:
        assert 10 <= one.n + one.n_rest <= 60
        assert one.difference[0] == pytest.approx(one.dice - one.rest)
        assert one.difference[1] < one.difference[0] < one.difference[2]


def test_a_column_that_goes_with_the_groups_is_no_slice_where_errors_depend_on_the_group_alone() -> None:
    told = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        north = np.where(rng.random(80) < np.where(IDS[:80] == 1, 0.85, 0.15), "north", "south")
        dice = 0.9 - 0.08 * IDS[:80] + rng.normal(0, 0.02, 80)
        columns = {"clinic": north, "age": rng.integers(30, 80, 80)}
        told += any(one.shown for one in find_slices(dice, columns, IDS[:80], permutations=199, seed=seed))
    assert told <= 3  # of 20 at 5%; all 20 where the groups are not held fixed


def test_what_is_worse_within_the_groups_is_found_beside_a_gap_and_once() -> None:
    rng = np.random.default_rng(4)
    west = rng.random(120) < 0.4
    dice = 0.9 - 0.1 * IDS - 0.05 * west + rng.normal(0, 0.01, 120)
    result = find_slices(dice, {"site": np.where(west, "west", "east")}, IDS)
    assert [one.conditions for one in result if one.shown] == [("site = west",)]  # both halves find it
    assert result[0].difference[0] == pytest.approx(-0.05, abs=0.01)


def test_means_are_of_both_groups_alike_and_errors_by_hand() -> None:
    ids = np.array([0, 0, 0, 1, 1, 1, 1, 2])
    member = np.array([1, 0, 0, 1, 1, 0, 0, 1], dtype=bool)  # of the third group nobody is otherwise
    dice = np.array([0.8, 0.9, 0.7, 0.4, 0.6, 0.5, 0.9, 0.1])
    within = _Within(ids, member)
    assert within.counts == (3, 4)
    means, error = within.compare(dice)
    weights = np.array([1 * 2 / 3, 2 * 2 / 4]) / (2 / 3 + 1)
    assert means == pytest.approx([weights @ [0.8, 0.5], weights @ [0.8, 0.7]])
    inside = 0.02 / (3 - 2)  # sums of squares about the means of the groups, by what is free
    outside = (0.02 + 0.08) / (4 - 2)
    variance = (weights**2) @ [inside / 1 + outside / 2, inside / 2 + outside / 2]
    assert error == pytest.approx(np.sqrt(variance))


def test_limits_leave_out_0_exactly_where_a_slice_is_shown() -> None:
    shown = []
    for seed in range(60):
        dice, table = people(seed, 80)
        lower = dice - 0.012 * (table["site"] == "west").to_numpy()
        for one in find_slices(lower, table, IDS[:80], permutations=199, seed=seed):
            shown.append(one.shown)
            assert one.shown == (one.difference[2] < 0), one
            assert one.difference[1] <= 0
    assert 5 < sum(shown) < len(shown) - 5


def test_chance_is_seldom_confirmed() -> None:
    told = 0
    for seed in range(40):
        dice, table = people(100 + seed, 80)
        told += any(one.shown for one in find_slices(dice, table, IDS[:80], permutations=199, seed=seed))
    assert told <= 5  # of 40 at 5%


def test_too_few_subjects_say_nothing() -> None:
    dice, table = people(3, 12)
    assert find_slices(dice, table, IDS[: len(dice)]) == []
