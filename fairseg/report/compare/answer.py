"""Which model is the fairest, and at what cost: the answer of a comparison in two or three sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fairseg.io.sentences import listed
from fairseg.report.compare.evidence import FAIRER, LESS_FAIR, NOT_JUDGED, SHOWN, ModelChange
from fairseg.report.compare.sentences import (
    MOST,
    VERDICTS,
    figure,
    kind_of,
    moved,
    span,
    verdict_sentence,
    verdict_words,
)
from fairseg.report.escape import plain
from fairseg.statistics import Evidence

_NAMED_LOSS = 0.005  # of a median, that is named though it is not shown


@dataclass(frozen=True)
class Answer:
    """What a comparison comes to.

    Attributes:
        kind: "good", "bad" or "open".
        badge: the answer in two or three words.
        text: the answer in one or two sentences.
        model: the model that it is about, None if it is about none.
        turned: it is about the baseline beside that model.
    """

    kind: str
    badge: str
    text: str
    model: str | None
    turned: bool = False


def answer(
    changes: Mapping[str, ModelChange],
    evidence: Mapping[str, Evidence],
    names: Sequence[str],
    baseline: str,
    reason: str,
) -> Answer:
    """Return which model is the fairest and at what cost: what a reader sees first.

    Args:
        changes: of each model against the baseline, on all labels together.
        evidence: of each model.
        names: of the groups.
        baseline: the model that the others are compared with.
        reason: why nothing can be judged, or "".
    """
    if reason:
        return Answer("open", "Not judged", f"Nothing is judged: {reason}.", None)
    if not changes:
        return _of_one(baseline, evidence[baseline], names)
    fairer = [model for model, change in changes.items() if change.verdict == FAIRER]
    if fairer:
        return _fairest(changes, names, baseline, fairer)
    compared = [model for model, change in changes.items() if change.verdict != NOT_JUDGED]
    if not compared:
        model = next(iter(changes))
        return Answer("open", "Not judged", verdict_sentence(model, baseline, changes[model]), None)
    return _no_fairer(changes, names, baseline, compared)


def _no_fairer(
    changes: Mapping[str, ModelChange], names: Sequence[str], baseline: str, compared: Sequence[str]
) -> Answer:
    """Speak of the model whose gap is the smallest where none is shown to be fairer than the baseline."""
    model = max(compared, key=lambda model: changes[model].found.narrowing.estimate)
    change = changes[model]
    less = [other for other in compared if changes[other].verdict == LESS_FAIR]
    levelled = [other for other in less if changes[other].turned().levels_down == SHOWN]
    if levelled:
        return _baseline_levels_down(changes, names, baseline, levelled)
    if len(less) == len(changes):
        who = f"{plain(model)} is" if len(less) == 1 else "every other model is shown to be"
        said = f"{plain(baseline)} is the fairest: {who} less fair."
    elif len(changes) == 1:
        said = f"{plain(model)} is not shown to be fairer than {plain(baseline)}."
    else:
        are = "is" if len(less) == 1 else "are"
        worse = f", and {listed(map(plain, less), MOST)} {are} less fair" if less else ""
        said = f"No model is shown to be fairer than {plain(baseline)}{worse}."
    closest = "" if len(changes) == 1 else f" with {plain(model)}, which comes closest"
    said += f" {_gaps(change)}{closest}."
    return Answer(kind_of(change), VERDICTS[change.verdict], f"{said} {_cost(change, names)}", model)


def _baseline_levels_down(
    changes: Mapping[str, ModelChange], names: Sequence[str], baseline: str, levelled: Sequence[str]
) -> Answer:
    """Speak of the model beside which the baseline's smaller gap is the better-served group's loss."""
    model = min(levelled, key=lambda model: changes[model].found.narrowing.estimate)
    change = changes[model].turned()
    best = change.found.best
    loss = "" if best is None else f": {_with_medians(best, change, names)}"
    said = f"Next to {plain(model)}, {plain(baseline)} has the smaller gap, but by levelling down{loss}. "
    said += f"{_gaps(change)} with {plain(baseline)}."
    if others := [other for other in changes if other != model]:
        said += f" How it compares with {listed(map(plain, others), MOST)} stands below."
    return Answer("bad", "Levelling down", said, model, turned=True)


def _fairest(
    changes: Mapping[str, ModelChange], names: Sequence[str], baseline: str, fairer: Sequence[str]
) -> Answer:
    """Speak of the model with the smallest gap that does not level down, or of that with the smallest."""

    def narrowed(model: str) -> float:
        return changes[model].found.narrowing.estimate

    clean = [model for model in fairer if not changes[model].levels_down]
    model, smallest = max(clean or fairer, key=narrowed), max(fairer, key=narrowed)
    change = changes[model]
    said = f"{plain(model)} is fairer than {plain(baseline)}"
    if len(changes) > 1:
        without = "" if smallest == model else " without levelling down"
        said += f" and has the smallest gap of {len(changes) + 1} models{without}"
    if change.levels_down:
        said += f", {'but' if change.levels_down == SHOWN else 'perhaps'} by levelling down"
    said += f". {_gaps(change)}. {_cost(change, names)}"
    if smallest != model:
        said += f" {_smaller_still(smallest, changes[smallest], names)}"
    return Answer(kind_of(change), verdict_words(change), said, model)


def _smaller_still(model: str, change: ModelChange, names: Sequence[str]) -> str:
    """Speak of a model whose gap is smaller because the better-served group lost."""
    by = "by" if change.levels_down == SHOWN else "perhaps by"
    said = (
        f"The gap of {plain(model)} is smaller still, {figure(abs(change.found.gaps[1].estimate))}, but {by}"
    )
    best = change.found.best
    return f"{said} levelling down{'' if best is None else ': ' + _with_medians(best, change, names)}."


def _gaps(change: ModelChange) -> str:
    first, second = (figure(abs(gap.estimate)) for gap in change.found.gaps)
    present = int((~np.isnan(change.before)).sum())
    of = "" if len(change.found.judged) in (0, present) else " of the groups judged"
    return f"The gap{of} goes from {first} to {second}"


def _cost(change: ModelChange, names: Sequence[str]) -> str:
    """Say who lost and who gained, with both medians."""
    lost, gained = (_moved_all(change, names, lost=lost) for lost in (True, False))
    if not lost and not gained:
        pair = [group for group in (change.found.best, change.found.worst) if group is not None]
        medians = (
            f"{plain(names[group])} {figure(change.before[group])} to {figure(change.after[group])}"
            for group in pair
        )
        said = f"No group is shown to have gained or lost ({', '.join(medians)})."
        return said + _lost_most(change, names)
    said = f"{lost or gained}; {(gained if lost else '') or 'no group is shown to have lost'}."
    if lost and not gained:
        said = f"{lost}; no group is shown to have gained."
    return said + _lost_most(change, names)


def _lost_most(change: ModelChange, names: Sequence[str]) -> str:
    """Speak of the group that lost most by its median, where that is not shown."""
    found = change.found
    losses = {group: -moved.estimate for group, moved in enumerate(found.changes) if moved.estimate < 0}
    group = max(losses, key=lambda one: losses[one], default=None)
    if group is None or group in found.lost or losses[group] < _NAMED_LOSS:
        return ""
    why = "which is not shown" if group in found.judged else "too few to judge"
    return f" By its median {_with_medians(group, change, names)} most, {why}."


def _moved_all(change: ModelChange, names: Sequence[str], *, lost: bool) -> str:
    """List the groups that are shown to have lost, or gained, the most changed first."""
    groups = sorted(
        change.found.lost if lost else change.found.gained,
        key=lambda group: -abs(change.found.changes[group].estimate),
    )
    return listed((_with_medians(group, change, names) for group in groups), MOST)


def _with_medians(group: int, change: ModelChange, names: Sequence[str]) -> str:
    said = moved(change.found.changes[group])
    return f"{plain(names[group])} {said} ({figure(change.before[group])} to {figure(change.after[group])})"


def _of_one(model: str, evidence: Evidence, names: Sequence[str]) -> Answer:
    """Speak of a model that there is no other beside."""
    medians = listed(
        (
            f"{plain(name)} {figure(interval.estimate)}"
            for name, interval in zip(names, evidence.medians, strict=True)
        ),
        MOST,
    )
    kind = {"gap shown": "bad", "no relevant gap shown": "good"}.get(evidence.verdict, "open")
    limits = "" if np.isnan(evidence.gap.low) else f" (95% interval {span(evidence.gap)})"
    said = f"{plain(model)}: gap {figure(evidence.gap.estimate)}{limits}, median DSC {medians}."
    return Answer(kind, evidence.verdict.capitalize(), said, model)
