"""Write files whole or not at all: under another name in the same folder, synced, checked, then renamed."""

import errno
import json
import os
import re
import secrets
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from pathlib import Path
from shutil import rmtree

from fairseg.io.json_files import parse_json
from fairseg.io.outputs import MANIFEST, NotWritableError, check_writable, digest_of, record, remove_own

# Errors that the caller of a command can mend; all others, such as a full disk, are the machine's.
_CALLERS = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR),
    *(errno.ENOENT, errno.ELOOP, errno.EINVAL, errno.EILSEQ),
}

_PAGE = ".html"
_JOURNAL = ".pending.json"
_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.part-([^/\0]+)")

_written: ContextVar[list[Path] | None] = ContextVar("written", default=None)


class NotWrittenError(RuntimeError):
    """A file could not be written, as on a full disk; an earlier file is still there."""


@contextmanager
def recording() -> Iterator[list[Path]]:
    """Yield a list of the files that the block writes whole, in this order."""
    written: list[Path] = []
    before = _written.set(written)
    try:
        yield written
    finally:
        _written.reset(before)


def _record(file: Path) -> None:
    written = _written.get()
    if written is not None and file not in written:
        written.append(file)


def write_files(
    folder: Path, files: Mapping[str, str | bytes], kind: str | None = None, stale: Iterable[str] = ()
) -> None:
    """Write files into a folder, made if needed, and replace those of an earlier call.

    All are first written under other names; if that fails, none is there. Then they are renamed one after the
    other, which a kill can interrupt: an old page (.html) is removed first and a new one comes last, so that
    no page is beside the tables of another call, and the next call renames the rest. Ctrl-C waits until all
    are in place.

    Args:
        folder: made if needed.
        files: name -> content.
        kind: of the result, for the manifest: see `check_writable`. None in a folder that holds fairseg's own
            state only.
        stale: files of an earlier call of this kind to delete, unless they were changed.

    Raises:
        NotWritableError: the folder cannot be written, or a file must not be replaced; the message says why.
        NotWrittenError: writing failed, as on a full disk.
    """
    check_writable(folder, files, kind)
    _finish_interrupted(folder)
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    waiting: list[tuple[Path, Path]] = []
    path = folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        digests: dict[str, str | None] = {}
        for name, content in files.items():
            path = folder / name
            data = content if isinstance(content, bytes) else content.encode("utf-8")
            waiting.append((_temporary_name(path), path))
            waiting[-1][0].write_bytes(data)
            _sync(waiting[-1][0], len(data))
            digests[name] = digest_of(data)
        path = folder
        if kind is not None:
            record(folder, kind, digests)
        with _interrupts_wait():
            moves = sorted(waiting, key=lambda move: move[1].suffix == _PAGE)
            outdated = [name for name in stale if name not in files]
            journal = _journal(folder, kind, moves, outdated) if len(moves) + len(outdated) > 1 else None
            waiting, new = [], []
            path = folder
            _rename_all(folder, kind, moves, outdated, journal)
    except OSError as error:
        raise write_error(path, error) from None
    finally:
        for temporary, _ in waiting:
            with suppress(OSError):
                temporary.unlink()
        for created in new:
            with suppress(OSError):
                created.rmdir()


def _journal(
    folder: Path, kind: str | None, moves: Sequence[tuple[Path, Path]], stale: Sequence[str]
) -> Path:
    """Write into the folder which files to rename and to delete, for the call that goes on after a kill."""
    journal = folder / f".{secrets.token_hex(8)}{_JOURNAL}"
    temporary = _temporary_name(journal)
    names = [[temporary.name, path.name] for temporary, path in moves]
    try:
        temporary.write_text(json.dumps({"kind": kind, "moves": names, "stale": stale}), encoding="utf-8")
        _sync(temporary)
        temporary.replace(journal)
        _sync_folder(folder)
    finally:
        temporary.unlink(missing_ok=True)
    return journal


def _rename_all(
    folder: Path,
    kind: str | None,
    moves: Sequence[tuple[Path, Path]],
    stale: Sequence[str],
    journal: Path | None,
) -> None:
    """Rename files into place, tables before pages; a page of an earlier call is deleted first."""
    if journal is not None:
        for temporary, path in moves:
            if path.suffix == _PAGE and temporary.exists():
                path.unlink(missing_ok=True)
    if kind is not None:
        remove_own(folder, stale, kind)
    for temporary, path in moves:
        with suppress(FileNotFoundError) if journal is not None else nullcontext():
            temporary.replace(path)  # unless another process did it
        _record(path)
    _sync_folder(folder)
    if journal is not None:
        journal.unlink(missing_ok=True)


def _finish_interrupted(folder: Path) -> None:
    """Rename the files that a killed call had written, but not yet renamed.

    Raises:
        NotWritableError: one of the files is now somebody else's.
    """
    for journal in sorted(folder.glob(f".*{_JOURNAL}")) if folder.is_dir() else ():
        try:
            content = parse_json(journal.read_bytes(), str(journal))
            kind = content["kind"]
            names = [(str(temporary), str(name)) for temporary, name in content["moves"]]
            stale = [str(name) for name in content["stale"]]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # another process was faster, or it is none of ours
        # Whoever made the journal, it moves nothing but files that `_temporary_name` names, in the folder.
        matches = [(_TEMPORARY.fullmatch(temporary), name) for temporary, name in names]
        is_ours = all(match and match[1] == name for match, name in matches)
        if not is_ours or any("/" in name for name in stale):
            continue
        moves = [(folder / temporary, folder / name) for temporary, name in names]
        moves = [move for move in moves if move[0].is_file() and not move[0].is_symlink()]
        kind = kind if isinstance(kind, str) else None
        check_writable(folder, [path.name for _, path in moves], kind)
        _rename_all(folder, kind, moves, stale, journal)


@contextmanager
def new_file(path: Path, kind: str | None = None) -> Iterator[Path]:
    """Yield a name beside `path` for a library to write to; at the end that file replaces `path`.

    Check the file inside the block if the library does not: an error leaves what was there.

    Args:
        path: in a folder that is there.
        kind: as in `write_files`.

    Raises:
        NotWritableError, NotWrittenError: as in `write_files`.
    """
    check_writable(path.parent, [path.name], kind)
    temporary = _temporary_name(path)
    try:
        yield temporary
        _sync(temporary)
        if kind is not None:
            record(path.parent, kind, {path.name: digest_of(temporary)})
        temporary.replace(path)
        _record(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise write_error(path, error) from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def filled_folder(folder: Path, kind: str) -> Iterator[Path]:
    """Yield an empty folder to fill; at the end it becomes `folder`, and nothing of it if that fails.

    A new folder appears whole, in one step. Into an existing one the files move one by one, and replace those
    of an earlier call.

    Raises:
        NotWritableError, NotWrittenError: as in `write_files`.
    """
    check_writable(folder)
    target = Path(os.path.realpath(folder))
    is_new = not target.exists()
    created = [path for path in target.parents if not path.exists()] if is_new else []
    scratch = _temporary_name(target if is_new else target / "content")
    try:
        scratch.mkdir(parents=True)
        yield scratch
        # The deepest first: dataset.json makes a dataset of folders that are full.
        names = [path.relative_to(scratch) for path in scratch.rglob("*") if path.is_file()]
        names.sort(key=lambda name: (-len(name.parts), name))
        for name in names:
            _sync(scratch / name)
        if not is_new:
            check_writable(target, map(str, names), kind)
        with _interrupts_wait():
            digests = {str(name): digest_of(scratch / name) for name in names}
            record(scratch if is_new else target, kind, digests)
            if is_new:
                scratch.replace(target)
            else:
                for name in names:
                    (target / name).parent.mkdir(parents=True, exist_ok=True)
                    (scratch / name).replace(target / name)
            _sync_folder(target.parent)
            for name in names:
                _record(folder / name)
            created = []
    except OSError as error:
        path_text = str(error.filename or folder).replace(str(scratch), str(folder))
        raise write_error(Path(path_text), error) from None
    except NotWrittenError as error:
        raise NotWrittenError(str(error).replace(str(scratch), str(folder))) from None
    finally:
        rmtree(scratch, ignore_errors=True)
        for path in created:
            with suppress(OSError):
                path.rmdir()


def settle_manifest(folder: Path) -> None:
    """Sort the lines of a folder's manifest, which several processes wrote in any order."""
    with suppress(OSError, NotWritableError, NotWrittenError):  # an unsorted one is as good
        lines = (folder / MANIFEST).read_text(encoding="utf-8").splitlines(keepends=True)
        write_files(folder, {MANIFEST: "".join(sorted(set(lines)))})


def write_error(path: Path, error: OSError) -> NotWritableError | NotWrittenError:
    """Return the error of a file that could not be written: the caller's fault, or the machine's."""
    if error.errno in _CALLERS:
        return NotWritableError(f"{path} cannot be written: {error.strerror}")
    return NotWrittenError(f"{path} could not be written: {error.strerror or error}")


def _temporary_name(path: Path) -> Path:
    """Return a name in the folder of a file that no other process or machine uses."""
    return path.with_name(f".{secrets.token_hex(8)}.part-{path.name}")


def _sync(file: Path, size: int | None = None) -> None:
    """Make the disk keep a file, and check that all of it was written."""
    with file.open("rb+") as stream:
        os.fsync(stream.fileno())
        actual = os.fstat(stream.fileno()).st_size
    if size is not None and actual != size:
        raise OSError(errno.EIO, f"it has {actual} bytes of {size}")


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # not every file system syncs folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Delay Ctrl-C and SIGTERM until the block ends; only the main thread can handle signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    delayed = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.signal(number, lambda number, _: received.append(number)) for number in delayed]
    try:
        yield
    finally:
        for number, handler in zip(delayed, handlers, strict=True):
            signal.signal(number, handler)
    for signal_number in received:
        signal.raise_signal(signal_number)
