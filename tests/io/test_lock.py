"""A folder is one process's at a time, until that process ends."""

import errno
import multiprocessing
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from fairseg.io.lock import alone_in
from tests.waiting import PATIENCE


def hold(folder: Path, entered: Event) -> None:
    with alone_in(folder):
        entered.set()
        time.sleep(2 * PATIENCE)


def test_another_is_kept_away_or_waits_until_the_process_is_gone(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    entered = context.Event()
    process = context.Process(target=hold, args=(tmp_path / "new", entered))
    process.start()
    try:
        assert entered.wait(PATIENCE)
        with (
            pytest.raises(ValueError, match="another process is at work in this folder"),
            alone_in(tmp_path / "new"),
        ):
            pass
        with alone_in(tmp_path / "new", lock=".other"):
            pass
    finally:
        process.kill()
        process.join()
    with (
        alone_in(tmp_path / "new", wait=True),
        pytest.raises(ValueError, match="another process"),
        alone_in(tmp_path / "new"),
    ):
        pass
    with alone_in(tmp_path / "new"):
        pass


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EIO])
@pytest.mark.parametrize("wait", [False, True])
def test_a_disk_without_locks_is_named_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, wait: bool
) -> None:
    def flock(*_: object) -> None:
        raise OSError(code, "Input/output error")

    monkeypatch.setattr("fcntl.flock", flock)
    reason = "Input/output error" if code == errno.EIO else r"the disk \(NFS\?\) has no file locks"
    with (
        pytest.raises(ValueError, match=f"run cannot be locked for one process: {reason}"),
        alone_in(tmp_path / "in" / "run", wait=wait),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_made_and_stays_empty_goes_again(tmp_path: Path) -> None:
    with alone_in(tmp_path / "in" / "run"):
        assert (tmp_path / "in" / "run").is_dir()
    assert list(tmp_path.iterdir()) == []
    with alone_in(tmp_path / "in" / "run"):
        (tmp_path / "in" / "run" / "mine").write_text("mine")
    assert (tmp_path / "in" / "run" / "mine").exists()
    (tmp_path / "there").mkdir()
    with alone_in(tmp_path / "there"):
        pass
    assert (tmp_path / "there").is_dir()
