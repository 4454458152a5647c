"""A MetricFrame of fairlearn says of each group what fairseg's own tables say. Ten seconds."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import MetricFrame, count

from fairseg.cohort.groups import Groups
from fairseg.integrations.fairlearn import group_values, metric_frame
from fairseg.metrics import fairness_gap, skewed_error_ratio, worst_group
from fairseg.report import summarize


@pytest.fixture
def scores() -> pd.DataFrame:
    """Return a table of 40 subjects with two cases and two labels each, with gaps of every kind."""
    rng = np.random.default_rng(5)
    rows = []
    for subject in range(40):
        sex = ["F", "M", None][subject % 3 if subject < 30 else 0]
        site = "ABC"[subject % 7 % 3] if not (sex == "M" and subject % 7 % 3 == 2) else "A"
        for case in range(2):
            for label in ("LV", "RV"):
                empty = subject == 0 or rng.random() < 0.05
                dice = float("nan") if empty else rng.uniform(0.6, 1.0)
                name = f"s{subject}_{case}"
                rows.append((name, f"s{subject}", sex, site, 30 + subject, label, dice, 20 * (1 - dice)))
    columns = ["case", "subject", "sex", "site", "age", "label", "dice", "hd"]
    return pd.DataFrame(rows, columns=columns)


@pytest.mark.parametrize("by", ["sex", ("site", "sex")])
@pytest.mark.parametrize("metric", ["dice", "hd"])
@pytest.mark.parametrize("label", [None, "RV"])
@pytest.mark.parametrize("statistic", ["median", "iqr"])
def test_groups_and_their_difference_equal_the_report(
    scores: pd.DataFrame, by: Any, metric: str, label: str | None, statistic: Any
) -> None:
    groups = Groups.from_table(scores, by=by)
    summary = {part.structure: part for part in summarize(scores, groups)}[label or "Overall"]
    names = {"dice": "DSC", "hd": "HD (mm)"}
    row = f"{'Median' if statistic == 'median' else 'IQR'} {names[metric]}"
    wanted = summary.table.loc[row, list(groups.names)].to_numpy()
    frame = metric_frame(scores, by, metric=metric, label=label, statistic=statistic)
    values, counts = group_values(frame, groups, metric=metric)
    np.testing.assert_allclose(values, wanted, rtol=1e-12)
    assert (
        counts.tolist()
        == (summary.counts - summary.table.loc[f"Subjects without {names[metric].split()[0]}"][:-1])
        .astype(int)
        .tolist()
    )
    assert frame.difference()[metric] == pytest.approx(fairness_gap(values), rel=1e-12)
    assert frame.overall[metric] == pytest.approx(summary.table.loc[row, "All"], rel=1e-12)
    assert frame.group_min()[metric] == pytest.approx(worst_group(values))


def test_the_measures_of_the_report_come_out_of_the_frame(scores: pd.DataFrame) -> None:
    groups = Groups.from_table(scores, by="sex")
    values, _ = group_values(metric_frame(scores, groups), groups)
    table = summarize(scores, groups)[0].table
    assert skewed_error_ratio(values) == pytest.approx(table.loc["SER", "All"])
    assert fairness_gap(values) == pytest.approx(table.loc["Fairness gap", "All"])


def test_one_value_a_subject_of_known_group_and_none_without_a_score(scores: pd.DataFrame) -> None:
    frame = metric_frame(scores, "sex")
    assert frame.by_group["subjects"].to_dict() == {"F": 19, "M": 10}  # s0 has no Dice, ten have no sex
    assert frame.overall["subjects"] == 29
    assert frame.sensitive_levels == ["sex"]


def test_a_cell_that_does_not_occur_is_nobody(scores: pd.DataFrame) -> None:
    frame = metric_frame(scores, ("sex", "site"))
    assert np.isnan(frame.by_group.loc[("M", "C"), "dice"])  # fairlearn lists it, fairseg makes no group
    groups = Groups.from_table(scores, by=("sex", "site"))
    assert "sex=M, site=C" not in groups.names
    other = Groups(("sex", "site"), (*groups.cells, ("M", "C"), ("M", "Z")))
    values, counts = group_values(frame, other)
    assert np.isnan(values[-2:]).all()
    assert counts[-2:].tolist() == [0, 0]


def test_bins_and_the_frames_own_bootstrap(scores: pd.DataFrame) -> None:
    options = {"n_boot": 20, "ci_quantiles": [0.1, 0.9], "random_state": 0}
    frame = metric_frame(scores, "age", bins={"age": [50]}, statistic="mean", **options)
    assert frame.by_group["subjects"].to_dict() == {"age<50": 19, "age>=50": 20}
    low, high = (interval["dice"] for interval in frame.difference_ci())
    assert 0 <= low < high < 0.4


def test_a_frame_made_elsewhere_comes_into_the_measures() -> None:
    values = np.array([0.7, 0.9, 0.8, 0.95])
    features = pd.DataFrame({"site": ["B", "B", "A", "A"], "sex": ["F", "M", "F", "M"]})
    mean = {"dice": lambda _, part: part.mean(), "count": count}
    frame = MetricFrame(metrics=mean, y_true=values, y_pred=values, sensitive_features=features)
    groups = Groups.from_table(features, by=("sex", "site"))  # its order of attributes is another
    assert groups.names == ("sex=F, site=A", "sex=F, site=B", "sex=M, site=A", "sex=M, site=B")
    result, counts = group_values(frame, groups, counts="count")
    assert result.tolist() == [0.8, 0.7, 0.95, 0.9]
    assert counts.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "size"}, "size"),
        ({"by": "sex", "metric": "hd95"}, "metric must be one of dice, hd, got 'hd95'"),
        ({"by": "sex", "label": "LA"}, "label must be one of LV, RV, got 'LA'"),
        ({"by": "sex", "statistic": "mode"}, "statistic must be one of median, mean, iqr, got 'mode'"),
    ],
)
def test_what_is_not_there_is_named(scores: pd.DataFrame, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metric_frame(scores, **options)


def test_a_frame_of_other_features_or_metrics_is_refused(scores: pd.DataFrame) -> None:
    frame, groups = metric_frame(scores, "sex"), Groups.from_table(scores, by="site")
    with pytest.raises(ValueError, match="frame must have the sensitive features site alone, got sex"):
        group_values(frame, groups)
    with pytest.raises(ValueError, match=r"metric must be one of the frame's metrics \(dice, subjects\)"):
        group_values(frame, groups, metric="hd")
    with pytest.raises(ValueError, match="bins must be None"):
        metric_frame(scores, groups, bins={"age": [50]})


def test_levels_of_other_names_are_refused() -> None:
    values, sex = [0.75, 0.875], pd.Series(["female", "male"], name="sex")
    metrics = {"dice": lambda _, part: part.mean(), "subjects": lambda _, part: len(part)}
    frame = MetricFrame(metrics=metrics, y_true=values, y_pred=values, sensitive_features=sex)
    with pytest.raises(ValueError, match=r"levels of the groups \(F, M\), got female, of 1 values"):
        group_values(frame, Groups.from_table({"sex": ["F", "M"]}, by="sex"))


def test_numbers_are_one_level_however_they_are_written() -> None:
    values, site = [0.75, 0.875], pd.Series([1.0, 2.0], name="site")
    metrics = {"dice": lambda _, part: part.mean(), "subjects": lambda _, part: len(part)}
    frame = MetricFrame(metrics=metrics, y_true=values, y_pred=values, sensitive_features=site)
    result, counts = group_values(frame, Groups.from_table({"site": [1, 2]}, by="site"))
    assert (result.tolist(), counts.tolist()) == ([0.75, 0.875], [1, 1])
