"""One colour and one marker a group, wherever it is drawn."""

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

import fairseg
from fairseg.report.charts import Roster, dot_boxes
from fairseg.report.palette import GROUPS, MARKERS, REFERENCE, VERDICTS, color, css_class, css_variables, fill
from fairseg.statistics.verdicts import Endpoint, Verdict


def result(reference: str | None = None) -> fairseg.report.AuditResult:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"subject": range(60), "sex": ["F", "M", "X"] * 20, "dice": rng.uniform(0.7, 0.9, 60)}
    )
    return fairseg.audit(table.assign(reference_ml=rng.uniform(50, 90, 60)), by="sex", reference=reference)


@pytest.mark.parametrize("reference", [None, "M"])
def test_a_group_has_one_colour_in_figures_and_on_the_page(reference: str | None) -> None:
    audit = result(reference)
    code = audit.analyses[0].reference
    ax = audit.plot("boxes")
    faces = [to_hex(patch.get_facecolor()) for patch in ax.patches]
    assert faces == [fill(group, code) for group in range(3)]
    dots = audit.plot("size").lines
    assert [line.get_color() for line in dots] == [color(group, code) for group in range(3)]
    chart = dot_boxes(
        {"LV": np.linspace(0.5, 0.9, 6)}, np.array([0, 1, 2, 0, 1, 2]), "FMX", subjects=Roster("abcdef"),
        name="a", axis="DSC", reference=code,
    )  # fmt: skip
    classes = re.findall(r'class="dots (\w+)"', chart)
    assert classes == [css_class(group, code) for group in range(3)]
    for css, group in zip(classes, range(3), strict=True):
        name = "reference" if css == "cr" else css
        assert f"--{name}: {color(group, code)};" in css_variables(dark=False)


def test_no_two_of_seventy_two_groups_look_alike() -> None:
    looks = {(color(group, None), MARKERS[group % len(MARKERS)][0]) for group in range(72)}
    assert len(looks) == 72
    assert REFERENCE not in GROUPS


def test_every_verdict_has_a_marker() -> None:
    assert {verdict.marker for verdict in Verdict} == VERDICTS.keys()


@pytest.mark.parametrize("endpoint", list(Endpoint)[:3])
def test_the_chart_of_gaps_has_a_row_a_finding_within_its_limits(endpoint: Endpoint) -> None:
    from fairseg.report.plots import plot_gaps  # noqa: PLC0415

    audit = result("M")
    rows = [row for row in audit.judgement.findings if row.endpoint is endpoint]
    ax = plot_gaps(audit, endpoint=endpoint)
    assert len(ax.get_yticks()) == len(rows) == 2
    assert ax.get_figure() is not None


def test_a_kind_that_there_is_not_is_named() -> None:
    with pytest.raises(ValueError, match="kind must be one of boxes, gaps, size, got 'pie'"):
        result().plot("pie")
