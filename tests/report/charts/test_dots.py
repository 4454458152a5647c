"""Where dots stand, what a path of them holds, and what of wrong data is said."""

import json
import re

import numpy as np
import pytest
from markupsafe import Markup

from fairseg.report.charts import Roster, bland_altman, charts, dot_boxes, legend, scatter, spread_evenly
from fairseg.report.charts.jitter import swarm
from fairseg.report.charts.scale import make_scale
from fairseg.statistics.smoothing import density

NAMES = ["White", "Black"]


def paths(chart: str) -> list[dict[str, str]]:
    """Return the attributes of the paths of dots."""
    found = re.findall(r'<path ([^>]*class="dots[^>]*)>', chart)
    return [dict(re.findall(r'([\w-]+)="([^"]*)"', part)) for part in found]


def positions(path: dict[str, str]) -> np.ndarray:
    return np.array(re.findall(r"\d+", path["d"].replace("h0", " ")), float).reshape(-1, 2)


def members(path: dict[str, str]) -> list[int]:
    return np.cumsum([int(step) for step in path["data-s"].split()]).tolist()


def cohort(number: int = 40) -> tuple[Roster, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return (
        Roster([f"s{index}" for index in range(number)]),
        rng.integers(-1, 2, number),
        rng.uniform(0.6, 1.0, number),
    )


def test_every_subject_of_a_group_is_one_dot_and_the_others_none() -> None:
    subjects, groups, values = cohort()
    values[[3, 7]] = np.nan
    chart = dot_boxes({"LV": values}, groups, NAMES, subjects=subjects, name="a", axis="DSC")
    for group, path in enumerate(paths(chart)):
        assert path["data-g"] == NAMES[group]
        assert members(path) == np.flatnonzero((groups == group) & np.isfinite(values)).tolist()
        assert len(positions(path)) == len(members(path))


def test_dots_stand_where_the_axis_says() -> None:
    subjects, groups, values = cohort()
    chart = scatter(
        values * 100, values, groups, NAMES,
        subjects=subjects, name="a", title="t", x_axis="Size", y_axis="DSC", log_x=True,
    )  # fmt: skip
    for path in paths(chart):
        x, y = positions(path).T
        true = values[members(path)]
        assert np.corrcoef(x, np.log(true))[0, 1] > 0.9999
        assert np.corrcoef(y, true)[0, 1] < -0.9999


def test_a_dot_costs_about_a_dozen_bytes() -> None:
    subjects, groups, values = cohort(6000)
    chart = dot_boxes({"LV": values}, groups, NAMES, subjects=subjects, name="a", axis="DSC")
    assert len(chart) / (groups >= 0).sum() < 16


@pytest.mark.parametrize(("number", "boxes", "clouds"), [(4, 0, 0), (5, 1, 0), (19, 1, 0), (20, 1, 1)])
def test_few_subjects_get_no_box_and_no_cloud(number: int, boxes: int, clouds: int) -> None:
    subjects = Roster([f"s{index}" for index in range(number)])
    values = np.linspace(0.5, 0.9, number)
    chart = dot_boxes({"LV": values}, np.zeros(number, int), ["A"], subjects=subjects, name="a", axis="DSC")
    assert chart.count('class="box') == boxes
    assert chart.count('class="cloud') == clouds


@pytest.mark.parametrize("values", [[], [np.nan] * 3, [0.5] * 3, [0.0, 1.0, 1.0]])
@pytest.mark.parametrize("reference", [None, 0, 1])
def test_charts_of_hardly_anything_are_drawn(values: list[float], reference: int | None) -> None:
    subjects = Roster([f"s{index}" for index in range(len(values))])
    groups = np.zeros(len(values), int)
    drawn = [
        dot_boxes(
            {"LV": values}, groups, NAMES, subjects=subjects, name="a", axis="DSC", reference=reference
        ),
        scatter(
            values, values, groups, NAMES, subjects=subjects, name="b", title="t", x_axis="x", y_axis="y",
            reference=reference, log_x=True, trend=True,
        ),
        bland_altman(values, values, groups, NAMES, subjects=subjects, name="c", quantity="v"),
    ]  # fmt: skip
    assert "nan" not in re.sub(r"<(title|desc).*?</\1>", "", charts(*drawn))


def test_ids_and_names_are_there_once_and_every_reference_to_them_leads_somewhere() -> None:
    subjects, groups, values = cohort()
    page = dot_boxes({"LV": values, "RV": values}, groups, NAMES, subjects=subjects, name="a", axis="DSC")
    page += bland_altman(values, values, groups, NAMES, subjects=subjects, name="b", quantity="v")
    page += scatter(
        values, values, groups, NAMES, subjects=subjects, name="c", title="t", x_axis="x", y_axis="y"
    )
    ids = re.findall(r' id="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    named = " ".join(re.findall(r'labelledby="([^"]*)"', page)).split()
    assert set(named) | set(re.findall(r"url\(#([^)]*)\)", page)) <= set(ids)


def test_names_are_escaped() -> None:
    evil = "</script><b>\"'&"
    subjects = Roster([evil])
    page = dot_boxes({evil: [1.0]}, np.array([0]), [evil], subjects=subjects, name="a", axis=evil)
    page += scatter(
        [1], [1], np.array([0]), [evil], subjects=subjects, name="b", title=evil, x_axis=evil, y_axis=evil
    )
    page += bland_altman([1], [2], np.array([0]), [evil], subjects=subjects, name="c", quantity=evil)
    page += legend([evil]) + subjects.markup()
    assert isinstance(page, Markup)
    assert "<b>" not in page
    assert page.count("</script>") == 1
    data = json.loads(page.rpartition('id="chart-data">')[2].removesuffix("</script>"))
    assert data["names"] == [evil]


def test_series_that_several_charts_show_are_kept_once() -> None:
    subjects, groups, values = cohort()
    for name in ("a", "b"):
        dot_boxes({"LV": values}, groups, NAMES, subjects=subjects, name=name, axis="DSC")
    data = json.loads(re.sub(r"</?script[^>]*>", "", subjects.markup()))
    assert [title for title, _, _ in data["series"]] == ["DSC, LV"]
    assert np.allclose(np.array(data["series"][0][2]) / 1000, values, atol=5e-4)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([0, 1], "groups must be 3 integers"),
        ([0.0, 1.0, 1.0], "groups must be 3 integers"),
        ([0, 1, 2], "groups must be -1 to 1 for 2 names, got 0 to 2"),
        ([0, 1, -2], "groups must be -1 to 1 for 2 names, got -2 to 1"),
    ],
)
def test_wrong_groups_are_refused(groups: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dot_boxes({"LV": [1, 2, 3]}, np.array(groups), NAMES, subjects=Roster("abc"), name="a", axis="DSC")


def test_wrong_values_are_refused() -> None:
    with pytest.raises(ValueError, match=r"LV must have one value for each of 3 subjects, got shape \(2,\)"):
        dot_boxes({"LV": [1, 2]}, np.array([0, 0, 0]), NAMES, subjects=Roster("abc"), name="a", axis="DSC")


@pytest.mark.parametrize("number", [2, 15, 80])
def test_few_dots_do_not_touch(number: int) -> None:
    along = np.random.default_rng(number).uniform(0, 400, number)
    moved = swarm(along, 1.0, 1000)
    distances = np.hypot(np.subtract.outer(along, along), np.subtract.outer(moved, moved))
    assert distances[~np.eye(number, dtype=bool)].min() >= 2.1 - 1e-6


@pytest.mark.parametrize("number", [0, 1, 15, 500, 6000])
def test_dots_stay_in_their_room_and_are_the_same_every_time(number: int) -> None:
    along = np.random.default_rng(number).normal(200, 30, number)
    moved = swarm(along, 1.0, 20)
    assert np.all(np.abs(moved) <= 10 + 1e-9)
    assert np.array_equal(moved, swarm(along, 1.0, 20))


def test_many_dots_are_wide_where_they_are_dense() -> None:
    along = np.random.default_rng(0).normal(0, 1, 4000)
    moved = np.abs(swarm(along, 1.0, 20))
    assert moved[np.abs(along) < 0.5].max() > 4 * moved[np.abs(along) > 2.5].max()


def test_density_is_that_of_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(0).normal(0, 1, 500)
    at = np.linspace(-2, 2, 30)
    # Silverman's rule with the smaller of both spreads, as in his Eq. 3.31.
    spread = min(values.std(), np.subtract(*np.quantile(values, [0.75, 0.25])) / 1.349)
    true = stats.gaussian_kde(values, 0.9 * spread * 500**-0.2 / values.std(ddof=1))
    peak = true(np.linspace(-1, 1, 400)).max()
    assert np.allclose(density(values, at), true(at) / peak, atol=0.02)


@pytest.mark.parametrize("log", [False, True])
def test_ticks_and_values_lie_on_the_axis(log: bool) -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        values = np.exp(rng.normal(0, 4, 3)) if log else rng.normal(0, 10 ** rng.uniform(-3, 4), 3)
        scale = make_scale([values], 10, 90, log=log)
        assert len(scale.ticks) >= 2
        assert len(set(scale.labels())) == len(scale.labels())
        for at in (scale(values), scale(scale.ticks)):
            assert np.all((at >= 10 - 1e-6) & (at <= 90 + 1e-6))


def test_of_many_subjects_each_group_is_drawn_evenly_and_boxes_are_of_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fairseg.report.charts.subjects.MOST_DOTS", 100)
    rng = np.random.default_rng(0)
    values = rng.uniform(0.5, 1.0, 1000)
    values[7] = np.nan
    ids = np.r_[np.zeros(990, np.int64), np.ones(8, np.int64), [-1, -1]]
    other = rng.integers(0, 3, 1000)
    drawn = spread_evenly([ids, other], values)
    assert drawn[ids == 1].all()  # of a small group nobody is left out
    assert 40 <= drawn.sum() <= 110
    large = np.flatnonzero((ids == 0) & ~np.isnan(values))
    assert drawn[large[values[large].argmin()]]
    assert np.quantile(values[drawn & (ids == 0) & ~np.isnan(values)], 0.5) == pytest.approx(
        np.quantile(values[large], 0.5), abs=0.05
    )
    subjects = Roster([f"s{index}" for index in range(1000)], drawn)
    chart = dot_boxes({"LV": values}, ids, ["A", "B"], subjects=subjects, name="a", axis="DSC")
    # The text counts everybody; dots and the list for tooltips are of those that are drawn.
    assert "n = 989" in chart
    data = json.loads(re.sub("<.*?>", "", str(subjects.markup())))
    shown = [f"s{index}" for index in np.flatnonzero(drawn)]
    assert data["names"] == shown
    for path, group in re.findall(r'data-s="([^"]*)" data-g="([AB])"', str(chart)):
        who = np.cumsum([int(step) for step in path.split()])
        members = drawn & (ids == "AB".index(group)) & np.isfinite(values)
        assert [shown[index] for index in who] == [f"s{index}" for index in np.flatnonzero(members)]


def test_up_to_ten_thousand_subjects_all_are_drawn() -> None:
    assert spread_evenly([np.zeros(10_000, np.int64)], np.arange(10_000.0)).all()
    assert not spread_evenly([np.zeros(10_001, np.int64)], np.arange(10_001.0)).all()


def test_a_panel_that_the_common_axis_would_squeeze_has_its_own_unless_panels_are_compared() -> None:
    subjects, groups, values = cohort()
    rows = {"LV": values, "RV": 100 * values}

    def width(chart: str) -> float:
        return float(np.ptp(np.concatenate([positions(path)[:, 0] for path in paths(chart)[:2]])))

    facts = {"subjects": subjects, "name": "a", "axis": "HD (mm)"}
    own_axes, common = (dot_boxes(rows, groups, NAMES, one_axis=one, **facts) for one in (False, True))
    assert width(own_axes) > 10 * width(common)
    assert ("own axis" in own_axes, "own axis" in common) == (True, False)
    assert "own axis" not in dot_boxes({"LV": values, "RV": 2 * values}, groups, NAMES, **facts)
