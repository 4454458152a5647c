"""Files are written whole or not at all."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

from fairseg.io.files import check_writable, write_files

TOO_LONG = "x" * 300  # no file system takes a name of 300 characters: a real failure, in the middle


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "a.csv").write_bytes(b"old a")
    (folder / "b.csv").write_bytes(b"old b")
    (folder / "mine.txt").write_bytes(b"mine")
    return folder


def test_files_are_written_in_utf_8_and_replace_those_of_their_names_only(out: Path) -> None:
    write_files(out, {"a.csv": "ä\r\n", "plot.svg": b"\x00\xff"})
    assert contents(out) == {
        "a.csv": "ä\r\n".encode(),
        "plot.svg": b"\x00\xff",
        "b.csv": b"old b",
        "mine.txt": b"mine",
    }


def test_a_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    write_files(tmp_path / "x" / "y", {"a": "1"})
    assert contents(tmp_path / "x" / "y") == {"a": b"1"}


def test_a_write_that_fails_in_the_middle_leaves_all_as_it_was(out: Path) -> None:
    before = contents(out)
    with pytest.raises(ValueError, match=re.escape(str(out))):
        write_files(out, {"a.csv": "new a", "new.csv": "new", TOO_LONG: "x", "b.csv": "new b"})
    assert contents(out) == before


def test_a_write_that_fails_leaves_no_file_in_a_new_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        write_files(tmp_path / "new", {"a.csv": "new a", TOO_LONG: "x"})
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device"), MemoryError])
def test_an_interrupted_write_leaves_all_as_it_was(
    out: Path, error: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(out)
    write = Path.write_bytes

    def half(path: Path, data: bytes) -> int:
        if b"new b" not in data:
            return write(path, data)
        write(path, data[:2])  # as a full disk leaves it
        raise error

    monkeypatch.setattr(Path, "write_bytes", half)
    expected = ValueError if isinstance(error, OSError) else error
    with pytest.raises(expected, match="No space left" if isinstance(error, OSError) else None):
        write_files(out, {"a.csv": "new a", "b.csv": "new b", "c.csv": "new c"})
    assert contents(out) == before


def test_a_folder_in_the_place_of_a_file_leaves_all_as_it_was(out: Path) -> None:
    (out / "report.html").mkdir()
    before = contents(out)
    with pytest.raises(ValueError, match=re.escape(str(out))):
        write_files(out, {"a.csv": "new a", "report.html": "new", "b.csv": "new b"})
    assert contents(out) == before


def test_a_path_below_a_file_cannot_be_written_and_the_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file.txt"
    file.write_text("mine")
    for folder in (file, file / "out", file / "x" / "y"):
        with pytest.raises(ValueError, match=re.escape(f"{file} is no folder")):
            check_writable(folder)
        with pytest.raises(ValueError, match=re.escape(str(folder))):
            write_files(folder, {"a": "1"})
    assert file.read_text() == "mine"


def test_checking_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path / "x" / "y", Path("z"), Path()):
        check_writable(folder)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ValueError, match=re.escape(f"no permission in {tmp_path}")):
        check_writable(tmp_path / "out")
    tmp_path.chmod(0o700)
