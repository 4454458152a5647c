"""What an audit found: the tables that sentences, charts and pages are made of."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from fairseg.cohort.ids import as_ids
from fairseg.report.analyses import Analysis, held_fixed
from fairseg.report.sections import ReportSections
from fairseg.report.templates import say
from fairseg.scoring.subjects import subject_names
from fairseg.scoring.summary import Summary, summarize
from fairseg.scoring.table import Scores
from fairseg.statistics.common_structures import CommonStructures
from fairseg.statistics.findings import Finding, PageJudgement
from fairseg.statistics.gain_findings import GainRow
from fairseg.statistics.judge_options import JudgeOptions
from fairseg.statistics.missingness import missingness
from fairseg.statistics.verdicts import Verdict

# Columns of a table of findings: before its figures, and after them.
_ABOUT = ("attribute", "structure", "endpoint", "adjusted", "first", "second", "n_first", "n_second")
_JUDGED = ("p", "p_adjusted", "inside", "verdict")


@dataclass(frozen=True)
class Audited:
    """What an audit found, as numbers and names.

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
    def missing(self) -> pd.DataFrame:
        """What is missing in which group of the first grouping, as `missingness` has it."""
        groups, table = self.analyses[0].groups, self.scores.table
        return missingness(table, as_ids(groups.encode(table), known=groups.short_names))

    @cached_property
    def held_fixed(self) -> str:
        """What is held fixed, as sentences call it."""
        return held_fixed(self.scores, self.sections.adjust, self.sections.bins)

    @cached_property
    def first_summaries(self) -> list[Summary]:
        """The summaries of the grouping that was asked about, over all labels first."""
        return self._summarized(self.analyses[0])

    def summaries(self, analysis: Analysis) -> list[Summary]:
        """Return the summaries of a grouping, from the overall scores and the structures that were judged."""
        return self.first_summaries if analysis is self.analyses[0] else self._summarized(analysis)

    def _summarized(self, analysis: Analysis) -> list[Summary]:
        overall = dict(zip(subject_names(self.scores), self.common.overall.tolist(), strict=True))
        used, reference = self.common.used, analysis.reference_name
        return summarize(self.scores, analysis.groups, reference=reference, overall=overall, common=used)

    @cached_property
    def turned(self) -> set[tuple[str, str, str]]:
        """Pairs (attribute, first, second) without a reference whose first group is behind typically."""
        free = {one.name for one in self.analyses if one.reference is None}
        return {
            (one.attribute, one.first, one.second)
            for one in self.judgement.comparisons
            if one.attribute in free and one.findings and one.findings[0].worse == one.first
        }

    def as_named(self, row: Finding) -> Finding:
        """Return a finding as tables and charts show it: its second group against its first.

        Where there is no reference, the group that is behind in the typical case is named first, so that a
        pair has one name and one sign all over the page.
        """
        return row.turned() if (row.attribute, row.first, row.second) in self.turned else row

    @cached_property
    def groups(self) -> pd.DataFrame:
        """One row a group of each grouping: typical case, failures and share of the hardest tenth.

        Columns: attribute, group, n; median, median_low, median_high; failure_rate, failure_low,
        failure_high; hardest_tenth, hardest_low, hardest_high (95 % limits each); judged.
        """
        names = (
            *("attribute", "group", "n", "median", "median_low", "median_high"),
            *("failure_rate", "failure_low", "failure_high"),
            *("hardest", "hardest_low", "hardest_high", "judged"),
        )
        facts = [fact for fact in self.judgement.facts if fact.structure == self.structures[0]]
        rows = [[getattr(fact, name) for name in names] for fact in facts]
        return pd.DataFrame(rows, columns=list(names)).rename(columns={"hardest": "hardest_tenth"})

    @cached_property
    def findings(self) -> pd.DataFrame:
        """One row a comparison and endpoint, overall and for each structure.

        Columns: attribute, structure, endpoint, adjusted (within strata); first, second, n_first, n_second;
        value_first, value_second (medians of the typical case, else shares); estimate, low, high (the
        disadvantage of the second group, positive where it is worse served, as in comparisons; limits that
        hold over the whole page); p, p_adjusted; inside (the margin); verdict.
        """
        rows = [
            (row, (row.value_first, row.value_second, *row.disadvantage)) for row in self.judgement.findings
        ]
        return finding_table(rows, ("value_first", "value_second", "estimate", "low", "high"))

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


def finding_table(
    rows: Sequence[tuple[Finding | GainRow, Sequence[float]]], figures: Sequence[str]
) -> pd.DataFrame:
    """Return findings with their figures as a table; verdicts, the last column, stay members of `Verdict`."""
    cells: dict[str, Any] = {name: [getattr(row, name) for row, _ in rows] for name in _ABOUT}
    cells |= {name: [values[column] for _, values in rows] for column, name in enumerate(figures)}
    cells |= {name: [getattr(row, name) for row, _ in rows] for name in _JUDGED}
    cells["endpoint"] = list(map(str, cells["endpoint"]))
    # With pyarrow installed, pandas turns members of an enumeration of texts into plain text.
    return pd.DataFrame(cells | {"verdict": pd.Series(cells["verdict"], dtype=object)})


def with_sign(findings: pd.DataFrame, macro: str) -> pd.DataFrame:
    """Return findings as a file has them: verdicts as text, and a column that explains the sign."""
    pairs = list(zip(findings["first"], findings["second"], strict=True))
    texts = {pair: say(macro, first=pair[0], second=pair[1]) for pair in dict.fromkeys(pairs)}
    return findings.assign(verdict=list(map(str, findings["verdict"])), sign=[texts[pair] for pair in pairs])
