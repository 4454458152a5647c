"""The tables of several models, matched: the rows that all have, and notes on the rest."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from fairseg.cohort.columns import METRICS, NO_ATTRIBUTES, SIZES, is_attribute, plain_name
from fairseg.cohort.groups import Groups
from fairseg.cohort.pseudonyms import Pseudonyms, named_in
from fairseg.cohort.row_columns import RUNS
from fairseg.io.sentences import counted, listed, not_among
from fairseg.metrics.fairness import Floats
from fairseg.report.analyses import indexes_of, with_groups
from fairseg.report.templates import as_sentence
from fairseg.scoring.subjects import check_judged, structure_scores
from fairseg.scoring.table import Scores

By = str | Sequence[str] | Groups | None


def read_models(
    models: Any, by: By, groups: Any, *, baseline: str | None, reading: Mapping[str, Any]
) -> tuple[dict[str, Scores], By]:
    """Return the scores of each model, the baseline first, and the attribute to group by.

    The arguments are those of `compare`; `reading` are options of `Scores.of`.

    Raises:
        ValueError: fewer than two models, no such baseline, no attribute, scores that cannot be judged, or
            tables without names whose rows differ.
    """
    if not isinstance(models, Mapping) or len(models) < 2:
        came = counted(len(models), "model") if isinstance(models, Mapping) else type(models).__name__
        raise ValueError(
            f"models must map two names or more to scores, got {came}: type "
            "fairseg.compare({'baseline': scores, 'fair': others}, by='sex')"
            f"{_hint_of_one_table(models)}"
        )
    sources = {str(name): source for name, source in models.items()}
    indexes = [(name, index) for name, source in sources.items() for index in indexes_of(source)]
    if groups is not None:
        grouped = {
            name: with_groups(source, by, groups, reading["metric"]) for name, source in sources.items()
        }
        sources, by = {name: table for name, (table, _) in grouped.items()}, next(iter(grouped.values()))[1]
        if indexes:  # this one names the rows of models without an index
            rows = indexes[0][1]
            alone = {
                name for name in sources if name not in dict(indexes) and len(sources[name]) == len(rows)
            }
            sources |= {name: sources[name].set_axis(rows) for name in alone}
    elif series := [name for name, source in sources.items() if isinstance(source, pd.Series)]:
        raise ValueError(
            f"model {series[0]!r} is one value a subject, without a column {by!r}: give the groups, "
            "fairseg.compare(models, groups=table['sex'])"
        )
    if by is None:
        raise ValueError("by must name the attribute whose levels are the groups, such as by='sex'")
    baseline = next(iter(sources)) if baseline is None else str(baseline)
    if baseline not in sources:
        raise ValueError(not_among("baseline", baseline, sources))
    names = dict.fromkeys((baseline, *sources))
    scores = {name: Scores.of(sources[name], where=f"model {name!r}", **reading) for name in names}
    for name, one in scores.items():
        check_judged(one, f"model {name!r}")
    if not all(one.named for one in scores.values()):
        _check_rows_alone(scores, indexes)
    return scores, by


def _hint_of_one_table(models: Any) -> str:
    """Return what to type for several models in one table; "" for anything else."""
    if not isinstance(models, pd.DataFrame):
        return ""
    found = [str(name) for name in models if plain_name(str(name)) in RUNS]
    if not found:
        return ""
    name = found[0]
    return (
        f"; of models in a column: fairseg.compare({{str(name): rows for name, rows in "
        f"table.groupby({name!r})}}, by='sex')"
    )


def without_names_of_models(scores: dict[str, Scores], used: Iterable[str]) -> dict[str, Scores]:
    """Return the scores without columns that have one value in each table, and another in another.

    They name the model, as what `groupby` leaves in its parts does, and no subject.

    Args:
        scores: of each model.
        used: attributes that groups are made of, which stay.
    """
    tables = [one.table for one in scores.values()]
    shared = [name for name in tables[0] if is_attribute(name) and all(name in table for table in tables)]
    names = []
    for name in (name for name in shared if name not in {*used}):
        values = [table[name].unique() for table in tables]
        if all(len(one) == 1 for one in values) and len({str(one[0]) for one in values}) > 1:
            names.append(name)
    if not names:
        return scores
    return {
        model: replace(one, table=one.table.drop(columns=names), skipped=one.skipped.drop(columns=names))
        for model, one in scores.items()
    }


def hide(scores: dict[str, Scores], pseudonyms: Pseudonyms) -> dict[str, Scores]:
    """Return the scores with codes in place of names; a model that is called by such a name is an error."""
    for model, one in scores.items():
        if names := named_in(model, {*one.table["case"], *one.table["subject"]}):
            raise ValueError(f"models must not be called by the case or subject {names[0]}, got {model!r}")
    return {name: one.hidden(pseudonyms) for name, one in scores.items()}


def match(scores: dict[str, Scores]) -> tuple[dict[str, Scores], list[str]]:
    """Return the scores of the rows that all models have, in one order, and notes."""
    notes = by_model(
        {
            name: [as_sentence(note) for note in one.notes if note not in one.doubts]
            for name, one in scores.items()
        }
    )
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
    about = first.loc[common, ["subject", *attributes]]
    matched = {}
    for name, one in scores.items():
        rows = one.table.set_index(["case", "label"]).loc[common]
        for column in ("subject", *attributes):
            if column in rows:
                _check_agrees(rows[column], about[column], column, name, baseline)
        numbers = [metric for metric in (*METRICS, *SIZES) if metric in rows]
        table = pd.concat([about, rows[numbers]], axis=1).reset_index()
        table = table[["case", "subject", *attributes, "label", *numbers]]
        matched[name] = replace(one, table=table, table_notes=(), doubts=())
    return matched, notes


def by_model(notes: dict[str, list[str]]) -> list[str]:
    """Return the notes on models, each once, after the names of its models unless it is on all."""
    names: dict[str, list[str]] = {}
    for name, of_model in notes.items():
        for note in of_model:
            names.setdefault(note, []).append(name)
    return [note if len(those) == len(notes) else f"{listed(those)}: {note}" for note, those in names.items()]


def on_rows_of_all(scores: Mapping[str, Scores]) -> dict[str, Scores]:
    """Return the models' scores on the rows of the first, and below them on the rows that only others have.

    All have the same rows in one order, with NaN where a model has no row.
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
    cells: "pd.Series[Any]", expected: "pd.Series[Any]", column: str, name: str, baseline: str
) -> None:
    differ = cells.index[(cells != expected) & ~(cells.isna() | expected.isna())]
    if differ.size:
        case = differ[0][0]
        # Rows of a subject without names are called p01, p01#2, ... in the order of their table.
        numbered = f"{str(case).split('#')[0]}#2" in cells.index.get_level_values(0)
        hint = (
            f"; rows of a subject are its cases in the order of each table: if they differ by {column}, give "
            f"each table a column case, such as table['case'] = table['subject'] + ' ' + table[{column!r}]"
        )
        raise ValueError(
            f"models must agree on {column}, got {cells[differ[0]]!r} in {name} and {expected[differ[0]]!r} "
            f"in {baseline} for case {case}{hint if numbered else ''}"
        )


def _check_rows_alone(scores: dict[str, Scores], indexes: Sequence[tuple[str, "pd.Index[Any]"]]) -> None:
    """Raise unless tables can be matched by the order of their rows, since some of them name no cases."""
    sizes = {name: len(one.table) for name, one in scores.items()}
    if any(one.named for one in scores.values()) or len(set(sizes.values())) > 1:
        raise ValueError(
            "models must name their cases or subjects, to be matched; without names they need the same rows "
            f"in the same order, got {', '.join(f'{name}: {size} rows' for name, size in sizes.items())}"
        )
    if differing := [name for name, index in indexes if not index.equals(indexes[0][1])]:
        raise ValueError(
            f"models must have a column subject to be matched, got none, and another index in {differing[0]} "
            f"than in {indexes[0][0]}: if it names the subjects, give each table "
            'df.reset_index(names="subject")'
        )
