"""Masks come from files as they were written, or with an error that names the file; never else."""

import gzip
import json
import re
import struct
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk
from PIL import Image

from fairseg.io.array_files import ARRAY_READERS
from fairseg.io.images import EXTENSIONS, check_same_grid, find_masks, itk_messages, read_mask
from fairseg.io.limits import read_limits
from fairseg.scoring.labels import read_dataset_labels

Save = Callable[..., Path]

SPACING = (10.0, 2.0, 1.5)  # mm; z, y, x
FLAT = (".png", ".bmp")  # 2D only
PIXDIM, QFORM_CODE, SFORM_CODE, SROW = 76, 252, 254, 280  # bytes of the NIfTI-1 header


@pytest.fixture
def voxels() -> npt.NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    mask = np.zeros((5, 14, 12), np.uint8)
    mask[1:4, 3:12, 2:9] = rng.integers(0, 4, (3, 9, 7))
    return mask


def patch(path: Path, offset: int, layout: str, *values: float) -> None:
    content = bytearray(path.read_bytes())
    struct.pack_into(layout, content, offset, *values)
    path.write_bytes(content)


def make_unit_sform(path: Path) -> None:
    """Give a NIfTI file the header of the ACDC labels: true spacing in pixdim only."""
    patch(path, QFORM_CODE, "<2h", 0, 1)
    patch(path, SROW, "<12f", 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)


# --- find_masks


def test_masks_are_found_by_their_name_without_extension_and_other_files_ignored(tmp_path: Path) -> None:
    for name in ("b.nii.gz", "a.nii", "c.NII.GZ", "d.1.png", "dataset.json", "plans.txt", ".hidden.nii"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.nii").mkdir()
    result = find_masks(tmp_path, "predictions")
    assert result == {
        "a": tmp_path / "a.nii",
        "b": tmp_path / "b.nii.gz",
        "c": tmp_path / "c.NII.GZ",
        "d.1": tmp_path / "d.1.png",
    }


def test_two_files_of_one_case_are_an_error_that_names_both(tmp_path: Path) -> None:
    for name in ("case7.nii.gz", "case7.png"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(ValueError, match=r"case7.*case7\.nii\.gz.*case7\.png"):
        find_masks(tmp_path, "references")


@pytest.mark.parametrize("kind", ["missing", "file", "empty", "no images"])
def test_a_folder_without_masks_is_an_error_that_names_argument_and_folder(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "masks"
    if kind == "file":
        folder.write_text("")
    elif kind != "missing":
        folder.mkdir()
    if kind == "no images":
        (folder / "notes.txt").write_text("")
    with pytest.raises(ValueError, match=f"predictions.*{re.escape(str(folder))}"):
        find_masks(folder, "predictions")


# --- read_mask: what is right


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("extension", [end for end in EXTENSIONS if end not in ARRAY_READERS])
def test_every_extension_that_is_looked_for_reads_back_the_labels_that_were_saved(
    tmp_path: Path, voxels: npt.NDArray[np.uint8], save_mask: Save, extension: str, compress: bool
) -> None:
    saved = voxels[2] if extension in FLAT else voxels
    path = save_mask(tmp_path / f"a{extension}", saved, compress=compress)
    with read_limits(detached=extension == ".mhd"):
        mask = read_mask(path)
    assert mask.voxels.shape == saved.shape
    assert (mask.voxels == saved).all()
    assert len(mask.spacing) == saved.ndim


@pytest.mark.parametrize("extension", [".nii", ".nii.gz", ".nrrd", ".mha", ".mhd"])
def test_spacing_follows_the_axes_of_the_array(
    tmp_path: Path, voxels: npt.NDArray[np.uint8], save_mask: Save, extension: str
) -> None:
    path = save_mask(tmp_path / f"a{extension}", voxels, spacing=(10.0, 2.0, 1.5))
    with read_limits(detached=extension == ".mhd"):
        mask = read_mask(path)
    assert mask.voxels.shape == (5, 14, 12)
    assert mask.spacing == pytest.approx((10.0, 2.0, 1.5))
    assert mask.grid["size"] == (12, 14, 5)
    assert mask.grid["spacing"] == pytest.approx((1.5, 2.0, 10.0))


@pytest.mark.parametrize(
    ("extension", "dtype", "highest"),
    [
        (".png", np.uint8, 255),
        (".png", np.uint16, 65535),
        (".nii.gz", np.int8, 127),
        (".nii.gz", np.int16, 32767),
        (".nii.gz", np.uint16, 65535),
        (".nii.gz", np.int32, 100_000),
        (".nii.gz", np.float32, 3),
        (".nii", np.float64, 3),
        (".nrrd", np.uint16, 1000),
        (".mha", np.float32, 3),
    ],
)
def test_labels_of_every_pixel_type_keep_their_values(
    tmp_path: Path, save_mask: Save, extension: str, dtype: type, highest: int
) -> None:
    flat = np.zeros((6, 7), dtype)
    flat[1:3, 2:6] = 1
    flat[4, 5] = highest
    saved = flat if extension in FLAT else np.stack([flat, flat[::-1]])
    read = read_mask(save_mask(tmp_path / f"a{extension}", saved, spacing=(1.0, 1.0, 1.0))).voxels
    assert (read == saved).all()


def test_a_2d_nifti_has_two_axes_and_two_spacings(tmp_path: Path, save_mask: Save) -> None:
    mask = read_mask(save_mask(tmp_path / "a.nii.gz", np.eye(4, 6, dtype=np.uint8), spacing=(2.0, 0.5)))
    assert mask.voxels.shape == (4, 6)
    assert mask.spacing == pytest.approx((2.0, 0.5))


def test_spacing_comes_from_pixdim_where_the_sform_has_unit_scale(
    tmp_path: Path, voxels: npt.NDArray[np.uint8], save_mask: Save
) -> None:
    path = save_mask(tmp_path / "a.nii", voxels, spacing=SPACING)
    make_unit_sform(path)
    assert read_mask(path).spacing == pytest.approx(SPACING)


# --- read_mask: what is wrong


def read_or_refused(path: Path) -> npt.NDArray[Any] | None:
    """Return the voxels, or None where the file was refused with an error that names it."""
    try:
        return read_mask(path).voxels
    except ValueError as error:
        if str(path) not in str(error):
            raise
        return None


@pytest.mark.parametrize(("form", "offset"), [("qform", 256), ("sform", SROW)])
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_place_that_is_no_number_is_refused_where_it_counts(
    tmp_path: Path, voxels: npt.NDArray[np.uint8], save_mask: Save, form: str, offset: int, number: float
) -> None:
    path = save_mask(tmp_path / "a.nii", voxels, spacing=SPACING)
    patch(path, offset, "<f", number)
    codes = {"qform": (1, 0), "sform": (0, 1)}
    for counts, pair in codes.items():
        patch(path, QFORM_CODE, "<2h", *pair)
        if counts == form:
            with pytest.raises(ValueError, match=rf"a\.nii .*{form}, which says where it lies"):
                read_mask(path)
        else:
            assert np.array_equal(read_mask(path).voxels, voxels)


def cuts(size: int) -> list[int]:
    return sorted({*range(0, size, max(1, size // 60)), *range(max(0, size - 24), size)})


@pytest.mark.parametrize("extension", [".nii", ".nii.gz"])
def test_a_nifti_file_cut_anywhere_is_an_error_that_names_it(
    tmp_path: Path, voxels: npt.NDArray[np.uint8], save_mask: Save, extension: str
) -> None:
    whole = save_mask(tmp_path / f"whole{extension}", voxels).read_bytes()
    path = tmp_path / f"cut{extension}"
    for size in cuts(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=re.escape(str(path))):
            read_mask(path)


@pytest.mark.parametrize(
    ("extension", "compress"),
    [
        (".nrrd", False),
        (".nrrd", True),
        (".mha", False),
        (".mha", True),
        (".png", True),
    ],
)
def test_any_other_cut_file_is_an_error_or_has_lost_nothing(
    tmp_path: Path, voxels: npt.NDArray[np.uint8], save_mask: Save, extension: str, compress: bool
) -> None:
    saved = voxels[2] if extension in FLAT else voxels
    whole = save_mask(tmp_path / f"whole{extension}", saved, compress=compress).read_bytes()
    path = tmp_path / f"cut{extension}"
    silently_wrong = []
    for size in cuts(len(whole)):
        path.write_bytes(whole[:size])
        read = read_or_refused(path)
        if read is not None and not np.array_equal(read, saved):
            silently_wrong.append(size)
    assert not silently_wrong, f"of {len(whole)} bytes"


def test_a_damaged_gzip_file_is_an_error_or_has_lost_nothing(
    tmp_path: Path, voxels: npt.NDArray[np.uint8], save_mask: Save
) -> None:
    whole = save_mask(tmp_path / "whole.nii.gz", voxels).read_bytes()
    path = tmp_path / "damaged.nii.gz"
    silently_wrong = []
    for index in range(10, len(whole) - 8, 5):
        path.write_bytes(whole[:index] + bytes([whole[index] ^ 0x55]) + whole[index + 1 :])
        read = read_or_refused(path)
        if read is not None and not np.array_equal(read, voxels):
            silently_wrong.append(index)
    assert not silently_wrong, f"of {len(whole)} bytes"


def test_a_gzip_file_in_several_members_is_read(
    tmp_path: Path, voxels: npt.NDArray[np.uint8], save_mask: Save
) -> None:
    plain = save_mask(tmp_path / "a.nii", voxels).read_bytes()
    path = tmp_path / "b.nii.gz"
    path.write_bytes(gzip.compress(plain[:700]) + gzip.compress(plain[700:]))
    assert (read_mask(path).voxels == voxels).all()
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match=re.escape(str(path))):
        read_mask(path)


@pytest.mark.parametrize("content", [b"", b"this is no image\n" * 40], ids=["empty", "text"])
@pytest.mark.parametrize("extension", EXTENSIONS)
def test_an_empty_file_and_a_text_with_an_image_name_are_errors_that_name_the_file(
    tmp_path: Path, extension: str, content: bytes
) -> None:
    path = tmp_path / f"broken{extension}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(str(path))):
        read_mask(path)


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"gone\.nii\.gz"):
        read_mask(tmp_path / "gone.nii.gz")


@pytest.mark.parametrize("name", ["png.nii", "png.nii.gz", "tif.nii", "tif.nii.gz", "nrrd.nii.gz", "nii.png"])
def test_an_image_under_the_extension_of_another_format_is_read_or_an_error_that_names_it(
    tmp_path: Path, voxels: npt.NDArray[np.uint8], save_mask: Save, name: str
) -> None:
    true, _, _ = name.partition(".")
    content = save_mask(tmp_path / f"whole.{true}", voxels[2]).read_bytes()
    path = tmp_path / f"a.{name}"
    path.write_bytes(content)
    read = read_or_refused(path)
    assert read is None or np.array_equal(read, voxels[2])


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_a_colour_image_is_an_error_that_names_it(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "colour.png"
    Image.new(mode, (8, 6)).save(path)
    with pytest.raises(ValueError, match=re.escape(str(path))):
        read_mask(path)


@pytest.mark.parametrize("extension", [".nii.gz", ".nrrd"])
def test_a_4d_image_is_an_error_that_names_it(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"series{extension}"
    sitk.WriteImage(sitk.Image([5, 4, 3, 2], sitk.sitkUInt8), str(path))
    with pytest.raises(
        ValueError, match=rf"{re.escape(str(path))} must be 2D or 3D, got 4D .*\(5, 4, 3, 2\)"
    ):
        read_mask(path)


@pytest.mark.parametrize("extension", [".png"])
def test_a_palette_image_is_read_by_its_indices_or_an_error_that_names_it(
    tmp_path: Path, extension: str
) -> None:
    labels = np.zeros((6, 8), np.uint8)
    labels[1:4, 2:5] = 1
    labels[4, 4] = 2
    image = Image.fromarray(labels)
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    path = tmp_path / f"palette{extension}"
    image.save(path)
    read = read_or_refused(path)
    assert read is None or np.array_equal(read, labels)


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
@pytest.mark.parametrize("axis", [1, 3])
def test_a_nifti_spacing_that_is_no_positive_number_is_an_error_that_names_the_file(
    tmp_path: Path, voxels: npt.NDArray[np.uint8], save_mask: Save, value: float, axis: int
) -> None:
    # ITK puts 1 mm in its place and says nothing; distances would be wrong without a trace.
    path = save_mask(tmp_path / "spacing.nii", voxels)
    patch(path, PIXDIM + 4 * axis, "<f", value)
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))}.*spacing"):
        read_mask(path)


def test_a_negative_nifti_spacing_is_never_used_as_such(
    tmp_path: Path, voxels: npt.NDArray[np.uint8], save_mask: Save
) -> None:
    path = save_mask(tmp_path / "spacing.nii", voxels, spacing=SPACING)
    patch(path, PIXDIM + 4, "<f", -1.5)
    if read_or_refused(path) is not None:
        assert read_mask(path).spacing == pytest.approx(SPACING)


@pytest.mark.parametrize("value", ["0", "nan", "inf"])
def test_a_metaimage_spacing_that_is_no_positive_number_is_an_error_that_names_the_file(
    tmp_path: Path, voxels: npt.NDArray[np.uint8], save_mask: Save, value: str
) -> None:
    path = save_mask(tmp_path / "spacing.mha", voxels)
    content = re.sub(rb"ElementSpacing = \S+", b"ElementSpacing = " + value.encode(), path.read_bytes())
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(str(path))):
        read_mask(path)


# --- what ITK says


def test_what_itk_says_is_kept_once_without_its_noise_and_not_printed(
    tmp_path: Path,
    voxels: npt.NDArray[np.uint8],
    save_mask: Save,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path = save_mask(tmp_path / "noisy.nii", voxels)
    make_unit_sform(path)
    messages = read_mask(path).messages
    assert capfd.readouterr() == ("", "")
    assert len(messages) == 1
    assert "sform" in messages[0]
    assert str(path) not in messages[0]
    assert "0x" not in messages[0]


@pytest.mark.parametrize("fails", [False, True])
def test_itk_speaks_to_the_terminal_again_afterwards(
    tmp_path: Path,
    voxels: npt.NDArray[np.uint8],
    save_mask: Save,
    capfd: pytest.CaptureFixture[str],
    fails: bool,
) -> None:
    path = save_mask(tmp_path / "noisy.nii", voxels)
    make_unit_sform(path)
    if fails:
        with pytest.raises(ValueError):
            read_mask(tmp_path / "gone.nii")
    else:
        read_mask(path)
    assert capfd.readouterr().err == ""
    sitk.ReadImage(str(path))
    assert "sform" in capfd.readouterr().err


def test_messages_inside_messages_go_to_the_inner_collector(
    tmp_path: Path, voxels: npt.NDArray[np.uint8], save_mask: Save
) -> None:
    path = save_mask(tmp_path / "noisy.nii", voxels)
    make_unit_sform(path)
    with itk_messages() as outer:
        with itk_messages() as inner:
            sitk.ReadImage(str(path))
        assert inner
        assert not outer
        sitk.ReadImage(str(path))
        assert outer


@pytest.mark.parametrize("extension", [".nii", ".nii.gz", ".nrrd", ".mha", ".png"])
def test_a_cut_file_makes_no_noise_in_the_terminal(
    tmp_path: Path,
    voxels: npt.NDArray[np.uint8],
    save_mask: Save,
    capfd: pytest.CaptureFixture[str],
    extension: str,
) -> None:
    # The error is all there is to say: one line. ITK's libraries print their own from C.
    saved = voxels[2] if extension in FLAT else voxels
    path = save_mask(tmp_path / f"cut{extension}", saved)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    read_or_refused(path)
    assert capfd.readouterr() == ("", "")


# --- check_same_grid


TURNED = (0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("field", "shape", "change"),
    [
        ("size", (5, 14, 13), {}),
        ("size", (1, 14, 12), {}),
        ("size", (14, 12), {}),
        ("spacing", (5, 14, 12), {"spacing": (10.0, 2.0, 1.51)}),
        ("origin", (5, 14, 12), {"origin": (0.1, 0.0, 0.0)}),
        ("direction", (5, 14, 12), {"direction": TURNED}),
    ],
)
def test_another_grid_is_an_error_that_says_what_differs(
    tmp_path: Path, save_mask: Save, field: str, shape: tuple[int, ...], change: dict[str, Any]
) -> None:
    reference = read_mask(
        save_mask(tmp_path / "a.nii.gz", np.ones((5, 14, 12), np.uint8), **{"spacing": SPACING})
    )
    prediction = read_mask(
        save_mask(tmp_path / "b.nii.gz", np.ones(shape, np.uint8), **{"spacing": SPACING, **change})
    )
    with pytest.raises(ValueError, match=f"grid.*{field}"):
        check_same_grid(prediction, reference)
    with pytest.raises(ValueError, match="grid"):
        check_same_grid(reference, prediction)


def test_one_grid_stored_in_float32_and_in_float64_is_the_same(tmp_path: Path, save_mask: Save) -> None:
    angle = 0.3
    turned = (np.cos(angle), -np.sin(angle), 0.0, np.sin(angle), np.cos(angle), 0.0, 0.0, 0.0, 1.0)
    grid = {
        "spacing": (10 / 3, 1 / 3, 0.7),
        "origin": (-123.456789, 98.7654321, 1.0 / 7),
        "direction": turned,
    }
    read = [
        read_mask(save_mask(tmp_path / f"a{extension}", np.ones((3, 4, 5), np.uint8), **grid))
        for extension in (".nii.gz", ".nrrd", ".mha")
    ]
    assert read[0].grid != read[1].grid  # else nothing is shown here
    for prediction in read:
        for reference in read:
            check_same_grid(prediction, reference)


def turned(angle: float) -> tuple[float, ...]:
    return (np.cos(angle), -np.sin(angle), 0.0, np.sin(angle), np.cos(angle), 0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize("extension", [".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"direction": turned(5e-5)}, "one"),
        ({"direction": turned(2e-4)}, "direction"),
        ({"direction": turned(0.002)}, "direction"),
        ({"direction": turned(0.0021)}, "refused"),
        ({"origin": (0.001, 0.0, 0.0)}, "one"),
        ({"origin": (0.002, 0.0, 0.0)}, "origin"),
        ({"origin": (0.0, 0.07, 0.0)}, "origin"),
        ({"origin": (0.0, 0.08, 0.0)}, "refused"),
        ({"origin": (0.002, 0.0, 0.0), "direction": turned(0.001)}, "origin and the direction"),
    ],
)
def test_grids_that_are_written_a_little_apart_are_one_with_a_note(
    tmp_path: Path, save_mask: Save, extension: str, change: dict[str, Any], outcome: str
) -> None:
    voxels = np.ones((5, 14, 12), np.uint8)
    reference = read_mask(save_mask(tmp_path / f"a{extension}", voxels, spacing=SPACING))
    prediction = read_mask(save_mask(tmp_path / f"b{extension}", voxels, spacing=SPACING, **change))
    if outcome == "refused":
        with pytest.raises(ValueError, match=f"another grid.*{next(iter(change))}"):
            check_same_grid(prediction, reference)
        return
    notes = (
        [] if outcome == "one" else [f"the {outcome} of the prediction and of the reference differ a little"]
    )
    messages = check_same_grid(prediction, reference)
    assert [note.partition(" (")[0] for note in messages] == notes


def test_a_png_and_a_nifti_on_the_same_plain_grid_go_together(tmp_path: Path, save_mask: Save) -> None:
    flat = np.eye(5, 7, dtype=np.uint8)
    png = read_mask(save_mask(tmp_path / "a.png", flat, spacing=(1.0, 1.0)))
    check_same_grid(png, read_mask(save_mask(tmp_path / "a.nii.gz", flat, spacing=(1.0, 1.0))))
    other = read_mask(save_mask(tmp_path / "b.nii.gz", flat, spacing=(1.0, 0.5)))
    for pair, role in (((png, other), "prediction"), ((other, png), "reference")):
        with pytest.raises(ValueError, match=f"of the {role} states no pixel size: --spacing, or spacing="):
            check_same_grid(*pair)


# --- read_dataset_labels


def write_dataset(folder: Path, labels: object) -> Path:
    path = folder / "dataset.json"
    path.write_text(json.dumps({"labels": labels}), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "labels",
    [
        {"background": 0, "RVBP": 1, "LVM": 2},
        {"0": "background", "1": "RVBP", "2": "LVM"},
        {"background": "0", "RVBP": "1", "LVM": "2"},
    ],
    ids=["version 2", "version 1", "version 2 as text"],
)
@pytest.mark.parametrize("place", ["inside", "above"])
def test_labels_are_read_from_dataset_json_in_the_folder_or_above(
    tmp_path: Path, labels: dict[str, Any], place: str
) -> None:
    folder = tmp_path / "labelsTr"
    folder.mkdir()
    write_dataset(folder if place == "inside" else tmp_path, labels)
    result = read_dataset_labels(folder)
    assert result is not None
    assert result.structures == {"RVBP": (1,), "LVM": (2,)}
    assert result.ignore is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_dataset_json_may_begin_with_a_bom(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"Herz-größe": 1}}), encoding=encoding)
    result = read_dataset_labels(tmp_path)
    assert result is not None
    assert result.structures == {"Herz-größe": (1,)}


def test_without_a_dataset_json_there_are_no_labels(tmp_path: Path) -> None:
    (tmp_path / "labelsTr").mkdir()
    assert read_dataset_labels(tmp_path / "labelsTr") is None


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"labels": null}', '{"labels": ["a", "b"]}', '{"labels": 3}'],
)
def test_a_dataset_json_without_labels_is_an_error_that_names_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "dataset.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=re.escape(str(path))):
        read_dataset_labels(tmp_path)


@pytest.mark.parametrize(
    ("labels", "named"),
    [
        ({"background": 0, "whole": [1, "x"], "core": 2}, "whole"),
        ({"background": 0, "whole": [0, 1], "core": 2}, "whole"),
        ({"background": 0, "heart": 1, "ignore": [2, 3]}, "ignore"),
        ({"background": 0, "heart": "one"}, "heart"),
        ({"background": 0, "heart": None}, "heart"),
        ({"background": 0, "heart": 1.5}, "heart"),
        ({"0": "background", "1": "heart", "2": "heart"}, "heart"),
    ],
    ids=[
        "region of text",
        "region with background",
        "two to ignore",
        "text",
        "null",
        "fraction",
        "name twice",
    ],
)
def test_a_label_in_dataset_json_that_cannot_be_scored_is_an_error_that_names_file_and_label(
    tmp_path: Path, labels: dict[str, Any], named: str
) -> None:
    path = write_dataset(tmp_path, labels)
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))}.*{named}"):
        read_dataset_labels(tmp_path)


ENDINGS = (".nii.gz", ".nii", ".mha", ".nrrd", ".png", ".tif", ".npy", ".npz", ".NII.GZ")


@pytest.mark.parametrize(("one", "other"), list(combinations(ENDINGS, 2)))
def test_two_files_of_a_case_are_an_error_or_the_array_is_left_out_with_a_word(
    one: str, other: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    arrays = {".npy", ".npz"} & {one, other}
    for ending in (one, other):
        (tmp_path / f"case{ending}").touch()
    if len(arrays) == 1:
        (image,) = {one, other} - arrays
        assert find_masks(tmp_path, "predictions") == {"case": tmp_path / f"case{image}"}
        assert f"1 array beside an image of the same case left out, as probabilities: case{arrays.pop()}" in (
            caplog.text
        )
    else:
        with pytest.raises(ValueError, match=r"case case has two files: .* and "):
            find_masks(tmp_path, "predictions")
        assert not caplog.text


@pytest.mark.parametrize(
    ("changes", "way_out"),
    [
        ({"direction": (1.0, 0, 0, 0, -1, 0, 0, 0, 1)}, "sitk.Resample of one onto the other"),
        ({"origin": (0.0, 0.0, 5.0)}, "sitk.Resample of one onto the other"),
        ({"spacing": (1.0, 1.0, 1.0)}, "CopyInformation takes the other's"),
    ],
)
def test_what_brings_masks_onto_one_grid_is_told(
    changes: dict[str, Any], way_out: str, tmp_path: Path
) -> None:
    masks = []
    for number, own in enumerate(({"spacing": SPACING[::-1]}, {"spacing": SPACING[::-1]} | changes)):
        image = sitk.GetImageFromArray(np.ones((3, 4, 5), np.uint8))
        for name, value in own.items():
            getattr(image, f"Set{name.capitalize()}")(value)
        sitk.WriteImage(image, str(tmp_path / f"{number}.nii.gz"))
        masks.append(read_mask(tmp_path / f"{number}.nii.gz"))
    with pytest.raises(ValueError, match="the prediction lies on another grid") as caught:
        check_same_grid(masks[1], masks[0])
    assert way_out in str(caught.value)


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0])
def test_voxels_of_a_nifti_file_are_those_of_itk(tmp_path: Path, kind: str, slope: float) -> None:
    file, turned = tmp_path / "little.nii", tmp_path / "big.nii.gz"
    voxels = np.arange(24).reshape(2, 3, 4).astype(kind)
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(file))
    content = bytearray(file.read_bytes())
    struct.pack_into("<2f", content, 112, slope, 0.0)
    file.write_bytes(content)
    header = struct.unpack_from("<i10s18sihcc8h3f4h8f3fhcc4f2i80s24s2h6f12f16s4s", content)
    begin = struct.pack(">i10s18sihcc8h3f4h8f3fhcc4f2i80s24s2h6f12f16s4s", *header)
    body = voxels.astype(">" + kind).tobytes()
    turned.write_bytes(gzip.compress(begin + b"\0\0\0\0" + body))
    for path in (file, turned):
        truth = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        result = read_mask(path).voxels
        np.testing.assert_array_equal(result, truth)
        np.testing.assert_array_equal(result, voxels * (slope or 1))
        assert result.dtype == truth.dtype
        assert result.dtype.isnative
        assert result.flags.writeable
