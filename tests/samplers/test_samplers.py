"""What the samplers promise: shares, coverage, ranks, epochs, positions; and what they refuse."""

import json
import pickle
from collections import Counter
from fractions import Fraction
from itertools import chain, islice
from typing import Any

import numpy as np
import pytest
import torch
import torch.testing._internal.distributed.fake_pg  # a world without processes
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency

from fairseg.samplers import GroupBatchSampler, GroupWeightedSampler

GROUPS = st.lists(st.integers(-1, 4), min_size=1, max_size=60).filter(lambda ids: max(ids) >= 0)
BALANCE = st.one_of(st.sampled_from([0.0, 0.3, 0.5, 1.0]), st.floats(0, 1))
COHORT = np.repeat([0, 1, 2, -1], [50, 20, 5, 3])


def global_batches(groups: Any, batch_size: int, replicas: int, **options: Any) -> list[list[list[int]]]:
    """Return the batches of all ranks, (num_batches, replicas, batch_size)."""
    ranks = [
        list(GroupBatchSampler(groups, batch_size, num_replicas=replicas, rank=rank, **options))
        for rank in range(replicas)
    ]
    return [list(of_ranks) for of_ranks in zip(*ranks, strict=True)]


@given(GROUPS, st.integers(1, 9), BALANCE, st.integers(1, 4), st.integers(0, 3))
def test_shares_ranks_and_coverage(
    groups: list[int], batch_size: int, balance: float, replicas: int, seed: int
) -> None:
    of_ranks = global_batches(groups, batch_size, replicas, balance=balance, seed=seed, num_batches=40)
    assert all(len(batch) == batch_size for ranks in of_ranks for batch in ranks)
    sizes = Counter(group for group in groups if group >= 0)
    mix = Fraction(balance).limit_denominator(10**9)
    share = {g: mix / len(sizes) + (1 - mix) * Fraction(n, sizes.total()) for g, n in sizes.items()}
    had: Counter[int] = Counter()
    for step, ranks in enumerate(of_ranks, start=1):
        in_batch = [Counter(groups[index] for index in batch) for batch in ranks]
        for counts in in_batch:
            had += counts
        for group in sizes:
            assert abs(had[group] - share[group] * step * batch_size * replicas) < 1
            per_rank = [counts[group] for counts in in_batch]
            assert max(per_rank) - min(per_rank) <= 1
    drawn = Counter(chain.from_iterable(chain.from_iterable(of_ranks)))
    for group in sizes:
        times = [drawn[index] for index, of in enumerate(groups) if of == group]
        assert max(times) - min(times) <= 1  # every sample before any again
    assert not any(drawn[index] for index, group in enumerate(groups) if group == -1)


@settings(max_examples=25)
@given(GROUPS, st.integers(1, 9), BALANCE, st.booleans())
def test_resuming_anywhere_gives_the_same_stream(
    groups: list[int], batch_size: int, balance: float, by_subject: bool
) -> None:
    subjects = [index // 3 for index in range(len(groups))] if by_subject else None
    options = {"balance": balance, "subjects": subjects, "num_batches": 7}
    sampler = GroupBatchSampler(groups, batch_size, **options)  # type: ignore[arg-type]
    whole = [list(sampler) for _ in range(2)]
    sampler = GroupBatchSampler(groups, batch_size, **options)  # type: ignore[arg-type]
    for step in (0, 1, 4, 7):
        sampler.set_epoch(0)
        handed = list(islice(iter(sampler), step))
        assert handed == whole[0][:step]
        state = json.loads(json.dumps(sampler.state_dict()))
        other = GroupBatchSampler(groups, batch_size, **options)  # type: ignore[arg-type]
        for _ in range(2):  # again and again
            other.load_state_dict(state)
            assert list(other) == whole[0][step:]
            assert list(other) == whole[1]


def test_resuming_across_blocks_of_a_long_epoch() -> None:
    sampler = GroupBatchSampler(COHORT, 3, balance=0.3, num_batches=3000, seed=1)
    stream = iter(sampler)
    taken, whole = [], []
    for step in range(3000):
        if step % 97 == 0 or step in (682, 683, 1364, 1365, 1366):
            taken.append((step, sampler.state_dict()))
        whole.append(next(stream))
    for step, state in taken:
        other = GroupBatchSampler(COHORT, 3, balance=0.3, num_batches=3000, seed=1)
        other.load_state_dict(state)
        assert list(islice(other, 5)) == whole[step : step + 5]
        assert other.state_dict()["step"] == min(step + 5, 3000)


def test_ranks_together_hold_a_group_once_before_any_sample_comes_again() -> None:
    groups = np.repeat([0, 1], [24, 24])
    of_ranks = global_batches(groups, 3, 4, num_batches=4)  # 48 draws: everyone once
    assert sorted(chain.from_iterable(chain.from_iterable(of_ranks))) == list(range(48))


def test_the_position_in_the_batch_says_nothing_about_the_group() -> None:
    for sampler in (
        GroupBatchSampler(COHORT, 7, num_batches=6000, seed=3),
        GroupBatchSampler(COHORT, 7, num_batches=6000, seed=3, num_replicas=2, rank=1),
    ):
        table = np.zeros((7, 3))
        for batch in sampler:
            table[np.arange(7), COHORT[batch]] += 1
        assert chi2_contingency(table).pvalue > 1e-3


def test_pairs_in_a_batch_are_as_good_as_random() -> None:
    """Which samples of a group meet in a batch: no pair more often than any other."""
    groups = np.repeat([0, 1], 8)
    met = np.zeros((16, 16))
    for batch in GroupBatchSampler(groups, 8, num_batches=20000, seed=5):
        met[np.ix_(batch, batch)] += 1
    between = met[:8, 8:].ravel()
    expected = between.mean()
    assert abs(between / expected - 1).max() < 6 / np.sqrt(expected)


def test_subjects_are_drawn_evenly_and_their_samples_too() -> None:
    # Group 0: subject A with 6 slices, B with 2. Group 1: C with 1, D with 3. One id spans both groups: E.
    subjects = np.array(list("AAAAAABBCDDDEE"))
    groups = np.array([0] * 8 + [1] * 4 + [0, 1])
    sampler = GroupBatchSampler(groups, 6, subjects=subjects, num_batches=400)
    drawn = np.bincount(list(chain.from_iterable(sampler)), minlength=14)
    assert drawn.sum() == 2400
    for group in (0, 1):
        for who in np.unique(subjects[groups == group]):
            assert drawn[(groups == group) & (subjects == who)].sum() == 400
    for who in "ABCD":
        assert np.ptp(drawn[subjects == who]) <= 1


def test_a_cycle_is_shuffled_evenly() -> None:
    """Each of the 24 orders of four samples comes as often as any other; so do those of a subject."""
    for subjects in (None, [0, 0, 0, 0]):
        sampler = GroupBatchSampler([0, 0, 0, 0], 1, subjects=subjects, num_batches=4 * 24_000)
        stream = [index for (index,) in sampler]
        orders = Counter(zip(*(stream[i::4] for i in range(4)), strict=True))
        assert len(orders) == 24
        assert max(orders.values()) < 1000 + 6 * np.sqrt(1000) > 1000 - min(orders.values())


def test_epochs_differ_advance_and_can_be_chosen() -> None:
    sampler = GroupBatchSampler(COHORT, 5, num_batches=4, seed=2)
    first, second, third = list(sampler), list(sampler), list(sampler)
    assert first != second != third
    assert sampler.epoch == 3
    fresh = GroupBatchSampler(COHORT, 5, num_batches=4, seed=2)
    fresh.set_epoch(2)
    assert (fresh.epoch, list(fresh)) == (2, third)
    fresh.set_epoch(0)
    assert list(fresh) == first
    assert list(GroupBatchSampler(COHORT, 5, num_batches=4, seed=3)) != first


@settings(max_examples=25)
@given(GROUPS, st.integers(1, 7), BALANCE, st.integers(1, 3), st.integers(1, 6))
def test_shares_are_carried_from_epoch_to_epoch(
    groups: list[int], batch_size: int, balance: float, replicas: int, num_batches: int
) -> None:
    ranks = [
        GroupBatchSampler(
            groups, batch_size, balance=balance, num_batches=num_batches, num_replicas=replicas, rank=rank
        )
        for rank in range(replicas)
    ]
    had, ids = np.zeros(5), np.array(groups)
    for epoch in range(12):
        for step, of_ranks in enumerate(zip(*ranks, strict=True), start=1):
            had += np.bincount(ids[list(chain.from_iterable(of_ranks))], minlength=5)
            due = (epoch * num_batches + step) * batch_size * replicas * ranks[0].shares
            assert np.abs(had[: due.size] - due).max() < 1 + 1e-9
    fresh = GroupBatchSampler(
        groups, batch_size, balance=balance, num_batches=num_batches, num_replicas=replicas, rank=0
    )
    fresh.set_epoch(12)
    assert list(fresh) == list(ranks[0])


def test_the_weighted_sampler_carries_too() -> None:
    sampler = GroupWeightedSampler(np.repeat([0, 1, 2], [900, 90, 10]), 30, balance=0.0)
    groups = np.repeat([0, 1, 2], [900, 90, 10])
    had = np.bincount(groups[[index for _ in range(100) for index in sampler]])
    np.testing.assert_allclose(had, [2700, 270, 30], atol=1)


def test_every_epoch_has_an_order_of_its_own() -> None:
    """One group in batches of one: the order is that of the draws alone."""
    for subjects in (None, [index // 5 for index in range(50)]):
        sampler = GroupBatchSampler([0] * 50, 1, subjects=subjects)
        epochs = [[index for (index,) in sampler] for _ in range(20)]
        assert all(sorted(epoch) == list(range(50)) for epoch in epochs)
        assert len({tuple(epoch) for epoch in epochs}) == 20
        assert len({tuple(epoch[:10]) for epoch in epochs}) == 20


def test_ties_fall_differently_for_each_seed() -> None:
    firsts = {
        tuple(np.bincount(COHORT[next(iter(GroupBatchSampler(COHORT, 4, seed=seed)))], minlength=3))
        for seed in range(20)
    }
    assert firsts == {(2, 1, 1), (1, 2, 1), (1, 1, 2)}


def test_no_rank_is_favoured_and_ranks_are_shuffled_on_their_own() -> None:
    groups = np.repeat([0, 1, 2], 400)
    of_ranks = global_batches(groups, 2, 2, num_batches=3000)  # one of three groups has 2 of 4 slots
    per_rank = np.array(
        [np.bincount(groups[list(chain.from_iterable(rank))]) for rank in zip(*of_ranks, strict=True)]
    )
    assert abs(per_rank / 2000 - 1).max() < 0.1
    groups = np.repeat([0, 1], 400)
    of_ranks = global_batches(groups, 4, 2, num_batches=3000)
    same = np.mean([(groups[first] == groups[second]).all() for first, second in of_ranks])
    assert 0.1 < same < 0.25  # 1/6 of the orders of two and two
    first_slot = [ranks[0][0] for ranks in global_batches(np.zeros(8, dtype=int), 4, 2, num_batches=4000)]
    assert chi2_contingency(np.stack([np.bincount(first_slot, minlength=8), np.full(8, 500)])).pvalue > 1e-3


def test_setting_the_epoch_shows_at_once() -> None:
    sampler = GroupBatchSampler(COHORT, 5, num_batches=4)
    list(islice(sampler, 2))
    assert sampler.state_dict()["step"] == 2
    sampler.set_epoch(0)
    assert sampler.state_dict()["step"] == 0
    sampler.set_epoch(7)
    assert sampler.epoch == sampler.state_dict()["epoch"] == 7


def test_a_sampler_from_before_torch_distributed_says_so() -> None:
    early = GroupBatchSampler(COHORT, 5)
    stated = GroupBatchSampler(COHORT, 5, num_replicas=1, rank=0)
    store = torch.testing._internal.distributed.fake_pg.FakeStore()
    torch.distributed.init_process_group("fake", store=store, rank=1, world_size=3)
    try:
        with pytest.raises(ValueError, match=r"made before torch\.distributed was initialised"):
            next(iter(early))
        assert len(next(iter(stated))) == 5
        late = GroupBatchSampler(COHORT, 5)
        assert (late.num_replicas, late.rank) == (3, 1)
        assert list(late) == list(GroupBatchSampler(COHORT, 5, num_replicas=3, rank=1))
    finally:
        torch.distributed.destroy_process_group()


def test_a_missing_subject_of_an_unknown_sample_does_not_matter() -> None:
    sampler = GroupBatchSampler([0, 1, -1], 2, subjects=["a", "b", None])
    assert sorted(next(iter(sampler))) == [0, 1]


def test_a_group_with_less_than_a_sample_an_epoch_is_not_starved() -> None:
    groups = np.repeat([0, 1, 2], [60_000, 39_980, 20])
    sampler = GroupBatchSampler(groups, 12, balance=0.0, num_batches=250)
    had = sum(np.bincount(groups[list(chain.from_iterable(sampler))], minlength=3) for _ in range(100))
    np.testing.assert_allclose(had, np.array([0.6, 0.3998, 0.0002]) * 300_000, atol=1)


def test_short_epochs_cover_a_large_group_together() -> None:
    groups = np.repeat([0, 1], [1000, 10])
    sampler = GroupBatchSampler(groups, 4, num_batches=50)  # 100 draws of each group an epoch
    drawn = np.bincount(list(chain.from_iterable(chain.from_iterable(sampler for _ in range(10)))))
    assert (drawn[:1000] == 1).all()
    assert (drawn[1000:] == 100).all()
    sampler = GroupBatchSampler(np.zeros(75, dtype=int), 12)  # 84 draws: all, in every epoch
    for _ in range(3):
        drawn = np.bincount(list(chain.from_iterable(sampler)), minlength=75)
        assert set(drawn) == {1, 2}


def test_remainders_start_again_after_a_period() -> None:
    sampler = GroupBatchSampler([0, 0, 1], 1, balance=0.0, num_batches=10_000)  # three epochs a period
    shares = []
    for _ in range(4):
        drawn = np.array(list(chain.from_iterable(sampler)))
        shares.append(int((drawn == 2).sum()))
    assert sum(shares[:3]) == 10_000
    fresh = GroupBatchSampler([0, 0, 1], 1, balance=0.0, num_batches=10_000)
    fresh.set_epoch(3)
    assert np.array(list(chain.from_iterable(fresh))).tolist() == drawn.tolist()


def test_an_epoch_that_was_left_is_not_begun_again_unless_asked_for() -> None:
    sampler = GroupBatchSampler(COHORT, 5, num_batches=4)
    epochs = [list(sampler), list(sampler)]
    sampler = GroupBatchSampler(COHORT, 5, num_batches=4)
    assert next(iter(sampler)) == epochs[0][0]
    assert list(sampler) == epochs[1]
    sampler = GroupBatchSampler(COHORT, 5, num_batches=4)
    next(iter(sampler))
    sampler.set_epoch(0)
    assert list(sampler) == epochs[0]


def test_setting_the_epoch_of_a_loaded_state_keeps_its_position() -> None:
    sampler = GroupBatchSampler(COHORT, 5, num_batches=4)
    whole = list(sampler)
    sampler.set_epoch(0)
    list(islice(sampler, 2))
    state = sampler.state_dict()
    sampler.load_state_dict(state)
    sampler.set_epoch(0)  # as training loops do before every epoch
    assert list(sampler) == whole[2:]


def test_two_iterations_at_once_do_not_disturb_each_other() -> None:
    sampler = GroupBatchSampler(COHORT, 5, num_batches=6)
    iter(sampler)  # asks for nothing, so changes nothing
    first, second = iter(sampler), iter(sampler)
    mixed = [(next(first), next(second)) for _ in range(6)]
    fresh = GroupBatchSampler(COHORT, 5, num_batches=6)
    assert mixed == list(zip(list(fresh), list(fresh), strict=True))


def test_other_ranks_can_go_on_from_a_state_if_the_batches_together_are_as_large() -> None:
    sampler = GroupBatchSampler(COHORT, 6, num_batches=9)
    stream = iter(sampler)
    for _ in range(4):
        next(stream)
    state, expected = sampler.state_dict(), [sorted(next(stream)) for _ in range(5)]
    halves = []
    for rank in (0, 1):
        half = GroupBatchSampler(COHORT, 3, num_batches=9, num_replicas=2, rank=rank)
        half.load_state_dict(state)
        halves.append(list(half))
    assert [sorted(a + b) for a, b in zip(*halves, strict=True)] == expected


def test_no_global_generator_is_read_or_moved() -> None:
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    first = list(GroupBatchSampler(COHORT, 5))
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    assert list(GroupBatchSampler(COHORT, 5)) == first


def test_unknown_ids_are_counted_and_said(caplog: pytest.LogCaptureFixture) -> None:
    sampler = GroupBatchSampler(COHORT, 5)
    assert sampler.num_unknown == 3
    assert "3 of 78 samples have no known group" in caplog.text
    assert sampler.counts.tolist() == [50, 20, 5]


def test_ids_without_samples_have_no_share() -> None:
    sampler = GroupBatchSampler([0, 3, 3, 3], 2, balance=0.5)
    np.testing.assert_allclose(sampler.shares, [0.375, 0, 0, 0.625])


def test_the_length_is_exact() -> None:
    assert len(GroupBatchSampler(COHORT, 12)) == 7  # 75 known samples
    assert len(GroupBatchSampler(COHORT, 12, num_replicas=2, rank=0)) == 4
    assert len(list(GroupBatchSampler(COHORT, 12, num_batches=5))) == 5
    for rank in (0, 1):
        assert len(list(GroupWeightedSampler(COHORT, 1500, num_replicas=2, rank=rank))) == 1500


def test_it_takes_tensors_lists_and_every_integer_type_alike() -> None:
    expected = list(GroupBatchSampler(COHORT, 5))
    for groups in (COHORT.tolist(), torch.tensor(COHORT), COHORT.astype(np.int8)):
        assert list(GroupBatchSampler(groups, 5)) == expected
    known = COHORT[COHORT >= 0]
    assert list(GroupBatchSampler(known.astype(np.uint8), 5)) == list(GroupBatchSampler(known, 5))


def test_large_cohorts_are_sorted_as_small_ones() -> None:
    groups = np.random.default_rng(0).integers(-1, 7, size=(1 << 20) + 12345)
    members = GroupBatchSampler(groups, 5)._stream.members
    order = np.argsort(groups, kind="stable")
    np.testing.assert_array_equal(members.samples, order[groups[order] >= 0])


def test_weighted_sampler_shares_coverage_and_resume() -> None:
    sampler = GroupWeightedSampler(COHORT, 5000, balance=0.5)
    drawn = list(sampler)
    counts = np.bincount(COHORT[drawn], minlength=3)
    np.testing.assert_allclose(counts, sampler.shares * 5000, atol=40)
    assert np.ptp(np.bincount(drawn[:4096], minlength=78)[:50]) <= 1  # four windows
    for step in (0, 1, 1023, 1024, 2047, 2048, 2049, 4999):
        sampler.set_epoch(0)
        stream = iter(sampler)
        assert [next(stream) for _ in range(step)] == drawn[:step]
        other = GroupWeightedSampler(COHORT, 5000, balance=0.5)
        other.load_state_dict(sampler.state_dict())
        assert list(other) == drawn[step:]


def test_a_sampler_survives_pickling_with_its_position() -> None:
    sampler = GroupBatchSampler(COHORT, 5)
    whole = list(sampler)
    sampler.set_epoch(0)
    list(islice(sampler, 3))
    copy = pickle.loads(pickle.dumps(sampler))
    state = copy.state_dict()
    assert state == sampler.state_dict()
    copy.load_state_dict(state)
    assert list(copy) == whole[3:]


@pytest.mark.parametrize(
    ("groups", "options", "message"),
    [
        ([0.5, 1.0], {}, "groups must be integer ids.*float64"),
        ([[0, 1]], {}, r"groups must be a vector.*\(1, 2\)"),
        ([], {}, "groups must be a vector"),
        ([0, -2], {}, "groups must be ids.*-2"),
        ([0, 1 << 20], {}, "groups must be ids.*1048576"),
        ([0.5, None], {}, "groups must be integer ids or names"),
        ([None, ""], {}, "all 2 are -1"),
        ([0, 1], {"weights": [1.0]}, r"weights must have one number a sample, shape \(2,\)"),
        ([0, 1], {"weights": [1.0, -1.0]}, r"weights must be finite.*-1\.0 for sample 1"),
        ([0, 1], {"weights": [float("nan"), 1.0]}, "weights must be finite.*nan for sample 0"),
        ([0, 1], {"weights": [1.0, 0.0]}, "all of group 1 are 0"),
        (["F", "M"], {"weights": [1.0, 0.0]}, "all of group M are 0"),
        ([0, 1], {"weights": ["a", "b"]}, "weights must be numbers"),
        ([-1, -1], {}, "all 2 are -1"),
        ([0, 1], {"batch_size": 0}, "batch_size must be an integer of at least 1, got 0"),
        ([0, 1], {"batch_size": 2.0}, "batch_size"),
        ([0, 1], {"batch_size": True}, "batch_size"),
        ([0, 1], {"balance": 1.01}, "balance must lie between 0"),
        ([0, 1], {"balance": -0.1}, "balance"),
        ([0, 1], {"balance": float("nan")}, "balance"),
        ([0, 1], {"balance": "1"}, "balance"),
        (
            [0, 1],
            {"subjects": [1]},
            r"subjects must be a vector of the length of groups, \(2,\)",
        ),
        ([0, 1], {"subjects": [1, None]}, "subjects must be known"),
        ([0, 1], {"subjects": [1, float("nan")]}, "subjects must be known"),
        ([0, 1], {"subjects": ["a", float("nan")]}, "subjects must be known"),
        ([0, 1], {"subjects": ["a", ""]}, "subjects must be known"),
        ([0, 1], {"subjects": np.array(["2020-01-01", "NaT"], dtype="M8[D]")}, "subjects must be known"),
        ([0, 1], {"subjects": np.array([1, "a"], dtype=object)}, "subjects must be ids"),
        ([0, 1], {"num_batches": 0}, "num_batches"),
        ([0, 1], {"seed": -1}, "seed"),
        ([0, 1], {"seed": 1.5}, "seed"),
        ([0, 1], {"num_replicas": 2}, "num_replicas and rank must be given together"),
        ([0, 1], {"rank": 0}, "together"),
        ([0, 1], {"num_replicas": 2, "rank": 2}, "rank must be below num_replicas, 2, got 2"),
        ([0, 1], {"num_replicas": 0, "rank": 0}, "num_replicas"),
    ],
)
def test_bad_input_is_named(groups: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GroupBatchSampler(groups, **{"batch_size": 2, **options})


def test_states_of_other_samplers_are_refused_and_change_nothing() -> None:
    sampler = GroupBatchSampler(COHORT, 5, num_batches=4)
    expected = list(sampler)
    sampler.set_epoch(0)
    for other, what in (
        (GroupBatchSampler(COHORT[1:], 5), "cohort"),
        (GroupBatchSampler(COHORT[::-1].copy(), 5), "cohort"),
        (GroupBatchSampler(COHORT, 5, subjects=np.arange(78) // 2), "cohort"),
        (GroupBatchSampler(COHORT, 6), "global_batch_size is 6, here it is 5"),
        (GroupBatchSampler(COHORT, 5, seed=1), "seed"),
        (GroupBatchSampler(COHORT, 5, balance=0.5), "balance"),
    ):
        with pytest.raises(ValueError, match=f"another sampler: its {what}"):
            sampler.load_state_dict(other.state_dict())
    weighted = GroupWeightedSampler(COHORT, 5)
    with pytest.raises(ValueError, match="its sampler is GroupWeightedSampler"):
        sampler.load_state_dict(weighted.state_dict())
    shifted = GroupBatchSampler(np.where(COHORT == 2, 3, COHORT), 5)
    with pytest.raises(ValueError, match="its cohort"):
        sampler.load_state_dict(shifted.state_dict())
    with pytest.raises(ValueError, match="no epoch, step, owed"):
        sampler.load_state_dict({})
    with pytest.raises(ValueError, match="this one is None"):
        sampler.load_state_dict(None)  # type: ignore[arg-type]
    for broken in (
        {"owed": [10**9, -(10**9), 0]},
        {"owed": [1, 1, 1]},
        {"drawn": [-5, 0, 0]},
        {"drawn": [1.5] * 3},
    ):
        with pytest.raises(ValueError, match="state must have"):
            sampler.load_state_dict({**sampler.state_dict(), **broken})
    with pytest.raises(ValueError, match="drawn as a list of 3 integers"):
        sampler.load_state_dict({**sampler.state_dict(), "drawn": [1]})
    with pytest.raises(ValueError, match="step 9 of an epoch that has 4"):
        sampler.load_state_dict({**sampler.state_dict(), "step": 9})
    for options in ({"weights": np.arange(78)}, {"replacement": True}):
        with pytest.raises(ValueError, match="its cohort"):
            sampler.load_state_dict(GroupBatchSampler(COHORT, 5, **options).state_dict())  # type: ignore[arg-type]
    old = {name: value for name, value in sampler.state_dict().items() if name != "version"}
    with pytest.raises(ValueError, match="another version of fairseg"):
        sampler.load_state_dict(old)
    assert list(sampler) == expected
    with pytest.raises(ValueError, match="epoch must be an integer"):
        sampler.set_epoch(-1)
