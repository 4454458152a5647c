"""Several models on the same subjects: who is fairer, is that shown, and who pays for it?

`compare` matches the models' tables, judges every model beside the baseline, and returns a
`ComparisonResult`; the command `fairseg compare` calls it and nothing beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fairseg.cohort.columns import METRICS, NO_ATTRIBUTES, OVERALL, SIZES, is_attribute
from fairseg.cohort.groups import Groups
from fairseg.cohort.pseudonyms import Pseudonyms, named_in
from fairseg.io.calls import says_what_to_type
from fairseg.io.sentences import counted, listed, not_among
from fairseg.metrics.fairness import Floats
from fairseg.report.analyses import (
    analyses_of,
    compare_as_meant,
    indexes_of,
    is_vector,
    strata_ids,
    with_groups,
)
from fairseg.report.compare.answer import answer
from fairseg.report.compare.beside import other_metrics, unknown_group
from fairseg.report.compare.card import card_of
from fairseg.report.compare.compared import Compared
from fairseg.report.compare.page import save_comparison
from fairseg.report.compare.tables import models_table, paper_figures
from fairseg.report.notes import score_checks, skipped_note
from fairseg.report.sections import ReportSections, as_stated
from fairseg.report.tables import grid
from fairseg.report.templates import as_sentence
from fairseg.scoring.subjects import check_judged, structure_scores
from fairseg.scoring.table import Scores
from fairseg.statistics.common_structures import CommonStructures, common_structures
from fairseg.statistics.gains import judge_gains

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class ComparisonResult(Compared):
    """What a comparison found. Printed, it is the answer and a small table; in a notebook, the card.

    Its attributes are those of `Compared`.
    """

    @cached_property
    def sentence(self) -> str:
        """The answer: a sentence or two for each model."""
        return answer(self)

    def plot(self, kind: str = "boxes", ax: "Axes | None" = None) -> "Axes":
        """Draw the result with matplotlib.

        Args:
            kind: "boxes" (every subject by model and group), "gaps" (the gap of each model with its limits),
                or "gains" (what became of each group).
            ax: where to draw; None makes a figure.

        Returns:
            The axes, to go on with.

        Raises:
            ValueError: there is no such kind.
        """
        from fairseg.report.compare import plots  # noqa: PLC0415  (matplotlib)
        from fairseg.report.plots import draw  # noqa: PLC0415

        return draw(plots.KINDS, kind, self, ax)

    def save(self, folder: str | Path) -> Path:
        """Write the page, tables and figures into a folder; return the page's path.

        Raises:
            ValueError: the folder cannot be written.
        """
        return save_comparison(self, self.notes, Path(folder))

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know beside the answer, one line each.

        What is odd in the tables; what became of those of unknown group; then where a group got worse in
        another metric than the one judged by.
        """
        return (*self.table_notes, *unknown_group(self), *other_metrics(self))

    def __str__(self) -> str:
        return self.sentence

    def __repr__(self) -> str:
        return "\n\n".join([self.sentence, grid(models_table(self)), *self.notes])

    def _repr_html_(self) -> str:
        return card_of(self, self.notes).html()


@says_what_to_type("fairseg.compare({'baseline': scores, 'fair': others}, by='sex')", compare_as_meant)
def compare(
    models: Mapping[str, Any],
    by: str | Sequence[str] | Groups | None = None,
    baseline: str | None = None,
    *,
    reference: str | None = None,
    groups: Any = None,
    also: str | Sequence[str | Sequence[str] | Groups] = (),
    adjust: str | Sequence[str] = (),
    bins: Mapping[str, Sequence[float]] | None = None,
    metric: str = "dice",
    margin: float = 0.02,
    failure_threshold: float = 0.5,
    failure_margin: float = 0.05,
    tail_margin: float = 0.10,
    min_size: int = 10,
    seed: int = 0,
    sections: ReportSections | None = None,
    preregister: str | Path | None = None,
    pseudonyms: bool | str | Path | Pseudonyms = False,
) -> ComparisonResult:
    """Judge models beside a baseline, each on the cases that it shares with the baseline.

    Tables and charts show the cases that all models have. What the baseline segmented and a model has no
    score for is counted; if that is more than the failure margin, the model is not called fairer.

    Args:
        models: name -> scores, each as `fairseg.audit` takes them; tables one after another or in a list are
            called after their files, else "model 1", "model 2". Rows belong together that have the same
            case (and label); without cases the subject is the case, and tables without either must have the
            same rows in the same order, and one index.
        by: the attribute whose levels are the groups; several: their intersections. Or an array or Series,
            the group of each row, as `groups`.
        baseline: the model that the others are compared with; None: the first.
        reference: the group that the others are compared with; None: all pairs.
        groups: one value a subject or row in place of `by`.
        also: further attributes (or combinations), each judged beside the first.
        adjust: attributes to hold fixed: the gains of subjects who are alike in them are compared too, and a
            model is fairer only if it is so among them. They have levels, or bins.
        bins: attribute -> edges that cut a numeric attribute.
        metric: the column to judge by, a share of 1 where higher is better.
        margin: a difference in the typical case that does not matter.
        failure_threshold: a subject whose score is below has failed.
        failure_margin: a difference in failure rates that does not matter, as a share.
        tail_margin: the same for the share of a group among the hardest tenth.
        min_size: a group of fewer subjects is not judged.
        seed: of the permutations.
        sections: of the saved page: `command` and `resamples` of `ReportSections`.
        preregister: JSON file that states `by` to `seed` beforehand, as for `fairseg.audit`.
        pseudonyms: as for `fairseg.audit`; one key for all models.

    Raises:
        ValueError: fewer than two models, an unknown baseline, no case in common, tables that disagree on who
            is in which group, or as `fairseg.audit`; the message names the model.

    >>> rng = np.random.default_rng(0)
    >>> sex = np.repeat(["M", "F"], [60, 40])
    >>> before = np.where(sex == "M", 0.92, 0.86) + rng.normal(0, 0.02, 100)
    >>> after = before + np.where(sex == "M", 0.0, 0.05)
    >>> compare({"plain": before, "fair": after}, groups=sex, reference="M").verdicts["fair"]
    <Verdict.FAIRER: 'fairer'>
    """
    some = next(iter(models.values()), None) if isinstance(models, Mapping) else None
    if groups is None and is_vector(by, some):
        by, groups = None, by
    asked, options, sections = as_stated(
        preregister,
        sections,
        pseudonyms,
        by=by,
        reference=reference,
        also=also,
        adjust=adjust,
        bins=bins,
        metric=metric,
        margin=margin,
        failure_threshold=failure_threshold,
        failure_margin=failure_margin,
        tail_margin=tail_margin,
        min_size=min_size,
        seed=seed,
    )
    by, metric = asked["by"], asked.pop("metric")
    if not isinstance(models, Mapping) or len(models) < 2:
        raise ValueError(
            f"models must map two names or more to scores, got {_described(models)}: type "
            "fairseg.compare({'baseline': scores, 'fair': others}, by='sex')"
        )
    indexes = [(str(name), index) for name, source in models.items() for index in indexes_of(source)]
    if groups is not None:
        grouped = {str(name): with_groups(source, by, groups, metric) for name, source in models.items()}
        models, by = {name: table for name, (table, _) in grouped.items()}, next(iter(grouped.values()))[1]
    if by is None:
        raise ValueError("by must name the attribute whose levels are the groups, such as by='sex'")
    scores = _scores(models, baseline, metric)
    if sections.preregistered is not None:
        sections.preregistered.check_metric(next(iter(scores.values())).title)
    if not all(one.named for one in scores.values()):
        _check_rows_alone(scores, indexes)
    if sections.pseudonyms is not None:
        scores = _hidden(scores, sections.pseudonyms)
    baseline, *names = scores
    matched, lost, notes = _matched(scores)
    asked["by"] = by
    analyses = analyses_of(matched[baseline], **asked)
    aligned = _on_rows_of_all(baseline, scores)
    first = aligned[baseline]
    groupings = [one.grouping() for one in analyses_of(first, **asked)]
    notes += _by_model({name: skipped_note(one, analyses[0]) for name, one in scores.items()})
    notes += _by_model({name: score_checks(one, analyses) for name, one in matched.items()})
    of_structure = {name: structure_scores(one) for name, one in aligned.items()}
    labels = first.labels
    used = set(labels)
    for name, values in of_structure.items():
        common = common_structures(values, groupings[:1], structures=labels, min_size=options.min_size)
        used &= set(common.used)
        notes += _lacking(name, scores[name].labels, common)
    if not used:
        raise ValueError(f"by {groupings[0].name}: the groups have no structure in common")
    kept = [place for place, label in enumerate(labels) if label in used]
    several = len(labels) > 1
    part = [labels[place] for place in kept]

    def with_overall(values: Floats) -> Floats:
        if not several:
            return values[:, :1]
        common = common_structures(values[:, kept], groupings[:1], structures=part, min_size=options.min_size)
        return np.column_stack([common.overall, values])

    columns = {name: with_overall(values) for name, values in of_structure.items()}
    both = {name: _of_both(first, aligned[name]) for name in names}
    paired = {name: (with_overall(one), with_overall(two)) for name, (one, two) in both.items()}
    judgement = judge_gains(
        columns[baseline],
        {name: columns[name] for name in names},
        groupings,
        structures=(OVERALL, *labels) if several else (OVERALL,),
        paired=paired,
        strata=strata_ids(first, asked["adjust"], asked["bins"]),
        options=options,
    )
    return ComparisonResult(
        matched,
        baseline,
        options,
        tuple(analyses),
        judgement,
        lost,
        tuple(dict.fromkeys(notes)),
        sections.adjusted_for(asked["adjust"], asked["bins"]),
    )


def paper_table(result: ComparisonResult, structure: str = OVERALL) -> pd.DataFrame:
    """Return one structure's figures of all models, as in Tables 4 to 9 of Lee et al. 2025, unrounded.

    Args:
        result: of a comparison.
        structure: "Overall" or a label.

    Returns:
        float64; columns (model, group), and (model, "All") for what is of all groups; rows "Median DSC", "IQR
        DSC" and so on for each metric, "SER", "Fairness gap" and "p (Mann-Whitney U)". NaN where there is no
        value.

    Raises:
        ValueError: there is no such structure.
    """
    return paper_figures(result, structure)


def _scores(models: Mapping[str, Any], baseline: str | None, metric: str) -> dict[str, Scores]:
    """Return the scores of each model, the baseline first."""
    baseline = str(next(iter(models)) if baseline is None else baseline)
    names = [baseline, *(str(name) for name in models if str(name) != baseline)]
    given = {str(name): source for name, source in models.items()}
    if baseline not in given:
        raise ValueError(not_among("baseline", baseline, given))
    scores = {name: Scores.of(given[name], metric=metric, where=f"model {name!r}") for name in names}
    for name, one in scores.items():
        check_judged(one, f"model {name!r}")
    return scores


def _hidden(scores: dict[str, Scores], pseudonyms: Pseudonyms) -> dict[str, Scores]:
    """Return the scores with codes for names, which no model may be called by either."""
    for model, one in scores.items():
        if found := named_in(model, {*one.table["case"], *one.table["subject"]}):
            raise ValueError(f"models must not be called by the case or subject {found[0]}, got {model!r}")
    return {name: one.hidden(pseudonyms) for name, one in scores.items()}


def _matched(scores: dict[str, Scores]) -> tuple[dict[str, Scores], pd.DataFrame, list[str]]:
    """Return the scores of the rows that all models have, in one order; what is lost, and notes."""
    notes = _by_model({name: list(map(as_sentence, one.notes)) for name, one in scores.items()})
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
    lost = _lost(scores, set(common))
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
    return matched, lost, notes


def _by_model(found: dict[str, list[str]]) -> list[str]:
    """Return the notes on models, each once, with the models that it is of unless it is of all."""
    names: dict[str, list[str]] = {}
    for name, notes in found.items():
        for note in notes:
            names.setdefault(note, []).append(name)
    return [note if len(those) == len(found) else f"{listed(those)}: {note}" for note, those in names.items()]


def _lacking(model: str, labels: Sequence[str], common: CommonStructures) -> list[str]:
    """Say which structures are in no overall score, as a model has none of them, or of few of a group."""
    lacking: dict[str, list[str]] = {}
    for structure, _, group in common.dropped:
        lacking.setdefault(structure, []).append(group)
    return [
        f"Too few subjects of {listed(names)} have {structure}: it is in no overall score ({model})"
        if structure in labels
        else f"{model} has no score of {structure}, which is neither compared nor in the overall score"
        for structure, names in lacking.items()
    ]


def _on_rows_of_all(baseline: str, scores: dict[str, Scores]) -> dict[str, Scores]:
    """Return the models' scores on the rows of the baseline, and below them what only others have.

    Of all labels that some model has, in one order; NaN where a model has no row.
    """
    rows = scores[baseline].table
    about = [name for name in rows if name in ("case", "subject", "label") or name not in NO_ATTRIBUTES]
    parts = [rows[about], *(one.table.reindex(columns=about) for one in scores.values())]
    more = pd.concat(parts, ignore_index=True).drop_duplicates(["case", "label"]).iloc[len(rows) :]
    rows = pd.concat([rows, more], ignore_index=True) if len(more) else rows
    keys = pd.MultiIndex.from_frame(rows[["case", "label"]])
    dice = {
        name: one.table.set_index(["case", "label"])["dice"].reindex(keys) for name, one in scores.items()
    }
    return {name: replace(scores[name], table=rows.assign(dice=dice[name].to_numpy())) for name in scores}


def _of_both(baseline: Scores, model: Scores) -> tuple[Floats, Floats]:
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


def _lost(scores: dict[str, Scores], common: set[tuple[str, str]]) -> pd.DataFrame:
    rows: list[tuple[str, str, str, str]] = []
    for name, one in scores.items():
        rows += [("case", case, name, why) for case, why in one.reasons.items()]
        pairs = list(zip(one.table["case"], one.table["label"], strict=True))
        kept = {case for case, _ in common}
        alone = dict.fromkeys(case for case, label in pairs if (case, label) not in common)
        for case in alone:
            what = "some of its labels" if case in kept else "it"
            rows.append(("case", case, name, f"another model has no score of {what}"))
    return pd.DataFrame(rows, columns=["kind", "name", "model", "reason"])


def _described(models: Any) -> str:
    return counted(len(models), "model") if isinstance(models, Mapping) else type(models).__name__
