"""Over- and under-segmentation by group: an atlas of errors, and differences of measures of the masks.

The atlas is the share of a group's subjects in whom a place of the organ's box is a false positive or a false
negative. Neighbouring places are tested together (cluster permutation; Maris and Oostenveld 2007): the test
shows that the groups' errors differ somewhere, and the cluster says roughly where.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.ndimage import label
from scipy.stats import norm

from fairseg.statistics.location_shift import LocationShift
from fairseg.statistics.two_samples import brunner_munzel
from fairseg.understanding.readability import Floats, Integers, Tested, dealt

ERROR = " error (%)"  # signed, of the volume or area
KINDS = ("false positives", "false negatives")
_FORMING = float(norm.ppf(0.99))  # z that makes a place part of a cluster
_FEWEST = 3  # values of a group that is compared
_LEAST_ERRORS = 0.02  # mean share of errors, below which a place is not looked at


@dataclass(frozen=True, eq=False)
class Atlas(Tested):
    """The places where the errors of two groups differ.

    Attributes:
        structure: name of the label.
        kind: "false positives" or "false negatives".
        first: name of a group, the reference group where there is one.
        second: the other.
        shares: of each group, how often a place is wrong, (2, levels, y, x), 0 to 1.
        cluster: places of the cluster with most evidence, bool (levels, y, x).
        more: the group with more errors in it; "" where no place stands out.
        p_adjusted: of that cluster, over all structures, kinds and pairs.
    """

    structure: str
    kind: str
    first: str
    second: str
    shares: Floats
    cluster: npt.NDArray[np.bool_]
    more: str
    p_adjusted: float

    @property
    def size(self) -> float:
        """Wrong places of the cluster in a subject: the difference of the groups' means."""
        return float(abs((self.shares[1] - self.shares[0])[self.cluster].sum()))


def error_atlas(
    maps: npt.NDArray[np.floating],
    ids: Integers,
    names: Sequence[str],
    structures: Sequence[str],
    *,
    permutations: int = 500,
    seed: int = 0,
) -> list[Atlas]:
    """Compare where groups have errors.

    Args:
        maps: of each subject, the share of its cases with an error, (N, 2 L, levels, y, x), as the view
            `ERRORS` has them: of each label false positives, then false negatives.
        ids: group of each subject, (N,), from 0 on.
        names: of the groups; with the first each other one is compared.
        structures: names of the labels, (L,).
        permutations: deals of the groups.
        seed: of the deals.

    Returns:
        A row for each structure, kind of error and other group, that with most evidence first, then by how
        many more errors a subject has there. The largest cluster over all of them in each deal keeps the
        error.
    """
    shaped = maps.reshape(len(maps), len(structures), 2, *maps.shape[2:]).astype(np.float64)
    deals = dealt(ids, permutations, np.random.default_rng(seed))[1:]
    atlases, masses, chance = [], [], np.zeros(permutations)
    for index, number, second in np.ndindex(len(structures), len(KINDS), len(names) - 1):
        group, kind = second + 1, KINDS[number]
        errors = shaped[:, index, number]
        tested = errors.mean(axis=0) >= _LEAST_ERRORS
        mass, cluster, sign = _heaviest(errors, tested, ids, group)
        dealt_masses = [_heaviest(errors, tested, dealt_ids, group)[0] for dealt_ids in deals]
        chance = np.maximum(chance, dealt_masses)
        shares = np.stack([errors[ids == one].mean(axis=0) for one in (0, group)])
        more = "" if not mass else names[0] if sign < 0 else names[group]
        atlases.append(Atlas(structures[index], kind, names[0], names[group], shares, cluster, more, 1.0))
        masses.append(mass)
    p_values = [float((1 + np.count_nonzero(chance >= mass - 1e-9)) / (1 + permutations)) for mass in masses]
    rows = [replace(one, p_adjusted=p) if one.more else one for one, p in zip(atlases, p_values, strict=True)]
    return sorted(rows, key=lambda one: (one.p_adjusted, -one.size))


def _heaviest(
    errors: Floats, tested: npt.NDArray[np.bool_], ids: Integers, second: int
) -> tuple[float, npt.NDArray[np.bool_], int]:
    """Return the mass of the heaviest cluster, its places, and the sign of second minus first in it.

    Args:
        errors: share of cases with an error, (N, levels, y, x).
        tested: places that are looked at, (levels, y, x).
        ids: group of each subject, (N,).
        second: the group that is compared with the first, 0.
    """
    one, two = (errors[ids == group][:, tested] for group in (0, second))
    variance = one.var(axis=0, ddof=1) / len(one) + two.var(axis=0, ddof=1) / len(two)
    z = np.zeros(tested.shape)
    z[tested] = (two.mean(axis=0) - one.mean(axis=0)) / np.sqrt(np.maximum(variance, 1e-6))
    best, cluster, sign = 0.0, np.zeros(tested.shape, dtype=bool), 0
    for side in (-1, 1):
        parts, number = label(side * z > _FORMING)
        if not number:
            continue
        masses = np.bincount(parts.ravel(), weights=np.abs(z).ravel())[1:]
        if masses.max() > best:
            best, cluster, sign = float(masses.max()), parts == masses.argmax() + 1, side
    return best, cluster, sign


@dataclass(frozen=True)
class MeasureDifference(Tested):
    """The difference of a number of the masks between two groups.

    Attributes:
        measure: what is measured, with its unit.
        structure: name of the label.
        first: name of a group.
        second: the other.
        values: medians of both.
        difference: Hodges-Lehmann, second minus first, with 95% limits.
        p_adjusted: Brunner-Munzel, by dealing the groups anew, over all rows.
    """

    measure: str
    structure: str
    first: str
    second: str
    values: tuple[float, float]
    difference: tuple[float, float, float]
    p_adjusted: float


def measure_differences(
    measures: Mapping[tuple[str, str], npt.ArrayLike],
    ids: Integers,
    names: Sequence[str],
    *,
    permutations: int = 1000,
    seed: int = 0,
) -> list[MeasureDifference]:
    """Compare numbers of the masks, such as signed volume errors, between groups.

    Args:
        measures: (measure, structure) -> one value a subject, (N,); NaN takes no part.
        ids: group of each subject, (N,).
        names: of the groups; with the first each other one is compared.
        permutations: deals of the groups; the smallest p over all rows in each keeps the error.
        seed: of the deals.

    Returns:
        A row for each measure and other group in which both have three values or more.
    """
    deals = dealt(ids, permutations, np.random.default_rng(seed))[1:]
    rows, chance = [], np.ones(permutations)
    for (measure, structure), column in measures.items():
        values = np.asarray(column, dtype=np.float64)
        finite = np.isfinite(values)
        for second in range(1, len(names)):
            two, one = (values[(ids == group) & finite] for group in (second, 0))
            if min(one.size, two.size) < _FEWEST or np.ptp(np.r_[one, two]) == 0:
                continue
            shift = LocationShift(two, one)
            limits = shift.limits()
            medians = (float(np.median(one)), float(np.median(two)))
            difference = (limits.estimate, limits.low, limits.high)
            row = (measure, structure, names[0], names[second], medians, difference)
            rows.append((row, shift.p))
            for deal, dealt_ids in enumerate(deals[:, finite]):
                dealt_one, dealt_two = (values[finite][dealt_ids == group] for group in (0, second))
                if min(dealt_one.size, dealt_two.size) >= _FEWEST:
                    chance[deal] = min(chance[deal], brunner_munzel(dealt_one, dealt_two).p)
    return [
        MeasureDifference(*row, float((1 + np.count_nonzero(chance <= p * (1 + 1e-9))) / (1 + permutations)))
        for row, p in rows
    ]


def signed_size_errors(
    table: pd.DataFrame, subjects: Sequence[str], size: str
) -> dict[tuple[str, str], Floats]:
    """Return how far the model's volume of each label is off, percent of the reference, by subject.

    Args:
        table: of scores, with the columns subject, label, prediction_voxels and reference_voxels.
        subjects: in whose order values are returned, (N,).
        size: what it is called, "volume" or "area".
    """
    errors = {}
    for name, rows in table.groupby("label", sort=False):
        sums = (
            rows.groupby("subject")[["prediction_voxels", "reference_voxels"]].sum().reindex(list(subjects))
        )
        true = sums["reference_voxels"].where(sums["reference_voxels"] > 0)
        error = 100 * (sums["prediction_voxels"] - true) / true
        errors[size + ERROR, str(name)] = error.to_numpy(dtype=np.float64)
    return errors
