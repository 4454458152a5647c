"""Masks as people keep them: every kind of PNG, nearly whole numbers; grey values are no labels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from PIL import Image

import fairseg
from fairseg.io.images import find_masks, read_grid
from fairseg.io.label_files import NEAR, read_image, read_image_grid, read_labels, with_spacing
from fairseg.io.limits import read_limits
from fairseg.metrics.masks import as_mask
from fairseg.scoring.table import Scores

Save = Callable[..., Path]

LABELS = np.zeros((12, 16), np.uint8)
LABELS[2:9, 2:7] = 1
LABELS[2:9, 9:14] = 2


def palette(labels: Any) -> Image.Image:
    image = Image.fromarray(labels, mode="P")
    image.putpalette([200, 10, 10, 0, 0, 0, 10, 200, 10] + [0] * 759)
    return image


KINDS: dict[str, Callable[[Any], Image.Image]] = {
    "grey": Image.fromarray,
    "palette": palette,
    "grey and alpha": lambda labels: Image.merge(
        "LA", [Image.fromarray(labels), Image.fromarray(np.full_like(labels, 255))]
    ),
    "RGB": lambda labels: Image.fromarray(np.stack([labels] * 3, axis=-1)),
    "RGBA": lambda labels: Image.fromarray(np.stack([labels] * 3 + [np.full_like(labels, 255)], axis=-1)),
    "16 bits": lambda labels: Image.fromarray(labels.astype(np.uint16)),
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_of_png_gives_its_labels(kind: str, tmp_path: Path) -> None:
    KINDS[kind](LABELS).save(tmp_path / "a.png")
    mask = read_labels(tmp_path / "a.png")
    assert mask.voxels.tolist() == LABELS.tolist()
    assert (mask.spacing, mask.unit) == ((1.0, 1.0), "px")
    assert mask.grid["size"] == (16, 12)


def test_a_png_of_one_bit(tmp_path: Path) -> None:
    Image.fromarray(LABELS == 2).save(tmp_path / "a.png")
    assert read_labels(tmp_path / "a.png").voxels.tolist() == (LABELS == 2).astype(int).tolist()


def test_colours_are_no_labels(tmp_path: Path) -> None:
    Image.fromarray(np.stack([LABELS, LABELS, LABELS * 0], axis=-1)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a\.png must hold grey values or indices of a palette"):
        read_labels(tmp_path / "a.png")


ARRAYS: dict[str, Callable[[Path, Any], Any]] = {
    "a.npy": np.save,
    "f.npy": lambda file, labels: np.save(file, np.asfortranarray(labels)),
    "a.npz": lambda file, labels: np.savez_compressed(file, mask=labels),
    "b.npz": np.savez,
    "a.tif": lambda file, labels: tifffile.imwrite(file, labels, photometric="minisblack"),
    "deflate.tiff": lambda file, labels: tifffile.imwrite(
        file, labels, photometric="minisblack", compression="zlib"
    ),
    "big.tif": lambda file, labels: tifffile.imwrite(
        file, labels, photometric="minisblack", bigtiff=True, byteorder=">"
    ),
    "imagej.tif": lambda file, labels: tifffile.imwrite(file, labels, imagej=True),
    "rgb.tif": lambda file, labels: tifffile.imwrite(
        file, np.stack([labels] * 3, axis=-1), photometric="rgb"
    ),
}


@pytest.mark.parametrize("labels", [LABELS, np.stack([LABELS, LABELS[::-1]])])
@pytest.mark.parametrize("name", list(ARRAYS))
def test_arrays_and_tiff_give_their_labels(name: str, labels: Any, tmp_path: Path) -> None:
    ARRAYS[name](tmp_path / name, labels)
    mask = read_labels(tmp_path / name)
    assert mask.voxels.tolist() == labels.tolist()
    assert (mask.spacing, mask.unit, mask.grid["size"]) == ((1.0,) * labels.ndim, "px", labels.shape[::-1])
    assert read_grid(tmp_path / name) == (labels.shape, mask.spacing, "px")
    assert with_spacing(mask, (2.0,) * labels.ndim).unit == "mm"


def test_tiff_of_other_writers(tmp_path: Path) -> None:
    pages = [Image.fromarray(LABELS), Image.fromarray(LABELS.max() - LABELS)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:], compression="tiff_lzw")
    assert read_labels(tmp_path / "a.tif").voxels.tolist() == [np.asarray(page).tolist() for page in pages]
    palette(LABELS).save(tmp_path / "p.tif")
    assert read_labels(tmp_path / "p.tif").voxels.tolist() == LABELS.tolist()
    Image.fromarray(LABELS == 2).save(tmp_path / "one.tif")
    assert (
        as_mask(read_labels(tmp_path / "one.tif").voxels, "").tolist() == (LABELS == 2).astype(int).tolist()
    )


@pytest.mark.parametrize(
    ("save", "message"),
    [
        (lambda file: np.savez(file, data=LABELS, seg=LABELS), r"a\.npz must hold one array, got data, seg"),
        (lambda file: np.savez(file, np.array([{}], dtype=object)), r"a\.npz must hold numbers, got Python"),
        (lambda file: file.write_bytes(b"PK\x03\x04 no archive"), r"a\.npz is truncated or damaged"),
        (lambda file: np.savez(file, np.zeros((2, 2, 2, 2), np.uint8)), "must be 2D or 3D, got 4D"),
    ],
)
def test_archives_that_are_no_mask_are_refused(
    save: Callable[[Path], Any], message: str, tmp_path: Path
) -> None:
    save(tmp_path / "a.npz")
    with pytest.raises(ValueError, match=message):
        read_labels(tmp_path / "a.npz")


def test_other_arrays_and_colours_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"a\.npy is truncated or damaged, or no array of numbers"):
        read_labels(tmp_path / "a.npy")
    colours = np.stack([LABELS, LABELS, LABELS * 0], axis=-1)
    tifffile.imwrite(tmp_path / "a.tif", colours, photometric="rgb")
    with pytest.raises(ValueError, match=r"a\.tif must hold grey values"):
        read_labels(tmp_path / "a.tif")
    with tifffile.TiffWriter(tmp_path / "b.tif") as file:
        file.write(LABELS, photometric="minisblack")
        file.write(LABELS[:5], photometric="minisblack")
    with pytest.raises(ValueError, match=r"b\.tif cannot be read: it holds 2 images"):
        read_labels(tmp_path / "b.tif")
    with read_limits(max_voxels=10), pytest.raises(ValueError, match="--max-voxels"):
        read_labels(tmp_path / "a.tif")


def test_probabilities_of_nnunet_beside_its_masks_are_left_out(tmp_path: Path, save_mask: Save) -> None:
    save_mask(tmp_path / "a.nii.gz", LABELS[None])
    np.savez(tmp_path / "a.npz", probabilities=np.zeros((4, 1, 12, 16)))
    assert find_masks(tmp_path, "predictions") == {"a": tmp_path / "a.nii.gz"}


@pytest.mark.parametrize("away", [1e-7, 0.9 * NEAR, -0.9 * NEAR])
def test_nearly_whole_numbers_are_rounded_with_a_word(away: float, tmp_path: Path, save_mask: Save) -> None:
    voxels = (LABELS[None] + away * (LABELS[None] > 0)).astype(np.float32)
    mask = read_labels(save_mask(tmp_path / "a.nii.gz", voxels))
    assert mask.voxels.tolist() == LABELS[None].tolist()
    assert "rounded" in " ".join(mask.messages)


def masks(folder: Path, prediction: Any, reference: Any) -> list[Path]:
    for kind, labels in (("predictions", prediction), ("references", reference)):
        (folder / kind).mkdir(parents=True)
        for case in "ab":
            (labels if isinstance(labels, Image.Image) else Image.fromarray(labels)).save(
                folder / kind / f"{case}.png"
            )
    return [folder / "predictions", folder / "references"]


COHORT = {"case": ["a", "b"], "sex": ["F", "M"]}


@pytest.mark.parametrize("labels", [None, {"both": (1, 2)}, {"one": 255}])
@pytest.mark.parametrize("side", ["prediction", "reference"])
def test_masks_that_were_smoothed_by_resizing_are_refused(labels: Any, side: str, tmp_path: Path) -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    plain = np.where(grey > 128, 255, np.where(grey > 50, 2, 1)).astype(np.uint8)
    folders = masks(tmp_path, *((grey, plain) if side == "prediction" else (plain, grey)))
    with pytest.raises(ValueError, match=f"the {side} holds 255 different values .* interpolation"):
        fairseg.evaluate(*folders, COHORT, labels=labels)


def test_kinds_may_differ_and_a_spacing_makes_millimetres(tmp_path: Path) -> None:
    moved = np.roll(LABELS, 1, axis=0)
    folders = masks(tmp_path, palette(moved), KINDS["RGB"](LABELS))
    pixels = fairseg.evaluate(*folders, COHORT)
    assert set(pixels["hd"]) == {1.0}
    assert Scores.of(pixels).unit == "px"
    sized = fairseg.evaluate(*folders, COHORT, spacing=(0.25, 2.0))
    assert set(sized["hd"]) == {0.25}
    assert Scores.of(sized).unit == "mm"
    assert set(fairseg.evaluate(*folders, COHORT, spacing=(0.25,))["hd"]) == {0.25}
    with pytest.raises(ValueError, match="spacing must have 2 numbers"):
        fairseg.evaluate(*folders, COHORT, spacing=(1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="spacing must have 2 positive numbers"):
        fairseg.evaluate(*folders, COHORT, spacing=(1.0, 0.0))


def test_a_sheared_affine_names_the_way_out(tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    image = nibabel.Nifti1Image(np.zeros((8, 8, 4), np.uint8), None)
    image.set_sform(np.array([[1, 0.02, 0, 0], [0, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1.0]]), 1)
    image.set_qform(None, 0)
    nibabel.save(image, tmp_path / "a.nii.gz")
    with pytest.raises(ValueError, match="ITK_NIFTI_SFORM_PERMISSIVE=1"):
        read_labels(tmp_path / "a.nii.gz")


def _grey_palette(image: Image.Image) -> Image.Image:
    indexed = Image.fromarray(255 - np.asarray(image), mode="P")
    indexed.putpalette([255 - shade // 3 for shade in range(768)])
    return indexed


SHADES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "grey": lambda image: image,
    "colours": lambda image: image.convert("RGB"),
    "colours and transparency": lambda image: image.convert("RGBA"),
    "transparency": lambda image: image.convert("LA"),
    "palette": _grey_palette,
}


@pytest.mark.parametrize("kind", SHADES)
def test_an_image_of_grey_values_is_one_channel_however_png_keeps_it(kind: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7)).astype(np.uint8)
    file = tmp_path / "a_0000.png"
    SHADES[kind](Image.fromarray(pixels)).save(file)
    image = read_image(file)
    assert image.voxels.tolist() == pixels.tolist()
    assert (image.unit, image.spacing) == ("px", (1.0, 1.0))
    assert read_image_grid(file) == ((5, 7), (1.0, 1.0), "px")
    if kind == "palette":  # of labels the indices, of an image what they show
        assert read_labels(file).voxels.tolist() == (255 - pixels).tolist()


def test_an_image_in_colours_is_not_made_one_channel(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels).convert("P").save(tmp_path / "p.png")
    for name in ("a.png", "p.png"):
        with pytest.raises(ValueError, match=f"{name} must hold grey values, got colours"):
            read_image(tmp_path / name)


@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.nii.gz"])
def test_a_channel_for_each_label_is_no_volume(name: str, axis: int, tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 3, (8, 9))
    channels = np.stack([labels == value for value in range(3)], axis=axis).astype(np.uint8)
    save = {".npy": np.save, ".npz": np.savez}.get(Path(name).suffix)
    if save is None:
        sitk.WriteImage(sitk.GetImageFromArray(channels), str(tmp_path / name))
    else:
        save(tmp_path / name, channels)
    with pytest.raises(ValueError, match=r"a\.\S+ must hold labels, got a channel for each \(one-hot\)"):
        read_labels(tmp_path / name)
    channels[0, 0, 0] = 1 - channels[0, 0, 0]
    np.save(tmp_path / "b.npy", channels)  # a voxel more or less: a volume
    assert read_labels(tmp_path / "b.npy").voxels.tolist() == channels.tolist()
