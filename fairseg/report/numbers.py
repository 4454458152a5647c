"""Write every number that people read: one minus sign, one rule of digits, one mark of no value.

Files for computers (CSV, JSON) hold unrounded numbers instead.
"""

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

from fairseg.io.sentences import p_number, safe_digits

NONE = "\N{EN DASH}"  # stands where there is no value
_MINUS = "\N{MINUS SIGN}"
_SIGNIFICANT = 0.05
_MORE = 2  # decimals at most that are added to tell a figure from a limit, before a sign does
_LARGEST = 1e9  # from here on as a power of ten, such as ratios of tiny errors
_ROUNDING = 1e-9  # difference that comes from the order of a sum


class Writer(Protocol):
    """A function that writes a figure, with more decimals where it would seem to reach a limit."""

    def __call__(self, value: float, /, *, apart: Iterable[float] = ...) -> str:
        """Return the figure as text."""


def number(value: float, digits: int = 3, *, sign: bool = False, apart: Iterable[float] = ()) -> str:
    """Return a number with fixed decimals, a true minus sign and thousands set apart; never minus zero.

    Args:
        value: the number; NaN becomes `NONE`, infinity its sign.
        digits: decimals.
        sign: put a plus before what is above zero.
        apart: limits that it is compared with: where it would seem to reach one, it has up to two more
            decimals, or else "<" or ">".

    >>> number(-0.0312), number(12345.6, 0), number(-0.0001, 2), number(1.5, 1, sign=True)
    ('\N{MINUS SIGN}0.031', '12,346', '0.00', '+1.5')
    >>> number(0.01996, 3, apart=[0.02]), number(0.0200000000001, 3, apart=[0.02])
    ('0.01996', '0.020')
    >>> number(0.0199997, 3, apart=[0.02]), number(3e-8, 3, apart=[0.0])
    ('<0.020', '>0.000')
    >>> number(1.7e299), number(-123456789.0, 0)
    ('2e+299', '\N{MINUS SIGN}123,456,789')
    >>> number(math.inf), number(math.nan)
    ('\N{INFINITY}', '\N{EN DASH}')
    """
    if math.isnan(value):
        return NONE
    if math.isinf(value):
        return f"{_MINUS if value < 0 else ''}\N{INFINITY}"
    differ = [limit for limit in apart if abs(value - limit) > _ROUNDING]
    enough = safe_digits(value, digits, differ) if differ else digits
    if enough is None or enough > digits + _MORE:
        limit = min(differ, key=lambda one: abs(value - one))
        return f"{'<' if value < limit else '>'}{number(limit, digits, sign=sign)}"
    digits = enough
    text = f"{abs(value):,.{digits}f}" if abs(value) < _LARGEST else f"{abs(value):.0e}"
    if not text.strip("0.,"):
        return text
    return f"{_MINUS if value < 0 else '+' if sign else ''}{text}"


def score(value: float, *, sign: bool = False, apart: Iterable[float] = ()) -> str:
    """Return a score, a distance, or a difference of two: three decimals.

    It has a fourth where three would be zeros, as in the tables of Lee et al. 2025.

    >>> score(0.0314), score(0.00042), score(0.02, sign=True), score(-1e-6)
    ('0.031', '0.0004', '+0.020', '0.000')
    """
    digits = 3 if abs(value) >= 0.0005 or round(value, 4) == 0 else 4
    return number(value, digits, sign=sign, apart=apart)


def shift(value: float, *, apart: Iterable[float] = ()) -> str:
    """Return a difference that a study is planned for: three decimals, four below 0.01.

    >>> shift(0.02), shift(0.0005), shift(float("inf"))
    ('0.020', '0.0005', '\N{INFINITY}')
    """
    return number(value, 3 if abs(value) >= 0.00995 else 4, apart=apart)


count = partial(number, digits=0)
tenth = partial(number, digits=1)  # of a clinical measure, such as a volume in ml
hundredth = partial(number, digits=2)  # of a standardised difference or another effect size


def percent(share: float, *, apart: Iterable[float] = ()) -> str:
    """Return a share of 1 in per cent; a small one is never shown as zero.

    >>> percent(0.205), percent(0.2), percent(0.0004), percent(-0.05)
    ('20.5%', '20.0%', '<0.1%', '\N{MINUS SIGN}5.0%')
    """
    return (
        "<0.1%" if 0 < share < 0.0005 else points_of(share, apart=apart) + ("" if math.isnan(share) else "%")
    )


def points_of(share: float, *, apart: Iterable[float] = ()) -> str:
    """Return a difference of two shares in percentage points, without the word.

    >>> points_of(0.2), points_of(-0.053)
    ('20.0', '\N{MINUS SIGN}5.3')
    """
    return number(100 * share, 1, apart=[100 * limit for limit in apart])


def p_value(p: float) -> str:
    """Return a p-value with a star where it is below 0.05.

    Near that limit it has a third digit or more, so that 0.0497* does not look like 0.05*.

    >>> p_value(0.0497), p_value(0.031), p_value(0.00004), p_value(0.5), p_value(0.04996)
    ('0.0497*', '0.031*', '<0.001*', '0.50', '0.04996*')
    """
    if math.isnan(p):
        return NONE
    star = "*" if p < _SIGNIFICANT else ""
    if not 0 < p < 0.0995:
        return p_number(p, 2) + star
    significant = 3 if abs(p - _SIGNIFICANT) < 0.005 else 2
    return p_number(p, significant - 1 - math.floor(math.log10(p))).rstrip("0") + star


def span(low: float, high: float, write: Writer = score, *, apart: Iterable[float] = (0.0,)) -> str:
    """Return limits; where they exclude 0 or another value in `apart`, they do so as written.

    >>> span(0.012, 0.0504), span(-2.31, 1.0, tenth)
    ('0.012 to 0.050', '\N{MINUS SIGN}2.3 to 1.0')
    >>> span(0.0003, 0.0531, points_of), span(0.001, 0.02004, apart=[0.02])
    ('0.03 to 5.3', '0.001 to 0.02004')
    """
    limits = tuple(apart)
    return NONE if math.isnan(low + high) else f"{write(low, apart=limits)} to {write(high, apart=limits)}"


def with_limits(
    value: float, low: float, high: float, write: Writer = score, *, apart: Iterable[float] = (0.0,)
) -> str:
    """Return a value and, if there are any, its limits in brackets.

    >>> with_limits(0.031, 0.012, 0.0504), with_limits(0.031, float("nan"), float("nan"))
    ('0.031 (0.012 to 0.050)', '0.031')
    """
    limits = tuple(apart)
    if math.isnan(low + high):
        return write(value, apart=filter(None, limits))
    return f"{write(value, apart=filter(None, limits))} ({span(low, high, write, apart=limits)})"


def decimals(low: float, high: float) -> int:
    """Return how many decimals values in a range are shown with.

    >>> decimals(0.6, 0.95), decimals(1, 40), decimals(0, 900), decimals(0, 250000)
    (3, 1, 1, 0)
    """
    largest = max(abs(low), abs(high))
    return 3 if largest <= 2 else 2 if largest <= 10 and high - low < 2 else 1 if largest < 1000 else 0


# How a cell of each kind is written.
KINDS: dict[str, Callable[..., str]] = {
    "score": score,
    "shift": shift,
    "count": count,
    "tenth": tenth,
    "hundredth": hundredth,
    "percent": percent,
    "points": points_of,
    "p": p_value,
}
