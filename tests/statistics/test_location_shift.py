"""The Hodges-Lehmann shift and its limits against brute force, and where many scores are equal."""

import numpy as np
import pytest

from fairseg.metrics.fairness import Floats
from fairseg.statistics import location_shift, shift_limits
from fairseg.statistics.location_shift import LocationShift
from fairseg.statistics.two_samples import brunner_munzel
from fairseg.statistics.within_strata import StratifiedShift
from tests.statistics.two_groups import SHAPES, samples


@pytest.mark.parametrize("shape", ["plain", "spread"])
def test_shift_is_the_median_of_all_differences(shape: str) -> None:
    rng = np.random.default_rng(2)
    for sizes in [(5, 8), (7, 9), (54, 30), (700, 650)]:
        first, second = samples(rng, shape, sizes)
        estimate = LocationShift(first, second).limits().estimate
        assert estimate == pytest.approx(np.median(np.subtract.outer(first, second)), abs=3e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_limits_agree_with_the_test_at_every_level(shape: str) -> None:
    rng = np.random.default_rng(3)
    for _ in range(40):
        first, second = samples(rng, shape, rng.integers(5, 60, 2))
        shift = LocationShift(first, second)
        for level in (0.8, 0.9, 0.95, 0.999):
            found = shift.limits(level)
            assert found.low <= found.estimate <= found.high
            assert (shift.p <= 1 - level) == (found.low > 0 or found.high < 0)
            assert shift.p >= shift.test.p


def test_limits_are_the_shifts_that_the_test_rejects() -> None:
    rng = np.random.default_rng(4)
    first, second = samples(rng, "spread", (54, 30))
    found = LocationShift(first, second).limits(level=0.9)
    for limit, outward in ((found.low, -1), (found.high, 1)):
        assert brunner_munzel(first - (limit - outward * 1e-4), second).p > 0.1
        assert brunner_munzel(first - (limit + outward * 5e-3), second).p < 0.1


def test_limits_of_thousands_are_the_differences_at_which_the_test_turns() -> None:
    rng = np.random.default_rng(5)
    first, second = rng.normal(0.8, 0.05, 2500), rng.normal(0.81, 0.08, 3000)  # 7.5 million differences
    shift = LocationShift(first, second)
    for interval, alpha in zip(shift.limits_at([0.95, 0.999]), (0.05, 0.001), strict=True):
        for limit, outward in ((interval.low, -1), (interval.high, 1)):
            # The nearest subject of the second group to each of the first, moved by the limit.
            sorted_second = np.sort(second)
            at = sorted_second.searchsorted(first - limit).clip(1, second.size - 1)
            gaps = np.abs((first - limit) - np.stack([sorted_second[at - 1], sorted_second[at]]))
            assert gaps.min() < 2e-10  # one pair differs by it
            inside, outside = (
                brunner_munzel(first - limit - step * outward, second).p for step in (-3e-10, 3e-10)
            )
            assert outside <= alpha < inside


def test_shift_moves_with_the_values_and_turns_with_the_groups() -> None:
    rng = np.random.default_rng(5)
    first, second = samples(rng, "plain", (40, 25))
    found, moved, turned = (
        LocationShift(*pair).limits() for pair in [(first, second), (first + 0.1, second), (second, first)]
    )
    np.testing.assert_allclose(moved, np.array(found) + 0.1, atol=1e-6)
    np.testing.assert_allclose(turned, [-found.estimate, -found.high, -found.low], atol=1e-6)


def test_values_to_two_decimals_give_the_shift_of_the_values_before_rounding() -> None:
    rng = np.random.default_rng(6)
    first, second = rng.normal(0.85, 0.03, 3000), rng.normal(0.8367, 0.03, 3000)
    exact, rounded = (
        LocationShift(first, second).limits(),
        LocationShift(first.round(2), second.round(2)).limits(),
    )
    np.testing.assert_allclose(rounded, exact, atol=1e-3)


def test_one_group_unchanged_and_the_other_moved_alike() -> None:
    found = LocationShift([0.011] * 20, [0.0] * 30).limits()
    np.testing.assert_allclose(found, 0.011, atol=1e-5)
    assert tuple(LocationShift([0.9] * 5, [0.9] * 6).limits()) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("sizes", [(54, 30), (400, 12)])
@pytest.mark.parametrize("spread", [1.0, 3.0])
def test_limits_cover_a_true_shift(sizes: tuple[int, int], spread: float) -> None:
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(300):
        first = rng.normal(0.85, 0.03, sizes[0])
        second = rng.normal(0.82, 0.03 * spread, sizes[1])
        low, high = LocationShift(first, second).limits()[1:]
        covered += low <= 0.03 <= high
    assert 0.90 <= covered / 300 <= 0.985


@pytest.mark.parametrize("decimals", [2, 4, 15])
@pytest.mark.parametrize("turned", [False, True])
def test_a_small_group_beside_thousands_is_tested_as_by_looking_up_every_subject(
    decimals: int, turned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(decimals)
    parts = [rng.normal(0.9, 0.03, 20).round(decimals), rng.normal(0.89, 0.03, 3000).round(decimals)]
    parts = parts[::-1] if turned else parts
    counted = LocationShift(*parts)
    monkeypatch.setattr(location_shift, "_LARGE", 10_000)
    one_by_one = LocationShift(*parts)

    assert counted.test == one_by_one.test
    for shift in (-0.03, -0.01, 0.0, 0.005, 0.0123):
        np.testing.assert_allclose(counted.at(shift), one_by_one.at(shift), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(counted.limits(0.9999), one_by_one.limits(0.9999), atol=1e-7)


def accepted(first: Floats, second: Floats, alpha: float) -> tuple[float, float]:
    """Return the smallest and the largest of all shifts that the test does not reject, by trying them all."""
    jumps = np.unique(np.subtract.outer(first, second).round(10))
    between = [jumps[0] - 1, *((jumps[1:] + jumps[:-1]) / 2), jumps[-1] + 1]
    open_ = [brunner_munzel(first - shift, second).p > alpha for shift in between]
    # A difference of two subjects is a limit where the test accepts the shifts on one side of it only.
    edges = [jump for jump, below, above in zip(jumps, open_, open_[1:], strict=False) if below != above]
    if not edges:  # the test jumps from one side of acceptance to the other
        (edges,) = np.nonzero(np.diff([brunner_munzel(first - s, second).effect > 0.5 for s in between]))
        edges = [float(jumps[edges[0]])]
    return min(edges), max(edges)


@pytest.mark.parametrize("name", ["mostly 0", "all alike", "levels", "untied", "ceiling", "large"])
def test_estimate_and_limits_are_differences_of_subjects_exactly(name: str) -> None:
    rng = np.random.default_rng(8)
    first, second = {
        "mostly 0": (np.where(np.arange(40) < 16, rng.uniform(0.2, 0.5, 40), 0.0), np.zeros(50)),
        "all alike": (np.full(30, 0.02), np.zeros(25)),
        "levels": (rng.choice([0.5, 1.0], 30), rng.choice([0.0, 0.5, 1.0], 25)),
        "untied": (rng.beta(20, 2, 30), rng.beta(20, 2, 25) - 0.05),
        "ceiling": (np.minimum(rng.beta(20, 2, 40) * 1.08, 1.0), np.minimum(rng.beta(20, 2, 30) * 1.02, 1.0)),
        "large": (rng.normal(0.9, 0.03, 700), rng.normal(0.88, 0.04, 650)),
    }[name]
    first, second = first.round(10), second.round(10)
    found = LocationShift(first, second).limits()
    assert found.estimate == pytest.approx(np.median(np.subtract.outer(first, second)), abs=1e-12)
    if name == "large":  # too many to try
        jumps = np.subtract.outer(first, second).round(10)
        assert np.isin(found[1:], jumps).all()
        return
    low, high = accepted(first, second, 0.05)
    shift = LocationShift(first, second)
    assert found.low == (low if shift.p <= 0.05 else min(low, 0.0))
    assert found.high == (high if shift.p <= 0.05 else max(high, 0.0))
    pooled = StratifiedShift([(first, second)]).limits()
    assert pooled == pytest.approx(found, abs=1e-12)


def test_gains_of_a_minority_move_no_typical_case_though_the_test_rejects() -> None:
    gains, others = np.where(np.arange(60) < 18, 0.4, 0.0), np.zeros(80)
    shift = LocationShift(gains, others)
    assert shift.test.p < 1e-4
    assert shift.p == 1.0
    assert tuple(shift.limits()) == (0.0, 0.0, 0.0)
    assert shift.limits(1 - 2 * shift.test.p).low == 0.0


def test_a_step_that_ends_at_zero_is_not_shown() -> None:
    """Of three levels more than half of the pairs differ by 0.5 or more, nearly half by nothing."""
    first, second = np.ones(25), np.repeat([0.0, 0.5, 1.0], [4, 4, 7])
    shift = LocationShift(first, second)
    assert shift.test.p < 0.005
    found = shift.limits(0.95)
    assert (found.estimate, found.low, found.high) == (0.5, 0.0, 1.0)
    assert shift.p > 0.5


def test_a_loss_of_the_margin_in_everybody_is_the_margin() -> None:
    rng = np.random.default_rng(9)
    before = rng.normal(0.9, 0.03, 60).round(2)
    losses = before - (before - 0.02)
    assert tuple(LocationShift(losses, np.zeros(60)).limits()) == (0.02, 0.02, 0.02)
    mostly = np.where(np.arange(60) % 5, losses, losses + 0.01)
    assert tuple(LocationShift(mostly, np.zeros(60)).limits()) == (0.02, 0.02, 0.02)


@pytest.mark.parametrize("decimals", [2, 3])
def test_rounding_takes_no_power(decimals: int) -> None:
    rng = np.random.default_rng(10)
    whole, rounded = [], []
    for _ in range(100):
        first, second = rng.normal(0.9, 0.03, 54), rng.normal(0.88, 0.03, 30)
        whole.append(LocationShift(first, second).p <= 0.01)
        rounded.append(LocationShift(first.round(decimals), second.round(decimals)).p <= 0.01)
    assert abs(sum(whole) - sum(rounded)) <= 4


@pytest.mark.parametrize("decimals", [2, 3, 10])
def test_limits_sought_by_many_shifts_at_once_are_those_of_one_by_one(
    decimals: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(11)
    for number in range(40):
        first, second = (
            rng.beta(20, 2, size).round(decimals) - shift
            for size, shift in zip(rng.integers(10, 60, 2), (0.0, rng.choice([0.0, 0.05])), strict=True)
        )
        second[: number % 3] = 0.0
        found = [LocationShift(first, second).limits(level) for level in (0.8, 0.95, 0.999)]
        with monkeypatch.context() as patch:
            patch.setattr(shift_limits, "MOST_LISTED", 0)
            known = [LocationShift(first, second).limits(level) for level in (0.8, 0.95, 0.999)]
        np.testing.assert_allclose(found, known, atol=2e-9 if decimals < 10 else 0)


def test_groups_apart_have_the_same_degrees_of_freedom_however_far() -> None:
    """Of rounded scores each share below is computed: what spreads by rounding does not spread."""
    rng = np.random.default_rng(4)
    first, second = (rng.normal(0.9, 0.03, size).round(2) for size in (12, 8))
    shift = LocationShift(first, second)
    assert not shift.exact
    effect, se, df = shift.at(np.array([-0.9, -0.87654321, -0.3, 0.3, 0.87654321]))
    assert effect.round(12).tolist() == [1, 1, 1, 0, 0]
    np.testing.assert_allclose(se, 0.5 / 96)
    np.testing.assert_allclose(df, 18)
