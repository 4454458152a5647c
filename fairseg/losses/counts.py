"""Counts of the cohort's groups, given in any form, and the weights computed from them."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from fairseg.cohort import Groups, as_ids
from fairseg.cohort.vectors import on_cpu, read_vector
from fairseg.io.arguments import fits
from fairseg.io.sentences import brief

# One number a group; name -> number; or the group of each sample of the cohort, to be counted.
Counts = Sequence[float] | Tensor | Mapping[Any, float] | Any

_LEAST_EACH = 4  # how often each of a few numbers comes among ids of samples


def group_weights(
    counts: Counts,
    *,
    eps: float = 1e-6,
    normalize: str = "sum",
    method: Literal["inverse", "kamiran_calders"] = "inverse",
) -> Any:
    """Weight groups inversely to their size (Eq. 1-2 of Lee et al. 2025).

    `w_g = N / (n_g + eps)`, with N the number of samples in all groups, then divided by their sum. This is
    not the reweighing of Kamiran and Calders (2012), which the paper cites. They make an outcome y
    independent of the group: `P(g) P(y) / P(g, y)`, for `method="kamiran_calders"`.

    Args:
        counts: samples of each group in the training cohort, (G,), all positive; or a mapping or pandas
            Series of name -> samples; or the group name of each sample of the cohort, such as `df["sex"]`.
            For "kamiran_calders" samples of each group and outcome, (G, Y), such as `pd.crosstab(df.sex,
            df.y)`.
        eps: as in Eq. 1.
        normalize: "sum" makes the weights sum to 1 (Eq. 2); "mean" makes their mean over the groups 1;
            "samples" their mean over the cohort's samples, `sum_g n_g w_g / N`. By that mean a loss changes
            in size, and so the steps: "mean" keeps it in balanced batches, "samples" in natural ones.
            "kamiran_calders" takes none of them: its weights have mean 1 over the samples.
        method: "inverse" or "kamiran_calders".

    Returns:
        Weights (G,), a tensor of torch's default type, in the order of the ids. Where names (or ids as keys)
        went in, a pandas Series, float64, indexed by them: in the order of the mapping or Series of counts,
        for names of samples in that of `Groups.from_values`. All losses take either as `group_weights=`.
        Weights (G, Y) for "kamiran_calders", 0 where there are no samples: a tensor, or of a DataFrame one
        like it.

    Raises:
        ValueError: a group has no samples (its number is named), a number is not whole, the numbers are ids
            of samples and no counts, or an option is unknown.

    >>> group_weights([300, 100])
    tensor([0.2500, 0.7500])
    >>> group_weights({"M": 300, "F": 100}).round(2).to_dict()
    {'M': 0.25, 'F': 0.75}
    >>> for normalize in ("sum", "mean", "samples"):
    ...     weight = group_weights([95, 5], normalize=normalize)
    ...     print(weight, "natural batches:", round(float(95 * weight[0] + 5 * weight[1]) / 100, 3))
    tensor([0.0500, 0.9500]) natural batches: 0.095
    tensor([0.1000, 1.9000]) natural batches: 0.19
    tensor([ 0.5263, 10.0000]) natural batches: 1.0
    >>> group_weights([[10, 30], [30, 10]], method="kamiran_calders")  # P(g) P(y) = 1/4, P(g, y) = 1/8 or 3/8
    tensor([[2.0000, 0.6667],
            [0.6667, 2.0000]])
    """
    if normalize not in ("sum", "mean", "samples"):
        raise ValueError(f'normalize must be "sum", "mean" or "samples", got {normalize!r}')
    if not fits(eps, lambda number: 0 <= number < float("inf")):
        raise ValueError(f"eps must be 0 or more, got {eps!r}")
    if method == "kamiran_calders":
        return _kamiran_calders(counts)
    if method != "inverse":
        raise ValueError(f'method must be "inverse" or "kamiran_calders", got {method!r}')
    groups, number = read_counts(counts)
    weight = number.sum() / (number + eps)
    size = {"sum": weight.sum(), "mean": weight.mean(), "samples": (number * weight).sum() / number.sum()}
    weight = weight / size[normalize]
    keys = list(counts) if isinstance(counts, Mapping) else _keys_of(counts)
    if keys is None and (groups is None or isinstance(counts, Tensor)):
        return weight.to(torch.get_default_dtype())
    import pandas as pd  # noqa: PLC0415  (only where names went in)

    names = list(range(len(weight))) if groups is None else list(groups.names)
    if keys is None:
        return pd.Series(weight.numpy(), index=pd.Index(names, name="group"))
    ids = read_vector(keys, "the keys of counts") if groups is None else groups.encode(keys)
    return pd.Series(weight.numpy()[np.asarray(ids)], index=pd.Index(keys, name="group"))


def _keys_of(counts: Any) -> Any:
    """Return the index of a Series of numbers of samples; None of anything else."""
    is_series = hasattr(counts, "index") and hasattr(counts, "to_numpy") and not hasattr(counts, "columns")
    return counts.index if is_series and all(map(_is_number, counts.tolist())) else None


def read_counts(
    counts: Counts, groups: Groups | None = None, argument: str = "counts", *, whole: bool = True
) -> tuple[Groups | None, Tensor]:
    """Return the groups, if their names are known, and how many samples each has, float64 (G,).

    Args:
        counts: numbers in the order of the ids; name -> number or id -> number, as a mapping or a pandas
            Series with such an index; or the names of the samples' groups, one a sample.
        groups: the groups of the cohort, if they are known.
        argument: the name of `counts` in errors.
        whole: whether they are numbers of samples, and not factors, which may be any positive numbers.

    Raises:
        ValueError: a group has no samples, names do not match those of `groups`, or the numbers are weights
            or ids and no counts.

    >>> read_counts({"M": 3, "F": 1})
    (Groups(attributes=('group',), cells=(('F',), ('M',)), bins={}), tensor([1., 3.], dtype=torch.float64))
    """
    if isinstance(counts, Groups):
        raise ValueError(f"{argument} must be numbers of samples, got Groups: try groups.counts(ids)")
    if isinstance(counts, Mapping):
        return _by_key(list(counts), list(counts.values()), groups, argument, whole)
    if (keys := _keys_of(counts)) is not None:
        if whole and all(map(_is_number, keys)):
            _check_are_no_ids(list(counts), argument)
        return _by_key(keys, list(counts), groups, argument, whole)
    if isinstance(counts, Tensor) or _is_number_vector(counts):
        if whole:
            _check_are_no_ids(counts, argument)
        return groups, check_counts(counts, argument, groups, whole=whole)
    ids = as_ids(counts, groups, argument=argument)
    named = groups if groups is not None or ids.names is None else Groups.from_values(counts)
    return named, check_counts(ids.counts, argument, named)


def check_counts(
    counts: Any, name: str = "counts", groups: Groups | None = None, *, whole: bool = True
) -> Tensor:
    """Return group counts as float64 (G,) on the CPU, or raise a ValueError that names the group."""
    number = torch.as_tensor(counts, dtype=torch.float64).detach().cpu()
    if number.ndim != 1 or not number.numel():
        raise ValueError(f"{name} must be a vector, one number a group, got {brief(counts)}")
    for row, count in enumerate(number.tolist()):
        shown = row if groups is None or row >= len(groups) else groups.names[row]
        if not 0 < count < float("inf"):
            raise ValueError(f"{name} must be positive, got {count:g} for group {shown}")
        if whole and not count.is_integer():  # weights as counts would give the rarest group the least
            raise ValueError(
                f"{name} must be whole numbers of samples, got {count:g} for group {shown}: weights are no "
                "counts; as group_weights= any group loss takes them"
            )
    return number


def _check_are_no_ids(counts: Any, argument: str) -> None:
    """Refuse ids of samples, or levels that are numbers, in the place of counts.

    They are few numbers, many times each, and all below how many there are. Numbers of samples are not.
    """
    number = np.asarray(on_cpu(counts), dtype=np.float64)
    if number.ndim != 1 or not np.isfinite(number).all() or (number % 1).any():
        return
    kinds = np.unique(number)
    if number.size >= _LEAST_EACH * kinds.size and kinds.size > 1 and kinds[-1] < number.size:
        shown = [f"{kind:g}" for kind in kinds[:3]] + ["..."] * (kinds.size > 3)
        raise ValueError(
            f"{argument} must be numbers of samples, one a group, got {number.size} numbers, each one of "
            f"{', '.join(shown)}: are they ids of samples? np.bincount(ids) counts ids from 0 on, and levels "
            "are counted here as text, values.astype(str)"
        )


def _by_key(
    keys: Any, values: Sequence[float], groups: Groups | None, argument: str, whole: bool
) -> tuple[Groups | None, Tensor]:
    """Order numbers by the ids of their keys, which are ids or names."""
    read = read_vector(keys, f"the keys of {argument}")
    if isinstance(read, np.ndarray):
        named, ids = groups, read.astype(np.int64)
    else:
        named = Groups.from_values(keys) if groups is None else groups
        ids = named.encode(keys)
    expected = len(values) if named is None else len(named)
    if sorted(ids.tolist()) != list(range(expected)):
        names, shown = "its groups" if named is None else "; ".join(named.names), ", ".join(map(str, keys))
        raise ValueError(f"{argument} must have one number for each of {names}, got {shown}")
    return named, check_counts([values[row] for row in np.argsort(ids)], argument, named, whole=whole)


def _kamiran_calders(counts: Any) -> Any:
    table = np.asarray(counts, dtype=np.float64)
    if table.ndim != 2 or not table.size or not (np.isfinite(table) & (table >= 0)).all():
        raise ValueError(
            f"counts must be samples of each group and outcome, (G, Y), 0 or more, got {brief(counts)}"
        )
    has_names = hasattr(counts, "columns")  # a DataFrame
    for group, row in zip(counts.index if has_names else range(len(table)), table, strict=True):
        if not row.any():
            raise ValueError(f"counts must be positive for an outcome of every group, group {group} has none")
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    weight = np.divide(expected, table, out=np.zeros_like(table), where=table > 0)
    if has_names:
        return type(counts)(weight, index=counts.index, columns=counts.columns)
    return torch.from_numpy(weight).to(torch.get_default_dtype())


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _is_number_vector(counts: Any) -> bool:
    kind = getattr(getattr(counts, "dtype", None), "kind", None)
    if kind:
        return kind in ("i", "u", "f")
    return not hasattr(counts, "__iter__") or all(map(_is_number, counts))
