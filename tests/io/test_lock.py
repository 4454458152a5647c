"""A folder is one process's at a time, until that process ends."""

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
