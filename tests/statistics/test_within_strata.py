"""Tests pooled over strata: one stratum is the plain test, and shifts of strata cancel out."""

from fractions import Fraction

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import StratifiedTable

from fairseg.metrics.fairness import Floats
from fairseg.statistics.location_shift import LocationShift
from fairseg.statistics.two_samples import brunner_munzel, fisher_exact, newcombe
from fairseg.statistics.within_strata import StratifiedShares, StratifiedShift


def test_one_stratum_is_the_plain_test() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.beta(20, 2, 40), rng.beta(20, 2, 30) - 0.02
    shift = StratifiedShift([(first, second)])
    np.testing.assert_allclose(shift.limits(0.9), LocationShift(first, second).limits(0.9), atol=1e-4)
    shares = StratifiedShares([(6, 10, 1, 30)])
    assert shares.p == pytest.approx(fisher_exact(6, 10, 1, 30))
    np.testing.assert_allclose(shares.limits(), newcombe(6, 10, 1, 30))


def draw_strata(rng: np.random.Generator) -> list[tuple[Floats, Floats]]:
    """Draw two or three strata, of which one has few subjects; some scores are 0."""
    sizes = rng.integers(3, 25, (rng.integers(2, 4), 2))
    sizes[0, 0] = rng.integers(3, 10)
    strata = []
    for n, m in sizes:
        first, second = rng.beta(9, 2, n), rng.beta(9, 2, m) - rng.choice([0.0, 0.05])
        first[rng.random(n) < 0.2] = 0.0
        strata.append((np.round(first, 10), np.round(second, 10)))
    return strata


def differences_of(strata: list[tuple[Floats, Floats]]) -> list[Floats]:
    return [np.sort(np.round(np.subtract.outer(*pair).ravel(), 10)) for pair in strata]


def test_the_estimate_is_where_the_effect_in_fractions_is_a_half() -> None:
    rng = np.random.default_rng(5)
    for _ in range(60):
        strata = draw_strata(rng)
        by_stratum = differences_of(strata)
        jumps = np.unique(np.concatenate(by_stratum))
        effects = []  # minus a half, before the first difference, between them, and after the last
        for shift in [-np.inf, *jumps]:
            above = [values.size - int(values.searchsorted(shift, "right")) for values in by_stratum]
            effects.append(
                sum(
                    Fraction(2 * number - values.size, first.size + second.size)
                    for number, values, (first, second) in zip(above, by_stratum, strata, strict=True)
                )
            )
        low = next(k for k in range(jumps.size) if effects[k + 1] <= 0)
        high = next(k for k in reversed(range(jumps.size)) if effects[k] >= 0)
        expected = (jumps[low] + jumps[high]) / 2
        assert StratifiedShift(strata).estimate == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
def test_limits_of_few_subjects_hold_every_shift_that_the_test_accepts(level: float) -> None:
    rng, several = np.random.default_rng(6), 0
    for _ in range(100):
        strata = draw_strata(rng)
        shift = StratifiedShift(strata)
        assert shift.few
        jumps = np.unique(np.concatenate(differences_of(strata)))
        for sign, limit in zip((-1, 1), shift.limits(level)[1:], strict=True):
            outward = np.sort(sign * jumps[sign * jumps >= sign * shift.estimate])
            if shift.p <= 1 - level and sign * shift.estimate < 0:
                outward = outward[outward <= 0]
            effect, se, df = shift.at(sign * (outward + 2.5e-11))
            accepted = stats.t.cdf(sign * (effect - 0.5) / se, df) > (1 - level) / 2
            several += int(np.abs(np.diff(accepted.astype(int))).sum() > 1)
            last = np.flatnonzero(accepted)[-1] if accepted.any() else -1
            expected = sign * outward[min(last + 1, outward.size - 1)] if outward.size else 0.0
            if shift.p > 1 - level and sign * expected < 0:
                expected = 0.0
            assert limit == pytest.approx(expected, abs=1e-9)
    assert several or level < 0.99  # a test that accepts beyond what it rejects was among them


def test_what_strata_differ_by_does_not_count() -> None:
    rng = np.random.default_rng(1)
    parts = [(rng.normal(0.9, 0.02, n), rng.normal(0.864, 0.02, m)) for n, m in ((60, 20), (20, 60))]
    moved = [(first + far, second + far) for (first, second), far in zip(parts, (0.0, -0.2), strict=True)]
    found, again = (StratifiedShift(one).limits() for one in (parts, moved))
    np.testing.assert_allclose(found, again, atol=1e-4)
    assert found.low < 0.036 < found.high
    assert found.high - found.low < 0.025


@pytest.mark.parametrize("effect", [0.0, 0.03])
def test_limits_agree_with_p_and_cover(effect: float) -> None:
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(150):
        centres = ((0.9, 20, 8), (0.8, 12, 30), (0.85, 6, 6))
        parts = [(rng.normal(c, 0.03, n), rng.normal(c - effect, 0.05, m)) for c, n, m in centres]
        shift = StratifiedShift(parts)
        found = shift.limits(0.9)
        assert (shift.p <= 0.1) == (found.low > 0 or found.high < 0)
        covered += found.low <= effect <= found.high
    assert 0.82 <= covered / 150 <= 0.97


def opposite(rng: np.random.Generator, size: int, share: float) -> list[tuple[Floats, Floats]]:
    """Return two strata, decided by a coin, whose gaps of .04 are opposite and separate."""
    first, upper = rng.random(size) < share, rng.random(size) < 0.5
    scores = rng.normal(0.85, 0.01, size) + np.where(first == upper, 0.02, -0.02)
    return [(scores[part & first], scores[part & ~first]) for part in (upper, ~upper)]


@pytest.mark.parametrize(("size", "share"), [(200, 0.5), (60, 0.5), (400, 0.85)])
def test_opposite_gaps_that_separate_show_none_and_limits_cover_their_mean(size: int, share: float) -> None:
    rng = np.random.default_rng(3)
    shifts = [StratifiedShift(opposite(rng, size, share)) for _ in range(40)]
    limits = [shift.limits() for shift in shifts]
    assert sum(shift.test.p <= 0.05 for shift in shifts) <= 5
    assert sum(found.low <= 0 <= found.high for found in limits) >= 35
    for shift, found in zip(shifts, limits, strict=True):
        effect, se, df = np.array([shift.at(at) for at in np.linspace(*found[1:], 52)[1:-1]]).T
        assert (2 * stats.t.sf(np.abs(effect - 0.5) / se, df) > 0.05).all()  # no flat part is left out


@pytest.mark.parametrize("share", [0.5, 0.85])
def test_the_standard_error_is_that_of_samples_whose_strata_fall_out_by_chance(share: float) -> None:
    rng = np.random.default_rng(5)
    tests = [StratifiedShift(opposite(rng, 200, share)).test for _ in range(300)]
    spread = np.std([test.effect for test in tests])
    assert np.median([test.se for test in tests]) == pytest.approx(spread, rel=0.15)


def test_strata_that_agree_keep_their_power() -> None:
    """Almost all that Brunner and Munzel's variances alone find (89%) is found."""
    rng = np.random.default_rng(6)
    parts = [
        [(rng.normal(0.859, 0.02, 25), rng.normal(0.85, 0.02, 25)) for _ in range(4)] for _ in range(200)
    ]
    ours, own = [], []
    for strata in parts:
        ours.append(StratifiedShift(strata).test.p <= 0.05)
        alone = np.array([brunner_munzel(*stratum)[:3] for stratum in strata])
        se, df = alone[:, 1], alone[:, 2]
        t = abs(alone[:, 0].mean() - 0.5) / (np.sqrt((se**2).sum()) / 4)
        own.append(2 * stats.t.sf(t, (se**2).sum() ** 2 / (se**4 / df).sum()) <= 0.05)
    assert sum(own) - 4 <= sum(ours) <= sum(own)


def test_shares_against_mantel_haenszel() -> None:
    tables = [(8, 40, 3, 60), (15, 30, 20, 80), (2, 50, 1, 10)]
    shares = StratifiedShares(tables)
    weights = [n * m / (n + m) for _, n, _, m in tables]
    differences = [a / n - b / m for a, n, b, m in tables]
    assert shares.estimate == pytest.approx(np.average(differences, weights=weights))
    known = StratifiedTable([np.array([[a, n - a], [b, m - b]]) for a, n, b, m in tables])
    assert shares.p == pytest.approx(known.test_null_odds(correction=True).pvalue, rel=0.4)
    assert shares.limits().low < shares.estimate < shares.limits().high


def test_exact_p_by_listing_all_tables() -> None:
    tables = [(3, 5, 1, 6), (2, 4, 0, 5)]
    laws = [stats.hypergeom(n + m, a + b, n) for a, n, b, m in tables]
    chance = np.zeros(8)
    for one in range(5):
        for two in range(3):
            chance[one + two] += laws[0].pmf(one) * laws[1].pmf(two)
    assert StratifiedShares(tables).p == pytest.approx(chance[chance <= chance[5] * (1 + 1e-9)].sum())
    assert StratifiedShares([(0, 5, 0, 6)]).p == 1.0


def test_a_stratum_in_which_all_scores_are_equal_takes_part() -> None:
    rng = np.random.default_rng(4)
    parts = rng.normal(0.9, 0.02, 40), rng.normal(0.87, 0.02, 30)
    alone, beside = StratifiedShift([parts]), StratifiedShift([parts, (np.ones(8), np.ones(6))])
    assert alone.test.effect > beside.test.effect > 0.5  # alike there, so that the effect is nearer to a half
    found = beside.limits()
    assert 0 <= found.low <= found.estimate <= alone.estimate
    assert StratifiedShift([(np.ones(8), np.ones(6))] * 2).limits() == (0.0, 0.0, 0.0)
