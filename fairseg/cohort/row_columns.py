"""What the rows of a table are of, where its known columns do not tell: persons, structures, or models.

A column of any name may repeat its values as persons do, or tell the rows of a person apart. Taken for an
attribute, it doubles the number of people, or averages what should stand apart, without a word.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairseg.cohort.columns import PERHAPS_LABELS, is_attribute, metric_of, plain_name
from fairseg.cohort.levels import as_float, is_missing
from fairseg.io.cells import cells_of, each
from fairseg.io.sentences import counted, listed

Codes = npt.NDArray[np.int64]

_LEAST_PERSONS = 8  # levels of a column of persons; fewer are sites, folds, scanners
_SEVERAL = 0.5  # of the persons have two rows or more
_KNOWN = 0.9  # of the cells of such a column
_CONSTANT, _RELATED = 0.95, 0.5  # agreement within persons beyond chance: of the same value, and of some
_CHANCE = np.log(1e-3)  # that an attribute is constant within a column that has nothing to do with it
_MOST = 0.9  # of the persons whose rows a column tells apart
_SHARED = 0.5  # of the persons have each of its values, on average
_MOST_VALUES = 200  # structures, of which some models have over a hundred
# Neither of these names persons, though all their rows may be of one sex.
_NO_PERSONS = {
    *("age", "agegroup", "year", "yearofbirth", "birthyear", "date", "time", "week", "month", "day"),
    *("height", "weight", "bmi", "bsa", "site", "centre", "center", "hospital", "clinic", "scanner"),
    *("vendor", "country"),
    *("fold", "seed", "model", "split", "set", "part", "batch", "diagnosis", "pathology", "disease", "group"),
    *("postcode", "zip", "zipcode", "city", "region", "manufacturer", "protocol", "device", "machine"),
}
# Columns of several runs or networks, whose scores should not be averaged.
RUNS = {
    *("model", "modelname", "network", "net", "method", "algorithm", "architecture", "arm", "run", "seed"),
    *("fold", "epoch", "checkpoint", "experiment", "trainer", "variant", "config", "configuration"),
}
# Columns of the images of a person, which are averaged as they should be.
_CASES = {
    *("frame", "phase", "time", "timepoint", "visit", "session", "scan", "image", "view", "slice", "plane"),
    *("file", "filename", "path", "series", "study", "acquisition", "date", "sequence", "contrast"),
    *("modality", "side", "laterality", "eye", "followup", "week", "month", "day", "year"),
}
_DATE = re.compile(r"(19|20)\d\d-?(0[1-9]|1[0-2])-?([0-2]\d|3[01])\b.*|\d{1,2}[./]\d{1,2}[./](\d\d){1,2}")


class ColumnNote(str):
    """A note that a column may hold what the table does not say of it.

    Attributes:
        column: its name; empty if the note is on rows.
    """

    column: str

    def __new__(cls, text: str, column: str = "") -> "ColumnNote":
        """Return the note, with the column that it is about."""
        note = super().__new__(cls, text)
        note.column = column
        return note


class _Pairs(NamedTuple):
    """How often two rows of one level have the same value in another column.

    Attributes:
        within: share of the pairs of rows of one level.
        chance: share of all pairs of rows.
        log_p: logarithm of the probability that all pairs within levels agree by chance.
    """

    within: float
    chance: float
    log_p: float

    @property
    def beyond_chance(self) -> float:
        """Agreement beyond chance: 1 where the value is constant in each level, 0 where it is unrelated."""
        return (self.within - self.chance) / (1.0 - self.chance) if self.chance < 1.0 else 0.0


def persons_column(table: pd.DataFrame) -> str | None:
    """Return the column that repeats its values as persons do; None if there is none.

    It has many levels, most of them with several rows, and attributes are constant within them as they would
    not be by chance: more of them than are unrelated to it, as sex is to a site or an age. No such column has
    fractions or dates, nor a name such as site or age.

    Args:
        table: one row a case, with the attributes as columns.

    >>> rows = pd.DataFrame({"eid": range(1000, 1020), "sex": ["F", "M"] * 10, "site": ["a", "b"] * 10})
    >>> persons_column(pd.concat([rows, rows])), persons_column(rows)
    ('eid', None)
    """
    names = [str(name) for name in table if is_attribute(name) and metric_of(str(name)) is None]
    codes = {name: _codes(table[name]) for name in names}
    found = [name for name in names if _may_name_persons(table[name], codes[name])]
    found = [name for name in found if _is_of_persons(name, codes, table)]
    return max(found, key=lambda name: codes[name].max(), default=None)


def persons_note(table: pd.DataFrame, row: str) -> list[ColumnNote]:
    """Return a note on the column that may name persons, none without.

    Args:
        table: as for `persons_column`.
        row: what a row is, such as "case".
    """
    if (name := persons_column(table)) is None:
        return []
    values = counted(int(_codes(table[name]).max()) + 1, "value")
    typed = repr(name)
    return [
        ColumnNote(
            f"each {row} is counted as a person: if the column {typed}, with {values} in "
            f"{counted(len(table), row)}, names the persons, say so, or there are too many people and limits "
            f"and p-values are too small: subject_column={typed} (--subject-column {_quoted(name)})",
            name,
        )
    ]


def tells_apart(table: pd.DataFrame, name: str, keys: Codes) -> bool:
    """Return whether a column tells the rows of most keys apart, by a few values that most keys share.

    Args:
        table: one row a score.
        name: of the column.
        keys: whose each row is, (N,).

    >>> table = pd.DataFrame({"roi": ["LV", "RV"] * 3, "sex": ["F", "F", "M", "M", "F", "F"]})
    >>> [tells_apart(table, name, np.repeat([0, 1, 2], 2)) for name in table]
    [True, False]
    """
    sizes = np.bincount(keys)
    several = int((sizes > 1).sum())
    codes = _codes(table[name])
    number = int(codes.max(initial=-1)) + 1
    if not 2 <= number <= _MOST_VALUES or several < max(2, _SEVERAL * np.count_nonzero(sizes)):
        return False
    rows = (sizes[keys] > 1) & (codes >= 0)
    pairs = np.unique(keys[rows] * number + codes[rows])
    values = np.bincount(pairs // number, minlength=len(sizes))
    return bool((values > 1).sum() >= _MOST * several and len(pairs) >= _SHARED * several * number)


def rows_note(table: pd.DataFrame, keys: Codes, subjects: str) -> list[ColumnNote] | None:
    """Return notes on what tells the rows of a subject (and label) apart.

    Args:
        table: one row a score, all its columns.
        keys: the subject, or subject and label, of each row, (N,).
        subjects: how the note counts them.

    Returns:
        A note on the column that tells them apart, or that rows are repeated; none if that is a column of
        images such as `frame`; `None` if nothing tells.
    """
    if (times := repeats(table)) > 1:
        return [
            ColumnNote(
                f"every row of the table stands there {times} times, as of two tables of one model that were "
                "joined: the copies add nothing (table.drop_duplicates() leaves them out)"
            )
        ]
    found = between_rows(table, keys)
    runs = [name for name in found if plain_name(name) in RUNS]
    others = [name for name in found if plain_name(name) not in RUNS | _CASES]
    if runs:
        name, values = runs[0], _values(table[runs[0]])
        one = f"table[table[{name!r}] == {_cell(table[name])}]"
        compared = f"fairseg.compare({{str(name): rows for name, rows in table.groupby({name!r})}}, by=...)"
        text = (
            f"{subjects} are averaged over {name} ({values}): judge one, {one}, or compare them, {compared}"
        )
        return [ColumnNote(text, name)]
    if others:
        name, values = others[0], _values(table[others[0]])
        renamed = f"table.rename(columns={{{name!r}: 'label'}})"
        return [
            ColumnNote(
                f"{subjects} are averaged over the column {name!r} ({values}): if it names structures, call "
                f"it label: {renamed}, or in the file's header",
                name,
            )
        ]
    return [] if found else None


def between_rows(table: pd.DataFrame, keys: Codes) -> list[str]:
    """Return the columns of text, or of a known name, that tell the rows of the same key apart."""
    names = [str(name) for name in table if is_attribute(name) and metric_of(str(name)) is None]
    known = [name for name in names if plain_name(name) in RUNS | _CASES]
    texts = [name for name in names if name in known or _is_text(table[name])]
    return [name for name in texts if tells_apart(table, name, keys)]


def stacked_column(table: pd.DataFrame) -> str | None:
    """Return the column of models or structures whose rows are alike in all attributes; else None.

    So are the rows of tables of the same persons that were joined below each other.

    Args:
        table: one row a score, whose persons are not named.

    >>> rows = pd.DataFrame({"sex": ["F", "M", "F"], "age": [41, 52, 63]})
    >>> both = pd.concat([rows.assign(model="a"), rows.assign(model="b")])
    >>> stacked_column(both), stacked_column(both.iloc[1:])
    ('model', None)
    """
    known = (*RUNS, "label", *PERHAPS_LABELS)
    names = [str(name) for name in table if plain_name(str(name)) in known]
    attributes = [str(name) for name in table if is_attribute(name) and metric_of(str(name)) is None]
    for name in names:
        others = [_codes(table[other]) for other in attributes if other != name]
        levels = _codes(table[name])
        if not others or not 2 <= levels.max(initial=-1) + 1 <= len(levels) / 2:
            continue
        parts = [np.stack([one[levels == level] for one in others]) for level in range(levels.max() + 1)]
        alike = [part[:, np.lexsort(part)] for part in parts]
        if all(np.array_equal(alike[0], part) for part in alike[1:]):
            return name
    return None


def repeats(table: pd.DataFrame) -> int:
    """Return how often every row stands in a table; 1 if rows are not all repeated alike.

    >>> repeats(pd.DataFrame({"subject": list("abcabc"), "dice": [0.9, 0.8, 0.7] * 2}))
    2
    """
    if len(table) < 2 or not table.duplicated(keep=False).all():
        return 1
    sizes = table.groupby(list(table), dropna=False, observed=True).size()
    return int(sizes.min()) if sizes.min() == sizes.max() else 1


def _codes(column: "pd.Series[Any]") -> Codes:
    """Return the code of each cell, int64 (N,); -1 where it is missing."""
    cells = cells_of(column)
    texts = each(lambda cell: None if is_missing(cell) else str(cell), cells)
    return pd.factorize(np.array(texts, dtype=object))[0].astype(np.int64)


def _may_name_persons(column: "pd.Series[Any]", codes: Codes) -> bool:
    """Return whether a column has many levels, most of several rows, that are no measurements or dates."""
    known = codes[codes >= 0]
    if len(known) < _KNOWN * len(codes) or not len(known):
        return False
    sizes = np.bincount(known)
    if len(sizes) < max(_LEAST_PERSONS, sizes.mean()) or (sizes > 1).mean() < _SEVERAL:
        return False
    if plain_name(str(column.name)) in _NO_PERSONS or column.dtype.kind in "Mm":
        return False
    cells = [cell for cell in dict.fromkeys(cells_of(column)) if not is_missing(cell)]
    numbers = np.array(each(as_float, cells), dtype=np.float64)
    if np.isfinite(numbers).any() and (numbers[np.isfinite(numbers)] % 1 != 0).any():
        return False
    return not all(_DATE.fullmatch(str(cell)) for cell in cells)


def _is_of_persons(name: str, codes: dict[str, Codes], table: pd.DataFrame) -> bool:
    """Return whether more attributes are constant within the levels of a column than unrelated to it."""
    constant = unrelated = 0
    for other, values in codes.items():
        if other == name or (pairs := _pairs(codes[name], values)) is None:
            continue
        if pairs.beyond_chance >= _CONSTANT:
            constant += pairs.log_p < _CHANCE
        elif (
            pairs.within > 0.0
            and -0.05 < pairs.beyond_chance < _RELATED
            and not _is_nested(values, codes[name])
            and not _has_fractions(table[other])  # of a row, as a volume or a time
        ):
            unrelated += 1
    return constant > unrelated


def _pairs(levels: Codes, values: Codes) -> _Pairs | None:
    """Return how the values agree within levels; None where there is nothing to compare."""
    known = (levels >= 0) & (values >= 0)
    levels, values = levels[known], values[known]
    if not len(levels) or values.min() == values.max():
        return None
    sizes, of_value = np.bincount(levels), np.bincount(values)
    number = len(of_value)
    both = np.unique(levels * number + values, return_counts=True)[1]

    def pairs(count: npt.NDArray[Any]) -> float:
        return float((count * (count - 1.0)).sum())

    if not pairs(sizes):
        return None
    shares = of_value / len(values)
    repeated, times = np.unique(sizes[sizes > 1], return_counts=True)
    log_p = sum(
        int(count) * float(np.log((shares ** int(size)).sum()))
        for size, count in zip(repeated, times, strict=True)
    )
    return _Pairs(pairs(both) / pairs(sizes), pairs(of_value) / (len(values) * (len(values) - 1.0)), log_p)


def _is_nested(inner: Codes, outer: Codes) -> bool:
    """Return whether each level of one column stands with a single level of the other."""
    known = (inner >= 0) & (outer >= 0)
    pairs = np.unique(np.stack([inner[known], outer[known]]), axis=1)
    return bool(pairs.shape[1] == len(np.unique(inner[known])))


def _has_fractions(column: "pd.Series[Any]") -> bool:
    numbers = np.array(each(as_float, list(dict.fromkeys(cells_of(column)))), dtype=np.float64)
    return bool((numbers[np.isfinite(numbers)] % 1 != 0).any())


def _is_text(column: "pd.Series[Any]") -> bool:
    cells = [cell for cell in dict.fromkeys(cells_of(column)) if not is_missing(cell)]
    return any(not np.isfinite(as_float(cell)) for cell in cells)


def _values(column: "pd.Series[Any]") -> str:
    values: Sequence[Any] = list(dict.fromkeys(cell for cell in cells_of(column) if not is_missing(cell)))
    return listed(values)


def _cell(column: "pd.Series[Any]") -> str:
    """Return the first value as it is typed: numbers are text in a table that was read from a file."""
    cell = str(next(cell for cell in cells_of(column) if not is_missing(cell)))
    return cell if np.isfinite(as_float(cell)) else repr(cell)


def _quoted(name: str) -> str:
    return f"'{name}'" if re.search(r"[^\w.-]", name) else name
