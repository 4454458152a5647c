"""Variants of a page, and which verdicts hang on them."""

import numpy as np

from fairseg.statistics.findings import Grouping
from fairseg.statistics.judge_options import JudgeOptions
from fairseg.statistics.page import judge_page
from fairseg.statistics.sensitivity import Variant, influential_rows, judge_variants, leave_out
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
    assert int(np.argmax(change)) in influential_rows(scores, group)
