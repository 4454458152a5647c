"""Box plots: names stay apart, letters keep their size, and a box is drawn of enough subjects only."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.text import Text

import fairseg
from fairseg import Groups
from fairseg.report import Summary, summarize
from fairseg.report.paper import report_sheet
from fairseg.report.plots import figure_of, plot_overall, plot_rows, to_png
from fairseg.statistics.verdicts import Endpoint

PAGE = 9.9  # inches of the page's content: 62rem less its padding


def summaries(sizes: dict[str, int], metrics: tuple[str, ...] = ("dice", "hd")) -> list[Summary]:
    """Return summaries of two labels, of groups with so many subjects."""
    rows = [
        (f"{name}{index}", name, label, 0.5 + index / 1000)
        for name, number in sizes.items()
        for index in range(number)
        for label in ("LV", "RV")
    ]
    scores = pd.DataFrame(rows, columns=["case", "site", "label", "dice"])
    scores = scores.assign(subject=scores["case"], **dict.fromkeys(metrics, scores["dice"]))
    return summarize(scores, Groups.from_table(scores, by="site"))


def boxes(figure: Figure) -> list[int]:
    return [sum(isinstance(patch, PathPatch) for patch in ax.patches) for ax in figure.axes]


def rows(parts: list[Summary]) -> dict[str, Summary]:
    return {part.structure: part for part in parts}


def names(figure: Figure) -> list[Text]:
    FigureCanvasAgg(figure).draw()
    return list(figure.axes[0].get_xticklabels())


AGES = ["age<50", "50<=age<65", "65<=age<75", "age>=75"]
HOSPITALS = ["University Hospital of the North", "General Hospital, East wing", "St Mary's", "Clinic 4"]


@pytest.mark.parametrize(
    "groups",
    [
        AGES,
        HOSPITALS,
        [f"{age}, sex={sex}" for age in AGES for sex in "FM"],
        [f"site {number}" for number in range(12)],
        [f"{name} {number}" for name in HOSPITALS for number in range(3)],
        [f"site {number}" for number in range(60)],
    ],
    ids=["ages", "hospitals", "ages by sex", "12 sites", "12 long names", "60 sites"],
)
@pytest.mark.parametrize("metrics", [("dice",), ("dice", "hd", "hd95", "assd", "nsd")])
def test_names_stay_apart_on_a_figure_no_wider_than_the_page(
    groups: list[str], metrics: tuple[str, ...]
) -> None:
    figure = plot_overall(summaries(dict.fromkeys(groups, 5), metrics)[0])
    assert figure.get_figwidth() <= PAGE
    assert len(figure.axes) == len(metrics)
    texts = names(figure)
    assert len(texts) == len(groups)
    assert {text.get_fontsize() for text in texts} == {9.0}
    for text in texts:
        extent = text.get_window_extent()
        assert extent.x0 >= 0
        assert extent.y0 >= 0
    for before, after in pairwise(texts):
        if before.get_rotation():  # lines at an angle: as far apart as their letters are high
            gap = after.get_window_extent().x1 - before.get_window_extent().x1
            assert gap > 9.0
        else:
            assert before.get_window_extent().x1 < after.get_window_extent().x0


def test_few_subjects_have_points_and_no_box() -> None:
    parts = summaries({"a": 4, "b": 5, "c": 1})
    overall = plot_overall(parts[0])
    assert boxes(overall) == [1, 1]
    each = plot_rows(rows(parts[1:]), "dice")
    assert boxes(each) == [2]
    shown = [line.get_xdata() for line in each.axes[0].lines if line.get_marker() == "o"]
    assert sorted(len(line) for line in shown if len(line)) == [1, 1, 4, 4]  # two labels


def test_groups_that_are_all_small_still_make_a_figure() -> None:
    parts = summaries({"a": 1, "b": 2})
    assert boxes(plot_overall(parts[0])) == [0, 0]
    assert boxes(plot_rows(rows(parts[1:]), "dice")) == [0]


@pytest.mark.parametrize("number", [2, 6, 24])
def test_the_legend_stands_in_columns_above_the_boxes(number: int) -> None:
    figure = plot_rows(rows(summaries({f"site {index}": 5 for index in range(number)})[1:]), "dice")
    FigureCanvasAgg(figure).draw()
    (legend,) = figure.legends
    extent = legend.get_window_extent()
    assert extent.y0 > figure.axes[0].get_window_extent().y1
    assert extent.x1 <= figure.bbox.x1
    assert extent.y0 > figure.bbox.y1 - 130  # 24 groups below each other would take 400


def test_a_figure_without_a_judged_pair_has_room_to_be_drawn() -> None:
    scores = {"sex": ["F"] * 3 + ["M"] * 3, "dice": [0.9] * 6}
    to_png(figure_of(fairseg.audit(scores, by="sex").plot("gaps")))


@pytest.mark.parametrize("length", [59, 61, 300])
def test_names_of_any_length_leave_room_for_the_boxes(length: int) -> None:
    rng = np.random.default_rng(0)
    names = [letter * (length - 1) + "x" for letter in "FM"]
    table = pd.DataFrame({"subject": [f"s{one}" for one in range(40)], "sex": names * 20})
    table["dice"] = rng.uniform(0.8, 0.9, 40)
    summary = summarize(table, Groups.from_table(table, by="sex"))[0]
    for figure in (plot_overall(summary), plot_rows({"LV": summary}, "dice")):
        assert figure.axes[0].get_position().width > 0.3


def test_saved_figures_do_not_follow_the_style_of_the_process(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"sex": ["F", "M"] * 30, "dice": rng.normal(0.9, 0.02, 60).clip(0, 1)})
    files = []
    for size in (10.0, 30.0):  # nnU-Net sets fonts of two and a half times the size, for all of a process
        with rc_context({"font.size": size, "axes.titlesize": 4 * size, "axes.grid": True}):
            fairseg.audit(table, by="sex").save(tmp_path / str(size), figures=True)
        files.append([(tmp_path / str(size) / name).read_bytes() for name in ("overall.svg", "gaps.png")])
    assert files[0] == files[1]


@pytest.mark.parametrize("levels", [2, 14])
def test_the_sheet_shows_what_says_most_and_nothing_lies_on_anything(levels: int) -> None:
    """On one page there is room for some rows: which, and how many are not there, is said."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        [
            (f"s{index}", f"level {index % levels}", "xy"[index % 2], label, rng.normal(0.9, 0.02))
            for index in range(20 * levels)
            for label in ("LV", "RV", "MYO")
        ],
        columns=["subject", "group", "site", "label", "dice"],
    )
    result = fairseg.audit(table, by="group", also="site", adjust="site")
    figure = report_sheet(result, ["Beside the verdict: HD95."])
    FigureCanvasAgg(figure).draw()
    page, gaps = figure.bbox, figure.axes[1]
    typical = [row for row in result.judgement.findings if row.endpoint is Endpoint.TYPICAL]
    cut = len(gaps.get_yticks()) < len(typical)
    assert (f"of {len(typical)} that say most" in gaps.get_xlabel()) == cut == (levels > 8)
    boxes = [text.get_window_extent() for text in gaps.get_yticklabels()]
    assert all(upper.y0 >= lower.y1 - 1 for upper, lower in pairwise(boxes))
    texts = [text.get_window_extent() for text in figure.texts]
    assert all(upper.y0 >= lower.y1 - 1 for upper, lower in pairwise(texts))
    assert all(box.x0 >= page.x0 and box.x1 <= page.x1 and box.y0 >= page.y0 for box in texts + boxes)
    assert max(text.y1 for text in [texts[-1]]) <= gaps.get_tightbbox().y0
    written = "\n".join(text.get_text() for text in figure.texts)
    assert ("more on the page" in written) == (levels > 8)
