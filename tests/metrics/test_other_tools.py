"""Measures of groups beside those of fairmedfm, fairlearn and ignite, as docs/fairness-tools.md sets them."""

from typing import Any

import numpy as np
import pytest
import torch
from fairlearn.metrics import MetricFrame
from ignite.metrics import MeanAbsoluteError

from fairseg.metrics import (
    by_group,
    dice,
    equity_scaled,
    fairness_gap,
    fairness_score,
    skewed_error_ratio,
    worst_group,
)

GROUPS = np.array(["A", "B", "B", "C", "C", "C", "A", "B"])
DICE = np.array([0.91, 0.72, 0.84, 0.95, 0.88, 0.61, 0.9, 0.77])


def means(values: Any = DICE, groups: Any = GROUPS) -> Any:
    return by_group(values, groups, statistic="mean")[0].to_numpy()


def test_fairmedfms_are_equal_with_means_of_groups() -> None:
    fairmedfm = pytest.importorskip("fairmedfm")
    given: dict[str, Any] = {"sensitive_features": GROUPS}
    assert fairmedfm.dice_gap(DICE, **given) == pytest.approx(fairness_gap(means()))
    assert fairmedfm.worst_group_dice(DICE, **given) == pytest.approx(worst_group(means()))
    assert fairmedfm.dice_skewness(DICE, **given) == pytest.approx(skewed_error_ratio(means()))
    assert fairmedfm.dice_std(DICE, **given) == pytest.approx(means().std())
    scaled = equity_scaled(float(DICE.mean()), means(), "std", ddof=0)
    assert fairmedfm.equity_scaled_dice(DICE, **given) == pytest.approx(scaled)
    summary = fairmedfm.evaluate_segmentation(GROUPS, dice=DICE).summary.iloc[0]
    assert summary["max_dice"] == pytest.approx(means().max())


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_where_fairmedfm_differs() -> None:
    fairmedfm = pytest.importorskip("fairmedfm")
    perfect = np.array([1.0, 1.0, 0.8, 0.9])
    sex = np.array(["F", "F", "M", "M"])
    assert np.isnan(fairmedfm.dice_skewness(perfect, sensitive_features=sex))  # of one perfect group
    assert skewed_error_ratio(perfect, sex) == np.inf
    nothing = np.zeros((4, 3, 3), dtype=int)
    empty = fairmedfm.evaluate_segmentation(sex, pred_masks=nothing, true_masks=nothing)
    assert empty.summary["mean_dice"].tolist() == [1.0]
    assert np.isnan(dice(nothing[0], nothing[0], [1])).all()


def test_fairlearns_are_equal_with_means_of_groups() -> None:
    def mean(_: Any, values: Any) -> float:
        return float(np.mean(values))

    frame = MetricFrame(metrics=mean, y_true=DICE, y_pred=DICE, sensitive_features=GROUPS)
    assert frame.by_group.to_numpy() == pytest.approx(means())
    assert frame.difference() == pytest.approx(fairness_gap(means()))
    assert frame.group_min() == pytest.approx(worst_group(means()))
    assert frame.difference(method="to_overall") == pytest.approx(np.abs(means() - DICE.mean()).max())
    assert frame.ratio() == pytest.approx(means().min() / means().max())
    errors = MetricFrame(metrics=mean, y_true=DICE, y_pred=1 - DICE, sensitive_features=GROUPS)
    assert 1 / errors.ratio() == pytest.approx(skewed_error_ratio(means()))


def test_ignites_are_equal_with_means_of_groups() -> None:
    fairness = pytest.importorskip("ignite.metrics.fairness", reason="new in ignite 0.5.4")
    names, ids = np.unique(GROUPS, return_inverse=True)
    mean: Any = MeanAbsoluteError()  # of scores against 0
    each = fairness.SubgroupMetric(mean, range(len(names)))
    difference = fairness.SubgroupDifference(mean, range(len(names)))
    batch = (torch.tensor(DICE), torch.zeros(len(DICE)), torch.tensor(ids))
    for metric in (each, difference):
        metric.update(batch)
    assert list(each.compute().values()) == pytest.approx(means(), rel=1e-6)
    assert difference.compute() == pytest.approx(fairness_gap(means()), rel=1e-6)


def test_mama_mias_score_by_the_loops_of_its_script() -> None:
    """Of three attributes; a miss costs the whole scale there, which is asked for by putting it in."""
    rng = np.random.default_rng(0)
    scores, distances = rng.uniform(0.3, 0.9, 60), rng.uniform(1.0, 80.0, 60)
    distances[::9], scores[::9] = np.nan, 0.0
    attributes = {
        name: rng.integers(0, size, 60) for name, size in (("age", 5), ("status", 3), ("density", 4))
    }
    charged = np.nan_to_num(distances, nan=150.0)
    total = 0.0
    for groups in attributes.values():
        of_dice, of_distance = [], []
        for group in set(groups.tolist()):
            of_dice.append(np.mean([s for s, g in zip(scores, groups, strict=True) if g == group]))
            of_distance.append(np.mean([d / 150 for d, g in zip(charged, groups, strict=True) if g == group]))
        total += 1 - 0.5 * (max(of_dice) - min(of_dice) + max(of_distance) - min(of_distance))
    assert fairness_score(scores, charged, attributes) == pytest.approx(total / 3)
    assert fairness_score(scores, distances, attributes) != pytest.approx(total / 3)
