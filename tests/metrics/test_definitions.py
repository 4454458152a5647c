"""Each metric by its definition in explicit loops, as MetricsReloaded (Maier-Hein et al. 2024) writes them.

There a surface is what an erosion by the face neighbours takes away, distances run from each voxel of one
surface to the nearest of the other, HD95 is the larger of the two directed 95th percentiles, MASD the mean
of the two directed means. What installed peers compute is compared too: MONAI, and surface-distance where its
definition meets these.
"""

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import surface_distance
import torch
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance
from scipy.ndimage import binary_erosion

from fairseg.metrics import assd, hausdorff, hd95, iou, masd, precision, recall, score_case, volume_error
from tests.metrics.shapes import Mask, random_pairs

LABELS = (1, 2, 3)
COUNTED = {"iou": iou, "precision": precision, "recall": recall, "volume_error": volume_error}
NAN = float("nan")


def directed(first: Mask, second: Mask, spacing: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """Return the distance of each surface voxel of `first` to the nearest of `second`, by loops."""
    surfaces = [np.argwhere(mask & ~binary_erosion(mask)) * spacing for mask in (first, second)]
    return np.array([np.sqrt(((surfaces[1] - index) ** 2).sum(axis=1)).min() for index in surfaces[0]])


def test_distances_equal_explicit_loops() -> None:
    compared = 0
    for prediction, reference, spacing in random_pairs(41, 150):
        names = ("hd95", "hd95_pooled", "masd", "assd")
        scores = score_case(prediction, reference, labels=LABELS, spacing=spacing, metrics=names)
        for index, label in enumerate(LABELS):
            p, r = prediction == label, reference == label
            if not p.any() or not r.any():
                assert np.isnan([values[index] for values in scores.values()]).all()
                continue
            there, back = directed(p, r, spacing), directed(r, p, spacing)
            both = np.concatenate([there, back])
            expected = {
                "hd95": max(np.percentile(there, 95), np.percentile(back, 95)),
                "hd95_pooled": np.percentile(both, 95),
                "masd": (there.mean() + back.mean()) / 2,
                "assd": both.mean(),
            }
            for metric, value in expected.items():
                assert scores[metric][index] == pytest.approx(value, abs=1e-9)
            compared += abs(expected["hd95"] - expected["hd95_pooled"]) > 1e-6
    assert compared > 100


def test_single_functions_equal_score_case() -> None:
    for prediction, reference, spacing in random_pairs(43, 60):
        options: dict[str, Any] = {"labels": LABELS, "spacing": spacing}
        scores = score_case(prediction, reference, metrics=("hd95", "hd95_pooled", "masd"), **options)
        np.testing.assert_array_equal(hd95(prediction, reference, **options), scores["hd95"])
        pooled = hd95(prediction, reference, directed="pooled", **options)
        np.testing.assert_array_equal(pooled, scores["hd95_pooled"])
        np.testing.assert_array_equal(masd(prediction, reference, **options), scores["masd"])
        half = hausdorff(prediction, reference, percentile=50.0, **options)
        for index, label in enumerate(LABELS):
            p, r = prediction == label, reference == label
            if p.any() and r.any():
                medians = [np.median(directed(one, two, spacing)) for one, two in ((p, r), (r, p))]
                assert half[index] == pytest.approx(max(medians), abs=1e-9)


@pytest.mark.filterwarnings("ignore:monai:FutureWarning", "ignore:the (prediction|ground truth) of class")
def test_hd95_and_directed_means_equal_monais() -> None:
    compared = 0
    for prediction, reference, spacing in random_pairs(47, 40):
        masks = [
            torch.from_numpy(np.stack([m == i for i in range(4)])[None]) for m in (prediction, reference)
        ]
        options: dict[str, Any] = {"spacing": list(spacing)}
        expected = compute_hausdorff_distance(*masks, percentile=95, **options)[0].numpy()
        there = compute_average_surface_distance(*masks, **options)[0].numpy()
        back = compute_average_surface_distance(masks[1], masks[0], **options)[0].numpy()
        actual = score_case(prediction, reference, labels=LABELS, spacing=spacing, metrics=("hd95", "masd"))
        known = ~np.isnan(actual["hd95"])
        np.testing.assert_allclose(actual["hd95"][known], expected[known], rtol=1e-5)
        np.testing.assert_allclose(actual["masd"][known], (there + back)[known] / 2, rtol=1e-5)
        compared += known.sum()
    assert compared > 40


@pytest.mark.filterwarnings("ignore:.*from the `scipy.ndimage` namespace:DeprecationWarning")
def test_hd95_of_flat_faces_equals_surface_distance() -> None:
    """Its surface lies between voxels; of two boxes that differ by moved faces the distances are the same."""
    reference, prediction = np.zeros((2, 30, 30), dtype=bool)
    reference[5:20, 5:20] = True
    for move in (1, 2, 4):
        prediction[:] = False
        prediction[5 : 20 + move, 5:20] = True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = surface_distance.compute_surface_distances(reference, prediction, (2.0, 1.0))
        expected = surface_distance.compute_robust_hausdorff(result, 95)
        assert (
            hd95(prediction, reference, [1], spacing=(2.0, 1.0))[0] == pytest.approx(expected) == 2.0 * move
        )


@pytest.mark.filterwarnings("ignore:.*from the `scipy.ndimage` namespace:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:monai:FutureWarning")
def test_hd95_is_not_surface_distances_which_weighs_by_area() -> None:
    reference, prediction = np.zeros((2, 30, 30), dtype=bool)
    reference[5:20, 5:20] = prediction[5:20, 5:20] = True
    prediction[8:10, 20:26] = True  # a spur: more of the surface's voxels than of its area
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = surface_distance.compute_surface_distances(reference, prediction, (1.0, 3.0))
    expected = surface_distance.compute_robust_hausdorff(result, 95)
    masks = [torch.from_numpy(mask)[None, None] for mask in (prediction, reference)]
    options: dict[str, Any] = {"include_background": True, "spacing": [1.0, 3.0]}
    monais = compute_hausdorff_distance(*masks, percentile=95, **options).item()
    assert hd95(prediction, reference, [1], spacing=(1.0, 3.0))[0] == pytest.approx(monais)
    assert abs(monais - expected) > 0.5


def test_metrics_of_counts_equal_explicit_loops() -> None:
    for prediction, reference, _ in random_pairs(53, 60):
        scores = score_case(prediction, reference, labels=LABELS, metrics=tuple(COUNTED))
        for index, label in enumerate(LABELS):
            pairs = list(zip(prediction.ravel() == label, reference.ravel() == label, strict=True))
            tp = sum(p and r for p, r in pairs)
            fp = sum(p and not r for p, r in pairs)
            fn = sum(r and not p for p, r in pairs)
            if not tp + fp + fn:
                expected = dict.fromkeys(COUNTED, NAN)
            else:
                expected = {
                    "iou": tp / (tp + fp + fn),
                    "precision": tp / (tp + fp) if tp + fp else 0.0,
                    "recall": tp / (tp + fn) if tp + fn else 0.0,
                    "volume_error": (fp - fn) / (tp + fn) if tp + fn else NAN,
                }
            for metric, value in expected.items():
                assert scores[metric][index] == pytest.approx(value, abs=1e-12, nan_ok=True)
        for metric, function in COUNTED.items():
            np.testing.assert_array_equal(function(prediction, reference, LABELS), scores[metric])


def test_who_is_over_and_who_is_under_segmented_by_hand() -> None:
    reference = np.array([[1, 1, 1, 1, 2, 2, 3, 0]])
    prediction = np.array([[1, 1, 0, 0, 2, 2, 2, 4]])
    labels = [1, 2, 3, 4, 5]
    assert volume_error(prediction, reference, labels)[:3].tolist() == [-0.5, 0.5, -1.0]
    np.testing.assert_array_equal(volume_error(prediction, reference, labels)[3:], [NAN, NAN])
    np.testing.assert_array_equal(precision(prediction, reference, labels), [1.0, 2 / 3, 0.0, 0.0, NAN])
    np.testing.assert_array_equal(recall(prediction, reference, labels), [0.5, 1.0, 0.0, 0.0, NAN])
    np.testing.assert_array_equal(iou(prediction, reference, labels), [0.5, 2 / 3, 0.0, 0.0, NAN])
    assert iou(prediction, reference, {"all": (1, 2)}, ignore=3).tolist() == [4 / 6]


def test_empty_masks_of_masd_follow_the_option() -> None:
    nothing, something = np.zeros((3, 4), dtype=np.uint8), np.eye(3, 4, dtype=np.uint8)
    for empty, miss in (("nan", NAN), ("diagonal", 5.0)):
        np.testing.assert_array_equal(masd(nothing, something, [1, 2], empty=empty), [miss, NAN])
    assert masd(something, something, [1]).tolist() == [0.0]
    assert masd([[1, 1, 0, 0]], [[0, 0, 0, 1]]) != assd([[1, 1, 0, 0]], [[0, 0, 0, 1]])


def test_a_direction_that_is_not_known_is_refused() -> None:
    wrong: Any = "both"
    for call in (hd95, hausdorff):
        with pytest.raises(ValueError, match='directed must be "max" or "pooled", got \'both\''):
            call([[1]], [[1]], directed=wrong)
