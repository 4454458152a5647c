"""Limits of changes of shares: a published example, coverage, and the difference of two."""

import numpy as np
import pytest

from fairseg.statistics.limits import Interval
from fairseg.statistics.paired_shares import difference_of, pooled_share_limits


def marks(both: int, only_first: int, only_second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    counts = both, only_first, only_second, neither
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


def of_one_sample(first: np.ndarray, second: np.ndarray) -> Interval:
    return pooled_share_limits([(first, second)], np.ones(1))


@pytest.mark.parametrize(
    ("table", "expected"),
    [  # Newcombe (1998), Statistics in Medicine 17, 2635, table III, method 10
        ((36, 12, 2, 0), (0.2, 0.0569, 0.3404)),
        ((20, 12, 2, 16), (0.2, 0.0562, 0.3292)),
    ],
)
def test_the_published_examples(table: tuple[int, int, int, int], expected: tuple[float, ...]) -> None:
    first, second = marks(*table)
    found = of_one_sample(second, first)  # Newcombe's difference is first minus second
    assert tuple(found) == pytest.approx(expected, abs=2e-3)


def test_limits_hold_the_truth() -> None:
    rng, held = np.random.default_rng(0), 0
    for _ in range(600):
        subject, noise = rng.normal(size=40), rng.normal(size=(2, 40))
        first, second = (subject + noise[model] < level for model, level in ((0, -1.5), (1, -0.8)))
        found = of_one_sample(first, second)
        held += found.low <= 0.28579 - 0.14442 <= found.high
    assert 0.93 <= held / 600 <= 0.99


def test_strata_of_one_kind_are_as_good_as_one_sample() -> None:
    """Of equal strata nothing is lost: the same table in three parts has the limits of the whole."""
    table = (6, 9, 3, 12)
    whole = of_one_sample(*marks(*table))
    parts = [marks(*(count // 3 for count in table))] * 3
    assert tuple(pooled_share_limits(parts, np.full(3, 5.0))) == pytest.approx(tuple(whole))
    unequal = pooled_share_limits(parts, np.array([8.0, 1.0, 1.0]))
    assert unequal.estimate == pytest.approx(whole.estimate)
    assert unequal.high - unequal.low > whole.high - whole.low


def test_nobody_changed_and_nobody_at_all() -> None:
    none = np.zeros(30, dtype=bool)
    found = of_one_sample(none, none)
    assert found.estimate == 0
    assert -0.12 < found.low < 0 < found.high < 0.12
    assert all(np.isnan(of_one_sample(none[:0], none[:0])))


def test_a_difference_is_as_wide_as_both_together() -> None:
    found = difference_of(Interval(0.3, 0.2, 0.5), Interval(0.1, 0.1 - 0.3, 0.1 + 0.4))
    assert found.estimate == pytest.approx(0.2)
    assert found.low == pytest.approx(0.2 - np.hypot(0.1, 0.4))
    assert found.high == pytest.approx(0.2 + np.hypot(0.2, 0.3))
