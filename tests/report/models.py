"""Scores of made-up models whose medians, gaps and changes are known: what the tests of comparisons use."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from fairseg import Groups

# Values of a group lie evenly around its median, so a shift of all moves the median by just as much.
SPREAD = 0.02


def values(medians: Mapping[str, float], number: int | Mapping[str, int] = 20) -> np.ndarray:
    """Return one Dice a subject, group after group."""
    sizes = number if isinstance(number, Mapping) else dict.fromkeys(medians, number)
    return np.concatenate(
        [median + np.linspace(-SPREAD, SPREAD, sizes[name]) for name, median in medians.items()]
    )


def ids(medians: Mapping[str, float], number: int | Mapping[str, int] = 20) -> np.ndarray:
    """Return the group ids that go with `values`, in the order of the mapping."""
    sizes = number if isinstance(number, Mapping) else dict.fromkeys(medians, number)
    return np.repeat(np.arange(len(medians)), [sizes[name] for name in medians])


def scores(
    medians: Mapping[str, float],
    number: int | Mapping[str, int] = 20,
    *,
    labels: Sequence[str] = ("LV",),
    attribute: str = "group",
) -> pd.DataFrame:
    """Return a table of scores of one model; distances are 20 times the error."""
    dice = values(medians, number)
    names = np.array(list(medians))[ids(medians, number)]
    return pd.DataFrame(
        {
            "case": f"c{index:03d}",
            "subject": f"s{index:03d}",
            attribute: name,
            "label": label,
            "dice": value,
            "hd": 20 * (1 - value),
        }
        for label in labels
        for index, (name, value) in enumerate(zip(names, dice, strict=True))
    )


def by(table: pd.DataFrame, attribute: str = "group") -> Groups:
    """Return the groups of a table."""
    return Groups.from_table(table, by=attribute)
