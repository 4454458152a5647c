"""One process at a time in a folder, by a lock of the operating system: it ends with the process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def alone_in(folder: Path, *, lock: str = ".lock", wait: bool = False) -> Iterator[None]:
    """Keep other processes away from a folder, which is made if needed.

    Args:
        folder: the folder.
        lock: name of the file that is locked; those of another name do not count.
        wait: for a process that is there already.

    Raises:
        ValueError: another process is there, and `wait` is False.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        held = FileLock(folder / lock).acquire(timeout=-1 if wait else 0)
    except Timeout:
        raise ValueError(f"{folder}: another process is at work in this folder") from None
    with held:
        yield
