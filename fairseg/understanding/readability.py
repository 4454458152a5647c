"""Can the group be read from a view? A model, tested on subjects it has not seen, against chance.

The linear one: principal components, then regression of each group's indicator on them with a ridge, the
linear discriminant, shrunk. Its out-of-fold scores have a closed form, so that a thousand permutations of the
groups, each with folds of its own, cost seconds. In coordinates Z of the components in which the whole
sample has Z'Z + ridge = I, the scores of a held-out fold T by the model of all others are

    Z_T (I - Z_T' Z_T)^-1 (Z'y - Z_T' y_T),

which is that model refitted, and not an approximation. The components come from all subjects, whose groups
they do not know. The other model is in `encoder`.

Chance is what the same procedure gives where the groups are dealt anew to the subjects, so that nothing rests
on AUC being about 0.5 by chance; the largest standardised AUC of all views in each deal keeps the error over
all of them (max-T; Westfall and Young 1993). Each deal is standardised by all others, the cohort itself among
them, so that few deals are as exact as many. The deals also say how much an AUC varies as models are trained
anew, which limits for scores as they are leave out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fairseg.metrics.ranks import mid_ranks
from fairseg.statistics.effects import auc_limits

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Model = Literal["linear", "cnn"]
# From groups (deals, N) and folds (deals, repeats, N) to out-of-fold scores (deals, N, G).
Reader = Callable[[Integers, npt.NDArray[np.int8]], Floats]

LEVEL = 0.05
SEPARATED = 0.95  # AUC above which hardly any two subjects of different groups have like scores
PERMUTATIONS: dict[Model, int] = {"linear": 1000, "cnn": 39}
_COMPONENTS = 40
FOLDS, REPEATS = 5, 4
_CHUNK = 50  # deals at a time


class Tested:
    """A test, with its p-value after correction over all rows."""

    p_adjusted: float

    @property
    def shown(self) -> bool:
        """Whether the effect is shown: where its p has a star (`report.numbers.p_value`)."""
        return self.p_adjusted < LEVEL


@dataclass(frozen=True)
class Reading(Tested):
    """The accuracy with which a view tells a group from the others.

    Attributes:
        view: name of it.
        group: name of the group that is told from all others.
        n: subjects of the group.
        n_others: subjects of the others.
        auc: of out-of-fold scores; 0.5 says nothing.
        low: 95% limit over subjects and trainings of this model.
        high: the upper one.
        chance: AUC above which it would be shown, for all views together; the smallest AUC that this cohort
            could show.
        p: one-sided, of this row by itself.
        p_adjusted: over all rows.
        against: name of the one group that it is told from; "" where that is all others.
    """

    view: str
    group: str
    n: int
    n_others: int
    auc: float
    low: float
    high: float
    chance: float
    p: float
    p_adjusted: float
    against: str = ""


@dataclass(frozen=True, eq=False)
class Readings:
    """The readings of all views.

    Attributes:
        rows: of each view and group.
        scores: view -> how much a subject looks like each group, out of fold, (N, G); of no unit.
        pairs: of each view and two groups where there are more than two: of three groups of which two are
            alike, each is told from all others. p is over all views and pairs.
    """

    rows: tuple[Reading, ...]
    scores: Mapping[str, Floats]
    pairs: tuple[Reading, ...] = ()

    def best(self, view: str) -> Reading:
        """Return the row of the view in which a group is told apart best."""
        return max((row for row in self.rows if row.view == view), key=lambda row: row.auc)

    def clearest_pair(self, view: str) -> Reading | None:
        """Return the pair of groups that the view tells apart best; None where there are but two groups."""
        return max((row for row in self.pairs if row.view == view), key=lambda row: row.auc, default=None)

    @property
    def views(self) -> list[str]:
        """The views, in their order."""
        return list(dict.fromkeys(row.view for row in self.rows))


def read_groups(
    views: Mapping[str, npt.NDArray[np.floating]],
    ids: Integers,
    names: Sequence[str],
    *,
    strata: Integers | None = None,
    model: Model = "linear",
    permutations: int = 1000,
    seed: int = 0,
    device: str = "cpu",
    progress: bool = False,
) -> Readings:
    """Test whether groups can be told apart by each of some views, with the error kept over all of them.

    Args:
        views: name -> (N, ...), one a subject; of vectors of numbers each is standardised over subjects.
        ids: group of each subject, int64 (N,), from 0 on; each group has at least as many subjects as folds.
        names: of the groups, (G,), at least two. Of two groups only the second is told from the first.
        strata: of each subject, (N,): only pairs of the same stratum count, and groups are dealt within.
        model: "linear", or "cnn": the encoder of the reference network, for views of images
            (N, C, levels, y, x); views of numbers stay linear.
        permutations: deals of the groups; no p can be below 1 / (permutations + 1).
        seed: of deals, folds and networks.
        device: where networks train.
        progress: show a bar on stderr if it is a terminal, while networks train.

    Returns:
        The readings. A view that is the same for everybody has an AUC of 0.5.

    Raises:
        ValueError: a group has fewer subjects than there are folds, 5.

    >>> rng = np.random.default_rng(0)
    >>> ids = np.repeat([0, 1], 30)
    >>> views = {"told": rng.normal(size=(60, 3)) + ids[:, None], "noise": rng.normal(size=(60, 3))}
    >>> found = read_groups(views, ids, ["A", "B"], permutations=200)
    >>> [row.shown for row in found.rows]
    [True, False]
    """
    counts = np.bincount(ids, minlength=len(names))
    if counts.min() < FOLDS:
        short = names[int(counts.argmin())]
        raise ValueError(f"ids must have {FOLDS} subjects of each group at least, {short} has {counts.min()}")
    deals = _Deals(ids, len(names), strata, permutations, seed)
    comparisons: list[tuple[int, int | None]] = [(1, None)]
    if len(names) > 2:
        comparisons = [(group, None) for group in range(len(names))]
    alone = len(comparisons)
    comparisons += combinations(range(len(names)), 2) if len(names) > 2 else []
    scores: dict[str, Floats] = {}
    aucs_of_views = []
    for name, view in views.items():
        read: Reader = partial(deals.linear_scores, components_of(view))
        if model == "cnn" and view.ndim > 2:
            from fairseg.understanding.encoder import EncoderReader  # noqa: PLC0415  (torch)

            read = EncoderReader(name, view, len(names), seed=seed, device=device, progress=progress)
        scores[name], view_aucs = deals.judge(read, comparisons)
        aucs_of_views.append(view_aucs)
    aucs = np.stack(
        aucs_of_views, axis=1
    )  # (deals, views, what is told); the first deal is the cohort itself
    described = [
        (
            names[group],
            int(counts[group]),
            int(ids.size - counts[group] if second is None else counts[second]),
            "" if second is None else names[second],
        )
        for group, second in comparisons
    ]
    rows = _judged(aucs[..., :alone], list(views), described[:alone])
    pairs = _judged(aucs[..., alone:], list(views), described[alone:]) if len(described) > alone else ()
    return Readings(rows, scores, pairs)


def _judged(
    aucs: Floats, views: Sequence[str], described: Sequence[tuple[str, int, int, str]]
) -> tuple[Reading, ...]:
    """Return a row for each view and comparison, with the error kept over all of them.

    Args:
        aucs: AUC of each deal, (deals, views, K); the first deal is the cohort itself.
        views: their names.
        described: of each of the K: the group, its subjects, those of the others, and what `against` says.
    """
    centers, spreads = of_the_others(aucs)
    z = (aucs - centers) / spreads
    largest = z[1:].reshape(len(z) - 1, -1).max(axis=1)
    limit = critical(largest, LEVEL)
    rows = []
    for index, view in enumerate(views):
        for column, (group, n, n_others, against) in enumerate(described):
            auc, observed = float(aucs[0, index, column]), z[:, index, column]
            chance = float(min(centers[0, index, column] + limit * spreads[0, index, column], 1.0))
            p, adjusted = share_as_large(observed[1:], observed[0]), share_as_large(largest, observed[0])
            low, high = limits_of(auc, n, n_others, float(spreads[0, index, column]))
            # The test is one-sided, so that what it shows to be above chance may have a limit below it.
            low = max(low, 0.5) if adjusted < LEVEL else low
            rows.append(Reading(view, group, n, n_others, auc, low, high, chance, p, adjusted, against))
    return tuple(rows)


def limits_of(auc: float, n: int, n_others: int, spread: float) -> tuple[float, float]:
    """Return 95% limits of an AUC over subjects and trainings.

    Newcombe's limits are of scores as they are. Those of a cohort that trains its own models vary more: by
    how much more, the deals say, for an AUC that is chance. The upper limit is about no less than 0.5, since
    the AUC of a fold is low where the others, which trained its model, are high by chance.

    Args:
        auc: out of fold.
        n: subjects of the group.
        n_others: those of the others.
        spread: standard deviation of the AUC where groups are dealt anew.

    >>> [round(limit, 2) for limit in limits_of(0.4, 60, 60, 0.053)]  # of scores as they are: 0.3 to 0.5
    [0.31, 0.6]
    """
    of_scores = ((n + n_others + 1) / (12 * n * n_others)) ** 0.5
    wider = max(spread / of_scores, 1.0)
    least = max(auc, 0.5)
    low, high = auc_limits(auc, n, n_others)[0], auc_limits(least, n, n_others)[1]
    return max(auc - wider * (auc - low), 0.0), min(least + wider * (high - least), 1.0)


def critical(chance: Floats, level: float) -> float:
    """Return the value above which `share_as_large` is below a level; infinity if it never is.

    >>> deals = np.arange(99.0)
    >>> critical(deals, 0.05), share_as_large(deals, 95.5), share_as_large(deals, 94.5)
    (95.0, 0.04, 0.05)
    """
    above = int(np.ceil(round(level * (1 + chance.size), 9))) - 2  # deals that may be as large
    return float(np.sort(chance)[chance.size - 1 - above]) if above >= 0 else np.inf


def of_the_others(values: Floats, center: float = 0.5) -> tuple[Floats, Floats]:
    """Return the mean, and the standard deviation, of all deals but each by itself, both (deals, ...).

    Args:
        values: the cohort first, then the deals, (deals, ...).
        center: near which they lie, so that no digits are lost.
    """
    number, away = len(values) - 1, values - center
    means = (away.sum(axis=0) - away) / number
    variances = ((away**2).sum(axis=0) - away**2) / number - means**2
    return means + center, np.sqrt(np.maximum(variances, 1e-18))


def share_as_large(chance: Floats, observed: float) -> float:
    """Return the share of deals that are as large, the cohort itself among them."""
    return float((1 + np.count_nonzero(chance >= observed - 1e-12)) / (1 + chance.size))


def components_of(view: npt.NDArray[np.floating]) -> Floats:
    """Return a view as whitened components with the constant, Z of the module's formula, (N, K)."""
    flat = view.reshape(len(view), -1).astype(np.float64)
    flat = flat - flat.mean(axis=0)
    if view.ndim == 2:  # numbers of several units
        spread = flat.std(axis=0)
        flat = flat[:, spread > 1e-9] / spread[spread > 1e-9]
    constant = np.full((len(flat), 1), 1 / np.sqrt(len(flat)))
    if not flat.size:
        return constant
    vectors, size, _ = np.linalg.svd(flat, full_matrices=False)
    keep = min(_COMPONENTS, int((size > size[0] * 1e-6).sum()) if size[0] > 0 else 0)
    size = size[:keep]
    shrunk = size / np.sqrt(size**2 + (size**2).mean()) if keep else size
    return np.column_stack([constant, vectors[:, :keep] * shrunk])


def stratified_folds(ids: Integers, rng: np.random.Generator) -> npt.NDArray[np.int8]:
    """Return the fold of each subject in each repeat, (..., repeats, N), each with its share of each group.

    Args:
        ids: group of each subject, (..., N).
        rng: generator of the order within groups.
    """
    # Ordered by group and dealt in turn, every fold has its share of each group.
    order = (ids[..., None, :] + rng.random((*ids.shape[:-1], REPEATS, ids.shape[-1]))).argsort(axis=-1)
    folds = np.empty(order.shape, dtype=np.int8)
    np.put_along_axis(folds, order, (np.arange(ids.shape[-1]) % FOLDS).astype(np.int8), axis=-1)
    return folds


def dealt(
    values: Floats | Integers,
    permutations: int,
    rng: np.random.Generator,
    parts: Sequence[npt.NDArray[Any]] = (),
) -> npt.NDArray[Any]:
    """Return values as they are, then dealt anew to the subjects, (1 + permutations, N).

    Args:
        values: of each subject, (N,).
        permutations: number of deals.
        rng: generator of the deals.
        parts: indices, or masks, of the subjects among whom values are dealt; without any, among all.
    """
    deals = np.tile(values, (permutations + 1, 1))
    for part in parts or [np.arange(values.size)]:
        deals[1:, part] = rng.permuted(deals[1:, part], axis=1)
    return deals


class _Deals:
    """The groups as they are and as they are dealt, with the folds of each deal and repeat."""

    def __init__(
        self, ids: Integers, number: int, strata: Integers | None, permutations: int, seed: int
    ) -> None:
        rng = np.random.default_rng(seed)
        self.strata = [np.arange(ids.size)]
        if strata is not None:
            self.strata = [np.flatnonzero(strata == one) for one in np.unique(strata)]
        self.ids = dealt(ids, permutations, rng, self.strata)
        self.number = number
        self.folds = stratified_folds(self.ids, rng)

    def judge(self, read: Reader, comparisons: Sequence[tuple[int, int | None]]) -> tuple[Floats, Floats]:
        """Return the out-of-fold scores of the cohort, (N, G), and the AUC of each deal and comparison.

        A comparison is of a group with another, or with None: all others.
        """
        first = np.empty(0)
        aucs = []
        for start in range(0, len(self.ids), _CHUNK):
            ids, folds = self.ids[start : start + _CHUNK], self.folds[start : start + _CHUNK]
            scores = read(ids, folds)
            first = first if start else scores[0]
            aucs.append(np.stack([self._auc_of(scores, ids, *pair) for pair in comparisons], axis=1))
        return first, np.concatenate(aucs)

    def linear_scores(self, parts: Floats, ids: Integers, folds: npt.NDArray[np.int8]) -> Floats:
        """Return the mean over repeats of the out-of-fold scores, (deals, N, G)."""
        deals, number = ids.shape
        target = (ids[..., None] == np.arange(self.number)).astype(np.float64)
        products = parts @ parts.T if number < FOLDS * parts.shape[1] else None
        of_all = parts.T @ target if products is None else products @ target
        scores = np.zeros((deals, number, self.number))
        for repeat in range(REPEATS):
            for fold in range(FOLDS):
                held_out = folds[:, repeat] == fold
                size = int(held_out[0].sum())  # the same in every deal
                members = np.nonzero(held_out)[1].reshape(deals, size)
                rows = np.arange(deals)[:, None]
                answer = target[rows, members]
                # Without the constant: a fold with more of a group leaves fewer to train on, and scores by
                # the shares that are left would rank the subjects of different folds the wrong way round.
                share = (target.sum(axis=1) - answer.sum(axis=1)) / (number - size)
                scores[rows, members] -= share[:, None]
                if products is None:
                    fold_parts = parts[members]
                    transposed = fold_parts.transpose(0, 2, 1)
                    system = np.eye(parts.shape[1]) - transposed @ fold_parts
                    scores[rows, members] += fold_parts @ np.linalg.solve(
                        system, of_all - transposed @ answer
                    )
                else:  # of fewer subjects in a fold than components the same, by Woodbury's identity
                    system = np.eye(size) - products[members[:, :, None], members[:, None, :]]
                    scores[rows, members] += answer - np.linalg.solve(system, answer - of_all[rows, members])
        return scores / REPEATS

    def _auc_of(self, scores: Floats, ids: Integers, group: int, second: int | None) -> Floats:
        """Return how well the scores (deals, N, G) tell a group from another, or from all others."""
        member = ids == group
        if second is None:
            return self._auc(scores[..., group], member, ~member)
        return self._auc(scores[..., group] - scores[..., second], member, ids == second)

    def _auc(self, scores: Floats, member: npt.NDArray[np.bool_], against: npt.NDArray[np.bool_]) -> Floats:
        """Return the share of pairs within strata in which the member scores higher, ties by half."""
        wins, pairs = np.zeros(len(scores)), np.zeros(len(scores))
        for stratum in self.strata:
            inside, outside = member[:, stratum], against[:, stratum]
            # Subjects of neither stand above all, where their rank does not count.
            compared = np.where(inside | outside, scores[:, stratum].round(10), np.inf)
            n = inside.sum(axis=1)
            wins += (mid_ranks(compared) * inside).sum(axis=1) - n * (n + 1) / 2
            pairs += n * outside.sum(axis=1)
        return np.where(pairs > 0, wins / np.maximum(pairs, 1), 0.5)
