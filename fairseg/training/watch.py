"""The steps of an epoch as they go by: their mean loss, and a stop at the first that is not finite."""

from math import isfinite

import torch
from torch import Tensor, nn

from fairseg.training.data import Data
from fairseg.training.ranks import Ranks

_CHECK_EVERY = 25  # steps, on a GPU, which would have to wait for a look at each loss


class Watch:
    """Looks at the loss and the gradient of each step, on a GPU some steps later.

    Args:
        data: whose training cases the batches hold.
        ranks: whose joint batches they are; the loss is that of the joint batch, so all stop together.
        device: of the losses.
        scaled: gradients are scaled for float16, where one that is not finite is skipped and no fault.
    """

    def __init__(self, data: Data, ranks: Ranks, device: torch.device, *, scaled: bool) -> None:
        self.data, self.ranks, self.scaled = data, ranks, scaled
        self.every = _CHECK_EVERY if device.type == "cuda" else 1
        self.losses: list[Tensor] = []
        self._unseen: list[tuple[int, Tensor, Tensor, Tensor]] = []

    def step(self, number: int, loss: Tensor, norm: Tensor, cases: Tensor) -> None:
        """Take a step's number, its loss, the norm of its gradient, and the cases of the batch.

        Raises:
            RuntimeError: one is not finite; the message names the step, and the cases with their groups.
        """
        self.losses.append(loss.detach())
        self._unseen.append((number, loss.detach(), norm.detach(), cases))
        if len(self._unseen) == self.every:
            self._look()

    def finish(self, network: nn.Module) -> float:
        """End an epoch: return its mean loss, if all is finite, the network's weights too."""
        self._look()
        for name, weight in network.state_dict().items():
            if weight.is_floating_point() and not bool(weight.isfinite().all()):
                raise RuntimeError(
                    f"{name} of the network is not finite any more; the checkpoint before is kept"
                )
        mean = float(torch.stack(self.losses).mean())
        self.losses.clear()
        return mean

    def _look(self) -> None:
        if not self._unseen:
            return
        numbers, losses, norms, cases = zip(*self._unseen, strict=True)
        self._unseen.clear()
        pairs = zip(torch.stack(losses).tolist(), torch.stack(norms).tolist(), strict=True)
        for number, (loss, norm), batch in zip(numbers, pairs, cases, strict=True):
            if not isfinite(loss):
                raise RuntimeError(f"step {number}: the loss is {loss}; {self._who(batch)}")
            if not (isfinite(norm) or self.scaled):
                raise RuntimeError(f"step {number}: the norm of the gradient is {norm}; {self._who(batch)}")

    def _who(self, cases: Tensor) -> str:
        batch = sorted({case for part in self.ranks.gather(cases.tolist()) for case in part})
        train = self.data.train
        names = (
            f"{train.cases[one].name} ({self.data.groups.name(int(train.groups[one]))})" for one in batch
        )
        return f"the batch held {', '.join(names)}"
