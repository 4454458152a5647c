"""Harm: exact tests by hand, the events, and the error that both tests share."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from fairseg.statistics.findings import Grouping
from fairseg.statistics.harm import BETWEEN_SHARE, WITHIN_SHARE, HarmRow, _fisher, harm_rows, net_events
from fairseg.statistics.judge_options import JudgeOptions

OPTIONS = JudgeOptions(permutations=499)
Ids = npt.NDArray[np.int64]


def rows(
    first: npt.ArrayLike, second: npt.ArrayLike, ids: Ids, **more: float
) -> dict[tuple[str, str, str], HarmRow]:
    columns = [np.asarray(one, dtype=float)[:, None] for one in (first, second)]
    names = tuple("ABCDEFG"[: int(ids.max()) + 1])
    found = harm_rows(*columns, [Grouping("group", names, ids)], options=OPTIONS, **more)
    return {(row.group, row.event, row.test): row for row in found}


def test_events_are_counted_by_hand() -> None:
    first = np.array([[0.9], [0.9], [0.4], [0.55], [0.9], [np.nan], [0.9]])
    second = np.array([[0.4], [0.75], [0.9], [0.47], [0.8], [0.1], [np.nan]])
    newly, lost = net_events(first, second, 0.5, 0.1)
    assert newly[:, 0].tolist() == [1, 0, -1, 1, 0, 0, 0]
    assert lost[:, 0].tolist() == [1, 1, -1, 0, 0, 0, 0]  # a loss of just the drop is none


def test_p_values_are_those_of_the_exact_tests() -> None:
    ids = np.repeat([0, 1], [50, 30])
    first = np.full(80, 0.9)
    second = first.copy()
    first[[2, 60]] = 0.3  # rescued: one of each group
    second[[5, *range(61, 68)]] = 0.2  # newly failing: one of A, seven of B
    found = rows(first, second, ids)
    within, between = found["B", "newly failing", "within"], found["B", "newly failing", "between"]
    assert (within.n, within.worse, within.better) == (30, 7, 1)
    assert (within.n_others, within.worse_others) == (50, 1)
    assert within.p == pytest.approx(stats.binomtest(7, 8, 0.5, alternative="greater").pvalue)
    assert between.p == pytest.approx(
        stats.fisher_exact([[7 - 1, 30 - 6], [1, 49]], alternative="greater").pvalue
    )  # less the one that was rescued
    assert within.allowed == pytest.approx(0.05 * WITHIN_SHARE)
    assert between.allowed == pytest.approx(0.05 * BETWEEN_SHARE)
    assert WITHIN_SHARE + BETWEEN_SHARE <= 1


def test_many_tables_have_scipys_one_sided_p() -> None:
    n, others = np.random.default_rng(0).integers(1, 60, (2, 2000))
    k, k_others = (np.random.default_rng(1).random((2, 2000)) * [n + 1, others + 1]).astype(int)
    expected = stats.hypergeom.sf(k - 1, n + others, k + k_others, n)
    np.testing.assert_allclose(_fisher(k, k_others, n, others), expected, rtol=1e-12)


@pytest.mark.parametrize("rescued", [0, 40])
def test_the_rescued_of_one_group_make_no_harm_to_another(rescued: int) -> None:
    """One of B newly falls, and two of A: nothing, however many of A no longer fail."""
    ids = np.repeat([0, 1], [100, 30])
    first, second = np.full(130, 0.9), np.full(130, 0.9)
    first[:rescued] = 0.2
    second[[60, 61, 110]] = 0.2
    found = rows(first, second, ids)
    between = found["B", "newly failing", "between"]
    assert (between.worse, between.better, between.worse_others) == (1, 0, 2)
    assert between.p_adjusted >= between.p > 0.5
    assert not any(row.shown for row in found.values())
    second[111:118] = 0.2  # eight of B, which stand out as they do where nobody is rescued
    assert rows(first, second, ids)["B", "newly failing", "between"].shown


def test_a_group_that_changes_both_ways_is_not_worse_off_than_one_that_never_fails() -> None:
    """In B either model fails one in ten at random; A never fails, of which much fewer could change."""
    shown = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        ids = np.repeat([0, 1], [300, 60])
        first, second = (np.where((ids == 1) & (rng.random(360) < 0.1), 0.2, 0.9) for _ in range(2))
        shown += any(row.shown for row in rows(first, second, ids).values())
    assert shown <= 3  # 15 of 40 were, where McNemar was not asked


def test_small_groups_that_all_change_both_ways_are_not_worse_off() -> None:
    """Six of a dozen each, one in ten of whom either model fails; 400 never fail: somebody stands out."""
    shown = 0
    ids = np.repeat(np.arange(7), [400] + [12] * 6)
    for seed in range(40):
        rng = np.random.default_rng(seed)
        first, second = (np.where((ids > 0) & (rng.random(472) < 0.1), 0.2, 0.9) for _ in range(2))
        shown += any(row.shown for row in rows(first, second, ids).values())
    assert shown <= 5
    first, second = np.full(472, 0.9), np.full(472, 0.9)
    second[[400, 401, 402, 412, 413, 414]] = 0.2  # harm to two of them, and none rescued anywhere
    assert rows(first, second, ids)["B", "newly failing", "between"].shown
    first[[424, 425, 426, 436, 437, 438]] = 0.2  # and two others rescued
    assert rows(first, second, ids)["B", "newly failing", "between"].shown


def test_between_groups_deep_falls_are_counted_and_no_others() -> None:
    ids = np.repeat([0, 1], [400, 12])
    first, second = np.full(412, 0.55), np.full(412, 0.55)
    second[:39] = 0.45  # fail by a hair
    second[[400, 401, 402]] = 0.2
    found = rows(first, second, ids)["B", "newly failing", "between"]
    assert (found.worse, found.worse_others, found.deeper_than) == (3, 0, 0.2)
    assert found.shown


def test_five_of_thirty_are_shown_and_four_are_not() -> None:
    ids = np.repeat([0, 1], [30, 30])
    for count, shown in ((5, True), (4, False)):
        second = np.full(60, 0.9)
        second[30 : 30 + count] = 0.2
        found = rows(np.full(60, 0.9), second, ids)
        assert found["B", "newly failing", "within"].p == 0.5**count
        assert found["B", "newly failing", "within"].p_adjusted == pytest.approx(0.5**count)
        assert any(row.shown for row in found.values()) == shown


def test_two_of_twelve_stand_out_from_four_hundred() -> None:
    ids = np.repeat([0, 1], [400, 12])
    second = np.full(412, 0.9)
    second[[3, 410, 411]] = 0.2
    found = rows(np.full(412, 0.9), second, ids)
    assert not found["B", "newly failing", "within"].shown
    assert found["B", "newly failing", "between"].shown


def test_failing_by_a_hair_is_no_harm_between_groups() -> None:
    ids = np.repeat([0, 1], [400, 12])
    first, second = np.full(412, 0.9), np.full(412, 0.9)
    first[400:], second[400:404], second[404:] = 0.51, 0.49, 0.51
    found = rows(first, second, ids)
    assert found["B", "newly failing", "within"].worse == 4
    assert found["B", "newly failing", "between"].p == 1.0
    assert not any(row.shown for row in found.values())


def test_losses_without_a_failure_are_harm() -> None:
    ids = np.repeat([0, 1], [60, 60])
    second = np.full(120, 0.9)
    second[60:75] = 0.75
    shown = {key for key, row in rows(np.full(120, 0.9), second, ids).items() if row.shown}
    assert shown == {("B", "lost", "within")}
    assert rows(np.full(120, 0.9), second, ids, drop=0.2)["B", "lost", "within"].worse == 0


def test_small_and_unknown_groups_are_not_tested() -> None:
    ids = np.repeat([0, 1, 2, -1], [40, 30, 5, 10])
    found = rows(np.full(85, 0.9), np.where(ids == 2, 0.1, 0.9), ids)
    assert {group for group, *_ in found} == {"A", "B"}
    assert found["A", "newly failing", "between"].n_others == 35


def test_equal_models_are_seldom_called_harmful() -> None:
    ids, alarms = np.repeat([0, 1], [54, 30]), 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        scores = (
            0.75 + 0.15 * rng.normal(size=(84, 1)) + 0.08 * rng.normal(size=(84, 2)) - 0.05 * ids[:, None]
        )
        found = rows(scores[:, 0], scores[:, 1], ids)
        alarms += any(row.shown for row in found.values())
    assert alarms <= 10  # of 120: 5% allowed, and three standard errors
