"""What chance alone shows on a page: against all deals listed, and within strata."""

from itertools import combinations

import numpy as np
import pytest

from fairseg.statistics import permutation
from fairseg.statistics.permutation import Row, adjusted_p, local_level, smallest_p_values, stratified_fisher
from fairseg.statistics.two_samples import brunner_munzel, fisher_exact

EIGHT = np.arange(8)
IDS = [np.repeat([0, 1], 4)]


def test_smallest_p_values_are_as_frequent_as_among_all_deals() -> None:
    rng = np.random.default_rng(0)
    scores, marks = rng.random(8).round(1), np.array([1.0, 0, 0, 0, 1, 1, 0, 0])
    rows = [
        Row(0, 0, 1, scores, marks=False, weight=1.0, strata=(EIGHT,)),
        Row(0, 0, 1, marks, marks=True, weight=0.5, strata=(EIGHT,)),
    ]
    every = []
    for chosen in combinations(range(8), 4):
        first = np.isin(EIGHT, chosen)
        p = brunner_munzel(scores[first], scores[~first]).p
        share = fisher_exact(int(marks[first].sum()), 4, int(marks[~first].sum()), 4)
        every.append(min(p, share / 0.5))
    found = smallest_p_values(rows, IDS, permutations=8000, seed=0)
    for bound in np.unique(np.round(every, 9)):
        assert np.mean(found <= bound + 1e-6) == pytest.approx(
            np.mean(np.array(every) <= bound + 1e-6), abs=0.02
        )


def test_related_rows_cost_less_than_unrelated_ones() -> None:
    rng = np.random.default_rng(1)
    ids, everyone = [np.repeat([0, 1], 30)], np.arange(60)
    one = rng.random(60)

    def level(columns: list[np.ndarray]) -> float:
        rows = [Row(0, 0, 1, column, marks=False, weight=1.0, strata=(everyone,)) for column in columns]
        return local_level(smallest_p_values(rows, ids, permutations=2000, seed=0), 0.05)

    assert level([one]) == pytest.approx(0.05, abs=0.012)
    assert level([one] * 8) == level([one])
    assert level(list(rng.random((8, 60)))) < 0.012


def test_scores_stay_in_their_stratum() -> None:
    """What is constant within strata shows nothing, however much groups and strata go together."""
    stratum = np.repeat([0, 1], 20)
    ids = [np.where(np.arange(40) % 20 < 15, stratum, 1 - stratum)]
    blocks = [np.flatnonzero(stratum == number) for number in (0, 1)]
    rows = [
        Row(0, 0, 1, stratum.astype(float), marks=marks, weight=1.0, strata=(np.arange(40),))
        for marks in (False, True)
    ]
    within = smallest_p_values(rows, ids, permutations=200, seed=0, blocks=blocks)
    assert np.unique(within).size == 1  # each deal shows what is observed
    assert within[0] < 0.01
    assert np.unique(smallest_p_values(rows, ids, permutations=200, seed=0)).size > 1


def test_deals_follow_the_seed_alone() -> None:
    row = Row(0, 0, 1, np.linspace(0, 1, 8) ** 2, marks=False, weight=1.0, strata=(EIGHT,))
    first, again, other = (smallest_p_values([row], IDS, permutations=50, seed=seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_adjusted_p_and_level_agree() -> None:
    smallest = np.sort(np.random.default_rng(2).random(1000) ** 2)
    level = local_level(smallest, 0.05)
    for p in (level * 0.999, level * 1.001):
        assert (adjusted_p(smallest, p, 1.0) <= 0.05) == (p <= level)
    assert local_level(np.full(100, 0.25), 0.05) == 0.05  # never above alpha
    assert adjusted_p(np.array([0.5, 0.9]), 0.2, 1.0) == 0.2  # never below p


def test_stratified_fisher_of_one_stratum() -> None:
    assert stratified_fisher(6, [(10, 30, 6)]) == pytest.approx(fisher_exact(6, 10, 0, 30))


def test_any_number_of_attributes_is_dealt_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ids of 40 attributes have no room in the bits of one integer; what is dealt is the same."""
    rng = np.random.default_rng(2)
    ids = [rng.integers(-1, 3, 60) for _ in range(40)]
    rows = [
        Row(number, 0, 1, rng.random(60).round(1), marks=False, weight=1.0, strata=(np.arange(60),))
        for number in range(40)
    ]
    assert smallest_p_values(rows, ids, permutations=100, seed=0).max() < 0.5
    few = smallest_p_values(rows[:3], ids, permutations=100, seed=0)
    monkeypatch.setattr(permutation, "_BITS", 0)
    assert smallest_p_values(rows[:3], ids, permutations=100, seed=0).tolist() == few.tolist()
