"""A damaged image is refused by name, whatever its format, and a reader is told no lies about its size."""

import gzip
import re
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from fairseg.io import voxel_data
from fairseg.io.images import read_mask
from fairseg.io.limits import read_limits

Save = Callable[..., Path]
Voxels = npt.NDArray[np.uint8]

PACKED = (".nii.gz", ".mha", ".nrrd", ".png", ".npz")
PLAIN = (".nii", ".mha", ".nrrd", ".npy", ".tif")
FLIPS = 100


@pytest.fixture
def voxels() -> Voxels:
    mask = np.zeros((5, 14, 12), np.uint8)
    mask[1:4, 3:12, 2:9] = np.random.default_rng(0).integers(0, 4, (3, 9, 7))
    return mask


@pytest.fixture(params=["isal", "zlib"])
def codec(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unpack with isal's zlib, and with Python's, as where isal has no wheel."""
    reason = "isal has no wheel for this processor"
    module = zlib if request.param == "zlib" else pytest.importorskip("isal.isal_zlib", reason=reason)
    monkeypatch.setattr(voxel_data, "codec", module)


def saved(tmp_path: Path, voxels: Voxels, save_mask: Save, extension: str, compress: bool) -> Path:
    shown, path = voxels[2] if extension == ".png" else voxels, tmp_path / f"whole{extension}"
    if extension in (".npy", ".npz"):
        (np.savez_compressed if compress else np.save)(path, shown)
        return path
    if extension == ".tif":
        tifffile.imwrite(path, shown, photometric="minisblack", compression="zlib" if compress else None)
        return path
    return save_mask(tmp_path / f"whole{extension}", shown, compress=compress)


def read_or_refused(path: Path) -> npt.NDArray[np.generic] | None:
    try:
        return read_mask(path).voxels
    except ValueError as error:
        if str(path) not in str(error) or "\n" in str(error):
            raise
        return None


@pytest.mark.usefixtures("codec")
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("extension", PACKED)
def test_one_flipped_bit_of_a_packed_image_is_refused_or_changes_no_voxel(
    tmp_path: Path, voxels: Voxels, save_mask: Save, extension: str, seed: int
) -> None:
    # Which mask was read before decides what lies in memory: a reader that fills too little shows it.
    before = save_mask(tmp_path / "before.nii", np.ones_like(voxels))
    path = saved(tmp_path, voxels, save_mask, extension, compress=True)
    whole, right = path.read_bytes(), read_mask(path).voxels
    damaged = tmp_path / f"damaged{extension}"
    for bit in np.random.default_rng(seed).choice(len(whole) * 8, FLIPS, replace=False).tolist():
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        damaged.write_bytes(content)
        read_mask(before)
        read = read_or_refused(damaged)
        assert read is None or np.array_equal(read, right), f"bit {bit}"


@pytest.mark.usefixtures("codec")
@pytest.mark.parametrize(
    ("extension", "compress"), [*((e, True) for e in (*PACKED, ".tif")), *((e, False) for e in PLAIN)]
)
def test_a_cut_file_is_refused(
    tmp_path: Path, voxels: Voxels, save_mask: Save, extension: str, compress: bool
) -> None:
    path = saved(tmp_path, voxels, save_mask, extension, compress)
    whole = path.read_bytes()
    for size in {0, 1, *range(0, len(whole), len(whole) // 50 + 1), *range(len(whole) - 12, len(whole))}:
        path.write_bytes(whole[:size])
        read = read_or_refused(path)
        if read is None or (extension == ".tif" and np.array_equal(read, voxels)):  # which ends with padding
            continue
        pytest.fail(f"{size} of {len(whole)} bytes")


@pytest.mark.usefixtures("codec")
@pytest.mark.parametrize("extension", PACKED)
def test_a_half_of_zeros_is_refused(tmp_path: Path, voxels: Voxels, save_mask: Save, extension: str) -> None:
    path = saved(tmp_path, voxels, save_mask, extension, compress=True)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))
    assert read_or_refused(path) is None


@pytest.mark.parametrize("writer", ["pillow", "tifffile"])
def test_of_a_damaged_tiff_only_the_error_is_told(
    tmp_path: Path, writer: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    path, mask = tmp_path / "a.tif", np.zeros((40, 40), np.uint8)
    mask[8:30, 6:18] = 1
    if writer == "pillow":
        Image.fromarray(mask).save(path, compression="tiff_deflate")
    else:
        tifffile.imwrite(path, mask)
    whole, ended = path.read_bytes(), []
    header = [index for index in range(8, len(whole)) if index < 200 or index >= len(whole) - 180]
    for index in header:
        for bit in range(8):
            content = bytearray(whole)
            content[index] ^= 1 << bit
            path.write_bytes(content)
            try:
                read = read_mask(path)
            except ValueError as error:
                ended.append(str(error))
            else:
                assert min(read.voxels.shape) > 0, (index, bit)
    assert ended
    assert all(error.startswith(str(path)) for error in ended)
    assert any("its size is (0, 40, 40)" in error for error in ended)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_a_metaimage_that_unpacks_to_fewer_or_more_voxels_is_refused(
    tmp_path: Path, voxels: Voxels, save_mask: Save
) -> None:
    path = saved(tmp_path, voxels, save_mask, ".mha", compress=True)
    whole = path.read_bytes()
    for size in (b"12 14 10", b"12 14 4", b"12 -14 5", b"12 14 0", b"12 14", b"x 14 5"):
        path.write_bytes(whole.replace(b"DimSize = 12 14 5", b"DimSize = " + size))
        assert read_or_refused(path) is None, size


@pytest.mark.parametrize("start", [0.0, 100.0, 348.0, 351.0, 352.5, -352.0, np.inf, np.nan, 3e38])
@pytest.mark.parametrize("extension", [".nii", ".nii.gz"])
def test_nifti_voxels_cannot_begin_within_the_header_or_nowhere(
    tmp_path: Path, voxels: Voxels, save_mask: Save, extension: str, start: float
) -> None:
    content = bytearray(save_mask(tmp_path / "whole.nii", voxels).read_bytes())
    struct.pack_into("<f", content, 108, start)
    path = tmp_path / f"a{extension}"
    path.write_bytes(gzip.compress(content) if extension == ".nii.gz" else content)
    assert read_or_refused(path) is None


def test_a_nifti_header_without_its_voxels_is_refused(
    tmp_path: Path, voxels: Voxels, save_mask: Save
) -> None:
    content = bytearray(save_mask(tmp_path / "whole.nii", voxels).read_bytes())
    content[344:348] = b"ni1\0"
    path = tmp_path / "a.nii"
    path.write_bytes(content[:352])
    (tmp_path / "a.img").write_bytes(content[352:])
    with pytest.raises(ValueError, match=re.escape(str(path))):
        read_mask(path)


# --- a mask reads itself only

SECRET = b"\x01" * (5 * 14 * 12)
NRRD = "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 12 14 5\nencoding: raw\n"
META = "ObjectType = Image\nNDims = 3\nDimSize = 12 14 5\nElementType = MET_UCHAR\nElementDataFile = "
ELSEWHERE = (
    *("../secret.raw", "{secret}", "x/../../secret.raw", "link.raw", "LIST\n../secret.raw\n", "LIST"),
    *("../secret%03d.raw 1 1 1", "file:///{secret}", "", "../secret.raw\n\n"),
)


@pytest.mark.parametrize("detached", [False, True])
@pytest.mark.parametrize("where", ELSEWHERE)
@pytest.mark.parametrize("name", ["a.nrrd", "a.mha", "a.mhd", "a.png", "a.nii", "a.nii.gz"])
def test_voxels_are_never_read_from_another_folder(
    tmp_path: Path, name: str, where: str, detached: bool
) -> None:
    secret, folder = tmp_path / "secret.raw", tmp_path / "masks"
    folder.mkdir()
    secret.write_bytes(SECRET)
    (tmp_path / "secret001.raw").write_bytes(SECRET)
    (folder / "link.raw").symlink_to(secret)
    target = where.format(secret=secret)
    for text in (f"{NRRD}data file: {target}\n\n", META + target + "\n"):
        (folder / name).write_text(text)
        with read_limits(detached=detached):
            assert read_or_refused(folder / name) is None


@pytest.mark.parametrize(
    ("name", "text"), [("a.nrrd", NRRD + "data file: a.raw\n\n"), ("a.mhd", META + "a.raw\n")]
)
def test_voxels_beside_the_header_are_read_where_that_is_asked_for_only(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    (tmp_path / "a.raw").write_bytes(SECRET)
    with pytest.raises(ValueError, match="--detached"):
        read_mask(tmp_path / name)
    with read_limits(detached=True):
        assert (read_mask(tmp_path / name).voxels == 1).all()
        for content in (SECRET[:-1], SECRET + b"x", b""):
            (tmp_path / "a.raw").write_bytes(content)
            assert read_or_refused(tmp_path / name) is None
        (tmp_path / "a.raw").unlink()
        assert read_or_refused(tmp_path / name) is None


# --- memory


def large(name: str, whole: Path) -> bytes:
    """Return a small file of a format that claims 1500^3 voxels."""
    content = bytearray(whole.read_bytes())
    if name.startswith("nii"):
        content = bytearray(gzip.decompress(content)) if name == "nii.gz" else content
        struct.pack_into("<3h", content, 42, 1500, 1500, 1500)
        return gzip.compress(content) if name == "nii.gz" else bytes(content)
    return bytes(content).replace(b"12 14 5", b"1500 1500 1500")


@pytest.mark.parametrize("name", ["nii", "nii.gz", "mha", "nrrd"])
@pytest.mark.parametrize("compress", [False, True])
def test_a_file_that_claims_more_than_it_can_hold_costs_no_memory(
    tmp_path: Path, voxels: Voxels, save_mask: Save, name: str, compress: bool
) -> None:
    path = tmp_path / f"a.{name}"
    path.write_bytes(large(name, save_mask(tmp_path / f"whole.{name}", voxels, compress=compress)))
    tracemalloc.start()
    try:
        with read_limits(max_voxels=10**12):
            assert read_or_refused(path) is None
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_more_voxels_than_allowed_are_refused(tmp_path: Path, voxels: Voxels, save_mask: Save) -> None:
    for extension in (*PACKED, ".nii"):
        path = saved(tmp_path, voxels, save_mask, extension, compress=True)
        number = voxels[0].size if extension == ".png" else voxels.size
        with read_limits(max_voxels=number - 1), pytest.raises(ValueError, match="--max-voxels"):
            read_mask(path)
        with read_limits(max_voxels=number):
            read_mask(path)


def test_a_gzip_bomb_is_stopped_while_it_inflates(tmp_path: Path, voxels: Voxels, save_mask: Save) -> None:
    plain = save_mask(tmp_path / "a.nii", voxels.astype(np.float32)).read_bytes()
    path = tmp_path / "bomb.nii.gz"
    path.write_bytes(gzip.compress(plain) + gzip.compress(bytes(300 << 20), compresslevel=9))
    tracemalloc.start()
    try:
        assert read_or_refused(path) is None
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("digit", ["9", "["])
@pytest.mark.parametrize(
    "line", ["space directions: (1.5,{},0) (0,1,0) (0,0,1)", "kinds:{}", "{}", "units:{}"]
)
def test_a_cell_that_would_end_the_process_is_refused(tmp_path: Path, digit: str, line: str) -> None:
    path = tmp_path / "a.nrrd"
    header = NRRD + f"space: left-posterior-superior\n{line.format(digit * 2000)}\n\n"
    path.write_bytes(header.encode() + SECRET)
    with pytest.raises(ValueError, match=r"a\.nrrd is truncated or damaged: a cell of its .* has no end"):
        read_mask(path)
