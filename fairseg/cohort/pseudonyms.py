"""Pseudonyms: codes in the place of the names of cases and subjects, for results that leave the house."""

import os
import re
import secrets
from base64 import b32encode
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pandas as pd

from fairseg.cohort.attributes import Attribute, attribute_names, read_subjects
from fairseg.cohort.columns import NOTE, SKIPPED
from fairseg.cohort.levels import is_missing
from fairseg.io.files import write_error
from fairseg.io.json_files import read_json
from fairseg.io.outputs import IMAGE_ENDINGS, NotWritableError

_KIND = "key of fairseg's pseudonyms"
_KEY = re.compile(r"[0-9a-f]{64}")
_WORD = re.compile(r"[\w.-]+")
_FOUR_DIGITS = 1000
# Folders in texts. `skipped` is fairseg's own text; a note may be anybody's, with words such as "left/right".
_PATH = r"[^\s'\"():]*/"
_IMAGE = rf"[^\s/]*(?:{'|'.join(map(re.escape, IMAGE_ENDINGS))})"
_FOLDERS = {
    SKIPPED: re.compile(_PATH),
    NOTE: re.compile(rf"(?<![^\s'\"():])(?:(?=[./]){_PATH}|{_PATH}(?={_IMAGE}))"),
}
_LETTERS = 12  # of a code, 60 bits: two of a million names share one with a chance below 1 in a million


@dataclass(frozen=True, repr=False)
class Pseudonyms:
    """The codes of names: the same for a name under one key, and not to be guessed without the key.

    A code is a keyed digest (BLAKE2b) of the name: only who has the key can find its name, by trying names.

    Attributes:
        key: 32 secret bytes.
        file: where the key is kept; None: nowhere, so no other run makes the same codes.
    """

    key: bytes
    file: Path | None = None

    @classmethod
    def of(cls, given: "bool | str | Path | Pseudonyms") -> "Pseudonyms | None":
        """Return pseudonyms as an option names them.

        Args:
            given: True: a new key that is kept nowhere; a path: the key in that file, which is made, readable
                by its owner only, if it is not there; False: None.

        Raises:
            ValueError: the file is there and holds no key, or cannot be read or made.

        >>> codes = Pseudonyms.of(True)
        >>> codes.code("p01") == codes.code("p01"), codes.code("p01") == Pseudonyms.of(True).code("p01")
        (True, False)
        """
        if isinstance(given, Pseudonyms):
            return given
        if isinstance(given, bool):
            return cls(secrets.token_bytes(32)) if given else None
        if not isinstance(given, str | Path) or not str(given):
            raise ValueError(f"pseudonyms must be True, False or the path of a key, got {given!r}")
        file = Path(given)
        if not os.path.lexists(file):
            _make(file)
        return cls(_read(file), file)

    def code(self, name: object) -> str:
        """Return the code of a name.

        >>> Pseudonyms(bytes(32)).code("p01")
        'id-os56omk22qqu'
        """
        digest = blake2b(str(name).encode("utf-8", "surrogatepass"), key=self.key, digest_size=10).digest()
        return f"id-{b32encode(digest).decode().lower()[:_LETTERS]}"

    def hide(self, table: pd.DataFrame, left_out: Sequence[str] = ()) -> pd.DataFrame:
        """Return a table of cases in which neither case nor subject is named.

        Case and subject become codes, also within the texts of `note` and `skipped`, where files lose their
        folders too.

        Args:
            table: a cohort or scores table, with the columns `case`, `subject` or both.
            left_out: columns to leave out, such as `naming_columns`.

        >>> cohort = pd.DataFrame({"case": ["p1_ED"], "subject": ["p1"], "file": ["p1_ED.mha"], "sex": ["F"]})
        >>> Pseudonyms(bytes(32)).hide(cohort, naming_columns(cohort))
                      case          subject sex
        0  id-5kq3ppj3smnm  id-ye74kiei7o2f   F
        """
        columns = _name_columns(table)
        hidden = table.drop(columns=list(left_out))
        for column in (NOTE, SKIPPED):
            if column in hidden:
                everybody = {str(value) for name in columns for value in table[name].dropna()}
                folders = _FOLDERS[column]
                texts = [
                    text
                    if is_missing(text)
                    else self.within(folders.sub("", str(text)), [*names, *named_in(str(text), everybody)])
                    for text, *names in zip(hidden[column], *(table[name] for name in columns), strict=True)
                ]
                hidden[column] = pd.Series(texts, index=hidden.index, dtype=object)
        for name in columns:
            codes = {value: self.code(value) for value in table[name].dropna().unique()}
            hidden[name] = table[name].map(codes).astype(object)
        return hidden

    def within(self, text: str, names: Iterable[object]) -> str:
        """Return a text with codes in the place of these names, where they stand as words of their own.

        >>> Pseudonyms(bytes(32)).within("no file /data/p01.mha", ["p01"])
        'no file /data/id-os56omk22qqu.mha'
        """
        return _words(names).sub(lambda match: self.code(match[0]), text)

    def check_outside(self, folder: Path) -> None:
        """Raise a ValueError if the key is in a folder of results, which will be given away.

        Raises:
            NotWritableError: it is.
        """
        if (
            self.file is not None
            and Path(os.path.realpath(folder)) in Path(os.path.realpath(self.file)).parents
        ):
            raise NotWritableError(f"the key of the pseudonyms, {self.file}, must not lie in {folder}")


def named_in(text: str, names: Collection[str]) -> list[str]:
    """Return which names a text mentions as words; names that are bare numbers are taken for numbers.

    >>> named_in("as 12 of p01_ED.mha", {"p01_ED", "12", "p02"})
    ['p01_ED']
    """
    words = {part for word in _WORD.findall(text) for part in (word, word.split(".")[0])}
    return sorted(word for word in words if word in names and not word.isdecimal())


def naming_columns(table: pd.DataFrame) -> list[str]:
    """Return the attributes whose values name cases or subjects.

    Those are texts of more than 6 levels with fewer than 2 subjects each, such as dates of birth; whole
    numbers of four digits or more that no two subjects share, such as hospital numbers; and any column that
    holds the row's own case or subject in every cell.
    """
    subjects = read_subjects(table, [-1] * len(table), 0)
    names = []
    for column in attribute_names(table):
        attribute, _ = subjects.attribute(table, column)
        if attribute.kind == "identifier" or _counts_people(attribute) or _holds_names(table, column):
            names.append(column)
    return names


def _counts_people(attribute: Attribute) -> bool:
    if attribute.numbers is None:
        return False
    numbers = attribute.numbers[attribute.known]
    whole = bool((numbers % 1 == 0).all() and numbers.max() >= _FOUR_DIGITS)
    return whole and len(set(numbers.tolist())) == numbers.size


def _holds_names(table: pd.DataFrame, column: str) -> bool:
    rows = table.loc[table[column].notna(), [column, *_name_columns(table)]].drop_duplicates()
    return len(rows) > 0 and all(
        _words(names).search(text) for text, *names in rows.astype(str).itertuples(index=False, name=None)
    )


def _name_columns(table: pd.DataFrame) -> list[str]:
    return [name for name in ("case", "subject") if name in table]


def _words(names: Iterable[object]) -> re.Pattern[str]:
    """Return a pattern that finds these names where they stand as words; an underscore ends a word."""
    # The longest first: the name of a case often begins with that of its subject.
    texts = sorted({str(name) for name in names if not is_missing(name)}, key=len, reverse=True)
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(map(re.escape, texts))})(?![^\W_])" if texts else r"(?!)")


def _read(file: Path) -> bytes:
    content: Any = read_json(file)
    key = content.get("key") if isinstance(content, dict) and content.get("kind") == _KIND else None
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise ValueError(
            f"{file} must be a key that fairseg has made, or not be there yet; it holds something else"
        )
    return bytes.fromhex(key)


def _make(file: Path) -> None:
    """Make a key, whole or not at all; the key of another process that was faster stays."""
    text = f'{{"kind": "{_KIND}", "key": "{secrets.token_hex(32)}"}}\n'
    scratch = file.with_name(f".{secrets.token_hex(8)}.part-{file.name}")
    try:
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, text.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        with suppress(FileExistsError):
            os.link(scratch, file)  # unlike a rename, it replaces nothing
    except OSError as error:
        raise write_error(file, error) from None
    finally:
        with suppress(OSError):
            scratch.unlink()
