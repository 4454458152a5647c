"""Cost of the group losses: forward + backward on logits (12, 4, 256, 256), beside plain losses.

    make bench        (or: python benchmarks/losses.py)

Each takes turns with its peer in one process on one thread: CPU time, and the median ratio of the rounds.
Memory is the peak of what is allocated on top of the inputs. nnU-Net is compared with if it can be imported;
`pip install --no-deps nnunetv2` will do here.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from machine import describe
from monai.losses import DiceCELoss as MonaiDiceCE
from tabulate import tabulate
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from fairseg import losses
from fairseg.losses import CrossEntropyLoss, DiceCELoss, GroupLoss

SHAPE, GROUPS, REPEATS = (12, 4, 256, 256), 3, 101
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


def side_by_side(step: Step, peer: Step, logits: Tensor) -> tuple[float, float]:
    """Return the median CPU seconds of forward + backward, and the median ratio to the peer's.

    Each round times both, in turns of who is first, and gives one ratio: what slows the machine for a
    while slows both.
    """
    times, ratios = [], []
    for turn in range(REPEATS + 4):
        taken = {}
        for fn in (step, peer) if turn % 2 else (peer, step):
            logits.grad = None
            start = time.process_time()
            fn().backward()
            taken[fn] = time.process_time() - start
        if turn >= 4:
            times.append(taken[step])
            ratios.append(taken[step] / taken[peer])
    return statistics.median(times), statistics.median(ratios)


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
    print(describe("torch", "monai", "nnunetv2"), end="\n\n")
    for kind, fns in steps(logits, target, groups).items():
        references = [name for name in fns if name.startswith(("F.", "MONAI", "nnU-Net"))]
        rows = []
        for name, fn in fns.items():
            pairs = [side_by_side(fn, fns[peer], logits) for peer in references]
            memory = peak_bytes(fn, logits) / 2**20
            ratios = [f"{ratio:.2f}" for _, ratio in pairs]
            rows.append([name, f"{1e3 * pairs[0][0]:.1f} ms", f"{memory:.1f} MiB", *ratios])
        print(tabulate(rows, [kind, "CPU time", "peak", *(f"over {p}" for p in references)]), end="\n\n")


if __name__ == "__main__":
    main()
