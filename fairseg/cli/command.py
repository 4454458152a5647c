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
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # what it says of its cache is no news of ours
    with _terminated_as_interrupted(), recording() as written:
        code = _run(arguments, notes, written)
    _let_go_of_what_is_full()
    return code


def _let_go_of_what_is_full() -> None:
    """Turn streams that take nothing more to nowhere: Python flushes them at its end, and ended in 120."""
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
        if "--debug" in (sys.argv if arguments is None else arguments) and not isinstance(error, _SAID):
            raise
        return _end(error, written)
    finally:
        logger.removeHandler(notes)
    try:
        notes.show()
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:  # a terminal that is full or gone
        return code or 1
    return code


def _end(error: Exception, written: Sequence[Path]) -> int:
    """Say in one line why a command ended; return the exit code: 2 where the user can mend it, else 1."""
    if isinstance(error, BrokenPipeError):  # whoever read the output has gone
        return 1
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return 2
    code = 1
    if isinstance(error, _InterruptedError | click.Abort):
        left = f"written whole: {listed(written)}; nothing else was" if written else "no result was written"
        text = f"interrupted, {_LEFT.get(str(error), left)}"
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


# What an interrupted command leaves that goes on where it was.
_LEFT = {
    "train": "epochs that were done are kept, and --resume goes on with them",
    "predict": "the masks that were done are kept",
    "demo": "what was done is kept: the same command goes on",
    "experiment": "what was done is kept: the same command goes on",
}


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Take SIGTERM, by which schedulers end a command, as Ctrl-C; processes that are forked end by it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    own = os.getpid()

    def interrupt(number: int, _: FrameType | None) -> None:
        if os.getpid() == own:
            raise KeyboardInterrupt
        os._exit(128 + number)

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _InterruptedError(Exception):
    """Ctrl-C, before click makes its own of it; its text is the name of the command."""


_SAID = (click.ClickException, click.Abort, _InterruptedError)  # what no traceback would tell more of


class _Commands(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise _InterruptedError(ctx.invoked_subcommand) from None


class _Notes(logging.Handler):
    """Keeps what the library has to say until the work is done, then shows it, one line each.

    What a training has to say it shows at once: it may be hours to its end, and a reason to stop.
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


_HELP: dict[str, Any] = {"help_option_names": ["-h", "--help"]}  # click keeps that of a command's first run


@click.group(cls=_Commands, context_settings=_HELP)
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Audit a segmentation model for group fairness, and train a fairer one."""


for command in (
    *(
        check.check,
        evaluate.evaluate,
        plan.plan,
        audit.report,
        audit.audit,
        compare.compare,
        demo.phantom,
        convert.convert,
        training.train,
    ),
    *(
        understand.understand,
        training.predict,
        experiment.experiment,
        demo.demo,
        nnunet.nnunet,
        doctor.doctor,
        doctor.completion,
    ),
):
    cli.add_command(command)


if __name__ == "__main__":
    sys.exit(main())
