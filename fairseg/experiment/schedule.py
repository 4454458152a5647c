"""Do the tasks of an experiment: each once the tasks that it needs are done, in the slots of the engine."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path

from tqdm.auto import tqdm

from fairseg.experiment.engines import Engine, Running
from fairseg.experiment.tasks import TASK, State, Task, fail, open_task, state_of
from fairseg.io.json_files import read_json
from fairseg.training.logger import read_log

_INTERVAL = 0.2  # seconds
_LONGEST = 12  # characters of a group's name in a line of the overview


def run_tasks(
    root: Path,
    tasks: Sequence[Task],
    engine: Engine,
    *,
    describe: Callable[[Task], str] = lambda task: task.name,
    arms: Sequence[Sequence[str]] = (),
    progress: bool = False,
) -> dict[str, State]:
    """Do all tasks that are not done yet, and return how each has ended.

    A task that fails does not stop the others; those that need it fail with it. Tests go first when
    they can, so that results come early; else the order is that of `tasks`.

    Args:
        root: folder of the experiment.
        tasks: in the order to do them; each after those that it needs.
        engine: where they run.
        describe: sums up the result of a task in a line.
        arms: for each arm the tasks that end it, for the overview.
        progress: show the overview on stderr.
    """
    states = {task.name: open_task(root, task) for task in tasks}
    running: dict[str, Running] = {}
    waiting = [task for task in tasks if states[task.name].status == "open"]
    waiting.sort(key=lambda task: not task.is_test)  # stable: tests first, otherwise as they came
    named = {task.name: task for task in tasks}
    with Overview(tasks, states, engine.slots, arms, describe, shown=progress) as overview:
        overview.begin(root)
        try:
            while waiting or running:
                for name, started in list(running.items()):
                    if started.ended():
                        del running[name]
                        if state_of(root / name).status == "open":  # it wrote no result
                            fail(root / name, started.why())
                        states[name] = state_of(root / name)
                        overview.end(named[name])
                for task in list(waiting):
                    needed = {name: states[name] for name in task.needs}
                    if failed := [name for name, state in needed.items() if state.status == "failed"]:
                        fail(root / task.name, f"{failed[0]} failed: {states[failed[0]].error}")
                        states[task.name] = state_of(root / task.name)
                        overview.end(task)
                    elif len(running) < engine.slots and all(
                        state.status == "done" for state in needed.values()
                    ):
                        overview.start(task)
                        running[task.name] = engine.start(root, task.name)
                    else:
                        continue
                    waiting.remove(task)
                overview.refresh(root, list(running))
                if running and not any(started.ended() for started in running.values()):
                    time.sleep(_INTERVAL)
        finally:
            for started in running.values():  # interrupted
                started.stop()
    return states


class Overview:
    """The live overview: a line a result, and below them the tasks that are done, running and left.

    Where stderr is no terminal, it has lines alone: the tasks to do, and each begin and end.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        states: dict[str, State],
        slots: int,
        arms: Sequence[Sequence[str]],
        describe: Callable[[Task], str],
        *,
        shown: bool,
    ) -> None:
        self.tasks, self.states, self.slots, self.arms, self.describe = tasks, states, slots, arms, describe
        self.shown, self.plain = shown, shown and not sys.stderr.isatty()
        self.bar = tqdm(
            total=len(tasks),
            initial=sum(state.status != "open" for state in states.values()),
            desc="experiment",
            disable=None if shown else True,
            bar_format="{desc} {percentage:3.0f}%|{bar:24}| {n_fmt} of {total_fmt} tasks{postfix}",
        )
        rows = 0 if self.bar.disable else min(slots, 8)
        self.rows = [tqdm(bar_format="{desc}", position=1 + row, leave=False) for row in range(rows)]

    def __enter__(self) -> "Overview":
        return self

    def __exit__(self, *error: object) -> None:
        for row in (*self.rows, self.bar):
            row.close()

    def begin(self, root: Path) -> None:
        """Write how much there is to do, without a terminal."""
        if self.plain:
            tests = [task.is_test for task in self.tasks if self.states[task.name].status == "open"]
            todo = f"{tests.count(False)} trainings and {tests.count(True)} tests to do"
            num_done = len(self.tasks) - len(tests)
            self._write(
                f"{len(self.arms)} arms: {todo}, {num_done} done before; {self.slots} at a time, in {root}"
            )

    def start(self, task: Task) -> None:
        """Write which task begins, without a terminal."""
        if self.plain:
            self._write(f"[{self._arms_done()}] started {task.name}")

    def end(self, task: Task) -> None:
        """Show how a task has ended."""
        self.bar.update()
        if not self.shown:
            return
        state = self.states[task.name]
        line = self.describe(task) if state.status == "done" else f"FAILED {task.name}: {state.error}"
        if not line and self.plain:
            line = f"done {task.name} in {state.seconds:.0f} s"
        if line:
            self._write(f"[{self._arms_done()}] {line}")

    def refresh(self, root: Path, running: Sequence[str]) -> None:
        """Show what is running and how much is left."""
        if self.bar.disable:
            return
        number = Counter(state.status for state in self.states.values())
        failed = f", {number['failed']} failed" if number["failed"] else ""
        counts = f"{len(running)} running{failed}, {number['open'] - len(running)} left"
        self.bar.set_postfix_str(f"{self._arms_done()}{self._time_left()}; {counts}", refresh=False)
        for row, name in zip_longest(self.rows, running[: len(self.rows)]):
            row.set_description_str(_progress(root, name) if name else "")
        self.bar.refresh()

    def _write(self, line: str) -> None:
        tqdm.write(line, file=sys.stderr)

    def _arms_done(self) -> str:
        num_done = sum(all(self.states[name].status == "done" for name in tests) for tests in self.arms)
        return f"{num_done} of {len(self.arms)} arms"

    def _time_left(self) -> str:
        """Return an estimate from the mean times of trainings and of tests; nothing before one has ended."""
        seconds, num_open = 0.0, 0
        for is_test in (False, True):
            states = [self.states[task.name] for task in self.tasks if task.is_test == is_test]
            times = [state.seconds for state in states if state.status == "done"]
            open_here = sum(state.status == "open" for state in states)
            if open_here and not times:
                return ""
            seconds += open_here * sum(times) / max(1, len(times))
            num_open += open_here
        return f", about {seconds / max(1, min(self.slots, num_open)) / 60:.0f} min"


def _progress(root: Path, name: str) -> str:
    """Return the progress of a running task: for a training, the last epoch with the Dice of each group."""
    lines = read_log(root / name)
    if not lines:
        return f"  {name}"
    dice = ", ".join(
        f"{group[:_LONGEST]} {value:.3f}" for group, value in lines[-1]["dice"].items() if value is not None
    )
    settings = read_json(root / name / TASK)["settings"]
    short = name.removeprefix("trainings/").rsplit("-", 1)[0]
    return f"  {short}: epoch {lines[-1]['epoch']} of {settings['epochs']}; validation {dice}"
