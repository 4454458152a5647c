"""Metrics of tensors on a GPU: the same code on CPU tensors against NumPy, and on CUDA if there is one."""

from typing import Any

import numpy as np
import pytest
import torch

from fairseg.metrics import nsd, on_device, pairs, score_case
from fairseg.metrics.on_device import DevicePair

ALL = (
    "dice",
    "iou",
    "precision",
    "recall",
    "volume_error",
    "hd",
    "hd95",
    "hd95_pooled",
    "assd",
    "masd",
    "nsd",
)
MORE = ("nsd_area", "lesion_dice", "lesion_precision", "lesion_recall")
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.fixture(autouse=True)
def every_tensor_is_on_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "_on_accelerator", lambda *given: all(map(torch.is_tensor, given)))


def check(prediction: Any, reference: Any, labels: Any = None, metrics: Any = ALL, **options: Any) -> None:
    """Score arrays by NumPy, and the same as tensors by torch."""
    expected = score_case(prediction, reference, labels=labels, metrics=metrics, tolerance=2.0, **options)
    for device in DEVICES:
        tensors = [torch.as_tensor(mask, device=device) for mask in (prediction, reference)]
        assert isinstance(pairs.pair_of(*tensors, labels), DevicePair)
        result = score_case(*tensors, labels=labels, metrics=metrics, tolerance=2.0, **options)
        for metric, values in expected.items():
            np.testing.assert_allclose(result[metric], values, rtol=0, atol=1e-9, err_msg=metric)


def blobs(rng: np.random.Generator, shape: tuple[int, ...], labels: int, apart: float) -> list[np.ndarray]:
    """Return two masks of noise that was smoothed, in part the same."""
    field = rng.normal(size=shape)
    for axis, length in enumerate(shape):
        for shift in range(1, min(4, length)):
            field = field + np.roll(field, shift, axis)
    field /= max(field.std(), 1e-6)
    edges = np.linspace(0.2, 2.0, labels + 1)[:-1]
    return [np.digitize(field + own * rng.normal(size=shape), edges).astype(np.uint8) for own in (0.0, apart)]


@pytest.mark.parametrize(
    "seed", [*range(60), *(pytest.param(s, marks=pytest.mark.slow) for s in range(60, 700))]
)
def test_the_values_of_numpy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ndim = int(rng.integers(1, 4))
    shape = tuple(rng.integers(1, (200, 40, 14)[ndim - 1], ndim).tolist())
    spacing = rng.choice([0.7, 1.0, 1.5625, 8.0], ndim).tolist()
    for apart in (0.0, 0.05, 0.6):
        check(*blobs(rng, shape, int(rng.integers(1, 5)), apart), [1, 2, 4], spacing=spacing)


@pytest.mark.parametrize("way", ["by pairs", "by a transform"])
def test_voxels_that_no_offset_reaches(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "by a transform":
        monkeypatch.setattr(on_device._DeviceSearch, "_by_pairs", lambda *_: pytest.fail("by pairs"))
        monkeypatch.setattr(on_device, "_far_by_pairs", lambda *_: False)
    rng = np.random.default_rng(0)
    reference = np.zeros((40, 60, 50), dtype=np.int64)
    reference[2:5, 3:8, 2:9] = 1
    prediction = np.zeros_like(reference)
    prediction[30:38, 40:58, 35:49] = 1 + (rng.random((8, 18, 14)) < 0.5)
    reference[20, 20, 20] = 2
    check(prediction, reference, spacing=(2.5, 0.9, 1.1))


def test_unions_that_overlap_an_ignored_label_and_labels_that_are_absent() -> None:
    rng = np.random.default_rng(1)
    prediction, reference = blobs(rng, (12, 30, 24), 4, 0.3)
    unions = {"whole": (1, 2, 3), "core": (2, 3), "edge": 1, "absent": 9}
    check(prediction, reference, unions, spacing=(3, 1, 1), ignore=4, metrics=ALL + MORE)
    check(prediction, np.zeros_like(reference), unions)
    check(np.zeros_like(prediction), np.zeros_like(reference), [1])
    check(prediction, reference)
    check(prediction.astype(np.int32) * 70_000, reference.astype(np.int32) * 70_000, [70_000, 210_000])
    check(prediction > 1, reference > 1, [1])
    check(prediction.astype(np.float32), reference.astype(np.float64))
    check(prediction, reference, [3], empty="diagonal")


@pytest.mark.parametrize(
    ("prediction", "reference", "labels", "message"),
    [
        (torch.tensor([0, 1]), torch.tensor([0, 1, 1]), None, "same shape"),
        (
            torch.tensor([0.5, 1.0]),
            torch.tensor([0, 1]),
            None,
            "prediction must hold integer .*, got 0.5",
        ),
        (
            torch.tensor([0, 1]),
            torch.tensor([0.0, torch.nan]),
            None,
            "reference must hold integer .*, got NaN",
        ),
        (torch.tensor([0, -1]), torch.tensor([0, 1]), None, "prediction must hold labels >= 0, got -1"),
        (torch.zeros(0), torch.zeros(0), None, "at least one voxel"),
        (torch.tensor([0, 1]), torch.tensor([0, 1]), [0], "labels must be positive"),
        (*[torch.eye(3)[torch.arange(64).reshape(8, 8) % 3]] * 2, None, r"channel for each \(one-hot\)"),
        (*[torch.ones(2, 1, 8, 8)] * 2, None, r"masks of one case, got shape \(2, 1, 8, 8\), a batch"),
    ],
)
def test_what_can_not_be_scored_is_named(prediction: Any, reference: Any, labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score_case(prediction, reference, labels=labels)


def test_tensors_on_a_cpu_and_on_apples_gpus_go_through_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    tensors = torch.tensor([[0, 1]]), torch.tensor([[1, 1]])
    assert not pairs._on_accelerator(*tensors)
    assert pairs._on_accelerator(*(one.to("meta") for one in tensors))
    assert nsd(*tensors, tolerance=1.0) == 1.0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_masks_do_not_leave_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DevicePair, "on_host", lambda *_: pytest.fail("copied"))
    masks_ = torch.randint(0, 3, (2, 20, 30, 30), device="cuda")
    score_case(*masks_, metrics=ALL, tolerance=1.0)
