"""The gap between groups with what else differs between them held fixed by regression.

It does not turn an association into a cause: see docs/confounders.md. The gap within strata, which needs no
straight lines, is `stratified_gap`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy  # its parts load when they are touched

from fairseg.cohort.attributes import read_attribute
from fairseg.cohort.reading import as_table
from fairseg.cohort.vectors import Vector
from fairseg.io.arguments import fits
from fairseg.io.sentences import counted, listed
from fairseg.metrics.earlier_forms import accepts_num_groups
from fairseg.metrics.grouped import Floats, GroupedValues

Ids = npt.NDArray[np.int64]

_ESTIMATES = ("", "_low", "_high", "_p")
_NO_SPREAD = 1e-10  # a standard error so small beside the values is rounding
_SAME = 1e-10  # singular values so small beside the first mean that columns repeat each other
_ALONE = 1e-9  # leverages so close to 1 are 1
_DETERMINED = 1e-8  # share of a group's variation that covariates leave open, below which it is rounding


@dataclass(frozen=True, eq=False)
class AdjustedGap:
    """Differences of group means, before and after adjustment.

    Attributes:
        table: one row for each other group: group (its id, or its name where names went in), n_reference,
            n_group (subjects used), unadjusted, unadjusted_low, unadjusted_high, unadjusted_p, adjusted,
            adjusted_low, adjusted_high, adjusted_p. All is NaN for an absent group or with no more subjects
            than parameters; the adjusted ones where the covariates determine the group (one scanner a group),
            so that nothing can tell the two apart; and interval and p where nothing varies.
        notes: which these are, what was left out (missing values, constant covariates) and how many subjects
            no other resembles, such as the only one of a level: they fit a parameter of their own and say
            nothing of the others.
    """

    table: pd.DataFrame
    notes: list[str]


@accepts_num_groups()
def adjusted_gap(
    values: Vector,
    groups: Vector,
    covariates: pd.DataFrame | Mapping[str, Sequence[Any]],
    *,
    reference: str | int,
    level: float = 0.95,
) -> AdjustedGap:
    """Difference of group means, before and after adjustment for covariates by linear regression.

    Ordinary least squares of the values on a dummy a group and the covariates, with HC3 standard errors
    (MacKinnon and White 1985: valid where groups differ in spread, and honest in small samples) and Student's
    t with n - p degrees of freedom. Both differences are of the same subjects: those with a value, a known
    group and all covariates. A positive gap means that the reference group is better off.

    Args:
        values: one value a subject, such as the Dice, (N,); NaN is left out.
        groups: the group of each subject, (N,), ids or names as in `by_group`.
        covariates: one row a subject. Columns of numbers are taken as they are; text is numeric or
            categorical as `read_attribute` decides, and a categorical column becomes a dummy a level.
        reference: name or id of the reference group.
        level: of the confidence intervals.

    Raises:
        ValueError: values and groups do not fit each other, as for `by_group`, the reference is no group, or
            no covariate is given.

    >>> dice = [0.92, 0.90, 0.88, 0.86, 0.87, 0.85, 0.84, 0.80]
    >>> sex = ["M", "M", "M", "M", "F", "F", "F", "F"]
    >>> age = [40, 50, 60, 70, 60, 70, 80, 90]
    >>> gap = adjusted_gap(dice, sex, {"age": np.array(age)}, reference="M")
    >>> gap.table[["unadjusted", "adjusted"]].round(3).to_dict("records")
    [{'unadjusted': 0.05, 'adjusted': 0.008}]
    """
    grouped, first = with_reference(values, groups, reference, level)
    value, group = grouped.values, grouped.ids  # noqa: PD011  (no pandas)
    frame = as_table(covariates, "covariates")
    if frame.shape[1] == 0 or len(frame) != value.size:
        raise ValueError(
            f"covariates must have a column at least and a row for each of {counted(value.size, 'value')}, "
            f"got {frame.shape[1]} columns of {len(frame)}"
        )
    notes: list[str] = []
    used = np.isfinite(value) & (group >= 0)
    coded = {str(name): _coded(frame[name], str(name)) for name in frame}
    for name, column in coded.items():
        if absent := int((used & np.isnan(column).any(axis=1)).sum()):
            notes.append(f"{name}: {counted(absent, 'subject')} without a value left out")
    used &= ~np.isnan(np.concatenate(list(coded.values()), axis=1)).any(axis=1)
    used = _without_loners(group, coded, used, notes)
    columns = {name: _standardised(column[used]) for name, column in coded.items()}
    for name in [name for name, column in columns.items() if not column.shape[1]]:
        del columns[name]
        if used.any():
            notes.append(f"{name}: left out, it is the same for all subjects used")
    size = np.bincount(group[used], minlength=grouped.num_groups)
    others = [number for number in range(grouped.num_groups) if number != first]
    present = [number for number in others if size[number]] if size[first] else []
    dummies = group[used][:, None] == np.array(present, dtype=np.int64)
    names = [grouped.name(number) for number in present]
    plain = _fit(value[used], dummies, {}, names, level, notes)
    adjusted = _fit(value[used], dummies, columns, names, level, notes)
    nothing = (np.nan,) * len(_ESTIMATES)
    rows = [
        (name, size[first], size[number], *plain.get(name, nothing), *adjusted.get(name, nothing))
        for number, name in zip(others, map(grouped.name, others), strict=True)
    ]
    named = [f"{kind}{end}" for kind in ("unadjusted", "adjusted") for end in _ESTIMATES]
    table = pd.DataFrame(rows, columns=["group", "n_reference", "n_group", *named])
    return AdjustedGap(table, list(dict.fromkeys(notes)))


def with_reference(
    values: Vector, groups: Vector, reference: str | int, level: float
) -> tuple[GroupedValues, int]:
    """Return checked values and groups, and the id of the reference."""
    grouped = GroupedValues.of(values, groups, reference=reference)
    if grouped.reference is None:
        raise ValueError("reference must be the name or the id of a group, got None")
    if not fits(level, lambda share: 0 < share < 1):
        raise ValueError(f"level must lie between 0 and 1, got {level!r}")
    return grouped, grouped.reference


def _coded(column: "pd.Series[Any]", name: str) -> Floats:
    """Return a covariate as numbers, (N, K), with NaN where it is missing."""
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        numbers: Floats = column.to_numpy(dtype=np.float64, na_value=np.nan)
        if np.isinf(numbers).any():
            raise ValueError(f"covariate {name!r} must be finite or missing, got infinity")
        return numbers[:, None]
    attribute = read_attribute(name, column)
    if attribute.numbers is not None:
        return attribute.numbers[:, None]
    if not attribute.levels:
        return np.full((len(column), 1), np.nan)
    dummies: Floats = (attribute.codes[:, None] == np.arange(len(attribute.levels))).astype(np.float64)
    dummies[~attribute.known] = np.nan
    return dummies


def _without_loners(
    group: Ids, coded: Mapping[str, Floats], used: npt.NDArray[np.bool_], notes: list[str]
) -> npt.NDArray[np.bool_]:
    """Leave out subjects of leverage 1: their residual is 0 whatever their value, and HC3 divides by 0.

    Removing them changes no coefficient that the others determine.
    """
    everything = np.concatenate(list(coded.values()), axis=1)
    first = int(used.sum())
    while used.any():
        dummies = group[used][:, None] == np.unique(group[used])
        basis = _basis(np.concatenate([dummies, _standardised(everything[used])], axis=1))
        alone = (basis**2).sum(axis=1) > 1 - _ALONE
        if basis.shape[1] >= used.sum() or not alone.any():
            break  # as many parameters as subjects: `_fit` says so
        used = used.copy()
        used[np.flatnonzero(used)[alone]] = False
    if dropped := first - int(used.sum()):
        notes.append(f"{counted(dropped, 'subject')} alone in a group or level, or like no other, left out")
    return used


def _standardised(columns: Floats) -> Floats:
    """Return the columns that vary, with mean 0 and standard deviation 1, so that units do not matter."""
    varying = columns[:, np.ptp(columns, axis=0) > 0] if columns.size else columns[:, :0]
    return (varying - varying.mean(axis=0)) / varying.std(axis=0) if varying.size else varying


def _basis(columns: Floats) -> Floats:
    """Return orthonormal columns, (N, rank), that span the same as these, however they repeat each other."""
    vectors, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return vectors[:, sizes > sizes[0] * _SAME]


def _fit(
    values: Floats,
    dummies: npt.NDArray[np.bool_],
    covariates: Mapping[str, Floats],
    present: Sequence[str | int],
    level: float,
    notes: list[str],
) -> dict[str | int, tuple[float, ...]]:
    """Return group -> estimate, low, high and p of the gap, for those that can be estimated."""
    gaps: dict[str | int, tuple[float, ...]] = {}
    whole = np.column_stack([np.ones(values.size), dummies, *covariates.values()])
    if present and values.size <= (rank := _basis(whole).shape[1]):
        notes.append(f"not estimated: {counted(values.size, 'subject')} for {counted(rank, 'parameter')}")
        return gaps
    for position, number in enumerate(present):
        column = dummies[:, position].astype(np.float64)
        others = np.column_stack([np.ones(values.size), np.delete(dummies, position, axis=1)])
        if _settled(column, others, covariates.values()):
            alone = [name for name, columns in covariates.items() if _settled(column, others, [columns])]
            blamed = listed(alone or [" with ".join(covariates)])
            notes.append(f"group {number}: not adjusted, {blamed} determines who is in it")
            continue
        # The coefficient of a column does not depend on how the span of all others is written down.
        design = np.column_stack([column, _basis(np.column_stack([others, *covariates.values()]))])
        slope, error = _first_coefficient(design, values)
        low = high = p = np.nan
        if error > _NO_SPREAD * max(float(np.abs(values).max()), np.finfo(float).tiny):
            df = values.size - design.shape[1]
            half = float(scipy.special.stdtrit(df, (1 + level) / 2)) * error
            low, high, p = (
                -slope - half,
                -slope + half,
                float(2 * scipy.special.stdtr(df, -abs(slope) / error)),
            )
        else:
            notes.append(f"group {number}: without interval and p, nothing is left to vary")
        gaps[number] = (-slope, low, high, p)
    return gaps


def _first_coefficient(design: Floats, values: Floats) -> tuple[float, float]:
    """Return the least-squares coefficient of the first column, and its standard error HC3.

    That of MacKinnon and White (1985) holds where the groups spread unequally, and for small ones. It is NaN
    where the coefficient rests on a subject that nothing else tells of, such as the only one of a group.
    """
    inverse = np.linalg.pinv(design)
    leverage = (design * inverse.T).sum(axis=1)
    coefficients, weight = inverse @ values, inverse[0]
    alone = leverage > 1 - _ALONE  # their residuals are 0 whatever their values
    if (np.abs(weight[alone]) > _ALONE * np.linalg.norm(weight)).any():
        return float(coefficients[0]), float("nan")
    jackknifed = ((values - design @ coefficients) * weight)[~alone] / (1.0 - leverage[~alone])
    return float(coefficients[0]), float(np.linalg.norm(jackknifed))


def _settled(column: Floats, others: Floats, covariates: Iterable[Floats]) -> bool:
    """Say whether the other columns determine this one."""
    basis = _basis(np.column_stack([others, *covariates]))
    rest = column - basis @ (basis.T @ column)
    return bool(rest @ rest < _DETERMINED * column.size * column.var())
