"""The one list of metrics, and how their columns are recognised."""

import numpy as np
import pandas as pd
import pytest

import fairseg
from fairseg.cohort.attributes import attribute_names
from fairseg.cohort.columns import METRICS, metric_of, title, unit_of
from fairseg.metrics.score import score_case
from fairseg.scoring import Scores


@pytest.mark.parametrize("metric", METRICS)
def test_a_metric_is_known_by_its_name_and_its_title(metric: str) -> None:
    assert metric_of(metric) == metric_of(metric.upper()) == metric_of(title(metric)) == metric
    low, high = METRICS[metric].limits
    assert low < high
    if METRICS[metric].unit:
        assert (metric_of(f"{metric}_px"), unit_of(f"{metric}_px")) == (metric, "px")
        assert METRICS[metric].higher_is_better is False
    else:
        assert metric_of(f"{metric}_px") is None


def test_every_metric_of_the_list_is_computed() -> None:
    scores = score_case([[1, 1, 0]], [[0, 1, 0]], metrics=tuple(METRICS), tolerance=1.0)
    assert list(scores) == list(METRICS)
    for metric, (low, high) in ((metric, about.limits) for metric, about in METRICS.items()):
        assert low <= scores[metric][0] <= high


def test_other_names_of_metrics() -> None:
    assert metric_of("Jaccard index") == "iou"
    assert metric_of("sensitivity") == "recall"
    assert metric_of("age") is None


@pytest.mark.parametrize("name", ["spacing", "PixelSpacing"])
def test_a_spacing_is_no_attribute(name: str) -> None:
    rng = np.random.default_rng(0)
    columns = {"sex": ["F", "M"] * 20, name: rng.choice(["0.5, 0.5", "0.25, 0.5"], 40)}
    table = pd.DataFrame({"subject": [f"p{at}" for at in range(40)], **columns})
    assert attribute_names(table) == ["sex"]
    scores = Scores.of(table.assign(dice=rng.uniform(0.8, 0.9, 40)))
    assert scores.attributes == ["sex"]
    assert set(scores.table[name]) == set(columns[name])  # for the pictures of worst cases
    with pytest.raises(ValueError, match=rf"'{name}' is no attribute .* it has sex"):
        fairseg.audit(scores, by=name)
