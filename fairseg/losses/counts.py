"""Counts of the cohort's groups, given in any form, and the weights computed from them."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from fairseg.cohort import Groups, as_ids
from fairseg.cohort.vectors import read_vector
from fairseg.io.arguments import fits
from fairseg.io.sentences import brief

# One number a group; name -> number; or the group of each sample of the cohort, to be counted.
Counts = Sequence[float] | Tensor | Mapping[Any, float] | Any


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
        for names of samples in that of `Groups.from_values`. The losses take it as it is. Weights (G, Y) for
        "kamiran_calders", 0 where there are no samples: a tensor, or of a DataFrame one like it.

    Raises:
        ValueError: a group has no samples (its number is named), or an option is unknown.

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
    counts: Counts, groups: Groups | None = None, argument: str = "counts"
) -> tuple[Groups | None, Tensor]:
    """Return the groups, if their names are known, and how many samples each has, float64 (G,).

    Args:
        counts: numbers in the order of the ids; name -> number or id -> number, as a mapping or a pandas
            Series with such an index; or the names of the samples' groups, one a sample.
        groups: the groups of the cohort, if they are known.
        argument: the name of `counts` in errors.

    Raises:
        ValueError: a group has no samples, or names do not match those of `groups`.

    >>> read_counts({"M": 3, "F": 1})
    (Groups(attributes=('group',), cells=(('F',), ('M',)), bins={}), tensor([1., 3.], dtype=torch.float64))
    """
    if isinstance(counts, Groups):
        raise ValueError(f"{argument} must be numbers of samples, got Groups: try groups.counts(ids)")
    if isinstance(counts, Mapping):
        return _by_key(list(counts), list(counts.values()), groups, argument)
    if (keys := _keys_of(counts)) is not None:
        return _by_key(keys, list(counts), groups, argument)
    if isinstance(counts, Tensor) or _is_number_vector(counts):
        return groups, check_counts(counts, argument, groups)
    ids = as_ids(counts, groups, argument=argument)
    named = groups if groups is not None or ids.names is None else Groups.from_values(counts)
    return named, check_counts(ids.counts, argument, named)


def check_counts(counts: Any, name: str = "counts", groups: Groups | None = None) -> Tensor:
    """Return group counts as float64 (G,) on the CPU, or raise a ValueError that names the group."""
    number = torch.as_tensor(counts, dtype=torch.float64).detach().cpu()
    if number.ndim != 1 or not number.numel():
        raise ValueError(f"{name} must be a vector, one number a group, got {brief(counts)}")
    for group, count in enumerate(number.tolist()):
        if not 0 < count < float("inf"):
            shown = group if groups is None or group >= len(groups) else groups.names[group]
            raise ValueError(f"{name} must be positive, got {count:g} for group {shown}")
    return number


def _by_key(
    keys: Any, values: Sequence[float], groups: Groups | None, argument: str
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
    return named, check_counts([values[row] for row in np.argsort(ids)], argument, named)


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
