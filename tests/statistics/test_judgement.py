"""Pages of every kind that has misled somebody, and what is found on them."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy import stats

from fairseg.metrics.fairness import Floats
from fairseg.statistics.common_structures import common_structures
from fairseg.statistics.findings import (
    ALL_OTHERS,
    Comparison,
    Finding,
    Grouping,
    PageJudgement,
    ReasonKind,
    worst,
)
from fairseg.statistics.group_facts import StructureScores, hardest
from fairseg.statistics.judge_options import JudgeOptions
from fairseg.statistics.judgement import judge_page
from fairseg.statistics.reasons import severity
from fairseg.statistics.two_samples import fisher_exact
from fairseg.statistics.verdicts import Endpoint, Verdict

THREE = ("Overall", "LV", "MYO", "RV")
OPTIONS = JudgeOptions(permutations=999)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def good(rng: np.random.Generator, *shape: int) -> Floats:
    return rng.beta(44, 5.6, shape)


def with_worst(scores: Floats, count: int, worst_scores: Floats | float) -> Floats:
    """Give the first subjects other scores."""
    changed = scores.copy()
    changed[:count] = worst_scores
    return changed


def grouped(*parts: Floats, reference: int | None = 0) -> tuple[Floats, Grouping]:
    """Return scores (N, S) and the grouping of parts as groups A, B, ..."""
    scores = np.concatenate(parts)
    ids = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    scores = scores[:, None] if scores.ndim == 1 else np.column_stack([scores.mean(1), scores])
    return scores, Grouping("group", tuple("ABCDEFGHIJKLMNOP"[: len(parts)]), ids, reference)


def judge(*parts: Floats, reference: int | None = 0, strata: object = None) -> PageJudgement:
    scores, grouping = grouped(*parts, reference=reference)
    return judge_page(scores, [grouping], structures=THREE[: scores.shape[1]], strata=strata, options=OPTIONS)


def shown(comparison: Comparison) -> set[tuple[str, Endpoint]]:
    return {(row.structure, row.endpoint) for row in comparison.shown}


def reasons(comparison: Comparison) -> set[ReasonKind]:
    return {reason.kind for reason in comparison.reasons}


@pytest.mark.parametrize("low", [(0.15, 0.45), (0.0, 0.0)])
def test_a_fifth_of_one_group_fails_at_equal_medians(
    rng: np.random.Generator, low: tuple[float, float]
) -> None:
    first, second = good(rng, 200), with_worst(good(rng, 200) + 0.01, 40, rng.uniform(*low, 40))
    page = judge(first, second.clip(max=1))
    (comparison,) = page.comparisons
    assert page.verdict is Verdict.GAP
    assert shown(comparison) == {("Overall", Endpoint.FAILURES), ("Overall", Endpoint.HARDEST)}
    row = comparison.findings[1]
    assert (row.estimate, row.worse) == (-0.2, "B")
    assert row.p == pytest.approx(fisher_exact(0, 200, 40, 200))
    assert not any(row.verdict.green for row in page.findings)


@pytest.mark.parametrize("scores", [np.zeros(200), np.repeat([0.0, 0.12], 100), np.full(200, 0.3)])
def test_a_model_that_fails_everybody(rng: np.random.Generator, scores: Floats) -> None:
    page = judge(scores, rng.permutation(scores))
    assert page.verdict is Verdict.FAILS
    assert page.everyone[0].fails
    assert {fact.group for fact in page.comparisons[0].failing} == {"A", "B"}
    assert {row.verdict for row in page.findings} == {Verdict.FAILS}


def test_a_model_that_fails_the_reference_group(rng: np.random.Generator) -> None:
    page = judge(good(rng, 30) - 0.6, good(rng, 100))
    assert page.verdict is Verdict.FAILS
    assert not page.everyone[0].fails
    assert [fact.group for fact in page.comparisons[0].failing] == ["A"]


def dozens(rng: np.random.Generator, *failing: int) -> list[Floats]:
    """Return a dozen subjects of each group, so many of whom fail."""
    return [with_worst(rng.uniform(0.5, 0.9, 12), count, rng.uniform(0.1, 0.45, count)) for count in failing]


@pytest.mark.parametrize(
    ("failing", "fail", "everyone"),
    [
        ((6, 10), {"B"}, False),  # by itself in 2 of 100 cohorts in which half fail
        ((6, 10, 6, 6, 6, 6), set(), False),  # as one of six does by chance in 11
        ((6, 11, 6, 6, 6, 6), {"B"}, False),
        ((6, 12, 12, 10, 6), {"B", "C"}, True),
        ((8, 8, 9, 8, 8, 9), set(), True),
    ],
)
def test_a_model_is_not_said_to_fail_for_one_of_many_groups_by_chance(
    rng: np.random.Generator, failing: Sequence[int], fail: set[str], everyone: bool
) -> None:
    page = judge(*dozens(rng, *failing))
    assert {fact.group for fact in page.facts if fact.fails} == fail
    assert page.everyone[0].fails is everyone
    assert (page.verdict is Verdict.FAILS) == bool(fail or everyone)


def test_few_whom_the_model_fails_in_all_structures_are_named_among_many(
    rng: np.random.Generator,
) -> None:
    bad = rng.uniform(0.1, 0.4, (10, 3))
    page = judge(good(rng, 100, 3), bad, *(good(rng, 12, 3) for _ in range(10)))
    assert ("B", "Overall") in {(fact.group, fact.structure) for fact in page.facts if fact.fails}
    assert page.verdict is Verdict.FAILS


def test_a_structure_that_is_always_missed_fails(rng: np.random.Generator) -> None:
    first, second = good(rng, 200, 3), good(rng, 200, 3)
    first[:, 2] = second[:, 2] = 0.0
    page = judge(first, second)
    assert page.verdict is Verdict.FAILS
    assert {fact.structure for fact in page.comparisons[0].failing} == {"RV"}
    assert not page.everyone[0].fails


def test_a_structure_missed_in_six_of_ten(rng: np.random.Generator) -> None:
    first, second = good(rng, 30, 3), good(rng, 10, 3)
    second[:6, 2] = 0.0
    page = judge(first, second)
    assert page.verdict is Verdict.GAP
    assert {("RV", Endpoint.FAILURES), ("RV", Endpoint.HARDEST)} <= shown(page.comparisons[0])
    assert page.comparisons[0].shown[0].p_adjusted < 0.05


def test_one_structure_of_three_is_worse(rng: np.random.Generator) -> None:
    first, second = good(rng, 40, 3), good(rng, 40, 3)
    second[:, 2] -= 0.053
    page = judge(first, second)
    assert page.verdict is Verdict.GAP
    assert ("RV", Endpoint.TYPICAL) in shown(page.comparisons[0])
    assert all(row.structure in ("RV", "Overall") for row in page.comparisons[0].shown)
    assert {row.worse for row in page.comparisons[0].shown} == {"B"}


def test_a_structure_that_one_group_lacks_makes_no_gap(rng: np.random.Generator) -> None:
    scores = np.column_stack([good(rng, 80), good(rng, 80) - 0.13])
    scores[40:, 1] = np.nan
    grouping = Grouping("group", ("A", "B"), np.repeat([0, 1], 40), 0)
    common = common_structures(scores, [grouping], structures=("LV", "RV"))
    assert (common.used, common.dropped) == (("LV",), (("RV", "group", "B"),))
    page = judge_page(
        np.column_stack([common.overall, scores]),
        [grouping],
        structures=("Overall", "LV", "RV"),
        options=OPTIONS,
    )
    assert page.verdict is Verdict.OPEN
    assert ReasonKind.TOO_FEW in reasons(page.comparisons[0])
    assert {row.verdict for row in page.findings if row.structure == "RV"} == {Verdict.NOT_JUDGED}


def test_a_structure_that_one_group_lacks_is_never_green(rng: np.random.Generator) -> None:
    scores = np.column_stack([good(rng, 800), good(rng, 800), good(rng, 800)])
    scores[400:, 2] = np.nan
    grouping = Grouping("group", ("A", "B"), np.repeat([0, 1], 400), 0)
    page = judge_page(scores, [grouping], structures=("Overall", "LV", "RV"), options=OPTIONS)
    assert page.verdict is Verdict.OPEN


def test_overall_of_subjects_that_lack_a_hard_structure() -> None:
    """One that lacks the hard structure is not better off for it."""
    rng = np.random.default_rng(1)
    ability = rng.normal(0, 0.02, (300, 1))
    scores = np.array([0.9, 0.85, 0.7]) + ability + rng.normal(0, 0.005, (300, 3))
    scores[:60, 2] = np.nan
    grouping = Grouping("group", ("A", "B"), np.repeat([0, 1], [150, 150]))
    common = common_structures(scores, [grouping], structures=("a", "b", "c"))
    assert common.used == ("a", "b", "c")
    assert common.moved == 60
    np.testing.assert_allclose(common.overall, 0.8166 + ability[:, 0], atol=0.02)
    assert np.nanmean(scores[:60], axis=1).mean() > 0.86
    np.testing.assert_allclose(common.overall[60:], scores[60:].mean(1))


def test_no_structure_in_common_leaves_nothing_to_judge(rng: np.random.Generator) -> None:
    scores = np.full((60, 2), np.nan)
    scores[:30, 0], scores[30:, 1] = good(rng, 30), good(rng, 30)
    grouping = Grouping("group", ("A", "B"), np.repeat([0, 1], 30), 0)
    common = common_structures(scores, [grouping], structures=("LV", "RV"))
    assert common.used == ()
    page = judge_page(common.overall[:, None], [grouping], options=OPTIONS)
    assert page.verdict is Verdict.NOT_JUDGED


def worse_in_both_scanners(rng: np.random.Generator) -> tuple[Floats, Floats, np.ndarray]:
    """Return scores that are level when pooled, 0.036 lower in B within each scanner, and the scanners."""
    first = np.concatenate([rng.normal(0.86, 0.02, 140), rng.normal(0.92, 0.02, 60)])
    second = np.concatenate([rng.normal(0.824, 0.02, 20), rng.normal(0.884, 0.02, 180)])
    return first, second, np.repeat([0, 1, 0, 1], [140, 60, 20, 180])


def test_worse_in_both_scanners_and_level_when_pooled(rng: np.random.Generator) -> None:
    first, second, scanner = worse_in_both_scanners(rng)
    page = judge(first, second, strata=scanner)
    crude, within = (
        next(row for row in page.findings if row.endpoint is Endpoint.TYPICAL and row.adjusted is adjusted)
        for adjusted in (False, True)
    )
    assert page.verdict is Verdict.GAP
    assert abs(crude.estimate) < 0.015
    assert within.shown
    assert within.worse == "B"
    assert within.low < 0.036 < within.high


def test_gaps_that_lie_opposite_ways_in_two_scanners_are_not_green(rng: np.random.Generator) -> None:
    scanner = np.tile(np.repeat([0, 1], 300), 2)
    first, second = (good(rng, 600) + way * np.repeat([0.015, -0.015], 300) for way in (-1, 1))
    assert judge(first, second).verdict is Verdict.NO_GAP
    page = judge(first, second, strata=scanner)
    assert page.verdict is Verdict.OPEN
    both = [one for one in page.comparisons[0].reasons if one.kind is ReasonKind.ONE_STRATUM]
    assert {one.group for one in both} == {"A", "B"}  # each is worse off with one scanner
    for reason in both:
        first_median, second_median = (fact.median for fact in reason.facts)
        assert reason.group == ("A" if first_median < second_median else "B")
        assert [fact.n for fact in reason.facts] == [300, 300]


def test_opposite_gaps_that_separate_are_no_gap_in_a_random_direction() -> None:
    """A coin decides on the scanner: the one with more subjects, by chance, must not decide the direction."""
    called = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        scanner = rng.integers(0, 2, 200)
        scores = rng.normal(0.85, 0.01, 200) + np.where(scanner == np.repeat([0, 1], 100), 0.02, -0.02)
        page = judge(scores[:100], scores[100:], strata=scanner)
        called += any(row.shown for row in page.findings if row.adjusted)
        (row,) = (row for row in page.findings if row.adjusted and row.endpoint is Endpoint.TYPICAL)
        assert row.shown or row.low < 0 < row.high
    assert called <= 3


def test_strata_without_both_groups_are_too_small(rng: np.random.Generator) -> None:
    page = judge(good(rng, 400), good(rng, 400), strata=np.repeat([0, 1], 400))
    assert page.verdict is Verdict.OPEN
    assert reasons(page.comparisons[0]) == {ReasonKind.STRATA}
    assert all(row.verdict is Verdict.NOT_JUDGED for row in page.findings if row.adjusted)


def test_equal_large_groups_are_green_within_strata_too(rng: np.random.Generator) -> None:
    page = judge(good(rng, 600), good(rng, 600), strata=rng.integers(0, 2, 1200))
    assert page.verdict is Verdict.NO_GAP
    assert {row.verdict for row in page.findings} == {Verdict.NO_GAP}


def test_an_attribute_that_is_held_fixed_is_compared_without_strata_and_can_be_green(
    rng: np.random.Generator,
) -> None:
    """As `--by ethnicity --adjust sex --also sex` has it: within men there are no women to compare with."""
    sex, ethnicity = rng.integers(0, 2, 1200), np.repeat([0, 1], 600)
    groupings = [
        Grouping("ethnicity", ("A", "B"), ethnicity),
        Grouping("sex", ("F", "M"), sex, held=True),
    ]
    page = judge_page(good(rng, 1200, 1), groupings, strata=sex, options=OPTIONS)
    assert set(page.verdicts.values()) == {Verdict.NO_GAP}
    assert {(row.attribute, row.adjusted) for row in page.findings} == {
        ("ethnicity", False),
        ("ethnicity", True),
        ("sex", False),
    }


def test_a_group_whose_scores_were_all_lost_stands_against_a_green_verdict(rng: np.random.Generator) -> None:
    """A third group of 150 has no score at all: nothing compares it, and nothing may be called level."""
    lost = np.concatenate([good(rng, 600, 1), np.full((150, 1), np.nan)])
    for code, who in ((2, "C"), (-1, "unknown group")):
        ids = np.repeat([0, 1, code], [300, 300, 150])
        page = judge_page(lost, [Grouping("site", ("A", "B", "C"), ids)], options=OPTIONS)
        assert page.verdict is Verdict.OPEN
        (reason,) = page.reasons["site"]
        assert (reason.kind, reason.group) == (ReasonKind.MISSING_SCORES, who)
        assert [(fact.n, fact.missing) for fact in reason.facts] == [(0, 150), (600, 0)]


def test_cases_that_were_lost_more_often_in_one_group_stand_against_a_green_verdict(
    rng: np.random.Generator,
) -> None:
    scores = good(rng, 1200, 1)
    ids = np.repeat([0, 1], 600)
    even, uneven = ((12, 600), (15, 600)), ((0, 600), (30, 630))
    for lost, verdict in ((even, Verdict.NO_GAP), (uneven, Verdict.OPEN)):
        page = judge_page(scores, [Grouping("site", ("A", "B"), ids, lost=(*lost, (0, 0)))], options=OPTIONS)
        assert page.verdict is verdict
    (reason,) = page.comparisons[0].reasons
    assert (reason.kind, reason.group) == (ReasonKind.LOST_CASES, "B")
    assert [(fact.group, fact.missing, fact.n) for fact in reason.facts] == [("B", 30, 600), ("A", 0, 600)]


def test_large_cohorts_and_long_pages_say_how_many_permutations_they_had(rng: np.random.Generator) -> None:
    options = JudgeOptions(permutations=1200)
    for size, used in ((60, 1200), (50_002, 999)):
        sex = Grouping("sex", ("F", "M"), np.arange(size) % 2)
        page = judge_page(good(rng, size, 1), [sex], options=options)
        assert page.permutations == used
    assert (
        judge_page(
            good(rng, 60, 1), [Grouping("sex", ("F", "M"), np.arange(60) % 2)], level=0.01
        ).permutations
        == 0
    )


def test_a_perfect_model_is_green() -> None:
    page = judge(np.ones(200), np.ones(200))
    assert page.verdict is Verdict.NO_GAP
    assert judge(np.ones(30), np.ones(30)).verdict is Verdict.OPEN


def test_green_needs_a_model_that_works(rng: np.random.Generator) -> None:
    mediocre = judge(good(rng, 400) - 0.25, good(rng, 400) - 0.25)
    assert mediocre.verdict is Verdict.OPEN
    assert reasons(mediocre.comparisons[0]) == {ReasonKind.FLOOR}
    parts = [with_worst(good(rng, 2000), 400, rng.uniform(0.1, 0.4, 400)) for _ in range(2)]
    assert judge(*parts).verdict is Verdict.OPEN


@pytest.mark.parametrize(
    ("count", "first", "second"), [(40, (0.72, 0.76), (0.5, 0.55)), (20, (0.45, 0.49), (0.0, 0.01))]
)
def test_as_many_hard_cases_but_far_worse_ones(
    rng: np.random.Generator, count: int, first: tuple[float, float], second: tuple[float, float]
) -> None:
    parts = [with_worst(good(rng, 400), count, rng.uniform(*low, count)) for low in (first, second)]
    page = judge(*parts)
    assert page.verdict is Verdict.OPEN
    assert reasons(page.comparisons[0]) - {ReasonKind.MEANS} == {ReasonKind.SEVERITY}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["two peaks", "many perfect"])
def test_means_that_may_differ_by_more_than_the_margin_are_not_green(seed: int, kind: str) -> None:
    """10 of 100 more are poor, or 17 fewer perfect: few lie near the shift, and none need be a worst case."""
    rng = np.random.default_rng(seed)
    parts = []
    for poor, perfect in ((0.2, 0.62), (0.3, 0.45)):
        if kind == "two peaks":
            fine, bad = rng.normal(0.92, 0.025, 400).clip(0, 0.98), rng.uniform(0.52, 0.75, 400)
            parts.append(np.where(rng.random(400) < poor, bad, fine))
        else:
            parts.append(np.where(rng.random(400) < perfect, 1.0, rng.uniform(0.5, 1.0, 400)))
    (comparison,) = judge(*parts).comparisons
    assert comparison.verdict in (Verdict.OPEN, Verdict.GAP)
    (reason,) = (one for one in comparison.reasons if one.kind is ReasonKind.MEANS)
    assert reason.difference is not None
    assert (reason.group, reason.against) == ("B", "A")
    ahead = parts[0].mean() - parts[1].mean()
    limits = stats.ttest_ind(*parts, equal_var=False).confidence_interval(0.9)
    assert reason.difference == pytest.approx((ahead, *limits))


def test_rows_within_their_margins_make_no_gap_where_means_stand_in_the_way() -> None:
    verdicts = set()
    for seed in range(12):
        rng = np.random.default_rng(seed)
        parts = [good(rng, 400) - shift for shift in (0.0, 0.008)]
        parts = [np.where(rng.random(400) < 0.08, rng.uniform(0.5, 0.6, 400), part) for part in parts]
        (comparison,) = judge(*parts).comparisons
        if reasons(comparison) == {ReasonKind.MEANS}:
            assert {row.verdict for row in comparison.findings} == {Verdict.OPEN}  # "within margin" each
            verdicts.add(comparison.verdict)
    assert verdicts == {Verdict.OPEN}


def test_failures_are_told_of_by_their_own_margin_and_not_by_the_means(rng: np.random.Generator) -> None:
    """In 3 of 300 of each the model fails, by much more in one group: means of all would differ by .008."""
    parts = [with_worst(good(rng, 300), 3, low) for low in (0.45, 0.0)]
    (comparison,) = judge(*parts).comparisons
    assert ReasonKind.MEANS not in reasons(comparison)


def test_failures_left_out_of_one_group(rng: np.random.Generator) -> None:
    page = judge(good(rng, 400), with_worst(good(rng, 400), 80, np.nan))
    assert page.verdict is Verdict.OPEN
    assert reasons(page.comparisons[0]) == {ReasonKind.MISSING_SCORES}


def test_failures_of_unknown_group(rng: np.random.Generator) -> None:
    scores, grouping = grouped(good(rng, 400), good(rng, 400), good(rng, 20) - 0.6)
    hidden = Grouping("group", ("A", "B"), np.where(grouping.ids == 2, -1, grouping.ids), 0)
    page = judge_page(scores, [hidden], options=OPTIONS)
    assert page.verdict is Verdict.OPEN
    assert [reason.kind for reason in page.reasons["group"]] == [ReasonKind.UNKNOWN_GROUP]


def test_a_third_group_too_small_to_be_judged(rng: np.random.Generator) -> None:
    fine = judge(good(rng, 400), good(rng, 400), good(rng, 6))
    assert fine.verdict is Verdict.NO_GAP
    assert [one.verdict for one in fine.comparisons] == [Verdict.NO_GAP, Verdict.NOT_JUDGED]
    failing = judge(good(rng, 400), good(rng, 400), np.full(6, 0.2))
    assert failing.verdict is Verdict.OPEN
    assert [reason.group for reason in failing.reasons["group"]] == ["C"]


def test_better_in_the_typical_case_and_worse_in_failures(rng: np.random.Generator) -> None:
    page = judge(good(rng, 200) - 0.04, with_worst(good(rng, 200), 40, rng.uniform(0.1, 0.4, 40)))
    assert page.verdict is Verdict.GAP
    worse = {row.endpoint: row.worse for row in page.comparisons[0].shown}
    assert worse[Endpoint.TYPICAL] == "A"
    assert worse[Endpoint.FAILURES] == "B"


def test_one_group_alone_is_not_judged_but_may_fail(rng: np.random.Generator) -> None:
    assert judge(good(rng, 50)).verdict is Verdict.NOT_JUDGED
    assert judge(good(rng, 50), good(rng, 5)).verdict is Verdict.NOT_JUDGED
    assert judge(np.zeros(50), np.zeros(5)).verdict is Verdict.FAILS


@pytest.mark.parametrize("perfect", [0.8, 0.9])
def test_a_structure_that_is_often_perfect_hides_no_failures_of_another(
    rng: np.random.Generator, perfect: float
) -> None:
    """By chance all 12 of a group are perfect in it, which says nothing and must cost the page nothing."""
    lesion = np.where(rng.random(412) < perfect, 1.0, rng.uniform(0.6, 0.9, 412))
    heart = good(rng, 412)
    heart[400:404] = 0.2
    page = judge(np.column_stack([heart, lesion])[:400], np.column_stack([heart, lesion])[400:])
    assert page.verdict is Verdict.GAP
    assert ("LV", Endpoint.FAILURES) in shown(page.comparisons[0])
    assert page.alpha_star > 0.01


def test_scores_to_one_decimal_are_not_green(rng: np.random.Generator) -> None:
    page = judge(np.repeat([0.9, 0.8], [120, 80]), np.repeat([0.9, 0.8], [80, 120]))
    assert page.verdict is Verdict.GAP
    page = judge(np.ones(100), np.repeat([1.0, 0.9], [60, 40]))
    assert page.verdict is Verdict.GAP


def test_few_groups_in_pairs_and_many_against_all_others(rng: np.random.Generator) -> None:
    pairs = judge(*(good(rng, 12) for _ in range(4)), good(rng, 3), reference=None)
    assert [(one.first, one.second) for one in pairs.comparisons] == [
        *(("A", "B"), ("A", "C"), ("A", "D"), ("B", "C"), ("B", "D"), ("C", "D")),
        (ALL_OTHERS, "E"),
    ]
    sites = [good(rng, 30) for _ in range(12)]
    sites[4] = sites[4] - 0.15
    page = judge(*sites, reference=None)
    assert len(page.comparisons) == 12
    assert [one.second for one in page.comparisons if one.verdict is Verdict.GAP] == ["E"]
    assert page.comparisons[4].n_first == 330


def coherent(page: PageJudgement) -> None:
    """Check that no numbers contradict each other."""
    alpha = page.options.alpha
    for row in page.findings:
        if row.verdict is Verdict.NOT_JUDGED:
            assert np.isnan(row.estimate)
            continue
        assert row.shown == (row.p_adjusted <= alpha) == (row.low > 0 or row.high < 0)
        assert row.p <= row.p_adjusted
        assert row.low <= row.estimate <= row.high
        assert row.low <= row.equivalence_low <= row.equivalence_high <= row.high
        assert row.inside == (max(-row.equivalence_low, row.equivalence_high) <= row.margin)
        assert (row.worse is None) == (row.estimate == 0)
    for one in page.comparisons:
        if one.verdict is Verdict.NO_GAP:
            assert all(row.inside for row in one.findings)
            assert not one.reasons
        assert (one.verdict is Verdict.FAILS) == bool(one.failing)
        if one.verdict is Verdict.OPEN:
            assert one.reasons
            assert not one.shown
    for name, verdict in page.verdicts.items():
        own = [one.verdict for one in page.comparisons if one.attribute == name]
        assert verdict in (worst(own), Verdict.FAILS, Verdict.OPEN)


KINDS: dict[str, Callable[[np.random.Generator, Floats], Floats]] = {
    "plain": lambda rng, scores: scores,
    "two decimals": lambda rng, scores: scores.round(2),
    "often 1": lambda rng, scores: np.minimum(scores * 1.08, 1.0),
    "bimodal": lambda rng, scores: np.where(rng.random(scores.shape) < 0.3, scores - 0.5, scores),
    "constant": lambda rng, scores: np.full(scores.shape, 0.9),
    "missing": lambda rng, scores: np.where(rng.random(scores.shape) < 0.2, np.nan, scores),
    "lower": lambda rng, scores: scores - np.linspace(0, 0.1, len(scores))[:, None],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [(10, 10), (54, 30), (60, 14, 7, 25)])
def test_numbers_never_contradict_each_other(kind: str, sizes: Sequence[int]) -> None:
    rng = np.random.default_rng(len(kind))
    size = sum(sizes)
    scores = KINDS[kind](rng, good(rng, size, 4))
    names = tuple("ABCD"[: len(sizes)])
    ids = np.repeat(np.arange(len(sizes)), sizes)
    other = np.where(rng.random(size) < 0.1, -1, rng.integers(0, 2, size))
    groupings = [Grouping("first", names, ids, 0), Grouping("second", ("x", "y"), other)]
    strata = rng.integers(-1, 2, size)
    page = judge_page(
        scores, groupings, structures=THREE, strata=strata, options=JudgeOptions(permutations=199)
    )
    coherent(page)


def test_names_and_order_of_groups_change_nothing(rng: np.random.Generator) -> None:
    first, second = good(rng, 40, 3), good(rng, 30, 3) - 0.03
    page, turned = judge(first, second), judge(second, first)
    for row, other in zip(page.findings, turned.findings, strict=True):
        assert row.estimate == pytest.approx(-other.estimate, abs=1e-5)
        assert row.p == pytest.approx(other.p)


def test_the_same_seed_gives_the_same_page(rng: np.random.Generator) -> None:
    parts = good(rng, 30, 3), good(rng, 20, 3)
    assert repr(judge(*parts)) == repr(judge(*parts))  # NaN is not equal to itself


def test_hardest_tenth_of_equal_scores() -> None:
    assert hardest(np.repeat([0.5, 0.9], [10, 90])).sum() == 10
    assert hardest(np.repeat([0.5, 0.9], [3, 97])).sum() == 0 + 3
    assert hardest(np.repeat([0.5, 0.9], [40, 60])).sum() == 40
    assert hardest(np.ones(50)).sum() == 0


def test_errors_name_the_argument(rng: np.random.Generator) -> None:
    scores, grouping = grouped(good(rng, 20), good(rng, 20))
    with pytest.raises(ValueError, match=r"scores must be from 0 to 1, got 79\.7807 to 96\.0553"):
        judge_page(scores.clip(0.7) * 100, [grouping])
    with pytest.raises(ValueError, match=r"scores must be \(N, 2\), a column a structure, got \(40, 1\)"):
        judge_page(scores, [grouping], structures=("Overall", "LV"))
    with pytest.raises(ValueError, match="ids must be one a subject, 39, got 40"):
        judge_page(scores[1:], [grouping])
    with pytest.raises(ValueError, match="ids must be from -1 to 1, got 0 to 2"):
        Grouping("sex", ("F", "M"), np.array([0, 2]))
    with pytest.raises(ValueError, match="names of groupings must differ"):
        judge_page(scores, [grouping, grouping])
    with pytest.raises(ValueError, match="strata must be integers"):
        judge_page(scores, [grouping], strata=np.ones(40))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("margin", 0),
        ("margin", float("nan")),
        ("failure_margin", 1.5),
        ("failure_threshold", 1.0),
        ("min_size", 1),
        ("min_size", 10.5),
        ("alpha", 0.5),
        ("permutations", 10),
        ("seed", -1),
        ("tail_margin", "a lot"),
        ("median_floor", True),
    ],
)
def test_options_are_checked(option: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{option} must be .*, got {value!r}"):
        JudgeOptions(**{option: value})  # type: ignore[arg-type]


def test_a_structure_without_scores_in_one_group(rng: np.random.Generator) -> None:
    scores, grouping = grouped(good(rng, 300, 2), good(rng, 300, 2))
    scores[300:360, 2] = np.nan
    page = judge_page(scores, [grouping], structures=THREE[:3], options=OPTIONS)
    (reason,) = (one for one in page.comparisons[0].reasons if one.kind is ReasonKind.MISSING_SCORES)
    assert page.verdict is not Verdict.NO_GAP
    assert (reason.structure, reason.group) == ("MYO", "B")
    assert [(fact.missing, fact.n) for fact in reason.facts] == [(60, 240), (0, 300)]


def test_small_groups_that_are_served_well_but_otherwise(rng: np.random.Generator) -> None:
    one = judge(good(rng, 400), good(rng, 400), good(rng, 9) - 0.12)
    assert one.verdict is Verdict.OPEN
    assert [reason.group for reason in one.reasons["group"]] == ["C"]
    many = judge(good(rng, 400), good(rng, 400), *[np.array([0.83, 0.86, 0.88])] * 9)
    assert many.verdict is Verdict.OPEN
    assert [(reason.group, reason.facts[0].n) for reason in many.reasons["group"]] == [(None, 27)]


@pytest.mark.parametrize("size", [2000, 3000])
def test_hardest_cases_are_worse_by_their_means_whatever_counts_of_milder_ones_say(size: int) -> None:
    """3% of A are missed, of B 7% are a little low: more of B are among the hardest twentieth."""
    rng = np.random.default_rng(0)
    missed, low = np.clip(rng.normal(0.9, 0.02, (2, size)), 0.82, 0.98)
    missed[: round(0.03 * size)] = 0.03
    low[: round(0.07 * size)] = rng.normal(0.78, 0.01, round(0.07 * size))
    (comparison,) = judge(missed, low).comparisons
    assert comparison.verdict is Verdict.OPEN
    (reason,) = (one for one in comparison.reasons if one.kind is ReasonKind.SEVERITY)
    assert (reason.group, reason.against) == ("A", "B")
    assert reason.difference is not None
    lowest = [np.sort(part)[: size // 10].mean() for part in (missed, low)]
    assert reason.difference.estimate == pytest.approx(lowest[1] - lowest[0])


def test_a_group_that_is_missed_altogether_is_not_hidden_by_milder_failures_of_the_other() -> None:
    """12 of 400 of A are missed, of B 12 have 0.60: within every margin, and lowest tenths 0.17 apart."""
    rng = np.random.default_rng(1)
    missed, low = np.clip(rng.normal(0.9, 0.02, (2, 400)), 0.82, 0.98)
    missed[:12], low[:12] = 0.03, 0.6
    page = judge(missed, low)
    assert page.verdict is Verdict.OPEN
    assert reasons(page.comparisons[0]) == {ReasonKind.SEVERITY}


def test_a_small_group_with_one_miss_more_has_no_worse_cases() -> None:
    """Of 3,000 and 60 alike one in 200 is missed in 8 structures: normal limits said it of one in seven."""
    members = np.repeat([True, False], [3000, 60])
    shown = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        scores = np.where(rng.random((8, 3060)) < 0.005, 0.0, rng.normal(0.9, 0.02, (8, 3060)))
        measured = [StructureScores(str(number), row, OPTIONS) for number, row in enumerate(scores)]
        shown += bool(severity((("A", members), ("B", ~members)), measured, OPTIONS))
    assert shown <= stats.binom.isf(1e-4, 60, 0.03)


def test_alike_groups_seldom_have_hardest_cases_that_are_worse() -> None:
    """One in a hundred of each is missed: of 200 pairs at most those of three tests at their level."""
    level = OPTIONS.alpha / 5
    for sizes in ((60, 400), (400, 400)):
        members = np.repeat([True, False], sizes)
        shown = 0
        for seed in range(200):
            rng = np.random.default_rng(seed)
            scores = np.where(rng.random(sum(sizes)) < 0.01, 0.0, rng.normal(0.9, 0.02, sum(sizes)))
            measured = [StructureScores("Overall", scores, OPTIONS)]
            shown += bool(severity((("A", members), ("B", ~members)), measured, OPTIONS))
        assert shown <= stats.binom.isf(1e-4, 200, 3 * level)


def test_hardest_cases_that_are_worse_by_less_than_the_margin_are_no_reason() -> None:
    """Of 3,000 each the lowest tenths have means 0.007 apart: p is tiny, and it matters to nobody."""
    parts = [stats.norm.ppf((np.arange(3000) + 0.5) / 3000, 0.9, sd) for sd in (0.02, 0.024)]
    hardest_share = np.sort(np.concatenate(parts))[300]
    counts = [int((part < hardest_share).sum()) for part in parts]
    assert fisher_exact(counts[0], 3000, counts[1], 3000) < 1e-6
    assert 0.006 < parts[0][:300].mean() - parts[1][:300].mean() < 0.008
    assert judge(*parts).verdict is Verdict.NO_GAP


def test_severity_names_the_group_whose_cases_are_worse(rng: np.random.Generator) -> None:
    parts = [with_worst(good(rng, 400), 40, rng.uniform(*low, 40)) for low in ((0.5, 0.55), (0.72, 0.76))]
    found = {reason.kind: reason for reason in judge(*parts).comparisons[0].reasons}
    assert found.keys() == {ReasonKind.SEVERITY, ReasonKind.MEANS}
    assert {(reason.group, reason.against) for reason in found.values()} == {("A", "B")}
    difference = found[ReasonKind.SEVERITY].difference
    assert difference is not None
    assert difference.estimate == pytest.approx(np.mean(parts[1][:40]) - np.mean(parts[0][:40]))


def test_severity_allows_for_all_comparisons_of_the_page(rng: np.random.Generator) -> None:
    """A tail that stands out beside one group by p = 0.004 may be the worst of twelve by chance."""
    parts = [with_worst(good(rng, 200), 20, np.linspace(low, low + 0.1, 20)) for low in (0.5, 0.53)]
    pair = [(name, np.repeat([0, 1], 200) == code) for code, name in enumerate("AB")]
    measured = [StructureScores("Overall", np.concatenate(parts), JudgeOptions())]
    named = [
        [reason.group for reason in severity((pair[0], pair[1]), measured, JudgeOptions(), of=of)]
        for of in (1, 11)
    ]
    assert named == [["A"], []]


@pytest.mark.parametrize("levels", [False, True])
def test_so_many_times_the_subjects_settle_a_typical_difference(
    rng: np.random.Generator, levels: bool
) -> None:
    """Also of scores of few levels, whose limits move in steps and not as the root of the subjects."""
    first, second = rng.normal(0.93, 0.01, 80).clip(0, 1), good(rng, 40)
    if levels:
        second = np.repeat([0.0, 0.5, 1.0], [4, 3, 4])

    def row(times: int) -> Finding:
        (found,) = judge(np.tile(first, times), np.tile(second, times)).comparisons
        return found.findings[0]

    def settled(one: Finding) -> bool:
        return one.inside or one.equivalence_low > one.margin or one.equivalence_high < -one.margin

    times = row(1).times_subjects
    assert not settled(row(1))
    assert times > 1.5
    assert not settled(row(int(times * 0.9)))
    assert settled(row(int(np.ceil(times * 1.1))))


def test_so_many_times_the_subjects_settle_that_nobody_fails(rng: np.random.Generator) -> None:
    """Newcombe's limits of 0 of n and 0 of n, at 90%, lie within 5 points from 52 subjects on."""
    scores = good(rng, 80)
    (found,) = judge(scores[:40], scores[40:]).comparisons
    row = next(row for row in found.findings if row.endpoint is Endpoint.FAILURES)
    assert 40 * row.times_subjects == pytest.approx(52, abs=1.5)


@pytest.mark.parametrize("strata", [1, 2])
@pytest.mark.parametrize(
    ("failing", "sizes"),
    [
        ((22, 0), (400, 12)),  # within the margin one way only: 0 of 12 is uncertain, not unequal
        ((2, 0), (54, 30)),
        ((2, 2), (60, 40)),
        ((0, 4), (60, 40)),  # beyond the margin, where limits need not come within
        ((40, 20), (60, 40)),
    ],
)
def test_so_many_times_the_subjects_settle_a_difference_of_failures(
    rng: np.random.Generator, failing: tuple[int, int], sizes: tuple[int, int], strata: int
) -> None:
    def row(times: int) -> Finding:
        parts = [
            with_worst(np.full(n * times, 0.9), k * times, 0.2) for k, n in zip(failing, sizes, strict=True)
        ]
        scores, grouping = grouped(*parts)
        options = JudgeOptions(permutations=99)
        stratum = np.arange(len(scores)) % 2 if strata == 2 else None
        (found,) = judge_page(scores, [grouping], strata=stratum, options=options).comparisons
        return [one for one in found.findings if one.endpoint is Endpoint.FAILURES][-1]

    def settled(one: Finding) -> bool:
        return one.inside or one.equivalence_low > one.margin or one.equivalence_high < -one.margin

    times = row(1).times_subjects
    assert not settled(row(1))
    assert not settled(row(int(times * 0.95)))
    assert settled(row(int(np.ceil(times * 1.05))))
