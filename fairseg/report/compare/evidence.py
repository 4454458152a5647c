"""What the scores of several models say: the gap of each, and how each compares with the baseline.

The numbers only; `comparison_words` puts them into sentences. Both models of a pair are taken on the same
subjects, so that what one subject gains or loses counts, not who happens to be in the cohort.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fairseg.io.sentences import counted, listed
from fairseg.metrics import by_group
from fairseg.metrics.fairness import Floats
from fairseg.statistics import Evidence, FairnessChange, compare_fairness, holm, judge

LEVEL = 0.95
FAIRER = "fairer"
LESS_FAIR = "less fair"
OPEN = "not shown"
NOT_JUDGED = "not judged"
SHOWN, PERHAPS, NO = "shown", "perhaps", ""  # of levelling down

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ModelChange:
    """How the groups fare with one model, compared with the baseline, on the subjects that both scored.

    Attributes:
        found: the comparison; its intervals hold for all models against the baseline together.
        before: median of each group with the baseline, (G,).
        after: median of each group with the model, (G,).
        p: of each group, Wilcoxon signed-rank test, corrected for the number of models (Holm), (G,).
        p_all: the same over the subjects of all groups.
        unpaired: subjects without a score of one of the two, who are left out.
    """

    found: FairnessChange
    before: Floats
    after: Floats
    p: list[float]
    p_all: float
    unpaired: int

    @property
    def verdict(self) -> str:
        """Whether the model is "fairer", "less fair", "not shown" to be either, or "not judged"."""
        narrowing = self.found.narrowing
        if np.isnan(narrowing.low):
            return NOT_JUDGED
        return FAIRER if self.found.fairer else LESS_FAIR if self.found.less_fair else OPEN

    @property
    def levels_down(self) -> str:
        """Whether the gap narrowed at the better-served group's expense: "shown", "perhaps", or "".

        It is shown where both the narrowing and the loss are, and perhaps so where the loss is not. Without a
        narrowing that is shown there is none to explain: a loss of all groups alike would else be called so.
        """
        best = self.found.best
        if best is None or not self.found.fairer or not self.found.levels_down:
            return NO
        return SHOWN if best in self.found.lost else PERHAPS

    def turned(self) -> "ModelChange":
        """Return how the baseline fares compared with the model."""
        return replace(self, found=self.found.turned(), before=self.after, after=self.before)


def judge_models(
    values: Mapping[str, Floats],
    groups: Ids,
    num_groups: int,
    *,
    reference: int | None = None,
    margin: float | None = None,
) -> dict[str, Evidence]:
    """Say of each model whether a gap is shown.

    Args:
        values: model -> one value a subject, (N,), higher is better; NaN is left out.
        groups: group ids, (N,); -1 is left out.
        num_groups: G.
        reference: id of the reference group.
        margin: the largest gap that does not matter.

    Raises:
        ValueError: as `judge`.
    """
    return {
        model: judge(scores, groups, num_groups, reference=reference, margin=margin, level=LEVEL)
        for model, scores in values.items()
    }


def compare_with_baseline(
    values: Mapping[str, Floats],
    groups: Ids,
    num_groups: int,
    *,
    baseline: str,
    reference: int | None = None,
) -> dict[str, ModelChange]:
    """Compare every other model with the baseline.

    With k other models the intervals have the level 1 - 0.05 / k, so that all k hold together in 95 of 100
    cohorts, and the p-values are corrected for k: who looks at many models finds one that looks fairer.

    Args:
        values: as in `judge_models`.
        groups: as in `judge_models`.
        num_groups: as in `judge_models`.
        baseline: one of the models.
        reference: as in `judge_models`.

    Returns:
        Model -> change, without the baseline.

    >>> rng = np.random.default_rng(0)
    >>> groups = np.repeat([0, 1], [60, 20])
    >>> first = rng.normal(np.where(groups == 0, 0.92, 0.86), 0.02)
    >>> second = first - np.where(groups == 0, 0.05, 0.0) + rng.normal(0, 0.005, 80)
    >>> change = compare_with_baseline({"A": first, "B": second}, groups, 2, baseline="A")["B"]
    >>> change.verdict, change.levels_down, change.found.lost, change.found.gained
    ('fairer', 'shown', [0], [])
    """
    others = [model for model in values if model != baseline]
    level = 1.0 - (1.0 - LEVEL) / max(1, len(others))
    first = values[baseline]
    found = {
        model: compare_fairness(first, values[model], groups, num_groups, reference=reference, level=level)
        for model in others
    }
    of_group = np.array([found[model].p for model in others]).reshape(len(others), num_groups)
    corrected = np.column_stack([holm(column) for column in of_group.T]) if others else of_group
    of_all = holm([found[model].p_all for model in others])
    changes = {}
    for place, model in enumerate(others):
        missing = np.isnan(first) | np.isnan(values[model])
        before, after = (
            by_group(np.where(missing, np.nan, scores), groups, num_groups)[0]
            for scores in (first, values[model])
        )
        changes[model] = ModelChange(
            found=found[model],
            before=before,
            after=after,
            p=corrected[place].tolist(),
            p_all=float(of_all[place]),
            unpaired=int((missing & (groups >= 0)).sum()),
        )
    return changes


def obstacle(shared: Sequence[str], has_dice: bool) -> str:
    """Return why nothing can be judged, or "".

    Args:
        shared: subjects in more than one group.
        has_dice: whether there are Dice scores.

    >>> obstacle(["ann"], True)
    '1 subject is in more than one group (ann), and intervals and tests need groups that share nobody'
    """
    if not has_dice:
        return "the scores hold no Dice, of which the fairness gap is made"
    if shared:
        are = "is" if len(shared) == 1 else "are"
        return (
            f"{counted(len(shared), 'subject')} {are} in more than one group ({listed(shared)}), "
            "and intervals and tests need groups that share nobody"
        )
    return ""
