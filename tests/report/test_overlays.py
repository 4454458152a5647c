"""Cases as pictures: the right slice, the right place, every kind of image, small."""

import re
from base64 import b64decode
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.measure import approximate_polygon, find_contours

from fairseg.io.slices import find_image
from fairseg.report.overlays import overlay, simplified
from fairseg.scoring.labels import LabelMap

Save = Callable[..., Path]
LV = LabelMap({"LV": (1,)}, {"LV": (1,)})


@pytest.fixture
def masks(tmp_path: Path, save_mask: Save) -> tuple[Path, Path]:
    """A stack of five slices: right but for the fourth, where the prediction lies two columns off."""
    truth = np.zeros((5, 60, 80), np.uint8)
    truth[:, 20:40, 30:50] = 1
    guess = truth.copy()
    guess[3] = np.roll(guess[3], 2, axis=1)
    return save_mask(tmp_path / "truth.nii.gz", truth), save_mask(tmp_path / "guess.nii.gz", guess)


def picture(svg: str) -> Image.Image:
    return Image.open(BytesIO(b64decode(re.findall(r'base64,([^"]*)"', svg)[0])))


def contour(svg: str, css: str) -> np.ndarray:
    line = re.findall(rf'<path d="([^"]*)" class="{css}"', svg)[0]
    return np.array(re.findall(r"[\d.]+", line), float).reshape(-1, 2)


def test_the_slice_with_most_wrong_voxels_is_shown(
    tmp_path: Path, masks: tuple[Path, Path], save_mask: Save
) -> None:
    image = save_mask(tmp_path / "c_0000.nii.gz", np.random.default_rng(0).normal(size=(5, 60, 80)))
    drawing = overlay("c", *masks, LV, image=find_image(tmp_path, "c"))
    assert image == find_image(tmp_path, "c")
    assert drawing.text == f"Case c, slice 4 of 5. Dice {drawing.dice:.3f}."
    assert drawing.dice == pytest.approx(1 - 0.1 / 5)
    assert f'aria-label="{drawing.text}"' in drawing.picture
    assert picture(drawing.picture).mode == "L"
    moved = contour(drawing.picture, "guess").mean(axis=0) - contour(drawing.picture, "truth").mean(axis=0)
    assert moved[0] > 5
    assert moved[1] == pytest.approx(0, abs=1)


def test_the_picture_has_the_aspect_of_the_body(masks: tuple[Path, Path]) -> None:
    drawing = overlay("c", *masks, LV).picture  # spacing 1.5 by 1.25 mm
    truth = np.ptp(contour(drawing, "truth"), axis=0)
    assert truth[0] / truth[1] == pytest.approx(1.25 / 1.5, rel=0.05)


def test_what_cannot_be_shown_is_said(tmp_path: Path, masks: tuple[Path, Path], save_mask: Save) -> None:
    other = save_mask(tmp_path / "other.nii.gz", np.zeros((5, 60, 81)))
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"nothing")
    for image, said in ((None, "No image."), (other, "lies on another grid"), (broken, "cannot be read")):
        drawing = overlay("c", *masks, LV, image=image)
        assert said in drawing.text
        assert "<image" not in drawing.picture
        assert 'class="truth"' in drawing.picture
    assert find_image(tmp_path, "nobody") is None


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_flat_pictures_in_grey_and_in_colour(channels: int, tmp_path: Path) -> None:
    mask = np.zeros((70, 90), np.uint8)
    mask[20:50, 20:50] = 2
    for name in ("truth", "guess"):
        Image.fromarray(mask).save(tmp_path / f"{name}.png")
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (70, 90, channels), dtype=np.uint8).squeeze()
    Image.fromarray(pixels).save(tmp_path / "image.png")
    drawing = overlay(
        "x",
        tmp_path / "truth.png",
        tmp_path / "guess.png",
        LabelMap({"LV": (2,)}, {"LV": (2,)}),
        image=tmp_path / "image.png",
    )
    assert drawing.text == "Case x. Dice 1.000."
    assert picture(drawing.picture).mode == ("RGB" if channels > 2 else "L")
    assert np.asarray(picture(drawing.picture)).std() > 20


def test_a_picture_without_a_place_is_drawn_on_masks_of_its_shape_alone(
    tmp_path: Path, save_mask: Save
) -> None:
    mask = np.zeros((70, 90), np.uint8)
    mask[20:50, 20:50] = 2
    path = save_mask(tmp_path / "m.nii.gz", mask, (0.5, 0.25))
    pixels = np.random.default_rng(0).integers(0, 256, (70, 90), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    Image.fromarray(pixels.T).save(tmp_path / "turned.png")
    labels = LabelMap({"LV": (2,)}, {"LV": (2,)})
    drawn, turned = (
        overlay("x", path, path, labels, image=tmp_path / name) for name in ("image.png", "turned.png")
    )
    assert "state no place" in drawn.text
    assert np.asarray(picture(drawn.picture)).std() > 20
    assert (
        "not shown: it lies on another grid than the masks: size (70, 90) instead of (90, 70)" in turned.text
    )
    assert "<image" not in turned.picture


def test_large_images_stay_small(tmp_path: Path, save_mask: Save) -> None:
    mask = np.zeros((1500, 2000), np.uint8)
    mask[100:1400, 100:1900] = 1
    path = save_mask(tmp_path / "m.mha", mask, (0.2, 0.2))
    image = save_mask(tmp_path / "i.mha", np.random.default_rng(0).normal(size=mask.shape), (0.2, 0.2))
    drawing = overlay("x", path, path, LV, image=image)
    assert len(drawing.picture) < 60_000
    assert max(picture(drawing.picture).size) == 200


def test_the_coarsest_axis_is_the_one_across_slices(tmp_path: Path, save_mask: Save) -> None:
    mask = np.zeros((40, 50, 6), np.uint8)
    mask[10:30, 10:40, 2] = 1
    path = save_mask(tmp_path / "m.nii.gz", mask, (1.0, 1.0, 8.0))
    assert "slice 3 of 6" in overlay("x", path, path, LV).text


def test_a_picture_is_turned_as_one_looks_at_it(tmp_path: Path, save_mask: Save) -> None:
    voxels = np.zeros((3, 40, 40), np.uint8)
    voxels[1, 5:15, 5:10] = 1
    path = save_mask(tmp_path / "m.nii.gz", voxels, (5.0, 1.0, 1.0))
    turned = sitk.DICOMOrient(sitk.ReadImage(str(path)), "RAS")
    sitk.WriteImage(turned, str(tmp_path / "t.nii.gz"))
    one = overlay("x", path, path, LV).picture
    other = overlay("x", tmp_path / "t.nii.gz", tmp_path / "t.nii.gz", LV).picture
    assert np.allclose(sorted(contour(one, "truth").tolist()), sorted(contour(other, "truth").tolist()))


def test_empty_masks_and_evil_names(tmp_path: Path, save_mask: Save) -> None:
    path = save_mask(tmp_path / "m.nii.gz", np.zeros((3, 40, 40), np.uint8))
    drawing = overlay('"><b>', path, path, LV)
    assert "Dice undefined" in drawing.text
    assert "<b>" not in drawing.picture
    assert "<path" not in drawing.picture


def test_masks_on_different_grids_are_refused(
    tmp_path: Path, masks: tuple[Path, Path], save_mask: Save
) -> None:
    other = save_mask(tmp_path / "o.nii.gz", np.zeros((5, 60, 81), np.uint8))
    with pytest.raises(ValueError, match="another grid"):
        overlay("c", masks[0], other, LV)


@pytest.mark.parametrize("tolerance", [0.2, 1.0])
def test_contours_of_masks_keep_the_points_that_scikit_image_keeps(tolerance: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(40):
        mask = gaussian_filter(rng.normal(size=(40, 50)), rng.uniform(0.5, 4)) > 0
        for contour in find_contours(np.pad(mask, 1).astype(float), 0.5):
            found = simplified(contour, tolerance)
            np.testing.assert_array_equal(found, approximate_polygon(contour, tolerance))


@pytest.mark.parametrize("size", [2, 3, 40])
def test_open_lines_are_those_of_scikit_image(size: int) -> None:
    line = np.random.default_rng(size).normal(size=(size, 2)).cumsum(axis=0)
    np.testing.assert_array_equal(simplified(line, 0.5), approximate_polygon(line, 0.5))
