"""Boxes by hand, crop and uncrop as exact inverses, Table S4."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fairseg.crop import Box, box_error, crop, crop_size, uncrop


@st.composite
def image_and_box(draw: Any) -> tuple[np.ndarray[Any, Any], Box]:
    """An image of 1 to 3 axes with 0 to 2 leading ones, and a box that may leave it or miss it."""
    ndim = draw(st.integers(1, 3))
    size = draw(st.lists(st.integers(1, 6), min_size=ndim, max_size=ndim))
    lead = draw(st.lists(st.integers(1, 3), max_size=2))
    start = draw(st.lists(st.integers(-8, 8), min_size=ndim, max_size=ndim))
    shape = draw(st.lists(st.integers(1, 9), min_size=ndim, max_size=ndim))
    image = np.arange(1, 1 + np.prod([*lead, *size]), dtype=np.float64).reshape(*lead, *size)
    return image, Box(tuple(start), tuple(a + b for a, b in zip(start, shape, strict=True)))


def crop_by_index(image: np.ndarray[Any, Any], box: Box, fill: float) -> np.ndarray[Any, Any]:
    """The plain definition, voxel by voxel."""
    lead = image.shape[: image.ndim - box.ndim]
    result = np.full((*lead, *box.shape), fill)
    for index in np.ndindex(*box.shape):
        source = tuple(low + step for low, step in zip(box.start, index, strict=True))
        if all(0 <= at < length for at, length in zip(source, image.shape[len(lead) :], strict=True)):
            result[(..., *index)] = image[(..., *source)]
    return result


@given(image_and_box())
def test_crop_is_its_definition_and_uncrop_its_inverse(case: tuple[np.ndarray[Any, Any], Box]) -> None:
    image, box = case
    cut = crop(image, box, fill=-5)
    np.testing.assert_array_equal(cut, crop_by_index(image, box, -5))
    size = image.shape[image.ndim - box.ndim :]
    back = uncrop(cut, box, size, fill=-7)
    inside = uncrop(np.ones(box.shape), box, size) == 1
    np.testing.assert_array_equal(back, np.where(inside, image, -7))
    tensor = torch.from_numpy(image).requires_grad_()
    cut_tensor = crop(tensor, box, fill=-5)
    np.testing.assert_array_equal(cut_tensor.detach().numpy(), cut)
    np.testing.assert_array_equal(uncrop(cut_tensor, box, size, fill=-7).detach().numpy(), back)
    cut_tensor.sum().backward()
    assert tensor.grad is not None
    np.testing.assert_array_equal(tensor.grad.numpy(), np.broadcast_to(inside, image.shape))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "bool"])
def test_types_stay(dtype: str) -> None:
    image = np.ones((2, 4, 4), dtype=dtype)
    box = Box((-1, 1), (3, 6))
    assert crop(image, box).dtype == uncrop(crop(image, box), box, (4, 4)).dtype == np.dtype(dtype)
    tensor = torch.from_numpy(image)
    assert crop(tensor, box).dtype == tensor.dtype


@pytest.mark.parametrize("kind", [np.uint8, np.int64, bool, torch.uint8, torch.long])
@pytest.mark.parametrize("fill", [-1.5, 300.5, float("nan"), "a"])
def test_a_fill_that_the_type_has_not_is_named(kind: Any, fill: Any) -> None:
    array = (torch.zeros if isinstance(kind, torch.dtype) else np.zeros)((4, 4), dtype=kind)
    box = Box((-1, 0), (3, 3))
    for make in (
        lambda: crop(array, box, fill=fill),
        lambda: uncrop(crop(array, box), box, (4, 4), fill=fill),
    ):
        with pytest.raises(ValueError, match=r"fill must be a number that an array of .* has, got"):
            make()


def test_a_fill_out_of_the_range_of_whole_numbers_is_named() -> None:
    box = Box((-1, 0), (3, 3))
    for array in (np.zeros((4, 4), np.uint8), torch.zeros((4, 4), dtype=torch.uint8)):
        for fill in (-1, 256):
            with pytest.raises(ValueError, match=f"uint8 has, got {fill}: convert"):
                crop(array, box, fill=fill)
        assert crop(array, box, fill=255)[0, 0] == 255
    assert crop(np.zeros((4, 4), np.float32), box, fill=-1)[0, 0] == -1


def test_a_crop_is_a_copy() -> None:
    image = np.zeros((4, 4))
    crop(image, Box((0, 0), (2, 2)))[:] = 1
    assert image.sum() == 0


def test_boxes_by_hand() -> None:
    mask = np.zeros((3, 10, 12), dtype=np.uint8)
    mask[0, 3, 4], mask[2, 6, 5] = 2, 1
    assert Box.around(mask) == Box((0, 3, 4), (3, 7, 6))
    assert Box.around(torch.from_numpy(mask), margin=(0, 1, 5)) == Box((0, 2, -1), (3, 8, 11))
    assert Box.around(mask, margin=1, ndim=2) == Box((2, 3), (8, 7))
    box = Box((3, 4), (7, 6))
    assert (box.shape, box.center, box.ndim) == ((4, 2), (5.0, 5.0), 2)
    np.testing.assert_array_equal(mask[0][box.slices], mask[0, 3:7, 4:6])
    assert box.resized(3) == Box((3, 3), (6, 6))
    assert box.resized((4, 2)) == box
    assert box.resized((6, 5)).resized((4, 2)) in (box, Box((3, 3), (7, 5)))
    assert Box(np.array([1]), np.array([2])) == Box((1,), (2,))  # type: ignore[arg-type]


def test_the_crop_size_is_that_of_the_largest_heart_plus_the_margin() -> None:
    masks = [np.zeros((2, 30, 30)) for _ in range(3)]
    masks[0][:, 4:14, 8:10] = 1
    masks[1][1, 5:8, 2:22] = 1
    assert crop_size(masks, ndim=2) == (10 + 10, 20 + 10)
    assert crop_size((mask for mask in masks), margin=(0, 1, 2)) == (2, 12, 24)


@pytest.mark.parametrize(
    ("cascade", "printed"),
    [
        ((130, 146), (3.70, 6.57)),
        ((135, 147), (0.0, 7.30)),
        ((133, 149), (1.48, 8.76)),
        ((135, 138), (0.0, 0.730)),
    ],
    ids=["Baseline", "Oversampling", "Reweighting", "Group DRO"],
)
def test_table_s4(cascade: tuple[int, int], printed: tuple[float, float]) -> None:
    """All eight figures are whole pixels of a crop of 135 x 137: 5/135 = 3.70 %, 9/137 = 6.57 %, ..."""
    reference = [Box((10, 5), (135, 100)), Box((0, 0), (135, 137)), Box((3, 3), (9, 9))]
    error = box_error(Box((7, 7), (7 + cascade[0], 7 + cascade[1])), reference)
    np.testing.assert_allclose(error, printed, atol=0.005)


def bad_boxes() -> dict[str, Any]:
    image, box = np.zeros((4, 4)), Box((0, 0), (2, 2))
    return {
        "start must lie below stop": lambda: Box((0, 3), (2, 3)),
        "one entry an axis": lambda: Box((0,), (2, 3)),
        "start and stop must be integers": lambda: Box((0.5,), (2,)),  # type: ignore[arg-type]
        "mask has no foreground": lambda: Box.around(image),
        "margin must be a integer of 0 or more": lambda: Box.around(image + 1, margin=-1),
        "margin must be .* 2 axes": lambda: Box.around(image + 1, margin=(1, 2, 3)),
        "ndim must lie between 1 and the mask's 2": lambda: Box.around(image + 1, ndim=3),
        "size must be a positive integer": lambda: box.resized((0, 2)),
        "begins before the image": lambda: Box((-1, 0), (2, 2)).slices,
        "array must have the box's 2 axes": lambda: crop(np.zeros(3), box),
        r"array must end in the box's shape, \(2, 2\)": lambda: uncrop(np.zeros((2, 3)), box, (4, 4)),
        "shape must be": lambda: uncrop(np.zeros((2, 2)), box, (4, 4, 4)),
        "masks must have foreground": lambda: crop_size([image, image]),
        "same number of axes": lambda: crop_size([np.ones(3), np.ones((3, 3))]),
        "predicted must be boxes": lambda: box_error([], box),
        "as many axes, got 1 and 2": lambda: box_error(Box((0,), (1,)), box),
    }


@pytest.mark.parametrize(("message", "make"), bad_boxes().items(), ids=bad_boxes())
def test_bad_input_is_named(message: str, make: Any) -> None:
    with pytest.raises(ValueError, match=message):
        make()
