"""One cohort of twelve subjects in every kind of vector that people keep values and groups in."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch

NAN = float("nan")
VALUES = np.array([0.91, 0.85, NAN, 0.95, 0.75, 0.90, 0.84, 0.70, 0.93, 0.79, 0.88, 0.60])
SEX = ["M", "F", "F", "M", "F", "M", "M", "F", "M", None, "M", "F"]
IDS = np.array([1, 0, 0, 1, 0, 1, 1, 0, 1, -1, 1, 0])  # as `Groups` orders the names
NAMES = ("F", "M")


def as_none(values: np.ndarray) -> list[float | None]:
    return [None if value != value else float(value) for value in values]


VALUE_KINDS: dict[str, Callable[[], Any]] = {
    "list": lambda: as_none(VALUES),
    "tuple": lambda: tuple(VALUES.tolist()),
    "array": lambda: VALUES,
    "objects": lambda: np.array(as_none(VALUES), dtype=object),
    "Series": lambda: pd.Series(VALUES),
    "Float64": lambda: pd.Series(as_none(VALUES), dtype="Float64"),
    "NA": lambda: [pd.NA if value != value else value for value in VALUES],
    "tensor": lambda: torch.tensor(VALUES, requires_grad=True),
}
NAME_KINDS: dict[str, Callable[[], Any]] = {
    "list": lambda: SEX,
    "array": lambda: np.array(SEX, dtype=object),
    "strings": lambda: np.array([sex or "" for sex in SEX]),
    "Series": lambda: pd.Series(SEX),
    "object": lambda: pd.Series(SEX, dtype=object),
    "string": lambda: pd.Series(SEX, dtype="string"),
    "category": lambda: pd.Series(SEX, dtype="category"),
    "Categorical": lambda: pd.Categorical(SEX, categories=["F", "M", "X"]),
}
ID_KINDS: dict[str, Callable[[], Any]] = {
    "list": IDS.tolist,
    "array": lambda: IDS,
    "int8": lambda: IDS.astype(np.int8),
    "Series": lambda: pd.Series(IDS),
    "Int64": lambda: pd.Series([None if i < 0 else i for i in IDS], dtype="Int64"),
    "NaN": lambda: pd.Series([NAN if i < 0 else float(i) for i in IDS]),
    "tensor": lambda: torch.from_numpy(IDS),
}
