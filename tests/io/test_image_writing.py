"""Masks count only when they were read back: a disk that runs full leaves the old ones and says so."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from fairseg.cli import main
from fairseg.io.files import NotWrittenError
from fairseg.io.image_writing import write_image
from fairseg.io.images import read_mask
from tests.full_disk import small_disk


def noise(seed: int) -> sitk.Image:
    """Return an image that packs badly: of 60 KB."""
    return sitk.GetImageFromArray(np.random.default_rng(seed).integers(0, 256, (15, 64, 64), dtype=np.uint8))


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.mha", "a.nrrd"])
def test_an_image_is_written_as_it_is(tmp_path: Path, name: str) -> None:
    write_image(tmp_path / name, noise(0), "masks")
    write_image(tmp_path / name, noise(1), "masks")
    assert np.array_equal(read_mask(tmp_path / name).voxels, sitk.GetArrayViewFromImage(noise(1)))
    assert not list(tmp_path.glob("*.part*"))


@pytest.mark.parametrize("room", [0, 1, 4, 20, 40, 60])
@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd"])
def test_a_full_disk_leaves_the_old_image_and_names_it(tmp_path: Path, name: str, room: int) -> None:
    with small_disk(tmp_path / "disk", 200) as disk:
        write_image(disk / name, noise(0), "masks")
        used = sum(-(-file.stat().st_size // 4096) * 4 for file in disk.iterdir())
        (disk / "filler").write_bytes(bytes(1024 * max(0, 196 - used - room)))
        try:
            write_image(disk / name, noise(1), "masks")
        except NotWrittenError as error:
            assert str(disk / name) in str(error)  # noqa: PT017  (whether it fits is the disk's choice)
            assert np.array_equal(read_mask(disk / name).voxels, sitk.GetArrayViewFromImage(noise(0)))
        else:
            assert room == 60
        assert not list(disk.glob(".*.part*"))


def test_a_phantom_that_does_not_fit_leaves_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with small_disk(tmp_path / "disk", 100) as disk:
        out = disk / "data"
        assert main(["phantom", str(out), "--subjects", "A=20", "--test-subjects", "0"]) == 1
        (line,) = capfd.readouterr().err.splitlines()
        assert str(out) in line
        assert list(disk.iterdir()) == []
