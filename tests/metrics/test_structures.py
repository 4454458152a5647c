"""Which labels are scored: those that occur, unions of labels, and voxels that count for nothing.

The oracle everywhere is the same metric of one boolean mask a structure.
"""

from typing import Any

import numpy as np
import pytest
import torch

from fairseg.metrics import dice, hausdorff, score_case, volumes
from tests.metrics.shapes import Mask, random_pairs

METRICS = ("dice", "hd", "hd95", "assd", "nsd")
UNIONS: dict[str, tuple[int, ...]] = {"whole": (1, 2, 3), "core": (2, 3), "edema": (1,), "odd": (3, 1)}


def one_by_one(prediction: Mask, reference: Mask, structures: list[tuple[int, ...]], **options: Any) -> Any:
    """Score each structure as a mask of its own."""
    parts = [
        score_case(np.isin(prediction, values), np.isin(reference, values), labels=[1], **options)
        for values in structures
    ]
    return {metric: np.concatenate([part[metric] for part in parts]) for metric in METRICS}


def test_without_labels_those_that_occur_are_scored_in_their_order() -> None:
    prediction, reference = np.array([[0, 7, 7, 300]]), np.array([[2, 7, 0, 300]])
    for dtype in (np.uint16, np.int64, np.float64):
        assert dice(prediction.astype(dtype), reference.astype(dtype)).tolist() == [0.0, 2 / 3, 1.0]
    assert dice(torch.from_numpy(prediction), reference).tolist() == [0.0, 2 / 3, 1.0]
    assert dice(prediction > 0, reference > 0).tolist() == [2 * 2 / 6]
    np.testing.assert_allclose(
        volumes(prediction[None], spacing=(10.0, 10.0, 10.0)), [2.0, 1.0]
    )  # of one mask: its own


def test_every_function_without_labels_scores_those_that_occur() -> None:
    for prediction, reference, spacing in random_pairs(3, 60):
        there = np.union1d(prediction[prediction > 0], reference[reference > 0])
        scores = score_case(prediction, reference, spacing=spacing, metrics=METRICS, tolerance=1.0)
        if not there.size:
            continue
        each = [(value,) for value in there]
        expected = one_by_one(prediction, reference, each, spacing=spacing, metrics=METRICS, tolerance=1.0)
        for metric in METRICS:
            np.testing.assert_allclose(scores[metric], expected[metric])
        np.testing.assert_array_equal(hausdorff(prediction, reference, spacing=spacing), scores["hd"])


def test_masks_without_any_label_have_no_scores() -> None:
    nothing = np.zeros((3, 4), dtype=np.uint8)
    for values in score_case(nothing, nothing, metrics=METRICS, tolerance=1.0).values():
        assert values.shape == (0,)
        assert values.dtype == np.float64


@pytest.mark.parametrize("only", [("dice",), ("hd",), METRICS])
def test_a_union_is_scored_as_one_mask(only: tuple[str, ...]) -> None:
    for prediction, reference, spacing in random_pairs(5, 60):
        options: dict[str, Any] = {"spacing": spacing, "tolerance": 1.0}
        scores = score_case(prediction, reference, labels=UNIONS, metrics=only, **options)
        expected = one_by_one(prediction, reference, [*UNIONS.values()], metrics=METRICS, **options)
        for metric in only:
            np.testing.assert_allclose(scores[metric], expected[metric], atol=1e-12)


def test_unions_of_labels_that_are_large_or_absent() -> None:
    prediction = np.array([[0, 1_000_000, 5, 9]])
    reference = np.array([[5, 1_000_000, 9, 9]])
    labels = {"all": (1_000_000, 5, 9), "two": (5, 9), "none": (6, 77_777_777)}
    np.testing.assert_allclose(dice(prediction, reference, labels), [6 / 7, 4 / 5, np.nan])
    np.testing.assert_allclose(volumes(reference[None], labels, spacing=(10, 10, 10)), [4.0, 3.0, 0.0])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"a": (1, 2), "b": (2, 1)}, r"labels must differ, got \(2, 1\) twice"),
        ({"a": (1, 1)}, "labels must differ, got 1 twice .*'a'"),
        ({"a": ()}, "at least one label, got none .*'a'"),
        ({"a": (1, 0)}, "labels must be positive .*'a'"),
        ({"a": (1, 2.0)}, "labels must be integers, got 2.0"),
        ([(1, 2)], r"labels must be integers, got \(1, 2\)"),
    ],
)
def test_bad_unions(labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dice([[0, 1]], [[0, 1]], labels)


@pytest.mark.parametrize("ignore", [9, 255, -1])
def test_ignored_voxels_count_for_nothing(ignore: int) -> None:
    rng = np.random.default_rng(0)
    for prediction, reference, spacing in random_pairs(9, 60):
        hidden = rng.random(reference.shape) < 0.3
        given = np.where(hidden, ignore, reference.astype(np.int64))
        options: dict[str, Any] = {"labels": UNIONS, "spacing": spacing, "metrics": METRICS, "tolerance": 1.0}
        scores = score_case(prediction, given, ignore=ignore, **options)
        expected = score_case(np.where(hidden, 0, prediction), np.where(hidden, 0, reference), **options)
        for metric in METRICS:
            np.testing.assert_array_equal(scores[metric], expected[metric])


def test_a_prediction_that_is_perfect_where_annotated_has_dice_1() -> None:
    reference = np.array([[0, 1, 1, 9, 9, 2]])
    prediction = np.array([[0, 1, 1, 1, 2, 2]])
    assert dice(prediction, reference, [1, 2], ignore=9).tolist() == [1.0, 1.0]
    assert dice(prediction, reference, ignore=9).tolist() == [1.0, 1.0]  # 9 itself is no structure
    assert dice(torch.from_numpy(prediction), torch.from_numpy(reference), ignore=9).tolist() == [1.0, 1.0]
    assert dice(prediction, reference, [1, 2]).tolist() == [0.8, 2 / 3]


@pytest.mark.parametrize(
    ("ignore", "message"),
    [
        (0, "ignore must be an integer other than 0"),
        (True, "ignore must be an integer"),
        (1.0, "ignore must be an integer"),
        (2, "ignore must be none of the labels, got 2"),
    ],
)
def test_bad_ignore(ignore: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dice([[0, 1]], [[0, 1]], {"a": (1, 2)}, ignore=ignore)
    with pytest.raises(ValueError, match="same shape"):
        dice([[0, 1]], [[0], [1]], ignore=3)
