"""The attribute head of a training: which features it sees, and the term that it adds to the loss."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from fairseg.losses import AttributeHead, HookedFeatures
from fairseg.training.data import TrainingData
from fairseg.training.logger import by_name
from fairseg.training.ranks import ProcessGroup
from fairseg.training.settings import Settings


class AttributeTerm(nn.Module):
    """Adds the term of an attribute head on the network's last batch; nothing where there is no head.

    Args:
        network: that is trained; hooked until the end of a `with` block.
        settings: whether there is a head, which layer it sees, and what it weighs.
        data: whose groups the head tells apart.
        processes: all of them average the head's gradients.
        device: of the network.

    Raises:
        ValueError: there is one group only, or the network has no such layer.
    """

    def __init__(
        self,
        network: nn.Module,
        settings: Settings,
        data: TrainingData,
        processes: ProcessGroup,
        device: torch.device,
    ) -> None:
        super().__init__()
        self.weight, self._accuracy = settings.head_weight, list[Tensor]()
        self.head: AttributeHead | None = None
        if settings.attribute_head == "none":
            return
        if len(data.groups) < 2:
            raise ValueError(f"attribute_head needs two groups to train, got {', '.join(data.groups.names)}")
        self.features = HookedFeatures(network, settings.head_layer)
        image = torch.zeros(1, len(data.raw.channels), *data.patch_size, device=device)
        network.eval()
        with torch.no_grad():
            network(image)
        reverse = settings.attribute_head == "adversarial"
        self.head = AttributeHead(
            data.groups,
            self.features.take().shape[1],
            reverse=reverse,
            warm_up=settings.epochs * settings.steps if reverse else 0,
            group_counts=data.counts,
        )
        # How often groups are drawn, which are no whole numbers; only their ratios matter.
        shares = _shares(settings, data.counts)
        self.head.loss._keep_positive("group_counts", shares, "group_counts", whole=False)
        self.head.to(device)
        self.head.loss.check = False  # FiniteCheck does it
        # In a tuple, so that it is no part of the state: a run can go on with another number of processes.
        self._joint = (self.head if processes.world == 1 else DistributedDataParallel(self.head),)

    def forward(self, value: Tensor, groups: Tensor) -> Tensor:
        """Return the loss of the batch that the network has just seen, with the term."""
        if self.head is None:
            return value
        term: Tensor = self._joint[0](self.features.take(), groups)
        self._accuracy.append(self.head.group_accuracy.clone())
        return value + self.weight * term

    def end_epoch(self) -> dict[str, Any]:
        """Return the head's mean accuracy for each group, over the batches that had it, for the log."""
        if self.head is None or self.head.names is None:
            return {}
        mean = torch.stack(self._accuracy).nanmean(dim=0).tolist()
        self._accuracy.clear()
        return {"head_accuracy": by_name(self.head.names, mean)}

    def __enter__(self) -> "AttributeTerm":
        return self

    def __exit__(self, *error: object) -> None:
        if self.head is not None:
            self.features.remove()


def _shares(settings: Settings, counts: list[int]) -> list[float]:
    """Return how often each group is drawn, up to a factor, so that the head weighs all groups alike."""
    if settings.sampler == "natural":
        return [float(count) for count in counts]
    even, total = settings.balance / len(counts), sum(counts)
    return [even + (1.0 - settings.balance) * count / total for count in counts]
