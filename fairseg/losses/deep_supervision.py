"""Deep supervision: one group loss on the outputs of several resolutions."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from fairseg.cohort.vectors import Vector
from fairseg.losses.group_loss import GroupLoss
from fairseg.losses.grouping import plain, precise


class DeepSupervision(nn.Module):
    """A group loss of a list of outputs, from full resolution down, as nnU-Net's networks return them.

    A group's loss is the weighted sum of its losses at all scales, and the group objective is computed once
    from that. So group weights move once a step, by the loss that is minimised. (`FairErrorBoundLoss` is no
    objective of the groups' losses: its value is the weighted sum over the scales.)

    Args:
        loss: any group loss of this package.
        weights: weight of each output, in the order of the list. Outputs of weight 0 are left out.
            nnU-Net takes 1, 1/2, 1/4, ... with 0 for the lowest resolution, divided by their sum.

    Raises:
        ValueError: weights are negative or all 0, or there are not as many outputs or targets.
    """

    def __init__(self, loss: GroupLoss, weights: Sequence[float]) -> None:
        super().__init__()
        if not isinstance(loss, GroupLoss):
            raise ValueError(f"loss must be a group loss, got {type(loss).__name__}")
        self.weights = tuple(float(weight) for weight in weights)
        if not any(self.weights) or not all(0 <= weight < float("inf") for weight in self.weights):
            raise ValueError(f"weights must be 0 or more, and one of them positive, got {list(self.weights)}")
        self.loss = loss

    def forward(
        self, outputs: Sequence[Tensor], targets: Tensor | Sequence[Tensor], groups: Tensor | Vector = None
    ) -> Tensor:
        """Return the loss.

        Args:
            outputs: logits (B, C, *S_i) at each scale.
            targets: one for each output; or a single one, which is resized to each by nearest neighbour.
            groups: group ids or names, (B,), as in `GroupLoss`.
        """
        if hasattr(outputs, "shape"):
            raise ValueError(
                "outputs must be a list, one tensor a scale, got a tensor: of outputs that are stacked, as"
                " MONAI's DynUNet's, torch.unbind(outputs, 1) is the list; in evaluation take the base loss"
            )
        if isinstance(targets, Tensor):
            targets = [_resize(plain(targets), output) for output in outputs]
        if not len(outputs) == len(targets) == len(self.weights):
            raise ValueError(
                f"outputs and targets must be as many as the weights, {len(self.weights)},"
                f" got {len(outputs)} and {len(targets)}"
            )
        used = [scale for scale, weight in enumerate(self.weights) if weight > 0]
        return self.loss.forward_scales(
            [outputs[scale] for scale in used],
            [targets[scale] for scale in used],
            groups,
            [self.weights[scale] for scale in used],
        )


def _resize(target: Tensor, output: Tensor) -> Tensor:
    size = output.shape[2:]
    if target.shape[-len(size) :] == size:
        return target
    image = target if target.ndim == output.ndim else target.unsqueeze(1)
    # As floats, on every device that interpolates: exact for every label, in float32 for those below 2**24.
    small = F.interpolate(precise(image), size=size, mode="nearest-exact").to(target.dtype)
    return small if target.ndim == output.ndim else small.squeeze(1)
