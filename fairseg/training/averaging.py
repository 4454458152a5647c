"""Weights averaged over the last part of a training, which lie in flatter minima than the last ones.

Izmailov et al. (2018) average the weights of epochs, Cha et al. (2021, SWAD) those of all steps, as here. In
an exponential moving average (Tarvainen & Valpola 2017) steps count the less the older they are.
SWAD ranked high in MEDFAIR (Zong et al. 2023), where no method was significantly fairer than plain training.
"""

from math import ceil, exp
from typing import Any

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


class WeightAverage:
    """The mean of a network's weights after each of the last steps, all alike or fading with age.

    Args:
        network: that is trained; its norms must keep no running statistics, which would not be those of the
            averaged weights. Instance norm, as in the reference network, keeps none.
        share: of all steps that is averaged over; 0 for no average.
        total: number of all steps.
        kind: "mean"; or "ema" for an exponential moving average over all steps, in which weights as old as
            that share of them count 1/e. It begins faster: after n steps it keeps (1 + n)/(10 + n) at most.

    Raises:
        ValueError: a norm keeps running statistics.
    """

    def __init__(self, network: nn.Module, share: float, total: int, kind: str = "mean") -> None:
        last = ceil(share * total)

        def fade(mean: Tensor, weight: Tensor, number: Tensor | int) -> Tensor:
            decay = min(exp(-1.0 / last), (1 + int(number)) / (10 + int(number)))
            return mean + (1.0 - decay) * (weight - mean)  # to the last bit where they are equal

        self.live, self.first = network, 0 if kind == "ema" else total - last
        self.averaged = AveragedModel(network, avg_fn=fade if kind == "ema" else None) if share else None
        if share and (running := [name for name, _ in network.named_buffers() if "running_" in name]):
            raise ValueError(
                f"average: the network keeps running statistics ({running[0]}), which are not those of "
                "averaged weights: take norms without, or average 0"
            )

    def step(self, step: int) -> None:
        """Take the weights after a step, counted from 0."""
        if self.averaged is not None and step >= self.first:
            self.averaged.update_parameters(self.live)

    @property
    def network(self) -> nn.Module:
        """The network to use: of the averaged weights, once there are any."""
        if self.averaged is None or not int(self.averaged.n_averaged):
            return self.live
        return self.averaged.module

    def state_dict(self) -> dict[str, Any]:
        """Return the average so far."""
        return {} if self.averaged is None else self.averaged.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with an average."""
        if self.averaged is not None:
            self.averaged.load_state_dict(state)
