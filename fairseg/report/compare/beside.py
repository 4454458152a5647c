"""What two models differ in beside the score they are judged by: whose distances grew, and whose more."""

import numpy as np

from fairseg.cohort.columns import METRICS
from fairseg.report.compare.compared import Compared
from fairseg.report.secondary import overall_metric
from fairseg.report.templates import say
from fairseg.statistics.findings import Finding
from fairseg.statistics.limits import Interval
from fairseg.statistics.measures import Measure, judge_measures
from fairseg.statistics.two_samples import signed_rank_limits


def other_metrics(result: Compared) -> tuple[str, ...]:
    """Return where a group got worse in another metric than the one judged by, worse than others, or lost it.

    The subjects' changes, by the same tests as a page's, at a level of their own: groups among each other,
    and each by itself (Bonferroni over models, metrics and groups). A signed error has no worse.
    """
    audits, options = result.audits, result.options
    columns = result.models[result.baseline].metrics
    metrics = [one for one in columns if one != "dice" and METRICS[one].higher_is_better is not None]
    if not metrics:
        return ()
    summary = {name: audit.summaries(audit.analyses[0])[0] for name, audit in audits.items()}
    values = {
        (name, metric): overall_metric(audit, summary[name], metric)
        for name, audit in audits.items()
        for metric in metrics
        if metric in audit.scores.metrics
    }
    changes = {
        (name, metric): after - values[result.baseline, metric]
        for (name, metric), after in values.items()
        if name != result.baseline and summary[name].title(metric) == summary[result.baseline].title(metric)
    }  # not of pixels and millimetres
    if not changes:
        return ()
    grouping = result.analyses[0].grouping()
    measures = [
        Measure(str(place), change, higher_is_better=METRICS[metric].higher_is_better)
        for place, ((_, metric), change) in enumerate(changes.items())
    ]
    rows = judge_measures(measures, [grouping], options=options)
    level = 1 - options.alpha / (len(changes) * len(grouping.group_names))
    found = []
    for place, ((name, metric), change) in enumerate(changes.items()):
        worse: dict[str, Interval] = {}
        gone: dict[str, tuple[int, int]] = {}
        had = ~np.isnan(values[result.baseline, metric])
        for code, group in enumerate(grouping.group_names):
            own = change[(grouping.ids == code) & ~np.isnan(change)]
            loss = signed_rank_limits(-own if METRICS[metric].higher_is_better else own, level)
            if own.size >= options.min_size and loss.low > 0:
                worse[group] = loss
            member = (grouping.ids == code) & had
            lost = int(np.isnan(values[name, metric][member]).sum())
            if lost > options.failure_margin * member.sum():
                gone[group] = lost, int(member.sum())
        apart = [_apart(row) for row in rows if row.structure == str(place) and row.shown]
        if worse or apart or gone:
            title = summary[name].title(metric)
            about = {
                "baseline": result.baseline,
                "measure": title,
                "worse": worse,
                "apart": apart,
                "gone": gone,
            }
            found.append(say("other_metric", model=name, **about))
    return tuple(found)


def unknown_group(result: Compared) -> tuple[str, ...]:
    """Return what became of those of unknown group, whom no pair counts, one line."""
    overall, by = result.judgement.structures[0], result.analyses[0]
    title = next(iter(result.models.values())).title
    changes = [
        (model.model, change)
        for model in result.judgement.models
        for change in model.unknown
        if (change.attribute, change.structure) == (by.name, overall) and change.n
    ]
    number = len(by.members.unknown)
    about = {"attributes": by.groups.attributes, "title": "Dice" if title == "DSC" else title}
    return (say("unknown_in_models", number=number, changes=changes, **about),) if number else ()


def _apart(row: Finding) -> tuple[str | None, str, Interval]:
    """Return who fared worse, than whom, and by how much."""
    other = row.first if row.worse == row.second else row.second
    low, high = sorted((abs(row.low), abs(row.high)))
    return row.worse, other, Interval(abs(row.estimate), low, high)
