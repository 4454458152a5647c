"""Write an image whole or not at all: it is read back before it replaces an earlier one."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from fairseg.io.files import NotWrittenError, new_file
from fairseg.io.images import itk_messages, read_mask


def write_image(path: Path, image: sitk.Image, kind: str | None = None) -> None:
    """Write an image of one channel, compressed, in the format of its name.

    ITK does not report a full disk, so the file is read again and compared before it counts.

    Args:
        path: of the file; its folder is there.
        image: in 2D or 3D.
        kind: of the result, as in `fairseg.io.files.write_files`.

    Raises:
        NotWritableError: the file cannot be written there, or must not be replaced.
        NotWrittenError: it could not be written, as on a full disk; an earlier file is still there.
    """
    with new_file(path, kind) as temporary:
        try:
            with itk_messages():
                sitk.WriteImage(image, str(temporary), useCompression=True)
            whole = np.array_equal(read_mask(temporary).voxels, sitk.GetArrayViewFromImage(image))
        except (RuntimeError, ValueError):
            whole = False
        if not whole:
            raise NotWrittenError(
                f"{path} could not be written whole: is the disk full? What was there before still is"
            )
