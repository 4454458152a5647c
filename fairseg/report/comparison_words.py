"""Which model is fairer, and at whose expense, in sentences: a gap never without the Dice beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fairseg.metrics.statistics import Evidence, Interval
from fairseg.metrics.statistics.evidence import MIN_SIZE
from fairseg.metrics.wording import listed
from fairseg.report.charts.svg import number
from fairseg.report.comparison_evidence import (
    FAIRER,
    LESS_FAIR,
    NOT_JUDGED,
    OPEN,
    PERHAPS,
    SHOWN,
    ModelChange,
)
from fairseg.report.render import NONE, plain

_MOST = 4  # groups of a kind that a sentence names
_VERDICTS = {
    FAIRER: "Fairer",
    LESS_FAIR: "Less fair",
    OPEN: "Not enough evidence",
    NOT_JUDGED: "Not judged",
}


@dataclass(frozen=True)
class Answer:
    """What a comparison comes to.

    Attributes:
        kind: "good", "bad" or "open".
        badge: the answer in two or three words.
        text: the answer in one or two sentences.
        model: the model that it is about, None if it is about none.
    """

    kind: str
    badge: str
    text: str
    model: str | None


def figure(value: float, *, sign: bool = False) -> str:
    """Return a Dice, or a difference of two, with a digit more where three would show nothing but a sign.

    >>> figure(0.0314), figure(0.00042), figure(0.02, sign=True)
    ('0.031', '0.0004', '+0.020')
    """
    if np.isnan(value):
        return NONE
    text = number(value, 4 if 0 < abs(value) < 0.0005 else 3)
    return f"+{text}" if sign and value > 0 else text


def span(interval: Interval) -> str:
    """Return the limits of an interval.

    >>> span(Interval(0.031, 0.012, 0.05))
    '0.012 to 0.050'
    """
    return f"{figure(interval.low)} to {figure(interval.high)}"


def verdict_words(change: ModelChange) -> str:
    """Return the verdict on a model in two or three words."""
    if change.levels_down == SHOWN:
        return "Levelling down"
    return _VERDICTS[change.verdict]


def kind_of(change: ModelChange) -> str:
    """Return the kind of `Answer` that a verdict is, or "" where nothing was judged."""
    if change.levels_down == SHOWN:
        return "bad"
    return {FAIRER: "good", LESS_FAIR: "bad", OPEN: "open", NOT_JUDGED: ""}[change.verdict]


def verdict_sentence(model: str, baseline: str, change: ModelChange) -> str:
    """Say whether a model is fairer than the baseline, with the interval."""
    narrowing = change.found.narrowing
    model, baseline = plain(model), plain(baseline)
    size = figure(abs(narrowing.estimate))
    if change.verdict == NOT_JUDGED:
        return (
            f"{model} cannot be compared with {baseline}: fewer than two groups to compare have "
            f"{MIN_SIZE} subjects with a score of both."
        )
    if change.verdict == FAIRER:
        return (
            f"{model} is fairer than {baseline}: its gap is {size} smaller (95% interval {span(narrowing)})."
        )
    if change.verdict == LESS_FAIR:
        turned = Interval(-narrowing.estimate, -narrowing.high, -narrowing.low)
        return (
            f"{model} is less fair than {baseline}: its gap is {size} larger (95% interval {span(turned)})."
        )
    if round(abs(narrowing.estimate), 4) == 0:
        said = f"The gap of {model} is as large as that of {baseline}"
        return f"{said} (95% interval of the difference {span(narrowing)})."
    smaller = narrowing.estimate > 0
    limits = narrowing if smaller else Interval(-narrowing.estimate, -narrowing.high, -narrowing.low)
    return (
        f"The gap of {model} is {size} {'smaller' if smaller else 'larger'} than that of {baseline}, but "
        f"that is not shown (95% interval {span(limits)}, which includes 0)."
    )


def levelling_sentence(change: ModelChange, names: Sequence[str]) -> str:
    """Say that a gap narrowed at the better-served group's expense, with the interval of that loss.

    Empty where it did not. "May be" where the interval of the narrowing or of the loss includes 0.
    """
    found, best, worst = change.found, change.found.best, change.found.worst
    if not change.levels_down or best is None or worst is None:
        return ""
    loss, gain, narrowing = found.changes[best], found.changes[worst], found.narrowing.estimate
    better, other = plain(names[best]), plain(names[worst])
    medians = f"{figure(change.before[best])} to {figure(change.after[best])}"
    open_ = ", which includes 0" if change.levels_down == PERHAPS and loss.high >= 0 else ""
    turned = Interval(-loss.estimate, -loss.high, -loss.low)
    told = f"({medians}; 95% interval of the loss {span(turned)}{open_})"
    said = "Levelling down" if change.levels_down == SHOWN else "This may be levelling down"
    lost = figure(-loss.estimate)
    theirs = f"{other} {_moved(gain)}"
    if found.share_lost > 1.0005:
        said += (
            f": the better-served group {better} lost {lost} {told}, more than the whole narrowing of "
            f"{figure(narrowing)}; {theirs}"
        )
    else:
        said += (
            f": of the narrowing of {figure(narrowing)}, {lost} ({found.share_lost:.0%}) is a loss of the "
            f"better-served group {better} {told}"
        )
        if change.pair == (best, worst):
            gained = round(gain.estimate, 4) > 0
            said += f", only {figure(gain.estimate)} a gain of {other}" if gained else f"; {theirs}"
        else:
            said += f"; {theirs}"
    if change.pair and change.pair != (best, worst):
        first, second = (plain(names[group]) for group in change.pair)
        said += f", and the gap is now between {first} and {second}"
    return f"{said}."


def group_sentences(change: ModelChange, names: Sequence[str], *, without: int | None = None) -> list[str]:
    """Say who gained, who lost, and for whom no change is shown, each with both medians.

    Args:
        change: of a model.
        names: of the groups.
        without: a group that has been spoken of.
    """
    found = change.found
    first = [group for group in (found.best, found.worst, *(change.pair or ())) if group is not None]

    def rank(group: int) -> tuple[bool, float]:
        return group not in first, -abs(found.changes[group].estimate)

    def told(group: int, *, limits: bool = True) -> str:
        medians = f"{figure(change.before[group])} to {figure(change.after[group])}"
        moved = found.changes[group]
        if not limits:
            return f"{plain(names[group])} ({medians})"
        return (
            f"{plain(names[group])} {figure(moved.estimate, sign=True)} ({medians}; interval {span(moved)})"
        )

    judged = [group for group in found.judged if group != without]
    same = [group for group in judged if group not in change.lost and group not in change.gained]
    small = [
        group
        for group in range(len(names))
        if group not in found.judged and not np.isnan(change.before[group])
    ]
    said = []
    for title, members in (
        ("Gained", [group for group in judged if group in change.gained]),
        ("Lost", [group for group in judged if group in change.lost]),
        ("No change shown", same),
    ):
        if members:
            said.append(f"{title}: {listed(map(told, sorted(members, key=rank)), _MOST)}.")
    if small:
        who = listed((told(group, limits=False) for group in sorted(small, key=rank)), _MOST)
        said.append(f"Not judged, fewer than {MIN_SIZE} subjects: {who}.")
    return said


def sentences(
    changes: Mapping[str, ModelChange], names: Sequence[str], baseline: str
) -> dict[str, list[str]]:
    """Return what is to be said of each model against the baseline, on one structure."""
    said = {}
    for model, change in changes.items():
        lines = [verdict_sentence(model, baseline, change)]
        if change.levels_down:
            lines.append(levelling_sentence(change, names))
        lines += group_sentences(change, names, without=change.found.best if change.levels_down else None)
        said[model] = lines
    return said


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
    kind, badge = kind_of(change), _VERDICTS[change.verdict]
    said = verdict_sentence(model, baseline, change)
    if len(changes) == 1:
        return Answer(kind, badge, f"{said} {levelling_sentence(change, names)}".strip(), model)
    less = [other for other in compared if changes[other].verdict == LESS_FAIR]
    if len(less) == len(changes):
        first = f"{plain(baseline)} is the fairest: every other model is shown to be less fair"
    else:
        are = "is" if len(less) == 1 else "are"
        worse = f", and {listed(map(plain, less), _MOST)} {are} less fair" if less else ""
        first = f"No model is shown to be fairer than {plain(baseline)}{worse}"
    return Answer(kind, badge, f"{first}. The one that comes closest: {said}", model)


def _fairest(
    changes: Mapping[str, ModelChange], names: Sequence[str], baseline: str, fairer: Sequence[str]
) -> Answer:
    """Speak of the model with the smallest gap, and of one without levelling down if that has it."""

    def narrowed(model: str) -> float:
        return changes[model].found.narrowing.estimate

    model = max(fairer, key=narrowed)
    change = changes[model]
    said = verdict_sentence(model, baseline, change)
    if len(changes) > 1:
        said = f"Of {len(changes) + 1} models, {plain(model)} has the smallest gap. {said}"
    if change.levels_down:
        said += f" {levelling_sentence(change, names)}"
        clean = [other for other in fairer if not changes[other].levels_down]
        if clean:
            best = max(clean, key=narrowed)
            said += f" Without levelling down: {verdict_sentence(best, baseline, changes[best])}"
    else:
        said += f" {_cost(change, names)}"
    return Answer(kind_of(change), verdict_words(change), said, model)


def _cost(change: ModelChange, names: Sequence[str]) -> str:
    found = change.found
    if change.lost:
        lost = [
            f"{plain(names[group])} lost {figure(-found.changes[group].estimate)} "
            f"({figure(change.before[group])} to {figure(change.after[group])})"
            for group in sorted(change.lost, key=lambda group: found.changes[group].estimate)
        ]
        return f"At a cost: {listed(lost, _MOST)}."
    gained = [
        f"{plain(names[group])} gained {figure(found.changes[group].estimate)} "
        f"({figure(change.before[group])} to {figure(change.after[group])})"
        for group in sorted(change.gained, key=lambda group: -found.changes[group].estimate)
    ]
    gains = f"{listed(gained, _MOST)}; no" if gained else "No"
    return f"{gains} group is shown to have lost."


def _moved(change: Interval) -> str:
    if round(abs(change.estimate), 4) == 0:
        return "gained nothing"
    return f"{'gained' if change.estimate > 0 else 'lost'} {figure(abs(change.estimate))}"


def _of_one(model: str, evidence: Evidence, names: Sequence[str]) -> Answer:
    """Speak of a model that there is no other beside."""
    medians = listed(
        (
            f"{plain(name)} {figure(interval.estimate)}"
            for name, interval in zip(names, evidence.medians, strict=True)
        ),
        _MOST,
    )
    kind = {"gap shown": "bad", "no relevant gap shown": "good"}.get(evidence.verdict, "open")
    limits = "" if np.isnan(evidence.gap.low) else f" (95% interval {span(evidence.gap)})"
    said = f"{plain(model)}: gap {figure(evidence.gap.estimate)}{limits}, median DSC {medians}."
    return Answer(kind, evidence.verdict.capitalize(), said, model)
