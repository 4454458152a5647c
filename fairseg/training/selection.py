"""The epoch whose weights a run uses: a stated rule on the held-out subjects, the same for all methods.

Only groups with enough held-out subjects choose. With one or two, the validation gap says next to nothing
about the test gap: its sign was the same in 11 of 23 runs.
"""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from fairseg.cohort.ids import as_ids
from fairseg.io.sentences import listed
from fairseg.metrics import by_group

logger = logging.getLogger(__name__)

FEWEST = 5  # held-out subjects of a group that chooses


class CheckpointRule:
    """Keeps the weights of one epoch: of the last, or of the first of the best by a rule.

    - "last": no choice.
    - "best-mean": the highest mean Dice of the subjects.
    - "best-worst-group": the highest median Dice of the group whose median is lowest.
    - "distance-to-optimum": the smallest Euclidean distance from the groups' medians to a Dice of 1 in every
      group. Han et al. (2022) and MEDFAIR (Zong et al. 2023) choose models by the distance to a utopia point;
      theirs has the best value that any model reaches in each group, which is not known before the end.

    Args:
        rule: one of these.
        subjects: held-out subjects of each group; groups of fewer than `FEWEST` are left out of the rule, and
            if none is left, the last epoch is kept.

    Attributes:
        kept: "epoch", counted from 1, "score" (higher is better, `None` if there is none) and "network", the
            weights; empty before the first epoch.
    """

    def __init__(self, rule: str, subjects: Mapping[str, int]) -> None:
        self.rule, self.kept = rule, dict[str, Any]()
        self.num_groups = len(subjects)
        self.groups = [number for number, count in enumerate(subjects.values()) if count >= FEWEST]
        few = [f"{name} ({count})" for name, count in subjects.items() if 0 < count < FEWEST]
        if few:
            logger.warning(
                "fewer than %d subjects to validate on, so no choice by their Dice: %s", FEWEST, listed(few)
            )
        if rule != "last" and not self.groups:
            logger.warning("keep %s: no group has %d subjects to validate on, the last is kept", rule, FEWEST)
            self.rule = "last"

    def score(self, dice: npt.NDArray[np.float64], groups: npt.NDArray[np.int64]) -> float | None:
        """Return the score of an epoch, from the Dice of the held-out subjects (P,) and their groups (P,).

        `None` for no choice, and where a group that chooses has no Dice.

        >>> rule = CheckpointRule("distance-to-optimum", {"F": 5, "M": 5})
        >>> rule.score(np.array([0.7, 0.6]), np.array([0, 1]))
        -0.5
        """
        if self.rule == "last":
            return None
        medians = by_group(dice, as_ids(groups, known=self.num_groups))[0][self.groups]
        if np.isnan(medians).any():
            return None
        if self.rule == "best-mean":
            return float(np.nanmean(dice[np.isin(groups, self.groups)]))
        if self.rule == "best-worst-group":
            return float(medians.min())
        return -float(np.linalg.norm(1.0 - medians))

    def end_epoch(self, epoch: int, score: float | None, network: nn.Module) -> None:
        """Keep the weights of this epoch if it is the best so far."""
        best = self.kept.get("score")
        if self.rule == "last" or not self.kept or (score is not None and (best is None or score > best)):
            weights = network.state_dict()
            if self.rule != "last":  # they go on changing
                weights = {name: weight.detach().clone() for name, weight in weights.items()}
            self.kept = {"epoch": epoch, "score": score, "network": weights}
