"""The script of `fairseg completion` really completes, in a real bash with a real terminal. Ten seconds."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fairseg.cli import main
from tests.waiting import PATIENCE

BASH = shutil.which("bash")
SCRIPTS = Path(sys.executable).parent


@pytest.fixture
def type_in_bash(tmp_path: Path) -> Iterator[Callable[[str, str], str]]:
    """Return a function that types into an interactive bash until it shows what is waited for."""
    assert BASH
    environment = {
        "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "TERM": "dumb",
        "PS1": "$ ",
        "INPUTRC": "/dev/null",
    }
    terminal, other = pty.openpty()
    bash = subprocess.Popen(
        [BASH, "--norc", "--noprofile", "-i"],
        stdin=other,
        stdout=other,
        stderr=other,
        env=environment,
        cwd=tmp_path,
        start_new_session=True,
    )
    os.close(other)

    def type_text(text: str, wait_for: str) -> str:
        os.write(terminal, text.encode())
        shown, end = "", time.monotonic() + PATIENCE
        while wait_for not in shown and time.monotonic() < end:
            if select.select([terminal], [], [], 0.2)[0]:
                shown += os.read(terminal, 4096).decode(errors="replace")
        assert wait_for in shown, shown
        return shown

    yield type_text
    bash.kill()
    bash.wait()
    os.close(terminal)


@pytest.mark.skipif(
    BASH is None or not (SCRIPTS / "fairseg").exists(), reason="needs bash and the installed command"
)
def test_bash_completes_commands_options_and_files(
    type_in_bash: Callable[[str, str], str], tmp_path: Path
) -> None:
    (tmp_path / "predictions").mkdir()
    type_in_bash('eval "$(fairseg completion bash)"; echo "rea""dy"\n', "ready")
    type_in_bash("fairseg phan\t", "phantom")  # the letters `tom` are bash's
    type_in_bash("\x15fairseg audit --ref\t", "--reference")
    type_in_bash("\x15fairseg evaluate pred\t", "predictions")
    type_in_bash("\x15fairseg completion z\t", "zsh")


@pytest.mark.parametrize(
    ("shell", "fragment"),
    [
        ("bash", "complete -o nosort -F _fairseg_completion fairseg"),
        ("zsh", "#compdef fairseg"),
        ("fish", "complete --no-files --command fairseg"),
    ],
)
def test_every_shell_has_its_script(shell: str, fragment: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    out, err = capsys.readouterr()
    assert fragment in out
    assert f"_FAIRSEG_COMPLETE={shell}_complete" in out
    assert err == ""


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "tcsh"]) == 2
    assert "'tcsh' is not one of" in capsys.readouterr().err
