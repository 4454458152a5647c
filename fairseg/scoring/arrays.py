"""Masks in memory are scored exactly as files are: they become files while the scoring lasts."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from fairseg.cohort.vectors import on_cpu
from fairseg.io.sentences import brief, counted

Arrays = Mapping[str, Any] | Sequence[Any]  # case -> mask, or masks in the order of the cohort
Folders = str | Path | Sequence[str | Path]
_WAYS = (
    "folders of masks, arrays by case such as {'p01': mask}, or a list of arrays in the order of the cohort"
)


def are_arrays(masks: object) -> bool:
    """Whether masks are arrays by case, or a list of arrays, rather than folders.

    >>> are_arrays({"p01": np.zeros((2, 2))}), are_arrays([np.zeros((2, 2))]), are_arrays("predictions")
    (True, True, False)
    """
    if isinstance(masks, str | Path | pd.DataFrame) or not isinstance(masks, Mapping | list | tuple):
        return False
    parts = [*(masks.values() if isinstance(masks, Mapping) else masks)]
    return bool(parts) and all(np.ndim(on_cpu(one)) > 1 if hasattr(one, "shape") else False for one in parts)


def check_are_no_stacks(*masks: object, line: str) -> None:
    """Raise a ValueError if masks are one array in the place of folders, which may be a stack of cases.

    Args:
        masks: predictions and references.
        line: what to type for a stack.
    """
    if any(np.ndim(on_cpu(one)) > 1 for one in masks if _is_array(one)):
        raise ValueError(
            f"predictions and references must be {_WAYS}, got one array: of a stack of cases type {line}; "
            "fairseg.metrics.score_case(prediction, reference, labels={'LV': 1}) scores those of one case"
        )


def _is_array(masks: object) -> bool:
    return hasattr(masks, "shape") and not isinstance(masks, pd.DataFrame) and not _has_fields(masks)


def _has_fields(masks: object) -> bool:
    """Return whether an array is a table, with a name for each field."""
    return getattr(getattr(masks, "dtype", None), "names", None) is not None


@contextmanager
def as_folders(
    predictions: Folders | Arrays, references: Folders | Arrays, cases: Iterable[str]
) -> Iterator[tuple[list[Path], Path, Callable[[str], str]]]:
    """Yield folders with the masks, and a function that replaces files of arrays in a text by their names.

    Args:
        predictions: a folder, several, or arrays.
        references: a folder, or arrays.
        cases: those of the cohort, in its order.

    Raises:
        ValueError: masks are neither folders nor arrays, a list of arrays has another length than the cohort,
            or a case cannot be the name of a file. Errors inside name arrays, not the files they became.
    """
    has_arrays = are_arrays(predictions) or are_arrays(references)
    with TemporaryDirectory() if has_arrays else nullcontext("") as scratch:
        top = Path(scratch, "masks")  # alone in its folder, where a dataset.json is looked for
        sides: list[list[Path]] = []
        for argument, masks in (("predictions", predictions), ("references", references)):
            if are_arrays(masks):
                sides.append([_save(masks, argument, list(cases), top)])
            elif isinstance(masks, str | Path):
                sides.append([Path(masks)])
            elif argument == "predictions" and _are_paths(masks):
                sides.append([Path(one) for one in masks])
            else:
                check_are_no_stacks(masks, line=f"list({argument})")
                raise ValueError(f"{argument} must be {_WAYS}, got {brief(masks)}")
        pattern = re.compile(re.escape(str(top)) + r"/(predictions|references)(?:/(.+?)\.npy)?")

        def name_arrays(text: str) -> str:
            if not has_arrays:
                return text
            return pattern.sub(lambda match: match[1] + (f"[{match[2]!r}]" if match[2] else ""), text)

        try:
            yield sides[0], sides[1][0], name_arrays
        except ValueError as error:
            raise ValueError(name_arrays(str(error))) from None


def _are_paths(masks: object) -> bool:
    return isinstance(masks, Sequence) and all(isinstance(one, str | Path) for one in masks)


def _save(masks: Any, argument: str, cases: Sequence[str], top: Path) -> Path:
    if not isinstance(masks, Mapping):
        if len(masks) != len(cases):
            raise ValueError(
                f"{argument} must be one array a case of the cohort, in its order, got "
                f"{counted(len(masks), 'array')} for {counted(len(cases), 'case')}: or {{'p01': mask}}"
            )
        masks = dict(zip(cases, masks, strict=True))
    folder = top / argument
    folder.mkdir(parents=True)
    for case, mask in masks.items():
        name = str(case)
        if {"/", os.sep, "\0"} & {*name} or name.startswith(".") or not name:
            raise ValueError(f"{argument}: a case must be a name without '/', got {name!r}")
        array = np.asarray(on_cpu(mask))
        if array.dtype.kind not in "biuf":
            raise ValueError(f"{argument}[{name!r}] must hold labels, got dtype {array.dtype}")
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    return folder
