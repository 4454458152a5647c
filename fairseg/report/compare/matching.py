"""The tables of several models, matched: which rows all have, and what a reader must know of the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from fairseg.cohort.columns import METRICS, NO_ATTRIBUTES, SIZES, is_attribute
from fairseg.cohort.groups import Groups
from fairseg.cohort.pseudonyms import Pseudonyms, named_in
from fairseg.cohort.reading import TableOptions
from fairseg.io.sentences import counted, listed, not_among
from fairseg.metrics.fairness import Floats
from fairseg.report.analyses import indexes_of, is_vector, with_groups
from fairseg.report.templates import as_sentence
from fairseg.scoring.subjects import check_judged, structure_scores
from fairseg.scoring.table import Scores

By = str | Sequence[str] | Groups | None


def named_or_given(models: Any, by: Any, groups: Any) -> tuple[By, Any]:
    """Return the attribute's name and the groups; `by=df.sex` gives the groups, not a name."""
    some = next(iter(models.values()), None) if isinstance(models, Mapping) else None
    return (None, by) if groups is None and is_vector(by, some) else (by, groups)


def read_models(
    models: Any, by: By, groups: Any, *, baseline: str | None, metric: str, options: TableOptions
) -> tuple[dict[str, Scores], By]:
    """Return the scores of each model, the baseline first, and the attribute to group by.

    Args:
        models: name -> scores, in any form that `Scores.of` takes.
        by: the attribute, or None where `groups` has the group of each row.
        groups: one value a row, or None.
        baseline: name of a model; None: the first.
        metric: the column to judge by.
        options: how the tables call cases and subjects.

    Raises:
        ValueError: fewer than two models, no such baseline, no attribute, scores that cannot be judged, or
            tables without names whose rows differ.
    """
    if not isinstance(models, Mapping) or len(models) < 2:
        came = counted(len(models), "model") if isinstance(models, Mapping) else type(models).__name__
        raise ValueError(
            f"models must map two names or more to scores, got {came}: type "
            "fairseg.compare({'baseline': scores, 'fair': others}, by='sex')"
        )
    given = {str(name): source for name, source in models.items()}
    indexes = [(name, index) for name, source in given.items() for index in indexes_of(source)]
    if groups is not None:
        grouped = {name: with_groups(source, by, groups, metric) for name, source in given.items()}
        given, by = {name: table for name, (table, _) in grouped.items()}, next(iter(grouped.values()))[1]
        if indexes:  # which names the rows of models that have none of their own
            rows = indexes[0][1]
            alone = {name for name in given if name not in dict(indexes) and len(given[name]) == len(rows)}
            given |= {name: given[name].set_axis(rows) for name in alone}
    if by is None:
        raise ValueError("by must name the attribute whose levels are the groups, such as by='sex'")
    baseline = next(iter(given)) if baseline is None else str(baseline)
    if baseline not in given:
        raise ValueError(not_among("baseline", baseline, given))
    names = dict.fromkeys((baseline, *given))
    scores = {
        name: Scores.of(given[name], metric=metric, where=f"model {name!r}", options=options)
        for name in names
    }
    for name, one in scores.items():
        check_judged(one, f"model {name!r}")
    if not all(one.named for one in scores.values()):
        _check_rows_alone(scores, indexes)
    return scores, by


def hide(scores: dict[str, Scores], pseudonyms: Pseudonyms) -> dict[str, Scores]:
    """Return the scores with codes for names, which no model may be called by either."""
    for model, one in scores.items():
        if found := named_in(model, {*one.table["case"], *one.table["subject"]}):
            raise ValueError(f"models must not be called by the case or subject {found[0]}, got {model!r}")
    return {name: one.hidden(pseudonyms) for name, one in scores.items()}


def match(scores: dict[str, Scores]) -> tuple[dict[str, Scores], list[str]]:
    """Return the scores of the rows that all models have, in one order, and notes."""
    notes = by_model({name: list(map(as_sentence, one.notes)) for name, one in scores.items()})
    baseline = next(iter(scores))
    first = scores[baseline].table.set_index(["case", "label"])
    if not scores[baseline].named:
        notes.append(
            "The rows of the models name neither cases nor subjects: they are matched by their order"
        )
    common = first.index
    for one in scores.values():
        common = common[common.isin(pd.MultiIndex.from_frame(one.table[["case", "label"]]))]
    if common.empty:
        raise ValueError(f"models must share cases, got none that {' and '.join(scores)} have")
    attributes = [str(name) for name in first if is_attribute(name)]
    who = first.loc[common, ["subject", *attributes]]
    matched = {}
    for name, one in scores.items():
        rows = one.table.set_index(["case", "label"]).loc[common]
        for column in ("subject", *attributes):
            if column in rows:
                _check_agrees(rows[column], who[column], column, name, baseline)
        numbers = [metric for metric in (*METRICS, *SIZES) if metric in rows]
        table = pd.concat([who, rows[numbers]], axis=1).reset_index()
        table = table[["case", "subject", *attributes, "label", *numbers]]
        matched[name] = replace(one, table=table, table_notes=())
    return matched, notes


def by_model(found: dict[str, list[str]]) -> list[str]:
    """Return the notes on models, each once, with the models that it is of unless it is of all."""
    names: dict[str, list[str]] = {}
    for name, notes in found.items():
        for note in notes:
            names.setdefault(note, []).append(name)
    return [note if len(those) == len(found) else f"{listed(those)}: {note}" for note, those in names.items()]


def on_rows_of_all(scores: Mapping[str, Scores]) -> dict[str, Scores]:
    """Return the models' scores on the rows of the first, and below them what only others have.

    Of all labels that some model has, in one order; NaN where a model has no row.
    """
    rows = next(iter(scores.values())).table
    about = [name for name in rows if name in ("case", "subject", "label") or name not in NO_ATTRIBUTES]
    parts = [rows[about], *(one.table.reindex(columns=about) for one in scores.values())]
    more = pd.concat(parts, ignore_index=True).drop_duplicates(["case", "label"]).iloc[len(rows) :]
    rows = pd.concat([rows, more], ignore_index=True) if len(more) else rows
    keys = pd.MultiIndex.from_frame(rows[["case", "label"]])
    dice = {
        name: one.table.set_index(["case", "label"])["dice"].reindex(keys) for name, one in scores.items()
    }
    return {name: replace(scores[name], table=rows.assign(dice=dice[name].to_numpy())) for name in scores}


def of_both(baseline: Scores, model: Scores) -> tuple[Floats, Floats]:
    """Return the scores of each subject and structure, of the cases that both models have scores of."""
    both = baseline.table["dice"].notna().to_numpy() & model.table["dice"].notna().to_numpy()
    first, second = (
        structure_scores(replace(one, table=one.table.assign(dice=one.table["dice"].where(both))))
        for one in (baseline, model)
    )
    return first, second


def _check_agrees(
    theirs: "pd.Series[Any]", own: "pd.Series[Any]", column: str, name: str, baseline: str
) -> None:
    differ = theirs.index[(theirs != own) & ~(theirs.isna() | own.isna())]
    if differ.size:
        case = differ[0][0]
        raise ValueError(
            f"models must agree on {column}, got {theirs[differ[0]]!r} in {name} and {own[differ[0]]!r} in "
            f"{baseline} for case {case}"
        )


def _check_rows_alone(scores: dict[str, Scores], indexes: Sequence[tuple[str, "pd.Index[Any]"]]) -> None:
    """Raise unless tables, of which some name no cases, can be matched by the order of their rows."""
    sizes = {name: len(one.table) for name, one in scores.items()}
    if any(one.named for one in scores.values()) or len(set(sizes.values())) > 1:
        raise ValueError(
            "models must name their cases or subjects, to be matched; without names they need the same rows "
            f"in the same order, got {', '.join(f'{name}: {size} rows' for name, size in sizes.items())}"
        )
    if other := [name for name, index in indexes if not index.equals(indexes[0][1])]:
        raise ValueError(
            f"models must have a column subject to be matched, got none, and another index in {other[0]} "
            f"than in {indexes[0][0]}: if it names the subjects, give each table "
            'df.reset_index(names="subject")'
        )
