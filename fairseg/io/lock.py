"""One process at a time in a folder, by a lock of the operating system: it ends with the process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone_in(folder: Path, *, lock: str = ".lock", wait: bool = False) -> Iterator[None]:
    """Keep other processes away from a folder, which is made if needed.

    On systems without such locks (Windows) nobody is kept away.

    Args:
        folder: the folder.
        lock: name of the file that is locked; those of another name do not count.
        wait: for a process that is there already.

    Raises:
        ValueError: another process is there, and `wait` is False.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl  # noqa: PLC0415
    except ImportError:
        yield
        return
    with (folder / lock).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise ValueError(f"{folder}: another process is at work in this folder") from None
        yield
