"""Groups: attribute values <-> ids <-> names.

Everything else in fairseg works on the ids; names appear only where people read.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fairseg.cohort.levels import (
    alike,
    as_float,
    bin_names,
    by_number,
    check_edges,
    is_missing,
    is_number,
    level_of,
    level_text,
    no_number,
    perhaps_missing,
    years,
)
from fairseg.cohort.measurements import MOST_NUMBERS, check_is_no_measurement, tidied, without_odd
from fairseg.cohort.vectors import Vector, on_cpu, read_vector
from fairseg.io.cells import Levels, cells_of, coded, combined, each
from fairseg.io.sentences import brief, counted, did_you_mean, listed, not_among

logger = logging.getLogger(__name__)

Table = Any  # a pandas DataFrame or a mapping of columns; pandas is not imported for the type
UNKNOWN = -1


@dataclass(frozen=True, init=False)
class Groups:
    """The groups of a cohort: the cells of one attribute, or of several, that occur in it.

    Make it with `from_table` or `from_values` on the training cohort and keep it: ids mean the same only
    under the same `Groups`. Attributes are sorted by name, groups by their levels: numbers by value, bins
    from low to high, an ordered pandas Categorical by its own order, all else as text. So neither names nor
    ids depend on the order of rows or on the order in which attributes were asked for. `Groups(["F", "M"])`
    has the groups of these names, with ids in this order. Iterating gives the names.

    Attributes:
        attributes: the attributes, sorted.
        cells: the level of each attribute, as text, for each group, in the order of the ids.
        bins: for numeric attributes that are cut into bins, the edges.

    >>> cohort = {"sex": ["F", "M", "F", None], "age": [41, 57, 63, 70]}
    >>> groups = Groups.from_table(cohort, by="sex")
    >>> groups.names, groups.encode(cohort)
    (('F', 'M'), array([ 0,  1,  0, -1]))
    >>> Groups.from_table(cohort, by=("sex", "age"), bins={"age": [50]}).names
    ('age<50, sex=F', 'age>=50, sex=F', 'age>=50, sex=M')
    >>> Groups(["M", "F"]).encode(["F", "M", None])
    array([ 1,  0, -1])
    """

    attributes: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    bins: Mapping[str, tuple[float, ...]] = field(default_factory=dict, hash=False)

    def __init__(
        self,
        attributes: Sequence[str],
        cells: Sequence[tuple[str, ...]] | None = None,
        bins: Mapping[str, tuple[float, ...]] | None = None,
    ) -> None:
        if cells is None:
            names = list(attributes) if isinstance(attributes, Groups) else attributes
            cells = [(name,) for name in _group_names(names)]
            attributes = ("group",)
        values = {"attributes": tuple(attributes), "cells": tuple(cells), "bins": bins or {}}
        for field_name, value in values.items():
            object.__setattr__(self, field_name, value)
        if len(set(self.names)) != len(self.cells):
            twice = next(name for name, count in Counter(self.names).items() if count > 1)
            hint = "" if bins or len(self.attributes) > 1 else ": Groups.from_values takes one value a sample"
            raise ValueError(f"levels must make different group names, got {twice!r} twice{hint}")

    @classmethod
    def from_table(
        cls, table: Table, by: str | Sequence[str], *, bins: Mapping[str, Sequence[float]] | None = None
    ) -> "Groups":
        """Collect the groups that occur in a table.

        As in files, ages of DICOM (`061Y`) become years, and the few cells of a column of numbers that are no
        numbers become missing, which is logged.

        Args:
            table: pandas DataFrame or mapping of columns, one entry a case.
            by: an attribute, or several for their intersection. Only cells that occur become groups.
            bins: attribute -> increasing edges; `{"age": [50, 65]}` makes `age<50`, `50<=age<65` and
                `age>=65`. Nothing is cut by quantiles.

        Raises:
            ValueError: an attribute is not in the table, has only missing values, or is a measurement
                without bins: more than 2 fractional numbers, or more than 10 numbers of fewer than 3
                subjects each, on average; bins do not increase or name no attribute.
        """
        if isinstance(table, str | Path):
            call = f"Groups.from_table(fairseg.read_cohort({str(table)!r}), by={by!r})"
            raise ValueError(f"table must be a DataFrame or a mapping of columns, got a path: type {call}")
        attributes = tuple(sorted({by} if isinstance(by, str) else set(by)))
        if not attributes:
            raise ValueError("by must name at least one attribute, got none")
        edges = {name: check_edges(name, values) for name, values in (bins or {}).items()}
        if extra := edges.keys() - set(attributes):
            raise ValueError(f"bins must be for attributes in by, got {', '.join(sorted(extra))}")
        columns = _coded_levels(table, attributes, edges, {})
        ranks = []
        for name, (codes, labels) in zip(attributes, columns, strict=True):
            levels = {level for level in labels if level is not None}
            if not levels:
                raise ValueError(f"attribute {name!r} must have a value in some row, got none")
            if name not in edges:
                text = [labels[code] for code in codes.tolist()]
                check_is_no_measurement(name, levels, table, text)
            ranks.append(_ranks(name, levels, table[name], edges.get(name)))
        cells = {cell for cell in combined(columns)[1] if None not in cell}
        if not cells:
            raise ValueError(f"{' and '.join(attributes)} must both be known in some row, got none")
        order = sorted(cells, key=lambda cell: [rank[level] for rank, level in zip(ranks, cell, strict=True)])
        return cls(attributes, tuple(order), edges)

    @classmethod
    def from_values(
        cls, values: Vector, *, name: str | None = None, bins: Sequence[float] | None = None
    ) -> "Groups":
        """Collect the groups that occur in the values of one attribute.

        Args:
            values: one a sample, (N,): a pandas Series, an array, a list. Numbers are levels, not ids.
            name: of the attribute; by default that of a Series, or "group".
            bins: increasing edges, for a measurement.

        Raises:
            ValueError: as from `from_table`; or `values` is no vector.

        >>> Groups.from_values(["M", "F", None]).names
        ('F', 'M')
        >>> Groups.from_values([41, 57, 63], name="age", bins=[50]).names
        ('age<50', 'age>=50')
        """
        read_vector(values)
        attribute = name or getattr(values, "name", None)
        attribute = attribute if isinstance(attribute, str) else "group"
        edges = None if bins is None else {attribute: bins}
        return cls.from_table({attribute: on_cpu(values)}, by=attribute, bins=edges)

    @property
    def names(self) -> tuple[str, ...]:
        """The group names, in the order of the ids."""
        return tuple(map(self._name, self.cells))

    @property
    def short_names(self) -> tuple[str, ...]:
        """The names of the groups in sentences, tables and charts: of an intersection its levels alone.

        A level is enough unless two attributes have one of that name, or it is a bare number.

        >>> cohort = {"sex": ["F", "M"], "age": [41, 57], "smoker": ["no", "yes"], "diabetic": ["yes", "no"]}
        >>> Groups.from_table(cohort, by=("sex", "age"), bins={"age": [50]}).short_names
        ('age<50 / F', 'age>=50 / M')
        >>> Groups.from_table(cohort, by=("smoker", "diabetic")).short_names
        ('diabetic=no / smoker=yes', 'diabetic=yes / smoker=no')
        """
        if len(self.attributes) == 1:
            return self.names
        levels = Counter(level for column in zip(*self.cells, strict=True) for level in set(column))
        return tuple(
            " / ".join(
                f"{name}={level}" if levels[level] > 1 or level.replace(".", "").isdigit() else level
                for name, level in zip(self.attributes, cell, strict=True)
            )
            for cell in self.cells
        )

    @property
    def alike(self) -> list[tuple[str, tuple[str, ...]]]:
        """Attribute and levels of it that are probably one, for each such set.

        >>> Groups.from_table({"sex": ["F", "f", "M", "Female"]}, by="sex").alike
        [('sex', ('F', 'Female', 'f'))]
        """
        return [(name, names) for name, levels in self._levels() for names in alike(levels)]

    @property
    def perhaps_missing(self) -> list[tuple[str, tuple[str, ...]]]:
        """Attribute and the levels of it that may mean "not known", where there are any.

        >>> Groups.from_table({"sex": ["F", "unknown", "M"]}, by="sex").perhaps_missing
        [('sex', ('unknown',))]
        """
        return [(name, names) for name, levels in self._levels() if (names := perhaps_missing(levels))]

    def _levels(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return each attribute that is not cut into bins, and its levels."""
        return [
            (name, tuple(dict.fromkeys(levels)))
            for name, levels in zip(self.attributes, zip(*self.cells, strict=True), strict=True)
            if name not in self.bins
        ]

    def warn_of_levels(self) -> None:
        """Log a warning for each entry of `alike` and of `perhaps_missing`."""
        for name, names in self.perhaps_missing:
            logger.warning(
                "levels of %s that may mean 'not known' are groups of their own: %s. If they mean it, leave"
                " their cells empty",
                name,
                listed(names, 10),
            )
        for name, names in self.alike:
            logger.warning(
                "levels of %s that look alike are groups of their own: %s. If they are one, write them alike",
                name,
                listed(names, 10),
            )

    def __len__(self) -> int:
        return len(self.cells)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def encode(self, table: Table | Vector) -> npt.NDArray[np.int64]:
        """Return the group id of each row, int64 (N,).

        -1 where an attribute is missing (`None`, NaN, "") or the cell is none of these groups; levels
        that these groups do not know are logged as a warning, with their names and counts.

        Args:
            table: a pandas DataFrame or a mapping of columns; or a vector, (N,), of the names of the groups
                or of the values of their one attribute. Integers in a vector are values of the attribute if
                one of its levels is a number, or if it has bins; else, and always in a torch tensor, ids.

        Raises:
            ValueError: an attribute is not in the table, or is no number where there are bins; ids are not
                of these groups.

        >>> groups = Groups.from_values(["F", "M"])
        >>> groups.encode(["M", None]), groups.encode([1, -1])
        (array([ 1, -1]), array([ 1, -1]))
        """
        if not (isinstance(table, Mapping) or hasattr(table, "columns")):
            return self._encode_vector(table)
        return self._encode_table(table)

    def _encode_vector(self, values: Vector) -> npt.NDArray[np.int64]:
        read = read_vector(values)
        levels_are_numbers = len(self.attributes) == 1 and (self.bins or any(map(is_number, self.names)))
        if isinstance(read, np.ndarray) and (hasattr(values, "detach") or not levels_are_numbers):
            self.counts(read)  # checks them
            return read.astype(np.int64)
        listed = list(on_cpu(values))
        named = {name: group for group, name in enumerate(self.names)}
        texts = each(level_of, listed)
        if len(self.attributes) == 1 and not all(text is None or text in named for text in texts):
            return self._encode_table({self.attributes[0]: listed})  # levels that are in bins, or in no group
        ids = [UNKNOWN if text is None else named.get(text, UNKNOWN) for text in texts]
        self._warn_of(Counter(text for text in texts if text is not None and text not in named))
        return np.array(ids, dtype=np.int64)

    def _encode_table(self, table: Table) -> npt.NDArray[np.int64]:
        number = {cell: position for position, cell in enumerate(self.cells)}
        columns = zip(self.attributes, zip(*self.cells, strict=True), strict=True)
        levels_of_attribute = {name: frozenset(column) for name, column in columns}
        row_cell, cells = combined(_coded_levels(table, self.attributes, self.bins, levels_of_attribute))
        unseen: Counter[str] = Counter()
        for cell, rows in zip(cells, np.bincount(row_cell, minlength=len(cells)).tolist(), strict=True):
            if None not in cell and cell not in number:
                unseen[self._name(cell)] += rows
        self._warn_of(unseen)
        return np.array([number.get(cell, UNKNOWN) for cell in cells], dtype=np.int64)[row_cell]

    def name(self, group: int) -> str:
        """Return the name of a group id; "unknown" for -1."""
        if group == UNKNOWN:
            return "unknown"
        if not 0 <= group < len(self):
            raise ValueError(f"group must lie between -1 and {len(self) - 1}, got {group}")
        return self._name(self.cells[group])

    def index(self, name: str) -> int:
        """Return the id of a group name; of an intersection, attributes may stand in any order.

        Raises:
            ValueError: there is no such group; the message lists those there are.

        >>> cohort = {"sex": ["F", "M"], "scanner": ["A", "A"]}
        >>> Groups.from_table(cohort, by=("sex", "scanner")).index("sex=M, scanner=A")
        1
        """
        if name in self.names:
            return self.names.index(name)
        parts = sorted(str(name).split(", "))
        for group, other in enumerate(self.names):
            if sorted(other.split(", ")) == parts:
                return group
        raise ValueError(not_among("group", name, self.names, between="; "))

    def counts(self, ids: Vector) -> npt.NDArray[np.int64]:
        """Return how many ids or names each group has, int64 (G,); unknown ones are not counted.

        >>> groups = Groups.from_values(["F", "M"])
        >>> groups.counts([0, 0, 1, -1]), groups.counts(["M", None, "M"])
        (array([2, 1]), array([0, 2]))
        """
        values = read_vector(ids, "ids")
        if not isinstance(values, np.ndarray):
            if any(isinstance(value, float) and not is_missing(value) for value in values):
                raise ValueError(f"ids must be integers or names of groups, got {brief(ids)}")
            values = self._encode_vector(values)
        if values.size and not UNKNOWN <= values.min() <= values.max() < len(self):
            raise ValueError(
                f"ids must lie between -1 and {len(self) - 1}, got {values.min()} to {values.max()}"
            )
        return np.bincount(values.astype(np.int64) + 1, minlength=len(self) + 1)[1:].astype(np.int64)

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists and strings that `from_dict` reads, for checkpoints and JSON."""
        return {
            "attributes": list(self.attributes),
            "cells": [list(cell) for cell in self.cells],
            "bins": {name: list(edges) for name, edges in self.bins.items()},
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> "Groups":
        """Rebuild groups from `to_dict`; ids and names are the same.

        >>> groups = Groups.from_table({"sex": ["F", "M"]}, by="sex")
        >>> Groups.from_dict(groups.to_dict()) == groups
        True
        """
        return cls(
            tuple(saved["attributes"]),
            tuple(tuple(cell) for cell in saved["cells"]),
            {name: tuple(edges) for name, edges in saved["bins"].items()},
        )

    def _warn_of(self, unseen: Counter[str]) -> None:
        for name, count in unseen.items():
            logger.warning("group %s is not among the known groups: %s unknown", name, counted(count, "row"))

    def _name(self, cell: tuple[str, ...]) -> str:
        if len(cell) == 1:
            return cell[0]
        return ", ".join(
            level if name in self.bins else f"{name}={level}"
            for name, level in zip(self.attributes, cell, strict=True)
        )


def _group_names(names: Sequence[str]) -> list[str]:
    if isinstance(names, str) or not isinstance(read := read_vector(names, "names"), list) or not read:
        hint = "; Groups.from_values takes one value a sample" if len(names) > MOST_NUMBERS else ""
        raise ValueError(f"names must be a list of the names of groups, got {brief(names)}{hint}")
    if any(map(is_missing, read)):
        raise ValueError(f"names must say the name of every group, got {brief(names)}")
    return [level_text(name) for name in read]


def _column(table: Table, name: str) -> list[Any]:
    if name not in table:
        suggestion = did_you_mean(name, table)
        raise ValueError(
            f"attribute {name!r} is not in the table, which has {', '.join(map(str, table))}{suggestion}"
        )
    column = table[name]
    if getattr(column, "ndim", 1) != 1:
        raise ValueError(f"attribute {name!r} must be one column of the table, got {column.shape[1]}")
    return cells_of(column)


def _coded_levels(
    table: Table,
    attributes: Sequence[str],
    bins: Mapping[str, tuple[float, ...]],
    known: Mapping[str, frozenset[str]],
) -> list[Levels]:
    """Return for each attribute the level of each row, coded; levels are text, None where it is missing.

    With `known` levels an age as DICOM writes it is read in years where only the years are a known level;
    without, a column is read like that of a file.
    """
    columns = {name: _column(table, name) for name in attributes}
    if len(set(map(len, columns.values()))) > 1:
        lengths = ", ".join(f"{name}: {len(column)}" for name, column in columns.items())
        raise ValueError(f"columns must have one length, got {lengths}")
    coded_columns = []
    for name, values in columns.items():
        if name in bins:
            coded_columns.append(_coded_bins(table, name, values, bins[name]))
        elif known:
            coded_columns.append(coded(partial(_known_level, known=known[name]), values))
        else:
            ordered = getattr(getattr(table[name], "dtype", None), "ordered", False)
            coded_columns.append(coded(level_of, values if ordered else tidied(name, values, table)))
    return coded_columns


def _known_level(value: object, known: frozenset[str]) -> str | None:
    """Return a cell as the text of a level; in years if only so it is one that is known."""
    level = level_of(value)
    return level if level is None or level in known or (age := years(level)) not in known else age


def _coded_bins(table: Table, name: str, values: list[Any], edges: tuple[float, ...]) -> Levels:
    cells = each(lambda value: years(value) if isinstance(value, str) else value, values)
    cells = without_odd(name, cells, table)
    wrong = each(lambda value: not is_missing(value) and not isfinite(as_float(value)), cells)
    if any(wrong):
        row = wrong.index(True)
        case = f" (case {list(table['case'])[row]})" if "case" in table else ""
        raise ValueError(no_number(name, repr(values[row]) + case, values[row]))
    codes, numbers = coded(lambda value: None if is_missing(value) else as_float(value), cells)
    names = bin_names(name, check_edges(name, edges))
    # An edge belongs to the bin above it.
    bins = np.searchsorted(edges, [number or 0.0 for number in numbers], side="right")
    return codes, [None if number is None else names[at] for number, at in zip(numbers, bins, strict=True)]


def levels_of(column: Any) -> tuple[list[str | None], tuple[str, ...]]:
    """Return the level of each row of a column, None where it is missing; and all levels, in order."""
    text = each(level_of, cells_of(column))
    ranks = _ranks("", {level for level in text if level is not None}, column, None)
    return text, tuple(level for level in ranks if level in text)


def _ranks(name: str, levels: set[str], column: Any, edges: tuple[float, ...] | None) -> dict[str, int]:
    """Return the rank of each level in the order of its attribute."""
    if edges is not None:
        ordered = bin_names(name, edges)
    elif getattr(getattr(column, "dtype", None), "ordered", False):
        ordered = [level_text(level) for level in column.dtype.categories]
    else:
        ordered = sorted(levels, key=by_number if all(map(is_number, levels)) else None)
    return {level: rank for rank, level in enumerate(ordered)}
