"""What a comparison of two models finds: rows of pairs of groups, changes of groups, harm, and verdicts.

`gains` fills these in and `gain_verdicts` judges them. The orientation is the same everywhere: a gap is the
disadvantage of the pair's second group, and a positive gain is one of the second group over the first.
"""

from dataclasses import dataclass, field, replace
from math import nan
from typing import Any, NamedTuple

from fairseg.statistics.findings import GroupFacts
from fairseg.statistics.gain_reasons import GainReason
from fairseg.statistics.harm import HarmRow
from fairseg.statistics.judge_options import JudgeOptions
from fairseg.statistics.limits import Interval
from fairseg.statistics.verdicts import Endpoint, Verdict


class GroupPair(NamedTuple):
    """Ids of two groups of an attribute that are compared; the first is None for all other groups."""

    attribute: int
    first: int | None
    second: int


@dataclass(frozen=True)
class Gap:
    """The disadvantage of the second group of a pair with one of the models.

    Attributes:
        interval: estimate and limits, of Dice (typical case) or of shares.
        level: of the limits; all limits of the model hold together at 1 - alpha.
        p: two-sided.
        p_adjusted: over all rows of the model.
        shown: whether the gap is.
    """

    interval: Interval
    level: float
    p: float
    p_adjusted: float
    shown: bool

    @property
    def sign(self) -> int:
        """1 if the second group is behind by the estimate, -1 if the first is, 0 if neither."""
        return sign(self.interval.estimate)


@dataclass(frozen=True)
class GainRow:
    """The difference between two groups' gains, in one structure and endpoint.

    Attributes:
        attribute: name of the attribute.
        first: name of the group that gaps are measured from.
        second: name of the group whose disadvantage a gap is.
        structure: name of the structure.
        endpoint: typical case, failures or hardest tenth.
        n_first: subjects of the first group with scores of both models.
        n_second: subjects of the second.
        gap_before: with the baseline.
        gap_after: with the second model.
        gain: by how much more the second group gained: the gap before minus the gap after.
        level: of the limits of the gain, which hold together over all rows of all models.
        p: two-sided.
        p_adjusted: over all these rows.
        shown: whether one group is shown to have gained more.
        narrowing: size of the gap before minus its size after: never more than the gap there was.
        reverse_bound: one-sided bound of the disadvantage of the group that was ahead; NaN if neither was.
        equivalence: the gain with limits of two one-sided tests.
        margin: within which a difference does not matter.
        inside: whether these limits lie within the margin.
        levelling: typical case only, of two groups: gain of the group behind plus gain of the group ahead,
            with limits of a one-sided test.
        levels_down: whether the gap is smaller, and shown to have changed for the loss of the group ahead.
        mean_gain: by how much more the second group gained in the mean, with 99% limits (Welch); None but for
            the typical case among all subjects.
        mean_gaps: the gaps between the means before and after, likewise, with the limits of a one-sided test.
        verdict: of this row, never better than what the pair's verdict allows.
        adjusted: whether within strata; all figures are then of the strata with enough of both groups.
        contrary: typical case: whether the mean gains differ the other way, by more than half of the margin
            and than 1.645 of their standard errors.
        still_behind: typical case: whether the mean of the group that gained more is shown to have been
            behind by more than the margin, and is behind still, by less.
        passed: hardest tenth: whether hardly any of the group that has more of it than before are new in it
            and lost more than the margin, so that others only rose out of it.
        own_loss: whether the group that gained less is shown to have lost; of shares, whether more of it
            fail, or are among the hardest tenth.
        hidden: hardest tenth: whether equal scores hide who is in it with one of the models.
    """

    attribute: str
    first: str
    second: str
    structure: str
    endpoint: Endpoint
    n_first: int
    n_second: int
    gap_before: Gap
    gap_after: Gap
    gain: Interval
    level: float
    p: float
    p_adjusted: float
    shown: bool
    narrowing: Interval
    reverse_bound: float
    equivalence: Interval
    margin: float
    inside: bool
    levelling: Interval | None
    levels_down: bool
    mean_gain: Interval | None = None
    mean_gaps: tuple[Interval, Interval] | None = None
    verdict: Verdict = Verdict.OPEN
    adjusted: bool = False
    contrary: bool = False
    still_behind: bool = False
    passed: bool = False
    own_loss: bool = True
    hidden: bool = False

    def as_told(self) -> "GainRow":
        """Return the row; without figures, and not judged, where equal scores hide whom it is about."""
        if not self.hidden:
            return self
        nothing = Interval(nan, nan, nan)
        return replace(
            self,
            gap_before=replace(self.gap_before, interval=nothing),
            gap_after=replace(self.gap_after, interval=nothing),
            gain=nothing,
            equivalence=nothing,
            p=nan,
            p_adjusted=nan,
            inside=False,
            verdict=Verdict.NOT_JUDGED,
        )

    @property
    def favoured(self) -> str:
        """The group that gained more, by the estimate; the second where neither did."""
        return self.second if self.gain.estimate >= 0 else self.first

    @property
    def means_differ(self) -> bool:
        """Whether the mean gains differ by more than the margin, though the typical ones by less.

        Much may have become of some subjects while most are as they were, which no shift tells.
        """
        if self.mean_gain is None:
            return False
        mean, low, high = self.mean_gain
        return self.inside and abs(mean) > self.margin and (low > 0 or high < 0)

    @property
    def means_oppose(self) -> bool:
        """Whether who typically gained more is shown to have gained less of it in the mean, if any."""
        if self.mean_gain is None:
            return False
        mean, gain = (
            one if self.gain.estimate >= 0 else one.negated() for one in (self.mean_gain, self.gain)
        )
        return mean.low <= 0 and mean.high < gain.low and gain.estimate - mean.estimate > self.margin / 2


@dataclass(frozen=True)
class GroupChange:
    """What became of one group's subjects in one structure.

    Attributes:
        attribute: name of the attribute.
        group: name of the group.
        structure: name of the structure.
        judged: whether the group has subjects enough in this structure.
        n: subjects with scores of both models, to which the following belong.
        median_before: with the baseline; NaN without subjects, as all of these.
        median_after: with the second model.
        change: centre of the subjects' changes (Hodges and Lehmann), with limits that hold together for all
            groups and structures of the attribute.
        level: of these limits.
        median_change: of the subjects' changes; of another sign than `change` where most subjects changed a
            little and some much, the other way.
        failing_before: subjects who fail with the baseline.
        failing_after: subjects who fail with the second model.
        newly_failing: subjects who fail with the second model only.
        rescued: subjects who fail with the baseline only.
        lost: subjects who lost more than the drop.
        gained: subjects who gained more than it.
        failures: change of the share of subjects who fail, limits likewise.
        size: subjects of the group, with scores or without.
        missing_before: subjects with a score of the second model only, in some case.
        missing_after: subjects with a score of the baseline only, in some case.
        dropped: those of them whom the baseline did segment, with a score above 0.
        partly: subjects with scores of both models, and one more of either in some other case.
        mean_change: mean of the subjects' changes, with 95% limits (t).
        lowest: change of the mean of the lowest scores, whosever they are, with the limits of a one-sided
            test, by the influence of each subject on it.
        n_lowest: how many these are: a tenth of the group, and at least five.
        harmless: whether losses and new failures are shown to be within the margins.
        loses: whether, by itself, the group is shown to have lost more than the margin; where it is too small
            for `change` to have limits, too.
    """

    attribute: str
    group: str
    structure: str
    judged: bool
    n: int
    median_before: float
    median_after: float
    change: Interval
    level: float
    median_change: float
    failing_before: int
    failing_after: int
    newly_failing: int
    rescued: int
    lost: int
    gained: int
    failures: Interval
    size: int
    missing_before: int
    missing_after: int
    dropped: int
    partly: int
    mean_change: Interval
    lowest: Interval
    n_lowest: int
    harmless: bool
    loses: bool

    @property
    def net_harmed(self) -> int:
        """Subjects who newly fail less those rescued, or who lost much less those who gained much."""
        return max(self.newly_failing - self.rescued, self.lost - self.gained)


@dataclass(frozen=True)
class PairGains:
    """Two groups and what became of the gap between them.

    Attributes:
        attribute: name of the attribute.
        first: name of the first group.
        second: name of the second.
        n_first: subjects of the first group with an overall score of both models.
        n_second: subjects of the second.
        rows: overall first, the endpoints of a structure together, each among all subjects and then within
            strata; none where the pair is not judged.
        verdict: over all structures and endpoints, and over both groups' subjects.
        decided_by: the rows that carry the verdict; none where harm or failing does.
        harm: what is shown of harm to either group.
        reasons: what stands against a greener verdict.
        outweighed: whether the pair, less fair, does not decide the attribute, as a larger gap shrank more.
    """

    attribute: str
    first: str
    second: str
    n_first: int
    n_second: int
    rows: tuple[GainRow, ...]
    verdict: Verdict = Verdict.NOT_JUDGED
    decided_by: tuple[GainRow, ...] = ()
    harm: tuple[HarmRow, ...] = ()
    reasons: tuple[GainReason, ...] = ()
    outweighed: bool = False

    def as_told(self) -> "PairGains":
        """Return the pair with its rows as they are told."""
        decided = tuple(row for row in self.decided_by if not row.hidden)
        return replace(self, rows=tuple(row.as_told() for row in self.rows), decided_by=decided)

    @property
    def typical(self) -> GainRow | None:
        """The row of the overall typical case; None where the pair is not judged."""
        return self.rows[0] if self.rows else None

    @property
    def telling(self) -> GainRow | None:
        """The row to speak of: one that carries the verdict, or else the least certain one.

        A typical gain may be shown and yet be too small to speak of, if most subjects hardly changed.
        """
        if self.decided_by:
            large = (row for row in self.decided_by if abs(row.gain.estimate) >= row.margin / 2)
            return next(large, self.decided_by[0])
        open_rows = [row for row in self.rows if not (row.inside or row.hidden)]
        if self.typical is None or not self.typical.inside or not open_rows:
            return self.typical
        return max(open_rows, key=lambda row: max(-row.equivalence.low, row.equivalence.high) / row.margin)

    def within_strata(self, row: GainRow) -> GainRow | None:
        """Return the same row within strata; None where they are not asked for, or too small."""
        where = (row.structure, row.endpoint, True)
        return next((one for one in self.rows if (one.structure, one.endpoint, one.adjusted) == where), None)

    @property
    def behind(self) -> str | None:
        """The group that is behind with the baseline, by the estimate of the typical case."""
        row = self.typical
        return None if row is None else {1: self.second, -1: self.first}.get(row.gap_before.sign)


@dataclass(frozen=True)
class ModelGains:
    """One model beside the baseline.

    Attributes:
        model: its name.
        primary: name of the primary attribute.
        pairs: every pair of groups that is compared, those not judged as well.
        changes: every group and structure, those not judged as well.
        harm: every test of harm.
        failing: where the model fails.
        baseline_failing: where the baseline does.
        unknown: what became of those of unknown group, by attribute and structure.
        verdict: of the primary attribute, turned by harm and failing in any, and by what else is shown.
        attribute_verdicts: of each attribute.
    """

    model: str
    primary: str
    pairs: tuple[PairGains, ...]
    changes: tuple[GroupChange, ...]
    harm: tuple[HarmRow, ...]
    failing: tuple[GroupFacts, ...]
    baseline_failing: tuple[GroupFacts, ...]
    unknown: tuple[GroupChange, ...]
    verdict: Verdict = Verdict.NOT_JUDGED
    attribute_verdicts: dict[str, Verdict] = field(default_factory=dict)

    def of_attribute(self, name: str) -> "ModelGains":
        """Return what is known of one attribute, and where the models fail for everyone."""
        names = "pairs", "changes", "harm", "failing", "baseline_failing", "unknown"
        parts: dict[str, Any] = {
            part: tuple(one for one in getattr(self, part) if one.attribute in (name, "")) for part in names
        }
        return replace(self, **parts)

    @property
    def unjudged(self) -> tuple[GroupChange, ...]:
        """The overall changes of groups with too few subjects."""
        overall = self.changes[0].structure
        return tuple(one for one in self.changes if one.structure == overall and not one.judged)

    @property
    def shown_harm(self) -> tuple[HarmRow, ...]:
        """The rows that show harm."""
        return tuple(row for row in self.harm if row.shown)

    @property
    def decisive(self) -> str:
        """The attribute whose verdict is the model's: the primary one, or another that turned it."""
        names = (self.primary, *self.attribute_verdicts)
        return next((name for name in names if self.attribute_verdicts[name] is self.verdict), self.primary)

    @property
    def telling_pairs(self) -> tuple[PairGains, ...]:
        """The pairs of the primary attribute, and of the one that decides; those with the verdict first."""
        pairs = [pair for pair in self.pairs if pair.attribute in (self.primary, self.decisive)]
        return tuple(sorted(pairs, key=lambda pair: pair.verdict is not self.verdict))

    def pair_of(self, attribute: str) -> PairGains | None:
        """Return the first pair of an attribute that has the attribute's verdict; None without pairs."""
        pairs = [pair for pair in self.pairs if pair.attribute == attribute]
        verdict = self.attribute_verdicts[attribute]
        same = [pair for pair in pairs if pair.verdict is verdict and not pair.outweighed] or pairs
        if verdict is Verdict.OPEN:  # of what is open, that is to be told in which something is shown
            same.sort(key=lambda pair: not any(row.shown for row in pair.rows))
        return next(iter(same), None)

    def pair(self, attribute: str, first: str, second: str) -> PairGains:
        """Return a pair by its names.

        Raises:
            KeyError: it is not compared.
        """
        for pair in self.pairs:
            if (pair.attribute, pair.first, pair.second) == (attribute, first, second):
                return pair
        raise KeyError((attribute, first, second))

    def change(self, attribute: str, group: str, structure: str | None = None) -> GroupChange:
        """Return a group's change by its names; overall where no structure is named.

        Raises:
            KeyError: there is none.
        """
        for change in self.changes:
            if (change.attribute, change.group) == (attribute, group) and structure in (
                None,
                change.structure,
            ):
                return change
        raise KeyError((attribute, group, structure))


@dataclass(frozen=True)
class GainsJudgement:
    """All models beside one baseline.

    Attributes:
        models: in the order in which they came.
        structures: names, overall first.
        options: margins, threshold and error.
        drop: a loss of more than this counts as harm.
    """

    models: tuple[ModelGains, ...]
    structures: tuple[str, ...]
    options: JudgeOptions
    drop: float

    def of(self, model: str) -> ModelGains:
        """Return a model by its name.

        Raises:
            KeyError: there is none.
        """
        return {one.model: one for one in self.models}[model]


def sign(value: float) -> int:
    """Return 1 or -1, or 0 for NaN and for what is no more than a rounding error of a score."""
    return int(value > 1e-9) - int(value < -1e-9)
