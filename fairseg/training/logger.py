"""The log of a training: a bar, a line an epoch, TensorBoard if it is there, curves at the end."""

import json
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from importlib import import_module
from io import BytesIO
from math import isnan
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from tqdm.auto import tqdm

from fairseg.io.files import write_files
from fairseg.io.lock import alone_in
from fairseg.io.sentences import counted

_MINUTE = 60.0  # seconds
RUN, LOG, CURVES = "run.json", "log.jsonl", "curves.png"


class TrainingLogger:
    """The log of a run: one JSON line an epoch in `log.jsonl`, and TensorBoard's events beside it.

    Args:
        folder: of the run; `None` for a process of several that is not the first: it writes nothing.
        lines: of the epochs that are done; lines that an interrupted run wrote beyond them are dropped.
        total: steps of the whole run.
        progress: show a bar on stderr, or a line an epoch if that is no terminal.

    Raises:
        ValueError: another process is at work in the folder.
    """

    def __init__(
        self, folder: Path | None, lines: Sequence[dict[str, Any]], *, total: int, progress: bool
    ) -> None:
        self.folder, self.lines = folder, list(lines)
        self.shown = progress and folder is not None
        self.total, self.done = total, self.lines[-1]["step"] if self.lines else 0
        self._steps, self._began = 0, time.monotonic()
        self._reported = self._began
        self.bar = tqdm(
            total=total, initial=self.done, desc="training", unit="step", disable=None if self.shown else True
        )
        self.board: Any = None
        self._lock = ExitStack()
        if folder is None:
            return
        self._lock.enter_context(alone_in(folder))
        for unfinished in folder.glob(".*.part-*"):  # of a run that was killed: the lock is ours
            unfinished.unlink()
        self._write_lines(folder)
        with suppress(ImportError):  # only where TensorBoard is installed
            writer = import_module("torch.utils.tensorboard").SummaryWriter
            self.board = writer(str(folder / "tensorboard"), purge_step=len(self.lines) + 1)

    def write_description(self, run: dict[str, Any]) -> None:
        """Write the description of the run, and show its numbers where progress is shown."""
        if self.shown:
            slices, subjects = (
                ", ".join(f"{name} {number}" for name, number in run[key].items())
                for key in ("group_slices", "validation_subjects")
            )
            threads = counted(run["threads"], "thread")
            tqdm.write(
                f"training with {threads} on slices of {slices}; validation subjects: {subjects}", sys.stderr
            )
        if self.folder is not None:
            write_files(self.folder, {RUN: json.dumps(run, indent=1) + "\n"})

    def _write_lines(self, folder: Path) -> None:
        write_files(folder, {LOG: "".join(json.dumps(line) + "\n" for line in self.lines)})

    def step(self) -> None:
        """Count a step on the bar; where that is no terminal, write a line every minute."""
        self.bar.update()
        self._steps += 1
        now = time.monotonic()
        if self.shown and self.bar.disable and now - self._reported > _MINUTE:
            self._reported = now
            step = self.done + self._steps
            minutes = (self.total - step) * (now - self._began) / self._steps / _MINUTE
            tqdm.write(f"step {step} of {self.total}, about {max(1, round(minutes))} min left", sys.stderr)

    def epoch(self, line: dict[str, Any]) -> None:
        """Log an epoch."""
        self.lines.append(line)
        if self.folder is None:
            return
        self._write_lines(self.folder)
        dice = {name: value for name, value in line["dice"].items() if value is not None}
        texts = {name: f"{value:.3f}" for name, value in dice.items()}
        self.bar.set_postfix({"loss": f"{line['loss']:.3f}", **texts})
        if self.shown and self.bar.disable:
            groups = ", ".join(f"{name} {text}" for name, text in texts.items()) or "of nobody"
            begin = f"epoch {line['epoch']}, step {line['step']}: loss {line['loss']:.3f}"
            tqdm.write(f"{begin}; validation Dice {groups} ({line['seconds']:.0f} s)", sys.stderr)
        if self.board is not None:
            self.board.add_scalar("loss", line["loss"], line["epoch"])
            for name, value in dice.items():  # add_scalars would make a folder of each group's name
                self.board.add_scalar(f"dice/{name}", value, line["epoch"])

    def draw(self, names: Sequence[str]) -> None:
        """Draw the curves of the logged epochs, a line for each of these groups."""
        if self.lines and self.folder is not None:
            write_files(self.folder, {CURVES: draw_curves(self.lines, names)})

    def __enter__(self) -> "TrainingLogger":
        return self

    def __exit__(self, *error: object) -> None:
        """Close the bar, TensorBoard's file and the lock, whatever happened."""
        self.bar.close()
        if self.board is not None:
            self.board.close()
        self._lock.close()


def by_name(names: Iterable[str], values: Iterable[float]) -> dict[str, float | None]:
    """Return values by name as a line of the log holds them: rounded, and None in the place of NaN."""
    numbers = (None if isnan(value) else round(float(value), 6) for value in values)
    return dict(zip(names, numbers, strict=True))


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's log, in the order of the epochs; a line cut short is left out."""
    lines: list[dict[str, Any]] = []
    with suppress(OSError, ValueError):
        for line in (folder / LOG).read_text(encoding="utf-8").splitlines():
            lines.append(json.loads(line))
    return lines


def draw_curves(lines: Sequence[dict[str, Any]], names: Sequence[str]) -> bytes:
    """Return a PNG of the training loss and of the validation Dice by group, over the epochs."""
    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = [line["epoch"] for line in lines]
    style: dict[str, Any] = {"marker": "o", "ms": 3} if len(lines) <= 30 else {}
    left.plot(epochs, [line["loss"] for line in lines], color="#22313f", **style)
    left.set(xlabel="epoch", ylabel="training loss")
    for name in names:
        values = [line["dice"].get(name) for line in lines]
        if any(value is not None for value in values):
            heights = [float("nan") if value is None else value for value in values]
            right.plot(epochs, heights, label=name, **style)
    right.set(xlabel="epoch", ylabel="validation DSC, median", ylim=(0.0, 1.0))
    if right.lines:
        right.legend(frameon=False, loc="lower right")
    for ax in (left, right):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(color="#dfe4e8", lw=0.7)
    file = BytesIO()
    figure.savefig(file, format="png", dpi=120)
    return file.getvalue()
