"""The reference training beside nnU-Net v2's own: a whole step, preparation, prediction and memory.

    make bench        (or: python benchmarks/training.py [--rounds N])

On phantom images, with nnU-Net's patch, batch, network and augmentations. A step is a whole turn of the
loop: reading, cropping, augmenting, forward, loss, backward, clipping, update, record. The loop runs as it
is; after each of its steps nnU-Net's trainer makes one of its own, with its own data loader and
`train_step`, and both networks go alone through forward and backward of a batch, so that each round gives
one ratio of everything. CPU time of one thread; preparation and prediction by worker processes in wall time.

nnU-Net is compared with if it can be imported (`nnunetv2`, `acvl-utils`, `dynamic-network-architectures`;
`pip install --no-deps` will do, without timm).
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import contextlib
import copy
import json
import logging
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import torch
from machine import describe
from tabulate import tabulate
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fairseg.datasets.phantom import write_phantom
from fairseg.training import Settings, loop, predict, train
from fairseg.training.logger import TrainingLogger
from fairseg.training.methods import loss_of, make_loss
from fairseg.training.network import make_network
from fairseg.training.prepare import make_plan, prepare
from fairseg.training.raw import read_raw

PATCH, BATCH, FEATURES, WARM_UP = 128, 12, 32, 2
NAME = "Dataset001_Phantom"
Step = Callable[[], None]


def seconds(step: Step, clock: Callable[[], float] = time.process_time) -> float:
    """Return how long a step takes."""
    start = clock()
    step()
    return clock() - start


def side_by_side(
    raw: Path, folder: Path, settings: Settings, peers: dict[str, Step], network: nn.Module | None = None
) -> dict[str, list[float]]:
    """Run the training loop; after each of its steps time a step of each peer. Return all times."""
    times: dict[str, list[float]] = {name: [] for name in ("fairseg", *peers)}

    class Timed(TrainingLogger):
        mark = 0.0

        def step(self) -> None:
            super().step()
            times["fairseg"].append(time.process_time() - self.mark)
            for name, peer in peers.items():
                times[name].append(seconds(peer))
            self.mark = time.process_time()

    with patch.object(loop, "TrainingLogger", Timed):
        train(raw, folder, settings, network=network, prepared=raw / "prepared")
    return {name: values[WARM_UP:] for name, values in times.items()}


def network_alone(network: nn.Module, channels: int) -> Step:
    """Return a step of the network and nothing else: forward, and backward from ready gradients."""
    network = copy.deepcopy(network).train()
    image = torch.randn(BATCH, channels, PATCH, PATCH)

    def step() -> None:
        outputs = network(image)
        torch.autograd.backward(outputs, [torch.ones_like(output) for output in outputs])

    return step


def gflop(step: Step) -> float:
    """Return the floating-point operations of a step, in billions."""
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops() / 1e9


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what nnU-Net prints to itself."""
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def nnunet_trainer(root: Path) -> Any:
    """Return nnU-Net's own trainer on the same raw dataset, or None without nnU-Net."""
    for kind in ("raw", "preprocessed", "results"):
        os.environ[f"nnUNet_{kind}"] = str(root / kind)
    try:
        from nnunetv2.experiment_planning import plan_and_preprocess_api as nnunet  # noqa: PLC0415
        from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer  # noqa: PLC0415
    except ImportError as error:
        print(f"without nnU-Net: {error}\n", file=sys.stderr)
        return None
    with quiet():
        nnunet.extract_fingerprints([1], num_processes=1, show_progress_bar=False)
        os.environ["nnUNet_n_proc_DA"] = "1"  # noqa: SIM112
        nnunet.plan_experiments([1])
        file = root / "preprocessed" / NAME / "nnUNetPlans.json"
        plans = json.loads(file.read_text())
        plan = plans["configurations"]["2d"]
        plan["batch_size"] = BATCH
        assert plan["patch_size"] == [PATCH, PATCH], plan["patch_size"]
        assert plan["architecture"]["arch_kwargs"]["features_per_stage"][0] == FEATURES
        file.write_text(json.dumps(plans))
        nnunet.preprocess_dataset(1, configurations=("2d",), num_processes=(1,), show_progress_bar=False)
        dataset = json.loads((root / "preprocessed" / NAME / "dataset.json").read_text())
        plans["continue_training"] = False
        trainer = nnUNetTrainer(plans, "2d", 0, dataset, device=torch.device("cpu"))
        trainer.initialize()
        os.environ["nnUNet_n_proc_DA"] = "0"  # noqa: SIM112  (its data loader in this process, as ours)
        trainer.dataloader_train, trainer.dataloader_val = trainer.get_dataloaders()
        trainer.network.train()
    torch.set_num_threads(1)
    return trainer


def steps_table(raw: Path, root: Path, settings: Settings, trainer: Any) -> tuple[str, float]:
    """Compare the steps; return the table, and the CPU seconds of a step of ours."""
    ours = make_network(1, 4, (PATCH, PATCH), features=FEATURES)
    alone = {"fairseg network": network_alone(ours, 1)}
    peers = dict(alone)
    if trainer is not None:
        alone["nnU-Net network"] = network_alone(trainer.network, 1)

        def step() -> None:
            trainer.train_step(next(trainer.dataloader_train))

        peers |= {"nnU-Net": step, "nnU-Net network": alone["nnU-Net network"]}
    times = side_by_side(raw, root / "run", settings, peers)
    middle = {name: statistics.median(values) for name, values in times.items()}

    def ratio(name: str, to: str) -> float:
        return statistics.median(a / b for a, b in zip(times[name], times[to], strict=True))

    rows = []
    pairs = [("fairseg", "fairseg network")]
    if trainer is not None:
        pairs.append(("nnU-Net", "nnU-Net network"))
        same = side_by_side(
            raw, root / "same", settings, {"nnU-Net": peers["nnU-Net"]}, copy.deepcopy(trainer.network)
        )
        with_same = statistics.median(a / b for a, b in zip(same["fairseg"], same["nnU-Net"], strict=True))
    for name, net in pairs:
        over = ratio(name, "nnU-Net") if trainer is not None else float("nan")
        flops = gflop(alone[net])
        rows.append(
            [
                name,
                f"{flops:.0f}",
                f"{middle[name]:.2f} s",
                f"{over:.2f}",
                f"{100 * (1 - ratio(net, name)):.1f} %",
            ]
        )
    if trainer is not None:
        rows.insert(1, ["fairseg, nnU-Net's network", rows[-1][1], "", f"{with_same:.2f}", ""])
    heads = ["a step", "GFLOP", "CPU time", "over nnU-Net", "outside the network"]
    return tabulate(rows, heads), middle["fairseg"]


def losses_table(settings: Settings, whole: float, rounds: int) -> str:
    """Compare group losses with the plain one, on outputs of the network at all scales."""
    torch.manual_seed(0)
    sizes = [PATCH // 2**scale for scale in range(4)]
    outputs = [torch.randn(BATCH, 4, size, size, requires_grad=True) for size in sizes]
    target, groups = torch.randint(0, 4, (BATCH, PATCH, PATCH)), torch.arange(BATCH) % 2
    rows = []
    for base in ("dice_ce", "ce"):
        plain = make_loss(settings.with_(base=base), [90, 10])
        choices = {
            "reweighting": settings.with_(base=base, reweight="mean"),
            "group_dro": settings.with_(base=base, loss="group_dro"),
        }
        for name, choice in choices.items():
            group_loss = make_loss(choice, [90, 10])
            differences, plain_times = [], []
            for turn in range(rounds):
                taken = {}
                for loss in (plain, group_loss) if turn % 2 else (group_loss, plain):
                    taken[loss] = seconds(lambda loss=loss: loss_of(loss, outputs, target, groups).backward())
                plain_times.append(taken[plain])
                differences.append(taken[group_loss] - taken[plain])
            rows.append(
                [
                    name,
                    base,
                    f"{1e3 * statistics.median(plain_times):.1f} ms",
                    f"{100 * statistics.median(differences[2:]) / whole:+.3f} %",
                ]
            )
    return tabulate(rows, ["group loss", "base", "the base alone", "the group loss adds to a step"])


def workers_table(root: Path, raw: Path) -> str:
    """Time preparation and prediction by one and two processes."""
    dataset = read_raw(raw)
    plan = make_plan(dataset, (1.2, 1.2))  # another spacing, so that there is resampling to do
    rows: list[list[str]] = []
    for turn in range(3):
        for workers in (1, 2):
            place, out = root / f"prepared{turn}{workers}", root / f"predicted{turn}{workers}"
            start = time.perf_counter()
            prepare(dataset, plan, place, workers=workers)
            middle = time.perf_counter()
            predict(root / "run", raw / "imagesTs", out, workers=workers)
            preparing, predicting = middle - start, time.perf_counter() - middle
            rows.append([str(workers), f"{preparing:.1f} s", f"{predicting:.1f} s"])
    return tabulate(
        sorted(rows),
        [
            "processes",
            f"preparing {len(dataset.images)} cases",
            f"predicting {len(list(out.iterdir()))} cases",
        ],
    )


def memory_table() -> str:
    """Measure the peak memory of preparing, training and predicting, with few and many cases."""
    rows = []
    for subjects in (10, 100):
        code = f"import training; training.run_small({subjects})"
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parent,
        )
        rows.append([2 * subjects, *done.stdout.split()[-1].split(",")])
    return tabulate(rows, ["cases", "peak memory, MiB", "prepared arrays, MiB"])


def run_small(subjects: int) -> None:
    """Prepare, train, validate and predict a cohort; print the most memory that was held."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        shape = {"White": subjects // 2, "Black": subjects // 2}
        write_phantom(
            root / "raw", subjects=shape, test_subjects=subjects // 2, shape=(256, 256), spacing=1.0
        )
        settings = Settings(
            by=("group",), features=8, patch_size=(128, 128), epochs=1, steps=2 * subjects, batch_size=4
        )
        train(root / "raw", root / "run", settings)
        predict(root / "run", root / "raw" / "imagesTs", root / "out", mirror=False)
        arrays = sum(file.stat().st_size for file in (root / "run" / "prepared").rglob("*.npy"))
        status = Path("/proc/self/status").read_text()  # getrusage counts the parent before exec
        peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
        print(f"{peak / 2**10:.0f},{arrays / 2**20:.0f}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        root = Path(folder)
        raw = root / "raw" / NAME
        write_phantom(
            raw,
            subjects={"White": 16, "Black": 4},
            test_subjects=6,
            shape=(PATCH, PATCH),
            spacing=1.8,
            slices=10,
        )
        settings = Settings(
            by=("group",), features=FEATURES, batch_size=BATCH, epochs=1, steps=rounds + WARM_UP, device="cpu"
        )
        trainer = nnunet_trainer(root)
        print(describe("torch", "monai", "nnunetv2"))
        print(f"batches of {BATCH} patches {PATCH}x{PATCH}, {FEATURES} features at full resolution\n")
        table, whole = steps_table(raw, root, settings, trainer)
        print(table, losses_table(settings, whole, 60), workers_table(root, raw), sep="\n\n", end="\n\n")
    print(memory_table())


if __name__ == "__main__":
    main()
