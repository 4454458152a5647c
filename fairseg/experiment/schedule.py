"""Do the tasks of an experiment: each when what it needs is done, as many at a time as the engine takes."""

import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from tqdm.auto import tqdm

from fairseg.experiment.engines import Engine, Running
from fairseg.experiment.tasks import TASK, State, Task, fail, open_task, state_of
from fairseg.training.logger import read_log

_LOOK_EVERY = 0.2  # seconds
_LONGEST = 12  # characters of a group's name in a line of the overview


def run_tasks(
    root: Path,
    tasks: Sequence[Task],
    engine: Engine,
    *,
    tell: Callable[[Task], str] = lambda task: task.name,
    arms: Sequence[str] = (),
    progress: bool = False,
) -> dict[str, State]:
    """Do all tasks that are not done yet, and return how each has ended.

    A task that fails does not stop the others; those that need it fail with it. Tests go first when
    they can, so that results come early; else the order is that of `tasks`.

    Args:
        root: folder of the experiment.
        tasks: in the order to do them; what one needs stands before it.
        engine: where they run.
        tell: says in a line what a task that is done has shown.
        arms: for each arm the task that ends it, for the overview.
        progress: show the overview on stderr.
    """
    states = {task.name: open_task(root, task) for task in tasks}
    running: dict[str, Running] = {}
    waiting = [task for task in tasks if states[task.name].status == "open"]
    waiting.sort(key=lambda task: not task.needs)  # stable: tests first, otherwise as they came
    named = {task.name: task for task in tasks}
    with Overview(tasks, states, engine.slots, arms, shown=progress) as overview:
        overview.begins(root)
        try:
            while waiting or running:
                for name, started in list(running.items()):
                    if started.ended():
                        del running[name]
                        states[name] = _ending(root / name, started)
                        overview.ended(named[name], states[name], tell)
                for task in list(waiting):
                    ends = {name: states[name] for name in task.needs}
                    if broken := [name for name, state in ends.items() if state.status == "failed"]:
                        fail(root / task.name, f"{broken[0]} failed: {states[broken[0]].error}")
                        states[task.name] = state_of(root / task.name)
                        overview.ended(task, states[task.name], tell)
                    elif len(running) < engine.slots and all(end.status == "done" for end in ends.values()):
                        overview.starts(task)
                        running[task.name] = engine.start(root, task.name)
                    else:
                        continue
                    waiting.remove(task)
                overview.look(root, list(running))
                if running and not any(started.ended() for started in running.values()):
                    time.sleep(_LOOK_EVERY)
        finally:
            for started in running.values():  # interrupted
                started.stop()
    return states


def _ending(folder: Path, started: Running) -> State:
    """Return how a task has ended; one that left no word has failed."""
    state = state_of(folder)
    if state.status == "open":
        fail(folder, started.why())
        state = state_of(folder)
    return state


@dataclass
class Overview:
    """The live overview: a line a result, and below them what is done, running and left.

    Where stderr is no terminal, the lines alone: what there is to do, and what begins and ends.
    """

    tasks: Sequence[Task]
    states: dict[str, State]
    slots: int
    arms: Sequence[str]
    shown: bool
    _spent: dict[bool, list[float]] = field(default_factory=lambda: defaultdict(list))

    def __enter__(self) -> "Overview":
        hidden = None if self.shown else True
        before = sum(state.status != "open" for state in self.states.values())
        form = "{desc} {percentage:3.0f}%|{bar:24}| {n_fmt} of {total_fmt} tasks{postfix}"
        self.bar = tqdm(
            total=len(self.tasks), initial=before, desc="experiment", disable=hidden, bar_format=form
        )
        rows = 0 if self.bar.disable else min(self.slots, 8)
        self.rows = [tqdm(bar_format="{desc}", position=1 + row, leave=False) for row in range(rows)]
        self._spent.clear()
        for task in self.tasks:
            if self.states[task.name].status == "done":
                self._spent[bool(task.needs)].append(self.states[task.name].seconds)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        for row in (*self.rows, self.bar):
            row.close()

    def begins(self, root: Path) -> None:
        """Say what there is to do, without a terminal."""
        if not self._plain:
            return
        kinds = [bool(task.needs) for task in self.tasks if self.states[task.name].status == "open"]
        tqdm.write(
            f"{len(self.arms)} arms: {kinds.count(False)} trainings and {kinds.count(True)} tests to do, "
            f"{len(self.tasks) - len(kinds)} done before; {self.slots} at a time, in {root}",
            file=sys.stderr,
        )

    def starts(self, task: Task) -> None:
        """Say which task begins, without a terminal."""
        if self._plain:
            tqdm.write(f"[{self._arms_done()}] started {task.name}", file=sys.stderr)

    @property
    def _plain(self) -> bool:
        return self.shown and not sys.stderr.isatty()

    def ended(self, task: Task, state: State, tell: Callable[[Task], str]) -> None:
        """Show what a task has come to."""
        self.bar.update()
        if state.status == "done":
            self._spent[bool(task.needs)].append(state.seconds)
        if self.shown:
            said = tell(task) if state.status == "done" else f"FAILED {task.name}: {state.error}"
            if not said and self._plain:
                said = f"done {task.name} in {state.seconds:.0f} s"
            if said:
                tqdm.write(f"[{self._arms_done()}] {said}", file=sys.stderr)

    def look(self, root: Path, running: Sequence[str]) -> None:
        """Show what is running and how much is left."""
        if self.bar.disable:
            return
        number = Counter(state.status for state in self.states.values())
        failed = f", {number['failed']} failed" if number["failed"] else ""
        left = number["open"] - len(running)
        self.bar.set_postfix_str(
            f"{self._arms_done()}{self._time_left()}; {len(running)} running{failed}, {left} left",
            refresh=False,
        )
        for place, row in enumerate(self.rows):
            row.set_description_str(_progress(root, running[place]) if place < len(running) else "")
        self.bar.refresh()

    def _arms_done(self) -> str:
        done = sum(self.states[name].status == "done" for name in self.arms)
        return f"{done} of {len(self.arms)} arms"

    def _time_left(self) -> str:
        seconds = 0.0
        left = 0
        for kind in (False, True):
            open_tasks = sum(
                self.states[task.name].status == "open" for task in self.tasks if bool(task.needs) == kind
            )
            if open_tasks and not self._spent[kind]:
                return ""
            left += open_tasks
            if open_tasks:
                seconds += open_tasks * sum(self._spent[kind]) / len(self._spent[kind])
        return f", about {seconds / max(1, min(self.slots, left)) / 60:.0f} min"


def _progress(root: Path, name: str) -> str:
    """Return what a running task is at: a training's last epoch with the Dice of each group."""
    lines = read_log(root / name)
    if not lines:
        return f"  {name}"
    dice = ", ".join(
        f"{group[:_LONGEST]} {value:.3f}" for group, value in lines[-1]["dice"].items() if value is not None
    )
    settings = json.loads((root / name / TASK).read_text(encoding="utf-8"))["settings"]
    short = name.removeprefix("trainings/").rsplit("-", 1)[0]
    return f"  {short}: epoch {lines[-1]['epoch']} of {settings['epochs']}; validation {dice}"
