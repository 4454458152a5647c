"""nnU-Net's files of cases, with the ending that dataset.json states."""

from pathlib import Path

from fairseg.io.images import EXTENSIONS, find_masks
from fairseg.io.json_files import read_json

DATASET = "dataset.json"


def file_ending(*folders: Path) -> str:
    """Return the ending in the first dataset.json of these folders that has one, such as ".tif"; else "".

    Raises:
        ValueError: a dataset.json cannot be read, or its ending is not as nnU-Net wants it.
    """
    for file in (folder / DATASET for folder in folders):
        if not file.is_file():
            continue
        try:
            ending = read_json(file).get("file_ending", "")
        except (OSError, ValueError, AttributeError) as error:
            raise ValueError(f"{file} cannot be read as a dataset.json of nnU-Net: {error!r}") from None
        if not isinstance(ending, str) or (ending and not ending.startswith(".")):
            raise ValueError(f'{file} must have a file_ending such as ".nii.gz", got {ending!r}')
        if ending:
            return ending
    return ""


def case_of(name: str, ending: str = "") -> str:
    """Return the case that a file is of: its name without the ending, or else without one that is known.

    >>> case_of("p01_ED.bmp", ".bmp"), case_of("p01_ED.nii.gz"), case_of("p01_ED.bmp")
    ('p01_ED', 'p01_ED', 'p01_ED.bmp')
    """
    ends = (ending, *EXTENSIONS) if ending else EXTENSIONS
    return next((name[: -len(end)] for end in ends if name.endswith(end)), name)


def cases_in(folder: Path, ending: str = "") -> list[str]:
    """Return the cases that have a file in a folder, sorted.

    Args:
        folder: of segmentations, such as `labelsTr`.
        ending: of their files; "" for those that `fairseg.metrics` reads.

    Raises:
        ValueError: it is no folder or has no case.
    """
    if not ending:
        return sorted(find_masks(folder, folder.name))
    if not folder.is_dir():
        raise ValueError(f"{folder} must be a folder of segmentations, is not there")
    files = (path for path in folder.iterdir() if path.name.endswith(ending) and path.is_file())
    cases = sorted(path.name[: -len(ending)] for path in files if not path.name.startswith("."))
    if not cases:
        raise ValueError(f"{folder} has no file that ends in {ending}, the file_ending of {DATASET}")
    return cases
