"""The command `fairseg`: the library from the shell.

Exit codes: 0 done; 2 bad input, with one line on stderr that says what and where; 1 anything else.
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import click

from fairseg import __version__
from fairseg.cli import (
    audit,
    check,
    compare,
    convert,
    demo,
    doctor,
    evaluate,
    experiment,
    nnunet,
    plan,
    training,
    understand,
)
from fairseg.io.files import recording
from fairseg.io.sentences import listed

logger = logging.getLogger("fairseg")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    notes = _Notes()
    logger.addHandler(notes)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # its notes on its cache are not ours
    with _terminated_as_interrupted(), recording() as written:
        code = _run(arguments, notes, written)
    _discard_full_streams()
    return code


def _discard_full_streams() -> None:
    """Redirect streams that take no more output: Python flushes them at its end, and would exit with 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _run(arguments: Sequence[str] | None, notes: "_Notes", written: list[Path]) -> int:
    try:
        code = int(cli.main(args=arguments, prog_name="fairseg", standalone_mode=False) or 0)
    except Exception as error:
        if "--debug" in (sys.argv if arguments is None else arguments) and not isinstance(error, _EXPECTED):
            raise
        return _report_error(error, written)
    finally:
        logger.removeHandler(notes)
    try:
        notes.show()
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:  # a terminal that is full or gone
        return code or 1
    return code


def _report_error(error: Exception, written: Sequence[Path]) -> int:
    """Say in one line why a command ended; return the exit code: 2 if the user can mend it, else 1."""
    if isinstance(error, BrokenPipeError):  # the reader of the output has ended
        return 1
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return 2
    code = 1
    if isinstance(error, _InterruptedError | click.Abort):
        kept = f"written whole: {listed(written)}; nothing else was" if written else "no result was written"
        text = f"interrupted, {_KEPT.get(str(error), kept)}"
    elif isinstance(error, OSError):
        text = f"error: {error.filename or 'output'}: {error.strerror or error}"
        code = 2 if error.filename else 1
    elif isinstance(error, click.ClickException):
        text, code = f"error: {error.format_message()}", 2
    elif isinstance(error, ValueError):
        text, code = f"error: {error}", 2
    elif isinstance(error, RuntimeError) and not isinstance(error, RecursionError | NotImplementedError):
        text = f"error: {error}"
    elif isinstance(error, MemoryError):
        text = f"error: there is not enough memory for this: {error}"
    else:
        text = f"error: {type(error).__name__}: {error} (a fault of fairseg; --debug shows where)"
    with suppress(OSError):  # a terminal that is full or gone
        click.echo(f"fairseg: {_one_line(text)}", err=True)
    return code


# What is kept of interrupted commands that can go on where they stopped.
_KEPT = {
    "train": "epochs that were done are kept, and --resume goes on with them",
    "predict": "the masks that were done are kept",
    "demo": "what was done is kept: the same command goes on",
    "experiment": "what was done is kept: the same command goes on",
}


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Treat SIGTERM, with which schedulers end a command, as Ctrl-C; forked processes end by it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    main_process = os.getpid()

    def interrupt(number: int, _: FrameType | None) -> None:
        if os.getpid() == main_process:
            raise KeyboardInterrupt
        os._exit(128 + number)

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _InterruptedError(Exception):
    """Ctrl-C, before click handles it; the text is the name of the command."""


_EXPECTED = (click.ClickException, click.Abort, _InterruptedError)  # a traceback would not say more


class _Commands(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise _InterruptedError(ctx.invoked_subcommand) from None


class _Notes(logging.Handler):
    """Keeps the notes of the library until the work is done, then shows them, one line each.

    Notes of a training are shown at once: it may take hours, and a note may be a reason to stop.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = _one_line(record.getMessage())
        if record.name.startswith("fairseg.training"):
            with suppress(OSError):  # a terminal that is full or gone
                self._say(line)
        else:
            self.lines.append(line)

    def show(self) -> None:
        for line in self.lines:
            self._say(line)

    @staticmethod
    def _say(line: str) -> None:
        click.echo(f"fairseg: note: {line}", err=True)


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)


_HELP: dict[str, Any] = {"help_option_names": ["-h", "--help"]}  # click keeps those of a command's first run


@click.group(cls=_Commands, context_settings=_HELP)
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Audit a segmentation model for group fairness, and train a fairer one."""


for command in (
    *(check.check, evaluate.evaluate, plan.plan, audit.report, audit.audit, compare.compare),
    *(demo.phantom, convert.convert, training.train, understand.understand, training.predict),
    *(experiment.experiment, demo.demo, nnunet.nnunet, doctor.doctor, doctor.completion),
):
    cli.add_command(command)


if __name__ == "__main__":
    sys.exit(main())
