"""Every number that people read is written here: one minus sign, one rule of digits, one mark of no value.

Files for computers (CSV, JSON) hold unrounded numbers instead.
"""

import math
from collections.abc import Callable

NONE = "\N{EN DASH}"  # stands where there is no value
_MINUS = "\N{MINUS SIGN}"
_SIGNIFICANT = 0.05


def number(value: float, digits: int = 3, *, sign: bool = False) -> str:
    """Return a number with fixed decimals, a true minus sign and thousands set apart; never minus zero.

    Args:
        value: the number; NaN becomes `NONE`.
        digits: decimals.
        sign: put a plus before what is above zero.

    >>> number(-0.0312), number(12345.6, 0), number(-0.0001, 2), number(1.5, 1, sign=True)
    ('\N{MINUS SIGN}0.031', '12,346', '0.00', '+1.5')
    """
    if math.isnan(value):
        return NONE
    text = f"{abs(value):,.{digits}f}"
    if not text.strip("0.,"):
        return text
    return f"{_MINUS if value < 0 else '+' if sign else ''}{text}"


def score(value: float, *, sign: bool = False) -> str:
    """Return a score, a distance, or a difference of two: three decimals.

    A fourth stands where three would show nothing but a sign, as in the tables of Lee et al. 2025.

    >>> score(0.0314), score(0.00042), score(0.02, sign=True), score(-1e-6)
    ('0.031', '0.0004', '+0.020', '0.000')
    """
    return number(value, 3 if abs(value) >= 0.0005 or round(value, 4) == 0 else 4, sign=sign)


def count(value: float) -> str:
    """Return a whole number."""
    return number(value, 0)


def tenth(value: float) -> str:
    """Return a clinical measure, such as a volume in ml: one decimal."""
    return number(value, 1)


def hundredth(value: float) -> str:
    """Return a standardised difference or another effect size: two decimals."""
    return number(value, 2)


def percent(share: float) -> str:
    """Return a share of 1 in per cent; a small one is never shown as zero.

    >>> percent(0.205), percent(0.2), percent(0.0004), percent(-0.05)
    ('20.5%', '20.0%', '<0.1%', '\N{MINUS SIGN}5.0%')
    """
    return "<0.1%" if 0 < share < 0.0005 else number(100 * share, 1) + ("" if math.isnan(share) else "%")


def points_of(share: float) -> str:
    """Return a difference of two shares in percentage points, without the word.

    >>> points_of(0.2), points_of(-0.053)
    ('20.0', '\N{MINUS SIGN}5.3')
    """
    return number(100 * share, 1)


def p_value(p: float) -> str:
    """Return a p-value with a star where it is below 0.05.

    Near that limit it has a third digit, so that 0.0497* does not look like 0.05*.

    >>> p_value(0.0497), p_value(0.031), p_value(0.00004), p_value(0.5)
    ('0.0497*', '0.031*', '<0.001*', '0.50')
    """
    if math.isnan(p):
        return NONE
    if p < 0.001:
        return "<0.001*"
    digits = 3 if abs(p - _SIGNIFICANT) < 0.005 else 2
    return (f"{p:.{digits}g}" if p < 0.0995 else f"{p:.2f}") + ("*" if p < _SIGNIFICANT else "")


def span(low: float, high: float, write: Callable[[float], str] = score) -> str:
    """Return limits.

    >>> span(0.012, 0.0504), span(-2.31, 1.0, tenth)
    ('0.012 to 0.050', '\N{MINUS SIGN}2.3 to 1.0')
    """
    return NONE if math.isnan(low + high) else f"{write(low)} to {write(high)}"


def with_limits(value: float, low: float, high: float, write: Callable[[float], str] = score) -> str:
    """Return a value and, if there are any, its limits in brackets.

    >>> with_limits(0.031, 0.012, 0.0504), with_limits(0.031, float("nan"), float("nan"))
    ('0.031 (0.012 to 0.050)', '0.031')
    """
    return write(value) if math.isnan(low + high) else f"{write(value)} ({span(low, high, write)})"


def decimals(low: float, high: float) -> int:
    """Return how many decimals values of such a range are shown with.

    >>> decimals(0.6, 0.95), decimals(1, 40), decimals(0, 900), decimals(0, 250000)
    (3, 1, 1, 0)
    """
    largest = max(abs(low), abs(high))
    return 3 if largest <= 2 else 2 if largest <= 10 and high - low < 2 else 1 if largest < 1000 else 0


# How a cell of each kind is written.
KINDS: dict[str, Callable[[float], str]] = {
    "score": score,
    "count": count,
    "tenth": tenth,
    "hundredth": hundredth,
    "percent": percent,
    "points": points_of,
    "p": p_value,
}
