"""The front door: is a model fair to the groups of a cohort? One call, and an answer that can be trusted.

`audit` takes a table, arrays or folders of masks, judges every gap, and returns an `AuditResult`; the command
`fairseg audit` and `fairseg report` call it and nothing beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from fairseg.cohort.groups import Groups
from fairseg.io.sentences import listed
from fairseg.metrics.masks import Labels
from fairseg.report.analyses import Analysis, analyses_of, has_levels, with_groups
from fairseg.report.answer import answer
from fairseg.report.preregistration import read_preregistration
from fairseg.report.sections import ReportSections
from fairseg.scoring.folders import Cohort, score_folders
from fairseg.scoring.subjects import strata as strata_of
from fairseg.scoring.subjects import structure_scores, subject_names
from fairseg.scoring.table import Scores
from fairseg.statistics.common_structures import CommonStructures, common_structures
from fairseg.statistics.findings import PageJudgement
from fairseg.statistics.judge_options import JudgeOptions
from fairseg.statistics.page import judge_page
from fairseg.statistics.verdicts import Verdict

OVERALL = "Overall"


@dataclass(frozen=True)
class AuditResult:
    """What an audit found. Printed, it is the answer and the table of groups; in a notebook, the card.

    Attributes:
        scores: what was judged.
        options: margins, thresholds and seed.
        analyses: the grouping that was asked about, then those of `also`.
        judgement: every comparison, finding and fact, as numbers.
        common: the overall scores and the structures that they are made of.
        structures: "Overall", then the labels if there are several.
        sections: what a report shows beside.
    """

    scores: Scores
    options: JudgeOptions
    analyses: tuple[Analysis, ...]
    judgement: PageJudgement
    common: CommonStructures
    structures: tuple[str, ...]
    sections: ReportSections = field(default_factory=ReportSections)

    @property
    def verdict(self) -> Verdict:
        """The verdict on the grouping that was asked about."""
        return self.judgement.verdict

    @cached_property
    def sentence(self) -> str:
        """The answer in a sentence or two."""
        return answer(self, self.analyses[0])

    @cached_property
    def groups(self) -> pd.DataFrame:
        """One row a group of each grouping: typical case, failures and share of the hardest tenth.

        Columns: attribute, group, n; median, median_low, median_high; failure_rate, failure_low,
        failure_high; hardest_tenth, hardest_low, hardest_high (95 % limits each); judged.
        """
        rows = [
            {
                "attribute": fact.attribute,
                "group": fact.group,
                "n": fact.n,
                **{name: getattr(fact, name) for name in ("median", "median_low", "median_high")},
                **{name: getattr(fact, name) for name in ("failure_rate", "failure_low", "failure_high")},
                "hardest_tenth": fact.hardest,
                **{name: getattr(fact, name) for name in ("hardest_low", "hardest_high")},
                "judged": fact.judged,
            }
            for fact in self.judgement.facts
            if fact.structure == self.structures[0]
        ]
        return pd.DataFrame(rows)

    @cached_property
    def findings(self) -> pd.DataFrame:
        """One row a comparison and endpoint, overall and for each structure.

        Columns: attribute, structure, endpoint, adjusted (within strata); first, second, n_first, n_second;
        value_first, value_second (medians of the typical case, else shares); estimate (first minus second),
        low, high (limits that hold over the whole page); p, p_adjusted; inside (the margin); verdict.
        """
        names: tuple[str, ...] = ("attribute", "structure", "endpoint", "adjusted", "first", "second")
        names += ("n_first", "n_second")
        names += (
            "value_first",
            "value_second",
            "estimate",
            "low",
            "high",
            "p",
            "p_adjusted",
            "inside",
            "verdict",
        )
        rows = [[getattr(finding, name) for name in names] for finding in self.judgement.findings]
        return pd.DataFrame(rows, columns=list(names)).astype({"endpoint": str})

    @cached_property
    def left_out(self) -> pd.DataFrame:
        """What was left out: columns kind (case, subject, structure or group), name, group, reason."""
        first = self.analyses[0]
        names = subject_names(self.scores)
        rows: list[tuple[str, str, str, str]] = []
        if len(self.scores.skipped):
            ids = first.groups.encode(self.scores.skipped)
            cases = zip(self.scores.reasons.items(), ids, strict=True)
            rows += [("case", case, first.groups.name(int(group)), why) for (case, why), group in cases]
        for one in self.analyses:
            rows += [("subject", name, "unknown", f"no known {one.name}") for name in one.members.unknown]
            several = f"cases in several groups by {one.name}"
            rows += [("subject", name, "several", several) for name in one.members.shared]
        group_of = dict(zip(names, first.members.ids.tolist(), strict=True))
        without = [name for name, score in zip(names, self.common.overall, strict=True) if np.isnan(score)]
        rows += [
            ("subject", name, first.groups.name(group_of[name]), "no structure with a score")
            for name in without
        ]
        rows += [
            ("structure", structure, group, f"too few subjects of {group} have it: not in the overall score")
            for structure, _, group in self.common.dropped
        ]
        least = f"fewer than {self.options.min_size} subjects: not judged"
        rows += [
            ("group", fact.group, fact.group, least)
            for fact in self.judgement.facts
            if not fact.judged and fact.structure == self.structures[0]
        ]
        return pd.DataFrame(rows, columns=["kind", "name", "group", "reason"])

    def plot(self, kind: str = "boxes", ax: Axes | None = None) -> Axes:
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
        from fairseg.report.plots import plot  # noqa: PLC0415  (matplotlib, which an answer does not need)

        return plot(self, kind, ax)

    def save(self, folder: str | Path) -> Path:
        """Write the page, tables and figures into a folder; return the page's path.

        Raises:
            ValueError: the folder cannot be written.
        """
        from fairseg.report.page import save_report  # noqa: PLC0415  (matplotlib and the charts)

        return save_report(self, Path(folder))

    def __str__(self) -> str:
        return self.sentence

    def __repr__(self) -> str:
        from fairseg.report.text import small_table  # noqa: PLC0415

        return f"{self.sentence}\n\n{small_table(self)}"

    def _repr_html_(self) -> str:
        from fairseg.report.card import card_html  # noqa: PLC0415

        return card_html(self)


def audit(
    scores: Any = None,
    by: str | Sequence[str] | Groups | None = None,
    reference: str | None = None,
    *,
    groups: Any = None,
    predictions: str | Path | None = None,
    references: str | Path | None = None,
    cohort: Cohort | None = None,
    labels: Labels | None = None,
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
) -> AuditResult:
    """Judge whether a model serves the groups of a cohort equally well.

    Give one of: a table of scores (`audit(df, by="sex")`), one value a subject (`audit(dice, groups=sex)`),
    or folders of masks (`audit(predictions=..., references=..., cohort="groups.csv", by="sex")`).

    Args:
        scores: a DataFrame or mapping of columns with one row a subject, a case, or a case and label; the
            path of such a table (CSV, Parquet, Excel); `Scores`; or one value a subject, (N,), with `groups`.
        by: the attribute whose levels are the groups; several: their intersections.
        reference: the group that the others are compared with; None: all pairs (of more than eight groups,
            each with all others).
        groups: one value a subject or row, (N,), in place of `by`: names of groups (NumPy, pandas, list).
        predictions: folder of predicted masks, with `references` and `cohort` in place of `scores`.
        references: folder of reference masks.
        cohort: table of cases with the attributes, or its path; see `fairseg.evaluate`.
        labels: of the masks, as in `fairseg.evaluate`.
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

    Raises:
        ValueError: the input is no such table; an attribute, group or metric is not there; an option is out
            of range. The message names it, and what there is instead.

    >>> rng = np.random.default_rng(0)
    >>> dice = np.r_[rng.normal(0.92, 0.02, 60), rng.normal(0.86, 0.03, 40)]
    >>> result = audit(dice, groups=["M"] * 60 + ["F"] * 40, reference="M")
    >>> result.verdict, result.groups["n"].tolist()
    (<Verdict.GAP: 'gap shown'>, [40, 60])
    """
    judging: dict[str, Any] = {
        "margin": margin,
        "failure_threshold": failure_threshold,
        "failure_margin": failure_margin,
        "tail_margin": tail_margin,
        "min_size": min_size,
        "seed": seed,
    }
    asked: dict[str, Any] = {
        "by": by,
        "reference": reference,
        "also": also,
        "adjust": adjust,
        "bins": bins or {},
    }
    if preregister is not None:
        file = read_preregistration(preregister)
        settled = file.settle({**asked, **judging})
        judging, asked = ({name: settled[name] for name in part} for part in (judging, asked))
        sections = replace(sections or ReportSections(), preregistered=file)
    by, options = asked.pop("by"), JudgeOptions(**judging)
    if groups is not None:
        if by is not None:
            raise ValueError("by and groups are two ways to say the same: give one of them")
        scores, by = with_groups(scores, groups, metric)
    if by is None:
        raise ValueError("by must name the attribute whose levels are the groups, such as by='sex'")
    folders = [predictions, references, cohort]
    if scores is None:
        if predictions is None or references is None or cohort is None:
            raise ValueError("audit needs scores, or predictions, references and cohort together")
        scores = score_folders(predictions, references, cohort, labels=labels)
    elif any(given is not None for given in folders):
        raise ValueError("give scores, or predictions, references and cohort, not both")
    checked = Scores.of(scores, metric=metric)
    if "dice" not in checked.table:
        raise ValueError(
            f"metric {metric!r} is not in scores, which have {listed(checked.metrics)}: gaps are judged by a "
            "share of 1; name another with metric="
        )
    return judge_scores(checked, by, **asked, options=options, sections=sections)


def judge_scores(
    scores: Scores,
    by: str | Sequence[str] | Groups,
    reference: str | None = None,
    *,
    also: str | Sequence[str | Sequence[str] | Groups] = (),
    adjust: str | Sequence[str] = (),
    bins: Mapping[str, Sequence[float]] | None = None,
    options: JudgeOptions | None = None,
    sections: ReportSections | None = None,
) -> AuditResult:
    """Judge scores that are checked: `audit`'s own work, for callers that have `Scores` and options."""
    options, sections = options or JudgeOptions(), sections or ReportSections()
    alike = (adjust,) if isinstance(adjust, str) else tuple(adjust)
    analyses = analyses_of(
        scores, by, reference, (also,) if isinstance(also, str) else also, alike, bins or {}
    )
    groupings = [one.grouping() for one in analyses]
    of_structure = structure_scores(scores)
    labels = scores.labels
    common = common_structures(of_structure, groupings[:1], structures=labels, min_size=options.min_size)
    if not common.used:
        lacking = "; ".join(f"{group} has too little of {name}" for name, _, group in common.dropped)
        raise ValueError(f"by {groupings[0].name}: the groups have no structure in common: {lacking}")
    several = len(labels) > 1
    columns = np.column_stack([common.overall, of_structure]) if several else common.overall[:, None]
    fixed = [name for name in alike if has_levels(scores, name, bins or {})]
    stratum = strata_of(scores, fixed, bins or {})[1].ids if fixed else None
    structures = (OVERALL, *labels) if several else (OVERALL,)
    judgement = judge_page(
        columns,
        groupings,
        structures=structures,
        strata=stratum,
        options=options,
    )
    sections = sections.adjusted_for(alike, bins or {})
    return AuditResult(scores, options, tuple(analyses), judgement, common, structures, sections)
