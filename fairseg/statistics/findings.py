"""What the judging of a page finds: names and numbers, to be made into sentences, tables and charts."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from fairseg.statistics.judge_options import JudgeOptions
from fairseg.statistics.limits import Interval
from fairseg.statistics.verdicts import Endpoint, Verdict

ALL_OTHERS = "all others"  # of known group, where each of many groups is compared with the rest


@dataclass(frozen=True, eq=False)
class Grouping:
    """An attribute and the group of each subject.

    Attributes:
        name: of the attribute.
        group_names: of its groups, in the order of their ids.
        ids: of the subjects' groups, integer (N,); -1 for unknown.
        reference: id of the group that the others are compared with; None: all pairs of groups, and above
            8 groups each with `ALL_OTHERS`.
        held: whether it is among what the strata hold fixed, so that its groups are not compared within them.
        lost: of each group, and last of unknown group, the subjects with a case that has no score, and all
            subjects, those whom `ids` lack for want of any score among them; empty where no case was lost.

    Raises:
        ValueError: ids or the reference are no ids of these groups, or a group is called `ALL_OTHERS`.
    """

    name: str
    group_names: tuple[str, ...]
    ids: npt.NDArray[np.int64]
    reference: int | None = None
    held: bool = False
    lost: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        ids = np.asarray(self.ids)
        if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
            raise ValueError(f"ids must be integers, one a subject, got {ids.dtype} of shape {ids.shape}")
        size = len(self.group_names)
        if ids.size and not -1 <= ids.min() <= ids.max() < size:
            raise ValueError(f"ids must be from -1 to {size - 1}, got {ids.min()} to {ids.max()}")
        if self.reference is not None and not 0 <= self.reference < size:
            raise ValueError(f"reference must be None or from 0 to {size - 1}, got {self.reference}")
        if len(set(self.group_names)) != size:
            raise ValueError(f"group_names must differ, got {self.group_names}")
        if ALL_OTHERS in self.group_names:
            raise ValueError(
                f"a group of {self.name!r} may not be called {ALL_OTHERS!r}, which stands for all groups "
                "but one: rename it"
            )
        object.__setattr__(self, "group_names", tuple(self.group_names))
        object.__setattr__(self, "ids", ids.astype(np.int64))

    @property
    def reference_name(self) -> str | None:
        """The name of the group that the others are compared with, if there is one."""
        return None if self.reference is None else self.group_names[self.reference]

    def group_name(self, group: int | None) -> str:
        """Return the name of a group that is compared; `ALL_OTHERS` for None."""
        return ALL_OTHERS if group is None else self.group_names[group]


@dataclass(frozen=True)
class Finding:
    """One comparison of two groups, of one structure at one endpoint.

    Attributes:
        attribute: name of the attribute.
        structure: name of the structure, or of the measure.
        endpoint: what is compared.
        first: name of the reference group, of the first of a pair, or `ALL_OTHERS`.
        second: name of the other group.
        n_first: subjects of the first group with a score of this structure.
        n_second: of the second.
        value_first: median or share of the first group; NaN within strata.
        value_second: of the second.
        estimate: first minus second: Hodges-Lehmann shift of scores, or difference of shares (0 to 1); see
            `disadvantage` for the sign that results have.
        low: limit of the estimate, together with all other rows of the page.
        high: the same.
        level: of these limits by themselves.
        p: of this row by itself; of scores never below the level at which the limits reach 0.
        p_adjusted: over the page.
        shown: whether p_adjusted is at most alpha; exactly then low and high exclude 0.
        equivalence_low: 90% limit of the estimate (for an alpha of 5%), for the margin alone.
        equivalence_high: the same.
        margin: a difference up to this does not matter; NaN if none is stated.
        inside: whether the equivalence limits lie within the margin.
        verdict: FAILS or NO_GAP like the comparison; else GAP where shown and OPEN elsewhere; a row that is
            inside its margin is not green by itself.
        adjusted: whether within strata.
        effect: the chance that a subject of the first group scores higher than one of the second; NaN for
            shares.
        worse: name of the group that the estimate says is worse served; None where it is 0 or NaN.
        times_subjects: about how many times as many subjects like these bring the limits inside the margin,
            or beyond it, by the test that the limits are of; infinite where the estimate is the margin.
    """

    attribute: str
    structure: str
    endpoint: Endpoint
    first: str
    second: str
    n_first: int
    n_second: int
    value_first: float = np.nan
    value_second: float = np.nan
    estimate: float = np.nan
    low: float = np.nan
    high: float = np.nan
    level: float = np.nan
    p: float = np.nan
    p_adjusted: float = np.nan
    shown: bool = False
    equivalence_low: float = np.nan
    equivalence_high: float = np.nan
    margin: float = np.nan
    inside: bool = False
    verdict: Verdict = Verdict.NOT_JUDGED
    adjusted: bool = False
    effect: float = np.nan
    worse: str | None = None
    times_subjects: float = np.nan

    @property
    def interval(self) -> Interval:
        """The estimate with its limits."""
        return Interval(self.estimate, self.low, self.high)

    @property
    def equivalence(self) -> Interval:
        """The estimate with the limits that the margin is judged by."""
        return Interval(self.estimate, self.equivalence_low, self.equivalence_high)

    @property
    def disadvantage(self) -> Interval:
        """How much worse the second group is served than the first, with limits.

        That is how results, tables and charts show a finding, whatever the endpoint: to score higher is
        better, to fail more often or to be among the hardest more often is worse.
        """
        return self._as_disadvantage(self.interval)

    @property
    def at_margin(self) -> Interval:
        """The same with the 90% limits that the margin is judged by."""
        return self._as_disadvantage(self.equivalence)

    def turned(self) -> "Finding":
        """Return the same finding with its groups the other way round."""
        (estimate, low, high), (_, *inner) = self.interval.negated(), self.equivalence.negated()
        return replace(
            self,
            first=self.second,
            second=self.first,
            n_first=self.n_second,
            n_second=self.n_first,
            value_first=self.value_second,
            value_second=self.value_first,
            estimate=estimate,
            low=low,
            high=high,
            equivalence_low=inner[0],
            equivalence_high=inner[1],
            effect=1.0 - self.effect,
        )

    def _as_disadvantage(self, one: Interval) -> Interval:
        return one.negated() if self.endpoint in (Endpoint.FAILURES, Endpoint.HARDEST) else one


@dataclass(frozen=True)
class GroupFacts:
    """How the model serves one group in one structure; NaN where nothing can be said.

    Attributes:
        attribute: name of the attribute; "" for all subjects, of unknown group too.
        structure: name of the structure.
        group: name of the group; "" for all.
        n: subjects with a score.
        missing: subjects of the group without one.
        judged: whether n is at least the smallest size that is judged.
        median: of the scores, with 95% limits `median_low` and `median_high`.
        failures: number of subjects below the failure threshold.
        failure_rate: their share, with 95% limits `failure_low` and `failure_high`.
        hardest: share of the group among the hardest tenth of all subjects, with limits `hardest_low` and
            `hardest_high`.
        median_at_least: one-sided limit of the median (95% for an alpha of 5%), compared with the floor.
        failure_at_most: the same of the failure rate.
        p_fails: exact one-sided p, by itself, of a model that does not fail in this group.
        fails: whether the model is shown to fail in this group, with an error of alpha over all groups and
            structures of the page.
        passes_floor: whether the model is shown to work in this group.
    """

    attribute: str
    structure: str
    group: str
    n: int
    missing: int
    judged: bool
    median: float = np.nan
    median_low: float = np.nan
    median_high: float = np.nan
    failures: int = 0
    failure_rate: float = np.nan
    failure_low: float = np.nan
    failure_high: float = np.nan
    hardest: float = np.nan
    hardest_low: float = np.nan
    hardest_high: float = np.nan
    median_at_least: float = np.nan
    failure_at_most: float = np.nan
    p_fails: float = np.nan
    fails: bool = False
    passes_floor: bool = False


class ReasonKind(StrEnum):
    """Why a verdict is not green though no gap is shown."""

    MARGIN = "limits leave the margin"
    FLOOR = "not shown to work"
    TOO_FEW = "too few subjects with a score"
    MISSING_SCORES = "scores are missing more often in one group"
    LOST_CASES = "cases of more subjects of one group have no score"
    STRATA = "strata too small"
    MEANS = "the means of those who do not fail may differ by more than the margin"
    SEVERITY = "the hardest cases are worse in one group"
    ONE_STRATUM = "one stratum has a gap that the strata together have not"
    SMALL_GROUP = "a group too small to be judged is served otherwise"
    UNKNOWN_GROUP = "subjects of unknown group are badly served"


@dataclass(frozen=True)
class Reason:
    """What stands between a comparison, or an attribute, and NO_GAP, and the figures that it rests on.

    `group` is the one that is worse off, where one is, and `against` the one that it is compared with;
    `difference` by how much, where neither an endpoint nor the facts say.
    """

    kind: ReasonKind
    structure: str
    group: str | None = None
    endpoint: Endpoint | None = None
    adjusted: bool = False
    facts: tuple[GroupFacts, ...] = ()
    against: str | None = None
    difference: Interval | None = None


@dataclass(frozen=True)
class Comparison:
    """Two groups of an attribute, over all structures and endpoints.

    Attributes:
        attribute: name of the attribute.
        first: name of the reference group, of the first of a pair, or `ALL_OTHERS`.
        second: name of the other group.
        n_first: subjects of the first group with an overall score.
        n_second: of the second.
        verdict: FAILS, GAP, OPEN, NO_GAP or NOT_JUDGED.
        findings: its rows, within strata too.
        failing: of which of its groups, and in which structure, the model is shown to fail.
        reasons: what stands in the way of NO_GAP.
    """

    attribute: str
    first: str
    second: str
    n_first: int
    n_second: int
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    failing: tuple[GroupFacts, ...] = ()
    reasons: tuple[Reason, ...] = ()

    @property
    def shown(self) -> tuple[Finding, ...]:
        """Rows that show a difference, the smallest adjusted p first; within the margin too."""
        return tuple(sorted((row for row in self.findings if row.shown), key=lambda row: row.p_adjusted))


@dataclass(frozen=True)
class PageJudgement:
    """All comparisons of a page, at one level.

    Attributes:
        primary: name of the attribute of the primary hypothesis.
        verdicts: of each attribute: the worst of its comparisons, or FAILS where the model is shown to fail
            for one of its groups.
        reasons: of each attribute: groups too small to be judged, or of unknown attribute, that are badly
            served; with one, the attribute's verdict is not NO_GAP.
        comparisons: of all attributes.
        facts: of each group and structure.
        everyone: of all subjects, for each structure; those of unknown group too, whom the model may fail.
        known: of the subjects of known group of each attribute, for each structure; group is "".
        alpha_star: the level of a row of full weight at which the page keeps alpha.
        options: with which it was judged.
        permutations: behind the level, fewer than asked on pages of many rows or subjects; 0 where the level
            is that of another page.
    """

    primary: str
    verdicts: dict[str, Verdict]
    reasons: dict[str, tuple[Reason, ...]]
    comparisons: tuple[Comparison, ...]
    facts: tuple[GroupFacts, ...]
    everyone: tuple[GroupFacts, ...]
    known: tuple[GroupFacts, ...]
    alpha_star: float
    options: JudgeOptions = field(default_factory=JudgeOptions)
    permutations: int = 0

    @property
    def verdict(self) -> Verdict:
        """The verdict of the primary hypothesis."""
        return self.verdicts[self.primary]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All rows of the page."""
        return tuple(row for comparison in self.comparisons for row in comparison.findings)

    def facts_of(self, attribute: str, structure: str, *, known: bool = False) -> list[GroupFacts]:
        """Return the facts of each group of an attribute, and last those of all its `known` subjects."""
        facts = (*self.facts, *self.known) if known else self.facts
        return [one for one in facts if (one.attribute, one.structure) == (attribute, structure)]


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict that counts where several comparisons have one: green only if all judged are.

    >>> worst([Verdict.NO_GAP, Verdict.NOT_JUDGED, Verdict.OPEN])
    <Verdict.OPEN: 'not enough evidence'>
    """
    present = set(verdicts)
    order = (Verdict.FAILS, Verdict.GAP, Verdict.OPEN, Verdict.NO_GAP)
    return next((verdict for verdict in order if verdict in present), Verdict.NOT_JUDGED)
