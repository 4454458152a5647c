"""Does what tells the groups go with Dice? Planted answers, alike ones, and the closed form by hand."""

import numpy as np
import pytest

from fairseg.understanding.associations import _refitted, associations, stratified_folds
from fairseg.understanding.readability import Readings, components_of, read_groups

IDS = np.repeat([0, 1], 40)
NAMES = ("A", "B")


def readings_of(views: dict[str, np.ndarray]) -> Readings:
    readings = read_groups(views, IDS, NAMES, permutations=199)
    assert all(row.shown for row in readings.rows)
    return readings


def test_a_view_predicts_dice_where_the_score_that_tells_the_groups_has_no_part_in_it() -> None:
    """A letter tells the groups, so the score is that of the letter; the width makes the errors."""
    rng = np.random.default_rng(0)
    width, letter = rng.normal(0, 1, 80), 3 * IDS[:, None] + rng.normal(0, 0.3, (80, 8))
    views = {"outside": np.column_stack([width, letter])}
    dice = 0.95 - 0.02 * width + rng.normal(0, 0.005, 80)
    (score,), (predicted,) = associations(readings_of(views), views, dice, IDS, NAMES, permutations=499)
    assert not score.shown
    assert predicted.shown
    assert predicted.correlation > 0.9
    assert not predicted.of_size


@pytest.mark.parametrize(("slope", "beyond"), [(0.0, False), (0.02, True)])
def test_what_follows_the_size_of_the_organ_is_said_to_be_of_it(slope: float, beyond: bool) -> None:
    rng = np.random.default_rng(1)
    one_pixel = rng.uniform(0.7, 0.9, 80)
    fat = rng.normal(0, 1, 80) + 2 * IDS
    views = {"box": np.column_stack([fat, 10 * one_pixel, rng.normal(0, 1, (80, 2))])}
    errors = rng.uniform(0.9, 1.1, 80)  # of about one pixel, alike in everybody
    dice = 1 - errors * (1 - one_pixel) - slope * fat
    options = {"one_pixel": one_pixel, "permutations": 499}
    _, (result,) = associations(readings_of(views), views, dice, IDS, NAMES, **options)
    assert result.shown
    assert result.of_size == (not beyond)
    _, (free,) = associations(readings_of(views), views, dice, IDS, NAMES, permutations=499)
    assert not free.of_size  # nobody said what the size is


def test_dice_of_one_group_alone_answers_nothing() -> None:
    rng = np.random.default_rng(2)
    views = {"outside": rng.normal(0, 1, (80, 3)) + 2 * IDS[:, None]}
    dice = np.where(IDS == 0, rng.normal(0.9, 0.02, 80), np.nan)
    assert associations(readings_of(views), views, dice, IDS, NAMES) == ([], [])


def test_dice_that_is_chance_is_seldom_said_to_go_with_anything() -> None:
    rng = np.random.default_rng(3)
    views = {str(n): rng.normal(0, 1, (80, 4)) + 2 * IDS[:, None] for n in range(4)}
    readings, shown = readings_of(views), 0
    for cohort in range(60):
        dice = np.random.default_rng(cohort).normal(0.9, 0.02, 80)
        scores, predictions = associations(readings, views, dice, IDS, NAMES, permutations=99, seed=cohort)
        shown += any(one.shown for one in (*scores, *predictions))
    assert shown <= 7  # of 60 at 5%; benchmarks/understand.py has more


def test_a_prediction_is_of_a_ridge_that_has_not_seen_the_fold() -> None:
    rng = np.random.default_rng(4)
    view, target = rng.normal(size=(40, 3)), rng.normal(size=40)
    scaled = (view - view.mean(axis=0)) / view.std(axis=0)
    left, size, _ = np.linalg.svd(scaled, full_matrices=False)
    folds = stratified_folds(np.repeat([0, 1], 20), rng)
    slow = np.zeros((len(folds), 40))
    for repeat, parts in enumerate(folds):
        for fold in range(5):
            train = parts != fold
            own = (left * size)[train]
            weights = np.linalg.solve(own.T @ own + (size**2).mean() * np.eye(3), own.T @ target[train])
            slow[repeat, ~train] = (left * size)[~train] @ weights
    result = _refitted(components_of(view)[:, 1:], folds) @ target
    np.testing.assert_allclose(result, slow.mean(axis=0), atol=1e-10)
