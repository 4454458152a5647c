"""Duplicates, scales and percentages."""

import warnings

import numpy as np
import pytest

from fairseg.statistics.score_checks import (
    duplicate_rows,
    look_like_percentages,
    scale_ratios,
    uneven_cases,
)


def test_every_subject_five_times() -> None:
    rng = np.random.default_rng(0)
    scores = rng.beta(20, 2, (40, 3))
    found = duplicate_rows(np.tile(scores, (5, 1)))
    assert len(found) == 40
    assert found[0] == (0, 40, 80, 120, 160)


def test_round_scores_are_no_evidence() -> None:
    rng = np.random.default_rng(0)
    assert duplicate_rows(rng.beta(20, 2, 300).round(2)) == ()
    assert duplicate_rows(np.zeros(20)) == ()
    assert duplicate_rows(rng.beta(20, 2, (300, 2))) == ()
    assert duplicate_rows(np.full((4, 2), np.nan)) == ()
    assert duplicate_rows([[0.5, 0.123456789], [0.5, 0.123456789], [0.6, 0.123456789]]) == ((0, 1),)
    assert duplicate_rows([[np.nan, 0.123456789], [np.nan, 0.123456789]]) == ((0, 1),)


@pytest.mark.parametrize("decimals", [2, 3, 4])
def test_what_is_computed_of_round_scores_is_no_evidence(decimals: int) -> None:
    """Of 300 rounded scores many agree, and so do their IoU, and the means of pairs of them."""
    rng = np.random.default_rng(7)
    dice = rng.normal(0.9, 0.01, (2000, 3)).round(decimals)
    made = [dice[:, 0] / (2 - dice[:, 0]), 2 * dice[:, 0] / (1 + dice[:, 0]), dice[:, 0].astype(np.float32)]
    made += [dice[:, :2].mean(1), dice.mean(1) * 100 / 100, np.stack([dice.mean(1), dice[:, 0]], axis=1)]
    for scores in made:
        assert duplicate_rows(scores) == ()
        assert len(np.unique(scores, axis=0)) < 2000
    # Of one small lesion, whose Dice 6 / 7 tells nothing, the mean with another's is no evidence either.
    assert duplicate_rows([[6 / 7, (6 / 7 + 112 / 131) / 2]] * 2) == ()
    exact = rng.normal(0.9, 0.01, 2000)
    assert len(duplicate_rows(np.r_[exact, exact])) == 2000
    assert len(duplicate_rows(np.r_[exact, exact] / (2 - np.r_[exact, exact]))) == 2000


@pytest.mark.parametrize("precision", [np.float64, np.float32])
def test_small_lesions_that_agree_by_chance_are_no_evidence(precision: type) -> None:
    """Of 300 lesions of 30 to 200 voxels dozens have the Dice of another, such as 6 / 7."""
    rng = np.random.default_rng(2)
    reference = rng.integers(30, 200, 300)
    overlap, beside = rng.binomial(reference, 0.85), rng.binomial(reference, 0.15)
    dice = (2 * overlap / (reference + overlap + beside)).astype(precision)
    assert np.unique(dice).size < 280
    assert duplicate_rows(dice) == ()
    assert duplicate_rows(np.stack([dice, np.full(300, 26**0.5)], axis=1)) == ()  # voxels away
    more = np.tile(np.stack([dice, rng.random(300), rng.random(300)], axis=1), (2, 1))
    assert len(duplicate_rows(more)) == 300
    of_many = rng.normal(0.9, 0.03, 4000).astype(np.float32)
    assert np.unique(of_many).size < 4000
    assert duplicate_rows(of_many) == ()


def test_distances_of_one_group_in_cm() -> None:
    rng = np.random.default_rng(1)
    mm = rng.gamma(5, 2, 80)
    ids = np.repeat([0, 1], 40)
    (found,) = scale_ratios(np.where(ids == 1, mm / 10, mm), ids)
    assert (found.larger, found.smaller) == (0, 1)
    assert 8 < found.ratio < 12
    assert scale_ratios(np.where(ids == 1, mm * 2, mm), ids) == ()
    assert scale_ratios(np.where(rng.random(80) < 0.3, mm * 20, mm), ids) == ()
    assert scale_ratios([8.0, 0.8], [0, 1]) == ()
    # A model that fails a group has larger distances there, and as much larger 1 - Dice; cm for mm has not.
    assert scale_ratios(np.where(ids == 1, mm * 12, mm), ids, np.where(ids == 1, 0.3, 0.9)) == ()
    assert scale_ratios(np.where(ids == 1, mm * 12, mm), ids, np.where(ids == 1, 0.88, 0.9))
    assert scale_ratios([np.nan] * 4, [0, 0, 1, -1]) == ()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for lacking in (0, 1):  # nobody of the group has a Dice, which then explains nothing
            overlap = np.where(ids == lacking, np.nan, 0.9)
            assert len(scale_ratios(np.where(ids == 1, mm / 10, mm), ids, overlap)) == 1


def test_percentages() -> None:
    assert look_like_percentages([0.0, 88.2, np.nan])
    assert not look_like_percentages([0.0, 1.0])
    assert not look_like_percentages([200.0, 30.0])
    assert not look_like_percentages([np.nan])


def test_several_cases_of_a_subject_in_one_group_only() -> None:
    ids = np.repeat([0, 1, 2, -1], [10, 10, 4, 10])
    cases = np.where(ids == 1, 4.0, np.where(ids == 0, 1.0, 9.0))
    assert uneven_cases(cases, ids) == (1, 0, 4.0, 1.0)  # neither few subjects nor those of unknown group
    assert uneven_cases(np.full(34, 2.0), ids) is None
    assert uneven_cases(np.where(np.arange(34) % 10, 2.0, np.nan), ids) is None
    assert (
        uneven_cases(np.where(np.arange(34) == 3, 1.0, 2.0), ids) is None
    )  # a case is missing here and there
    assert uneven_cases([1.0, 2.0], np.array([0, 1])) is None
