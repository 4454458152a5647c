"""The table of gaps: what each row shows and says."""

import re
from dataclasses import replace

import pytest

from fairseg.report.charts import ForestRow, badge, forest
from fairseg.statistics.verdicts import Verdict

ROW = ForestRow("sex", "LV", 0.03, 0.01, 0.05, Verdict.GAP, "15 / 12")
NAN = float("nan")


def show(*rows: ForestRow) -> str:
    return forest(rows, label="Gaps", axis="Gap", margin=0.02)


def test_numbers_counts_and_verdict_are_in_the_row() -> None:
    text = re.sub(r"<[^>]+>", "|", show(ROW))
    for words in ("0.030 [0.010, 0.050]", "15 / 12", "Gap shown", "LV", "sex"):
        assert words in text


def test_verdicts_differ_by_shape_and_words() -> None:
    rows = [replace(ROW, verdict=verdict) for verdict in Verdict]
    marks = re.findall(r'<path d="([^"]*)" class="verdict', show(*rows))
    assert len(set(zip(marks, re.findall(r'class="verdict ([^"]*)"', show(*rows)), strict=True))) == len(
        Verdict
    )
    assert len({badge(row.verdict) for row in rows}) == len(Verdict)


def test_limits_leave_out_zero_and_the_margin_as_written_too() -> None:
    """To three decimals a gap that is shown began at 0.000, and one within the margin of 0.02 ended there."""
    rows = [
        ForestRow("sex", "LV", 0.03, 0.0003, 0.05, Verdict.GAP, "15 / 12"),
        ForestRow("sex", "RV", 0.005, -0.01, 0.0196, Verdict.OPEN, "15 / 12"),
    ]
    markup = forest(rows, label="Gaps", axis="Gap", margin=0.02)
    assert "0.030 [0.0003, 0.050]" in markup
    assert "0.005 [\N{MINUS SIGN}0.010, 0.0196]" in markup


@pytest.mark.parametrize("low", [NAN, -float("inf")])
def test_a_row_without_interval_is_not_judged(low: float) -> None:
    page = show(replace(ROW, low=low))
    assert "Not judged" in page
    assert "0.030</td>" in page
    assert "Gap shown" not in page


def test_a_row_without_anything_is_a_dash() -> None:
    page = show(ForestRow("", "LV", NAN, NAN, NAN, Verdict.NOT_JUDGED, "0 / 3"))
    assert "<td>\N{EN DASH}</td>" in page
    assert "nan" not in page


def test_the_marker_stands_between_the_ends_and_the_band_around_zero() -> None:
    page = show(ROW)
    low, high = map(float, re.findall(r'<line x1="([\d.]+)%" x2="([\d.]+)%" y1="50%"', page)[0])
    middle = float(re.findall(r'<svg x="([\d.]+)%" y="50%"><path d="[^"]*" class="verdict', page)[0])
    assert middle == pytest.approx((low + high) / 2, abs=0.02)
    left, width = map(float, re.findall(r'<rect x="([\d.]+)%" width="([\d.]+)%"', page)[0])
    zero = float(re.findall(r'<line x1="([\d.]+)%"[^>]*class="axis"', page)[0])
    assert left + width / 2 == pytest.approx(zero, abs=0.02)


def test_a_row_has_a_band_of_its_own_from_the_end_of_the_axis() -> None:
    rows = [replace(ROW, band=(-float("inf"), end)) for end in (0.02, 0.0, 0.04)]
    page = forest(rows, label="AUC", axis="AUC", margin=0.0)
    bands = re.findall(r'<rect x="([\d.]+)%" width="([\d.]+)%"', page)
    assert len(bands) == 3  # none in the row of the heading
    assert {float(left) for left, _ in bands} == {0.0}
    widths = [float(width) for _, width in bands]
    zero = float(re.findall(r'<line x1="([\d.]+)%"[^>]*class="axis"', page)[0])
    assert widths[1] == pytest.approx(zero, abs=0.02)
    assert widths[0] - widths[1] == pytest.approx(widths[2] - widths[0], abs=0.02) != 0


def test_blocks_have_one_heading_each() -> None:
    page = show(ROW, replace(ROW, name="RV"), replace(ROW, block="site"))
    assert page.count("<tbody>") == page.count('scope="rowgroup"') == 2


def test_names_are_escaped() -> None:
    assert "<b>" not in show(ForestRow("<b>", "<b>", 0.1, 0, 0.2, Verdict.GAP, "<b>"))
    assert "<b>" not in badge(Verdict.GAP, ("<b>", "gap"))


def test_wrong_rows_are_refused() -> None:
    with pytest.raises(ValueError, match=r"row 'LV' must have low <= high, got 0.06 and 0.05"):
        show(replace(ROW, low=0.06))
    with pytest.raises(ValueError, match="rows must have at least one gap"):
        show()
