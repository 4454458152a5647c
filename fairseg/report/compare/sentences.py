"""How a model compares with the baseline, in sentences: who gained, who lost, and what is shown of it."""

from collections.abc import Mapping, Sequence

import numpy as np

from fairseg.io.sentences import listed
from fairseg.report.compare.evidence import (
    FAIRER,
    LESS_FAIR,
    NOT_JUDGED,
    OPEN,
    PERHAPS,
    SHOWN,
    ModelChange,
)
from fairseg.report.escape import plain
from fairseg.report.numbers import score
from fairseg.statistics import Interval

MOST = 4  # groups of a kind that a sentence names
VERDICTS = {
    FAIRER: "Fairer",
    LESS_FAIR: "Less fair",
    OPEN: "Not enough evidence",
    NOT_JUDGED: "Not judged",
}


def figure(value: float, *, sign: bool = False) -> str:
    """Return a Dice, or a difference of two, with a digit more where three would show nothing but a sign.

    >>> figure(0.0314), figure(0.00042), figure(0.02, sign=True)
    ('0.031', '0.0004', '+0.020')
    """
    return score(value, sign=sign)


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
    return VERDICTS[change.verdict]


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
            f"{change.found.min_size} subjects with a score of both."
        )
    if change.verdict == FAIRER:
        return (
            f"{model} is fairer than {baseline}: its gap is {size} smaller (95% interval {span(narrowing)})."
        )
    if change.verdict == LESS_FAIR:
        turned = narrowing.negated()
        return (
            f"{model} is less fair than {baseline}: its gap is {size} larger (95% interval {span(turned)})."
        )
    if round(abs(narrowing.estimate), 4) == 0:
        said = f"The gap of {model} is as large as that of {baseline}"
        return f"{said} (95% interval of the difference {span(narrowing)})."
    smaller = narrowing.estimate > 0
    limits = narrowing if smaller else narrowing.negated()
    return (
        f"The gap of {model} is {size} {'smaller' if smaller else 'larger'} than that of {baseline}, but "
        f"that is not shown (95% interval {span(limits)}, which includes 0)."
    )


def levelling_sentence(change: ModelChange, names: Sequence[str], who: str = "") -> str:
    """Say that a gap narrowed at the better-served group's expense, with the interval of that loss.

    Empty where it did not. "May be" where the interval of the loss includes 0.

    Args:
        change: of the model with the smaller gap, compared with the other.
        names: of the groups.
        who: what begins the sentence, such as the model; nothing: "This".
    """
    found, best, worst = change.found, change.found.best, change.found.worst
    if not change.levels_down or best is None or worst is None:
        return ""
    loss, gain, narrowing = found.changes[best], found.changes[worst], found.narrowing.estimate
    better, other = plain(names[best]), plain(names[worst])
    medians = f"{figure(change.before[best])} to {figure(change.after[best])}"
    open_ = ", which includes 0" if change.levels_down == PERHAPS and loss.high >= 0 else ""
    turned = loss.negated()
    told = f"({medians}; 95% interval of the loss {span(turned)}{open_})"
    is_ = "is" if change.levels_down == SHOWN else "may be"
    said = f"{who or 'This'} {is_} levelling down"
    if not who and change.levels_down == SHOWN:
        said = "Levelling down"
    lost = figure(-loss.estimate)
    theirs = f"{other} {moved(gain)}"
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
        if change.found.pair == (best, worst):
            gained = round(gain.estimate, 4) > 0
            said += f", only {figure(gain.estimate)} a gain of {other}" if gained else f"; {theirs}"
        else:
            said += f"; {theirs}"
    if change.found.pair and change.found.pair != (best, worst):
        first, second = (plain(names[group]) for group in change.found.pair)
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
    first = [group for group in (found.best, found.worst, *(change.found.pair or ())) if group is not None]

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
    same = [group for group in judged if group not in change.found.lost and group not in change.found.gained]
    small = [
        group
        for group in range(len(names))
        if group not in found.judged and not np.isnan(change.before[group])
    ]
    said = []
    for title, members in (
        ("Gained", [group for group in judged if group in change.found.gained]),
        ("Lost", [group for group in judged if group in change.found.lost]),
        ("No change shown", same),
    ):
        if members:
            said.append(f"{title}: {listed(map(told, sorted(members, key=rank)), MOST)}.")
    if small:
        who = listed((told(group, limits=False) for group in sorted(small, key=rank)), MOST)
        said.append(f"Not judged, fewer than {found.min_size} subjects: {who}.")
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
        elif (turned := change.turned()).levels_down:
            lines.append(levelling_sentence(turned, names, f"Next to {plain(model)}, {plain(baseline)}"))
        lines += group_sentences(change, names, without=change.found.best if change.levels_down else None)
        said[model] = lines
    return said


def moved(change: Interval) -> str:
    """Say what a group gained or lost.

    >>> moved(Interval(-0.03, -0.04, -0.02)), moved(Interval(0.0, -0.01, 0.01))
    ('lost 0.030', 'gained nothing')
    """
    if round(abs(change.estimate), 4) == 0:
        return "gained nothing"
    return f"{'gained' if change.estimate > 0 else 'lost'} {figure(abs(change.estimate))}"
