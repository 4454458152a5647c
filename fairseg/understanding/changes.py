"""How much Dice changes if the image is changed, and whether that is more than chance."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from fairseg.statistics.significance import holm
from fairseg.understanding.readability import Floats, Integers, Tested, dealt, share_as_large

_NO_SPREAD = 1e-12


@dataclass(frozen=True)
class Change(Tested):
    """The change of a group's Dice by an intervention.

    Attributes:
        intervention: what was done to the images.
        group: whose images.
        donors: the group whose outside they got, compared with the outside of others of their own group; ""
            where they got nobody's.
        n: subjects.
        now: mean Dice of these subjects' images as they are.
        gap: mean Dice of the donors' group minus that of the group, images as they are; NaN without donors.
        change: of mean Dice, with 95% limits over subjects and donors.
        p_adjusted: that it is none, after Holm over all rows with donors; NaN without donors, where any
            network does worse, which says nothing of groups.
    """

    intervention: str
    group: str
    donors: str
    n: int
    now: float
    gap: float
    change: tuple[float, float, float]
    p_adjusted: float


@dataclass(frozen=True, eq=False)
class Occlusion(Tested):
    """The change of two groups' Dice if one patch of the image after the other is blanked.

    Attributes:
        first: name of the reference group.
        second: of the other.
        change: mean change of Dice for each patch, (2, rows, columns); NaN within the box.
        place: row and column of the patch in which the groups differ most against chance.
        p_adjusted: of that patch, over all patches and pairs.
    """

    first: str
    second: str
    change: Floats
    place: tuple[int, int]
    p_adjusted: float


@dataclass(frozen=True, eq=False)
class Intervention:
    """The changes of a network's Dice if the outside of the organ's box changes.

    Attributes:
        dice: of each subject, images as they are, mean over structures and cases, (N,).
        changes: of each intervention and group.
        occlusion: of patches outside the box, of each group against the reference group.
        bottleneck: means of the features at the lowest resolution over the organ's slices, (N, F).
    """

    dice: Floats
    changes: tuple[Change, ...]
    occlusion: tuple[Occlusion, ...]
    bottleneck: Floats


def change_with_limits(change: Floats, *factors: Integers) -> tuple[float, float, float, float]:
    """Return the mean of a change, its 95% limits, and p, where subjects share donors.

    Whoever lends an outside to several subjects makes their changes alike. The variance is the
    cluster-robust one in several ways at a time (Cameron, Gelbach and Miller 2011), and no less than that
    over subjects alone; Student's t has the degrees of freedom of the smallest factor.

    Args:
        change: of each image, (M,).
        factors: whose each image is, (M,): the subject first, then those who lent something to it.

    >>> [round(float(part), 2) for part in change_with_limits(np.array([1.0, 2.0, 3.0]), np.arange(3))]
    [2.0, -0.48, 4.48, 0.07]
    """
    mean, rest = float(change.mean()), change - change.mean()
    parts, sizes = [], []
    for factor in factors:
        _, code = np.unique(factor, return_inverse=True)
        sums = np.bincount(code, weights=rest)
        sizes.append(sums.size)
        parts.append(float((sums**2).sum()) * sums.size / max(sums.size - 1, 1))
    total = max(sum(parts) - (len(parts) - 1) * float((rest**2).sum()), parts[0])
    error = float(np.sqrt(total)) / change.size
    free = max(min(sizes) - 1, 1)
    if error < _NO_SPREAD:
        return mean, mean, mean, float(abs(mean) < _NO_SPREAD)
    reach = float(student.ppf(0.975, free)) * error
    return mean, mean - reach, mean + reach, float(2 * student.sf(abs(mean) / error, free))


def with_holm(rows: Sequence[tuple[str, str, str, int, float, float, tuple[float, ...]]]) -> list[Change]:
    """Return changes, given with what `change_with_limits` returns; p is corrected over those with donors."""
    adjusted = holm([row[-1][-1] if row[2] else np.nan for row in rows])
    return [
        Change(*row[:-1], (row[-1][0], row[-1][1], row[-1][2]), float(p))
        for row, p in zip(rows, adjusted, strict=True)
    ]


def occlusions(
    change: Floats, ids: Integers, names: Sequence[str], *, permutations: int = 1000, seed: int = 0
) -> list[Occlusion]:
    """Compare what occlusion does to each group with the first.

    Args:
        change: of each subject's Dice by patch, (N, rows, columns); NaN where nothing was blanked.
        ids: group of each subject, (N,).
        names: of the groups.
        permutations: deals of the groups; the largest difference in each keeps the error.
        seed: of the deals.
    """
    complete = np.isfinite(change).all(axis=0)
    patches = change[:, complete]
    if not patches.size:
        return []
    deals = dealt(ids, permutations, np.random.default_rng(seed))
    pairs = range(1, len(names))
    statistics = np.stack([_differences(patches, deals, second) for second in pairs], axis=1)
    largest = statistics[1:].reshape(permutations, -1).max(axis=1)
    result = []
    for pair, second in enumerate(pairs):
        values = np.full(complete.shape, -np.inf)
        values[complete] = statistics[0, pair]
        row, column = np.unravel_index(int(values.argmax()), values.shape)
        means = np.full((2, *complete.shape), np.nan)
        means[:, complete] = [patches[ids == group].mean(axis=0) for group in (0, second)]
        p = share_as_large(largest, float(values.max()))
        result.append(Occlusion(names[0], names[second], means, (int(row), int(column)), p))
    return result


def _differences(patches: Floats, deals: Integers, second: int) -> Floats:
    """Return the size of the difference of means of two groups by its error, (deals, patches)."""
    sums, squares, counts = [], [], []
    for group in (0, second):
        member = (deals == group).astype(np.float64)
        counts.append(member.sum(axis=1, keepdims=True))
        sums.append(member @ patches / counts[-1])
        squares.append(np.maximum(member @ patches**2 / counts[-1] - sums[-1] ** 2, 0.0) / (counts[-1] - 1))
    # A patch that hardly matters to anybody has no error to speak of: a thousandth of Dice is its least.
    return np.asarray(np.abs(sums[1] - sums[0]) / np.sqrt(squares[0] + squares[1] + 1e-6))
