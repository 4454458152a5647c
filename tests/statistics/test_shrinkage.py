"""Shrunken estimates, against published and hand-worked ones."""

import numpy as np
import pytest

from fairseg.statistics.shrinkage import shrink


def test_eight_schools() -> None:
    """Gelman et al., Bayesian Data Analysis, 3rd edition, section 5.5: about 11, 8, 6, 8, 5, 6, 10, 8."""
    found = shrink([28, 8, -3, 7, -1, 1, 18, 12], [15, 10, 16, 11, 9, 11, 10, 18])
    np.testing.assert_allclose(found.estimate, [11, 8, 6, 8, 5, 6, 10.5, 8.5], atol=0.6)
    assert found.centre == pytest.approx(8, abs=0.3)
    assert found.spread == pytest.approx(6.6, abs=0.4)
    assert (found.low[0], found.high[0]) == pytest.approx((-2, 31), abs=1.0)


def test_a_case_worked_by_hand() -> None:
    """Far apart beside their errors, all groups keep their means; alike, the precise ones decide."""
    apart = shrink([0.0, 10.0, 20.0, 30.0], [0.01] * 4)
    np.testing.assert_allclose(apart.estimate, [0, 10, 20, 30], atol=1e-3)
    np.testing.assert_allclose(apart.high - apart.low, 2 * 1.96 * 0.01, rtol=0.01)
    # Errors 1 and 1 and 3, spread 2: weights 1/5, 1/5, 1/13, centre (4/5 + 6/5 + 20/13) / (31/65) = 7.419;
    # the third is drawn by 9/13: 20 - 9/13 * 12.581 = 11.290. The whole is between spreads around that.
    found = shrink([4.0, 6.0, 20.0], [1.0, 1.0, 3.0])
    assert 7.4 < found.centre < 11
    assert 11.29 < found.estimate[2] < 20
    assert 4 < found.estimate[0] < 5


def test_given_spread_zero_all_groups_share_the_weighted_mean() -> None:
    found = shrink([1.0, 1.1, 0.9, 1.0], [1.0, 2.0, 2.0, 1.0])
    np.testing.assert_allclose(found.estimate, 1.0, atol=0.03)
    assert (found.high - found.low)[1] < 2 * 1.96 * 2.0


def test_a_group_without_subjects_stays_empty_and_two_groups_are_too_few() -> None:
    found = shrink([0.9, np.nan, 0.8, 0.85], [0.1, np.nan, 0.1, 0.1])
    assert np.isnan(found.estimate).tolist() == [False, True, False, False]
    with pytest.raises(ValueError, match="means must be of at least 3 groups"):
        shrink([0.9, 0.8], [0.1, 0.1])
    with pytest.raises(ValueError, match="standard_errors must be above 0"):
        shrink([0.9, 0.8, 0.7], [0.1, 0.0, 0.1])
