"""The one list of metrics, and how their columns are recognised."""

import pytest

from fairseg.cohort.columns import METRICS, metric_of, title, unit_of
from fairseg.metrics.score import score_case


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
