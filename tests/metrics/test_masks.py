"""What masks, labels and spacings may look like, and what is said about those that may not."""

from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from fairseg.metrics import dice, hausdorff, score_case

MASK = np.array([[0, 1], [2, 1]])


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64, np.uint32, np.float16, np.float64, ">i2"])
def test_every_integer_type_and_whole_floats(dtype: Any) -> None:
    assert dice(MASK.astype(dtype), MASK, [1, 2]).tolist() == [1.0, 1.0]


def test_bool_lists_and_torch_tensors() -> None:
    assert dice(MASK == 1, MASK, [1]).tolist() == [1.0]
    assert dice(MASK.tolist(), MASK, [1, 2]).tolist() == [1.0, 1.0]
    for dtype in (torch.int64, torch.uint8, torch.float32, torch.bfloat16, torch.bool):
        tensor = torch.tensor(MASK == 1).to(dtype)
        assert dice(tensor, MASK == 1, [1]).tolist() == [1.0]
    graph = torch.tensor(MASK == 1, dtype=torch.float32, requires_grad=True)
    assert dice(graph * 1, MASK == 1, torch.tensor([1]).tolist()).tolist() == [1.0]


@pytest.mark.parametrize(
    ("prediction", "message"),
    [
        (np.zeros((2, 3)), r"prediction and reference must have the same shape, got \(2, 3\) and \(2, 2\)"),
        (np.zeros((1, 2)), "same shape"),  # NumPy would broadcast these
        (np.zeros((2, 2, 1)), "same shape"),
        (np.zeros((1,)), "same shape"),
        (np.array([[0, 0.5], [1, 2]]), r"prediction must hold integer labels, got 0\.5"),
        (np.array([[0, np.nan], [1, 2]]), "prediction must hold integer labels, got NaN or infinity"),
        (np.array([[0, np.inf], [1, 2]]), "prediction must hold integer labels, got NaN or infinity"),
        (np.array([[0, -1], [1, 2]]), "prediction must hold labels >= 0, got -1"),
        (np.array([[0, 1j], [1, 2]]), "prediction must hold integer labels, got dtype complex"),
        (np.array([["0", "1"], ["1", "2"]]), "prediction must hold integer labels, got dtype"),
        (np.array(3), r"prediction must have at least one voxel, got shape \(\)"),
        (np.zeros((0, 2)), r"prediction must have at least one voxel, got shape \(0, 2\)"),
        (None, "prediction must"),
    ],
)
def test_bad_masks(prediction: Any, message: str) -> None:
    for call in (
        lambda: dice(prediction, MASK, [1]),
        lambda: hausdorff(prediction, MASK, [1]),
        lambda: score_case(prediction, MASK, labels=[1]),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_a_bad_reference_is_called_so() -> None:
    with pytest.raises(ValueError, match=r"reference must hold integer labels, got 0\.5"):
        dice(MASK, MASK * 0.5, [1])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "at least one label"),
        ({}, "at least one label"),
        ([0], r"labels must be positive \(0 is background\), got 0"),
        ([-1], "labels must be positive"),
        ([1.0], "labels must be integers, got 1.0"),
        (["1"], "labels must be integers, got '1'"),
        ([True], "labels must be integers, got True"),
        ([1, 1], "labels must differ, got 1 twice"),
        ({"a": 1, "b": 1}, "labels must differ, got 1 twice"),
        ("12", "labels must be a sequence of ints or a mapping"),
        (3.5, "labels must be a sequence of ints or a mapping"),
    ],
)
def test_bad_labels(labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dice(MASK, MASK, labels)


@pytest.mark.parametrize(
    "spacing",
    [(1.0,), (1.0, 1.0, 1.0), (0.0, 1.0), (-1.0, 1.0), (np.nan, 1.0), (np.inf, 1.0), 0.0, "ab", [[1.0, 1.0]]],
)
def test_bad_spacing(spacing: Any) -> None:
    with pytest.raises(ValueError, match="spacing must have 2 positive numbers, got"):
        hausdorff(MASK, MASK, [1], spacing=spacing)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": ("dice", "hausdorff")}, "metrics must be some of dice, hd, hd95, assd, nsd"),
        ({"metrics": "dice"}, r"metrics must be some of .* as a sequence such as \('dice',\), got 'dice'"),
        ({"metrics": ()}, "metrics must be some of"),
        ({"metrics": ("nsd",)}, "tolerance must be a number of mm >= 0, got None"),
        ({"metrics": ("nsd",), "tolerance": -1.0}, "tolerance must be a number"),
        ({"metrics": ("nsd",), "tolerance": np.nan}, "tolerance must be a number"),
        ({"empty": "zero"}, 'empty must be "nan" or "diagonal"'),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score_case(MASK, MASK, labels=[1], **options)


@pytest.mark.parametrize("percentile", [-1, 101, np.nan])
def test_bad_percentile(percentile: float) -> None:
    with pytest.raises(ValueError, match="percentile must lie between 0 and 100"):
        hausdorff(MASK, MASK, [1], percentile=percentile)


def test_masks_are_left_as_they_were() -> None:
    prediction, reference = MASK.astype(np.uint8), MASK[::-1].astype(np.uint8)
    before = prediction.copy(), reference.copy()
    score_case(prediction, reference, labels=[1, 2], metrics=("dice", "hd", "hd95"))
    np.testing.assert_array_equal(prediction, before[0])
    np.testing.assert_array_equal(reference, before[1])


def test_labels_that_no_int64_holds_are_refused() -> None:
    huge = MASK.astype(float)
    huge[1, 1] = 1e30
    with pytest.raises(ValueError, match=r"prediction must hold labels below 2\*\*63"):
        dice(huge, MASK, [1])
    with pytest.raises(ValueError, match=r"labels must be below 2\*\*63"):
        dice(MASK, MASK, [2**63])
    with pytest.raises(ValueError, match="prediction must be an array"):
        dice([[1], [1, 2]], MASK, [1])


@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("dtype", [np.uint8, bool, np.float32])
@pytest.mark.parametrize("shape", [(9, 9), (4, 9, 9)])
def test_one_hot_masks_are_refused(axis: int, dtype: Any, shape: tuple[int, ...]) -> None:
    """They would be scored as masks of label 1, the background's channel among them."""
    labels = np.arange(np.prod(shape)).reshape(shape) % 3
    channels = np.stack([labels == value for value in range(3)], axis=axis).astype(dtype)
    with pytest.raises(ValueError, match=r"reference must hold labels, got a channel for each \(one-hot\)"):
        dice(channels, channels)
    batch = np.stack([np.moveaxis(channels, axis, 0)] * 2)  # as in a training loop
    with pytest.raises(ValueError, match=r"one-hot"):
        hausdorff(batch, batch)
    assert dice(labels, labels).tolist() == [1.0, 1.0]


def test_a_batch_of_a_training_loop_is_no_image() -> None:
    """It was one image of 4 axes, with distances from one sample to the next."""
    batch = np.zeros((2, 1, 8, 8), dtype=np.uint8)
    batch[0, 0, :3, :3], batch[1, 0, 4:, 4:] = 1, 1
    for masks in (batch, batch[:, :, None]):
        with pytest.raises(ValueError, match=r"masks of one case, got shape \(2, 1, .*prediction\[i, 0\]"):
            hausdorff(masks, masks[::-1])
    assert hausdorff(batch, batch[::-1], spacing=(5, 8, 1, 1)).tolist() == [5.0]  # two frames of a slice
    assert dice(batch[:1], batch[:1]).tolist() == dice(batch[0, 0], batch[0, 0]).tolist() == [1.0]


def test_images_of_readers_are_refused_with_how_their_voxels_are_had() -> None:
    """NumPy would take the voxels of one of SimpleITK in one long row, in which distances mean nothing."""
    image = sitk.GetImageFromArray(MASK.astype(np.uint8))
    with pytest.raises(
        ValueError, match=r"prediction must be an array of labels, got an image: take sitk\.Get"
    ):
        hausdorff(image, image)

    class Nifti:
        dataobj = MASK

    with pytest.raises(ValueError, match=r"got an image: take np\.asarray\(image\.dataobj\), with spacing="):
        dice(Nifti(), MASK)
