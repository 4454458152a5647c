"""Numbers as people read them: one minus sign, one rule of digits, a p-value that never looks like 0.05."""

import math

import pytest

from fairseg.report import numbers
from fairseg.report.numbers import NONE, p_value, percent, score, span, with_limits


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
        (math.inf, "inf"),
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


def test_limits_stand_only_where_there_are_some() -> None:
    assert span(-0.1, 0.2) == "\N{MINUS SIGN}0.100 to 0.200"
    assert span(math.nan, 0.2) == NONE
    assert with_limits(0.1, math.nan, math.nan) == "0.100"
    assert with_limits(0.1, 0.05, 0.15, percent) == "10.0% (5.0% to 15.0%)"
