"""Names in place of ids change nothing but names; weights and replacement change which samples come."""

from collections import Counter
from itertools import chain, islice
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from fairseg import Groups
from fairseg.samplers import GroupBatchSampler, GroupWeightedSampler
from fairseg.samplers.draws import Members
from fairseg.samplers.weighted import WeightedDraws

SEX = ["F"] * 7 + ["M"] * 30 + [None] * 3
WHO = [f"s{n // 3}" for n in range(40)]
TABLE = pd.DataFrame({"sex": SEX, "subject": WHO})
IDS = Groups.from_table(TABLE, by="sex").encode(TABLE)
NAMES = {
    "list": SEX,
    "Series": TABLE["sex"],
    "objects": np.array(SEX, dtype=object),
    "category": TABLE["sex"].astype("category"),
    "string": TABLE["sex"].astype("string"),
    "shuffled index": TABLE["sex"].set_axis(range(40, 0, -1)),
}


@pytest.mark.parametrize("groups", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("kind", [GroupBatchSampler, GroupWeightedSampler])
def test_ids_and_names_give_the_same_stream_and_state(groups: Any, kind: type) -> None:
    by_id, by_name = kind(IDS, 8, balance=0.4), kind(groups, 8, balance=0.4)
    assert (by_id.names, by_name.names) == (None, ("F", "M"))
    assert list(by_name) == list(by_id)
    assert by_name.state_dict() == by_id.state_dict()
    by_id.load_state_dict(by_name.state_dict())
    np.testing.assert_array_equal(by_name.shares, by_id.shares)


@pytest.mark.parametrize(
    "subjects",
    [
        WHO,
        TABLE["subject"],
        TABLE["subject"].astype("category"),
        TABLE["subject"].astype("string"),
        np.array(WHO),
        [1000 + n // 3 for n in range(40)],
        pd.Series([n // 3 for n in range(40)], dtype="Int64"),
        torch.arange(40) // 3,
    ],
    ids=lambda subjects: type(subjects).__name__,
)
def test_subjects_of_every_kind_are_drawn_evenly(subjects: Any) -> None:
    sampler = GroupBatchSampler(SEX, 6, subjects=subjects, num_batches=66)
    drawn = Counter(WHO[index] for index in chain.from_iterable(sampler) if SEX[index] == "M")
    # 11 subjects of some male samples share 198 draws; s2 has one woman and two men.
    assert set(drawn.values()) == {18}


def test_weights_of_one_value_change_nothing() -> None:
    plain = list(GroupBatchSampler(IDS, 8))
    for weights in (np.ones(40), [3] * 40, pd.Series([0.5] * 40), torch.ones(40)):
        assert list(GroupBatchSampler(IDS, 8, weights=weights)) == plain


@settings(max_examples=40)
@given(
    st.lists(st.floats(0, 9, allow_subnormal=False), min_size=1, max_size=25),
    st.booleans(),
    st.integers(1, 40),
)
def test_each_sample_is_drawn_by_its_weight_to_within_the_bound_that_the_docs_give(
    weights: list[float], by_subject: bool, cycles: int
) -> None:
    weights = [round(weight, 3) for weight in weights] + [1.0]
    subjects = np.arange(len(weights)) // 3 if by_subject else None
    sampler = GroupBatchSampler([0] * len(weights), 1, weights=weights, subjects=subjects)
    units = len(weights) if subjects is None else int(subjects[-1]) + 1
    total = units * cycles
    sampler = GroupBatchSampler([0] * len(weights), 1, weights=weights, subjects=subjects, num_batches=total)
    drawn = np.bincount(list(chain.from_iterable(sampler)), minlength=len(weights))
    size = np.ones(len(weights)) if subjects is None else np.bincount(subjects)[subjects]
    share = np.array(weights) / size
    assert abs(drawn - total * share / share.sum()).max() < max(bin(cycles).count("1"), 1) + 1e-6
    assert (drawn[np.array(weights) == 0] == 0).all()


def test_weights_leave_the_shares_of_groups_and_resume_anywhere() -> None:
    rng = np.random.default_rng(0)
    options: dict[str, Any] = {"weights": rng.random(40), "num_batches": 60, "seed": 3}
    for replacement in (False, True):
        whole = list(GroupBatchSampler(SEX, 5, **options, replacement=replacement))
        counts = np.array([np.bincount(IDS[batch], minlength=2) for batch in whole])
        assert abs(counts.cumsum(axis=0) - 2.5 * np.arange(1, 61)[:, None]).max() < 1
        for step in (0, 1, 7, 59):
            sampler = GroupBatchSampler(SEX, 5, **options, replacement=replacement)
            list(islice(sampler, step))
            other = GroupBatchSampler(SEX, 5, **options, replacement=replacement)
            other.load_state_dict(sampler.state_dict())
            assert list(other) == whole[step:]


def test_weights_over_epochs_shorter_than_a_cycle_add_up() -> None:
    weights = np.repeat([3.0, 1.0], 20)
    sampler = GroupBatchSampler(np.zeros(40, dtype=int), 5, weights=weights, num_batches=4)
    drawn = np.bincount([i for _ in range(32) for batch in sampler for i in batch], minlength=40)
    assert drawn.sum() == 640
    assert set(drawn[:20]) == {24}
    assert set(drawn[20:]) == {8}


def test_weights_name_no_groups_in_just_train_twice() -> None:
    """Liu et al. 2021: the samples that a first model got wrong come lambda times as often."""
    wrong = np.zeros(100, dtype=bool)
    wrong[[3, 50, 77]] = True
    sampler = GroupBatchSampler(
        np.zeros(100, dtype=int), 10, weights=np.where(wrong, 6.0, 1.0), num_batches=920
    )
    drawn = np.bincount(list(chain.from_iterable(sampler)), minlength=100)
    expected = np.where(wrong, 6.0, 1.0) * 9200 / 115
    assert abs(drawn - expected).max() <= 3


def test_replacement_draws_at_random_and_may_repeat_before_all_are_drawn() -> None:
    sampler = GroupBatchSampler([0] * 20, 20, replacement=True, num_batches=500)
    batches = list(sampler)
    distinct = np.mean([len(set(batch)) for batch in batches])
    assert abs(distinct - 20 * (1 - 0.95**20)) < 0.3
    assert chisquare(np.bincount(list(chain.from_iterable(batches)), minlength=20)).pvalue > 1e-3
    weights = np.arange(1, 21)
    drawn = list(
        chain.from_iterable(
            GroupBatchSampler([0] * 20, 20, replacement=True, weights=weights, num_batches=500)
        )
    )
    assert chisquare(np.bincount(drawn, minlength=20), 10_000 * weights / weights.sum()).pvalue > 1e-3


def test_replacement_draws_subjects_evenly() -> None:
    subjects = np.repeat([0, 1, 2], [1, 4, 10])
    sampler = GroupBatchSampler([0] * 15, 10, subjects=subjects, replacement=True, num_batches=600)
    drawn = subjects[list(chain.from_iterable(sampler))]
    assert chisquare(np.bincount(drawn)).pvalue > 1e-3


def test_ranks_share_no_draw_of_a_weighted_stream() -> None:
    weights = np.linspace(1, 3, 40)
    ranks = [
        list(GroupBatchSampler(IDS, 4, weights=weights, num_replicas=2, rank=rank, num_batches=30))
        for rank in (0, 1)
    ]
    joint = GroupBatchSampler(IDS, 8, weights=weights, num_batches=30)
    for first, second, both in zip(*ranks, joint, strict=True):
        assert sorted(first + second) == sorted(both)


def test_a_draw_can_be_entered_anywhere() -> None:
    members = Members.of(np.repeat([0, 1], [30, 3000]), np.arange(3030) // 2)
    draws = WeightedDraws(members, 0, np.linspace(0, 2, 3030), replacement=False)
    whole = draws.take((1, 0), 1, 0, 9000)
    for start, number in ((0, 1), (1499, 2), (1500, 4000), (8999, 1)):
        np.testing.assert_array_equal(draws.take((1, 0), 1, start, number), whole[start : start + number])


def test_a_group_that_may_mean_not_known_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    GroupBatchSampler(["F", "M", "unknown", "M"], batch_size=3)
    assert "unknown may mean not known and is a group all the same" in caplog.text
