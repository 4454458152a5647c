"""How notes and errors count, list and guess: `2 cases`; `a, b, c, d, e and 3 more`; `did you mean 'b'?`."""

import difflib
import itertools
import re
import shlex
from collections.abc import Iterable

_P_LIMITS = (0.05, 0.01, 0.001)
_MORE_DIGITS, _DIGITS_OF_P = 5, 4
_SHOWN, _LONGEST = 8, 80  # values of a list, letters of anything else, that an error shows


class NamingNote(str):
    """A note that ends in names or cells of a table.

    Attributes:
        bare: its text without them.

    >>> note = NamingNote("2 cases left out", ["p01", "p02"])
    >>> note, note.bare
    ('2 cases left out: p01, p02', '2 cases left out')
    """

    bare: str

    def __new__(cls, bare: str, names: Iterable[object], more: str = "", most: int = 5) -> "NamingNote":
        """Return the note with its first names, and a text after them."""
        note = super().__new__(cls, f"{bare}: {listed(names, most)}{more}")
        note.bare = bare
        return note


def times(values: Iterable[float]) -> str:
    """Return numbers along several axes: sizes, spacings.

    >>> times((10, 1.5625, 1.5625))
    '10 x 1.5625 x 1.5625'
    """
    return " x ".join(f"{value:g}" for value in values)


def counted(number: int, noun: str) -> str:
    """Return a number and its noun, in the plural unless the number is 1.

    >>> counted(1, "case"), counted(3, "subject")
    ('1 case', '3 subjects')
    """
    return f"{number} {noun}{'s' if number != 1 else ''}"


def safe_digits(value: float, digits: int, limits: Iterable[float]) -> int | None:
    """Return the least decimals, from `digits` on, that keep the rounded value on its side of every limit.

    None where even five more round it to a limit.

    >>> safe_digits(0.0496, 2, [0.05]), safe_digits(0.031, 2, [0.05]), safe_digits(0.05 - 1e-12, 2, [0.05])
    (4, 2, None)
    """

    def holds(decimals: int) -> bool:
        rounded = round(value, decimals)
        return all(
            (rounded < limit) == (value < limit) and (rounded > limit) == (value > limit) for limit in limits
        )

    limits = tuple(limits)
    return next((more for more in range(digits, digits + _MORE_DIGITS + 1) if holds(more)), None)


def p_number(p: float, digits: int) -> str:
    """Return a p-value with so many decimals, or more, that it never seems to reach 0.05, 0.01 or 0.001.

    A sign replaces more than four digits.

    >>> p_number(0.04996, 2), p_number(0.05 - 1e-12, 2), p_number(0.00042, 3)
    ('0.04996', '<0.05', '<0.001')
    >>> p_number(0.00102, 4), p_number(0.0010004, 4)
    ('0.00102', '>0.001')
    """
    if p < _P_LIMITS[-1]:
        return f"<{_P_LIMITS[-1]:g}"
    enough = safe_digits(p, digits, _P_LIMITS)
    if enough is None or (enough > digits and round(p, enough) * 10**enough >= 10**_DIGITS_OF_P):
        limit = min(_P_LIMITS, key=lambda limit: abs(p - limit))
        return f"{'<' if p < limit else '>'}{limit:g}"
    return f"{p:.{enough}f}"


def p_text(p: float) -> str:
    """Return a p-value as in a sentence.

    >>> p_text(0.00042), p_text(0.0312)
    ('p < 0.001', 'p = 0.031')
    """
    text = p_number(p, 3)
    return f"p {text[0]} {text[1:]}" if text[0] in "<>" else f"p = {text}"


def listed(values: Iterable[object], most: int = 5) -> str:
    """Return values in a row; if there are many, only the first.

    >>> listed("abcdefg")
    'a, b, c, d, e and 2 more'
    """
    names = list(map(str, values))
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def brief(value: object) -> str:
    """Return a value as errors show it, on one line; of an array, a Series or a long list its first values.

    >>> brief("x"), brief(list(range(20)))
    ("'x'", 'list of 20: 0, 1, 2, ...')
    """
    shape = getattr(value, "shape", None)
    if shape or (isinstance(value, list | tuple | set | frozenset) and len(value) > _SHOWN):
        size = "x".join(map(str, shape)) if shape else len(value)  # type: ignore[arg-type]
        first = itertools.islice(value, 3) if not shape or len(shape) == 1 else ()  # type: ignore[call-overload]
        cells = [repr(cell.item() if hasattr(cell, "item") else cell) for cell in first]
        return f"{type(value).__name__} of {size}" + (f": {', '.join(cells)}, ..." if cells else "")
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def lacks_column(where: object, name: object, names: Iterable[object]) -> str:
    """Return the error of a table that lacks a column, with those it has.

    >>> lacks_column("groups.csv", "cse", ["case", "sex"])
    "groups.csv must have a column 'cse', it has case, sex; did you mean 'case'?"
    """
    columns = list(names)
    has = listed(columns, 20) or "none"
    return f"{where} must have a column {name!r}, it has {has}{did_you_mean(name, columns)}"


def did_you_mean(name: object, names: Iterable[object]) -> str:
    """Return the end of an error: the name that is nearly this one; "" if none is.

    >>> did_you_mean("Sexo", ["age", "sex"]), did_you_mean("x", ["sex"])
    ("; did you mean 'sex'?", '')
    """
    by_lower = {str(known).lower(): str(known) for known in names}
    closest = difflib.get_close_matches(str(name).lower(), by_lower, 1)
    return f"; did you mean {by_lower[closest[0]]!r}?" if closest else ""


def no_attribute(where: object, name: str, names: Iterable[object]) -> str:
    """Return the error of a table that lacks an attribute, with those it has.

    >>> no_attribute("groups.csv", "skin_typ", ["sex", "skin_type"])
    "groups.csv has no attribute 'skin_typ', it has sex, skin_type; did you mean 'skin_type'?"
    """
    attributes = list(map(str, names))
    has = listed(attributes, 20) or "none"
    parts = [part.strip() for part in re.split(r"[,*:;&+]| x | and ", name)]
    if len(parts) > 1 and set(parts) <= set(attributes):
        each = " ".join(f"--by {shlex.quote(part)}" for part in parts)
        hint = f"; name each by itself, such as by={parts} (in a command {each})"
    else:
        hint = did_you_mean(name, attributes)
    return f"{where} has no attribute {name!r}, it has {has}{hint}"


def not_among(argument: str, value: object, names: Iterable[object], *, between: str = ", ") -> str:
    """Return the error of an argument that must be one of these names.

    >>> not_among("kind", "boxs", ["boxes", "gaps"])
    "kind must be one of boxes, gaps, got 'boxs'; did you mean 'boxes'?"
    """
    known = list(map(str, names))
    return f"{argument} must be one of {between.join(known)}, got {brief(value)}{did_you_mean(value, known)}"
