"""What may be written where: an output never falls on an input, nor on what something else has written.

A folder that fairseg writes into has a manifest, `.fairseg.jsonl`: a line for each file, with what kind of
result it is and a digest of its content. A file is replaced if the manifest has it, of the same kind and
unchanged since; all others only if the caller says so. The manifest is only ever added to, by lines so short
that two processes do not mix them; a line cut short makes its file somebody else's, which errs on the safe
side.
"""

import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b, file_digest
from pathlib import Path
from shutil import rmtree

MANIFEST = ".fairseg.jsonl"
IMAGE_ENDINGS = (
    ".nii.gz",
    ".nii",
    ".nrrd",
    ".mha",
    ".mhd",
    ".png",
    ".tif",
    ".tiff",
    ".npy",
    ".npz",
)  # what folders of images are searched for
_RAW = ("imagesTr", "labelsTr", "imagesTs", "labelsTs")  # what nnU-Net's raw layout has below a dataset


def extension_of(name: str) -> str | None:
    """Return the extension of an image file's name, one of `IMAGE_ENDINGS`; None if it has none of these.

    >>> extension_of("p01_ED.NII.gz"), extension_of("notes.txt")
    ('.nii.gz', None)
    """
    lower = name.lower()
    return next((end for end in IMAGE_ENDINGS if lower.endswith(end)), None)


class NotWritableError(ValueError):
    """Files cannot be written where they should be, or must not be."""


@dataclass(frozen=True)
class Boundaries:
    """What the work at hand must leave alone.

    Attributes:
        inputs: files and folders that are read.
        overwrite: replace files that fairseg did not write; never those that are read.
    """

    inputs: tuple[Path, ...] = ()
    overwrite: bool = False


_BOUNDARIES: ContextVar[Boundaries] = ContextVar("boundaries", default=Boundaries())  # noqa: B039  (frozen)


def boundaries() -> Boundaries:
    """Return what the work at hand must leave alone, to hand it to another process."""
    return _BOUNDARIES.get()


@contextmanager
def within(given: Boundaries) -> Iterator[None]:
    """Leave alone, meanwhile, what is given, besides what already is."""
    before = _BOUNDARIES.get()
    both = Boundaries((*before.inputs, *given.inputs), before.overwrite or given.overwrite)
    token = _BOUNDARIES.set(both)
    try:
        yield
    finally:
        _BOUNDARIES.reset(token)


def reading(*inputs: str | Path | None, overwrite: bool = False) -> AbstractContextManager[None]:
    """Leave these files and folders alone meanwhile; None is none."""
    paths = tuple(Path(one) for one in inputs if one is not None)
    return within(Boundaries(paths, overwrite))


_OF_FILES = (".html", ".htm", ".pdf", ".md", ".csv", ".tex", ".json", ".png", ".svg", ".xlsx")


def check_writable(folder: Path, names: Iterable[str] = (), kind: str | None = None) -> None:
    """Raise a ValueError unless files of these names can and may be put into `folder`.

    Check it before the work starts, so that nobody waits for a result that cannot be kept.

    Args:
        folder: it need not exist yet.
        names: of the files, relative to it.
        kind: of the result that they belong to; None in a folder that holds fairseg's own state only.

    Raises:
        NotWritableError: files cannot be made in the folder; or one of the names is an input, no regular file
            (a symbolic link is none), or a file that fairseg did not write as a result of this kind.
    """
    _check_folder(folder)
    allowed = boundaries()
    known: Mapping[str, set[str | None]] | None = None
    for name in names:
        path = folder / name
        _check_apart(path, allowed.inputs)
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            continue
        except OSError as error:
            raise NotWritableError(f"{path} cannot be written: {error.strerror}") from None
        if not stat.S_ISREG(mode):
            raise NotWritableError(f"{path} must be a file or not be there, it is {_kind_of(mode)}")
        if kind is None or allowed.overwrite:
            continue
        known = _read_manifest(folder, kind) if known is None else known
        if name not in known:
            raise NotWritableError(
                f"{path} is there, and not from an earlier call: choose another place, or --overwrite it"
            )
        if None not in known[name] and digest_of(path) not in known[name]:
            raise NotWritableError(
                f"{path} has changed since fairseg wrote it: choose another place, or --overwrite it"
            )


def check_not_read(folder: Path) -> None:
    """Raise a ValueError if a folder is one whose files the work at hand reads, images or not."""
    for given in boundaries().inputs:
        if os.path.realpath(folder) in _read_folders(given):
            raise NotWritableError(f"{folder} is read: choose another --out")


def claim(folder: Path, names: Iterable[str], kind: str) -> None:
    """Check that files can and may be put into a folder, made if needed, and make them fairseg's from now on.

    For files that change as the work goes on, such as logs.

    Raises:
        NotWritableError: as `check_writable`.
    """
    files = dict.fromkeys(names)
    check_writable(folder, files, kind)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        record(folder, kind, files)
    except OSError as error:
        raise NotWritableError(f"{folder} cannot be written: {error.strerror}") from None


@contextmanager
def undone_if_refused(folder: Path, lock: str = ".lock") -> Iterator[None]:
    """Empty a folder again that held nothing, if what begins in it is refused: ends by a ValueError.

    The caller has locked it, so that all that is there was made meanwhile.
    """
    was_empty = {one.name for one in folder.iterdir()} <= {lock}
    try:
        yield
    except ValueError:
        for one in folder.iterdir() if was_empty else ():
            if one.is_dir() and not one.is_symlink():
                rmtree(one, ignore_errors=True)
            elif one.name != lock:
                one.unlink(missing_ok=True)
        raise


def record(folder: Path, kind: str, files: Mapping[str, str | None]) -> None:
    """Add files to the manifest of a folder, before they are put there: name -> digest, or None for any."""
    known = _read_manifest(folder, kind)
    new = [(name, digest) for name, digest in files.items() if digest not in known.get(name, set())]
    if not new:
        return
    lines = [json.dumps({"file": name, "kind": kind, "digest": digest}) + "\n" for name, digest in new]
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    manifest = os.open(folder / MANIFEST, flags, 0o666)
    try:
        os.write(manifest, "".join(lines).encode())
        os.fsync(manifest)
    finally:
        os.close(manifest)


def remove_own(folder: Path, names: Iterable[str], kind: str) -> None:
    """Delete files of an earlier result of this kind; what is not, or was changed, stays."""
    known = _read_manifest(folder, kind)
    for name in names:
        if name in known and (folder / name).is_file() and digest_of(folder / name) in known[name]:
            (folder / name).unlink()


def _check_folder(folder: Path) -> None:
    if folder.suffix.lower() in _OF_FILES and not folder.exists():
        raise NotWritableError(
            f"{folder} is named as a file, and results go into a folder: type {folder.with_suffix('')}"
        )
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


def _check_apart(path: Path, inputs: Iterable[Path]) -> None:
    """Raise where a file to be written is one that is read, or would be taken for one from then on."""
    real = os.path.realpath(path)
    for given in inputs:
        source = os.path.realpath(given)
        if real == source or _is_same_file(path, given):
            raise NotWritableError(f"{path} is read and must not be replaced: choose another --out")
        is_image = path.name.lower().endswith(IMAGE_ENDINGS)
        if is_image and os.path.dirname(real) in _read_folders(given):  # noqa: PTH120
            raise NotWritableError(
                f"{path.parent} is read, and {path.name} in it would be read too: choose another --out"
            )


def _read_folders(given: Path) -> tuple[str, ...]:
    """Return the folders whose files are read if this one is given, which may be a dataset."""
    source = os.path.realpath(given)
    return (source, *(os.path.join(source, name) for name in _RAW))  # noqa: PTH118


def _is_same_file(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False


def _kind_of(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link (name the file that it leads to)"
    return "a folder" if stat.S_ISDIR(mode) else "a device, a pipe or a socket"


_SEEN = 512  # bytes at both ends of a manifest by which it is known again


class _Manifest:
    """What the lines of a manifest say, up to the byte that was read last."""

    def __init__(self) -> None:
        self.known: dict[str, dict[str, set[str | None]]] = {}  # kind -> name -> digests
        self._forget(-1)

    def _forget(self, inode: int) -> None:
        self.inode, self.read, self.known = inode, 0, {}
        self.head = self.tail = b""

    def update(self, file: Path) -> None:
        """Read what was added; all of it where it is another file than before."""
        try:
            with file.open("rb") as stream:
                about = os.fstat(stream.fileno())
                head = stream.read(len(self.head))
                stream.seek(self.read - len(self.tail))
                tail = stream.read(len(self.tail))
                if (about.st_ino, head, tail) != (self.inode, self.head, self.tail):  # written anew
                    self._forget(about.st_ino)
                start = stream.seek(self.read)
                added = stream.read()
        except OSError:
            self._forget(-1)
            return
        added = added[: added.rfind(b"\n") + 1]  # the last line may not be whole yet
        self.read = start + len(added)
        self.head, self.tail = self.head or added[:_SEEN], (self.tail + added)[-_SEEN:]
        for line in added.decode("utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
                digests = self.known.setdefault(entry["kind"], {}).setdefault(entry["file"], set())
                digests.add(entry["digest"])
            except (ValueError, KeyError, TypeError, RecursionError):
                continue


@lru_cache(maxsize=8)
def _manifest(_: str) -> _Manifest:
    return _Manifest()


def _read_manifest(folder: Path, kind: str) -> Mapping[str, set[str | None]]:
    """Return name -> digests that the file may have, of one kind of result.

    A folder of many files is written file by file, so a manifest is not read anew for each.
    """
    manifest = _manifest(os.path.abspath(folder))  # noqa: PTH100
    manifest.update(folder / MANIFEST)
    return manifest.known.get(kind, {})


def digest_of(content: Path | bytes) -> str:
    """Return the digest of a file's content, as manifests have it."""
    if isinstance(content, bytes):
        return blake2b(content, digest_size=16).hexdigest()
    with content.open("rb") as stream:
        return file_digest(stream, lambda: blake2b(digest_size=16)).hexdigest()
