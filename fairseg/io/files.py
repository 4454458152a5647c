"""Write files whole or not at all: beside the target under another name, checked, synced, then renamed."""

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

# What the caller of a command can mend; all else, such as a full disk, is the machine's.
_CALLERS = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR),
    *(errno.ENOENT, errno.ELOOP, errno.EINVAL, errno.EILSEQ),
}

_PAGE = ".html"
_JOURNAL = ".pending.json"
_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.part-([^/\0]+)")

_put_in_place: ContextVar[list[Path] | None] = ContextVar("put in place", default=None)


class NotWrittenError(RuntimeError):
    """A file could not be written, as on a full disk; what was there before still is."""


@contextmanager
def recording() -> Iterator[list[Path]]:
    """Give a list that fills with the files that are written whole meanwhile, in this order."""
    written: list[Path] = []
    before = _put_in_place.set(written)
    try:
        yield written
    finally:
        _put_in_place.reset(before)


def _record(file: Path) -> None:
    written = _put_in_place.get()
    if written is not None and file not in written:
        written.append(file)


def write_files(
    folder: Path, files: Mapping[str, str | bytes], kind: str | None = None, stale: Iterable[str] = ()
) -> None:
    """Write files into a folder, made if needed, and replace those of an earlier call.

    All are first written under other names; if anything fails before that, none is there. Then they are put
    in place one after the other, which a kill can interrupt: a page (.html) is taken away first and put in
    place last, so that none stands beside tables of another call, and the next call puts in place what is
    left. Ctrl-C waits until all are in place.

    Args:
        folder: made if needed.
        files: name -> content.
        kind: of the result, for the manifest: see `check_writable`. None in a folder that holds fairseg's own
            state only.
        stale: files of an earlier call of this kind that this one has not: they go, unless they were changed.

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
            waiting.append((_beside(path), path))
            waiting[-1][0].write_bytes(data)
            _sync(waiting[-1][0], len(data))
            digests[name] = digest_of(data)
        path = folder
        if kind is not None:
            record(folder, kind, digests)
        with _interrupts_wait():
            moves = sorted(waiting, key=lambda move: move[1].suffix == _PAGE)
            gone = [name for name in stale if name not in files]
            journal = _journal(folder, kind, moves, gone) if len(moves) + len(gone) > 1 else None
            waiting, new = [], []
            path = folder
            _put(folder, kind, moves, gone, journal)
    except OSError as error:
        raise write_error(path, error) from None
    finally:
        for temporary, _ in waiting:
            with suppress(OSError):
                temporary.unlink()
        for made in new:
            with suppress(OSError):
                made.rmdir()


def _journal(
    folder: Path, kind: str | None, moves: Sequence[tuple[Path, Path]], stale: Sequence[str]
) -> Path:
    """Say in the folder which files are to be put in place or to go, for whoever must go on after a kill."""
    journal = folder / f".{secrets.token_hex(8)}{_JOURNAL}"
    temporary = _beside(journal)
    names = [[temporary.name, path.name] for temporary, path in moves]
    try:
        temporary.write_text(json.dumps({"kind": kind, "moves": names, "stale": stale}), encoding="utf-8")
        _sync(temporary)
        temporary.replace(journal)
        _sync_folder(folder)
    finally:
        temporary.unlink(missing_ok=True)
    return journal


def _put(
    folder: Path,
    kind: str | None,
    moves: Sequence[tuple[Path, Path]],
    stale: Sequence[str],
    journal: Path | None,
) -> None:
    """Put files in place, tables before pages; a page of an earlier call goes before its tables do."""
    if journal is not None:
        for temporary, path in moves:
            if path.suffix == _PAGE and temporary.exists():
                path.unlink(missing_ok=True)
    if kind is not None:
        remove_own(folder, stale, kind)
    for temporary, path in moves:
        with suppress(FileNotFoundError) if journal is not None else nullcontext():
            temporary.replace(path)  # unless another process has gone on with it
        _record(path)
    _sync_folder(folder)
    if journal is not None:
        journal.unlink(missing_ok=True)


def _finish_interrupted(folder: Path) -> None:
    """Put in place what a call that was killed had written, but not yet put in place.

    Raises:
        NotWritableError: one of the files is somebody else's by now.
    """
    for journal in sorted(folder.glob(f".*{_JOURNAL}")) if folder.is_dir() else ():
        try:
            about = parse_json(journal.read_bytes(), str(journal))
            kind, names = about["kind"], [(str(temporary), str(name)) for temporary, name in about["moves"]]
            stale = [str(name) for name in about["stale"]]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # another process was faster, or it is none of ours
        # Whoever made the journal, it moves nothing but files that `_beside` names, within the folder.
        found = [_TEMPORARY.fullmatch(temporary) for temporary, _ in names]
        plain = all(one and one[1] == name for one, (_, name) in zip(found, names, strict=True))
        if not plain or any("/" in name for name in stale):
            continue
        moves = [(folder / temporary, folder / name) for temporary, name in names]
        moves = [move for move in moves if move[0].is_file() and not move[0].is_symlink()]
        kind = kind if isinstance(kind, str) else None
        check_writable(folder, [path.name for _, path in moves], kind)
        _put(folder, kind, moves, stale, journal)


@contextmanager
def new_file(path: Path, kind: str | None = None) -> Iterator[Path]:
    """Give a name beside `path` for what a library writes itself; at the end it takes the place of `path`.

    Check inside the block what was written, where the library does not: an error leaves what was there.

    Args:
        path: in a folder that is there.
        kind: as in `write_files`.

    Raises:
        NotWritableError, NotWrittenError: as in `write_files`.
    """
    check_writable(path.parent, [path.name], kind)
    temporary = _beside(path)
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
    """Give an empty folder to fill; at the end it becomes `folder`, and nothing of it if that fails.

    A folder that is not there yet appears whole, in one step. Into one that is there files move one by one,
    and replace those of an earlier call.

    Raises:
        NotWritableError, NotWrittenError: as in `write_files`.
    """
    check_writable(folder)
    target = Path(os.path.realpath(folder))
    is_new = not target.exists()
    made = [path for path in target.parents if not path.exists()] if is_new else []
    scratch = _beside(target if is_new else target / "content")
    try:
        scratch.mkdir(parents=True)
        yield scratch
        # What lies deepest first: dataset.json makes a data set of folders that are full.
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
            made = []
    except OSError as error:
        where = str(error.filename or folder).replace(str(scratch), str(folder))
        raise write_error(Path(where), error) from None
    except NotWrittenError as error:
        raise NotWrittenError(str(error).replace(str(scratch), str(folder))) from None
    finally:
        rmtree(scratch, ignore_errors=True)
        for path in made:
            with suppress(OSError):
                path.rmdir()


def settle_manifest(folder: Path) -> None:
    """Put the lines of a folder's manifest into order, which is that of several processes before."""
    with suppress(OSError, NotWritableError, NotWrittenError):  # one that is out of order is as good
        lines = (folder / MANIFEST).read_text(encoding="utf-8").splitlines(keepends=True)
        write_files(folder, {MANIFEST: "".join(sorted(set(lines)))})


def write_error(path: Path, error: OSError) -> NotWritableError | NotWrittenError:
    """Return what to raise where a file could not be written: the caller's fault, or the machine's."""
    if error.errno in _CALLERS:
        return NotWritableError(f"{path} cannot be written: {error.strerror}")
    return NotWrittenError(f"{path} could not be written: {error.strerror or error}")


def _beside(path: Path) -> Path:
    """Return a name in the folder of a file that no other process and no other machine takes."""
    return path.with_name(f".{secrets.token_hex(8)}.part-{path.name}")


def _sync(file: Path, size: int | None = None) -> None:
    """Make the disk keep a file, and see that it has all that was written."""
    with file.open("rb+") as stream:
        os.fsync(stream.fileno())
        got = os.fstat(stream.fileno()).st_size
    if size is not None and got != size:
        raise OSError(errno.EIO, f"it has {got} bytes of {size}")


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # not every file system syncs folders
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back meanwhile; only the main thread has a say in signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    held = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(one, lambda number, _: came.append(number)) for one in held]
    try:
        yield
    finally:
        for one, handler in zip(held, before, strict=True):
            signal.signal(one, handler)
    for number in came:
        signal.raise_signal(number)
