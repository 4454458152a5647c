"""The subjects, pairs and p-values of a comparison of models, corrected over the whole page.

The gains of all models share one error, those within strata too. The gaps with the baseline and with each
model are corrected apart, as they would be in an audit of that model alone, and so are the gaps of the mean
score of both, on which it rests whether a gap became narrower.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fairseg.metrics.fairness import Floats
from fairseg.statistics.batches import Integers
from fairseg.statistics.findings import Grouping
from fairseg.statistics.gain_findings import GroupPair
from fairseg.statistics.group_facts import hardest
from fairseg.statistics.judge_options import JudgeOptions
from fairseg.statistics.page_level import members, pairs_to_compare
from fairseg.statistics.paired_shares import difference_level
from fairseg.statistics.permutation import Row, adjusted_p, local_level, smallest_p_values
from fairseg.statistics.row_tests import LEAST_LEVEL, observe, stratum_members, usable_strata
from fairseg.statistics.verdicts import Endpoint

ENDPOINTS = (Endpoint.TYPICAL, Endpoint.FAILURES, Endpoint.HARDEST)

# Of the error, by endpoint and for each endpoint of a structure. Gaps are weighted as in an audit of one
# model; of the gains the typical case is the primary question.
_GAP_WEIGHTS = (1.0, 1.0, 0.5, 0.25)
_GAIN_WEIGHTS = (1.0, 0.25, 0.125, 0.125)

Members = tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]


@dataclass(frozen=True)
class Cohort:
    """The subjects of a comparison, with the scores that both models of a row have.

    Attributes:
        raw_before: scores of the baseline, (N, S).
        raw_after: scores of the models, (M, N, S).
        before: the baseline's of what the model has too, NaN where the model has none, (M, N, S).
        after: the models' of what the baseline has too.
        groupings: attributes.
        structures: names, overall first.
        pairs: all that are compared, those of small groups as well.
        drop: a loss of more than this counts as harm.
        options: margins, thresholds and error.
        blocks: the subjects (indices) of each stratum; None where none is held fixed.
    """

    raw_before: Floats
    raw_after: Floats
    before: Floats
    after: Floats
    groupings: tuple[Grouping, ...]
    structures: tuple[str, ...]
    pairs: tuple[GroupPair, ...]
    drop: float
    options: JudgeOptions
    blocks: tuple[Integers, ...] | None

    @classmethod
    def of(
        cls,
        before: Floats,
        after: Floats,
        groupings: Sequence[Grouping],
        structures: Sequence[str],
        drop: float,
        options: JudgeOptions,
        strata: npt.ArrayLike | None,
        paired: Sequence[Floats] | None = None,
    ) -> "Cohort":
        """Return the cohort of scores (N, S) and (M, N, S) that have been checked; paired: (2, N, S) each."""
        first, second = np.broadcast_to(before, after.shape), after
        if paired is not None:
            first, second = (np.stack([one[side] for one in paired]) for side in (0, 1))
        known = ~(np.isnan(first) | np.isnan(second))
        pairs: list[GroupPair] = []
        for attribute, grouping in enumerate(groupings):
            large = [
                (grouping.ids == group).sum() >= options.min_size
                for group in range(len(grouping.group_names))
            ]
            pairs += [GroupPair(attribute, *pair) for pair in pairs_to_compare(grouping, large)]
        return cls(
            before,
            after,
            np.where(known, first, np.nan),
            np.where(known, second, np.nan),
            tuple(groupings),
            tuple(structures),
            tuple(pairs),
            drop,
            options,
            None if strata is None else tuple(stratum_members(strata, len(before))),
        )

    def judged(self, model: int, attribute: int) -> list[int]:
        """Return the groups with subjects enough overall."""
        label = self.groupings[attribute].ids[~np.isnan(self.before[model, :, 0])]
        groups = range(len(self.groupings[attribute].group_names))
        return [group for group in groups if (label == group).sum() >= self.options.min_size]

    def judged_structures(self, model: int, pair: GroupPair) -> npt.NDArray[np.bool_]:
        """Return in which structures both groups have subjects enough, (S,); in none if not overall."""
        known = ~np.isnan(self.before[model])
        counts = np.min([known[group].sum(axis=0) for group in self.members(pair)], axis=0)
        enough = counts >= self.options.min_size
        return np.asarray(enough & enough[0])

    @cached_property
    def _everyone(self) -> tuple[Integers, ...]:
        return (np.arange(len(self.raw_before)),)

    def strata(
        self, model: int, pair: GroupPair, structure: int, *, adjusted: bool
    ) -> tuple[Integers, ...] | None:
        """Return the strata of a row: all subjects unless adjusted, None if they are too small or held."""
        if not adjusted:
            return self._everyone
        if self.blocks is None or self.groupings[pair.attribute].held:
            return None
        known = ~np.isnan(self.before[model, :, structure])
        groups = [member & known for member in self.members(pair)]
        return usable_strata(groups, self.blocks, self.options.min_size)

    def members(self, pair: GroupPair) -> Members:
        """Return which subjects belong to the first and to the second group, (N,) each."""
        return members(self.groupings[pair.attribute], pair.first, pair.second)


class Corrected(NamedTuple):
    """P-values, adjusted ones and local levels of rows, NaN and 0 where not judged.

    There is one for each pair, structure and endpoint, first among all subjects, then within strata,
    (P, S, E, 2).
    """

    p: Floats
    adjusted: Floats
    local: Floats


class GainTests(NamedTuple):
    """Corrected rows of one model: of the gains, of the gaps with either model, and of those of their mean.

    The last is of the typical case only. Marks are (4, N, S): failures before and after, and membership of
    the hardest tenth before and after; 1, 0, or NaN without a score. Hidden, (S,), is where equal scores hide
    who is in that tenth with one of the models: nobody is marked then.
    """

    gain: Corrected
    before: Corrected
    after: Corrected
    mean: Corrected
    marks: Floats
    hidden: npt.NDArray[np.bool_]


def gain_tests(cohort: Cohort) -> list[GainTests]:
    """Test the rows of every model and correct them by dealing the groups anew."""
    everything = range(len(cohort.after))
    marks, hidden = zip(*(_all_marks(cohort, model) for model in everything), strict=True)
    gains = [
        [
            (cohort.after[model] - cohort.before[model]).round(10),
            marks[model][1] - marks[model][0],
            marks[model][3] - marks[model][2],
        ]
        for model in everything
    ]
    together = _corrected(cohort, list(everything), gains, marks=False, pairs=marks)
    tests = []
    for model in everything:
        before, after = cohort.before[model], cohort.after[model]
        columns = (
            ([before, marks[model][0], marks[model][2]], True),
            ([after, marks[model][1], marks[model][3]], True),
            ([(before + after) / 2], False),
        )
        gap_before, gap_after, mean = (
            _corrected(cohort, [model], [values], marks=shares)[0] for values, shares in columns
        )
        tests.append(GainTests(together[model], gap_before, gap_after, mean, marks[model], hidden[model]))
    return tests


def _corrected(
    cohort: Cohort,
    models: Sequence[int],
    values: Sequence[Sequence[Floats]],
    *,
    marks: bool,
    pairs: Sequence[Floats] = (),
) -> list[Corrected]:
    """Correct all rows of these models together.

    Args:
        cohort: subjects and groups.
        models: whose rows they are.
        values: of each model and endpoint, (N, S).
        marks: whether the endpoints after the first are marks 0 and 1, for Fisher's test; if not they are
            changes of marks, -1, 0 or 1, and tested as scores are, but never shown against the limits of
            paired shares.
        pairs: the marks that changed, of each model (4, N, S), before and after.
    """
    options = cohort.options
    weights = _GAP_WEIGHTS if marks else _GAIN_WEIGHTS
    shape = (len(cohort.pairs), len(cohort.structures), len(values[0]), 2)
    corrected = [Corrected(np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape)) for _ in models]
    smallest = np.full(options.permutations, np.inf)
    placed: list[tuple[int, tuple[int, int, int, int], Row]] = []
    for adjusted in (False, True):
        rows = list(_rows(cohort, models, values, weights, marks=marks, adjusted=adjusted))
        if rows:
            dealt = smallest_p_values(
                [row for *_, row in rows],
                [grouping.ids for grouping in cohort.groupings],
                permutations=options.permutations,
                seed=(options.seed, int(adjusted)),
                blocks=cohort.blocks if adjusted else None,
            )
            np.minimum(smallest, dealt, out=smallest)
        placed += rows
    if not placed:
        return corrected
    star = local_level(smallest, options.alpha)
    for number, at, row in placed:
        p = _decisive_p(cohort, row, at, None if marks or not at[2] else pairs[number])
        corrected[number].p[at] = p
        corrected[number].local[at] = max(star * row.weight, LEAST_LEVEL)
        over_all = adjusted_p(smallest, p, row.weight)
        # The adjusted p-value and the limits, which are of the local level, say the same.
        shown = p <= star * row.weight
        corrected[number].adjusted[at] = (
            min(over_all, options.alpha) if shown else max(over_all, np.nextafter(options.alpha, 1))
        )
    return corrected


def _decisive_p(cohort: Cohort, row: Row, at: tuple[int, int, int, int], marks: Floats | None) -> float:
    """Return the p-value of a row by itself, or the level at which its limits reach zero if that is larger.

    marks: those that changed, of a row of changes of marks: its limits are of `paired_shares`.
    """
    test = observe(row, cohort.groupings[row.attribute].ids)
    if marks is None:
        return test.decisive_p
    if test.p > cohort.options.alpha:
        return test.p  # nothing that is starred
    _, structure, endpoint, _ = at
    before, after = marks[2 * endpoint - 2 : 2 * endpoint, :, structure]
    first, second = (
        [(before[one] > 0, after[one] > 0) for one in (stratum[here[stratum]] for stratum in row.strata)]
        for here in (member & ~np.isnan(row.values) for member in cohort.members(cohort.pairs[at[0]]))
    )
    sizes = np.array([[one.size, two.size] for (one, _), (two, _) in zip(first, second, strict=True)])
    weights = sizes.prod(axis=1) / sizes.sum(axis=1)
    return max(test.p, difference_level(first, second, weights))


def _rows(
    cohort: Cohort,
    models: Sequence[int],
    values: Sequence[Sequence[Floats]],
    weights: Sequence[float],
    *,
    marks: bool,
    adjusted: bool,
) -> Iterator[tuple[int, tuple[int, int, int, int], Row]]:
    """Yield the rows of `_corrected`, with the number of the model and the place among the corrected."""
    for number, (model, endpoints) in enumerate(zip(models, values, strict=True)):
        columns = [[np.ascontiguousarray(column) for column in one.T] for one in endpoints]
        for pair_index, pair in enumerate(cohort.pairs):
            for structure in np.flatnonzero(cohort.judged_structures(model, pair)).tolist():
                strata = cohort.strata(model, pair, structure, adjusted=adjusted)
                if strata is None:
                    continue
                for endpoint, column in enumerate(columns):
                    weight = weights[endpoint if structure == 0 else -1]
                    shares = marks and endpoint > 0
                    changes = not marks and endpoint > 0
                    row = Row(*pair, column[structure], shares, weight, strata, changes)
                    yield number, (pair_index, structure, endpoint, int(adjusted)), row


def _all_marks(cohort: Cohort, model: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return the marks of `GainTests`, and of which structures those of the hardest tenth are hidden."""
    both = cohort.before[model], cohort.after[model]
    fails = [np.where(np.isnan(one), np.nan, one < cohort.options.failure_threshold) for one in both]
    tenths = [np.stack([hardest(column) for column in one.T], axis=1) for one in both]
    # Where ties hide who is hardest with one of the models, there is no change of it to speak of.
    counts = np.array([np.nansum(one, axis=0) for one in tenths])
    hidden = counts.min(axis=0) < 0.5 * counts.max(axis=0)
    return np.stack([*fails, *(np.where(hidden & ~np.isnan(one), 0.0, one) for one in tenths)]), hidden
