"""What looks wrong in scores before any test: one subject under several names, scales, percentages."""

import warnings
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fairseg.metrics.fairness import Floats

_DECIMALS = 4  # scores of no more are rounded, and may agree by chance
_MOST_AVERAGED = 100  # structures and cases, whose rounded scores have a mean that may agree by chance too
_EXACT, _SINGLE = (5000, 1e-12), (1000, 1e-7)  # ratios of whole numbers up to these agree by chance; rounding
_MANY = 300  # subjects, of whom two agree in single precision by chance
_ENOUGH = 3  # columns that agree by no chance
_SCALE = 5.0  # median distances that differ so much between groups and ...
_OVERLAP = 0.05  # ... overlap so little suggest another unit
_LEAST_IN_GROUP = 5
_UNEVEN = 1.25  # times as many cases a subject in one group as in another


def duplicate_rows(scores: npt.ArrayLike) -> tuple[tuple[int, ...], ...]:
    """Find subjects whose scores are identical in all columns to the last digit.

    Two subjects do not agree in unrounded scores, but one subject under two names does. Rows whose scores
    are all round (of at most 4 decimals, 0 and 1 among them), made of round ones (their mean, or the IoU of a
    Dice), or missing, are no evidence. Nor are one or two scores of which one is a ratio of small whole
    numbers, as the Dice of a small lesion is, or its root.

    Args:
        scores: one row a subject, all columns there are, (N, S) or (N,); NaN equals NaN.

    Returns:
        The rows of each set of identical subjects, two or more in a set.

    >>> duplicate_rows([0.87119583, 0.9, 0.87119583, 0.9, 0.94360017])
    ((0, 2),)
    >>> duplicate_rows([(0.8712 + 0.94 + 0.9131) / 3, (0.8713 + 0.94 + 0.913) / 3])
    ()
    """
    values = np.asarray(scores, dtype=np.float64)
    values = values.reshape(len(values), -1)
    known = np.where(np.isfinite(values), values, 0.0)
    unrounded = np.isfinite(values) & ~_are_round(known)
    telling = unrounded & ~_of_round_ones(known)
    rows = np.flatnonzero(telling.any(1))
    if not rows.size:
        return ()
    same = np.where(np.isnan(values[rows]), -np.inf, values[rows])  # NaN equals NaN
    _, back = np.unique(same, axis=0, return_inverse=True)
    order = np.argsort(back.ravel(), kind="stable")
    starts = np.flatnonzero(np.diff(back.ravel()[order], prepend=-1))
    sets = [part for part in np.split(rows[order], starts[1:]) if part.size > 1]
    sets = [
        part
        for part in sets
        if unrounded[part[0]].sum() >= _ENOUGH
        or not _agree_by_chance(values[part[0]][unrounded[part[0]]], len(values))
    ]
    return tuple(sorted(tuple(sorted(part.tolist())) for part in sets))


def _are_round(values: Floats, tolerance: npt.ArrayLike | None = None) -> npt.NDArray[np.bool_]:
    """Return which values have few decimals, in double or single precision, where 0.9123 is 0.91229999."""
    if tolerance is None:
        single = values == values.astype(np.float32)
        tolerance = np.where(single, 1e-7 * np.maximum(1.0, values), 1e-9)
    return np.asarray(np.abs(values - values.round(_DECIMALS)) <= tolerance)


def _of_round_ones(values: Floats) -> npt.NDArray[np.bool_]:
    """Return which values are made of round ones: a mean of them, the IoU of a Dice and the reverse."""
    found = np.zeros(values.shape, dtype=bool)
    for parts in range(2, _MOST_AVERAGED + 1):
        rest = values[~found]
        found[~found] = _are_round(rest * parts, 1e-14 * parts * np.maximum(1.0, rest))
    share = np.clip(values, 0.0, 1.0)
    return found | _are_round(2 * share / (1 + share), 1e-14) | _are_round(share / (2 - share), 1e-14)


def _agree_by_chance(scores: Floats, subjects: int) -> bool:
    """Return whether two of so many subjects may well agree in these unrounded scores."""
    single = scores == scores.astype(np.float32)
    if subjects > _MANY and single.all():
        return True
    limits = (_SINGLE if one else _EXACT for one in single)
    return any(
        abs(float(Fraction(number).limit_denominator(most)) - number) <= rounding * max(1.0, number)
        for score, (most, rounding) in zip(scores.tolist(), limits, strict=True)
        for number in (score, score**2)  # a distance is the root of a sum of squares
    )


class UnevenCases(NamedTuple):
    """Two groups whose subjects have very different numbers of cases.

    Attributes:
        larger: id of the group with more cases a subject.
        smaller: id of the other group.
        many: cases of a subject of the larger, on average.
        few: the same of the smaller.
    """

    larger: int
    smaller: int
    many: float
    few: float


def uneven_cases(cases: npt.ArrayLike, ids: npt.NDArray[np.int64]) -> UnevenCases | None:
    """Find groups whose subjects have so different numbers of cases that their means do not compare.

    The mean of four cases fails less often than one case of the same quality, and spreads half as wide.

    Args:
        cases: how many cases with a score each subject has, (N,); NaN if none.
        ids: their groups, (N,); -1 for unknown.

    Returns:
        The groups with the most and the fewest, of those with 5 subjects or more, if one has a quarter more.

    >>> uneven_cases([2, 2, 2, 2, 2, 1, 1, 1, 1, 1], np.repeat([0, 1], 5))
    UnevenCases(larger=0, smaller=1, many=2.0, few=1.0)
    """
    counts = np.asarray(cases, dtype=np.float64)
    parts = {int(code): counts[(ids == code) & ~np.isnan(counts)] for code in np.unique(ids[ids >= 0])}
    means = {code: float(part.mean()) for code, part in parts.items() if part.size >= _LEAST_IN_GROUP}
    if not means:
        return None
    larger, smaller = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
    if means[larger] < _UNEVEN * means[smaller]:
        return None
    return UnevenCases(larger, smaller, means[larger], means[smaller])


class ScaleRatio(NamedTuple):
    """Two groups whose values look as if in different units.

    Attributes:
        larger: id of the group of the larger values.
        smaller: id of the other group.
        ratio: of their medians.
    """

    larger: int
    smaller: int
    ratio: float


def scale_ratios(
    values: npt.ArrayLike, ids: npt.ArrayLike, overlap: npt.ArrayLike | None = None
) -> tuple[ScaleRatio, ...]:
    """Find groups whose distances look as if given in cm or in voxels where the others' are in mm.

    Args:
        values: of each subject, positive, such as the HD95, (N,), or one of each structure, (N, L), of which
            the mean counts; NaN takes no part.
        ids: group ids, (N,); -1 is left out.
        overlap: the Dice of each, of the shape of `values`: where a group's distances are larger because the
            model fails it, its 1 - Dice is so many times as large too, and no unit is to blame.

    Returns:
        The groups whose median is a fifth of another's, or less, and of whose values hardly any reaches the
        other's range; each with the group of the largest median.

    >>> scale_ratios([8, 9, 10, 11, 12, 0.8, 0.9, 1.0, 1.1, 1.2], [0] * 5 + [1] * 5)
    (ScaleRatio(larger=0, smaller=1, ratio=10.0),)
    """
    group, value = np.asarray(ids), _mean_of_subject(values)
    error = np.zeros(len(value)) if overlap is None else 1.0 - _mean_of_subject(overlap)
    known = np.isfinite(value) & (group >= 0)
    parts = {
        int(code): value[known & (group == code)]
        for code in np.unique(group[known])
        if (known & (group == code)).sum() >= _LEAST_IN_GROUP
    }
    if not parts:
        return ()
    largest = max(parts, key=lambda code: float(np.median(parts[code])))
    both = known & ~np.isnan(error)
    errors = {code: float(np.median(error[mine])) for code in parts if (mine := both & (group == code)).any()}

    def explained(code: int) -> float:
        """Return how many times as large a group's 1 - Dice makes the other's distances."""
        return max(1.0, errors.get(largest, 0.0) / errors[code]) if errors.get(code, 0.0) > 0 else 1.0

    return tuple(
        ScaleRatio(largest, code, float(np.median(parts[largest]) / np.median(part)))
        for code, part in parts.items()
        if 0 < _SCALE * explained(code) * np.median(part) <= np.median(parts[largest])
        and _apart(parts[largest], part)
    )


def _mean_of_subject(values: npt.ArrayLike) -> Floats:
    """Return one value a subject, (N,): of one a structure, (N, L), the mean of those that are known."""
    value = np.asarray(values, dtype=np.float64)
    if value.ndim == 1:
        return value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a subject without any value has no mean
        return np.asarray(np.nanmean(value, axis=1))


def look_like_percentages(scores: npt.ArrayLike) -> bool:
    """Return whether scores that should be from 0 to 1 look like percentages.

    >>> look_like_percentages([87.1, 94.3, 0.0]), look_like_percentages([0.871, 0.943])
    (True, False)
    """
    values = np.asarray(scores, dtype=np.float64)
    known = values[np.isfinite(values)]
    return bool(known.size and known.max() > 1.5 and known.max() <= 100 and known.min() >= 0)


def _apart(larger: Floats, smaller: Floats) -> bool:
    """Return whether hardly any of the smaller values reaches into the larger ones, nor the reverse."""
    reach = (
        (smaller >= np.quantile(larger, _OVERLAP)).mean(),
        (larger <= np.quantile(smaller, 1 - _OVERLAP)).mean(),
    )
    return bool(max(reach) <= _OVERLAP)
