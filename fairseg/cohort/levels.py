"""Levels: the meaning of a cell of the cohort table: missing or known, number or text, and its bin."""

import re
import shlex
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import isfinite, isnan
from numbers import Integral, Real
from typing import Any

import numpy as np

from fairseg.io.cells import coded, each, texts_of
from fairseg.io.sentences import brief

# What tools write for "not known": all that pandas reads so, such as R's NA and the N/A of spreadsheets.
MISSING = (
    *("", "NA", "N/A", "n/a", "#N/A", "#N/A N/A", "#NA", "<NA>", "NaN", "nan", "-NaN", "-nan"),
    *("NULL", "null", "None", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
)
FEW_LEVELS = 6  # numbers of up to so many values may be codes; text of more may name subjects
_MISSING_TEXTS = frozenset((*MISSING, "NaT"))
# What people also write for it, though it may be a group of its own: a warning says so, nothing is decided.
_PERHAPS_MISSING = {
    *("?", "??", "-", "--", ".", "n.a.", "n.k.", "n.d.", "na.", "null", "unk", "unkn", "unknown", "missing"),
    *("no data", "not known", "not available", "not stated", "not reported", "not recorded", "not given"),
    *("unspecified", "not specified", "undisclosed", "not disclosed", "declined", "prefer not to say"),
}
# Invisible around a text: blanks, and characters without a width, which `strip` leaves.
_INVISIBLE = "".join(filter(str.isspace, map(chr, range(0x3001)))) + "\u200b\u200c\u200d\u2060\ufeff"
_DICOM_AGE = re.compile(r"([0-9]{1,3})([DWMY])")  # value representation AS
_PER_YEAR = {"D": 365.25, "W": 365.25 / 7, "M": 12.0, "Y": 1.0}
WHOLE = re.compile(r"-?(0|[1-9][0-9]*)\.0+")  # a whole number as pandas writes it beside a missing value


def check_edges(name: str, values: float | Sequence[float]) -> tuple[float, ...]:
    """Return the edges of bins, or the one, as numbers, or raise a ValueError that names the attribute."""
    try:
        edges = tuple(map(float, [values] if isinstance(values, Real | float) else values))
    except (TypeError, ValueError):
        edges = ()
    if not edges or not all(map(isfinite, edges)) or list(edges) != sorted(set(edges)):
        raise ValueError(f"bins of {name!r} must be increasing numbers, got {brief(values)}")
    if len({f"{edge:.15g}" for edge in edges}) < len(edges):
        raise ValueError(f"bins of {name!r} must differ in their first 15 digits, got {brief(values)}")
    return edges


def bin_names(name: str, edges: tuple[float, ...]) -> list[str]:
    """Return the names of the bins that the edges make, from low to high."""
    cuts = [f"{edge:.15g}" for edge in edges]
    middle = [f"{low}<={name}<{high}" for low, high in pairwise(cuts)]
    return [f"{name}<{cuts[0]}", *middle, f"{name}>={cuts[-1]}"]


def in_years(cells: Sequence[Any]) -> tuple[list[Any], str]:
    """Return a column of DICOM's ages in years and its first age; any other column as it is and "".

    A few cells may be neither ages nor numbers, and more of them if they seem to say "not known".

    >>> in_years(["061Y", "018M", None, 70])
    (['61', '1.5', None, 70], '061Y')
    >>> in_years(["061Y", "?", "?"]), in_years(["6M", "baseline", "baseline"])
    ((['61', '?', '?'], '061Y'), (['6M', 'baseline', 'baseline'], ''))
    """
    ages = [text for text in texts_of(cells) if _DICOM_AGE.fullmatch(text)]
    if not ages:
        return list(cells), ""
    numbers = each(lambda cell: years(cell) if isinstance(cell, str) else cell, cells)
    odd = [text for text in texts_of(numbers) if not is_missing(text) and not isfinite(as_float(text))]
    if odd and not odd_cells(numbers, distinct=0) and len(perhaps_missing(odd)) < len(odd):
        return list(cells), ""
    return numbers, ages[0]


def years(text: str) -> str:
    """Return an age as DICOM writes it, in years; any other text as it is.

    >>> years("061Y"), years("018M"), years("61")
    ('61', '1.5', '61')
    """
    age = _DICOM_AGE.fullmatch(text.strip())
    return text if age is None else f"{int(age[1]) / _PER_YEAR[age[2]]:.6g}"


def no_number(name: str, shown: str, value: object) -> str:
    """Return the error about a cell that is no number, in an attribute that is cut into bins.

    >>> no_number("age", "'?' (case a)", "?").partition("; ")[2]
    "if it means not known: --na '?', in Python None in its place"
    """
    hint = ""
    if isinstance(value, str):
        hint = f"; if it means not known: {na_options([value])}, in Python None in its place"
    return f"attribute {name!r} must be a number to be cut into bins, got {shown}{hint}"


def as_float(value: object) -> float:
    """Return a number, or one that reads as such; NaN for anything else."""
    try:
        return float(str(value))
    except ValueError:
        return float("nan")


def is_missing(value: object) -> bool:
    """Whether a cell is missing: None, NaN, NaT, blank, or a text of `MISSING` such as "NA".

    >>> [is_missing(value) for value in (None, float("nan"), " NA ", "None", chr(0x200B), 0)]
    [True, True, True, True, True, False]
    """
    if type(value) is str:  # the most frequent first
        return value.strip(_INVISIBLE) in _MISSING_TEXTS
    if isinstance(value, Real) and not isinstance(value, Integral):
        return isnan(float(value))
    return value is None or str(value).strip(_INVISIBLE) in _MISSING_TEXTS


def cell_text(value: object) -> str | None:
    """Return a cell as text without visible or invisible blanks around it; None where it is missing.

    >>> cell_text(" p01 "), cell_text(1.0), cell_text("1.0"), cell_text("N/A")
    ('p01', '1', '1.0', None)
    """
    if isinstance(value, str):
        text = value.strip(_INVISIBLE)
        return None if text in _MISSING_TEXTS else text
    return level_of(value)


def level_of(value: object) -> str | None:
    """Return a cell as the text of a level; None where it is missing."""
    return None if is_missing(value) else level_text(value)


def level_text(value: object) -> str:
    """Return a level as text; 1, 1.0 and "1" are one level, because a missing value makes floats."""
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, Real) and float(value).is_integer():
        return str(int(float(value)))
    if isinstance(value, str) and WHOLE.fullmatch(value.strip()):
        return value.strip().split(".")[0]
    return " ".join(str(value).split())


def odd_cells(values: Sequence[Any], distinct: int = FEW_LEVELS) -> list[int]:
    """Return the rows of the few cells in a column of numbers that are no numbers; [] for other columns.

    Up to 3 cells, or one in twenty, may be odd, and fewer than a third. A column of numbers has more than
    `distinct` different ones. Missing cells are not counted.

    >>> odd_cells(["41", "?", "57", "63", "70", "71", "75", "80", None]), odd_cells(["A", "B"])
    ([1], [])
    """
    codes, numbers = coded(lambda value: None if is_missing(value) else as_float(value), values)
    counts = np.bincount(codes, minlength=len(numbers))
    num_known = int(sum(counts[code] for code, number in enumerate(numbers) if number is not None))
    odd_codes = [code for code, number in enumerate(numbers) if number is not None and not isfinite(number)]
    num_odd = int(counts[odd_codes].sum())
    if not 0 < 3 * num_odd < num_known or num_odd > max(3, num_known // 20):
        return []
    finite = {number for number in numbers if number is not None and isfinite(number)}
    return np.flatnonzero(np.isin(codes, odd_codes)).tolist() if len(finite) > distinct else []


def alike(names: Iterable[str], *, initials: bool = True) -> list[tuple[str, ...]]:
    """Find names that are probably one: capitals, blanks, marks between words, or coded accents differ.

    Args:
        names: levels of an attribute, or subjects.
        initials: whether a single letter is also like the one word that begins with it.

    Returns:
        Sets of two or more, sorted.

    >>> alike(["F", "Female", "f", "M", "other"]), alike(["site 1", "Site-1", "site 11", "A", "A-"])
    ([('F', 'Female', 'f')], [('Site-1', 'site 1')])
    >>> alike(["I", "II", "III"]), alike(["A", "all others"])
    ([], [])
    """
    plain = {name: _plain(name) for name in dict.fromkeys(map(str, names))}
    # "all others" is not one word, and an I does not abbreviate III.
    one_word = {word for name, word in plain.items() if name.isalpha() and not set(word) <= set("ivx")}
    words = [word for word in one_word if len(word) > 2]
    if initials:
        for name, word in plain.items():
            longer = [full for full in words if full.startswith(word)] if len(word) == 1 else []
            if word.isalpha() and len(longer) == 1:
                plain[name] = longer[0]
    sets: dict[str, list[str]] = {}
    for name, word in plain.items():
        sets.setdefault(word, []).append(name)
    return sorted(tuple(sorted(members)) for members in sets.values() if len(members) > 1)


def perhaps_missing(names: Iterable[str]) -> tuple[str, ...]:
    """Return the levels that may mean "not known", as "unknown" and "?" do, and are groups all the same.

    >>> perhaps_missing(["F", "Unknown", "?", "other", "not_reported"])
    ('Unknown', '?', 'not_reported')
    """
    return tuple(
        name for name in names if " ".join(name.casefold().replace("_", " ").split()) in _PERHAPS_MISSING
    )


def na_options(names: Iterable[str]) -> str:
    """Return the options with which texts are read as missing.

    >>> na_options(["?", "not known"])
    "--na '?' --na 'not known'"
    """
    return " ".join(f"--na {shlex.quote(name)}" for name in names)


def _plain(name: str) -> str:
    """Return a name without case, accents' codes and marks, in which spellings of one name differ."""
    if is_number(name):
        return f"{float(name):.15g}"
    text = unicodedata.normalize("NFKC", name).casefold()
    text = "".join(letter for letter in text if unicodedata.category(letter) != "Cf")
    text = re.sub(r"(?<=\w)[\W_]+(?=\w)", "-", text.strip())
    text = re.sub(r"(?<!\d)-|-(?!\d)", lambda mark: mark[0] if mark.end() == len(text) else "", text)
    return re.sub(r"(?<!\d)0+(?=\d)", "", text)


def is_number(level: str) -> bool:
    """Whether a level reads as a finite number."""
    return isfinite(as_float(level))


def by_number(level: str) -> tuple[float, str]:
    """Order levels by their numbers."""
    return float(level), level
