"""Vectors of group ids or of attribute values: lists, NumPy, pandas, torch."""

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from fairseg.cohort.levels import is_missing
from fairseg.io.sentences import brief

Vector = Any  # a list, tuple, NumPy array, pandas Series or array, or torch tensor; none of them is imported
Integers = npt.NDArray[np.integer]


def read_vector(values: Vector, argument: str = "values") -> Integers | list[Any]:
    """Return integers as an array, with -1 where one is missing, and anything else as a list of values.

    Integers are NumPy's, torch's and pandas' (also nullable) integers, Python's in a list, and whole numbers
    as floats, which pandas makes of integers beside a missing one and keeps when that row is
    dropped. True and False are values like text, and so is all of a pandas Categorical.

    Args:
        values: one a sample, (N,).
        argument: its name, for errors.

    Raises:
        ValueError: `values` is a single value, a table, or has more than one axis.

    >>> read_vector([0, 1, None]), read_vector(["F", None])
    (array([ 0,  1, -1]), ['F', None])
    """
    plain = on_cpu(values)
    _check_is_vector(plain, argument)
    dtype = getattr(plain, "dtype", None)
    kind = getattr(dtype, "kind", "f")
    if isinstance(dtype, np.dtype):
        array = np.asarray(plain)
        return array if kind in "iu" else _integers(array.tolist())
    if kind in ("i", "u"):  # pandas' own types, with <NA>
        return np.asarray(plain.to_numpy(dtype=np.int64, na_value=-1))
    return _integers(list(plain)) if kind == "f" else list(plain)


def on_cpu(values: Any) -> Any:
    """Return a torch tensor as a NumPy array, wherever it lies, and anything else as it is."""
    return values.detach().cpu().numpy() if hasattr(values, "detach") else values


def check_is_no_table(values: Any, expected: str) -> None:
    """Raise a ValueError that begins with the text `expected` if the value is a table and no column."""
    if isinstance(values, Mapping) or hasattr(values, "columns"):
        raise ValueError(
            f"{expected}, got a table of {', '.join(map(str, values)) or 'no columns'}: take a column"
        )


def _check_is_vector(values: Any, argument: str) -> None:
    expected = f"{argument} must be a vector, one value a sample"
    check_is_no_table(values, expected)
    if hasattr(values, "cells"):  # Groups, which would go for a list of its names
        raise ValueError(
            f"{expected}, got the groups of a cohort: groups.encode(...) makes ids of its samples"
        )
    shape = getattr(values, "shape", None)
    if shape is not None and len(shape) != 1:
        raise ValueError(f"{expected}, got shape {tuple(shape)}")
    if isinstance(values, str | set | frozenset) or not hasattr(values, "__len__"):
        raise ValueError(f"{expected}, got {brief(values)}")
    if shape is None and any(isinstance(value, list | tuple) or np.ndim(value) for value in values):
        raise ValueError(f"{expected}, got shape {_shape(values)}")


def _shape(values: Any) -> tuple[int, ...]:
    try:
        return np.shape(values)
    except ValueError:  # rows of different lengths
        return (len(values), -1)


def _integers(values: list[Any]) -> Integers | list[Any]:
    """Return the list as integers if its known values are, else as it is."""
    missing = [is_missing(value) for value in values]
    present = [value for value, gone in zip(values, missing, strict=True) if not gone]
    numbers = [isinstance(value, Real) and not isinstance(value, bool) for value in present]
    if not present or not all(numbers) or not all(float(value).is_integer() for value in present):
        return values
    return np.array(
        [-1 if gone else int(value) for value, gone in zip(values, missing, strict=True)],
        dtype=np.int64,
    )
