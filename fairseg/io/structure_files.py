"""Masks kept as one file a structure, in a folder a case: `CASE/liver.nii.gz`, or `CASE/segmentations/...`.

This is how TotalSegmentator writes its results. The files of a case become one mask of labels, with the
values that the caller states; structures that overlap do not fit into one mask, and are refused.
"""

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from fairseg.io.images import Mask, check_same_grid, is_structure_folder, structure_files
from fairseg.io.sentences import counted, listed


def structure_names(folder: Path) -> list[str]:
    """Return the structures that a folder of cases has files of; none if it has a file a case."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        folders = [Path(entry) for entry in entries if entry.is_dir()]
    cases = [path for path in folders if is_structure_folder(path)]
    return sorted({name for case in cases for name in structure_files(case)})


def hint_of_layout(masks: Mapping[str, Path], cases: Collection[str]) -> str:
    """Return a hint at folders that are named after structures and have a file a case; "" if there are none.

    Args:
        masks: case -> file or folder, as found.
        cases: those of the cohort.
    """
    for name, folder in masks.items():
        if is_structure_folder(folder) and structure_files(folder).keys() & set(cases):
            example = next(case for case in structure_files(folder) if case in cases)
            end = structure_files(folder)[example].name[len(example) :]
            return (
                f"; {folder} has a file a case, and what is read is a folder a case with a file a structure, "
                f"such as {example}/{name}{end}: move the files so, or save one mask of labels a case"
            )
    return ""


def read_structures(
    folder: Path, structures: Mapping[str | int, tuple[int, ...]], read: Callable[[Path], Mask]
) -> Mask:
    """Read the files of a case into one mask.

    Args:
        folder: of the case.
        structures: name, which is the file's without extension, -> its value; of a union the first.
        read: reads one of the files.

    Returns:
        The labels. A structure without a file is absent, and a message says so.

    Raises:
        ValueError: none of the structures has a file; a file cannot be read, or holds several values; files
            lie on different grids, or their structures overlap. The message names the file.
    """
    files = structure_files(folder)
    wanted = {str(name): codes[0] for name, codes in structures.items()}
    wanted_files = {name: file for name, file in files.items() if name in wanted}
    if not wanted_files:
        raise ValueError(
            f"{folder} has a file for each of {listed(files)}, and none for {listed(wanted) or 'a label'}: "
            f"name structures as their files, such as --labels {next(iter(files))}=1"
        )
    whole: Mask | None = None
    grid_messages: dict[str, None] = {}
    owner: dict[int, str] = {}
    for name, file in wanted_files.items():
        mask = read(file)
        inside = mask.voxels != 0
        if (values := np.unique(mask.voxels[inside])).size > 1:
            raise ValueError(f"{file} must hold one structure, got the values {listed(values.tolist())}")
        if whole is None:
            kind = np.min_scalar_type(max(wanted.values()))
            whole = replace(mask, voxels=np.zeros(mask.voxels.shape, kind))
        grid_messages |= dict.fromkeys(check_same_grid(mask, whole, names=("a structure", "the others")))
        for code in np.unique(whole.voxels[inside]).tolist():
            if code:
                shared = int((whole.voxels[inside] == code).sum())
                raise ValueError(
                    f"{folder}: {name} and {owner[code]} overlap in {counted(shared, 'voxel')}: save them "
                    "as one file of labels, and name unions such as --labels 'tumour=1+2'"
                )
        whole.voxels[inside] = wanted[name]
        owner[wanted[name]] = name
    assert whole is not None
    absent = [name for name in wanted if name not in files]
    notes = [f"no file of {listed(absent)}: taken as absent"] if absent else []
    return replace(whole, messages=(*whole.messages, *grid_messages, *notes))
