"""Dice, HD, pooled HD95, ASSD, IoU, precision and recall equal medpy's to 1e-9 wherever medpy has a value.

The known difference of convention: where both masks are empty medpy's `dc` is 1 or NaN, as the version
of NumPy has it, and its distances raise; ours are NaN.
"""

from collections.abc import Sequence

import numpy as np
import pytest
from medpy.metric import binary

from fairseg.metrics import score_case
from fairseg.metrics import surface as kernel
from tests.metrics.shapes import Mask, blobs, random_pairs

LABELS = (1, 2, 3)
SHARES = {"dice": binary.dc, "iou": binary.jc}
RATES = {"precision": binary.precision, "recall": binary.recall}  # NaN there where one mask is empty
DISTANCES = {"hd": binary.hd, "hd95_pooled": binary.hd95, "assd": binary.assd}


def compare(prediction: Mask, reference: Mask, spacing: Sequence[float]) -> int:
    """Compare every label with medpy; return how many had distances."""
    metrics = (*SHARES, *RATES, *DISTANCES)
    scores = score_case(prediction, reference, labels=LABELS, spacing=spacing, metrics=metrics)
    only_hd = score_case(prediction, reference, labels=LABELS, spacing=spacing)["hd"]
    np.testing.assert_array_equal(only_hd, scores["hd"])
    compared = 0
    for index, label in enumerate(LABELS):
        p, r = prediction == label, reference == label
        result = {metric: values[index] for metric, values in scores.items()}
        if not p.any() and not r.any():
            assert all(np.isnan(value) for value in result.values())
            continue
        for metric, expected in SHARES.items():
            assert result[metric] == pytest.approx(expected(p, r), abs=1e-12)
        if not p.any() or not r.any():
            assert np.isnan([result[metric] for metric in DISTANCES]).all()
            continue
        for metric, expected in RATES.items():
            assert result[metric] == pytest.approx(expected(p, r), abs=1e-12)
        for metric, expected in DISTANCES.items():
            assert result[metric] == pytest.approx(expected(p, r, spacing), rel=0, abs=1e-9)
        compared += 1
    return compared


@pytest.mark.parametrize("seed", range(8))
def test_random_pairs(seed: int) -> None:
    assert sum(compare(*pair) for pair in random_pairs(seed, 300)) > 300


def test_named_pairs() -> None:
    disc = np.hypot(*np.mgrid[-9:10, -9:10]) < 7
    small = np.hypot(*np.mgrid[-9:10, -9:10]) < 3
    nothing, corner = np.zeros_like(disc), np.zeros_like(disc)
    corner[0, 0] = True
    pairs = {
        "nested": (disc, small),
        "ring around a disc": (disc & ~small, small),
        "equal": (disc, disc),
        "disjoint": (corner, small),
        "corner to corner": (corner, corner[::-1, ::-1]),
        "whole image": (~nothing, disc),
        "all edges": (~disc, ~small),
    }
    for p, r in pairs.values():
        for prediction, reference in ((p, r), (r, p), (np.stack([p, nothing, r]), np.stack([r, p, p]))):
            spacing = (10.0, 1.5, 0.7)[-prediction.ndim :]
            assert compare(prediction.astype(np.uint8), reference.astype(np.uint8), spacing) == 1


@pytest.mark.parametrize("product", [0, kernel._PRODUCT])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (10.0, 1.4, 1.4), (0.5, 3.0, 0.9)])
def test_far_surfaces_beyond_the_lookup_and_with_voxels_ruled_out(
    spacing: tuple[float, ...], product: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Small thresholds, so that masks of a size medpy can do take every branch of the search.
    monkeypatch.setattr(kernel, "_MANY", 20)
    monkeypatch.setattr(kernel, "_CHUNK", 64)
    monkeypatch.setattr(kernel, "_SLOTS", 1)
    monkeypatch.setattr(kernel, "_PRODUCT", product)
    rng = np.random.default_rng(5)
    shape = (14, 40, 44)
    compared = 0
    for _ in range(12):
        prediction, reference = blobs(rng, shape, 3), blobs(rng, shape, 3)
        prediction[:, :, 18:] = 0  # one half lacks everything: partners are far away
        compared += compare(prediction, reference, spacing)
    assert compared > 20


def test_ruling_out_really_happens_and_saves_work(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    look_far = kernel._Search._look_far

    def counting(search: kernel._Search, which: kernel.Ints) -> kernel.Floats:
        asked.append(which.size)
        return look_far(search, which)

    monkeypatch.setattr(kernel._Search, "_look_far", counting)
    grid = np.mgrid[-40:40, -40:40, -40:40]
    reference = (np.sqrt((grid**2).sum(axis=0)) < 12).astype(np.uint8)
    prediction = (np.sqrt(((grid - 5) ** 2).sum(axis=0)) < 30).astype(np.uint8)
    everything = score_case(prediction, reference, labels=[1], metrics=("hd", "assd"))
    all_asked = sum(asked)
    asked.clear()
    only = score_case(prediction, reference, labels=[1], metrics=("hd",))
    assert only["hd"] == everything["hd"] == pytest.approx(binary.hd(prediction == 1, reference == 1))
    assert 0 < sum(asked) < all_asked / 3


def test_labels_in_any_order_with_any_values_and_more_than_a_few() -> None:
    rng = np.random.default_rng(3)
    small = blobs(rng, (20, 21), 20)
    other = blobs(rng, (20, 21), 20)
    values = rng.permutation(np.arange(1, 21))
    for offset, dtype in ((0, np.uint8), (200, np.uint16), (70_000, np.int64)):
        prediction = np.where(small > 0, small.astype(np.int64) + offset, 0).astype(dtype)
        reference = np.where(other > 0, other.astype(np.int64) + offset, 0).astype(dtype)
        scores = score_case(prediction, reference, labels=(values + offset).tolist())
        for index, value in enumerate(values):
            p, r = small == value, other == value
            if p.any() or r.any():
                assert scores["dice"][index] == pytest.approx(binary.dc(p, r), abs=1e-12)
            if p.any() and r.any():
                assert scores["hd"][index] == pytest.approx(binary.hd(p, r), abs=1e-9)


def test_memory_order_of_the_arrays_does_not_matter() -> None:
    for prediction, reference, spacing in random_pairs(99, 40):
        expected = score_case(prediction, reference, labels=LABELS, spacing=spacing)
        for convert in (np.asfortranarray, lambda mask: np.flip(np.flip(mask, 0).copy(), 0)):
            result = score_case(convert(prediction), convert(reference), labels=LABELS, spacing=spacing)
            for metric, values in expected.items():
                np.testing.assert_allclose(result[metric], values, rtol=1e-14)  # sums run the other way
