"""The metrics keep torchmetrics' promises and give the numbers of fairseg.metrics. Fifteen seconds.

torchmetrics' own `MetricTester` is not in its wheel; what it checks of a metric is checked here: pickle,
clone, reset, batch-wise against at once, forward, state_dict, constant attributes, real processes.
"""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchmetrics import ClasswiseWrapper, Metric, MetricCollection

from fairseg.integrations.torchmetrics import (
    FairnessGap,
    GroupCounts,
    GroupDice,
    SkewedErrorRatio,
    WorstGroupDice,
)
from fairseg.metrics import by_group, dice, fairness_gap, skewed_error_ratio, worst_group
from tests.ranks import run_ranks

LABELS = {"LV": 1, "RV": 2}
G = 3
Batch = tuple[Tensor, Tensor, Tensor, Tensor]


def batches(seed: int = 0, sizes: tuple[int, ...] = (5, 1, 6, 4)) -> list[Batch]:
    """Return made-up batches: some samples of unknown group, one without a label in either mask."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for number, size in enumerate(sizes):
        truth = torch.randint(0, 4, (size, 6, 7), generator=generator)
        noise = torch.rand(size, 6, 7, generator=generator) < torch.rand(size, 1, 1, generator=generator)
        predicted = torch.where(noise, torch.randint(0, 4, truth.shape, generator=generator), truth)
        subjects = torch.randint(0, 6, (size,), generator=generator)
        groups = subjects % (G + 1) - 1  # of a subject always the same
        if number == 0:
            truth[0] = predicted[0] = 3
            subjects[0], groups[0] = 50, 1  # nobody else
        made.append((predicted, truth, groups, subjects))
    return made


def by_hand(data: list[Batch], samples: str) -> tuple[list[float], list[int]]:
    """Return Dice and group of each subject by loops over fairseg's own Dice."""
    rows = [row for batch in data for row in zip(*batch, strict=True)]
    values, groups = [], []
    for subject in sorted({int(row[3]) for row in rows}):
        own = [row for row in rows if int(row[3]) == subject]
        if samples == "slices":
            parts = [dice(torch.stack([r[0] for r in own]), torch.stack([r[1] for r in own]), LABELS)]
        else:
            parts = [dice(row[0], row[1], LABELS) for row in own]
        known = [np.nanmean(part) for part in parts if not np.isnan(part).all()]
        values.append(float(np.mean(known)) if known else float("nan"))
        groups.append(int(own[0][2]))
    return values, groups


def expected(data: list[Batch], samples: str, statistic: Any) -> dict[str, Any]:
    values, groups = by_hand(data, samples)
    medians, counts = by_group(values, groups, G, statistic)
    return {
        "dice": medians,
        "worst": worst_group(medians),
        "gap": fairness_gap(medians),
        "signed": fairness_gap(medians, 1),
        "ser": skewed_error_ratio(medians),
        "subjects": counts,
        "unknown_group": sum(group < 0 for group in groups),
        "empty_masks": sum(np.isnan(v) and g >= 0 for v, g in zip(values, groups, strict=True)),
    }


def collection(**options: Any) -> MetricCollection:
    return MetricCollection(
        {
            "dice": GroupDice(G, LABELS, **options),
            "worst": WorstGroupDice(G, LABELS, **options),
            "gap": FairnessGap(G, LABELS, **options),
            "signed": FairnessGap(G, LABELS, reference=1, **options),
            "ser": SkewedErrorRatio(G, LABELS, **options),
            "counts": GroupCounts(G, LABELS, **options),
        }
    )


def agree(got: dict[str, Tensor], wanted: dict[str, Any]) -> None:
    assert got.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_allclose(got[name].numpy(), value, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("samples", ["cases", "slices"])
@pytest.mark.parametrize("statistic", ["median", "mean"])
def test_values_are_those_of_the_library(samples: str, statistic: str) -> None:
    data = batches()
    wanted = expected(data, samples, statistic)
    assert wanted["unknown_group"] > 0
    assert wanted["empty_masks"] == 1
    metrics = collection(samples=samples, statistic=statistic)
    for batch in data:
        metrics.update(*batch)
    agree(metrics.compute(), wanted)
    assert len(metrics.compute_groups) == 1  # voxels are counted once for all six
    assert len(next(iter(metrics.values())).rows) == len(data)


def test_forward_gives_the_batch_and_keeps_the_whole() -> None:
    data, metrics = batches(seed=3), collection(samples="slices")
    for batch in data:
        agree(metrics(*batch), expected([batch], "slices", "median"))
    agree(metrics.compute(), expected(data, "slices", "median"))


def test_without_subjects_every_sample_is_one() -> None:
    data = batches()
    metric, numbered = GroupDice(G, LABELS), GroupDice(G, LABELS, samples="slices")
    for number, (predicted, truth, groups, _) in enumerate(data):
        metric.update(predicted, truth, groups)
        numbered.update(predicted, truth, groups, 100 * number + torch.arange(len(groups)))
    assert torch.equal(metric.compute(), numbered.compute())


def test_slices_need_subjects() -> None:
    metric, masks = GroupDice(2, [1], samples="slices"), torch.ones(2, 3, 3, dtype=torch.long)
    with pytest.raises(ValueError, match="subjects must say whose slice each sample is"):
        metric.update(masks, masks, torch.tensor([0, 1]))
    with pytest.raises(ValueError, match=r"pandas\.factorize\(names\)\[0\], names of the whole cohort"):
        metric.update(masks, masks, torch.tensor([0, 1]), ["p1", "p2"])


def test_large_numbers_of_subjects_stay_apart() -> None:
    metric, masks = GroupDice(2, [1], samples="slices"), torch.ones(2, 3, 3, dtype=torch.long)
    masks[1, 0] = 0
    subjects = torch.tensor([2**53 - 2, 2**53 - 1])
    metric.update(masks, torch.ones_like(masks), torch.tensor([0, 0]), subjects)
    assert metric.compute()[0] == pytest.approx((1 + 0.8) / 2)
    metric.update(
        masks, torch.ones_like(masks), torch.tensor([0, 0]), torch.tensor([1, 2], dtype=torch.uint8)
    )
    assert metric.compute()[0] == pytest.approx((1 + 0.8) / 2)


def test_reset_clone_pickle_and_state_dict() -> None:
    data = batches()
    metric = GroupDice(G, LABELS, samples="slices")
    metric.update(*data[0])
    metric.persistent(True)
    copies = [metric.clone(), pickle.loads(pickle.dumps(metric))]
    loaded = GroupDice(G, LABELS, samples="slices")
    loaded.persistent(True)
    loaded.load_state_dict(metric.state_dict())
    for copy in (metric, *copies, loaded):
        copy.update(*data[1])
    wanted = expected(data[:2], "slices", "median")["dice"]
    for copy in (metric, *copies, loaded):
        np.testing.assert_allclose(copy.compute(), wanted)
    metric.reset()
    assert metric.update_count == 0
    metric.update(*data[2])
    np.testing.assert_allclose(metric.compute(), expected(data[2:3], "slices", "median")["dice"])
    np.testing.assert_allclose(copies[0].compute(), wanted)  # a clone shares nothing


def test_what_torchmetrics_wants_to_know_is_constant_and_true() -> None:
    for metric in (GroupDice(G, LABELS), WorstGroupDice(G, LABELS)):
        assert metric.higher_is_better is True
        assert metric.is_differentiable is False
        with pytest.raises(RuntimeError, match="Can't change const"):
            metric.higher_is_better = False
    assert SkewedErrorRatio(G, LABELS).higher_is_better is False
    assert isinstance(GroupDice(G, LABELS), Metric)


def test_metrics_of_other_labels_are_never_taken_for_one_in_a_collection() -> None:
    metrics = MetricCollection({"LV": GroupDice(1, [1]), "RV": GroupDice(1, [2])})
    nothing = torch.zeros(1, 2, 2, dtype=torch.long)
    metrics.update(nothing, nothing, torch.tensor([0]))  # equal counts so far
    ones = torch.ones(1, 2, 2, dtype=torch.long)
    metrics.update(ones, ones, torch.tensor([0]))
    values = metrics.compute()
    assert values["LV"] == 1.0
    assert values["RV"].isnan()


def test_logits_are_read_and_names_given_by_the_wrapper_of_torchmetrics() -> None:
    predicted, truth, groups, _ = batches()[0]
    logits = torch.nn.functional.one_hot(predicted, 4).movedim(-1, 1).float() - 0.5
    metric = ClasswiseWrapper(GroupDice(G, LABELS), labels=["Asian", "Black", "White"], prefix="dice_")
    plain = GroupDice(G, LABELS)
    plain.update(predicted[:, None], truth[:, None], groups)
    values = metric(logits.bfloat16(), truth[:, None], groups)
    assert list(values) == ["dice_Asian", "dice_Black", "dice_White"]
    np.testing.assert_array_equal(torch.stack(list(values.values())), plain.compute())


def test_nothing_seen_is_nan_and_counts_of_zero() -> None:
    metrics = collection()
    with pytest.warns(UserWarning, match="before the ``update`` method"):
        values = metrics.compute()
    assert values["dice"].isnan().all()
    assert values["gap"].isnan()
    assert values["subjects"].tolist() == [0] * G


MASK = torch.ones(2, 3, 3, dtype=torch.long)
IDS = torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((MASK, MASK[:1], IDS), r"same shape, got \(2, 3, 3\) and \(1, 3, 3\)"),
        ((MASK.float(), MASK, IDS), r"integer masks, or logits \(B, C, \*S\).*got torch.float32"),
        ((MASK[:, None].float(), MASK, IDS), "2 or more classes"),
        ((torch.full((2, 2, 3, 3), torch.nan), MASK, IDS), "prediction must hold numbers, got NaN"),
        ((MASK, MASK.float(), IDS), "reference must be integer label masks, got torch.float32"),
        ((MASK, MASK, torch.tensor([0, 3])), "groups must be between -1 and 2, got 3"),
        ((MASK, MASK, torch.tensor([-2, 0])), "groups must be between -1 and 2, got -2"),
        ((MASK, MASK, torch.tensor([0.0, 1.0])), "groups must be 2 integer ids, got torch.float32"),
        ((MASK, MASK, IDS[:1]), r"groups must be 2 integer ids, got torch.int64 of shape \(1,\)"),
        ((MASK, MASK, IDS, torch.tensor([-1, 0])), "subjects must be between 0 and 9007199254740991, got -1"),
        ((MASK, MASK, IDS, torch.tensor([0, 2**53])), "subjects must be .*, got 9007199254740992"),
        ((MASK, MASK, IDS, 2**60 + IDS), f"subjects must be between 0 and .*, got {2**60 + 1}"),
    ],
)
def test_what_cannot_be_counted_is_named(arguments: tuple[Any, ...], message: str) -> None:
    metric = GroupDice(G, LABELS)
    with pytest.raises(ValueError, match=message):
        metric.update(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_groups": 0}, "num_groups must be an integer of at least 1, got 0"),
        ({"labels": [0]}, "labels must be positive"),
        ({"samples": "slice"}, "samples must be"),
        ({"statistic": "iqr"}, "statistic must be"),
        ({"reference": 3}, "reference must be a group id below 3"),
        ({"unknown": 3}, "Unexpected keyword"),
    ],
)
def test_settings_are_checked_when_they_are_given(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FairnessGap(**{"num_groups": G, "labels": LABELS, **options})


def run_rank(folder: Path) -> None:
    """What each process does: rank 1 sees less, and of the second epoch nothing."""
    import torch.distributed as dist  # noqa: PLC0415

    dist.init_process_group("gloo")
    rank = dist.get_rank()
    metrics, results = collection(samples="slices"), []
    for of_rank in ((slice(0, 3), slice(3, 4)), (slice(0, 2), slice(0, 0))):
        for batch in batches()[of_rank[rank]]:
            metrics.update(*batch)
        results.append(metrics.compute())
        results.append(metrics.compute())  # what was gathered is let go, so that it is not counted again
        metrics.reset()
    torch.save(results, folder / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


def test_two_processes_give_the_joint_value(tmp_path: Path) -> None:
    for first, again, second, _ in run_ranks(run_rank, tmp_path):
        agree(first, expected(batches(), "slices", "median"))
        agree(again, expected(batches(), "slices", "median"))
        agree(second, expected(batches()[:2], "slices", "median"))
