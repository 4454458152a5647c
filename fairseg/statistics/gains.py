"""Two models on the same subjects: who gained, who lost, and whether the second treats the groups more alike.

The statistic is each subject's gain. The difference of the gains between two groups is the gap with the first
model (the baseline) minus the gap with the second, with each subject's pair of scores kept together, so that
its limits are as narrow as the evidence allows. Error is shared over models, attributes, groups, structures
and endpoints (`gain_tests`); harm is tested first and apart (`harm`); `gain_rows` and `group_changes` put the
numbers together, and `gain_verdicts` says what may be concluded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from fairseg.metrics.fairness import Floats
from fairseg.statistics.findings import Grouping
from fairseg.statistics.gain_findings import GainsJudgement, ModelGains, PairGains
from fairseg.statistics.gain_rows import gain_row
from fairseg.statistics.gain_tests import ENDPOINTS, Cohort, GainTests, gain_tests
from fairseg.statistics.gain_verdicts import judged_gains
from fairseg.statistics.group_changes import failing, group_changes
from fairseg.statistics.harm import harm_rows
from fairseg.statistics.judge_options import JudgeOptions

_PERMUTATIONS = 1999  # at most


def judge_gains(
    baseline: Floats,
    models: Mapping[str, Floats],
    groupings: Sequence[Grouping],
    *,
    structures: Sequence[str] = ("Overall",),
    paired: Mapping[str, tuple[Floats, Floats]] | None = None,
    strata: npt.ArrayLike | None = None,
    drop: float = 0.10,
    options: JudgeOptions | None = None,
) -> GainsJudgement:
    """Judge one or more models beside a baseline, on the same subjects.

    Args:
        baseline: scores of the first model, (N, S), from 0 to 1, higher is better, NaN where there is none;
            the overall score in the first column.
        models: names of the other models and their scores of the same subjects and structures.
        groupings: attributes, the primary one first; an id of -1 is unknown and takes no part.
        structures: names of the columns.
        paired: of each model the baseline's scores and its own, as far as they are means of cases that both
            have scores of, where a subject has several; None: a score is of one case.
        strata: id of the stratum of each subject, integer (N,), -1 unknown; adds the comparisons among
            subjects of the same stratum, without which nothing is "fairer" or "no relevant change".
        drop: a subject who loses more than this is harmed.
        options: margins, failure threshold, error, permutations (at most 1,999 are made) and seed.

    Returns:
        Verdicts and all they rest on. In each structure a subject takes part that has a score of the baseline
        and of the model; others are counted.

    Raises:
        ValueError: shapes or lengths differ, a score is infinite, or there is no model or attribute.

    >>> rng = np.random.default_rng(0)
    >>> sex = Grouping("sex", ("M", "F"), np.repeat([0, 1], [60, 40]), reference=0)
    >>> before = np.where(sex.ids == 0, 0.92, 0.86) + rng.normal(0, 0.02, 100)
    >>> after = before + np.where(sex.ids == 0, 0.0, 0.04) + rng.normal(0, 0.01, 100)
    >>> found = judge_gains(before[:, None], {"fair": after[:, None]}, [sex]).of("fair")
    >>> found.verdict.value, [round(value, 3) for value in found.pairs[0].typical.gain]
    ('fairer', [0.04, 0.036, 0.045])
    """
    options = options or JudgeOptions()
    before, *after = _checked(baseline, models, groupings, structures)
    # Every model is dealt four times: for its gains, both gaps and their mean.
    fewer = replace(options, permutations=min(options.permutations, _PERMUTATIONS))
    both = None
    if paired is not None:
        both = [_checked(one, {name: two}, groupings, structures) for name, (one, two) in paired.items()]
    cohort = Cohort.of(before, np.stack(after), groupings, structures, drop, fewer, strata, both)
    found = tuple(
        judged_gains(
            _found(cohort, number, name, of_model),
            cohort.groupings,
            options,
            stratified=cohort.blocks is not None,
        )
        for number, (name, of_model) in enumerate(zip(models, gain_tests(cohort), strict=True))
    )
    return GainsJudgement(found, tuple(structures), options, drop)


def _found(cohort: Cohort, model: int, name: str, tests: GainTests) -> ModelGains:
    """Return all that is known of a model, without verdicts."""
    known = ~np.isnan(cohort.before[model, :, 0])
    pairs = []
    for pair_index, pair in enumerate(cohort.pairs):
        grouping = cohort.groupings[pair.attribute]
        names = grouping.name, grouping.group_name(pair.first), grouping.group_names[pair.second]
        first, second = (int((group & known).sum()) for group in cohort.members(pair))
        rows = tuple(
            gain_row(cohort, model, tests, pair_index, structure, endpoint, within, adjusted=adjusted)
            for structure in np.flatnonzero(cohort.judged_structures(model, pair)).tolist()
            for endpoint in range(len(ENDPOINTS))
            for adjusted in (False, True)
            if (within := cohort.strata(model, pair, structure, adjusted=adjusted)) is not None
        )
        pairs.append(PairGains(*names, first, second, rows))
    harm = harm_rows(
        cohort.before[model],
        cohort.after[model],
        cohort.groupings,
        structures=cohort.structures,
        drop=cohort.drop,
        options=cohort.options,
        alpha=cohort.options.alpha / len(cohort.after),
    )
    return ModelGains(
        name,
        cohort.groupings[0].name,
        tuple(pairs),
        group_changes(cohort, model),
        harm,
        failing(cohort, model, cohort.raw_after[model]),
        failing(cohort, model, cohort.raw_before),
        group_changes(cohort, model, unknown=True),
    )


def _checked(
    baseline: Floats, models: Mapping[str, Floats], groupings: Sequence[Grouping], structures: Sequence[str]
) -> Floats:
    """Return all scores as one array, (1 + M, N, S)."""
    if not models:
        raise ValueError("models must name at least one model to compare with the baseline, got none")
    if not groupings:
        raise ValueError("groupings must hold at least one attribute, got none")
    scores = {"baseline": baseline, **{f"models[{name!r}]": values for name, values in models.items()}}
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in scores.items()}
    shape = arrays["baseline"].shape
    if len(shape) != 2 or shape[1] != len(structures):
        raise ValueError(f"baseline must have shape (subjects, {len(structures)} structures), got {shape}")
    for name, values in arrays.items():
        if values.shape != shape:
            raise ValueError(f"{name} must have the baseline's shape {shape}, got {values.shape}")
        if np.isinf(values).any():
            raise ValueError(f"{name} must have no infinite scores, got {int(np.isinf(values).sum())}")
    for grouping in groupings:
        if len(grouping.ids) != shape[0]:
            raise ValueError(f"groupings must have one id a subject ({shape[0]}), got {len(grouping.ids)}")
    return np.stack(list(arrays.values()))
