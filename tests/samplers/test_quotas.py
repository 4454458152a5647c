"""The promise of the quotas: no group is ever one whole sample off its share."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseg.samplers.quotas import Quotas, share_weights

COUNTS = st.lists(st.one_of(st.integers(1, 5), st.integers(1, 10**7)), min_size=1, max_size=12)
BALANCE = st.one_of(st.sampled_from([0.0, 0.25, 0.3, 1.0]), st.floats(0, 1))


def test_shares_by_hand() -> None:
    # equal: 1/2, 1/2. natural: 3/4, 1/4. between, at 0.3: 0.15 + 0.7 * 3/4 = 0.675 and 0.325.
    assert share_weights([300, 100], 1.0) == [1, 1]
    assert share_weights([300, 100], 0.0) == [3, 1]
    assert share_weights([300, 100], 0.3) == [27, 13]


def test_a_batch_of_four_for_three_groups_by_hand() -> None:
    quotas, remainders = Quotas([1, 1, 1], 4).divide(np.zeros(3, dtype=np.int64), 3)
    assert quotas.tolist() == [[2, 1, 1], [1, 2, 1], [1, 1, 2]]
    assert remainders.tolist() == [0, 0, 0]


@given(COUNTS, BALANCE, st.integers(1, 70), st.integers(0, 100))
def test_every_prefix_is_within_one_sample_of_the_share(
    counts: list[int], balance: float, batch_size: int, seed: int
) -> None:
    weights = share_weights(counts, balance)
    assert min(weights) > 0 or balance == 0
    quotas = Quotas(weights, batch_size)
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(len(counts)), (40, 1)), axis=1)
    divided, _ = quotas.divide(quotas.no_remainders(), 40, order)
    assert (divided >= 0).all()
    assert (divided.sum(axis=1) == batch_size).all()
    for step, had in enumerate(divided.cumsum(axis=0).tolist(), start=1):
        for weight, count in zip(weights, had, strict=True):
            assert abs(count - Fraction(weight, sum(weights)) * step * batch_size) < 1


@given(COUNTS, BALANCE, st.integers(1, 30), st.integers(0, 30))
def test_remainders_are_the_whole_state(
    counts: list[int], balance: float, batch_size: int, step: int
) -> None:
    quotas = Quotas(share_weights(counts, balance), batch_size)
    whole, _ = quotas.divide(quotas.no_remainders(), 31)
    first, remainders = quotas.divide(quotas.no_remainders(), step)
    again = quotas.as_remainders([int(remainder) for remainder in remainders])
    second, _ = quotas.divide(again, 31 - step)
    np.testing.assert_array_equal(np.concatenate((first, second)), whole)


def test_weights_that_no_int64_holds_are_still_exact() -> None:
    weights = [10**30 + 1, 10**30, 3]
    divided, _ = Quotas(weights, 7).divide(Quotas(weights, 7).no_remainders(), 50)
    for step, had in enumerate(divided.cumsum(axis=0).tolist(), start=1):
        for weight, count in zip(weights, had, strict=True):
            assert abs(count - Fraction(weight, sum(weights)) * step * 7) < 1


@pytest.mark.parametrize(
    ("weights", "rule"),
    [([1, 1, 1, 9, 9], "largest remainder"), ([1, 1, 4, 3], "any order"), ([4, 9, 5, 4], "largest share")],
)
def test_other_rules_break_the_promise_where_ours_keeps_it(weights: list[int], rule: str) -> None:
    """One sample a batch. Rules that look natural leave nobody to serve, or somebody too late."""
    total = sum(weights)
    quotas = Quotas(weights, 1)
    divided, remainders = quotas.divide(quotas.no_remainders(), total)
    steps = np.arange(1, total + 1)[:, None]
    assert (divided.sum(axis=1) == 1).all()
    assert np.abs(divided.cumsum(axis=0) * total - steps * np.array(weights)).max() < total
    assert not remainders.any()
    due, kept = np.zeros(len(weights), dtype=int), True
    for _ in range(total):
        due += weights
        must, may = np.flatnonzero(due >= total), np.flatnonzero(due > 0)
        kept &= must.size <= 1
        by = {
            "largest remainder": -due,
            "any order": np.arange(due.size),
            "largest share": -np.array(weights),
        }
        chosen = must[0] if must.size else may[np.argsort(by[rule][may], kind="stable")[0]]
        due[chosen] -= total
    assert not kept, f"{rule} keeps the promise: choose a harder case"


def test_shares_between_are_exact() -> None:
    weights = share_weights([3, 1], 0.1234567)
    mix = Fraction("0.1234567")
    assert Fraction(weights[0], sum(weights)) == mix / 2 + (1 - mix) * Fraction(3, 4)


def test_weights_near_the_limit_of_int64_are_exact() -> None:
    weights = [2**58 + 1, 2**57, 3]
    quotas = Quotas(weights, 1000)
    divided, _ = quotas.divide(quotas.no_remainders(), 20)
    for step, had in enumerate(divided.cumsum(axis=0).tolist(), start=1):
        for weight, count in zip(weights, had, strict=True):
            assert abs(count - Fraction(weight, sum(weights)) * step * 1000) < 1
