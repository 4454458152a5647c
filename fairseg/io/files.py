"""Write files whole or not at all: beside the target under another name, checked, synced, then renamed."""

import errno
import os
import secrets
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from shutil import rmtree

from fairseg.io.outputs import (
    MANIFEST,
    NotWritableError,
    check_writable,
    digest_of,
    record,
)

# What the caller of a command can mend; all else, such as a full disk, is the machine's.
_CALLERS = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR),
    *(errno.ENOENT, errno.ELOOP, errno.EINVAL, errno.EILSEQ),
}

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


def write_files(folder: Path, files: Mapping[str, str | bytes], kind: str | None = None) -> None:
    """Write files into a folder, made if needed, and replace those of an earlier call.

    All are first written under other names, then put in place one after the other; if anything fails
    before that, none is there. Ctrl-C waits until all are in place.

    Args:
        folder: made if needed.
        files: name -> content.
        kind: of the result, for the manifest: see `check_writable`. None in a folder that holds fairseg's own
            state only.

    Raises:
        NotWritableError: the folder cannot be written, or a file must not be replaced; the message says why.
        NotWrittenError: writing failed, as on a full disk.
    """
    check_writable(folder, files, kind)
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
            for temporary, path in waiting:
                temporary.replace(path)
                _record(path)
            _sync_folder(folder)
            new = []
    except OSError as error:
        raise write_error(path, error) from None
    finally:
        for temporary, _ in waiting:
            with suppress(OSError):
                temporary.unlink()
        for made in new:
            with suppress(OSError):
                made.rmdir()


@contextmanager
def new_file(path: Path, kind: str | None = None, *, grows: bool = False) -> Iterator[Path]:
    """Give a name beside `path` for what a library writes itself; at the end it takes the place of `path`.

    Check inside the block what was written, where the library does not: an error leaves what was there.

    Args:
        path: in a folder that is there.
        kind: as in `write_files`.
        grows: the file will change under fairseg's own hands, so any content of it is fairseg's.

    Raises:
        NotWritableError, NotWrittenError: as in `write_files`.
    """
    check_writable(path.parent, [path.name], kind)
    temporary = _beside(path)
    try:
        yield temporary
        _sync(temporary)
        if kind is not None:
            record(path.parent, kind, {path.name: None if grows else digest_of(temporary)})
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
