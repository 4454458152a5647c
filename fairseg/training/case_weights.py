"""Draw the cases more often that a first network segments worst: just train twice (Liu et al. 2021).

It needs no groups. The scores are of training cases, by a network that was trained on them for a short time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fairseg.io.sentences import listed
from fairseg.scoring import Scores
from fairseg.training.checkpoint import case_code


@dataclass(frozen=True)
class CaseWeights:
    """The weights by which training cases are drawn."""

    weight: npt.NDArray[np.float64]  # (N,)
    upweighted: tuple[str, ...]  # names of the cases that are drawn more often


def read_case_weights(
    scores: str | Path | None,
    cases: Sequence[str],
    *,
    worst_share: float,
    upweight: float,
    run: Mapping[str, Any] | None = None,
) -> CaseWeights | None:
    """Read scores, and give the worst cases a weight.

    A case's score is the mean Dice over its structures. Of the cases that have one, the worst share, rounded
    up, is drawn `upweight` times as often; so are cases that do as badly as the last of them. A case without
    a score, since neither mask has any structure, is not among them.

    Args:
        scores: table as `fairseg evaluate` writes it, of all training cases at least; `None` for no weights,
            or for those of `run`.
        cases: names of the training cases, (N,).
        worst_share: above 0 and at most 1.
        upweight: 1 or more.
        run: that is resumed, as its checkpoint describes it.

    Raises:
        ValueError: the table is none of scores, or it lacks a training case; the message names it.
    """
    if scores is None:
        return _weights_of(run or {}, cases, upweight)
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
    names = tuple(case for case, is_worst in zip(cases, worst, strict=True) if is_worst)
    return CaseWeights(np.where(worst, upweight, 1.0), names)


def _weights_of(run: Mapping[str, Any], cases: Sequence[str], upweight: float) -> CaseWeights | None:
    """Return the weights by which a run has drawn its training cases, from the checkpoint's description."""
    upweighted = run.get("upweighted")
    if upweighted is None:
        return None
    names = tuple(case for case in cases if case_code(case) in upweighted)
    return CaseWeights(np.where(np.isin(cases, names), upweight, 1.0), names)
