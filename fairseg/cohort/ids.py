"""as_ids: group ids from ids or names in any form, for every function that takes groups."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt

from fairseg.cohort.groups import UNKNOWN, Groups
from fairseg.cohort.levels import is_missing
from fairseg.cohort.measurements import FEWEST_EACH, MOST_NUMBERS
from fairseg.cohort.vectors import Integers, Vector, read_vector
from fairseg.io.sentences import brief, listed

logger = logging.getLogger(__name__)

Known = Groups | Sequence[str] | int | None  # the groups of a cohort, their names, or how many there are


@dataclass(frozen=True)
class GroupIds:
    """Who belongs to which group.

    Attributes:
        ids: the group of each sample, int64 (N,); -1 is unknown.
        names: the names of the groups, (G,); `None` if only ids are known.
        num_groups: G, of the cohort where it is known, else the largest id plus one.
    """

    ids: npt.NDArray[np.int64]
    names: tuple[str, ...] | None
    num_groups: int

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """The samples of each group, int64 (G,); unknown ones are not counted."""
        return np.bincount(self.ids[self.ids >= 0], minlength=self.num_groups).astype(np.int64)


def as_ids(
    groups: Vector, known: Known = None, *, argument: str = "groups", strict: bool = False
) -> GroupIds:
    """Return the group ids of samples from ids or from names.

    **Integers are ids**, from -1 (unknown) on: NumPy's, torch's, pandas' (also nullable, <NA> is unknown), a
    list's, and whole floats beside NaN, as pandas keeps integers with a missing value. **All else are names**
    or levels of an attribute: text, True and False, every pandas Categorical. They get the ids that
    `Groups.from_values` gives them, or those of `known`; `None`, NaN and "" are unknown. So levels that are
    numbers (a stage of 1 to 4) are ids here: make them a Categorical or text, or encode them with
    `Groups.encode`, if they are none. Where no groups are known, more than 10 integers of which none is 0
    are taken for a measurement, such as an age: an error if they are of fewer than 3 samples each on average,
    else a warning.

    Args:
        groups: one a sample, (N,).
        known: the groups of the cohort: a `Groups`, their names, or how many there are.
        argument: the name of `groups` in errors.
        strict: whether a name that is none of the known groups is an error; else it is unknown, and logged.

    Raises:
        ValueError: `groups` is no vector of ids or names, or a measurement; an id is not below the number of
            known groups; or a name is none of theirs, if `strict`.

    >>> as_ids(["M", "F", None, "F"])
    GroupIds(ids=array([ 1,  0, -1,  0]), names=('F', 'M'), num_groups=2)
    >>> as_ids([0, 2, -1])
    GroupIds(ids=array([ 0,  2, -1]), names=None, num_groups=3)
    >>> as_ids([0, 0], known=["F", "M"])
    GroupIds(ids=array([0, 0]), names=('F', 'M'), num_groups=2)
    """
    cohort = as_groups(known)
    values = read_vector(groups, argument)
    names = cohort.names if isinstance(cohort, Groups) else None
    number = len(cohort) if isinstance(cohort, Groups) else cohort
    if not len(values):
        return GroupIds(np.zeros(0, dtype=np.int64), names, number or 0)
    if not isinstance(values, np.ndarray):
        if not hasattr(getattr(groups, "dtype", None), "categories"):
            _check_are_names(values, argument)
        named = cohort
        if not isinstance(named, Groups):  # those that occur, if any
            named = None if all(map(is_missing, values)) else Groups.from_values(groups)
        if named is not None:
            if number is not None and len(named) != number:
                raise ValueError(
                    f"{argument} must be of {number} groups, got {len(named)}: {', '.join(named.names)}"
                )
            ids = named.encode(groups)
            if strict:
                _check_all_known(values, ids, named, argument)
            return GroupIds(ids, named.names, len(named))
        values = np.full(len(values), UNKNOWN)
    check_ids(values, number, argument)
    if number is None:
        check_no_measurement(values, argument)
    ids = values.astype(np.int64, copy=False)
    return GroupIds(ids, names, number if number is not None else int(ids.max()) + 1)


def as_groups(
    known: Groups | Sequence[str] | int | None, argument: str = "num_groups"
) -> Groups | int | None:
    """Return names as a `Groups`, and a `Groups` or a number of groups as it is.

    >>> as_groups(["F", "M"]).names, as_groups(2)
    (('F', 'M'), 2)
    """
    value: Any = known  # typed callers give no floats; others do
    if value is None or isinstance(value, Groups):
        return value
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 1:
        return int(value)
    if isinstance(value, Real):
        raise ValueError(
            f"{argument} must be an integer of at least 1, got {brief(value)} (or names of groups, or a "
            "Groups)"
        )
    return Groups(value)


def check_ids(ids: Integers, num_groups: int | None, argument: str = "groups") -> None:
    """Raise a ValueError unless all ids lie between -1 and G - 1."""
    if not ids.size:
        return
    low, high = int(ids.min()), int(ids.max())
    if low < UNKNOWN or (num_groups is not None and high >= num_groups):
        wrong = low if low < UNKNOWN else high
        most = "" if num_groups is None else f" to {num_groups - 1}"
        raise ValueError(f"{argument} must be ids from -1 (unknown){most}, got {wrong}")


def check_no_measurement(values: Integers, argument: str = "groups") -> None:
    """Refuse ages in the place of ids: many numbers, of few samples each, and no 0, with which ids begin."""
    present = np.unique(values[values >= 0])
    samples = int((values >= 0).sum())
    if present.size <= MOST_NUMBERS or present[0] == 0:
        return
    problem = (
        f"has {present.size} integers from {present[0]} to {present[-1]} among {samples} samples, each a "
        f"group of its own: a measurement is cut into bins by {_bins_call(present)}"
    )
    if samples < FEWEST_EACH * present.size:
        raise ValueError(f"{argument} {problem}")
    logger.warning("%s %s", argument, problem)


def _check_are_names(values: list[object], argument: str) -> None:
    """Refuse numbers that are no ids: a measurement, or a vector of losses in the place of groups."""
    present = [value for value in values if not is_missing(value)]
    if present and all(isinstance(value, Real) and not isinstance(value, Integral) for value in present):
        raise ValueError(
            f"{argument} must be integer ids or names, got dtype float64 (such as {present[0]!r});"
            f" a measurement is cut into bins by {_bins_call(present)}"
        )


def _bins_call(values: Any) -> str:
    middle = np.median(np.unique(np.asarray(values, np.float64)))
    return f"Groups.from_values(values, bins=[{middle:.4g}]).encode(values)"


def _check_all_known(values: list[object], ids: Integers, groups: Groups, argument: str) -> None:
    """Refuse names that are none of the known groups; what is missing is no name."""
    odd = {str(value) for value, code in zip(values, ids, strict=True) if code < 0 and not is_missing(value)}
    if odd:
        raise ValueError(
            f"{argument} must be names of {listed(groups.names)}, or None, got {listed(sorted(odd))};"
            " Groups.encode(...) makes ids in which other names are unknown (-1)"
        )
