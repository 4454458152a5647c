"""Variants of a page, and which verdicts hang on them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import trim_mean, ttest_ind

from fairseg.statistics.findings import Grouping
from fairseg.statistics.judge_options import JudgeOptions
from fairseg.statistics.judgement import judge_page
from fairseg.statistics.sensitivity import Variant, influential_rows, judge_centres, judge_variants, leave_out
from fairseg.statistics.verdicts import Verdict


def test_a_verdict_that_hangs_on_missed_structures() -> None:
    rng = np.random.default_rng(0)
    scores = rng.beta(44, 5.6, (200, 2))
    scores[100:130, 1] = 0.0
    left_out = np.where(scores == 0, np.nan, scores)
    group = Grouping("sex", ("M", "F"), np.repeat([0, 1], 100), 0)
    site = rng.integers(0, 2, 200)
    names = ("Overall", "LV", "RV")
    base = Variant("as reported", np.column_stack([scores.mean(1), scores]), names)
    page = judge_page(base.scores, [group], structures=names, options=JudgeOptions(permutations=499))
    assert page.verdict is Verdict.GAP
    variants = [
        Variant("missed left out", np.column_stack([np.nanmean(left_out, axis=1), left_out]), names),
        Variant("LV only", scores[:, :1], ("LV",)),
        leave_out(base, np.flatnonzero(site == 0), "without site 0"),
        leave_out(base, np.flatnonzero(group.ids == 1), "without F"),
    ]
    found = judge_variants(page, variants, [group])
    assert [(one.variant, one.flips) for one in found] == [
        ("missed left out", True),
        ("LV only", True),
        ("without site 0", False),
        ("without F", True),
    ]
    assert found[2].verdict is Verdict.GAP
    assert found[3].verdict is Verdict.NOT_JUDGED
    assert np.isnan(found[3].estimate)


def test_other_measures_of_the_typical_gap() -> None:
    """A tenth of F far below: means differ, medians and trimmed means hardly do. Oracles: SciPy's tests."""
    rng = np.random.default_rng(2)
    scores = np.r_[rng.normal(0.9, 0.01, 300), rng.normal(0.9, 0.01, 270), rng.normal(0.6, 0.02, 30)]
    group = Grouping("sex", ("M", "F"), np.repeat([0, 1], 300), 0)
    page = judge_page(scores[:, None], [group], options=JudgeOptions(permutations=499))
    found = {one.variant: one for one in judge_centres(page, scores, group)}
    men, women = scores[:300], scores[300:]
    trimmed = [trim_mean(part, 0.2) for part in (men, women)]
    assert found["difference of means"].estimate == pytest.approx(men.mean() - women.mean())
    assert found["difference of trimmed means"].estimate == pytest.approx(trimmed[0] - trimmed[1])
    assert found["difference of medians"].estimate == pytest.approx(np.median(men) - np.median(women))
    # The hardest tenth shows a gap whatever stands for the typical case.
    assert {one.verdict for one in found.values()} == {Verdict.GAP}
    # Without the tail's own findings the means alone would show it.
    base = page.comparisons[0]
    alone = replace(base, findings=base.findings[:1], verdict=Verdict.NO_GAP, reasons=())
    found = {one.variant: one for one in judge_centres(replace(page, comparisons=(alone,)), scores, group)}
    level = base.findings[0].level
    shown = ttest_ind(men, women, equal_var=False).pvalue <= 1 - level
    assert shown
    assert found["difference of means"].verdict is Verdict.GAP
    assert found["difference of trimmed means"].verdict is Verdict.NO_GAP
    assert found["difference of medians"].verdict is Verdict.NO_GAP


def test_the_page_itself_is_a_variant_without_flips() -> None:
    """Judged again at its level a page gives every number again, whatever the permutations said."""
    rng = np.random.default_rng(4)
    scores = rng.normal(0.9, 0.02, (90, 1)) - 0.011 * np.repeat([[0], [1], [0]], 30, axis=0)
    groups = [Grouping(name, ("a", "b", "c"), rng.permutation(np.repeat([0, 1, 2], 30))) for name in "xyz"]
    groups.insert(0, Grouping("w", ("a", "b", "c"), np.repeat([0, 1, 2], 30)))
    page = judge_page(scores, groups)
    found = judge_variants(page, [Variant("as judged", scores, ("Overall",))], groups[:1])
    assert [one.flips for one in found] == [False] * 3
    assert [one.estimate for one in found] == [one.findings[0].estimate for one in page.comparisons[:3]]


def test_influential_subjects_move_the_comparison_most() -> None:
    rng = np.random.default_rng(1)
    scores = rng.beta(44, 5.6, 40)
    group = Grouping("sex", ("M", "F"), np.repeat([0, 1], 20), 0)
    from fairseg.statistics.two_samples import brunner_munzel  # noqa: PLC0415

    base = brunner_munzel(scores[:20], scores[20:]).effect
    change = [
        abs(
            brunner_munzel(
                np.delete(scores, row)[: 19 + (row > 19)], np.delete(scores, row)[19 + (row > 19) :]
            ).effect
            - base
        )
        for row in range(40)
    ]
    assert int(np.argmax(change)) in sum(influential_rows(scores, group), ())
