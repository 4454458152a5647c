"""How notes and errors count and list: `1 case`, `2 cases`; `a, b, c, d, e and 3 more`."""

from collections.abc import Iterable


def counted(number: int, noun: str) -> str:
    """Return a number and its noun, in the plural unless the number is 1.

    >>> counted(1, "case"), counted(3, "subject")
    ('1 case', '3 subjects')
    """
    return f"{number} {noun}{'s' if number != 1 else ''}"


def p_text(p: float) -> str:
    """Return a p-value as a sentence tells it.

    >>> p_text(0.00042), p_text(0.0312)
    ('p < 0.001', 'p = 0.031')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def listed(things: Iterable[object], most: int = 5) -> str:
    """Return things in a row, of many only the first.

    >>> listed("abcdefg")
    'a, b, c, d, e and 2 more'
    """
    names = [str(thing) for thing in things]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
