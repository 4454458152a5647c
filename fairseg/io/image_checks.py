"""What is checked of an image file before a reader sees it, and of what the reader made of it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fairseg.io.array_files import ARRAY_READERS, read_array
from fairseg.io.metaimage import claim_of_metaimage
from fairseg.io.nifti import nifti_voxels, read_nifti_header
from fairseg.io.nrrd import claim_of_nrrd
from fairseg.io.png import check_png
from fairseg.io.voxel_data import Voxels

# ITK's reader of each format. Named, it need not try all it has, and none follows a file that is not what its
# name says.
READERS = {
    ".nii": "NiftiImageIO",
    ".gz": "NiftiImageIO",
    ".nrrd": "NrrdImageIO",
    ".mha": "MetaImageIO",
    ".mhd": "MetaImageIO",
    ".png": "PNGImageIO",
}


@dataclass(frozen=True)
class CheckedImage:
    """An image file whose header can be believed.

    Attributes:
        voxels: gives the checked voxels: call it with the image's shape and a function that has a reader read
            them, which may not be needed.
        header: bytes of which equal ones mean equal grids and types; `None` where the format has none.
    """

    voxels: Callable[[tuple[int, ...], Callable[[], Voxels]], Voxels]
    header: bytes | None = None


def _as_read(_: tuple[int, ...], read: Callable[[], Voxels]) -> Voxels:
    return read()


def check_image(path: Path) -> CheckedImage:
    """Compare an image file's header with the file and with the limits of `fairseg.io.limits`.

    What no format tells is a flipped bit in voxels that are not packed (.nii, and .mha and .nrrd that are not
    compressed), or a digit of a header in text that is another digit.

    Raises:
        ValueError: the file is damaged, larger than its limits, or its voxels lie elsewhere; it is named.
    """
    if not path.is_file():
        raise ValueError(f"{path} cannot be read: it is {'no file' if path.exists() else 'not there'}")
    suffix = path.suffix.lower()
    try:
        if suffix in (".nii", ".gz"):
            header = read_nifti_header(path)
            return CheckedImage(partial(nifti_voxels, path, header), header.content)
        if suffix in (".mha", ".mhd", ".nrrd"):
            claim = claim_of_nrrd(path) if suffix == ".nrrd" else claim_of_metaimage(path)
            claim.check()
            return CheckedImage(claim.voxels)
        if suffix == ".png":
            check_png(path)
            return CheckedImage(_as_read)
        if suffix in ARRAY_READERS:
            read_array(path)
            return CheckedImage(_as_read)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    raise ValueError(f"{path} must be an image in one of the formats {', '.join((*READERS, *ARRAY_READERS))}")
