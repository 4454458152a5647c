"""Several models on the same subjects: who is fairer, is that shown, and who pays for it?

`compare` matches the models' tables, judges every model beside the baseline, and returns a
`ComparisonResult`; the command `fairseg compare` calls it and nothing beside it.
"""

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fairseg.cohort.columns import OVERALL
from fairseg.cohort.groups import Groups
from fairseg.cohort.pseudonyms import Pseudonyms
from fairseg.cohort.reading import TableOptions
from fairseg.io.calls import says_what_to_type
from fairseg.io.sentences import listed
from fairseg.metrics.fairness import Floats
from fairseg.report.analyses import (
    analyses_of,
    attributes_of,
    check_has_attributes,
    compare_as_meant,
    is_vector,
    strata_ids,
)
from fairseg.report.compare.answer import answer
from fairseg.report.compare.card import card_of
from fairseg.report.compare.compared import Compared
from fairseg.report.compare.left_out import left_out, unscored_note
from fairseg.report.compare.matching import (
    by_model,
    hide,
    match,
    of_both,
    on_rows_of_all,
    read_models,
    without_names_of_models,
)
from fairseg.report.compare.page import save_comparison
from fairseg.report.compare.side_notes import other_metrics, unknown_group
from fairseg.report.compare.tables import models_table
from fairseg.report.notes import adjusted_overall, doubts, score_checks, skipped_note
from fairseg.report.sections import ReportSections, as_stated
from fairseg.report.tables import grid
from fairseg.scoring.subjects import structure_scores
from fairseg.scoring.table import Scores
from fairseg.statistics.common_structures import CommonStructures, common_structures
from fairseg.statistics.gain_findings import GainsJudgement
from fairseg.statistics.gains import judge_gains
from fairseg.statistics.judge_options import JudgeOptions

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class ComparisonResult(Compared):
    """What a comparison found. In a notebook it is the card, else the answer, a small table and the notes.

    `print` shows the answer alone; what the rows may be of, against what they were taken for, is logged.

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

        First what is odd in the tables; then how subjects of unknown group changed; then where a group got
        worse in another metric than the one judged by.
        """
        return (*self.table_notes, *unknown_group(self), *other_metrics(self))

    def __str__(self) -> str:
        return self.sentence

    def __repr__(self) -> str:
        return "\n\n".join([self.sentence, grid(models_table(self)), *self.notes])

    def _repr_html_(self) -> str:
        return card_of(self, self.notes).html()


@says_what_to_type(
    "fairseg.compare({'baseline': scores, 'fair': others}, by='sex')",
    compare_as_meant,
    {
        "model": "fairseg.compare({str(name): rows for name, rows in table.groupby('model')}, by='sex')",
    },
)
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
    case_column: str | None = None,
    subject_column: str | None = None,
    wide: Sequence[str] = (),
    percent: bool = False,
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
        case_column: the column of each table that names the cases, where its name does not tell.
        subject_column: the column that names the subjects, likewise.
        wide: columns of scores of each table, one a label, such as ["dice_LV", "dice_RV"].
        percent: whether shares of 1 are written as percentages.

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
    first = next(iter(models.values()), None) if isinstance(models, Mapping) else None
    if groups is None and is_vector(by, first):
        by, groups = None, by
    question, options, sections = as_stated(locals())
    metric = question.pop("metric")
    names = TableOptions(case_column=case_column, subject_column=subject_column)
    reading = {"metric": metric, "options": names, "wide": wide, "percent": percent}
    scores, question["by"] = read_models(models, question["by"], groups, baseline=baseline, reading=reading)
    if sections.preregistered is not None:
        sections.preregistered.check_metric(next(iter(scores.values())).title)
    if sections.pseudonyms is not None:
        scores = hide(scores, sections.pseudonyms)
    for one in scores.values():
        check_has_attributes(one, question["by"])
    scores = without_names_of_models(scores, attributes_of(question))
    matched, notes = match(scores)
    baseline = next(iter(scores))
    analyses = analyses_of(matched[baseline], **question)
    judgement, lost, lacking = _judged(scores, question, options)
    doubtful = by_model({name: doubts(one, analyses, question["adjust"]) for name, one in scores.items()})
    for note in doubtful:  # which must be seen where the sentence alone is printed
        logger.warning("%s", note)
    first = [
        *doubtful,
        *by_model({name: skipped_note(one, analyses[0]) for name, one in scores.items()}),
        *by_model({name: score_checks(one, analyses) for name, one in matched.items()}),
        *lacking,
    ]
    return ComparisonResult(
        matched,
        baseline,
        options,
        tuple(analyses),
        judgement,
        lost,
        tuple(dict.fromkeys([*first, *notes])),
        sections.adjusted_for(question["adjust"], question["bins"]),
    )


def _judged(
    scores: Mapping[str, Scores], question: Mapping[str, Any], options: JudgeOptions
) -> tuple[GainsJudgement, pd.DataFrame, list[str]]:
    """Judge the models beside the first on the rows of any model; return also what is left out, and notes."""
    baseline, *names = scores
    aligned = on_rows_of_all(scores)
    first = aligned[baseline]
    analyses = analyses_of(first, **question)
    groupings = [one.grouping for one in analyses]
    values = {name: structure_scores(one) for name, one in aligned.items()}
    labels = first.labels
    common = {
        name: common_structures(one, groupings[:1], structures=labels, min_size=options.min_size)
        for name, one in values.items()
    }
    lacking = [note for name, one in common.items() for note in _lacking(name, scores[name].labels, one)]
    used = set(labels).intersection(*(one.used for one in common.values()))
    if not used:
        raise ValueError(f"by {groupings[0].name}: the groups have no structure in common")
    shared = [column for column, label in enumerate(labels) if label in used]
    several = len(labels) > 1

    def with_overall(of_labels: Floats) -> Floats:
        if not several:
            return of_labels[:, :1]
        part = [labels[column] for column in shared]
        alike = common_structures(
            of_labels[:, shared], groupings[:1], structures=part, min_size=options.min_size
        )
        return np.column_stack([alike.overall, of_labels])

    both = {name: of_both(first, aligned[name]) for name in names}
    of_model = {name: with_overall(one) for name, one in values.items()}
    judgement = judge_gains(
        of_model[baseline],
        {name: of_model[name] for name in names},
        groupings,
        structures=(OVERALL, *labels) if several else (OVERALL,),
        paired={name: (with_overall(one), with_overall(two)) for name, (one, two) in both.items()},
        strata=strata_ids(first, question["adjust"], question["bins"]),
        options=options,
    )
    overall = {name: one[:, 0] for name, one in of_model.items()}
    lost = left_out(scores, aligned, overall, common, analyses, judgement)
    partial = {name: adjusted_overall(aligned[name], one, analyses[0]) for name, one in common.items()}
    unscored = {
        name: unscored_note(scores[name], one, overall[name], analyses[0]) for name, one in aligned.items()
    }
    return judgement, lost, [*by_model(unscored), *by_model(partial), *lacking]


def _lacking(model: str, labels: Sequence[str], common: CommonStructures) -> list[str]:
    """Return notes on structures in no overall score, since a model has no scores of them, or too few."""
    lacking: dict[str, list[str]] = {}
    for structure, _, group in common.dropped:
        lacking.setdefault(structure, []).append(group)
    return [
        f"Too few subjects of {listed(names)} have {structure}: it is in no overall score ({model})"
        if structure in labels
        else f"{model} has no score of {structure}, which is neither compared nor in the overall score"
        for structure, names in lacking.items()
    ]
