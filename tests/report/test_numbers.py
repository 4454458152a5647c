"""Numbers as people read them: one minus sign, one rule of digits, a p-value that never looks like 0.05."""

import math

import numpy as np
import pytest

from fairseg.io.sentences import p_text
from fairseg.report import numbers
from fairseg.report.numbers import NONE, p_value, percent, score, span, with_limits
from fairseg.report.tables import Cell


@pytest.mark.parametrize(
    ("p", "shown"),
    [
        (0.0497, "0.0497*"),  # the third digit: "0.05*" would be no star's number
        (0.0503, "0.0503"),
        (0.0451, "0.0451*"),
        (0.0549, "0.0549"),
        (0.0449, "0.045*"),
        (0.0551, "0.055"),
        (0.05, "0.05"),
        (0.04996, "0.04996*"),
        (0.0499999, "<0.05*"),
        (0.05 - 1e-12, "<0.05*"),
        (0.05 + 1e-12, ">0.05"),
        (0.00996, "0.00996*"),
        (0.01003, "0.01003*"),
        (0.01, "0.01*"),
        (0.00102, "0.00102*"),
        (0.0010004, ">0.001*"),
        (0.0994, "0.099"),
        (0.0996, "0.10"),
        (0.001, "0.001*"),
        (0.00099, "<0.001*"),
        (1.0, "1.00"),
        (math.nan, NONE),
    ],
)
def test_p(p: float, shown: str) -> None:
    assert p_value(p) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.8796, "0.880"),
        (-0.0312, "\N{MINUS SIGN}0.031"),
        (0.00049, "0.0005"),
        (0.0005, "0.001"),
        (-0.00004, "0.000"),
        (0.00005001, "0.0001"),
        (0.0, "0.000"),
        (-0.0, "0.000"),
        (math.inf, "∞"),
        (1234.5, "1,234.500"),
        (math.nan, NONE),
    ],
)
def test_scores(value: float, shown: str) -> None:
    assert score(value) == shown


def test_one_minus_sign_in_every_kind() -> None:
    for kind, write in numbers.KINDS.items():
        if kind != "p":
            assert "-" not in write(-3.21), kind
            assert write(-3.21).startswith("\N{MINUS SIGN}"), kind
            assert write(math.nan) == NONE, kind


def test_no_rounding_takes_a_figure_to_what_it_is_compared_with() -> None:
    assert score(0.01996, apart=[0.02]) == "0.01996"
    assert percent(0.19996, apart=[0.2]) == "19.996%"
    assert percent(0.2, apart=[0.2]) == "20.0%"
    assert percent(0.1 + 0.1 + 1e-16, apart=[0.2]) == "20.0%"  # the noise of a sum is no difference
    assert span(0.00003, 0.05) == "0.00003 to 0.050"  # limits that leave out 0 do so as written
    assert span(-0.05, -0.00002, numbers.points_of) == "\N{MINUS SIGN}5.0 to \N{MINUS SIGN}0.002"
    cell = Cell(0.0004, 0.01, 0.05004, kind="points", apart=(0.05,))
    assert (cell.text, cell.limits) == ("0.0", "(1.0 to 5.004)")
    assert p_text(0.0496) == "p = 0.0496"
    assert p_text(0.05 - 1e-12) == "p < 0.05"


def test_a_star_never_stands_beside_a_p_that_reads_as_not_below() -> None:
    for p in np.random.default_rng(0).uniform(0.0, 0.06, 20_000):
        text = p_value(float(p))
        assert text.endswith("*") == (p < 0.05)
        if text[0] not in "<>":
            assert (float(text.rstrip("*")) < 0.05) == (p < 0.05), p


def test_limits_stand_only_where_there_are_some() -> None:
    assert span(-0.1, 0.2) == "\N{MINUS SIGN}0.100 to 0.200"
    assert span(math.nan, 0.2) == NONE
    assert with_limits(0.1, math.nan, math.nan) == "0.100"
    assert with_limits(0.1, 0.05, 0.15, percent) == "10.0% (5.0% to 15.0%)"
