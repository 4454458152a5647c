"""Weights averaged over the last part of a training, which lie in flatter minima than the last ones.

Izmailov et al. (2018) average the weights of epochs, Cha et al. (2021, SWAD) those of all steps, as here.
SWAD ranked high in MEDFAIR (Zong et al. 2023), where no method was significantly fairer than plain training.
"""

from math import ceil
from typing import Any

from torch import nn
from torch.optim.swa_utils import AveragedModel


class WeightAverage:
    """The mean of a network's weights after each of the last steps, all alike.

    Args:
        network: that is trained; its norms must keep no running statistics, which would not be those of the
            averaged weights. Instance norm, as in the reference network, keeps none.
        share: of all steps that is averaged over; 0 for no average.
        total: number of all steps.

    Raises:
        ValueError: a norm keeps running statistics.
    """

    def __init__(self, network: nn.Module, share: float, total: int) -> None:
        self.live, self.first = network, total - ceil(share * total)
        self.averaged = AveragedModel(network) if share else None
        if share and (kept := [name for name, _ in network.named_buffers() if "running_" in name]):
            raise ValueError(
                f"average: the network keeps running statistics ({kept[0]}), which are not those of averaged "
                "weights: take norms without, or average 0"
            )

    def step(self, step: int) -> None:
        """Take the weights after a step, counted from 0."""
        if self.averaged is not None and step >= self.first:
            self.averaged.update_parameters(self.live)

    @property
    def network(self) -> nn.Module:
        """The network to use: of the averaged weights, once there are any."""
        begun = self.averaged is not None and int(self.averaged.n_averaged) > 0
        return self.averaged.module if begun and self.averaged is not None else self.live

    def state_dict(self) -> dict[str, Any]:
        """Return the average so far."""
        return {} if self.averaged is None else self.averaged.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with an average."""
        if self.averaged is not None:
            self.averaged.load_state_dict(state)
