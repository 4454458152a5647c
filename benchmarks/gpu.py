"""What fairseg costs on a GPU, in one table and at most eight minutes: ready to be run wherever there is one.

    python benchmarks/gpu.py            (on a CPU, to see that it runs: --small)

Needs torch, numpy, scipy, pandas and this package, no network, no data. MONAI's HD95, with cuCIM or without,
is timed where it can be imported. Times are medians of wall-clock seconds around synchronised calls, after
warming up; a share of a step is that of a training step of the U-Net below on the same batch, without its
loss.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from machine import describe
from torch import Tensor, nn

from fairseg import losses
from fairseg.losses import DeepSupervision, DiceCELoss, GroupLoss
from fairseg.metrics import masks, score_case
from fairseg.samplers import GroupBatchSampler

METRICS = ("dice", "hd", "hd95", "assd", "nsd")
GROUPS = 3
Rows = list[tuple[str, str, str]]  # what, how long, beside what


class UNet(nn.Module):
    """A plain 2D U-Net of nnU-Net's shape: two convolutions a stage, instance norm, outputs at all scales."""

    def __init__(self, classes: int, features: int, stages: int) -> None:
        super().__init__()
        widths = [min(features * 2**stage, 512) for stage in range(stages)]
        self.down = nn.ModuleList(
            self._block(before, width, 1 + (stage > 0))
            for stage, (before, width) in enumerate(zip([1, *widths], widths, strict=False))
        )
        pairs = list(pairwise(widths))[::-1]
        self.rise = nn.ModuleList(nn.ConvTranspose2d(deep, width, 2, 2) for width, deep in pairs)
        self.up = nn.ModuleList(self._block(2 * width, width, 1) for width, _ in pairs)
        self.heads = nn.ModuleList(nn.Conv2d(width, classes, 1) for width, _ in pairs)

    @staticmethod
    def _block(before: int, width: int, stride: int) -> nn.Sequential:
        parts: list[nn.Module] = []
        for number in range(2):
            first = number == 0
            parts += [
                nn.Conv2d(before if first else width, width, 3, stride if first else 1, 1),
                nn.InstanceNorm2d(width, affine=True),
                nn.LeakyReLU(0.01, inplace=True),
            ]
        return nn.Sequential(*parts)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return logits, the largest first."""
        seen = []
        for block in self.down:
            image = block(image)
            seen.append(image)
        outputs = []
        for rise, block, head, skip in zip(self.rise, self.up, self.heads, seen[-2::-1], strict=True):
            image = block(torch.cat([rise(image), skip], dim=1))
            outputs.append(head(image))
        return outputs[::-1]


class Bench:
    """The sizes, the device and its clock."""

    def __init__(self, *, small: bool) -> None:
        self.cuda = torch.cuda.is_available()
        self.device = torch.device("cuda" if self.cuda else "cpu")
        self.small, self.repeats = small, 3 if small else 30
        self.batch, self.side, self.features = (4, 32, 4) if small else (12, 256, 32)
        self.volumes = [(8, 24, 20)] if small else [(10, 256, 216), (96, 256, 256), (160, 384, 384)]

    def seconds(self, call: Callable[[], Any], repeats: int | None = None) -> float:
        """Return the median time of a call, after two to warm up."""
        times = []
        for number in range(2 + (repeats or self.repeats)):
            self.wait()
            start = time.perf_counter()
            call()
            self.wait()
            times.append(time.perf_counter() - start if number > 1 else float("nan"))
        return statistics.median(times[2:])

    def wait(self) -> None:
        """Wait for the device."""
        if self.cuda:
            torch.cuda.synchronize()

    def data(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return a batch: images, labels, groups."""
        drawn = torch.Generator().manual_seed(0)
        image = torch.randn(self.batch, 1, self.side, self.side, generator=drawn)
        target = torch.randint(0, 4, (self.batch, self.side, self.side), generator=drawn)
        groups = torch.arange(self.batch) % GROUPS
        image, target, groups = (part.to(self.device) for part in (image, target, groups))
        return image, target, groups


def ms(seconds: float) -> str:
    """Return milliseconds as text."""
    return f"{1000 * seconds:.2f} ms"


def heart(shape: tuple[int, ...], seed: int) -> np.ndarray[Any, Any]:
    """Return nested ellipsoids of three labels, whose boundaries waver by a seed."""
    rng = np.random.default_rng(seed)
    grid = np.meshgrid(*(np.linspace(-1, 1, length) for length in shape), indexing="ij", sparse=True)
    waves = sum(
        rng.normal() * 0.04 * np.sin(rng.integers(2, 6) * np.pi * axis + rng.normal()) for axis in grid
    )
    radius = (
        np.sqrt(sum((axis / size) ** 2 for axis, size in zip(grid, (0.8, 0.6, 0.5), strict=True))) + waves
    )
    return np.digitize(-radius, [-1.0, -0.8, -0.6]).astype(np.uint8)


def metrics(bench: Bench) -> Rows:
    """Time all metrics of three labels on the device, on the CPU, and MONAI's HD95."""
    rows: Rows = []
    spacing = (2.0, 1.0, 1.0)

    def score(pair: Sequence[Any]) -> dict[str, Any]:
        return score_case(*pair, labels=(1, 2, 3), spacing=spacing, metrics=METRICS, tolerance=1.0)

    for shape in bench.volumes:
        pair = heart(shape, 1), heart(shape, 2)
        tensors = [torch.from_numpy(mask).to(bench.device) for mask in pair]
        there, here = score(tensors), score(pair)
        worst = max(float(np.nanmax(np.abs(there[name] - here[name]))) for name in METRICS)
        on_device, on_cpu = bench.seconds(partial(score, tensors), 5), bench.seconds(partial(score, pair), 3)
        beside = f"CPU {ms(on_cpu)}; largest difference {worst:.1g}"
        if find_spec("monai") and not bench.small:
            from monai.metrics import compute_hausdorff_distance  # noqa: PLC0415

            hot = [torch.stack([mask == label for label in (1, 2, 3)])[None] for mask in tensors]
            call = partial(compute_hausdorff_distance, *hot, percentile=95, spacing=spacing)
            beside += f"; MONAI HD95 alone {ms(bench.seconds(call, 2))}"
        what = f"Dice, HD, HD95, ASSD, NSD of 3 labels, {' x '.join(map(str, shape))}"
        rows.append((what, ms(on_device), beside))
    return rows


def objectives() -> dict[str, GroupLoss]:
    """Return every group loss, on Dice + CE where it can be."""
    counts = [700, 200, 100]
    return {
        "ReweightedLoss": losses.ReweightedLoss(counts),
        "GroupDROLoss": losses.GroupDROLoss(GROUPS, DiceCELoss()),
        'GroupDROLoss, pool="group"': losses.GroupDROLoss(GROUPS, DiceCELoss(pool="group")),
        "WorstGroupLoss": losses.WorstGroupLoss(GROUPS, DiceCELoss()),
        "BalancedGroupLoss": losses.BalancedGroupLoss(GROUPS, DiceCELoss()),
        "BalancedGroupLoss, CVaR within": losses.BalancedGroupLoss(
            GROUPS, DiceCELoss(), within_group="cvar", alpha=0.5
        ),
        "CVaRGroupLoss": losses.CVaRGroupLoss(GROUPS, DiceCELoss()),
        "ChiSquareGroupLoss": losses.ChiSquareGroupLoss(GROUPS, DiceCELoss()),
        "VRExLoss": losses.VRExLoss(GROUPS, DiceCELoss()),
        "ParetoMinimaxLoss": losses.ParetoMinimaxLoss(GROUPS, DiceCELoss()),
        "FairErrorBoundLoss": losses.FairErrorBoundLoss(GROUPS),
    }


@contextmanager
def no_waiting(bench: Bench) -> Iterator[None]:
    """Let whatever waits for the GPU raise."""
    if bench.cuda:
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        if bench.cuda:
            torch.cuda.set_sync_debug_mode("default")


def group_losses(bench: Bench, step: float) -> Rows:
    """Time each loss forward and backward: without a wait, in bf16, in a CUDA graph, compiled."""
    rows: Rows = []
    _, target, groups = bench.data()
    logits = torch.randn(bench.batch, 4, bench.side, bench.side, device=bench.device, requires_grad=True)
    half = logits.detach().bfloat16().requires_grad_()
    for name, loss in objectives().items():
        loss.to(bench.device).check = False

        def call(given: Tensor = logits, loss: Any = loss) -> None:
            given.grad = None
            loss(given, target, groups).backward()

        plain = bench.seconds(call)
        with no_waiting(bench):
            call()
        notes = [f"{plain / step:.1%} of a step", f"bf16 {ms(bench.seconds(lambda: call(half)))}"]
        if bench.cuda:
            notes += ["waits for nothing", f"graph {_graph(bench, call)}"]
        if not bench.small:
            compiled = torch.compile(loss, mode="reduce-overhead" if bench.cuda else "default")
            notes.append(f"compiled {ms(bench.seconds(lambda: call(logits, compiled)))}")  # noqa: B023
        rows.append((name, ms(plain), ", ".join(notes)))
    return rows


def _graph(bench: Bench, call: Callable[[], None]) -> str:
    """Return the time of a loss in a CUDA graph, or why it can't be in one."""
    try:
        side = torch.cuda.Stream()
        with torch.cuda.stream(side):
            call()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            call()
        return ms(bench.seconds(graph.replay))
    except RuntimeError as error:
        torch.cuda.synchronize()
        return f"fails: {str(error).splitlines()[0][:60]}"


def make_step(bench: Bench, dtype: torch.dtype | None, *, last: bool, compiled: bool) -> Callable[..., None]:
    """Return a training step of a new U-Net with Group DRO, or with next to no loss."""
    image, target, groups = bench.data()
    stages = 3 if bench.small else 6
    network: Any = UNet(4, bench.features, stages).to(bench.device)
    if last:
        network = network.to(memory_format=torch.channels_last)
        image = image.contiguous(memory_format=torch.channels_last)
    weights = [1.0 / 2**scale for scale in range(stages - 1)]
    loss = DeepSupervision(losses.GroupDROLoss(GROUPS, DiceCELoss()), weights).to(bench.device)
    optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.99, nesterov=True, foreach=True)
    scaler = torch.amp.GradScaler(bench.device.type, enabled=dtype == torch.float16)
    run = torch.compile(network) if compiled else network

    def step(*, with_loss: bool = True) -> None:
        with nullcontext() if dtype is None else torch.autocast(bench.device.type, dtype):
            outputs = run(image)
        plain = sum(one.float().mean() for one in outputs)
        value = loss(outputs, target, groups) if with_loss else plain
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(value).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(network.parameters(), 12.0, foreach=True)
        scaler.step(optimizer)
        scaler.update()

    return step


def training(bench: Bench) -> tuple[Rows, float]:
    """Time a step of the U-Net in each precision; return the rows, and its seconds without a loss."""
    kinds = {"float32": (None, False, False), "bfloat16": (torch.bfloat16, False, False)}
    if bench.cuda:
        kinds["float16"] = (torch.float16, False, False)
        kinds["bfloat16, channels last"] = (torch.bfloat16, True, False)
    if not bench.small:
        kinds["bfloat16, compiled"] = (torch.bfloat16, False, True)
    rows: Rows = []
    alone = float("nan")
    repeats = 3 if bench.small else 15
    for name, (dtype, last, compiled) in kinds.items():
        step = make_step(bench, dtype, last=last, compiled=compiled)
        if bench.cuda:
            torch.cuda.reset_peak_memory_stats()
        took, without = bench.seconds(step, repeats), bench.seconds(partial(step, with_loss=False), repeats)
        alone = without if np.isnan(alone) else alone
        memory = f", {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB" if bench.cuda else ""
        rate = f"{bench.batch / took:.0f} samples a second{memory}"
        rows.append(
            (f"step of a U-Net, {name}", ms(took), f"{rate}; Group DRO adds {took / without - 1:.1%}")
        )
    return rows, alone


def sampler(bench: Bench, step: float) -> Rows:
    """Time the batches of a large cohort."""
    number = 20_000 if bench.small else 1_000_000
    ids = np.random.default_rng(0).choice(6, number, p=[0.7, 0.15, 0.1, 0.03, 0.015, 0.005])
    batches = GroupBatchSampler(ids, bench.batch, num_batches=500)
    start = time.perf_counter()
    drawn = sum(1 for _ in batches)
    each = (time.perf_counter() - start) / drawn
    return [
        (
            f"batch of GroupBatchSampler, {number:,} samples",
            ms(each),
            f"{each / step:.2%} of a step, on the CPU",
        )
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="tiny sizes: does it run?")
    bench = Bench(small=parser.parse_args().small)
    name = torch.cuda.get_device_name() if bench.cuda else "no GPU: the figures are of the CPU"
    if not bench.cuda:  # the code of tensors all the same
        masks._on_accelerator = lambda *given: all(map(torch.is_tensor, given))
    print(f"{name}; {describe('torch', 'numpy', 'monai', 'cupy', 'cucim', 'nnunetv2')}\n")
    print("| what | time | beside |\n| --- | --- | --- |")
    steps, alone = training(bench)
    for rows in (metrics(bench), steps, group_losses(bench, alone), sampler(bench, alone)):
        for row in rows:
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
