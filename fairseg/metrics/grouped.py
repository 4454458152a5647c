"""Values and their groups, checked once: every function of `(values, groups)` starts from them.

`GroupedValues` is one value a subject, `GroupValues` one a group, such as the medians of those. Groups go in
as ids or as names; where names went in, names come out, as the index of a pandas Series.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fairseg.cohort.groups import Groups
from fairseg.cohort.ids import GroupIds, as_ids
from fairseg.cohort.levels import is_missing, level_text
from fairseg.cohort.vectors import Vector, check_is_no_table, on_cpu
from fairseg.io.sentences import brief, did_you_mean

Floats = npt.NDArray[np.float64]
Reference = str | int | None


@dataclass(frozen=True, eq=False)
class GroupedValues:
    """One value a subject, and the group of each.

    Attributes:
        values: float64 (N,), finite or NaN where it is missing.
        ids: group ids, int64 (N,); -1 is unknown.
        num_groups: G, of the cohort where it is known, else the largest id plus one.
        names: of the groups, (G,); `None` where only ids are known.
        reference: id of the group that the others are compared with, if there is one.
    """

    values: Floats
    ids: npt.NDArray[np.int64]
    num_groups: int
    names: tuple[str, ...] | None = None
    reference: int | None = None

    @classmethod
    def of(cls, values: Vector, groups: Vector, *, reference: Reference = None) -> "GroupedValues":
        """Check values and their groups.

        Args:
            values: one a subject, (N,): list, NumPy array, pandas Series or torch tensor; NaN is missing.
            groups: ids or names as `as_ids` takes them, (N,), or what it gives.
            reference: name or id of the reference group.

        Raises:
            ValueError: lengths differ, two pandas Series are of different rows, a value is no number or
                infinite, groups are neither ids nor names, or the reference is none of them.

        >>> grouped = GroupedValues.of([0.9, 0.8, None, 0.7], ["F", "M", "M", "F"], reference="M")
        >>> grouped.names, grouped.reference, [part.tolist() for part in grouped.parts]
        (('F', 'M'), 1, [[0.9, 0.7], [0.8]])
        """
        value = as_values(values)
        if np.isinf(value).any():
            raise ValueError("values must be finite or NaN, got infinity")
        members = group_ids(groups)
        if value.ndim != 1 or value.shape != members.ids.shape:
            raise ValueError(
                f"values and groups must be vectors of one length, got {value.shape} and {members.ids.shape}"
            )
        if _has_rows(values) and _has_rows(groups) and not values.index.equals(groups.index):
            raise ValueError(
                "values and groups must have the same index, got Series of different rows or order: align "
                "them, or pass groups.to_numpy() to pair them by position"
            )
        position = group_id(reference, members.names, members.num_groups)
        return cls(value, members.ids, members.num_groups, members.names, position)

    @cached_property
    def parts(self) -> list[Floats]:
        """The values of each group, without NaN, in the order of the subjects; unknown ids fall into none."""
        present = ~np.isnan(self.values)
        return [self.values[present & (self.ids == group)] for group in range(self.num_groups)]

    @cached_property
    def ordered(self) -> list[Floats]:
        """The values of each group from the smallest to the largest."""
        return [np.sort(part) for part in self.parts]

    @cached_property
    def medians(self) -> Floats:
        """The median of each group, (G,); NaN for a group without values."""
        return self.summary(np.median)

    def summary(self, statistic: Callable[[Floats], Any]) -> Floats:
        """Return a statistic of each group, (G,); NaN for a group without values."""
        return np.array([statistic(part) if part.size else np.nan for part in self.parts], dtype=np.float64)

    def name(self, group: int) -> str | int:
        """Return the name of a group where names are known, else its id."""
        return group if self.names is None else self.names[group]

    def per_group(self, values: Sequence[Any] | npt.NDArray[Any]) -> Any:
        """Return one value a group as it is, or as a pandas Series indexed by the groups' names."""
        if self.names is None:
            return values
        import pandas as pd  # noqa: PLC0415  (only where names went in)

        return pd.Series(values, index=pd.Index(self.names, name="group"))


@dataclass(frozen=True, eq=False)
class GroupValues:
    """One value a group, such as its median Dice, with the names of the groups and the reference.

    Attributes:
        values: float64 (G,), NaN for an absent group.
        names: of the groups; `None` where only ids are known.
        reference: id of the reference group, if there is one.
    """

    values: Floats
    names: tuple[str, ...] | None
    reference: int | None

    @classmethod
    def of(cls, values: Vector, groups: Vector | None, reference: Reference = None) -> "GroupValues":
        """Take the values of groups as they are, or the median of each group of values and `groups`.

        Args:
            values: one value a group, (G,), in the order of the ids, or a pandas Series indexed by the
                groups' names; with `groups`, one value a subject, (N,).
            groups: as for `GroupedValues.of`, or `None`.
            reference: name or id of the reference group.
        """
        if groups is not None:
            grouped = GroupedValues.of(values, groups, reference=reference)
            return cls(grouped.medians, grouped.names, grouped.reference)
        array = as_values(values)
        if array.ndim != 1:
            raise ValueError(f"values must be a vector (G,) or be given with groups, got shape {array.shape}")
        names = _names_of_index(values, reference) if _has_rows(values) else None
        return cls(array, names, group_id(reference, names, array.size))

    @property
    def present(self) -> Floats:
        """The values of the groups that have one."""
        return self.values[~np.isnan(self.values)]


def as_values(values: Vector, argument: str = "values") -> Floats:
    """Return numbers of every kind as float64, NaN where one is missing; the shape stays.

    Args:
        values: list, NumPy array, pandas Series (also nullable), or torch tensor of any device and type.
        argument: its name, for errors.

    >>> as_values([0.9, None, 1])
    array([0.9, nan, 1. ])
    """
    check_is_no_table(values, f"{argument} must be numbers")
    if callable(values) or isinstance(values, str | None):
        raise ValueError(f"{argument} must be numbers, got {brief(values)}")
    plain = on_cpu(values.double() if hasattr(values, "detach") else values)
    try:
        return np.asarray(plain, dtype=np.float64)
    except (TypeError, ValueError):
        return np.array([_number(value, argument) for value in plain], dtype=np.float64)


def _number(value: object, argument: str) -> float:
    try:
        return float("nan") if is_missing(value) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ValueError(f"{argument} must be numbers, got {brief(value)}") from None


def group_ids(groups: Vector) -> GroupIds:
    """Return the ids of groups that are given as ids, names, or a `GroupIds`, which stays as it is."""
    return groups if isinstance(groups, GroupIds) else as_ids(groups)


def group_id(reference: Reference, names: tuple[str, ...] | None, num_groups: int) -> int | None:
    """Return the id of a reference group that is given as an id or, where names are known, as a name.

    >>> group_id("M", ("F", "M"), 2), group_id(1, ("F", "M"), 2), group_id(None, None, 2)
    (1, 1, None)
    """
    if reference is None:
        return None
    is_id = isinstance(reference, int | np.integer) and not isinstance(reference, bool)
    if is_id and 0 <= int(reference) < num_groups:
        return int(reference)
    if names is None:
        raise ValueError(f"reference must be a group id below {num_groups}, got {brief(reference)}")
    try:
        return Groups(names).index("" if is_id else level_text(reference))
    except ValueError:
        raise ValueError(
            f"reference must be one of the groups ({'; '.join(names)}) or an id, got {brief(reference)}"
            f"{did_you_mean(reference, names)}"
        ) from None


def _has_rows(values: Vector) -> bool:
    """Whether values are a pandas Series, whose rows have labels, without importing pandas."""
    return hasattr(values, "index") and hasattr(values.index, "equals")


def _names_of_index(values: Vector, reference: Reference) -> tuple[str, ...] | None:
    """Return the names of groups in the index of a Series; None if it has integers, which are ids."""
    if values.index.dtype.kind not in "iu":
        return tuple(
            ", ".join(map(level_text, label)) if isinstance(label, tuple) else level_text(label)
            for label in values.index
        )
    if reference is not None and list(values.index) != list(range(len(values))):
        raise ValueError(
            f"values must be indexed by names, or by ids from 0 on, for a reference to be found among them, "
            f"got {list(values.index)}"
        )
    return None
