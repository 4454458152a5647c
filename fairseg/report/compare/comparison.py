"""Several models on the same test subjects, side by side: whose gap is smaller, and who pays for it.

A gap never stands without the Dice of every group beside it: a model that fails everybody has no gap.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from fairseg.cohort.columns import METRICS
from fairseg.cohort.groups import Groups
from fairseg.io.sentences import listed
from fairseg.metrics.fairness import Floats
from fairseg.report.compare.evidence import (
    Ids,
    ModelChange,
    compare_with_baseline,
    judge_models,
    obstacle,
)
from fairseg.report.notes import notes_on
from fairseg.report.summary import ALL, GAP, P_VALUE, Summary, summarize
from fairseg.scoring.table import Scores
from fairseg.statistics import Evidence


@dataclass(frozen=True)
class Comparison:
    """Several models' summaries, what they say of the groups, and one table of each structure.

    Attributes:
        summaries: model -> "Overall" and each label, as from `summarize`.
        tables: structure -> float64, one row a model; columns are (measure, group) for medians and IQR of
            each group, and (measure, "") for the fairness gap, the p-value of the test and SER over all
            groups. With more than two groups and a reference, gap and p-value also of each group.
        baseline: the model that the others are compared with.
        margin: the largest gap that does not matter, if one was stated.
        subjects: one row a subject and group, with columns subject and group (id, -1 unknown): whom
            `values` are of.
        evidence: structure -> model -> what its scores say of the groups; empty if nothing can be judged.
        changes: structure -> model -> how it compares with the baseline; empty if nothing can be.
        reason: why nothing can be judged, or "".
        notes: what a reader must know of the scores, one line each.
    """

    summaries: dict[str, list[Summary]]
    tables: dict[str, pd.DataFrame]
    baseline: str
    margin: float | None
    subjects: pd.DataFrame
    evidence: dict[str, dict[str, Evidence]]
    changes: dict[str, dict[str, ModelChange]]
    reason: str = ""
    notes: list[str] = field(default_factory=list)

    def named(self, structure: str) -> dict[str, Summary]:
        """Return model -> summary of one structure."""
        place = list(self.tables).index(structure)
        return {model: parts[place] for model, parts in self.summaries.items()}

    @property
    def overall(self) -> Summary:
        """The first model's summary over all labels: cohort, groups and reference are the same for all."""
        return next(iter(self.summaries.values()))[0]

    @property
    def ids(self) -> Ids:
        """Group ids of the subjects, int64 (N,); -1 is unknown."""
        return self.subjects["group"].to_numpy()

    def values(self, structure: str, metric: str = "dice") -> dict[str, Floats]:
        """Return model -> one value a subject, (N,), in the order of `subjects`; NaN without a score."""
        keys = pd.MultiIndex.from_frame(self.subjects)
        return {
            model: summary.subjects.set_index(["subject", "group"])[metric].reindex(keys).to_numpy(float)
            for model, summary in self.named(structure).items()
        }


def compare_models(
    scores: Mapping[str, Scores | pd.DataFrame],
    groups: Groups,
    *,
    reference: str | None = None,
    baseline: str | None = None,
    margin: float | None = None,
) -> Comparison:
    """Summarise the scores of several models on one test cohort, and compare each with a baseline.

    Metrics that not all models have are left out, with a note. The values are the subjects' own, as in
    `summarize`. Where a subject is in several groups, or there is no Dice, nothing is judged and the reason
    is given.

    Args:
        scores: model -> what `Scores.of` takes, in the order to show.
        groups: made with `Groups.from_table`.
        reference: name of the reference group.
        baseline: the model that the others are compared with; the first if not given.
        margin: the largest gap in Dice that does not matter to you.

    Raises:
        ValueError: there is no model, the baseline is none of them; or one was scored on other cases,
            subjects, groups or labels than the first, or in another unit; or as `summarize` or `judge`.
    """
    if not scores:
        raise ValueError("scores must hold at least one model, got none")
    chosen = next(iter(scores)) if baseline is None else baseline
    if chosen not in scores:
        raise ValueError(f"baseline must be one of the models {', '.join(scores)}, got {baseline!r}")
    models = {name: Scores.of(one, where=f"scores of {name}") for name, one in scores.items()}
    _check_cases(models)
    models, notes = _common_metrics(models)
    summaries = {name: summarize(one, groups, reference=reference) for name, one in models.items()}
    _check_groups(models, groups)
    summaries = _in_one_order(summaries)
    tables = {
        structure: pd.DataFrame({name: _row(parts[place]) for name, parts in summaries.items()}).T
        for place, structure in enumerate(part.structure for part in next(iter(summaries.values())))
    }
    overall = next(iter(summaries.values()))[0]
    reason = obstacle(overall.shared, "dice" in overall.subjects)
    found = Comparison(
        summaries,
        tables,
        chosen,
        margin,
        overall.subjects[["subject", "group"]],
        {},
        {},
        reason,
        [*notes, *_notes(models, summaries)],
    )
    if not reason:
        _judge(found)
    return found


def _judge(found: Comparison) -> None:
    """Fill in the evidence and the changes."""
    groups, reference = len(found.overall.groups), found.overall.reference
    first, *labels = found.tables
    for structure in [first, *(labels if len(labels) > 1 else [])]:
        values = found.values(structure)
        found.evidence[structure] = judge_models(
            values, found.ids, groups, reference=reference, margin=found.margin
        )
        found.changes[structure] = compare_with_baseline(
            values, found.ids, groups, baseline=found.baseline, reference=reference
        )
    if len(labels) == 1:  # a single label's scores are the overall ones
        found.evidence[labels[0]], found.changes[labels[0]] = found.evidence[first], found.changes[first]


def _check_cases(models: Mapping[str, Scores]) -> None:
    """Raise a ValueError unless all models have the same cases, of the same subjects, in one unit."""
    first, *others = models
    subject = {
        name: dict(zip(one.table["case"], one.table["subject"], strict=True)) for name, one in models.items()
    }
    unit = {name: one.unit or "mm" for name, one in models.items()}
    for name in others:
        if differ := sorted(subject[first].keys() ^ subject[name].keys()):
            raise ValueError(f"{name} and {first} were not scored on the same cases: {listed(differ)}")
        if differ := sorted(case for case, who in subject[name].items() if who != subject[first][case]):
            raise ValueError(f"{name} and {first} name different subjects for the cases {listed(differ)}")
        if unit[name] != unit[first]:
            raise ValueError(
                f"the distances of {name} are in {unit[name]}, those of {first} in {unit[first]}"
            )


def _check_groups(models: Mapping[str, Scores], groups: Groups) -> None:
    first, *others = models
    ids = {
        name: dict(zip(one.table["case"], groups.encode(one.table).tolist(), strict=True))
        for name, one in models.items()
    }
    for name in others:
        if differ := sorted(case for case, group in ids[name].items() if group != ids[first][case]):
            by = " and ".join(groups.attributes)
            raise ValueError(f"{name} and {first} put cases into different groups by {by}: {listed(differ)}")


def _in_one_order(summaries: Mapping[str, list[Summary]]) -> dict[str, list[Summary]]:
    """Return the summaries with the labels in the order of the first model."""
    first = next(iter(summaries))
    structures = [summary.structure for summary in summaries[first]]
    ordered = {}
    for name, parts in summaries.items():
        found = {part.structure: part for part in parts}
        if found.keys() != set(structures):
            theirs, ours = ", ".join(list(found)[1:]), ", ".join(structures[1:])
            raise ValueError(f"{name} was scored on the labels {theirs}, {first} on {ours}")
        ordered[name] = [found[structure] for structure in structures]
    return ordered


def _common_metrics(models: Mapping[str, Scores]) -> tuple[dict[str, Scores], list[str]]:
    """Return the scores without the metrics that one of them lacks, and a note on those."""
    there = {name: set(one.metrics) for name, one in models.items()}
    common = set.intersection(*there.values())
    if not common:
        said = "; ".join(f"{name} has {', '.join(sorted(metrics))}" for name, metrics in there.items())
        raise ValueError(f"the models must have a metric in common: {said}")
    partial = [
        metric for metric in METRICS if metric not in common and any(metric in m for m in there.values())
    ]
    notes = [
        f"{metric} is left out: only {listed(name for name in there if metric in there[name])} "
        f"of {len(models)} models {'has' if sum(metric in m for m in there.values()) == 1 else 'have'} it"
        for metric in partial
    ]
    common_only = {
        name: replace(one, table=one.table.drop(columns=partial, errors="ignore"))
        for name, one in models.items()
    }
    return common_only, notes


def _notes(models: Mapping[str, Scores], summaries: Mapping[str, list[Summary]]) -> list[str]:
    """Return the notes on every table, each once, with the models that it holds for unless for all."""
    holds: dict[str, list[str]] = {}
    for name, one in models.items():
        left = [f"skipped when it was scored: {listed(one.reasons)}"] if one.reasons else []
        for note in dict.fromkeys([*one.notes, *left, *notes_on(one.table, summaries[name][0])]):
            holds.setdefault(note, []).append(name)
    return [
        note if len(names) == len(models) else f"{', '.join(names)}: {note}" for note, names in holds.items()
    ]


def _row(summary: Summary) -> dict[tuple[str, str], float]:
    """Return a model's figures, Dice and fairness first: what is read first must not be out of sight."""
    table: Mapping[Any, Mapping[Any, float]] = summary.table.to_dict("index")
    names = summary.groups.names
    medians = [measure for measure in table if measure.startswith("Median")]
    row: dict[tuple[str, str], float] = {}
    for median in medians:
        for measure in (median, median.replace("Median", "IQR")):
            row |= {(measure, name): table[measure][name] for name in names}
        if median == "Median DSC":
            several = summary.reference is not None and len(names) > 2
            others = [name for number, name in enumerate(names) if several and number != summary.reference]
            for measure in (GAP, P_VALUE):
                row |= {(measure, name): table[measure][name] for name in others}
                row[measure, ""] = table[measure][ALL]
            row["SER", ""] = table["SER"][ALL]
    return row
