"""Is a group worse off with the second of two models? Tests that come before any praise.

Two events count as harm to a subject: the second model fails where the first did not, and the score falls
by more than a stated drop. Within a group they are weighed against the opposite events by exact one-sided
McNemar tests, corrected over groups, structures and events by exchanging the models within subjects. A group
of a dozen can show nothing that way, but its new failures can stand out from those of all others: that is a
one-sided Fisher test of the group against the rest, corrected by dealing the groups anew. Each of the two has
a share of the error.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy  # its parts load when they are touched

from fairseg.metrics.fairness import Floats
from fairseg.statistics.findings import Grouping
from fairseg.statistics.group_facts import OVERALL_WEIGHT
from fairseg.statistics.judge_options import JudgeOptions
from fairseg.statistics.row_order import content_order
from fairseg.statistics.two_samples import hypergeometric

Event = Literal["newly failing", "lost"]
EVENTS: tuple[Event, Event] = ("newly failing", "lost")

# Shares of the error: McNemar's smallest p with five discordant subjects is 1 / 32, just within its share.
WITHIN_SHARE, BETWEEN_SHARE = 0.64, 0.24
_BATCH = 4_000_000  # numbers held at once
_DEEP = 2.0  # drops, by which a score must fall below the threshold to count between groups
_ALL_EXCHANGES = 12  # discordant subjects up to which no exchange is left to chance

Marks = npt.NDArray[np.int8]


@dataclass(frozen=True)
class HarmRow:
    """What one test says of one group, structure and event.

    Attributes:
        attribute: name of the attribute.
        group: name of the group.
        structure: name of the structure.
        event: "newly failing" or "lost" (more than the drop).
        test: "within" the group, against the opposite event; or "between" the group and all others.
        n: subjects of the group with a score of both models.
        worse: subjects with the event.
        better: subjects with the opposite event: rescued, or gained more than the drop.
        n_others: subjects of the other groups.
        worse_others: those of them with the event.
        p: one-sided.
        p_adjusted: over all rows of this test.
        allowed: error that all rows of this test share.
        deeper_than: by how much a score must have fallen, or risen, for a new failure, or a rescue, to count.
    """

    attribute: str
    group: str
    structure: str
    event: Event
    test: Literal["within", "between"]
    n: int
    worse: int
    better: int
    n_others: int
    worse_others: int
    p: float
    p_adjusted: float
    allowed: float
    deeper_than: float = 0.0

    @property
    def shown(self) -> bool:
        """Whether the test has shown harm."""
        return self.p_adjusted <= self.allowed


def harm_rows(
    first: Floats,
    second: Floats,
    groupings: Sequence[Grouping],
    *,
    structures: Sequence[str] = ("Overall",),
    drop: float = 0.10,
    options: JudgeOptions | None = None,
    alpha: float | None = None,
) -> tuple[HarmRow, ...]:
    """Test every group that is large enough, in every attribute, for harm by the second model.

    Args:
        first: scores of the first model, (N, S), overall in the first column, NaN where there is none.
        second: the same subjects' scores of the second model.
        groupings: attributes.
        structures: names of the columns.
        drop: a loss of more than this counts as harm.
        options: failure threshold, least size of a group, permutations and seed.
        alpha: false alarms allowed over all rows of both tests; None: as in the options.

    Returns:
        Two rows of the test within and one of that between for each group and structure. A structure that a
        group has fewer than two subjects of has no row.
    """
    options = options or JudgeOptions()
    alpha = options.alpha if alpha is None else alpha
    order = content_order([*first.T, *second.T, *(grouping.ids for grouping in groupings)])
    first, second = first[order], second[order]
    groupings = [replace(grouping, ids=grouping.ids[order]) for grouping in groupings]
    newly, lost = net_events(first, second, options.failure_threshold, drop)
    known = ~(np.isnan(first) | np.isnan(second))
    cells = [
        _HarmCell(grouping, number, structure, column, known[:, column])
        for grouping in groupings
        for number in range(len(grouping.group_names))
        if (known[:, 0] & (grouping.ids == number)).sum() >= options.min_size
        for column, structure in enumerate(structures)
    ]
    cells = [cell for cell in cells if cell.here.sum() >= 2]
    rng = np.random.default_rng(options.seed)
    within = _within(cells, newly, lost, alpha * WITHIN_SHARE, options.permutations, rng)
    # Subjects near the threshold fail now with one model, now with the other, and a group may have more of
    # them: between groups only deep falls count.
    falls = np.where(np.abs(np.nan_to_num(second - first)) > _DEEP * drop, newly, 0).astype(np.int8)
    between = _between(cells, falls, _DEEP * drop, alpha * BETWEEN_SHARE, options.permutations, rng)
    return tuple(within + between)


def net_events(first: Floats, second: Floats, failure_threshold: float, drop: float) -> tuple[Marks, Marks]:
    """Return both events of every subject and structure: 1 worse, -1 better, 0 neither or without a score."""
    known = ~(np.isnan(first) | np.isnan(second))
    fails = np.where(known, second < failure_threshold, False).astype(np.int8)
    failed = np.where(known, first < failure_threshold, False).astype(np.int8)
    gain = np.where(known, second - first, 0.0).round(10)
    return fails - failed, (gain < -drop).astype(np.int8) - (gain > drop).astype(np.int8)


class _HarmCell:
    """A group in a structure: its names, which subjects it has there, and which the other groups have."""

    def __init__(
        self, grouping: Grouping, number: int, structure: str, column: int, known: npt.NDArray[np.bool_]
    ) -> None:
        self.names = grouping.name, grouping.group_names[number], structure
        self.ids, self.number, self.column, self.known = grouping.ids, number, column, known
        self.here = (self.ids == number) & known
        self.elsewhere = (self.ids >= 0) & (self.ids != number) & known
        self.weight = float(OVERALL_WEIGHT if column == 0 else 1)

    def row(
        self,
        event: Event,
        test: Literal["within", "between"],
        marks: Marks,
        p: float,
        adjusted: float,
        allowed: float,
        deeper_than: float = 0.0,
    ) -> HarmRow:
        there, others = marks[self.here, self.column], marks[self.elsewhere, self.column]
        return HarmRow(
            *self.names,
            event=event,
            test=test,
            n=there.size,
            worse=int((there > 0).sum()),
            better=int((there < 0).sum()),
            n_others=others.size,
            worse_others=int((others > 0).sum()),
            p=float(p),
            p_adjusted=float(adjusted),
            allowed=allowed,
            deeper_than=deeper_than,
        )


def _within(
    cells: Sequence[_HarmCell],
    newly: Marks,
    lost: Marks,
    alpha: float,
    permutations: int,
    rng: np.random.Generator,
) -> list[HarmRow]:
    tests = [
        (cell, event, marks) for cell in cells for event, marks in zip(EVENTS, (newly, lost), strict=True)
    ]
    if not tests:
        return []
    columns = [np.where(cell.here, marks[:, cell.column], 0) for cell, _, marks in tests]
    table = np.stack(columns, axis=1).astype(np.float32)
    table = table[table.any(axis=1)]
    discordant = np.abs(table).sum(axis=0).astype(np.int64)
    worse = np.rint((_exchanges(len(table), permutations, rng) @ table + discordant) / 2).astype(np.int64)
    p = np.ones(worse.shape)
    for column in np.flatnonzero(discordant):
        tails = scipy.special.bdtrc(np.arange(-1.0, discordant[column]), discordant[column], 0.5)
        p[:, column] = tails[worse[:, column]]
    adjusted = _adjusted(p, np.array([cell.weight for cell, *_ in tests]))
    return [
        cell.row(event, "within", marks, raw, corrected, alpha)
        for (cell, event, marks), raw, corrected in zip(tests, p[0], adjusted, strict=True)
    ]


def _exchanges(size: int, permutations: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return how the models are exchanged, 1 or -1 for each subject, (b, size): all ways if they are few."""
    if size <= _ALL_EXCHANGES:
        ways = np.arange(2**size)[:, None] >> np.arange(size) & 1
    else:
        ways = rng.integers(0, 2, (permutations + 1, size), dtype=np.int8)
        ways[0] = 0
    return (1 - 2 * ways).astype(np.float32)


def _between(
    cells: Sequence[_HarmCell],
    falls: Marks,
    deep: float,
    alpha: float,
    permutations: int,
    rng: np.random.Generator,
) -> list[HarmRow]:
    """Test new failures of each group, less those that it was rescued from, against those of all others.

    How many of a group were rescued is held fixed while the new failures are dealt anew: dealt as well, the
    rescued of one group would hide the new failures of all others, and chance would seem to make none.
    """
    cells = [cell for cell in cells if cell.elsewhere.sum() >= 2]
    if not cells:
        return []
    tables = [np.stack([cell.known, falls[:, cell.column] > 0], axis=1).astype(np.float32) for cell in cells]
    rescued = [int((falls[cell.here, cell.column] < 0).sum()) for cell in cells]
    p: list[list[Floats]] = [[] for _ in cells]
    for batch in _deals(permutations, len(falls), rng):
        for p_values, cell, table, better in zip(p, cells, tables, rescued, strict=True):
            dealt = cell.ids[batch]
            here = (dealt == cell.number).astype(np.float32) @ table
            others = ((dealt >= 0) & (dealt != cell.number)).astype(np.float32) @ table
            net = np.maximum(here[:, 1] - better, 0)
            p_values.append(_fisher(net, others[:, 1], here[:, 0], others[:, 0]))
    every = np.stack([np.concatenate(p_values) for p_values in p], axis=1)
    adjusted = _adjusted(every, np.array([cell.weight for cell in cells]))
    # A group in which some no longer fail changes both ways, more than others may: by chance, unless McNemar
    # says otherwise, at the whole level of which this test has a share. So may one like it in which none
    # happens to be rescued, where other small groups change both ways.
    fallen = [int((falls[cell.here, cell.column] > 0).sum()) for cell in cells]
    both_ways = [
        BETWEEN_SHARE * max(_mcnemar(worse, better), _as_peers_do(worse, cell, cells, falls))
        for cell, worse, better in zip(cells, fallen, rescued, strict=True)
    ]
    return [
        cell.row("newly failing", "between", falls, raw, max(corrected, chance), alpha, deep)
        for cell, raw, corrected, chance in zip(cells, every[0], adjusted, both_ways, strict=True)
    ]


def _mcnemar(worse: int, better: int) -> float:
    """Return the one-sided p-value of more worse than better; 0 where nobody is better: it can say little."""
    return float(scipy.special.bdtrc(worse - 1, worse + better, 0.5)) if better else 0.0


def _as_peers_do(worse: int, cell: _HarmCell, cells: Sequence[_HarmCell], falls: Marks) -> float:
    """Return how likely so many fall in a group by chance, at the rate at which its peers change both ways.

    Peers are the other groups of its attribute but the largest: in what is small, and often alike. Their rate
    is that of the rarer way in each, since a model that rescues one, or harms it, changes it one way.
    Corrected for which of them stands out.
    """
    groups = [one for one in cells if (one.names[0], one.column) == (cell.names[0], cell.column)]
    largest = max(groups, key=lambda one: one.here.sum())
    peers = [one.here for one in groups if one is not cell and one is not largest]
    if not peers or cell is largest:
        return 0.0
    marks = [falls[peer, cell.column] for peer in peers]
    rate = sum(min((one > 0).sum(), (one < 0).sum()) for one in marks) / sum(len(one) for one in marks)
    return float(min(1.0, (1 + len(peers)) * scipy.special.bdtrc(worse - 1, cell.here.sum(), rate)))


def _deals(number: int, size: int, rng: np.random.Generator) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the orders in which subjects are dealt to groups, in batches (b, N): first the one there is."""
    step, remaining = max(1, _BATCH // size), number
    batch = np.arange(size)[None]
    while len(batch):
        yield batch
        batch = rng.permuted(np.broadcast_to(np.arange(size), (min(step, remaining), size)), axis=1)
        remaining -= len(batch)


def _adjusted(p: Floats, weights: Floats) -> Floats:
    """Return p-values that hold over all rows: Westfall and Young's single-step min-P, weighted.

    Args:
        p: (B, M): of the sample in the first row, of permutations in the others.
        weights: of the rows, (M,).
    """
    scaled = p / weights
    lowest = np.sort(scaled.min(axis=1))
    adjusted = np.searchsorted(lowest, scaled[0] * (1 + 1e-9), "right") / lowest.size
    return np.asarray(np.maximum(adjusted, p[0]))


def _fisher(k: Floats, k_others: Floats, n: Floats, n_others: Floats) -> Floats:
    """Return one-sided p-values that the first share is the higher, each distinct table once."""
    counts = np.rint(np.stack([k, k_others, n, n_others], axis=1)).astype(np.int64)
    tables, back = np.unique(counts, axis=0, return_inverse=True)
    tails = []
    for worse, worse_others, size, others in tables.tolist():
        least, chances = hypergeometric(size, others, worse + worse_others)
        tails.append(min(1.0, float(chances[worse - least :].sum())))
    return np.array(tails)[back.ravel()]
