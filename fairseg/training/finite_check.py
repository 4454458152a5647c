"""Stop a training at the first loss, gradient or weight that is not finite."""

from math import isfinite

import torch
from torch import Tensor, nn

from fairseg.training.data import TrainingData
from fairseg.training.ranks import ProcessGroup

_GPU_INTERVAL = 25  # steps between two checks on a GPU, which waits for each check


class FiniteCheck:
    """Checks the loss and the gradient of each step, on a GPU some steps later, and averages the losses.

    Args:
        data: whose training cases the batches hold.
        processes: whose joint batches they are; the loss is that of the joint batch, so all stop together.
        device: of the losses.
        scaled: gradients are scaled for float16; one that is not finite is then skipped and is no error.
    """

    def __init__(
        self, data: TrainingData, processes: ProcessGroup, device: torch.device, *, scaled: bool
    ) -> None:
        self.data, self.processes, self.scaled = data, processes, scaled
        self.interval = _GPU_INTERVAL if device.type == "cuda" else 1
        self._losses: list[Tensor] = []
        self._samples: list[Tensor] = []
        self._unchecked: list[tuple[int, Tensor, Tensor, Tensor]] = []

    def step(self, number: int, loss: Tensor, norm: Tensor, cases: Tensor, samples: Tensor) -> None:
        """Take a step's number, its loss, the norm of its gradient, and the cases of the batch.

        `samples` are the numbers of samples of each group, (G,), in the loss.

        Raises:
            RuntimeError: one is not finite; the message names the step, and the cases with their groups.
        """
        self._losses.append(loss.detach())
        self._samples.append(samples.sum())
        self._unchecked.append((number, loss.detach(), norm.detach(), cases))
        if len(self._unchecked) == self.interval:
            self._check()

    def end_epoch(self, network: nn.Module) -> float:
        """Return the epoch's mean loss, over the steps with something to learn from.

        Raises:
            RuntimeError: a loss, gradient or weight is not finite; or there was no such step.
        """
        self._check()
        for name, weight in network.state_dict().items():
            if weight.is_floating_point() and not bool(weight.isfinite().all()):
                raise RuntimeError(
                    f"{name} of the network is not finite any more; the checkpoint before is kept"
                )
        counted = torch.stack(self._losses)[torch.stack(self._samples) > 0]
        self._losses.clear()
        self._samples.clear()
        if not counted.numel():
            raise RuntimeError(
                "no patch of the epoch had an annotated pixel, or where groups count one of a known group"
            )
        return float(counted.mean())

    def _check(self) -> None:
        if not self._unchecked:
            return
        numbers, losses, norms, batches = zip(*self._unchecked, strict=True)
        self._unchecked.clear()
        values = zip(torch.stack(losses).tolist(), torch.stack(norms).tolist(), strict=True)
        for number, (loss, norm), cases in zip(numbers, values, batches, strict=True):
            if not isfinite(loss):
                raise RuntimeError(f"step {number}: the loss is {loss}; {self._batch_text(cases)}")
            if not (isfinite(norm) or self.scaled):
                text = self._batch_text(cases)
                raise RuntimeError(f"step {number}: the norm of the gradient is {norm}; {text}")

    def _batch_text(self, cases: Tensor) -> str:
        train = self.data.train
        positions = sorted({case for part in self.processes.gather(cases.tolist()) for case in part})
        names = (
            f"{train.cases[case].name} ({self.data.groups.name(int(train.groups[case]))})"
            for case in positions
        )
        return f"the batch held {', '.join(names)}"
