"""Hand-worked masks, empty ones, conventions of peers, and properties of the metrics."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from monai.metrics import compute_surface_dice

from fairseg.metrics import assd, dice, hausdorff, hd95, nsd, score_case, volumes
from tests.metrics.shapes import random_pairs

PREDICTION = np.array(
    [
        [0, 1, 1, 0, 0],
        [0, 1, 1, 0, 0],
        [0, 0, 0, 0, 2],
    ]
)
REFERENCE = np.array(
    [
        [0, 0, 1, 1, 0],
        [0, 0, 1, 1, 0],
        [2, 0, 0, 0, 0],
    ]
)


def test_hand_worked_masks() -> None:
    # Label 1: 4 voxels each, 2 shared. Label 2: one voxel each, four columns of 2 mm apart.
    assert dice(PREDICTION, REFERENCE, [1, 2]).tolist() == [0.5, 0.0]
    spacing = (5.0, 2.0)
    assert hausdorff(PREDICTION, REFERENCE, [1, 2], spacing=spacing).tolist() == [2.0, 8.0]
    # Label 1 has eight surface voxels, four of them 2 mm away from the other mask and four shared.
    assert assd(PREDICTION, REFERENCE, [1, 2], spacing=spacing).tolist() == [1.0, 8.0]
    assert nsd(PREDICTION, REFERENCE, [1, 2], spacing=spacing, tolerance=1.9).tolist() == [0.5, 0.0]
    assert nsd(PREDICTION, REFERENCE, [1, 2], spacing=spacing, tolerance=2.0).tolist() == [1.0, 0.0]
    assert hausdorff(PREDICTION, REFERENCE, [1], spacing=spacing, percentile=50).tolist() == [1.0]


@pytest.mark.parametrize("empty", ["nan", "diagonal"])
def test_empty_masks(empty: str) -> None:
    nothing = np.zeros_like(PREDICTION)
    diagonal = np.hypot(3 * 5.0, 5 * 2.0)
    miss = diagonal if empty == "diagonal" else np.nan
    for prediction, reference in ((PREDICTION, nothing), (nothing, PREDICTION)):
        scores = score_case(
            prediction, reference, labels=[1, 7], spacing=(5.0, 2.0), empty=empty, tolerance=1.0,
            metrics=("dice", "hd", "hd95", "assd", "nsd"),
        )  # fmt: skip
        assert list(scores) == ["dice", "hd", "hd95", "assd", "nsd"]
        np.testing.assert_array_equal(scores["dice"], [0.0, np.nan])
        np.testing.assert_array_equal(scores["nsd"], [0.0, np.nan])
        for metric in ("hd", "hd95", "assd"):
            np.testing.assert_allclose(scores[metric], [miss, np.nan])
    both = score_case(nothing, nothing, labels=[1], metrics=("dice", "hd", "nsd"), tolerance=0.0, empty=empty)
    assert all(np.isnan(values).all() for values in both.values())


def test_a_miss_costs_at_least_as_much_as_any_error() -> None:
    for prediction, reference, spacing in random_pairs(7, 200):
        missed = np.zeros_like(prediction)
        error = hausdorff(prediction, reference, [1, 2, 3], spacing=spacing)
        miss = hausdorff(missed, reference, [1, 2, 3], spacing=spacing, empty="diagonal")
        assert not (error > miss).any()


def test_single_functions_equal_score_case() -> None:
    for prediction, reference, spacing in random_pairs(11, 100):
        labels = {"c": 3, "a": 1}
        scores = score_case(
            prediction, reference, labels=labels, spacing=spacing, tolerance=1.5,
            metrics=("nsd", "assd", "hd95", "hd", "dice"),
        )  # fmt: skip
        single = {
            "nsd": nsd(prediction, reference, labels, spacing=spacing, tolerance=1.5),
            "assd": assd(prediction, reference, labels, spacing=spacing),
            "hd95": hd95(prediction, reference, labels, spacing=spacing),
            "hd": hausdorff(prediction, reference, labels, spacing=spacing),
            "dice": dice(prediction, reference, labels),
        }
        assert list(scores) == list(single)
        for metric, values in single.items():
            np.testing.assert_array_equal(scores[metric], values)


def brute_force_nsd(p: np.ndarray, r: np.ndarray, spacing: tuple[float, ...], tolerance: float) -> float:
    """Count by loops: surface voxels with a partner in reach, over all surface voxels."""

    def surface(mask: np.ndarray) -> list[np.ndarray]:
        result = []
        for index in np.argwhere(mask):
            for axis in range(mask.ndim):
                for step in (-1, 1):
                    beside = index.copy()
                    beside[axis] += step
                    outside = not 0 <= beside[axis] < mask.shape[axis]
                    if outside or not mask[tuple(beside)]:
                        result.append(index)
                        break
                else:
                    continue
                break
        return result

    a, b = surface(p), surface(r)
    near = 0
    for these, those in ((a, b), (b, a)):
        for index in these:
            nearest = min(np.linalg.norm((index - other) * spacing) for other in those)
            near += nearest <= tolerance
    return near / (len(a) + len(b))


def test_nsd_equals_explicit_loops() -> None:
    compared = 0
    for prediction, reference, spacing in random_pairs(21, 60):
        if prediction.size > 400:
            continue
        for label, result in enumerate(
            nsd(prediction, reference, [1, 2, 3], spacing=spacing, tolerance=2.1), 1
        ):
            p, r = prediction == label, reference == label
            if p.any() and r.any():
                assert result == pytest.approx(brute_force_nsd(p, r, spacing, 2.1), abs=1e-12)
                compared += 1
    assert compared > 30


@pytest.mark.filterwarnings("ignore:monai:FutureWarning", "ignore:the (prediction|ground truth) of class")
def test_nsd_equals_monai_where_the_definitions_meet() -> None:
    for prediction, reference, _ in random_pairs(31, 30):
        masks = [
            torch.from_numpy(np.stack([m == i for i in range(4)])[None]) for m in (prediction, reference)
        ]
        expected = compute_surface_dice(masks[0], masks[1], class_thresholds=[1.5] * 3)[0].numpy()
        actual = nsd(prediction, reference, [1, 2, 3], tolerance=1.5)
        # Both empty: NaN in both. One empty: ours is 0, MONAI's too.
        np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_volumes_in_millilitres() -> None:
    mask = np.zeros((4, 5, 6), dtype=np.uint8)
    mask[:2, :, :] = 3
    np.testing.assert_allclose(volumes(mask, {"a": 3, "b": 1}, spacing=(10, 2, 0.5)), [0.6, 0.0])
    with pytest.raises(ValueError, match="mask must have 3 axes"):
        volumes(mask[0], [1], spacing=(1, 1))


@given(
    masks=st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
        lambda shape: st.tuples(*[arrays(np.uint8, shape, elements=st.integers(0, 2))] * 2)
    ),
    spacing=st.tuples(*[st.floats(0.05, 20)] * 2),
    scale=st.floats(0.1, 10),
)
@settings(max_examples=150)
def test_symmetry_scale_and_order(
    masks: tuple[np.ndarray, np.ndarray], spacing: tuple[float, float], scale: float
) -> None:
    a, b = masks
    metrics = ("dice", "hd", "hd95", "assd")
    scores = score_case(a, b, labels=[1, 2], spacing=spacing, metrics=metrics)
    swapped = score_case(b, a, labels=[1, 2], spacing=spacing, metrics=metrics)
    turned = score_case(a.T, b.T, labels=[2, 1], spacing=spacing[::-1], metrics=metrics)
    padded = score_case(np.pad(a, 3), np.pad(b, 3), labels=[1, 2], spacing=spacing, metrics=metrics)
    larger = score_case(a, b, labels=[1, 2], spacing=np.array(spacing) * scale, metrics=metrics)
    for metric, values in scores.items():
        np.testing.assert_allclose(swapped[metric], values, rtol=1e-12)
        np.testing.assert_allclose(turned[metric][::-1], values, rtol=1e-12)
        np.testing.assert_allclose(padded[metric], values, rtol=1e-12)
        factor = 1.0 if metric == "dice" else scale
        np.testing.assert_allclose(larger[metric], values * factor, rtol=1e-9)
    assert not (scores["hd95"] > scores["hd"] + 1e-12).any()
    assert not (scores["assd"] > scores["hd"] + 1e-12).any()
    assert ((scores["hd"] == 0) == (scores["dice"] == 1)).all()


def test_extreme_spacing_costs_no_memory_and_stays_exact() -> None:
    prediction, reference = np.zeros((2, 6, 6, 6), dtype=np.uint8)
    prediction[1, 2, 3] = reference[4, 2, 5] = 1
    for spacing in ((1e-6, 1e-6, 1e6), (1e6, 1.0, 1e-6), (1e-3, 1e3, 1.0)):
        expected = np.linalg.norm(np.array([3, 0, 2]) * spacing)
        assert hausdorff(prediction, reference, [1], spacing=spacing)[0] == pytest.approx(expected)
