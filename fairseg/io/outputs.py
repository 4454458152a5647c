"""What may be written where: an output never replaces an input, nor a file that fairseg did not write.

A folder that fairseg writes into has a manifest, `.fairseg.jsonl`: a line for each file, with the kind of the
result and a digest of the content. A file is replaced if the manifest has it, of the same kind and unchanged
since; any other only if the caller says so. Lines are only ever added to the manifest, and they are so short
that two processes do not mix them; a file whose line is cut short is treated as somebody else's, to be safe.
"""

import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b, file_digest
from pathlib import Path
from shutil import rmtree

MANIFEST = ".fairseg.jsonl"
# Folders of images are searched for these.
IMAGE_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd", ".png", ".tif", ".tiff", ".npy", ".npz")
_RAW = ("imagesTr", "labelsTr", "imagesTs", "labelsTs")  # folders of a dataset in nnU-Net's raw layout


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
    """Files and folders that must not be written to.

    Attributes:
        inputs: files and folders that are read.
        overwrite: replace files that fairseg did not write; never those that are read.
    """

    inputs: tuple[Path, ...] = ()
    overwrite: bool = False


_BOUNDARIES: ContextVar[Boundaries] = ContextVar("boundaries", default=Boundaries())  # noqa: B039  (frozen)


def boundaries() -> Boundaries:
    """Return the current boundaries, to hand them to another process."""
    return _BOUNDARIES.get()


@contextmanager
def reading(*inputs: str | Path | None, overwrite: bool = False) -> Iterator[None]:
    """Protect these files and folders too in the block; None is left out."""
    before, paths = boundaries(), (Path(path) for path in inputs if path is not None)
    token = _BOUNDARIES.set(Boundaries((*before.inputs, *paths), before.overwrite or overwrite))
    try:
        yield
    finally:
        _BOUNDARIES.reset(token)


_OF_FILES = (".html", ".htm", ".pdf", ".md", ".csv", ".tex", ".json", ".png", ".svg", ".xlsx")


def check_writable(folder: Path, names: Iterable[str] = (), kind: str | None = None) -> None:
    """Raise a ValueError unless files of these names can and may be written into `folder`.

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
    manifest: Mapping[str, set[str | None]] | None = None
    for name in names:
        path = folder / name
        _check_no_input(path, allowed.inputs)
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
        manifest = _read_manifest(folder, kind) if manifest is None else manifest
        if name not in manifest:
            raise NotWritableError(
                f"{path} is there, and not from an earlier call: choose another place, or --overwrite it"
            )
        if None not in manifest[name] and digest_of(path) not in manifest[name]:
            raise NotWritableError(
                f"{path} has changed since fairseg wrote it: choose another place, or --overwrite it"
            )


def check_not_read(folder: Path) -> None:
    """Raise a ValueError if the files of a folder are inputs, images or not."""
    for source in boundaries().inputs:
        if os.path.realpath(folder) in _read_folders(source):
            raise NotWritableError(f"{folder} is read: choose another --out")


def claim(folder: Path, names: Iterable[str], kind: str) -> None:
    """Check that files can and may be written into a folder, made if needed, and mark them as fairseg's.

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
    """Empty a folder again that was empty, if the block ends in a ValueError.

    The caller has locked the folder, so that all its files were made in the block.
    """
    was_empty = {path.name for path in folder.iterdir()} <= {lock}
    try:
        yield
    except ValueError:
        for path in folder.iterdir() if was_empty else ():
            if path.is_dir() and not path.is_symlink():
                rmtree(path, ignore_errors=True)
            elif path.name != lock:
                path.unlink(missing_ok=True)
        raise


def record(folder: Path, kind: str, files: Mapping[str, str | None]) -> None:
    """Add files to the manifest of a folder before they are written: name -> digest, or None for any."""
    recorded = _read_manifest(folder, kind)
    new = [(name, digest) for name, digest in files.items() if digest not in recorded.get(name, set())]
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
    """Delete files of an earlier result of this kind; all others, and changed ones, stay."""
    manifest = _read_manifest(folder, kind)
    for name in names:
        if name in manifest and (folder / name).is_file() and digest_of(folder / name) in manifest[name]:
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


def _check_no_input(path: Path, inputs: Iterable[Path]) -> None:
    """Raise if a file to be written is an input, or would become one."""
    real = os.path.realpath(path)
    for source in inputs:
        if real == os.path.realpath(source) or _is_same_file(path, source):
            raise NotWritableError(f"{path} is read and must not be replaced: choose another --out")
        is_image = path.name.lower().endswith(IMAGE_ENDINGS)
        if is_image and os.path.dirname(real) in _read_folders(source):  # noqa: PTH120
            raise NotWritableError(
                f"{path.parent} is read, and {path.name} in it would be read too: choose another --out"
            )


def _read_folders(source: Path) -> tuple[str, ...]:
    """Return the folders whose files are read if this one is an input; it may be a dataset."""
    real = os.path.realpath(source)
    return (real, *(os.path.join(real, name) for name in _RAW))  # noqa: PTH118


def _is_same_file(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False


def _kind_of(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link (name the file that it leads to)"
    return "a folder" if stat.S_ISDIR(mode) else "a device, a pipe or a socket"


_EDGE = 512  # bytes at both ends of a manifest, by which it is recognised


class _Manifest:
    """The content of a manifest, up to the byte that was read last."""

    def __init__(self) -> None:
        self.known: dict[str, dict[str, set[str | None]]] = {}  # kind -> name -> digests
        self._forget(-1)

    def _forget(self, inode: int) -> None:
        self.inode, self.read, self.known = inode, 0, {}
        self.head = self.tail = b""

    def update(self, file: Path) -> None:
        """Read what was added; all of it if the file was replaced."""
        try:
            with file.open("rb") as stream:
                inode = os.fstat(stream.fileno()).st_ino
                head = stream.read(len(self.head))
                stream.seek(self.read - len(self.tail))
                tail = stream.read(len(self.tail))
                if (inode, head, tail) != (self.inode, self.head, self.tail):  # another file
                    self._forget(inode)
                start = stream.seek(self.read)
                added = stream.read()
        except OSError:
            self._forget(-1)
            return
        added = added[: added.rfind(b"\n") + 1]  # the last line may not be whole yet
        self.read = start + len(added)
        self.head, self.tail = self.head or added[:_EDGE], (self.tail + added)[-_EDGE:]
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

    A folder of many files is written file by file, so only the new lines of a manifest are read for each.
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
