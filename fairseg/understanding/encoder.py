"""The second model that reads groups: the encoder of the reference network, trained on balanced batches.

The way down of the network that `fairseg train` trains, the mean of its last features over the image, and one
linear layer. It starts the same way in every fold of every deal of the groups, and is thrown away after it.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d, cross_entropy
from tqdm.auto import tqdm

from fairseg.samplers import GroupBatchSampler
from fairseg.training.machine import pick_device
from fairseg.training.network import make_network

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_PIXELS = 20  # along each axis, means of the pixels of a view
_FEATURES = 8
_BATCH, _PASSES, _FEWEST_STEPS = 16, 10, 10
_LEARNING_RATE = 1e-2


class EncoderReader:
    """Reads groups from one view of images, (N, C, levels, y, x); channels times levels enter the network.

    Args:
        name: of the view.
        view: of all subjects.
        number: of groups.
        seed: of the network's start and of the batches.
        device: where it trains, as `fairseg train` takes it.
        progress: show a bar on stderr if it is a terminal.
    """

    def __init__(
        self,
        name: str,
        view: npt.NDArray[np.floating],
        number: int,
        *,
        seed: int = 0,
        device: str = "cpu",
        progress: bool = False,
    ) -> None:
        images = torch.from_numpy(view.reshape(len(view), -1, *view.shape[-2:]).astype(np.float32))
        height, width = (min(length, _PIXELS) for length in view.shape[-2:])
        self.images = adaptive_avg_pool2d(images, (height, width)).to(pick_device(device))
        self.name, self.number, self.seed, self.progress = name, number, seed, progress

    def __call__(self, ids: Integers, folds: npt.NDArray[np.int8]) -> Floats:
        """Return the probability of each group for each subject, out of fold, (deals, N, G).

        Args:
            ids: group of each subject, (deals, N).
            folds: of each subject, (deals, repeats, N); the first repeat is used.
        """
        scores = np.empty((*ids.shape, self.number))
        off = None if self.progress else True
        deals = tqdm(zip(ids, folds[:, 0], strict=True), f"reading {self.name}", len(ids), disable=off)
        for deal, (groups, parts) in enumerate(deals):
            for held_out in (parts == fold for fold in np.unique(parts)):
                scores[deal, held_out] = self._held_out_scores(groups, held_out)
        return scores

    def _held_out_scores(self, groups: Integers, held_out: npt.NDArray[np.bool_]) -> Floats:
        """Return how a network that is trained on all other subjects scores those held out, (n, G)."""
        images = self.images[torch.from_numpy(~held_out)]
        target = torch.from_numpy(groups[~held_out]).to(images.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            network = _classifier(images.shape[1:], self.number).to(images.device)
        optimizer = torch.optim.AdamW(network.parameters(), _LEARNING_RATE)
        steps = max(_FEWEST_STEPS, -(-_PASSES * len(images) // _BATCH))
        batches = GroupBatchSampler(
            groups[~held_out], _BATCH, num_batches=steps, seed=self.seed, num_replicas=1, rank=0
        )
        for batch in batches:
            loss = cross_entropy(network(images[batch]), target[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with torch.no_grad():
            scores = network(self.images[torch.from_numpy(held_out)]).double().softmax(dim=1)
        return np.asarray(scores.cpu().numpy(), dtype=np.float64)


def _classifier(shape: Sequence[int], number: int) -> nn.Sequential:
    channels, *size = shape
    network = make_network(channels, number, size, features=_FEATURES, deep_supervision=False)
    first, downsamples, last = network.encoder()
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(network.filters[-1], number)
    return nn.Sequential(first, *downsamples.children(), last, *head)
