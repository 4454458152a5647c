"""Notes beside the verdict on a model: groups whose other metrics got worse, subjects of unknown group."""

import numpy as np

from fairseg.cohort.columns import METRICS
from fairseg.metrics.fairness import Floats
from fairseg.report.compare.compared import Compared
from fairseg.report.secondary import overall_metric
from fairseg.report.templates import say
from fairseg.statistics.measures import Measure, judge_measures
from fairseg.statistics.two_samples import signed_rank_limits


def other_metrics(result: Compared) -> tuple[str, ...]:
    """Return in which other metrics a group got worse, got worse than another group, or lost its values.

    The subjects' changes are tested as on a page, at a level of their own: groups against each other, and
    each group by itself (Bonferroni over models, metrics and groups). A signed error counts by its size.
    """
    metrics = [one for one in result.scores.metrics if one != "dice"]
    if not metrics:
        return ()
    audits, options, grouping = result.audits, result.options, result.analyses[0].grouping
    summary = {name: audit.first_summaries[0] for name, audit in audits.items()}
    harm = {
        (name, metric): _harm(metric, overall_metric(audit, metric))
        for name, audit in audits.items()
        for metric in metrics
        if metric in audit.scores.metrics
    }
    changes = {
        (name, metric): after - harm[result.baseline, metric]
        for (name, metric), after in harm.items()
        if name != result.baseline and summary[name].title(metric) == summary[result.baseline].title(metric)
    }  # not of pixels and millimetres
    measures = [Measure(str(index), change) for index, change in enumerate(changes.values())]
    rows = judge_measures(measures, [grouping], options=options)
    level = 1 - options.alpha / max(1, len(changes) * len(grouping.group_names))
    lines = []
    for index, ((name, metric), change) in enumerate(changes.items()):
        worse, gone = {}, {}
        before, after = harm[result.baseline, metric], harm[name, metric]
        for code, group in enumerate(grouping.group_names):
            own = grouping.ids == code
            of_group = change[own & ~np.isnan(change)]
            loss = signed_rank_limits(of_group, level)
            if of_group.size >= options.min_size and loss.low > 0:
                worse[group] = loss
            had_value = own & ~np.isnan(before)
            lost, size = int(np.isnan(after[had_value]).sum()), int(had_value.sum())
            if lost > options.failure_margin * size:
                gone[group] = lost, size
        favoured = [
            (row.worse, row.first if row.worse == row.second else row.second, row.interval.positive())
            for row in rows
            if row.structure == str(index) and row.shown and row.worse is not None
        ]
        if worse or favoured or gone:
            measure = summary[name].title(metric)
            measure += ", size" if METRICS[metric].higher_is_better is None else ""
            facts = {"baseline": result.baseline, "worse": worse, "apart": favoured, "gone": gone}
            lines.append(say("other_metric", model=name, measure=measure, **facts))
    return tuple(lines)


def _harm(metric: str, values: Floats) -> Floats:
    """Return a metric of each subject, (N,), turned so that more of it is worse."""
    better = METRICS[metric].higher_is_better
    return np.abs(values) if better is None else -values if better else values


def unknown_group(result: Compared) -> tuple[str, ...]:
    """Return a line on the change of subjects of unknown group, who are in no pair; none without them."""
    overall, by = result.judgement.structures[0], result.analyses[0]
    changes = [
        (model.model, change)
        for model in result.judgement.models
        for change in model.unknown
        if (change.attribute, change.structure) == (by.name, overall) and change.n
    ]
    number = len(by.members.unknown)
    about = {"attributes": by.groups.attributes, "title": result.scores.spoken_title}
    return (say("unknown_in_models", number=number, changes=changes, **about),) if number else ()
