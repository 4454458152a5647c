"""The front door: is a model fair to the groups of a cohort? One call, and an answer that can be trusted.

`audit` takes a table, arrays or folders of masks, judges every gap, and returns an `AuditResult`; the command
`fairseg audit` and `fairseg report` call it and nothing beside it.
"""

import logging
import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fairseg.cohort.columns import OVERALL, metric_of
from fairseg.cohort.groups import Groups
from fairseg.cohort.pseudonyms import Pseudonyms
from fairseg.cohort.reading import TableOptions
from fairseg.cohort.table import Cohort, named_otherwise
from fairseg.io.calls import says_what_to_type
from fairseg.io.sentences import listed
from fairseg.metrics.masks import Structures
from fairseg.report.analyses import (
    MERGED,
    analyses_of,
    audit_as_meant,
    check_has_attributes,
    check_is_no_folder,
    is_vector,
    overall_scores,
    strata_ids,
    with_groups,
)
from fairseg.report.answer import answer
from fairseg.report.audited import Audited
from fairseg.report.card import card_of, model_card, other_answers
from fairseg.report.findings_table import groups_table
from fairseg.report.notes import doubts, first_notes
from fairseg.report.page import save_report
from fairseg.report.sections import ReportSections, as_stated
from fairseg.report.side_findings import SideFindings, side_findings
from fairseg.report.tables import grid
from fairseg.report.templates import as_sentence
from fairseg.scoring.arrays import Arrays, Folders
from fairseg.scoring.table import Scores
from fairseg.scoring.voxel_sizes import Spacing
from fairseg.statistics.judge_options import JudgeOptions
from fairseg.statistics.judgement import judge_page

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class AuditResult(Audited):
    """What an audit found. In a notebook it is the card, else the answer, the table of groups and the notes.

    `print` shows the answer alone; what the rows may be of, against what they were taken for, is logged.

    Its attributes are those of `Audited`.
    """

    @cached_property
    def sentence(self) -> str:
        """The answer in a sentence or two."""
        return answer(self, self.analyses[0])

    def plot(self, kind: str = "boxes", ax: "Axes | None" = None) -> "Axes":
        """Draw the result with matplotlib.

        Args:
            kind: "boxes" (every subject by group, as Fig. 2 of the paper), "gaps" (every gap with its
                limits), or "size" (the score against the size of the structures).
            ax: where to draw; None makes a figure.

        Returns:
            The axes, to go on with.

        Raises:
            ValueError: there is no such kind, or the scores have no sizes.
        """
        from fairseg.report import plots  # noqa: PLC0415  (matplotlib)

        return plots.draw(plots.KINDS, kind, self, ax)

    def save(self, folder: str | Path, *, figures: bool = False) -> Path:
        """Write the page and tables into a folder; return the page's path.

        Args:
            folder: made if needed.
            figures: draw overall.svg, labels.svg, gaps.png and the sheet report.pdf too.

        Raises:
            ValueError: the folder cannot be written.
        """
        return save_report(self, self._side_findings, Path(folder), figures=figures)

    def model_card(self) -> str:
        """Return a model card in Hugging Face's form with what was found: Markdown below YAML.

        It has the sentences of the page, how the groups were compared, and the tables of groups and
        comparisons. The authors add what the model is for. Write it to `README.md` beside the weights, or
        take its sections.
        """
        return model_card(self, self.notes)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know beside the answer, one line each.

        First doubled subjects, units and what is missing; then what other metrics and clinical measures show,
        and whether the verdict hangs on choices; then how the table was read.
        """
        table = map(as_sentence, self.scores.table_notes)
        return (*first_notes(self), *self._side_findings.sentences, *table)

    @cached_property
    def _side_findings(self) -> SideFindings:
        return side_findings(self)

    def __str__(self) -> str:
        return self.sentence

    def __repr__(self) -> str:
        return "\n\n".join(
            [self.sentence, grid(groups_table(self, self.analyses[0])), *other_answers(self), *self.notes]
        )

    def _repr_html_(self) -> str:
        return card_of(self, self.notes).html()


@says_what_to_type(
    "fairseg.audit(scores, by='sex'), or fairseg.audit('predictions', 'references', 'groups.csv', 'sex')",
    audit_as_meant,
)
def audit(
    scores: Any = None,
    by: str | Sequence[str] | Groups | None = None,
    reference: str | None = None,
    *,
    groups: Any = None,
    predictions: Folders | Arrays | None = None,
    references: str | Path | Arrays | None = None,
    cohort: Cohort | None = None,
    labels: Structures | None = None,
    prediction_labels: Structures | None = None,
    ignore: int | None = None,
    spacing: Spacing | None = None,
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
) -> AuditResult:
    """Judge whether a model serves the groups of a cohort equally well.

    Give one of: a table of scores (`audit(df, by="sex")`), one value a subject (`audit(dice, groups=sex)`),
    or folders of masks (`audit(predictions=..., references=..., cohort="groups.csv", by="sex")`, or in this
    order without names, `audit("predictions", "references", "groups.csv", "sex")`).

    Args:
        scores: a DataFrame or mapping of columns with one row a subject, a case, or a case and label; the
            path of such a table (CSV, Parquet, Excel); `Scores`; or one value a subject, (N,), with `groups`.
        by: the attribute whose levels are the groups; several: their intersections. Or an array or Series,
            the group of each row, as `groups`.
        reference: the group that the others are compared with; None: all pairs (of more than eight groups,
            each with all others).
        groups: one value a subject or row, (N,), in place of `by`: names of groups (NumPy, pandas, list).
        predictions: folder of predicted masks, with `references` and `cohort` in place of `scores`; or arrays
            by case, see `fairseg.evaluate`.
        references: folder of reference masks, or arrays likewise.
        cohort: table of cases with the attributes, or its path; see `fairseg.evaluate`.
        labels: of the masks, as in `fairseg.evaluate`.
        prediction_labels: the same of the predictions, where these have other values.
        ignore: value of voxels in the reference masks that count for nothing.
        spacing: pixel size in mm of masks whose files state none, rows first, or the columns of `cohort` that
            have it; see `fairseg.evaluate`.
        also: further attributes (or combinations), each judged beside the first; errors are controlled over
            all of them.
        adjust: attributes to hold fixed: the gap among subjects who are alike in them is judged too.
        bins: attribute -> edges that cut a numeric attribute.
        metric: the column to judge by, a share of 1 where higher is better.
        margin: a difference in the typical case that does not matter.
        failure_threshold: a subject whose score is below has failed; a missed structure scores 0.
        failure_margin: a difference in failure rates that does not matter, as a share.
        tail_margin: the same for the share of a group among the hardest tenth of all subjects.
        min_size: a group of fewer subjects is not judged.
        seed: of the permutations that control the errors over the page.
        sections: what the saved report shows beside: see `ReportSections`.
        preregister: JSON file that states `by` to `seed` beforehand, as `fairseg plan --write` makes it; an
            argument that differs from its default and from the file is an error. The page names the file.
        pseudonyms: show codes in the place of the names of cases and subjects. A path: the file of the key,
            under which a name has the same code in every run; made if it is not there. True: a key that is
            kept nowhere.
        case_column: the column of the scores, or of the cohort, that names the cases, where its name does not
            tell.
        subject_column: the column that names the subjects, likewise.
        wide: columns of scores, one a label, such as ["dice_LV", "dice_RV"].
        percent: whether shares of 1 are written as percentages.

    Raises:
        ValueError: the input is no such table; an attribute, group or metric is not there; an option is out
            of range. The message names it, and what there is instead.

    >>> rng = np.random.default_rng(0)
    >>> dice = np.r_[rng.normal(0.92, 0.02, 60), rng.normal(0.86, 0.03, 40)]
    >>> result = audit(dice, groups=["M"] * 60 + ["F"] * 40, reference="M")
    >>> result.verdict, result.groups["n"].tolist()
    (<Verdict.GAP: 'gap shown'>, [40, 60])
    """
    check_is_no_folder(scores)
    if groups is None and is_vector(by, scores):
        by, groups = None, by
    question, options, sections = as_stated(locals())
    by, metric = question.pop("by"), question.pop("metric")
    if groups is not None:
        scores, by = with_groups(scores, by, groups, metric)
    if by is None and scores is None:
        raise ValueError("by must name the attribute whose levels are the groups, such as by='sex'")
    names = TableOptions(case_column=case_column, subject_column=subject_column)
    folders = [predictions, references, cohort]
    of_masks = {
        "labels": labels,
        "prediction_labels": prediction_labels,
        "ignore": ignore,
        "spacing": spacing,
    }
    if scores is None:
        if wide or percent:
            raise ValueError("wide and percent are of a table of scores, and masks are scored here")
        scores = _scored(folders, metric, names, of_masks)
        names = TableOptions()
    elif stray := next((name for name, value in of_masks.items() if value is not None), None):
        raise ValueError(f"{stray} is of masks: give predictions, references and cohort with it, not scores")
    elif any(folder is not None for folder in folders):
        if cohort is not None and folders[:2] == [None, None]:
            raise ValueError(f"cohort is the table of masks, and scores have their attributes: {MERGED}")
        raise ValueError("give scores, or predictions, references and cohort, not both")
    checked = Scores.of(scores, metric=metric, options=names, wide=wide, percent=percent)
    if by is None:
        names_there = listed(checked.attributes, 20) or "none"
        raise ValueError(
            f"by must name the attribute whose levels are the groups; the scores have {names_there}"
        )
    result = judge_scores(checked, by, **question, options=options, sections=sections)
    if folders == [None] * len(folders):  # masks were told of when they were scored
        for note in doubts(result.scores, result.analyses, result.sections.adjust):
            logger.warning("%s", note)  # to be seen where the sentence alone is printed
    return result


def judge_scores(
    scores: Scores,
    by: str | Sequence[str] | Groups,
    reference: str | None = None,
    *,
    also: Sequence[str | Sequence[str] | Groups] = (),
    adjust: Sequence[str] = (),
    bins: Mapping[str, Sequence[float]] | None = None,
    options: JudgeOptions | None = None,
    sections: ReportSections | None = None,
) -> AuditResult:
    """Judge checked scores: what `audit` does once it has `Scores` and options."""
    options, sections = options or JudgeOptions(), sections or ReportSections()
    if sections.preregistered is not None:
        sections.preregistered.check_metric(scores.title)
    if sections.pseudonyms is not None:
        scores = scores.hidden(sections.pseudonyms)
    check_has_attributes(scores, by)
    edges = bins or {}
    analyses = analyses_of(scores, by, reference, also, adjust, edges)
    groupings = [one.grouping for one in analyses]
    of_structure, common = overall_scores(scores, groupings[0], options.min_size)
    labels = scores.labels
    several = len(labels) > 1
    columns = np.column_stack([common.overall, of_structure]) if several else common.overall[:, None]
    structures = (OVERALL, *labels) if several else (OVERALL,)
    strata = strata_ids(scores, adjust, edges)
    judgement = judge_page(columns, groupings, structures=structures, strata=strata, options=options)
    sections = sections.adjusted_for(adjust, edges)
    return AuditResult(scores, options, tuple(analyses), judgement, common, structures, sections)


def write_report(
    scores: Any, groups: Groups, out: str | Path, *, reference: str | None = None
) -> AuditResult:
    """Judge scores by group and write the report: what `fairseg.audit(...).save(..., figures=True)` does.

    Kept for this version; see `fairseg.audit` for margins, further attributes and sections.
    """
    warnings.warn(
        "write_report will go: use fairseg.audit(scores, by=...).save(folder)",
        DeprecationWarning,
        stacklevel=2,
    )
    result = judge_scores(Scores.of(scores), groups, reference)
    result.save(out, figures=True)
    return result


def _scored(folders: Sequence[Any], metric: str, names: TableOptions, of_masks: Mapping[str, Any]) -> Any:
    """Score the predictions, references and cohort of `audit`."""
    if any(folder is None for folder in folders):
        raise ValueError(
            "audit needs scores, or predictions, references and cohort (such as 'groups.csv') together"
        )
    from fairseg.scoring.folders import score_folders  # noqa: PLC0415  (brings tqdm and asyncio)

    predictions, references, cohort = folders
    metrics = list(dict.fromkeys(("dice", "hd", metric_of(metric) or metric)))
    cohort = named_otherwise(cohort, names)
    return score_folders(predictions, references, cohort, metric=metric, metrics=metrics, **of_masks)
