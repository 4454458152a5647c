"""Verdicts on an arm beside its control, seed by seed: those of `fairseg.compare` on the test subjects."""

from collections import Counter
from collections.abc import Sequence

from fairseg.experiment.results import ABOUT_ARM, Results
from fairseg.io.sentences import counted
from fairseg.report.compare.result import compare
from fairseg.statistics.verdicts import Verdict

# The gravest first: the order in which they are listed where seeds differ.
_ORDER = (
    Verdict.FAILS,
    Verdict.HARM,
    Verdict.LESS_FAIR,
    Verdict.OVERCORRECTED,
    Verdict.LEVELS_DOWN,
    Verdict.NOT_JUDGED,
    Verdict.OPEN,
    Verdict.SAME,
    Verdict.MOVED,
    Verdict.FAIRER,
)


def verdicts_beside(
    results: Results, control: str, keys: Sequence[str], test: str = "internal"
) -> dict[str, dict[int, Verdict]]:
    """Return key -> seed -> verdict beside the control of the same seed, where both have scores.

    All arms of a seed are judged together, at one level. Each seed is judged by itself: it has other networks
    and the same subjects, so that no test may count seeds as more subjects. An arm that fails only where its
    control fails too is not judged, except for harm.
    """
    groups = results.study.tested.get((test, results.study.plan.by))
    verdicts: dict[str, dict[int, Verdict]] = {key: {} for key in keys if key != control}
    if groups is None or results.scores.empty:
        return verdicts
    reference = results.study.reference if results.study.reference in groups.names else None
    rows = results.scores[results.scores["test"] == test]
    for seed, of_seed in rows.groupby("seed", sort=True):
        by_key = of_seed.groupby("key", sort=False)
        scores = {str(key): part.drop(columns=[*ABOUT_ARM, "test"]) for key, part in by_key}
        models = {key: scores[key] for key in (control, *verdicts) if key in scores}
        if control in models and len(models) > 1:
            judged = compare(models, by=groups, baseline=control, reference=reference)
            for one in judged.judgement.models:
                failing, of_control = (
                    {(fact.attribute, fact.group, fact.structure) for fact in facts}
                    for facts in (one.failing, one.baseline_failing)
                )
                no_worse = one.verdict is Verdict.FAILS and failing <= of_control
                instead = Verdict.HARM if one.shown_harm else Verdict.NOT_JUDGED
                verdicts[one.model][int(str(seed))] = instead if no_worse else one.verdict
    return verdicts


def in_words(verdicts: dict[int, Verdict]) -> str:
    """Return the verdicts of an arm with the number of their seeds, the gravest first; "" without any.

    >>> in_words({0: Verdict.FAIRER, 1: Verdict.HARM, 2: Verdict.FAIRER})
    'a group is worse off (1 seed), fairer (2 seeds)'
    """
    counts = Counter(verdicts.values())
    return ", ".join(
        f"{verdict.label} ({counted(counts[verdict], 'seed')})" for verdict in _ORDER if verdict in counts
    )


def grave(verdicts: dict[int, Verdict]) -> bool:
    """Say whether the verdict of some seed speaks against the arm."""
    return any(verdict in _ORDER[:5] for verdict in verdicts.values())
