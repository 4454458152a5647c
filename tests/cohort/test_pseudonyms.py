"""Codes for names: stable under a key, not to be guessed without, and nothing else of a table changed."""

import hashlib
import json
import os
import stat
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairseg.cohort import Pseudonyms
from fairseg.cohort.pseudonyms import named_in, naming_columns
from fairseg.io.outputs import NotWritableError


def test_a_key_is_made_once_readable_by_its_owner_and_gives_the_same_codes(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    first = Pseudonyms.of(file)
    content = file.read_bytes()
    again = Pseudonyms.of(str(file))
    assert first is not None
    assert again is not None
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_bytes() == content
    assert list(tmp_path.iterdir()) == [file]
    assert first.code("p01") == again.code("p01") != first.code("p02")


def test_codes_are_keyed_not_a_digest_that_anybody_can_make() -> None:
    names = [f"p{number:02d}" for number in range(20)]
    codes = [{name: Pseudonyms(key).code(name) for name in names} for key in (b"a" * 32, b"b" * 32)]
    assert not set(codes[0].values()) & set(codes[1].values())
    for name in names:
        for digest in (hashlib.blake2b, hashlib.sha256, hashlib.md5):
            assert digest(name.encode()).hexdigest()[:6] not in codes[0][name]


@pytest.mark.parametrize(
    "content",
    [b"", b"case,subject\na,b\n", b"{}", b'{"key": "00"}', b'["key"]', b"[" * 100_000, b"\xff\xfe"],
    ids=["empty", "table", "no key", "short", "list", "nested", "no text"],
)
def test_a_file_that_holds_something_else_is_no_key_and_stays(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "scores.csv"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"scores\.csv must be"):
        Pseudonyms.of(file)
    assert file.read_bytes() == content


def test_a_key_made_by_another_process_meanwhile_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key.json"
    expected = Pseudonyms.of(tmp_path / "theirs.json")
    link = os.link

    def late(source: Path, target: Path) -> None:
        file.write_bytes((tmp_path / "theirs.json").read_bytes())
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    actual = Pseudonyms.of(file)
    assert actual is not None
    assert expected is not None
    assert actual.key == expected.key
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key.json", "theirs.json"]


def test_a_key_among_the_results_is_refused_under_any_name_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "out")
    (tmp_path / "out").mkdir()
    for file in ("out/key.json", "out/sub/key.json", "link/key.json", "out/../out/key.json"):
        with pytest.raises(NotWritableError, match="must not lie in"):
            Pseudonyms(bytes(32), tmp_path / file).check_outside(tmp_path / "out")
    Pseudonyms(bytes(32), tmp_path / "key.json").check_outside(tmp_path / "out")


def test_columns_that_name_people_and_those_that_do_not() -> None:
    number = np.arange(40)
    table = pd.DataFrame(
        {
            "case": [f"p{one}_ED" for one in number],
            "subject": [f"p{one}" for one in number],
            "born": [f"19{one + 40}-02-03" for one in number],
            "mrn": 70_000 + number,
            "file": [f"masks/p{one}_ED.nii.gz" for one in number],
            "again": [f"p{one}" for one in number],
            "age": 30 + number,
            "kg": 1000.5 + number,
            "year": 1950 + number % 20,
            "site": [f"site {one % 10}" for one in number],
        }
    )
    assert naming_columns(table) == ["born", "mrn", "file", "again"]
    # A number that happens to be the number of a subject is no name.
    ages = pd.DataFrame({"case": list("123"), "subject": list("123"), "age": ["3", "2", "1"]})
    assert naming_columns(ages) == []


def test_notes_and_reasons_lose_names_as_words_and_nothing_else() -> None:
    table = pd.DataFrame(
        {
            "case": ["p1_ED", "p1_ES", "7"],
            "subject": ["p1", "p1", "7"],
            "note": ["data/p1_ED.mha: 7 voxels; left/right as p1, not p11, see /x/p1_ES.mha", None, "7"],
            "skipped": [None, "cannot read /data/p1/p1_ES.nii.gz", None],
        }
    )
    codes = Pseudonyms(bytes(32))
    hidden = codes.hide(table)
    ed, es, p1, seven = (codes.code(name) for name in ("p1_ED", "p1_ES", "p1", "7"))
    texts = [f"{ed}.mha: 7 voxels; left/right as {p1}, not p11, see {es}.mha", "", seven]
    assert hidden["note"].fillna("").tolist() == texts
    assert hidden["skipped"].fillna("").tolist() == ["", f"cannot read {es}.nii.gz", ""]
    assert table.loc[0, "case"] == "p1_ED"  # the caller's table stays
    assert named_in("see p1.", {"p1"}) == ["p1"]


def test_a_key_is_checked_when_read(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    Pseudonyms.of(file)
    about = json.loads(file.read_text())
    file.write_text(json.dumps(about | {"key": about["key"].upper() + "x"}))
    with pytest.raises(ValueError, match="must be a key"):
        Pseudonyms.of(file)
