"""One process at a time in a folder, by a lock of the operating system: it ends with the process."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


@contextmanager
def alone_in(folder: Path, *, lock: str = ".lock", wait: bool = False) -> Iterator[None]:
    """Keep other processes out of a folder, which is made if needed, and deleted again if it stays empty.

    Args:
        folder: the folder.
        lock: name of the file that is locked; those of another name do not count.
        wait: whether to wait for a process that is already there.

    Raises:
        ValueError: another process is there, and `wait` is False; or the disk has no locks.
    """
    created = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            acquired = FileLock(folder / lock).acquire(timeout=-1 if wait else 0)
        except Timeout:
            raise ValueError(f"{folder}: another process is at work in this folder") from None
        except NotImplementedError:
            raise ValueError(
                f"{folder} must be on a disk with file locks, which this one (NFS?) lacks"
            ) from None
        except OSError as error:
            reason = "the disk (NFS?) has no file locks" if error.errno in _NO_LOCKS else error.strerror
            raise ValueError(f"{folder} cannot be locked for one process: {reason}") from None
        with acquired:
            yield
    finally:
        with suppress(OSError):  # it is not empty, or gone
            if created and {path.name for path in folder.iterdir()} <= {lock}:
                (folder / lock).unlink(missing_ok=True)
                for path in created:
                    path.rmdir()
