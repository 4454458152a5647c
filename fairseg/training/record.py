"""What a training leaves to read: a bar, a line an epoch, TensorBoard if it is there, curves at the end."""

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from tqdm.auto import tqdm

from fairseg.io.files import write_files
from fairseg.io.lock import alone_in

RUN = "run.json"
LOG = "log.jsonl"
CURVES = "curves.png"


class Record:
    """The log of a run: one JSON line an epoch in `log.jsonl`, and TensorBoard's events beside it.

    Args:
        folder: of the run; `None` for a process of several that is not the first: it writes nothing.
        lines: of the epochs that are done; what an interrupted run wrote beyond them is dropped.
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
        done = sum(line["step"] for line in self.lines[-1:])
        hidden = None if self.shown else True
        self.bar = tqdm(total=total, initial=done, desc="training", unit="step", disable=hidden)
        self.board: Any = None
        if folder is None:
            return
        self._lock = ExitStack()
        self._lock.enter_context(alone_in(folder))
        for left in folder.glob(".checkpoint.pt.*.part"):  # by a run that was killed
            left.unlink()
        write_files(folder, {LOG: "".join(json.dumps(line) + "\n" for line in self.lines)})
        try:
            from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  (only if it is installed)

            self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=len(self.lines) + 1)
        except ImportError:
            pass

    def about(self, run: dict[str, Any]) -> None:
        """Write down what the run is."""
        if self.folder is not None:
            write_files(self.folder, {RUN: json.dumps(run, indent=1) + "\n"})

    def step(self) -> None:
        """Count a step on the bar."""
        self.bar.update()

    def epoch(self, line: dict[str, Any]) -> None:
        """Keep what an epoch has shown."""
        self.lines.append(line)
        if self.folder is None:
            return
        with (self.folder / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        dice = {name: value for name, value in line["dice"].items() if value is not None}
        shown = {name: f"{value:.3f}" for name, value in dice.items()}
        self.bar.set_postfix({"loss": f"{line['loss']:.3f}", **shown})
        if self.shown and self.bar.disable:
            said = ", ".join(f"{name} {value}" for name, value in shown.items())
            begin = f"epoch {line['epoch']}, step {line['step']}: loss {line['loss']:.3f}"
            tqdm.write(
                f"{begin}; validation Dice {said or 'of nobody'} ({line['seconds']:.0f} s)", sys.stderr
            )
        if self.board is not None:
            self.board.add_scalar("loss", line["loss"], line["epoch"])
            for name, value in dice.items():  # add_scalars would make a folder of each group's name
                self.board.add_scalar(f"dice/{name}", value, line["epoch"])

    def draw(self, names: Sequence[str]) -> None:
        """Draw the curves of what was logged, a line for each of these groups."""
        if self.lines and self.folder is not None:
            write_files(self.folder, {CURVES: draw_curves(self.lines, names)})

    def __enter__(self) -> "Record":
        return self

    def __exit__(self, *error: object) -> None:
        """Close the bar and TensorBoard's file, whatever happened."""
        self.bar.close()
        if self.board is not None:
            self.board.close()
        if self.folder is not None:
            self._lock.close()


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's log, in the order of the epochs; a line cut short is left out."""
    lines = []
    try:
        text = (folder / LOG).read_text(encoding="utf-8")
    except OSError:
        return []
    for line in text.splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
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
            shown = [float("nan") if value is None else value for value in values]
            right.plot(epochs, shown, label=name, **style)
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
