"""Files are written whole or not at all."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fairseg.io.files import NotWrittenError, filled_folder, new_file, write_files
from fairseg.io.outputs import MANIFEST, NotWritableError, check_writable, reading, record, remove_own
from tests.full_disk import small_disk

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
    expected = NotWrittenError if isinstance(error, OSError) else error
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


# --- what is there already


def test_a_result_replaces_its_own_files_only(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.csv": "1", "b.csv": "2"}, "report")
    write_files(tmp_path, {"a.csv": "3"}, "report")
    assert contents(tmp_path)["a.csv"] == b"3"
    (tmp_path / "mine.csv").write_text("mine")
    for name, kind in (("mine.csv", "report"), ("b.csv", "comparison")):
        with pytest.raises(NotWritableError, match=re.escape(str(tmp_path / name))):
            write_files(tmp_path, {"c.csv": "4", name: "5"}, kind)
    (tmp_path / "b.csv").write_text("changed by hand")
    with pytest.raises(NotWritableError, match=r"b\.csv has changed"):
        write_files(tmp_path, {"b.csv": "6"}, "report")
    assert "c.csv" not in contents(tmp_path)
    with reading(overwrite=True):
        write_files(tmp_path, {"b.csv": "6", "mine.csv": "7"}, "report")
    assert contents(tmp_path)["b.csv"] == b"6"


def test_what_is_read_is_never_replaced(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.csv": "1", "x.png": b"2"}, "report")
    (tmp_path / "same.csv").hardlink_to(tmp_path / "a.csv")
    (tmp_path / "imagesTr").mkdir()
    with reading(tmp_path / "same.csv", tmp_path, None, overwrite=True):
        for name in ("a.csv", "x.png", "new.nii.gz", "imagesTr/CASE.NRRD"):
            with pytest.raises(NotWritableError, match="is read"):
                check_writable(tmp_path, [name], "report")
        check_writable(tmp_path, ["b.csv"], "report")
        check_writable(tmp_path / "run", ["curves.png"], "report")
    check_writable(tmp_path, ["a.csv", "x.png"], "report")


def test_a_damaged_manifest_costs_the_right_to_replace_and_nothing_else(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.csv": "1", "b.csv": "2"}, "report")
    manifest = tmp_path / MANIFEST
    lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join(["[" * 100_000, '"x"', "{}", lines[0], lines[1][:-9]]))
    check_writable(tmp_path, ["a.csv"], "report")
    with pytest.raises(NotWritableError, match=r"b\.csv"):
        check_writable(tmp_path, ["b.csv"], "report")


def test_a_killed_replacement_leaves_a_file_that_is_still_fairsegs(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.csv": "old"}, "report")
    record(tmp_path, "report", {"a.csv": "the digest of what never came"})
    write_files(tmp_path, {"a.csv": "new"}, "report")
    assert contents(tmp_path)["a.csv"] == b"new"


def test_only_own_files_are_removed(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.svg": "1", "b.svg": "2"}, "report")
    (tmp_path / "b.svg").write_text("changed")
    (tmp_path / "c.svg").write_text("mine")
    remove_own(tmp_path, ["a.svg", "b.svg", "c.svg", "d.svg"], "report")
    assert {"b.svg", "c.svg"} <= contents(tmp_path).keys()
    assert "a.svg" not in contents(tmp_path)


# --- files that libraries write, and folders


def test_a_new_file_takes_its_place_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    with new_file(target, "masks") as temporary:
        temporary.write_bytes(b"1")
        assert not target.exists()
    with pytest.raises(KeyError), new_file(target, "masks") as temporary:  # noqa: PT012  (within it is tested)
        temporary.write_bytes(b"half")
        raise KeyError
    assert target.read_bytes() == b"1"
    assert {path.name for path in tmp_path.iterdir()} == {"a.bin", MANIFEST}


@pytest.mark.parametrize("there", [False, True])
def test_a_filled_folder_appears_whole_or_not_at_all(tmp_path: Path, there: bool) -> None:
    folder = tmp_path / "x" / "data"
    if there:
        folder.mkdir(parents=True)
        (folder / "mine.txt").write_text("mine")
    before = set(tmp_path.rglob("*"))
    with pytest.raises(KeyError), filled_folder(folder, "phantom") as scratch:  # noqa: PT012
        (scratch / "sub").mkdir()
        (scratch / "sub" / "a").write_text("1")
        raise KeyError
    assert set(tmp_path.rglob("*")) == before
    for content in ("1", "2"):
        with filled_folder(folder, "phantom") as scratch:
            (scratch / "sub").mkdir()
            (scratch / "sub" / "a").write_text(content)
            (scratch / "b").write_text(content)
        assert (folder / "sub" / "a").read_text() == content == (folder / "b").read_text()
    (folder / "sub" / "a").write_text("mine")
    changed = pytest.raises(NotWritableError, match="has changed")
    with changed, filled_folder(folder, "phantom") as scratch:
        (scratch / "sub").mkdir()
        (scratch / "sub" / "a").write_text("3")
    assert not list(tmp_path.rglob("*.part-*"))
    assert not there or (folder / "mine.txt").read_text() == "mine"


# --- a full disk


@pytest.mark.parametrize("room", range(0, 60, 8))
def test_a_disk_that_is_full_at_any_byte_leaves_the_old_files(tmp_path: Path, room: int) -> None:
    with small_disk(tmp_path / "disk", 128) as disk:
        out = disk / "out"
        write_files(out, {"a.csv": "old a", "b.csv": "old b"}, "report")
        before = contents(out)
        (disk / "filler").write_bytes(bytes(max(0, 1024 * (100 - room))))
        files = {"a.csv": "a" * 30_000, "b.csv": "b" * 30_000}
        try:
            write_files(out, files, "report")
        except NotWrittenError as error:
            assert str(out) in str(error)  # noqa: PT017  (whether it fits is the disk's choice)
            after = contents(out)
            assert {name: after[name] for name in files} == {name: before[name] for name in files}
        else:
            assert room > 30
        assert not list(disk.rglob("*.part-*"))


KILLED = """
import os, signal, sys
from pathlib import Path
from fairseg.io.files import write_files

folder, at = Path(sys.argv[1]), int(sys.argv[2])
steps = 0

def counting(step):
    def counted(*given, **named):
        global steps
        steps += 1
        if steps == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(*given, **named)
    return counted

for name in ("replace", "unlink", "write_bytes", "write_text"):
    setattr(Path, name, counting(getattr(Path, name)))
write_files(folder, {"page.html": "new page", "a.csv": "new a", "b.csv": "new b"}, "report", stale=["c.csv"])
print(steps)
"""


def test_a_kill_at_any_step_leaves_no_page_beside_tables_of_another_call(tmp_path: Path) -> None:
    def run(folder: Path, at: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", KILLED, str(folder), str(at)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def state(folder: Path) -> dict[str, str]:
        return {path.name: path.read_text() for path in folder.iterdir() if not path.name.startswith(".")}

    old, new = ({name: f"{age} {name[0]}" for name in ("a.csv", "b.csv")} for age in ("old", "new"))
    old |= {"page.html": "old page", "c.csv": "old c"}
    new["page.html"] = "new page"
    write_files(tmp_path / "whole", old, "report")
    whole = run(tmp_path / "whole", 0)
    steps = int(whole.stdout)
    seen = set()
    for at in range(1, steps + 1):
        folder = tmp_path / str(at)
        write_files(folder, old, "report")
        assert run(folder, at).returncode == -signal.SIGKILL
        left = state(folder)
        # A page that is there is beside the tables of its own call, whole.
        assert left in (old, new) or "page.html" not in left
        seen.add("old" if left == old else "new" if left == new else "neither")
        write_files(folder, {"other.csv": "x", "another.csv": "y"}, "report")
        after = state(folder)
        assert {name: text for name, text in after.items() if "other" not in name} in (old, new)
        if left != old:
            assert after["page.html"] == "new page"
            assert not list(folder.glob(".*.pending.json"))
    assert seen == {"old", "new", "neither"}


def test_a_journal_of_somebody_else_moves_nothing_out_of_its_folder(out: Path) -> None:
    part = ".0123456789abcdef.part-"
    (out / f"{part}mine.txt").write_text("theirs")
    (out.parent / "outside").write_text("outside")
    moves: list[list[list[str]] | object] = [
        [["../outside", "b.csv"]],
        [[f"{part}mine.txt", "../mine.txt"]],
        [["b.csv", "a.csv"]],
        "no list",
        [["one"]],
    ]
    for number, one in enumerate(moves):
        (out / f".{number:016x}.pending.json").write_text(
            json.dumps({"kind": "report", "moves": one, "stale": ["../outside"]})
        )
    before = contents(out)
    write_files(out, {"c.csv": "1", "d.csv": "2"}, "report")
    after = contents(out)
    assert {name: after[name] for name in before} == before
    # One that is well-formed still replaces nothing that fairseg has not written.
    text = json.dumps({"kind": "report", "moves": [[f"{part}mine.txt", "mine.txt"]], "stale": []})
    (out / ".00000000000000ff.pending.json").write_text(text)
    with pytest.raises(NotWritableError, match="not from an earlier call"):
        write_files(out, {"c.csv": "1", "d.csv": "3"}, "report")
    assert (out / "mine.txt").read_bytes() == b"mine"
