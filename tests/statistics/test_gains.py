"""Two models: what must never be said, by kind, and what must; numbers against independent oracles."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from fairseg.statistics import gain_tests
from fairseg.statistics.findings import Grouping
from fairseg.statistics.gain_findings import ModelGains
from fairseg.statistics.gain_reasons import GainReasonKind
from fairseg.statistics.gain_verdicts import row_verdict
from fairseg.statistics.gains import judge_gains
from fairseg.statistics.judge_options import JudgeOptions
from fairseg.statistics.limits import Interval
from fairseg.statistics.verdicts import Endpoint, Verdict

Floats = npt.NDArray[np.float64]

OPTIONS = JudgeOptions(permutations=499)
AGAINST = {Verdict.HARM, Verdict.LESS_FAIR, Verdict.OVERCORRECTED, Verdict.LEVELS_DOWN, Verdict.FAILS}


def judge(
    before: Floats,
    after: Floats,
    groups: npt.NDArray[np.int64],
    *,
    names: Sequence[str] = ("A", "B"),
    reference: int | None = 0,
    options: JudgeOptions = OPTIONS,
    **more: Any,
) -> ModelGains:
    scores = [one[:, None] if one.ndim == 1 else one for one in (before, after)]
    structures = ("Overall", "LV", "RV", "MYO")[: scores[0].shape[1]]
    grouping = Grouping("group", tuple(names), groups, reference)
    found = judge_gains(
        scores[0], {"new": scores[1]}, [grouping], structures=structures, options=options, **more
    )
    return found.of("new")


def cohort(
    sizes: Sequence[int], medians: Sequence[float], spread: float = 0.02, seed: int = 0
) -> tuple[Floats, npt.NDArray[np.int64]]:
    groups = np.repeat(np.arange(len(sizes)), sizes)
    drawn = np.random.default_rng(seed).normal(np.asarray(medians)[groups], spread)
    return np.clip(drawn, 0.0, 1.0), groups


def noise(size: Any, spread: float, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).normal(0, spread, size)


# ------------------------------------------------------------------ what must never be said
@pytest.mark.parametrize(
    ("sizes", "failing"), [((100, 100), 25), ((400, 12), 4), ((30, 30), 8), ((54, 30), 7)]
)
@pytest.mark.parametrize("reference", [0, None])
def test_new_failures_are_harm_however_much_the_others_gain(
    sizes: tuple[int, int], failing: int, reference: int | None
) -> None:
    before, groups = cohort(sizes, (0.92, 0.88))
    after = before + 0.04 * (groups == 1)
    after[sizes[0] : sizes[0] + failing] = np.linspace(0.15, 0.45, failing)
    found = judge(before, after, groups, reference=reference)
    assert found.verdict is Verdict.HARM
    assert {(row.group, row.worse, row.better) for row in found.shown_harm} == {("B", failing, 0)}
    assert found.change("group", "B").newly_failing == failing
    assert not any(
        row.verdict.green for pair in found.pairs for row in pair.rows if row.verdict is Verdict.FAIRER
    )


def test_a_model_against_itself_is_the_same_to_the_last_digit() -> None:
    before, groups = cohort((60, 40), (0.92, 0.88))
    before[0] = 0.0
    scores = np.column_stack([before, before - 0.01, before.round(2)])
    found = judge(scores, scores, groups)
    assert found.verdict is Verdict.SAME
    (pair,) = found.pairs
    assert len(pair.rows) == 9
    for row in pair.rows:
        assert tuple(row.gain) == tuple(row.narrowing) == tuple(row.equivalence) == (0, 0, 0)
        assert row.gap_before.interval == row.gap_after.interval
    for change in found.changes:
        assert tuple(change.change) == tuple(change.failures) == (0, 0, 0)


def test_one_group_unchanged_the_other_a_little_better_is_that_little() -> None:
    before, groups = cohort((100, 100), (0.92, 0.88), spread=0.03)
    after = before + 0.011 * (groups == 1)
    row = judge(before, after, groups).pairs[0].rows[0]
    assert row is not None
    assert row.gain.estimate == pytest.approx(0.011, abs=1e-4)
    assert 0.0105 < row.gain.low <= row.gain.high < 0.0115
    assert 0.0105 < row.narrowing.low <= row.narrowing.high < 0.0115


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("sizes", [(100, 100), (30, 30), (200, 15)])
def test_a_gap_never_narrows_by_more_than_there_was(sizes: tuple[int, int], seed: int) -> None:
    before, groups = cohort(sizes, (0.92, 0.88), seed=seed)
    after = before + 0.045 * (groups == 1) + noise(groups.size, 0.02, seed + 10)
    for row in judge(before, after, groups).pairs[0].rows:
        there = row.gap_before.interval
        assert row.narrowing.high <= max(abs(there.low), abs(there.high)) + 1e-12
        assert row.narrowing.estimate <= abs(there.estimate) + 1e-12
        most = max(abs(row.gain.low), abs(row.gain.high))
        assert max(abs(row.narrowing.low), abs(row.narrowing.high)) <= most + 1e-12
        assert row.narrowing.low <= row.narrowing.estimate <= row.narrowing.high


def test_both_changes_are_told_where_a_share_of_the_narrowing_is_a_loss() -> None:
    before, groups = cohort((100, 100), (0.93, 0.88))
    after = before + np.where(groups == 0, -0.0196, 0.0204) + noise(200, 0.005)
    found = judge(before, after, groups)
    assert found.verdict is Verdict.FAIRER
    lost, gained = (found.change("group", name).change for name in "AB")
    assert lost.low < -0.0196 < lost.high < 0
    assert 0 < gained.low < 0.0204 < gained.high
    assert not any(row.levels_down for row in found.pairs[0].rows)


def test_levelling_down_is_said_where_the_loss_outweighs_the_gain() -> None:
    before, groups = cohort((100, 100), (0.93, 0.88))
    after = before + np.where(groups == 0, -0.035, 0.005) + noise(200, 0.01)
    found = judge(before, after, groups)
    assert found.verdict is Verdict.LEVELS_DOWN
    row = found.pairs[0].typical
    assert row is not None
    assert row.levelling is not None
    assert row.levelling.high < 0
    assert row.levelling.estimate == pytest.approx(-0.03, abs=0.003)


def test_a_fairer_model_that_costs_a_group_more_than_the_margin_is_not_praised() -> None:
    before, groups = cohort((200, 200), (0.95, 0.85))
    after = before + np.where(groups == 0, -0.035, 0.045) + noise(400, 0.005)
    found = judge(before, after, groups)
    assert found.verdict is Verdict.MOVED
    assert GainReasonKind.LOSS_BEYOND_MARGIN in {reason.kind for reason in found.pairs[0].reasons}


@pytest.mark.parametrize("which", ["second", "both", "baseline"])
def test_a_model_that_fails_everybody_comes_before_fairness(which: str) -> None:
    works, groups = cohort((40, 40), (0.92, 0.86))
    fails, _ = cohort((40, 40), (0.08, 0.08), seed=5)
    before = works if which == "second" else fails
    after = works + 0.03 * (groups == 1) if which == "baseline" else fails
    found = judge(before, after, groups)
    assert found.verdict is (Verdict.NOT_JUDGED if which == "baseline" else Verdict.FAILS)
    assert {one.group for one in found.baseline_failing} == (set() if which == "second" else {"", "A", "B"})
    assert not any(row.verdict.green for row in found.pairs[0].rows)


def test_a_model_that_fails_for_one_group_only() -> None:
    before, groups = cohort((60, 40, 30), (0.92, 0.9, 0.86))
    after = np.where(groups == 2, 0.3, before + 0.01)
    found = judge(before, after, groups, names=("A", "B", "C"))
    assert found.verdict is Verdict.FAILS
    assert [(one.attribute, one.group, one.failures) for one in found.failing] == [("group", "C", 30)]
    assert {pair.second: pair.verdict is Verdict.FAILS for pair in found.pairs} == {"B": False, "C": True}
    # A baseline that failed a group may be mended.
    mended = judge(after, before, groups, names=("A", "B", "C"))
    assert mended.pair("group", "A", "C").verdict is Verdict.FAIRER


@pytest.mark.parametrize(
    ("failing", "groups_that_fail"),
    [
        ((6, 10), {"B"}),
        ((6, 10, 6, 6, 6, 6), set()),
        ((6, 11, 6, 6, 6, 6), {"B"}),
        ((8, 8, 9, 8, 8, 9), {""}),
    ],
)
def test_a_second_model_is_not_said_to_fail_for_one_of_many_groups_by_chance(
    failing: Sequence[int], groups_that_fail: set[str]
) -> None:
    before, groups = cohort([12] * len(failing), [0.9] * len(failing))
    bad = np.concatenate([np.arange(12) < count for count in failing])
    after = np.where(bad, 0.3, before)
    found = judge(before, after, groups, names="ABCDEF"[: len(failing)])
    assert {one.group for one in found.failing} == groups_that_fail
    assert (found.verdict is Verdict.FAILS) == bool(groups_that_fail)


def test_everybody_losing_is_no_same() -> None:
    before, groups = cohort((100, 100), (0.92, 0.88))
    after = before - 0.08 + noise(200, 0.005)
    found = judge(before, after, groups)
    assert found.verdict is Verdict.HARM
    assert found.pairs[0].rows[0].inside
    assert found.change("group", "A").change.high < -0.07


def structures(groups: npt.NDArray[np.int64], seed: int = 3) -> tuple[Floats, Floats]:
    """Return overall, LV and RV of two models; the second closes the gap of all but what a test changes."""
    base, _ = cohort(np.bincount(groups), (0.92, 0.87), seed=seed)
    before = base[:, None] + noise((groups.size, 3), 0.01)
    after = before + 0.03 * (groups == 1)[:, None] + noise((groups.size, 3), 0.005, 2)
    return before, after


def test_harm_in_one_structure_turns_praise() -> None:
    groups = np.repeat([0, 1], [60, 40])
    before, after = structures(groups)
    assert judge(before, after, groups).verdict is Verdict.FAIRER
    after[60:68, 2] = 0.0
    found = judge(before, after, groups)
    assert found.verdict is Verdict.HARM
    assert {row.structure for row in found.shown_harm} == {"RV"}


def test_a_gap_that_widens_in_one_structure_turns_praise() -> None:
    groups = np.repeat([0, 1], [60, 40])
    before, after = structures(groups)
    after[groups == 1, 2] -= 0.08
    found = judge(before, after, groups)
    assert found.verdict is Verdict.LESS_FAIR
    assert ("RV", Endpoint.TYPICAL) in {(row.structure, row.endpoint) for row in found.pairs[0].decided_by}
    assert found.pairs[0].rows[0].verdict is Verdict.MOVED  # shown by itself as fairer, but no praise


def test_an_over_correction_in_one_structure_turns_praise() -> None:
    groups = np.repeat([0, 1], [60, 60])
    before, after = structures(groups)
    after[groups == 1, 1] += 0.08
    assert judge(before, np.clip(after, 0, 1), groups).verdict is Verdict.OVERCORRECTED


def test_a_structure_that_alone_improves_is_no_praise() -> None:
    groups = np.repeat([0, 1], [60, 40])
    before, after = structures(groups)
    after[:, :2] = before[:, :2] + noise((100, 2), 0.03, 7)
    assert judge(before, after, groups).verdict is Verdict.MOVED


def test_harm_in_a_third_group_turns_praise() -> None:
    before, groups = cohort((100, 60, 40), (0.92, 0.88, 0.92))
    after = before + 0.03 * (groups == 1) + noise(200, 0.005)
    assert judge(before, after, groups, names=("A", "B", "C")).verdict is Verdict.FAIRER
    after[160:169] = 0.3
    found = judge(before, after, groups, names=("A", "B", "C"))
    assert found.verdict is Verdict.HARM
    assert {row.group for row in found.shown_harm} == {"C"}
    assert found.pair("group", "A", "B").verdict is Verdict.MOVED  # the lowest of C fell


def test_harm_by_another_attribute_turns_praise() -> None:
    before, groups = cohort((100, 100), (0.92, 0.87))
    site = np.tile([0, 1, 1, 1], 50)
    after = before + 0.04 * groups + noise(200, 0.005)
    after[np.flatnonzero(site == 0)[::4]] = 0.2
    found = judge_gains(
        before[:, None],
        {"new": after[:, None]},
        [Grouping("sex", ("M", "F"), groups, 0), Grouping("site", ("S", "T"), site)],
        options=OPTIONS,
    ).of("new")
    assert found.verdict is Verdict.HARM
    assert ("site", "S") in {(row.attribute, row.group) for row in found.shown_harm}


def test_over_correction_only_beyond_the_margin() -> None:
    before, groups = cohort((300, 300), (0.92, 0.88))
    slightly = before + 0.046 * (groups == 1) + noise(600, 0.004)
    found = judge(before, slightly, groups)
    assert found.pairs[0].rows[0].gap_after.interval.high < 0.005
    assert found.verdict is Verdict.FAIRER
    far = judge(before, before + 0.08 * (groups == 1) + noise(600, 0.004), groups)
    assert far.verdict is Verdict.OVERCORRECTED
    assert far.pairs[0].rows[0].reverse_bound == pytest.approx(0.043, abs=0.005)


def test_a_gap_that_opens_is_less_fair() -> None:
    before, groups = cohort((100, 100), (0.9, 0.9))
    after = before + np.where(groups == 0, 0.04, 0.0) + noise(200, 0.01)
    assert judge(before, after, groups).verdict is Verdict.LESS_FAIR


def test_rescued_failures_are_fairer_though_medians_agree() -> None:
    after, groups = cohort((100, 100), (0.92, 0.92))
    before = after.copy()
    before[100:125] = np.linspace(0.1, 0.4, 25)
    found = judge(before, after + noise(200, 0.004), groups)
    assert found.verdict is Verdict.FAIRER
    assert Endpoint.FAILURES in {row.endpoint for row in found.pairs[0].decided_by}


# ------------------------------------------------------------------ who takes part
def test_small_groups_are_named_and_their_failures_bar_praise() -> None:
    before, groups = cohort((100, 60, 6), (0.92, 0.87, 0.9))
    after = before + 0.04 * (groups == 1) + noise(166, 0.005)
    names = ("A", "B", "C")
    found = judge(before, after, groups, names=names)
    assert found.verdict is Verdict.FAIRER
    assert found.pair("group", "A", "C").verdict is Verdict.NOT_JUDGED
    assert [(one.group, one.structure, one.n) for one in found.unjudged] == [("C", "Overall", 6)]
    after[-4:] = 0.2
    found = judge(before, after, groups, names=names)
    assert found.verdict is Verdict.MOVED
    assert found.change("group", "C").newly_failing == 4
    assert GainReasonKind.SMALL_GROUP_FAILS in {one.kind for one in found.pair("group", "A", "B").reasons}


def test_a_model_that_fails_for_all_together_fails_for_every_pair() -> None:
    before, groups = cohort((30, 30, 120), (0.92, 0.88, 0.9))
    groups[60:] = -1
    after = np.where(groups == -1, 0.1, before)
    found = judge(before, after, groups)
    assert [(one.attribute, one.group) for one in found.failing] == [("", "")]
    assert [pair.verdict for pair in found.pairs] == [Verdict.FAILS]


def test_a_structure_that_a_group_has_too_little_of_bars_praise() -> None:
    before, groups = cohort((100, 60, 60), (0.92, 0.87, 0.87))
    before = np.column_stack([before] * 3)
    before[165:, 2] = np.nan  # five of C have it
    after = before + (0.04 * (groups > 0) + noise(220, 0.005))[:, None]
    found = judge(before, after, groups, names=("A", "B", "C"))
    kind = GainReasonKind.UNJUDGED_STRUCTURE
    named = {
        group: [
            (one.group, one.structure) for one in found.pair("group", "A", group).reasons if one.kind is kind
        ]
        for group in ("B", "C")
    }
    assert named == {"B": [], "C": [("C", "RV")]}
    reasons = found.pair("group", "A", "C").reasons
    assert (GainReasonKind.UNPAIRED, "C", "RV") in {(one.kind, one.group, one.structure) for one in reasons}
    assert not any(pair.verdict.green for pair in found.pairs)


@pytest.mark.parametrize(
    ("gap", "change"), [(0.06, (-0.003, 0.0)), (0.05, (0.053, 0.05)), (0.0, (0.0, -0.004))]
)
def test_nothing_is_held_against_a_change_within_the_margin(gap: float, change: tuple[float, float]) -> None:
    before, groups = cohort((60, 60), (0.92, 0.92 - gap))
    after = before + np.asarray(change)[groups] + noise(120, 0.003)
    found = judge(before, after, groups)
    assert found.pairs[0].rows[0].shown
    assert found.pairs[0].rows[0].inside
    assert found.verdict in (Verdict.OPEN, Verdict.MOVED)


@pytest.mark.parametrize("seed", range(5))
def test_a_gap_that_did_not_follow_the_gains_is_not_called_narrower(seed: int) -> None:
    """Most of B gain a little and 30% lose much more: the shift between gains favours B, its mean fell."""
    before, groups = cohort((100, 60), (0.92, 0.85), seed=seed)
    loses = (groups == 1) & (np.arange(160) % 10 < 3)
    after = before + 0.03 * (groups == 1) - 0.12 * loses + noise(160, 0.01, seed)
    assert judge(before, after, groups).verdict is not Verdict.FAIRER


@pytest.mark.parametrize("sizes", [(30, 30), (54, 30), (100, 12)])
def test_the_loss_of_the_group_ahead_alone_is_no_way_to_be_fairer(sizes: tuple[int, int]) -> None:
    verdicts = []
    for seed in range(8):
        before, groups = cohort(sizes, (0.92, 0.86), 0.03, seed)
        after = before - 0.03 * (groups == 0) + noise(sum(sizes), 0.03, seed)
        verdicts.append(judge(before, after, groups).verdict)
    assert Verdict.FAIRER not in verdicts
    before, groups = cohort((54, 30), (0.92, 0.86), 0.03)
    found = judge(before, before - 0.03 * (groups == 0) + noise(84, 0.03, 5), groups)
    kinds = {one.kind for one in found.pairs[0].reasons}
    assert (GainReasonKind.LOSS_ALONE in kinds) or found.verdict is Verdict.LEVELS_DOWN


@pytest.mark.parametrize(("small", "large", "repaired"), [(12, 400, 80), (10, 40, 10), (15, 400, 60)])
def test_failures_that_are_repaired_in_one_group_leave_others_their_level(
    small: int, large: int, repaired: int
) -> None:
    """A deal that leaves none of the repaired in the small group is no extreme one: levels fell to 0."""
    rng = np.random.default_rng(1)
    groups = np.repeat([0, 1], [small, large])
    after = np.clip(rng.normal(0.88, 0.03, small + large), 0, 1)
    before = np.clip(after + rng.normal(0, 0.01, small + large), 0, 1)
    before[small : small + repaired] = rng.uniform(0.1, 0.4, repaired)
    for first, second in ((before, after), (after, before)):
        assert judge(first, second, groups).pairs[0].rows[0].level < 0.99


@pytest.mark.parametrize("sizes", [(400, 12), (1000, 100, 20)])
def test_a_structure_that_is_often_perfect_hides_no_gain_of_another(sizes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(3)
    heart, groups = cohort(sizes, [0.91, *[0.86] * (len(sizes) - 1)], 0.03)
    lesion = np.where(rng.random(groups.size) < 0.9, 1.0, rng.uniform(0.6, 0.9, groups.size))
    before = np.column_stack([(heart + lesion) / 2, heart, lesion])
    gain = 0.04 * (groups == 1) + rng.normal(0, 0.01, groups.size)
    after = np.where(lesion < 1, lesion + rng.normal(0, 0.02, groups.size), 1.0)
    after = np.column_stack([(heart + gain + after) / 2, heart + gain, after])
    pair, *_ = judge(before.clip(0, 1), after.clip(0, 1), groups, names="ABC"[: len(sizes)]).pairs
    row = next(one for one in pair.rows if (one.structure, one.endpoint) == ("LV", Endpoint.TYPICAL))
    assert row.shown
    assert 0.02 < row.gain.low < row.gain.high < 0.06


def test_limits_have_a_level_below_one_however_small_chance_makes_p(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gain_tests, "local_level", lambda *_: 1e-17)
    before, groups = cohort((40, 30), (0.90, 0.86))
    (pair,) = judge(before, before + noise(70, 0.01), groups).pairs
    assert not any(row.shown for row in pair.rows)
    assert all(0.99 < row.level < 1 for row in pair.rows)


def test_no_pair_is_fairer_where_another_gap_is_now_the_largest() -> None:
    """B gains .045, and C, of whom too few are there to show it, loses: the largest gap is that of C now."""
    rng = np.random.default_rng(2)
    groups = np.repeat([0, 1, 2], [100, 60, 14])
    before = np.select([groups == 0, groups == 1], [0.92, 0.86], 0.868) + rng.normal(0, 0.02, 174)
    after = before + np.select([groups == 0, groups == 1], [0.0, 0.045], -0.02)
    after += rng.normal(0, np.where(groups == 2, 0.035, 0.01), 174)
    found = judge(before, after, groups, names=("A", "B", "C"))
    ours, other = found.pair("group", "A", "B"), found.pair("group", "A", "C")
    assert other.verdict is Verdict.OPEN
    assert other.rows[0].gap_after.shown
    assert abs(other.rows[0].gap_after.interval.estimate) > abs(ours.rows[0].gap_before.interval.estimate)
    assert (ours.verdict, found.verdict) == (Verdict.MOVED, Verdict.MOVED)
    assert (GainReasonKind.LARGEST_GAP, "C") in [(one.kind, one.group) for one in ours.reasons]
    alone = judge(before[:160], after[:160], groups[:160])
    assert alone.verdict is Verdict.FAIRER


@pytest.mark.parametrize(("size", "least"), [(100, 0.055), (40, 0.05)])
def test_no_pair_is_fairer_while_another_gap_is_left_as_large_as_the_largest_was(
    size: int, least: float
) -> None:
    """B gains .05, and C, as far behind or nearly, nothing."""
    before, groups = cohort((2 * size, size, size), (0.93, 0.87, 0.93 - least))
    after = before + 0.05 * (groups == 1) + noise(4 * size, 0.005)
    found = judge(before, after, groups, names=("A", "B", "C"))
    ours = found.pair("group", "A", "B")
    assert (ours.verdict, found.verdict) == (Verdict.MOVED, Verdict.MOVED)
    assert (GainReasonKind.LARGEST_GAP, "C") in [(one.kind, one.group) for one in ours.reasons]
    both = judge(before, after + 0.04 * (groups == 2), groups, names=("A", "B", "C"))
    assert both.verdict is Verdict.FAIRER


def test_a_gap_that_did_not_matter_is_not_over_corrected() -> None:
    """Of two groups .006 apart one gains .05: that opens a gap, and corrected none."""
    before, groups = cohort((300, 300), (0.875, 0.869), 0.01)
    found = judge(before, before + 0.05 * (groups == 1) + noise(600, 0.005), groups)
    assert found.pairs[0].rows[0].gap_before.shown
    assert found.verdict is Verdict.LESS_FAIR


@pytest.mark.parametrize("sizes", [(200, 200), (54, 30)])
@pytest.mark.parametrize("low", [0.4, 0.55])
def test_a_rescued_minority_of_the_group_behind_is_not_levelled_down(
    sizes: tuple[int, int], low: float
) -> None:
    """Three in ten of B rise to .85, which no median of sums holds, while A loses .03."""
    good, groups = cohort(sizes, (0.93, 0.86))
    before, after = good.copy(), good - 0.03 * (groups == 0) + noise(sum(sizes), 0.003)
    rescued = sizes[0] + np.arange(int(0.3 * sizes[1]))
    before[rescued], after[rescued] = low, 0.85
    found = judge(before + noise(sum(sizes), 0.01, 2), after, groups)
    assert found.verdict is Verdict.MOVED
    assert GainReasonKind.LOSS_BEYOND_MARGIN in {reason.kind for reason in found.pairs[0].reasons}


def test_who_failed_less_and_had_the_higher_mean_is_not_favoured_by_a_fairer_model() -> None:
    """A is typically behind and never fails, B is ahead and a fifth of it fails: A gains."""
    before, groups = cohort((200, 200), (0.85, 0.89), 0.03)
    before[200:240] = np.linspace(0.2, 0.45, 40)
    found = judge(before, before + 0.035 * (groups == 0) + noise(400, 0.01), groups)
    assert found.verdict is Verdict.MOVED
    ahead = {one.endpoint for one in found.pairs[0].reasons if one.kind is GainReasonKind.AHEAD_ELSEWHERE}
    assert ahead >= {Endpoint.TYPICAL, Endpoint.FAILURES}
    before[200:240] = before[240:280]
    assert judge(before, before + 0.035 * (groups == 0) + noise(400, 0.01), groups).verdict is Verdict.FAIRER


def test_a_typical_gain_of_who_is_behind_in_the_mean_is_not_less_fair() -> None:
    """B is typically ahead and a fifth of it fails: of them a third is rescued, and B gains."""
    before, groups = cohort((120, 120), (0.82, 0.845), 0.01)
    before[120:144] = np.linspace(0.2, 0.45, 24)
    after = before + np.where(groups == 1, 0.011, -0.012) + noise(240, 0.003)
    after[120:132] = 0.8
    found = judge(before, after, groups, reference=None)
    row = found.pairs[0].rows[0]
    assert row.still_behind
    assert row.shown
    assert abs(row.gap_after.interval.estimate) > 0.04 > abs(row.gap_before.interval.estimate)
    assert found.verdict not in AGAINST
    assert GainReasonKind.BEHIND_IN_MEAN in {one.kind for one in found.pairs[0].reasons}
    before[120:144], after[120:144] = before[144:168], after[144:168]
    assert judge(before, after, groups, reference=None).verdict is Verdict.LESS_FAIR


def test_a_gap_that_does_not_matter_is_less_fair_to_nobody() -> None:
    before, groups = cohort((150, 150), (0.9, 0.9), 0.01)
    found = judge(before, before + 0.017 * (groups == 0) + noise(300, 0.02, 6), groups)
    row = found.pairs[0].rows[0]
    assert row.shown
    assert not row.inside
    assert abs(row.gap_after.interval.estimate) < row.margin
    assert found.verdict is Verdict.OPEN


def test_a_wider_gap_is_no_verdict_where_the_largest_one_shrank_by_more() -> None:
    """A gains .02, B .08, and C, ahead of A and B, nothing; then A gains as C does."""
    before, groups = cohort((100, 100, 100), (0.85, 0.80, 0.93), 0.01)
    more = np.array([0.05, 0.08, 0.0])[groups]
    names = ("A", "B", "C")
    found = judge(before, before + more + noise(300, 0.003), groups, names=names, reference=None)
    assert found.verdict is Verdict.FAIRER
    more = np.array([0.08, 0.05, 0.0])[groups]
    found = judge(before, before + more + noise(300, 0.003), groups, names=names, reference=None)
    pair = found.pair("group", "A", "B")
    assert (pair.verdict, pair.outweighed) == (Verdict.LESS_FAIR, True)
    assert found.verdict is Verdict.MOVED
    spoken = found.pair_of("group")
    assert spoken is not None
    assert spoken.verdict is Verdict.MOVED
    assert GainReasonKind.WIDER_ELSEWHERE in {one.kind for one in spoken.reasons}
    more = np.array([0.08, -0.01, 0.0])[groups]  # B lost
    found = judge(before, before + more + noise(300, 0.003), groups, names=names, reference=None)
    assert found.verdict in AGAINST


def failing_cohort(before: Sequence[int], after: Sequence[int], n: int) -> tuple[Any, Any, Any]:
    """Of each group of n, so many fail with either model, those of the second among those of the first."""
    good, groups = cohort((n,) * len(before), (0.9,) * len(before), 0.01)
    scores = [good.copy(), good + noise(good.size, 0.003)]
    for group, counts in enumerate(zip(before, after, strict=True)):
        for model, count in zip(scores, counts, strict=True):
            model[group * n : group * n + count] = np.linspace(0.1, 0.4, max(counts))[:count]
    return *scores, groups


@pytest.mark.parametrize("n", [100, 200])
def test_a_gap_in_failures_that_is_new_is_less_fair_whoever_was_one_subject_ahead(n: int) -> None:
    """All of A are repaired and none of B, who failed as often, or one less or more."""
    number = {100: 13, 200: 17}[n]
    for more in (-1, 0, 1, 2):
        found = judge(*failing_cohort((number + more, number), (0, number), n), reference=None)
        assert found.verdict is Verdict.LESS_FAIR, more


def test_a_new_gap_of_a_third_group_is_named_whatever_the_groups_are_called() -> None:
    shares = {"x": (22, 0), "y": (22, 22), "z": (60, 18)}
    verdicts = set()
    for order in itertools.permutations(shares):
        counts = [shares[one] for one in order]
        made = failing_cohort([one for one, _ in counts], [one for _, one in counts], 150)
        found = judge(*made, names=("A", "B", "C"), reference=None)
        verdicts.add(found.verdict)
        spoken = found.pair_of("group")
        assert spoken is not None
        (reason,) = (one for one in spoken.reasons if one.kind is GainReasonKind.WIDER_ELSEWHERE)
        assert {order["ABC".index(one)] for one in (reason.group, reason.beside)} == {"x", "y"}
    assert verdicts == {Verdict.MOVED}


def test_a_gap_of_a_third_group_that_grew_bars_fairer_though_it_turned_round() -> None:
    """A is repaired, and was behind B by a few; C gains most."""
    names = ("A", "B", "C")
    found = judge(*failing_cohort((20, 14, 50), (0, 14, 10), 120), names=names, reference=None)
    pair = found.pair("group", "A", "B")
    assert Verdict.LESS_FAIR not in {row.verdict for row in pair.rows}
    assert found.verdict is Verdict.MOVED
    spoken = found.pair_of("group")
    assert spoken is not None
    (reason,) = (one for one in spoken.reasons if one.kind is GainReasonKind.GROWN_ELSEWHERE)
    assert (reason.beside, reason.group) == ("A", "B")


def test_another_attribute_that_is_less_fair_is_the_verdict_where_the_first_is_open() -> None:
    before, groups = cohort((150, 150), (0.9, 0.9), 0.02)
    sex = np.arange(300) % 2
    after = before - 0.03 * sex + noise(300, 0.003)
    attributes = [
        Grouping("group", ("A", "B"), groups, None),
        Grouping("sex", ("F", "M"), sex, None),
    ]
    found = judge_gains(before[:, None], {"new": after[:, None]}, attributes, structures=("Overall",))
    (model,) = found.models
    assert model.attribute_verdicts["group"] is Verdict.OPEN
    assert model.verdict in (Verdict.LESS_FAIR, Verdict.HARM)
    assert model.decisive == "sex"


def test_who_is_ahead_in_the_mean_now_is_not_favoured_by_a_fairer_model() -> None:
    """B was typically behind, and level in the mean, as some of A fail."""
    before, groups = cohort((300, 300), (0.90, 0.86), 0.01)
    before[:20] = np.linspace(0.1, 0.4, 20)
    found = judge(before, before + 0.033 * (groups == 1) + noise(600, 0.003), groups)
    row = found.pairs[0].rows[0]
    assert row_verdict(row) is Verdict.FAIRER
    assert row.mean_gaps is not None
    assert row.mean_gaps[0].low < 0.02
    assert row.mean_gaps[1].high < 0
    assert found.verdict is Verdict.MOVED


def test_nothing_is_lost_on_balance_where_mean_and_median_rose() -> None:
    before, groups = cohort((400, 400), (0.92, 0.80))
    risen = np.arange(800) % 5 < 3
    found = judge(before, before + (groups == 1) * np.where(risen, 0.08, -0.093) + noise(800, 0.002), groups)
    change = found.change("group", "B", "Overall")
    assert change.change.estimate < 0 < change.mean_change.estimate
    assert change.change.low < 0 < change.change.high


@pytest.mark.parametrize("share", [0.22, 0.2])
def test_a_group_whose_mean_rose_is_not_worse_off_for_its_typical_loss(share: float) -> None:
    good, groups = cohort((400, 400), (0.92, 0.85))
    before, after = good.copy(), good - 0.027 * (groups == 1) + noise(800, 0.003)
    risen = 400 + np.arange(int(400 * share))
    before[risen], after[risen] = good[risen] - 0.3, good[risen]
    found = judge(before, after, groups)
    change = found.change("group", "B")
    assert change.change.high < -0.02
    assert change.mean_change.low > 0
    assert found.verdict is Verdict.OPEN
    assert judge(good, after - 0.001, groups).verdict is Verdict.LESS_FAIR  # without them


@pytest.mark.parametrize(("sizes", "share"), [((200, 100), 5), ((200, 200), 4), ((30, 30), 5)])
def test_the_lowest_of_a_group_that_lost_bar_praise(sizes: tuple[int, int], share: int) -> None:
    """They were among the hardest tenth before, lose less than .10 and fail with neither model."""
    before, groups = cohort(sizes, (0.92, 0.82), 0.03)
    number = sizes[1] // share
    lowest = sizes[0] + np.argsort(before[groups == 1])[:number]
    after = before + 0.05 * (groups == 1)
    after[lowest] = before[lowest] - 0.093
    found = judge(before, after + noise(sum(sizes), 0.002), groups)
    change = found.change("group", "B")
    assert change.n_lowest == max(5, sizes[1] // 10)
    mean = [np.sort(one[groups == 1])[: change.n_lowest].mean() for one in (before, after)]
    assert change.lowest.estimate == pytest.approx(mean[1] - mean[0], abs=0.02)
    assert found.verdict is Verdict.MOVED
    assert GainReasonKind.LOWEST_LOST in {reason.kind for reason in found.pairs[0].reasons}


def test_the_lowest_of_a_third_group_that_lost_bar_praise_for_all() -> None:
    before, groups = cohort((100, 100, 100), (0.92, 0.86, 0.90), 0.02)
    after = before + 0.05 * (groups == 1) + noise(300, 0.003)
    lowest = 200 + np.argsort(before[200:])[:15]
    before[lowest] -= 0.2
    after[lowest] = before[lowest] - 0.09
    found = judge(before, after, groups, names=("A", "B", "C"))
    assert found.pair("group", "A", "B").verdict is Verdict.MOVED
    assert found.verdict is not Verdict.FAIRER


def test_no_pair_is_fairer_in_failures_alone_where_a_typical_gap_is_left() -> None:
    """A quarter of B no longer fails, of C none did, and C is as far behind as before."""
    before, groups = cohort((120, 120, 120), (0.93, 0.86, 0.86))
    after = before + 0.05 * (groups == 1) + noise(360, 0.005)
    before[120:150] = 0.3
    found = judge(before, after, groups, names=("A", "B", "C"))
    assert Endpoint.FAILURES in {row.endpoint for row in found.pair("group", "A", "B").rows if row.shown}
    assert found.verdict is Verdict.MOVED
    reasons = [(one.kind, one.group) for one in found.pair("group", "A", "B").reasons]
    assert (GainReasonKind.LARGEST_GAP, "C") in reasons


def test_where_the_largest_gap_is_open_the_pair_that_gained_is_spoken_of() -> None:
    """Of B, the furthest behind, too few are there; C gains."""
    rng = np.random.default_rng(3)
    before, groups = cohort((150, 12, 100), (0.93, 0.85, 0.88))
    after = before + 0.045 * (groups == 2) + noise(262, 0.004)
    after[150:162] = before[150:162] + rng.normal(0, 0.025, 12)
    found = judge(before, after, groups, names=("A", "B", "C"))
    assert found.pair("group", "A", "B").verdict is Verdict.OPEN
    assert found.verdict is Verdict.MOVED
    spoken = found.pair_of("group")
    assert spoken is not None
    assert (spoken.second, spoken.verdict) == ("C", Verdict.MOVED)
    assert (GainReasonKind.LARGEST_GAP, "B") in [(one.kind, one.group) for one in spoken.reasons]


def test_a_group_whose_mean_rose_did_not_level_down() -> None:
    """Of the group ahead a sixth gains .38 and all others lose .03."""
    before, groups = cohort((150, 150), (0.93, 0.87), 0.015)
    after = before - 0.03 * (groups == 0) + noise(300, 0.003)
    before[:26] -= 0.38
    after[:26] = 0.93
    found = judge(before, after, groups)
    assert found.change("group", "A").mean_change.low > 0
    assert found.verdict is not Verdict.LEVELS_DOWN


def test_possible_harm_bars_no_relevant_change() -> None:
    before, groups = cohort((400, 150), (0.84, 0.84))
    after = before + noise(550, 0.002)
    assert judge(before, after, groups).verdict is Verdict.SAME
    after[400:404] -= 0.33  # .51 or more is left
    found = judge(before, after, groups)
    assert found.verdict is Verdict.OPEN
    assert GainReasonKind.POSSIBLE_HARM in {reason.kind for reason in found.pairs[0].reasons}


def test_who_lost_and_is_behind_now_is_worse_off_where_nobody_gained() -> None:
    before, groups = cohort((60, 60), (0.885, 0.92), 0.01)
    found = judge(before, before - 0.09 * (groups == 1) + noise(120, 0.005), groups)
    assert row_verdict(found.pairs[0].rows[0]) is Verdict.OVERCORRECTED
    assert found.verdict is Verdict.HARM


@pytest.mark.parametrize("towards", [-1, 1])
def test_a_change_of_a_structure_that_is_too_small_to_matter_decides_nothing(towards: int) -> None:
    before, groups = cohort((30, 30), (0.92, 0.89))
    before = np.column_stack([before] * 3)
    after = before + noise((60, 3), 0.002)
    after[:, 1] += towards * 0.006 * (groups > 0)  # limits of failures are wider than their margin
    found = judge(before, after, groups)
    row = next(one for one in found.pairs[0].rows if one.structure == "LV")
    assert row.shown
    assert row.inside
    assert row.verdict is Verdict.SAME
    assert found.verdict is Verdict.OPEN


def test_a_structure_that_a_model_has_of_nobody_is_one_reason() -> None:
    before, groups = cohort((100, 60), (0.92, 0.87))
    before = np.column_stack([before] * 3)
    after = before + (0.04 * (groups > 0) + noise(160, 0.005))[:, None]
    after[:, 2] = np.nan
    found = judge(before, after, groups)
    reasons = [(one.kind, one.group, one.structure) for one in found.pairs[0].reasons]
    assert found.verdict is Verdict.MOVED
    assert reasons == [(GainReasonKind.DROPPED_STRUCTURE, None, "RV")]
    after[:, 2], before[:, 2] = before[:, 2], np.nan  # the baseline lacks it: nothing was lost
    assert judge(before, after, groups).verdict is Verdict.FAIRER


@pytest.mark.parametrize("lacking", [60, 30])
def test_a_structure_of_one_model_only_leaves_nobody_unpaired(lacking: int) -> None:
    """RV is new, and lacking in the second group: nobody has it with both, the first group least of all."""
    before, groups = cohort((60, 60), (0.92, 0.87))
    before = np.column_stack([before] * 3)
    after = before + noise(120, 0.005)[:, None]
    before[:, 2] = np.nan
    after[60 : 60 + lacking, 2] = np.nan
    found = judge(before, after, groups)
    assert GainReasonKind.UNPAIRED not in {one.kind for one in found.pairs[0].reasons}
    for group in ("A", "B"):
        assert (found.change("group", group).partly, found.change("group", group).n) == (0, 60)


def test_a_group_of_which_half_gained_and_half_lost_is_not_said_to_be_as_it_was() -> None:
    before, groups = cohort((60, 60), (0.85, 0.85))
    after = before + np.where(groups == 1, np.tile([0.08, -0.08], 60), 0.0)
    still, split = (judge(before, after, groups).change("group", group) for group in ("A", "B"))
    assert tuple(still.change) == (0.0, 0.0, 0.0)
    assert tuple(split.change) == pytest.approx((0.0, -0.08, 0.08))
    assert still.harmless
    assert not split.harmless


def test_the_group_behind_gained_more_where_the_other_may_be_behind_now() -> None:
    before, groups = cohort((60, 25), (0.92, 0.87), seed=3)
    after = before + (0.075 + noise(85, 0.05, seed=4)) * (groups == 1)
    row = judge(before, after, groups).pairs[0].rows[0]
    assert row.shown
    assert row.gap_before.shown
    assert row.narrowing.low < 0 < row.narrowing.high
    assert row.reverse_bound > row.margin
    assert row.verdict is Verdict.MOVED


def test_cases_that_one_group_lost_bar_praise() -> None:
    before, groups = cohort((100, 60), (0.92, 0.87))
    after = before + 0.04 * (groups == 1) + noise(160, 0.005)
    for lost, verdict in (((12, 12), Verdict.FAIRER), ((0, 12), Verdict.MOVED)):
        grouping = Grouping("group", ("A", "B"), groups, 0, lost=((lost[0], 100), (lost[1], 60), (0, 0)))
        scores = before[:, None], {"new": after[:, None]}
        (pair,) = judge_gains(*scores, [grouping], structures=("Overall",), options=OPTIONS).of("new").pairs
        assert pair.verdict is verdict
        named = [one.group for one in pair.reasons if one.kind is GainReasonKind.LOST_CASES]
        assert named == (["B"] if lost == (0, 12) else [])


@pytest.mark.parametrize(
    ("small_before", "small_after", "barred"),
    [
        ([0.9] * 6, [0.2] * 2 + [0.9] * 4, True),
        ([0.9] * 6, [0.2] + [0.9] * 5, False),  # of one nothing is said
        ([0.9] * 3 + [0.2] * 3, [0.2] * 2 + [0.9] * 4, False),  # two newly fail, three no longer do
        ([0.9] * 6, [0.7] * 2 + [0.9] * 4, True),  # none fails, two lost much
        ([0.9] * 4 + [0.7] * 2, [0.7] * 2 + [0.9] * 4, False),
    ],
)
def test_two_more_of_a_small_group_harmed_than_helped_bar_praise(
    small_before: list[float], small_after: list[float], barred: bool
) -> None:
    before, groups = cohort((100, 60, 6), (0.92, 0.87, 0.9))
    after = before + 0.04 * (groups == 1) + noise(166, 0.005)
    before[160:], after[160:] = small_before, small_after
    pair = judge(before, after, groups, names=("A", "B", "C")).pair("group", "A", "B")
    assert pair.verdict is (Verdict.MOVED if barred else Verdict.FAIRER)
    assert (GainReasonKind.SMALL_GROUP_FAILS in {one.kind for one in pair.reasons}) is barred


def test_harm_that_is_nearly_shown_bars_praise() -> None:
    before, groups = cohort((100, 100), (0.92, 0.88))
    after = before + 0.035 * (groups == 1) + noise(200, 0.003)
    after[100:104] = 0.3
    found = judge(before, after, groups)
    assert not found.shown_harm
    assert found.verdict is Verdict.MOVED
    assert {(one.kind, one.group) for one in found.pairs[0].reasons} == {
        (GainReasonKind.POSSIBLE_HARM, "B"),
        (GainReasonKind.LOWEST_LOST, "B"),
    }


def test_a_group_without_any_second_score_is_not_passed_over() -> None:
    before, groups = cohort((100, 100, 30), (0.92, 0.88, 0.9))
    after = before + 0.035 * (groups == 1) + noise(230, 0.003)
    after[200:] = np.nan
    found = judge(before, after, groups, names=("A", "B", "C"))
    assert found.verdict is Verdict.MOVED
    (reason,) = found.pair("group", "A", "C").reasons
    assert (reason.kind, reason.group) == (GainReasonKind.DROPPED_SUBJECTS, "C")


def test_subjects_without_a_second_score_are_counted_and_bar_praise() -> None:
    before, groups = cohort((100, 100), (0.92, 0.87))
    after = before + 0.04 * (groups == 1) + noise(200, 0.005)
    after[100:120] = np.nan
    before[0] = np.nan
    found = judge(before, after, groups)
    assert found.verdict is Verdict.MOVED
    change = found.change("group", "B")
    assert (change.n, change.missing_after, change.missing_before, change.dropped) == (80, 20, 0, 20)
    assert found.change("group", "A").missing_before == 1
    assert GainReasonKind.DROPPED_SUBJECTS in {one.kind for one in found.pairs[0].reasons}


def test_unknown_ids_take_no_part_and_nobody_judged_is_not_judged() -> None:
    before, groups = cohort((30, 30, 40), (0.92, 0.87, 0.1))
    after = before + 0.04 * (groups == 1) + noise(100, 0.005)
    known = np.where(groups == 2, -1, groups)
    found = judge(before, after, known)
    assert [change.n for change in found.changes] == [30, 30]
    lonely = judge(before[:35], after[:35], groups[:35])
    assert lonely.verdict is Verdict.NOT_JUDGED
    pair = lonely.pair_of(lonely.decisive)
    assert pair is not None
    assert pair.rows == ()


@pytest.mark.parametrize("reference", [0, 1])
def test_harm_is_found_where_there_is_nobody_to_compare_with(reference: int) -> None:
    before, groups = cohort((4, 100), (0.92, 0.9))
    after = before + noise(104, 0.005)
    assert judge(before, after, groups, reference=reference).verdict is Verdict.NOT_JUDGED
    after[4:14] = 0.2
    found = judge(before, after, groups, reference=reference)
    assert found.verdict is Verdict.HARM
    after[4:] = 0.2
    assert judge(before, after, groups, reference=reference).verdict is Verdict.FAILS
    assert judge(before[4:], after[4:], groups[4:]).verdict is Verdict.FAILS


def test_many_groups_without_a_reference_are_compared_with_all_others() -> None:
    before, groups = cohort((14,) * 9, (0.92, *(0.9,) * 8))
    after = before + noise(groups.size, 0.003)
    names = tuple("ABCDEFGHI")
    found = judge(before, after, groups, names=names, reference=None)
    assert {pair.first for pair in found.pairs} == {"all others"}
    assert {pair.second for pair in found.pairs} == set(names)
    first = found.pair("group", "all others", "A").rows[0]
    assert (first.n_first, first.n_second) == (112, 14)


# ------------------------------------------------------------------ numbers
def test_numbers_of_a_row_are_those_of_independent_oracles() -> None:
    before, groups = cohort((54, 30), (0.92, 0.88), spread=0.04, seed=4)
    after = np.clip(before + 0.02 * (groups == 1) + noise(84, 0.03), 0, 1)
    row = judge(before, after, groups).pairs[0].rows[0]
    gains = after - before
    a, b = groups == 0, groups == 1
    assert row.p == pytest.approx(stats.brunnermunzel(gains[b], gains[a]).pvalue, rel=1e-6)
    assert row.gap_before.p == pytest.approx(stats.brunnermunzel(before[a], before[b]).pvalue, rel=1e-6)
    assert row.gain.estimate == pytest.approx(np.median(gains[b][:, None] - gains[a]), abs=2e-4)
    assert row.gap_after.interval.estimate == pytest.approx(np.median(after[a][:, None] - after[b]), abs=2e-4)
    # The limits are the shifts at which the test stops to accept.
    for limit in row.gain[1:]:
        assert stats.brunnermunzel(gains[b] - limit, gains[a]).pvalue == pytest.approx(
            1 - row.level, abs=2e-3
        )


def test_exchanging_models_or_groups_turns_every_number_round() -> None:
    before, groups = cohort((54, 30), (0.92, 0.89), spread=0.03, seed=6)
    after = np.clip(before + 0.03 * (groups == 1) + noise(84, 0.02), 0, 1)
    there = judge(before, after, groups).pairs[0].rows[0]
    back = judge(after, before, groups).pairs[0].rows[0]
    other = judge(before, after, groups, reference=1).pairs[0].rows[0]
    for turned in (back.gain, other.gain):
        assert (-turned.estimate, -turned.high, -turned.low) == pytest.approx(tuple(there.gain), abs=1e-5)
    assert tuple(back.gap_before.interval) == pytest.approx(tuple(there.gap_after.interval))
    assert tuple(other.narrowing) == pytest.approx(tuple(there.narrowing), abs=1e-5)


def test_limits_and_corrected_p_values_never_contradict_each_other() -> None:
    for seed in range(8):
        before, groups = cohort((40, 25), (0.92, 0.9), spread=0.03, seed=seed)
        after = np.clip(before + 0.012 * (groups == 1) + noise(65, 0.02, seed), 0, 1).round(2)
        for row in judge(before.round(2), after, groups).pairs[0].rows:
            for shown, p, interval in (
                (row.shown, row.p_adjusted, row.gain),
                *((gap.shown, gap.p_adjusted, gap.interval) for gap in (row.gap_before, row.gap_after)),
            ):
                assert shown == (interval.low > 0 or interval.high < 0)
                assert p <= OPTIONS.alpha or not shown


def test_several_models_share_the_error() -> None:
    before, groups = cohort((54, 30), (0.92, 0.88))
    grouping = Grouping("group", ("A", "B"), groups, 0)
    after = [before + 0.03 * (groups == 1) + noise(84, 0.03, seed) for seed in range(3)]
    alone = judge_gains(before[:, None], {"0": after[0][:, None]}, [grouping], options=OPTIONS)
    models = {str(number): one[:, None] for number, one in enumerate(after)}
    together = judge_gains(before[:, None], models, [grouping], options=OPTIONS)
    assert [one.model for one in together.models] == ["0", "1", "2"]
    rows = [found.of("0").pairs[0].rows[0] for found in (alone, together)]
    assert rows[0].p == rows[1].p
    assert rows[0].level < rows[1].level
    assert rows[0].gap_before == rows[1].gap_before  # gaps are those of an audit of that model


def test_orders_of_subjects_and_names_do_not_matter_much() -> None:
    before, groups = cohort((54, 30), (0.92, 0.88))
    after = before + 0.03 * (groups == 1) + noise(84, 0.02)
    order = np.random.default_rng(0).permutation(84)
    one, two = judge(before, after, groups), judge(before[order], after[order], groups[order])
    assert one.verdict is two.verdict
    assert tuple(one.pairs[0].rows[0].equivalence) == pytest.approx(tuple(two.pairs[0].rows[0].equivalence))


# ------------------------------------------------------------------ within strata
SCANNER = np.repeat([0, 1, 0, 1], [90, 30, 30, 90])  # of 120 subjects of A, then of 120 of B


def test_gains_that_hide_behind_a_scanner_are_shown_within_strata() -> None:
    """In each scanner B gains .03 less than A, but B was mostly on the scanner whose images gained .06."""
    before, groups = cohort((120, 120), (0.90, 0.90))
    after = before + 0.06 * SCANNER - 0.03 * (groups == 1) + noise(240, 0.003)
    crude = judge(before, after, groups).pairs[0].rows[0]
    assert not crude.shown
    found = judge(before, after, groups, strata=SCANNER)
    assert found.verdict is Verdict.LESS_FAIR
    (row,) = found.pairs[0].decided_by
    assert row.adjusted
    assert row.gain.estimate == pytest.approx(-0.03, abs=1e-3)
    assert row.gain.high < 0
    within = found.pairs[0].within_strata(found.pairs[0].rows[0])
    assert row == within
    assert (row.n_first, row.n_second) == (120, 120)


def test_gains_of_one_group_in_each_scanner_show_no_direction() -> None:
    """A gains .03 in one scanner, B in the other, and a coin decides on the scanner: none gains more."""
    shown = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        before, groups = cohort((100, 100), (0.90, 0.87))
        scanner = rng.integers(0, 2, 200)
        after = before + np.where(scanner == groups, 0.03, 0.0) + rng.normal(0, 0.003, 200)
        (row,) = (
            row
            for row in judge(before, after, groups, strata=scanner).pairs[0].rows
            if row.adjusted and row.endpoint is Endpoint.TYPICAL
        )
        shown += row.shown
    assert shown <= 3


def test_what_is_fairer_among_all_but_not_among_those_who_are_alike_is_not_fairer() -> None:
    before, groups = cohort((120, 120), (0.92, 0.88))
    after = before + 0.04 * SCANNER + noise(240, 0.003)
    assert judge(before, after, groups).verdict is Verdict.FAIRER
    found = judge(before, after, groups, strata=SCANNER)
    assert found.verdict is Verdict.MOVED
    within = found.pairs[0].within_strata(found.pairs[0].rows[0])
    assert within is not None
    assert not within.shown


def test_what_is_fairer_among_those_who_are_alike_too_is_fairer() -> None:
    before, groups = cohort((120, 120), (0.92, 0.88))
    after = before + 0.04 * (groups == 1) + noise(240, 0.003)
    found = judge(before, after, groups, strata=SCANNER)
    assert found.verdict is Verdict.FAIRER
    rows = [row for row in found.pairs[0].rows if row.endpoint is Endpoint.TYPICAL]
    assert [row.adjusted for row in rows] == [False, True]
    assert [row.gain.estimate for row in rows] == pytest.approx([0.04, 0.04], abs=2e-3)


def test_an_attribute_that_is_held_fixed_is_judged_among_all_subjects() -> None:
    """Within a scanner there is no other scanner: what was gained by it can still be called fairer."""
    before, groups = cohort((120, 120), (0.92, 0.88))
    after = before + 0.04 * (groups == 1) + noise(240, 0.003)
    scanner = Grouping("scanner", ("X", "Y"), groups, held=True)
    found = judge_gains(before[:, None], {"model": after[:, None]}, [scanner], strata=groups).models[0]
    assert found.verdict is Verdict.FAIRER
    assert {row.adjusted for row in found.pairs[0].rows} == {False}
    assert GainReasonKind.STRATA not in {one.kind for one in found.pairs[0].reasons}


def test_a_constant_gain_in_each_stratum_is_found_whatever_the_strata_gain() -> None:
    before, groups = cohort((40, 40), (0.90, 0.85))
    scanner = np.tile([0, 1], 40)
    after = before + np.where(groups == 1, 0.02, 0.0) + 0.05 * scanner
    row = judge(before, after, groups, strata=scanner).pairs[0].rows[1]
    assert row.adjusted
    assert tuple(row.gain) == pytest.approx((0.02, 0.02, 0.02), abs=1e-4)


def test_a_model_against_itself_is_the_same_within_strata_too() -> None:
    before, groups = cohort((120, 120), (0.92, 0.88))
    found = judge(before, before, groups, strata=SCANNER)
    assert found.verdict is Verdict.SAME
    assert {tuple(row.gain) for row in found.pairs[0].rows} == {(0.0, 0.0, 0.0)}


def test_strata_that_are_too_small_leave_no_green_verdict() -> None:
    before, groups = cohort((120, 120), (0.92, 0.88))
    for after in (before, before + 0.04 * (groups == 1) + noise(240, 0.003)):
        found = judge(before, after, groups, strata=np.arange(240) % 120)
        assert not found.verdict.green
        assert not any(row.adjusted for row in found.pairs[0].rows)
        kinds = {reason.kind for reason in found.pairs[0].reasons}
        assert GainReasonKind.STRATA in kinds


def test_subjects_of_unknown_stratum_are_compared_in_no_stratum() -> None:
    before, groups = cohort((120, 120), (0.92, 0.88))
    after = before + 0.04 * (groups == 1) + noise(240, 0.003)
    known = np.where(np.arange(240) % 10 == 0, -1, SCANNER)
    row = judge(before, after, groups, strata=known).pairs[0].rows[1]
    assert (row.adjusted, row.n_first, row.n_second) == (True, 108, 108)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strata": np.zeros(20)}, "strata must be integers"),
        ({"models": {}}, "models must name at least one model"),
        ({"groupings": []}, "groupings must hold at least one attribute"),
        ({"models": {"new": np.zeros((19, 1))}}, r"models\['new'\] must have the baseline's shape \(20, 1\)"),
        ({"models": {"new": np.full((20, 1), np.inf)}}, r"must have no infinite scores, got 20"),
        ({"structures": ("Overall", "LV")}, r"baseline must have shape \(subjects, 2 structures\)"),
        ({"groupings": [Grouping("sex", ("M", "F"), np.zeros(3, int))]}, "one id a subject"),
    ],
)
def test_bad_input_says_what_was_expected(change: dict[str, Any], message: str) -> None:
    call: dict[str, Any] = {
        "models": {"new": np.zeros((20, 1))},
        "groupings": [Grouping("sex", ("M", "F"), np.zeros(20, int))],
        **change,
    }
    with pytest.raises(ValueError, match=message):
        judge_gains(np.zeros((20, 1)), call.pop("models"), call.pop("groupings"), **call)


# ------------------------------------------------------------------ gaps that were not there
@pytest.mark.parametrize("seed", [0, 1, 2, 3, 4, 6, 7])  # of 5 a gap is shown by chance
def test_a_group_that_was_level_and_loses_is_behind_now_and_not_levelled_down(seed: int) -> None:
    before, groups = cohort((100, 100), (0.92, 0.92), seed=seed)
    after = before - 0.03 * (groups == 1) + noise(200, 0.003)
    found = judge(before, after, groups)
    row = found.pairs[0].typical
    assert row is not None
    assert not row.gap_before.shown
    assert found.verdict in (Verdict.LESS_FAIR, Verdict.HARM)


def test_a_gap_that_is_larger_the_other_way_is_none_that_closed() -> None:
    """The group that is ahead by chance loses too little for a gap to be shown afterwards."""
    groups = np.repeat([0, 1], 30)
    before = 0.9 + 0.03 * stats.norm.ppf((np.arange(60) % 30 + 0.5) / 30) + 0.004 * groups
    after = before - 0.012 * groups + noise(60, 0.001)
    row = judge(before, after, groups).pairs[0].rows[0]
    assert row is not None
    sizes = [abs(gap.interval.estimate) for gap in (row.gap_before, row.gap_after)]
    assert row.shown
    assert sizes[1] > sizes[0]
    assert row.verdict in (Verdict.OPEN, Verdict.SAME)


@pytest.mark.parametrize(("size", "loss"), [(8, 0.09), (5, 0.09), (3, 0.2)])
def test_a_group_too_small_to_be_judged_that_loses_bars_praise(size: int, loss: float) -> None:
    before, groups = cohort((100, 60, size), (0.92, 0.87, 0.9))
    after = before + 0.04 * (groups == 1) + noise(groups.size, 0.004)
    names = ("A", "B", "C")
    assert judge(before, after, groups, names=names).verdict is Verdict.FAIRER
    found = judge(before, after - loss * (groups == 2), groups, names=names)
    assert found.verdict is Verdict.MOVED
    assert "C" in {reason.group for reason in found.pair("group", "A", "B").reasons}


def test_the_attribute_that_turns_the_verdict_is_the_one_to_speak_of() -> None:
    before, groups = cohort((100, 100), (0.92, 0.87))
    site = np.tile([0, 1], 100)
    after = before + 0.04 * groups + 0.03 * (site == 0) + noise(200, 0.004)
    both = [Grouping("sex", ("M", "F"), groups, 0), Grouping("site", ("S", "T"), site, 0)]
    found = judge_gains(before[:, None], {"new": after[:, None]}, both, options=OPTIONS).of("new")
    assert found.verdict is Verdict.LESS_FAIR
    assert (found.primary, found.decisive) == ("sex", "site")
    pair = found.pair_of(found.decisive)
    assert pair is not None
    assert pair.decided_by[0].gain.estimate == pytest.approx(-0.03, abs=0.003)
    assert {pair.attribute for pair in found.telling_pairs} == {"sex", "site"}


def test_losses_of_a_few_of_a_dozen_bar_praise_where_hardly_any_other_loses() -> None:
    before, groups = cohort((400, 12), (0.92, 0.87))
    after = before + 0.04 * (groups == 1)
    assert judge(before, after, groups).verdict is Verdict.FAIRER
    after[-2:] -= 0.2  # and B gains in the mean all the same
    found = judge(before, after, groups)
    assert not found.shown_harm
    assert found.verdict is Verdict.MOVED
    assert GainReasonKind.POSSIBLE_HARM in {one.kind for one in found.pairs[0].reasons}
    after[:67] -= 0.2  # as many of all
    (pair,) = judge(before, after, groups).pairs
    assert ("B", GainReasonKind.POSSIBLE_HARM) not in {(one.group, one.kind) for one in pair.reasons}


# ------------------------------------------------------------------ what neither praise nor blame rests on
def failing(before: Floats, number: int, first: int = 0) -> Floats:
    """Return the scores with some that fail."""
    changed = before.copy()
    changed[first : first + number] = np.linspace(0.05, 0.4, number)
    return changed


@pytest.mark.parametrize("failures", [8, 20])
def test_a_model_that_repairs_the_failures_of_the_group_behind_is_not_less_fair(failures: int) -> None:
    """Everybody else of the group loses .009, less than the margin; in the mean it gains much."""
    good, groups = cohort((80, 150), (0.91, 0.86), 0.03)
    before = failing(good, failures, 80)
    after = good - 0.009 * (groups == 1) + noise(230, 0.003)
    found = judge(before, after, groups)
    (pair,) = found.pairs
    assert pair.rows[0].shown
    assert pair.rows[0].gain.estimate < 0
    assert pair.rows[0].contrary
    assert found.verdict not in AGAINST
    if failures == 20:
        assert found.verdict is Verdict.FAIRER
        assert pair.telling is not None
        assert pair.telling.endpoint is Endpoint.FAILURES


def test_rising_out_of_the_hardest_tenth_is_nothing_against_a_model() -> None:
    """B's failures are repaired, A is spread wider and as it was: A is now the larger part of the tenth."""
    rng = np.random.default_rng(0)
    groups = np.repeat([0, 1], 80)
    good = np.where(groups == 0, rng.normal(0.88, 0.06, 160).clip(0.55, 1), rng.normal(0.88, 0.02, 160))
    found = judge(failing(good, 16, 80), good + noise(160, 0.003), groups)
    tenth = next(row for row in found.pairs[0].rows if row.endpoint is Endpoint.HARDEST)
    assert tenth.shown
    assert tenth.gap_before.sign == -tenth.gap_after.sign
    assert tenth.passed
    assert found.verdict is Verdict.FAIRER


def test_sinking_into_the_hardest_tenth_is_held_against_a_model() -> None:
    """A quarter of A loses .09, which no loss of more than .10 and no typical change tells."""
    before, groups = cohort((300, 300), (0.9, 0.9))
    after = before - 0.09 * ((groups == 0) & (np.arange(600) % 4 == 0)) + noise(600, 0.003)
    found = judge(before, after, groups)
    tenth = next(row for row in found.pairs[0].rows if row.endpoint is Endpoint.HARDEST)
    assert tenth.shown
    assert not tenth.passed
    assert found.verdict is Verdict.LESS_FAIR
    assert tenth in found.pairs[0].decided_by


def test_a_group_whose_failures_are_repaired_is_not_levelled_down() -> None:
    good, groups = cohort((150, 60), (0.93, 0.88))
    before, after = failing(good, 14), good - 0.02 * (groups == 0) + noise(210, 0.003)
    assert judge(good, after, groups).verdict is Verdict.LEVELS_DOWN
    found = judge(before, after, groups)
    assert found.pairs[0].rows[0].contrary
    assert found.verdict not in AGAINST


@pytest.mark.parametrize("rescued", [1, 2, 4])
@pytest.mark.parametrize("gained", [0.0, 0.002])
def test_a_few_rescued_do_not_excuse_levelling_down(rescued: int, gained: float) -> None:
    """All others of the group ahead lose .03, and the group behind gains nothing to speak of."""
    good, groups = cohort((40, 40), (0.90, 0.87), 0.015)
    before = failing(good, rescued)
    found = judge(before, good - np.where(groups == 0, 0.03, -gained) + noise(80, 0.003), groups)
    assert found.verdict is Verdict.LEVELS_DOWN


@pytest.mark.parametrize("small", [10, 12])
def test_one_rescued_of_a_dozen_does_not_hide_that_all_others_lose(small: int) -> None:
    good, groups = cohort((40, small), (0.90, 0.88), 0.015)
    found = judge(failing(good, 1, 40), good - 0.05 * (groups == 1) + noise(40 + small, 0.003), groups)
    assert found.verdict is Verdict.LESS_FAIR


def test_of_open_pairs_that_is_spoken_of_in_which_something_is_shown() -> None:
    """C loses .015 but for three who are rescued, so that its means contradict; nothing became of A and B."""
    good, groups = cohort((40, 40, 40), (0.9, 0.9, 0.9), 0.03)
    after = good - 0.015 * (groups == 2) + noise(120, 0.003)
    found = judge(failing(good, 6, 80), after, groups, names=("A", "B", "C"))
    assert found.verdict is Verdict.OPEN
    pair = found.pair_of("group")
    assert pair is not None
    assert (pair.first, pair.second) == ("A", "C")


def test_who_sinks_into_the_hardest_tenth_is_seen_where_others_rise_out_of_it() -> None:
    """A's tail is repaired; a fifth of B loses .09, and stops above the line that the tail had."""
    good, groups = cohort((120, 60), (0.90, 0.90))
    before = good.copy()
    before[:12], before[120:126], before[126:138] = 0.68, 0.68, 0.81
    before += noise(180, 0.004, 2)
    after = before + 0.003 * groups + noise(180, 0.004)
    after[:12], after[126:138] = 0.9, before[126:138] - 0.09
    found = judge(before, after, groups)
    tenth = next(row for row in found.pairs[0].rows if row.endpoint is Endpoint.HARDEST)
    assert not tenth.passed
    assert found.verdict is Verdict.LESS_FAIR


def test_repaired_failures_are_not_fairer_where_all_others_of_the_group_fall_behind() -> None:
    good, groups = cohort((60, 60), (0.90, 0.90), 0.015)
    after = good - 0.03 * ((groups == 1) & (np.arange(120) >= 76)) + noise(120, 0.003)
    found = judge(failing(good, 16, 60), after, groups)
    (pair,) = found.pairs
    assert row_verdict(pair.rows[1]) is Verdict.FAIRER
    assert found.verdict is Verdict.MOVED
    assert GainReasonKind.TYPICAL_OPPOSES in {reason.kind for reason in pair.reasons}
    assert pair.rows[0].verdict is not Verdict.FAIRER


@pytest.mark.parametrize("seed", range(8))
def test_a_group_that_only_gains_and_passes_the_other_makes_nothing_less_fair(seed: int) -> None:
    """B was behind by .02, which is not shown, and is ahead by .015."""
    before, groups = cohort((20, 20), (0.90, 0.88), 0.03, seed=seed)
    found = judge(before, before + 0.035 * (groups == 1) + noise(40, 0.003), groups)
    assert found.verdict is not Verdict.LESS_FAIR


def test_there_is_no_levelling_down_where_no_gap_was_shown() -> None:
    for seed in range(6):
        before, groups = cohort((20, 20), (0.9, 0.9), 0.05, seed=seed)
        after = before - 0.05 * (groups == 0) + noise(40, 0.003)
        found = judge(before, after, groups)
        assert not found.pairs[0].rows[0].gap_before.shown
        assert found.verdict in (Verdict.LESS_FAIR, Verdict.HARM)


def test_a_loss_that_leaves_the_group_ahead_behind_levels_down() -> None:
    before, groups = cohort((80, 60), (0.92, 0.88))
    found = judge(before, before - 0.078 * (groups == 0) + noise(140, 0.001), groups)
    assert found.verdict is Verdict.LEVELS_DOWN


def test_fairer_is_not_said_where_the_gap_is_wider_by_its_own_estimate() -> None:
    row = judge(*_gained()).pairs[0].rows[0]
    assert row_verdict(row) is Verdict.FAIRER
    wider = replace(row.gap_after, interval=Interval(0.06, 0.05, 0.07))
    assert row_verdict(replace(row, gap_after=wider)) is not Verdict.FAIRER
    narrowing = Interval(-0.02, -0.03, -0.01)
    less = replace(row, gain=Interval(-0.02, -0.03, -0.01), narrowing=narrowing, still_behind=False)
    assert row_verdict(replace(less, gap_after=wider)) is Verdict.LESS_FAIR
    assert row_verdict(less) is Verdict.OPEN  # whose gap is narrower by its estimate


def test_a_group_that_loses_on_balance_is_worse_off_however_the_typical_gains_compare() -> None:
    """Of the group behind 40% lose .09, just less than counts as harm, and the others gain .03."""
    before, groups = cohort((150, 150), (0.92, 0.88))
    lost = (groups == 1) & (np.arange(300) % 5 < 2)
    after = before + np.where(lost, -0.09, 0.03 * (groups == 1)) + noise(300, 0.003)
    found = judge(before, after, groups)
    assert found.pairs[0].rows[0].shown
    assert found.pairs[0].rows[0].gain.estimate > 0
    assert found.verdict is Verdict.HARM


def test_a_mean_gain_that_is_smaller_and_yet_shown_does_not_bar_praise() -> None:
    before, groups = cohort((100, 100), (0.92, 0.88))
    more = np.where(np.arange(200) % 5 == 0, -0.02, 0.04) * (groups == 1)
    found = judge(before, before + more + noise(200, 0.003), groups)
    row = found.pairs[0].rows[0]
    assert row.mean_gain is not None
    assert 0 < row.mean_gain.low < row.mean_gain.high < row.gain.low
    assert not row.means_oppose
    assert found.verdict is Verdict.FAIRER


def _gained() -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    before, groups = cohort((100, 100), (0.92, 0.88))
    return before, before + 0.03 * (groups == 1) + noise(200, 0.003), groups


def test_a_hardest_tenth_that_equal_scores_hide_has_no_figures() -> None:
    """All of the second group failed before, and nobody does now: its gap in the tenth was said to be 0.0."""
    after, groups = cohort((60, 60), (0.9, 0.9))
    found = judge(np.where(groups == 1, 0.0, after), after, groups)
    typical, failures, tenth = found.pairs[0].rows
    assert found.verdict is Verdict.FAIRER
    assert failures.gap_before.interval.estimate == 1
    figures = [tenth.gain, tenth.equivalence, tenth.gap_before.interval, tenth.gap_after.interval]
    assert np.isnan(figures).all()
    assert (tenth.verdict, tenth.hidden, typical.hidden) == (Verdict.NOT_JUDGED, True, False)


def test_nothing_is_the_same_where_equal_scores_hide_the_hardest_tenth() -> None:
    scores, groups = cohort((600, 600), (0.9, 0.9))
    place = np.arange(1200) % 10
    found = judge(np.where(place < 3, 0.0, scores), np.where(place < 1, 0.0, scores), groups)
    assert found.verdict is Verdict.OPEN
    assert [one.kind for one in found.pairs[0].reasons] == [GainReasonKind.HIDDEN_TENTH]
    unchanged = np.where(place < 3, 0.0, scores)
    assert judge(unchanged, unchanged, groups).verdict is Verdict.SAME
