"""The smallest p-value of a page in each of many permutations, which keeps a whole page at one level.

Westfall and Young's (1993) single-step min-P: the rows of all scores are dealt anew to the rows of all
attributes, so that structures, endpoints and attributes stay as correlated as they are, and the smallest
weighted p-value of a deal says what chance alone shows on this page. Within strata, scores are dealt among
the subjects of the same stratum.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import scipy  # its parts load when they are touched

from fairseg.metrics.fairness import Floats
from fairseg.statistics.batches import (
    Dealt,
    Integers,
    Side,
    SortedScores,
    decisive_p,
    fisher_many,
    placements,
    rank_placements,
)
from fairseg.statistics.row_order import content_order
from fairseg.statistics.two_samples import hypergeometric, no_likelier

_MOST_TABLES = 500  # of margins that differ from deal to deal, beyond which stratified shares are normal
_BITS = 63  # of the integer that is dealt
_CHUNK = 1_500_000  # subjects of all deals that are held at once


@dataclass(frozen=True, eq=False)
class Row:
    """A comparison of a page: of scores (Brunner-Munzel), or of shares of marked subjects (Fisher).

    Attributes:
        attribute: place of the attribute.
        first: group id; None for all others whose group is known.
        second: group id.
        values: scores, or marks 0 and 1, (N,); NaN where a subject takes no part.
        marks: whether values are marks.
        weight: of its p-value, at most 1.
        strata: the subjects (indices) of each stratum; one array of all subjects where there are none.
        changes: whether values are changes of marks, -1, 0 and 1. In a small group often none changes, whose
            variance is then 0; so permutations take that of both groups.
    """

    attribute: int
    first: Side
    second: int
    values: Floats
    marks: bool
    weight: float
    strata: tuple[Integers, ...]
    changes: bool = False


def smallest_p_values(
    rows: Sequence[Row],
    ids: Sequence[Integers],
    *,
    permutations: int,
    seed: int | Sequence[int],
    blocks: Sequence[Integers] | None = None,
) -> Floats:
    """Return the smallest p / weight over the rows in each of so many permutations, (permutations,).

    The order of the subjects does not matter.

    Args:
        rows: of the page.
        ids: group ids of each attribute, (N,) each; -1 unknown.
        permutations: number of deals.
        seed: of the deals.
        blocks: the subjects (indices) among whom scores are dealt; None: among all.
    """
    rows, ids, blocks = _by_content(rows, ids, blocks)
    columns = _Columns()
    tests = [_Test(row, columns) for row in rows]
    matrix = columns.matrix(len(ids[0]))
    total = matrix.sum(axis=0, dtype=np.float64)
    attributes = sorted({row.attribute for row in rows})
    cells, label = _packed({number: ids[number] for number in attributes})
    chunks = []
    tables: dict[_Test, list[npt.NDArray[np.int32]]] = {test: [] for test in tests if test.exact}
    for deals in _deal(cells, permutations, blocks, np.random.default_rng(seed)):
        smallest = np.full(len(deals), np.inf)
        for number in attributes:
            dealt = Dealt(label(number, deals), matrix, total)
            for test in (test for test in tests if test.row.attribute == number):
                if test.exact:
                    tables[test].append(test.tables(dealt))
                else:
                    np.minimum(smallest, test.p_values(dealt) / test.row.weight, out=smallest)
        chunks.append(smallest)
    smallest = np.concatenate(chunks)
    # Exact tests of all deals at once: a large cohort has few deals in a chunk, and many equal tables in all.
    for test, parts in tables.items():
        p = fisher_many(*np.concatenate(parts, axis=1))
        np.minimum(smallest, p / test.row.weight, out=smallest)
    return smallest


def _by_content(
    rows: Sequence[Row], ids: Sequence[Integers], blocks: Sequence[Integers] | None
) -> tuple[list[Row], list[Integers], list[Integers] | None]:
    """Return the same with the subjects in the order of their values, groups and blocks."""
    values = {id(row.values): row.values for row in rows}
    within = np.full(len(ids[0]), -1)
    for number, block in enumerate(blocks or ()):
        within[block] = number
    # By size first: whichever of two models is the baseline, the same is drawn for the same subjects.
    order = content_order([*map(np.abs, values.values()), *values.values(), *ids, within])
    position = np.empty_like(order)
    position[order] = np.arange(order.size)
    # What rows have in common they have in common still.
    values = {key: one[order] for key, one in values.items()}
    strata = {id(one): np.sort(position[one]) for row in rows for one in row.strata}
    sorted_rows = [
        replace(row, values=values[id(row.values)], strata=tuple(strata[id(one)] for one in row.strata))
        for row in rows
    ]
    moved = (
        None
        if blocks is None
        else sorted((np.sort(position[block]) for block in blocks), key=lambda block: block[:1].tolist())
    )
    return sorted_rows, [one[order] for one in ids], moved


def local_level(smallest: Floats, alpha: float) -> float:
    """Return the level of a row of weight 1 at which the page keeps alpha; never above alpha.

    Few permutations say only roughly how often chance shows so much. So their standard error is added, here
    and in `adjusted_p`: another seed seldom changes what is shown, and the page errs less often than alpha.

    >>> round(local_level(np.linspace(0.0001, 1.0, 10_000), 0.05), 3)  # a page of one row
    0.048
    """
    ordered = np.sort(smallest)
    allowed = int(np.searchsorted(_upper(np.arange(ordered.size), ordered.size), alpha, "right")) - 1
    return float(min(ordered[max(allowed, 0)] * (1 - 1e-9), alpha))


def adjusted_p(smallest: Floats, p: float, weight: float) -> float:
    """Return the share of permutations whose smallest weighted p-value is as small; never below p.

    It is at most alpha exactly where p is at most `local_level` times the weight.
    """
    count = np.count_nonzero(smallest <= p / weight * (1 + 1e-12))
    return max(float(_upper(np.array([count]), smallest.size)[0]), p)


def _upper(count: Integers, total: int) -> Floats:
    """Return shares with their standard error added, which rises with the count."""
    share = count / total
    return np.asarray(np.minimum(share + np.sqrt(share * (1 - share) / total), 1.0))


def stratified_fisher(count: int, margins: Sequence[tuple[int, int, int]]) -> float:
    """Return the two-sided p-value of shares over strata, given how many are marked in each stratum.

    Args:
        count: marked subjects of the first group in all strata together.
        margins: of each stratum: subjects of the first group, of the second, and marked subjects of both.
    """
    least, p = _stratified_table(tuple(margins))
    return float(p[count - least])


@lru_cache(maxsize=4096)
def _stratified_table(margins: tuple[tuple[int, int, int], ...]) -> tuple[int, Floats]:
    """Return the smallest possible count, and the p-values of all counts from there."""
    chances, least = np.ones(1), 0
    for first, second, marked in margins:
        start, part = hypergeometric(first, second, marked)
        chances, least = np.convolve(chances, part), least + start
    return least, no_likelier(chances)


def _packed(ids: Mapping[int, Integers]) -> tuple[Integers, Callable[[int, Integers], npt.NDArray[np.int16]]]:
    """Return what is dealt of each row, (N,), and a function that reads an attribute's group ids from it.

    The ids of all attributes are packed into the bits of one integer, which costs one deal and no lookup. If
    there are too many attributes for that, the row's number is dealt.
    """
    fields, width = {}, 0
    for number, codes in ids.items():
        bits = int(codes.max(initial=0) + 1).bit_length()
        fields[number] = width, (1 << bits) - 1
        width += bits
    if width > _BITS:
        labels = {number: codes.astype(np.int16) for number, codes in ids.items()}
        size = len(next(iter(ids.values())))
        return np.arange(size), lambda number, deals: labels[number][deals]

    def label(number: int, deals: Integers) -> npt.NDArray[np.int16]:
        shift, mask = fields[number]
        return ((deals >> shift) & mask).astype(np.int16) - np.int16(1)

    packed = sum((codes + 1) << fields[number][0] for number, codes in ids.items())
    return np.asarray(packed, dtype=np.int64), label  # NumPy deals whole words faster than shorter integers


def _deal(
    cells: Integers, permutations: int, blocks: Sequence[Integers] | None, rng: np.random.Generator
) -> Iterator[Integers]:
    """Yield chunks of deals: what each row of the scores gets of the attributes' rows, (deals, N)."""
    chunk = max(1, _CHUNK // cells.size)
    for start in range(0, permutations, chunk):
        deals = np.tile(cells, (min(chunk, permutations - start), 1))
        if blocks is None:
            rng.permuted(deals, axis=1, out=deals)
        for block in blocks or ():
            deals[:, block] = rng.permuted(deals[:, block], axis=1)
        yield deals


class _Test:
    """A row with what all deals share."""

    def __init__(self, row: Row, columns: "_Columns") -> None:
        self.row = row
        self._cells = [columns.cell(row.values, stratum) for stratum in row.strata]
        counted = ["scored", "marked", *(["changed"] if row.changes else [])]
        self._places = [
            [
                columns.place(row.values, stratum, kind)
                for kind in (counted if row.marks or row.changes else cell.kinds() if cell.many else [])
            ]
            for cell, stratum in zip(self._cells, row.strata, strict=True)
        ]

    @property
    def exact(self) -> bool:
        """Whether this is Fisher's test of one table a deal."""
        return self.row.marks and len(self.row.strata) == 1

    def tables(self, dealt: Dealt) -> npt.NDArray[np.int32]:
        """Return for `fisher_many` marked of the first group, both sizes and all marked, (4, deals)."""
        n, m, count, both = self._counted(dealt)
        return np.stack([count, n, m, both])[:, :, 0].round().astype(np.int32)

    def p_values(self, dealt: Dealt) -> Floats:
        """Return the p-value in each deal, (deals,); of Fisher's test see `tables`."""
        if self.row.marks:
            n, m, count, both = self._counted(dealt)
            return _stratified(count.sum(1), np.stack([n, m, both], axis=2))
        if self.row.changes:
            return self._of_changes(dealt)
        first, second = self.row.first, self.row.second
        strata = []
        for cell, columns in zip(self._cells, self._places, strict=True):
            if cell.many and dealt.large(first, second):
                sums = [dealt.sums(side, second)[:, columns] for side in (first, second)]
                strata.append(rank_placements(cell, *sums))
            else:
                strata.append(placements(dealt, cell, first, second))
        return decisive_p(strata)

    def _counted(self, dealt: Dealt) -> tuple[Floats, Floats, Floats, Floats]:
        """Return both sizes, the marked of the first group and of both, in each stratum, (deals, strata)."""
        first, second = (dealt.sums(side, self.row.second) for side in (self.row.first, self.row.second))
        scored, marked = np.array(self._places).T
        count = first[:, marked]
        return first[:, scored], second[:, scored], count, count + second[:, marked]

    def _of_changes(self, dealt: Dealt) -> Floats:
        """Return the p-value of mean changes with the variance of both groups together, (deals,)."""
        first, second = (dealt.sums(side, self.row.second) for side in (self.row.first, self.row.second))
        scored, marked, changed = np.array(self._places).T
        n, m = first[:, scored], second[:, scored]
        size, total = n + m, (first + second)[:, marked]
        with np.errstate(divide="ignore", invalid="ignore"):
            known = (n >= 2) & (m >= 2)
            weight = np.where(known, n * m / size, 0.0)
            difference = np.where(known, weight * (first[:, marked] / n - second[:, marked] / m), 0.0).sum(1)
            variance = ((first + second)[:, changed] - total**2 / size) / (size - 1)
            spread = np.sqrt(np.where(known, weight * np.maximum(variance, 0.0), 0.0).sum(1))
            return np.asarray(np.where(spread > 0, 2 * scipy.special.ndtr(-np.abs(difference) / spread), 1.0))


def _stratified(count: Floats, margins: Floats) -> Floats:
    """Return `stratified_fisher` of many deals, (deals,), with margins (deals, strata, 3)."""
    whole = margins.round().astype(np.int64)
    tables, back = np.unique(whole.reshape(len(whole), -1), axis=0, return_inverse=True)
    if len(tables) > _MOST_TABLES:
        n, m, both = (margins[..., part] for part in range(3))
        total = np.maximum(n + m, 2)
        mean = (n * both / total).sum(1)
        variance = (n * m * both * (total - both) / (total**2 * (total - 1))).sum(1)
        z = np.maximum(np.abs(count - mean) - 0.5, 0.0) / np.sqrt(np.maximum(variance, 1e-12))
        return np.asarray(2 * scipy.special.ndtr(-z))
    p_values = np.empty(len(count))
    for number, table in enumerate(tables):
        here = back.ravel() == number
        least, p = _stratified_table(tuple(map(tuple, table.reshape(-1, 3).tolist())))
        p_values[here] = p[count[here].round().astype(np.int64) - least]
    return p_values


class _Columns:
    """Cells, and columns over the subjects whose sums in each group are wanted: each made once."""

    def __init__(self) -> None:
        self._cells: dict[tuple[int, int], SortedScores] = {}
        self._places: dict[tuple[int, int, str | int], int] = {}
        self._columns: list[npt.NDArray[np.float32]] = []

    def cell(self, values: Floats, stratum: Integers) -> SortedScores:
        key = id(values), id(stratum)  # rows hold them, so that no id is given twice
        if key not in self._cells:
            self._cells[key] = SortedScores(values, stratum)
        return self._cells[key]

    def place(self, values: Floats, stratum: Integers, kind: str | int) -> int:
        key = id(values), id(stratum), kind
        if key not in self._places:
            cell = self.cell(values, stratum)
            if kind in ("marked", "changed"):
                column = np.where(cell.scored() > 0, values, 0.0)
                column = np.abs(column) if kind == "changed" else column
            else:
                column = cell.column(kind)
            self._places[key] = len(self._columns)
            self._columns.append(column.astype(np.float32))
        return self._places[key]

    def matrix(self, size: int) -> npt.NDArray[np.float32]:
        columns = self._columns
        return np.stack(columns, axis=1) if columns else np.zeros((size, 0), dtype=np.float32)
