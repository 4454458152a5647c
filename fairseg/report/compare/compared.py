"""What a comparison found: the tables that sentences, charts and pages are made of."""

from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from fairseg.report.analyses import Analysis, held_fixed
from fairseg.report.audit import AuditResult, judge_scores
from fairseg.report.audited import finding_table
from fairseg.report.page import summaries_of
from fairseg.report.sections import ReportSections
from fairseg.scoring.summary import Summary
from fairseg.scoring.table import Scores
from fairseg.statistics.gain_findings import GainsJudgement
from fairseg.statistics.judge_options import JudgeOptions
from fairseg.statistics.verdicts import Verdict


@dataclass(frozen=True)
class Compared:
    """What a comparison found, as numbers and names.

    Attributes:
        models: name -> scores of the cases that all models have, the baseline first.
        baseline: name of the model that the others are compared with.
        options: margins, thresholds and seed.
        analyses: the grouping that was asked about, then those of `also`.
        judgement: every pair of groups, change and harm of every model, as numbers.
        left_out: who is without a score or a known group, cases and structures that a model lacks, and groups
            too small to be judged: columns kind, name, group, model, reason.
        table_notes: what else a reader must know of the tables, one line each.
        sections: what is held fixed, what was stated before, and how the page was made.
    """

    models: dict[str, Scores]
    baseline: str
    options: JudgeOptions
    analyses: tuple[Analysis, ...]
    judgement: GainsJudgement
    left_out: pd.DataFrame
    table_notes: tuple[str, ...] = ()
    sections: ReportSections = field(default_factory=ReportSections)

    @property
    def scores(self) -> Scores:
        """The scores of the baseline."""
        return self.models[self.baseline]

    @property
    def held_fixed(self) -> str:
        """The attributes that are held fixed, as sentences call them; empty if none is."""
        return held_fixed(self.scores, self.sections.adjust, self.sections.bins)

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """The verdict on each model beside the baseline."""
        return {model.model: model.verdict for model in self.judgement.models}

    @property
    def verdict(self) -> Verdict:
        """The verdict on the model beside the baseline, where there is one.

        Raises:
            ValueError: there are several; see `verdicts`.
        """
        if len(self.verdicts) > 1:
            raise ValueError(
                f"verdict is of one model beside the baseline, got {len(self.verdicts)}: see verdicts"
            )
        return next(iter(self.verdicts.values()))

    @cached_property
    def audits(self) -> dict[str, AuditResult]:
        """Each model judged alone, on the cases that all have."""
        by, *also = (analysis.groups for analysis in self.analyses)
        level = self.analyses[0].reference_name
        adjust, bins, options = self.sections.adjust, self.sections.bins, self.options
        return {
            name: judge_scores(scores, by, level, also=also, adjust=adjust, bins=bins, options=options)
            for name, scores in self.models.items()
        }

    @cached_property
    def summaries(self) -> dict[str, dict[str, Summary]]:
        """Of each model the summaries of the grouping that was asked about, with intervals, by structure."""
        return {
            name: {one.structure: one for one in summaries_of(audit, audit.analyses[0])}
            for name, audit in self.audits.items()
        }

    @cached_property
    def groups(self) -> pd.DataFrame:
        """One row a model and group: the columns of `AuditResult.groups`, with the model before them."""
        parts = [audit.groups.assign(model=name) for name, audit in self.audits.items()]
        table = pd.concat(parts, ignore_index=True)
        return table[["model", *(name for name in table if name != "model")]]

    @cached_property
    def findings(self) -> pd.DataFrame:
        """One row a model, pair of groups, structure and endpoint, and again within strata.

        Columns: model, attribute, structure, endpoint, adjusted (within strata); first, second, n_first,
        n_second; gap_before, gap_after (the disadvantage of the second group) with _low and _high; gain (gap
        before minus gap after; above 0 the second group gained more), low, high, p, p_adjusted; inside (the
        margin); verdict.
        """
        of_models = [
            (model.model, row) for model in self.judgement.models for pair in model.pairs for row in pair.rows
        ]
        gaps = (f"gap_{when}{end}" for when in ("before", "after") for end in ("", "_low", "_high"))
        rows = [(row, (*row.gap_before.interval, *row.gap_after.interval, *row.gain)) for _, row in of_models]
        table = finding_table(rows, [*gaps, "gain", "low", "high"])
        table.insert(0, "model", [name for name, _ in of_models])
        return table

    @cached_property
    def changes(self) -> pd.DataFrame:
        """One row a model, group and structure: how its subjects changed, and how many newly fail."""
        names = ("attribute", "structure", "group", "judged", "n", "median_before", "median_after")
        counts = ("failing_before", "failing_after", "newly_failing", "rescued", "lost", "gained")
        return pd.DataFrame(
            [
                {
                    "model": model.model,
                    **{name: getattr(one, name) for name in names},
                    **dict(zip(("change", "low", "high"), one.change, strict=True)),
                    **{name: getattr(one, name) for name in counts},
                }
                for model in self.judgement.models
                for one in model.changes
            ]
        )
