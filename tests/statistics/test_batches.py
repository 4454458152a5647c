"""The tests of many deals at once, against those of one pair of samples."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from fairseg.statistics.batches import (
    Dealt,
    Placements,
    SortedScores,
    decisive_p,
    fisher_many,
    placements,
    rank_placements,
)
from fairseg.statistics.location_shift import LocationShift
from fairseg.statistics.two_samples import brunner_munzel, fisher_exact
from fairseg.statistics.within_strata import StratifiedShift

DEALS = 25
ALL = np.arange(60)


def cohort(rng: np.random.Generator, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return scores, and group ids of three groups, for 60 subjects."""
    values = rng.beta(8, 2, 60)
    ids = rng.permutation(np.repeat([0, 1, 2], [30, 18, 12]))
    if "ties" in kind:
        values = values.round(1)
    if "missing" in kind:
        values[rng.choice(60, 9, replace=False)] = np.nan
    if "unknown" in kind:
        ids[rng.choice(60, 7, replace=False)] = -1
    if "two" in kind:
        ids = np.minimum(ids, 1)
    return values, ids


def dealt_out(rng: np.random.Generator, ids: np.ndarray) -> tuple[np.ndarray, Dealt]:
    deals = rng.permuted(np.tile(ALL, (DEALS, 1)), axis=1)
    return ids[deals], Dealt(ids.astype(np.int16)[deals], np.zeros((60, 0), dtype=np.float32))


def effect_p(strata: list[Placements]) -> np.ndarray:
    """Return the p-value of the effects alone, over all strata."""
    return decisive_p([[one] for one in strata])


KINDS = ["plain", "two", "ties", "two ties", "missing", "two ties missing", "unknown", "ties missing unknown"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("first", "second"), [(0, 1), (1, 0), (None, 1), (None, 0)])
def test_placements_are_those_of_brunner_munzel(kind: str, first: int | None, second: int) -> None:
    rng = np.random.default_rng(len(kind))
    values, ids = cohort(rng, kind)
    label, dealt = dealt_out(rng, ids)
    found, *_ = placements(dealt, SortedScores(values, ALL), first, second)
    p = effect_p([found])
    for deal in range(DEALS):
        other = label[deal] == second
        one = (label[deal] >= 0) & ~other if first is None else label[deal] == first
        known = brunner_munzel(values[one], values[other])
        assert found.effect[deal] == pytest.approx(known.effect)
        assert p[deal] == pytest.approx(known.p, rel=1e-9)


def test_groups_are_found_alike_however_many() -> None:
    rng = np.random.default_rng(1)
    values = rng.random(60).round(2)
    ids = rng.permutation(np.repeat(np.arange(12), 5))
    label, dealt = dealt_out(rng, ids)
    p = effect_p([placements(dealt, SortedScores(values, ALL), None, 7)[0]])
    for deal in range(DEALS):
        chosen = label[deal] == 7
        assert p[deal] == pytest.approx(brunner_munzel(values[~chosen], values[chosen]).p)


def test_strata_pool_their_effects() -> None:
    rng = np.random.default_rng(2)
    values, ids = cohort(rng, "missing")
    label, dealt = dealt_out(rng, ids)
    strata = [ALL[:25], ALL[25:]]
    p = effect_p([placements(dealt, SortedScores(values, stratum), 0, 1)[0] for stratum in strata])
    for deal in range(DEALS):
        variance = spread = 0.0
        parts = []
        for stratum in strata:
            one, two = (values[stratum][label[deal][stratum] == group] for group in (0, 1))
            n, m = (int(np.isfinite(part).sum()) for part in (one, two))
            if min(n, m) < 2:
                continue
            test = brunner_munzel(one, two)
            weight = n * m / (n + m)
            # Where n and m are Poisson, the weight varies by (dw/dn)^2 n + (dw/dm)^2 m.
            parts.append((test.effect - 0.5, weight, (m / (n + m)) ** 4 * n + (n / (n + m)) ** 4 * m))
            variance += weight**2 * test.se**2
            spread += weight**4 * test.se**4 / test.df
        from scipy.stats import t  # noqa: PLC0415

        shift, weights, chances = np.array(parts).T
        total = shift @ weights
        variance += chances @ (shift - total / weights.sum()) ** 2
        expected = 2 * t.sf(abs(total) / variance**0.5, variance**2 / spread)
        assert p[deal] == pytest.approx(expected)


def test_ranks_stand_for_placements_of_large_groups() -> None:
    rng = np.random.default_rng(3)
    values = rng.beta(20, 2, 2000)
    ids = np.repeat([0, 1], [1900, 100])
    deals = rng.permuted(np.tile(np.arange(2000), (300, 1)), axis=1)
    cell = SortedScores(values, np.arange(2000))
    matrix = np.stack([cell.scored(), cell.ranks(), cell.ranks() ** 2], axis=1).astype(np.float32)
    dealt = Dealt(ids.astype(np.int16)[deals], matrix)
    (exact,) = placements(dealt, cell, 0, 1)
    (ranks,) = rank_placements(cell, dealt.sums(0, 1), dealt.sums(1, 1))
    np.testing.assert_allclose(ranks.effect, exact.effect, atol=1e-5)
    np.testing.assert_allclose(np.log(effect_p([ranks])), np.log(effect_p([exact])), rtol=0.12, atol=0.01)


def lumpy(rng: np.random.Generator, kind: str, size: int) -> np.ndarray:
    """Return scores of which many are equal, and not by rounding."""
    if kind == "three levels":
        return rng.choice([0, 0.5, 1], size, p=[0.1, 0.3, 0.6])
    return np.where(rng.random(size) < float(kind), 1.0, rng.beta(8, 2, size))


@pytest.mark.parametrize("kind", ["0.3", "0.5", "0.85", "three levels"])
@pytest.mark.parametrize(("first", "second"), [(0, 1), (1, 0), (2, 1), (None, 2)])
def test_what_decides_is_the_same_in_a_deal_as_observed(kind: str, first: int | None, second: int) -> None:
    """With most scores equal the effect alone would show what limits that end at 0 do not."""
    rng = np.random.default_rng(5)
    values, ids = lumpy(rng, kind, 60), cohort(rng, "unknown")[1]
    values[:3] = np.nan
    label, dealt = dealt_out(rng, ids)

    def groups(deal: int, stratum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        here = label[deal][stratum]
        one = (here >= 0) & (here != second) if first is None else here == first
        return values[stratum][one], values[stratum][here == second]

    strata = [ALL[:30], ALL[30:]]
    whole, *parts = ([placements(dealt, SortedScores(values, own), first, second)] for own in (ALL, *strata))
    p, within = decisive_p(whole), decisive_p([part for (part,) in parts])
    effect = effect_p([one[0] for one in whole])
    assert (p >= effect * (1 - 1e-9)).all()
    for deal in range(DEALS):
        assert p[deal] == pytest.approx(LocationShift(*groups(deal, ALL)).p, rel=1e-9)
        if min(part.size for own in strata for part in groups(deal, own)) >= 5:
            stratified = StratifiedShift([groups(deal, own) for own in strata])
            assert within[deal] == pytest.approx(stratified.p, rel=1e-9)


@pytest.mark.parametrize("kind", ["0.2", "0.5", "three levels"])
def test_ranks_stand_for_placements_where_many_scores_are_equal(kind: str) -> None:
    rng = np.random.default_rng(6)
    values, ids = lumpy(rng, kind, 2000), np.repeat([0, 1], [1900, 100])
    deals = rng.permuted(np.tile(np.arange(2000), (200, 1)), axis=1)
    cell = SortedScores(values, np.arange(2000))
    matrix = np.stack([cell.column(kind) for kind in cell.kinds()], axis=1).astype(np.float32)
    dealt = Dealt(ids.astype(np.int16)[deals], matrix)
    exact = placements(dealt, cell, 0, 1)
    ranks = rank_placements(cell, dealt.sums(0, 1), dealt.sums(1, 1))
    assert len(exact) == len(ranks) == 3
    for one, other in zip(exact, ranks, strict=True):
        np.testing.assert_allclose(other.effect, one.effect, atol=0.004)
        np.testing.assert_allclose(np.log(effect_p([other])), np.log(effect_p([one])), rtol=0.12, atol=0.04)


def test_a_deal_that_leaves_a_group_without_scores_has_p_one() -> None:
    """A structure that few subjects have; a warning would be an error here."""
    values = np.full(60, np.nan)
    values[:6] = np.arange(6) / 10
    ids = np.repeat([0, 1], [50, 10])
    found, *_ = placements(
        Dealt(ids.astype(np.int16)[None], np.zeros((60, 0))), SortedScores(values, ALL), 0, 1
    )
    assert effect_p([found]).tolist() == [1]


def test_nothing_to_compare_has_p_one() -> None:
    nothing = np.zeros(3)
    assert effect_p([Placements(nothing, nothing, nothing, nothing, nothing + 5)]).tolist() == [1, 1, 1]
    assert fisher_many(nothing, nothing, nothing + 5, nothing + 2).tolist() == [1, 1, 1]


def test_fisher_of_many_tables() -> None:
    rng = np.random.default_rng(4)
    for scale in (6, 60, 2500):
        n, m = rng.integers(1, scale, (2, 200))
        marked = rng.integers(0, n + m + 1)
        count = rng.integers(np.maximum(0, marked - m), np.minimum(n, marked) + 1)
        found = fisher_many(count, n, m, marked)
        for k, one, two, all_marked, p in zip(count, n, m, marked, found, strict=True):
            assert p == pytest.approx(fisher_exact(k, one, all_marked - k, two), rel=1e-6, abs=1e-290)
        table = [[count[0], n[0] - count[0]], [marked[0] - count[0], m[0] - marked[0] + count[0]]]
        assert found[0] == pytest.approx(stats.fisher_exact(table).pvalue, rel=1e-6, abs=1e-290)


def test_p_of_fisher_falls_outward() -> None:
    p = fisher_many(np.arange(12, 31), np.full(19, 54), np.full(19, 30), np.full(19, 30))
    far = p[p < 0.9]
    assert all(inner >= outer for inner, outer in pairwise(far[np.argmax(far) :]))
