"""Names of cases in a table and names of files, which people spell differently."""

import logging
import re
import shlex
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fairseg.cohort.levels import level_text
from fairseg.io.outputs import extension_of
from fairseg.io.sentences import NamingNote, counted, listed

logger = logging.getLogger(__name__)

_BIDS = "sub-"
_CHANNEL = "_0000"  # how nnU-Net names the image of a case
_SIDES = ("prediction", "reference")


@dataclass(frozen=True)
class MatchedCases:
    """Which cases of a cohort have their files, in the order of the cohort; other files by name.

    Attributes:
        complete: a row and both files.
        unknown: both files, and no row.
        incomplete: case -> "prediction" or "reference", the file that a row lacks.
        neither: a row and no file.
        only: "prediction" or "reference" -> cases with that file alone, and no row.
    """

    complete: list[str]
    unknown: list[str]
    incomplete: dict[str, str]
    neither: list[str]
    only: dict[str, list[str]]


def match_cases(cases: Iterable[str], predicted: Collection[str], true: Collection[str]) -> MatchedCases:
    """Match the cases of a cohort with the files of both folders.

    >>> match_cases(["a", "b", "c"], ["a", "b", "x"], ["a", "y"]).incomplete
    {'b': 'reference'}
    """
    rows = list(cases)
    files = dict(zip(_SIDES, (set(predicted), set(true)), strict=True))
    both, in_table = files["prediction"] & files["reference"], set(rows)
    either = files["prediction"] | files["reference"]
    one_side = either - both
    return MatchedCases(
        [case for case in rows if case in both],
        sorted(both - in_table),
        {case: next(side for side in _SIDES if case not in files[side]) for case in rows if case in one_side},
        [case for case in rows if case not in either],
        {side: sorted(files[side] - both - in_table) for side in _SIDES},
    )


def files_as_cases(
    predicted: Mapping[str, Path], true: Mapping[str, Path], cases: Iterable[str]
) -> tuple[dict[str, Path], dict[str, Path], list[str]]:
    """Return the files by case where all names of a folder are a case and the same ending, and notes.

    Such names are `p01_pred` of predictions, `p01_gt` or `p01_0000` of references, and Slicer's `p01.seg`.
    The names stay as they are where a case has a file of its very name, where some file ends otherwise, and
    in BIDS.

    Args:
        predicted: name -> file, of predictions.
        true: of references.
        cases: of the cohort.

    >>> predicted, true = {"a_pred": Path(), "b_pred": Path()}, {"a": Path(), "b": Path()}
    >>> files_as_cases(predicted, true, ["a", "b", "c"])[2]
    ['predictions are named CASE_pred']
    >>> files_as_cases({"a_ED": Path(), "a_ES": Path()}, true, ["a"])[2]
    []
    """
    cases = list(map(str, cases))
    if all(any(case in files for case in cases) for files in (predicted, true)):
        return dict(predicted), dict(true), []
    known = {spelling for case in cases for spelling in (case, *_spellings(case))}
    endings = [_ending(files, known) for files in (predicted, true)]
    if endings[0] == endings[1] and next(iter(true), "").startswith(_BIDS):
        endings = ["", ""]  # a row stands for all files of a person
    named = [
        {name.removesuffix(end): path for name, path in files.items()}
        for files, end in zip((predicted, true), endings, strict=True)
    ]
    notes = [f"{side}s are named CASE{end}" for side, end in zip(_SIDES, endings, strict=True) if end]
    return named[0], named[1], notes


def _ending(files: Collection[str], known: Collection[str]) -> str:
    """Return the ending that all names of files have after the name of a case; "" if there is none."""
    first = "" if any(case in files for case in known) else next(iter(files), "")
    for size in range(len(first) - 1, 0, -1):
        end = first[size:]
        if first[:size] in known and not end[0].isalnum() and all(name.endswith(end) for name in files):
            return end if 2 * sum(name.removesuffix(end) in known for name in files) > len(files) else ""
    return ""


def cases_as_files(table: pd.DataFrame, files: Collection[str]) -> tuple[pd.DataFrame, list[str]]:
    """Return the cohort with its cases named as the files are, and notes on what was renamed.

    If a case has no file, other spellings are tried: without the extension of a file, without nnU-Net's
    number of a channel, as a whole number (`1` for `1.0`, and the reverse; `1` for the only file of this
    number, `00001`), without the folders of a path, and with and without `sub-`. A row for a person of BIDS
    (`sub-01`) stands for all files `sub-01_...`.

    Args:
        table: indexed by case.
        files: names of cases that have files.
    """
    names, renamed = [], []
    numbered = _by_number(files)
    for case in map(str, table.index):
        spellings = () if case in files else (*_spellings(case), *numbered.get(case.lstrip("0"), ()))
        name = next((one for one in spellings if one in files), case)
        if name in table.index:
            name = case
        if name != case:
            renamed.append(f"{case} ({name})")
        names.append(name)
    # Two rows that would get the same name keep their own: nobody can tell which is meant.
    uses = Counter(names)
    unique = [case if uses[name] > 1 else name for case, name in zip(table.index, names, strict=True)]
    table = table.set_axis(pd.Index(unique, name="case"))
    notes: list[str] = []
    if renamed:
        notes.append(NamingNote(f"{counted(len(renamed), 'case')} found by another spelling", renamed))
    return _expand_persons(table, files, notes)


def cohort_as_files(cohort: pd.DataFrame, files: Collection[str]) -> pd.DataFrame:
    """Return a cohort, as from `read_cohort`, with its cases named as the files are; log what was renamed.

    >>> cohort = pd.DataFrame({"case": ["a.png", "b.png"], "subject": ["A", "B"]})
    >>> cohort_as_files(cohort, ["a", "b"])["case"].tolist()
    ['a', 'b']
    """
    table, notes = cases_as_files(cohort.set_index("case"), files)
    for note in notes:
        logger.warning("%s", note)
    return table.reset_index()


def hint_of_capitals(cases: Iterable[str], files: Collection[str]) -> str:
    """Return a hint at cases whose files differ in capitals only; "" if there are none."""
    by_letters = {name.lower(): name for name in files}
    pairs = [
        f"{case} and {by_letters[str(case).lower()]}" for case in cases if str(case).lower() in by_letters
    ]
    return f"; capitals differ: {listed(pairs)}" if pairs else ""


def hint_of_column(cohort: pd.DataFrame, files: Collection[str], remedy: str = "") -> str:
    """Return a hint at a column of a cohort that names the files, where `case` does not; "" if none does.

    `remedy` is what to do about it, by default the option of the commands.

    >>> table = pd.DataFrame({"case": ["1", "2"], "Image Index": ["a.png", "b.png"]})
    >>> hint_of_column(table, ["a", "b", "c"])
    "; the column 'Image Index' names files: --case-column 'Image Index'"
    """
    for name in cohort.columns.drop("case"):
        cells = [cell for cell in cohort[name].unique() if isinstance(cell, str)]
        if sum(any(spelling in files for spelling in _spellings(cell)) for cell in cells) > len(cells) / 2:
            remedy = remedy or f"--case-column {shlex.quote(str(name))}"
            return f"; the column {str(name)!r} names files: {remedy}"
    return ""


def hint_of_no_match(cohort: pd.DataFrame, files: Collection[str]) -> str:
    """Return what an error says of a cohort and files that have no case in common."""
    cases = cohort["case"].tolist()
    return (
        f"the table has {listed(cases, 3)}, the files are {listed(sorted(files), 3)}"
        f"{hint_of_capitals(cases, files)}{hint_of_column(cohort, files)}"
    )


def _by_number(files: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return the number without leading zeros -> its file, where only one file has this number."""
    of_number: dict[str, list[str]] = {}
    for name in files:
        if name.isdecimal():
            of_number.setdefault(name.lstrip("0"), []).append(name)
    return {number: tuple(names) for number, names in of_number.items() if len(names) == 1}


def _spellings(case: str) -> Iterable[str]:
    case = re.split(r"[/\\]", case)[-1]  # of a path, also of Windows
    yield case
    end = extension_of(case)
    bare = case if end is None else case[: -len(end)]
    yield bare
    yield bare.removesuffix(_CHANNEL)
    yield level_text(case)
    yield f"{case}.0"
    yield f"{_BIDS}{bare}"
    if bare.startswith(_BIDS):
        yield bare.removeprefix(_BIDS)


def _expand_persons(
    table: pd.DataFrame, files: Collection[str], notes: list[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Return the table with a row for each file of a person of BIDS."""
    of_person: dict[str, list[str]] = {}
    for name in sorted(files):
        person, more, _ = name.partition("_")
        if more and person.startswith(_BIDS) and name not in table.index:
            of_person.setdefault(person, []).append(name)
    key = {case: case if case.startswith(_BIDS) else f"{_BIDS}{case}" for case in map(str, table.index)}
    persons = {case: of_person[key[case]] for case in key if case not in files and key[case] in of_person}
    if not persons:
        return table, notes
    chosen = [case for case in table.index for _ in persons.get(case, [case])]
    names = [name for case in table.index for name in persons.get(case, [case])]
    expanded = table.loc[chosen].set_axis(pd.Index(names, name="case"))
    count = sum(map(len, persons.values()))
    return expanded, [
        *notes,
        f"{counted(len(persons), 'row')} of the table named persons: their {counted(count, 'file')} "
        f"({_BIDS}..._...) are the cases",
    ]
