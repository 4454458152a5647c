"""The voxel size of files that state none: one for all, or columns of the table of cases."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import pandas as pd

from fairseg.io.limits import check_voxel_size
from fairseg.io.sentences import lacks_column
from fairseg.metrics.masks import check_spacing

Spacing = str | float | Sequence[str] | Sequence[float]


@dataclass(frozen=True)
class VoxelSizes:
    """The voxel size of every case, mm: the same for all, or one of its own.

    Attributes:
        of_all: one number an axis; None where each has its own, or none is given.
        of_case: by case; () where its row has none.
    """

    of_all: tuple[float, ...] | None = None
    of_case: Mapping[str, tuple[float, ...]] | None = None

    @classmethod
    def of(cls, spacing: Spacing | None, table: pd.DataFrame | None) -> "VoxelSizes":
        r"""Return the voxel sizes of the cases of a table, as `fairseg.evaluate` takes them.

        Args:
            spacing: one size for all cases, a number for all axes or one an axis; the column that has it, as
                "0.14" (all axes alike), or rows first as "0.14, 0.2" and DICOM's "0.14\0.2"; or one column an
                axis, rows first; None: not given.
            table: of cases, which are its index; None where there is none.

        Raises:
            ValueError: the sizes are no positive numbers, or there is no such column; the message names the
                column and case.

        >>> sizes = VoxelSizes.of("mm", pd.DataFrame({"mm": ["0.14, 0.2", ""]}, index=["a", "b"]))
        >>> sizes["a"], sizes["b"]
        ((0.14, 0.2), ())
        """
        if spacing is None:
            return cls()
        sizes = sizes_given(spacing)
        names = [size for size in sizes if isinstance(size, str)]
        if not names or len(names) < len(sizes):
            numbers: Any = sizes
            of_all = tuple(check_spacing(numbers, len(sizes)).tolist())
            check_voxel_size(of_all, "spacing")
            return cls(of_all=of_all)
        columns = pd.DataFrame() if table is None else table
        for name in names:
            if name not in columns:
                lacks = lacks_column("the cohort", name, columns.columns)
                raise ValueError(f"spacing must be numbers or names of columns: {lacks}")
        parts = [[_numbers(cell, str(name), case) for case, cell in columns[name].items()] for name in names]
        of_case = {str(case): sum(sizes, ()) for case, *sizes in zip(columns.index, *parts, strict=True)}
        return cls(of_case=of_case)

    def __getitem__(self, case: str) -> tuple[float, ...] | None:
        """Return the size for a case, () if its own is not known; None where no size is given."""
        return self.of_all if self.of_case is None else self.of_case.get(case, ())


def sizes_given(spacing: Spacing) -> list[str | float]:
    """Return the numbers, or the names of columns, that a spacing is given by."""
    return [spacing] if isinstance(spacing, str | float | Real) else list(spacing)


def _numbers(cell: Any, column: str, case: Any) -> tuple[float, ...]:
    text = "" if pd.isna(cell) else str(cell).strip(" []()")
    try:
        sizes = tuple(float(part) for part in re.split(r"[\\,;x\s]+", text) if part)
    except ValueError:
        sizes = (math.nan,)
    if not all(0 < size < math.inf for size in sizes):
        raise ValueError(f"spacing must be positive numbers, got {text!r} in column {column} of case {case}")
    check_voxel_size(sizes, f"spacing in column {column} of case {case}")
    return sizes
