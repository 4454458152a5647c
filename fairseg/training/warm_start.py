"""Start from a trained network, and keep parts of it as they are: fine-tuning and last-layer retraining.

On balanced batches the first is balanced fine-tuning; with all but the last layer frozen it is deep feature
reweighting (Kirichenko et al. 2023, arXiv 2204.02937).
"""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from fairseg.io.sentences import counted
from fairseg.training.checkpoint import CHECKPOINT, case_code, load_whole_run, weights_to_use
from fairseg.training.data import ChosenCases
from fairseg.training.network import check_weights, load_weights
from fairseg.training.settings import Settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Start:
    """The network of another run, to start from."""

    folder: Path
    weights: dict[str, Tensor]

    @property
    def owner(self) -> str:
        """The run, as messages call it."""
        return f"init: the run in {self.folder}"

    @cached_property
    def digest(self) -> str:
        """A digest of the weights."""
        digest = hashlib.blake2b(digest_size=8)
        for name, weight in sorted(self.weights.items()):
            digest.update(name.encode() + weight.contiguous().cpu().numpy().tobytes())
        return digest.hexdigest()


def read_start(
    folder: str | Path | None, chosen: ChosenCases, settings: Settings, network: nn.Module | None = None
) -> Start | None:
    """Read the network of a run, for training on these cases; `None` for no run.

    Args:
        folder: of the run.
        chosen: the cases.
        settings: of the training.
        network: that will be trained; default: the reference U-Net of these settings.

    Raises:
        ValueError: there is no whole checkpoint, or the run has other channels or labels, or another network
            as far as the cases' headers tell; `begin` sees the rest.
    """
    if folder is None:
        return None
    saved = load_whole_run(Path(folder) / CHECKPOINT)
    run = saved["run"]
    order = chosen.raw.order
    expected = {
        "channels": list(chosen.raw.channels),
        "labels": chosen.raw.labels,
        "regions_class_order": order and list(order),
    }
    for name in ("channels", "labels"):
        if run[name] != expected[name]:
            raise ValueError(
                f"init: the run in {folder} has {name} {run[name]}, the data has {expected[name]}"
            )
    start = Start(Path(folder), weights_to_use(saved))
    if network is None and (patch_size := chosen.patch_size(settings)) is not None:
        check_weights({**expected, "patch_size": patch_size}, settings, start.weights, start.owner)
    held_out = set(map(case_code, chosen.validation["case"]))
    if trained_on := held_out & set(map(case_code, run["train"])):
        number = counted(len(trained_on), "case")
        logger.warning("init: %s has trained on %s of this run's validation: too good there", folder, number)
    return start


def begin(network: nn.Module, start: Start | None, part: str) -> nn.Module:
    """Return a network with the weights to start from, if there are any, and a part of it frozen.

    Raises:
        ValueError: the weights are of another network, or it does not say what its parts are.
    """
    if start is not None:
        load_weights(network, start.weights, start.owner)
    freeze(network, part)
    return network


def freeze(network: nn.Module, part: str) -> None:
    """Let a part of a network learn no more.

    Args:
        network: the reference U-Net, or one with the methods `encoder()` and `last_layers()`, which return
            modules.
        part: "none", "encoder", or "all-but-head": all but the last layer, of each output if there are more.

    Raises:
        ValueError: the network does not say what its parts are.
    """
    if part == "none":
        return
    stated: Any = network
    if not (hasattr(stated, "encoder") and hasattr(stated, "last_layers")):
        raise ValueError(
            f"freeze {part}: {type(network).__name__} must have the methods encoder() and last_layers(), "
            "which return its modules; or set requires_grad of its parameters yourself"
        )
    for module in stated.encoder() if part == "encoder" else [network]:
        module.requires_grad_(False)
    if part == "all-but-head":
        for module in stated.last_layers():
            module.requires_grad_(True)


def set_training(network: nn.Module) -> None:
    """Put a network into training mode, but for its frozen parts: a norm there keeps its statistics."""
    network.train()
    for part in frozen_parts(network):
        part.eval()


def frozen_parts(module: nn.Module) -> Iterator[nn.Module]:
    """Return the largest parts of a network that have parameters none of which learns.

    >>> network = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), nn.Linear(2, 1))
    >>> network[0].requires_grad_(False) in list(frozen_parts(network))
    True
    """
    learns = [parameter.requires_grad for parameter in module.parameters()]
    if learns and not any(learns):
        yield module
        return
    for child in module.children():
        yield from frozen_parts(child)
