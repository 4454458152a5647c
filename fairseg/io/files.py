"""Write files whole or not at all."""

import os
import shutil
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory


class NotWritableError(ValueError):
    """Files cannot be written where they should be."""


def check_writable(folder: Path) -> None:
    """Raise a ValueError unless files can be put into `folder`, which need not exist yet.

    Check it before the work starts, so that nobody waits for a result that cannot be kept.
    """
    existing = folder.absolute()
    try:
        while not existing.exists() and existing != existing.parent:
            existing = existing.parent
    except OSError as error:
        raise NotWritableError(f"{folder} cannot be written: {error.strerror}") from None
    if not existing.is_dir():
        raise NotWritableError(f"{folder} cannot be written: {existing} is no folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise NotWritableError(f"{folder} cannot be written: no permission in {existing}")


@contextmanager
def filled_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder to fill; at the end its files move to `folder`, and none if that fails.

    For what libraries write themselves; those of the same names are replaced.

    Raises:
        ValueError: `folder` cannot be written; the message says why.
    """
    check_writable(folder)
    with TemporaryDirectory() as scratch:
        yield Path(scratch)
        for file in sorted(Path(scratch).rglob("*.*")):
            target = folder / file.relative_to(scratch)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(file, target)


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Hold Ctrl-C back meanwhile; only the main thread has a say in signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files into a folder, made if needed, and replace those of the same names.

    All are first written under other names, then put in place one after the other; if anything fails
    before that, none is there. Ctrl-C waits until all are in place.

    Raises:
        ValueError: the folder cannot be written; the message says why.
    """
    check_writable(folder)
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    waiting: list[tuple[Path, Path]] = []
    try:
        if taken := [name for name in files if (folder / name).is_dir()]:
            raise NotWritableError(f"{folder} cannot be written: {', '.join(taken)} in it is a folder")
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            temporary = folder / f".{name}.{os.getpid()}.part"
            waiting.append((temporary, folder / name))
            temporary.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        with _interrupts_wait():
            for temporary, final in waiting:
                temporary.replace(final)
            new = []
    except OSError as error:
        raise NotWritableError(f"{folder} cannot be written: {error.strerror}") from None
    finally:
        for temporary, _ in waiting:
            with suppress(OSError):
                temporary.unlink()
        for path in new:
            with suppress(OSError):
                path.rmdir()
