"""The findings of the paper, each with the seeds of an experiment in which it shows."""

from collections.abc import Callable

import numpy as np

from fairseg.experiment.results import Results

_Row = tuple[str, str, str]  # finding, in how many seeds it shows, means over seeds
_FULL, _CASCADE = "full/baseline", "cascade/baseline"


def _halves(before: float, after: float) -> bool:
    return abs(after) <= abs(before) / 2


def _shrinks(before: float, after: float) -> bool:
    return abs(after) < abs(before)


# Finding, arm before, arm after, and whether it holds of their gaps.
_OF_GAPS: tuple[tuple[str, str, str, Callable[[float, float], bool]], ...] = (
    ("Oversampling closes the gap (to half or less)", _FULL, "full/oversampling", _halves),
    ("Crops by the reference shrink the baseline's gap", _FULL, "crop/baseline", _shrinks),
    ("Cascaded crops shrink the baseline's gap", _FULL, _CASCADE, _shrinks),
    ("Oversampling shrinks the gap on cascaded crops further", _CASCADE, "cascade/oversampling", _shrinks),
    (
        "Group DRO shrinks the gap, beside the baseline with its loss (cross-entropy)",
        *("full/baseline_ce", "full/group_dro", _shrinks),
    ),
)


def findings(results: Results) -> list[_Row]:
    """Return the paper's findings, each with the seeds in which it shows in the internal test, and the means.

    Gaps of arms that have not learned are not judged, nor those of a seed in which one has not learned some
    structure: a model that fails for every group has no gap. "in 2 of 3 seeds" means that it shows in two of
    the three in which all of its arms have a result.
    """
    rows = [_of_gap(results, *finding) for finding in _OF_GAPS]
    return [row for row in (*rows, _of_reweighting(results)) if row is not None]


def _of_gap(
    results: Results, title: str, before: str, after: str, holds: Callable[[float, float], bool]
) -> _Row | None:
    """Return whether a finding on the gaps of two arms holds, or None without a seed of both."""
    first, second = (_gaps(results, key) for key in (before, after))
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        return None
    holding = [seed for seed in seeds if holds(first[seed], second[seed])]
    means = [np.mean([values[seed] for seed in seeds]) for values in (first, second)]
    text = f"gap {means[0]:+.3f}, then {means[1]:+.3f}"
    dice = _dice_of_pair(results, before, after)
    for group, values in dice.items():
        ends = [np.mean([value[seed] for seed in seeds]) for value in values]
        text += f"; Dice of {group} {ends[0]:.3f}, then {ends[1]:.3f}"
    shows = f"in {len(holding)} of {len(seeds)} seeds"
    levelled = 0
    for seed in holding:
        ahead, behind = sorted(dice.values(), key=lambda values: -values[0][seed])
        levelled += ahead[0][seed] - ahead[1][seed] > max(behind[1][seed] - behind[0][seed], 0.0)
    if levelled:
        shows += f"; in {levelled} the group ahead lost more than the other gained"
    return title, shows, text


def _of_reweighting(results: Results) -> _Row | None:
    """Return whether reweighting lowers the Dice of both groups, or None without a seed of both arms."""
    dice = _dice_of_pair(results, _FULL, "full/reweighting")
    seeds = sorted(set.intersection(*(set(values) for pair in dice.values() for values in pair)))
    if not seeds:
        return None
    changes = {
        group: [after[seed] - before[seed] for seed in seeds] for group, (before, after) in dice.items()
    }
    times = sum(a < 0 and b < 0 for a, b in zip(*changes.values(), strict=True))
    text = ", ".join(f"Dice of {group} {np.mean(values):+.3f}" for group, values in changes.items())
    title = "Reweighting (weights that sum to 1) lowers the Dice of both groups"
    return title, f"in {times} of {len(seeds)} seeds", text


def _dice_of_pair(results: Results, *keys: str) -> dict[str, list[dict[int, float]]]:
    """Return group -> the median Dice by seed of each arm, of the reference group and the minority."""
    groups = results.study.reference, results.study.minority
    return {group: [results.by_seed(key, "Median DSC", group) for key in keys] for group in groups}


def _gaps(results: Results, key: str) -> dict[int, float]:
    """Return seed -> gap of an arm that has learned, without the seeds that lack some structure."""
    if not results.learned(key):
        return {}
    low = results.not_learned(key)
    return {seed: gap for seed, gap in results.gaps(key).items() if seed not in low}
