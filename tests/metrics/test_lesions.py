"""Lesions: matched by hand, against every possible pairing, and against panoptica where it is installed."""

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, gaussian_filter

from fairseg.metrics import lesion_dice, lesion_precision, lesion_recall, lesions, score_case
from tests.metrics.shapes import Mask, random_pairs

NAN = float("nan")
METRICS = ("lesion_dice", "lesion_precision", "lesion_recall")


def flood(mask: Mask) -> list[set[tuple[int, ...]]]:
    """Return the connected components as sets of voxels, grown from a seed by all neighbours."""
    left = set(map(tuple, np.argwhere(mask).tolist()))
    result = []
    while left:
        one = np.zeros(mask.shape, dtype=bool)
        one[min(left)] = True
        while True:
            more = binary_dilation(one, np.ones((3,) * mask.ndim)) & mask
            if (more == one).all():
                break
            one = more
        result.append(set(map(tuple, np.argwhere(one).tolist())))
        left -= result[-1]
    return result


def best_pairing(prediction: Mask, reference: Mask, min_iou: float) -> tuple[float, int, int, int]:
    """Return the greatest sum of Dice of all pairings, of equal sums with most pairs, and TP, P and R."""
    predicted, true = flood(prediction), flood(reference)
    indices = [*range(len(predicted)), *[-1] * len(true)]
    best = (0.0, 0)
    for order in set(permutations(indices, len(true))):
        total, pairs = 0.0, 0
        for lesion, index in zip(true, order, strict=True):
            if index < 0:
                continue
            common = len(lesion & predicted[index])
            if common and common / len(lesion | predicted[index]) >= min_iou:
                total += 2 * common / (len(lesion) + len(predicted[index]))
                pairs += 1
        best = max(best, (round(total, 9), pairs))
    return (*best, len(predicted), len(true))


def many(rng: np.random.Generator) -> Mask:
    """Draw a volume with lesions of all sizes, some of which touch."""
    field = gaussian_filter(rng.normal(size=(12, 20, 20)), 1.0)
    return np.asarray(field > np.quantile(field, 0.93))


@pytest.mark.parametrize("min_iou", [0.0, 0.1, 0.5])
def test_of_all_pairings_the_best_is_taken(min_iou: float) -> None:
    several = 0
    for prediction, reference, _ in random_pairs(61, 400):
        p, r = prediction == 1, reference == 1
        if not (len(flood(p)) <= 4 and len(flood(r)) <= 4):
            continue
        total, pairs, predicted, true = best_pairing(p, r, min_iou)
        result = lesions(prediction, reference, [1], min_iou=min_iou)[1]
        assert (result.found.sum(), result.true.sum()) == (pairs, pairs)
        assert (len(result.prediction_voxels), len(result.reference_voxels)) == (predicted, true)
        assert result.pair_dice.sum() == pytest.approx(total)
        assert sorted(result.reference_voxels) == sorted(map(len, flood(r)))
        number = predicted + true - pairs
        assert lesion_dice(prediction, reference, [1], min_iou=min_iou)[0] == pytest.approx(
            total / number if number else NAN, nan_ok=True
        )
        several += predicted > 1 and true > 1
    assert several > 20


def test_by_hand() -> None:
    """One lesion found exactly, one split, one merged with its neighbour, one missed, one made up."""
    reference = np.array([[1, 1, 0, 1, 1, 1, 1, 1, 0, 1, 1, 0, 1, 0, 1, 0, 0]])
    prediction = np.array([[1, 1, 0, 1, 1, 1, 0, 1, 0, 1, 1, 1, 1, 0, 0, 0, 1]])
    result = lesions(prediction, reference, {"lesion": 1})["lesion"]
    assert result.reference_voxels.tolist() == [2, 5, 2, 1, 1]
    assert result.prediction_voxels.tolist() == [2, 3, 1, 4, 1]
    assert result.partner.tolist() == [0, 1, 3, -1, -1]
    np.testing.assert_allclose(result.pair_dice, [1.0, 6 / 8, 4 / 6, 0.0, 0.0])
    assert result.true.tolist() == [True, True, False, True, False]
    assert result.recall == 3 / 5
    assert result.precision == 3 / 5
    assert result.dice == pytest.approx((1 + 6 / 8 + 4 / 6) / 7)
    strict = score_case(prediction, reference, labels=[1], metrics=METRICS, min_iou=0.6)
    assert strict["lesion_recall"].tolist() == [2 / 5]  # the merged one has an IoU of 0.5


def test_voxels_that_share_a_corner_are_one_lesion() -> None:
    corner = np.array([[1, 0], [0, 1]])
    assert lesions(corner, corner)[1].reference_voxels.tolist() == [2]
    cube = np.zeros((2, 2, 2), dtype=int)
    cube[0, 0, 0] = cube[1, 1, 1] = 1
    assert lesions(cube, cube)[1].reference_voxels.tolist() == [2]
    assert lesions([[1, 0, 1]], [[1, 0, 1]])[1].reference_voxels.tolist() == [1, 1]


def test_one_partner_each_where_the_threshold_leaves_a_choice() -> None:
    reference = np.array([[1, 1, 1, 1, 0, 1, 1, 1, 1]])
    prediction = np.array([[0, 0, 1, 1, 1, 1, 0, 0, 0]])
    assert lesion_recall(prediction, reference, [1], min_iou=0.0).tolist() == [0.5]
    assert lesion_precision(prediction, reference, [1], min_iou=0.0).tolist() == [1.0]
    # The greatest sum, not the greatest single pair: 2/3 + 2/3 against 4/5 and nothing.
    one, other = np.zeros((2, 1, 20), dtype=int)
    one[0, 4:7] = one[0, 8:11] = 1
    other[0, [0, 1, 2, 3, 4, 5]] = other[0, 7:12] = 1
    assert lesions(one, other, min_iou=0.0)[1].found.tolist() == [True, True]


def test_empty_masks() -> None:
    nothing, something = np.zeros((3, 4), dtype=np.uint8), np.eye(3, 4, dtype=np.uint8)
    cases = {"missed": (nothing, something), "made up": (something, nothing), "neither": (nothing, nothing)}
    expected = {"missed": [0.0, 0.0, 0.0], "made up": [0.0, 0.0, NAN], "neither": [NAN] * 3}
    for name, (prediction, reference) in cases.items():
        scores = score_case(prediction, reference, labels=[1], metrics=METRICS)
        np.testing.assert_array_equal([scores[metric][0] for metric in METRICS], expected[name])
        for function, metric in zip((lesion_dice, lesion_precision, lesion_recall), METRICS, strict=True):
            np.testing.assert_array_equal(function(prediction, reference, [1]), scores[metric])
    assert lesions(nothing, nothing) == {}


def test_unions_and_ignored_voxels() -> None:
    reference = np.array([[1, 2, 9, 2, 0, 1]])
    prediction = np.array([[1, 2, 2, 2, 0, 2]])
    labels = {"all": (1, 2), "core": (2,)}
    result = lesions(prediction, reference, labels, ignore=9)
    assert result["all"].reference_voxels.tolist() == [2, 1, 1]  # cut in two by what is ignored
    assert result["all"].recall == 1.0
    assert result["core"].true.tolist() == [True, True, False]
    assert lesion_recall(prediction, reference, labels).tolist() == [2 / 3, 0.0]  # 9 is then no structure


@pytest.mark.parametrize("min_iou", [-0.1, 1.1, NAN])
def test_a_threshold_outside_of_0_to_1_is_refused(min_iou: float) -> None:
    for call in (lesions, lesion_dice, lesion_precision, lesion_recall):
        with pytest.raises(ValueError, match="min_iou must be a number from 0 to 1"):
            call([[1]], [[1]], min_iou=min_iou)
    with pytest.raises(ValueError, match="min_iou must be a number from 0 to 1"):
        score_case([[1]], [[1]], metrics=METRICS, min_iou=min_iou)


@pytest.mark.parametrize("min_iou", [0.05, 0.5])
def test_counts_and_dice_equal_panopticas(min_iou: float) -> None:
    """With its bipartite matching on Dice, which an IoU of t reaches at 2 t / (1 + t), and 26 neighbours."""
    panoptica: Any = pytest.importorskip("panoptica", reason="make test installs it")
    evaluator = panoptica.Panoptica_Evaluator(
        expected_input=panoptica.InputType.SEMANTIC,
        instance_approximator=panoptica.ConnectedComponentsInstanceApproximator(),
        instance_matcher=panoptica.MaxBipartiteMatching(
            matching_metric=panoptica.Metric.DSC, matching_threshold=2 * min_iou / (1 + min_iou) - 1e-12
        ),
        instance_metrics=[panoptica.Metric.DSC],
        global_metrics=[],
    )
    rng = np.random.default_rng(67)
    seen = []
    for _ in range(25):
        r = many(rng)
        p = np.where(many(rng) & (rng.random() < 0.5), 1, np.roll(r, 1, axis=rng.integers(3)))
        p, r = p.astype(np.uint8), r.astype(np.uint8)
        expected = evaluator.evaluate(p, r, verbose=False)["ungrouped"]
        result = lesions(p, r, [1], min_iou=min_iou)[1]
        counts = (len(result.prediction_voxels), len(result.reference_voxels), result.found.sum())
        assert counts == (expected.n_pred_instances, expected.n_ref_instances, expected.tp)
        assert (result.true.sum(), (~result.true).sum()) == (expected.tp, expected.fp)
        if expected.tp:
            total = expected.sq_dsc * expected.tp
            assert result.dice == pytest.approx(total / (expected.tp + expected.fp + expected.fn))
        seen.append((expected.tp, expected.fp, expected.fn))
    assert (np.sum(seen, axis=0) > 20).all()
