"""Cost of the group losses: forward + backward on logits (12, 4, 256, 256), beside plain losses.

    make bench        (or: python benchmarks/losses.py)

All take turns in one process on one thread. Times are the median CPU time of the rounds, ratios the median
over the rounds of one time over the peer's in the same round. Memory is the peak of what is allocated on top
of the inputs. nnU-Net is compared with if it can be imported; `pip install --no-deps nnunetv2` will do here.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import torch
import torch.nn.functional as F
from monai.losses import DiceCELoss as MonaiDiceCE
from tabulate import tabulate
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from fairseg import losses
from fairseg.losses import CrossEntropyLoss, DiceCELoss, GroupLoss

SHAPE, GROUPS, REPEATS = (12, 4, 256, 256), 3, 31
Step = Callable[[], Tensor]


def steps(logits: Tensor, target: Tensor, groups: Tensor) -> dict[str, dict[str, Step]]:
    """Return the losses to time, by the kind of their base; the peers of each kind come first."""
    counts = [700, 200, 100]
    cross_entropy: dict[str, GroupLoss] = {
        "ReweightedLoss": losses.ReweightedLoss(counts, CrossEntropyLoss()),
        "GroupDROLoss": losses.GroupDROLoss(GROUPS),
        "WorstGroupLoss": losses.WorstGroupLoss(GROUPS),
        "BalancedGroupLoss": losses.BalancedGroupLoss(GROUPS),
        "CVaRGroupLoss": losses.CVaRGroupLoss(GROUPS),
        "ChiSquareGroupLoss": losses.ChiSquareGroupLoss(GROUPS),
        "VRExLoss": losses.VRExLoss(GROUPS),
        "ParetoMinimaxLoss": losses.ParetoMinimaxLoss(GROUPS),
    }
    dice: dict[str, GroupLoss] = {
        "ReweightedLoss": losses.ReweightedLoss(counts),
        'ReweightedLoss, pool="group"': losses.ReweightedLoss(counts, DiceCELoss(pool="group")),
        'GroupDROLoss, pool="group"': losses.GroupDROLoss(GROUPS, DiceCELoss(pool="group")),
        "FairErrorBoundLoss": losses.FairErrorBoundLoss(GROUPS),
    }

    def step(loss: GroupLoss) -> Step:
        return lambda: loss(logits, target, groups)

    monai = MonaiDiceCE(softmax=True, to_onehot_y=True, include_background=False)
    dice_peers: dict[str, Step] = {"MONAI DiceCELoss": lambda: monai(logits, target.unsqueeze(1))}
    if nnunet := nnunet_loss():
        dice_peers["nnU-Net DC_and_CE_loss"] = lambda: nnunet(logits, target.unsqueeze(1))
    plain: dict[str, Step] = {
        "F.cross_entropy": lambda: F.cross_entropy(logits, target, reduction="none").mean((1, 2)).mean()
    }
    return {
        "cross-entropy": plain | {name: step(loss) for name, loss in cross_entropy.items()},
        "Dice + CE": dice_peers | {name: step(loss) for name, loss in dice.items()},
    }


def nnunet_loss() -> Callable[[Tensor, Tensor], Tensor] | None:
    """Return nnU-Net's own loss as its 2D trainer sets it, or None without nnU-Net."""
    try:
        from nnunetv2.training.loss.compound_losses import DC_and_CE_loss  # noqa: PLC0415
        from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss  # noqa: PLC0415
    except ImportError:
        return None
    dice = {"batch_dice": True, "smooth": 1e-5, "do_bg": False, "ddp": False}
    return DC_and_CE_loss(dice, {}, dice_class=MemoryEfficientSoftDiceLoss)


def cpu_times(fns: dict[str, Step], logits: Tensor) -> dict[str, list[float]]:
    """Return the CPU seconds of forward + backward of each in each round; they take turns."""
    taken: dict[str, list[float]] = {name: [] for name in fns}
    for repeat in range(REPEATS + 3):
        for name, fn in fns.items():
            logits.grad = None
            start = time.process_time()
            fn().backward()
            if repeat >= 3:
                taken[name].append(time.process_time() - start)
    return taken


def ratio(taken: list[float], peer: list[float]) -> float:
    """Return the median over the rounds of one time over the other."""
    return statistics.median(mine / theirs for mine, theirs in zip(taken, peer, strict=True))


def peak_bytes(fn: Step, logits: Tensor) -> int:
    """Return the most that forward + backward hold at once beyond what was there."""
    logits.grad = None
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        fn().backward()
    held = peak = 0
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    for event in sorted(events, key=lambda e: e.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def main() -> None:
    """Print the tables."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    logits = torch.randn(SHAPE, requires_grad=True)
    target = torch.randint(0, SHAPE[1], (SHAPE[0], *SHAPE[2:]))
    groups = torch.arange(SHAPE[0]) % GROUPS
    peers = []
    for name in ("torch", "monai", "nnunetv2"):
        try:
            peers.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            peers.append(f"without {name}")
    print(f"{platform.machine()}, Python {platform.python_version()}, {', '.join(peers)}, one thread\n")
    for kind, fns in steps(logits, target, groups).items():
        seconds = cpu_times(fns, logits)
        memory = {name: peak_bytes(fn, logits) for name, fn in fns.items()}
        references = [name for name in fns if name.startswith(("F.", "MONAI", "nnU-Net"))]
        rows = [
            [name, f"{1e3 * statistics.median(seconds[name]):.1f} ms", f"{memory[name] / 2**20:.1f} MiB"]
            + [f"{ratio(seconds[name], seconds[peer]):.2f}" for peer in references]
            for name in fns
        ]
        print(tabulate(rows, [kind, "CPU time", "peak", *(f"over {p}" for p in references)]), end="\n\n")


if __name__ == "__main__":
    main()
