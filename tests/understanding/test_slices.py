"""Slices that nobody named: a planted one is found and confirmed, and chance seldom is."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind

from fairseg.understanding.slices import find_slices


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
    found = find_slices(dice, table)
    assert found[0].shown
    assert "site = west" in found[0].conditions
    assert any("age >=" in one for slice_ in found for one in slice_.conditions if slice_.shown)
    assert not any("letter" in text for one in found for text in one.conditions)
    for one in found:
        assert one.n + one.n_rest in (59, 60)
        assert one.difference[0] == pytest.approx(one.dice - one.rest)
        assert one.difference[1] < one.difference[0] < one.difference[2]


def test_limits_are_welchs() -> None:
    dice, table = people(2)
    (one,) = find_slices(np.where(table["sex"] == "F", dice - 0.05, dice), table[["sex"]])[:1]
    assert one.conditions == ("sex = F",)
    halves = [np.random.default_rng(0).permutation(120)[:60]]
    halves.append(np.setdiff1d(np.arange(120), halves[0]))
    lower = np.where(table["sex"] == "F", dice - 0.05, dice)
    female = (table["sex"] == "F").to_numpy()
    expected = [
        ttest_ind(
            lower[half][female[half]], lower[half][~female[half]], equal_var=False
        ).confidence_interval()
        for half in halves
    ]
    assert any(np.allclose(one.difference[1:], limits) for limits in expected)


def test_chance_is_seldom_confirmed() -> None:
    told = 0
    for seed in range(40):
        dice, table = people(100 + seed, 80)
        told += any(one.shown for one in find_slices(dice, table, permutations=199, seed=seed))
    assert told <= 5  # of 40 at 5%


def test_too_few_subjects_say_nothing() -> None:
    dice, table = people(3, 12)
    assert find_slices(dice, table) == []
