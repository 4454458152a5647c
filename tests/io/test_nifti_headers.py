"""What is remembered of a NIfTI header is what ITK says of it, whichever byte of it differs."""

import re
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from fairseg.io import images
from fairseg.io.images import read_mask

LENGTH, ORIGIN = 348, 268  # bytes, and where the first of qoffset lies
AFFINE = np.array([[-1.2, 0.1, 0, 5], [0.1, 1.2, 0, -7], [0, 0, 8, 3], [0, 0, 0, 1]])


def outcome(path: Path) -> tuple[Any, ...]:
    """Return all that is read of a file, or why it is refused."""
    try:
        mask = read_mask(path)
    except ValueError as error:
        return (str(error),)
    return mask.voxels.tolist(), mask.voxels.dtype, mask.spacing, mask.grid, mask.messages


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    image = nib.Nifti1Image(np.arange(24, dtype=np.uint8).reshape(4, 3, 2), AFFINE)
    image.header["descrip"] = b"FSL5.0"
    image.set_qform(AFFINE, 1)
    nib.save(image, tmp_path / "whole.nii")
    return (tmp_path / "whole.nii").read_bytes()


@pytest.mark.parametrize("seed", range(2))
def test_a_header_that_differs_in_one_byte_is_read_as_if_no_other_had_been_read(
    whole: bytes, tmp_path: Path, seed: int
) -> None:
    path = tmp_path / "a.nii"
    random = np.random.default_rng(seed)
    grids = set()
    for position in range(LENGTH):
        images._headers.clear()
        path.write_bytes(whole)
        outcome(path)
        changed = bytearray(whole)
        changed[position] ^= 1 << int(random.integers(8))
        path.write_bytes(changed)
        after_another = outcome(path)
        images._headers.clear()
        assert after_another == outcome(path), position
        grids.add(str(after_another[3:4]))
    assert len(grids) > 20


def test_headers_that_differ_in_their_words_are_asked_for_once(
    whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images._headers.clear()
    asked = []
    reader = images._reader
    monkeypatch.setattr(images, "_reader", lambda path: asked.append(path.name) or reader(path))
    for name, words in (("a", b"FSL5.0"), ("b", b"nnUNet"), ("c", b"FSL5.0")):
        path = tmp_path / f"{name}.nii"
        path.write_bytes(whole.replace(b"FSL5.0", words))
        read_mask(path)
    assert asked == ["a.nii"]


def test_a_grid_that_a_caller_changes_is_not_that_of_the_next_file(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    path.write_bytes(whole)
    read_mask(path).grid["spacing"] = (0.0,)
    assert read_mask(path).grid["spacing"] == pytest.approx((1.204, 1.204, 8), abs=1e-3)


def test_of_many_headers_only_the_last_are_remembered(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    for shift in range(150):
        changed = bytearray(whole)
        changed[ORIGIN] = shift
        path.write_bytes(changed)
        read_mask(path)
        assert len(images._headers) <= images._MOST_HEADERS


def test_sheared_files_are_read_with_the_variable_that_the_error_names_and_not_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheared = np.array([[1, 0.4, 0, 0], [0, 1, 0, 0], [0, 0, 8, 0], [0, 0, 0, 1.0]])
    nib.save(nib.Nifti1Image(np.ones((4, 3, 2), np.uint8), sheared), tmp_path / "a.nii")
    for _ in range(2):
        with pytest.raises(ValueError, match="ITK_NIFTI_SFORM_PERMISSIVE"):
            read_mask(tmp_path / "a.nii")
        with monkeypatch.context() as patch:
            patch.setenv("ITK_NIFTI_SFORM_PERMISSIVE", "1")
            read_mask(tmp_path / "a.nii")


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_nifti_2_file_is_refused_with_the_way_out(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    image = nib.Nifti2Image(np.ones((4, 3, 2), np.uint8), AFFINE)
    nib.save(image, path)
    with pytest.raises(
        ValueError, match=rf"{re.escape(str(path))} is NIfTI-2, which is not read: save it as"
    ):
        read_mask(path)
    nib.save(nib.Nifti1Image.from_image(image), path)
    assert read_mask(path).voxels.sum() == 24
