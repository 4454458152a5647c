"""What is checked of an image file before a reader sees it, and of what the reader made of it."""

from collections.abc import Callable
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


def check_image(path: Path) -> Callable[[tuple[int, ...], Callable[[], Voxels]], Voxels]:
    """Compare an image file's header with the file and with the limits of `fairseg.io.limits`.

    What no format tells is a flipped bit in voxels that are not packed (.nii, and .mha and .nrrd that are not
    compressed), or a digit of a header in text that is another digit.

    Returns:
        What gives the checked voxels: call it with the image's shape and a function that has a reader read
        them, which may not be needed.

    Raises:
        ValueError: the file is damaged, larger than its limits, or its voxels lie elsewhere; it is named.
    """
    if not path.is_file():
        raise ValueError(f"{path} cannot be read: it is {'no file' if path.exists() else 'not there'}")
    suffix = path.suffix.lower()
    try:
        if suffix in (".nii", ".gz"):
            return partial(nifti_voxels, path, read_nifti_header(path))
        if suffix in (".mha", ".mhd", ".nrrd"):
            claim = claim_of_nrrd(path) if suffix == ".nrrd" else claim_of_metaimage(path)
            claim.check()
            return claim.voxels
        if suffix == ".png":
            check_png(path)
            return lambda _, read: read()
        if suffix in ARRAY_READERS:
            read_array(path)
            return lambda _, read: read()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    raise ValueError(f"{path} must be an image in one of the formats {', '.join((*READERS, *ARRAY_READERS))}")
