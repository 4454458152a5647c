"""Draw the cases more often that a first network segments worst: just train twice (Liu et al. 2021).

It needs no groups. The scores are of training cases, by a network that was trained on them for a short time.
"""

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from fairseg.io.sentences import listed
from fairseg.metrics.fairness import Floats
from fairseg.scoring import Scores
from fairseg.training.checkpoint import case_code


def worst_cases(
    scores: str | Path | None,
    cases: Sequence[str],
    worst_share: float,
    run: Mapping[str, Any] | None = None,
) -> list[str] | None:
    """Return the cases that are drawn more often, by their scores; None where all are drawn alike.

    A case's score is the mean Dice over its structures. Of the cases that have one, it is the worst share,
    rounded up; and cases that do as badly as the last of them. A case without a score, since neither mask has
    any structure, is not among them.

    Args:
        scores: table as `fairseg evaluate` writes it, of all training cases at least; `None` for none, or for
            the cases of `run`.
        cases: names of the training cases, (N,).
        worst_share: above 0 and at most 1.
        run: that is resumed, as its checkpoint describes it.

    Raises:
        ValueError: the table is none of scores, or it lacks a training case; the message names it.
    """
    if scores is None:
        codes = (run or {}).get("upweighted")
        return None if codes is None else [case for case in cases if case_code(case) in codes]
    table = Scores.of(str(scores))
    means = table.table.groupby("case")["dice"].mean()
    if unscored := sorted(set(cases) & set(table.skipped["case"])):
        raise ValueError(f"weights: {scores} could not score {listed(unscored)}")
    if without := sorted(set(cases) - set(means.index)):
        raise ValueError(f"weights: {scores} has no row of the training cases {listed(without)}")
    values = means.loc[list(cases)].to_numpy(dtype=np.float64)
    scored = np.sort(values[~np.isnan(values)])
    if not scored.size:
        raise ValueError(f"weights: {scores} has no Dice of any training case")
    worst = values <= scored[ceil(worst_share * scored.size) - 1]
    return [case for case, is_worst in zip(cases, worst, strict=True) if is_worst]


def case_weights(cases: Sequence[str], upweighted: Sequence[str] | None, upweight: float) -> Floats | None:
    """Return how often each case is drawn, (N,): those of `worst_cases` `upweight` times as often, else 1."""
    return None if upweighted is None else np.where(np.isin(cases, upweighted), upweight, 1.0)
