"""The cascade finds the object, segments the crop, and puts it back."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor, nn

from fairseg.crop import Box, Cascade, crop, largest_component, uncrop


class Bright(nn.Module):
    """Background, dim objects, bright objects; remembers what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, image: Tensor) -> Tensor:
        self.seen.append(image)
        return torch.cat([0.3 - image, 0.1 - (image - 0.5).abs(), image - 0.7], dim=1)


def images() -> Tensor:
    image = torch.zeros(3, 1, 20, 24)
    image[0, 0, 4:9, 6:11] = 0.5
    image[0, 0, 5:8, 7:10] = 1.0
    image[0, 0, 18, 22] = 1.0  # a speck, far away
    image[1, 0, 0:4, 20:24] = 1.0  # at the corner: the crop leaves the image
    return image


def test_each_image_is_cropped_around_its_largest_object_and_put_back() -> None:
    locate, segment = Bright(), Bright()
    cascade = Cascade(locate, segment, size=(8, 9))
    logits = cascade(images())
    assert cascade.boxes[:2] == [Box((2, 4), (10, 13)), Box((-2, 17), (6, 26))]
    assert (cascade.num_images, cascade.num_fallbacks) == (3, 1)
    assert segment.seen[0].shape == (3, 1, 8, 9)
    assert logits.shape == (3, 3, 20, 24)
    for image, box, crops, whole in zip(images(), cascade.boxes, segment.seen[0], logits, strict=True):
        torch.testing.assert_close(crops, crop(image, box))
        inside = uncrop(torch.ones(box.shape), box, (20, 24)) == 1
        torch.testing.assert_close(whole[:, inside], Bright()(image.unsqueeze(0))[0][:, inside])
        probability = whole.softmax(0)
        assert (probability[0, ~inside] == 1).all()
        assert (probability[1:, ~inside] == 0).all()
    labels = logits.argmax(1)
    assert labels[0, 5:8, 7:10].eq(2).all()
    assert labels[0, 18, 22] == 0  # the speck is gone
    assert labels[1].sum() == 2 * 16


@pytest.mark.parametrize("shared", [False, True])
def test_an_empty_batch_gives_no_logits_and_counts_nothing(shared: bool) -> None:
    segment = Bright()
    cascade = Cascade(Bright(), segment, size=(8, 9), fallback="error", shared=shared)
    assert cascade(images()[:0]).shape == (0, 3, 20, 24)
    assert segment.seen[0].shape == (0, 1, 8, 9)
    assert (cascade.boxes, cascade.found, cascade.num_images) == ([], [], 0)


def test_an_empty_first_mask_falls_back_and_is_counted() -> None:
    empty = torch.zeros(2, 1, 20, 24)
    cascade = Cascade(Bright(), Bright(), size=(8, 8))
    cascade(empty)
    assert cascade.boxes == [Box((6, 8), (14, 16))] * 2
    stated = Cascade(Bright(), Bright(), size=(8, 8), fallback=Box((2, 2), (6, 6)))
    stated(empty)
    assert stated.boxes == [Box((0, 0), (8, 8))] * 2
    assert stated.num_fallbacks == 2
    stated.reset()
    assert stated.num_fallbacks == stated.num_images == 0
    with pytest.raises(ValueError, match="found nothing on image 0"):
        Cascade(Bright(), Bright(), size=(8, 8), fallback="error")(empty)


def test_slices_of_a_case_share_a_crop() -> None:
    cascade = Cascade(Bright(), Bright(), size=(8, 8), shared=True)
    stack = images()[[0, 0, 2]]
    stack[1] = stack[1].roll(1, 1)
    cascade(stack)
    assert cascade.boxes == [Box((3, 4), (11, 12))] * 3  # around rows 4 to 10, columns 6 to 11
    assert (cascade.num_images, cascade.num_fallbacks) == (1, 0)


def test_an_object_too_large_for_the_crop_is_counted() -> None:
    cascade = Cascade(Bright(), Bright(), size=(6, 6))
    cascade(images()[:2])
    assert cascade.num_cut == 0
    cascade = Cascade(Bright(), Bright(), size=(6, 6), margin=1)
    cascade(images()[:2])
    assert cascade.num_cut == 1  # 5 + 2 voxels


def test_volumes_gradients_and_half_precision() -> None:
    volume = torch.zeros(1, 1, 6, 12, 12)
    volume[..., 2:4, 3:7, 4:8] = 1.0
    volume.requires_grad_()
    cascade = Cascade(Bright(), Bright(), size=(4, 6, 6))
    logits = cascade(volume)
    assert logits.shape == (1, 3, 6, 12, 12)
    logits.sum().backward()
    assert volume.grad is not None
    assert (volume.grad != 0).sum() == 4 * 6 * 6  # through the crop, and not through the search
    assert cascade(volume.detach().to(torch.bfloat16)).isfinite().all()


def test_its_networks_are_its_modules() -> None:
    cascade = Cascade(nn.Conv2d(1, 2, 1), nn.Conv2d(1, 2, 1), size=(4, 4))
    assert len(list(cascade.parameters())) == 4
    assert not cascade.eval().segment.training


@pytest.mark.parametrize("seed", range(20))
def test_the_largest_component_is_scipys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((9, 10, 8)[: 2 + seed % 2]) < (0.45 if seed % 2 == 0 else 0.2)
    parts, number = ndimage.label(mask, structure=np.ones((3,) * mask.ndim))
    sizes = ndimage.sum_labels(mask, parts, range(1, number + 1))
    np.testing.assert_array_equal(largest_component(mask), parts == sizes.argmax() + 1)
    assert not largest_component(np.zeros((3, 3))).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (0, 4)}, "start must lie below stop"),
        ({"fallback": "corner"}, 'fallback must be a Box, "center" or "error"'),
        ({"fallback": Box((0,), (1,))}, "fallback must have the crop's 2 axes, got 1"),
        ({"margin": -1}, "margin must be 0 or more"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Cascade(Bright(), Bright(), **{"size": (4, 4), **options})


def test_images_with_other_axes_are_refused() -> None:
    with pytest.raises(ValueError, match="2 spatial axes"):
        Cascade(Bright(), Bright(), size=(4, 4))(torch.zeros(1, 1, 4, 4, 4))


def test_a_standardized_crop_does_not_know_how_bright_the_outside_is() -> None:
    seen = []

    def segment(crops: torch.Tensor) -> torch.Tensor:
        seen.append(crops)
        return torch.cat([-crops, crops], dim=1)

    def brightest(image: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.zeros_like(image), image - image.amax((2, 3), keepdim=True) + 1e-3], dim=1)

    image = torch.zeros(2, 1, 12, 12)
    image[:, :, 4:8, 4:8] = 5.0
    image[1] = (image[1] - 3.0) * 0.5  # as if it had been standardised with something bright outside
    Cascade(brightest, segment, size=(6, 6), standardize="crop")(image)
    torch.testing.assert_close(seen[0][0], seen[0][1])
    torch.testing.assert_close(seen[0].mean((1, 2, 3)), torch.zeros(2), atol=1e-6, rtol=0)
    with pytest.raises(ValueError, match="standardize must be"):
        Cascade(brightest, segment, size=(6, 6), standardize="image")  # type: ignore[arg-type]
